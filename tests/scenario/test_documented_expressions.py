"""Every function stands in the docs, and every example there is read."""

import re
from pathlib import Path

import pytest

from ndmc.dims import Dims
from ndmc.scenario.expressions import ExpressionError, Variable
from ndmc.scenario.grammar import compile_expression
from ndmc.scenario.units import NONE, TIME, UnitSystem

DOCS = Path(__file__).parents[2] / "docs" / "scenario-format.md"
SECTION = DOCS.read_text(encoding="utf-8").split("## Expressions\n")[1].split("\n## ")[0]
EXAMPLES = [
    text.replace("argmax(x, over=dim", "argmax(x, over=year")
    .replace("dim", "use")
    .replace("label", "tv")
    .replace("lag(x, n)", "lag(x, 2)")
    for text in re.findall("`([^`]+)`", SECTION)
    if "..." not in text and re.search(r"[(<>=]|\d ", text) and not text.startswith(("+", "unit"))
]

DIMS = Dims(
    {
        "metal": ("lithium", "indium"),
        "use": ("tv", "laptop"),
        "region": ("here", "there"),
        "stage": ("first", "second"),
        "product": ("car", "phone"),
        "kind": ("vehicles", "electronics"),
        "year": tuple(map(str, range(2020, 2051))),
    },
    groupings={"product": {"kind": {"vehicles": ("car",), "electronics": ("phone",)}}},
)
UNITS = UnitSystem("t")
YEARLY = Variable(("use", "year"), NONE)
KNOWN = {
    **dict.fromkeys(("x", "sales", "demand", "gap", "need", "condition", "growth"), YEARLY),
    **dict.fromkeys(("secondary", "primary"), YEARLY),
    **dict.fromkeys(("a", "b", "c", "low", "high", "v0", "v1"), Variable((), NONE)),
    **dict.fromkeys(("y0", "y1"), Variable((), NONE)),
    "held": Variable(("year",), UNITS.stock),
    "loss": Variable(("stage",), NONE),
    "life": Variable((), TIME),
}
KNOWN |= {"x": Variable(("use", "region", "product", "year"), NONE)}


@pytest.mark.parametrize("text", EXAMPLES)
def test_an_example_of_the_docs_is_read(text):
    """As it stands there, with labels and dims of a scenario."""
    known = {**KNOWN, "x": Variable((), NONE)} if text.startswith(("exp", "log", "x**")) else KNOWN
    compile_expression(text, known, DIMS, UNITS)


def test_every_function_is_in_the_docs():
    """With an example each, all of which are found."""
    with pytest.raises(ExpressionError) as caught:
        compile_expression("tanh(a)", KNOWN, DIMS)
    functions = str(caught.value).split("the functions are ")[1].split(", ")
    assert [name for name in functions if f"`{name}(" not in SECTION] == []
    assert len(functions) > 20
    assert len(EXAMPLES) > 40
