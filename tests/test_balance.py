"""Moving mass between rows."""

import numpy as np
import pytest
import reference
from numpy.testing import assert_allclose, assert_array_equal

from ndmc_kernels import balance

RNG = np.random.default_rng(1)
SOURCE = RNG.lognormal(size=(7, 128))
TARGET_OF = np.array([0, 2, 2, 1, 0, 2, 2])


@pytest.mark.parametrize("function", [balance.accumulate, balance.accumulate.py_func])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_accumulate_matches_reference(function, sign):
    """Adds or subtracts every row at its target, and leaves other rows alone."""
    got = RNG.random((4, 128))
    expected = reference.accumulate(SOURCE, TARGET_OF, sign, got)
    untouched = got[3].copy()
    function(SOURCE, TARGET_OF, sign, got)
    assert_allclose(got, expected, rtol=1e-12)
    assert_array_equal(got[3], untouched)


def test_accumulate_undoes_itself():
    """Taking away what was added to zero leaves exactly zero, in the opposite order too."""
    got = np.zeros((4, 128))
    balance.accumulate(SOURCE[:3], TARGET_OF[:3], 1.0, got)
    balance.accumulate(SOURCE[2::-1].copy(), TARGET_OF[2::-1].copy(), -1.0, got)
    assert_allclose(got, 0, atol=4 * np.finfo(float).eps * SOURCE.max())


@pytest.mark.parametrize("function", [balance.transfer, balance.transfer.py_func])
def test_transfer_matches_reference(function):
    """Multiplies each row's total by its share."""
    total, share = SOURCE[:3], RNG.random((5, 128))
    total_of, share_of = np.array([0, 0, 2, 1]), np.array([4, 3, 0, 0])
    got = np.full((4, 128), np.nan)
    function(total, total_of, share, share_of, got)
    assert_allclose(got, reference.transfer(total, total_of, share, share_of), rtol=1e-12)


def test_shares_of_one_hand_on_the_total():
    """What leaves by shares that sum to 1 is what came in, to rounding."""
    share = RNG.dirichlet(np.ones(5), 128).T.copy()
    total, flows, out = SOURCE[:1], np.empty((5, 128)), np.zeros((1, 128))
    balance.transfer(total, np.zeros(5, np.int64), share, np.arange(5), flows)
    balance.accumulate(flows, np.zeros(5, np.int64), 1.0, out)
    assert_allclose(out, total, rtol=8 * np.finfo(float).eps)
