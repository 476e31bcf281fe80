"""Draws that meet linear equations, and stay non-negative: products of a matrix with draws.

Draws of a normal distribution of covariance Q, moved by the gain Q A' (A Q A')^-1 times c - A x,
have its mean and covariance given A x = c (Matheron's rule, Journel and Huijbregts 1978).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ndmc_kernels._jit import inline, kernel
from ndmc_kernels._lanes import WIDTH, lanes_of, load, store

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

#: Share of a row's variance that the chosen rows leave open, below which it depends on them.
_DEPENDENT = 1e-10
#: Share of the terms of a sum that counts as rounding: of one whose factors were solved for, and
#: of a given value.
_SOLVED, _GIVEN = 1e-12, 2.0**-46


@kernel("void(f8[:, ::1], f8[:, ::1], f8[:, ::1])")
def add_products(rows: Floats, matrix: Floats, others: Floats) -> None:
    """Add the products of a matrix [row, other] with others [other, draw] to rows [row, draw]."""
    near, besides = np.zeros((rows.shape[0], WIDTH)), np.zeros((others.shape[0], WIDTH))
    for first in range(0, rows.shape[1], WIDTH):
        _fetch(rows, first, near)
        _fetch(others, first, besides)
        _add(near, matrix, besides)
        _put_back(near, rows, first)


@inline
def _fetch(rows: Floats, first: int, near: Floats) -> None:
    """Copy the draws that there are from one on to [row, lane]."""
    # The rows lie a power of two apart, so that few of them fit the first cache at once.
    count = min(rows.shape[1] - first, WIDTH)
    for row in range(rows.shape[0]):
        if count == WIDTH:
            store(near, row, 0, load(rows, row, first))
        else:
            for lane in range(count):
                near[row, lane] = rows[row, first + lane]


@inline
def _put_back(near: Floats, rows: Floats, first: int) -> None:
    """Copy [row, lane] to the draws that there are from one on."""
    count = min(rows.shape[1] - first, WIDTH)
    for row in range(rows.shape[0]):
        if count == WIDTH:
            store(rows, row, first, load(near, row, 0))
        else:
            for lane in range(count):
                rows[row, first + lane] = near[row, lane]


@inline
def _add(rows: Floats, matrix: Floats, others: Floats) -> None:
    """Add the products of a matrix with others [other, lane] to each row."""
    # Two rows at a time, so that their sums stay in 16 registers of 256 bits: three and four take
    # 1.1 and 1.25 times as long there, and 0.9 and 0.85 in registers of 512 bits. Sums begin with
    # nothing and the row is added last: a small correction is not rounded to the digits of the row.
    last = matrix.shape[0] - 1
    for row in range(0, matrix.shape[0], 2):
        below = min(row + 1, last)
        upper, lower = lanes_of(0.0), lanes_of(0.0)
        for n in range(matrix.shape[1]):
            x = load(others, n, 0)
            upper, lower = upper + matrix[row, n] * x, lower + matrix[below, n] * x
        store(rows, row, 0, load(rows, row, 0) + upper)
        if row < last:
            store(rows, below, 0, load(rows, below, 0) + lower)


class _Work(NamedTuple):
    """The problem of one draw, whose rows are the places of z; some of them are chosen.

    ``root`` is the Cholesky factor of the covariance of the chosen rows, in the order of
    ``chosen``, and ``aim`` the forces that would bring these to zero. ``slack`` is where all forces
    have brought each row, and ``allowed`` how far below zero it may be by rounding.
    """

    covariance: Floats
    root: Floats
    chosen: Integers
    z: Floats
    sd: Floats
    force: Floats
    aim: Floats
    slack: Floats
    allowed: Floats


@kernel("void(f8[:, ::1], f8[:, ::1], f8[:, ::1], i8)")
def nonnegative(values: Floats, covariance: Floats, pulls: Floats, most: int) -> None:
    """Find pulls >= 0 with values + covariance pulls >= 0, of which one is zero in each row.

    Values and pulls are [row, draw]. Pulls bring a draw to the nearest one without negative values,
    in the metric of the covariance: they are its multipliers of Lagrange. Rows are chosen one by
    one, as in Lawson and Hanson (1974, chapter 23), with ``most`` changes of their set. Pulls are
    nan where no such draw is found, and where a draw with a negative value is not finite. A
    variance that is only rounding has to be given as zero.
    """
    rows, draws = values.shape
    lowest = np.zeros(draws)
    for row in range(rows):
        for draw in range(draws):
            x = values[row, draw]
            lowest[draw] = x if (x < lowest[draw]) | (x != x) else lowest[draw]
            pulls[row, draw] = 0.0
    room, root, chosen = np.empty((6, rows)), np.empty((rows, rows)), np.empty(rows, np.int64)
    z, sd, force, aim, slack, allowed = room[0], room[1], room[2], room[3], room[4], room[5]
    for row in range(rows):
        sd[row] = math.sqrt(max(covariance[row, row], 0.0))
    work = _Work(covariance, root, chosen, z, sd, force, aim, slack, allowed)
    for draw in range(draws):
        if not lowest[draw] >= 0.0:
            for row in range(rows):
                z[row], force[row], allowed[row] = values[row, draw], 0.0, 0.0
            solved = _solve(work, most)
            for row in range(rows):
                pulls[row, draw] = force[row] if solved else math.nan


@inline
def _solve(work: _Work, most: int) -> bool:
    """Find the forces of one draw, and whether there are any."""
    largest = 0.0
    for row in range(work.z.shape[0]):
        largest = max(largest, abs(work.z[row]))
        if not math.isfinite(work.z[row]):
            return False
    count, row, settled = 0, -1, True
    for _ in range(most):
        if settled:
            row = _lowest(work, count)
            if row < 0:
                # A force that is not finite leaves no slack that is.
                return math.isfinite(work.slack[0])
            entered = _enter(work, row, count)
            if entered < 0:
                # Nothing that may move moves this row.
                if work.slack[row] < -_GIVEN * largest:
                    return False
                work.allowed[row] = -2.0 * work.slack[row]
                continue
            count = entered
        blocking = _approach(work, count)
        settled = blocking < 0
        if not settled:
            if work.chosen[blocking] == row and work.force[row] == 0.0:
                # A row below zero that has to be pulled down is there by rounding.
                work.allowed[row] = -2.0 * work.slack[row]
            count = _leave(work, blocking, count)
    return False


@inline
def _lowest(work: _Work, count: int) -> int:
    """Return the row that is the most standard deviations below zero, or -1 if none is."""
    z, sd, slack, force = work.z, work.sd, work.slack, work.force
    reach = 0.0
    for row in range(z.shape[0]):
        slack[row] = z[row]
    for n in range(count):
        pulled = work.chosen[n]
        reach += sd[pulled] * force[pulled]
        for row in range(z.shape[0]):
            slack[row] += work.covariance[pulled, row] * force[pulled]
    found, least = -1, 0.0
    for row in range(z.shape[0]):
        rounding = _SOLVED * (abs(z[row]) + sd[row] * reach) + work.allowed[row]
        if force[row] == 0.0 and slack[row] < -rounding and slack[row] / sd[row] < least:
            found, least = row, slack[row] / sd[row]
    return found


@inline
def _enter(work: _Work, row: int, count: int) -> int:
    """Choose one row more, in place of another if it depends on those chosen.

    Return how many are chosen then, or -1 if none of them can make room.
    """
    chosen, force, aim = work.chosen, work.force, work.aim
    chosen[count] = row
    if _extend(work, count) > _DEPENDENT * work.sd[row] ** 2:
        return count + 1
    # More force on this row, and less on those it is a sum of, moves none. How much of each:
    for n in range(count):
        aim[n] = work.root[count, n]
    _back(work, count)
    out, most = -1, math.inf
    for n in range(count):
        counts = aim[n] * work.sd[chosen[n]] > _DEPENDENT * work.sd[row]
        if counts and force[chosen[n]] < most * aim[n]:
            out, most = n, force[chosen[n]] / aim[n]
    if out < 0:
        return -1
    for n in range(count):
        force[chosen[n]] = max(force[chosen[n]] - most * aim[n], 0.0)
    force[row] = most
    return _leave(work, out, count + 1)


@inline
def _leave(work: _Work, out: int, count: int) -> int:
    """Drop one of the chosen rows, and return how many are left."""
    work.force[work.chosen[out]] = 0.0
    for n in range(out, count - 1):
        work.chosen[n] = work.chosen[n + 1]
        _extend(work, n)
    return count - 1


@inline
def _extend(work: _Work, count: int) -> float:
    """Write the row of the factor after so many, and return the variance these leave open."""
    root, row = work.root, work.chosen[count]
    left: float = work.covariance[row, row]
    for n in range(count):
        entry = work.covariance[row, work.chosen[n]]
        for k in range(n):
            entry -= root[count, k] * root[n, k]
        root[count, n] = entry / root[n, n]
        left -= root[count, n] ** 2
    root[count, count] = math.sqrt(left) if left > 0.0 else math.nan
    return left


@inline
def _approach(work: _Work, count: int) -> int:
    """Bring the chosen rows to zero, as far as all forces stay positive.

    Return the place of the one that would be the first to turn negative, or -1 if none does.
    """
    aim, chosen, force = work.aim, work.chosen, work.force
    for n in range(count):
        aim[n] = -work.z[chosen[n]]
        for k in range(n):
            aim[n] -= work.root[n, k] * aim[k]
        aim[n] /= work.root[n, n]
    _back(work, count)
    blocking, step = -1, 1.0
    for n in range(count):
        now = force[chosen[n]]
        if aim[n] <= 0.0:
            share = now / (now - aim[n]) if now > 0.0 else 0.0
            if blocking < 0 or share < step:
                blocking, step = n, share
    for n in range(count):
        now = force[chosen[n]]
        force[chosen[n]] = aim[n] if blocking < 0 else max(now + step * (aim[n] - now), 0.0)
    return blocking


@inline
def _back(work: _Work, count: int) -> None:
    """Divide aims by the transpose of the factor."""
    for place in range(count):
        n = count - 1 - place
        for k in range(n + 1, count):
            work.aim[n] -= work.root[k, n] * work.aim[k]
        work.aim[n] /= work.root[n, n]
