"""Expressions with their derivatives: what least squares need to know of an equation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from ndmc.dims import Dims, expand, rows_in
from ndmc.scenario.expressions import COMPARISONS, Expression, evaluate_expression
from ndmc.typing import Floats, Matrix

__all__ = ["NotSmoothError", "Slope", "degree", "differentiate"]

_LINEAR = ("sum", "mean", "at", "cumsum", "lag")


class NotSmoothError(ValueError):
    """An operation of which there is no derivative; ``operation`` names it."""

    def __init__(self, operation: str) -> None:
        self.operation = operation
        super().__init__(f"{operation}() has no derivative")


@dataclass(frozen=True)
class Slope:
    """Values of a quantity, [dims..., 1], and their derivatives, [cell, variable]."""

    value: Floats
    by: Matrix


def differentiate(
    expression: Expression, known: Mapping[str, Slope], dims: Dims, variables: int
) -> Slope:
    """Return the values of an expression and their derivatives by all variables.

    Parameters
    ----------
    expression
        A checked expression.
    known
        Every name it reads.
    dims
        The dims of the scenario.
    variables
        How many variables there are.

    Raises
    ------
    NotSmoothError
        For ``carry`` and ``first_year``.

    Examples
    --------
    >>> from ndmc.scenario.expressions import Variable, compile_expression
    >>> from ndmc.scenario.units import NONE
    >>> dims = Dims({"year": ("2001",)})
    >>> square = compile_expression("x * x", {"x": Variable((), NONE)}, dims)
    >>> known = {"x": Slope(np.array([3.0]), sp.csr_array([[1.0]]))}
    >>> differentiate(square, known, dims, 1).by.toarray().tolist()
    [[6.0]]
    """
    with np.errstate(all="ignore"):  # of branches that where() does not take
        return _Differentiator(known, dims, variables).visit(expression)


def degree(expression: Expression, degrees: Mapping[str, int]) -> int:
    """Return 0 for what is constant, 1 for what is linear, 2 for anything else.

    Derivatives of what is linear are the same everywhere. What is linear only because terms cancel
    counts as anything else.

    Parameters
    ----------
    expression
        A checked expression.
    degrees
        Of every name it reads.

    Examples
    --------
    >>> from ndmc.scenario.expressions import Variable, compile_expression
    >>> from ndmc.scenario.units import NONE
    >>> dims, degrees = Dims({"year": ("2001",)}), {"x": 1, "y": 1, "k": 0}
    >>> names = {name: Variable((), NONE) for name in degrees}
    >>> texts = ["k * k", "x / k - 2 * y", "where(k > 1, x, y)", "x * y", "where(x > 1, 2, 1)"]
    >>> [degree(compile_expression(text, names, dims), degrees) for text in texts]
    [0, 1, 1, 2, 2]
    """
    if expression.operation == "name":
        return degrees[expression.name]
    match expression.operation, [degree(part, degrees) for part in expression.arguments]:
        case (("add" | "subtract" | "negative"), parts):
            return max(parts)
        case "multiply", ([0, part] | [part, 0]):
            return part
        case "divide", [part, 0]:
            return part
        case "where", [0, *parts]:
            return max(parts)
        case operation, [part] if operation in _LINEAR:
            return part
        case _, parts:
            return 2 if any(parts) else 0


@dataclass(frozen=True)
class _Differentiator:
    known: Mapping[str, Slope]
    dims: Dims
    variables: int

    def visit(self, node: Expression) -> Slope:
        if node.operation == "name":
            return self.known[node.name]
        parts = [self.visit(argument) for argument in node.arguments]
        if node.operation in ("number", "series", *COMPARISONS):
            return self._flat(node, parts)
        if node.operation in _LINEAR:
            return self._linear(node, parts[0])
        if node.operation not in _RULES:
            raise NotSmoothError(node.operation)
        values = [
            np.broadcast_to(expand(part.value, argument.dims, node.dims), self._shape(node))
            for part, argument in zip(parts, node.arguments, strict=True)
        ]
        slopes = [
            _scaled(part.by[rows_in(argument.dims, node.dims, self.dims)], factor.reshape(-1))
            for factor, part, argument in zip(
                _RULES[node.operation](*values), parts, node.arguments, strict=True
            )
            if part.by.nnz
        ]
        by = sum(slopes[1:], slopes[0]) if slopes else self._nothing(node)
        return Slope(self._value(node, values), by)

    def _shape(self, node: Expression) -> tuple[int, ...]:
        return (*self.dims.shape(node.dims), 1)

    def _value(self, node: Expression, values: list[Floats]) -> Floats:
        """Return the value of a node of its arguments' values."""
        names = [f"{n}" for n in range(len(values))]
        arguments = tuple(
            Expression(node.dims, a.dimension, "name", name=name)
            for name, a in zip(names, node.arguments, strict=True)
        )
        flat = Expression(node.dims, node.dimension, node.operation, arguments)
        return evaluate_expression(flat, dict(zip(names, values, strict=True)))

    def _flat(self, node: Expression, parts: list[Slope]) -> Slope:
        values = [
            np.broadcast_to(expand(part.value, argument.dims, node.dims), self._shape(node))
            for part, argument in zip(parts, node.arguments, strict=True)
        ]
        value = self._value(node, values) if values else evaluate_expression(node, {})
        return Slope(value, self._nothing(node))

    def _nothing(self, node: Expression) -> Matrix:
        return sp.csr_array((self.dims.size(node.dims), self.variables))

    def _linear(self, node: Expression, part: Slope) -> Slope:
        """Sum, pick and shift: the matrix that does it is what they make of a unit matrix."""
        (argument,) = node.arguments
        inner = Expression(argument.dims, argument.dimension, "name", name="inner")
        plain = Expression(
            node.dims,
            node.dimension,
            node.operation,
            (inner,),
            value=node.value,
            axis=node.axis,
            positions=node.positions,
        )
        size = self.dims.size(argument.dims)
        unit = np.eye(size).reshape(*self.dims.shape(argument.dims), size)
        matrix = evaluate_expression(plain, {"inner": unit}).reshape(-1, size)
        value = evaluate_expression(plain, {"inner": part.value})
        return Slope(value, sp.csr_array(sp.csr_array(matrix) @ part.by))


