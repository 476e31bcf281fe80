"""The scalar functions inside the kernels, over their whole domain."""

import math

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
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


@kernel("void(f8[::1], f8[::1], f8[::1])")
def powers(x, y, out):
    """Take each element to the power of another."""
    for i in range(x.shape[0]):
        out[i] = elementary.power(x[i], y[i])


@kernel("void(f8[::1], f8[::1])")
def quantiles(u, out):
    """Take the normal quantile of each element."""
    for i in range(u.shape[0]):
        central = elementary.is_central(u[i])
        out[i] = elementary.central_quantile(u[i]) if central else elementary.tail_quantile(u[i])


@kernel("void(f8[::1], f8[::1])")
def probabilities(z, out):
    """Take the normal probability of each element."""
    for i in range(z.shape[0]):
        out[i] = elementary.normal_cdf(z[i])


def apply(function, *arguments):
    """Return the function of each element."""
    out = np.empty_like(arguments[0])
    function(*arguments, out)
    return out


def between(low, high, size=1 << 16):
    """Return evenly spread numbers, jittered off the grid."""
    rng = np.random.default_rng(1)
    return low + (high - low) * (np.arange(size) + rng.random(size)) / size


@pytest.mark.parametrize("x", [between(-708.04, 709.78), between(-1, 1), between(-1e-9, 1e-9)])
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
    """Overflows to inf, flushes to 0 close to the end of the normal range, and passes nan."""
    largest = math.log(np.finfo(float).max)
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, largest, 709.79, 1e300, -708.4, -745, -1e300])
    expected = [np.nan, np.inf, 0.0, 1.0, 1.0, math.exp(largest), np.inf, np.inf, 0.0, 0.0, 0.0]
    assert_allclose(apply(exps, x), expected, rtol=EPS)
    odd_nans = np.array([0x7FF00000000007A2, -1, 0x7FF7FFFFFFFFFFFF]).view(float)
    assert np.isnan(apply(exps, odd_nans)).all()


@given(st.floats())
def test_exp_of_any_double(x):
    """Errs by less than 0.75 eps, or is the 0 or inf that is due, for any bits."""
    (got,) = apply(exps, np.array([x]))
    if math.isnan(x):
        assert math.isnan(got)
        return
    with np.errstate(over="ignore", under="ignore"):
        expected = np.exp(np.longdouble(x))
    if x < -708.05:
        assert got <= 3.2e-308
    elif x > math.log(np.finfo(float).max):
        assert got == np.inf
    else:
        assert abs(got / expected - 1) < 0.75 * EPS


def test_log_at_the_edges():
    """Is -inf at either zero, nan below, inf at inf, and passes nan."""
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, -1.0, -5e-324, 1.0, 5e-324])
    expected = [np.nan, np.inf, np.nan, -np.inf, -np.inf, np.nan, np.nan, 0.0, math.log(5e-324)]
    assert_array_equal(apply(logs, x), expected)


def powers_of_any_size():
    """Yield bases and exponents whose powers fill the range of doubles."""
    rng = np.random.default_rng(2)
    size = 1 << 16
    target = rng.uniform(-708, 709.7, size)
    x = np.exp(rng.uniform(-744, 709, size))  # subnormal ones included
    yield pytest.param(x, target / np.log(x), id="any base")
    x = 1 + np.ldexp(1.0, -rng.integers(1, 53, size)) * rng.choice([-0.5, 1.0], size)
    yield pytest.param(x, target / np.log(x), id="bases near 1")
    x, y = rng.uniform(-10, 10, size), rng.integers(-200, 200, size).astype(float)
    yield pytest.param(x, y, id="whole powers of either sign")


@pytest.mark.parametrize(("x", "y"), [*powers_of_any_size()])
def test_power_is_accurate(x, y):
    """Errs by less than 1 eps, relatively, against extended precision."""
    expected = x.astype(np.longdouble) ** y.astype(np.longdouble)
    normal = (np.abs(expected) > 3.2e-308) & (np.abs(expected) < np.finfo(float).max)
    got = apply(powers, x, y)
    assert np.max(np.abs(got / expected - 1)[normal]) < EPS
    assert normal.mean() > 0.9


