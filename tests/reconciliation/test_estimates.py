"""Reconciliation of labelled scenarios: equations, classes, tests, elimination, mistakes."""

import csv
import json
from xml.etree import ElementTree

import numpy as np
import pytest
import xarray as xr
from command import here
from numpy.testing import assert_allclose
from strategies import reconciled, scenario, write

import ndmc
from ndmc.errors import InputError, RunError
from ndmc.plan.vocabulary import Vocabulary
from ndmc.reconciliation.datasets import to_dataset
from ndmc.reconciliation.equations import system_of
from ndmc.reconciliation.estimates import adjustments, reconcile_scenario


def measured(value, cv="5 %", **key):
    """Return a measured flow of two elements, or of none."""
    errors = {"element": "independent"} if isinstance(value, dict) else None
    found = {"unit": "t/yr", "value": value, "distribution": "normal", "cv": cv, **key}
    if errors:
        found |= {"dims": ["element"], "errors": errors}
    return found


def number(unit, value):
    """Return an exact value."""
    return {"unit": unit, "value": value, "distribution": "constant"}


def market(**key):
    """Return a market that sends all it takes to a plant and to homes."""
    data = {
        "format": 1,
        "name": "market",
        "unit": "t",
        "years": "2021..2021",
        "dims": {"element": ["Nd", "Dy"]},
        "parameters": {
            "m_in": measured({"Nd": 100, "Dy": 10}),
            "m_plant": measured({"Nd": 50, "Dy": 5}),
            "m_homes": measured({"Nd": 60, "Dy": 6}),
            "loss_rate": {"unit": "%", "value": 10, "distribution": "normal", "cv": "10 %"},
        },
        "processes": ["shop", "plant"],
        "flows": {
            "imports": {"from": "abroad", "to": "shop", "dims": ["element"]},
            "to_plant": {"from": "shop", "to": "plant", "dims": ["element"]},
            "to_homes": {"from": "shop", "to": "homes", "dims": ["element"]},
            "loss": {"from": "plant", "to": "ground", "dims": ["element"], "share": "loss_rate"},
            "parts": {"from": "plant", "to": "homes", "dims": ["element"]},
        },
        "reconcile": {
            "measured": {"imports": "m_in", "to_plant": "m_plant", "to_homes": "m_homes"}
        },
    }
    for path, value in key.items():
        *parents, last = path.split("__")
        inner = data
        for parent in parents:
            inner = inner[parent]
        inner[last] = value
    return data


def found_of(data):
    """Return the dataset of a scenario."""
    return to_dataset(reconcile_scenario(scenario(data)))


def test_a_market_by_hand():
    """In - a - b = -10 with variances 25, 6.25 and 9: each moves by its share of 40.25."""
    found = found_of(market()).sel(element="Nd", year=2021)
    gap, variances = -10.0, np.array([25.0, 6.25, 9.0])
    total = variances.sum()
    assert_allclose(found.imports, 100 - gap * 25 / total, rtol=1e-13)
    assert_allclose(found.to_plant, 50 + gap * 6.25 / total, rtol=1e-13)
    assert_allclose(found.to_homes, 60 + gap * 9 / total, rtol=1e-13)
    assert_allclose(found.imports_sd**2, 25 - 25**2 / total, rtol=1e-12)
    assert_allclose(abs(found.imports_test), 10 / np.sqrt(total), rtol=1e-12)


def test_the_global_test_is_the_sum_over_elements():
    """Ten times less of everything has the same test: both elements count alike."""
    found = found_of(market())
    assert found.attrs["redundancy"] == 2
    assert_allclose(found.attrs["chi2"], 2 * 100 / 40.25, rtol=1e-12)


def test_the_balance_of_the_market_is_what_is_open():
    """Where all flows are measured a balance stands for itself: 10 too little in, of sd 6.3."""
    found = found_of(market())
    assert found.equation.values.tolist() == [
        "the balance of 'shop' [element=Nd]",
        "the balance of 'shop' [element=Dy]",
    ]
    assert_allclose(found.equation_open, [-10, -1], rtol=1e-12)
    assert_allclose(found.equation_open_sd**2, [40.25, 0.4025], rtol=1e-12)
    assert_allclose(found.equation_test, found.equation_open / found.equation_open_sd)
    assert found.equation_unit.values.tolist() == ["t/yr", "t/yr"]


