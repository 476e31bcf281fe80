"""Exact percentiles of stored draws, in bounded memory, with their confidence limits.

Of many draws only those near the percentiles are kept and sorted, between brackets that a sample
has set; the others are counted. Few draws, and cells whose percentiles a bracket has missed, are
read and sorted whole; where not even one cell's draws fit the memory, the wanted order statistics
are found by counting, sixteen bits of their keys a pass. In each case the result equals
``numpy.quantile`` (linear) of the same draws in float64.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ndmc.errors import InputError, RunError
from ndmc.store.ranks import (
    DEFAULT_QUANTILES,
    bracket_ranks,
    order_statistics,
    percentiles_of_ranked,
    ranked,
    starts_of,
    wanted_ranks,
    where_too_few,
)
from ndmc.store.slabs import Slab, slabs
from ndmc.store.spec import blocks
from ndmc.store.store import Store
from ndmc.store.view import View
from ndmc.typing import Floats, Integers

__all__ = ["Summary", "check_complete"]

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


def check_complete(store: Store) -> None:
    """Refuse a store whose run is not finished.

    Raises
    ------
    InputError
        If it is not.
    """
    if not store.complete:
        message = "the run is not complete; run the same command again to finish it"
        raise InputError(message, store.path)


@dataclass(frozen=True)
class _Summing:
    """What is to be known of the cells of a view, [cell, statistic], and by whose threads."""

    store: Store
    quantiles: tuple[float, ...]
    statistics: Floats
    threads: ThreadPoolExecutor
    workers: int

    @functools.cached_property
    def draws(self) -> int:
        return self.store.spec.draws

    @functools.cached_property
    def ranks(self) -> Integers:
        """The ranks of each quantile, and of its limits."""
        return np.array([wanted_ranks(self.draws, q) for q in self.quantiles], dtype=np.int64)

    def describe(self, cell: int, statistics: Floats, moments: _Moments) -> None:
        """Note what is known of a cell by its order statistics [quantile, rank]."""
        found = percentiles_of_ranked(self.draws, self.quantiles, statistics[np.newaxis])
        self.statistics[cell] = [*found.reshape(-1), moments.mean, moments.sd]

    def each(self, work: Callable[[Any], None], items: Iterable[Any]) -> None:
        for _ in self.threads.map(work, items):
            pass


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
    check_complete(store)
    draws = store.spec.draws
    statistics = np.empty((math.prod(chosen.shape), 3 * len(quantiles) + 2))
    itemsize = _dtype(store, chosen).itemsize
    held = memory // (draws * itemsize)
    some = memory // (_kept_draws(draws, quantiles) * itemsize)
    by_brackets = draws >= _MANY and len(quantiles) <= _FEW and some > held > 0
    with ThreadPoolExecutor(workers) as threads:
        summing = _Summing(store, tuple(quantiles), statistics, threads, workers)
        for slab in slabs(store, chosen, max(some if by_brackets else held, 1)):
            if by_brackets:
                for missed in slab.of_cells(_select_slab(summing, slab), held):
                    _sort_slab(summing, missed)
            elif held:
                _sort_slab(summing, slab)
            else:
                _count_slab(summing, slab)
    shaped = statistics.T.reshape(-1, *chosen.shape)
    values, low, high = np.split(shaped[:-2], 3)
    return Summary(chosen, tuple(quantiles), values, low, high, shaped[-2], shaped[-1], draws)


def _dtype(store: Store, chosen: View) -> np.dtype[Any]:
    """Return the precision draws of a view are ranked in: sums are made in float64."""
    return np.dtype(np.float64) if chosen.sums else np.dtype(store.spec.dtype)


# --- between brackets ------------------------------------------------------------------------


def _sample_size(draws: int) -> int:
    return min(draws, 4 * math.ceil(math.cbrt(draws) ** 2))


def _kept_draws(draws: int, quantiles: Sequence[float]) -> int:
    """Return how many draws of a cell are held at once, in two samples and the brackets."""
    return 2 * _sample_size(draws) + sum(_slots(draws, quantiles))


def _slots(draws: int, quantiles: Sequence[float]) -> list[int]:
    """Return for how many draws each bracket needs room, with a fifth to spare."""
    sample = _sample_size(draws)
    edges = _edge_ranks(draws, sample, quantiles)
    return [math.ceil(1.2 * draws * (high - low) / sample) for low, high in edges]


def _edge_ranks(draws: int, sample: int, quantiles: Sequence[float]) -> list[tuple[int, int]]:
    """Return the ranks in a sample of the edges of brackets, one further than they must be."""
    found = []
    for quantile in quantiles:
        wanted = [rank for rank in wanted_ranks(draws, quantile) if 1 <= rank <= draws]
        low, high = bracket_ranks(sample, min(wanted) / draws, max(wanted) / draws)
        found.append((low - 1, high + 1))
    return found


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


def _nears(edges: npt.NDArray[Any], slots: int, number: int) -> list[_Near]:
    """Return so many, each with room for some draws inside, to count draws together."""
    shape, span = edges.shape[:2], np.zeros((len(edges), 2), f"i{edges.itemsize}")
    counts, kept = np.zeros((*shape, 4), np.int64), np.empty((*shape, slots), edges.dtype)
    return [_Near(edges, counts.copy(), kept.copy(), span.copy()) for _ in range(number)]


def _select_slab(summing: _Summing, slab: Slab) -> list[int]:
    """Describe cells by their draws near the percentiles; return those for which that failed."""
    store, draws, workers = summing.store, summing.draws, summing.workers
    todo, sample = blocks(store.spec), _sample(summing, slab)
    # The mean of equal draws is not always one of them: an exact cell would have a spread.
    exact, means = sample.min(axis=1) == sample.max(axis=1), sample.mean(axis=1, dtype=np.float64)
    centre = np.nan_to_num(np.where(exact, sample[:, 0], means), posinf=0.0, neginf=0.0)
    share = max(sum(map(len, todo[n::workers])) for n in range(workers)) / draws
    slots = math.ceil(max(_slots(draws, summing.quantiles)) * share)
    nears = _nears(_edges(summing, sample), slots, workers)
    sums = np.zeros((len(todo), len(centre), 2))

    def add(worker: int) -> None:
        for n, block in enumerate(todo):
            if n % workers == worker:
                known = block.stop <= sample.shape[1]
                rows = sample[:, block.start : block.stop] if known else slab.read(store, block)
                sums[n] = nears[worker].add(np.ascontiguousarray(rows), centre)

    def describe(cell: int) -> bool:
        first, second = sums[:, cell].sum(axis=0).tolist()
        moments = _Moments.of_sums(draws, float(centre[cell]), first, second)
        found = _ranked(nears, cell, summing.ranks, draws)
        if np.isnan(found).any() or math.isnan(moments.mean):
            return False
        summing.describe(slab.targets[cell], found, moments)
        return True

    summing.each(add, range(workers))
    done = [*summing.threads.map(describe, range(len(centre)))]
    return [cell for cell, well in enumerate(done) if not well]


def _sample(summing: _Summing, slab: Slab) -> npt.NDArray[Any]:
    """Return the draws of the leading blocks, [cell, draw]."""
    store, size = summing.store, _sample_size(summing.draws)
    leading = [block for block in blocks(store.spec) if block.start < size]
    read = summing.threads.map(lambda block: slab.read(store, block), leading)
    return np.concatenate([*read], axis=1)


def _edges(summing: _Summing, sample: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the edges of the bracket of each percentile, [cell, quantile, edge]."""
    size = sample.shape[1]
    ranks = np.clip(_edge_ranks(summing.draws, size, summing.quantiles), 0, size + 1)

    def of_cell(row: npt.NDArray[Any]) -> npt.NDArray[Any]:
        ordered = np.concatenate([[-np.inf], np.sort(row), [np.inf]]).astype(row.dtype)
        return np.asarray(ordered[ranks])

    return np.stack([*summing.threads.map(of_cell, sample)])


