"""The table of operations: what reads, computes, solves and differentiates agrees on each."""

import re

import numpy as np
import pytest
import scipy.sparse as sp
from along_dims import ALONG_YEARS, GRID, WITHIN_LOOPS, model_along
from numpy.testing import assert_allclose, assert_array_equal
from reference import ULPS
from strategies import scenario

from ndmc.dims import Dims
from ndmc.engine.evaluation import evaluate
from ndmc.model import compile_plan
from ndmc.plan.steps import March
from ndmc.reconciliation.derivatives import Slope, differentiate
from ndmc.scenario.expressions import Variable
from ndmc.scenario.grammar import compile_expression
from ndmc.scenario.operations import FUNCTIONS, OPERATIONS, evaluate_expression
from ndmc.scenario.units import NONE, UnitSystem
from ndmc_kernels.operations import Operation

EPS = np.finfo(np.float64).eps
SIGNS = {
    "add": "{} + {}",
    "subtract": "{} - {}",
    "multiply": "{} * {}",
    "divide": "{} / {}",
    "power": "{} ** {}",
    "negative": "-{}",
    "less": "{} < {}",
    "less_equal": "{} <= {}",
    "greater": "{} > {}",
    "greater_equal": "{} >= {}",
    "equal": "{} == {}",
    "not_equal": "{} != {}",
}
DIMS = Dims({"year": ("2000",)})
NAMES = ("x", "y", "z")
EVERY = pytest.mark.parametrize("name", OPERATIONS)


def written(name, *arguments):
    """Return the text of an operation on as many arguments as it takes."""
    given = arguments[: OPERATIONS[name].arity]
    return f"({SIGNS[name].format(*given)})" if name in SIGNS else f"{name}({', '.join(given)})"


def same(name, got, *arguments):
    """Demand the bits of the operation's ufunc, or those of its ulps."""
    with np.errstate(all="ignore"):
        expected = OPERATIONS[name].ufunc(*arguments[: OPERATIONS[name].arity])
    if name in ULPS:
        assert_allclose(got, expected, rtol=ULPS[name] * EPS)
    else:
        assert_array_equal(got, expected)


def values(seed=1, size=2000):
    """Return numbers of the names, near zero and on both sides of it, with ties."""
    drawn = np.random.default_rng(seed).normal(size=(3, size))
    return dict(zip(NAMES, np.where(np.abs(drawn) < 1, np.round(drawn), drawn), strict=True))


def compiled(name):
    """Return an operation on plain names, read from its text."""
    return compile_expression(written(name, *NAMES), dict.fromkeys(NAMES, Variable((), NONE)), DIMS)


def model(name):
    """Return a scenario with an operation on drawn numbers, and one on what a loop holds.

    The loop is a flow that is made of what it was a year before.
    """
    drawn = {"unit": "1", "dims": ["year"], "errors": {"year": "independent"}}
    drawn |= {"distribution": "normal", "value": 0.5, "sd": 1.0}
    return {
        "format": 1,
        "name": "operations",
        "unit": "t",
        "years": "2000..2003",
        "parameters": {
            **dict.fromkeys(NAMES, drawn),
            "ton": {"unit": "t/yr", "value": 1, "distribution": "constant"},
        },
        "processes": ["mill"],
        "flows": {
            "made": {
                "from": "mine",
                "to": "mill",
                "value": f"ton * {written(name, '(lag(made) / ton + x)', 'y', 'z')}",
            },
            "gone": {"from": "mill", "to": "dump"},
        },
        "indicators": {"apart": written(name, *NAMES), "tied": written(name, "x", "x", "x")},
    }


def test_kernels_know_every_operation_by_its_name():
    """What the table holds has a number in programs."""
    assert {name.upper() for name in OPERATIONS} <= set(Operation.__members__)


