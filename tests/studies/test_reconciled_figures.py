"""Published figures of reconciled scenarios: values and errors by hand, classes, printing."""

import copy
import csv
import json
import math

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from strategies import scenario, write

import ndmc
from ndmc.studies.reconciled_figures import compare_reconciled


def normal(value, sd, unit="t/yr", **keys):
    """Return a normal parameter."""
    return {"unit": unit, "value": value, "sd": sd, "distribution": "normal", **keys}


def figure(quantity, value="1 t", **keys):
    """Return a published figure."""
    whole = {"id": "1", "quantity": quantity, "at": "year=2021", "value": value, "status": "target"}
    return {key: value for key, value in {**whole, **keys}.items() if value is not None}


def scales(*figures, **keys):
    """Return what two scales weigh, 10 +- 1 and 11 +- 2, and where a part of it may go."""
    data = {
        "format": 1,
        "name": "scales",
        "unit": "t",
        "years": "2021..2021",
        "parameters": {
            "first": normal(10, 1),
            "second": normal(11, 2),
            "recycled": normal(5, 0.5),
            "content": normal(2, 0.1, unit="1"),
            "fee": {"unit": "1", "value": 3, "distribution": "constant"},
        },
        "processes": ["shop", "plant"],
        "flows": {
            "bought": {"from": "abroad", "to": "shop"},
            "sold": {"from": "shop", "to": "plant"},
            "parts": {"from": "plant", "to": "homes"},
            "waste": {"from": "plant", "to": "ground"},
            "returned": {"from": "homes", "to": "abroad", "value": "recycled"},
        },
        "indicators": {"rate": "returned / sold", "sales": "sold"},
        "reconcile": {"measured": {"bought": "first", "sold": "second"}},
        "published": {"figures": list(figures), "tolerance": {"target": 1e9}},
    }
    data |= keys
    rest = json.dumps({key: value for key, value in data.items() if key != "parameters"})
    read = {name: about for name, about in data["parameters"].items() if name in rest}
    return copy.deepcopy(data | {"parameters": read})


def compared(*figures, **keys):
    """Return the comparisons of some figures of the scales."""
    return compare_reconciled(scenario(scales(*figures, **keys)))[0]


SD = math.sqrt(1 * 4 / (1 + 4))  # of both together
#: Quantities of the two scales: value, standard deviation and class, by hand.
BY_HAND = [
    ("bought", 10.2, SD, "redundant"),
    ("sold", 10.2, SD, "redundant"),
    ("sales", 10.2, SD, "redundant"),
    ("parts + waste", 10.2, SD, "derived"),
    ("bought + sold", 20.4, 2 * SD, "derived"),
    ("bought - sold", 0.0, 0.0, "derived"),
    ("bought / sold * 3", 3.0, 0.0, "derived"),
    ("returned", 5.0, 0.5, "not redundant"),
    ("returned * 1", 5.0, 0.5, "not redundant"),
    ("sold * content", 20.4, math.hypot(2 * SD, 10.2 * 0.1), "derived"),
    ("sold * fee", 30.6, 3 * SD, "derived"),
    (
        "rate",
        5 / 10.2,
        math.hypot(0.5 / 10.2, 5 * SD / 10.2**2),
        "derived",
    ),
    ("sqrt(bought * sold)", 10.2, SD, "derived"),
]


PLAIN = ("rate", "bought / sold * 3")


@pytest.mark.parametrize(("quantity", "value", "sd", "known"), BY_HAND)
def test_values_and_errors_by_hand(quantity, value, sd, known):
    """Errors of sums, products and ratios follow from the joint covariance of both scales."""
    (found,) = compared(figure(quantity, "1" if quantity in PLAIN else "1 t"))
    assert_allclose(found.median, value, rtol=1e-14, atol=1e-14)
    assert_allclose((found.high - found.low) / 2 / 1.96, sd, rtol=1e-12, atol=1e-13)
    assert_allclose((found.high + found.low) / 2, value, rtol=1e-14, atol=1e-14)
    if value:
        assert_allclose(found.cv, sd / value, rtol=1e-12, atol=1e-14)
    assert found.known == known


