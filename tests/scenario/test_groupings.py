"""Groups that overlap or leave labels out, and groupings: dims whose labels are groups."""

import copy
import json

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from strategies import scenario, write

import ndmc
from ndmc.errors import InputError
from ndmc.scenario.stream_names import StreamNames

LABELS = ["car", "van", "tv", "phone"]
KIND = {"vehicles": ["car", "van"], "electronics": ["tv", "phone"]}
SIZE = {"small": ["phone"], "large": ["car", "van", "tv"], "wheeled": ["car", "van"]}


def certain(unit, dims, value):
    """Return a parameter without errors."""
    return {"unit": unit, "dims": dims, "value": value, "distribution": "constant"}


def model(**indicators):
    """Return a scenario of products with a kind, and with sizes that overlap."""
    x = {"car": 4, "van": 3, "tv": 2, "phone": 1}
    errors = {"errors": {"product": "independent", "year": "independent"}}
    return {
        "format": 1,
        "name": "groupings",
        "unit": "t",
        "years": "2000..2003",
        "dims": {
            "product": {
                "labels": LABELS,
                "groups": {"road": ["car", "van"], "big": ["van", "tv"]},
                "groupings": {"kind": KIND, "size": SIZE},
            },
        },
        "parameters": {
            "x": certain("t/yr", ["product", "year"], x)
            | {"distribution": "normal", "cv": 0.1, **errors},
            "part": certain("1", ["kind"], {"vehicles": 0.5, "electronics": 0.25}),
            "weight": certain("1", ["size"], {"small": 1, "large": 2, "wheeled": 3}),
        },
        "processes": ["make", "use"],
        "flows": {
            "made": {"from": "in", "to": "make", "dims": ["product"], "value": "x * part"},
            "sold": {"from": "make", "to": "use", "dims": ["kind"]},
            "lost": {"from": "use", "to": "out", "dims": ["kind"]},
        },
        "indicators": {
            "whole": "sum(made, over=product, by=kind)",
            "weighed": "sum(made, over=product, by=size) * weight",
            "largest": "max(x, over=product, by=size)",
            "some": "at(made, size=[small, wheeled], year=2001)",
            "vehicles": "at(sold, kind=vehicles)",
            "big": "at(made, product=big)",
            **indicators,
        },
    }


def test_sums_by_grouping_are_those_of_its_groups():
    """A label in two groups counts in both; a flow by kind is balanced with those by product."""
    found = ndmc.evaluate(ndmc.compile_plan(scenario(model()), None), 1, range(8))
    x = ndmc.evaluate(ndmc.compile_plan(scenario(model(y="x + 0")), ["y"]), 1, range(8))["y"]
    made = found["made"]
    assert_array_equal(made, x * np.array([0.5, 0.5, 0.25, 0.25])[:, None, None])
    assert_array_equal(found["whole"], np.stack([made[0] + made[1], made[2] + made[3]]))
    assert_array_equal(found["sold"], found["whole"])
    sizes = np.stack([made[3], made[0] + made[1] + made[2], made[0] + made[1]])
    assert_array_equal(found["weighed"], sizes * np.array([1, 2, 3])[:, None, None])
    assert_array_equal(found["largest"][1], x[:3].max(axis=0))
    assert_array_equal(found["big"], made[1] + made[2])
    assert_array_equal(found["some"], (made[3] + made[0] + made[1])[1])
    assert_array_equal(found["vehicles"], found["sold"][0])


