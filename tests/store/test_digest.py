"""Digests: exact percentiles of draws that are not kept, however these were cut and merged."""

import itertools

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from strategies import bundled

import ndmc
from ndmc.store import brackets as bracketing
from ndmc.store.brackets import Series, Sheet, open_brackets
from ndmc.store.buffer import Buffer
from ndmc.store.bundle import Bundle, pack
from ndmc.store.digest import Digester
from ndmc.store.merged import _moments, closest, merge, narrow, summarise_rows
from ndmc.store.opening import open_store
from ndmc.store.ranks import confidence_ranks, wanted_ranks
from ndmc.store.view import View

LEVELS = (0.0, 0.025, 0.3, 0.5, 0.975, 1.0)
INNER = LEVELS[1:-1]
unhurried = settings(deadline=None, max_examples=40)
both = pytest.mark.parametrize("dtype", ["float32", "float64"])


# --- a run in small ------------------------------------------------------------------------------


def series(rows, dtype="float32", above=()):
    """Return a series of so many rows, and their sum in float64 on a sheet of its own."""
    positions = (tuple(range(rows)),)
    each = Series("x", View("x", ("row",), positions), 0, slice(0, rows), above)
    total = Series("x_total", View("x", ("row",), positions, ("row",)), 1, slice(0, 1))
    sheets = [Sheet(np.dtype(dtype), rows), Sheet(np.dtype(np.float64), 1)]
    return [each, total], sheets


def total(values):
    """Return the sum of rows in float64, row by row, as one row."""
    return np.add.accumulate(values.astype(np.float64), axis=0)[-1:]


def opened(pieces):
    """Return the bundle of a packed digest."""
    data = b"".join(pieces)
    return Bundle(lambda start, stop: data[start:stop], len(data))


def digested(values, brackets, draws, above=()):
    """Return the digest of some draws of rows [row, draw], a few leaves at a time."""
    layout = series(len(values), values.dtype, above)
    found = Digester(*layout, brackets, draws)
    for first in range(draws.start, draws.stop, 192):
        some = values[:, first : min(first + 192, draws.stop)]
        buffer = Buffer(*layout, some.shape[1])
        buffer.rows[0][...] = some
        buffer.add_up()
        found.add(buffer.rows)
    assert found.stop == draws.stop
    return opened(pack(found.arrays(), found.facts))


def blocks(edges):
    """Return the ranges between edges."""
    return [range(a, b) for a, b in itertools.pairwise(edges) if a < b]


def first_brackets(values):
    """Return brackets of the first draws."""
    _, sheets = series(len(values), values.dtype)
    return bracketing.first_brackets(sheets, [values[:, 0], total(values)[:, 0]])


def merged(values, stages, levels=LEVELS, *, counted=False, chance=None):
    """Return the digests of all draws in stages of blocks, the last stage counted or not."""
    brackets, state, found = first_brackets(values), [], None
    for number, stage in enumerate(stages):
        if found is not None:
            last = number == len(stages) - 1
            closer, *state = narrow(found, levels, opened, counted=counted and last)
            sheets = series(len(values), values.dtype)[1]
            brackets = open_brackets(opened(closer.pack()), sheets, len(levels), closer.start)
        bundles = state + [digested(values, brackets, block) for block in stage]
        if chance is not None:
            chance.shuffle(bundles)
        found = merge(brackets, bundles)
    return found


def again(values, found, every, levels=LEVELS):
    """Return the digests of a second pass under the closest brackets."""
    brackets = closest(found, [wanted_ranks(found.draws, q, 0.95) for q in levels])
    return merge(brackets, [digested(values, brackets, block) for block in every])


