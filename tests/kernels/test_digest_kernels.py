"""Kernels of digests: counts and kept draws exactly, moments to the last bit."""

import pickle

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from ndmc_kernels.digest import ADD_UP, DIGEST, LEAF, MOVE, NARROW

SIZES = {4: np.float32, 8: np.float64}
ODD = [-np.inf, np.inf, 0.0, -0.0, 1.0, 1.0, 5e-324]
LENGTHS = [*range(1, 19), 63, 64, 65, 127, 128, 129, 200]
unhurried = settings(deadline=None, max_examples=50)
both = pytest.mark.parametrize("size", SIZES)


def drawn(data, size):
    """Return draws [row, draw] with many ties, and edges [row, bracket, 2] among them."""
    finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
    pool = data.draw(st.lists(finite | st.sampled_from(ODD), min_size=1, max_size=12))
    rows, brackets = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 7))
    chance = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    draws = data.draw(st.sampled_from(LENGTHS))
    dtype = SIZES[size]
    with np.errstate(under="ignore"):
        pool = np.array(pool).astype(dtype)
    values = chance.choice(pool, (rows, draws))
    ends = np.concatenate([pool, np.array([-np.inf, np.inf], dtype)])
    edges = np.sort(chance.choice(ends, (rows, brackets, 2)), axis=2)
    return values, edges, chance


