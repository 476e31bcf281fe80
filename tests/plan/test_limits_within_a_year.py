"""Limits of what the same year determines: refused, and the two ways of the docs that work."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from ruamel.yaml import YAML
from strategies import scenario

from ndmc.engine.evaluation import evaluate
from ndmc.errors import InputError
from ndmc.model import compile_plan

DOCS = Path(__file__).parents[2] / "docs"
YEARS = range(2000, 2012)


def example(which, *edits):
    """Return one of the two examples as it stands in the docs, with edits."""
    text = (DOCS / "scenario-format.md").read_text(encoding="utf-8")
    block = text.split("#### Limits within a year")[1].split("```yaml\n")[which].split("```")[0]
    for old, new in edits:
        assert old in block
        block = block.replace(old, new)
    return YAML(typ="safe").load(block)


def model(which, parameters, *edits):
    """Return the scenario of an example, with numbers of its parameters."""
    return scenario(
        {
            "format": 1,
            "name": "limits",
            "unit": "t",
            "years": f"{YEARS[0]}..{YEARS[-1]}",
            "dims": {"element": ["Nd", "Dy"]},
            "parameters": parameters,
            **example(which, *edits),
        }
    )


def drawn(unit, value, *dims):
    """Return an uncertain parameter, the same in all years but for a path."""
    own = {"unit": unit, "dims": [*dims], "value": value, "distribution": "lognormal", "cv": 0.2}
    return own | ({"errors": dict.fromkeys(dims, "independent")} if dims else {})


SUPPLY = {
    "mine_output": drawn("t/yr", dict.fromkeys(map(str, YEARS), 50), "year"),
    "demand": drawn("t/yr", {str(y): 40 * 1.1 ** (y - 2000) for y in YEARS}, "year"),
    "recovery": {"unit": "1", "value": 0.6, "distribution": "constant"},
    "life": drawn("yr", 3),
}

SHORT = {
    "licensed": drawn("t/yr", {"Nd": 100, "Dy": 4}, "element"),
    "need": drawn("t/yr", {"Nd": 90, "Dy": 6}, "element"),
    "ore": {"unit": "%", "dims": ["element"], "value": {"Nd": 30, "Dy": 3}},
    "fill": {"unit": "%", "value": 50, "distribution": "constant"},
}
SHORT["ore"]["distribution"] = "constant"


def test_sales_are_limited_by_supply_a_year_late():
    """All that can be sold is sold, what is recycled from the next year on, and nothing is lost."""
    names = ["mined", "recycled", "sales", "held", "demand", "unmet"]
    found = evaluate(compile_plan(model(1, SUPPLY), names), 1, range(200))
    before = np.concatenate([0 * found["held"][:1], found["held"][:-1]])
    assert_allclose(found["sales"], np.minimum(found["demand"], found["mined"] + before))
    assert_allclose(found["held"] - before, found["mined"] + found["recycled"] - found["sales"])
    assert (found["unmet"] > 0).any()
    assert (found["held"] > -1e-9).all()


def test_what_is_mined_to_fill_a_gap_brings_all_its_elements():
    """Half of what is short of one element, and of the other as much as there is in that ore."""
    names = ["separated", "illegal", "gap", "held", "delivered", "short"]
    found = evaluate(compile_plan(model(2, SHORT), names), 1, range(200))
    short, held = np.zeros((2, 200)), np.zeros((2, 200))
    for year in range(len(YEARS)):
        supply, need = found["separated"][:, year], found["delivered"][:, year]
        short = np.maximum(need - supply - held, 0)
        illegal = 0.5 * short[1] * np.array([[10.0], [1.0]])
        assert_allclose(found["illegal"][:, year], illegal)
        gap = np.maximum(need - supply - illegal - held, 0)
        assert_allclose(found["gap"][:, year], gap, atol=1e-9)
        held = np.maximum(held + supply + illegal - need, 0)
        assert_allclose(found["held"][:, year], held, atol=1e-9)


@pytest.mark.parametrize(
    ("which", "parameters", "edit"),
    [
        (1, SUPPLY, ("min(demand, mined + lag(held) / step)", "min(demand, mined + recycled)")),
        (2, SHORT, ("at(short, element=Dy)", "at(gap, element=Dy)")),
    ],
)
def test_what_the_same_year_determines_is_refused_with_both_ways(which, parameters, edit):
    """As the docs say that it is."""
    with pytest.raises(InputError) as caught:
        compile_plan(model(which, parameters, edit))
    message = str(caught.value)
    assert "of what the same year still has to determine" in message
    assert "read one of them a year late: lag(...)" in message
    assert "'Limits within a year' in docs/scenario-format.md" in message
