"""Every form of the page gives the number that stands beside it."""

import re
from pathlib import Path

import numpy as np
import pytest
from documented import blocks, laid_over
from numpy.testing import assert_allclose
from ruamel.yaml import YAML
from strategies import write

import ndmc
from ndmc.engine.evaluation import evaluate_central
from ndmc.model import compile_plan

PAGE = Path(__file__).parents[2] / "docs" / "language-at-a-glance.md"
TEXT = PAGE.read_text(encoding="utf-8")
BASE = next(text for _, kind, text in blocks(TEXT) if kind == "yaml")
NUMBERS = r"([\d., ]+) \|$"
EXPRESSIONS = re.findall(rf"^\| `([^`]+)`[^|]*\| {NUMBERS}", TEXT, re.MULTILINE)
KEYS = re.findall(rf"^\| [^`|]+ \| `([^`]+)` \| `([^`]+)` \| {NUMBERS}", TEXT, re.MULTILINE)
CHANGES = re.findall(rf"^\| `([^`]+)` \| `([^`]+)` \| {NUMBERS}", TEXT, re.MULTILINE)


def gives(folder, quantities, line="{}", **changes):
    """Return the central values of some quantities, with more keys or changes."""
    yaml = YAML(typ="safe")
    data = laid_over(yaml.load(BASE), yaml.load(line))
    data.setdefault("indicators", {}).update({f"q{n}": one for n, one in enumerate(quantities)})
    names = [f"q{n}" for n in range(len(quantities))]
    central = evaluate_central(compile_plan(ndmc.load(write(data, folder), **changes), names))
    return [np.atleast_1d(central[name]) for name in names]


def numbers(text):
    """Return the numbers of a cell of the page."""
    return [float(one) for one in text.split(",")]


def test_expressions(tmp_path):
    """All of them in one scenario."""
    assert (len(EXPRESSIONS) > 20, len(KEYS) > 8, len(CHANGES) > 4) == (True, True, True)
    found = gives(tmp_path / "s", [text for text, _ in EXPRESSIONS])
    for (text, printed), value in zip(EXPRESSIONS, found, strict=True):
        assert_allclose(value, numbers(printed), rtol=1e-5, err_msg=text)


@pytest.mark.parametrize(("line", "quantity", "printed"), KEYS, ids=range(len(KEYS)))
def test_keys(line, quantity, printed, tmp_path):
    """Each laid over the scenario."""
    assert_allclose(gives(tmp_path / "s", [quantity], line)[0], numbers(printed), rtol=1e-5)


@pytest.mark.parametrize(("change", "quantity", "printed"), CHANGES, ids=range(len(CHANGES)))
def test_changes(change, quantity, printed, tmp_path):
    """Each as --set takes it."""
    path, value = re.fullmatch(r"([^\[=]+(?:\[[^]]*\])?)=(.*)", change).groups()
    found = gives(tmp_path / "s", [quantity], changes={path: value})
    assert_allclose(found[0], numbers(printed), rtol=1e-5)
