"""Exact percentiles of stored draws, in bounded memory, with their confidence limits.

Of many draws only those near the percentiles are kept and sorted, between brackets that a sample
has set; the others are counted. Few draws, and cells whose percentiles a bracket has missed, are
read and sorted whole; where not even one cell's draws fit the memory, the wanted order statistics
are found by counting, sixteen bits of their keys a pass. In each case the result equals
``numpy.quantile`` (linear) of the same draws in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ndmc.errors import InputError, RunError, nearest
from ndmc.store.keys import percentile_key
from ndmc.store.ranks import (
    DEFAULT_QUANTILES,
    between,
    confidence_ranks,
    held_ranks,
    quantile_of_sorted,
)
from ndmc.store.spec import blocks
from ndmc.store.store import Store
from ndmc.store.view import View, view
from ndmc.typing import Floats

__all__ = ["Summary", "summaries", "summarise", "summary"]

# Draws held at once. Sorting is in place, so this is nearly all the memory percentiles take.
_MEMORY = 320 * 2**20

# Rows a thread sorts before it asks for more.
_ROWS = 16

# Draws taken to float64 at a time for the moments.
_PIECE = 2**16

# Draws from which brackets pay, and percentiles up to which. A cell of 1e6 float32 draws takes
# 25 ms of CPU time sorted, 8 of them to sort; between brackets 13, of which reading takes 9.
_MANY = 2**18

_FEW = 6

# How far a bracket reaches, in standard errors of the sample's percentile.
_REACH = 6.0


@dataclass(frozen=True)
class Summary:
    """Percentiles of one view: ``values``, ``low`` and ``high`` are [quantile, dims...]."""

    view: View
    quantiles: tuple[float, ...]
    values: Floats
    low: Floats
    high: Floats
    mean: Floats
    sd: Floats
    count: int


def summaries(
    store: Store,
    names: Sequence[str] | None,
    quantiles: Sequence[float] = DEFAULT_QUANTILES,
    select: Mapping[str, Sequence[str]] | None = None,
    over: Iterable[str] = (),
    by_group: Iterable[str] = (),
) -> dict[str, Summary]:
    """Return percentiles of outputs; of all if None, each asked for only the dims it has.

    Raises
    ------
    InputError
        As `summary`, and for a dim no output has.
    """
    select, over, by_group = select or {}, tuple(over), tuple(by_group)
    if names is not None:
        return {name: summary(store, name, quantiles, select, over, by_group) for name in names}
    known = {dim for output in store.computed.values() for dim in output.dims}
    for dim in (*select, *over, *by_group):
        if dim not in known:
            raise InputError(f"no output has a dim {dim!r}; {nearest(dim, sorted(known))}")
    found = {}
    for name, output in store.computed.items():
        own = {dim: labels for dim, labels in select.items() if dim in output.dims}
        dims = ([dim for dim in some if dim in output.dims] for some in (over, by_group))
        found[name] = summary(store, name, quantiles, own, *dims)
    return found


def summary(
    store: Store,
    name: str,
    quantiles: Sequence[float] = DEFAULT_QUANTILES,
    select: Mapping[str, Sequence[str]] | None = None,
    over: Iterable[str] = (),
    by_group: Iterable[str] = (),
) -> Summary:
    """Return percentiles of an output: of its stored draws, or else those the run computed.

    Raises
    ------
    InputError
        For what the store has not, such as other percentiles or sums of draws that are not kept.
    """
    over, by_group = tuple(over), tuple(by_group)
    chosen = view(store, name, select, over, by_group)
    if name in store.outputs:
        return summarise(store, chosen, quantiles)
    return _recalled(store, chosen, quantiles)


def _recalled(store: Store, chosen: View, quantiles: Sequence[float]) -> Summary:
    """Return percentiles that the run computed of draws it did not keep."""
    _check_complete(store)
    name, known = chosen.name, store.spec.quantiles
    remedy = f"its draws are not kept; run with --keep {name}"
    for quantile in quantiles:
        if quantile not in known:
            found = ", ".join(f"{q * 100:g}" for q in known)
            raise InputError(f"{name!r} has the percentiles {found} only: {remedy}")
    others = tuple(dim for dim in chosen.dims if dim != "year")
    total = chosen.over and set(chosen.over) == set(others) and _is_whole(store, chosen)
    known_total = total and percentile_key(f"{name}_total") in store.metadata
    if chosen.by or (chosen.over and not known_total):
        raise InputError(f"sums of {name!r} over some labels need its draws: {remedy}")
    title = f"{name}_total" if total else name
    at = [known.index(quantile) for quantile in quantiles]
    places = [p for dim, p in zip(chosen.dims, chosen.positions, strict=True) if dim in chosen.kept]
    parts = {s: store.percentile(title + s) for s in ("", "_low", "_high", "_mean", "_sd")}
    values, low, high = (parts[s][np.ix_(at, *places)] for s in ("", "_low", "_high"))
    mean, sd = (parts[s][np.ix_(*places)] if places else parts[s] for s in ("_mean", "_sd"))
    return Summary(chosen, tuple(quantiles), values, low, high, mean, sd, store.spec.draws)


def _is_whole(store: Store, chosen: View) -> bool:
    """Whether no label is left out of the dims that are summed."""
    sizes = dict(zip(chosen.dims, map(len, chosen.positions), strict=True))
    return all(sizes[dim] == len(store.dims.labels[dim]) for dim in chosen.over)


def _check_complete(store: Store) -> None:
    if not store.complete:
        message = "the run is not complete; run the same command again to finish it"
        raise InputError(message, store.path)


def summarise(
    store: Store,
    chosen: View,
    quantiles: Sequence[float] = DEFAULT_QUANTILES,
    *,
    memory: int = _MEMORY,
    workers: int = 2,
) -> Summary:
    """Return exact percentiles, mean and standard deviation of a view.

    Parameters
    ----------
    store
        A complete store.
    chosen
        The cells.
    quantiles
        Shares from 0 to 1.
    memory
        Bytes of draws held at once.
    workers
        Threads that read and sort.

    Raises
    ------
    InputError
        If the store is not complete.
    RunError
        If a draw is not a number.
    """
    _check_complete(store)
    draws = store.spec.draws
    dtype = np.dtype(np.float64) if chosen.sums else np.dtype(store.spec.dtype)
    statistics = np.empty((math.prod(chosen.shape), 3 * len(quantiles) + 2))
    held = memory // (draws * dtype.itemsize)
    some = memory // (_kept_draws(draws, quantiles) * dtype.itemsize)
    by_brackets = draws >= _MANY and len(quantiles) <= _FEW and some > held > 0
    with ThreadPoolExecutor(workers) as threads:
        for slab in _slabs(chosen, store, max(some if by_brackets else held, 1)):
            if by_brackets:
                missed = _select_slab(store, slab, quantiles, statistics, threads, workers)
                for part in _parts(slab, missed, held):
                    _sort_slab(store, part, quantiles, dtype, statistics, threads)
            elif held:
                _sort_slab(store, slab, quantiles, dtype, statistics, threads)
            else:
                _count_slab(store, slab, quantiles, statistics, memory)
    count = len(quantiles)
    shaped = statistics.T.reshape(-1, *chosen.shape)
    return Summary(
        chosen,
        tuple(quantiles),
        shaped[:count],
        shaped[count : 2 * count],
        shaped[2 * count : 3 * count],
        shaped[-2],
        shaped[-1],
        draws,
    )


@dataclass(frozen=True)
class _Slab:
    """Cells summarised together: those of some years, and among them some flat cells."""

    view: View
    years: slice
    inner: slice | npt.NDArray[np.int64]
    targets: npt.NDArray[np.int64]


def _slabs(chosen: View, store: Store, capacity: int) -> list[_Slab]:
    """Cut a view into slabs of at most ``capacity`` cells, along the chunks of the store."""
    targets = np.arange(math.prod(chosen.shape), dtype=np.int64).reshape(chosen.shape)
    if "year" not in chosen.kept:
        return _runs(chosen, slice(None), targets.reshape(-1), capacity)
    axis, place = chosen.kept.index("year"), chosen.dims.index("year")
    years = chosen.positions[place]
    row = math.prod(chosen.shape) // len(years)
    step = max(capacity // row, 1)
    grain = store.arrays[chosen.name].chunks[1 + chosen.dims[::-1].index("year")]
    if step > grain:
        step -= step % grain
    slabs: list[_Slab] = []
    for first in range(0, len(years), step):
        some = years[first : first + step]
        span = slice(min(some), max(some) + 1)
        inside = tuple(year - span.start for year in some)
        positions = (*chosen.positions[:place], inside, *chosen.positions[place + 1 :])
        part = View(chosen.name, chosen.dims, positions, chosen.over, chosen.by)
        theirs = targets.take(range(first, first + len(some)), axis=axis).reshape(-1)
        slabs.extend(_runs(part, span, theirs, capacity))
    return slabs


def _runs(part: View, years: slice, targets: npt.NDArray[np.int64], capacity: int) -> list[_Slab]:
    return [
        _Slab(part, years, slice(n, n + capacity), targets[n : n + capacity])
        for n in range(0, len(targets), capacity)
    ]


def _rows(store: Store, slab: _Slab, draws: range) -> npt.NDArray[Any]:
    """Return the draws of a slab's cells, [cell, draw]."""
    values = store.read(slab.view.name, slice(draws.start, draws.stop), slab.years)
    return slab.view.apply(values).reshape(-1, len(draws))[slab.inner]


