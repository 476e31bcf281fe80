"""Digests of blocks merged: exact order statistics, moments and limits of a stage."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ndmc.store.brackets import Brackets
from ndmc.store.bundle import Bundle, pack
from ndmc.store.digest import PARTS, SEGMENT, Nodes, add_node, tally
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

__all__ = ["Merged", "Narrowing", "Rows", "closer", "merge", "summarise_rows"]


def _root(nodes: Nodes, rows: int) -> Floats:
    total = np.zeros((rows, 2))
    for key in sorted(nodes):
        total = nodes[key] + total
    return total


# --- merging digests ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Merged:
    """Digests of the same brackets, together. ``first`` and ``stop`` are their draws."""

    brackets: Brackets
    bundles: tuple[Bundle, ...]
    draws: int
    counts: tuple[Integers, ...]
    ranges: tuple[Floats, ...]
    nodes: tuple[Nodes, ...]
    above: dict[int, Integers]
    tallies: tuple[Integers, ...]

    def segments(self, sheet: int) -> Iterator[tuple[int, Array, Integers]]:
        """Yield the first row of a segment, its kept values sorted, and where they begin.

        The values of each row and bracket lie together; [row, bracket] says where.
        """
        from ndmc_kernels.digest import MOVE

        sizes = [bundle[f"counts/{sheet}"][..., 2].astype(np.int64) for bundle in self.bundles]
        total = self.counts[sheet][..., 2]
        dtype = self.brackets.edges[sheet].dtype
        for number, first in enumerate(range(0, len(total), SEGMENT)):
            some = slice(first, first + SEGMENT)
            starts = starts_of(total[some])
            values = np.empty(int(total[some].sum()), dtype)
            filled = starts.copy()
            for bundle, size in zip(self.bundles, sizes, strict=True):
                kept, mine = bundle[f"kept/{sheet}/{number}"].copy(), size[some]
                MOVE[dtype.itemsize](kept, starts_of(mine), mine, filled, values)
                filled = filled + mine
            for begin, end in zip(starts.reshape(-1), filled.reshape(-1), strict=True):
                values[begin:end].sort()
            yield first, values, starts


def merge(brackets: Brackets, bundles: Iterable[Bundle]) -> Merged:
    """Put digests of the same brackets together; their order does not matter."""
    held = tuple(bundles)
    sheets = range(len(brackets.edges))
    counts = tuple(np.zeros((*e.shape[:2], 4), dtype=np.int64) for e in brackets.edges)
    ranges = tuple(np.repeat([[np.inf], [-np.inf]], len(e), axis=1) for e in brackets.edges)
    nodes: tuple[Nodes, ...] = tuple({} for _ in sheets)
    above: dict[int, Integers] = {}
    tallies = tuple(np.zeros((*p.shape[:2], p.shape[2] + 1), np.int64) for p in brackets.parts)
    for bundle in held:
        for n in sheets:
            counts[n][...] += bundle[f"counts/{n}"]
            low, high = bundle[f"range/{n}"]
            np.minimum(ranges[n][0], low, out=ranges[n][0])
            np.maximum(ranges[n][1], high, out=ranges[n][1])
            if tallies and f"tallies/{n}" in bundle:
                tallies[n][...] += bundle[f"tallies/{n}"]
        for name in bundle.names:
            kind, *place = name.split("/")
            if kind == "sums":
                sheet, level, index = map(int, place)
                add_node(nodes[sheet], level, index, bundle[name])
            elif kind == "above":
                above[int(place[0])] = above.get(int(place[0]), 0) + bundle[name]
    draws = sum(bundle.facts["stop"] - bundle.facts["first"] for bundle in held)
    return Merged(brackets, held, draws, counts, ranges, nodes, above, tallies)


# --- brackets from what is known ------------------------------------------------------------------


class Narrowing:
    """The brackets of the draws that follow, and the digest of those so far under them.

    Parameters
    ----------
    merged
        The digests of all draws so far.
    quantiles
        Shares from 0 to 1.
    counted
        Whether draws that follow are only counted by parts of the brackets.
    """

    def __init__(self, merged: Merged, quantiles: Sequence[float], *, counted: bool) -> None:
        self.merged, self.quantiles, self.counted = merged, quantiles, counted
        self._edges: list[Array] = []
        self._parts: list[Array] = []

    @property
    def brackets(self) -> Brackets:
        """The brackets, once the digest is packed."""
        parts = tuple(self._parts) if self.counted else ()
        return Brackets(self.merged.draws, tuple(self._edges), self.merged.brackets.centres, parts)

    def pack(self) -> Iterator[bytes]:
        """Yield the bytes of the file of the digest."""
        draws = self.merged.draws
        return pack(self._arrays(), {"first": 0, "stop": draws, "start": draws})

    def _arrays(self) -> Iterator[tuple[str, Array]]:
        for sheet, edges in enumerate(self.merged.brackets.edges):
            yield from self._sheet(sheet, edges)
            yield f"range/{sheet}", self.merged.ranges[sheet]
            for (level, index), sums in self.merged.nodes[sheet].items():
                yield f"sums/{sheet}/{level}/{index}", sums
        for n, above in self.merged.above.items():
            yield f"above/{n}", above

    def _sheet(self, sheet: int, old: Array) -> Iterator[tuple[str, Array]]:
        from ndmc_kernels.digest import NARROW

        shape = (len(old), len(self.quantiles))
        edges = np.empty((*shape, 2), old.dtype)
        counts = np.zeros((*shape, 4), dtype=np.int64)
        parts = np.zeros((*shape, PARTS - 1), old.dtype)
        tallies = np.zeros((*shape, PARTS), dtype=np.int64)
        for number, (first, values, starts) in enumerate(self.merged.segments(sheet)):
            some = slice(first, first + len(starts))
            known, edge = self.merged.counts[sheet][some], old[some]
            edges[some] = _edges(self.merged.draws, self.quantiles, known, edge, values, starts)
            spans = np.empty((*edges[some].shape[:2], 2), dtype=np.int64)
            NARROW[old.itemsize](values, starts, known, edge, edges[some], counts[some], spans)
            inside = [values[begin:end] for begin, end in spans.reshape(-1, 2).tolist()]
            if not self.counted:
                yield f"kept/{sheet}/{number}", np.concatenate(inside)
                continue
            for place, still in zip(np.ndindex(spans.shape[:2]), inside, strict=True):
                parts[some][place] = _cuts(still, edges[some][place][1])
                tallies[some][place] = tally(still, parts[some][place])
        if self.counted:
            yield f"tallies/{sheet}", tallies
        yield f"counts/{sheet}", counts
        self._edges.append(edges)
        self._parts.append(parts)


def _edges(
    draws: int,
    quantiles: Sequence[float],
    counts: Integers,
    edges: Array,
    values: Array,
    starts: Integers,
) -> Floats:
    """Return order statistics six standard errors from each percentile, or the edges there were."""
    wanted = [bracket_ranks(draws, quantile, quantile) for quantile in quantiles]
    ranks = np.clip(np.array(wanted, dtype=np.int64), 0, draws + 1)
    found = order_statistics(ranks, counts, edges, values, starts)
    below = counts[..., 0:1] + counts[..., 1:2]
    before = np.where(ranks <= below, edges[..., 0:1], edges[..., 1:2])
    return np.where(np.isnan(found), before, found)


def _cuts(inside: Array, high: float) -> Array:
    """Return values that cut what lies inside a bracket in parts of about the same number."""
    if not len(inside):
        return np.full(PARTS - 1, high, inside.dtype)
    return inside[np.arange(1, PARTS) * len(inside) // PARTS]


def closer(merged: Merged, ranks: Sequence[Sequence[int]]) -> Brackets:
    """Return the closest brackets known to hold wanted ranks: for each quantile, some from 1."""
    found = []
    for sheet, old in enumerate(merged.brackets.edges):
        edges = np.empty((len(old), len(ranks), 2), old.dtype)
        for row, q in np.ndindex(len(old), len(ranks)):
            n = min(q, old.shape[1] - 1)
            known, edge = merged.counts[sheet][row, n], old[row, n]
            cuts, tally = np.empty(0), known[2:3]
            if merged.tallies:
                cuts, tally = merged.brackets.parts[sheet][row, n], merged.tallies[sheet][row, n]
            bounds = np.array([-np.inf, edge[0], edge[0], *cuts, edge[1], edge[1], np.inf])
            upto = np.cumsum([known[0], known[1], *tally, known[3]])
            lowest, highest = np.searchsorted(upto, [min(ranks[q]), max(ranks[q])])
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
        for first, inside, starts in merged.segments(sheet):
            some = slice(first, first + len(starts))
            known = merged.counts[sheet][some]
            statistics = order_statistics(ranks, known, edges[some], inside, starts)
            statistics = where_too_few(merged.draws, ranks, statistics)
            if np.isnan(statistics).any():
                return None
            values[:, :, some] = percentiles_of_ranked(merged.draws, quantiles, statistics)
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