@EVERY
def test_text_is_read_as_the_operation(name):
    """A sign, or the name with its arguments."""
    expression = compiled(name)
    assert expression.operation == name
    assert [part.name for part in expression.arguments] == [*NAMES[: OPERATIONS[name].arity]]
    assert (name in SIGNS) != (name in FUNCTIONS)


@EVERY
def test_evaluated_it_has_the_bits_of_its_ufunc(name):
    """In NumPy, ties and zeros included."""
    given = values()
    with np.errstate(all="ignore"):
        got = evaluate_expression(compiled(name), given)
        expected = OPERATIONS[name].ufunc(*[*given.values()][: OPERATIONS[name].arity])
    assert got.dtype == np.float64
    assert_array_equal(got, expected)


@EVERY
def test_rows_and_loops_have_the_bits_of_its_ufunc(name):
    """As row code, and in a loop on what the year before left."""
    plan = compile_plan(scenario(model(name)), [*NAMES, "made", "apart", "tied"])
    assert any(isinstance(step, March) for step in plan.steps)
    with np.errstate(all="ignore"):
        found = evaluate(plan, 1, range(300))
    x, y, z, made = (found[name] for name in (*NAMES, "made"))
    same(name, found["apart"], x, y, z)
    same(name, found["tied"], x, x, x)
    same(name, made, np.concatenate([np.zeros_like(made[:1]), made[:-1]]) + x, y, z)


@EVERY
def test_slopes_are_those_of_differences(name):
    """The derivative by each argument, of numbers that are apart."""
    point, step, unit = np.array([1.3, 0.7, 1.9]), 1e-6, np.eye(3)
    known = {one: Slope(point[[n]], sp.csr_array(unit[[n]])) for n, one in enumerate(NAMES)}
    found = differentiate(compiled(name), known, DIMS, 3).by.toarray()[0]
    less, more = (
        evaluate_expression(compiled(name), dict(zip(NAMES, moved, strict=True)))
        for moved in (point[:, np.newaxis] - step * unit, point[:, np.newaxis] + step * unit)
    )
    assert_allclose(found, (more - less) / (2 * step), atol=1e-8)


# --- along a dim ---------------------------------------------------------------------------------


def grid(text):
    """Return an expression over the names of the grid."""
    known = {name: Variable(("k", "year"), NONE) for name in "wv"}
    return compile_expression(text, known, GRID, UnitSystem("t"))


def test_rows_along_a_dim_have_the_bits_of_numpy():
    """Every function along a dim as row code; ties, events that never come and labels included."""
    texts = [*WITHIN_LOOPS.values(), *ALONG_YEARS.values()]
    names = [f"i_{n}" for n in range(len(texts))]
    found = evaluate(compile_plan(scenario(model_along(texts)), ["w", "v", *names]), 1, range(300))
    for name, text in zip(names, texts, strict=True):
        expected = evaluate_expression(grid(text), found)
        assert_array_equal(found[name], np.broadcast_to(expected, found[name].shape), text)


def test_loops_along_a_dim_equal_numpy():
    """The same of what a flow was the year before, in a loop of its own each."""
    texts = [*WITHIN_LOOPS.values()]
    flows = []
    for n, text in enumerate(texts):
        held = re.sub(r"\bw\b", f"(lag(made_{n}) * step / (1 t) + w)", text)
        flows.append(f"({held}) * 1 t / step")
    names = [f"made_{n}" for n in range(len(texts))]
    plan = compile_plan(scenario(model_along([], flows)), ["w", "v", *names])
    assert sum(isinstance(step, March) for step in plan.steps) == len(texts)
    found = evaluate(plan, 1, range(300))
    for name, text in zip(names, texts, strict=True):
        before = np.concatenate([0 * found[name][:, :1], found[name][:, :-1]], axis=1)
        expected = evaluate_expression(grid(text), {"w": before + found["w"], "v": found["v"]})
        assert_allclose(found[name], np.broadcast_to(expected, found[name].shape), 4 * EPS)
