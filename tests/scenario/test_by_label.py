"""Values by label: which dim is meant, what each label takes, and what is wrong with them."""

import pytest
from by_label import model
from strategies import one_parameter, scenario

from ndmc.dims import Dims
from ndmc.errors import InputError
from ndmc.model import compile_plan
from ndmc.plan.description import describe, members_of
from ndmc.scenario.by_label import ByLabelError, dim_of, taken
from ndmc.scenario.load import load
from ndmc.scenario.schema import json_schema

DIMS = Dims(
    {
        "metal": ("iron", "tin", "lead"),
        "region": ("north", "south"),
        "target": ("north", "west"),
        "year": ("2001", "2002"),
    },
    {"metal": {"heavy": ("tin", "lead"), "light": ("iron",)}},
)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["tin", "else"], (1, 0, 1)),
        (["lead", "tin", "iron"], (2, 1, 0)),
        (["heavy", "iron"], (1, 0, 0)),
        (["else", "heavy", "tin"], (0, 2, 1)),
    ],
)
def test_a_label_goes_before_its_group_and_a_group_before_the_rest(keys, expected):
    """By the number of the key that each label of the dim takes."""
    assert dim_of(keys, [*DIMS.labels], DIMS) == "metal"
    assert tuple(taken(keys, "metal", DIMS, range(3)).values()) == expected


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (["tin"], "no formula for metal iron and lead; give each label one, or all others: else"),
        (["tin", "gold", "else"], "metal has no label 'gold'"),
        (["heavy", "tin", "lead", "iron"], "no label of metal takes 'heavy'"),
        (["heavy", "light", "else"], "no label of metal takes 'else'"),
        (
            ["north", "else"],
            "region and target have the labels north; write where(region == north,",
        ),
        (["north", "gold"], "region has no label 'gold'"),
        (["else"], "no label in it"),
        (["2001", "2001.0", "else"], "'2001.0' and '2001' are the same label; keep one"),
    ],
)
def test_keys_that_do_not_fit_are_told(keys, message):
    """What is unknown, missing, twice there, or taken by no label."""

    def read():
        dim = dim_of(keys, [*DIMS.labels], DIMS)
        return taken(keys, dim, DIMS, range(len(DIMS.labels[dim])))

    with pytest.raises(ByLabelError) as told:
        read()
    assert message in str(told.value)


def test_a_label_of_two_groups_needs_one_of_its_own():
    """Which of the groups is meant is not known."""
    dims = Dims({"k": ("a", "b", "c")}, {"k": {"one": ("a", "b"), "two": ("b", "c")}})
    assert taken(["one", "two", "b"], "k", dims, range(3)) == {0: 0, 1: 2, 2: 1}
    with pytest.raises(ByLabelError, match="'b' is in two of the groups, 'two'"):
        taken(["one", "two"], "k", dims, range(3))


@pytest.mark.parametrize(
    ("value", "line", "message"),
    [
        ({"tin": "flow"}, "tin", "metal has no label 'tin'"),
        ({"lithium": "flow"}, "value", "no formula for metal niobium and cobalt"),
        ({"lithium": "flow", "else": "mined"}, "else", "comes out as [dimensionless] but must"),
        ({"lithium": "flow", "else": "flow * content"}, "else", "which 'ore' has not"),
        ({"lithium": {"2001": "flow"}, "else": 0}, "lithium", "no formula for year 2002"),
        (
            {"lithium": {"niobium": "flow"}, "else": 0},
            "niobium",
            "'niobium' is a label of metal; here",
        ),
        ({"lithium": ["flow"], "else": 0}, "lithium", "flows.ore.value.lithium"),
        ({}, "value", "no label in it"),
    ],
)
def test_a_wrong_formula_is_told_at_its_label(value, line, message):
    """The line is that of the key, which stands there once in the flow."""
    data = model(0)
    data["flows"] = {"ore": data["flows"].pop("ore") | {"value": value}, **data["flows"]}
    with pytest.raises(InputError) as told:
        compile_plan(scenario(data))
    assert message in told.value.message
    found = scenario_lines(data)[int(told.value.where.rpartition(":")[2]) - 1]
    assert found.strip().startswith(f'"{line}"')


def scenario_lines(data):
    """Return the lines of a scenario as it is written."""
    import json

    return json.dumps(data, indent=1).splitlines()


def test_formulas_of_an_indicator_have_one_dimension():
    """An indicator has one unit, whatever label is looked at."""
    data = model(0)
    data["indicators"]["y"] = {"value": {"lithium": "flow", "else": "mined"}}
    with pytest.raises(InputError, match=r"'else' is \[dimensionless\], but 'lithium' is \[mass"):
        compile_plan(scenario(data))


