"""The scalar functions inside the kernels, over their whole domain."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special

from ndmc_kernels import elementary
from ndmc_kernels._jit import kernel

EPS = np.finfo(float).eps


@kernel("void(f8[::1], f8[::1])")
def exps(x, out):
    """Take exp of each element."""
    for i in range(x.shape[0]):
        out[i] = elementary.exp(x[i])


@kernel("void(f8[::1], f8[::1])")
def logs(x, out):
    """Take log of each element."""
    for i in range(x.shape[0]):
        out[i] = elementary.log(x[i])


@kernel("void(f8[::1], f8[::1])")
def quantiles(u, out):
    """Take the normal quantile of each element."""
    for i in range(u.shape[0]):
        out[i] = elementary.normal_quantile(u[i])


@kernel("void(f8[::1], f8[::1])")
def probabilities(z, out):
    """Take the normal probability of each element."""
    for i in range(z.shape[0]):
        out[i] = elementary.normal_cdf(z[i])


def apply(function, x):
    """Return the function of each element."""
    out = np.empty_like(x)
    function(x, out)
    return out


def between(low, high, size=1 << 16):
    """Return evenly spread numbers, jittered off the grid."""
    rng = np.random.default_rng(1)
    return low + (high - low) * (np.arange(size) + rng.random(size)) / size


@pytest.mark.parametrize("x", [between(-708.39, 709.78), between(-1, 1), between(-1e-9, 1e-9)])
def test_exp_is_accurate(x):
    """Errs by less than 0.75 eps, relatively, against extended precision."""
    got, expected = apply(exps, x), np.exp(x.astype(np.longdouble))
    assert np.max(np.abs(got / expected - 1)) < 0.75 * EPS


@pytest.mark.parametrize(
    "x", [np.exp(between(-744, 709)), between(0.5, 2.0), 1 + between(-1e-9, 1e-9)]
)
def test_log_is_accurate(x):
    """Errs by less than 0.75 eps, relatively, subnormal numbers included."""
    got, expected = apply(logs, x), np.log(x.astype(np.longdouble))
    assert np.max(np.abs(got / expected - 1)) < 0.75 * EPS


def test_exp_at_the_edges():
    """Overflows to inf, flushes below the normal range to 0, and passes nan."""
    largest = math.log(np.finfo(float).max)
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, largest, 709.79, 1e300, -708.4, -745, -1e300])
    expected = [np.nan, np.inf, 0.0, 1.0, 1.0, math.exp(largest), np.inf, np.inf, 0.0, 0.0, 0.0]
    assert_allclose(apply(exps, x), expected, rtol=EPS)


def test_log_at_the_edges():
    """Is -inf at either zero, nan below, inf at inf, and passes nan."""
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, -1.0, -5e-324, 1.0, 5e-324])
    expected = [np.nan, np.inf, np.nan, -np.inf, -np.inf, np.nan, np.nan, 0.0, math.log(5e-324)]
    assert_array_equal(apply(logs, x), expected)


def test_normal_quantile_matches_scipy():
    """Agrees with SciPy to 4e-15, relatively, from 2**-53 to 1 - 2**-53."""
    tail = np.exp(between(math.log(2**-53), math.log(0.5)))
    u = np.concatenate([tail, 1 - tail, between(0, 1), [2.0**-53, 1 - 2.0**-53, 0.075, 0.925]])
    assert_allclose(apply(quantiles, u), special.ndtri(u), rtol=4e-15, atol=0)


def test_normal_quantile_reaches_the_smallest_probabilities():
    """Stays accurate for truncation far out, down to a probability of 1e-300."""
    u = np.exp(between(math.log(1e-300), math.log(2**-53)))
    assert_allclose(apply(quantiles, u), special.ndtri(u), rtol=4e-15)


def test_normal_quantile_is_odd():
    """Is 0 at one half, and mirrors exactly where 1 - u is exact."""
    u = (np.arange(1, 2**12) / 2**12).copy()
    got = apply(quantiles, u)
    assert_array_equal(got, -got[::-1])


def test_normal_cdf_matches_scipy():
    """Agrees with SciPy in both tails."""
    z = between(-37, 8)
    # The rounding of z / sqrt(2) alone is worth z**2 eps in the far tail.
    assert_allclose(apply(probabilities, z), special.ndtr(z), rtol=37**2 * EPS)
