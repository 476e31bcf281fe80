"""Least squares: textbook cases in fractions, an exact twin, and laws that any adjustment keeps."""

import math
from fractions import Fraction

import numpy as np
import pytest
import reference
import scipy.sparse as sp
from hypothesis import assume, given
from hypothesis import strategies as st
from linear_systems import System, floats, largest, linear, solvable, systems, unhurried, whitened
from numpy.testing import assert_allclose, assert_array_equal
from strategies import EPS

from ndmc.reconciliation.components import ContradictionError
from ndmc.reconciliation.least_squares import Linear, NoConvergenceError, adjust
from ndmc.reconciliation.nodal_tests import redundant_equations


def covariance(found):
    """Return the joint covariance of x and y."""
    spread = np.concatenate([found.spread.toarray(), (found.slope @ found.spread).toarray()])
    return spread @ spread.T


def seen(found):
    """Return which of x and y are known."""
    return np.concatenate([np.ones(len(found.x), dtype=bool), found.observable])


# --- textbook ------------------------------------------------------------------------------------


def test_splitter():
    """In - a - b = -10 with variances 25, 4 and 1: each moves by its share of 30."""
    found = System([[1, -1, -1]], [100, 70, 40], [5, 2, 1]).adjusted()
    expected = [100 + 10 * Fraction(25, 30), 70 - 10 * Fraction(4, 30), 40 - 10 * Fraction(1, 30)]
    assert_allclose(found.x, floats(expected), rtol=16 * EPS)
    variances = [25 - Fraction(625, 30), 4 - Fraction(16, 30), 1 - Fraction(1, 30)]
    assert_allclose(np.diag(covariance(found)), floats(variances), rtol=64 * EPS)
    assert (found.redundancy, found.steps) == (1, 2)
    assert math.isclose(found.chi2, 100 / 30, rel_tol=64 * EPS)


def test_unmeasured_between_two_processes():
    """From a over y to b and c: y is what the balance of both together leaves."""
    found = System([[1, 0, 0], [0, -1, -1]], [12, 5, 4], [1, 1, 2], [[-1], [1]]).adjusted()
    assert_allclose(found.x, floats([12 - Fraction(1, 2), 5.5, 6]), rtol=16 * EPS)
    assert_allclose(found.y, [11.5], rtol=16 * EPS)
    assert found.observable.tolist() == [True]
    # Of a, measured with variance 1, the balance of a against 5 of b and c leaves 1 - 1/6.
    assert math.isclose(covariance(found)[3, 3], 5 / 6, rel_tol=64 * EPS)


def test_just_determined():
    """What is measured once moves nowhere, and what follows from it has the sum of variances."""
    found = System([[1, 1]], [3, 4], [3, 4], [[-1]]).adjusted()
    assert_array_equal(found.x, [3, 4])
    assert_allclose(found.y, [7], rtol=16 * EPS)
    assert math.isclose(covariance(found)[2, 2], 25, rel_tol=64 * EPS)
    assert (found.redundancy, found.chi2) == (0, 0)


def test_a_duplicate_equation_changes_nothing():
    """Saying an equation twice, or its double, adds no redundancy."""
    once = System([[1, -1, -1]], [100, 70, 40], [5, 2, 1]).adjusted()
    row = np.array([1, -1, -1])
    more = System([row, row, -2 * row], [100, 70, 40], [5, 2, 1]).adjusted()
    assert_allclose(more.x, once.x, rtol=64 * EPS)
    assert_allclose(covariance(more), covariance(once), rtol=0, atol=64 * EPS * 25)
    assert more.redundancy == 1


def test_errors_that_all_share_cancel():
    """Two readings of one scale differ by their own errors only: its bias cannot be seen."""
    # Variance 9 in common, 1 of the first, 4 of the second.
    found = System([[1, -1]], [10, 15], [[3, 1, 0], [3, 0, 2]]).adjusted()
    assert_allclose(found.x, [11, 11], rtol=64 * EPS)
    assert_allclose(covariance(found), np.full((2, 2), 9 + 4 / 5), rtol=64 * EPS)


def test_correlation_moves_what_no_equation_holds():
    """A measurement without an equation follows those that err with it."""
    found = System([[1, 0]], [10, 20], [[2, 0], [1, 1]], constant=[-8]).adjusted()
    assert_allclose(found.x, [8, 19], rtol=16 * EPS)
    assert_allclose(covariance(found), [[0, 0], [0, 1]], rtol=0, atol=64 * EPS * 4)


