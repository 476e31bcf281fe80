"""Loops: a program of row operations, run year after year because a year needs those before it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ndmc_kernels._jit import inline, kernel
from ndmc_kernels.operations import Operation, apply, most

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


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
            if operation == Operation.RECALL:
                recall(rows, o, a, program[step, 5], program[step, 6], year)
            elif operation == Operation.LAG:
                lag = program[step, 5]
                for n in draws:
                    rows[o, n] = rows[a - lag, n] if year >= lag else 0.0
            elif operation == Operation.RESOLVE:
                for n in draws:
                    rows[b, n] = most(rows[a, n], rows[b, n])
                    rows[o, n] = 1.0 / (1.0 - rows[a, n])
            else:
                apply(operation, rows, o, a, b, c)
