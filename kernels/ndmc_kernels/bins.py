"""Sums of values over bins of the inputs that they were computed from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ndmc_kernels._jit import kernel

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

#: Values of a draw that are added at once: 32 bins of as many stay in the first cache.
_COLUMNS = 96


@kernel("void(i8[:, ::1], f8[:, ::1], f8[:, :, ::1])")
def add_to_bins(bins: Integers, values: Floats, sums: Floats) -> None:
    """Add values [draw, column] to sums [input, bin, column], by the bins [input, draw]."""
    draws, columns = np.uint64(values.shape[0]), np.uint64(values.shape[1])
    for first in range(np.uint64(0), columns, np.uint64(_COLUMNS)):
        stop = min(first + np.uint64(_COLUMNS), columns)
        for n in range(sums.shape[0]):
            for draw in range(draws):
                row = np.uint64(bins[n, draw])
                for column in range(first, stop):
                    sums[n, row, column] += values[draw, column]
