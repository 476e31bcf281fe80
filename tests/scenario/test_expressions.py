"""Expressions: broadcasting by name, years, units, and a grammar that can run nothing."""

import functools
import operator

import numpy as np
import pytest
import reference
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from strategies import trees

from ndmc.dims import Dims
from ndmc.scenario.expressions import ExpressionError, Variable
from ndmc.scenario.grammar import compile_expression
from ndmc.scenario.operations import evaluate_expression
from ndmc.scenario.units import NONE, TIME, UnitSystem

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


def multiplied(years):
    """Return running products."""
    found = [years[0]]
    for one in years[1:]:
        found.append(found[-1] * one)
    return found


def lagged(years):
    """Return the year before, nothing before the first."""
    return [xr.zeros_like(years[0]), *years[:-1]]


ALONG = {"carry": carried, "cumsum": summed, "cumprod": multiplied, "lag": lagged}
OF_TWO = {
    "sum": operator.add,
    "mean": operator.add,
    "prod": operator.mul,
    "lowest": np.minimum,
    "highest": np.maximum,
}
WRITTEN = {"lowest": "min", "highest": "max"}
COMPARE = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}
BINARY = {"+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide}


def reduced(array, dim, name="sum"):
    """Return what is made of a dim, label by label."""
    parts = [array.isel({dim: n}) for n in range(array.sizes[dim])]
    return functools.reduce(functools.partial(xr.apply_ufunc, OF_TWO[name]), parts)


def picked(value, at):
    """Return the labels of one dim that ``at`` names, a group summed."""
    dim, label = at.split("=")
    some = DIMS.picked({dim: label.strip("[]").split(", ")})[dim]
    return reduced(value.isel({dim: list(some)}), dim)


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
        case ("and" | "or" | "and not" as word, *parts):
            texts, (one, two, three, four) = zip(*(twin(p, values) for p in parts), strict=True)
            first, second = xr.apply_ufunc(np.less, one, two), xr.apply_ufunc(np.less, three, four)
            second = ~second if word == "and not" else second
            text = f"(({texts[0]}) < ({texts[1]}) {word} ({texts[2]}) < ({texts[3]}))"
            return text, (first | second if word == "or" else first & second).astype(float)
        case ("label", condition, yes, no):
            (one, x), (two, y) = twin(yes, values), twin(no, values)
            only = np.array([False, True, False])
            holds = xr.DataArray(only if condition == "k == y" else ~only, dims="k")
            return f"where({condition}, {one}, {two})", xr.apply_ufunc(np.where, holds, x, y)
        case ("sum" | "mean" | "prod" | "lowest" | "highest" as name, dim, inner):
            text, value = twin(inner, values)
            if dim not in value.dims:
                return text, value
            per = " / step" if (name, dim) == ("sum", "year") else ""
            result = reduced(value, dim, name)
            result = result / value.sizes[dim] if name == "mean" else result
            return f"({WRITTEN.get(name, name)}({text}, over={dim}){per})", result
        case ("at", place, inner):
            text, value = twin(inner, values)
            if place.split("=")[0] not in value.dims:
                return text, value
            per = " / step" if ".." in place else ""
            return f"(at({text}, {place}){per})", picked(value, place)
        case ("cumsum" | "cumprod" | "lag" | "carry" as name, inner):
            text, value = twin(inner, values)
            if "year" not in value.dims:
                return text, value
            per = "" if name in ("lag", "cumprod") else " / step"
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
        ("at(flow, year=2001..2001)", "t"),
        ("at(flow, year=[2001, 2003])", "t"),
        ("max(flow, over=year)", "t/yr"),
        ("min(flow, over=[year])", "t/yr"),
        ("prod(flow / flow, over=year)", "1"),
        ("cumprod(flow / flow)", "1"),
        ("peak_year(flow)", "1"),
        ("ratio(flow, mass, otherwise=0)", "1/yr"),
        ("flow > 0 and mass > 0", "1"),
        ("last_year(flow > 0)", "1"),
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
        ("sum()", r"write sum\(x, over=dim\)"),
        ("sum(flow)", r"write sum\(flow, over=\w+\); the argument has the dims"),
        ("sum(flow, year)", r"write sum\(flow, over=\w+\)"),
        ("cumsum(mass)", "runs along the years"),
        ("lag(flow, -1)", "write lag"),
        ("lag(flow, rate)", "write lag"),
        ("at(flow, year=1999)", "1999 lies before the years"),
        ("at(flow, k=x)", "cannot pick k=x"),
        ("at()", "write at"),
        ("at(flow)", r"write at\(flow, \w+=label\)"),
        ("min(flow)", r"min\(\) takes 2 arguments or more, not 1"),
        ("exp(rate, rate)", r"exp\(\) takes 1 argument, not 2"),
        ("where(rate = 1, 1, 2)", r"an = stands among arguments; write == to compare"),
        ("exp(x=rate)", r"exp\(\) has no named arguments; write == to compare"),
        ("median(flow)", "unknown function 'median'; of draws 'ndmc percentiles' says it"),
        ("tanh(flow)", "unknown function 'tanh'; the functions are abs, argmax, at, "),
        ("rate(2 + 3)", r"to multiply by it write rate \* \(...\)"),
        ("flow flow", "cannot read"),
        ("", "an expression is empty"),
        ("1e999", "finite"),
        ("True", "not part of the grammar"),
        ("'a'", "not part of the grammar"),
        ("rate % 2", "not part of the grammar"),
        ("rate + 1 and rate > 2", "'and' is of conditions, such as x > 1"),
        ("flow or rate > 2", "'or' is of conditions"),
        ("not rate / 2", "'not' is of conditions"),
        ("max(flow)", r"max\(\) takes 2 arguments or more, not 1, or over=dim behind one"),
        ("max(flow, year)", r"'year' is a dim; write max\(flow, over=year\)"),
        ("min(year, flow)", "cannot take the min of"),
        ("max(flow, k)", r"'k' is a dim; write max\(flow, over=k\)"),
        ("max(flow, over=k)", r"cannot take the max over 'k': .* \['year'\]"),
        ("sum(flow, over=[year, k])", "cannot sum over 'k': the argument has no dims"),
        ("sum(flow, over=[])", r"write sum\(flow, over=year\)"),
        ("mean(flow, over='year')", r"write mean\(flow, over=year\)"),
        ("prod(flow, over=year)", r"prod\(\) wants a plain number, not \[mass time\^-1\]"),
        ("cumprod(flow)", r"cumprod\(\) wants a plain number"),
        ("peak_year(mass)", r"peak_year\(\) runs along the years"),
        ("peak_year(flow, 2001)", r"write peak_year\(x\)"),
        ("argmax(flow * at(k == x, k=y), over=k)", "cannot take the argmax over 'k'"),
        ("argmax((k == x) * rate, over=k)", "a label of 'k' is no number; x == max"),
        ("argmax(flow, over=[year])", r"write argmax\(flow, over=year\)"),
        ("at(flow, year=[])", "an empty list picks nothing of 'year'"),
        ("at(flow, year=2003..2001)", "runs backwards; write 2001..2003"),
        ("at(flow, year=2001..2009)", "2009 lies after the years"),
        ("at(flow, year=[2001, 1999])", "1999 lies before the years"),
        ("at(flow, year=2000 + 1)", "'2000 \\+ 1' is no label"),
        ("2001..2003 + rate", r"is a period and no number; write at\(x, year=2001..2003\)"),
        ("last_year(flow)", r"the argument of last_year\(\) must be a comparison"),
        ("first_year(flow > 0, from=1990)", "1990 lies before the years"),
        ("first_year(flow > 0, from=rate)", "condition, from=2025"),
        ("last_year(flow > 0, from=2001)", r"write last_year\(condition\)"),
        ("ratio(flow, flow)", r"write ratio\(a, b, otherwise=0\)"),
        ("ratio(flow, flow, 0)", r"write ratio\(a, b, otherwise=0\)"),
        ("ratio(flow, mass, otherwise=1)", "cannot choose"),
        ("k == w", "k has no label 'w'"),
        ("k in []", "an empty list picks nothing of 'k'"),
        ("rate in [x]", "'rate' is no dim; write dim in .*; choose one of 'k', 'year'"),
        ("k > x", "'k' is a dim and no quantity; write k == x for one of its labels"),
        ("k * rate", "'k' is a dim and no quantity"),
        ("rate is 2", "write == and != to compare"),
        ("mass + 5", r"cannot add .* write a number with its unit, such as 5 kt"),
        ("flow + 5 t", "cannot add"),
        ("50 kT + mass", "cannot read '50 kT': unknown unit 'kT'; did you mean 'kt'"),
        ("2 rate", "'rate' stands for a unit in '2 rate', and is a name here; write [*]"),
        ("mass / 2 t/rate", "'rate' stands for a unit in '2 t/rate', .* blanks around a /"),
        ("2 step", "'step' stands for a unit"),
        ("5 % 2", "cannot read '5 % 2': it breaks at character 5"),
        ("5 % (rate)", "write a number before %, such as 5 %"),
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
        compile_expression(text, KNOWN, DIMS, UNITS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rate + * 2", "it breaks at character 8, before '* 2'"),
        ("rate +", "it ends too early"),
        ("rate * (rate + 2", "the ( at character 8 is never closed"),
        ("rate) * 2", "the ) at character 5 closes nothing"),
        ("rate \u00d7 2", "'\u00d7' at character 6 means nothing here; write * for times"),
        ("rate x 2", "it breaks at character 6, before 'x 2'; write * for times"),
        ("rate = 2", "it breaks at character 6, before '= 2'; write == to compare"),
        (
            "= rate * 2",
            "it breaks at character 1, before '= rate * 2'; leave out the = at the begin",
        ),
        ("rate <> 2", "it breaks at character 6, before '<> 2'; write <=, >= and != to compare"),
        ("max(rate; 2)", "it breaks at character 9, before '; 2)'; write commas between arguments"),
        ("10 000 * rate", "write numbers without separators"),
        ("if(rate > 1, 2, 3)", "write where(condition, a, b)"),
        ("IF(rate > 1; 2; 3)", "write where(condition, a, b)"),
        ("rate + class", "'class' cannot be a name here, rename it"),
        ("(" + "rate + " * 20 + "2", "cannot read '(rate + rate + rate + rate + r...': the ( at"),
        ("rate + " * 20 + "2 2", "cannot read '...+ rate + rate"),
    ],
)
def test_a_text_that_breaks_says_where_and_what_is_likely_meant(text, message):
    """With the place, some characters around it and what is written otherwise elsewhere."""
    with pytest.raises(ExpressionError) as caught:
        compile_expression(text, KNOWN, DIMS)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rate ^ 2", "write ** for powers"),
        ("rate | rate", "write and where both conditions must hold, a > 1 and b > 2, and or"),
        ("rate > 1 && rate < 2", "write and where both conditions must hold"),
        ("1 if rate else 2", "write where(condition, a, b)"),
        ("np.exp(rate)", "functions and names have no dots"),
        ("rate.real", "functions and names have no dots"),
        ("flow[0]", "write at(x, dim=label)"),
        ("1,5 * rate", "write decimals with a point"),
        ("'rate' * 2", "write names without quotes"),
        ("True", "a condition is a comparison"),
        ("2(rate)", "write * between a number and a bracket"),
        ("IF(rate > 1, 2, 3)", "write where(condition, a, b)"),
        ("SUM(flow)", "did you mean 'sum'?"),
        ("AVERAGE(flow)", "write mean(x, over=dim)"),
        ("ln(rate)", "log(x) is the natural logarithm"),
        ("normal(5, 1)", "draws belong to a parameter"),
        ("[rate]", "lists are of labels and dims: at(x, use=[tv, car])"),
        ("{rate}", "allowed are numbers, names, + - * / **, comparisons, and, or, not, and abs, "),
    ],
)
def test_habits_of_other_languages_are_told_what_to_write(text, message):
    """Of spreadsheets and programs."""
    with pytest.raises(ExpressionError) as caught:
        compile_expression(text, KNOWN, DIMS)
    assert message in str(caught.value)


