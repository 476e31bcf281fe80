"""Validation: every published figure is accounted for, met or not."""

import csv
import json
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from one_stock import certain
from strategies import bundled, stock_model, write
from typer.testing import CliRunner

import ndmc
from ndmc.cli.app import app
from ndmc.studies.drawn_figures import compare_drawn
from ndmc.studies.validation import compare_source

STATUSES = {"target", "soft", "contradiction", "reported", "not_modelled"}


@pytest.fixture(scope="module")
def china():
    """Return the comparison of china_nd with what was published."""
    return ndmc.validate("china_nd", draws=2000)


def published():
    """Return the rows of the table of published figures."""
    path = bundled("china_nd").folder / "published.csv"
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def test_figures_are_compared_in_bounded_memory():
    """All cells behind figures are 21,000: of 4,000 draws at once they took 0.7 GB."""
    loaded = bundled("china_nd")
    tracemalloc.start()
    try:
        compare_drawn(loaded, 4000, 1)
        assert tracemalloc.get_traced_memory()[1] < 2**29
    finally:
        tracemalloc.stop()


def test_every_target_of_china_nd_is_met(china):
    """All targets lie within 10 % of the published figure."""
    targets = china[china.status == "target"]
    assert len(targets) >= 18
    assert set(targets.verdict) == {"met"}
    assert targets.deviation.abs().max() <= 0.10


def test_every_figure_is_accounted_for(china):
    """All published figures are shown once, in order, with a status and a verdict."""
    rows = published()
    assert len(rows) == len(china) == 128
    assert list(china.id) == [row["id"] for row in rows]
    assert china.id.is_unique
    assert set(china.status) <= STATUSES
    assert set(china.verdict) <= {"met", "missed", "reported", "not modelled"}


def test_a_table_says_what_was_compared(china):
    """The variant that the scenario names and its tolerances stand beside the figures."""
    tolerance = {"target": 0.1, "soft": 0.2}
    assert china.attrs == {
        "variant": "full_year_ages",
        "tolerance": tolerance,
        "worst_balance": None,
    }
    assert 0 < ndmc.validate("uk_ree").attrs["worst_balance"] < 1e-9


def test_what_is_not_met_says_why(china):
    """A figure that is no target carries the reason; what is not modelled has no number."""
    rest = china[china.status.isin(["contradiction", "reported", "not_modelled"])]
    assert rest.note.str.len().min() >= len("input")  # shortest: the figure went in
    absent = china.status == "not_modelled"
    assert china[absent]["median"].isna().all()
    assert china[~absent]["median"].notna().all()
    assert list(china[absent].verdict.unique()) == ["not modelled"]


def test_medians_lie_in_their_ranges(china):
    """Published value, median and range of each figure are in the figure's own unit."""
    modelled = china[china.status != "not_modelled"]
    assert (modelled.low <= modelled["median"]).all()
    assert (modelled["median"] <= modelled.high).all()
    for row, (_, shown) in zip(published(), china.iterrows(), strict=True):
        assert float(row["value"]) == shown.published
        assert row["unit"] == shown.unit


def test_files_without_a_table_point_at_their_rows(china):
    """Each figure says file and line it was read from."""
    lines = china["where"].str.rpartition(":")[2].astype(int)
    assert list(lines) == list(range(2, 130))


# --- a small model with figures ------------------------------------------------------------------


def model(figures, **published):
    """Return a stock model that publishes these figures."""
    return stock_model(spread=0.05, published={"figures": figures, **published})


def figure(quantity, value, **keys):
    """Return one published figure."""
    return {"id": quantity, "quantity": quantity, "value": value, "status": "target", **keys}


FIGURES = [
    figure("in_use", "1 kt", at={"year": 2014}, over="product"),
    figure("total", "1000 t", at={"year": 2014}),
    figure("sales", "1 kt", at={"year": "2005..2014", "product": "b"}),
    figure("sum(sales, over=product)", "1 kt/yr", at="year=2014"),
    figure("end_of_life", "1 kt", over=["product", "year"]),
    figure("eta", "1 day", at={"product": "a"}, status="soft"),
    figure("100 * rate", "30", status="reported", note="a plain number"),
]


def test_figures_are_reduced_and_converted(tmp_path):
    """Labels are picked, ranges of years summed, units converted: as NumPy does it."""
    folder = write(model(FIGURES), tmp_path / "figures")
    loaded = ndmc.load(folder)
    keep = ["in_use", "sales", "end_of_life", "eta"]
    v = ndmc.evaluate(ndmc.compile_plan(loaded, keep), 1, range(500))
    expected = [
        v["in_use"][:, -1].sum(0) / 1000,
        v["in_use"][:, -1].sum(0),
        v["sales"][1, 5:].sum(0) / 1000,
        v["sales"][:, -1].sum(0) / 1000,
        v["end_of_life"].sum((0, 1)) / 1000,
        v["eta"][0] * 365.25,
        np.full(500, 30.0),
    ]
    got = ndmc.validate(folder, draws=500)
    quantiles = np.quantile(expected, [0.025, 0.5, 0.975], axis=1).T
    assert_allclose(got[["low", "median", "high"]], quantiles, rtol=1e-13)
    assert_allclose(got.deviation, got["median"] / got.published - 1)