def test_power_is_exact_where_whole_numbers_are():
    """Gives 8 for 2**3."""
    x, y = (a.ravel().astype(float) for a in np.meshgrid(np.arange(1, 30), np.arange(11)))
    assert_array_equal(apply(powers, x, y), x**y)


def test_power_at_the_edges():
    """Answers as C's pow for zeros, infinities, nan, negative bases and whole exponents."""
    edges = [0.0, 0.5, 1.0, 2.0, 3.0, 7.5, np.inf, 1e300, 2.0**53, 2.0**53 + 2]
    x, y = (a.ravel() for a in np.meshgrid(*[np.array([*edges, *np.negative(edges), np.nan])] * 2))
    with np.errstate(all="ignore"):
        expected = x**y
    got = apply(powers, x, y)
    assert_allclose(got, expected, rtol=EPS)
    signed = ~np.isnan(expected)
    assert_array_equal(np.signbit(got)[signed], np.signbit(expected)[signed])


@given(st.floats(), st.floats())
def test_power_of_any_doubles(x, y):
    """Is what Python has, for any bits, or 0 where that is below 3.2e-308."""
    (got,) = apply(powers, np.array([x]), np.array([y]))
    with np.errstate(all="ignore"):
        expected = np.float64(x) ** np.float64(y)
    if abs(expected) < 3.2e-308:
        assert abs(got) <= 3.2e-308
        assert np.signbit(got) == np.signbit(expected)
    else:
        assert_allclose(got, expected, rtol=2 * EPS)


@pytest.mark.parametrize(
    ("low", "high"), [(0.4, 0.5), (0.003, 0.4), (2**-53, 0.003), (5e-324, 2**-53)]
)
def test_normal_quantile_is_accurate(low, high):
    """Errs by less than 1e-15, relatively, against a series in decimals, subnormal u included."""
    u = np.exp(between(math.log(low), math.log(high), 100))
    scores = apply(quantiles, u)
    errors = [reference.normal_quantile_error(*pair) for pair in zip(u, scores, strict=True)]
    assert np.max(np.abs(errors)) < 1e-15
    upper = 1 - u[u > 1e-10]
    errors = map(reference.normal_quantile_error, upper, apply(quantiles, upper))
    assert max(map(abs, errors), default=0) < 1e-15


def test_normal_quantile_at_the_edges():
    """Is infinite at 0 and 1, nan beyond them, and passes nan."""
    u = np.array([0.0, 1.0, -0.0, -1e-300, 1.0 + 1e-15, np.inf, -np.inf, np.nan])
    expected = [-np.inf, np.inf, -np.inf, *[np.nan] * 5]
    assert_array_equal(apply(quantiles, u), expected)


def test_normal_quantile_rises_over_the_seams():
    """Does not fall back where the centre meets the tails, and these the far tails."""
    for seam in (0.003, 0.997, math.exp(-25)):
        u = seam * (1 + np.arange(-2000, 2000) * 1e-14)
        assert (np.diff(apply(quantiles, u)) >= -1e-15 * abs(special.ndtri(seam))).all()


def test_normal_quantile_matches_scipy():
    """Agrees with SciPy to 4e-15, relatively, from 2**-53 to 1 - 2**-53."""
    tail = np.exp(between(math.log(2**-53), math.log(0.5)))
    u = np.concatenate([tail, 1 - tail, between(0, 1), [2.0**-53, 1 - 2.0**-53, 0.003, 0.997]])
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


@pytest.mark.parametrize(
    ("kernel", "operation"), [(exps, "fmadd"), (logs, "div"), (powers, "div"), (quantiles, "div")]
)
def test_functions_use_vector_registers(kernel, operation):
    """Finds the costliest arithmetic packed in wide registers, where there are any."""
    assert operation in reference.packed_arithmetic(kernel)


def test_normal_cdf_matches_scipy():
    """Agrees with SciPy in both tails."""
    z = between(-37, 8)
    # The rounding of z / sqrt(2) alone is worth z**2 eps in the far tail.
    assert_allclose(apply(probabilities, z), special.ndtr(z), rtol=37**2 * EPS)
