"""Row arithmetic: a program of operations on the rows [row, draw] of a tile, run in one call.

An instruction is [operation, count, target, step, a, step, b, step, c, step]: the operation is
done ``count`` times, on rows that are so many rows further each time. Operations are done in
order, so that a row may be computed from the one before it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ndmc_kernels._jit import kernel, named
from ndmc_kernels._lanes import WIDTH, higher, lanes_of, load, lower, store, take
from ndmc_kernels.operations import apply

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@kernel("void(i8[:, ::1], f8[:, ::1])")
def compute(program: Integers, rows: Floats) -> None:
    """Run a program on rows [row, draw]."""
    for step in range(program.shape[0]):
        operation, count = program[step, 0], program[step, 1]
        for n in range(count):
            # By number, not as views of rows: those cost 75 ns a row in reference counts.
            o = program[step, 2] + n * program[step, 3]
            a = program[step, 4] + n * program[step, 5]
            b = program[step, 6] + n * program[step, 7]
            c = program[step, 8] + n * program[step, 9]
            apply(operation, rows, o, a, b, c)


@kernel("void(f8[:, ::1], i8[::1], i8[::1], f8[:, ::1], f8[:, ::1])")
def survey(rows: Floats, some: Integers, ends: Integers, least: Floats, most: Floats) -> None:
    """Find the least and the greatest value of each draw among groups of rows.

    Group g is the rows ``some[ends[g - 1] : ends[g]]``; least and most are [group, draw], nan where
    a value is not finite.
    """
    room, draws = np.empty((3, WIDTH)), rows.shape[1]
    for block in range(0, draws, WIDTH):
        at, start = max(min(block, draws - WIDTH), 0), 0
        for group in range(ends.shape[0]):
            low, high, total = lanes_of(math.inf), lanes_of(-math.inf), lanes_of(0.0)
            for n in range(start, ends[group]):
                row = some[n]
                if draws < WIDTH:
                    take(rows, row, 0, room, 0)
                    x = load(room, 0, 0)
                else:
                    x = load(rows, row, at)
                low, high, total = lower(x, low), higher(x, high), total + x
            start = ends[group]
            # The sum is not finite if a value is not: that is cheaper than to look at each.
            store(room, 1, 0, low + (total - total))
            store(room, 2, 0, high + (total - total))
            for lane in range(min(WIDTH, draws)):
                least[group, at + lane] = room[1, lane]
                most[group, at + lane] = room[2, lane]


def _emit(rows: Floats, some: Integers, scale: Floats, here: int, out: Any, there: int) -> None:
    """Write rows, each times its scale, to out [row, draw] from draw ``there`` on.

    What is written begins at draw ``here`` of the rows and ends with either array.
    """
    count = min(rows.shape[1] - here, out.shape[1] - there)
    # Unsigned: Numba asks of a signed sum whether it counts from the end, which keeps loops scalar.
    first, start = np.uint64(here), np.uint64(there)
    for n in range(some.shape[0]):
        row, factor = some[n], scale[n]
        for d in range(np.uint64(count)):
            out[n, start + d] = rows[row, first + d] * factor


def _rounding(whole: Any, exponent: int) -> Callable[..., None]:
    """Return the body of a kernel for floats of some width; an infinity has all of an exponent."""
    real = whole(exponent)

    def rounded(patterns: Any, start: int, stop: int, dropped: int) -> None:
        """Round floats to so many bits less of their mantissa, given their bits [row, draw].

        Ties go away from zero; infinities and nan stay.
        """
        half, mask, first = whole(1 << (dropped - 1)), whole(-1 << dropped), np.uint64(start)
        for n in range(patterns.shape[0]):
            for d in range(np.uint64(stop - start)):
                x = patterns[n, first + d]
                y = whole(whole(x + half) & mask)
                patterns[n, first + d] = x if whole(x & real) == real else y

    return rounded


_EMIT = "void(f8[:, ::1], i8[::1], f8[::1], i8, ?[:, ::1], i8)"
_ROUND = "void(?[:, ::1], i8, i8, i8)"

emit_double = named("emit_double", _emit, _EMIT.replace("?", "f8"))
emit_single = named("emit_single", _emit, _EMIT.replace("?", "f4"))
round32 = named("round32", _rounding(np.int32, 0x7F800000), _ROUND.replace("?", "i4"))
round64 = named("round64", _rounding(np.int64, 0x7FF0000000000000), _ROUND.replace("?", "i8"))

#: The kernels of each precision of the results, by the bytes of a value.
EMIT = {4: emit_single, 8: emit_double}
ROUND = {4: round32, 8: round64}
