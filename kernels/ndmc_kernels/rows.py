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

from ndmc_kernels._jit import inline, kernel, named
from ndmc_kernels._lanes import WIDTH, higher, lanes_of, load, lower, store, take
from ndmc_kernels.elementary import exp, log, power

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

#: Operations by name, with what they make of rows a, b and c.
OPERATIONS = (
    "copy",
    "negative",
    "add",
    "subtract",
    "multiply",
    "divide",
    "fused",  # a + b * c
    "product",  # a * b * c
    "gain",  # target + a
    "lose",  # target - a
    "hold",  # max(a + b, 0)
    "where",  # b if a else c
    "since",  # b if a, and a is a number, otherwise the target
    "min",
    "max",
    "less",
    "less_equal",
    "greater",
    "greater_equal",
    "equal",
    "not_equal",
    "abs",
    "sqrt",
    "exp",
    "log",
    "power",
)
(
    _COPY,
    _NEGATIVE,
    _ADD,
    _SUBTRACT,
    _MULTIPLY,
    _DIVIDE,
    _FUSED,
    _PRODUCT,
    _GAIN,
    _LOSE,
    _HOLD,
    _WHERE,
    _SINCE,
    _MIN,
    _MAX,
    _LESS,
    _LESS_EQUAL,
    _GREATER,
    _GREATER_EQUAL,
    _EQUAL,
    _NOT_EQUAL,
    _ABS,
    _SQRT,
    _EXP,
    _LOG,
    _POWER,
) = range(len(OPERATIONS))


@inline
def _least(x: float, y: float) -> float:
    return x if (x < y) | (x != x) else y


@inline
def _most(x: float, y: float) -> float:
    return x if (x > y) | (x != x) else y


@inline
def _holds(operation: int, x: float, y: float) -> float:
    found = (operation == _LESS) & (x < y)
    found |= (operation == _LESS_EQUAL) & (x <= y)
    found |= (operation == _GREATER) & (x > y)
    found |= (operation == _GREATER_EQUAL) & (x >= y)
    found |= (operation == _EQUAL) & (x == y)
    found |= (operation == _NOT_EQUAL) & (x != y)
    return 1.0 if found else 0.0


@kernel("void(i8[:, ::1], f8[:, ::1])")
def compute(program: Integers, rows: Floats) -> None:
    """Run a program on rows [row, draw]."""
    draws = range(rows.shape[1])
    for step in range(program.shape[0]):
        operation, count = program[step, 0], program[step, 1]
        for n in range(count):
            # By number, not as views of rows: those cost 75 ns a row in reference counts.
            o = program[step, 2] + n * program[step, 3]
            a = program[step, 4] + n * program[step, 5]
            b = program[step, 6] + n * program[step, 7]
            c = program[step, 8] + n * program[step, 9]
            if operation == _MULTIPLY:
                for d in draws:
                    rows[o, d] = rows[a, d] * rows[b, d]
            elif operation == _PRODUCT:
                for d in draws:
                    rows[o, d] = rows[a, d] * rows[b, d] * rows[c, d]
            elif operation == _FUSED:
                for d in draws:
                    rows[o, d] = rows[a, d] + rows[b, d] * rows[c, d]
            elif operation == _ADD:
                for d in draws:
                    rows[o, d] = rows[a, d] + rows[b, d]
            elif operation == _SUBTRACT:
                for d in draws:
                    rows[o, d] = rows[a, d] - rows[b, d]
            elif operation == _DIVIDE:
                for d in draws:
                    rows[o, d] = rows[a, d] / rows[b, d]
            elif operation == _COPY:
                for d in draws:
                    rows[o, d] = rows[a, d]
            elif operation == _GAIN:
                for d in draws:
                    rows[o, d] += rows[a, d]
            elif operation == _LOSE:
                for d in draws:
                    rows[o, d] -= rows[a, d]
            elif operation == _NEGATIVE:
                for d in draws:
                    rows[o, d] = -rows[a, d]
            elif operation == _HOLD:
                for d in draws:
                    rows[o, d] = _most(rows[a, d] + rows[b, d], 0.0)
            elif operation == _WHERE:
                for d in draws:
                    rows[o, d] = rows[b, d] if rows[a, d] != 0.0 else rows[c, d]
            elif operation == _SINCE:
                for d in draws:
                    real = (rows[a, d] != 0.0) & (rows[a, d] == rows[a, d])
                    rows[o, d] = rows[b, d] if real else rows[o, d]
            elif operation == _MIN:
                for d in draws:
                    rows[o, d] = _least(rows[a, d], rows[b, d])
            elif operation == _MAX:
                for d in draws:
                    rows[o, d] = _most(rows[a, d], rows[b, d])
            elif operation == _EXP:
                for d in draws:
                    rows[o, d] = exp(rows[a, d])
            elif operation == _LOG:
                for d in draws:
                    rows[o, d] = log(rows[a, d])
            elif operation == _SQRT:
                for d in draws:
                    rows[o, d] = math.sqrt(rows[a, d])
            elif operation == _ABS:
                for d in draws:
                    rows[o, d] = abs(rows[a, d])
            elif operation == _POWER:
                for d in draws:
                    rows[o, d] = power(rows[a, d], rows[b, d])
            else:
                for d in draws:
                    rows[o, d] = _holds(operation, rows[a, d], rows[b, d])


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
