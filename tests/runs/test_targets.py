"""Targets: how well a percentile is known, and runs that end when it is known well enough."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from strategies import bundled

import ndmc
from ndmc.errors import InputError
from ndmc.runs.targets import confidence, looks, parse_target, rows_wanted
from ndmc.store.opening import open_store
from ndmc.store.ranks import confidence_ranks
from ndmc.store.series import series_of
from ndmc.store.spec import Spec
from ndmc.store.widths import width, widths

SEED = 4

# --- what targets say ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name", "labels", "quantile", "tolerance"),
    [
        ("in_use p50 within 1 %", "in_use", "", 0.5, 0.01),
        ("in_use@2021 p97.5 within 0.5 %", "in_use", "2021", 0.975, 0.005),
        ("in_use@2021,car p2.5 within 0.5%", "in_use", "2021,car", 0.025, 0.005),
        ("  in_use @ 2021 , car  p 99.9 % within 1e-1 %  ", "in_use", "2021 , car", 0.999, 1e-3),
        ("in_use@year=2021 p50 within 10 %", "in_use", "year=2021", 0.5, 0.1),
        ("in_use@mobile phone p50 within 10 %", "in_use", "mobile phone", 0.5, 0.1),
        ("in_use_total@2021, p50 within 200 %", "in_use_total", "2021,", 0.5, 2.0),
    ],
)
def test_targets_are_read(text, name, labels, quantile, tolerance):
    """A target has a name, maybe labels, a percentile and a tolerance; spaces do not matter."""
    found = parse_target(text)
    assert (found.name, found.labels, found.text) == (name, labels, text.strip())
    assert found.tolerance == pytest.approx(tolerance, rel=1e-15)
    assert found.quantile == pytest.approx(quantile, rel=1e-15)


@pytest.mark.parametrize("level", [0.001, 0.01, 0.025, 0.05, 0.16, 0.29, 0.5, 0.95, 0.975, 0.999])
def test_a_targets_percentile_is_the_one_people_write(level):
    """The percentile 99.9 is the quantile 0.999 that is asked for otherwise, to the last bit."""
    assert parse_target(f"in_use p{100 * level:.4g} within 1 %").quantile == level


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot read ''; write it like 'in_use@2021"),
        ("in_use", "cannot read"),
        ("in_use p50", "cannot read"),
        ("in_use within 1 %", "cannot read"),
        ("in_use p50 within 1", "cannot read"),
        ("in_use p50 within one %", "cannot read"),
        ("in_use p5.0.0 within 1 %", "cannot read"),
        ("in_use p50 within 1e %", "cannot read"),
        ("in_use p. within 1 %", "cannot read"),
        ("in_use@ p50 within 1 %", "cannot read"),
        ("in use p50 within 1 %", "cannot read"),
        ("in_use p50 within 1 % or so", "cannot read"),
        ("in_use p0 within 1 %", "0 % is not between 0 and 100 %"),
        ("in_use p100 within 1 %", "100 % is not between 0 and 100 %"),
        ("in_use p97500 within 1 %", "not between 0 and 100 %"),
        ("in_use p50 within 0 %", "a tolerance of 0 % cannot be reached"),
        ("in_use p50 within -1 %", "a tolerance of -1 % cannot be reached"),
        ("in_use p50 within 1e999 %", "a tolerance of inf % cannot be reached"),
    ],
)
def test_other_texts_are_refused(text, message):
    """What is no target is refused with an example, what cannot be reached with the reason."""
    with pytest.raises(InputError, match=message) as refused:
        parse_target(text)
    assert refused.value.where == "--until"


@given(text=st.text(st.sampled_from("in_use@2021, p97.5 within%eE+-"), max_size=40))
def test_any_text_is_a_target_or_refused(text):
    """No text fails in another way."""
    try:
        found = parse_target(text)
    except InputError:
        return
    assert 0 < found.quantile < 1
    assert 0 < found.tolerance < math.inf


# --- which cells they mean -----------------------------------------------------------------------


def cells(text):
    """Return the title and the labels of the cells a target of the starter means."""
    plan = ndmc.compile_plan(bundled("starter"), ["in_use", "recycled_share"])
    names = ("in_use", "recycled_share")
    spec = Spec(draws=10, block=256, keep=(), percentiles=names, quantiles=(0.5,))
    series, sheets = series_of(plan, spec)
    sheet, rows = rows_wanted(parse_target(f"{text} p50 within 1 %"), series, plan.dims)
    found = []
    for one in series:
        labels = [*plan.dims.cells(one.view.kept)]
        inside = range(one.rows.start, one.rows.stop)
        found += [(one.title, *labels[n - inside.start].values()) for n in rows if n in inside] * (
            one.sheet == sheet
        )
    assert len(found) == len(rows) <= sheets[sheet].rows
    return found


YEARS = bundled("starter").dims.labels["year"]
PRODUCTS = bundled("starter").dims.labels["product"]


def test_a_target_without_labels_means_all_cells():
    """Every year and product is meant."""
    assert cells("in_use") == [("in_use", p, y) for p in PRODUCTS for y in YEARS]
    assert cells("recycled_share") == [("recycled_share", y) for y in YEARS]
    assert cells("in_use_total") == [("in_use_total", y) for y in YEARS]


@pytest.mark.parametrize("form", ["{p},{y}", "{y}, {p}", "product={p},year={y}", "year = {y},{p}"])
def test_labels_pick_cells(form):
    """Labels are found in any order, with or without their dim."""
    year, product = YEARS[-1], PRODUCTS[1]
    text = form.format(p=product, y=year)
    assert cells(f"in_use@{text}") == [("in_use", product, year)]
    assert cells(f"in_use@{year}") == [("in_use", p, year) for p in PRODUCTS]
    assert cells(f"in_use_total@{year}") == [("in_use_total", year)]


def test_two_labels_of_a_dim_mean_both():
    """Labels of one dim add up: no cell that is named is left out."""
    found = cells(f"in_use@{YEARS[0]},{YEARS[2]},{PRODUCTS[0]}")
    assert found == [("in_use", PRODUCTS[0], YEARS[0]), ("in_use", PRODUCTS[0], YEARS[2])]


def test_a_group_means_its_labels(scenario):
    """A group stands for all its labels."""
    changes = {"small: [phone]": "small: [phone, car]", "      large: [car]\n": ""}
    plan = ndmc.compile_plan(ndmc.load(scenario(changes=changes)), ["in_use"])
    spec = Spec(draws=10, block=256, keep=(), percentiles=("in_use",), quantiles=(0.5,))
    series, _ = series_of(plan, spec)
    target = parse_target("in_use@small,2002 p50 within 1 %")
    assert rows_wanted(target, series, plan.dims) == (0, [1, 5])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("in_us", "no percentiles of 'in_us' are computed; did you mean 'in_use'"),
        (
            "in_use@1066",
            f"'in_use': 1066 lies before the years of the scenario, {YEARS[0]}..{YEARS[-1]}",
        ),
        (f"in_use@{YEARS[0]},{PRODUCTS[0]}x", f"did you mean '{PRODUCTS[0]}'"),
        (f"recycled_share@{PRODUCTS[0]}", f"'recycled_share': no dim has a label '{PRODUCTS[0]}'"),
        (
            f"recycled_share@product={PRODUCTS[0]}",
            "'recycled_share': it has no dim 'product'; choose one of 'year'",
        ),
        (f"in_use@year={PRODUCTS[0]}", f"'in_use': '{PRODUCTS[0]}' is no year"),
        (f"in_use@yaer={YEARS[0]}", "'in_use': it has no dim 'yaer'; did you mean 'year'"),
    ],
)
def test_what_is_not_there_is_refused(text, message):
    """Unknown names, labels and dims are refused, with a suggestion."""
    with pytest.raises(InputError, match=message) as refused:
        cells(text)
    assert refused.value.where == "--until"


# --- how well a percentile is known --------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "low", "high", "median", "expected"),
    [
        (10.0, 9.0, 12.0, 10.0, 0.2),
        (10.0, 8.0, 11.0, 10.0, 0.2),
        (-10.0, -12.0, -9.0, -10.0, 0.2),
        (1.0, 0.0, 2.0, 100.0, 0.01),  # a share of the median where that is larger
        (100.0, 90.0, 110.0, 1.0, 0.1),
        (0.0, 0.0, 0.0, 0.0, 0.0),  # known, and nothing
        (5.0, 5.0, 5.0, 0.0, 0.0),
        (0.0, -1.0, 1.0, 0.0, math.inf),  # a share of nothing
        (5.0, 4.0, math.inf, 5.0, math.inf),  # too few draws
        (5.0, -math.inf, 6.0, 5.0, math.inf),
        (math.inf, math.inf, math.inf, 5.0, 0.0),  # known to be never
        (math.inf, math.inf, math.inf, math.inf, 0.0),
        (math.inf, 2020.0, math.inf, 2010.0, math.inf),
        (math.inf, 2020.0, math.inf, math.inf, math.inf),
        (2020.0, 2010.0, math.inf, math.inf, math.inf),
    ],
)
def test_width_of_limits(value, low, high, median, expected):
    """The farther limit, as a share of percentile or median; nothing where all is known."""
    found = width(*(np.array([x]) for x in (value, low, high, median)))
    assert found == pytest.approx([expected], rel=1e-15)


def test_an_infinite_median_does_not_make_a_percentile_known():
    """Where most draws are infinite a finite percentile is known no better than its limits say."""
    found = width(*(np.array([x]) for x in (2020.0, 2010.0, 2030.0, math.inf)))
    assert found[0] > 0


def test_looks_double_up_to_the_most():
    """Looks start at 8192 draws, double, and end with the most; all together have 95 %."""
    assert looks(1) == [1]
    assert looks(8192) == [8192]
    assert looks(8193) == [8192, 8193]
    assert looks(100_000) == [8192, 16384, 32768, 65536, 100_000]
    for number in (1, 2, 5, 20):
        assert number * (1 - confidence(number)) == pytest.approx(0.05)


# --- runs that end when they know enough ---------------------------------------------------------


def run(out, draws, *until, **options):
    """Run the starter until targets are reached, and return its store."""
    options = {"percentiles": ["in_use", "recycled_share"], "keep": ["none"], **options}
    until = list(until)
    ndmc.run(bundled("starter"), draws, seed=SEED, out=out, workers=2, until=until, **options)
    return open_store(out)


def arrays(store):
    """Return the percentiles of a store."""
    return {name: array[...] for name, array in store.root["percentiles"].arrays()}


def assert_same(got, expected):
    """Demand the same arrays, bit for bit."""
    assert set(got) == set(expected)
    for name, values in expected.items():
        assert_array_equal(got[name], values, name)


def half_width(draws, level, number):
    """Return the worst half-width of the starter's stock of the last year, from all its draws."""
    plan = ndmc.compile_plan(bundled("starter"), ["in_use"])
    values = np.sort(ndmc.evaluate(plan, SEED, range(draws), dtype="float32")["in_use"][:, -1])
    values = values.astype(np.float64)
    low, high = confidence_ranks(draws, level, confidence(number))
    found, median = (np.quantile(values, q, axis=-1) for q in (level, 0.5))
    off = np.maximum(values[:, high - 1] - found, found - values[:, low - 1])
    return float((off / np.maximum(np.abs(found), np.abs(median))).max())