def digest(values, edges=None, centre=None, counts=None, slots=None, span=None, sums=None):
    """Run the kernel, with memory for what is not looked at."""
    size, rows = values.itemsize, len(values)
    edges = np.empty((rows, 0, 2), values.dtype) if edges is None else edges
    brackets = edges.shape[1]
    centre = np.zeros(rows) if centre is None else centre
    counts = np.zeros((rows, brackets, 4), dtype=np.int64) if counts is None else counts
    slots = np.empty((rows, brackets, 1), values.dtype) if slots is None else slots
    span = np.zeros((rows, 2), f"i{size}") if span is None else span
    sums = np.empty((-(-values.shape[1] // LEAF), rows, 2)) if sums is None else sums
    DIGEST[size](values, values.view(f"i{size}"), edges, centre, counts, slots, span, sums)


def gathered(values, edges, counts, kept):
    """Return what the kernel makes of counts and kept values, with a slot more as scratch."""
    counts = counts.copy()
    slots = np.concatenate([kept, np.full_like(kept, 77.0, shape=(*kept.shape[:2], 1))], axis=2)
    digest(values, edges, counts=counts, slots=slots)
    return counts, slots[..., :-1]


@both
@given(data=st.data())
@unhurried
def test_gather_matches_reference(size, data):
    """Counts and keeps what the twin does, after what was kept before, with room or without."""
    values, edges, chance = drawn(data, size)
    filled, room = chance.integers(0, 5, edges.shape[:2]), int(chance.integers(0, 250))
    counts = chance.integers(0, 1000, (*edges.shape[:2], 4))
    counts[..., 2] = filled
    kept = np.full((*edges.shape[:2], room), 77.0, dtype=values.dtype)
    got, expected = (f(values, edges, counts, kept) for f in (gathered, reference.gather))
    assert_array_equal(got[0], expected[0])
    for place in np.ndindex(edges.shape[:2]):
        some = slice(0, min(expected[0][place][2], room))
        kept, twin = (found[1][place][some].view(f"u{size}") for found in (got, expected))
        assert_array_equal(kept, twin)


@both
@given(data=st.data())
@unhurried
def test_counts_make_up_all_draws(size, data):
    """Each draw is below, at an edge, inside or above, and in one of these only."""
    values, edges, _ = drawn(data, size)
    counts = np.zeros((*edges.shape[:2], 4), dtype=np.int64)
    counts, _ = gathered(values, edges, counts, np.empty((*edges.shape[:2], 0), values.dtype))
    above = (values[:, np.newaxis] > edges[:, :, 1:]).sum(axis=2)
    assert_array_equal(counts.sum(axis=2) + above, np.full(above.shape, values.shape[1]))


@both
def test_without_room_draws_are_counted_only(size):
    """A full bracket goes on counting, and leaves alone what is next to it."""
    values = np.linspace(0, 1, 101, dtype=SIZES[size])[np.newaxis]
    edges = np.array([[[0, 1], [0.25, 0.75]]], dtype=SIZES[size])
    counts, memory = np.zeros((1, 2, 4), dtype=np.int64), np.full(64, 77.0, SIZES[size])
    kept = memory[20:40].reshape(1, 2, 10)
    digest(values, edges, counts=counts, slots=kept)
    assert_array_equal(counts[0, :, 1:], [[1, 99, 1], [1, 49, 1]])
    assert_array_equal(kept[0, :, :9], [values[0, 1:10], values[0, 26:35]])
    assert (np.delete(memory, range(20, 40)) == 77.0).all()


@both
def test_a_bracket_of_one_value_counts_it_once(size):
    """Where both edges are one, a draw there is at the low one; all other draws are outside."""
    values = np.array([[1, 2, 2, 2, 3, np.inf, -np.inf, 2, 2]], dtype=SIZES[size])
    edges = np.array([[[2, 2], [np.inf, np.inf], [-np.inf, -np.inf]]], dtype=SIZES[size])
    kept = np.empty((1, 3, 9), dtype=SIZES[size])
    counts, _ = gathered(values, edges, np.zeros((1, 3, 4), np.int64), kept)
    assert_array_equal(counts[0], [[2, 5, 0, 0], [8, 1, 0, 0], [0, 1, 0, 0]])


# --- closer brackets -----------------------------------------------------------------------------


@both
@given(data=st.data())
@unhurried
def test_closer_brackets_count_what_the_draws_would(size, data):
    """Counts and keeps what draws counted against the closer brackets at once would give."""
    values, edges, chance = drawn(data, size)
    nothing = np.zeros((*edges.shape[:2], 4), dtype=np.int64)
    room = np.empty((*edges.shape[:2], values.shape[1]), values.dtype)
    known, kept = reference.gather(values, edges, nothing, room)
    spare = data.draw(st.integers(0, 2))  # more brackets than before come from the last
    olds = np.minimum(np.arange(edges.shape[1] + spare), edges.shape[1] - 1)
    close = np.empty((len(edges), len(olds), 2), values.dtype)
    for row, bracket in np.ndindex(close.shape[:2]):
        low, high = edges[row, olds[bracket]]
        between = values[row][(values[row] >= low) & (values[row] <= high)]
        close[row, bracket] = np.sort(chance.choice([low, high, *between], 2))
    sizes = known[..., 2]
    starts = (np.cumsum(sizes) - sizes.reshape(-1)).reshape(sizes.shape)
    inside = [np.sort(kept[place][: sizes[place]]) for place in np.ndindex(sizes.shape)]
    counts, spans = (np.full((*close.shape[:2], n), -1) for n in (4, 2))
    flat = np.concatenate(inside)
    NARROW[size](flat, starts, known, edges, close, counts, spans)
    nothing = np.zeros((*close.shape[:2], 4), dtype=np.int64)
    room = np.empty((*close.shape[:2], values.shape[1]), values.dtype)
    expected, kept = reference.gather(values, close, nothing, room)
    assert_array_equal(counts, expected)
    for place in np.ndindex(close.shape[:2]):
        found = flat[slice(*spans[place])]
        assert_array_equal(found, np.sort(kept[place][: expected[place][2]]))


# --- ranges --------------------------------------------------------------------------------------


def range_of(values, span=None):
    """Return the least and greatest draw of each row, [row, 2], after a span before."""
    size = values.itemsize
    ends = np.iinfo(f"i{size}")
    keys = np.tile(np.array([ends.max, ends.min], f"i{size}"), (len(values), 1))
    if span is not None:
        bits = span.view(f"i{size}")
        keys = np.where(bits < 0, bits ^ ends.max, bits)
    digest(values, span=keys)
    return np.where(keys < 0, keys ^ ends.max, keys).view(values.dtype)


@both
@given(data=st.data())
@unhurried
def test_range_is_that_of_numpy(size, data):
    """Finds the least and the greatest draw of each row, and goes on from those before."""
    values, _, chance = drawn(data, size)
    expected = np.stack([values.min(axis=1), values.max(axis=1)], axis=1)
    found = range_of(values)
    assert_array_equal(found, expected)
    more = chance.permuted(values, axis=1)[:, :3] + values.dtype.type(1)
    both = np.concatenate([values, more], axis=1)
    expected = np.stack([both.min(axis=1), both.max(axis=1)], axis=1)
    assert_array_equal(range_of(np.ascontiguousarray(more), found), expected)


@both
def test_what_is_no_number_shows_in_the_range(size):
    """Makes a range that is not finite of a row with a draw that is not."""
    values = np.ones((5, 100), SIZES[size])
    values[1, 50], values[2, 0], values[3, 99], values[4, 7] = np.nan, -np.nan, np.inf, -np.inf
    assert_array_equal(np.isfinite(range_of(values)).all(axis=1), [True, *[False] * 4])


# --- moments -------------------------------------------------------------------------------------


def sums_of(values, centre, together=1):
    """Return the kernel's sums [row, node, 2] of some leaves together."""
    sums = np.full((-(-values.shape[1] // LEAF) // together, len(values), 2), np.nan)
    digest(values, centre=centre, sums=sums)
    return np.swapaxes(sums, 0, 1)


def bits(values):
    """Return the bits of doubles, all that are not a number alike."""
    return np.where(np.isnan(values), np.nan, values).view(np.uint64)


@both
@given(data=st.data())
@unhurried
def test_moments_match_reference(size, data):
    """Sums have the bits of the twin's, for leaves that are full, short, and not finite."""
    values, _, chance = drawn(data, size)
    centre = np.where(np.isfinite(values[:, 0]), values[:, 0], 0.0).astype(np.float64)
    centre = centre * chance.choice([0.0, 1.0, 1 / 3])
    with np.errstate(invalid="ignore", over="ignore"):
        expected = reference.leaf_sums(values, centre)
    assert_array_equal(bits(sums_of(values, centre)), bits(expected))


@both
@pytest.mark.parametrize("draws", [1, 7, 63, 64, 65, 100])
def test_moments_of_plain_draws(size, draws):
    """Sums of many random rows have the bits of the twin's."""
    chance = np.random.default_rng(draws)
    values = chance.normal(5, 2, (50, draws)).astype(SIZES[size])
    centre = chance.normal(5, 2, 50)
    assert_array_equal(sums_of(values, centre), reference.leaf_sums(values, centre))


@both
@given(data=st.data())
@unhurried
def test_a_leaf_does_not_depend_on_what_follows(size, data):
    """A leaf's bits are the same alone, with more leaves behind it, and in any other place."""
    values, _, chance = drawn(data, size)
    centre = chance.normal(size=len(values))
    whole = sums_of(values, centre)
    for leaf in range(whole.shape[1]):
        alone = np.ascontiguousarray(values[:, leaf * LEAF : (leaf + 1) * LEAF])
        assert_array_equal(bits(sums_of(alone, centre)), bits(whole[:, leaf : leaf + 1]))
    more = np.concatenate([values, chance.normal(size=(len(values), 70)).astype(values.dtype)], 1)
    full = values.shape[1] // LEAF
    assert_array_equal(bits(sums_of(more, centre)[:, :full]), bits(whole[:, :full]))


@both
@pytest.mark.parametrize("draws", [129, 200, 256, 450, 512])
def test_leaves_are_added_in_pairs(size, draws):
    """Nodes of two leaves or four are the sums of neighbours, those added first."""
    chance = np.random.default_rng(draws)
    values, centre = chance.normal(5, 2, (9, draws)).astype(SIZES[size]), chance.normal(5, 2, 9)
    leaves = reference.leaf_sums(values, centre)
    for together in (2, 4):
        if leaves.shape[1] % 2 == 0:
            leaves = leaves[:, 0::2] + leaves[:, 1::2]
            assert_array_equal(sums_of(values, centre, together), leaves)


def test_leaves_are_those_of_the_reference():
    """The twin folds leaves of the size the package cuts them in."""
    assert LEAF == 64


# --- sums over labels -----------------------------------------------------------------------------


@both
@given(sizes=st.tuples(*[st.integers(0, 3), st.integers(1, 5), st.integers(0, 3)]), data=st.data())
@unhurried
def test_labels_are_added_in_order(size, sizes, data):
    """Adds label after label in double precision, for any number of draws."""
    chance = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    shape = (*sizes, data.draw(st.sampled_from(LENGTHS)))
    values = (chance.normal(size=shape) * 10.0 ** chance.integers(-9, 9, shape)).astype(SIZES[size])
    values[chance.random(shape) < 0.1] = -0.0
    totals = np.empty((shape[0], *shape[2:]))
    ADD_UP[size](values, totals)
    expected = reference.add_up(values)
    assert_array_equal(totals.view(np.uint64), expected.view(np.uint64))


# --- runs of values ------------------------------------------------------------------------------


@both
def test_runs_are_moved_to_their_places(size):
    """Copies each run, of any length, and leaves alone what is between them."""
    source, target = np.arange(20, dtype=SIZES[size]), np.full(30, -1, SIZES[size])
    begins, sizes, places = (
        np.array(some) for some in ([[3, 0], [9, 20]], [[4, 1], [9, 0]], [[0, 6], [20, 30]])
    )
    MOVE[size](source, begins, sizes, places, target)
    expected = [3, 4, 5, 6, -1, -1, 0, *[-1] * 13, *range(9, 18), -1]
    assert_array_equal(target, expected)


# --- as kernels ----------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("kernels", [ADD_UP, DIGEST, MOVE, NARROW])
def test_kernels_can_be_pickled(kernels, size):
    """Travel to another process by name, as all other kernels do, each in its own precision."""
    assert pickle.loads(pickle.dumps(kernels[size])) is kernels[size]


@both
def test_other_precisions_are_refused(size):
    """Arrays of the other precision raise, rather than being read as what they are not."""
    wrong = np.zeros((1, 8), dtype=SIZES[12 - size])
    with pytest.raises(TypeError, match="values must be"):
        ADD_UP[size](wrong.reshape(1, 1, 1, 8), np.empty((1, 1, 8)))