def merged():
    """Return a market of which nobody measures what the plant gets, but all that leaves it."""
    data = market()
    del data["reconcile"]["measured"]["to_plant"], data["parameters"]["m_plant"]
    data["parameters"]["m_loss"] = measured({"Nd": 8, "Dy": 0.8})
    data["flows"]["loss"]["value"] = "m_loss"
    del data["flows"]["loss"]["share"], data["parameters"]["loss_rate"]
    data["parameters"]["m_parts"] = measured({"Nd": 30, "Dy": 3})
    data["reconcile"]["measured"]["parts"] = "m_parts"
    return data


def test_an_unmeasured_flow_merges_two_balances():
    """Shop and plant are tested together: 100 in, 60, 8 and 30 out."""
    found = found_of(merged())
    name = "the balance of 'shop' [element=Nd] + the balance of 'plant' [element=Nd]"
    nd = found.sel(equation=name)
    assert_allclose(nd.equation_open, 100 - 60 - 8 - 30, rtol=1e-12)
    assert_allclose(nd.equation_open_sd**2, 5**2 + 3**2 + 0.4**2 + 1.5**2, rtol=1e-12)


def test_cells_of_one_relation_are_named_at_once():
    """All cells go without labels, every mix of some labels with these, any others one by one."""
    system = system_of(scenario(market(years="2020..2022")))
    assert [system.equation(n)[1] for n in (0, 4)] == [
        "the balance of 'shop' [element=Nd, year=2020]",
        "the balance of 'shop' [element=Dy, year=2021]",
    ]

    def name(*numbers):
        return system.together(np.array(numbers))

    assert name(*range(6)) == "the balance of 'shop'"
    assert name(0, 1, 2) == "the balance of 'shop' [element=Nd]"
    assert name(1, 2, 4, 5) == "the balance of 'shop' [year=2021/2022]"
    corners = (
        "the balance of 'shop' [element=Nd, year={}] + the balance of 'shop' [element=Dy, year={}]"
    )
    assert name(0, 4) == corners.format(2020, 2021)
    assert name(7, 1) == (
        "the balance of 'plant' [element=Nd, year=2021] + the balance of 'shop' "
        "[element=Nd, year=2021]"
    )


def test_units_of_the_scenario_do_not_matter_to_nodal_tests():
    """In kilotonnes a thousandth is open, and tests are the same."""
    tonnes, kilotonnes = found_of(merged()), found_of({**merged(), "unit": "kt"})
    assert_allclose(kilotonnes.equation_open, tonnes.equation_open / 1000, rtol=1e-12)
    assert_allclose(kilotonnes.equation_test, tonnes.equation_test, rtol=1e-12)
    assert set(kilotonnes.equation_unit.values) == {"kt/yr"}


def test_every_equation_that_tests_is_listed():
    """As many as there are degrees of freedom, also after measurements were rejected."""
    for name in ("china_nd_published", "uk_ree"):
        found = to_dataset(reconciled(name))
        assert found.sizes["equation"] == found.attrs["redundancy"]
        assert found.indexes["equation"].is_unique


def test_no_equations_are_an_empty_dim():
    """What is measured just once tests nothing."""
    data = market()
    del data["reconcile"]["measured"]["to_homes"], data["parameters"]["m_homes"]
    found = found_of(data)
    assert (found.sizes["equation"], found.attrs["redundancy"]) == (0, 0)
    assert found.equation_test.dtype == np.float64


