"""Operations on rows of draws: their names, and what each makes of its rows."""

from __future__ import annotations

import enum
import math
from typing import Any

from ndmc_kernels._jit import inline
from ndmc_kernels.elementary import exp, log, power


class Operation(enum.IntEnum):
    """Operations of programs, with what they make of rows a, b and c.

    Kernels compare numbers: choices come before functions, and these before what only loops do.
    """

    COPY = enum.auto()
    NEGATIVE = enum.auto()
    ADD = enum.auto()
    SUBTRACT = enum.auto()
    MULTIPLY = enum.auto()
    DIVIDE = enum.auto()
    FUSED = enum.auto()  # a + b * c
    PRODUCT = enum.auto()  # a * b * c
    GAIN = enum.auto()  # target + a
    LOSE = enum.auto()  # target - a
    # choices
    MIN = enum.auto()
    MAX = enum.auto()
    HOLD = enum.auto()  # max(a + b, 0)
    CLIP = enum.auto()  # min(max(a, b), c)
    WHERE = enum.auto()  # b if a else c
    SINCE = enum.auto()  # b if a, and a is a number, otherwise the target
    LESS = enum.auto()
    LESS_EQUAL = enum.auto()
    GREATER = enum.auto()
    GREATER_EQUAL = enum.auto()
    EQUAL = enum.auto()
    NOT_EQUAL = enum.auto()
    # functions
    ABS = enum.auto()
    SQRT = enum.auto()
    EXP = enum.auto()
    LOG = enum.auto()
    POWER = enum.auto()
    # of the years before, in loops alone
    LAG = enum.auto()  # series a, as many years ago as the number of b
    RECALL = enum.auto()  # series a of all years before, each times the age share b of its cohort
    RESOLVE = enum.auto()  # 1 / (1 - a), and the largest a so far to row b


#: Operations of one row and of three; all others read two. Some read their target, too.
ONE = {Operation[n] for n in ("COPY", "NEGATIVE", "GAIN", "LOSE", "ABS", "SQRT", "EXP", "LOG")}
THREE = {Operation[n] for n in ("FUSED", "PRODUCT", "CLIP", "WHERE")}
INTO = {Operation[n] for n in ("GAIN", "LOSE", "SINCE")}


@inline
def least(x: float, y: float) -> float:
    """Return the smaller number, nan if one is."""
    return x if (x < y) | (x != x) else y


@inline
def most(x: float, y: float) -> float:
    """Return the larger number, nan if one is."""
    return x if (x > y) | (x != x) else y


@inline
def holds(operation: int, x: float, y: float) -> float:
    """Return 1 if a comparison holds, otherwise 0."""
    found = (operation == Operation.LESS) & (x < y)
    found |= (operation == Operation.LESS_EQUAL) & (x <= y)
    found |= (operation == Operation.GREATER) & (x > y)
    found |= (operation == Operation.GREATER_EQUAL) & (x >= y)
    found |= (operation == Operation.EQUAL) & (x == y)
    found |= (operation == Operation.NOT_EQUAL) & (x != y)
    return 1.0 if found else 0.0


@inline
def function(operation: int, rows: Any, o: int, a: int, b: int) -> None:
    """Write a function of rows a and b to row o."""
    draws = range(rows.shape[1])
    if operation == Operation.ABS:
        for d in draws:
            rows[o, d] = abs(rows[a, d])
    elif operation == Operation.SQRT:
        for d in draws:
            rows[o, d] = math.sqrt(rows[a, d])
    elif operation == Operation.EXP:
        for d in draws:
            rows[o, d] = exp(rows[a, d])
    elif operation == Operation.LOG:
        for d in draws:
            rows[o, d] = log(rows[a, d])
    elif operation == Operation.POWER:
        for d in draws:
            rows[o, d] = power(rows[a, d], rows[b, d])


@inline
def choice(operation: int, rows: Any, o: int, a: int, b: int, c: int) -> None:
    """Write one of several numbers to row o, or whether a comparison holds."""
    draws = range(rows.shape[1])
    if operation == Operation.MIN:
        for d in draws:
            rows[o, d] = least(rows[a, d], rows[b, d])
    elif operation == Operation.MAX:
        for d in draws:
            rows[o, d] = most(rows[a, d], rows[b, d])
    elif operation == Operation.HOLD:
        for d in draws:
            rows[o, d] = most(rows[a, d] + rows[b, d], 0.0)
    elif operation == Operation.CLIP:
        for d in draws:
            rows[o, d] = least(most(rows[a, d], rows[b, d]), rows[c, d])
    elif operation == Operation.WHERE:
        for d in draws:
            rows[o, d] = rows[b, d] if rows[a, d] != 0.0 else rows[c, d]
    elif operation == Operation.SINCE:
        for d in draws:
            real = (rows[a, d] != 0.0) & (rows[a, d] == rows[a, d])
            # Both are read before: where only one is, first years of chance took 7 times as long.
            since, before = rows[b, d], rows[o, d]
            rows[o, d] = since if real else before
    else:
        for d in draws:
            rows[o, d] = holds(operation, rows[a, d], rows[b, d])


@inline
def apply(operation: int, rows: Any, o: int, a: int, b: int, c: int) -> None:
    """Do an operation on rows [row, draw] a, b and c, of which row o is the target."""
    # Sums and products stand here: 3.5 ns a row are lost on the way through another group.
    draws = range(rows.shape[1])
    if operation == Operation.MULTIPLY:
        for d in draws:
            rows[o, d] = rows[a, d] * rows[b, d]
    elif operation == Operation.PRODUCT:
        for d in draws:
            rows[o, d] = rows[a, d] * rows[b, d] * rows[c, d]
    elif operation == Operation.FUSED:
        for d in draws:
            rows[o, d] = rows[a, d] + rows[b, d] * rows[c, d]
    elif operation == Operation.ADD:
        for d in draws:
            rows[o, d] = rows[a, d] + rows[b, d]
    elif operation == Operation.SUBTRACT:
        for d in draws:
            rows[o, d] = rows[a, d] - rows[b, d]
    elif operation == Operation.DIVIDE:
        for d in draws:
            rows[o, d] = rows[a, d] / rows[b, d]
    elif operation == Operation.COPY:
        for d in draws:
            rows[o, d] = rows[a, d]
    elif operation == Operation.GAIN:
        for d in draws:
            rows[o, d] += rows[a, d]
    elif operation == Operation.LOSE:
        for d in draws:
            rows[o, d] -= rows[a, d]
    elif operation == Operation.NEGATIVE:
        for d in draws:
            rows[o, d] = -rows[a, d]
    elif operation < Operation.ABS:
        choice(operation, rows, o, a, b, c)
    else:
        function(operation, rows, o, a, b)
