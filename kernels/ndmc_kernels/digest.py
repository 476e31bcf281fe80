"""Digest draws: their range, moments leaf by leaf, and which of them lie in brackets."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ndmc_kernels._jit import Kernel, inline, kernel, trailing_zeros, unfused

Values = NDArray[Any]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

#: Draws whose moments are added up in one fixed order.
LEAF = 64
#: Brackets that draws are compared with in one pass, all limits in registers.
_TOGETHER = 3


def _digest(
    values: Values,
    keys: Values,
    edges: Values,
    centre: Floats,
    counts: Integers,
    kept: Values,
    span: Values,
    sums: Floats,
) -> None:
    """Digest draws [row, draw]: their range, their moments, and where they lie.

    Keys [row, draw] are the bits of draws as integers. Span [row, 0] is lowered and [row, 1] raised
    to the least and greatest of them, those of negative numbers flipped but for their sign, after
    which integers are in the order of floats.

    Sums [node, row, 2] are those of d and d * d, where d is a draw less the centre, over the leaves
    of each node, as many as a power of two. Lanes of a leaf are added by halves, a short one after
    zeros are put in, and leaves in pairs, so that bits depend on the draws of a node alone.

    Counts [row, bracket, 4] are of draws below edges [row, bracket, 2], at the low edge, inside and
    at the high edge. Where both edges are one, a draw there is at the low one. Draws inside are
    appended to kept [row, bracket, slot]; what finds no room is counted only, and the slot after
    those filled is scratch.
    """
    # 1.2 ns a value with three brackets that hold 0.4, 2.3 and 0.4 % of the draws, 1.9 with kernels
    # of their own. A row stays in the first cache, where range and brackets in one pass would save
    # 0.06 ns. Rows go by number: the view of one takes 75 ns.
    draws, brackets = values.shape[1], edges.shape[1]
    hits = np.zeros((draws + 7) // 8 * 8, dtype=np.uint8)
    words = hits.view(np.uint64)
    places, some = np.empty(words.size + 1, np.uint64), np.empty(hits.size + 1, values.dtype)
    above, limits = np.empty(_TOGETHER, np.int64), np.empty((_TOGETHER, 2), values.dtype)
    first, second, last = np.empty(16), np.empty(16), np.zeros((1, LEAF))
    leaves = np.empty(((draws + LEAF - 1) // LEAF, 2))
    for row in range(values.shape[0]):
        _widen(keys, row, span)
        _fold_leaves(values, row, centre[row], first, second, last, leaves)
        _pair_leaves(leaves, row, sums)
        for bracket in range(0, brackets, _TOGETHER):
            _limit(edges, row, bracket, limits)
            _mark(values, row, limits, above, hits)
            found = _pick(values, row, words, places, some)
            for n in range(min(brackets - bracket, _TOGETHER)):
                counts[row, bracket + n, 0] += draws - above[n]
                if limits[n, 0] < limits[n, 1]:
                    _keep(some, found, limits[n, 0], limits[n, 1], row, bracket + n, counts, kept)
                else:
                    counts[row, bracket + n, 1] += _equal(values, row, limits[n, 0])


# --- ranges --------------------------------------------------------------------------------------


@inline
def _widen(keys: Values, row: int, span: Values) -> None:
    # Where no draw is negative bits are in order as they are: 0.1 ns a value, and 0.4 otherwise.
    whole = keys.dtype.type
    sign = whole(8 * keys.itemsize - 1)
    flip = whole(~(1 << (8 * keys.itemsize - 1)))
    least, most = flip, whole(~flip)
    for draw in range(keys.shape[1]):
        least = whole(min(least, keys[row, draw]))
        most = whole(max(most, keys[row, draw]))
    if least < 0:
        least, most = flip, whole(~flip)
        for draw in range(keys.shape[1]):
            key = whole(keys[row, draw] ^ ((keys[row, draw] >> sign) & flip))
            least, most = whole(min(least, key)), whole(max(most, key))
    span[row, 0], span[row, 1] = min(span[row, 0], least), max(span[row, 1], most)


# --- moments -------------------------------------------------------------------------------------


@inline
def _fold_leaves(
    values: Values,
    row: int,
    middle: float,
    first: Floats,
    second: Floats,
    last: Floats,
    leaves: Floats,
) -> None:
    whole = values.shape[1] // LEAF
    for leaf in range(np.uint64(whole)):
        _fold(values, row, leaf * np.uint64(LEAF), middle, first, second)
        leaves[leaf, 0], leaves[leaf, 1] = _sixteen(first), _sixteen(second)
    if whole < leaves.shape[0]:
        for lane in range(values.shape[1] - whole * LEAF):
            last[0, lane] = np.float64(values[row, whole * LEAF + lane]) - middle
        _fold(last, 0, np.uint64(0), 0.0, first, second)
        leaves[whole, 0], leaves[whole, 1] = _sixteen(first), _sixteen(second)


@unfused
def _fold(
    values: Values, row: int, at: np.uint64, middle: float, first: Floats, second: Floats
) -> None:
    """Fold a leaf to sixteen lanes: a loop of eight is too short for LLVM to check for overlap."""
    # 0.3 ns a value, 0.15 of it for what is done lane by lane; 0.7 with a loop for every half.
    for lane in range(16):
        a = np.float64(values[row, at + lane]) - middle
        b = np.float64(values[row, at + lane + 16]) - middle
        c = np.float64(values[row, at + lane + 32]) - middle
        d = np.float64(values[row, at + lane + 48]) - middle
        first[lane] = (a + c) + (b + d)
        second[lane] = (a * a + c * c) + (b * b + d * d)


@inline
def _sixteen(lanes: Floats) -> float:
    even: float = ((lanes[0] + lanes[8]) + (lanes[4] + lanes[12])) + (
        (lanes[2] + lanes[10]) + (lanes[6] + lanes[14])
    )
    odd: float = ((lanes[1] + lanes[9]) + (lanes[5] + lanes[13])) + (
        (lanes[3] + lanes[11]) + (lanes[7] + lanes[15])
    )
    return even + odd


@inline
def _pair_leaves(leaves: Floats, row: int, sums: Floats) -> None:
    count = leaves.shape[0]
    while count > sums.shape[0]:
        count //= 2
        for n in range(count):
            leaves[n, 0] = leaves[2 * n, 0] + leaves[2 * n + 1, 0]
            leaves[n, 1] = leaves[2 * n, 1] + leaves[2 * n + 1, 1]
    for n in range(count):
        sums[n, row, 0], sums[n, row, 1] = leaves[n, 0], leaves[n, 1]


# --- brackets ------------------------------------------------------------------------------------


@inline
def _limit(edges: Values, row: int, bracket: int, limits: Values) -> None:
    """Copy the edges of some brackets, so that none is between those of one value, or of none."""
    for n in range(_TOGETHER):
        limits[n, 0] = limits[n, 1] = np.nan
        if bracket + n < edges.shape[1]:
            limits[n, 0] = edges[row, bracket + n, 0]
            if edges[row, bracket + n, 0] < edges[row, bracket + n, 1]:
                limits[n, 1] = edges[row, bracket + n, 1]


@inline
def _mark(
    values: Values, row: int, limits: Values, above: Integers, hits: NDArray[np.uint8]
) -> None:
    """Count draws not below each bracket, and mark those in any."""
    # 0.25 ns a value; 1.7 times that with a pass for each bracket, which has to pack its own marks.
    low0, low1, low2 = limits[0, 0], limits[1, 0], limits[2, 0]
    high0, high1, high2 = limits[0, 1], limits[1, 1], limits[2, 1]
    above0 = above1 = above2 = np.int32(0)  # 0.6 ns a value with 64 bits
    for draw in range(values.shape[1]):
        value = values[row, draw]
        least0, least1, least2 = value >= low0, value >= low1, value >= low2
        hits[draw] = (
            (least0 & (value <= high0)) | (least1 & (value <= high1)) | (least2 & (value <= high2))
        )
        above0 = np.int32(above0 + np.int32(least0))
        above1 = np.int32(above1 + np.int32(least1))
        above2 = np.int32(above2 + np.int32(least2))
    above[0], above[1], above[2] = above0, above1, above2


@inline
def _equal(values: Values, row: int, edge: Any) -> np.int32:
    equal = np.int32(0)
    for draw in range(values.shape[1]):
        equal = np.int32(equal + np.int32(values[row, draw] == edge))
    return equal


@inline
def _pick(
    values: Values,
    row: int,
    words: NDArray[np.uint64],
    places: NDArray[np.uint64],
    some: Values,
) -> np.uint64:
    """Copy the draws that are marked, and return how many they are."""
    # Where 3 % are: 0.1 ns a value; 0.4 where all of a word with a mark are tested.
    marked = found = np.uint64(0)
    for word in range(np.uint64(words.size)):
        places[marked] = word
        marked += np.uint64(words[word] != np.uint64(0))
    for n in range(marked):
        first, marks = places[n] * np.uint64(8), words[places[n]]
        while marks:
            some[found] = values[row, first + np.uint64(trailing_zeros(marks) // 8)]
            found += np.uint64(1)
            marks &= marks - np.uint64(1)
    return found


@inline
def _keep(
    some: Values,
    found: np.uint64,
    low: Any,
    high: Any,
    row: int,
    bracket: int,
    counts: Integers,
    kept: Values,
) -> None:
    """Count some draws against one bracket and keep those inside, without a branch a draw."""
    at_low, size, at_high, last = 0, counts[row, bracket, 2], 0, kept.shape[2] - 1
    for n in range(found):
        value = some[n]
        kept[row, bracket, min(size, last)] = value
        at_low += value == low
        size += (value > low) & (value < high)
        at_high += value == high
    counts[row, bracket, 1] += at_low
    counts[row, bracket, 2] = size
    counts[row, bracket, 3] += at_high


# --- sums over labels -----------------------------------------------------------------------------


def _add_up(values: Values, totals: Floats) -> None:
    """Add up [outer, label, inner, draw] label by label."""
    # 0.13 ns a value; 0.11 with four labels in one pass, and 0.5 with NumPy.
    for outer in range(values.shape[0]):
        for inner in range(values.shape[2]):
            for draw in range(values.shape[3]):
                totals[outer, inner, draw] = values[outer, 0, inner, draw]
            for label in range(1, values.shape[1]):
                for draw in range(values.shape[3]):
                    totals[outer, inner, draw] += values[outer, label, inner, draw]


# --- closer brackets -----------------------------------------------------------------------------


def _narrow(
    values: Values,
    starts: Integers,
    known: Integers,
    edges: Values,
    close: Values,
    counts: Integers,
    spans: Integers,
) -> None:
    """Count against closer brackets what is known under others, and say what lies inside.

    Values of row and old bracket are sorted from starts [row, old] on; known [row, old, 4] are
    their counts, as those of `digest32`, under edges [row, old, 2]. Close [row, bracket, 2] lie
    within the old bracket of the same number, or the last. Counts are [row, bracket, 4]; spans
    [row, bracket, 2] are where the values inside begin and end.
    """
    # 0.1 s for 1e4 rows and brackets; 0.9 one by one with NumPy.
    for row in range(close.shape[0]):
        for bracket in range(close.shape[1]):
            old = min(bracket, starts.shape[1] - 1)
            begin, (under, at_low, within, at_high) = starts[row, old], known[row, old]
            end = begin + within
            low, high = close[row, bracket]
            first, last = _before(values, begin, end, low), _upto(values, begin, end, low)
            start = stop = last
            if low < high:
                start, stop = _before(values, last, end, high), _upto(values, last, end, high)
            found = counts[row, bracket]
            found[:] = under + first - begin, last - first, start - last, stop - start
            for edge, count in ((edges[row, old, 0], at_low), (edges[row, old, 1], at_high)):
                if edge < low:
                    found[0] += count
                elif edge == low:
                    found[1] += count
                elif edge == high:
                    found[3] += count
            spans[row, bracket] = last, start


# Numba takes seconds to compile its searchsorted.


@inline
def _before(values: Values, begin: int, end: int, edge: Any) -> int:
    """Return where sorted values are not below an edge any more."""
    while begin < end:
        middle = (begin + end) // 2
        if values[middle] < edge:
            begin = middle + 1
        else:
            end = middle
    return begin


@inline
def _upto(values: Values, begin: int, end: int, edge: Any) -> int:
    """Return where sorted values are above an edge."""
    while begin < end:
        middle = (begin + end) // 2
        if values[middle] <= edge:
            begin = middle + 1
        else:
            end = middle
    return begin


# --- runs of values ------------------------------------------------------------------------------


def _move(
    source: Values, begins: Integers, sizes: Integers, places: Integers, target: Values
) -> None:
    """Copy the runs of values of each row and bracket to their places."""
    # 1.5 ns a value; 6 with NumPy, which has to index each.
    for row in range(sizes.shape[0]):
        for bracket in range(sizes.shape[1]):
            begin, place = np.uint64(begins[row, bracket]), np.uint64(places[row, bracket])
            for n in range(np.uint64(sizes[row, bracket])):
                target[place + n] = source[begin + n]


# --- as kernels ----------------------------------------------------------------------------------


def _named(name: str, function: Any, signature: str) -> Kernel[Any]:
    """Return a kernel under a name of its own, by which it is pickled."""
    made: Kernel[Any] = kernel(signature)(function)
    made.__name__ = made.__qualname__ = name
    return made


_DIGEST = (
    "void(f?[:, ::1], i?[:, ::1], f?[:, :, ::1], f8[::1], i8[:, :, ::1], f?[:, :, ::1], "
    "i?[:, ::1], f8[:, :, ::1])"
)
_ADD_UP = "void(f?[:, :, :, ::1], f8[:, :, ::1])"
_NARROW = (
    "void(f?[::1], i8[:, ::1], i8[:, :, ::1], f?[:, :, ::1], f?[:, :, ::1], i8[:, :, ::1], "
    "i8[:, :, ::1])"
)
_MOVE = "void(f?[::1], i8[:, ::1], i8[:, ::1], i8[:, ::1], f?[::1])"

digest32 = _named("digest32", _digest, _DIGEST.replace("?", "4"))
digest64 = _named("digest64", _digest, _DIGEST.replace("?", "8"))
add_up32 = _named("add_up32", _add_up, _ADD_UP.replace("?", "4"))
add_up64 = _named("add_up64", _add_up, _ADD_UP.replace("?", "8"))
narrow32 = _named("narrow32", _narrow, _NARROW.replace("?", "4"))
narrow64 = _named("narrow64", _narrow, _NARROW.replace("?", "8"))
move32 = _named("move32", _move, _MOVE.replace("?", "4"))
move64 = _named("move64", _move, _MOVE.replace("?", "8"))

#: The kernels of each precision, by the bytes of a draw.
DIGEST = {4: digest32, 8: digest64}
ADD_UP = {4: add_up32, 8: add_up64}
NARROW = {4: narrow32, 8: narrow64}
MOVE = {4: move32, 8: move64}
