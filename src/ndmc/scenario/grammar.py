"""The safe grammar of expressions: arithmetic over labelled names.

A text is parsed once into a tree of plain values; nothing in it can run code. Names broadcast
against each other by dim name, and every sum must be a sum of like with like.
"""

from __future__ import annotations

import ast
import functools
import itertools
import math
from collections.abc import Mapping

from ndmc.dims import Dims
from ndmc.errors import nearest
from ndmc.scenario.composing import YEAR, Composer, described_dims
from ndmc.scenario.expressions import Expression, ExpressionError, Variable
from ndmc.scenario.operations import FUNCTIONS
from ndmc.scenario.syntax import no_function, no_grammar, parse
from ndmc.scenario.units import NONE

__all__ = ["compile_expression"]

_BINARY: dict[type, str] = {
    ast.Add: "add",
    ast.Sub: "subtract",
    ast.Mult: "multiply",
    ast.Div: "divide",
    ast.Pow: "power",
    ast.Lt: "less",
    ast.LtE: "less_equal",
    ast.Gt: "greater",
    ast.GtE: "greater_equal",
    ast.Eq: "equal",
    ast.NotEq: "not_equal",
}

_OVER = ("sum", "mean")

_YEARLY = ("cumsum", "lag", "carry", "first_year")

_PATHS = ("ramp", "logistic", "interpolate")

_CALLABLE = (*FUNCTIONS, *_OVER, *_YEARLY, *_PATHS, "at")


def compile_expression(text: str, variables: Mapping[str, Variable], dims: Dims) -> Expression:
    """Return ``text`` as a checked expression.

    Parameters
    ----------
    text
        For example ``"production * content"`` or ``"sum(sales, over=product)"``.
    variables
        The names that may be used.
    dims
        The dims and labels of the scenario.

    Raises
    ------
    ExpressionError
        For anything outside the grammar, unknown names, and units that do not fit.

    Examples
    --------
    >>> dims = Dims({"product": ("phone", "car"), "year": ("2001", "2002")})
    >>> sales = Variable(("product", "year"), NONE)
    >>> compile_expression("sum(sales, over=product) / 2", {"sales": sales}, dims).dims
    ('year',)
    """
    try:
        return _Reader(variables, dims).visit(parse(text))
    except OverflowError:
        raise ExpressionError("numbers must be finite") from None


