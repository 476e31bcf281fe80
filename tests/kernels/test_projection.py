"""Draws moved onto equations, and to what is not negative: against twins, and by their laws."""

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import optimize

from ndmc_kernels import projection

EPS = np.finfo(np.float64).eps
unhurried = settings(deadline=None, max_examples=60)

seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(0, 9)
widths = st.sampled_from([0, 1, 5, 15, 16, 17, 31, 32, 40])


def added(rows, matrix, others):
    """Return rows after a product was added."""
    rows = rows.copy()
    projection.add_products(rows, matrix, others)
    return rows


def projected(values, equations, constants, gain, passes=1):
    """Return values after some passes, and what equations left open before the last one."""
    values = values.copy()
    for _ in range(passes):
        left = added(np.repeat(-constants[:, np.newaxis], values.shape[1], 1), equations, values)
        projection.add_products(values, -gain, left)
    return values, left


def pulled(values, covariance, most=1000):
    """Return the pulls of values, of which none is written to."""
    pulls, before = np.full_like(values, np.nan), values.copy()
    projection.nonnegative(values, covariance, pulls, most)
    assert_array_equal(values, before)
    return pulls


def system(seed, values, equations):
    """Return random equations with constants, a factor of a covariance, and their gain."""
    rng = np.random.default_rng(seed)
    matrix = rng.integers(-1, 2, (equations, values)) + 3.0 * np.eye(equations, values)
    factor = rng.normal(size=(values, values)) * rng.lognormal(0, 1, (values, 1))
    seen = matrix @ factor
    gain = np.ascontiguousarray(np.linalg.solve(seen @ seen.T, seen @ factor.T).T)
    return matrix, rng.normal(size=equations), factor, gain


# --- products ------------------------------------------------------------------------------------


@given(seeds, sizes, sizes, widths)
@unhurried
def test_products_match_the_twin(seed, rows, others, width):
    """A sum of n products is off by n roundings of all its terms at most, each of half an eps."""
    rng = np.random.default_rng(seed)
    matrix, x = rng.normal(size=(rows, others)), rng.normal(size=(others, width))
    start = rng.normal(size=(rows, width)) * 10.0 ** rng.integers(-3, 4)
    terms = np.abs(start) + np.abs(matrix) @ np.abs(x)
    error = np.abs(added(start, matrix, x) - reference.add_products(start, matrix, x))
    assert (error <= (others + 2) * EPS * terms).all()


@given(seeds, sizes, sizes)
@unhurried
def test_projections_match_the_twin(seed, values, equations):
    """The same to the roundings of both sums, the first of which the gain carries on."""
    rng = np.random.default_rng(seed)
    matrix, gain = rng.normal(size=(equations, values)), rng.normal(size=(values, equations))
    constants, x = rng.normal(size=equations), rng.normal(size=(values, 23))
    left = np.abs(matrix) @ np.abs(x) + np.abs(constants)[:, np.newaxis]
    for got, expected, terms in zip(
        projected(x, matrix, constants, gain),
        reference.project(x, matrix, constants, gain),
        (np.abs(x) + np.abs(gain) @ left, left),
        strict=True,
    ):
        assert (np.abs(got - expected) <= 2 * (values + equations + 4) * EPS * terms).all()


@pytest.mark.parametrize(("values", "equations"), [(8, 3), (60, 25), (61, 40)])
def test_equations_are_met(values, equations):
    """After two passes a balance is open by the roundings of its terms; so after a third."""
    matrix, constants, factor, gain = system(1, values, equations)
    x = factor @ np.random.default_rng(2).normal(size=(values, 100))
    twice, _ = projected(x, matrix, constants, gain, passes=2)
    largest = np.maximum(np.abs(matrix) @ np.abs(twice), np.abs(constants)[:, np.newaxis])
    for passes in (2, 3):
        met, _ = projected(x, matrix, constants, gain, passes)
        left = reference.add_products(0 * largest - constants[:, np.newaxis], matrix, met)
        assert (np.abs(left) <= 64 * EPS * largest).all()
    moved = EPS * 64 * np.abs(gain) @ largest
    assert (np.abs(met - twice) <= moved).all()


