"""Digests of blocks merged: exact order statistics, moments and limits of a stage."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from ndmc.store.brackets import Brackets
from ndmc.store.bundle import Bundle, DamagedError, pack
from ndmc.store.digest import BINS, SEGMENT, Nodes, add_node, tally
from ndmc.store.ranks import (
    CONFIDENCE,
    bracket_ranks,
    order_statistics,
    percentiles_of_ranked,
    starts_of,
    wanted_ranks,
    where_too_few,
)
from ndmc.typing import Array, Floats, Integers

__all__ = ["Merged", "Rows", "closest", "merge", "narrow", "rows_together", "summarise_rows"]


#: The names of sums of a sheet over a node, and of counts above the limits of a series.
_SUMS = re.compile(r"sums/(\d{1,3})/(\d{1,3})/(\d{1,19})")

_ABOVE = re.compile(r"above/(\d{1,9})")

#: How much each digest keeps is known of so many rows at a time: 390 digests of 130,000 rows with
#: three brackets took 290 MiB at once. At most so many bytes.
_SIZES = 2**26

#: What writing a file returns.
Written = TypeVar("Written")


def _root(nodes: Nodes, rows: int) -> Floats:
    total = np.zeros((rows, 2))
    for key in sorted(nodes):
        total = nodes[key] + total
    return total


# --- merging digests ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Segment:
    """Some rows of a sheet: [row, bracket, ...] counts and edges, and the values kept.

    The values of each row and bracket lie together, sorted; ``starts`` [row, bracket] says where.
    """

    number: int
    rows: slice
    counts: Integers
    edges: Array
    values: Array
    starts: Integers

    def order_statistics(self, ranks: Integers) -> Floats:
        """Return the draws of some ranks, [row, quantile, rank]; nan outside the brackets."""
        return order_statistics(ranks, self.counts, self.edges, self.values, self.starts)


@dataclass(frozen=True)
class Merged:
    """Digests of the same brackets, together: of each sheet, and above each limit of a series."""

    brackets: Brackets
    bundles: tuple[Bundle, ...]
    draws: int
    counts: tuple[Integers, ...]
    ranges: tuple[Floats, ...]
    nodes: tuple[Nodes, ...]
    above: dict[int, Integers]
    tallies: tuple[Integers, ...]

    def segments(self, sheet: int) -> Iterator[Segment]:
        """Yield some rows of a sheet at a time, with the values kept of them."""
        from ndmc_kernels.digest import MOVE

        counts, edges = self.counts[sheet], self.brackets.edges[sheet]
        together = rows_together(len(self.bundles), counts.shape[1])
        for number, first in enumerate(range(0, len(edges), SEGMENT)):
            rows = slice(first, first + SEGMENT)
            if first % together == 0:
                some = slice(first, min(first + together, len(edges)))
                sizes = [_sizes(bundle, sheet, counts.shape, some) for bundle in self.bundles]
            here = slice(first % together, first % together + SEGMENT)
            starts = starts_of(counts[rows, :, 2])
            held = (bundle.shape(f"kept/{sheet}/{number}") for bundle in self.bundles)
            values = np.empty(sum(map(math.prod, held)), edges.dtype)
            filled = starts.copy()
            for bundle, size in zip(self.bundles, sizes, strict=True):
                mine = size[here].astype(np.int64)
                kept = _kept(bundle, f"kept/{sheet}/{number}", edges.itemsize, mine)
                MOVE[edges.itemsize](kept, starts_of(mine), mine, filled, values)
                filled = filled + mine
            for begin, end in zip(starts.reshape(-1), filled.reshape(-1), strict=True):
                values[begin:end].sort()
            yield Segment(number, rows, counts[rows], edges[rows], values, starts)

    def order(self, sheet: int, row: int, bracket: int) -> tuple[Array, Integers]:
        """Return known bounds of the draws of a row, and how many lie up to each but the first.

        Known are the edges of a bracket, and its cuts into bins if draws were counted.
        """
        below, at_low, within, at_high = self.counts[sheet][row, bracket].tolist()
        low, high = self.brackets.edges[sheet][row, bracket].tolist()
        cuts, inside = np.empty(0), np.array([within])
        if self.tallies:
            cuts = self.brackets.cuts[sheet][row, bracket]
            inside = self.tallies[sheet][row, bracket]
        bounds = np.array([-np.inf, low, low, *cuts, high, high, np.inf])
        return bounds, np.cumsum([below, at_low, *inside, at_high])


def merge(brackets: Brackets, bundles: Iterable[Bundle]) -> Merged:
    """Put digests of the same brackets together; their order does not matter."""
    held = tuple(bundles)
    sheets = range(len(brackets.edges))
    counts = tuple(np.zeros((*e.shape[:2], 4), dtype=np.int64) for e in brackets.edges)
    ranges = tuple(np.repeat([[np.inf], [-np.inf]], len(e), axis=1) for e in brackets.edges)
    nodes: tuple[Nodes, ...] = tuple({} for _ in sheets)
    above: dict[int, Integers] = {}
    tallies = tuple(np.zeros((*c.shape[:2], c.shape[2] + 1), np.int64) for c in brackets.cuts)
    for bundle in held:
        for n in sheets:
            counts[n][...] += _counts(bundle, n, counts[n].shape)
            low, high = bundle.get(f"range/{n}", "f8", ranges[n].shape)
            np.minimum(ranges[n][0], low, out=ranges[n][0])
            np.maximum(ranges[n][1], high, out=ranges[n][1])
            if tallies and f"tallies/{n}" in bundle:
                tallies[n][...] += bundle.get(f"tallies/{n}", "i", tallies[n].shape)
        for name in bundle.names:
            if found := _SUMS.fullmatch(name):
                sheet, level, index = map(int, found.groups())
                rows = (len(brackets.edges[sheet]), 2) if sheet in sheets else ()
                add_node(nodes[sheet], level, index, bundle.get(name, "f8", rows))
            elif found := _ABOVE.fullmatch(name):
                number = int(found[1])
                shape = np.shape(above.get(number, bundle[name]))
                above[number] = above.get(number, 0) + bundle.get(name, "i", shape)
    draws = sum(len(bundle.draws()) for bundle in held)
    return Merged(brackets, held, draws, counts, ranges, nodes, above, tallies)


def rows_together(bundles: int, brackets: int) -> int:
    """Return of how many rows it is known at a time how much each digest keeps: whole segments."""
    return max(_SIZES // (4 * bundles * brackets * SEGMENT), 1) * SEGMENT


def _counts(
    bundle: Bundle, sheet: int, shape: tuple[int, ...], rows: slice = slice(None)
) -> Integers:
    """Return counts of a sheet, none of which is negative or of more draws than there are."""
    found = bundle.part(f"counts/{sheet}", "i", shape, rows).astype(np.int64)
    if found.size and not 0 <= found.min() <= found.max() <= len(bundle.draws()):
        raise DamagedError("it counts other draws")
    return found


def _sizes(bundle: Bundle, sheet: int, shape: tuple[int, ...], rows: slice) -> Integers:
    """Return how many draws lie in each bracket of some rows, in as few bytes as they need."""
    few = np.min_scalar_type(len(bundle.draws()))
    found: Integers = _counts(bundle, sheet, shape, rows)[..., 2].astype(few)
    return found


def _kept(bundle: Bundle, name: str, itemsize: int, sizes: Integers) -> Array:
    """Return the values kept of some rows, as many as are counted of each row and bracket."""
    kept = bundle.get(name, f"f{itemsize}", (math.prod(bundle.shape(name)),))
    # Each size for itself first: huge ones could add up to what there is.
    if sizes.max(initial=0) > len(kept) or sizes.sum() != len(kept):
        raise DamagedError(f"its part {name!r} has other draws than are counted")
    return kept.copy()


# --- brackets from what is known ------------------------------------------------------------------


def narrow(
    merged: Merged,
    quantiles: Sequence[float],
    write: Callable[[Iterator[bytes]], Written],
    *,
    counted: bool,
    further: Iterable[tuple[str, Array]] = (),
) -> tuple[Brackets, Written]:
    """Return closer brackets for the draws that follow, and what writing the digest returned.

    Parameters
    ----------
    merged
        The digests of all draws so far.
    quantiles
        Shares from 0 to 1.
    write
        Takes the bytes of the digest of those draws under the closer brackets, piece by piece:
        brackets of some rows are found while what was kept of them is in memory.
    counted
        Whether draws that follow are only counted by bins of the brackets.
    further
        What else the digest has.
    """
    sheets = [_Narrowed(edges, len(quantiles)) for edges in merged.brackets.edges]

    def arrays() -> Iterator[tuple[str, Array]]:
        for n, sheet in enumerate(sheets):
            yield from _narrowed(merged, n, sheet, quantiles, counted=counted)
            yield f"range/{n}", merged.ranges[n]
            for (level, index), sums in merged.nodes[n].items():
                yield f"sums/{n}/{level}/{index}", sums
        for n, above in merged.above.items():
            yield f"above/{n}", above
        yield from further

    written = write(pack(arrays(), {"first": 0, "stop": merged.draws, "start": merged.draws}))
    edges, cuts = (tuple(found) for found in zip(*((s.edges, s.cuts) for s in sheets), strict=True))
    centres = merged.brackets.centres
    return Brackets(merged.draws, edges, centres, cuts if counted else ()), written


def _narrowed(
    merged: Merged, n: int, sheet: _Narrowed, quantiles: Sequence[float], *, counted: bool
) -> Iterator[tuple[str, Array]]:
    """Yield the counts of a sheet under closer brackets, and what lies inside."""
    for segment in merged.segments(n):
        inside = sheet.add(segment, _closer_edges(merged.draws, quantiles, segment))
        if counted:
            sheet.cut(segment, inside)
        else:
            yield f"kept/{n}/{segment.number}", np.concatenate(inside)
    if counted:
        yield f"tallies/{n}", sheet.tallies
    yield f"counts/{n}", sheet.counts


class _Narrowed:
    """A sheet under closer brackets, some rows after others."""

    def __init__(self, old: Array, brackets: int) -> None:
        shape = (len(old), brackets)
        self.edges = np.empty((*shape, 2), old.dtype)
        self.counts = np.zeros((*shape, 4), dtype=np.int64)
        self.cuts = np.zeros((*shape, BINS - 1), old.dtype)
        self.tallies = np.zeros((*shape, BINS), dtype=np.int64)

    def add(self, segment: Segment, closer: Array) -> list[Array]:
        """Count some rows anew under closer edges; return what lies inside each bracket."""
        from ndmc_kernels.digest import NARROW

        edges, counts = self.edges[segment.rows], self.counts[segment.rows]
        edges[...] = closer
        spans = np.empty((*edges.shape[:2], 2), dtype=np.int64)
        values, starts, known = segment.values, segment.starts, segment.counts
        NARROW[edges.itemsize](values, starts, known, segment.edges, edges, counts, spans)
        return [values[begin:end] for begin, end in spans.reshape(-1, 2).tolist()]

    def cut(self, segment: Segment, inside: Sequence[Array]) -> None:
        """Cut the brackets of some rows into bins of about the same number, and count these."""
        some = (part[segment.rows] for part in (self.edges, self.cuts, self.tallies))
        for (_, high), cuts, tallies, held in zip(*map(_by_bracket, some), inside, strict=True):
            cuts[...] = held[np.arange(1, BINS) * len(held) // BINS] if len(held) else high
            tallies[...] = tally(held, cuts)


def _by_bracket(array: Array) -> Array:
    return array.reshape(-1, array.shape[-1])


def _closer_edges(draws: int, quantiles: Sequence[float], segment: Segment) -> Floats:
    """Return order statistics six standard errors from each percentile, or the edges there were."""
    wanted = [bracket_ranks(draws, quantile, quantile) for quantile in quantiles]
    ranks = np.clip(np.array(wanted, dtype=np.int64), 0, draws + 1)
    found = segment.order_statistics(ranks)
    below = segment.counts[..., 0:1] + segment.counts[..., 1:2]
    before = np.where(ranks <= below, segment.edges[..., 0:1], segment.edges[..., 1:2])
    return np.where(np.isnan(found), before, found)


def closest(merged: Merged, ranks: Sequence[Sequence[int]]) -> Brackets:
    """Return the closest brackets known to hold wanted ranks: for each quantile, some from 1."""
    wanted = [(min(some), max(some)) for some in ranks]
    found = []
    for sheet, old in enumerate(merged.brackets.edges):
        edges = np.empty((len(old), len(ranks), 2), old.dtype)
        for row, q in np.ndindex(edges.shape[:2]):
            bounds, upto = merged.order(sheet, row, min(q, old.shape[1] - 1))
            lowest, highest = np.searchsorted(upto, wanted[q])
            edges[row, q] = bounds[lowest], bounds[highest + 1]
        found.append(edges)
    return Brackets(0, tuple(found), merged.brackets.centres)


# --- percentiles ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rows:
    """Percentiles of the rows of a sheet: ``values``, ``low`` and ``high`` are [quantile, row]."""

    values: Floats
    low: Floats
    high: Floats
    mean: Floats
    sd: Floats
    least: Floats
    most: Floats


def summarise_rows(
    merged: Merged, quantiles: Sequence[float], confidence: float = CONFIDENCE
) -> list[Rows] | None:
    """Return exact percentiles of every row, or None if one lies outside its bracket."""
    ranks = np.array([wanted_ranks(merged.draws, q, confidence) for q in quantiles], dtype=np.int64)
    found = []
    for sheet, edges in enumerate(merged.brackets.edges):
        values = np.empty((3, len(quantiles), len(edges)))
        for segment in merged.segments(sheet):
            statistics = where_too_few(merged.draws, ranks, segment.order_statistics(ranks))
            if np.isnan(statistics).any():
                return None
            values[:, :, segment.rows] = percentiles_of_ranked(merged.draws, quantiles, statistics)
        low, high = merged.ranges[sheet]
        mean, sd = _moments(merged, sheet)
        percentiles, lower, upper = values
        found.append(Rows(percentiles, lower, upper, mean, sd, low, high))
    return found


def _moments(merged: Merged, sheet: int) -> tuple[Floats, Floats]:
    """Return mean and standard deviation; where a draw is infinite so is the mean."""
    total, squares = _root(merged.nodes[sheet], len(merged.counts[sheet])).T
    draws = merged.draws
    with np.errstate(invalid="ignore", over="ignore"):
        mean = merged.brackets.centres[sheet] + total / draws
        if draws < 2:
            return mean, np.full_like(mean, np.nan)
        spread = np.maximum(squares - total * (total / draws), 0.0)
        return mean, np.sqrt(spread / (draws - 1))