def test_a_run_ends_when_its_target_is_reached(tmp_path):
    """The run doubles its draws until the target is reached, and says how well it is."""
    wanted = half_width(16384, 0.975, 5) * 1.01
    assert wanted < half_width(8192, 0.975, 5)
    text = f"in_use@{YEARS[-1]} p97.5 within {100 * wanted:.12g} %"
    store = run(tmp_path / "run.zarr", 100_000, text, "recycled_share p50 within 50 %")
    assert store.complete
    assert store.spec.draws == 16384
    first, second = store.attrs["until"]
    assert first == {
        "target": text,
        "tolerance": pytest.approx(wanted),
        "half_width": pytest.approx(half_width(16384, 0.975, 5), rel=1e-12),
        "met": True,
        "looks": 5,
        "confidence": confidence(5),
        "draws": 16384,
    }
    assert second["met"]
    assert second["half_width"] < 0.5
    whole = run(tmp_path / "whole.zarr", 16384)
    assert_same(arrays(store), arrays(whole))
    assert "until" not in whole.attrs


def test_a_reached_target_is_reached_again(tmp_path):
    """The same call on a run whose target is reached changes nothing, another target goes on."""
    text = f"in_use@{YEARS[-1]} p50 within 50 %"
    before = run(tmp_path / "run.zarr", 20_000, text)
    assert before.spec.draws == 8192
    again = run(tmp_path / "run.zarr", 20_000, text)
    assert again.spec.draws == 8192
    assert again.attrs["until"] == before.attrs["until"]
    assert_same(arrays(again), arrays(before))
    harder = run(tmp_path / "run.zarr", 20_000, f"in_use@{YEARS[-1]} p50 within 0.001 %")
    assert harder.spec.draws == 20_000
    assert harder.complete
    assert_same(arrays(harder), arrays(run(tmp_path / "whole.zarr", 20_000)))


