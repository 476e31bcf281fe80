"""Loops: a program of row operations, run year after year because a year needs those before it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ndmc_kernels._jit import inline, kernel
from ndmc_kernels.elementary import exp, log, power

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

#: Operations by name. An instruction is [operation, target, a, b, c], each of the last four as
#: (row, rows further each year).
OPERATIONS = (
    "copy",
    "add",
    "subtract",
    "multiply",
    "divide",
    "negative",
    "fused",  # a + b * c
    "where",  # b if a else c
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
    "lag",  # series a, as many years ago as the number of b
    "recall",  # series a of all years before, each times the age share b of its cohort
    "resolve",  # 1 / (1 - a), and the largest a so far to row b
)
(
    _COPY,
    _ADD,
    _SUBTRACT,
    _MULTIPLY,
    _DIVIDE,
    _NEGATIVE,
    _FUSED,
    _WHERE,
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
    _LAG,
    _RECALL,
    _RESOLVE,
) = range(len(OPERATIONS))


@inline
def recall(rows: Floats, o: int, a: int, share: int, cohort: int, year: int) -> None:
    """Add up what is left of the inflow of each earlier year, row by row before a.

    The share of a cohort is ``cohort`` rows further for each later year, 0 if all are alike.
    """
    width = rows.shape[1]
    for draw in range(width):
        rows[o, draw] = 0.0
    few = year % 4
    for age in range(1, few + 1):
        s = share + (year - age) * cohort + age
        for draw in range(width):
            rows[o, draw] += rows[a - age, draw] * rows[s, draw]
    # Four cohorts per pass, as in `cohort.convolve`.
    older = 1 - cohort
    for age in range(few + 1, year + 1, 4):
        i, s = a - age, share + (year - age) * cohort + age
        for draw in range(width):
            near = rows[i, draw] * rows[s, draw]
            near += rows[i - 1, draw] * rows[s + older, draw]
            far = rows[i - 2, draw] * rows[s + 2 * older, draw]
            far += rows[i - 3, draw] * rows[s + 3 * older, draw]
            rows[o, draw] += near + far


@inline
def truth(operation: int, x: float, y: float) -> float:
    """Return 1 if a comparison holds, otherwise 0."""
    holds = (operation == _LESS) & (x < y)
    holds |= (operation == _LESS_EQUAL) & (x <= y)
    holds |= (operation == _GREATER) & (x > y)
    holds |= (operation == _GREATER_EQUAL) & (x >= y)
    holds |= (operation == _EQUAL) & (x == y)
    holds |= (operation == _NOT_EQUAL) & (x != y)
    return 1.0 if holds else 0.0


@inline
def value(operation: int, x: float, y: float) -> float:
    """Return the result of an operation that is rare in loops; min and max keep nan."""
    if operation == _MIN:
        return x if (x < y) | (x != x) else y
    if operation == _MAX:
        return x if (x > y) | (x != x) else y
    if operation == _ABS:
        return abs(x)
    if operation == _SQRT:
        return math.sqrt(x)
    if operation == _EXP:
        return exp(x)
    if operation == _LOG:
        return log(x)
    return power(x, y)


@kernel("void(i8[:, ::1], i8, f8[:, ::1])")
def march(program: Integers, years: int, rows: Floats) -> None:
    """Run a program of instructions on rows [row, draw] for each year."""
    draws = range(rows.shape[1])
    for year in range(years):
        for step in range(program.shape[0]):
            # By number, not as views of rows: those cost 75 ns an instruction in reference counts.
            operation = program[step, 0]
            o = program[step, 1] + year * program[step, 2]
            a = program[step, 3] + year * program[step, 4]
            b = program[step, 5] + year * program[step, 6]
            c = program[step, 7] + year * program[step, 8]
            if operation == _FUSED:
                for n in draws:
                    rows[o, n] = rows[a, n] + rows[b, n] * rows[c, n]
            elif operation == _MULTIPLY:
                for n in draws:
                    rows[o, n] = rows[a, n] * rows[b, n]
            elif operation == _ADD:
                for n in draws:
                    rows[o, n] = rows[a, n] + rows[b, n]
            elif operation == _SUBTRACT:
                for n in draws:
                    rows[o, n] = rows[a, n] - rows[b, n]
            elif operation == _COPY:
                for n in draws:
                    rows[o, n] = rows[a, n]
            elif operation == _DIVIDE:
                for n in draws:
                    rows[o, n] = rows[a, n] / rows[b, n]
            elif operation == _NEGATIVE:
                for n in draws:
                    rows[o, n] = -rows[a, n]
            elif operation == _RECALL:
                recall(rows, o, a, program[step, 5], program[step, 6], year)
            elif operation == _LAG:
                lag = program[step, 5]
                for n in draws:
                    rows[o, n] = rows[a - lag, n] if year >= lag else 0.0
            elif operation == _RESOLVE:
                for n in draws:
                    rows[b, n] = value(_MAX, rows[a, n], rows[b, n])
                    rows[o, n] = 1.0 / (1.0 - rows[a, n])
            elif operation == _WHERE:
                for n in draws:
                    rows[o, n] = rows[b, n] if rows[a, n] != 0.0 else rows[c, n]
            elif _LESS <= operation <= _NOT_EQUAL:
                for n in draws:
                    rows[o, n] = truth(operation, rows[a, n], rows[b, n])
            else:
                for n in draws:
                    rows[o, n] = value(operation, rows[a, n], rows[b, n])
