"""Sums of squares over pairs of draws, of what a quantity does when some inputs change places."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ndmc_kernels._jit import inline, kernel, unfused
from ndmc_kernels._lanes import WIDTH, exchanged, lanes_of, load, store

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

#: Draws whose squares are added up in one fixed order: those of one batch.
LEAF = 64

#: Batches, which leaves take turns in.
BATCHES = 32

#: What is kept of a batch: sums of P, I and D, and how many pairs are lost.
SUMS = 4


@kernel("void(f8[:, ::1], i8[::1], i8[::1], i8, i8, i8, i8, f8[:, :, ::1])")
def squares(
    rows: Floats,
    before: Integers,
    after: Integers,
    at: int,
    draws: int,
    leaf: int,
    entry: int,
    sums: Floats,
) -> None:
    """Write the sums of some entries, from the first one on, to sums [entry, batch, sum].

    Entry n has a, b, a, b ... in row ``before[n]`` and c, d, c, d ... in row ``after[n]``, or d and
    c as b and a where that is negative: some draws from ``at`` on, of which the first is that of a
    leaf by its number. Sums over pairs are P = 2 (a - c)(d - b), I = ((a - c) - (d - b))**2 and
    D = (a - b)**2 + (c - d)**2; a pair of which one is not finite is left out and counted.
    """
    # 0.6 ns a draw and entry. As P and both halves of D are added up alike, and no product is fused
    # with a sum, all are the same to the bit where c and d are b and a: fused, one in ten differed.
    room = np.empty((SUMS, WIDTH))
    for n in range(before.shape[0]):
        x, y = before[n], after[n]
        for part in range((draws + LEAF - 1) // LEAF):
            start, batch = at + part * LEAF, (leaf + part) % BATCHES
            if draws - part * LEAF < LEAF or not _whole(rows, x, y, start, room):
                _one_by_one(rows, x, y, start, min(draws - part * LEAF, LEAF), room)
            for k in range(SUMS):
                sums[entry + n, batch, k] = room[k, 0]


@unfused
def _whole(rows: Floats, x: int, y: int, start: int, room: Floats) -> bool:
    """Add up a leaf, and return whether all of it is finite."""
    product = together = first = second = lanes_of(0.0)
    for at in range(start, start + LEAF, WIDTH):
        one = load(rows, x, at)
        one_back = exchanged(one)
        other = load(rows, y, at) if y >= 0 else one_back
        off = one - other
        off_back = exchanged(off)
        both = off + off_back
        own, others = one - one_back, other - exchanged(other)
        product = product - off * off_back
        together = together + both * both
        first = first + own * own
        second = second + others * others
    store(room, 0, 0, product)
    store(room, 1, 0, together)
    store(room, 2, 0, first)
    store(room, 3, 0, second)
    for k in range(SUMS):
        room[k, 0] = _sixteen(room, k)
    # Each pair stands twice, as a and b and as b and a.
    room[1, 0] *= 0.5
    room[2, 0] = 0.5 * (room[2, 0] + room[3, 0])
    room[3, 0] = 0.0
    return math.isfinite(room[2, 0])


@inline
def _sixteen(room: Floats, k: int) -> float:
    even: float = ((room[k, 0] + room[k, 8]) + (room[k, 4] + room[k, 12])) + (
        (room[k, 2] + room[k, 10]) + (room[k, 6] + room[k, 14])
    )
    odd: float = ((room[k, 1] + room[k, 9]) + (room[k, 5] + room[k, 13])) + (
        (room[k, 3] + room[k, 11]) + (room[k, 7] + room[k, 15])
    )
    return even + odd


@unfused
def _one_by_one(rows: Floats, x: int, y: int, start: int, draws: int, room: Floats) -> None:
    """Add up pairs one after the other, but for those of which a value is not finite."""
    product = together = apart = lost = 0.0
    for at in range(start, start + draws - 1, 2):
        a, b = rows[x, at], rows[x, at + 1]
        c, d = (rows[y, at], rows[y, at + 1]) if y >= 0 else (b, a)
        own, others = (a - b) * (a - b), (c - d) * (c - d)
        if math.isfinite(own + others):
            product += 2.0 * ((a - c) * (d - b))
            together += ((a - c) - (d - b)) * ((a - c) - (d - b))
            apart += own + others
        else:
            lost += 1.0
    room[0, 0], room[1, 0], room[2, 0], room[3, 0] = product, together, apart, lost
