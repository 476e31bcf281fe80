"""Sums over bins, against the twin."""

import numpy as np
import pytest
import reference
from numpy.testing import assert_allclose

from ndmc_kernels.bins import add_to_bins


@pytest.mark.parametrize("columns", [1, 95, 96, 97, 200])
@pytest.mark.parametrize(("inputs", "draws"), [(1, 1), (3, 50), (0, 7)])
def test_values_are_added_to_their_bins(inputs, draws, columns):
    """And to what is there already, so that tiles can come one by one."""
    random = np.random.default_rng(columns)
    bins, values = random.integers(0, 8, (inputs, draws)), random.normal(size=(draws, columns))
    sums = np.zeros((inputs, 8, columns))
    for _ in range(2):
        add_to_bins(bins, values, sums)
    if inputs:
        assert_allclose(sums, 2 * reference.bin_sums(bins, values, 8), rtol=1e-12, atol=1e-13)