def test_parameters_have_no_year():
    """A parameter is a quantity like any other; an exact one says so."""
    first, rate, fee = compared(
        figure("first", at=""), figure("content", "2", at=""), figure("fee", "300 %", at="")
    )
    assert (first.known, rate.known, fee.known) == ("redundant", "not redundant", "exact")
    assert_allclose([first.median, rate.median, fee.median], [10.2, 2, 300], rtol=1e-14)
    assert fee.cv == 0


def test_what_no_equation_reads_moves_with_what_it_is_correlated_to():
    """With rho = 0.5 to the first scale, by cov / (1 + 4) of the gap of 1: 0.5 * 0.5 / 5."""
    tied = [{"parameters": ["first", "recycled"], "matrix": [[1, 0.5], [0.5, 1]]}]
    (found,) = compared(figure("returned"), correlations=tied)
    assert_allclose(found.median, 5 + 0.25 / 5, rtol=1e-14)
    assert_allclose(found.cv, math.sqrt(0.25 - 0.25**2 / 5) / 5.05, rtol=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-4, 4).filter(bool), min_size=3, max_size=3), st.integers(1, 5))
def test_sums_have_the_error_of_the_exact_covariance(weights, sd):
    """The error of any sum of flows is that of the covariance in fractions."""
    data = scales(parameters=scales()["parameters"] | {"second": normal(11, sd)})
    names = ("bought", "sold", "returned")
    text = " + ".join(f"({w}) * {name}" for w, name in zip(weights, names, strict=True))
    data["published"]["figures"] = [figure(text)]
    (found,) = compare_reconciled(scenario(data))[0]
    # x are both scales and what is returned, y is empty: the scales weigh the same.
    exact = reference.reconcile(
        np.array([[10], [11], [5]]),
        np.diag([1, sd, 0.5]),
        np.array([[1, -1, 0]]),
        np.empty((1, 0)),
        np.array([[0]]),
    )
    value = sum(float(w * x) for w, x in zip(weights, exact["x"], strict=True))
    covariance = np.array([[float(c) for c in row] for row in exact["covariance"]])
    variance = np.array(weights) @ covariance @ np.array(weights)
    assert_allclose(found.median, value, rtol=1e-13, atol=1e-12)
    assert_allclose((found.high - found.low) / 3.92, math.sqrt(max(variance, 0)), atol=1e-6)


UNOBSERVABLE = [
    ("parts", "unobservable", "t/yr"),
    ("parts + 0.5 * waste", "derived", "t/yr"),
    ("parts * waste", "derived", "t**2/yr**2"),
    ("parts / waste", "derived", "1"),
    ("(parts - waste) ** 2", "derived", "t**2/yr**2"),  # flat where the two are equal
    ("log((parts - waste) / sold)", "derived", "1"),  # of 0 there
    ("clip(parts, 9 * returned, 10 * returned)", "derived", "t/yr"),  # flat below, and above
    ("clip(waste, 9 * returned, 10 * returned)", "derived", "t/yr"),
    ("max(parts, 9 * returned)", "derived", "t/yr"),
    ("(bought - bought) / (sold - sold)", "derived", "1"),  # 0 / 0
]


@pytest.mark.parametrize(("quantity", "known", "unit"), UNOBSERVABLE)
def test_what_nothing_determines_is_unobservable(quantity, known, unit):
    """A figure of something unknown has no value; nothing is filled in."""
    (found,) = compared(figure(quantity, unit=unit, value="1", uncertainty="5 %"))
    assert (found.verdict, found.known, found.within) == ("unobservable", known, "no")
    assert np.isnan([found.median, found.low, found.high, found.cv]).all()


