"""Expressions: broadcasting by name, years, units, and a grammar that can run nothing."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from strategies import trees

from ndmc.dims import Dims
from ndmc.expressions import ExpressionError, Variable, compile_expression, evaluate_expression
from ndmc.units import NONE, TIME, UnitSystem

DIMS = Dims(
    {"k": ("x", "y", "z"), "year": ("2000", "2001", "2002", "2003")},
    {"k": {"both": ("x", "y"), "rest": ("z",)}},
)
NAMES = {"a": ("k", "year"), "b": ("year",), "c": ("k",), "d": ()}
PLAIN = {name: Variable(dims, NONE) for name, dims in NAMES.items()}
UNITS = UnitSystem("t")


def numbers(seed=1, draws=5):
    """Return values of every name, small integers among them so that ties and zeros occur."""
    rng = np.random.default_rng(seed)
    shapes = {name: (*DIMS.shape(dims), draws) for name, dims in NAMES.items()}
    return {
        name: np.where(rng.random(shape) < 0.3, rng.integers(-2, 3, shape), rng.normal(size=shape))
        for name, shape in shapes.items()
    }


def along_years(array, function):
    """Return what a loop over the years makes of the earlier values."""
    years = [array.isel(year=n) for n in range(array.sizes["year"])]
    return xr.concat(function(years), dim="year").transpose(*array.dims)


def carried(years):
    """Return the recursion h = max(h + x, 0), from nothing held."""
    held, found = xr.zeros_like(years[0]), []
    for surplus in years:
        held = xr.apply_ufunc(np.maximum, held + surplus, 0.0)
        found.append(held)
    return found


def summed(years):
    """Return running sums."""
    found = [years[0]]
    for one in years[1:]:
        found.append(found[-1] + one)
    return found


def lagged(years):
    """Return the year before, nothing before the first."""
    return [xr.zeros_like(years[0]), *years[:-1]]


ALONG = {"carry": carried, "cumsum": summed, "lag": lagged}
COMPARE = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}
BINARY = {"+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide}


def total(array, dim):
    """Return the sum over a dim, label by label."""
    parts = [array.isel({dim: n}) for n in range(array.sizes[dim])]
    return sum(parts[1:], parts[0])


def picked(value, at):
    """Return the labels of one dim that ``at`` names, a group summed."""
    dim, label = at.split("=")
    return total(value.isel({dim: list(DIMS.positions(dim, label))}), dim)


def twin(tree, values):
    """Return the text of a tree, and its value computed with xarray."""
    match tree:
        case str():
            return tree, xr.DataArray(values[tree], dims=(*NAMES[tree], "draw"))
        case int():
            return str(tree), xr.DataArray(float(tree))
        case ("neg", inner):
            text, value = twin(inner, values)
            return f"-({text})", -value
        case ("where", sign, *parts):
            texts, (one, two, yes, no) = zip(*(twin(part, values) for part in parts), strict=True)
            condition = xr.apply_ufunc(COMPARE[sign], one, two)
            text = f"where(({texts[0]}) {sign} ({texts[1]}), {texts[2]}, {texts[3]})"
            return text, xr.apply_ufunc(np.where, condition, yes, no)
        case ("min" | "max" as name, left, right):
            (one, x), (two, y) = twin(left, values), twin(right, values)
            function = {"min": np.minimum, "max": np.maximum}[name]
            return f"{name}({one}, {two})", xr.apply_ufunc(function, x, y)
        case ("sum" | "mean" as name, dim, inner):
            text, value = twin(inner, values)
            if dim not in value.dims:
                return text, value
            per = " / step" if (name, dim) == ("sum", "year") else ""
            result = total(value, dim)
            result = result / value.sizes[dim] if name == "mean" else result
            return f"({name}({text}, over={dim}){per})", result
        case ("at", place, inner):
            text, value = twin(inner, values)
            if place.split("=")[0] not in value.dims:
                return text, value
            return f"at({text}, {place})", picked(value, place)
        case ("cumsum" | "lag" | "carry" as name, inner):
            text, value = twin(inner, values)
            if "year" not in value.dims:
                return text, value
            per = "" if name == "lag" else " / step"
            return f"({name}({text}){per})", along_years(value, ALONG[name])
        case (sign, left, right):
            (one, x), (two, y) = twin(left, values), twin(right, values)
            return f"(({one}) {sign} ({two}))", xr.apply_ufunc(BINARY[sign], x, y)
    raise AssertionError(tree)


@settings(deadline=None, max_examples=200)
@given(tree=trees, seed=st.integers(0, 5))
def test_expression_equals_xarray(tree, seed):
    """Any tree of operations equals the same in xarray, which also broadcasts by name."""
    values = numbers(seed)
    with np.errstate(all="ignore"):
        text, expected = twin(tree, values)
        expression = compile_expression(text, PLAIN, DIMS)
        got = evaluate_expression(expression, values)
    assert expression.dims == DIMS.ordered(str(d) for d in expected.dims if d != "draw")
    expected = expected if "draw" in expected.dims else expected.expand_dims(draw=[0])
    # Both add three or four numbers in the order of their labels: the same bits.
    assert_array_equal(got, expected.transpose(*expression.dims, "draw").values)


def compute(text, values):
    """Return the value of a text over plain names."""
    return evaluate_expression(compile_expression(text, PLAIN, DIMS), values)


@pytest.mark.parametrize(
    ("text", "function"),
    [
        ("a ** 2", lambda a: a**2),
        ("abs(a)", np.abs),
        ("sqrt(abs(a))", lambda a: np.sqrt(np.abs(a))),
        ("exp(a)", np.exp),
        ("log(abs(a) + 1)", lambda a: np.log(np.abs(a) + 1)),
        ("a == 0", lambda a: (a == 0).astype(float)),
        ("a != 0", lambda a: (a != 0).astype(float)),
        ("+a", lambda a: a),
        ("lag(a, 2)", lambda a: np.concatenate([0 * a[:, :2], a[:, :2]], axis=1)),
        ("lag(a, 9)", np.zeros_like),
        ("lag(a, 0)", lambda a: a),
        ("at(a, k=rest)", lambda a: a[2]),
        ("at(a, year=2003)", lambda a: a[:, 3]),
        ("2 - 3 * a", lambda a: 2 - 3 * a),
        ("a / 2 / 4", lambda a: a / 2 / 4),
        ("-a ** 2", lambda a: -(a**2)),
        ("0 * a", lambda a: 0 * a),
    ],
)
def test_function_equals_numpy(text, function):
    """Each function, and the precedence of operators, is NumPy's."""
    values = numbers()
    assert_array_equal(compute(text, values), function(values["a"]))


