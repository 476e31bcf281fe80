"""Stocks by cohort: laws of the domain, and flodym."""

import flodym
import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special

from ndmc_kernels import cohort, survival

EPS = np.finfo(float).eps
unhurried = settings(deadline=None, max_examples=50)


def run(inflow, share, convolve=cohort.convolve):
    """Return stock and outflow."""
    stock, outflow = np.full((2, *inflow.shape), np.nan)
    gone = -np.diff(share, axis=1, prepend=1.0)
    convolve(inflow, share, stock)
    convolve(inflow, gone, outflow)
    return stock, outflow


@st.composite
def histories(draw):
    """Draw inflow and falling survival [cell, year, draw] of random shape and size."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    cells, years, tiles = draw(st.integers(1, 3)), draw(st.integers(1, 30)), draw(st.integers(1, 3))
    inflow = rng.lognormal(draw(st.floats(-20, 20)), 2, (cells, years, 64 * tiles))
    share = np.cumprod(rng.beta(draw(st.floats(0.5, 20)), 1, inflow.shape), axis=1)
    return inflow, share


@given(histories())
@unhurried
def test_cohort_matches_reference(history):
    """Equals the double loop over years and cohorts."""
    for got, expected in zip(run(*history), reference.cohort(*history), strict=True):
        assert_allclose(got, expected, rtol=1e-12)


def test_cohort_body_matches_reference():
    """Equals the twin as plain Python."""
    rng = np.random.default_rng(1)
    inflow, share = rng.random((2, 1, 6, 2))
    got = run(inflow, share, cohort.convolve.py_func)
    for one, expected in zip(got, reference.cohort(inflow, share), strict=True):
        assert_allclose(one, expected, rtol=1e-12)


@given(histories())
@unhurried
def test_mass_is_conserved(history):
    """Everything that came in is in stock or has left."""
    inflow, share = history
    stock, outflow = run(inflow, share)
    came, left = np.cumsum(inflow, axis=1), np.cumsum(outflow, axis=1)
    assert_allclose(came - left, stock, rtol=0, atol=64 * EPS * came.max())


@given(histories())
@unhurried
def test_every_year_balances(history):
    """Inflow less outflow is the change of stock in each year."""
    inflow, share = history
    stock, outflow = run(inflow, share)
    change = np.diff(stock, axis=1, prepend=0)
    assert_allclose(
        inflow - outflow, change, rtol=0, atol=64 * EPS * max(stock.max(), inflow.max())
    )


@given(histories())
@unhurried
def test_nothing_is_negative(history):
    """Falling survival gives stocks and outflows of at least zero, without rounding below it."""
    stock, outflow = run(*history)
    assert stock.min() >= 0
    assert outflow.min() >= 0


@given(histories(), st.floats(-3, 3))
@unhurried
def test_cohort_is_linear(history, factor):
    """A sum of inflows gives the sum of stocks and outflows."""
    inflow, share = history
    other = inflow[:, ::-1].copy()
    both = run(inflow + factor * other, share)
    parts = zip(run(inflow, share), run(other, share), strict=True)
    for got, (one, two) in zip(both, parts, strict=True):
        assert_allclose(got, one + factor * two, rtol=0, atol=64 * EPS * 4 * inflow.sum(1).max())


@given(histories())
@unhurried
def test_cohort_does_not_know_the_calendar(history):
    """A year without inflow in front shifts stock and outflow by a year, to rounding."""
    inflow, share = history
    late = np.concatenate([np.zeros_like(inflow[:, :1]), inflow], axis=1)
    longer = np.concatenate([share, share[:, -1:]], axis=1)
    for got, expected in zip(run(late, longer), run(inflow, share), strict=True):
        assert_array_equal(got[:, 0], 0)
        assert_allclose(got[:, 1:], expected, rtol=64 * EPS)


@given(histories())
@unhurried
def test_draws_do_not_depend_on_the_tile(history):
    """Gives a draw the same bits whatever the width and its neighbours."""
    inflow, share = history
    half = inflow.shape[2] - 64
    parts = run(inflow[:, :, half:].copy(), share[:, :, half:].copy())
    for got, expected in zip(parts, run(inflow, share), strict=True):
        assert_array_equal(got, expected[:, :, half:])


def weibull(scale, shape, convention, years):
    """Return survival [1, age, 64]."""
    nodes, weights = survival.quadrature(convention, years)
    with np.errstate(divide="ignore"):
        log_ages = np.log(nodes)
    out = np.empty((1, years, 64))
    survival.weibull(np.full((1, 64), scale), np.full((1, 64), shape), log_ages, weights, out)
    return out


@pytest.mark.parametrize(("scale", "shape"), [(4.0, 1.38), (8.0, 2.0), (11.0, 3.5)])
def test_steady_state_is_inflow_times_mean_lifetime(scale, shape):
    """A constant inflow fills the stock up to inflow times mean lifetime, and then leaves."""
    years = 80
    stock, outflow = run(np.full((1, years, 64), 3.0), weibull(scale, shape, "uniform", years))
    assert_allclose(stock[0, -1], 3 * scale * special.gamma(1 + 1 / shape), rtol=1e-12)
    assert_allclose(outflow[0, -1], 3.0, rtol=1e-12)


@pytest.mark.parametrize("inflow_at", ["start", "middle", "end"])
@pytest.mark.parametrize(("scale", "shape"), [(4.0, 1.38), (10.2, 0.8), (15.0, 3.6)])
def test_cohort_agrees_with_flodym(inflow_at, scale, shape):
    """Agrees with flodym's inflow-driven model to 1e-12 of the largest stock."""
    years = 40
    inflow = np.random.default_rng(1).lognormal(0, 0.5, years)
    time = flodym.Dimension(
        name="time", letter="t", items=list(range(2000, 2000 + years)), dtype=int
    )
    dims = flodym.DimensionSet(dim_list=[time])
    lifetime = flodym.WeibullLifetime(dims=dims, time_letter="t", inflow_at=inflow_at)
    lifetime.weibull_scale, lifetime.weibull_shape = scale, shape
    model = flodym.InflowDrivenDSM(
        dims=dims,
        inflow=flodym.StockArray(dims=dims, values=inflow),
        lifetime_model=lifetime,
        time_letter="t",
    )
    model.compute()
    tiled = np.repeat(inflow[None, :, None], 64, axis=2)
    stock, outflow = run(tiled, weibull(scale, shape, inflow_at, years))
    tolerance = 1e-12 * stock.max()
    assert_allclose(stock[0, :, 0], model.stock.values, rtol=0, atol=tolerance)
    assert_allclose(outflow[0, :, 0], model.outflow.values, rtol=0, atol=tolerance)