def test_reconciled_values_have_a_joint_covariance():
    """It is what least squares leave of that of the measurements, and satisfies every balance."""
    found = ndmc.reconcile(scenario(market()), covariance=True)
    cells = [
        "imports [element=Nd, year=2021]",
        "to_plant [element=Nd, year=2021]",
        "to_homes [element=Nd, year=2021]",
    ]
    known = found.covariance.sel(reconciled_cell=cells, other_cell=cells).values
    before = np.diag([5.0, 2.5, 3.0]) ** 2
    balance = np.array([[1.0, -1.0, -1.0]])
    gain = before @ balance.T @ np.linalg.inv(balance @ before @ balance.T)
    assert_allclose(known, before - gain @ balance @ before, rtol=1e-9, atol=1e-9)
    assert_allclose(balance @ known, 0, atol=1e-9)
    of_flows = ["imports_sd", "to_plant_sd", "to_homes_sd"]
    sds = found.sel(element="Nd", year=2021)[of_flows].to_array()
    assert_allclose(known.diagonal(), sds**2)
    assert found.reconciled_unit.sel(reconciled_cell="loss_rate") == "%"
    assert_allclose(
        found.correlation.sel(
            reconciled_cell="parts [element=Nd, year=2021]",
            other_cell="parts [element=Nd, year=2021]",
        ),
        1,
    )


def test_the_command_writes_the_same_covariance(tmp_path):
    """Every two cells stand in one row, also those that are exact, which have no correlation."""
    exact = number("t/yr", {"Nd": 100, "Dy": 10}) | {"dims": ["element"]}
    write(market(parameters__m_in=exact), tmp_path / "market")
    done = here("reconcile", tmp_path / "market", "--covariance", tmp_path / "all.csv")
    assert done.code == 0, done.err
    rows = list(csv.DictReader((tmp_path / "all.csv").read_text().splitlines()))
    found = ndmc.reconcile(tmp_path / "market", covariance=True)
    count = found.sizes["reconciled_cell"]
    assert len(rows) == count * (count + 1) / 2
    for row in rows:
        cell = {"reconciled_cell": row["quantity"], "other_cell": row["other"]}
        for name in ("covariance", "correlation"):
            assert_allclose(float(row[name] or "nan"), found[name].sel(cell), rtol=1e-4, atol=1e-9)
    exact = found.correlation.sel(reconciled_cell="imports [element=Nd, year=2021]")
    assert np.isnan(exact).all()
    assert here("reconcile", "x", "--covariance", "all.txt").err.count("must end in .csv") == 1


def test_the_dataset_can_be_written(tmp_path):
    """NetCDF gives back the tests with the names of their equations."""
    found = found_of(market())
    found.to_netcdf(tmp_path / "found.nc")
    with xr.open_dataset(tmp_path / "found.nc") as read:
        name = "the balance of 'shop' [element=Dy]"
        assert read.equation_open.sel(equation=name) == found.equation_open.sel(equation=name)
        assert read.equation_unit.values.tolist() == ["t/yr", "t/yr"]


def test_classes():
    """What is measured twice is redundant, a share alone is not, the rest follows from balances."""
    found = found_of(market())
    assert set(found.imports_class.values.flat) == {"redundant"}
    assert found.loss_rate_class == "not redundant"
    assert set(found.loss_class.values.flat) == {"observable"}
    assert_allclose(found.loss, found.to_plant * 0.1, rtol=1e-12)
    assert_allclose(found.parts + found.loss, found.to_plant, rtol=1e-12)
    assert np.isnan(found.parts_before).all()


def test_what_nothing_determines_stays_unknown():
    """Two flows of which only the sum is known are unobservable, not filled."""
    data = market()
    data["flows"]["waste"] = {"from": "plant", "to": "ground", "dims": ["element"]}
    found = found_of(data)
    for name in ("waste", "parts"):
        assert set(found[f"{name}_class"].values.flat) == {"unobservable"}
        assert np.isnan(found[name]).all()
        assert np.isnan(found[f"{name}_sd"]).all()
    assert set(found.loss_class.values.flat) == {"observable"}


def test_balances_close():
    """Every equation closes to 64 eps of its largest term."""
    for found in (reconcile_scenario(scenario(market())), reconciled("china_nd_published")):
        assert found.worst <= 64 * np.finfo(float).eps


def test_no_variance_increases():
    """What is known of a measurement afterwards is never less than before."""
    found = reconciled("china_nd_published")
    known = found.classes != "rejected"
    known[len(found.system.mean) :] = False
    assert (found.after_sd[known] <= found.before_sd[known] * (1 + 1e-12)).all()


