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
from ndmc.scenario.along import EVENTS
from ndmc.scenario.composing import REDUCTIONS, STEP, YEAR, Composer, described_dims
from ndmc.scenario.expressions import Expression, ExpressionError, Variable
from ndmc.scenario.operations import FUNCTIONS
from ndmc.scenario.syntax import AMOUNT, WORD, no_function, no_grammar, parse
from ndmc.scenario.units import NONE, UnitError, UnitSystem

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

_YEARLY = ("cumsum", "cumprod", "lag", "carry", "peak_year", *EVENTS)

_PATHS = ("ramp", "logistic", "interpolate")

_CALLABLE = (*FUNCTIONS, *REDUCTIONS, *_YEARLY, *_PATHS, "at", "ratio")


#: How functions along the years are called, if not of one argument.
_EXAMPLES = {
    "lag": "lag(x) or lag(x, 2)",
    "first_year": "first_year(condition) or first_year(condition, from=2025)",
    "last_year": "last_year(condition)",
}


def compile_expression(
    text: str,
    variables: Mapping[str, Variable],
    dims: Dims,
    units: UnitSystem | None = None,
) -> Expression:
    """Return ``text`` as a checked expression.

    Parameters
    ----------
    text
        For example ``"production * content"`` or ``"sum(sales, over=product)"``.
    variables
        The names that may be used.
    dims
        The dims and labels of the scenario.
    units
        The units of the scenario, for numbers with units.

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
        return _Reader(variables, dims, units).visit(parse(text))
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
                return self._named(name)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                inner = self.visit(operand)
                if inner.operation == "number":
                    return Expression((), inner.dimension, "number", value=-inner.value)
                return self.apply("negative", inner)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.visit(operand)
            case ast.BinOp(op=operator, left=left, right=right) if type(operator) in _BINARY:
                return self.apply(_BINARY[type(operator)], self.visit(left), self.visit(right))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return self.opposite(self.visit(operand))
            case ast.BoolOp(op=operator, values=values):
                word = "and" if isinstance(operator, ast.And) else "or"
                return functools.reduce(
                    functools.partial(self.joined, word), map(self.visit, values)
                )
            case ast.Compare(left=left, ops=operators, comparators=others):
                terms = itertools.pairwise([left, *others])
                compared = zip(operators, terms, strict=True)
                pairs = (self._compared(operator, *two) for operator, two in compared)
                return functools.reduce(functools.partial(self.joined, "and"), pairs)
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=keywords):
                return self._call(name, arguments, keywords)
        functions = ", ".join(sorted({*_CALLABLE}))
        allowed = f"numbers, names, + - * / **, comparisons, and, or, not, and {functions}"
        hint = no_grammar(node) or f"allowed are {allowed}"
        raise ExpressionError(f"{ast.unparse(node)!r} is not part of the grammar; {hint}")

    def _call(
        self, name: str, arguments: list[ast.expr], keywords: list[ast.keyword]
    ) -> Expression:
        over = name in REDUCTIONS and any(keyword.arg == "over" for keyword in keywords)
        if name in FUNCTIONS and not over:
            return self._function(name, arguments, bool(keywords))
        if name in REDUCTIONS:
            return self._over(name, arguments, keywords)
        if name == "ratio":
            return self._ratio(arguments, keywords)
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
            hint = f"the functions are {', '.join(sorted({*_CALLABLE}))}"
        raise ExpressionError(f"unknown function {name!r}; {hint}")

    def _named(self, name: str) -> Expression:
        """Return what a name stands for, or a number with its unit."""
        if amount := AMOUNT.fullmatch(name):
            return self._amount(name, float(amount["number"]), amount["unit"])
        if ".." in name:
            where = f"at(x, year={name}) or year in {name}"
            raise ExpressionError(f"{name!r} is a period and no number; write {where}")
        if name in self.dims.labels and name != YEAR:
            label = self.dims.labels[name][0]
            hint = f"write {name} == {label} for one of its labels, sum(x, over={name}) over all"
            raise ExpressionError(f"{name!r} is a dim and no quantity; {hint}")
        return self.name(name)

    def _amount(self, text: str, value: float, unit: str) -> Expression:
        """Return a number with its unit, in the units of the model."""
        names = [word for word in WORD.findall(unit) if word in self.variables or word == STEP]
        if names:
            message = f"{names[0]!r} stands for a unit in {text!r}, and is a name here"
            hint = "write * between a number and a name, and blanks around a / before a name"
            raise ExpressionError(f"{message}; {hint}")
        if self.units is None:
            raise ExpressionError(f"there are no units to read {text!r}")
        try:
            dimension, size = self.units.dimension(unit), self.units.factor(unit)
        except UnitError as wrong:
            raise ExpressionError(f"cannot read {text!r}: {wrong}") from None
        return Expression((), dimension, "number", value=value * size)

    def _compared(self, operator: ast.cmpop, left: ast.expr, right: ast.expr) -> Expression:
        """Return a comparison: of two quantities, or of the labels of a dim with some of them."""
        inside, equal = (ast.In, ast.NotIn), (ast.Eq, ast.NotEq)
        if isinstance(operator, equal) and self._is_dim(right):
            left, right = right, left
        if isinstance(operator, inside) or (isinstance(operator, equal) and self._is_dim(left)):
            dim = ast.unparse(left)
            if dim not in self.dims.labels:
                hint = f"write dim in [label, label]; {nearest(dim, self.dims.labels)}"
                raise ExpressionError(f"{dim!r} is no dim; {hint}")
            found = self.among(dim, _labels(right))
            return self.opposite(found) if isinstance(operator, ast.NotIn | ast.NotEq) else found
        if type(operator) not in _BINARY:
            raise ExpressionError("write == and != to compare")
        return self.apply(_BINARY[type(operator)], self.visit(left), self.visit(right))

    def _is_dim(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Name) and node.id != YEAR and node.id in self.dims.labels

    def _function(self, name: str, given: list[ast.expr], named: bool) -> Expression:
        count = FUNCTIONS[name].arity
        self._refuse_place(name, given)
        arguments = [self.visit(one) for one in given]
        if not named and FUNCTIONS[name].pairwise and len(arguments) > count:
            first, *others = arguments
            return functools.reduce(functools.partial(self.apply, name), others, first)
        if named:
            hint = f"write == to compare; over a dim there are {', '.join(sorted(REDUCTIONS))}"
            raise ExpressionError(f"{name}() has no named arguments; {hint}")
        if len(arguments) != count:
            more = " or more" if FUNCTIONS[name].pairwise else ""
            over = f", or over=dim behind one: {name}(x, over=year)" if name in REDUCTIONS else ""
            takes = f"{count} argument{'s'[: count > 1]}{more}"
            raise ExpressionError(f"{name}() takes {takes}, not {len(arguments)}{over}")
        if name == "where" and arguments[0].operation == "series" and arguments[0].dims != (YEAR,):
            taken = [1 - holds for holds in arguments[0].positions]
            return self.by_label(arguments[0].dims[0], taken, *arguments[1:])
        return self.apply(name, *arguments)

    def _refuse_place(self, name: str, given: list[ast.expr]) -> None:
        """Refuse a dim by its place; the number of a year may be larger than a plain number."""
        match given:
            case [inner, ast.Name(id=dim)] if name in REDUCTIONS and dim in self.dims.labels:
                if dim != YEAR or self.visit(inner).dimension not in (NONE, None):
                    example = f"{name}({ast.unparse(inner)}, over={dim})"
                    raise ExpressionError(f"{dim!r} is a dim; write {example}")

    def _ratio(self, arguments: list[ast.expr], keywords: list[ast.keyword]) -> Expression:
        """Compile a division that has a value where it is one by zero."""
        match arguments, keywords:
            case [above, below], [ast.keyword(arg="otherwise", value=otherwise)]:
                divisor = self.visit(below)
                nothing = self.apply("equal", divisor, self.number(0.0))
                share = self.apply("divide", self.visit(above), divisor)
                return self.apply("where", nothing, self.visit(otherwise), share)
        raise ExpressionError("write ratio(a, b, otherwise=0): a / b, and 0 where b is 0")

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
            case [inner], [
                ast.keyword(arg="over", value=ast.Name(id=dim)),
                ast.keyword(arg="by", value=ast.Name(id=grouping)),
            ]:
                return self.over(name, self.visit(inner), dim, by=grouping)
            case [inner], [ast.keyword(arg="over", value=ast.List(elts=[_, *_] as some))] if (
                name != "argmax" and all(isinstance(dim, ast.Name) for dim in some)
            ):
                return self.over(name, self.visit(inner), *map(ast.unparse, some))
            case [inner, *others], _:
                dims = self.visit(inner).dims
                named = [ast.unparse(one) for one in others]
                chosen = next(dim for dim in (*named, *dims, "dim") if dim in (*dims, "dim"))
                hint = f"write {name}({ast.unparse(inner)}, over={chosen})"
                several = f"; over=[{', '.join(dims)}] for several"
                hint += several * (len(dims) > 1 and name != "argmax")
                raise ExpressionError(f"{name}() runs over a dim; {hint}; {described_dims(dims)}")
        raise ExpressionError(f"write {name}(x, over=dim)")

    def _along(
        self, name: str, arguments: list[ast.expr], keywords: list[ast.keyword]
    ) -> Expression:
        match arguments, keywords:
            case [inner, ast.Constant(value=int() as years)], [] if name == "lag" and years >= 0:
                return self.along(name, self.visit(inner), years)
            case [inner], [ast.keyword(arg="from", value=ast.Constant(value=int() as start))] if (
                name == "first_year"
            ):
                return self.along(name, self.visit(inner), start=str(start))
            case [inner], []:
                return self.along(name, self.visit(inner))
        raise ExpressionError(f"write {_EXAMPLES.get(name, f'{name}(x)')}")

    def _at(self, arguments: list[ast.expr], keywords: list[ast.keyword]) -> Expression:
        match arguments, keywords:
            case [inner], [_, *_] if all(keyword.arg for keyword in keywords):
                picked = self.visit(inner)
                given = {str(keyword.arg): _labels(keyword.value) for keyword in keywords}
                labels = self.together(picked, given)
                for dim in sorted(labels, key=[*self.dims.labels, *labels].index, reverse=True):
                    picked = self.pick(picked, dim, *labels[dim])
                return picked
            case [inner, *_], _:
                dims = self.visit(inner).dims
                example = f"at({ast.unparse(inner)}, {dims[0] if dims else 'dim'}=label)"
                raise ExpressionError(
                    f"at() takes labels by dim; write {example}, or [label, label] for several; "
                    f"{described_dims(dims)}"
                )
        raise ExpressionError("write at(x, dim=label), such as at(stock, year=2021)")


def _labels(node: ast.expr) -> list[str]:
    """Return the labels that stand for themselves, or in a list."""
    match node:
        case ast.List(elts=some) | ast.Tuple(elts=some):
            return [label for one in some for label in _labels(one)]
        case ast.Name(id=label):
            return [label]
        case ast.Constant(value=label, kind=written):
            return [written or str(label)]
    hint = "write a label, [label, label] or years such as 2022..2050, and labels in quotes"
    raise ExpressionError(f"{ast.unparse(node)!r} is no label; {hint}")


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
