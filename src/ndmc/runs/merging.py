"""From digests of blocks to percentiles: the brackets of each stage, and the last merge."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ndmc.engine.audit import LIMIT
from ndmc.engine.evaluation import code_of, swaps
from ndmc.engine.scores import scores_of
from ndmc.engine.swaps import reach
from ndmc.errors import RunError
from ndmc.plan.findings import found_in
from ndmc.runs.block import Work
from ndmc.runs.executors import Task
from ndmc.runs.sharing import Measured, Moments, write_shares
from ndmc.store.brackets import Brackets, Series
from ndmc.store.bundle import DamagedError
from ndmc.store.comparisons import comparisons, described
from ndmc.store.creation import remove_percentiles, write_shapes
from ndmc.store.description import write_coordinates
from ndmc.store.keys import (
    DIGESTS,
    PERCENTILES,
    SENSITIVITY,
    again_name,
    again_of_block,
    block_name,
    brackets_key,
    digest_key,
    is_merged,
    percentile_key,
    stage_name,
    state_key,
)
from ndmc.store.layout import dims_of
from ndmc.store.ledger import Entry, Files
from ndmc.store.merged import Merged, Rows, closest, merge, narrow, summarise_rows
from ndmc.store.ranks import CONFIDENCE, wanted_ranks
from ndmc.store.spec import blocks, cut, stages
from ndmc.store.squares import arrays_of, of_all
from ndmc.store.store import Store, now, write_root
from ndmc.store.variables import ABOVE, EXCEEDANCE, LIMITS, QUANTILE, STATISTICS, Variable
from ndmc.store.zarr_v3 import SmallArrays, group_document, write_group
from ndmc.typing import Floats

_REPAIR = "run the same command again with --repair"


# --- stages ---------------------------------------------------------------------------------------


def enter(work: Work, stage: range) -> None:
    """Make sure of the brackets of a stage, once all blocks before it are written."""
    name = stage_name(stage.start)
    with work.place.lock("merge", wait=True):
        if work.store.ledger.read(name):
            return
        try:
            _enter(work, stage, name)
        except RunError:
            # Where there are no locks another may have merged, and removed what was merged.
            if not work.store.ledger.read(name):
                raise


def _enter(work: Work, stage: range, name: str) -> None:
    files: Files = {}
    if stage.start == 0:
        brackets = work.first_brackets()
    else:
        previous = next(s for s in stages(work.spec) if s.stop == stage.start)
        counted = stage.start == work.spec.counted
        merged, key = merged_until(work, previous), state_key(name)
        write = functools.partial(work.place.write, key)
        with _damage(work):  # digests are read while the merged one is written
            further = arrays_of(merged.bundles, work.squares) if work.squares else ()
            brackets, files[key] = narrow(
                merged, work.spec.quantiles, write, counted=counted, further=further
            )
    _record(work, name, brackets, files)
    tidy(work)


def _record(work: Work, name: str, brackets: Brackets, files: Files, draws: int = 0) -> None:
    key = brackets_key(name)
    files[key] = work.place.write(key, brackets.pack())
    work.store.ledger.write(Entry(name, files, draws=draws))


def tidy(work: Work) -> None:
    """Remove digests that are merged in that of a later stage."""
    newest = work.store.stage
    for name in work.place.names(DIGESTS):
        if is_merged(name, newest):
            work.place.remove(digest_key(name))


def merged_until(work: Work, stage: range) -> Merged:
    """Return the digests of all draws to the end of a stage, together."""
    name = stage_name(stage.start)
    with _damage(work):
        files = {key: seal for key, seal in work.files(name).items() if key == state_key(name)}
    for block in cut(stage, work.spec):
        entry = work.store.ledger.read(block_name(block.start))
        files |= {p.digest: entry.files[p.digest] for p in entry.pieces} if entry else {}
    merged = _merged(work, work.brackets(name), files)
    if merged.draws != stage.stop:
        message = f"{merged.draws:,} of {stage.stop:,} draws are in the ledger of {work.place}"
        raise RunError(f"{message}; {_REPAIR}")
    return merged


def _merged(work: Work, brackets: Brackets, files: Files) -> Merged:
    with _damage(work):
        merged = merge(brackets, [work.bundle(key, seal) for key, seal in files.items()])
        for number, one in enumerate(work.layout[0]):
            wanted = (len(one.limits), one.size)
            if one.limits and merged.above.get(number, np.empty(0)).shape != wanted:
                raise DamagedError(f"it does not count what is above the limits of {one.title!r}")
        return merged


@contextlib.contextmanager
def _damage(work: Work) -> Iterator[None]:
    try:
        yield
    except (DamagedError, FileNotFoundError) as broken:
        raise RunError(f"a digest in {work.place} is damaged: {broken}; {_REPAIR}") from None


# --- percentiles ----------------------------------------------------------------------------------

Run = Callable[[Sequence[Task]], None]


def percentiles_of(
    work: Work, run: Run, confidence: float = CONFIDENCE
) -> tuple[Merged, list[Rows]]:
    """Return the digests of all draws together, and the percentiles of every row.

    Where draws were only counted, or a bracket missed, a second pass over all blocks is made with
    the closest brackets that are known to hold every rank.
    """
    spec, last = work.spec, [*stages(work.spec)][-1]
    merged = merged_until(work, last)
    with _damage(work):
        rows = None if merged.tallies else summarise_rows(merged, spec.quantiles, confidence)
    if rows is not None:
        return merged, rows
    name = again_name(spec.draws, confidence)
    if not work.store.ledger.read(name):
        ranks = [wanted_ranks(spec.draws, q, confidence) for q in spec.quantiles]
        _record(work, name, closest(merged, ranks), {}, spec.draws)
    run([Task(block, again=name) for block in blocks(spec)])
    files: Files = {}
    with _damage(work):
        for block in blocks(spec):
            files |= work.files(again_of_block(name, block.start))
    merged = _merged(work, work.brackets(name), files)
    with _damage(work):
        rows = summarise_rows(merged, spec.quantiles, confidence)
    if rows is None:
        raise RunError(f"a percentile lies outside its bracket in {work.place}; {_REPAIR}")
    return merged, rows


def write_percentiles(
    work: Work, merged: Merged, rows: Sequence[Rows], workers: int, **found: Any
) -> Store:
    """Write the percentiles of every series, mark the run as whole and return its store.

    Of a study shares are written, too, by so many ``workers``. ``found`` are further attributes of
    the whole run.
    """
    written = _Percentiles(work.place)
    store = remove_percentiles(work.store)
    for number, one in enumerate(work.layout[0]):
        output = work.plan.output(one.view.name)
        for part, variable in STATISTICS.items():
            values = getattr(rows[one.sheet], part)[..., one.rows]
            written.describe(one, variable, values, output.unit, output.title)
        if one.above:
            share = merged.above[number][: len(one.above)] / merged.draws
            written.describe(one, EXCEEDANCE, share, "1", output.title)
            dim = LIMITS.name(one.title)
            written.add(dim, np.array(one.above), (dim,), output.unit, LIMITS.words)
        if one.compare:
            counts = merged.above[number][len(one.above) :]
            for compared, share in comparisons(output.kind, counts, merged.draws):
                written.describe(one, compared, share, "1", output.title)
    levels = np.array(work.spec.quantiles)
    written.add(QUANTILE, levels, (QUANTILE,), "1", "share of draws below")
    used = dims_of(work.plan.output(name) for name in work.spec.percentiles)
    further = write_coordinates(written, PERCENTILES, work.plan.dims, used)
    groups: Groups = {PERCENTILES: (written, {**further, "count": merged.draws})}
    if work.plan.study:
        groups[SENSITIVITY] = _shares(work, merged, rows, workers)
    return _finish(work, store, groups, found)


def _shares(
    work: Work, merged: Merged, rows: Sequence[Rows], workers: int
) -> tuple[SmallArrays, dict[str, Any]]:
    """Write the shares of a study, and return them with the attributes of their group."""
    arrays, moments = SmallArrays(work.place), moments_of(work, merged, rows)
    about = write_shares(arrays, measured_of(work), work.plan, work.spec, moments, workers)
    return arrays, about


def moments_of(work: Work, merged: Merged, rows: Sequence[Rows]) -> Moments:
    """Return the mean and the standard deviation of all that has shares."""
    moments = {
        one.title: (rows[one.sheet].mean[one.rows], rows[one.sheet].sd[one.rows])
        for one in work.layout[0]
    }
    for number, one in enumerate(work.layout[0]):
        if one.above:
            share = merged.above[number][: len(one.above)] / merged.draws
            moments[ABOVE.name(one.title)] = share, np.sqrt(share * (1 - share))
    return moments


def measured_of(work: Work) -> Measured:
    """Return the sums of squares of all draws of a study."""
    # A second pass has made digests of percentiles alone.
    merged = merged_until(work, [*stages(work.spec)][-1])
    with _damage(work):
        sums = of_all(merged.bundles, work.squares)
    streams = scores_of(work.plan).streams.tolist()
    connected, reaches = swaps(work.plan).connected, reach(code_of(work.plan), streams)
    return Measured(sums, merged.draws, connected, reaches)


#: Arrays of groups, by the keys of these, with their attributes.
Groups = dict[str, tuple[SmallArrays, dict[str, Any]]]


class _Percentiles(SmallArrays):
    """The arrays of the group of percentiles."""

    def add(self, name: str, values: Floats, dims: tuple[str, ...], unit: str, title: str) -> None:
        self.put(percentile_key(name), values, dims, {"units": unit, "long_name": title})

    def describe(
        self, one: Series, variable: Variable, values: Floats, unit: str, title: str
    ) -> None:
        """Put what is known of the rows of a series, [..., row]."""
        shaped = values.reshape((*values.shape[:-1], *one.view.shape))
        dims, words = variable.dims_of(one.title, one.view.kept), variable.words.format(title)
        self.add(variable.name(described(variable, one.title)), shaped, dims, unit, words)


def _finish(work: Work, store: Store, groups: Groups, found: dict[str, Any]) -> Store:
    """Make what is known of the whole run durable, and after it mark the run as whole."""
    files, everything = dict(store.files), dict(store.metadata)
    for arrays, _ in groups.values():
        arrays.settle()
    write_shapes(store)
    for name, (arrays, about_group) in groups.items():
        everything[name] = write_group(store.place, name, about_group, arrays.documents)
        everything |= arrays.documents
        files |= arrays.files
    store.check_files()
    counts, extents, worst = store.findings()
    watches, draws = work.plan.watches, store.spec.draws
    about = {
        **store.attrs,
        "complete": True,
        "finished": now(),
        "files": files,
        "counted": counts,
        "warnings": [*found_in(watches, counts, extents, draws)],
        "balance": {**store.attrs["balance"], "worst": worst, "limit": LIMIT},
        **found,
    }
    return write_root(store.place, group_document(about, everything))