def _ranked(nears: Sequence[_Near], cell: int, ranks: Integers, draws: int) -> Floats:
    """Return the order statistics of a cell [quantile, rank]; nan of what was not kept."""
    counts = sum(near.counts[cell] for near in nears)
    kept = [near.kept[cell] for near in nears]
    sizes = [near.counts[cell, :, 2].tolist() for near in nears]
    if max(map(max, sizes)) > kept[0].shape[1]:
        return np.full(ranks.shape, np.nan)
    inside = [
        np.sort(np.concatenate([k[n][: size[n]] for k, size in zip(kept, sizes, strict=True)]))
        for n in range(len(ranks))
    ]
    starts = starts_of(counts[np.newaxis, :, 2])
    edges = nears[0].edges[cell][np.newaxis]
    found = order_statistics(ranks, counts[np.newaxis], edges, np.concatenate(inside), starts)
    return where_too_few(draws, ranks, found[0])


# --- sorted as a whole -----------------------------------------------------------------------


def _sort_slab(summing: _Summing, slab: Slab) -> None:
    store = summing.store
    rows = np.empty((len(slab.targets), summing.draws), _dtype(store, slab.view))

    def read(draws: range) -> None:
        rows[:, draws.start : draws.stop] = slab.read(store, draws)

    def describe(some: range) -> None:
        for n in some:
            rows[n].sort()
            moments = _moments_of_sorted(rows[n], slab.view.name)
            summing.describe(slab.targets[n], ranked(rows[n], summing.ranks), moments)

    summing.each(read, blocks(store.spec))
    every = range(len(rows))
    summing.each(describe, [every[n : n + _ROWS] for n in every[::_ROWS]])