def test_carry_keeps_surpluses_and_never_goes_below_zero():
    """Holds max(h + surplus - deficit, 0) year by year, methods 3.7, by a plain loop."""
    surplus = np.random.default_rng(3).normal(size=(4, 100))
    held = compute("carry(b)", {"b": surplus})
    for n in range(100):
        expected = 0.0
        for year in range(4):
            expected = max(expected + surplus[year, n], 0.0)
            assert held[year, n] == expected


def test_order_of_dims_is_the_scenarios():
    """Writing the factors in another order changes neither dims nor values."""
    values = numbers()
    assert_array_equal(compute("b * c", values), compute("c * b", values))
    assert compile_expression("b * c", PLAIN, DIMS).dims == ("k", "year")


KNOWN = {
    "mass": Variable((), UNITS.stock),
    "flow": Variable(("year",), UNITS.flow),
    "life": Variable((), TIME),
    "rate": Variable((), NONE),
}


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("flow * life", "t"),
        ("flow + mass / life", "t/yr"),
        ("flow / mass", "1/yr"),
        ("cumsum(flow)", "t"),
        ("carry(flow)", "t"),
        ("sum(flow, over=year)", "t"),
        ("mean(flow, over=year)", "t/yr"),
        ("lag(flow)", "t/yr"),
        ("flow * step", "t"),
        ("max(flow, 0)", "t/yr"),
        ("where(flow > 0, mass, 0)", "t"),
        ("flow < 2 * flow", "1"),
        ("mass ** 2", "t**2"),
        ("sqrt(mass * mass)", "t"),
        ("(mass / mass) ** rate", "1"),
        ("exp(rate)", "1"),
        ("at(flow, year=2001)", "t/yr"),
        ("-flow", "t/yr"),
        ("abs(flow)", "t/yr"),
        ("2 * flow", "t/yr"),
    ],
)
def test_units_follow_the_operations(text, unit):
    """The unit of a result follows from its parts; years are summed as amounts."""
    assert compile_expression(text, KNOWN, DIMS).dimension == UNITS.dimension(unit)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mass + flow", r"cannot add \[mass\] and \[mass time\^-1\]"),
        ("mass - rate", "cannot subtract"),
        ("mass + 1", "cannot add"),
        ("max(mass, 1)", "cannot take the max of"),
        ("mass > flow", "cannot compare"),
        ("where(mass, flow, flow)", "must be a comparison"),
        ("where(mass > 0, flow, mass)", "where"),
        ("exp(mass)", "wants a plain number"),
        ("mass ** rate", "literal number"),
        ("rate ** mass", "an exponent must be a plain number"),
        ("rate / 0", "division by zero"),
        ("flows", "did you mean 'flow'"),
        ("sum(flow, over=k)", "cannot sum over 'k'"),
        ("sum(flow)", r"write sum\(x, over=dim\)"),
        ("cumsum(mass)", "runs along the years"),
        ("lag(flow, -1)", "write lag"),
        ("lag(flow, rate)", "write lag"),
        ("at(flow, year=1999)", "no label '1999'"),
        ("at(flow, k=x)", "cannot pick k=x"),
        ("at(flow)", "write at"),
        ("min(flow)", "takes 2 arguments"),
        ("median(flow)", "unknown function"),
        ("flow flow", "cannot read"),
        ("", "cannot read"),
        ("1e999", "finite"),
        ("True", "not part of the grammar"),
        ("'a'", "not part of the grammar"),
        ("1 < rate < 2", "not part of the grammar"),
        ("rate % 2", "not part of the grammar"),
        ("rate and rate", "not part of the grammar"),
        ("(lambda: 1)()", "not part of the grammar"),
        ("rate.real", "not part of the grammar"),
        ("rate[0]", "not part of the grammar"),
        ("__import__('os')", "unknown function"),
        ("[rate]", "not part of the grammar"),
        ("(" * 300 + "1" + ")" * 300, "deep|cannot read"),
        ("1 + " * 600 + "1", "longer than"),
        ("-" * 1500 + "1", "deep|cannot read"),
        ("rate\0", "cannot read|not a text"),
    ],
)
def test_what_makes_no_sense_is_refused(text, message):
    """Refuses unknown names, units that do not fit and everything outside the grammar."""
    with pytest.raises(ExpressionError, match=message):
        compile_expression(text, KNOWN, DIMS)
