"""What is remembered of draws that are not kept: enough for exact percentiles, in any order.

A row is one cell of one series. For each percentile it has a bracket (low, high), found from
earlier draws, in which the wanted order statistics will lie: draws below, at its edges and inside
are counted, and those inside kept. Brackets do not depend on how draws are cut into blocks, so
counts add up and kept values go together in any order, and a rank found inside a bracket is the
rank among all draws. Methods: Munro & Paterson 1980; the brackets are order statistics.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ndmc.bundle import Bundle, pack
from ndmc.dims import Floats
from ndmc.quantiles import CONFIDENCE, View, between, confidence_ranks

__all__ = [
    "Brackets",
    "Digester",
    "Merged",
    "Narrowing",
    "Rows",
    "Series",
    "Sheet",
    "closer",
    "first_brackets",
    "merge",
    "open_brackets",
    "order_statistics",
    "summarise_rows",
    "wanted_ranks",
]

#: Rows kept together in a file: a part that is read alone.
SEGMENT = 64
#: Standard errors of a rank between a percentile and the edges of its bracket: the chance that one
#: bracket misses is 2e-9, and a miss is seen and made good by a second pass.
_ERRORS = 6.0
#: A bracket is cut in so many parts where draws are counted first and kept in a second pass.
_PARTS = 64

Integers = npt.NDArray[np.int64]
Array = npt.NDArray[Any]
Nodes = dict[tuple[int, int], Floats]


@dataclass(frozen=True)
class Series:
    """A view of an output whose percentiles are wanted, and where its rows are."""

    title: str
    view: View
    sheet: int
    rows: slice
    above: tuple[float, ...] = ()


@dataclass(frozen=True)
class Sheet:
    """The rows of one precision: their number, and the quantiles wanted of all of them."""

    dtype: np.dtype[Any]
    rows: int


@dataclass(frozen=True)
class Brackets:
    """What draws from ``start`` on are compared with.

    ``edges`` is [row, bracket, 2] for each sheet, ``centres`` [row] what is taken off before
    moments are added up, ``parts`` [row, bracket, part] the cuts of a bracket if draws are only
    counted. Before anything is known there is one bracket for all percentiles: everything.
    """

    start: int
    edges: tuple[Array, ...]
    centres: tuple[Floats, ...]
    parts: tuple[Array, ...] = ()

    @property
    def counted(self) -> bool:
        """Whether draws inside are counted by parts, to be kept in a second pass."""
        return bool(self.parts)

    def pack(self) -> Iterator[bytes]:
        """Yield the bytes of a file."""
        arrays: dict[str, Array] = {}
        for n in range(len(self.edges)):
            arrays |= {f"edges/{n}": self.edges[n], f"centres/{n}": self.centres[n]}
            if self.parts:
                arrays[f"parts/{n}"] = self.parts[n]
        return pack(arrays.items(), {"start": self.start, "sheets": len(self.edges)})


def open_brackets(bundle: Bundle) -> Brackets:
    """Read brackets from a file."""
    sheets = range(bundle.facts["sheets"])
    parts = tuple(bundle[f"parts/{n}"] for n in sheets) if "parts/0" in bundle else ()
    return Brackets(
        bundle.facts["start"],
        tuple(bundle[f"edges/{n}"].copy() for n in sheets),
        tuple(bundle[f"centres/{n}"].copy() for n in sheets),
        parts,
    )


def first_brackets(sheets: Sequence[Sheet], draw: Sequence[Array]) -> Brackets:
    """Return the brackets of the first draws, centred on one draw [row] of each sheet."""
    edges = tuple(
        np.broadcast_to(np.array([-np.inf, np.inf], sheet.dtype), (sheet.rows, 1, 2)).copy()
        for sheet in sheets
    )
    centres = tuple(np.where(np.isfinite(d), d, 0.0).astype(np.float64) for d in draw)
    return Brackets(0, edges, centres)


class Room:
    """Memory for some draws: ``results`` by output [dims..., draw], and ``rows`` [row, draw].

    Both are the same memory, but for the rows of sums, which `add_up` fills.
    """

    def __init__(self, series: Sequence[Series], sheets: Sequence[Sheet], draws: int) -> None:
        self.rows = [np.empty((sheet.rows, draws), sheet.dtype) for sheet in sheets]
        self.results: dict[str, Array] = {}
        self._sums = []
        for one in series:
            here = self.rows[one.sheet][one.rows].reshape(*one.view.shape, draws)
            if one.view.sums:
                self._sums.append((one.view, here))
            else:
                self.results[one.view.name] = here

    def add_up(self) -> None:
        """Fill the rows of sums from the results."""
        for view, here in self._sums:
            values = self.results[view.name]
            *others, last = sorted(map(view.dims.index, view.over), reverse=True)
            for axis in others:
                values = _added(values, axis)
            _added(values, last, here)


def _added(values: Array, axis: int, totals: Floats | None = None) -> Floats:
    """Add up an axis of [dims..., draw] as a view does, in memory of its own if none is given."""
    from ndmc_kernels.digest import ADD_UP

    outer, labels, inner = values.shape[:axis], values.shape[axis], values.shape[axis + 1 : -1]
    if totals is None:
        totals = np.empty((*outer, *inner, values.shape[-1]))
    sizes, draws = (math.prod(outer), math.prod(inner)), values.shape[-1]
    shaped = values.reshape(sizes[0], labels, sizes[1], draws)
    ADD_UP[values.itemsize](shaped, totals.reshape(*sizes, draws))
    return totals


# --- digesting draws --------------------------------------------------------------------------


class Digester:
    """Digests consecutive draws, a piece of whole leaves at a time."""

    def __init__(
        self,
        series: Sequence[Series],
        sheets: Sequence[Sheet],
        brackets: Brackets,
        draws: range,
    ) -> None:
        self.series, self.sheets, self.brackets = series, sheets, brackets
        self.first = self.stop = draws.start
        self._parts = [
            _Part(sheet, edges, centre, _expected_inside(brackets.start, edges, len(draws)))
            for sheet, edges, centre in zip(sheets, brackets.edges, brackets.centres, strict=True)
        ]
        self._room = Room((), (), 0)
        self._above = [
            np.zeros((len(one.above), one.rows.stop - one.rows.start), dtype=np.int64)
            for one in series
        ]

    def room(self, draws: int) -> Room:
        """Return memory to be filled with the next draws."""
        if not self._room.rows or self._room.rows[0].shape[1] != draws:
            self._room = Room(self.series, self.sheets, draws)
        return self._room

    def add(self) -> None:
        """Digest the draws that the arrays are filled with."""
        self._room.add_up()
        rows = self._room.rows
        for part, values in zip(self._parts, rows, strict=True):
            part.add(values, self.stop)
        for one, above in zip(self.series, self._above, strict=True):
            for n, limit in enumerate(one.above):
                values = rows[one.sheet][one.rows]
                above[n] += np.count_nonzero(values > np.float64(limit), axis=-1)
        self.stop += rows[0].shape[1]

    def finite(self) -> set[str]:
        """Return the outputs of which every draw so far is a finite number."""
        ranges = [part.range for part in self._parts]
        plain = [one for one in self.series if not one.view.sums]
        return {o.view.name for o in plain if np.isfinite(ranges[o.sheet][:, o.rows]).all()}

    def pack(self) -> Iterator[bytes]:
        """Yield the bytes of a file."""
        facts = {"first": self.first, "stop": self.stop, "start": self.brackets.start}
        return pack(self._arrays(), facts)

    def _arrays(self) -> Iterator[tuple[str, Array]]:
        for n, part in enumerate(self._parts):
            # A block has fewer than 2**31 draws.
            yield f"counts/{n}", part.counts.astype(np.int32)
            yield f"range/{n}", part.range
            for (level, index), sums in part.nodes.items():
                yield f"sums/{n}/{level}/{index}", sums
            if self.brackets.counted:
                yield f"tallies/{n}", _tallies(part, self.brackets.parts[n]).astype(np.int32)
                continue
            for number, kept in enumerate(part.segments()):
                yield f"kept/{n}/{number}", kept
        for n, above in enumerate(self._above):
            if above.size:
                yield f"above/{n}", above


def _expected_inside(start: int, edges: Array, draws: int) -> int:
    """Return what some draws have at most in a bracket, as expected; 0 where that is not known."""
    if edges.shape[1] == 1 and np.isneginf(edges[..., 0]).all():
        return draws
    # Twelve standard errors of the rank of a median, and some more.
    return min(draws, int(6.6 * draws / math.sqrt(start)) + 64) if start else 0


class _Part:
    """What is remembered of the rows of one sheet, with room for so many draws in each bracket."""

    def __init__(self, sheet: Sheet, edges: Array, centre: Floats, room: int) -> None:
        rows, brackets = edges.shape[:2]
        self.edges, self.centre = edges, centre
        self.counts = np.zeros((rows, brackets, 4), dtype=np.int64)
        self.keys = np.dtype(f"i{sheet.dtype.itemsize}")
        ends = np.iinfo(self.keys)
        self.span = np.tile(np.array([ends.max, ends.min], self.keys), (rows, 1))
        self.kept = np.empty((rows, brackets, room + 1), sheet.dtype)
        self.nodes: Nodes = {}

    def add(self, values: Array, at: int) -> None:
        """Digest [row, draw], whose first draw has the number ``at``."""
        from ndmc_kernels.digest import DIGEST, LEAF

        leaf, leaves = at // LEAF, -(-values.shape[1] // LEAF)
        together = (leaf | leaves) & -(leaf | leaves)  # the largest nodes that nothing is cut from
        sums = np.empty((leaves // together, len(values), 2))
        digest, keys, before = DIGEST[values.itemsize], values.view(self.keys), self.counts.copy()
        digest(values, keys, self.edges, self.centre, self.counts, self.kept, self.span, sums)
        if self._make_room(int(self.counts[..., 2].max(initial=0))):
            self.counts[...] = before
            digest(values, keys, self.edges, self.centre, self.counts, self.kept, self.span, sums)
        for n, found in enumerate(sums):
            level = together.bit_length() - 1
            add_node(self.nodes, level, leaf // together + n, found)

    def _make_room(self, most: int) -> bool:
        """Make room for all that was found inside, if there was not enough."""
        rows, brackets, room = self.kept.shape
        if most < room:
            return False
        kept = np.empty((rows, brackets, 2 * most + 16), self.kept.dtype)
        kept[..., :room] = self.kept
        self.kept = kept
        return True

    @property
    def range(self) -> Array:
        """The least and the greatest draw, [2, row]."""
        bits = np.where(self.span < 0, self.span ^ np.iinfo(self.keys).max, self.span)
        return bits.view(self.kept.dtype).T.astype(np.float64)

    def segments(self) -> Iterator[Array]:
        """Yield the kept values of some rows at a time, row by row and bracket by bracket."""
        from ndmc_kernels.digest import MOVE

        sizes, slots = np.ascontiguousarray(self.counts[..., 2]), self.kept.shape[2]
        begins = np.arange(sizes.size).reshape(sizes.shape) * slots
        for first in range(0, len(sizes), SEGMENT):
            some = slice(first, first + SEGMENT)
            found = np.empty(int(sizes[some].sum()), self.kept.dtype)
            move = MOVE[found.itemsize]
            move(self.kept.reshape(-1), begins[some], sizes[some], _starts(sizes[some]), found)
            yield found


def _tallies(part: _Part, cuts: Array) -> Integers:
    """Return how many kept values lie in each part of each bracket, [row, bracket, part]."""
    rows, brackets = part.kept.shape[:2]
    found = np.zeros((rows, brackets, cuts.shape[2] + 1), dtype=np.int64)
    for place in np.ndindex(rows, brackets):
        found[place] = _tally(part.kept[place][: part.counts[place][2]], cuts[place])
    return found


def _tally(inside: Array, cuts: Array) -> Integers:
    places = np.searchsorted(cuts, inside, side="right")
    return np.bincount(places, minlength=len(cuts) + 1)


def add_node(nodes: Nodes, level: int, index: int, sums: Floats) -> None:
    """Add a node to a binary tree over draws, joining neighbours as soon as both are there.

    The tree is that of all draws, so sums have the same bits however draws were cut and ordered.
    """
    while (level, index ^ 1) in nodes:
        sums = nodes.pop((level, index ^ 1)) + sums
        level, index = level + 1, index // 2
    nodes[level, index] = sums


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
            starts = _starts(total[some])
            values = np.empty(int(total[some].sum()), dtype)
            filled = starts.copy()
            for bundle, size in zip(self.bundles, sizes, strict=True):
                kept, mine = bundle[f"kept/{sheet}/{number}"].copy(), size[some]
                MOVE[dtype.itemsize](kept, _starts(mine), mine, filled, values)
                filled = filled + mine
            for begin, end in zip(starts.reshape(-1), filled.reshape(-1), strict=True):
                values[begin:end].sort()
            yield first, values, starts


def _starts(sizes: Integers) -> Integers:
    flat = sizes.reshape(-1)
    return (np.cumsum(flat) - flat).reshape(sizes.shape)


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


def order_statistics(
    ranks: Integers, counts: Integers, edges: Array, values: Array, starts: Integers
) -> Floats:
    """Return the draws of some ranks from 1, [row, quantile, rank]; nan outside the brackets.

    ``ranks`` are [quantile, rank], ``counts`` and ``edges`` those of the rows of a segment.
    """
    below, at_low, within, at_high = np.moveaxis(counts[:, :, np.newaxis], -1, 0)
    first = below + at_low
    at = starts[:, :, np.newaxis] + ranks - first - 1
    low, high = np.moveaxis(edges[:, :, np.newaxis].astype(np.float64), -1, 0)
    inside = (values if len(values) else np.zeros(1))[np.clip(at, 0, max(len(values) - 1, 0))]
    found = np.where(ranks <= first + within, inside, high)
    found = np.where(ranks <= first, low, found)
    known = (ranks > below) & (ranks <= first + within + at_high)
    return np.where(known, found, np.nan)


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
        parts = np.zeros((*shape, _PARTS - 1), old.dtype)
        tallies = np.zeros((*shape, _PARTS), dtype=np.int64)
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
                tallies[some][place] = _tally(still, parts[some][place])
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
    wanted = []
    for quantile in quantiles:
        spread = _ERRORS * math.sqrt(quantile * (1 - quantile) / draws)
        low, high = draws * (quantile - spread), draws * (quantile + spread)
        wanted.append((max(math.floor(low), 0), min(math.ceil(high) + 1, draws + 1)))
    ranks = np.array(wanted, dtype=np.int64)
    found = order_statistics(ranks, counts, edges, values, starts)
    below = counts[..., 0:1] + counts[..., 1:2]
    before = np.where(ranks <= below, edges[..., 0:1], edges[..., 1:2])
    return np.where(np.isnan(found), before, found)


def _cuts(inside: Array, high: float) -> Array:
    """Return values that cut what lies inside a bracket in parts of about the same number."""
    if not len(inside):
        return np.full(_PARTS - 1, high, inside.dtype)
    return inside[np.arange(1, _PARTS) * len(inside) // _PARTS]


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


def wanted_ranks(draws: int, quantile: float, confidence: float) -> list[int]:
    """Return the ranks from 1 that a percentile and its limits need.

    A limit for which there are too few draws has a rank of 0 or above the number of draws.
    """
    index = math.floor(quantile * (draws - 1))
    above = index + 1 + (quantile * (draws - 1) > index)
    return [index + 1, min(above, draws), *confidence_ranks(draws, quantile, confidence)]


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
            statistics = np.where(ranks < 1, -np.inf, statistics)
            statistics = np.where(ranks > merged.draws, np.inf, statistics)
            if np.isnan(statistics).any():
                return None
            values[:, :, some] = _percentiles(merged.draws, quantiles, statistics)
        low, high = merged.ranges[sheet]
        mean, sd = _moments(merged, sheet)
        percentiles, lower, upper = values
        found.append(Rows(percentiles, lower, upper, mean, sd, low, high))
    return found


def _percentiles(draws: int, quantiles: Sequence[float], statistics: Floats) -> Floats:
    """Return percentiles and their limits [3, quantile, row] from order statistics."""
    first, second, low, high = statistics.transpose(2, 1, 0)
    found = [
        [between(a, b, q * (draws - 1) % 1.0) for a, b in zip(one, two, strict=True)]
        for q, one, two in zip(quantiles, first.tolist(), second.tolist(), strict=True)
    ]
    return np.array([found, low, high])


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
