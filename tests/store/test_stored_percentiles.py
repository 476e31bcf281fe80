"""Percentiles: numpy's, bit for bit, however little memory there is; and honest limits."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from strategies import python, stock_model, write

import ndmc
from ndmc.errors import InputError, RunError
from ndmc.store import stored_percentiles as quantiles
from ndmc.store.opening import open_store
from ndmc.store.ranks import confidence_ranks, wanted_ranks
from ndmc.store.stored_percentiles import summarise
from ndmc.store.view import view

LEVELS = (0.0, 0.025, 0.3, 0.5, 0.975, 0.999, 1.0)
PRODUCTS = tuple("abcdefghijk")  # enough for NumPy to sum pairwise where it can
GROUPS = {"odd": list("acegik"), "even": list("bdfhj")}
YEARS = [str(year) for year in range(2000, 2009)]


def make_store(folder, draws, *, dtype="float32", block=400):
    """Return a store of a model with a stock of eleven products."""
    data = stock_model("2000..2008", spread=0.1, products=PRODUCTS)
    data["dims"] = {"product": {"labels": list(PRODUCTS), "groups": GROUPS}}
    scenario = write(data, folder / f"model_{draws}")
    out = folder / f"{draws}_{dtype}_{block}.zarr"
    keep = ["sales", "in_use", "total", "eta"]
    options = {"seed": 3, "keep": keep, "workers": 2, "block": block, "dtype": dtype}
    ndmc.run(scenario, draws, out=out, **options)
    return open_store(out)


@pytest.fixture(scope="module", params=["float32", "float64"])
def store(request, tmp_path_factory):
    """Return a store of 1201 draws in blocks of 400, the last of one draw."""
    return make_store(tmp_path_factory.mktemp("stores"), 1201, dtype=request.param)


def draws_of(store, name):
    """Return the stored draws in float64, [dims..., draw]."""
    return np.ascontiguousarray(store.read(name, slice(None)), dtype=np.float64)


def add(values, axis):
    """Return a sum over an axis, label by label in their order."""
    total = 0.0
    for label in np.moveaxis(values, axis, 0):
        total = total + label
    return total


def check(summary, values, levels=LEVELS):
    """Demand numpy's quantiles of draws [dims..., draw] exactly, and the moments to rounding."""
    expected = np.quantile(values, levels, axis=-1)
    assert_array_equal(summary.values, expected)
    assert_allclose(summary.mean, values.mean(axis=-1), rtol=1e-12)
    if values.shape[-1] > 1:
        # The variance of numbers 1e1 sd from zero loses two digits to cancellation.
        atol = 1e-12 * np.abs(values).max()
        assert_allclose(summary.sd, values.std(axis=-1, ddof=1), rtol=1e-11, atol=atol)


# One cell's draws take 4804 or 9608 bytes: 1000 forces counting, 10 000 one cell at a time.
MEMORIES = [1000, 10_000, 100_000, 2**20, 2**30]
SELECTIONS = [
    {},
    {"product": ["c"]},
    {"product": ["k", "a", "e"]},
    {"product": ["even"]},
    {"year": ["2003"]},
    {"year": ["2008", "2001", "2004"]},
    {"year": ["2007", "2000"], "product": ["b", "a"]},
]


def select(values, selection):
    """Return the picked labels of [product, year, draw]."""
    for axis, (dim, known) in enumerate((("product", PRODUCTS), ("year", YEARS))):
        names = [one for label in selection.get(dim, known) for one in GROUPS.get(label, [label])]
        values = values.take([known.index(name) for name in names], axis=axis)
    return values


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("selection", SELECTIONS, ids=str)
def test_percentiles_equal_numpy(store, selection, memory):
    """Of any labels, in any order and any memory, bit for bit."""
    if memory == 1000 and len(selection) == 0:
        selection = {"product": ["a", "k"]}
    chosen = view(store, "in_use", selection)
    values = select(draws_of(store, "in_use"), selection)
    check(summarise(store, chosen, LEVELS, memory=memory), values)


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("over", [["product"], ["year"], ["product", "year"], ["year", "product"]])
def test_percentiles_of_sums_equal_numpy(store, over, memory):
    """Draws are added label by label in float64, then ranked: the same for any memory."""
    chosen = view(store, "sales", over=over)
    values = draws_of(store, "sales")
    expected = summarise(store, chosen, LEVELS, memory=2**30)
    got = summarise(store, chosen, LEVELS, memory=memory)
    for name in ("values", "low", "high"):
        assert_array_equal(getattr(got, name), getattr(expected, name))
    for dim in sorted(over, reverse=True):  # year stands behind product
        values = add(values, ("product", "year").index(dim))
    check(got, values)


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("over", [[], ["year"]])
def test_percentiles_of_groups_equal_numpy(store, over, memory):
    """Labels are summed by group, draw by draw."""
    chosen = view(store, "sales", {"product": list("abce")}, over, ["product"])
    values = draws_of(store, "sales")
    odd, even = add(values[[0, 2, 4]], 0), values[1]
    values = np.stack([odd, even])
    values = add(values, 1) if over else values
    check(summarise(store, chosen, LEVELS, memory=memory), values)


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("name", ["total", "eta"])
def test_percentiles_of_other_outputs_equal_numpy(store, name, memory):
    """Indicators, and parameters without years, too."""
    check(summarise(store, view(store, name), LEVELS, memory=memory), draws_of(store, name))