def test_an_exact_share_stays():
    """An exact value is not moved, and says so."""
    data = market(parameters__m_in=measured({"Nd": 100, "Dy": 10}, cv="0 %"))
    found = found_of(data)
    assert_allclose(found.imports.sel(element="Nd"), 100, rtol=1e-14)
    assert set(found.imports_class.values.flat) == {"exact"}


def chain(**flows):
    """Return what is measured of a shop, 510 +- 11 t in and 490 +- 13 t out, and what passes on."""
    data = market(
        dims={},
        parameters={
            "m_in": measured(510, cv="2 %"),
            "m_out": measured(490, cv="3 %"),
            "m_third": measured(500, cv="1 %"),
            "none": number("t/yr", 0),
            "trace": {"unit": "1", "value": 1e-15, "distribution": "normal", "cv": "10 %"},
        },
        flows={
            "bought": {"from": "abroad", "to": "shop", "value": "m_in"},
            "sold": {"from": "shop", "to": "plant"},
            **flows,
        },
        reconcile={"measured": {"sold": "m_out"}},
    )
    return found_of(data)


def test_what_an_exact_value_leaves_nothing_of_is_zero():
    """No rounding of what flows beside it: 0 with no error, measured or not."""
    found = chain(
        made={"from": "plant", "to": "homes"},
        given={"from": "shop", "to": "ground", "value": "none"},
        doubled={"from": "abroad", "to": "shop", "value": "2 * given"},
    )
    for name in ("given", "doubled"):
        assert (found[name].item(), found[f"{name}_sd"].item()) == (0, 0)
    assert_allclose(found.made, found.sold, rtol=1e-15)
    found = chain(made={"from": "plant", "to": "homes", "value": "none"})
    for name in ("sold", "bought", "m_in"):
        assert (found[name].item(), found[f"{name}_sd"].item()) == (0, 0)
        assert found[f"{name}_class"] == "redundant"


def test_what_cancels_is_zero():
    """What the second process loses is the gap that the first balance has closed already."""
    found = chain(
        made={"from": "plant", "to": "homes", "value": "m_in + m_third / 3"},
        bought_too={"from": "abroad", "to": "shop", "value": "m_third / 3"},
        lost={"from": "plant", "to": "ground"},
    )
    assert (found.lost.item(), found.lost_sd.item()) == (0, 0)
    assert found.lost_class == "observable"
    assert found.sold_sd > 1


def test_a_trace_beside_tonnes_keeps_its_value_and_error():
    """A share of 1e-15 +- 10 % of what is sold: its error is that of both, and not rounding."""
    found = chain(
        trace_lost={"from": "plant", "to": "ground", "share": "trace"},
        made={"from": "plant", "to": "homes"},
    )
    value, sd = found.trace_lost.item(), found.trace_lost_sd.item()
    assert_allclose(value, 1e-15 * found.sold.item(), rtol=1e-12)
    assert_allclose(sd / value, np.hypot(0.1, found.sold_sd / found.sold).item(), rtol=1e-9)


def test_a_stock_may_shrink():
    """A balance with a stock closes by what the stock gains or loses."""
    data = market()
    data["parameters"]["held"] = {"unit": "t", "value": 20, "distribution": "normal", "cv": "1 %"}
    data["parameters"]["m_held"] = {
        "unit": "t",
        "value": 12,
        "dims": ["element"],
        "distribution": "normal",
        "sd": 1,
        "errors": {"element": "independent"},
    }
    data["stocks"] = {
        "store": {"process": "shop", "dims": ["element"], "kind": "sink", "initial": "held"}
    }
    data["reconcile"]["measured"]["store"] = "m_held"
    found = found_of(data)
    change = found.store - found.held
    assert (change < 0).any()
    assert_allclose(found.imports - found.to_plant - found.to_homes, change, atol=1e-12)


