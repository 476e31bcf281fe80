"""The joint fit: least squares, cell by cell on what reaches it, from sums that add up."""

import dataclasses

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from strategies import bundled

from ndmc.engine.scores import Scores, draw_scores, scores_of
from ndmc.errors import InputError
from ndmc.model import compile_plan
from ndmc.plan.memory import Memory
from ndmc.plan.study import Observed, Study
from ndmc.runs.linear_fit import Products, fit_linear, solved

DRAWS, INPUTS = 400, 5


def some_scores(draws=DRAWS, seed=1):
    """Return five inputs and their scores."""
    scores = Scores(np.arange(INPUTS, dtype=np.uint64), np.arange(INPUTS), 3)
    return scores, draw_scores(scores, seed, range(draws))


def fitted(values, reaches=None, cuts=(), draws=DRAWS):
    """Return the fit of values [cell, draw], from the sums of parts."""
    scores, z = some_scores(draws)
    parts, origin = [], values[:, 0]
    for some in np.split(np.arange(draws), cuts):
        sums = Products(INPUTS, origin)
        with np.errstate(invalid="ignore"):
            sums.take(z[:, some], values[:, some].copy())
        parts.append(sums)
    for more in parts[1:]:
        parts[0].add(more)
    reaches = np.ones((len(values), INPUTS), bool) if reaches is None else reaches
    return solved(parts[0], scores, reaches)


def some_values(reaches, draws=DRAWS):
    """Return values that are no sum of their inputs, one cell more for each set of inputs."""
    z = some_scores(draws)[1]
    slopes = np.random.default_rng(5).normal(size=reaches.shape) * reaches
    return np.exp(0.3 * slopes @ z) + 2


SETS = np.array([[1, 1, 1, 1, 1], [0, 1, 0, 1, 0], [1, 0, 0, 0, 1], [0, 1, 0, 1, 0]], bool)


def test_a_cell_is_fitted_on_what_reaches_it():
    """Slopes, and what is left over, are those of ordinary least squares with a constant."""
    values, z = some_values(SETS), some_scores()[1]
    fit = fitted(values, SETS)
    for cell, used in enumerate(SETS):
        design = np.column_stack([np.ones(DRAWS), z[used].T])
        wanted, squares, *_ = np.linalg.lstsq(design, values[cell])
        assert_allclose(fit.slopes[cell, used], wanted[1:], rtol=1e-11)
        assert_array_equal(fit.slopes[cell, ~used], 0.0)
        assert_allclose(fit.residual[cell], squares[0] / (DRAWS - used.sum() - 1), rtol=1e-11)
        assert_allclose(fit.share[cell], 1 - squares[0] / DRAWS / values[cell].var(), rtol=1e-11)
    assert_allclose(fit.mean, values.mean(axis=1), rtol=1e-14)
    assert_allclose(fit.variance, values.var(axis=1, ddof=1), rtol=1e-12)
    assert (fit.adjusted_share < fit.share).all()


def test_parts_add_up():
    """However the draws are cut, the fit is the same but for rounding."""
    values = some_values(SETS)
    whole, parts = fitted(values, SETS), fitted(values, SETS, cuts=(1, 64, 65, 300))
    assert_allclose(parts.slopes, whole.slopes, rtol=1e-12)
    assert_allclose(parts.residual, whole.residual, rtol=1e-12)


def test_a_mean_of_a_billion_deviations_takes_no_digits_that_matter():
    """What the values themselves have lost, 1e-7 of their spread, is all."""
    values = some_values(SETS)
    near, far = fitted(values, SETS), fitted(values + 1e9 * values.std(), SETS)
    assert_allclose(far.slopes, near.slopes, rtol=1e-6, atol=1e-7)
    assert_allclose(far.adjusted_share, near.adjusted_share, rtol=1e-7)


def test_what_is_linear_is_fitted_exactly():
    """Of a sum nothing is left over."""
    scores, z = some_scores()
    fit = fitted(7 + np.arange(1.0, 6.0)[np.newaxis] @ z)
    assert_allclose(fit.slopes, [np.arange(1.0, 6.0)], rtol=1e-13)
    assert_allclose(fit.share, 1, rtol=1e-14)
    assert len(scores.streams) == INPUTS


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("draw", [0, 77])
def test_a_cell_that_is_not_finite_has_no_fit(bad, draw):
    """One draw is enough; other cells are not touched."""
    values = some_values(SETS)
    whole = fitted(values, SETS)
    values[1, draw] = bad
    fit = fitted(values, SETS)
    assert np.isnan([*fit.slopes[1], fit.residual[1], fit.share[1], fit.adjusted_share[1]]).all()
    assert_array_equal(fit.slopes[[0, 2, 3]], whole.slopes[[0, 2, 3]])


@pytest.mark.parametrize("value", [0.0, 1e9, 0.1])
def test_a_constant_has_no_share(value):
    """Nor has what varies by rounding alone."""
    values = np.full((2, DRAWS), value)
    values[1, ::2] = np.nextafter(value, 1e10)
    fit = fitted(values)
    assert np.isnan(fit.share[: 2 if value else 1]).all()


def observed(name, keep, **key):
    """Return a plan that observes all its outputs."""
    plan = compile_plan(bundled(name), keep)
    outputs = tuple(Observed(one.name, one.name, one.dims) for one in plan.outputs)
    return dataclasses.replace(plan, study=Study((), outputs), **key)


def test_a_plan_is_fitted_on_what_reaches_something():
    """Streams that reach no cell have no column, and the same draws give the same bits."""
    plan = observed("two_stage_hoard", None)
    scores = scores_of(plan)
    reaches = np.ones((plan.cells, len(scores.streams)), bool)
    reaches[:, 3] = False
    reaches[2, 5] = False
    fit, again = (fit_linear(plan, scores, reaches, 1, range(2**62, 2**62 + n)) for n in (999, 999))
    assert fit.scores.streams.tolist() == np.delete(scores.streams, 3).tolist()
    assert fit.slopes[2, 4] == 0
    assert_array_equal(fit.slopes, again.slopes)
    other = fit_linear(plan, scores, reaches, 1, range(0, 4096))
    assert_allclose(other.mean, fit.mean, rtol=0.2)


def test_a_fit_that_takes_too_much_memory_is_refused():
    """Before anything is evaluated."""
    plan = observed("two_stage_hoard", ["in_use"], memory=Memory(2**19))
    scores = scores_of(plan)
    reaches = np.ones((plan.cells, len(scores.streams)), bool)
    with pytest.raises(
        InputError, match="a fit of all that is observed to all inputs takes 706 KiB, but 512"
    ):
        fit_linear(plan, scores, reaches, 1, range(4096))