class _Reader(Composer):
    def visit(self, node: ast.AST) -> Expression:
        match node:
            case ast.Constant(value=bool()):
                pass
            case ast.Constant(value=int() | float() as value):
                if not math.isfinite(float(value)):
                    raise ExpressionError("numbers must be finite")
                return self.number(float(value))
            case ast.Name(id=name):
                return self.name(name)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                inner = self.visit(operand)
                if inner.operation == "number":
                    return Expression((), inner.dimension, "number", value=-inner.value)
                return self.apply("negative", inner)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.visit(operand)
            case ast.BinOp(op=operator, left=left, right=right) if type(operator) in _BINARY:
                return self.apply(_BINARY[type(operator)], self.visit(left), self.visit(right))
            case ast.Compare(left=left, ops=[operator], comparators=[right]) if (
                type(operator) in _BINARY
            ):
                return self.apply(_BINARY[type(operator)], self.visit(left), self.visit(right))
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=keywords):
                return self._call(name, arguments, keywords)
        allowed = f"numbers, names, + - * / **, comparisons and {', '.join(sorted(_CALLABLE))}"
        hint = no_grammar(node) or f"allowed are {allowed}"
        raise ExpressionError(f"{ast.unparse(node)!r} is not part of the grammar; {hint}")

    def _call(
        self, name: str, arguments: list[ast.expr], keywords: list[ast.keyword]
    ) -> Expression:
        if name in FUNCTIONS:
            return self._function(name, [self.visit(a) for a in arguments], bool(keywords))
        if name in _OVER:
            return self._over(name, arguments, keywords)
        if name in _YEARLY:
            return self._along(name, arguments, keywords)
        if name == "at":
            return self._at(arguments, keywords)
        if name in _PATHS:
            return self._path(name, arguments, keywords)
        hint = no_function(name) or nearest(name, _CALLABLE)
        if name in self.variables:
            hint = f"to multiply by it write {name} * (...)"
        elif hint.startswith("choose"):
            hint = f"the functions are {', '.join(sorted(_CALLABLE))}"
        raise ExpressionError(f"unknown function {name!r}; {hint}")

    def _function(self, name: str, arguments: list[Expression], named: bool) -> Expression:
        count = FUNCTIONS[name].arity
        if not named and FUNCTIONS[name].pairwise and len(arguments) > count:
            first, *others = arguments
            return functools.reduce(functools.partial(self.apply, name), others, first)
        if named:
            hint = "write == to compare; over a dim there are sum and mean"
            raise ExpressionError(f"{name}() has no named arguments; {hint}")
        if len(arguments) != count:
            more = " or more" if FUNCTIONS[name].pairwise else ""
            takes = f"{count} argument{'s'[: count > 1]}{more}"
            raise ExpressionError(f"{name}() takes {takes}, not {len(arguments)}")
        return self.apply(name, *arguments)

    def _path(
        self, name: str, arguments: list[ast.expr], keywords: list[ast.keyword]
    ) -> Expression:
        """Compile a path over the years through given points: year, value, year, value, ..."""
        count = len(arguments)
        if keywords or count < 4 or count % 2 or (name != "interpolate" and count > 4):
            more = ", ..." if name == "interpolate" else ""
            raise ExpressionError(f"write {name}(year, value, year, value{more})")
        parts = [self.visit(argument) for argument in arguments]
        years, values = parts[0::2], parts[1::2]
        _check_years(name, years)
        path = values[0]
        for n in range(len(years) - 1):
            part = self._way(name, years[n], years[n + 1])
            rise = self.apply("subtract", values[n + 1], values[n])
            path = self.apply("add", path, self.apply("multiply", part, rise))
        return path

    def _way(self, name: str, start: Expression, end: Expression) -> Expression:
        """Return the share of the way from one year to another that is done, for every year."""
        span = self.apply("subtract", end, start)
        if name != "logistic":
            done = self.apply("subtract", self.name(YEAR), start)
            share = self.apply("min", self.apply("divide", done, span), self.number(1.0))
            return self.apply("max", share, self.number(0.0))
        # 10 % of the way is done at the first year and 90 % at the second: a slope of ln(81).
        middle = self.apply("divide", self.apply("add", start, end), self.number(2.0))
        left = self.apply("subtract", middle, self.name(YEAR))
        slope = self.apply(
            "multiply", self.number(math.log(81.0)), self.apply("divide", left, span)
        )
        growth = self.apply("add", self.number(1.0), self.apply("exp", slope))
        return self.apply("divide", self.number(1.0), growth)

    def _over(
        self, name: str, arguments: list[ast.expr], keywords: list[ast.keyword]
    ) -> Expression:
        match arguments, keywords:
            case [inner], [ast.keyword(arg="over", value=ast.Name(id=dim))]:
                return self.over(name, self.visit(inner), dim)
            case [inner, *_], _:
                dims = self.visit(inner).dims
                example = f"{name}({ast.unparse(inner)}, over={dims[0] if dims else 'dim'})"
                hint = f"write {example}; {described_dims(dims)}, and several are nested"
                raise ExpressionError(f"{name}() runs over one dim; {hint}")
        raise ExpressionError(f"write {name}(x, over=dim)")

    def _along(
        self, name: str, arguments: list[ast.expr], keywords: list[ast.keyword]
    ) -> Expression:
        match arguments, keywords:
            case [inner, ast.Constant(value=int() as years)], [] if name == "lag" and years >= 0:
                return self.along(name, self.visit(inner), years)
            case [inner], []:
                return self.along(name, self.visit(inner))
        raise ExpressionError("write lag(x) or lag(x, 2)" if name == "lag" else f"write {name}(x)")

    def _at(self, arguments: list[ast.expr], keywords: list[ast.keyword]) -> Expression:
        match arguments, keywords:
            case [inner], [ast.keyword(arg=str() as dim, value=ast.Name(id=label))]:
                return self.pick(self.visit(inner), dim, label)
            case [inner], [ast.keyword(arg=str() as dim, value=ast.Constant(value=label))]:
                return self.pick(self.visit(inner), dim, str(label))
            case [inner, *_], _:
                dims = self.visit(inner).dims
                example = f"at({ast.unparse(inner)}, {dims[0] if dims else 'dim'}=label)"
                hint = f"write {example}; {described_dims(dims)}, and several are nested"
                raise ExpressionError(f"at() takes a label of one dim; {hint}")
        raise ExpressionError("write at(x, dim=label), such as at(stock, year=2021)")


def _check_years(name: str, years: list[Expression]) -> None:
    for before, after in itertools.pairwise(years):
        if before.operation == after.operation == "number" and before.value >= after.value:
            message = f"the years must rise, found {before.value:g} before {after.value:g}"
            raise ExpressionError(f"{name}(): {message}")
    for year in years:
        if year.dimension not in (NONE, None):
            message = f"the years of {name}() are plain numbers, not [{year.dimension}]"
            raise ExpressionError(f"{message}; a parameter of them has the unit 1")
        if "year" in year.dims:
            raise ExpressionError(f"the years of {name}() cannot change with the years")