def test_a_misfit_says_how_each_unit_is_read():
    """Names each parameter in what does not fit, with its unit and how that is read."""
    known = {"content": Variable((), UNITS.dimension("kg/item"), "kg/item"), **KNOWN}
    with pytest.raises(ExpressionError) as caught:
        compile_expression("2 * content + max(flow, flow) / rate", known, DIMS)
    assert str(caught.value) == (
        "cannot add [mass] and [mass time^-1]: "
        "'content' is in kg/item [mass], 'flow' is in [mass time^-1], 'rate' is in [dimensionless]"
    )


def test_of_many_names_in_a_misfit_six_are_told():
    """A sum of hundreds says no more than can be read."""
    known = {f"x{n}": Variable((), UNITS.dimension("t"), "t") for n in range(40)}
    with pytest.raises(ExpressionError, match=r"'x5' is in t \[mass\] and 34 more"):
        compile_expression(" + ".join(known) + " + 1", known, DIMS)


# --- numbers with units, labels and conditions --------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("50 kt", 50e3, "t"),
        ("50kt", 50e3, "t"),
        ("-2.5e-1 t/yr", -0.25, "t/yr"),
        ("1.5e3 kg/m**2", 1.5, "t/m2"),
        ("5%", 0.05, "1"),
        ("200 % - 2.5 %", 1.975, "1"),
        ("6 months", 0.5, "yr"),
        ("20 t / 4 yr", 5.0, "t/yr"),
        ("0 kt", 0.0, "t"),
        ("clip(7 t, 1 t, 5 t)", 5.0, "t"),
    ],
)
def test_a_number_may_have_a_unit(text, value, unit):
    """Which has no blanks; what is divided or multiplied stands apart from it."""
    expression = compile_expression(text, KNOWN, DIMS, UNITS)
    assert expression.dimension == UNITS.dimension(unit)
    assert evaluate_expression(expression, {})[0] == pytest.approx(value, rel=1e-15)