def test_years_hang_together_by_their_stock():
    """What is in stock at the end of a year is there at the start of the next."""
    data = market(years="2020..2022", dims={})
    for flow in data["flows"].values():
        flow.pop("dims")
    data["parameters"] = {
        "m_in": measured(100),
        "m_plant": measured(50),
        "m_homes": measured(40),
        "loss_rate": data["parameters"]["loss_rate"],
        "m_last": {"unit": "t", "value": 36, "distribution": "normal", "sd": 1},
    }
    data["stocks"] = {"store": {"process": "shop", "kind": "sink"}}
    data["indicators"] = {"last": "at(store, year=2022)"}
    data["reconcile"]["measured"]["last"] = "m_last"
    found = found_of(data)
    kept = found.imports - found.to_plant - found.to_homes
    assert_allclose(found.store, np.cumsum(kept), rtol=1e-12)
    assert 30 < float(found.store[-1]) < 36.5


def test_a_bilinear_share_is_reconciled_too():
    """With all around it measured, a transfer coefficient moves to where its flows are."""
    data = market()
    data["parameters"]["m_loss"] = measured({"Nd": 8, "Dy": 0.8})
    data["reconcile"]["measured"]["loss"] = "m_loss"
    found = found_of(data)
    assert found.loss_rate_class == "redundant"
    assert 10 < float(found.loss_rate) < 16
    assert_allclose(found.loss, found.loss_rate / 100 * found.to_plant, rtol=1e-12)


def test_what_is_composed_is_what_its_text_would_be():
    """Bits depend on the order of operations: shares and changes of stocks are those of a text."""
    data = market(years="2020..2022")
    data["parameters"]["first"] = number("t", 3)
    data["flows"]["scrap"] = {"from": "abroad", "to": "plant"}
    data["stocks"] = {"store": {"process": "shop", "kind": "sink", "dims": ["element"]}}
    data["stocks"]["store"]["initial"] = "2 * first"
    loaded = scenario(data)
    relations = {relation.text: relation.terms for relation in system_of(loaded).relations}
    names = Vocabulary(loaded)
    share = names.quantity("loss_rate * (scrap + to_plant)", "")
    assert relations["the share of 'loss'"][1] == (-1.0, share)
    text = "(store - where(year == 2020, 2 * first, lag(store))) / step"
    assert relations["the balance of 'shop'"][-1] == (-1.0, names.quantity(text, ""))
    summed = names.quantity("sum(to_plant, over=element)", "")
    assert (1.0, summed) in relations["the balance of 'plant'"]


@pytest.mark.parametrize(
    "names",
    [
        pytest.param([f"scrap_of_a_grade_with_a_long_name_{n:03d}" for n in range(45)], id="long"),
        pytest.param([f"in_{n}" for n in range(110)], id="many"),
    ],
)
def test_a_share_of_many_inflows_is_reconciled(names):
    """The limits of what people write do not concern a sum that ndmc makes of their flows."""
    data = market()
    shares = np.linspace(1, 2, len(names)) / len(names)
    for name, share in zip(names, shares.tolist(), strict=True):
        data["flows"][name] = {"from": "abroad", "to": "plant", "dims": ["element"]}
        data["parameters"][f"m_{name}"] = measured({"Nd": 100 * share, "Dy": 10 * share})
        data["reconcile"]["measured"][name] = f"m_{name}"
    found = found_of(data)
    entering = found.to_plant + sum(found[name] for name in names)
    assert_allclose(found.loss, found.loss_rate / 100 * entering, rtol=1e-12)
    assert_allclose(found.loss + found.parts, entering, rtol=1e-12)


def test_a_sum_may_have_more_inflows_than_python_has_stack():
    """What people write in thousands of lines is no deeper for it."""
    data = market()
    names = [f"in_{n}" for n in range(1500)]
    data["flows"] |= {name: {"from": "abroad", "to": "plant"} for name in names}
    terms = {relation.text: relation.terms for relation in system_of(scenario(data)).relations}
    (_, loss), (_, share) = terms["the share of 'loss'"]
    assert loss.names == {"loss"}
    assert share.names == {*names, "to_plant", "loss_rate"}


@pytest.mark.parametrize("dim", ["imports_limit", "element_group"])
def test_dims_are_called_like_nothing_that_a_store_describes(dim):
    """Neither a limit of an output nor a group of another dim."""
    data = market()
    data["dims"][dim] = ["one", "two"]
    with pytest.raises(InputError, match=rf"yaml:\d+: .*the name '{dim}' is taken"):
        scenario(data)


