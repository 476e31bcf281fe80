"""Expressions with their derivatives: what least squares need to know of an equation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from ndmc.dims import Dims, expand
from ndmc.scenario.along import ALONG
from ndmc.scenario.expressions import BY_LABEL, EVERYWHERE, Expression, Within
from ndmc.scenario.operations import OPERATIONS, evaluate_expression, picked
from ndmc.typing import Floats, Integers, Matrix

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
        For ``carry``, ``argmax``, ``first_year`` and ``last_year``.

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
        case (("add" | "subtract" | "negative" | "by_label"), parts):
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

    def visit(self, node: Expression, within: Within = EVERYWHERE) -> Slope:
        if node.operation == "name":
            return self._picked(self.known[node.name], node.dims, EVERYWHERE, within)
        if node.operation in ("number", "series"):
            return Slope(evaluate_expression(node, {}, within), self._nothing(node, within))
        if node.operation == BY_LABEL:
            return self._by_label(node, within)
        if node.operation in ALONG:
            return self._along(node, within)
        operation, shape = OPERATIONS[node.operation], self._shape(node.dims, within)
        parts = [
            self._over(self.visit(part, within), part.dims, node.dims, shape)
            for part in node.arguments
        ]
        values = [part.value for part in parts]
        slopes = [
            _scaled(part.by, factor.reshape(-1))
            for factor, part in zip(operation.slopes(*values), parts, strict=True)
            if part.by.nnz
        ]
        by = sum(slopes[1:], slopes[0]) if slopes else self._nothing(node, within)
        return Slope(np.asarray(operation.ufunc(*values), dtype=np.float64), by)

    def _shape(self, dims: tuple[str, ...], within: Within) -> tuple[int, ...]:
        whole = zip(dims, self.dims.shape(dims), strict=True)
        return tuple(len(within[dim]) if dim in within else size for dim, size in whole)

    def _nothing(self, node: Expression, within: Within) -> Matrix:
        return sp.csr_array((math.prod(self._shape(node.dims, within)), self.variables))

    def _over(
        self, part: Slope, has: tuple[str, ...], wants: tuple[str, ...], shape: tuple[int, ...]
    ) -> Slope:
        """Return the slope of a part over more dims."""
        value = np.broadcast_to(expand(part.value, has, wants), (*shape, 1))
        numbers = np.arange(part.by.shape[0]).reshape(part.value.shape)
        rows = np.broadcast_to(expand(numbers, has, wants), (*shape, 1)).reshape(-1)
        return Slope(value, part.by[rows])

    def _picked(self, part: Slope, dims: tuple[str, ...], inside: Within, within: Within) -> Slope:
        """Return the slope of a part, known inside somewhere, of what is wanted of it."""
        if not within.keys() & {*dims}:
            return part
        numbers = np.arange(part.by.shape[0]).reshape(self._shape(dims, inside))
        rows = picked(numbers, dims, within).reshape(-1)
        return Slope(picked(part.value, dims, within), part.by[rows])

    def _by_label(self, node: Expression, within: Within) -> Slope:
        """Return the slope of the formula that each label takes."""
        shape = self._shape(node.dims, within)
        numbers = np.moveaxis(np.arange(math.prod(shape)).reshape(shape), node.axis, 0)
        value, rows, found = np.empty((*shape, 1)), list[Integers](), list[Matrix]()
        for part, places, inside in node.taken(within):
            own = self._shape(node.dims, inside)
            slope = self._over(self.visit(part, inside), part.dims, node.dims, own)
            at = np.moveaxis(numbers[list(places)], 0, node.axis).reshape(-1)
            value.reshape(-1)[at] = slope.value.reshape(-1)
            rows.append(at)
            found.append(slope.by)
        order = np.argsort(np.concatenate(rows))
        return Slope(value, sp.csr_array(sp.vstack(found))[order])

    def _along(self, node: Expression, within: Within) -> Slope:
        along, ((argument, inside),) = ALONG[node.operation], node.needed(within)
        part = self.visit(argument, inside)
        if along.slopes is None:
            raise NotSmoothError(node.operation)
        matrix = sp.csr_array(along.slopes(part.value, node).reshape(-1, part.by.shape[0]))
        whole = Slope(along.values(part.value, node), sp.csr_array(matrix @ part.by))
        known = {dim: some for dim, some in inside.items() if dim in argument.dims}
        return self._picked(whole, node.dims, known, node.untaken(within))


def _scaled(matrix: Matrix, factor: Floats) -> Matrix:
    """Return the rows of a matrix times their factors; 0 is nothing, even of what is infinite.

    A product with a diagonal matrix does the same and takes four times as long.
    """
    found = sp.csr_array(matrix, copy=True)
    each = np.repeat(factor, np.diff(found.indptr))
    found.data = np.multiply(found.data, each, out=np.zeros_like(found.data), where=each != 0)
    found.eliminate_zeros()
    return found