def test_drawn_uncertainties_are_held_against_published_ones(tmp_path):
    """The sd of draws over their mean, over the share that is published, less one."""
    stated = [{**one, "uncertainty": "4 %"} for one in FIGURES[:3]]
    folder = write(model([*stated, *FIGURES[3:]]), tmp_path / "stated")
    got = ndmc.validate(folder, draws=500)
    v = ndmc.evaluate(ndmc.compile_plan(ndmc.load(folder), ["total"]), 1, range(500))
    total = v["total"][-1]
    assert_allclose(got.cv_deviation[1], total.std() / total.mean() / 0.04 - 1, rtol=1e-10)
    assert list(got.cv_deviation.isna()) == [False] * 3 + [True] * 4


@pytest.mark.parametrize(
    ("tolerance", "offset", "verdict"),
    [
        ("10 %", 1.09, "met"),
        ("10 %", 0.92, "met"),
        ("10 %", 1.15, "missed"),
        ("0.1 %", 1.01, "missed"),
    ],
)
def test_verdict_follows_the_tolerance(tmp_path, tolerance, offset, verdict):
    """A target is met within the tolerance and missed beyond it, above and below."""
    certain = stock_model()
    total = float(
        ndmc.evaluate(
            ndmc.compile_plan(ndmc.load(write(certain, tmp_path / "exact")), ["total"]),
            1,
            range(1),
        )["total"][-1, 0]
    )
    figures = [figure("total", f"{total * offset} t", at={"year": 2014})]
    data = stock_model(published={"figures": figures, "tolerance": {"target": tolerance}})
    assert list(ndmc.validate(write(data, tmp_path / "one"), draws=10).verdict) == [verdict]


def test_missed_target_is_shown_and_fails(tmp_path):
    """With a tiny tolerance the command prints the misses and exits 1; without misses 0."""
    figures = [figure("total", "1 kt", at={"year": 2014})]
    far = model(figures, tolerance={"target": "0.001 %"})
    near = model(figures, tolerance={"target": 1e9})
    runner = CliRunner()
    missed = runner.invoke(app, ["validate", str(write(far, tmp_path / "far")), "-n", "50"])
    assert missed.exit_code == 1
    assert "missed" in missed.output
    met = runner.invoke(app, ["validate", str(write(near, tmp_path / "near")), "-n", "50"])
    assert met.exit_code == 0


def test_store_is_judged_by_its_own_draws(tmp_path):
    """In float64 a store's comparison is that of the scenario on the same draws."""
    folder, out = write(model(FIGURES), tmp_path / "figures"), tmp_path / "run.zarr"
    ndmc.run(folder, 700, seed=9, out=out, dtype="float64", keep=["all"], workers=2)
    (folder / "scenario.yaml").unlink()  # the store carries its scenario
    write_again = write(model(FIGURES), tmp_path / "again")
    scenario = ndmc.validate(write_again, draws=700, seed=9)
    store = ndmc.validate(out)
    kept = store.verdict != "not kept"
    assert list(kept) == [True] * 5 + [False] * 2  # parameters are kept when they are named
    assert list(store[kept].verdict) == list(scenario[kept].verdict)
    # Stored numbers are in their output's unit; here that is the model's, so nothing is rounded.
    numbers = ["published", "median", "low", "high"]
    pd.testing.assert_frame_equal(store[kept][numbers], scenario[kept][numbers], check_exact=True)


def test_stored_parameters_are_judged_too(tmp_path):
    """Kept parameters are read from the store like outputs, in model units again."""
    folder, out = write(model(FIGURES), tmp_path / "figures"), tmp_path / "run.zarr"
    keep = ["in_use", "total", "sales", "end_of_life", "eta", "rate"]
    ndmc.run(folder, 300, seed=9, out=out, dtype="float64", keep=keep, workers=2)
    scenario, store = ndmc.validate(folder, draws=300, seed=9), ndmc.validate(out)
    assert "not kept" not in set(store.verdict)
    # A parameter in % is divided by 100 and multiplied again.
    assert_allclose(store["median"], scenario["median"], rtol=1e-15)


def test_what_is_not_kept_is_neither_met_nor_missed(tmp_path, cli):
    """It is counted as that, beside the targets that could be judged."""
    folder, out = write(model(FIGURES), tmp_path / "figures"), tmp_path / "run.zarr"
    ndmc.run(folder, 300, seed=9, out=out, keep=["sales"], workers=2)
    table = ndmc.validate(out)
    targets = table[table.status == "target"]
    lost = int((targets.verdict == "not kept").sum())
    met, judged = int((targets.verdict == "met").sum()), len(targets) - lost
    assert lost > 0
    done = cli("validate", out)
    assert f"{lost} of the targets need draws that are not kept" in done.out
    assert (f"{met} of {judged} targets are met" in done.out) == (judged > 0)
    if met < judged:
        assert f"{judged - met} of {judged} targets missed" in done.err