def test_they_are_described_and_changed_by_label():
    """Indicators that others read by label are compiled first, a change may name one label."""
    data = model(0)
    data["indicators"] = {"y": {"value": {"lithium": "sold", "else": 0}}, **data["indicators"]}
    data["variants"] = {"one": {"set": {"indicators.y.value.lithium": "sold * 2"}}}
    found = scenario(data, variant="one")
    step = next(s for s in members_of(compile_plan(found)) if "y" in s.targets)
    assert describe(step, "y", found) == "{lithium: sold * 2, else: 0}"
    changed = load("starter", changes={"flows.sales.value": {"2010": "demand", "else": 0}})
    assert changed.file.flows["sales"].value == {"2010": "demand", "else": "0"}


def test_the_schema_knows_them():
    """An editor takes what is read."""
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.validate(model(0), json_schema())


# --- numbers of parameters ------------------------------------------------------------------------

LABELS = {"metal": ["iron", "tin", "lead"], "region": ["north", "south"]}


def parameter(value, **key):
    """Return a parameter by metal in t/yr, read; or by metal and region, or neither."""
    given = {"dims": ["metal"], "errors": {"metal": "independent"}, **key}
    data = one_parameter(labels=LABELS, value=value, **given)
    data["dims"]["metal"] = {
        "labels": LABELS["metal"],
        "groups": {"heavy": ["tin", "lead"], "light": ["iron"]},
    }
    return scenario(data).parameters["x"].marginals


def test_each_label_may_have_a_distribution_of_its_own():
    """Its numbers are those of the same parameter written for it alone."""
    found = parameter(
        {
            "tin": {"distribution": "uniform", "low": "2 kt/yr", "high": 3000},
            "heavy": {"mean": 5, "cv": "10 %"},
            "else": "1 kt/yr",
        }
    )
    alone = [
        {"value": "1 kt/yr", "distribution": "constant"},
        {"low": 2000, "high": 3000, "distribution": "uniform"},
        {"value": 5, "cv": "10 %", "distribution": "normal"},
    ]
    for cell, key in enumerate(alone):
        expected = parameter(key.pop("value", None), dims=[], errors=None, **key)
        assert found[cell] == expected[0]


def test_numbers_of_the_parameter_are_for_labels_without_their_own():
    """A value in a mapping is as one without; a spread of its own replaces all others."""
    found = parameter(
        {"iron": {"value": 7}, "tin": {"value": 5, "sd": 1}, "lead": 7},
        distribution="lognormal",
        cv=0.2,
    )
    assert found[0] == found[2] != found[1]
    assert found[1] == parameter(5, dims=[], errors=None, distribution="lognormal", sd=1)[0]
    wide = parameter({"iron": {"value": 1, "cv": 0.5}, "tin": {"value": 1, "cv": 0.3}, "else": 0})
    assert [one.kind for one in wide] == ["lognormal", "normal", "constant"]


def test_a_distribution_may_stand_for_the_labels_of_further_dims():
    """Inner labels, groups and the rest nest, whatever the order of dims."""
    own = {"value": 5, "cv": 0.1}
    found = parameter(
        {"south": {"iron": 1, "else": own}, "north": own},
        dims=["region", "metal"],
        errors={"metal": "independent", "region": "independent"},
    )
    assert [one.kind for one in found] == ["normal", "constant", *["normal"] * 4]


@pytest.mark.parametrize(
    ("value", "line", "message"),
    [
        ({"iron": 1, "tin": 2}, "value", "no value for metal=lead; every label needs one, or all"),
        ({"iron": 1, "gold": 2}, "gold", "metal has no label 'gold'"),
        ({"iron": {"value": 1, "cv": "-1 %"}, "else": 0}, "iron", "[iron]: cv is -0.01 but must"),
        ({"heavy": {"low": 3, "high": 2, "distribution": "uniform"}, "else": 0}, "heavy", "[tin]"),
        ({"iron": {"value": 1, "cx": 2}, "else": 0}, "iron", "'cx' is none of distribution, value"),
        ({"iron": {"value": "3 kg", "cv": 0.1}, "else": 0}, "value", "'kg' [mass] cannot be conv"),
        ({"iron": {"value": 3, "cv": "a"}, "else": 0}, "cv", "'a' is not a number"),
        ({"iron": {"value": 3, "mu": "1 %"}, "else": 0}, "mu", "expected a plain number"),
        ({"iron": {"distribution": "discrete"}, "else": 0}, "distribution", "a label cannot have"),
        (
            {"iron": {"low": 1, "cv": 1, "distribution": "pert"}, "else": 0},
            "cv",
            "cv means nothing",
        ),
        ({"heavy": 1, "light": 1, "else": 0}, "else", "no label of metal takes 'else'"),
    ],
)
def test_a_wrong_value_is_told_at_its_label(value, line, message):
    """The line is that of the nearest key there is."""
    data = one_parameter(labels=LABELS, value=value, dims=["metal"])
    data["dims"]["metal"] = {
        "labels": LABELS["metal"],
        "groups": {"heavy": ["tin", "lead"], "light": ["iron"]},
    }
    with pytest.raises(InputError) as told:
        scenario(data)
    assert message in told.value.message
    found = scenario_lines(data)[int(told.value.where.rpartition(":")[2]) - 1]
    assert found.strip().startswith(f'"{line}"')
