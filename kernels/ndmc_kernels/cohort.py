"""Stocks with lifetimes: every year's inflow is a cohort that leaves with age."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ndmc_kernels._jit import inline, kernel
from ndmc_kernels._lanes import WIDTH, after, give, load, prefetch, store, take
from ndmc_kernels.survival import weibull_lanes, weibull_left

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

#: Rows of scratch beyond the last year, which sums of three years read and nobody sees.
_BEYOND = 2


@kernel("void(f8[:, :, ::1], f8[:, :, ::1], f8[:, :, ::1])")
def convolve(inflow: Floats, share: Floats, out: Floats) -> None:
    """Add up the share [cell, age, draw] of each earlier inflow [cell, year, draw] for its age.

    With survival this is the stock, with the shares that leave the outflow.
    """
    # The rows lie a power of two apart, so that few of them fit the first cache at once: copy them.
    years, draws = inflow.shape[1:]
    room = np.zeros((3, years + _BEYOND, WIDTH))
    for cell in range(inflow.shape[0]):
        total = out[cell] if draws >= WIDTH else room[2]
        for block in range(0, draws, WIDTH):
            first = max(min(block, draws - WIDTH), 0)
            later, ahead = after(cell, first, inflow.shape)
            for year in range(years):
                prefetch(inflow[later], year, ahead)
                prefetch(share[later], year, ahead)
                prefetch(out[later], year, ahead)
                take(inflow[cell], year, first, room[0], year)
                take(share[cell], year, first, room[1], year)
            _add_cohorts(room[0], room[1], total, first, years)
        if draws < WIDTH:
            give(total, out[cell])


@kernel(
    "void(f8[:, ::1], f8[:, ::1], f8[:, ::1], f8[:, ::1], f8[:, :, ::1], f8[:, :, ::1],"
    " f8[:, :, ::1])"
)
def weibull_cohorts(
    scale: Floats,
    shape: Floats,
    log_ages: Floats,
    weights: Floats,
    inflow: Floats,
    stock: Floats,
    release: Floats,
) -> None:
    """Find stock and release [cell, year, draw] of an inflow from its Weibull lifetime.

    Scale and shape are [cell, draw], the nodes [age, node]. A release of no cells is not found.
    """
    # Lanes are short, their rows far apart: what comes from afar has to be asked for in advance.
    # That takes 2.2 us a draw (17 cells, 21 years) instead of 3.6 in 16 tiles of 256 draws.
    years, draws = inflow.shape[1:]
    room, pair = np.zeros((4, years + _BEYOND, WIDTH)), np.empty((2, WIDTH))
    came, left, gone, spare = room[0], room[1], room[2], room[3]
    for cell in range(inflow.shape[0]):
        for block in range(0, draws, WIDTH):
            first = max(min(block, draws - WIDTH), 0)
            later, ahead = after(cell, first, inflow.shape)
            log_scale, rate = weibull_lanes(scale, shape, cell, first, pair)
            for age in range(years):
                prefetch(inflow[later], age, ahead)
                prefetch(stock[later], age, ahead)
                take(inflow[cell], age, first, came, age)
                store(left, age, 0, weibull_left(log_scale, rate, log_ages, weights, age))
            _convolved(came, left, stock[cell], first, spare)
            if release.shape[0]:
                store(gone, 0, 0, 1.0 - load(left, 0, 0))
                for age in range(1, years):
                    prefetch(release[later], age, ahead)
                    store(gone, age, 0, load(left, age - 1, 0) - load(left, age, 0))
                _convolved(came, gone, release[cell], first, spare)


@inline
def _convolved(inflow: Floats, share: Floats, out: Floats, first: int, spare: Floats) -> None:
    """Convolve into lanes of out, by way of spare where there are fewer draws."""
    if out.shape[1] >= WIDTH:
        _add_cohorts(inflow, share, out, first, out.shape[0])
    else:
        _add_cohorts(inflow, share, spare, 0, out.shape[0])
        give(spare, out)


@inline
def _add_cohorts(inflow: Floats, share: Floats, out: Floats, first: int, years: int) -> None:
    """Convolve lanes of inflow [year, lane] with shares [age, lane] into rows of out from first.

    Both have `_BEYOND` rows more than years.
    """
    # Three years at a time, so that with four registers a year the sums stay in registers: 1.23 us
    # for a draw of 17 cells by 21 years with Weibull lifetimes; two years 1.28, four years 1.39.
    # Always from the first year on: a year's bits do not depend on how many follow.
    for year in range(0, years, 3):
        i0, i1, i2 = load(inflow, year, 0), load(inflow, year + 1, 0), load(inflow, year + 2, 0)
        s0, s1, s2 = load(share, 0, 0), load(share, 1, 0), load(share, 2, 0)
        total0, total1, total2 = i0 * s0, i0 * s1 + i1 * s0, i0 * s2 + i1 * s1 + i2 * s0
        odd = year % 2
        for born in range(odd):
            i0, s0 = load(inflow, born, 0), load(share, year, 0)
            s1, s2 = load(share, year + 1, 0), load(share, year + 2, 0)
            total0, total1, total2 = total0 + i0 * s0, total1 + i0 * s1, total2 + i0 * s2
        for born in range(odd, year, 2):
            age = year - born
            i0, i1 = load(inflow, born, 0), load(inflow, born + 1, 0)
            s0, s1 = load(share, age, 0), load(share, age + 1, 0)
            total0 = total0 + i0 * s0 + i1 * load(share, age - 1, 0)
            total1 = total1 + i0 * s1 + i1 * s0
            total2 = total2 + i0 * load(share, age + 2, 0) + i1 * s1
        store(out, year, first, total0)
        if year + 1 < years:
            store(out, year + 1, first, total1)
        if year + 2 < years:
            store(out, year + 2, first, total2)


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
    """Add one year's inflow [cell, year, draw] to this and all later years of each fate in out.

    Shares are [fate, cell, age, draw], out is [fate, cell, year, draw].
    """
    for fate in range(out.shape[0]):
        for cell in range(out.shape[1]):
            for age in range(out.shape[2] - year):
                for draw in range(out.shape[3]):
                    added = inflow[cell, year, draw] * shares[fate, cell, age, draw]
                    out[fate, cell, year + age, draw] += added


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
    left so far; ``out`` [fate, cell, year, draw] holds what earlier cohorts leave to each year.
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
            for fate in range(out.shape[0]):
                for later in range(year + 1, out.shape[2]):
                    for draw in range(out.shape[3]):
                        out[fate, cell, later, draw] *= kept[cell, year, draw]


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