def test_one_pass_meets_equations_to_the_error_of_the_gain():
    """What is left open is a share of what was, and that is off by the condition of A Q A'."""
    matrix, constants, factor, gain = system(1, 60, 25)
    x = factor @ np.random.default_rng(2).normal(size=(60, 100))
    once, before = projected(x, matrix, constants, gain)
    _, left = projected(once, matrix, constants, gain)
    seen = matrix @ factor
    carried = np.linalg.cond(seen @ seen.T) * EPS * np.abs(before).max(axis=0)
    assert (np.abs(left) <= carried + 64 * EPS * (np.abs(matrix) @ np.abs(once))).all()


def test_draws_that_meet_them_do_not_move():
    """Whole numbers have no rounding: not a bit changes."""
    rng = np.random.default_rng(3)
    matrix, _, _, gain = system(3, 12, 5)
    values = np.repeat(rng.integers(-9, 9, (12, 1)).astype(float), 40, axis=1)
    got, residuals = projected(values, matrix, matrix @ values[:, 0], gain)
    assert_array_equal(got, values)
    assert_array_equal(residuals, 0.0)


def test_moments_are_those_of_the_conditioned_normal():
    """Mean and covariance within five standard errors of what least squares make of them.

    Of n draws the error of a mean has the variance C_ii / n, that of a covariance
    (C_ii C_jj + C_ij**2) / n.
    """
    draws = 200_000
    matrix, constants, factor, gain = system(4, 6, 3)
    mean = np.arange(6.0)
    x = mean[:, np.newaxis] + factor @ np.random.default_rng(4).normal(size=(6, draws))
    got, _ = projected(x, matrix, constants, gain)
    exact = reference.reconcile(mean, factor, matrix, np.empty((3, 0)), -constants)
    expected = np.array(exact["covariance"], dtype=float)
    variance = np.diag(expected)
    off = got.mean(axis=1) - np.array(exact["x"], dtype=float)
    assert (np.abs(off) <= 5 * np.sqrt(variance / draws)).all()
    apart = np.sqrt((np.outer(variance, variance) + expected**2) / draws)
    assert (np.abs(np.cov(got) - expected) <= 5 * apart).all()


# --- non-negative draws --------------------------------------------------------------------------


def assert_solved(values, covariance, pulls):
    """Assert that pulls solve the problem, to the roundings of their sums by a condition of 1e5.

    That is the worst that rows may depend on each other before one takes the place of another.
    """
    sums = values + covariance @ pulls
    spread = np.sqrt(np.diag(covariance))[:, np.newaxis]
    terms = np.abs(values) + spread * (spread * pulls).sum(axis=0)
    rounding = 64 * EPS * 1e5 * terms
    assert (pulls >= 0).all()
    assert (sums >= -rounding).all()
    assert (np.abs(sums) <= rounding)[pulls > 0].all()


@st.composite
def problems(draw, most=5):
    """Return z and M = L L' of small whole numbers, any rank of M included."""
    rows = draw(st.integers(1, most))
    number = st.integers(-3, 3).map(float)
    rank = draw(st.integers(0, rows))
    factor = draw(st.lists(st.lists(number, min_size=rows, max_size=rows), max_size=rank))
    factor = np.array(factor).reshape(-1, rows)
    z = draw(st.lists(number, min_size=rows, max_size=rows))
    return np.array(z), factor.T @ factor