def test_shared_errors_move_together():
    """A scale that errs alike for both elements is corrected alike."""
    data = market()
    data["parameters"]["m_in"]["errors"] = {"element": "shared"}
    data["parameters"]["m_in"]["value"] = {"Nd": 100, "Dy": 11}
    found = found_of(data)
    ratio = found.m_in / found.m_in_before
    assert_allclose(ratio[0], ratio[1], rtol=1e-12)


def test_only_some_balances():
    """A process that is not listed is left out, with what only it knows."""
    data = market(reconcile__processes=["shop"])
    found = found_of(data)
    assert "parts" not in found
    assert found.attrs["redundancy"] == 2


def test_the_published_totals_that_cannot_be():
    """The impossible totals of the China study are found by their tests, and no others."""
    found = ndmc.reconcile("china_nd_published")
    assert json.loads(found.attrs["rejected"]) == [
        "automobiles_published",
        "final_products_published",
        "desktop_stock_published",
        "vehicle_stock_published",
    ]
    assert found.attrs["p"] > 0.05
    assert 45 < float(found.automobiles_published) < 54
    assert 210 < float(found.final_products_published) < 230


def test_the_equations_of_the_published_totals_are_open():
    """Before any is rejected, the four totals that cannot be leave their equations open furthest.

    With them a fifth, just so, in which the stock of vehicles is reckoned with.
    """
    found = ndmc.reconcile("china_nd_published", changes={"reconcile.eliminate": "false"})
    tests = abs(found.equation_test).to_series().sort_values(ascending=False)
    assert (tests > found.critical).sum() == 5
    assert tests.index[:4].tolist() == [
        "what measures 'automobiles'",
        "the balance of 'manufacturing'",
        "what measures 'vehicle_stock' + the value of 'used' [product=conventional_vehicle]",
        "what measures 'desktop_stock' + the value of 'used' [product=desktop_computer]",
    ]
    assert_allclose(tests.iloc[:5], [9.93, 8.16, 3.94, 3.39, 1.98], atol=0.005)
    assert (tests.iloc[5:] < 1).all()


def test_equivalent_errors_are_named():
    """An error in a stock looks like one in the share that is left of it."""
    found = to_dataset(reconciled("china_nd_published")).attrs
    alike = dict(zip(*(json.loads(found[name]) for name in ("rejected", "alike")), strict=True))
    assert alike["vehicle_stock_published"] == "retained [product=conventional_vehicle]"
    assert alike["automobiles_published"] == ""


def test_rows_are_in_the_units_of_the_file():
    """A percentage is printed as one."""
    row = next(
        one for one in adjustments(reconcile_scenario(scenario(market()))) if one.unit == "%"
    )
    assert_allclose(row.before, 10)


_OF_NOTHING = {"from": "abroad", "to": "plant", "dims": ["element"], "share": "loss_rate"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reconcile__measured": {}}, "nothing is measured"),
        ({"reconcile__measured": {"import": "m_in"}}, "did you mean 'imports'"),
        ({"reconcile__measured": {"imports": "loss_rate"}}, "is measured in"),
        ({"reconcile__processes": ["shop", "homes"]}, "'homes' has no balance"),
        ({"reconcile__measured": {"imports": "m_inn"}}, "unknown name 'm_inn'"),
        ({"reconcile": None}, "no 'reconcile' section"),
        ({"reconcile__level": "150 %"}, "level"),
        ({"flows__parts": _OF_NOTHING}, r"yaml:\d+: nothing is known to enter 'abroad'"),
        ({"flows__loss__share": "m_in"}, r"yaml:\d+: a share must be a plain number"),
        (
            {"parameters__m_in": measured({"Nd": 100, "Dy": 0})},
            r"yaml:\d+: parameter 'm_in' \[Dy\] is measured as 0, .* give sd",
        ),
    ],
)
def test_mistakes_are_named(changes, message):
    """What cannot be reconciled is refused before anything is computed."""
    with pytest.raises(InputError, match=message):
        system_of(scenario(market(**changes)))


