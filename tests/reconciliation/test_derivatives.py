"""Derivatives of expressions: every operation against central differences, cell by cell."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from ndmc.dims import Dims
from ndmc.reconciliation.derivatives import NotSmoothError, Slope, degree, differentiate
from ndmc.scenario.composing import Composer
from ndmc.scenario.expressions import Variable
from ndmc.scenario.grammar import compile_expression
from ndmc.scenario.operations import evaluate_expression
from ndmc.scenario.units import NONE

DIMS = Dims(
    {
        "k": ("x", "y", "z"),
        "m": ("p", "q"),
        "u": ("r", "s", "r"),
        "year": ("2000", "2001", "2002", "2003"),
    },
    {"k": {"both": ("x", "y"), "rest": ("z",)}},
    of={"u": "m"},
    belongs={"u": {"m": (0, 0, 1)}},
)
NAMES = {"e": ("u",), "a": ("k", "year"), "b": ("year",), "c": ("k",), "d": ()}
SIZES = {name: DIMS.size(dims) for name, dims in NAMES.items()}
VARIABLES = sum(SIZES.values())
# Between 0.5 and 1.5, on both sides of every kink and never within two steps of one.
POINT = 0.5 + np.arange(1, VARIABLES + 1) * (5**0.5 - 1) / 2 % 1
STEP = 1e-3

OPERATIONS = {
    "number": "2.5",
    "series": "year - 2000",
    "add": "a + b",
    "add-crosswise": "b + c",
    "subtract": "c - a",
    "multiply": "a * c * d",
    "divide": "b / c",
    "power": "a ** c",
    "power-number": "(a - 1) ** 3",
    "power-square": "(d - c) ** 2",
    "power-root": "a ** 0.5",
    "power-minus": "(0 - a) ** -2",
    "power-one": "(c - d) ** 1",
    "negative": "-a",
    "sqrt": "sqrt(a + c)",
    "exp": "exp(a * d)",
    "log": "log(b)",
    "abs": "abs(a - 1)",
    "min": "min(a, b)",
    "min-three": "min(a, b, c)",
    "max": "max(c, b)",
    "max-number": "max(a, 1)",
    "where": "where(a > b, a * c, exp(d))",
    "where-same": "where(c <= d, 0, b)",
    "clip": "clip(a, 0.8, 1.2)",
    "clip-names": "clip(a, c / 2, b + d)",
    "sum": "sum(a * c, over=k)",
    "sum-years": "sum(a * a, over=year) / step",
    "sum-twice": "sum(sum(a * b, over=k), over=year) / step",
    "mean": "mean(a * b, over=year)",
    "mean-labels": "mean(c * d, over=k)",
    "at": "at(a * a, k=y)",
    "at-group": "at(a * c, k=both)",
    "at-year": "at(a * b, year=2002)",
    "cumsum": "cumsum(a * a) / step",
    "prod": "prod(a * c, over=k)",
    "prod-years": "prod(a + b, over=year)",
    "prod-zero": "prod(a * (k != x), over=k)",
    "max-over": "max(a * c, over=k)",
    "max-over-years": "max(a + b, over=year)",
    "min-over": "min(a * b, over=[k, year])",
    "cumprod": "cumprod(a * b)",
    "at-labels": "at(a * c, k=[x, z], year=2001..2003) / step",
    "ratio": "ratio(a, b * (year > 2000), otherwise=c)",
    "labels": "where(k == x, a * b, sum(a * c, over=k) - where(k in both, a, c * d))",
    "of-others-sum": "sum(e * d, over=u) * b",
    "of-others-mean": "mean(e * e, over=u)",
    "of-others-max": "max(e * d, over=u)",
    "of-others-min": "min(e + d, over=u)",
    "of-others-prod": "prod(e * d, over=u)",
    "of-others-all": "mean(e * e, over=[u, m])",
    "of-others-at": "at(e * e, u=r)",
    "of-others-each": "e * max(e, over=u) / sum(e, over=u)",
    "of-others-labels": "where(m == p and u == r, e * d, e) + (m == q) * e",
    "of-others-chosen": "where(m == p and u == r, at(a, k=x) * max(e, over=u), 2 * d)",
    "of-others-sums": "where(m == q, sum(e * d, over=u), lag(b) * min(e, over=u))",
    "conditions": "where(a > b and not k == x or d > 2, a * b, c)",
    "lag": "lag(a * b)",
    "lag-two": "lag(b * d, 2)",
    "lag-none": "lag(a, 0)",
    "lag-beyond": "lag(a, 9)",
    "ramp": "ramp(1999.5 + d, a, 2002, c)",
    "logistic": "logistic(2000 + d, a, 2002 + c, b)",
    "interpolate": "interpolate(2000, a, 2001 + d, b, 2003, c)",
    "less": "a < b",
    "less-equal": "a <= c",
    "greater": "(b > d) * c",
    "greater-equal": "c >= d",
    "all-together": "sum(a / (1 + exp(-b)), over=k) * sqrt(d) - lag(b) ** 2 / at(c, k=z)",
}


def expression(text):
    """Return a text as an expression of the names."""
    return compile_expression(text, {name: Variable(d, NONE) for name, d in NAMES.items()}, DIMS)


def by_label(dim, taken, *texts):
    """Return formulas by label."""
    names = {name: Variable(d, NONE) for name, d in NAMES.items()}
    return Composer(names, DIMS).by_label(dim, taken, *map(expression, texts))


def arrays(points):
    """Return the names' values of points [variable, draw]."""
    ends = np.cumsum([0, *SIZES.values()])
    return {
        name: points[start:end].reshape(*DIMS.shape(dims), -1)
        for (name, dims), start, end in zip(NAMES.items(), ends[:-1], ends[1:], strict=True)
    }


