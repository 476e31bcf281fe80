"""Digest draws: count them against brackets, keep those inside, add up moments leaf by leaf."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ndmc_kernels._jit import Kernel, inline, kernel

Values = NDArray[Any]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

#: Draws whose moments are added up in one fixed order.
LEAF = 64


@inline
def _eight(lanes: Floats) -> float:
    total: float = ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + (
        (lanes[1] + lanes[5]) + (lanes[3] + lanes[7])
    )
    return total


def _below(values: Values, edges: Values, counts: Integers) -> None:
    """Add to counts [row, bracket, 0] the draws [row, draw] below the low edge."""
    # 0.4 ns a value with three brackets; four integer counts of each take 2.9.
    one, none = np.float32(1.0), np.float32(0.0)
    lanes = np.empty(LEAF, dtype=np.float32)
    for row in range(values.shape[0]):
        draws = values[row]
        for bracket in range(edges.shape[1]):
            low = edges[row, bracket, 0]
            lanes[:] = none
            for first in range(0, draws.shape[0], LEAF):
                group = draws[first : first + LEAF]
                for lane in range(group.shape[0]):
                    lanes[lane] += one if group[lane] < low else none
            total = 0
            for lane in range(LEAF):
                total += int(lanes[lane])
            counts[row, bracket, 0] += total


def _gather(
    values: Values, edges: Values, hits: NDArray[np.uint8], counts: Integers, kept: Values
) -> None:
    """Count draws at and inside the edges of brackets, and append those inside to kept.

    Counts are [row, bracket, 4]: below, at the low edge, inside, at the high edge; the first stays
    as it is. Where both edges are one, a draw there is at the low one. Kept is [row, bracket,
    slot]; what finds no room is counted only. Hits is a byte for each draw, in whole words.
    """
    # 1.2 ns a value with three brackets that hold 1, 2 and 1 % of the draws; 7 when every group of
    # 32 draws is tested and those with a hit appended one by one.
    words = hits.view(np.uint64)
    for row in range(values.shape[0]):
        draws = values[row]
        for bracket in range(edges.shape[1]):
            low, high = edges[row, bracket, 0], edges[row, bracket, 1]
            room, count = kept[row, bracket], counts[row, bracket]
            for draw in range(draws.shape[0]):
                hits[draw] = (draws[draw] >= low) & (draws[draw] <= high)
            size = count[2]
            for word in range(words.shape[0]):
                if words[word]:
                    for draw in range(8 * word, 8 * word + 8):
                        if hits[draw]:
                            value = draws[draw]
                            if value == low:
                                count[1] += 1
                            elif value == high:
                                count[3] += 1
                            else:
                                if size < room.shape[0]:
                                    room[size] = value
                                size += 1
            count[2] = size


def _moments(values: Values, centre: Floats, sums: Floats) -> None:
    """Sum d and d * d of each leaf of 64 draws [row, leaf, 2], where d is a draw less the centre.

    The lanes of a leaf are added by halves, those of a short one after zeros are put in, so that
    its bits depend on its own draws alone.
    """
    # 0.65 ns a value; with the range of the row in the same loop 1.7, NumPy's min and max take 0.2.
    first, second = np.empty(LEAF), np.empty(LEAF)
    for row in range(values.shape[0]):
        draws, middle = values[row], centre[row]
        for leaf in range(sums.shape[1]):
            group = draws[leaf * LEAF : (leaf + 1) * LEAF]
            for lane in range(group.shape[0]):
                off = np.float64(group[lane]) - middle
                first[lane] = off
                second[lane] = off * off
            for lane in range(group.shape[0], LEAF):
                first[lane] = 0.0
                second[lane] = 0.0
            for half in (32, 16, 8):
                for lane in range(half):
                    first[lane] += first[lane + half]
                    second[lane] += second[lane + half]
            sums[row, leaf, 0] = _eight(first)
            sums[row, leaf, 1] = _eight(second)


def _named(name: str, function: Any, signature: str) -> Kernel[Any]:
    """Return a kernel under a name of its own, by which it is pickled."""
    made: Kernel[Any] = kernel(signature)(function)
    made.__name__ = made.__qualname__ = name
    return made


_BELOW = "void(?[:, ::1], ?[:, :, ::1], i8[:, :, ::1])"
_GATHER = "void(?[:, ::1], ?[:, :, ::1], u1[::1], i8[:, :, ::1], ?[:, :, ::1])"
_MOMENTS = "void(?[:, ::1], f8[::1], f8[:, :, ::1])"

below32 = _named("below32", _below, _BELOW.replace("?", "f4"))
below64 = _named("below64", _below, _BELOW.replace("?", "f8"))
gather32 = _named("gather32", _gather, _GATHER.replace("?", "f4"))
gather64 = _named("gather64", _gather, _GATHER.replace("?", "f8"))
moments32 = _named("moments32", _moments, _MOMENTS.replace("?", "f4"))
moments64 = _named("moments64", _moments, _MOMENTS.replace("?", "f8"))

#: The kernels of each precision, by the bytes of a draw.
BELOW = {4: below32, 8: below64}
GATHER = {4: gather32, 8: gather64}
MOMENTS = {4: moments32, 8: moments64}