def test_a_stock_may_shrink():
    """In - out - change = 0 holds for a change below zero, measured or not."""
    measured = System([[1, -1, -1]], [10, 14, -3], [1, 1, 1]).adjusted()
    assert_allclose(measured.x, floats([Fraction(31, 3), Fraction(41, 3), Fraction(-10, 3)]))
    left = System([[1, -1]], [10, 14], [1, 1], [[-1]]).adjusted()
    assert_allclose(left.y, [-4], rtol=16 * EPS)


def test_unobservable_flows_are_told():
    """Of two unmeasured flows only their sum is known; a third beside them is known."""
    system = System([[1], [1]], [10], [1], [[-1, -1, 0], [0, 0, -2]])
    found = system.adjusted()
    assert found.observable.tolist() == [False, False, True] == system.exact()["observable"]
    assert_allclose(found.y[2], 5, rtol=16 * EPS)


# --- the twin ------------------------------------------------------------------------------------


@unhurried
@given(solvable())
def test_adjustment_is_the_twins(case):
    """Values and covariances are those of the elimination in fractions, to 1e-10 of the largest."""
    system, exact = case
    found, atol = system.adjusted(), 1e-10 * largest(system, exact)
    assert_allclose(found.x, floats(exact["x"]), rtol=0, atol=atol)
    known = found.observable
    assert_allclose(found.y[known], floats(exact["y"])[known], rtol=0, atol=atol)
    some = np.flatnonzero(seen(found))
    expected = floats(exact["covariance"])[np.ix_(some, some)]
    assert_allclose(covariance(found)[np.ix_(some, some)], expected, rtol=0, atol=1e-10 * 100)
    assert math.isclose(found.chi2, exact["chi2"], rel_tol=1e-10, abs_tol=1e-10)


@unhurried
@given(solvable())
def test_classes_are_those_of_exact_null_spaces(case):
    """Observable is what no null vector touches; adjustable what has lost variance."""
    system, exact = case
    found = system.adjusted()
    assert found.observable.tolist() == exact["observable"]
    hidden = found.hidden.toarray()
    unseen = reference.null_space(reference.fractions(system.by_y), system.by_y.shape[1])
    assert np.linalg.matrix_rank(hidden) == len(unseen)
    assert_allclose(system.by_y @ hidden, 0, atol=1e-12 * max(1.0, np.abs(hidden).max(initial=0)))
    assert found.redundancy == exact["redundancy"]
    moved = np.sqrt(found.moved.power(2).sum(axis=1)) > 1e-8
    before = reference.product(
        reference.fractions(system.factor),
        reference.transposed(reference.fractions(system.factor)),
    )
    lost = [before[n][n] > exact["covariance"][n][n] for n in range(len(system.mean))]
    assert moved.tolist() == lost


@unhurried
@given(systems())
def test_contradictions_are_the_twins(system):
    """Exact values contradict each other exactly where the elimination leaves 0 = 1."""
    try:
        system.exact()
    except ValueError:
        with pytest.raises(ContradictionError):
            system.adjusted()
    else:
        system.adjusted()


# --- laws ----------------------------------------------------------------------------------------


@unhurried
@given(solvable())
def test_consistent_data_are_left_alone(case):
    """The answer, measured again, is its own answer."""
    system, exact = case
    system.mean = floats(exact["x"])
    again = system.adjusted()
    atol = 1e-12 * largest(system, exact)
    assert_allclose(again.x, system.mean, rtol=0, atol=atol)
    assert again.chi2 < 1e-20 * largest(system, exact) ** 2


@unhurried
@given(solvable())
def test_no_variance_increases(case):
    """What is known of a measurement afterwards is never less than before; differences add up."""
    system, _ = case
    found = system.adjusted()
    before = np.square(system.factor).sum(axis=1)
    after = np.diag(covariance(found))[: len(before)]
    assert (after <= before * (1 + 64 * EPS)).all()
    moved = found.moved.power(2).sum(axis=1)
    assert_allclose(after + moved, before, rtol=1e-12, atol=1e-12)


@unhurried
@given(solvable())
def test_balances_close(case):
    """Every equation closes to 64 eps of the largest flow, also where some are not observable."""
    system, exact = case
    found = system.adjusted()
    atol = 64 * EPS * max(largest(system, exact), np.abs(found.y).max(initial=0.0))
    assert_allclose(found.linear.residual, 0, rtol=0, atol=atol)