def known(point=POINT):
    """Return the names, each cell a variable."""
    ends = np.cumsum([0, *SIZES.values()])
    unit = sp.csr_array(sp.eye_array(VARIABLES))
    values = arrays(point[:, np.newaxis])
    return {
        name: Slope(values[name], unit[start:end])
        for name, start, end in zip(NAMES, ends[:-1], ends[1:], strict=True)
    }


def differences(tree, point=POINT):
    """Return central differences [cell, variable], of two steps so that only h**4 is left."""

    def slope(step):
        moved = step * np.eye(len(point))
        both = np.hstack([point[:, np.newaxis] + moved, point[:, np.newaxis] - moved])
        values = evaluate_expression(tree, arrays(both))
        shape = (DIMS.size(tree.dims), 2 * len(point))
        values = np.broadcast_to(values, (*DIMS.shape(tree.dims), shape[1])).reshape(shape)
        return (values[:, : len(point)] - values[:, len(point) :]) / (2 * step)

    return (4 * slope(STEP) - slope(2 * STEP)) / 3


def near(tree, point=POINT):
    """Demand values as evaluated, and derivatives as differenced.

    Differences keep h ** 4 of the fifth derivative, and rounding of 2000 eps / h where there are
    years in an expression.
    """
    found = differentiate(tree, known(point), DIMS, VARIABLES)
    values = evaluate_expression(tree, arrays(point[:, np.newaxis]))
    assert found.value.shape == (*DIMS.shape(tree.dims), 1)
    assert_array_equal(found.value, np.broadcast_to(values, found.value.shape))
    assert found.by.shape == (DIMS.size(tree.dims), VARIABLES)
    expected = differences(tree, point)
    atol = 4e-9 * max(1.0, np.abs(expected).max(), np.abs(found.value).max())
    assert_allclose(found.by.toarray(), expected, rtol=0, atol=atol)


@pytest.mark.parametrize("name", OPERATIONS)
def test_derivatives_are_those_of_differences(name):
    """Values and derivatives of each operation, of names of any dims."""
    near(expression(OPERATIONS[name]))


@pytest.mark.parametrize(("dim", "taken"), [("k", (0, 1, 0)), ("year", (1, 0, 0, 1))])
def test_formulas_by_label(dim, taken):
    """Each label has the derivatives of its own formula; what runs along the dim reads all."""
    inner = by_label("k", (1, 0, 0), "a * c / sum(a, over=k)", "d")
    compose = Composer({name: Variable(d, NONE) for name, d in NAMES.items()}, DIMS)
    near(compose.by_label(dim, taken, inner, expression("lag(b) * sum(a, over=k) * c")))
    found = differentiate(by_label(dim, taken, "b", "c"), known(), DIMS, VARIABLES)
    assert found.by.nnz == DIMS.size(("k", "year"))
    assert degree(inner, dict.fromkeys("abcd", 1)) == 2
    assert degree(by_label(dim, taken, "b", "2 * d"), dict.fromkeys("bd", 1)) == 1