def test_a_zero_with_an_sd_is_measured():
    """A measured zero has the spread that it is given, or none if it is said to be exact."""
    zero = measured({"Nd": 100, "Dy": 0}, sd=1)
    del zero["cv"]
    assert found_of(market(parameters__m_in=zero)).m_in_sd.sel(element="Dy").item() > 0
    zero = measured({"Nd": 100, "Dy": 0}, cv="0 %")
    assert found_of(market(parameters__m_in=zero)).imports.sel(element="Dy").item() == 0


def test_exact_values_that_contradict_are_named():
    """Exact values cannot be moved: the equations they break are named."""
    data = market()
    for name in ("m_in", "m_plant", "m_homes"):
        data["parameters"][name] = measured(data["parameters"][name]["value"], cv="0 %")
    with pytest.raises(InputError, match=r"contradict each other by 10.*balance of 'shop'"):
        reconcile_scenario(scenario(data))


def test_a_lifetime_is_no_equation_of_a_year():
    """A stock that a lifetime empties is refused, with what to do."""
    data = market()
    data["flows"]["old"] = {"from": "homes", "to": "ground", "dims": ["element"]}
    data["processes"] = ["shop", "plant", "homes"]
    data["stocks"] = {"use": {"process": "homes", "dims": ["element"], "lifetime": "fixed(3)"}}
    with pytest.raises(InputError, match="list the other processes"):
        system_of(scenario(data))


@pytest.mark.parametrize(
    "name", ["covariance", "equation_test", "log_weight", "imports_test", "loss_class"]
)
def test_names_of_what_is_reconciled_are_ndmcs(name):
    """A reconciled scenario takes no name that its estimates need; another may."""
    data = market()
    data["parameters"][name] = number("t/yr", 1)
    with pytest.raises(InputError, match=rf"yaml:\d+: .*the name '{name}' is taken"):
        scenario(data)
    del data["reconcile"]
    assert name in scenario(data).parameters


def test_a_parameter_called_before_is_itself():
    """It stands under its own name, whether it is reconciled before or after the other."""
    data = market()
    given = {"imports_before": measured({"Nd": 7, "Dy": 8}), **data["parameters"]}
    data["parameters"] = given
    data["indicators"] = {"old": "imports_before * 1"}
    data["reconcile"]["measured"]["old"] = "imports_before"
    found = found_of(data)
    assert_allclose(found.imports_before, [7, 8], rtol=1e-9)
    assert "imports_test" in found


def test_a_share_of_a_lifetime_stock_is_of_what_it_releases():
    """What enters the stock in that year has no part in it."""
    data = market()
    data["processes"] = ["shop", "plant", "homes"]
    data["flows"] |= {
        "burnt": {"from": "homes", "to": "air", "dims": ["element"], "share": "burnt_share"},
        "buried": {"from": "homes", "to": "ground", "dims": ["element"]},
    }
    data["stocks"] = {"use": {"process": "homes", "dims": ["element"], "lifetime": "fixed(3)"}}
    data["parameters"] |= {
        "burnt_share": number("%", 25),
        "m_burnt": measured({"Nd": 6, "Dy": 1}),
        "m_buried": measured({"Nd": 15, "Dy": 3}),
    }
    data["reconcile"] |= {"processes": ["shop", "plant"]}
    data["reconcile"]["measured"] |= {"burnt": "m_burnt", "buried": "m_buried"}
    found = found_of(data)
    assert_allclose(found.burnt, 0.25 * (found.burnt + found.buried), rtol=1e-9)
    assert_allclose(found.burnt.sel(element="Dy"), 1.0, rtol=1e-9)


@pytest.mark.parametrize("of", ["to_plant", "m_plant", "most"])
def test_what_has_no_derivative_is_refused(of):
    """Of a flow, a parameter or a constant: the section is named."""
    data = market(years="2020..2022")
    data["parameters"]["most"] = number("t/yr", {"Nd": 55, "Dy": 5}) | {"dims": ["element"]}
    data["parameters"]["m_kept"] = measured(60)
    data["indicators"] = {"kept": f"sum(carry({of} + 0 * year * most), over=element) / step"}
    data["reconcile"]["measured"]["kept"] = "m_kept"
    with pytest.raises(InputError, match=r"yaml:\d+: .*carry\(\), which least squares cannot"):
        reconcile_scenario(scenario(data))


