"""Survival functions: the share of a cohort still in use at the end of each year of its age."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ndmc_kernels._jit import inline, kernel
from ndmc_kernels._lanes import WIDTH, exponents, give, load, store, take, within
from ndmc_kernels.elementary import exp, log

Floats = NDArray[np.float64]

_LOG2_E = 1.4426950408889634
_LOG2_LOG2_E = 0.5287663729448977
# Adding 1.5 * 2**52 leaves the nearest integer in the low bits; with 1023 more they are the
# exponent of a double, with another 2048 also its minus sign.
_ROUND = 6755399441055744.0 + 1023.0
_ROUND_MINUS = _ROUND + 2048.0


@inline
def weibull_lanes(scale: Floats, shape: Floats, cell: int, first: int, room: Floats) -> Any:
    """Return lanes of log(scale) and of log2(e) shape; room is two rows of scratch."""
    take(scale, cell, first, room, 0)
    take(shape, cell, first, room, 1)
    for lane in range(WIDTH):
        room[0, lane] = log(room[0, lane])
    return load(room, 0, 0), load(room, 1, 0) * _LOG2_E


@inline
def weibull_left(log_scale: Any, rate: Any, log_ages: Floats, weights: Floats, age: int) -> Any:
    """Sum Weibull survival of lanes over the nodes [age, node] of one year."""
    left = weights[age, 0] * _outlasting(rate * (log_ages[age, 0] - log_scale) + _LOG2_LOG2_E)
    for node in range(1, log_ages.shape[1]):
        power = rate * (log_ages[age, node] - log_scale) + _LOG2_LOG2_E
        left = left + weights[age, node] * _outlasting(power)
    return left


@inline
def _outlasting(power: Any) -> Any:
    """Return 2**-(2**power), which is 1 below -100 and 0 from 1023 = 2**9.9986 on."""
    # Clipped, both stay within the normal range, and neither has to be tested for leaving it. With
    # powers of 2 what is left after the nearest integer is exact: 2.5 ns, 5.3 with two of
    # `elementary.exp` (256 bits). As two passes over the ages it takes as long.
    power = within(power, -100.0, 9.998590429745329)
    shifted = power + _ROUND_MINUS
    decay = _fraction_power(power - (shifted - _ROUND_MINUS)) * exponents(shifted)
    shifted = decay + _ROUND
    return _fraction_power(decay - (shifted - _ROUND)) * exponents(shifted)


@inline
def _fraction_power(r: Any) -> Any:
    """Return 2**r for |r| <= 1/2 to 2.3e-16, relatively, and exactly 1 at 0."""
    y = r * 7.038181944902805e-09 + 1.0208323021902605e-07
    y = y * r + 1.3215653581253726e-06
    y = y * r + 1.5252659427522834e-05
    y = y * r + 0.00015403529994273285
    y = y * r + 0.001333355822580064
    y = y * r + 0.009618129107983117
    y = y * r + 0.05550410866448182
    y = y * r + 0.240226506959091
    y = y * r + 0.6931471805599492
    return y * r + 1.0


@kernel("void(f8[:, ::1], f8[:, ::1], f8[:, ::1], f8[:, ::1], f8[:, :, ::1])")
def weibull(scale: Floats, shape: Floats, log_ages: Floats, weights: Floats, out: Floats) -> None:
    """Sum Weibull survival over the nodes [age, node] of each year; scale, shape [cell, draw]."""
    ages, draws = out.shape[1:]
    room, spare = np.empty((2, WIDTH)), np.empty((ages, WIDTH))
    for cell in range(out.shape[0]):
        left = out[cell] if draws >= WIDTH else spare
        for block in range(0, draws, WIDTH):
            first = max(min(block, draws - WIDTH), 0)
            log_scale, rate = weibull_lanes(scale, shape, cell, first, room)
            for age in range(ages):
                store(left, age, first, weibull_left(log_scale, rate, log_ages, weights, age))
        if draws < WIDTH:
            give(spare, out[cell])


@kernel("void(f8[:, ::1], f8[:, ::1], f8[:, :, ::1])")
def weibull_integer_density(scale: Floats, shape: Floats, out: Floats) -> None:
    """Subtract Weibull densities at integer ages from 1 (Eq. 7, Xiong et al. 2025).

    Scale and shape are [cell, draw], out is [cell, age, draw]. It does not conserve mass.
    """
    for cell in range(out.shape[0]):
        eta, beta, newest = scale[cell], shape[cell], out[cell, 0]
        for draw in range(newest.shape[0]):
            newest[draw] = 1.0
        for age in range(1, out.shape[1]):
            before, after = out[cell, age - 1], out[cell, age]
            log_age = np.log(age)
            for draw in range(after.shape[0]):
                hazard = exp(beta[draw] * (log_age - log(eta[draw])))
                after[draw] = before[draw] - beta[draw] / age * hazard * exp(-hazard)


def quadrature(convention: str, ages: int, panels: int = 1) -> tuple[Floats, Floats]:
    """Return the ages at which to evaluate survival, and their weights, [age, node].

    Parameters
    ----------
    convention
        When in its year a cohort flows in: "start", "middle", "end", or "uniform" (all year).
    ages
        Number of ages, in whole years from 0.
    panels
        Parts of a year under "uniform", each with 20 nodes: lifetimes short or narrow against a
        year need more than one.
    """
    years = np.arange(float(ages))[:, None]
    if convention != "uniform":
        return years + {"start": 1.0, "middle": 0.5, "end": 0.0}[convention], np.ones_like(years)
    # 20 nodes keep shapes from 0.3 to 10 within 1e-12 at scales from 1.5 years (16 nodes: 4e-11).
    x, w = np.polynomial.legendre.leggauss(20)
    x, w = (x + 1.0) / 2.0, w / 2.0
    part = ((np.arange(panels)[:, None] + x) / panels).reshape(-1)
    nodes, weights = years + part, np.tile(w / panels, (ages, panels))
    # Survival is not smooth at age 0, so substitute a = v**4 there: the error at shape 0.3 falls
    # from 4e-5 to below 1e-13.
    nodes[:1, :20], weights[:1, :20] = x**4 / panels, 4.0 * x**3 * w / panels
    return nodes, weights