def test_stocks_with_a_lifetime_are_unobservable():
    """No equation of one year knows them, nor their age."""
    flows = scales()["flows"]
    data = scales(figure("use"), figure("mean_age", "1 yr"), figure("sold"))
    data["processes"] += ["homes"]
    data["stocks"] = {"use": {"process": "homes", "lifetime": "fixed(3)"}}
    data["indicators"]["mean_age"] = {"stock": "use", "by": "mean_age"}
    data["reconcile"]["processes"] = ["shop"]
    assert flows["returned"]["from"] == "homes"
    stock, age, sold = compare_reconciled(scenario(data))[0]
    assert (stock.verdict, age.verdict, sold.verdict) == ("unobservable", "unobservable", "met")


def test_a_flow_beyond_the_listed_balances_follows_its_rule():
    """A figure may ask for more than the balances read: the rule of its flow is an equation too."""
    data = scales(figure("lost"), figure("parts"))
    data["flows"]["lost"] = {"from": "homes", "to": "ground", "share": "0.1"}
    data["flows"]["parts"]["value"] = "0.5 * sold"
    data["processes"] += ["homes"]
    data["flows"]["kept"] = {"from": "homes", "to": "ground"}
    data["reconcile"]["processes"] = ["shop"]
    lost, parts = compare_reconciled(scenario(data))[0]
    assert_allclose([lost.median, parts.median], [0.51, 5.1], rtol=1e-14)
    assert_allclose([lost.cv, parts.cv], SD / 10.2, rtol=1e-12)
    assert (lost.known, parts.known) == ("observable", "observable")


def test_a_rejected_measurement_shows_what_the_others_say():
    """With a slip of the decimal point dropped, its figure is that of the other scale."""
    data = scales(figure("second", "110 t", at="", status="contradiction"), figure("sold"))
    data["parameters"] |= {"second": normal(110, 2), "third": normal(10.5, 1)}
    data["flows"]["parts"]["value"] = "third"
    data["flows"].pop("waste")
    data["reconcile"]["eliminate"] = True
    second, sold = compare_reconciled(scenario(data))[0]
    assert (second.known, second.verdict, sold.known) == ("rejected", "reported", "rejected")
    assert_allclose([second.median, sold.median], 10.25, rtol=1e-13)
    assert_allclose(second.cv, math.sqrt(0.5) / 10.25, rtol=1e-12)


@pytest.mark.parametrize(
    ("value", "uncertainty", "within"),
    [("10 t", "2 %", "yes"), ("10 t", "1 %", "no"), ("10.4 t", 0.01, "yes"), ("10 t", None, "")],
)
def test_within_is_the_published_range(value, uncertainty, within):
    """10.2 lies within 10 +- 1.96 * 2 %, but not 1 %."""
    (found,) = compared(figure("sold", value, uncertainty=uncertainty))
    assert found.within == within
    assert math.isnan(found.uncertainty) == (uncertainty is None)


@pytest.mark.parametrize("uncertainty", ["8 %", "9 %", None])
def test_cv_deviation_is_that_of_the_uncertainty(uncertainty):
    """Sd / 10.2 over what is published, less one; nothing where nothing is published or known."""
    sold, hidden = compared(
        figure("sold", uncertainty=uncertainty), figure("parts", uncertainty=uncertainty)
    )
    wanted = SD / 10.2 / float(uncertainty.rstrip("% ")) * 100 - 1 if uncertainty else math.nan
    assert_allclose([sold.cv_deviation, hidden.cv_deviation], [wanted, math.nan], rtol=1e-10)
    assert_allclose(sold.row()["cv_deviation"], wanted, rtol=1e-10)


def test_statuses():
    """An input is shown and not judged; what cannot be reproduced needs no quantity."""
    entered, lost, absent, soft = compared(
        figure("first", "10 t", at="", status="input", uncertainty="5 %"),
        figure(None, at="", status="not_reproducible", note="trade data", uncertainty="5 %"),
        figure(None, at="", status="not_modelled", note="no such flow"),
        figure("sold", "8 t", status="soft"),
    )
    verdicts = [one.verdict for one in (entered, lost, absent, soft)]
    assert verdicts == ["input", "not reproducible", "not modelled", "missed"]
    assert (entered.within, lost.within) == ("yes", "")
    assert lost.quantity == "trade data"


