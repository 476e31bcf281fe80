"""Exact selection by counting the digits of ordered keys."""

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from ndmc_kernels import histogram

SPECIAL = np.array([-np.inf, -1e308, -1.0, -5e-324, -0.0, 0.0, 5e-324, 1.0, 1e308, np.inf])
VALUES = np.concatenate([SPECIAL, np.random.default_rng(1).normal(0, 1, 300)])
SHIFTS = [48, 32, 16, 0]


def tally(values, shift, prefixes):
    """Return counts [prefix, digit]."""
    counts = np.zeros((len(prefixes), 65536), dtype=np.int64)
    histogram.tally(values, shift, np.array(prefixes, dtype=np.uint64), counts)
    return counts


def select(values, rank):
    """Return the value of a rank by four passes of counting."""
    prefix = 0
    for shift in SHIFTS:
        cumulative = np.cumsum(tally(values, shift, [prefix])[0])
        digit = int(np.searchsorted(cumulative, rank, side="right"))
        rank -= int(cumulative[digit - 1]) if digit else 0
        prefix = prefix << 16 | digit
    return histogram.key_value(np.array([prefix], dtype=np.uint64))[0]


@pytest.mark.parametrize("shift", SHIFTS)
def test_tally_matches_reference(shift):
    """Counts as the twin does, for present and for absent prefixes."""
    keys = {reference.ordered_key(v) >> (shift + 16) for v in VALUES[::7]}
    prefixes = [0] if shift == 48 else sorted(keys | {0, 1, 2 ** (48 - shift) - 1})
    assert_array_equal(tally(VALUES, shift, prefixes), reference.tally(VALUES, shift, prefixes))


def test_tally_adds_to_counts():
    """Accumulates over calls, so that blocks can come one by one."""
    counts = np.zeros((1, 65536), dtype=np.int64)
    for part in np.array_split(VALUES, 5):
        histogram.tally(part, 48, np.zeros(1, np.uint64), counts)
    assert_array_equal(counts, tally(VALUES, 48, [0]))


def test_key_value_inverts_ordered_key():
    """Returns the bits of every double, signed zeros and infinities included."""
    keys = np.array([reference.ordered_key(v) for v in VALUES], dtype=np.uint64)
    assert_array_equal(histogram.key_value(keys).view(np.uint64), VALUES.view(np.uint64))


def test_keys_sort_as_the_numbers_do():
    """Orders -inf < ... < -0.0 < 0.0 < ... < inf."""
    keys = [reference.ordered_key(v) for v in SPECIAL]
    assert keys == sorted(set(keys))


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=60), st.data())
@settings(deadline=None, max_examples=30)
def test_selection_is_exact(numbers, data):
    """Finds the order statistic of any rank, bit for bit up to the sign of zero."""
    rank = data.draw(st.integers(0, len(numbers) - 1))
    assert select(np.array(numbers), rank) == np.sort(numbers)[rank]
