"""Survival curves and the ages at which they are evaluated."""

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special

from ndmc_kernels import survival

EPS = np.finfo(float).eps
CONVENTIONS = ["start", "middle", "end", "uniform"]


def lifetimes(cells=3, draws=64):
    """Return scales and shapes [cell, draw]."""
    rng = np.random.default_rng(1)
    return rng.uniform(2, 30, (cells, draws)), rng.uniform(0.5, 6, (cells, draws))


def curve(scale, shape, convention, ages=21, function=survival.weibull):
    """Return survival [cell, age, draw]."""
    nodes, weights = survival.quadrature(convention, ages)
    with np.errstate(divide="ignore"):
        log_ages = np.log(nodes)
    out = np.full((scale.shape[0], ages, scale.shape[1]), np.nan)
    function(scale, shape, log_ages, weights, out)
    return out


def closed_form(scale, shape, years):
    """Return the integral of Weibull survival over each year."""
    inverse = 1 / shape
    integral = (
        scale
        * special.gamma(1 + inverse)
        * special.gammainc(inverse, (np.arange(years + 1.0) / scale) ** shape)
    )
    return np.diff(integral)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_weibull_matches_reference(convention):
    """Equals SciPy's survival function at the nodes, summed."""
    scale, shape = lifetimes()
    expected = reference.weibull(scale, shape, *survival.quadrature(convention, 21))
    # Relative errors grow with the exponent: 700 eps where survival is about to underflow.
    assert_allclose(curve(scale, shape, convention), expected, rtol=1e-12, atol=1e-300)


def test_weibull_is_one_at_age_zero():
    """Keeps everything at age 0, whose logarithm is -inf."""
    assert_array_equal(curve(*lifetimes(), "end")[:, 0], 1.0)


def test_weibull_of_nonsense_is_nan():
    """Passes nan, and turns a negative scale into nan, instead of making up a number."""
    scale, shape = lifetimes(1)
    scale[0, 0], scale[0, 1], shape[0, 2] = -1.0, np.nan, np.nan
    got = curve(scale, shape, "middle")
    assert np.isnan(got[0, :, :3]).all()
    assert np.isfinite(got[0, :, 3:]).all()


def test_weibull_of_extremes():
    """Is 0 or 1 where a life ends at once or never, and where the shape is all but infinite."""
    scale = np.array([[0.0, 1e-300, 1e300, np.inf, 10.0, 10.0, 10.6]])
    shape = np.array([[2.0, 2.0, 2.0, 2.0, 1e4, 1e-4, 1e6]])
    got = curve(scale, shape, "middle")[0]
    assert_array_equal(got[:, :2], 0.0)
    assert_array_equal(got[:, 2:4], 1.0)
    assert_array_equal(got[:, 4], np.arange(21) < 10)
    assert_allclose(got[:, 5], np.exp(-1.0), rtol=1e-3)
    assert_array_equal(got[:, 6], np.arange(21) < 11)


@given(st.floats(-60.0, 6.5), st.floats(0.1, 8.0))
@settings(deadline=None, max_examples=200)
def test_weibull_errs_by_a_few_eps_a_unit_of_the_exponent(log_hazard, shape):
    """Errs relatively by no more than 16 eps times 1 + (age / scale)**shape."""
    scale = np.array([[10.5 / np.exp(log_hazard / shape)]])
    got = curve(scale, np.array([[shape]]), "middle", ages=11)[0, 10, 0]
    hazard = (10.5 / np.longdouble(scale[0, 0])) ** np.longdouble(shape)
    assert abs(got / np.exp(-hazard) - 1) <= 16 * EPS * (1 + hazard)


@pytest.mark.parametrize("draws", [1, 7, 16, 30])
def test_weibull_of_any_number_of_draws(draws):
    """Gives a draw the same bits where draws do not fill the lanes."""
    scale, shape = lifetimes(draws=64)
    some = curve(scale[:, :draws].copy(), shape[:, :draws].copy(), "middle")
    assert_array_equal(some, curve(scale, shape, "middle")[:, :, :draws])


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_weibull_falls_with_age(convention):
    """Never rises, and stays within [0, 1]."""
    got = curve(*lifetimes(), convention, ages=60)
    assert np.all(np.diff(got, axis=1) <= 0)
    assert got.min() >= 0
    assert got.max() <= 1


@pytest.mark.parametrize("convention", ["middle", "uniform"])
def test_weibull_does_not_depend_on_the_tile(convention):
    """Gives a draw the same bits at any width and place."""
    scale, shape = lifetimes(draws=512)
    whole = curve(scale, shape, convention)
    part = curve(scale[:, 64:192].copy(), shape[:, 64:192].copy(), convention)
    assert_array_equal(part, whole[:, :, 64:192])


def test_integer_density_matches_reference():
    """Equals 1 minus the sum of SciPy's densities."""
    scale, shape = lifetimes()
    got = np.full((3, 30, 64), np.nan)
    survival.weibull_integer_density(scale, shape, got)
    expected = reference.weibull_integer_density(scale, shape, 30)
    assert_allclose(got, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("convention", "shift"), [("start", 1.0), ("middle", 0.5), ("end", 0.0)])
def test_quadrature_of_a_moment_is_one_age(convention, shift):
    """Evaluates survival once a year, at the end, the middle or the start of each year of age."""
    nodes, weights = survival.quadrature(convention, 5)
    assert_array_equal(nodes[:, 0], np.arange(5) + shift)
    assert_array_equal(weights, np.ones((5, 1)))


def test_quadrature_refuses_other_conventions():
    """Knows four conventions."""
    with pytest.raises(KeyError, match="sometime"):
        survival.quadrature("sometime", 5)


@pytest.mark.parametrize("shape", [0.3, 0.5, 0.8, 1.0, 1.38, 2.0, 3.6, 7.0, 10.0])
@pytest.mark.parametrize("scale", [1.5, 2.0, 4.0, 11.3, 50.0])
def test_uniform_quadrature_matches_the_closed_form(shape, scale):
    """Integrates each year to 1e-12, the first one included."""
    nodes, weights = survival.quadrature("uniform", 40)
    got = (weights * np.exp(-((nodes / scale) ** shape))).sum(axis=1)
    assert_allclose(got, closed_form(scale, shape, 40), rtol=0, atol=1e-12)


def test_uniform_quadrature_of_a_one_year_life():
    """Errs by less than 1e-7 even where nearly everything leaves around its first birthday."""
    nodes, weights = survival.quadrature("uniform", 3)
    got = (weights * np.exp(-(nodes**10.0))).sum(axis=1)
    assert_allclose(got, closed_form(1.0, 10.0, 3), rtol=0, atol=1e-7)
