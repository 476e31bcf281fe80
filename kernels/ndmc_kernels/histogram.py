"""Exact order statistics of any number of doubles, by counting 16 bits of their keys per pass."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ndmc_kernels._jit import bits, inline, kernel

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Words = NDArray[np.uint64]

_SIGN = np.uint64(0x8000000000000000)
_DIGIT = np.uint64(0xFFFF)


@inline
def ordered_key(value: float) -> np.uint64:
    """Return 64 bits that sort as the doubles do.

    -0.0 sorts just below 0.0, and nan beyond the infinity of its sign.
    """
    i = bits(value)
    return np.uint64(i) ^ (np.uint64(i >> 63) | _SIGN)


@kernel("void(f8[::1], i8, u8[::1], i8[:, ::1])")
def tally(values: Floats, shift: int, prefixes: Words, counts: Integers) -> None:
    """Count the 16-bit digits at `shift` of the keys that begin with each of the sorted prefixes.

    Counts are [prefix, digit]; at shift 48 the only prefix is 0.
    """
    for value in values:
        rest = ordered_key(value) >> np.uint64(shift)
        prefix = rest >> np.uint64(16)  # in two shifts: one by 64 is undefined
        low, high = 0, prefixes.shape[0]
        while low < high:
            middle = (low + high) // 2
            if prefixes[middle] < prefix:
                low = middle + 1
            else:
                high = middle
        if low < prefixes.shape[0] and prefixes[low] == prefix:
            counts[low, np.int64(rest & _DIGIT)] += 1


def key_value(keys: Words) -> Floats:
    """Return the doubles of ordered keys.

    >>> key_value(np.array([0x8000000000000000, 0xBFF0000000000000], dtype=np.uint64))
    array([0., 1.])
    """
    return np.where(keys & _SIGN, keys ^ _SIGN, ~keys).view(np.float64)