# --- between brackets ------------------------------------------------------------------------


def _sample_size(draws: int) -> int:
    return min(draws, 4 * math.ceil(math.cbrt(draws) ** 2))


def _kept_draws(draws: int, quantiles: Sequence[float]) -> int:
    """Return how many draws of a cell are held at once, in two samples and the brackets."""
    return 2 * _sample_size(draws) + sum(_room(draws, quantiles))


def _positions(draws: int, sample: int, quantile: float) -> tuple[int, int]:
    """Return the places in a sorted sample around the ranks that a percentile needs."""
    ranks = held_ranks(draws, quantile)
    low, high = min(ranks) / draws, max(ranks) / draws
    below, above = (_REACH * math.sqrt(sample * p * (1 - p)) + 1 for p in (low, high))
    return math.floor(sample * low - below) - 1, math.ceil(sample * high + above)


def _room(draws: int, quantiles: Sequence[float]) -> list[int]:
    """Return for how many draws each bracket needs room, with a fifth to spare."""
    sample = _sample_size(draws)
    spans = (_positions(draws, sample, quantile) for quantile in quantiles)
    return [math.ceil(1.2 * draws * (high - low) / sample) for low, high in spans]


@dataclass
class _Near:
    """Draws counted against brackets [cell, bracket, edge]; those inside are kept.

    Span [cell, 2] are the least and greatest draw as integers.
    """

    edges: npt.NDArray[Any]
    counts: npt.NDArray[np.int64]
    kept: npt.NDArray[Any]
    span: npt.NDArray[Any]

    def add(self, rows: npt.NDArray[Any], centre: Floats) -> Floats:
        """Take draws [cell, draw]; return sums of deviations and of their squares, [cell, 2]."""
        from ndmc_kernels.digest import DIGEST, LEAF

        leaves = np.empty((-(-rows.shape[1] // LEAF), len(rows), 2))
        keys = rows.view(self.span.dtype)
        DIGEST[rows.itemsize](
            rows, keys, self.edges, centre, self.counts, self.kept, self.span, leaves
        )
        total: Floats = leaves.sum(axis=0)
        return total


def _nears(
    edges: npt.NDArray[Any], room: Sequence[int], shares: Sequence[Sequence[range]]
) -> list[_Near]:
    """Return one for each share of the blocks, with room for as much of what lies inside."""
    sizes = [sum(map(len, share)) for share in shares]
    slots = math.ceil(max(room) * max(sizes) / sum(sizes))
    shape, span = edges.shape[:2], np.zeros((len(edges), 2), f"i{edges.itemsize}")
    counts, kept = np.zeros((*shape, 4), np.int64), np.empty((*shape, slots), edges.dtype)
    return [_Near(edges, counts.copy(), kept.copy(), span.copy()) for _ in shares]


def _select_slab(
    store: Store,
    slab: _Slab,
    quantiles: Sequence[float],
    statistics: Floats,
    threads: ThreadPoolExecutor,
    workers: int,
) -> list[int]:
    """Describe cells by their draws near the percentiles; return those for which that failed."""
    count = store.spec.draws
    todo = blocks(store.spec)
    leading = 1 + next(n for n, draws in enumerate(todo) if draws.stop >= _sample_size(count))
    sample = np.concatenate(
        [*threads.map(lambda draws: _rows(store, slab, draws), todo[:leading])], axis=1
    )
    centre = np.nan_to_num(sample.mean(axis=1, dtype=np.float64), posinf=0.0, neginf=0.0)
    edges = np.stack([*threads.map(lambda row: _brackets(row, count, quantiles), sample)])
    nears = _nears(edges, _room(count, quantiles), [todo[n::workers] for n in range(workers)])
    sums = np.zeros((len(todo), len(centre), 2))

    def add(worker: int) -> None:
        for n in range(worker, len(todo), workers):
            known = n < leading
            rows = sample[:, todo[n].start : todo[n].stop] if known else _rows(store, slab, todo[n])
            rows = np.ascontiguousarray(rows)
            sums[n] = nears[worker].add(rows, centre)

    def describe(cell: int) -> bool:
        first, second = sums[:, cell].sum(axis=0).tolist()
        moments = _Moments.of_sums(count, float(centre[cell]), first, second)
        found = _found(nears, cell, quantiles, count)
        if found is None or math.isnan(moments.mean):
            return False
        statistics[slab.targets[cell]] = _describe_ranked(found, quantiles, count, moments)
        return True

    _each(threads, add, range(workers))
    done = [*threads.map(describe, range(len(centre)))]
    return [cell for cell, well in enumerate(done) if not well]


def _brackets(sample: npt.NDArray[Any], draws: int, quantiles: Sequence[float]) -> Any:
    """Return between which values the ranks of each percentile should lie, [quantile, edge]."""
    ordered = np.concatenate([[-np.inf], np.sort(sample), [np.inf]]).astype(sample.dtype)
    places = [_positions(draws, len(sample), quantile) for quantile in quantiles]
    return ordered[np.clip(np.array(places) + 1, 0, len(sample) + 1)]


def _found(
    nears: Sequence[_Near], cell: int, quantiles: Sequence[float], count: int
) -> dict[int, float] | None:
    """Return the values of the ranks percentiles need, or None if one is not among the kept."""
    found: dict[int, float] = {}
    for bracket, quantile in enumerate(quantiles):
        low, high = nears[0].edges[cell, bracket]
        sizes = [near.counts[cell, bracket, 2] for near in nears]
        below, at_low, inside, at_high = sum(near.counts[cell, bracket] for near in nears)
        if max(sizes) > nears[0].kept.shape[2]:
            return None
        parts = [near.kept[cell, bracket, :n] for near, n in zip(nears, sizes, strict=True)]
        values = np.sort(np.concatenate(parts))
        for rank in held_ranks(count, quantile):
            place = rank - below - at_low - 1
            if rank <= below or place >= inside + at_high:
                return None
            found[rank] = float(low if place < 0 else values[place] if place < inside else high)
    return found


def _parts(slab: _Slab, cells: Sequence[int], capacity: int) -> list[_Slab]:
    """Return slabs of some of a slab's cells."""
    places = np.arange(math.prod(slab.view.shape), dtype=np.int64)[slab.inner]
    parts = [np.array(cells[n : n + capacity]) for n in range(0, len(cells), capacity)]
    return [_Slab(slab.view, slab.years, places[part], slab.targets[part]) for part in parts]


# --- sorted as a whole -----------------------------------------------------------------------


def _sort_slab(
    store: Store,
    slab: _Slab,
    quantiles: Sequence[float],
    dtype: np.dtype[Any],
    statistics: Floats,
    threads: ThreadPoolExecutor,
) -> None:
    rows = np.empty((len(slab.targets), store.spec.draws), dtype=dtype)

    def read(draws: range) -> None:
        rows[:, draws.start : draws.stop] = _rows(store, slab, draws)

    def describe(some: range) -> None:
        for n in some:
            rows[n].sort()
            statistics[slab.targets[n]] = _describe_sorted(rows[n], quantiles, slab.view.name)

    _each(threads, read, blocks(store.spec))
    _each(threads, describe, [range(len(rows))[n : n + _ROWS] for n in range(0, len(rows), _ROWS)])


def _each(threads: ThreadPoolExecutor, work: Callable[[Any], None], items: Iterable[Any]) -> None:
    for _ in threads.map(work, items):
        pass


def _describe_sorted(
    values: npt.NDArray[Any], quantiles: Sequence[float], name: str
) -> list[float]:
    if np.isnan(values[-1]):
        raise RunError(
            f"{name!r} holds draws that are not numbers: some are damaged or missing; run the same "
            "command again with --repair"
        )
    count = len(values)
    ranks = [confidence_ranks(count, q) for q in quantiles]
    moments = _Moments()
    for first in range(0, count, _PIECE):
        moments.add(values[first : first + _PIECE].astype(np.float64))
    return [
        *(quantile_of_sorted(values, q) for q in quantiles),
        *(float(values[low - 1]) if low >= 1 else -math.inf for low, _ in ranks),
        *(float(values[high - 1]) if high <= count else math.inf for _, high in ranks),
        moments.mean,
        moments.sd,
    ]


def _count_slab(
    store: Store, slab: _Slab, quantiles: Sequence[float], statistics: Floats, memory: int
) -> None:
    """Describe a cell of more draws than fit the memory, in four passes over them."""
    from ndmc_kernels.histogram import key_value, tally

    count = store.spec.draws
    ranks = sorted({rank for q in quantiles for rank in held_ranks(count, q)})
    prefix = dict.fromkeys(ranks, 0)  # the digits of each order statistic found so far
    below = dict.fromkeys(ranks, 0)  # how many draws lie below those digits
    moments = _Moments()
    for shift in (48, 32, 16, 0):
        prefixes = np.array(sorted(set(prefix.values())), dtype=np.uint64)
        counts = np.zeros((len(prefixes), 2**16), dtype=np.int64)
        for draws in blocks(store.spec):
            row = np.ascontiguousarray(_rows(store, slab, draws)[0], dtype=np.float64)
            if shift == 48:
                moments.add(row)
            tally(row, shift, prefixes, counts)
        running = counts.cumsum(axis=1)
        for rank in ranks:
            place = int(np.searchsorted(prefixes, np.uint64(prefix[rank])))
            digit = int(np.searchsorted(running[place], rank - below[rank], side="left"))
            below[rank] += int(running[place][digit] - counts[place][digit])
            prefix[rank] = prefix[rank] << 16 | digit
    found = {r: float(key_value(np.array([prefix[r]], dtype=np.uint64))[0]) for r in ranks}
    statistics[slab.targets[0]] = _describe_ranked(found, quantiles, count, moments)


@dataclass
class _Moments:
    """Mean and variance of blocks, merged (Chan et al. 1979)."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    @classmethod
    def of_sums(cls, count: int, centre: float, first: float, second: float) -> _Moments:
        """Return the moments of draws whose deviations from a centre add up to these."""
        if math.isinf(first):
            return cls(count, math.inf, math.nan)
        return cls(count, centre + first / count, max(second - first**2 / count, 0.0))

    @property
    def sd(self) -> float:
        return math.sqrt(self.squares / (self.count - 1)) if self.count > 1 else math.nan

    def add(self, values: Floats) -> None:
        size, mean = len(values), float(values.mean())
        if math.isnan(mean):
            raise RunError("a stored draw is not a number")
        if math.isinf(mean) or math.isinf(self.mean):  # with a draw in which an event never happens
            self.mean, self.squares, self.count = math.inf, math.nan, self.count + size
            return
        total, shift = self.count + size, mean - self.mean
        self.squares += float(((values - mean) ** 2).sum()) + shift**2 * self.count * size / total
        self.mean += shift * size / total
        self.count = total


def _describe_ranked(
    found: Mapping[int, float], quantiles: Sequence[float], count: int, moments: _Moments
) -> list[float]:
    values, lows, highs = [], [], []
    for q in quantiles:
        index = q * (count - 1)
        below = math.floor(index)
        values.append(between(found[below + 1], found[min(below + 2, count)], index - below))
        low, high = confidence_ranks(count, q)
        lows.append(found[low] if low >= 1 else -math.inf)
        highs.append(found[high] if high <= count else math.inf)
    return [*values, *lows, *highs, moments.mean, moments.sd]