def test_groupings_leave_draws_as_they_are():
    """A dim without groups has the same draws."""
    plain = model()
    plain["dims"] = {"product": LABELS}
    plain |= {"flows": {"made": plain["flows"]["made"] | {"value": "x", "to": "out"}}}
    plain |= {"indicators": {}, "processes": ["unused"]}
    del plain["parameters"]["part"], plain["parameters"]["weight"]
    plain["flows"] |= {"a": {"from": "in", "to": "unused", "value": "sum(x, over=product)"}}
    plain["flows"] |= {"b": {"from": "unused", "to": "out"}}
    draws = ndmc.evaluate(ndmc.compile_plan(scenario(plain), ["made"]), 1, range(8))["made"]
    plan = ndmc.compile_plan(scenario(model(y="x + 0")), ["y"])
    assert_array_equal(ndmc.evaluate(plan, 1, range(8))["y"], draws)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("x * weight", r"by size and what is by product cannot .* sum\(..., over=product, by=size"),
        ("at(made, size=huge)", "size has no label 'huge'"),
        ("at(made, size=small, product=car)", "'size' is a grouping of 'product'; pick labels of"),
        ("part * weight", "by kind and what is by size cannot stand"),
        ("sum(x, over=product, by=color)", "by 'color'; choose one of 'kind', 'size'"),
        ("argmax(x, over=product, by=kind)", "by 'kind'"),
        ("sum(part, over=kind, by=size)", "cannot sum over 'kind' by 'size'"),
    ],
)
def test_what_is_not_of_one_group_is_not_combined(rule, message):
    """Nor is one grouping with another."""
    with pytest.raises(InputError, match=message):
        ndmc.compile_plan(scenario(model(y=rule)))


def test_groups_of_a_grouping_are_keys_of_formulas_and_values():
    """Where each label is in just one, for what belongs to the labels, too."""
    data = model()
    labels = {label: ["home", "work"] for label in LABELS}
    data["dims"]["use"] = {"of": "product", "labels": labels}
    data["parameters"] |= {
        "by_kind": certain("1", ["product"], {"vehicles": 5, "else": {"tv": 2, "phone": 1}}),
        "below": certain("1", ["use"], {"vehicles": 3, "electronics": {"phone": {"home": 7}}})
        | {"missing": 0},
    }
    data["flows"]["made"]["value"] = {"vehicles": "x * part", "electronics": {"tv": 0, "else": "x"}}
    data["indicators"] = {"x2": "x + 0", "whole": "by_kind + 0", "inner": "below + 0"}
    found = ndmc.evaluate(ndmc.compile_plan(scenario(data), None), 1, range(8))
    x = found["x2"]
    assert_array_equal(found["made"], np.stack([x[0] * 0.5, x[1] * 0.5, 0 * x[2], x[3]]))
    assert found["whole"][:, 0].tolist() == [5, 5, 2, 1]
    assert found["inner"][:, 0].tolist() == [3] * 4 + [0, 0, 7, 0]
    data["parameters"]["by_kind"]["value"] = {"vehicles": 5, "large": 2}
    with pytest.raises(InputError, match="'vehicles' is a label of kind, not of product"):
        scenario(data)


def test_groups_of_a_grouping_pick_labels_wherever_labels_are_picked():
    """In changes of cells and the table of a check, too: the same as the labels in them."""
    data, found = model(), []
    for change in ("size=wheeled", "product=car, van"):
        data["variants"] = {"more": {"set": {f"parameters.x[{change}]": "x2"}}}
        checked = ndmc.check(scenario(data, variant="more"), sel={"size": "wheeled"})
        found += [one.values for one in checked.quantities if one.output.name == "made"]
    assert found == [(2 * (4 + 3) * 0.5,)] * 2


def test_a_number_behind_a_group_is_told_there():
    """On its own line."""
    data = model()
    data["parameters"]["x"] |= {"value": {"vehicles": 5, "electronics": -4}}
    data["parameters"]["x"]["distribution"] = "lognormal"
    lines = json.dumps(data, indent=1).splitlines()
    line = 1 + next(n for n, text in enumerate(lines) if '"electronics": -4' in text)
    with pytest.raises(InputError, match=f"scenario.yaml:{line}: .*tv"):
        scenario(data)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("dims", "product", "groupings", "kind", "vehicles"), ["bus"], "no label 'bus'"),
        (("dims", "product", "groupings", "kind"), {}, "'kind' has no groups"),
        (("dims", "product", "groupings", "year"), KIND, "the name 'year' is taken"),
        (("dims", "product", "groupings", "kind", "electronics"), ["tv", "tv"], "stands twice"),
        (("dims", "product", "groups", "car"), ["van"], "has the name of a label"),
        (("flows", "made", "dims"), ["product", "kind"], "'kind' and 'product' group the same"),
        (("parameters", "x", "dims"), ["size", "kind"], "'size' and 'kind' group the same"),
        (("indicators", "product_kind"), "x", "the name 'product_kind' is taken"),
    ],
)
def test_groups_that_are_wrong_are_told(path, value, message):
    """Where they stand, before anything is computed."""
    data = copy.deepcopy(model())
    inner = data
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(InputError, match=message):
        scenario(data)