def test_years_are_summed_with_their_correlation():
    """Two years of a stock's gain: what is picked and summed errs together."""
    data = scales(figure("sold", "20 t", at="year=2021..2022"), figure("sold", at="", over="year"))
    data["years"] = "2021..2022"
    both, over = compare_reconciled(scenario(data))[0]
    assert_allclose([both.median, over.median], 20.4, rtol=1e-13)
    assert_allclose(both.cv, SD / 10.2, rtol=1e-12)  # one reading for both years
    assert both.known == "derived"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (figure("solt"), "did you mean 'sold'"),
        (figure("sold", at=""), "still has the dim 'year'"),
        (figure("sold", "1 day"), "published in 'day'"),
        (figure("carry(sold)"), r"carry\(\) has no derivative"),
    ],
)
def test_figures_that_cannot_be_computed_are_refused(tmp_path, wrong, message):
    """The same care as for draws, with the line of the figure."""
    with pytest.raises(ndmc.InputError, match=message) as caught:
        ndmc.validate(write(scales(wrong), tmp_path / "wrong"))
    assert caught.value.where.rpartition(":")[2].isdigit()


def test_the_api_returns_every_column(tmp_path):
    """The table has what is printed and more; a store of the same scenario is judged by draws."""
    data = scales(figure("returned", "5 t", uncertainty=0.1))
    data["flows"]["bought"]["value"] = "first"
    data["flows"]["parts"]["share"] = "0.5"
    folder = write(data, tmp_path / "scales")
    (row,) = ndmc.validate(folder).to_dict("records")
    assert (row["class"], row["within"], row["uncertainty"]) == ("not redundant", "yes", 0.1)
    assert_allclose(row["cv"], 0.1, rtol=1e-12)
    ndmc.run(folder, 4000, seed=1, out=tmp_path / "run.zarr", keep=["returned"], workers=1)
    (drawn,) = ndmc.validate(tmp_path / "run.zarr").to_dict("records")
    assert (drawn["class"], drawn["within"]) == ("", "yes")
    values = ndmc.open(tmp_path / "run.zarr").returned.values
    assert_allclose(drawn["cv"], values.std(dtype=float) / values.mean(dtype=float), rtol=1e-12)


TABLE = [
    ("first", "", "10", "t/yr", "5.4 %", "input", ""),
    ("sold", "year=2021", "10", "t", "0.02", "target", ""),
    ("bought", "year=2021", "12", "t", "0.02", "soft", ""),
    ("", "", "7", "t", "", "not_reproducible", "sold by [subscription]"),
]


def tabled(tmp_path, rows=TABLE):
    """Write the scales with a table of figures and return the folder."""
    data = scales()
    data["published"] = {"table": "published.csv", "tolerance": {"soft": "20 %"}}
    folder = write(data, tmp_path / "tabled")
    head = ("id", "quantity", "at", "value", "unit", "uncertainty", "status", "note")
    with open(folder / "published.csv", "w", newline="") as file:
        csv.writer(file).writerows([head, *((f"F{n}", *row) for n, row in enumerate(rows, 1))])
    return folder


