"""Shares of the variance: identities exactly, closed forms, and what is said of doubtful ones."""

import designed
import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from ndmc.store.shares import (
    DIFFERENCE,
    LOST,
    Flag,
    limited,
    pooled,
    ratios,
    shares,
    ties,
)

unhurried = settings(deadline=None, max_examples=60)
seeds = st.integers(0, 2**32 - 1)


def drawn(seed, pairs, entries=5, kind=0):
    """Return results a, b, c and d [entry, pair] of some random kind."""
    rng = np.random.default_rng(seed)
    mean, sd = [(0.0, 1e-12), (1.0, 1e6), (1e9, 1.0)][seed % 3]
    found = rng.normal(mean, sd, (4, entries, pairs))
    if kind == 1:  # groups without an effect, and sole causes
        found[2, 0], found[3, 0] = found[0, 0], found[1, 0]
        found[2, 1], found[3, 1] = found[1, 1], found[0, 1]
    if kind == 2:
        found[rng.random(found.shape) < 0.05] = np.nan
    return found


def shared(results):
    """Return the shares of results a, b, c and d."""
    sums, pairs = designed.summed(*results)
    return shares(sums, pairs, np.nan_to_num(results[:2]).mean(axis=(0, 2)))


# --- against the twin, and identities -------------------------------------------------------------


@given(seeds, st.integers(1, 2200), st.sampled_from([0, 1, 2]))
@unhurried
def test_shares_match_the_twin(seed, pairs, kind):
    """Shares and limits are those of a loop over pairs, batches and columns."""
    results = drawn(seed, pairs, 2, kind)
    found = shares(*designed.summed(*results), np.zeros(2))
    for entry in range(2):
        expected = reference.shares(*(some[entry] for some in results))
        for name, (value, low, high) in expected.items():
            got = getattr(found, name)
            if np.isnan(got.value[entry]):
                assert found.flags[entry] in (Flag.LOST_PAIRS, Flag.CONSTANT)
                continue
            assert_allclose(got.value[entry], value, rtol=1e-9, atol=1e-9)
            assert_allclose(got.low[entry], low, rtol=1e-6, atol=1e-7)
            assert_allclose(got.high[entry], high, rtol=1e-6, atol=1e-7)


@given(seeds, st.integers(1, 2200), st.sampled_from([0, 1, 2]))
@unhurried
def test_no_first_share_is_above_the_total(seed, pairs, kind):
    """To the bit, and in every sample: what is between them is a square."""
    found = shared(drawn(seed, pairs, kind=kind))
    there = np.isfinite(found.first.value)
    assert (found.first.value[there] <= found.total.value[there]).all()
    assert (found.interaction.value[there] >= 0).all()


@given(seeds, st.integers(1, 2200))
@unhurried
def test_a_group_and_all_others_share_out_everything(seed, pairs):
    """The total of a group and the first share of all others are 1: their swaps are exchanged."""
    a, b, c, d = drawn(seed, pairs)
    one, others = shared((a, b, c, d)), shared((a, b, d, c))
    assert_allclose(one.total.value + others.first.value, 1, rtol=1e-12, atol=1e-12)
    assert_allclose(others.total.value + one.first.value, 1, rtol=1e-12, atol=1e-12)


@given(seeds, st.integers(33, 2200))
@unhurried
def test_no_effect_and_a_sole_cause_are_exact(seed, pairs):
    """They are 0 and 1 to the bit, and so are their limits."""
    found = shared(drawn(seed, pairs, kind=1))
    for share in (found.first, found.total):
        for one in (share.value, share.low, share.high):
            assert_array_equal(one[:2], [0.0, 1.0])
    assert_array_equal(found.interaction.high[:2], 0.0)


# --- closed forms ---------------------------------------------------------------------------------

MODELS = {
    "product": designed.product([0.4, 0.3, 0.2, 0.2, 0.1, 0.05]),
    "sum": designed.added([1.0, 0.5, 0.25, 0.01]),
    "ratio": designed.ratio(0.3, 0.2),
    "smaller": designed.smaller(),
    "ishigami": designed.ishigami(),
    "g": designed.sobol_g([0.0, 0.5, 1, 2, 4, 9, *[99] * 14]),
}


@pytest.mark.parametrize("name", MODELS)
def test_shares_are_those_in_closed_form(name):
    """They are within four standard errors, of which limits are 2.04 away."""
    model = MODELS[name]
    scores = np.random.default_rng(1).normal(size=(model.inputs, 2**16))
    sums, pairs = model.study(scores)
    found = shares(sums, pairs, np.ones(len(sums)))
    for share, expected in ((found.first, model.first), (found.total, model.total)):
        error = (share.high - share.low) / 2 / stats.t.ppf(0.975, 31)
        assert (np.abs(share.value - expected) <= 4 * error + 1e-12).all()
        assert (error < 0.01).all()
    assert (found.flags == Flag.OK).all()


