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


@pytest.mark.parametrize("draws", [1, 15, 16, 17, 40, 200])
@pytest.mark.parametrize("years", [1, 2, 3, 4, 9])
def test_any_number_of_draws_and_years_will_do(draws, years):
    """Equals the twin where draws do not fill the lanes, and years not the groups of three."""
    inflow, share = np.random.default_rng(1).random((2, 2, years, draws))
    for got, expected in zip(run(inflow, share), reference.cohort(inflow, share), strict=True):
        assert_allclose(got, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("draws", [8, 64])
def test_what_is_not_a_number_stays_in_its_draw_and_its_future(draws):
    """A year that is not a number spoils no other draw and no earlier year."""
    inflow, share = np.random.default_rng(1).random((2, 1, 9, draws))
    inflow[0, 4, 3] = np.nan
    stock, _ = run(inflow, share)
    bad = np.zeros(stock.shape, dtype=bool)
    bad[0, 4:, 3] = True
    assert_array_equal(np.isnan(stock), bad)


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


def lifetimes(cells, years, draws, convention):
    """Return scale and shape [cell, draw], logarithms and weights of the nodes, and inflow."""
    rng = np.random.default_rng(1)
    nodes, weights = survival.quadrature(convention, years)
    with np.errstate(divide="ignore"):
        log_ages = np.log(nodes)
    scale, shape = rng.uniform(2, 30, (cells, draws)), rng.uniform(0.5, 6, (cells, draws))
    return (scale, shape, log_ages, weights), rng.lognormal(0, 1, (cells, years, draws))


@pytest.mark.parametrize("convention", ["start", "middle", "end", "uniform"])
@pytest.mark.parametrize("draws", [1, 16, 23, 64])
def test_weibull_cohorts_match_reference(convention, draws):
    """Stock and release are those of the inflow and SciPy's survival function."""
    life, inflow = lifetimes(2, 8, draws, convention)
    stock, release = np.full((2, *inflow.shape), np.nan)
    cohort.weibull_cohorts(*life, inflow, stock, release)
    nodes, _ = survival.quadrature(convention, 8)
    expected = reference.weibull_cohorts(*life[:2], nodes, life[3], inflow)
    assert_allclose(stock, expected[0], rtol=1e-12)
    assert_allclose(release, expected[1], rtol=1e-12, atol=4 * EPS * inflow.max())


@pytest.mark.parametrize("convention", ["middle", "uniform"])
def test_weibull_cohorts_are_survival_and_convolution(convention):
    """Has the bits of survival first and convolution then, also in a buffer and without release."""
    life, inflow = lifetimes(3, 21, 192, convention)
    share, stock, alone = np.empty((3, *inflow.shape))
    survival.weibull(*life, share)
    expected = run(inflow, share)
    room = np.full((200, 192), np.nan)
    release = room[63:126].reshape(inflow.shape)
    cohort.weibull_cohorts(*life, inflow, stock, release)
    cohort.weibull_cohorts(*life, inflow, alone, np.empty((0, 21, 192)))
    assert_array_equal(stock, expected[0])
    assert_array_equal(release, expected[1])
    assert_array_equal(alone, stock)
    assert np.isnan(np.delete(room, slice(63, 126), axis=0)).all()


def test_weibull_cohorts_conserve_mass():
    """Everything that came in is in stock or has left, and nothing is negative."""
    life, inflow = lifetimes(5, 60, 64, "middle")
    stock, release = np.empty((2, *inflow.shape))
    cohort.weibull_cohorts(*life, inflow, stock, release)
    came, left = np.cumsum(inflow, axis=1), np.cumsum(release, axis=1)
    assert_allclose(came - left, stock, rtol=0, atol=64 * EPS * came.max())
    assert release.min() >= 0


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


# --- initial stocks, prescribed stocks and profiles -----------------------------------------------


@st.composite
def parts(draw):
    """Draw inflow [cell, year, draw] and shares [part, cell, age, draw] of a stock with a loss."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    cells, years, draws = draw(st.integers(1, 3)), draw(st.integers(1, 12)), draw(st.integers(1, 5))
    inflow = rng.lognormal(draw(st.floats(-5, 5)), 1, (cells, years, draws))
    left = np.cumprod(rng.beta(draw(st.floats(0.5, 20)), 1, inflow.shape), axis=1)
    rate = rng.uniform(0, 0.3, (cells, 1, draws)) * (np.arange(years) > 0)[:, None]
    still = np.cumprod(1 - rate, axis=1)
    before = np.concatenate([np.ones_like(still[:, :1]), still[:, :-1]], axis=1)
    gone = -np.diff(left, axis=1, prepend=1.0) * before
    return inflow, np.stack([left * still, gone, left * before * rate]), rng


def bodies(kernel):
    """Return a kernel compiled, and as plain Python."""
    return [kernel, kernel.py_func]


@pytest.mark.parametrize("correlate", bodies(cohort.correlate))
@settings(deadline=None, max_examples=25)
@given(drawn=parts(), more=st.integers(0, 5))
def test_correlate_matches_reference(correlate, drawn, more):
    """Weights times their shares each year later are the double loop's."""
    weight, _, rng = drawn
    share = rng.random((weight.shape[0], weight.shape[1] + more, weight.shape[2]))
    out = np.full((weight.shape[0], more + 1, weight.shape[2]), np.nan)
    correlate(weight, share, out)
    expected = reference.correlate(weight, share, more + 1)
    assert_allclose(out, expected, rtol=64 * EPS)


@pytest.mark.parametrize("spread", bodies(cohort.spread))
@settings(deadline=None, max_examples=25)
@given(drawn=parts(), data=st.data())
def test_spread_matches_reference(spread, drawn, data):
    """One year's inflow reaches the later years as the twin's does."""
    inflow, shares, rng = drawn
    year = data.draw(st.integers(0, inflow.shape[1] - 1))
    out = rng.random(shares.shape)
    expected = reference.spread(year, inflow, shares, out)
    spread(year, inflow, shares, out)
    assert_allclose(out, expected, rtol=4 * EPS)


@settings(deadline=None, max_examples=25)
@given(drawn=parts())
def test_spread_of_every_year_is_the_convolution(drawn):
    """Year by year the parts add up to what convolve makes of them at once."""
    inflow, shares, _ = drawn
    out = np.zeros_like(shares)
    for year in range(inflow.shape[1]):
        cohort.spread(year, inflow, shares, out)
    for part, share in zip(out, shares, strict=True):
        whole = np.empty_like(inflow)
        cohort.convolve(inflow, np.ascontiguousarray(share), whole)
        assert_allclose(part, whole, rtol=64 * EPS)


@pytest.mark.parametrize("drive", bodies(cohort.drive))
@pytest.mark.parametrize("answer", [0, 1, 2])
@settings(deadline=None, max_examples=25)
@given(drawn=parts(), data=st.data())
def test_drive_matches_reference(drive, answer, drawn, data):
    """Inflow, what is kept and what is left are the twin's, for each answer to a fall."""
    level, shares, rng = drawn
    year = data.draw(st.integers(0, level.shape[1] - 1))
    out = rng.lognormal(0, 1, shares.shape) * level.mean()
    inflow, kept = np.full_like(level, np.nan), np.ones_like(level)
    shortfall = np.zeros((level.shape[0], level.shape[2]))
    expected = reference.drive(year, level, shares, answer, out)
    drive(year, level, shares, answer, inflow, kept, out, shortfall)
    scale = max(out.max(), level.max())
    assert_allclose(inflow[:, year], expected[0], rtol=4 * EPS)
    assert_allclose(kept[:, year], expected[1], rtol=4 * EPS)
    assert_allclose(out, expected[2], rtol=0, atol=8 * EPS * scale)
    assert_array_equal(shortfall, np.minimum(expected[3], 0))
    assert_array_equal(np.delete(kept, year, axis=1), 1)


@pytest.mark.parametrize("profile", bodies(cohort.profile))
@pytest.mark.parametrize("outflow", [False, True])
@pytest.mark.parametrize("by", [0, 1, 2])
@settings(deadline=None, max_examples=15)
@given(drawn=parts(), data=st.data())
def test_profile_matches_reference(profile, outflow, by, drawn, data):
    """A cohort is added by age, by cohort and summed as the twin adds it, rows summed up."""
    inflow, shares, rng = drawn
    cells, years, draws = inflow.shape
    year, first = data.draw(st.integers(0, years - 1)), data.draw(st.integers(0, 1))
    labels = {0: data.draw(st.integers(1, years)), 1: years + first, 2: 2}[by]
    kept = np.where(rng.random(inflow.shape) < 0.5, rng.random(inflow.shape), 1.0)
    rows = rng.integers(0, cells, cells)
    out = rng.random((cells, labels, years, draws))
    args = (year, by, first, 0.5, outflow, inflow, shares, kept, rows)
    expected = reference.profile(*args, out)
    profile(*args, out)
    assert_allclose(out, expected, rtol=32 * EPS, atol=32 * EPS * inflow.max())