def test_what_is_written_in_quotes_or_looks_like_a_unit_stays():
    """Labels keep their digits and blanks; exponents of numbers are no units."""
    dims = Dims({"k": ("5 kt", "1.10", "2001..2003"), "year": ("2001",)})
    known = {"a": Variable(("k",), NONE)}
    for text, place in (("'5 kt'", 0), ("1.10", 1), ("'2001..2003'", 2)):
        for written in (f"at(a, k={text})", f"at(a, k=[{text}])"):
            assert compile_expression(written, known, dims).positions == (place,)
        for condition in (f"k == {text}", f"{text} == k"):
            assert compile_expression(condition, known, dims).positions[place] == 1
    assert compile_expression("1e-5", known, dims).value == 1e-5


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("k == y", [0, 1, 0]),
        ("y == k", [0, 1, 0]),
        ("k != y", [1, 0, 1]),
        ("k in [x, z]", [1, 0, 1]),
        ("k in both", [1, 1, 0]),
        ("k not in [both]", [0, 0, 1]),
        ("k == 'z' or k == y", [0, 1, 1]),
        ("not k == z and k != x", [0, 1, 0]),
        ("year in 2001..2002", [0, 1, 1, 0]),
        ("year not in [2000, 2003]", [0, 1, 1, 0]),
    ],
)
def test_a_condition_on_labels_is_known_for_good(text, holds):
    """1 at the labels that are named and 0 at the others, along their dim alone."""
    expression = compile_expression(text, PLAIN, DIMS)
    assert (expression.operation, expression.positions) == ("series", tuple(holds))
    assert expression.dims == (("year",) if "year" in text else ("k",))