# --- what is said of doubtful ones ----------------------------------------------------------------


def test_what_does_not_vary_has_no_share():
    """Neither if draws are all the same, nor if they differ by rounding."""
    rng = np.random.default_rng(1)
    results = np.ones((4, 3, 2048))
    results[:, 1] += 1e-13 * rng.normal(size=(4, 2048))
    results[:, 2] += 1e-11 * rng.normal(size=(4, 2048))
    found = shared(results)
    assert_array_equal(found.flags, [Flag.CONSTANT, Flag.CONSTANT, Flag.OK])
    for one in (found.first, found.total, found.interaction):
        assert np.isnan([one.value[:2], one.low[:2], one.high[:2]]).all()


def test_lost_pairs_are_said_and_too_many_of_them_leave_no_share():
    """One in 2,048 is neither; one per cent is said, 6 % leave nothing."""
    rng = np.random.default_rng(1)
    results = rng.normal(size=(4, 3, 2048))
    for entry, lost in enumerate((1, 20, 123)):
        results[rng.integers(4), entry, rng.permutation(2048)[:lost]] = np.nan
    found = shared(results)
    assert_array_equal(found.flags, [Flag.OK, Flag.LOST_PAIRS, Flag.LOST_PAIRS])
    assert_array_equal(np.isnan(found.first.value), [False, False, True])
    for entry in range(2):
        whole = np.isfinite(results[:, entry]).all(axis=0)
        left, pairs = designed.summed(*results[:, entry, whole])
        assert_allclose(found.first.value[entry], ratios(left, pairs)[0].value)


def test_an_event_that_never_comes_has_no_variance():
    """Its mean is not finite, however few draws it does not come in."""
    results = np.random.default_rng(1).normal(size=(4, 1, 2048))
    results[0, 0, 7] = np.inf
    sums, pairs = designed.summed(*results)
    found = shares(sums, pairs, np.array([np.inf]))
    assert found.flags == Flag.NEVER
    assert np.isnan(found.total.value)


def test_one_batch_that_holds_much_is_said():
    """A single draw that outweighs the others makes limits too short."""
    results = np.random.default_rng(1).normal(size=(4, 1, 2048))
    results[0, 0, 7] = 1e3
    assert shared(results).flags == Flag.UNSETTLED


def test_few_batches_have_no_limits_or_wide_ones():
    """Of one there are none; of a few nothing is settled, and limits follow Student's t."""
    results = np.random.default_rng(1).normal(size=(4, 1, 96))
    one, three = shared(results[..., :32]), shared(results)
    assert np.isnan(one.first.low)
    assert np.isnan(one.total.high)
    assert np.isfinite(three.first.low)
    assert one.flags == three.flags == Flag.UNSETTLED
    assert_allclose(stats.t.ppf(0.975, 2), _steps(results))


def _steps(results):
    found, _ = ratios(*designed.summed(*results))
    return (limited(found).high - found.value) / found.error


def test_a_structural_zero_is_said():
    """What a group does not reach has a share of exactly nothing, unless it does not vary."""
    sums = np.zeros((2, 32, 4))
    sums[0, :, DIFFERENCE] = np.arange(1, 33)
    found = shares(sums, np.full(32, 64), np.ones(2), linked=False)
    assert_array_equal(found.flags, [Flag.STRUCTURAL_ZERO, Flag.CONSTANT])
    assert found.first.low[0] == found.total.high[0] == 0


# --- over cells, and two groups -------------------------------------------------------------------


def test_over_cells_variances_are_added():
    """The share of all is that of each by its variance; by one over the mean squared if asked."""
    rng = np.random.default_rng(1)
    sums, pairs = designed.summed(*rng.normal(size=(4, 2, 3, 4096)))
    weights = np.array([[1.0, 0.25, 0.0], [1.0, 0.0, 1e-6]])
    first, _ = ratios(pooled(sums, weights, (1,)), pairs)
    each, _ = ratios(sums, pairs)
    parts = sums[..., DIFFERENCE].sum(axis=-1) * weights
    assert_allclose(first.value, (each.value * parts).sum(axis=-1) / parts.sum(axis=-1))
    assert (pooled(sums, weights, (1,))[..., LOST] == 0).all()


def test_what_cannot_be_told_from_the_next_larger_is_tied():
    """Two that are alike are, and what is exactly nothing; others are not."""
    model = designed.added([1.0, 0.3, 1.0, 0.9])
    scores = np.random.default_rng(1).normal(size=(4, 2**14))
    first, more = ratios(*model.study(scores))
    total = first + more
    assert_array_equal(np.sort(ties(total)[[0, 2]]), [False, True])
    assert_array_equal(ties(total)[[1, 3]], [False, False])
    nothing = np.zeros((2, 32, 4))
    nothing[..., DIFFERENCE] = 1.0
    assert_array_equal(ties(ratios(nothing, np.full(32, 64))[0]), [False, True])