@unhurried
@given(solvable(), st.randoms(use_true_random=False))
def test_order_does_not_matter(case, random):
    """Other orders of equations, measurements and unknowns give the same in that order."""
    system, exact = case
    rows, x, y = (
        random.sample(range(n), n) for n in (len(system.by_x), len(system.mean), len(exact["y"]))
    )
    found = system.adjusted()
    other = System(
        system.by_x[rows][:, x],
        system.mean[x],
        system.factor[x],
        system.by_y[rows][:, y],
        system.constant[rows],
    ).adjusted()
    atol = 1e-11 * largest(system, exact)
    assert_allclose(other.x, found.x[x], rtol=0, atol=atol)
    assert other.observable.tolist() == found.observable[y].tolist()
    known = other.observable
    assert_allclose(other.y[known], found.y[y][known], rtol=0, atol=atol)
    whole = len(x)
    assert_allclose(
        covariance(other)[:whole, :whole],
        covariance(found)[:whole][:, :whole][np.ix_(x, x)],
        rtol=0,
        atol=1e-9,
    )


@unhurried
@given(solvable(), st.data())
def test_two_parallel_halves_are_one(case, data):
    """A flow split into halves that err on their own, by sd / sqrt(2) each, adds up as before."""
    system, exact = case
    count = len(system.mean)
    column = data.draw(st.integers(0, count - 1))
    system.factor[column] = 0.0
    system.factor = np.hstack([system.factor, np.eye(count)[:, [column]] * 3])
    try:
        whole, exact = system.adjusted(), system.exact()
    except ContradictionError:
        assume(False)
    halves = System(
        np.hstack([system.by_x, system.by_x[:, [column]]]),
        np.append(system.mean, system.mean[column] / 2),
        np.vstack([system.factor, np.zeros(system.factor.shape[1])]),
        system.by_y,
        system.constant,
    )
    halves.mean[column] /= 2
    halves.factor = np.hstack([halves.factor, np.zeros((count + 1, 1))])
    halves.factor[column, -2] = halves.factor[-1, -1] = 3 / math.sqrt(2)
    found = halves.adjusted()
    add = np.vstack([np.eye(count), np.eye(count)[column]]).T
    assert_allclose(add @ found.x, whole.x, rtol=0, atol=1e-11 * largest(system, exact))
    sums = add @ found.spread.toarray()
    assert_allclose(sums @ sums.T, covariance(whole)[:count, :count], rtol=0, atol=1e-9)
    assert math.isclose(found.chi2, whole.chi2, rel_tol=1e-10, abs_tol=1e-10)


@unhurried
@given(solvable(), st.sampled_from([1e6, 1e-6]))
def test_units_do_not_matter(case, unit):
    """Everything in another unit gives the same in that unit, and the same test."""
    system, exact = case
    found = system.adjusted()
    other = system.times(unit).adjusted()
    atol = 1e-11 * largest(system, exact)
    assert_allclose(other.x / unit, found.x, rtol=0, atol=atol)
    known = found.observable
    assert other.observable.tolist() == known.tolist()
    assert_allclose(other.y[known] / unit, found.y[known], rtol=0, atol=atol)
    assert_allclose(other.spread.toarray() / unit, found.spread.toarray(), rtol=0, atol=1e-10)
    assert math.isclose(other.chi2, found.chi2, rel_tol=1e-10, abs_tol=1e-10)
    assert other.redundancy == found.redundancy


@unhurried
@given(solvable(), st.data())
def test_units_of_one_measurement_do_not_matter(case, data):
    """One flow in kilotonnes among tonnes gives the same in its unit."""
    system, exact = case
    column, unit = (
        data.draw(st.integers(0, len(system.mean) - 1)),
        data.draw(st.sampled_from([1e3, 1e-6])),
    )
    found = system.adjusted()
    scale = np.where(np.arange(len(system.mean)) == column, unit, 1.0)
    other = System(
        system.by_x / scale,
        system.mean * scale,
        system.factor * scale[:, np.newaxis],
        system.by_y,
        system.constant,
    ).adjusted()
    assert_allclose(other.x / scale, found.x, rtol=0, atol=1e-10 * largest(system, exact))
    assert other.redundancy == found.redundancy


@unhurried
@given(solvable())
def test_exact_values_stay(case):
    """What has no error is the same number afterwards, bit by bit."""
    system, _ = case
    sure = ~system.factor.any(axis=1)
    assert_array_equal(system.adjusted().x[sure], system.mean[sure])


# --- contradictions ------------------------------------------------------------------------------