def _moments_of_sorted(values: npt.NDArray[Any], name: str) -> _Moments:
    if np.isnan(values[-1]):
        raise RunError(
            f"{name!r} holds draws that are not numbers: some are damaged or missing; run the same "
            "command again with --repair"
        )
    moments = _Moments()
    for first in range(0, len(values), _PIECE):
        moments.add(values[first : first + _PIECE].astype(np.float64))
    return moments


# --- counted -----------------------------------------------------------------------------------


def _count_slab(summing: _Summing, slab: Slab) -> None:
    """Describe a cell of more draws than fit the memory, in four passes over them."""
    from ndmc_kernels.histogram import key_value, tally

    store = summing.store
    wanted = np.unique(summing.ranks)
    ranks = wanted[(wanted >= 1) & (wanted <= summing.draws)].tolist()
    prefix = dict.fromkeys(ranks, 0)  # the digits of each order statistic found so far
    below = dict.fromkeys(ranks, 0)  # how many draws lie below those digits
    moments = _Moments()
    for shift in (48, 32, 16, 0):
        prefixes = np.array(sorted(set(prefix.values())), dtype=np.uint64)
        counts = np.zeros((len(prefixes), 2**16), dtype=np.int64)
        for draws in blocks(store.spec):
            row = np.ascontiguousarray(slab.read(store, draws)[0], dtype=np.float64)
            if shift == 48:
                moments.add(row)
            tally(row, shift, prefixes, counts)
        running = counts.cumsum(axis=1)
        for rank in ranks:
            place = int(np.searchsorted(prefixes, np.uint64(prefix[rank])))
            digit = int(np.searchsorted(running[place], rank - below[rank], side="left"))
            below[rank] += int(running[place][digit] - counts[place][digit])
            prefix[rank] = prefix[rank] << 16 | digit
    held = key_value(np.array([prefix[rank] for rank in ranks], dtype=np.uint64))
    found = held[np.clip(np.searchsorted(ranks, summing.ranks), 0, len(ranks) - 1)]
    statistics = where_too_few(summing.draws, summing.ranks, found)
    summing.describe(slab.targets[0], statistics, moments)


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
        exact = bool((values == values[0]).all())
        size, mean = len(values), float(values[0] if exact else values.mean())
        if math.isnan(mean):
            raise RunError("a stored draw is not a number")
        if math.isinf(mean) or math.isinf(self.mean):  # with a draw in which an event never happens
            self.mean, self.squares, self.count = math.inf, math.nan, self.count + size
            return
        total, shift = self.count + size, mean - self.mean
        self.squares += float(((values - mean) ** 2).sum()) + shift**2 * self.count * size / total
        self.mean += shift * size / total
        self.count = total