def test_a_choice_by_label_computes_what_a_label_takes():
    """`where` of labels is a formula by label; of years and of comparisons it is cell by cell."""
    values = numbers()
    for text, operation in (
        ("where(k != y, log(abs(a) + 1), b)", "by_label"),
        ("where(k == y and year > 2001, b, log(abs(a) + 1))", "where"),
        ("where(year in 2001..2002, b, c)", "where"),
    ):
        assert compile_expression(text, PLAIN, DIMS).operation == operation
    got = compute("where(k != y, log(abs(a) + 1), b)", values)
    assert_array_equal(got[[0, 2]], np.log(np.abs(values["a"]) + 1)[[0, 2]])
    assert_array_equal(got[1], values["b"])
    with pytest.raises(ExpressionError, match=r"cannot choose by k between \[time\] and \[mass\]"):
        compile_expression("where(k == x, life, mass)", KNOWN, DIMS)


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("a > 0 and b > 0", lambda a, b, c: (a > 0) & (b > 0)),
        ("a > 0 or b > 0 or c < 0", lambda a, b, c: (a > 0) | (b > 0) | (c < 0)),
        ("not a > 0", lambda a, b, c: ~(a > 0)),
        ("c < a <= b", lambda a, b, c: (c < a) & (a <= b)),
        ("a and not b", lambda a, b, c: (a != 0) & (b == 0)),
        ("a == b == c", lambda a, b, c: (a == b) & (b == c)),
        ("max(a > 1, b > 1) and lag(c * year > 0)", None),
    ],
)
def test_conditions_are_joined(text, condition):
    """Both, either, none, and a row of comparisons: 1 where they hold; a name where it is not 0."""
    values = numbers()
    got = compute(text, values)
    if condition is None:
        assert set(np.unique(got)) <= {0.0, 1.0}
        return
    expected = condition(values["a"], values["b"], values["c"][:, None])
    assert_array_equal(got, expected.astype(float))