def test_contradiction_names_the_equations():
    """Exact 10 in and 12 out of a chain of two: both its balances, and not the one beside it."""
    # 0: a - y; 1: y - b; 2: b - c - d
    with pytest.raises(ContradictionError) as caught:
        System(
            [[1, 0, 0, 0], [0, -1, 0, 0], [0, 1, -1, -1]],
            [10, 12, 5, 5],
            [0, 0, 1, 1],
            [[-1], [1], [0]],
        ).adjusted()
    assert caught.value.equations.tolist() == [0, 1]
    assert math.isclose(caught.value.gap, 2, rel_tol=1e-9)


def test_contradiction_does_not_name_what_agrees():
    """Two chains of exact values in one system, joined by a measured flow: only one is broken."""
    # Chain one: a = y0 = b with 10 and 12; chain two: c = y1 = d with 7 and 7; y0 + y1 = e + y2.
    by_x = np.zeros((5, 5))
    by_x[0, 0], by_x[1, 1], by_x[2, 2], by_x[3, 3], by_x[4, 4] = 1, -1, 1, -1, -1
    by_y = [[-1, 0], [1, 0], [0, -1], [0, 1], [1, 1]]
    with pytest.raises(ContradictionError) as caught:
        System(by_x, [10, 12, 7, 7, 20], [0, 0, 0, 0, 1], by_y).adjusted()
    assert caught.value.equations.tolist() == [0, 1]


def test_contradicting_constants():
    """One measured flow cannot be 1 and 2."""
    with pytest.raises(ContradictionError) as caught:
        System([[1, 0], [1, 0], [1, -1]], [1, 1], [1, 1], constant=[-1, -2, 0]).adjusted()
    assert caught.value.equations.tolist() == [0, 1]


def test_rounding_is_no_contradiction():
    """Exact values that add up but for their rounding are let be."""
    found = System([[1, 1, -1]], [0.1, 0.2, 0.3], [0, 0, 0]).adjusted()
    assert found.x.tolist() == [0.1, 0.2, 0.3]


def test_rounding_of_combinations_is_no_contradiction():
    """An equation that says the same twice stays at ease where the flows of others come to zero."""
    by_y = [[1, -1, 0], [0, 1, 1], [0, -1, -1], [1, -1, 0]]
    system = System([[0], [1], [1], [0]], [1], [1], by_y)
    found = system.adjusted()
    assert_allclose(found.x, 0, atol=1e-10)
    assert math.isclose(found.chi2, 1)
    assert not found.observable.any()


def curved(constant, by_x, matrices):
    """Return constant + by_x x + x' matrix x / 2 = 0 as `adjust` wants it."""
    constant, by_x, matrices = (np.array(part, dtype=float) for part in (constant, by_x, matrices))

    def near(x, y):
        slopes = by_x + matrices @ x
        residual = constant + by_x @ x + matrices @ x @ x / 2
        terms = [np.abs(by_x) @ np.abs(x), np.abs(matrices) @ np.abs(x) @ np.abs(x) / 2]
        size = np.max([*terms, np.abs(constant)], axis=0)
        return Linear(residual, sp.csr_array(slopes), sp.csr_array((len(constant), 0)), size)

    return near


@pytest.mark.parametrize("start", [1.0, 0.7])
def test_no_solution_is_given_up(start):
    """Nothing real has the square -1, also where the derivative vanishes on the way, at 0."""
    with pytest.raises(NoConvergenceError) as caught:
        adjust(np.array([start]), sp.eye_array(1), np.empty(0), curved([1], [[0]], [[[2]]]))
    assert caught.value.equation == 0


# --- bilinear ------------------------------------------------------------------------------------


@unhurried
@given(
    st.floats(50, 150),
    st.floats(0.05, 0.6),
    st.lists(st.floats(-2, 2), min_size=4, max_size=4),
    st.lists(st.floats(0.005, 0.08), min_size=4, max_size=4),
)
def test_transfer_coefficient(inflow, share, scores, cv):
    """In = loss + product, loss = tc in, all measured: the point that Newton's method finds."""
    true = np.array([inflow, inflow * share, inflow * (1 - share), share])
    deviations = true * cv
    mean = true + deviations * scores
    constant, by_x, matrices = [0, 0], [[1, -1, -1, 0], [0, 1, 0, 0]], np.zeros((2, 4, 4))
    matrices[1, 0, 3] = matrices[1, 3, 0] = -1
    found = adjust(mean, sp.diags_array(deviations), np.empty(0), curved(constant, by_x, matrices))
    expected = floats(reference.nearest(mean, deviations, constant, by_x, matrices))
    assert_allclose(found.x, expected, rtol=1e-8)
    assert found.redundancy == 2
    # Nothing near it on the surface is nearer to the measurements.
    _, _, directions = np.linalg.svd(np.array(by_x) + matrices @ found.x)
    pull = (found.x - mean) / deviations**2
    assert_allclose(directions[2:] @ (pull * deviations.min()), 0, atol=1e-8)