@given(problems())
@settings(deadline=None, max_examples=400)
def test_pulls_equal_the_best_of_all_sets(problem):
    """The sums are those of every set that solves it; the pulls where there is one such set."""
    z, covariance = problem
    found = reference.nonnegative(z, covariance)
    [pulls] = pulled(z[:, np.newaxis], covariance).T
    assert np.isnan(pulls).all() == (not found)
    if found:
        assert_solved(z[:, np.newaxis], covariance, pulls[:, np.newaxis])
        sums, _ = found[0]
        scale = np.abs(z).max() + np.abs(covariance).max() * pulls.sum()
        assert_allclose(z + covariance @ pulls, np.array(sums, float), rtol=0, atol=1e-10 * scale)
        solutions = {tuple(map(float, exact)) for _, exact in found}
        if len(solutions) == 1:
            assert_allclose(pulls, solutions.pop(), rtol=1e-9, atol=1e-9 * pulls.max())


@given(seeds, st.integers(1, 12))
@unhurried
def test_pulls_equal_nonnegative_least_squares(seed, rows):
    """With M = L L' and z = L a they are the l >= 0 that bring L' l next to -a."""
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(rows, rows)) + 3.0 * np.eye(rows)
    aims = rng.normal(size=(rows, 5))
    pulls = pulled(factor @ aims, factor @ factor.T)
    for one, aim in zip(pulls.T, aims.T, strict=True):
        expected, _ = optimize.nnls(factor.T, -aim)
        assert_allclose(one, expected, rtol=0, atol=1e-9 * max(expected.max(), 1.0))


@pytest.mark.parametrize(("rows", "rank"), [(8, 8), (30, 30), (30, 12), (30, 3), (80, 40)])
def test_many_rows_of_any_rank(rows, rank):
    """Every draw is solved where a point without negative values is known to exist."""
    rng = np.random.default_rng(rows + rank)
    factor = rng.normal(size=(rows, rank)) * rng.lognormal(0, 2, (rows, 1))
    inside = rng.uniform(0, 1, (rows, 1)) * rng.integers(0, 2, (rows, 1))
    values = inside + factor @ rng.normal(size=(rank, 400))
    covariance = factor @ factor.T
    pulls = pulled(values, covariance)
    assert np.isfinite(pulls).all()
    assert_solved(values, covariance, pulls)


def test_a_chain_of_the_same_flow_is_solved_once():
    """Rows that are copies of each other to rounding need the pull of one of them."""
    rng = np.random.default_rng(5)
    flow = rng.normal(size=64)
    values = flow * (1 + EPS * rng.integers(-2, 3, (4, 64)))
    pulls = pulled(values, np.full((4, 4), 2.5))
    assert_allclose(pulls.sum(axis=0), np.maximum(-flow, 0) / 2.5, rtol=8 * EPS)


def test_what_depends_on_chosen_rows_takes_the_place_of_one():
    """Where x and y are zero, x + y - 1 is not yet: it needs a pull, and x or y none."""
    factor = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    values = factor @ np.array([[-5.0, -4.0], [-4.0, -5.0]]) - np.array([[0.0], [0.0], [1.0]])
    pulls = pulled(values, factor @ factor.T)
    # The nearest points of the line x + y = 1 lie beyond its ends: (0, 1) and (1, 0).
    assert_allclose(pulls, [[0.0, 0.0], [0.0, 0.0], [5.0, 5.0]], atol=64 * EPS)


def test_draws_without_negative_values_need_no_pull():
    """Zeros, whatever else is in the tile; and infinity is no negative value."""
    values = np.random.default_rng(6).exponential(size=(3, 50))
    values[0, 3], values[1, 4], values[2, 5] = 0.0, -0.0, np.inf
    values[:, 7] = -1.0
    pulls = pulled(values, np.eye(3))
    assert_array_equal(pulls, np.where(np.arange(50) == 7, 1.0, 0.0) * np.ones((3, 1)))