def test_what_is_certain_has_no_spread(tmp_path):
    """Its sd is 0 and its limits are its value, in a store of doubles and beside figures."""
    labels = [f"p{n}" for n in range(30)]
    data = stock_model(products=labels)
    values = {label: 0.1 * (n + 1) / 3 for n, label in enumerate(labels)}
    data["parameters"]["exact"] = certain("1", values, "product")
    data["indicators"] = {"seen": "exact", "all": "sum(exact, over=product)"}
    data["published"] = {"figures": [figure("all", "15.5")]}
    out = tmp_path / "run.zarr"
    loaded = ndmc.load(write(data, tmp_path / "exact"))
    ndmc.run(loaded, 1000, out=out, dtype="float64", keep=["seen"], workers=1)
    for over in ((), "product"):
        found = ndmc.percentiles(out, "seen", over=over)
        assert float(abs(found.seen_sd).max()) == 0.0
        assert float(abs(found.seen_high - found.seen_low).max()) == 0.0
        assert float(abs(found.seen_mean - found.seen[0]).max()) == 0.0
    assert ndmc.validate(loaded, draws=100).cv[0] == 0.0


def test_variant_for_comparison_is_used(tmp_path):
    """The variant that the published figures name is the one compared, unless told otherwise."""
    data = model(FIGURES[:2], variant="slow")
    data["variants"] = {"slow": {"set": {"parameters.beta.value": 3}}}
    folder = write(data, tmp_path / "variant")
    plain, named, again = (
        [one.median for one in compare_source(folder, 50, 1, variant).comparisons]
        for variant in ("", None, "slow")
    )
    assert named == again
    assert plain != named


def test_a_store_is_compared_as_it_was_run(tmp_path):
    """A variant or a change for a store is refused: neither would do anything."""
    folder, out = write(model(FIGURES), tmp_path / "figures"), tmp_path / "run.zarr"
    ndmc.run(folder, 300, out=out, workers=1)
    for more in ({"variant": "some"}, {"changes": {"rate": "1 %"}}):
        with pytest.raises(ndmc.InputError, match="compared as it was run"):
            ndmc.validate(out, **more)
    assert len(ndmc.validate(out, variant="")) == len(FIGURES)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (figure("totl", "1 kt"), "did you mean 'total'"),
        (figure("total", "1 kt"), "still has the dim 'year'"),
        (figure("total", "1 kt", at={"yaer": 2014}), "has no dim 'yaer'"),
        (figure("total", "1 kt", at={"year": 1999}), "at: 1999 lies before the years"),
        (figure("total", "1 day", at={"year": 2014}), "published in 'day'"),
        (figure("total", "1 kt/yr", at={"year": 2014}), "published in 'kt/yr'"),
        (figure("total", "many", at={"year": 2014}), "not a number"),
        (figure("total", "1 kt", at="year 2014"), "write dim=label"),
    ],
)
def test_figures_that_cannot_be_computed_are_refused(tmp_path, wrong, message):
    """Refuses unknown quantities, labels and units, and figures that are not one number."""
    folder = write(model([wrong]), tmp_path / "wrong")
    for act in ndmc.check, lambda source: ndmc.validate(source, draws=10):
        with pytest.raises(ndmc.InputError, match=message):
            act(folder)


def test_what_a_check_refuses_is_not_validated(tmp_path):
    """An indicator that is not finite at the means, though no figure asks for it."""
    data = model(FIGURES[:2])
    data["indicators"] |= {"none": "total / (in_use - in_use)"}
    folder = write(data, tmp_path / "wrong")
    for act in ndmc.check, lambda source: ndmc.validate(source, draws=10):
        with pytest.raises(ndmc.InputError, match="'none' is not finite with every parameter"):
            act(folder)


def test_figures_are_checked_under_each_variant(tmp_path):
    """What only a variant makes wrong is refused by check, with the name of the variant."""
    data = model(FIGURES)
    data["variants"] = {
        "other": {"set": {"indicators.total": "sum(in_use, over=product) / in_use"}}
    }
    folder = write(data, tmp_path / "wrong")
    assert ndmc.check(ndmc.load(folder)).quantities
    with pytest.raises(ndmc.InputError, match=r"total.*\(under the variant 'other'\)"):
        ndmc.check(folder)


def test_scenario_without_figures_is_refused(tmp_path):
    """Says so when nothing is published."""
    folder = write(json.loads(json.dumps(stock_model())), tmp_path / "none")
    with pytest.raises(ndmc.InputError, match="publishes no figures"):
        ndmc.validate(folder, draws=10)