def test_products_are_tested_as_they_are_near_the_solution():
    """Loss = tc in is open by what measurements leave of its tangent there; squares sum to chi2."""
    mean, deviations = np.array([100.0, 30.0, 75.0, 0.2]), np.array([5.0, 2.0, 3.0, 0.02])
    constant, by_x, matrices = [0, 0], [[1, -1, -1, 0], [0, 1, 0, 0]], np.zeros((2, 4, 4))
    matrices[1, 0, 3] = matrices[1, 3, 0] = -1
    factor = sp.diags_array(deviations)
    found = adjust(mean, factor, np.empty(0), curved(constant, by_x, matrices))
    tested = redundant_equations(found, mean, factor)
    inflow, share = found.x[0], found.x[3]
    tangent = (mean[1] - share * mean[0]) - inflow * (mean[3] - share)
    assert_allclose(tested.open, [100 - 30 - 75, tangent], rtol=1e-12)
    slopes = np.array([-share, 1, 0, -inflow])
    assert_allclose(tested.open_sd**2, [25 + 4 + 9, (slopes**2) @ deviations**2], rtol=1e-12)
    own = whitened(tested, found.linear, factor)
    assert math.isclose(own @ own, found.chi2, rel_tol=1e-9)


def test_an_unmeasured_transfer_coefficient_follows():
    """A share that is not measured is loss by inflow, with the variance of a quotient."""
    mean, deviations = np.array([200.0, 50.0]), np.array([10.0, 4.0])

    def near(x, y):
        (inflow, loss), (share,) = x, y
        by_x, by_y = sp.csr_array([[-share, 1.0]]), sp.csr_array([[-inflow]])
        return Linear(np.array([loss - share * inflow]), by_x, by_y, np.array([loss]))

    found = adjust(mean, sp.diags_array(deviations), np.array([0.5]), near)
    assert_array_equal(found.x, mean)
    assert_allclose(found.y, [0.25], rtol=16 * EPS)
    variance = 0.25**2 * (0.05**2 + 0.08**2)
    assert math.isclose(covariance(found)[2, 2], variance, rel_tol=1e-12)


# --- size ----------------------------------------------------------------------------------------


def test_many_flows_and_processes():
    """2 000 flows between 800 processes, a quarter unmeasured: balances close and are tested."""
    rng, processes, flows = np.random.default_rng(5), 800, 2000
    # A ring through all processes and the environment, which is no equation, and flows across.
    start = np.concatenate([np.arange(processes + 1), rng.integers(0, processes + 1, flows)])
    end = np.concatenate(
        [np.roll(np.arange(processes + 1), -1), rng.integers(0, processes + 1, flows)]
    )
    start, end = start[:flows], end[:flows]
    links = np.zeros((processes + 1, flows))
    np.add.at(links, (end, np.arange(flows)), 1.0)
    np.add.at(links, (start, np.arange(flows)), -1.0)
    links = links[:processes]
    mean = rng.lognormal(3, 1.5, flows)
    measured = rng.random(flows) < 0.75
    deviations = 0.1 * mean[measured]
    found = adjust(
        mean[measured],
        sp.diags_array(deviations),
        np.zeros((~measured).sum()),
        linear(links[:, measured], links[:, ~measured], np.zeros(processes)),
    )
    values = np.empty(flows)
    values[measured], values[~measured] = found.x, found.y
    assert_allclose(links @ values, 0, rtol=0, atol=64 * EPS * np.abs(values).max())
    after = found.spread.power(2).sum(axis=1)
    assert (after <= deviations**2 * (1 + 64 * EPS)).all()
    tested = redundant_equations(found, mean[measured], sp.diags_array(deviations))
    own = whitened(tested, found.linear, sp.diags_array(deviations))
    assert math.isclose(own @ own, found.chi2, rel_tol=1e-10)
    # Nodes hang together by unmeasured flows, so each is in one test at most.
    assert (np.diff(tested.combined.tocsc().indptr) <= 1).all()