def test_stored_draws_are_summed_by_grouping(tmp_path):
    """What is in no group of the labels that are picked is left out; kinds pick labels, too."""
    out = tmp_path / "run.zarr"
    ndmc.run(write(model(), tmp_path / "study"), 64, seed=1, out=out)
    by_kind = ndmc.percentiles(out, "made", by_group="kind")
    assert_allclose(by_kind["made_mean"], ndmc.percentiles(out, "sold")["sold_mean"], rtol=1e-6)
    assert by_kind["kind"].values.tolist() == [*KIND]
    by_size = ndmc.percentiles(out, "made", by_group="size", sel={"product": "van"})
    assert by_size["size"].values.tolist() == ["large", "wheeled"]
    groups = ndmc.percentiles(out, "made", by_group="product")
    assert groups["product"].values.tolist() == ["road", "big"]
    picked = ndmc.percentiles(out, "made", sel={"size": "wheeled"}, over="product")
    assert_array_equal(picked["made"], by_kind["made"].sel(kind="vehicles"))
    with pytest.raises(InputError, match="'made' has no dim 'color'"):
        ndmc.percentiles(out, "made", by_group="color")
    stored = ndmc.open(out)
    assert stored["product_kind"].values.tolist() == ["vehicles"] * 2 + ["electronics"] * 2
    assert not {"product_size", "product_group"} & {*stored.coords}


def test_errors_may_hang_together_by_grouping():
    """One error for each group, called by its name, which serves all its labels."""
    data = model()
    data["parameters"]["x"]["errors"] = {"product": "by kind", "year": "independent"}
    x = scenario(data).parameters["x"]
    names = StreamNames("x", x.errors, scenario(data).dims)
    assert names.each()[:4] == [f"x[kind=vehicles,year={year}]" for year in range(2000, 2004)]
    assert names.read("kind=vehicles").tolist() == [True] * 4 + [False] * 4
    data["indicators"] = {"y": "x / mean(x, over=year)"}
    data["parameters"]["x"]["value"] = 3
    found = ndmc.evaluate(ndmc.compile_plan(scenario(data), ["y"]), 1, range(8))["y"]
    assert_array_equal(found[0], found[1])
    assert_array_equal(found[2], found[3])
    assert (found[1] != found[2]).all()
    data["parameters"]["x"]["errors"]["product"] = "by size"
    with pytest.raises(InputError, match="'by size', but labels are in several groups of"):
        scenario(data)


def test_a_published_figure_may_be_of_a_group():
    """It is held against the sum of its labels."""
    data = model()
    figure = {"quantity": "made", "value": "3.5 t", "status": "target"}
    figures = [figure | {"at": at} for at in ("kind=vehicles year=2001", {"size": "wheeled"})]
    figures[1]["over"] = ["year"]
    data["published"] = {"figures": [f | {"id": str(n)} for n, f in enumerate(figures)]}
    once, all_years = ndmc.validate(scenario(data), draws=64)["median"]
    assert once == pytest.approx(3.5, rel=0.1)
    assert all_years == pytest.approx(4 * 3.5, rel=0.1)
    data["published"]["figures"][0]["at"] = {"kind": "boats", "year": "2001"}
    with pytest.raises(InputError, match="at: kind has no label 'boats'"):
        ndmc.validate(scenario(data), draws=8)


@pytest.mark.parametrize("group", ["kind=vehicles", "size=large"])
def test_changes_may_be_of_a_group(tmp_path, group):
    """Of any grouping, whether each label is in one of its groups or in several."""
    folder = write(model(), tmp_path / "study")
    before, after = (
        ndmc.load(folder, changes=some).parameters["x"].marginals.central.reshape(4, 4)
        for some in ({}, {f"x[{group}]": "x2"})
    )
    dim, name = group.split("=")
    inside = [label in {"kind": KIND, "size": SIZE}[dim][name] for label in LABELS]
    assert_array_equal(after, before * np.where(inside, 2, 1)[:, np.newaxis])
