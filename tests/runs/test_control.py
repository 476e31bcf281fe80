"""The linear control: quadratic forms, no bias, and what it saves."""

import designed
import numpy as np
import pytest
import reference
from controlled_studies import UNUSED, inputs, study_of
from numpy.testing import assert_allclose, assert_array_equal

from ndmc.engine.scores import draw_scores
from ndmc.runs.control import Control, control
from ndmc.store.shares import ratios


@pytest.mark.parametrize("draws", [64, 2048, 2500, 8192])
def test_quadratic_forms_are_sums_over_pairs(draws):
    """Groups whose inputs lie apart, uniform scores, a cell without control, and all inputs."""
    rng = np.random.default_rng(1)
    scores, of = inputs(5, 3), np.array([2, 0, 2, 1, 0])
    slopes = rng.normal(size=(5, 3)) * [1.0, 0.0, 1e6]
    slopes[1, 0] = 0.0
    cells, groups = np.array([0, 1, 2, 0, 2, 1, 2]), np.array([-1, -1, -1, 0, 0, 1, 2])
    pairs, entries = draws // 2, len(cells)
    results = rng.normal(size=(4, entries, pairs)) * [[[1.0]] * entries] * 4
    sums, counted = designed.summed(*results)
    before = sums.copy()
    by = Control(scores, of, 3, slopes, np.array([True, False, True]), *UNUSED)
    control(sums, counted, (groups, cells), by, 5, 2)
    z = draw_scores(scores, 5, range(draws))
    for n in range(entries):
        if cells[n] == 1:
            assert_array_equal(sums[n], before[n])
            continue
        inside = [k for k in range(5) if groups[n] in (-1, of[k])]
        expected = reference.controlled(results[:, n], z, slopes[:, cells[n]], inside)
        assert_allclose(sums[n], expected, rtol=1e-11, atol=1e-11 * np.abs(expected).max())


def test_any_number_of_workers_gives_the_same_bits():
    """Each batch is worked on by one of them, from first to last."""
    model = designed.cohorts()
    scores, rng = inputs(model.inputs), np.random.default_rng(1)
    by = Control(
        scores,
        rng.integers(0, 4, model.inputs),
        4,
        rng.normal(size=(model.inputs, 2)),
        np.ones(2, bool),
        *UNUSED,
    )
    found = []
    for workers in (1, 3):
        sums = np.ones((8, 32, 4))
        control(sums, np.full(32, 64), (np.arange(8) % 4, np.arange(8) // 4), by, 1, workers)
        found.append(sums)
    assert_array_equal(*found)


def test_a_linear_model_has_its_shares_exactly():
    """Nothing is left to chance: of a sole cause of all, too."""
    model = designed.added([1.0, 0.5, 1e-3])
    sums, pairs = study_of(model, 2048, 1, linear=True)
    first, more = ratios(sums, pairs)
    assert_allclose(first.value, model.first, atol=1e-12)
    assert_array_equal(more.value, np.where(more.value < 1e-12, more.value, 1))
    assert (first.error < 1e-12).all()
    alone = designed.Model(model.of, ((0, 1, 2),))
    assert_allclose(ratios(*study_of(alone, 2048, 1, linear=True))[0].value, 1, rtol=1e-12)


def test_identities_hold_with_a_control():
    """The total of a group and the first share of all others are 1."""
    model = designed.cohorts()
    scale = model.groups[2]
    rest = tuple(n for n in range(model.inputs) if n not in scale)
    pair = designed.Model(model.of, (scale, rest))
    first, more = ratios(*study_of(pair, 4096, 3, linear=True))
    assert_allclose((first + more).value + first.value[::-1], 1, rtol=1e-12)
    assert (more.value >= 0).all()


def test_a_control_does_not_bias_and_saves_draws():
    """Of a stock: as many draws leave a third of the error, and no more than that of the mean."""
    model, seeds = designed.cohorts(), range(20)
    truth = ratios(*study_of(model, 2**16, 1000, linear=True))[0].value
    plain = [ratios(*study_of(model, 2048, seed, linear=False))[0].value for seed in seeds]
    found = [ratios(*study_of(model, 2048, seed, linear=True))[0].value for seed in seeds]
    error, before = (np.sqrt(np.mean((np.array(x) - truth) ** 2)) for x in (found, plain))
    assert error < before / 3
    scatter = np.std(found, axis=0, ddof=1) / np.sqrt(len(seeds))
    assert (np.abs(np.mean(found, axis=0) - truth) < 4 * scatter).all()


def test_wrong_slopes_cost_draws_but_do_not_bias():
    """Whatever they are, their own shares are taken off and put back."""
    model = designed.product([0.3, 0.2])
    wrong = np.array([0.1, 0.3])
    found = [
        ratios(*study_of(model, 2048, seed, linear=True, slopes=wrong))[0].value
        for seed in range(60)
    ]
    scatter = np.std(found, axis=0, ddof=1) / np.sqrt(len(found))
    assert (np.abs(np.mean(found, axis=0) - model.first) < 4 * scatter).all()
