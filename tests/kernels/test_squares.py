"""Sums of squares of pairs: against their twin, and what is exact to the bit."""

import numpy as np
import pytest
import reference
from numpy.testing import assert_allclose, assert_array_equal

from ndmc_kernels.squares import BATCHES, LEAF, SUMS, squares


def summed(rows, before, after, at, draws, leaf):
    """Return the sums of some rows, written behind an entry that is another's."""
    sums = np.full((len(before) + 1, BATCHES, SUMS), np.nan)
    arrays = (np.array(some, dtype=np.int64) for some in (before, after))
    squares(rows, *arrays, at, draws, leaf, 1, sums)
    assert np.isnan(sums[0]).all()
    return sums[1:]


def twin(before, after):
    """Return the sums of a leaf that has a and b in turn before, and c and d after."""
    return reference.squares(before[::2], before[1::2], after[::2], after[1::2])[0][0]


@pytest.mark.parametrize(("at", "draws", "leaf"), [(0, 256, 0), (64, 128, 31), (128, 70, 5)])
def test_squares_equal_the_twin(at, draws, leaf):
    """Leaves go to their batches in turn; the last may be short."""
    rows = np.random.default_rng(1).normal(size=(5, 256)) + 1e3
    found = summed(rows, [0, 3], [1, 4], at, draws, leaf)
    batches = set()
    for part, start in enumerate(range(at, at + draws, LEAF)):
        batch, stop = (leaf + part) % BATCHES, min(start + LEAF, at + draws)
        batches.add(batch)
        for n, (x, y) in enumerate([(0, 1), (3, 4)]):
            assert_allclose(found[n, batch], twin(rows[x, start:stop], rows[y, start:stop]), 1e-9)
    others = sorted({*range(BATCHES)} - batches)
    assert np.isnan(found[:, others]).all()


@pytest.mark.parametrize("draws", [64, 50])
def test_what_is_alone_or_without_effect_is_exact(draws):
    """The sole cause of a variance has all of it, to the bit, and what changes nothing has none."""
    rows = np.random.default_rng(2).lognormal(size=(200, 64))
    rows[100:] = rows[:100].reshape(100, -1, 2)[:, :, ::-1].reshape(100, -1)
    some = np.arange(100)
    alone = summed(rows, some, some + 100, 0, draws, 0)[:, 0]
    assert_array_equal(summed(rows, some, -1 - some, 0, draws, 0)[:, 0], alone)
    assert_array_equal(alone[:, 0], alone[:, 2])
    assert_array_equal(alone[:, 1], 0)
    none = summed(rows, some, some, 0, draws, 0)[:, 0]
    assert_array_equal(none[:, :2], 0)
    assert (none[:, 2] > 0).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("row", [0, 1])
def test_pairs_that_are_not_finite_are_left_out(bad, row):
    """One bad value loses its pair, in a leaf that is whole."""
    rows = np.random.default_rng(3).normal(size=(2, 64))
    rows[row, 7] = bad
    found = summed(rows, [0], [1], 0, 64, 0)[0, 0]
    assert found[3] == 1
    assert_allclose(found, twin(*rows), 1e-12)
