"""Move mass between the cells of a balance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ndmc_kernels._jit import kernel

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@kernel("void(f8[:, ::1], i8[::1], f8, f8[:, ::1])")
def accumulate(source: Floats, target_of: Integers, sign: float, out: Floats) -> None:
    """Add each source row [row, draw], times the sign, to its target row of out [cell, draw]."""
    for row in range(source.shape[0]):
        term = source[row]
        total = out[target_of[row]]
        for draw in range(term.shape[0]):
            total[draw] += sign * term[draw]


@kernel("void(f8[:, ::1], i8[::1], f8[:, ::1], i8[::1], f8[:, ::1])")
def transfer(
    total: Floats, total_of: Integers, share: Floats, share_of: Integers, out: Floats
) -> None:
    """Send a share [cell, draw] of a total [cell, draw] along each row of out [row, draw]."""
    for row in range(out.shape[0]):
        whole = total[total_of[row]]
        part = share[share_of[row]]
        flow = out[row]
        for draw in range(flow.shape[0]):
            flow[draw] = whole[draw] * part[draw]


@kernel("void(f8[:, ::1], f8[::1])")
def greatest(source: Floats, out: Floats) -> None:
    """Raise out [draw] to the largest absolute value of each draw of [row, draw]; nan stays."""
    for row in range(source.shape[0]):
        for draw in range(out.shape[0]):
            size = abs(source[row, draw])
            out[draw] = size if (size > out[draw]) | (size != size) else out[draw]