def check(rows, values, levels=LEVELS):
    """Demand exact percentiles, limits, least and most of rows [row, draw]; moments to rounding."""
    values = values.astype(np.float64)
    draws = values.shape[1]
    expected = [[reference.quantile(row, q) for row in values] for q in levels]
    assert_array_equal(rows.values, expected)
    ranked = np.sort(values, axis=1)
    ends = np.full((len(values), 1), np.inf)
    ranked = np.concatenate([-ends, ranked, ends], axis=1)  # ranks from 1, and too few draws
    for n, level in enumerate(levels):
        low, high = confidence_ranks(draws, level)
        assert_array_equal(rows.low[n], ranked[:, max(low, 0)])
        assert_array_equal(rows.high[n], ranked[:, min(high, draws + 1)])
    assert_array_equal(rows.least, values.min(axis=1))
    assert_array_equal(rows.most, values.max(axis=1))
    finite = np.isfinite(values).all(axis=1)
    assert_array_equal(np.isposinf(rows.mean), ~finite)
    values, scale = values[finite], np.abs(values[finite]).max(initial=1e-300)
    assert_allclose(rows.mean[finite], values.mean(axis=1), rtol=1e-11, atol=1e-13 * scale)
    if draws > 1:
        # The squares are those of differences from the first draw, which may be the odd one out.
        sd = values.std(axis=1, ddof=1)
        assert_allclose(rows.sd[finite], sd, rtol=1e-6, atol=1e-6 * scale)
        constant = (values == values[:, :1]).all(axis=1)
        assert_array_equal(rows.sd[finite][constant], 0.0)


def check_all(found, values, levels=LEVELS):
    """Demand the percentiles of all rows and of their total."""
    rows = summarise_rows(found, levels)
    assert rows is not None
    check(rows[0], values, levels)
    check(rows[1], total(values), levels)


finite = st.floats(-(2.0**99), 2.0**99, width=32)


@st.composite
def draws_of_rows(draw, *, most=1500, infinite=False, dtype=None):
    """Return rows [row, draw]: ties, infinities if wanted, a constant row, and a seeded chance."""
    count = draw(st.integers(1, most) | st.sampled_from([1, 2, 64, 256, 257, 512, 1024]))
    chance = np.random.default_rng(draw(st.integers(0, 2**32)))
    pool = draw(st.lists(finite | st.sampled_from([0.0, -0.0, 1.0, 1.0]), min_size=1, max_size=8))
    few = chance.choice(np.array(pool), count)
    many = chance.normal(draw(st.sampled_from([0.0, 3.0])), 1.0, count)
    mixed = np.where(chance.random(count) < 0.3, few, many)
    rows = [few, many, mixed, np.full(count, few[0])]
    if infinite:
        share = draw(st.sampled_from([0.0, 0.01, 0.4, 0.6, 0.99, 1.0]))
        rows += [np.where(chance.random(count) < share, np.inf, row) for row in rows]
    dtype = dtype or draw(st.sampled_from(["float32", "float64"]))
    return np.array(rows).astype(dtype), chance


