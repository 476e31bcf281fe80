"""Loops: a program of row operations, run year after year because a year needs those before it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ndmc_kernels._jit import kernel
from ndmc_kernels.elementary import exp, log

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


@kernel("void(i8[:, ::1], i8, f8[:, ::1])")
def march(program: Integers, years: int, rows: Floats) -> None:
    """Run a program of instructions on rows [row, draw] for each year."""
    width = rows.shape[1]
    for year in range(years):
        for step in range(program.shape[0]):
            # By number, not as views of rows: those cost 75 ns an instruction in reference counts.
            operation = program[step, 0]
            o = program[step, 1] + year * program[step, 2]
            a = program[step, 3] + year * program[step, 4]
            b = program[step, 5] + year * program[step, 6]
            c = program[step, 7] + year * program[step, 8]
            if operation == _FUSED:
                for draw in range(width):
                    rows[o, draw] = rows[a, draw] + rows[b, draw] * rows[c, draw]
            elif operation == _MULTIPLY:
                for draw in range(width):
                    rows[o, draw] = rows[a, draw] * rows[b, draw]
            elif operation == _ADD:
                for draw in range(width):
                    rows[o, draw] = rows[a, draw] + rows[b, draw]
            elif operation == _SUBTRACT:
                for draw in range(width):
                    rows[o, draw] = rows[a, draw] - rows[b, draw]
            elif operation == _COPY:
                for draw in range(width):
                    rows[o, draw] = rows[a, draw]
            elif operation == _DIVIDE:
                for draw in range(width):
                    rows[o, draw] = rows[a, draw] / rows[b, draw]
            elif operation == _NEGATIVE:
                for draw in range(width):
                    rows[o, draw] = -rows[a, draw]
            elif operation == _RECALL:
                share, cohort = program[step, 5], program[step, 6]
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
            elif operation == _LAG:
                lag = program[step, 5]
                if year < lag:
                    for draw in range(width):
                        rows[o, draw] = 0.0
                else:
                    for draw in range(width):
                        rows[o, draw] = rows[a - lag, draw]
            elif operation == _RESOLVE:
                for draw in range(width):
                    x, y = rows[a, draw], rows[b, draw]
                    rows[b, draw] = x if (x > y) | (x != x) else y
                    rows[o, draw] = 1.0 / (1.0 - x)
            elif operation == _WHERE:
                for draw in range(width):
                    rows[o, draw] = rows[b, draw] if rows[a, draw] != 0.0 else rows[c, draw]
            elif operation == _MIN:
                for draw in range(width):
                    x, y = rows[a, draw], rows[b, draw]
                    rows[o, draw] = x if x < y or x != x else y
            elif operation == _MAX:
                for draw in range(width):
                    x, y = rows[a, draw], rows[b, draw]
                    rows[o, draw] = x if x > y or x != x else y
            elif operation == _LESS:
                for draw in range(width):
                    rows[o, draw] = 1.0 if rows[a, draw] < rows[b, draw] else 0.0
            elif operation == _LESS_EQUAL:
                for draw in range(width):
                    rows[o, draw] = 1.0 if rows[a, draw] <= rows[b, draw] else 0.0
            elif operation == _GREATER:
                for draw in range(width):
                    rows[o, draw] = 1.0 if rows[a, draw] > rows[b, draw] else 0.0
            elif operation == _GREATER_EQUAL:
                for draw in range(width):
                    rows[o, draw] = 1.0 if rows[a, draw] >= rows[b, draw] else 0.0
            elif operation == _EQUAL:
                for draw in range(width):
                    rows[o, draw] = 1.0 if rows[a, draw] == rows[b, draw] else 0.0
            elif operation == _NOT_EQUAL:
                for draw in range(width):
                    rows[o, draw] = 1.0 if rows[a, draw] != rows[b, draw] else 0.0
            elif operation == _ABS:
                for draw in range(width):
                    rows[o, draw] = abs(rows[a, draw])
            elif operation == _SQRT:
                for draw in range(width):
                    rows[o, draw] = math.sqrt(rows[a, draw])
            elif operation == _EXP:
                for draw in range(width):
                    rows[o, draw] = exp(rows[a, draw])
            elif operation == _LOG:
                for draw in range(width):
                    rows[o, draw] = log(rows[a, draw])
            elif operation == _POWER:
                for draw in range(width):
                    rows[o, draw] = rows[a, draw] ** rows[b, draw]
