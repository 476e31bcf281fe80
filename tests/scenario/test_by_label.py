"""Values by label: which dim is meant, what each label takes, and what is wrong with them."""

import pytest
from by_label import model
from strategies import scenario

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
    assert taken(keys, "metal", DIMS) == expected


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (["tin"], "no value for metal iron and lead; give each label one, or all others: else"),
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
    with pytest.raises(ByLabelError) as told:
        taken(keys, dim_of(keys, [*DIMS.labels], DIMS), DIMS)
    assert message in str(told.value)


def test_a_label_of_two_groups_needs_one_of_its_own():
    """Which of the groups is meant is not known."""
    dims = Dims({"k": ("a", "b", "c")}, {"k": {"one": ("a", "b"), "two": ("b", "c")}})
    assert taken(["one", "two", "b"], "k", dims) == (0, 2, 1)
    with pytest.raises(ByLabelError, match="'b' is in the groups 'one' and 'two'"):
        taken(["one", "two"], "k", dims)


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
