"""Stocks with lifetimes: every year's inflow is a cohort that leaves with age."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ndmc_kernels._jit import kernel

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@kernel("void(f8[:, :, ::1], f8[:, :, ::1], f8[:, :, ::1])")
def convolve(inflow: Floats, share: Floats, out: Floats) -> None:
    """Add up the share [cell, age, draw] of each earlier inflow [cell, year, draw] for its age.

    With survival this is the stock, with the shares that leave the outflow.
    """
    for cell in range(inflow.shape[0]):
        i, s = inflow[cell], share[cell]
        for year in range(i.shape[0]):
            total = out[cell, year]
            for draw in range(total.shape[0]):
                total[draw] = 0.0
            # Four cohorts per pass: 1.7 ns an element at 21 years in tiles of 256, one by one 4.
            few = (year + 1) % 4
            for age in range(few):
                i1, s1 = i[year - age], s[age]
                for draw in range(total.shape[0]):
                    total[draw] += i1[draw] * s1[draw]
            for age in range(few, year + 1, 4):
                i1, i2, i3, i4 = (
                    i[year - age],
                    i[year - age - 1],
                    i[year - age - 2],
                    i[year - age - 3],
                )
                s1, s2, s3, s4 = s[age], s[age + 1], s[age + 2], s[age + 3]
                for draw in range(total.shape[0]):
                    near = i1[draw] * s1[draw] + i2[draw] * s2[draw]
                    total[draw] += near + i3[draw] * s3[draw] + i4[draw] * s4[draw]


@kernel("void(f8[:, :, ::1], f8[:, :, ::1], f8[:, :, ::1])")
def correlate(weight: Floats, share: Floats, out: Floats) -> None:
    """Add up weights [cell, age, draw] times their share [cell, age, draw] each year later."""
    # By blocks of 32 ages: 2000 in a row would lose a balance to rounding.
    block = np.empty(out.shape[2])
    for cell in range(out.shape[0]):
        for year in range(out.shape[1]):
            out[cell, year] = 0.0
            for first in range(0, weight.shape[1], 32):
                for draw in range(block.shape[0]):
                    block[draw] = 0.0
                for age in range(first, min(first + 32, weight.shape[1])):
                    for draw in range(block.shape[0]):
                        block[draw] += weight[cell, age, draw] * share[cell, age + year, draw]
                for draw in range(block.shape[0]):
                    out[cell, year, draw] += block[draw]


@kernel("void(i8, f8[:, :, ::1], f8[:, :, :, ::1], f8[:, :, :, ::1])")
def spread(year: int, inflow: Floats, shares: Floats, out: Floats) -> None:
    """Add one year's inflow [cell, year, draw] to this and all later years of each part of out.

    Shares are [part, cell, age, draw], out is [part, cell, year, draw].
    """
    for part in range(out.shape[0]):
        for cell in range(out.shape[1]):
            for age in range(out.shape[2] - year):
                for draw in range(out.shape[3]):
                    added = inflow[cell, year, draw] * shares[part, cell, age, draw]
                    out[part, cell, year + age, draw] += added


@kernel(
    "void(i8, f8[:, :, ::1], f8[:, :, :, ::1], i8, f8[:, :, ::1], f8[:, :, ::1],"
    " f8[:, :, :, ::1], f8[:, ::1])"
)
def drive(
    year: int,
    level: Floats,
    shares: Floats,
    answer: int,
    inflow: Floats,
    kept: Floats,
    out: Floats,
    shortfall: Floats,
) -> None:
    """Find the inflow [cell, year, draw] that brings a stock to its level in one year.

    If the level is below what is left, the answer is a negative inflow (0), none (1), or none and
    the share of every cohort that has to go (2). ``shortfall`` is the lowest level minus what is
    left so far; ``out`` [part, cell, year, draw] holds what earlier cohorts leave to each year.
    """
    for cell in range(level.shape[0]):
        for draw in range(level.shape[2]):
            left = out[0, cell, year, draw]
            missing = level[cell, year, draw] - left
            shortfall[cell, draw] = min(shortfall[cell, draw], missing)
            needed = missing / shares[0, cell, 0, draw]
            inflow[cell, year, draw] = needed if answer == 0 else max(needed, 0.0)
            if answer == 2 and missing < 0.0:
                kept[cell, year, draw] = level[cell, year, draw] / left
                out[0, cell, year, draw] = level[cell, year, draw]
                out[1, cell, year, draw] -= missing
        if answer == 2:
            for part in range(out.shape[0]):
                for later in range(year + 1, out.shape[2]):
                    for draw in range(out.shape[3]):
                        out[part, cell, later, draw] *= kept[cell, year, draw]


@kernel(
    "void(i8, i8, i8, f8, b1, f8[:, :, ::1], f8[:, :, :, ::1], f8[:, :, ::1], i8[::1],"
    " f8[:, :, :, ::1])"
)
def profile(
    year: int,
    by: int,
    first: int,
    offset: float,
    outflow: bool,
    inflow: Floats,
    shares: Floats,
    kept: Floats,
    row_of: Integers,
    out: Floats,
) -> None:
    """Add one cohort to out [row, label, year, draw], by age (0), cohort (1) or summed (2).

    What is added is what is left of it, or what is released. Summed, label 0 holds the ages, each
    times its amount, and label 1 the amounts. ``kept`` is the share of all cohorts that stayed.
    """
    left = np.empty(inflow.shape[2])
    for cell in range(inflow.shape[0]):
        row = row_of[cell]
        for draw in range(left.shape[0]):
            left[draw] = inflow[cell, year, draw]
        for age in range(inflow.shape[1] - year):
            now = year + age
            label = min(age, out.shape[1] - 1) if by == 0 else (first + year if by == 1 else 1)
            for draw in range(left.shape[0]):
                stays = kept[cell, now, draw] if age > 0 else 1.0
                amount = left[draw] * stays * shares[0, cell, age, draw]
                if outflow:
                    gone = (1.0 - stays) * shares[0, cell, age, draw]
                    amount = left[draw] * (shares[1, cell, age, draw] + gone)
                left[draw] *= stays
                out[row, label, now, draw] += amount
                if by == 2:
                    out[row, 0, now, draw] += amount * max(age + offset, 0.0)