def test_the_command_prints_figures_and_counts(cli, tmp_path):
    """Published and reconciled errors side by side, what is met within, what is out of reach."""
    done = cli("validate", tabled(tmp_path), "--csv", "figures.csv")
    assert (done.code, done.err) == (0, "")
    lines = [line.split() for line in done.out.splitlines()]
    row = ["F1", "first", "10", "t/yr", "5.4", "10.2", "8.77", "+2.0%", "redundant", "input"]
    assert row in lines
    row = ["F2", "sold", "year=2021", "10", "t", "2", "10.2", "8.77", "+2.0%", "redundant", "met"]
    assert row in lines
    assert "1 of 1 targets are met\n1 of 1 soft targets are met\n" in done.out
    assert (
        "1 of 2 figures with a stated uncertainty are met within it (50%); 1 more are inputs\n"
        in done.out
    )
    assert (
        "0 of 2 stated uncertainties are reproduced to 10 %, 0 to 20 %; "
        "of 1 more of inputs 0 and 0\n" in done.out
    )
    assert "cannot be reproduced:\n  F4: 7 t: sold by [subscription]\n" in done.out
    assert "largest open equation" in done.out
    with open(tmp_path / "figures.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [one["within"] for one in rows] == ["yes", "yes", "no", ""]
    assert [one["class"] for one in rows] == ["redundant"] * 3 + [""]
    off = [float(one["cv_deviation"]) for one in rows]
    assert_allclose(off, SD / 10.2 / np.array([0.054, 0.02, 0.02, math.nan]) - 1, rtol=1e-10)


NEAR = [
    ({}, "2 of 5 stated uncertainties are reproduced to 10 %, 3 to 20 %", "2 and 2"),
    (
        {"target": "3 %", "soft": "50 %"},
        "1 of 5 stated uncertainties are reproduced to 3 %, 4 to 50 %",
        "0 and 2",
    ),
]


@pytest.mark.parametrize(("tolerance", "counts", "entered"), NEAR)
@pytest.mark.parametrize("inputs", [0, 2])
def test_reproduced_uncertainties_are_counted(cli, tmp_path, tolerance, counts, entered, inputs):
    """The model has 8.77 %; what it does not know is stated and not reproduced."""
    figures = [figure("sold", "10 t", uncertainty=f"{x} %") for x in (8.75, 8, 10.7, 15)]
    figures += [figure("parts", uncertainty="9 %", status="reported"), figure("sold", "10 t")]
    figures += [figure("first", "10 t", at="", uncertainty="8 %", status="input")] * inputs
    data = scales(published={"figures": figures, "tolerance": tolerance})
    done = cli("validate", write(data, tmp_path / "counted"))
    assert done.code == 0
    more = f"; of 2 more of inputs {entered}" if inputs else ""
    assert f"{counts}{more}\n" in done.out


def test_an_unobservable_target_fails(cli, tmp_path):
    """What the model cannot tell is no target met: exit 1."""
    done = cli("validate", write(scales(figure("parts")), tmp_path / "hidden"))
    assert (done.code, done.err) == (1, "error: 1 of 1 targets missed\n")
    assert "unobservable" in done.out
    assert "0 of 1 targets are met" in done.out


@pytest.mark.parametrize("wrong", ["0", "-5 %", "often", "5 t", "inf"])
def test_bad_uncertainty_is_refused_with_its_line(cli, tmp_path, wrong):
    """In the scenario file and in a table: exit 2, file and line."""
    rows = [TABLE[0], ("sold", "year=2021", "10", "t", wrong, "target", "")]
    done = cli("validate", tabled(tmp_path, rows))
    assert done.code == 2
    assert "published.csv:3: uncertainty" in done.err
    data = scales(figure("sold"), figure("sold", uncertainty=wrong))
    folder = write(data, tmp_path / "inline")
    lines = json.dumps(data, indent=1).splitlines()
    number = next(n for n, line in enumerate(lines, 1) if '"uncertainty"' in line)
    done = cli("validate", folder)
    assert done.code == 2
    assert f"scenario.yaml:{number}: " in done.err


def test_the_china_study_meets_its_own_figures():
    """What was not rejected moved little; what was has the value that the rest gives it."""
    table = ndmc.validate("china_nd_published").set_index("id")
    goals = table[table.status.isin(["target", "soft"])]
    assert set(goals.verdict) == {"met"}
    assert goals.deviation.abs().max() < 0.022
    assert table["class"]["26"] == "rejected"
    assert 45 < table["median"]["28"] < 54
    assert (table.cv > 0).all()