@pytest.mark.parametrize(
    ("z", "covariance"),
    [
        ([-1.0], [[0.0]]),
        ([2.0, -1.0], [[1.0, 0.0], [0.0, 0.0]]),
        ([-1.0, 0.5], [[1.0, -1.0], [-1.0, 1.0]]),  # x and y of sum -0.5
        ([-1.0, np.inf], [[1.0, 0.0], [0.0, 1.0]]),
        ([-1e300], [[1e-20]]),  # a pull that is none
        ([-np.inf, 1.0], [[1.0, 0.0], [0.0, 1.0]]),
        ([np.nan, 1.0], [[1.0, 0.0], [0.0, 1.0]]),
    ],
)
def test_what_cannot_be_solved_is_nan(z, covariance):
    """A negative value that nothing moves, sums that stay negative, and what is not finite."""
    assert np.isnan(pulled(np.array([z]).T, np.array(covariance))).all()


def test_rounding_of_a_value_that_nothing_moves_is_let_be():
    """A flow without variance may be below zero by the roundings of the largest."""
    z = np.array([[-1e-15, -1e-15, -1e-12], [1.0, -1.0, -1.0]])
    pulls = pulled(z, np.diag([0.0, 1.0]))
    assert_array_equal(pulls, [[0.0, 0.0, np.nan], [0.0, 1.0, np.nan]])


def test_no_more_changes_than_allowed():
    """Three rows take three changes, and a fourth look that finds none."""
    z, covariance = -np.ones((3, 1)), np.eye(3)
    assert np.isnan(pulled(z, covariance, most=3)).all()
    assert_array_equal(pulled(z, covariance, most=4), 1.0)


# --- tiles ---------------------------------------------------------------------------------------


def every_kernel(seed=7):
    """Return functions of a tile of 12 rows to what each kernel writes."""
    matrix, constants, factor, gain = system(seed, 12, 5)
    covariance = factor @ factor.T - gain @ matrix @ factor @ factor.T
    covariance = (covariance + covariance.T) / 2
    return {
        "products": lambda tile: added(tile, gain, np.ascontiguousarray(tile[:5])),
        "projection": lambda tile: np.concatenate(projected(tile, matrix, constants, gain)),
        "pulls": lambda tile: pulled(tile, covariance),
    }


@pytest.mark.parametrize("kernel", ["products", "projection", "pulls"])
@pytest.mark.parametrize("width", [1, 7, 15, 16, 17, 33, 48, 64])
def test_neither_width_nor_place_changes_a_bit(kernel, width):
    """A draw has the same bits in a tile of any width, at any place in it."""
    run = every_kernel()[kernel]
    tile = np.random.default_rng(8).normal(size=(12, 100))
    whole = run(tile)
    for first in (0, 1, 5, 8, 30, 100 - width):
        part = np.ascontiguousarray(tile[:, first : first + width])
        assert_array_equal(run(part), whole[:, first : first + width])


@pytest.mark.parametrize("kernel", ["products", "projection", "pulls"])
@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_stays_in_its_draw(kernel, odd):
    """Other draws keep their bits."""
    run = every_kernel()[kernel]
    tile = np.random.default_rng(9).normal(size=(12, 37))
    spoilt = tile.copy()
    spoilt[4, [3, 20, 35]] = odd
    whole, got = run(tile), run(spoilt)
    others = np.setdiff1d(np.arange(37), [3, 20, 35])
    assert_array_equal(got[:, others], whole[:, others])
    if np.isnan(odd):
        assert np.isnan(got[:, [3, 20, 35]]).any(axis=0).all()


def test_nothing_to_do():
    """Without rows, equations or draws all stays as it is."""
    x = np.random.default_rng(10).normal(size=(3, 20))
    assert_array_equal(added(x, np.empty((3, 0)), np.empty((0, 20))), x)
    assert_array_equal(projected(x, np.empty((0, 3)), np.empty(0), np.empty((3, 0)))[0], x)
    assert added(x[:0], np.empty((0, 3)), x).shape == (0, 20)
    assert pulled(x[:0], np.empty((0, 0))).shape == (0, 20)
    assert pulled(np.ascontiguousarray(x[:, :0]), np.eye(3)).shape == (3, 0)
