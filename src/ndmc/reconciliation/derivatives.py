"""Expressions with their derivatives: what least squares need to know of an equation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from ndmc.dims import Dims, expand, rows_in
from ndmc.scenario.expressions import Expression
from ndmc.scenario.operations import ALONG, OPERATIONS, evaluate_expression
from ndmc.typing import Floats, Matrix

__all__ = ["NotSmoothError", "Slope", "differentiate"]


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
    >>> from ndmc.scenario.expressions import Variable
    >>> from ndmc.scenario.grammar import compile_expression
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
    >>> from ndmc.scenario.expressions import Variable
    >>> from ndmc.scenario.grammar import compile_expression
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
        case operation, [part] if operation in ALONG and ALONG[operation].linear:
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
        if node.operation in ("number", "series"):
            return Slope(evaluate_expression(node, {}), self._nothing(node))
        if node.operation in ALONG:
            return self._along(node)
        operation = OPERATIONS[node.operation]
        parts = [self.visit(argument) for argument in node.arguments]
        values = [
            np.broadcast_to(expand(part.value, argument.dims, node.dims), self._shape(node))
            for part, argument in zip(parts, node.arguments, strict=True)
        ]
        slopes = [
            _scaled(part.by[rows_in(argument.dims, node.dims, self.dims)], factor.reshape(-1))
            for factor, part, argument in zip(
                operation.slopes(*values), parts, node.arguments, strict=True
            )
            if part.by.nnz
        ]
        by = sum(slopes[1:], slopes[0]) if slopes else self._nothing(node)
        return Slope(np.asarray(operation.ufunc(*values), dtype=np.float64), by)

    def _shape(self, node: Expression) -> tuple[int, ...]:
        return (*self.dims.shape(node.dims), 1)

    def _nothing(self, node: Expression) -> Matrix:
        return sp.csr_array((self.dims.size(node.dims), self.variables))

    def _along(self, node: Expression) -> Slope:
        """Sum, pick and shift: the matrix that does it is what they make of a unit matrix."""
        along, (argument,) = ALONG[node.operation], node.arguments
        part = self.visit(argument)
        if not along.linear:
            raise NotSmoothError(node.operation)
        size = self.dims.size(argument.dims)
        unit = np.eye(size).reshape(*self.dims.shape(argument.dims), size)
        matrix = sp.csr_array(along.values(unit, node).reshape(-1, size))
        return Slope(along.values(part.value, node), sp.csr_array(matrix @ part.by))


def _scaled(matrix: Matrix, factor: Floats) -> Matrix:
    """Return the rows of a matrix times their factors; 0 is nothing, even of what is infinite.

    A product with a diagonal matrix does the same and takes four times as long.
    """
    found = sp.csr_array(matrix, copy=True)
    each = np.repeat(factor, np.diff(found.indptr))
    found.data = np.multiply(found.data, each, out=np.zeros_like(found.data), where=each != 0)
    found.eliminate_zeros()
    return found