# --- over dims ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("max(a, over=k)", lambda a: a.max(0)),
        ("min(a, over=year)", lambda a: a.min(1)),
        ("prod(a, over=k)", lambda a: a[0] * a[1] * a[2]),
        ("max(a, over=[k, year])", lambda a: a.max((0, 1))),
        ("sum(a, over=[k, year]) / step", lambda a: (a[0] + a[1] + a[2]).sum(0)),
        ("mean(a, over=[year, k])", lambda a: a.mean(1).mean(0)),
        ("cumprod(a)", lambda a: np.cumprod(a, axis=1)),
        ("peak_year(a)", lambda a: 2000 + a.argmax(1)),
        ("argmax(a, over=year)", lambda a: 2000 + a.argmax(1)),
        ("at(a, k=[z, x])", lambda a: a[2] + a[0]),
        ("at(a, k=[both, x])", lambda a: a[0] + a[1]),
        ("at(a, k=y, year=2002)", lambda a: a[1, 2]),
        ("at(a, year=2001..2002) / step", lambda a: a[:, 1] + a[:, 2]),
        ("at(a, k=[x, y], year=[2000, 2003]) / step", lambda a: a[:2][:, [0, 3]].sum(0).sum(0)),
        ("ratio(a, c, otherwise=9)", None),
        ("last_year(a > 0.5)", None),
    ],
)
def test_over_dims_equals_numpy(text, expected):
    """Reductions, running products, labels of several dims and years that something is in."""
    values = numbers()
    a, c = values["a"], values["c"][:, None]
    got = compute(text, values)
    if text.startswith("ratio"):
        assert_array_equal(got, np.where(c == 0, 9, a / np.where(c == 0, 1, c)))
    elif expected is None:
        years = np.where(a > 0.5, CALENDAR[:, None], -np.inf).max(1)
        assert_array_equal(got, np.where(years < 0, np.inf, years))
    else:
        np.testing.assert_allclose(got, expected(a), rtol=1e-15)