def cuts(chance, start, stop, grain=1):
    """Return edges of random blocks, all but the last at multiples of a grain."""
    middle = chance.integers(start // grain, stop // grain + 1, 3) * grain
    return [start, *sorted(middle[(middle > start) & (middle < stop)].tolist()), stop]


def staged(chance, draws, grain=1):
    """Return random blocks of one to three stages, each larger than the one before."""
    ends = [draws]
    while len(ends) < 3 and ends[0] > 2 * grain and chance.random() < 0.8:
        ends.insert(0, max(ends[0] // int(chance.choice([2, 3, 8])) // grain, 1) * grain)
    ends = sorted(set(ends))
    return [blocks(cuts(chance, a, b, grain)) for a, b in zip([0, *ends], ends, strict=False)]


# --- however draws are cut -----------------------------------------------------------------------


@given(given_rows=draws_of_rows())
@unhurried
def test_percentiles_of_one_stage_equal_numpy(given_rows):
    """Kept whole, any rows in any blocks and order have numpy's percentiles, bit for bit."""
    values, chance = given_rows
    found = merged(values, [blocks(cuts(chance, 0, values.shape[1], 64))], chance=chance)
    assert found.draws == values.shape[1]
    check_all(found, values)
    expected = np.quantile(values.astype(np.float64), LEVELS, axis=1)
    assert_array_equal(summarise_rows(found, LEVELS)[0].values, expected)


@given(given_rows=draws_of_rows(infinite=True))
@unhurried
def test_infinite_draws_keep_their_ranks(given_rows):
    """With +inf among draws a percentile is infinite where its upper neighbour is and weighs in."""
    values, chance = given_rows
    found = merged(values, [blocks(cuts(chance, 0, values.shape[1], 64))], chance=chance)
    check_all(found, values)


@given(given_rows=draws_of_rows(infinite=True))
@unhurried
def test_later_stages_are_exact_or_made_so(given_rows):
    """Under brackets of the draws before, percentiles are exact: at once, or in a second pass."""
    values, chance = given_rows
    stages = staged(chance, values.shape[1], 64)
    found = merged(values, stages, chance=chance)
    if summarise_rows(found, LEVELS) is None:
        found = again(values, found, [block for stage in stages for block in stage])
    check_all(found, values)


@given(given_rows=draws_of_rows(infinite=True))
@unhurried
def test_counted_brackets_lead_to_exact_percentiles(given_rows):
    """Draws counted by parts of brackets, and kept in a second pass, have exact percentiles."""
    values, chance = given_rows
    stages = staged(chance, values.shape[1], 64)
    found = merged(values, stages, counted=True, chance=chance)
    assert bool(found.tallies) == (len(stages) > 1)
    for sheet, tally in enumerate(found.tallies):
        assert_array_equal(tally.sum(axis=2), found.counts[sheet][..., 2])
    every = blocks(cuts(chance, 0, values.shape[1], 64))
    check_all(again(values, found, every), values)


@given(given_rows=draws_of_rows(infinite=True), order=st.sampled_from([1, -1]))
@unhurried
def test_draws_in_any_order_are_exact(given_rows, order):
    """Draws that rise or fall all the way miss every bracket, and are exact all the same."""
    values, chance = given_rows
    values = np.ascontiguousarray(np.sort(values, axis=1)[:, ::order])
    stages = staged(chance, values.shape[1], 64)
    for counted in (False, True):
        found = merged(values, stages, counted=counted, chance=chance)
        if found.tallies or summarise_rows(found, LEVELS) is None:
            found = again(values, found, [block for stage in stages for block in stage])
        check_all(found, values)


@given(given_rows=draws_of_rows())
@unhurried
def test_moments_do_not_depend_on_blocks(given_rows):
    """Mean and sd have the same bits for any blocks, stages and order at multiples of 256 draws."""
    values, chance = given_rows
    whole = summarise_rows(merged(values, [blocks([0, values.shape[1]])]), LEVELS)
    for _ in range(3):
        stages = staged(chance, values.shape[1], 256)
        found = merged(values, stages, counted=bool(chance.integers(2)), chance=chance)
        every = [block for stage in stages for block in stage]
        chance.shuffle(every)
        for one in (found, again(values, found, every)):
            for sheet in (0, 1):
                mean, sd = _moments(one, sheet)
                assert_array_equal(mean.view(np.uint64), whole[sheet].mean.view(np.uint64))
                assert_array_equal(np.isnan(sd), np.isnan(whole[sheet].sd))
                sd, expected = np.nan_to_num([sd, whole[sheet].sd])
                assert_array_equal(sd.view(np.uint64), expected.view(np.uint64))


@given(given_rows=draws_of_rows(infinite=True))
@unhurried
def test_narrowing_counts_all_draws_again(given_rows):
    """Under its own brackets the digest of a stage has every draw before, counted anew exactly."""
    values, chance = given_rows
    found = merged(values, staged(chance, values.shape[1], 64))
    brackets, state = narrow(found, LEVELS, opened, counted=False)
    assert brackets.start == values.shape[1]
    for sheet, rows in enumerate((values, total(values))):
        low, high = np.moveaxis(brackets.edges[sheet], -1, 0)[..., np.newaxis]
        rows = rows[:, np.newaxis]
        inside = (rows > low) & (rows < high)
        at_high = (rows == high) & (low != high)
        parts = [rows < low, rows == low, inside, at_high]
        expected = np.stack([part.sum(axis=-1) for part in parts], axis=-1)
        assert_array_equal(state[f"counts/{sheet}"], expected)
        kept = [
            np.sort(row[0][now]) for row, cell in zip(rows, inside, strict=True) for now in cell
        ]
        assert_array_equal(state[f"kept/{sheet}/0"], np.concatenate(kept))


def test_more_rows_than_a_segment():
    """Rows beyond the first segment of a file are found in theirs."""
    chance = np.random.default_rng(3)
    values = chance.normal(size=(150, 2000)).astype(np.float32)
    stages = [blocks([0, 512, 768]), blocks([768, 1280, 2000])]
    found = merged(values, stages, INNER, chance=chance)
    check_all(found, values, INNER)
    counted = merged(values, stages, INNER, counted=True, chance=chance)
    check_all(again(values, counted, blocks([0, 2000]), INNER), values, INNER)


def test_numbers_whose_squares_are_too_large_are_ranked():
    """Where squares are beyond the largest double percentiles and mean are right, quietly."""
    chance = np.random.default_rng(7)
    values = chance.lognormal(size=(3, 700)) * np.array([[1e150], [1e155], [1e300]])
    rows = summarise_rows(merged(values, [blocks([0, 256, 700])]), LEVELS)
    assert_array_equal(rows[0].values, np.quantile(values, LEVELS, axis=1))
    assert_allclose(rows[0].mean, values.mean(axis=1), rtol=1e-12)
    assert_allclose(rows[0].sd[0], values[0].std(ddof=1), rtol=1e-9)
    assert not np.isfinite(rows[0].sd[1:]).any()


@both
def test_exceedance_is_counted_exactly(dtype):
    """Draws above each limit are counted, in double precision and whatever the blocks."""
    chance = np.random.default_rng(4)
    values = chance.choice([0.1, 0.2, 0.3, np.inf], (3, 1000)).astype(dtype)
    limits = (0.1, 0.2, float(np.float32(0.2)), 0.25, np.inf, -1.0)
    brackets = first_brackets(values)
    bundles = [digested(values, brackets, block, limits) for block in blocks([0, 256, 1000])]
    closer, state = narrow(merge(brackets, bundles[:1]), LEVELS, opened, counted=False)
    late = [state, digested(values, closer, range(256, 1000), limits)]
    expected = [[sum(float(v) > limit for v in row) for row in values] for limit in limits]
    for found in (merge(brackets, bundles), merge(closer, late)):
        assert_array_equal(found.above[0], expected)


# --- brackets that miss --------------------------------------------------------------------------


@both
@pytest.mark.parametrize("seed", range(3))
def test_a_narrow_bracket_says_so(monkeypatch, dtype, seed):
    """Where the wanted ranks lie outside a bracket there is no percentile, rather than a wrong one.

    A second pass under the closest brackets then has all of them, exactly.
    """
    monkeypatch.setattr("ndmc.store.ranks.ERRORS", 0.01)
    chance = np.random.default_rng(seed)
    values = chance.normal(size=(20, 3000)).astype(dtype)
    stages = [blocks([0, 256]), blocks([256, 1024, 3000])]
    found = merged(values, stages)
    assert summarise_rows(found, LEVELS) is None
    check_all(again(values, found, blocks([0, 1024, 3000])), values)


def test_six_errors_are_enough():
    """The brackets of a stage hold every percentile and limit of draws that are alike."""
    chance = np.random.default_rng(5)
    values = chance.normal(size=(200, 16384)).astype(np.float32)
    stages = [blocks([0, 2048]), blocks([2048, 16384])]
    found = merged(values, stages, INNER)
    assert summarise_rows(found, INNER) is not None
    share = found.counts[0][..., 2].sum(axis=1) / 16384
    assert share.max() < 0.5  # and yet most draws are not kept


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_the_ends_need_no_second_pass(level):
    """The lowest and the highest draw are known after one pass, as any other percentile is."""
    chance = np.random.default_rng(6)
    values = chance.normal(size=(200, 2048)).astype(np.float32)
    found = merged(values, [blocks([0, 512]), blocks([512, 2048])], (level,))
    check_all(found, values, (level,))


RUN = {"seed": 4, "keep": ["none"], "workers": 2}


def percentiles(out):
    """Return every array of the percentiles of a store."""
    return {name: array[...] for name, array in open_store(out).root["percentiles"].arrays()}


def assert_same(got, expected):
    """Demand the same arrays, bit for bit."""
    assert set(got) == set(expected)
    for name, values in expected.items():
        assert_array_equal(got[name], values, name)


@both
def test_a_run_whose_brackets_miss_is_exact(tmp_path, monkeypatch, dtype):
    """A whole run under brackets that miss makes a second pass, and has the same percentiles."""
    options = {**RUN, "percentiles": ["in_use", "recycled_share"], "dtype": dtype}
    ndmc.run(bundled("starter"), 12_000, out=tmp_path / "once.zarr", **options)
    monkeypatch.setattr("ndmc.store.ranks.ERRORS", 0.01)
    ndmc.run(bundled("starter"), 12_000, out=tmp_path / "twice.zarr", **options)
    names = open_store(tmp_path / "twice.zarr").ledger.names
    assert any(name.startswith("again-") for name in names)
    names = open_store(tmp_path / "once.zarr").ledger.names
    assert not any(name.startswith("again-") for name in names)
    assert_same(percentiles(tmp_path / "twice.zarr"), percentiles(tmp_path / "once.zarr"))
