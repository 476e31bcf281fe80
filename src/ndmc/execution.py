"""Run a scenario: blocks of draws through Dask threads, each written once into its own shard."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ndmc.audit import LIMIT, Audit
from ndmc.errors import InputError, RunError
from ndmc.evaluation import evaluate, evaluate_central
from ndmc.plan import compile_plan
from ndmc.quantiles import DEFAULT_QUANTILES, Summary, summarise, view
from ndmc.scenario import Scenario, load
from ndmc.steps import Plan, Watch
from ndmc.store import Spec, Store, create, write_coordinates

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["check_central", "execute", "plan_blocks", "run"]

_BLOCK_BYTES = 32 * 2**20
_MOST_BLOCK = 2**16
_BLOCKS_AT_ONCE = 1000
_MOST_BLOCKS = 10**6
_MEMORY = 2**30

Progress = Callable[[int, int], None]


def plan_blocks(draws: int, cells: int, itemsize: int, workers: int, tile: int = 256) -> int:
    """Return how many draws a block should have.

    A block is what one task computes, holds and writes: about 32 MiB, or less where many workers
    share the memory, in whole tiles of draws, and at least one for each worker.

    Examples
    --------
    >>> plan_blocks(1_000_000, 357, 4, 2)
    23296
    >>> plan_blocks(1000, 357, 4, 2)
    256
    """
    room = min(_BLOCK_BYTES, _MEMORY // (2 * workers))
    fitting = room // max(cells * itemsize, 1)
    share = -(-draws // workers)
    return max(min(fitting, share, _MOST_BLOCK) // tile, 1) * tile


def run(
    scenario: Scenario | str | Path,
    draws: int,
    *,
    seed: int,
    out: str | Path,
    keep: Iterable[str] | None = None,
    workers: int | None = None,
    block: int | None = None,
    dtype: str = "float32",
    variant: str = "",
    changes: Mapping[str, str] | None = None,
) -> xr.Dataset:
    """Run a scenario and return its kept draws, lazily.

    Parameters
    ----------
    scenario
        A loaded scenario, or what `load` takes.
    draws
        Number of draws.
    seed
        From 0 to 2**64 - 1; the same seed gives the same draws, bit for bit.
    out
        Path of the store, which must not exist unless it holds this same run.
    keep
        Outputs and parameters to store; what the scenario says if None.
    workers
        Threads; the processor's cores if None.
    block
        Draws per block; chosen by size if None.
    dtype
        Precision of the stored draws, float32 or float64; the computation is float64.
    variant, changes
        As in `load`; only where ``scenario`` is not loaded yet.

    Returns
    -------
    xarray.Dataset
        The kept outputs with dims (draw, year, ...). Its percentiles: `ndmc.percentiles`.

    Raises
    ------
    InputError
        If something asked for is wrong; nothing is written.
    RunError
        If the run cannot be finished; the same call goes on where it stopped.

    Examples
    --------
    >>> import ndmc, tempfile
    >>> out = tempfile.mkdtemp() + "/run.zarr"
    >>> draws = ndmc.run("china_nd", 100, seed=1, out=out, keep=["in_use"])
    >>> draws.in_use.dims
    ('draw', 'year', 'product')
    """
    import xarray as xr

    if not isinstance(scenario, Scenario):
        scenario = load(scenario, variant=variant, changes=changes)
    elif variant or changes:
        raise InputError("variant and changes belong to load() when the scenario is loaded already")
    store = execute(
        scenario,
        draws,
        seed=seed,
        out=Path(out),
        keep=keep,
        workers=workers,
        block=block,
        dtype=dtype,
    )
    dataset: xr.Dataset = xr.open_zarr(store.path)
    return dataset


def execute(
    scenario: Scenario,
    draws: int,
    *,
    seed: int,
    out: Path,
    keep: Iterable[str] | None = None,
    workers: int | None = None,
    block: int | None = None,
    dtype: str = "float32",
    progress: Progress | None = None,
) -> Store:
    """Run a loaded scenario and return its store, with percentiles.

    Parameters are those of `run`; ``progress`` is called with the draws done and the draws asked
    for, from the threads that do the work.
    """
    workers = workers if workers is not None else _cores()
    # Asked for a few outputs alone, a run computes what they need and balances what that crosses.
    plan = compile_plan(scenario, _kept(scenario, keep), whole=keep is None)
    spec = _spec(plan, draws, seed, block, dtype, workers)
    _try_first_draws(plan, spec)
    store = create(out, scenario, plan, spec)
    if store.complete:
        store.check_whole()
    else:
        try:
            compute_blocks(plan, store, workers, progress)
            write_percentiles(store, workers)
            return store.finish(LIMIT)
        except OSError as failed:
            raise RunError(
                f"cannot write {str(out)!r}: {failed.strerror or failed}; "
                "make room and run the same command again to go on"
            ) from None
        except ValueError as failed:
            if "exists in store" not in str(failed):
                raise
            raise RunError(f"another run writes to {str(out)!r}; wait for it, or stop it") from None
    return store


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_central(plan: Plan) -> dict[str, npt.NDArray[Any]]:
    """Return the outputs with every parameter at its mean.

    Raises
    ------
    InputError
        If the model cannot be right even there: a loop that returns all that enters it, a
        prescribed stock that nothing can sustain.
    """
    audit = Audit(plan)
    central = evaluate_central(plan, audit)
    for watch, count in zip(plan.watches, audit.counts, strict=True):
        if count and watch.kind in _FATAL:
            raise InputError(_FATAL[watch.kind](watch), watch.where)
    return central


def _gain_message(watch: Watch) -> str:
    text = " -> ".join([*watch.loop, watch.loop[0]])
    return (
        f"the loop {text} returns at least all that enters it, to a part in 1e9, so that no finite "
        "flow balances it; lower its shares or let something leave it"
    )


def _start_message(watch: Watch) -> str:
    return (
        f"less than 0.1 % of what enters the stock {watch.name!r} is there at the end of its first "
        "year, so its inflow cannot be found from it; use inflow_at: uniform or end, or longer "
        "lifetimes"
    )


_FATAL = {"gain": _gain_message, "no_start": _start_message}


def _try_first_draws(plan: Plan, spec: Spec) -> None:
    """Compute a few draws before anything is written: most models that fail, fail in all draws.

    It also compiles the kernels once, not in every thread.
    """
    check_central(plan)
    draws = range(min(spec.draws, plan.tile))
    audit = Audit(plan)
    results = evaluate(plan, spec.seed, draws, dtype=spec.dtype, audit=audit)
    _check_draws(plan, audit, results, draws)


def _kept(scenario: Scenario, keep: Iterable[str] | None) -> list[str] | None:
    if keep is None:
        return scenario.file.keep
    names = [keep] if isinstance(keep, str) else list(keep)
    if names == ["all"]:
        return None
    if names == ["none"] or not names:
        raise InputError(
            "percentiles need stored draws in this version; name the outputs to keep", "--keep"
        )
    return names


def _spec(plan: Plan, draws: int, seed: int, block: int | None, dtype: str, workers: int) -> Spec:
    for name, number in (("draws", draws), ("seed", seed)):
        if isinstance(number, bool) or not isinstance(number, int | np.integer):
            raise InputError(f"{name} is {number!r} but must be a whole number")
    if draws < 1:
        raise InputError(f"{draws} draws asked for; at least 1 is needed", "-n")
    if draws >= 2**63:
        raise InputError(f"{draws} draws asked for; at most 2**63 - 1 can be numbered", "-n")
    if not 0 <= seed < 2**64:
        raise InputError(f"seed is {seed} but must lie in 0 .. 2**64 - 1", "--seed")
    if dtype not in ("float32", "float64"):
        raise InputError(f"dtype is {dtype!r}; choose float32 or float64", "--dtype")
    if workers < 1:
        raise InputError(f"{workers} workers asked for; at least 1 is needed", "--workers")
    if block is not None and block < 1:
        raise InputError(f"blocks of {block} draws asked for; at least 1 is needed", "--block")
    itemsize = np.dtype(dtype).itemsize
    size = block or plan_blocks(draws, plan.cells, itemsize, workers, plan.tile)
    chosen = min(size, draws)
    count = -(-draws // chosen)
    if count > _MOST_BLOCKS:
        raise InputError(
            f"{draws} draws are {count} blocks but a store has at most {_MOST_BLOCKS}; "
            "lower -n or raise --block",
            "-n",
        )
    _check_memory(plan, chosen * itemsize, workers)
    return Spec(int(seed), int(draws), chosen, dtype, tuple(output.name for output in plan.outputs))


def _check_memory(plan: Plan, block: int, workers: int) -> None:
    """Refuse blocks, and draws, too large for memory; ``block`` is the bytes of one value."""
    need = 8 * plan.tile * plan.held * workers
    if need > 2 * _MEMORY:
        raise InputError(
            f"{plan.tile} draws of all that is computed need {need / 2**20:.0f} MiB on {workers} "
            f"workers but at most {2 * _MEMORY / 2**20:.0f} MiB are used; lower --workers, keep "
            "fewer outputs, or sum indicators by age and cohort over a dim",
            "--workers",
        )
    # The block's values, and the same again while they are compressed.
    need = 2 * block * plan.cells * workers
    if need > _MEMORY:
        raise InputError(
            f"{workers} blocks of this many draws need {need / 2**20:.0f} MiB but at most "
            f"{_MEMORY / 2**20:.0f} MiB are used; lower --block or --workers",
            "--block",
        )


def compute_blocks(plan: Plan, store: Store, workers: int, progress: Progress | None) -> None:
    """Compute and write every block that is not written yet, in Dask threads.

    Raises
    ------
    RunError
        If a block cannot be computed; the store stays resumable.
    OSError
        If it cannot be written.
    """
    from dask.threaded import get

    done = store.written
    waiting = [(n, draws) for n, draws in enumerate(store.spec.blocks) if not done[n]]
    counter = _Counter(
        store.spec.draws - sum(len(d) for _, d in waiting), store.spec.draws, progress
    )
    # One graph of 1e5 tasks costs Dask 3.4 ms a task, of 1e3 0.4 ms.
    for first in range(0, len(waiting), _BLOCKS_AT_ONCE):
        batch = waiting[first : first + _BLOCKS_AT_ONCE]
        graph = {
            ("block", n): (_compute_block, plan, store, n, draws, counter) for n, draws in batch
        }
        get(graph, [*graph], num_workers=workers)


@dataclass
class _Counter:
    """Counts finished draws; threads share it, and lose nothing that matters by racing."""

    done: int
    total: int
    progress: Progress | None

    def add(self, draws: int) -> None:
        self.done += draws
        if self.progress is not None:
            self.progress(self.done, self.total)


def _compute_block(plan: Plan, store: Store, block: int, draws: range, counter: _Counter) -> None:
    audit = Audit(plan)
    results = evaluate(plan, store.spec.seed, draws, dtype=store.spec.dtype, audit=audit)
    _check_draws(plan, audit, results, draws)
    for name, values in results.items():
        store.write(name, draws, values)
    store.mark(block, audit.counts, audit.worst)
    counter.add(len(draws))


def _check_draws(
    plan: Plan, audit: Audit, results: Mapping[str, npt.NDArray[Any]], draws: range
) -> None:
    """Refuse draws that have no meaning, are not finite or do not balance."""
    _check_counts(plan, audit, draws)
    for name, values in results.items():
        _check_finite(plan, name, values, draws)
    _check_balance(audit)


def _check_counts(plan: Plan, audit: Audit, draws: range) -> None:
    where = f"draws {draws.start} to {draws.stop - 1}"
    for watch, count in zip(plan.watches, audit.counts, strict=True):
        if count and watch.kind == "range" and watch.name in plan.positive:
            raise RunError(
                f"lifetime parameter {watch.name!r} was drawn at or below zero in {where}; "
                "use distribution: lognormal"
            )
        if count and watch.kind in _FATAL:
            share = f"in {count:,} of {audit.draws:,} draws ({count / audit.draws:.2g})"
            raise RunError(f"{_FATAL[watch.kind](watch)}: {share}, of {where}")


def _check_balance(audit: Audit) -> None:
    if audit.worst <= LIMIT:
        return
    assert audit.place is not None
    process, year, draw = audit.place
    raise RunError(
        f"process {process!r} is out of balance in {year} in draw {draw}, by {audit.worst:.2g} of "
        f"its largest flow or stock ({LIMIT:.2g} is rounding); look for numbers that make no "
        "sense, such as a share above 1"
    )


def _check_finite(plan: Plan, name: str, values: npt.NDArray[Any], draws: range) -> None:
    if np.isfinite(values).all():
        return
    *cell, draw = np.argwhere(~np.isfinite(values))[0]
    dims = plan.output(name).dims
    labels = [f"{d}={plan.dims.labels[d][n]}" for d, n in zip(dims, cell, strict=True)]
    place = f" [{', '.join(labels)}]" if labels else ""
    hint = "look for a division by zero or a negative share, and at the ranges of its parameters"
    if values.dtype == np.float32 and np.isinf(values[(*cell, draw)]):
        hint += "; above 3e38, store it with --dtype float64"
    raise RunError(f"{name}{place} is {values[(*cell, draw)]} in draw {draws.start + draw}; {hint}")


def write_percentiles(store: Store, workers: int) -> None:
    """Write the percentiles of every output, and of its total over all dims but year."""
    import warnings

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="zarr")
        group = store.root.require_group("percentiles", overwrite=True)
        for name, output in store.outputs.items():
            views = {name: view(store, name)}
            others = tuple(dim for dim in output.dims if dim != "year")
            if others and output.kind in ("flow", "stock") and f"{name}_total" not in store.outputs:
                views[f"{name}_total"] = view(store, name, over=others)
            for title, chosen in views.items():
                summary = summarise(store, chosen, workers=workers)
                _write_summary(group, title, summary, output.unit)
        levels = np.array(DEFAULT_QUANTILES)
        group.create_array("quantile", data=levels, dimension_names=("quantile",))
        used = {dim for output in store.outputs.values() for dim in output.dims}
        write_coordinates(group, store.dims, used)
        group.attrs["count"] = store.spec.draws


def _write_summary(group: Any, title: str, summary: Summary, unit: str) -> None:
    parts = {"": summary.values, "_low": summary.low, "_high": summary.high}
    parts |= {"_mean": summary.mean, "_sd": summary.sd}
    for suffix, values in parts.items():
        dims = summary.view.kept if suffix in ("_mean", "_sd") else ("quantile", *summary.view.kept)
        group.create_array(
            title + suffix,
            data=values.copy(),
            dimension_names=dims,
            attributes={"units": unit},
            fill_value=np.nan,
        )