def test_the_first_of_equals_is_the_peak_and_a_peak_of_nan_is_none():
    """The year of what is largest first; nobody knows of what is no number."""
    given = np.array([[1.0, 3, np.inf, 1], [3, 3, 2, np.nan], [3, 1, np.inf, 7], [2, 1, 1, 1]])
    assert_array_equal(compute("peak_year(b)", {"b": given}), [2001, 2000, 2000, np.nan])


def test_an_event_may_be_looked_for_from_a_year_on():
    """What held before does not count."""
    given = np.array([[1.0, 1, 0], [0, 1, 0], [1, 1, 0], [0, 1, 0]])
    assert_array_equal(compute("first_year(b > 0, from=2001)", {"b": given}), [2002, 2001, np.inf])
    assert_array_equal(compute("last_year(b > 0)", {"b": given}), [2002, 2003, np.inf])


# --- years, limits and paths ------------------------------------------------------------------

CALENDAR = np.arange(2000.0, 2004.0)


def over_years(text, **given):
    """Return the values of a text by year, for one draw; what is given has no dims."""
    variables = {name: Variable((), NONE) for name in given} | PLAIN
    values = {name: np.array([float(value)]) for name, value in given.items()} | numbers()
    expression = compile_expression(text, variables, DIMS)
    got = evaluate_expression(expression, values)
    return np.broadcast_to(got, (*DIMS.shape(expression.dims), got.shape[-1]))[..., 0]


def test_year_is_the_number_of_the_year():
    """A plain number that follows the years, and broadcasts like any other."""
    assert_array_equal(over_years("year"), CALENDAR)
    assert_array_equal(over_years("where(year >= 2002, 1, 0)"), [0, 0, 1, 1])
    expression = compile_expression("c * (year - 2000)", PLAIN, DIMS)
    assert (expression.dims, expression.dimension) == (("k", "year"), NONE)
    values = numbers()
    expected = values["c"][:, None] * np.arange(4.0)[:, None]
    assert_array_equal(evaluate_expression(expression, values), expected)
    assert compile_expression("lag(year)", PLAIN, DIMS).dims == ("year",)
    assert_array_equal(over_years("lag(year)"), [0, 2000, 2001, 2002])


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 100))
def test_clip_equals_numpy(seed):
    """Limits may be numbers or quantities with other dims."""
    values = numbers(seed)
    assert_array_equal(compute("clip(a, -0.5, 1)", values), np.clip(values["a"], -0.5, 1))
    low, high = -np.abs(values["b"]), np.abs(values["c"])[:, None]
    got = compute("clip(a, -abs(b), abs(c))", values)
    assert_array_equal(got, np.clip(values["a"], low, high))


def test_ramp_is_straight_between_its_years_and_flat_outside():
    """As NumPy's interpolation, to 4 roundings of its largest value."""
    for first, last in ((2000, 2003), (2001, 2002), (1990, 2050), (1990, 1995), (2010, 2020)):
        got = over_years(f"ramp({first}, 2, {last}, -1)")
        expected = np.interp(CALENDAR, [first, last], [2, -1])
        assert np.abs(got - expected).max() <= 4 * 2 * np.finfo(float).eps
    assert_array_equal(over_years("ramp(2001, 0.25, 2002, 0.75)"), [0.25, 0.25, 0.75, 0.75])


@settings(deadline=None, max_examples=100)
@given(
    years=st.lists(st.integers(1990, 2015), min_size=2, max_size=6, unique=True).map(sorted),
    values=st.lists(st.floats(-5, 5), min_size=6, max_size=6),
)
def test_interpolate_equals_numpy(years, values):
    """Straight from point to point, flat before the first and after the last."""
    values = values[: len(years)]
    points = ", ".join(f"{y}, {v!r}" for y, v in zip(years, values, strict=True))
    expected = np.interp(CALENDAR, years, values)
    assert np.abs(over_years(f"interpolate({points})") - expected).max() <= 1e-14
    assert compile_expression(f"interpolate({points})", PLAIN, DIMS).dims == ("year",)