def _scaled(matrix: Matrix, factor: Floats) -> Matrix:
    """Return the rows of a matrix times their factors; 0 is nothing, even of what is infinite.

    A product with a diagonal matrix does the same and takes four times as long.
    """
    found = sp.csr_array(matrix, copy=True)
    each = np.repeat(factor, np.diff(found.indptr))
    found.data = np.multiply(found.data, each, out=np.zeros_like(found.data), where=each != 0)
    found.eliminate_zeros()
    return found


def _power(base: Floats, exponent: Floats) -> tuple[Floats, Floats]:
    safe = np.where(base > 0, base, 1.0)
    by_base = np.where(exponent == 0, 0.0, exponent * base ** (exponent - 1))
    return by_base, base**exponent * np.log(safe)


def _where(chosen: Floats, one: Floats, other: Floats) -> tuple[Floats, Floats, Floats]:
    first = (chosen != 0).astype(np.float64)
    return np.zeros_like(first), first, 1 - first


def _clip(value: Floats, low: Floats, high: Floats) -> tuple[Floats, Floats, Floats]:
    below, above = (value < low).astype(np.float64), (value > high).astype(np.float64)
    return 1 - below - above, below, above


def _least(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    first = (a <= b).astype(np.float64)
    return first, 1 - first


_RULES: dict[str, Callable[..., tuple[Floats, ...]]] = {
    "add": lambda a, b: (np.ones_like(a), np.ones_like(b)),
    "subtract": lambda a, b: (np.ones_like(a), -np.ones_like(b)),
    "multiply": lambda a, b: (b, a),
    "divide": lambda a, b: (1 / b, -a / b**2),
    "power": _power,
    "negative": lambda a: (-np.ones_like(a),),
    "sqrt": lambda a: (0.5 / np.sqrt(a),),
    "exp": lambda a: (np.exp(a),),
    "log": lambda a: (1 / a,),
    "abs": lambda a: (np.sign(a),),
    "min": _least,
    "max": lambda a, b: _least(b, a),
    "where": _where,
    "clip": _clip,
}
