"""The operations of expressions: one table for those that read, compute, solve and differentiate.

A function that is added here is known to all of them; kernels know an operation by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ndmc.dims import expand
from ndmc.scenario.along import ALONG
from ndmc.scenario.expressions import (
    BY_LABEL,
    EVERYWHERE,
    DimensionError,
    Expression,
    ExpressionError,
    Within,
)
from ndmc.scenario.units import NONE, Dimension
from ndmc.typing import Array, Floats

__all__ = ["COMPARISONS", "OPERATIONS", "evaluate_expression", "picked"]

_Rule = Callable[[str, tuple[Expression, ...]], Dimension | None]


@dataclass(frozen=True)
class Operation:
    """Something that is done cell by cell.

    ``rule`` gives the dimension of its result, ``slopes`` its derivatives by each argument. What
    is ``pairwise`` takes more arguments, two by two. Messages say ``verb`` and ``noun`` for it.
    """

    name: str
    arity: int
    rule: _Rule
    ufunc: Callable[..., Any]
    slopes: Callable[..., tuple[Floats, ...]]
    pairwise: bool = False
    verb: str = ""
    noun: str = ""

    def dimension(self, arguments: tuple[Expression, ...]) -> Dimension | None:
        """Return the dimension of its result, or refuse arguments that do not fit."""
        return self.rule(self.verb or self.name, arguments)


# --- dimensions ----------------------------------------------------------------------------------


def _product(verb: str, arguments: tuple[Expression, ...]) -> Dimension | None:
    left, right = (argument.dimension for argument in arguments)
    return None if left is None or right is None else left * right


def _ratio(verb: str, arguments: tuple[Expression, ...]) -> Dimension | None:
    left, right = (argument.dimension for argument in arguments)
    if right is None:
        raise ExpressionError("division by zero")
    return None if left is None else left / right


def _raised(verb: str, arguments: tuple[Expression, ...]) -> Dimension | None:
    base, exponent = arguments
    if exponent.dimension not in (NONE, None):
        raise DimensionError(f"an exponent must be a plain number, not {exponent.dimension}")
    if base.dimension in (NONE, None):
        return NONE
    if exponent.operation != "number":
        raise DimensionError(f"the power of a quantity ({base.dimension}) must be a literal number")
    return base.dimension**exponent.value if base.dimension else NONE


def _like(verb: str, arguments: tuple[Expression, ...]) -> Dimension | None:
    dimensions = [argument.dimension for argument in arguments if argument.dimension is not None]
    if any(dimension != dimensions[0] for dimension in dimensions):
        kinds = " and ".join(f"[{dimension}]" for dimension in dict.fromkeys(dimensions))
        raise DimensionError(f"cannot {verb} {kinds}")
    return dimensions[0] if dimensions else None


def _compared(verb: str, arguments: tuple[Expression, ...]) -> Dimension:
    _like(verb, arguments)
    return NONE


def _chosen(verb: str, arguments: tuple[Expression, ...]) -> Dimension | None:
    if arguments[0].dimension not in (NONE, None):
        raise DimensionError("the first argument of where() must be a comparison")
    return _like(verb, arguments[1:])


def _plain(verb: str, arguments: tuple[Expression, ...]) -> Dimension:
    if arguments[0].dimension not in (NONE, None):
        raise DimensionError(
            f"{verb}() wants a plain number, not [{arguments[0].dimension}]; divide first"
        )
    return NONE


def _root(verb: str, arguments: tuple[Expression, ...]) -> Dimension | None:
    dimension = arguments[0].dimension
    return None if dimension is None else dimension**0.5


# --- derivatives ---------------------------------------------------------------------------------


def _power_slopes(base: Floats, exponent: Floats) -> tuple[Floats, Floats]:
    safe = np.where(base > 0, base, 1.0)
    by_base = np.where(exponent == 0, 0.0, exponent * base ** (exponent - 1))
    return by_base, base**exponent * np.log(safe)


def _where_slopes(chosen: Floats, one: Floats, other: Floats) -> tuple[Floats, Floats, Floats]:
    first = (chosen != 0).astype(np.float64)
    return np.zeros_like(first), first, 1 - first


def _clip_slopes(value: Floats, low: Floats, high: Floats) -> tuple[Floats, Floats, Floats]:
    below, above = (value < low).astype(np.float64), (value > high).astype(np.float64)
    return 1 - below - above, below, above


def _least_slopes(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    first = (a <= b).astype(np.float64)
    return first, 1 - first


def _flat(*arguments: Floats) -> tuple[Floats, ...]:
    return tuple(np.zeros_like(argument) for argument in arguments)


# --- the table -----------------------------------------------------------------------------------


def _named(*operations: Operation) -> dict[str, Operation]:
    return {operation.name: operation for operation in operations}


COMPARISONS = ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal")

_OPERATORS = _named(
    Operation("add", 2, _like, np.add, lambda a, b: (np.ones_like(a), np.ones_like(b))),
    Operation("subtract", 2, _like, np.subtract, lambda a, b: (np.ones_like(a), -np.ones_like(b))),
    Operation("multiply", 2, _product, np.multiply, lambda a, b: (b, a), noun="a product"),
    Operation("divide", 2, _ratio, np.divide, lambda a, b: (1 / b, -a / b**2), noun="a division"),
    Operation("power", 2, _raised, np.power, _power_slopes, noun="a power"),
    Operation("negative", 1, _like, np.negative, lambda a: (-np.ones_like(a),)),
    *(
        Operation(name, 2, _compared, getattr(np, name), _flat, verb="compare", noun="a comparison")
        for name in COMPARISONS
    ),
)

#: Those that are written as a name with its arguments.
FUNCTIONS = _named(
    Operation("min", 2, _like, np.minimum, _least_slopes, pairwise=True, verb="take the min of"),
    Operation(
        "max",
        2,
        _like,
        np.maximum,
        lambda a, b: _least_slopes(b, a),
        pairwise=True,
        verb="take the max of",
    ),
    Operation(
        "where",
        3,
        _chosen,
        np.where,
        _where_slopes,
        verb="choose by where() between",
        noun="the condition of where()",
    ),
    Operation("clip", 3, _like, np.clip, _clip_slopes),
    Operation("abs", 1, _like, np.abs, lambda a: (np.sign(a),)),
    Operation("sqrt", 1, _root, np.sqrt, lambda a: (0.5 / np.sqrt(a),)),
    Operation("exp", 1, _plain, np.exp, lambda a: (np.exp(a),)),
    Operation("log", 1, _plain, np.log, lambda a: (1 / a,)),
)

OPERATIONS = {**_OPERATORS, **FUNCTIONS}


def evaluate_expression(
    expression: Expression, values: Mapping[str, Floats], within: Within = EVERYWHERE
) -> Floats:
    """Return the values of ``expression``: its dims, then the draws.

    Parameters
    ----------
    expression
        A checked expression.
    values
        The array of every name it reads, draws last (one draw where it is the same in all).
    within
        The positions along some dims that are wanted; all if not given.
    """
    match expression.operation:
        case "number":
            return np.full((1,), expression.value)
        case "name":
            return picked(values[expression.name], expression.dims, within)
        case "series":
            series = np.array(expression.positions, dtype=np.float64)[:, np.newaxis]
            return picked(series, expression.dims, within)
        case operation if operation == BY_LABEL:
            return _by_label(expression, values, within)
        case operation if operation in ALONG:
            ((argument, inside),) = expression.needed(within)
            inner = evaluate_expression(argument, values, inside)
            return picked(
                ALONG[operation].values(inner, expression),
                expression.dims,
                expression.untaken(within),
            )
    arguments = [
        expand(evaluate_expression(part, values, within), part.dims, expression.dims)
        for part in expression.arguments
    ]
    with np.errstate(all="ignore"):  # of what where() does not take
        result: Floats = OPERATIONS[expression.operation].ufunc(*arguments)
    return result if result.dtype == np.float64 else result.astype(np.float64)


def picked(array: Array, dims: tuple[str, ...], within: Within) -> Array:
    """Return what is wanted of an array whose first axes are some dims."""
    for axis, dim in enumerate(dims):
        if dim in within:
            array = array.take(within[dim], axis=axis)
    return array


def _by_label(expression: Expression, values: Mapping[str, Floats], within: Within) -> Floats:
    def over(part: Expression, inside: Within) -> Floats:
        own = expand(evaluate_expression(part, values, inside), part.dims, expression.dims)
        return np.moveaxis(own, expression.axis, 0)

    taken = expression.taken(within)
    parts = [over(part, inside) for part, _, inside in taken]
    shapes, dim = [part.shape[1:-1] for part in parts], expression.dims[expression.axis]
    has = {dim}.union(*(part.dims for part, _, _ in taken))
    for part in expression.arguments:
        if not has.issuperset(part.dims):  # of a formula that is not taken the shape counts, too
            shapes.append(over(part, {**within, dim: (0,)}).shape[1:-1])
    size, draws = sum(len(at) for _, at, _ in taken), max(part.shape[-1] for part in parts)
    whole = np.empty((size, *np.broadcast_shapes(*shapes), draws))
    for (_, places, _), found in zip(taken, parts, strict=True):
        whole[list(places)] = found
    return np.ascontiguousarray(np.moveaxis(whole, 0, expression.axis))
