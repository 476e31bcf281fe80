"""Gamma quantiles as series of normal scores, held to SciPy's."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from ndmc.engine.gamma_series import series_of
from ndmc_kernels import sampling

#: As far as uniforms of 52 bits go, and some inside.
SCORES = np.concatenate([np.linspace(-8.2, 8.2, 101), stats.norm.ppf(np.arange(1, 200) / 200)])


def quantiles(shapes):
    """Return gamma quantiles of all scores, [shape, score]."""
    count = len(shapes)
    rows = np.concatenate([SCORES[np.newaxis], np.empty((count, len(SCORES)))])
    places = np.zeros(count, np.int64), np.arange(1, count + 1)
    sampling.log_series(rows, *places, series_of(np.array(shapes)), rows)
    return rows[1:]


@pytest.mark.parametrize("shape", [3.0, 3.7, 12.0, 80.0, 1e3, 1e5])
def test_quantiles_are_those_of_the_distribution(shape):
    """To 1e-12, in both tails as far as draws go."""
    gamma = stats.gamma(shape)
    expected = np.where(
        SCORES < 0, gamma.ppf(stats.norm.cdf(SCORES)), gamma.isf(stats.norm.sf(SCORES))
    )
    assert_allclose(quantiles([shape])[0], expected, rtol=1e-12)


def test_a_shape_has_its_series_whatever_stands_beside_it():
    """To the last bit: a label more changes no other's draws."""
    shapes = np.linspace(3, 40, 37)
    assert_array_equal(series_of(shapes)[11], series_of(shapes[11:12])[0])