def test_a_target_out_of_reach_is_not_met(tmp_path):
    """At the most draws allowed a run ends, complete, and says what was not reached."""
    store = run(tmp_path / "run.zarr", 9000, "in_use p97.5 within 0.01 %", "in_use p50 within 90 %")
    assert store.complete
    assert store.spec.draws == 9000
    hard, easy = store.attrs["until"]
    assert hard["met"] is False
    assert hard["half_width"] > hard["tolerance"]
    assert hard["draws"] == easy["draws"] == 9000
    assert easy["met"] is True


def test_too_few_draws_for_limits_are_not_enough(tmp_path):
    """Where there is no limit the half-width is not known, and the target not met."""
    store = run(tmp_path / "run.zarr", 50, "in_use p97.5 within 500 %")
    (found,) = store.attrs["until"]
    assert found["half_width"] is None
    assert found["met"] is False


def test_an_interrupted_run_goes_on(tmp_path, monkeypatch):
    """A run that fails at its second look goes on from there to the same end."""
    text = f"in_use@{YEARS[-1]} p50 within 0.001 %"
    original = ndmc.runs.block.Work.compute

    def fail(self, block, *arguments):
        if block.start >= 8192:
            raise OSError("no more")
        return original(self, block, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr("ndmc.runs.block.Work.compute", fail)
        with pytest.raises(ndmc.RunError, match="no more"):
            run(tmp_path / "run.zarr", 20_000, text)
    begun = open_store(tmp_path / "run.zarr")
    assert not begun.complete
    assert begun.spec.draws == 16384
    store = run(tmp_path / "run.zarr", 20_000, text)
    assert store.spec.draws == 20_000
    whole = run(tmp_path / "whole.zarr", 20_000, text)
    assert store.attrs["until"] == whole.attrs["until"]
    assert_same(arrays(store), arrays(whole))


def test_more_draws_without_the_target_keep_its_percentile(tmp_path):
    """A percentile that only a target asked for stays in the store when -n is raised without it."""
    run(tmp_path / "run.zarr", 9000, "in_use p90 within 50 %")
    store = run(tmp_path / "run.zarr", 20_000)
    assert store.spec.draws == 20_000
    assert store.spec.quantiles == (0.025, 0.5, 0.9, 0.975)


def test_an_unknown_target_writes_nothing(tmp_path):
    """A target of what is not computed is refused before anything is written."""
    with pytest.raises(InputError, match="did you mean 'in_use'"):
        run(tmp_path / "run.zarr", 9000, "in_us p50 within 1 %")
    assert not (tmp_path / "run.zarr").exists()


def test_a_targets_percentile_is_computed(tmp_path):
    """The percentile of a target, and the median, are among those of the run."""
    store = run(tmp_path / "run.zarr", 300, "in_use p90 within 1 %", quantiles=(0.1,))
    assert store.spec.quantiles == (0.1, 0.5, 0.9)
    found = ndmc.percentiles(store.path, "in_use", quantiles=[0.9])
    assert found.in_use.shape[0] == 1


def test_fewer_draws_than_there_are_are_no_crash(tmp_path):
    """A target asked of a store with more draws than allowed is answered, or refused in words."""
    run(tmp_path / "run.zarr", 9000)
    try:
        store = run(tmp_path / "run.zarr", 8500, "in_use p50 within 90 %")
    except InputError as refused:
        assert "9,000" in str(refused)  # noqa: PT017 - either is right
    else:
        assert store.attrs["until"][0]["met"]


def test_a_second_pass_holds_the_limits_of_looks_too(tmp_path, monkeypatch):
    """A target asked of a run that took two passes needs wider limits, and gets them."""
    run(tmp_path / "once.zarr", 12_000, "in_use p50 within 0.001 %")
    monkeypatch.setattr("ndmc.store.ranks.ERRORS", 0.01)
    run(tmp_path / "run.zarr", 12_000)
    store = run(tmp_path / "run.zarr", 12_000, "in_use p50 within 0.001 %")
    once = open_store(tmp_path / "once.zarr")
    assert_same(arrays(store), arrays(once))
    assert store.attrs["until"] == once.attrs["until"]


def test_widths_name_the_worst_cell(tmp_path):
    """For each output the percentile known worst is named, with its cell."""
    store = run(tmp_path / "run.zarr", 3000)
    group = arrays(store)
    for name, level, worst, cell in widths(store):
        values, low, high = (group[name + suffix] for suffix in ("", "_low", "_high"))
        found = width(values, low, high, group[name][1])
        assert worst == found.max() > 0
        place = [0.025, 0.5, 0.975].index(level)
        year, product = YEARS.index(cell.split(", ")[-1]), cell.split(", ")[0]
        at = (place, PRODUCTS.index(product), year) if product in PRODUCTS else (place, year)
        assert found[at] == worst