# --- between brackets ----------------------------------------------------------------------------


@pytest.fixture
def missed(monkeypatch):
    """Use brackets for few draws too, and return a list of how many cells each slab missed."""
    found, select_slab = [], quantiles._select_slab

    def counted(*args):
        cells = select_slab(*args)
        found.append(len(cells))
        return cells

    monkeypatch.setattr(quantiles, "_MANY", 100)
    monkeypatch.setattr(quantiles, "_FEW", len(LEVELS))
    monkeypatch.setattr(quantiles, "_sample_size", lambda draws: min(draws, 450))
    monkeypatch.setattr(quantiles, "_select_slab", counted)
    return found


# The brackets of 1201 draws are not much less than all of them: see the draws held, not the bytes.
@pytest.fixture
def small(monkeypatch):
    """Say that brackets hold a few draws of a cell only."""
    monkeypatch.setattr(quantiles, "_kept_draws", lambda draws, levels: draws // 2)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("memory", MEMORIES[1:])
@pytest.mark.parametrize("selection", SELECTIONS, ids=str)
def test_percentiles_between_brackets_equal_numpy(store, missed, selection, memory):
    """Of any labels, in any order, bit for bit, with nothing left to sort."""
    values = select(draws_of(store, "in_use"), selection)
    check(summarise(store, view(store, "in_use", selection), LEVELS, memory=memory), values)
    assert sum(missed) == 0
    assert missed


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("workers", [1, 2, 3])
def test_percentiles_of_sums_between_brackets(store, missed, workers):
    """Sums, and whatever is held of them, are those of the sorted draws, with their limits."""
    chosen = view(store, "sales", over=["product"])
    got = summarise(store, chosen, LEVELS, workers=workers)
    assert missed == [0]
    expected = summarise(store, chosen, LEVELS, memory=2 * 1201 * 8)
    for name in ("values", "low", "high"):
        assert_array_equal(getattr(got, name), getattr(expected, name))
    check(got, add(draws_of(store, "sales"), 0))


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("reach", [-30.0, -3.0, 0.0])
def test_what_brackets_miss_is_sorted(store, missed, monkeypatch, reach):
    """Percentiles are exact where brackets are too narrow, too."""
    monkeypatch.setattr("ndmc.store.ranks.ERRORS", reach)
    check(summarise(store, view(store, "in_use"), LEVELS), draws_of(store, "in_use"))
    assert sum(missed) > 0


@given(
    st.lists(st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 2.0, np.inf]), min_size=2, max_size=60),
    st.sampled_from([*LEVELS, 0.1, 0.75]),
    st.integers(1, 59),
)
def test_ranks_are_found_among_ties(values, level, at):
    """Brackets through ties and infinities give the order statistics, or say that they do not."""
    rows, ordered = np.array([values]), np.sort(values)
    low, high = ordered[min(at - 1, len(values) - 1)], ordered[min(at + 9, len(values) - 1)]
    edges = np.array([[[low, high]]])
    counts, span = np.zeros((1, 1, 4), np.int64), np.zeros((1, 2), np.int64)
    near = quantiles._Near(edges, counts, np.empty((1, 1, 60)), span)
    near.add(rows, np.zeros(1))
    ranks = np.array([wanted_ranks(len(values), level)])
    found = quantiles._ranked([near], 0, ranks, len(values))
    expected = np.concatenate([[-np.inf], ordered, [np.inf]])[np.clip(ranks, 0, len(values) + 1)]
    known = (ranks < 1) | (ranks > len(values)) | (low <= expected) & (expected <= high)
    assert_array_equal(found, np.where(known, expected, np.nan))


# --- any number of draws -------------------------------------------------------------------------