sums = st.recursive(
    st.sampled_from([*"abcd", "2"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda t: f"({' '.join(t)})"),
        inner.map(lambda x: f"sqrt(1 + ({x}) ** 2)"),
        inner.map(lambda x: f"(1 / (3 + exp(-({x}))))"),
        inner.map(lambda x: f"lag(b * ({x}))"),
        inner.map(lambda x: f"sum(c * ({x}), over=k)"),
        inner.map(lambda x: f"at(({x}) + a, year=2001)"),
    ),
    max_leaves=5,
)


@settings(deadline=None, max_examples=60)
@given(sums)
def test_chains_of_operations(text):
    """The chain rule holds through any nesting."""
    near(expression(text))


@settings(deadline=None, max_examples=100)
@given(sums, st.sets(st.sampled_from("abcd")))
def test_what_is_linear_has_the_same_derivatives_everywhere(text, constants):
    """Those of what is constant are zero, and those of what is linear the same at two points."""
    tree, degrees = expression(text), {name: int(name not in constants) for name in NAMES}
    here, there = known(), known(POINT[::-1] + 0.1)
    for name in constants:
        here[name] = there[name] = Slope(here[name].value, sp.csr_array((SIZES[name], VARIABLES)))
    one, other = (differentiate(tree, names, DIMS, VARIABLES).by for names in (here, there))
    if degree(tree, degrees) < 2:
        assert_array_equal(one.toarray(), other.toarray())
    if degree(tree, degrees) == 0:
        assert one.nnz == 0


def test_only_what_is_read_has_derivatives():
    """A cell depends on its own labels: the matrix is as sparse as the equation."""
    found = differentiate(expression("a * c"), known(), DIMS, VARIABLES)
    assert found.by.nnz == 2 * SIZES["a"]


def test_a_name_may_be_many_variables_or_none():
    """What is known to be constant has no derivative, and takes none away from others."""
    names = known()
    names["b"] = Slope(names["b"].value, sp.csr_array((SIZES["b"], VARIABLES)))
    tree = expression("a * b")
    expected = differences(tree)
    first = SIZES["e"] + SIZES["a"]
    expected[:, first : first + SIZES["b"]] = 0.0
    found = differentiate(tree, names, DIMS, VARIABLES).by.toarray()
    assert_allclose(found, expected, rtol=0, atol=4e-9)


@pytest.mark.parametrize("base", [0.0, -0.7])
@pytest.mark.parametrize("exponent", [0, 1, 2, 3])
def test_whole_powers_of_zero_and_below(base, exponent):
    """The derivative of x ** n is n x ** (n - 1) also where x is not positive."""
    point = POINT.copy()
    point[-1] = base
    found = differentiate(expression(f"d ** {exponent}"), known(point), DIMS, VARIABLES)
    expected = exponent * base ** (exponent - 1) if exponent else 0.0
    assert found.by.toarray()[0, -1] == expected


@pytest.mark.parametrize(
    ("text", "slope"),
    [("where(d > 0, b / d, 3 * d)", 3), ("where(d > 0, log(d), 0)", 0), ("max(1 - d, log(d))", -1)],
)
def test_what_is_not_chosen_may_be_infinite(text, slope):
    """A branch that is not taken has no say, and no warning, whatever its derivative there."""
    point = POINT.copy()
    point[-1] = 0.0
    found = differentiate(expression(text), known(point), DIMS, VARIABLES)
    assert_array_equal(found.by.toarray()[:, -1], slope)


@pytest.mark.parametrize(
    ("text", "operation"),
    [("carry(a) / step", "carry"), ("first_year(a > b)", "first_year")],
)
def test_what_is_not_smooth_is_refused(text, operation):
    """A store that may run empty, and a first year, have no derivative; the error names them."""
    with pytest.raises(NotSmoothError, match=operation) as caught:
        differentiate(expression(f"2 * {text}"), known(), DIMS, VARIABLES)
    assert caught.value.operation == operation
