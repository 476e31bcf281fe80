"""Formulas by label: each is computed for the labels that take it, with the bits of choices."""

from dataclasses import replace

import numpy as np
import pytest
from by_label import METALS, model
from numpy.testing import assert_allclose, assert_array_equal
from ragged import CELLS, ragged
from strategies import scenario

from ndmc.dims import Dims, expand
from ndmc.engine.evaluation import code_of, evaluate
from ndmc.engine.swaps import reach
from ndmc.errors import InputError
from ndmc.model import compile_plan
from ndmc.plan.steps import March
from ndmc.plan.study import Observed, Study
from ndmc.scenario.composing import Composer
from ndmc.scenario.expressions import Variable
from ndmc.scenario.grammar import compile_expression
from ndmc.scenario.operations import evaluate_expression
from ndmc.scenario.units import NONE


def test_they_have_the_bits_of_choices():
    """In the rows of a plan and in a loop; what is a choice in numbers is the same there."""
    plans = [compile_plan(scenario(model(which))) for which in (0, 1)]
    assert any(isinstance(step, March) for step in plans[0].steps)
    found, expected = (evaluate(plan, 1, range(40)) for plan in plans)
    assert found["used"].std(axis=-1).any()
    for name, values in expected.items():
        assert_array_equal(found[name], values, err_msg=name)


def test_what_is_for_some_labels_costs_only_them():
    """A formula takes rows for each label that takes it, and no more."""

    def rows(**texts):
        data = model(0)
        data["indicators"] |= {"y": {"value": {**texts, "else": 0}}}
        return code_of(compile_plan(scenario(data), ["y"])).rows

    long = "exp(content / 9) * sqrt(content) + content ** 2"
    one, two = (rows(**dict.fromkeys(METALS[:n], long)) for n in (1, 2))
    whole = code_of(compile_plan(scenario(with_indicator(long)), ["y"])).rows
    assert 2 * (two - one) < whole


def with_indicator(rule):
    """Return the scenario with an indicator ``y``."""
    data = model(0)
    data["indicators"] |= {"y": {"value": rule}}
    return data


def test_an_input_reaches_the_labels_that_read_it():
    """Of a stock that is prescribed by label, too, which is computed from arrays."""
    data = model(0)
    data["parameters"]["amount"] = {"unit": "t", "value": 1, "distribution": "constant"}
    levels = {
        "niobium": "amount * growth * (year - 2000)",
        "else": "amount * mined * (year - 2000)",
    }
    data["stocks"]["held"] |= {"value": levels, "negative_inflow": "report"}
    data["flows"]["ore"].pop("value")
    plan = compile_plan(scenario(data), ["held", "sold"])
    observed = tuple(Observed(o.name, o.name, o.dims) for o in plan.outputs)
    code = code_of(replace(plan, study=Study((), observed)))
    for name, held, sold in (("growth", [1], [0]), ("mined", [0, 2], [0, 1, 2])):
        streams = next(s for s in plan.samplers if s.name == name).streams.tolist()
        found = reach(code, streams).reshape(2, len(METALS), -1).any(axis=-1)
        by_name = dict(zip((o.name for o in plan.outputs), found, strict=True))
        assert np.flatnonzero(by_name["held"]).tolist() == held
        assert np.flatnonzero(by_name["sold"]).tolist() == sold


def test_labels_that_belong_to_others_are_told_within_those():
    """The labels of one metal are no gap for the formulas of another; a group stands for both."""
    data = ragged()
    data["indicators"] |= {
        "y": {
            "value": {
                "lithium": {"laptop": "in_use", "else": "2 * in_use"},
                "indium": "sum(in_use, over=use)",
            }
        },
        "z": {"value": {"laptop": "stock", "else": "in_use * loss"}},
    }
    found = evaluate(compile_plan(scenario(data), ["in_use", "stock", "y", "z"]), 1, range(5))
    held, stock = found["in_use"], found["stock"]
    assert_array_equal(found["y"][:2], [2 * held[0], held[1]])
    assert_array_equal(found["y"][2:], np.broadcast_to(stock[1], held[2:].shape))
    laptops = [at for at, (_, use) in enumerate(CELLS) if use == "laptop"]
    assert_array_equal(found["z"][laptops], stock)
    data["indicators"]["y"]["value"]["indium"] = {"tv": "stock", "laptop": 0}
    with pytest.raises(InputError, match="no formula for use phone; give"):
        compile_plan(scenario(data))


# --- arrays ---------------------------------------------------------------------------------------

DIMS = Dims({"metal": ("a", "b", "c"), "product": ("p", "q"), "year": ("2001", "2002", "2003")})
NAMES = {"x": ("metal", "product", "year"), "m": ("metal",), "p": ("product",), "y": ("year",)}
VALUES = {
    name: np.random.default_rng(n).uniform(1, 2, (*DIMS.shape(dims), 4))
    for n, (name, dims) in enumerate(NAMES.items())
}
KNOWN = {name: Variable(dims, NONE) for name, dims in NAMES.items()}
COMPOSE = Composer(KNOWN, DIMS)


def read(text):
    """Return a text as an expression of the names."""
    return compile_expression(text, KNOWN, DIMS)


def chosen(dim, taken, *formulas):
    """Return formulas by label, and the values of each taken where its labels are."""
    expression = COMPOSE.by_label(dim, taken, *(formula for formula, _ in formulas))
    axis = expression.dims.index(dim)
    whole = [full(values, part.dims, expression.dims) for part, values in formulas]
    picked = [whole[n].take([label], axis=axis) for label, n in enumerate(taken)]
    return expression, np.concatenate(picked, axis=axis)


def full(values, has, wants):
    """Return values over more dims."""
    return np.broadcast_to(expand(values, has, wants), (*DIMS.shape(wants), 4))


def plain(text):
    """Return an expression and its values."""
    expression = read(text)
    return expression, evaluate_expression(expression, VALUES)


@pytest.mark.parametrize(
    ("dim", "taken"), [("metal", (0, 1, 0)), ("product", (1, 0)), ("year", (1, 1, 0))]
)
def test_each_label_has_the_values_of_its_formula(dim, taken):
    """Of what runs along the dim, too, which needs all of its labels; one within the other."""
    parts = ["x * m / sum(x, over=metal)", "cumsum(y) / step - at(x, metal=c)"]
    once, values = chosen(dim, taken, *map(plain, parts))
    assert_array_equal(evaluate_expression(once, VALUES), values)
    for other, among in (("metal", (0, 0, 1)), ("product", (0, 1)), ("year", (1, 0, 1))):
        twice, expected = chosen(other, among, (once, values), plain("lag(p * y)"))
        assert_array_equal(evaluate_expression(twice, VALUES), expected)
        summed = COMPOSE.over("sum", twice, "product")
        nested, expected = chosen(dim, taken, plain("m"), (summed, expected.sum(axis=1)))
        assert_allclose(evaluate_expression(nested, VALUES), expected, rtol=1e-14)


def test_a_sum_counts_labels_that_its_formula_lacks():
    """A formula without the dim stands for each of its labels, wherever it is taken."""
    inner = COMPOSE.by_label("metal", (0, 1, 1), read("m"), read("p * m"))
    outer = COMPOSE.by_label("metal", (0, 1, 1), COMPOSE.over("sum", inner, "product"), read("m"))
    assert_array_equal(evaluate_expression(outer, VALUES)[0], 2 * VALUES["m"][0])
