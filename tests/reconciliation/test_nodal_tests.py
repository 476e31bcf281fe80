"""Nodal tests: an exact twin, and laws that equations keep which test measurements."""

import math

import numpy as np
import reference
from hypothesis import given
from hypothesis import strategies as st
from linear_systems import System, floats, largest, solvable, unhurried, whitened
from numpy.testing import assert_allclose
from strategies import EPS


def test_an_unmeasured_flow_merges_two_nodes():
    """A over y to B, and C: A and B are tested together, C, of which all is measured, alone."""
    # A: f1 - f2 - y; B: y - f3; C: f2 + f4 - f5.
    by_x = [[1, -1, 0, 0, 0], [0, 0, -1, 0, 0], [0, 1, 0, 1, -1]]
    tested = System(by_x, [100, 60, 45, 20, 87], [3, 2, 2, 1, 3], [[-1], [1], [0]]).tested()
    assert_allclose(tested.combined.toarray(), [[1, 1, 0], [0, 0, 1]], rtol=16 * EPS)
    assert tested.own.tolist() == [0, 2]
    assert_allclose(tested.open, [100 - 60 - 45, 60 + 20 - 87], rtol=64 * EPS)
    assert_allclose(tested.open_sd**2, [9 + 4 + 4, 4 + 1 + 9], rtol=64 * EPS)


def test_measurements_stand_in_for_flows():
    """Where every flow is unmeasured but said to be a measurement, balances are what is tested."""
    # in - out - y = 0, y - loss = 0, and each flow but y is what was measured; loss twice.
    by_y = np.zeros((6, 4))
    by_y[0], by_y[1] = [1, -1, 0, -1], [0, 0, -1, 1]
    by_y[[2, 3, 4, 5], [0, 1, 2, 2]] = 1
    by_x = np.vstack([np.zeros((2, 4)), -np.eye(4)])
    tested = System(by_x, [10, 6, 3, 5], [1, 1, 1, 1], by_y).tested()
    assert tested.own.tolist() == [0, 4]
    expected = [[1, 1, -1, 1, 0, 1], [0, 0, 0, 0, 1, -1]]
    assert_allclose(tested.combined.toarray(), expected, rtol=16 * EPS)
    assert_allclose(tested.open, [10 - 6 - 5, 5 - 3], rtol=64 * EPS)


def test_what_follows_or_cannot_err_is_no_test():
    """An equation said twice tests once, and one of exact values not at all."""
    by_x = [[1, -1, 0, 0], [-2, 2, 0, 0], [0, 0, 1, -1]]
    tested = System(by_x, [10, 12, 5, 5], [1, 1, 0, 0]).tested()
    assert tested.own.tolist() == [0]
    assert_allclose(abs(tested.open / tested.open_sd), [math.sqrt(2)], rtol=64 * EPS)


def test_of_equations_that_say_the_same_the_first_is_a_test():
    """Whatever the units, and so the rounding of their lengths."""
    system = System([[0, 0], [0, 1], [0, 1], [1, 0]], [0, 0], [[0, 0, 1], [1, 0, 1]])
    for unit in (1.0, 1e6, 1e-6, 1 / 3):
        assert system.times(unit).tested().own.tolist() == [1, 3]


@unhurried
@given(solvable())
def test_nodal_tests_are_the_twins(case):
    """Each row is the only combination of its equations without y: fewer would not do."""
    system, exact = case
    tested = system.tested()
    assert len(tested.own) == exact["redundancy"]
    given = (system.mean, system.factor, system.by_x, system.by_y, system.constant)
    for n, own in enumerate(tested.own.tolist()):
        row = tested.combined[[n]]
        chosen = row.indices.tolist()
        expected, left, variance = reference.combination(*given, chosen, own)
        assert all(expected)
        assert_allclose(row.data, floats(expected), rtol=1e-10)
        size = np.abs(floats(expected)).max() * largest(system, exact)
        assert_allclose(tested.open[n], float(left), rtol=0, atol=1e-10 * size)
        assert_allclose(tested.open_sd[n] ** 2, float(variance), rtol=1e-10)


@unhurried
@given(solvable())
def test_nodal_tests_add_up_to_the_global_one(case):
    """Made independent, what is open in each equation has squares that sum to chi2."""
    system, _ = case
    found, tested = system.adjusted(), system.tested()
    own = whitened(tested, found.linear, system.factor)
    assert math.isclose(own @ own, found.chi2, rel_tol=1e-9, abs_tol=1e-9)


@unhurried
@given(solvable(), st.sampled_from([1e6, 1e-6]))
def test_units_do_not_matter_to_nodal_tests(case, unit):
    """Everything in another unit leaves the same open in that unit."""
    system, exact = case
    tested = system.tested()
    other = system.times(unit).tested()
    assert other.own.tolist() == tested.own.tolist()
    size = np.abs(tested.combined.toarray()).max(initial=1.0) * largest(system, exact)
    assert_allclose(other.open / unit, tested.open, rtol=0, atol=1e-10 * size)
    assert_allclose(other.open_sd / unit, tested.open_sd, rtol=1e-10)