def test_logistic_has_done_a_tenth_and_nine_tenths_of_the_way():
    """At its two years, half of the way in the middle, and it rises all the time."""
    got = over_years("logistic(2000, 3, 2003, 13)")
    done = 1 / (1 + 9 ** (1 / 3))  # at a third of the way between the two years
    expected = [4, 3 + 10 * done, 13 - 10 * done, 12]
    assert np.abs(got - expected).max() < 1e-12
    middle = over_years("logistic(1999, 1, 2003, 2)")[1]
    assert abs(middle - 1.5) < 1e-15
    falls = over_years("logistic(2000, 13, 2003, 3)")
    assert np.abs(falls + got - 16).max() < 1e-12


@pytest.mark.parametrize("name", ["ramp", "logistic", "interpolate"])
def test_paths_take_uncertain_years_and_values(name):
    """Years and values may be parameters: one path for every draw."""
    got = over_years(f"{name}(start, low, start + 2, low * 2)", start=2000.5, low=3)
    same = over_years(f"{name}(2000.5, 3, 2002.5, 6)")
    assert_array_equal(got, same)


def test_paths_keep_the_unit_and_dims_of_their_values():
    """A path of flows is a flow; labels are those of all its parts."""
    expression = compile_expression("ramp(2000, mass, 2003, 2 * mass)", KNOWN, DIMS)
    assert (expression.dims, expression.dimension) == (("year",), UNITS.stock)
    expression = compile_expression("interpolate(2000, c, 2001, 0, 2003, d)", PLAIN, DIMS)
    assert expression.dims == ("k", "year")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("clip(rate, 0)", "takes 3 arguments"),
        ("clip(flow, 0, 1)", "cannot"),
        ("ramp(2000, 1, 2010)", r"write ramp\(year, value, year, value\)"),
        ("ramp(2000, 1, 2010, 2, 2020, 3)", r"write ramp\(year, value, year, value\)"),
        ("interpolate(2000, 1)", r"write interpolate\(year, value, year, value, \.\.\.\)"),
        ("interpolate(2000, 1, 2010, 2, 2020)", "write interpolate"),
        ("ramp(x0=2000, y0=1, x1=2010, y1=2)", "write ramp"),
        ("ramp(2010, 1, 2000, 2)", r"the years must rise, found 2010 before 2000"),
        ("logistic(2000, 1, 2000, 2)", "the years must rise"),
        ("interpolate(2000, 1, 2010, 2, 2005, 3)", "found 2010 before 2005"),
        ("ramp(2000, mass, 2010, rate)", "cannot subtract|cannot add"),
        ("ramp(year, 1, 2010, 2)", "the years of ramp.. cannot change with the years"),
        ("ramp(life, 1, 2010, 2)", "plain numbers, not .time.; a parameter of them has the unit 1"),
        ("year + mass", "cannot add"),
        ("yaer + 1", "did you mean 'year'"),
        ("rmap(2000, 1, 2010, 2)", "did you mean 'ramp'"),
    ],
)
def test_paths_that_make_no_sense_are_refused(text, message):
    """Wrong counts, years that do not rise and units that do not fit."""
    with pytest.raises(ExpressionError, match=message):
        compile_expression(text, KNOWN, DIMS)


