"""Shares of one that stand where per cent are asked for are warned of, and what says so is not."""

import warnings

import pytest

import ndmc

COLLECTION = """\
  collection:
    unit: "%"
    value: 60
    cv: 5 %
    distribution: beta
"""


def said_of(source, **options):
    """Return the texts of all that is warned of while a scenario is loaded."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        ndmc.load(source, **options)
    return [str(one.message) for one in said]


def test_a_share_in_percent_is_warned_of_with_its_line(scenario, cli):
    """By every command that reads it, and where it was changed; the number stays what it is."""
    folder = scenario(changes={"value: 60": "value: 0.4"})
    (text,) = said_of(folder)
    assert text == (
        f"{folder / 'scenario.yaml'}:37: parameter 'collection' is 0.4 %; if 40 % is meant write "
        "40, or unit: \"1\"; if not, say so by 'value: 0.4 %', a column unit, or a range above 1"
    )
    assert ndmc.load(folder).parameters["collection"].marginals.central == pytest.approx(0.004)
    done = cli("check", folder)
    assert (done.code, done.err) == (0, f"warning: {text}\n")
    assert "is 0.25 %" in said_of(folder, changes={"collection": "0.25"})[0]
    assert said_of(folder, changes={"collection": "40"}) == []


@pytest.mark.parametrize(
    ("numbers", "most"),
    [
        ("dims: [product]\n    value: {phone: 0, car: 1}", "at most 1 %"),
        ("dims: [product]\n    table: c.csv", "at most 0.9 %"),
        ("range: [0, 1]\n    value: 0.3", "is 0.3 %"),
        ("low: 0.2\n    high: 0.4", "is 0.3 %"),
    ],
)
def test_all_its_numbers_count(scenario, numbers, most):
    """A parameter of which no number is above 1 is warned of, however they are given."""
    kind = "uniform" if "low" in numbers else "constant"
    entry = f'  collection:\n    unit: "%"\n    {numbers}\n    distribution: {kind}\n'
    entry += "    errors: {}\n"
    table = "product,value\nphone,0.5\ncar,0.9\n"
    folder = scenario(changes={COLLECTION: entry, "c.csv": table})
    assert most in said_of(folder)[0]


@pytest.mark.parametrize(
    ("numbers", "table"),
    [
        ("value: 0", ""),
        ("value: 1.5", ""),
        ("value: 0.4 %", ""),
        ("value: 0.4\n    range: [0, 5]", ""),
        ("value: -0.4\n    range: any", ""),
        ("dims: [product]\n    value: {phone: 0.4, car: 2}", ""),
        ("dims: [product]\n    value: {phone: 0.4 %, car: 0.2 %}", ""),
        ("dims: [product]\n    table: c.csv", "product,value,unit\nphone,0.5,%\ncar,0.9,%\n"),
    ],
)
def test_what_is_said_to_be_percent_is_believed(scenario, numbers, table):
    """A unit beside the number or a range above 1 says that half a per cent is meant."""
    entry = f'  collection:\n    unit: "%"\n    {numbers}\n    distribution: constant\n'
    folder = scenario(changes={COLLECTION: entry, **({"c.csv": table} if table else {})})
    assert said_of(folder) == []


def test_bundled_scenarios_are_right():
    """None of them is warned of, half per cents among them."""
    assert [text for name in ndmc.bundled() for text in said_of(name)] == []
