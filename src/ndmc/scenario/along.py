"""What is done along one dim: its values, and its derivatives where it has any."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ndmc.scenario.expressions import Expression
from ndmc.typing import Floats

__all__ = ["ALONG", "EVENTS"]

_OfInner = Callable[[Floats, Expression], Floats]


@dataclass(frozen=True)
class Along:
    """Something that is done along one dim, and its derivatives where it has any.

    Of values [dims..., 1] ``slopes`` are [dims of the result..., cell], the cells in the order of
    the values. A reduction takes its labels ``pairwise``, one after the other.
    """

    values: _OfInner
    slopes: _OfInner | None = None
    linear: bool = False
    pairwise: str = ""


def _reduced(ufunc: np.ufunc, inner: Floats, expression: Expression) -> Floats:
    """Return what reduces an axis: all of it, or the members of each label of another dim."""
    if not expression.members:
        result: Floats = ufunc.reduce(inner, axis=expression.axis)
        return result
    parts = [
        ufunc.reduce(inner.take(some, axis=expression.axis), axis=expression.axis)
        for some in expression.members
    ]
    return np.stack(parts, axis=expression.into)


def _sum(inner: Floats, expression: Expression) -> Floats:
    return _reduced(np.add, inner, expression)


def _mean(inner: Floats, expression: Expression) -> Floats:
    total = _sum(inner, expression)
    if not expression.members:
        return np.asarray(total / inner.shape[expression.axis])
    counts = np.array([float(len(some)) for some in expression.members])
    shape = [-1 if at == expression.into else 1 for at in range(total.ndim)]
    return np.asarray(total / counts.reshape(shape))


def _prod(inner: Floats, expression: Expression) -> Floats:
    return _reduced(np.multiply, inner, expression)


def _lowest(inner: Floats, expression: Expression) -> Floats:
    return _reduced(np.minimum, inner, expression)


def _highest(inner: Floats, expression: Expression) -> Floats:
    return _reduced(np.maximum, inner, expression)


def _argmax(inner: Floats, expression: Expression) -> Floats:
    """Return the number of the label with the largest value, the first of equals; nan of nan."""
    values = np.moveaxis(inner, expression.axis, 0)
    numbers = np.array(expression.positions, dtype=np.float64)[values.argmax(axis=0)]
    highest = values.max(axis=0)
    return np.asarray(np.where(np.isnan(highest), highest, numbers))


def _pick(inner: Floats, expression: Expression) -> Floats:
    first, *more = expression.positions
    if not more:
        return np.asarray(inner.take(first, axis=expression.axis))
    return _sum(np.asarray(inner.take(expression.positions, axis=expression.axis)), expression)


def _each(inner: Floats, expression: Expression) -> Floats:
    """Return for each label of a dim what stands at the one that it belongs to."""
    found = inner.take(expression.positions, axis=expression.axis)
    return np.asarray(np.moveaxis(found, expression.axis, expression.into))


def _lag(inner: Floats, expression: Expression) -> Floats:
    years = int(expression.value)
    out = np.zeros_like(inner)
    if years < inner.shape[expression.axis]:
        source, target = (
            np.moveaxis(inner, expression.axis, 0),
            np.moveaxis(out, expression.axis, 0),
        )
        target[years:] = source[: len(source) - years]
    return out


def _carry(inner: Floats, expression: Expression) -> Floats:
    surplus = np.moveaxis(inner, expression.axis, 0)
    held = np.maximum(surplus, 0.0)
    for year in range(1, len(held)):
        held[year] = np.maximum(held[year - 1] + surplus[year], 0.0)
    return np.ascontiguousarray(np.moveaxis(held, 0, expression.axis))


def _cumsum(inner: Floats, expression: Expression) -> Floats:
    return np.cumsum(inner, axis=expression.axis)


def _cumprod(inner: Floats, expression: Expression) -> Floats:
    result: Floats = np.multiply.accumulate(inner, axis=expression.axis)
    return result


def _first_year(inner: Floats, expression: Expression) -> Floats:
    """Return the first of some last years in which something holds, infinity for never."""
    return _last_of(inner, expression, slice(None, None, -1))


def _last_year(inner: Floats, expression: Expression) -> Floats:
    return _last_of(inner, expression, slice(None))


def _last_of(inner: Floats, expression: Expression, order: slice) -> Floats:
    """Return the last year, in some order, in which something holds; nan does not hold."""
    years = expression.positions
    condition = np.moveaxis(inner, expression.axis, 0)[-len(years) :]
    found = np.full(condition.shape[1:], np.inf)
    for year, value in zip(years[order], condition[order], strict=True):
        np.copyto(found, year, where=(value != 0.0) & ~np.isnan(value))
    return found


# --- derivatives along a dim ---------------------------------------------------------------------


def _unit(inner: Floats) -> Floats:
    """Return 1 for each cell of some values and for itself, [dims..., cell]."""
    return np.eye(inner.size).reshape(*inner.shape[:-1], inner.size)


def _linear(values: _OfInner) -> Along:
    return Along(values, lambda inner, node: values(_unit(inner), node), linear=True)


def _adding(values: _OfInner) -> Along:
    return replace(_linear(values), pairwise="add")


def _of_others(product: _OfInner, total: _OfInner) -> _OfInner:
    """Return the derivatives of products: those of all other factors, where a cell is one."""

    def slopes(inner: Floats, node: Expression) -> Floats:
        unit = _unit(inner)
        return product(np.where(unit == 1.0, 1.0, inner), node) * total(unit, node)

    return slopes


def _of_lowest(inner: Floats, node: Expression) -> Floats:
    """Return 1 for the cell that is the lowest, the first of equals: ranks know no equals."""
    ranks = np.empty(inner.size)
    ranks[np.argsort(inner.reshape(-1), kind="stable")] = np.arange(inner.size)
    return np.equal(_lowest(ranks.reshape(inner.shape), node), ranks).astype(np.float64)


def _of_highest(inner: Floats, node: Expression) -> Floats:
    return _of_lowest(-inner, node)


ALONG = {
    "sum": _adding(_sum),
    "mean": _adding(_mean),
    "at": _adding(_pick),
    "each": _linear(_each),
    "prod": Along(_prod, _of_others(_prod, _sum), pairwise="multiply"),
    "lowest": Along(_lowest, _of_lowest, pairwise="min"),
    "highest": Along(_highest, _of_highest, pairwise="max"),
    "lag": _linear(_lag),
    "cumsum": _linear(_cumsum),
    "cumprod": Along(_cumprod, _of_others(_cumprod, _cumsum)),
    "carry": Along(_carry),
    "argmax": Along(_argmax),
    "first_year": Along(_first_year),
    "last_year": Along(_last_year),
}

#: Years that are infinite where nothing ever happens.
EVENTS = ("first_year", "last_year")
