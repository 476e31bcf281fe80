"""Order statistics: numpy's quantiles, and ranks that the binomial distribution gives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ndmc.store import ranks as ranking
from ndmc.store.ranks import confidence_ranks, quantile_of_sorted

# --- the quantile itself -------------------------------------------------------------------------

finite = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300)


@given(
    values=st.lists(finite | st.sampled_from([0.0, -0.0, 1.0, 1.0]), min_size=1, max_size=60),
    level=st.floats(0, 1) | st.sampled_from([0.0, 0.5, 1.0, 0.025, 0.975]),
)
def test_quantile_equals_numpy(values, level):
    """Equals numpy.quantile of the same values, with ties and of any length."""
    sorted_values = np.sort(np.array(values))
    assert quantile_of_sorted(sorted_values, level) == np.quantile(sorted_values, level)


@given(
    values=st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1),
    level=st.floats(0, 1),
)
def test_quantile_of_floats_is_that_of_doubles(values, level):
    """Values kept in float32 are interpolated in float64."""
    single = np.sort(np.array(values, dtype=np.float32))
    assert quantile_of_sorted(single, level) == np.quantile(single.astype(np.float64), level)


# --- how sure a percentile is --------------------------------------------------------------------


@pytest.mark.parametrize("level", [0.001, 0.025, 0.16, 0.5, 0.84, 0.975, 0.999])
def test_ranks_follow_the_binomial(level):
    """Limits are the order statistics of methods 5.3, for few draws and for many."""
    counts = [*range(1, 300), 1000, 9999, 10_000, 123_457, 10**6, 10**7]
    low, high = stats.binom.ppf([[0.025], [0.975]], counts, level)
    expected = [(int(a), int(b) + 1) for a, b in zip(low, high, strict=True)]
    assert [confidence_ranks(count, level) for count in counts] == expected


@pytest.mark.parametrize("level", [0.025, 0.5, 0.975])
@pytest.mark.parametrize("count", [5, 100, 146, 1000, 10**5])
def test_ranks_cover_at_least_95_percent(level, count):
    """The exact probability of covering the true percentile is at least 95 %."""
    low, high = confidence_ranks(count, level)
    covered = stats.binom.cdf(high - 1, count, level) - stats.binom.cdf(low - 1, count, level)
    assert covered >= 0.95


def test_simulated_limits_cover():
    """In simulation the limits hold the true percentile as often as they say."""
    rng = np.random.default_rng(1)
    draws, runs = 500, 4000
    samples = np.sort(rng.normal(size=(runs, draws)), axis=1)
    for level in (0.025, 0.5, 0.975):
        low, high = confidence_ranks(draws, level)
        truth = stats.norm.ppf(level)
        hits = int(((samples[:, low - 1] <= truth) & (truth <= samples[:, high - 1])).sum())
        covered = stats.binom.cdf(high - 1, draws, level) - stats.binom.cdf(low - 1, draws, level)
        assert stats.binomtest(hits, runs, covered).pvalue > 1e-4


@given(
    count=st.integers(1, 2**22),
    quantile=st.floats(1e-7, 1 - 1e-7),
    tail=st.sampled_from([0.025, 0.005, 5e-5, 0.975, 0.995, 1 - 5e-5]),
)
def test_confidence_ranks_of_any_count_are_those_of_scipy(count, quantile, tail):
    """The least number of successes whose probability is not below the tail."""
    found = ranking._binomial_quantile(tail, count, quantile)
    assert stats.binom.cdf(found, count, quantile) >= tail
    assert found == 0 or stats.binom.cdf(found - 1, count, quantile) < tail
