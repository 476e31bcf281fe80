"""Which rows of a program have the same values: what is done to the same rows gives the same.

Method: value numbering, as compilers number expressions (Cocke & Schwartz 1970).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ndmc_kernels._jit import inline, kernel
from ndmc_kernels.operations import INTO, ONE, THREE, Operation

Bytes = NDArray[np.int8]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]

#: What is known of a row: that it is no number, or another or the same in every draw.
UNKNOWN, NUMBER, ZERO = 0, 1, 2

#: An operation and the numbers of its rows and of its target.
_KEY = 5

# How many rows an operation reads beside its target, and whether it reads that.
_READS = np.array([1 if n in ONE else 3 if n in THREE else 2 for n in range(len(Operation) + 1)])
_INTO = np.array([n in INTO for n in range(len(Operation) + 1)])


def slots_for(lines: int) -> Integers:
    """Return room to remember what was done in so many lines."""
    return np.full((2 << (lines + 1).bit_length(), _KEY + 1), -1)


@inline
def _number_of(key: Integers, new: int, slots: Integers) -> int:
    """Return the number of a key, which is a new one if the key is new."""
    place = np.uint64(0)
    for n in range(_KEY):
        place = (place ^ np.uint64(key[n])) * np.uint64(0x9E3779B97F4A7C15)
        place ^= place >> np.uint64(29)
    at = np.int64(place & np.uint64(slots.shape[0] - 1))
    while slots[at, 0] >= 0:
        alike = True
        for n in range(_KEY):
            alike &= slots[at, n + 1] == key[n]
        if alike:
            return int(slots[at, 0])
        at = (at + 1) & (slots.shape[0] - 1)
    slots[at, 0] = new
    for n in range(_KEY):
        slots[at, n + 1] = key[n]
    return new


@kernel("void(i8[:, ::1], i8, i1[::1], i1[::1], i8[:, ::1], i8[::1])")
def identify(
    table: Integers, first: int, known: Bytes, becomes: Bytes, slots: Integers, same: Integers
) -> None:
    """Find which rows have the same value, given those of rows that no line has written.

    Lines of the table are [operation, target, a, b, c], and new values are numbered from ``first``
    on. What is ``known`` of a row is updated: where all that is read is a number, the target is
    what it ``becomes``. What is multiplied by 0 has no part in a sum, whatever it is.
    """
    key = np.empty(_KEY, np.int64)
    for line in range(table.shape[0]):
        operation, o, a, b, c = table[line]
        reads = _READS[operation]
        numbers = known[a] != UNKNOWN
        numbers &= (reads < 2) | (known[b] != UNKNOWN)
        numbers &= (reads < 3) | (known[c] != UNKNOWN)
        numbers &= ~_INTO[operation] | (known[o] != UNKNOWN)
        key[0], key[1] = operation, same[a]
        key[2] = same[b] if reads > 1 else -1
        key[3] = same[c] if reads > 2 else -1
        key[4] = same[o] if _INTO[operation] else -1
        if operation == Operation.COPY:
            same[o] = same[a]
        elif operation == Operation.WHERE and known[a] != UNKNOWN:
            same[o] = key[3] if known[a] == ZERO else key[2]
        else:
            if operation == Operation.FUSED and (known[b] == ZERO or known[c] == ZERO):
                key[2] = key[3] = -1
            same[o] = _number_of(key, first + line, slots)
        known[o] = becomes[o] if numbers else UNKNOWN


@kernel("void(i8[:, ::1], b1[::1], b1[::1])")
def needed(table: Integers, rows: Mask, lines: Mask) -> None:
    """Mark lines that lead to rows that are read, and all rows that these lines read."""
    for line in range(table.shape[0] - 1, -1, -1):
        lines[line] = rows[table[line, 1]]
        if lines[line]:
            for n in range(2, 5):
                rows[table[line, n]] = True