# --- events -------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=100)
@given(
    left=st.sampled_from(["a", "b", "b - c", "cumsum(a) / step", "d * year"]),
    sign=st.sampled_from(["<", "<=", ">", ">=", "==", "!="]),
    right=st.sampled_from(["0", "1", "b", "c", "d", "2001"]),
    seed=st.integers(0, 50),
)
def test_first_year_equals_a_search_year_by_year(left, sign, right, seed):
    """The first year of any condition is that of a plain search through the years, bit by bit."""
    values = numbers(seed)
    condition = compile_expression(f"{left} {sign} {right}", PLAIN, DIMS)
    expression = compile_expression(f"first_year({left} {sign} {right})", PLAIN, DIMS)
    true = evaluate_expression(condition, values)
    expected = reference.first_year(true.reshape(-1, 4, true.shape[-1]), DIMS.years)
    got = evaluate_expression(expression, values)
    assert expression.dims == tuple(dim for dim in condition.dims if dim != "year")
    assert_array_equal(got.reshape(expected.shape), expected)


def test_first_year_is_infinite_where_it_never_comes():
    """Never is +inf, already true is the first year, and later changes do not matter."""
    seldom = np.array([[0, 1, 0, 0, 0], [0, 1, 0, 0, 3], [0, 0, 1, 0, 2], [0, 1, 0, 1, 1.0]])
    got = compute("first_year(b > 0)", {"b": seldom})
    assert_array_equal(got, [np.inf, 2000, 2002, 2003, 2001])
    assert_array_equal(compute("first_year(year >= 2002)", {}), [2002])
    assert_array_equal(compute("first_year(year > 2003)", {}), [np.inf])
    assert_array_equal(compute("first_year(0 * year)", {}), [np.inf])


def test_first_year_takes_any_number_that_is_not_zero_for_true():
    """A plain number holds where it is not 0, a negative one too; what is not a number does not."""
    given = np.array([[0.0, np.nan], [-0.5, np.nan], [1, 0], [0, 2]])
    assert_array_equal(compute("first_year(b)", {"b": given}), [2001, 2003])


def test_first_year_is_known_by_the_other_dims():
    """Only the dim year goes: one year for each label, in the order of the scenario."""
    condition = np.zeros((3, 4, 1))
    condition[0, 1:], condition[2, 3] = 1, 1
    assert compile_expression("first_year(a > 0)", PLAIN, DIMS).dims == ("k",)
    assert_array_equal(compute("first_year(a > 0)", {"a": condition})[:, 0], [2001, np.inf, 2003])
    assert_array_equal(compute("min(first_year(a > 0), 2002)", {"a": condition})[1, 0], 2002)


def test_first_year_is_a_plain_number():
    """Years of events can be compared with years and subtracted from each other."""
    for text in ("first_year(flow > 2 * flow)", "first_year(flow > 0) - 2020 * rate"):
        expression = compile_expression(text, KNOWN, DIMS)
        assert (expression.dims, expression.dimension) == ((), NONE)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("first_year(rate > 0)", r"first_year\(\) runs along the years: .* has no dims"),
        ("first_year(1)", "runs along the years"),
        ("first_year(first_year(flow > 0))", "runs along the years"),
        ("first_year(flow)", r"the argument of first_year\(\) must be a comparison"),
        ("first_year(flow > 0, 2)", r"write first_year\(condition\)"),
        ("first_year()", r"write first_year\(condition\)"),
        ("first_year(flow > rate)", "cannot compare"),
        ("first_year(flow > 0) + mass", "cannot add"),
        ("frist_year(flow > 0)", "did you mean 'first_year'"),
    ],
)
def test_first_years_that_make_no_sense_are_refused(text, message):
    """What does not change with the years, and what is not a plain number, has no first year."""
    with pytest.raises(ExpressionError, match=message):
        compile_expression(text, KNOWN, DIMS)


def test_a_comment_in_an_expression_is_refused():
    """Python drops it, with what may be a part of the formula; a sign within quotes is a label."""
    with pytest.raises(ExpressionError, match=r"^'# b' would be dropped: an expression has no com"):
        compile_expression("a # b", {"a": Variable((), NONE)}, Dims({}))
    found = compile_expression(
        "at(a, k='x # y')", {"a": Variable(("k",), NONE)}, Dims({"k": ("x # y",)})
    )
    assert found.dims == ()