@pytest.mark.parametrize("draws", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("memory", [1, 2**20])
def test_any_number_of_draws(tmp_path, draws, memory):
    """One draw is enough for percentiles, though not for their limits."""
    small = make_store(tmp_path, draws)
    chosen = view(small, "in_use", {"year": ["2008", "2000"], "product": ["a", "b"]})
    values = select(draws_of(small, "in_use"), {"year": ["2008", "2000"], "product": ["a", "b"]})
    check(summarise(small, chosen, LEVELS, memory=memory), values)


@pytest.mark.parametrize("over", [["product"], ["year"], ["product", "year"]])
@pytest.mark.parametrize("selection", [{}, {"year": ["2004"]}, {"product": ["b"]}], ids=str)
def test_sums_do_not_depend_on_blocks(store, over, selection):
    """A draw's sum has the same bits alone, among a few and among all."""
    chosen = view(store, "sales", selection, over)
    whole = chosen.apply(store.read("sales", slice(None)))
    for width in (1, 2, 3, 400):
        for first in (0, 57, 801):
            part = chosen.apply(store.read("sales", slice(first, first + width)))
            assert_array_equal(part, whole[..., first : first + width], str((width, first)))


def test_threads_change_nothing(store):
    """Any number of threads gives the same bits."""
    one = summarise(store, view(store, "in_use"), LEVELS, workers=1)
    for workers in (2, 7):
        got = summarise(store, view(store, "in_use"), LEVELS, workers=workers, memory=50_000)
        for name in ("values", "low", "high", "mean", "sd"):
            assert_array_equal(getattr(got, name), getattr(one, name), name)


def test_dataset_is_labelled(store):
    """`percentiles` returns what was asked for, by name, with units of sums over years."""
    picked = ndmc.percentiles(store.path, "in_use", sel={"year": 2004, "product": ["c", "a"]})
    assert picked.in_use.dims == ("quantile", "product")
    assert list(picked["product"].values) == ["c", "a"]
    amount = ndmc.percentiles(store.path, ["sales"], over=["year"], by_group="product")
    assert list(amount["product"].values) == ["odd", "even"]
    assert amount.sales.attrs["units"] == "t"
    everything = ndmc.percentiles(store.path, quantiles=[0.5])
    assert set(everything.data_vars) >= {"sales", "in_use", "total", "eta", "eta_sd"}
    values = draws_of(store, "in_use")[[2, 0], 4]
    assert_array_equal(picked.in_use, np.quantile(values, picked["quantile"], axis=-1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variables": "in_us"}, "did you mean 'in_use'"),
        ({"quantiles": [1.5]}, "not between 0 and 1"),
        ({"quantiles": [math.nan]}, "not between 0 and 1"),
        ({"variables": "in_use", "sel": {"product": "z"}}, "no label 'z'"),
        ({"variables": "in_use", "sel": {"region": "a"}}, "no dim 'region'"),
        ({"variables": "eta", "over": "year"}, "no dim 'year'"),
        ({"variables": "in_use", "by_group": "year"}, "has no groups"),
    ],
)
def test_what_the_store_has_not_is_refused(store, options, message):
    """Refuses names, labels, dims and quantiles that are not there."""
    with pytest.raises(InputError, match=message):
        ndmc.percentiles(store.path, **options)


@pytest.mark.parametrize("memory", [1000, 2**20])
def test_draws_that_are_not_numbers_are_refused(tmp_path, memory):
    """A stored nan is an error, not a percentile."""
    broken = make_store(tmp_path, 1000)
    values = broken.read("total", slice(0, 400))
    values[3, 7] = math.nan
    broken.write("total", range(400), values)
    with pytest.raises(RunError, match=r"not (a )?number"):
        summarise(broken, view(broken, "total"), memory=memory)


# --- how sure a percentile is --------------------------------------------------------------------


@pytest.mark.parametrize(("draws", "bounded"), [(145, False), (146, True)])
def test_too_few_draws_give_no_limit(tmp_path, draws, bounded):
    """Below 146 draws the 97.5th percentile has no upper limit: infinite, not the maximum."""
    small = make_store(tmp_path, draws)
    for memory in (1, 2**20):
        chosen = view(small, "total", {"year": ["2004"]})
        summary = summarise(small, chosen, (0.025, 0.975), memory=memory)
        assert np.isfinite(summary.high[1, 0]) == bounded
        assert np.isfinite(summary.low[0, 0]) == bounded
        assert np.isfinite([summary.low[1, 0], summary.high[0, 0]]).all()


@pytest.mark.parametrize("memory", [1000, 2**20])
def test_limits_are_order_statistics(store, memory):
    """Lower and upper limits are the draws of those ranks, whichever way they are found."""
    chosen = view(store, "total", {"year": ["2004", "2008"]})
    summary = summarise(store, chosen, (0.025, 0.5), memory=memory)
    values = np.sort(draws_of(store, "total")[[4, 8]], axis=-1)
    for n, level in enumerate((0.025, 0.5)):
        low, high = confidence_ranks(1201, level)
        assert_array_equal(summary.low[n], values[:, low - 1])
        assert_array_equal(summary.high[n], values[:, high - 1])


# --- memory --------------------------------------------------------------------------------------

PEAK = """
import resource, sys, threading, tracemalloc
from ndmc.store.stored_percentiles import summarise
from ndmc.store.view import view
from ndmc.store.opening import open_store
store = open_store(sys.argv[1])
chosen, memory = view(store, "in_use"), int(sys.argv[2])
summarise(store, view(store, "total", {"year": ["2000"]}), workers=2)  # loads what is loaded once
tracemalloc.start()
summarise(store, chosen, workers=2, memory=memory)
print(tracemalloc.get_traced_memory()[1])
"""


def test_memory_stays_within_its_budget(tmp_path):
    """Peak memory is the budget and a few blocks in flight, not the draws."""
    large = make_store(tmp_path, 40_000, block=2000)
    block = 2000 * 99 * 4
    size = 20 * block
    budget = size // 8
    peak = int(python(PEAK, large.path, budget))
    # Two threads each hold a block as read, compressed and reordered; the sorting needs moments.
    assert peak < budget + 2 * 4 * block + 2**20 < size
