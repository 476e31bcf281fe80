"""Inflow-driven stocks: every year's inflow is a cohort that leaves with age."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ndmc_kernels._jit import kernel

Floats = NDArray[np.float64]


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
