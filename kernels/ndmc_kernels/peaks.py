"""What one thread can do at most: bytes, multiply-adds and exponentials a second."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ndmc_kernels._jit import kernel
from ndmc_kernels.elementary import exp

Floats = NDArray[np.float64]

#: Multiply-adds of `multiply_adds` for each value.
_CHAIN = 32


@kernel("void(f8[::1], f8[::1], f8[::1])")
def triad(a: Floats, b: Floats, out: Floats) -> None:
    """Write a + 3 b: two values are read and one is written for each."""
    for n in range(out.shape[0]):
        out[n] = a[n] + 3.0 * b[n]


@kernel("void(f8[::1], f8[::1])")
def multiply_adds(x: Floats, out: Floats) -> None:
    """Do a chain of multiply-adds on each value, in registers."""
    for n in range(out.shape[0]):
        y = x[n]
        for _ in range(_CHAIN):
            y = y * y + x[n]
        out[n] = y


@kernel("void(f8[::1], f8[::1])")
def exponentials(x: Floats, out: Floats) -> None:
    """Write the exponential of each value."""
    for n in range(out.shape[0]):
        out[n] = exp(x[n])


@dataclass(frozen=True)
class Peaks:
    """Bytes, multiply-adds and exponentials a second."""

    bandwidth: float
    multiply_adds: float
    exponentials: float

    def seconds(self, size: float, multiply_adds: float, exponentials: float) -> float:
        """Return the least time that moving and computing so much can take.

        Examples
        --------
        >>> Peaks(8e9, 4e9, 1e9).seconds(8e9, 2e9, 5e9)
        5.0
        """
        return max(
            size / self.bandwidth,
            multiply_adds / self.multiply_adds,
            exponentials / self.exponentials,
        )


def measure(size: int) -> Peaks:
    """Measure for some tenths of a second; bandwidth with arrays of ``size`` bytes together.

    Examples
    --------
    >>> measure(2**20).bandwidth > 0
    True
    """
    long = [np.full(max(size // 24, 1), 0.1) for _ in range(3)]
    short = [np.full(1024, 0.1) for _ in range(2)]
    bandwidth = 24 * len(long[0]) / _quickest(lambda: triad(*long))
    chained = _CHAIN * len(short[0]) / _quickest(lambda: multiply_adds(*short))
    return Peaks(bandwidth, chained, len(short[0]) / _quickest(lambda: exponentials(*short)))


def _quickest(call: Callable[[], None]) -> float:
    """Return the shortest of many times, those of the first 0.1 s."""
    call()
    found, end = np.inf, time.perf_counter() + 0.1
    while (start := time.perf_counter()) < end:
        call()
        found = min(found, time.perf_counter() - start)
    return float(found)