def test_no_solution_ends_with_the_worst_equation():
    """Equations without a solution are given up, and the worst is named."""
    data = market()
    data["indicators"] = {"square": "sum(imports, over=element) ** 2"}
    data["parameters"]["m_square"] = number("t**2/yr**2", -1e4)
    data["reconcile"]["measured"]["square"] = "m_square"
    with pytest.raises(RunError, match="no values were found"):
        reconcile_scenario(scenario(data))


def test_the_command_prints_and_writes(cli, tmp_path):
    """The table, the test and the rejected, and a CSV of every cell."""
    done = cli("reconcile", "china_nd_published", "--csv", "out.csv", "--picture", "out.svg")
    assert done.code == 0
    assert "rejected 1: automobiles_published" in done.out
    assert "global test: chi2" in done.out
    assert "nodal tests: as measured, 0 of 13 equations are open by more than 1.96" in done.out
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert lines[0] == "quantity,unit,before,before_sd,after,after_sd,shift,test,known"
    assert any(line.startswith("automobiles_published,kt/yr,5.1,") for line in lines)
    drawn = ElementTree.parse(tmp_path / "out.svg").getroot()
    names = {"".join(item.itertext()) for item in drawn.iter() if item.tag.endswith("}text")}
    rows = list(csv.DictReader(lines))
    assert {row["quantity"] for row in rows if row["known"] in ("redundant", "rejected")} <= names


def test_the_command_prints_open_equations_the_furthest_first(cli):
    """Without elimination the equations of the impossible totals are listed."""
    done = cli("reconcile", "china_nd_published", "--set", "reconcile.eliminate=false")
    assert "5 of 17 equations are open by more than 1.96" in done.out
    listed = done.out[done.out.index("nodal tests") :]
    places = [
        listed.index(name) for name in ("'automobiles'", "'manufacturing'", "'desktop_stock'")
    ]
    assert places == sorted(places)
    assert "+9.93" in listed


def test_the_command_refuses_a_scenario_without_measurements(cli):
    """Exit 2 and one line."""
    done = cli("reconcile", "starter")
    assert done.code == 2
    assert "has no 'reconcile' section" in done.err


def test_the_command_sets_values_of_labels(cli, tmp_path):
    """--set reaches all labels, one of them and the section itself, as it does for a run."""
    folder = write(market(), tmp_path / "market")
    changes = ("m_in={Nd: 105, Dy: 10}", "parameters.m_homes.value.Nd=55", "reconcile.level=99 %")
    options = [text for change in changes for text in ("--set", change)]
    done = cli("reconcile", folder, *options, "--csv", "out.csv")
    assert (done.code, done.err) == (0, "")
    assert "at 99 %" in done.out  # and 105 - 50 - 55 is no gap
    with open(tmp_path / "out.csv", newline="") as file:
        found = {row["quantity"]: row for row in csv.DictReader(file)}
    assert float(found["m_in [element=Nd]"]["after"]) == 105
    assert float(found["m_in [element=Dy]"]["before"]) == 10


SET = [
    ("loss rate=4 %", "--set loss rate: no parameter 'loss rate'; did you mean 'loss_rate'?"),
    ("parameters.loss rate.value=4 %", "nothing to set at 'parameters.loss rate'; did you mean"),
    (
        "parameters.m_in.value.N d=1",
        "element has no label 'N d' (blanks count); did you mean 'Nd'?",
    ),
    ("m_in [element=N d]=1", "--set m_in [element=N d]=1: element has no label"),
    ("m_in={Nd: 1}", "no value for element=Dy"),
]


@pytest.mark.parametrize(("change", "message"), SET)
def test_wrong_changes_are_refused_as_by_a_run(cli, tmp_path, change, message):
    """Keys with spaces and cells as the table names them: exit 2, and the same message."""
    folder = write(market(), tmp_path / "market")
    refused = cli("reconcile", folder, "--set", change)
    assert (refused.code, refused.out) == (2, "")
    assert message in refused.err
    assert refused == cli("run", folder, "--set", change, "--out", "run.zarr")
    assert not (tmp_path / "run.zarr").exists()
