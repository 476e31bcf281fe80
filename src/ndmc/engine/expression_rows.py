"""Rows of expressions: what is computed is written, what only moves is numbered anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ndmc.engine.instructions import Places, Room, Writer, expanded
from ndmc.scenario.along import ALONG
from ndmc.scenario.expressions import BY_LABEL, EVERYWHERE, Expression, Within
from ndmc.scenario.operations import picked


class ExpressionRows:
    """Writes what computes expressions of names, whose rows are known by then."""

    def __init__(self, writer: Writer[Any], names: dict[str, Places]) -> None:
        self.write, self.names = writer, names

    def rows(self, expression: Expression, room: Room, within: Within = EVERYWHERE) -> Places:
        """Return the rows of an expression; what is computed last is written to the room.

        Only those ``within`` some positions along dims are computed, if such are given.
        """
        match expression.operation:
            case "number":
                return self.write.number(expression.value)
            case "name":
                return picked(self.names[expression.name], expression.dims, within)
            case "series":
                rows = np.array([int(self.write.number(float(n))) for n in expression.positions])
                return picked(rows, expression.dims, within)
            case operation if operation == BY_LABEL:
                return self._by_label(expression, room, within)
            case operation if operation in ALONG:
                ((argument, inside),) = expression.needed(within)
                inner = self.rows(argument, self.write.scratch, inside)
                found = _ALONG[operation](self, inner, expression, room)
                return picked(found, expression.dims, expression.untaken(within))
        operation, arguments = _merged(expression)
        shape = self._shape(expression.dims, within)
        spread = [
            np.broadcast_to(
                expanded(self.rows(part, self.write.scratch, within), part.dims, expression.dims),
                shape,
            )
            for part in arguments
        ]
        target = room(shape)
        self.write.do(operation, target, *spread)
        return target

    def _shape(self, dims: tuple[str, ...], within: Within) -> tuple[int, ...]:
        whole = zip(dims, self.write.shape(dims), strict=True)
        return tuple(len(within[dim]) if dim in within else size for dim, size in whole)

    def _by_label(self, expression: Expression, room: Room, within: Within) -> Places:
        """Return the rows of the formula that each label takes: none is computed for another."""
        found = np.empty(self._shape(expression.dims, within), dtype=np.int64)
        by_label = np.moveaxis(found, expression.axis, 0)
        for part, places, inside in expression.taken(within):
            rows = expanded(self.rows(part, room, inside), part.dims, expression.dims)
            by_label[list(places)] = np.moveaxis(rows, expression.axis, 0)
        return found

    def _folded(self, pairwise: str, parts: Sequence[Any], room: Room) -> Places:
        """Return what an operation of two makes of some rows, one after the other."""
        if len(parts) == 1:
            return np.asarray(parts[0])
        total = room(parts[0].shape)
        self.write.do(pairwise, total, parts[0], parts[1])
        for part in parts[2:]:
            if pairwise == "add":
                self.write.do("gain", total, part)
            else:
                self.write.do(pairwise, total, total, part)
        return total

    def _reduced(self, inner: Places, expression: Expression, room: Room) -> Places:
        if expression.members:
            return self._by_member(inner, expression, room)
        parts = [inner.take(n, axis=expression.axis) for n in range(inner.shape[expression.axis])]
        return self._folded(ALONG[expression.operation].pairwise, parts, room)

    def _by_member(self, inner: Places, expression: Expression, room: Room) -> Places:
        """Return what is made of the members of each label of a dim: of the first of all, ..."""
        if all(len(some) == 1 for some in expression.members):
            one = inner.take([at for (at,) in expression.members], axis=expression.axis)
            return np.moveaxis(one, expression.axis, expression.into)
        along = np.moveaxis(inner, expression.axis, 0)
        shape = [*along.shape[1:]]
        shape.insert(expression.into, len(expression.members))
        target = room(tuple(shape))
        into = np.moveaxis(target, expression.into, 0)
        pairwise = ALONG[expression.operation].pairwise
        for turn, (labels, places) in enumerate(by_turn(expression.members)):
            if not turn:
                self.write.do("copy", into[labels], along[places])
            elif pairwise == "add":
                self.write.do("gain", into[labels], along[places])
            else:
                self.write.do(pairwise, into[labels], into[labels], along[places])
        if empty := [at for at, some in enumerate(expression.members) if not some]:
            self.write.do("copy", into[empty], self.write.number(0.0))
        return target

    def _mean(self, inner: Places, expression: Expression, room: Room) -> Places:
        total = self._reduced(inner, expression, self.write.scratch)
        target = room(total.shape)
        self.write.do("divide", target, total, self._counts(inner, expression))
        return target

    def _counts(self, inner: Places, expression: Expression) -> Places:
        """Return the rows that hold how many labels a mean is of."""
        if not expression.members:
            return self.write.number(float(inner.shape[expression.axis]))
        counts = np.array([int(self.write.number(float(len(m)))) for m in expression.members])
        return counts.reshape([-1 if at == expression.into else 1 for at in range(inner.ndim)])

    def _each(self, inner: Places, expression: Expression, room: Room) -> Places:
        found = inner.take(expression.positions, axis=expression.axis)
        return np.moveaxis(found, expression.axis, expression.into)

    def _picked(self, inner: Places, expression: Expression, room: Room) -> Places:
        parts = [inner.take(n, axis=expression.axis) for n in expression.positions]
        return self._folded("add", parts, room)

    def _argmax(self, inner: Places, expression: Expression, room: Room) -> Places:
        first, *others = np.moveaxis(inner, expression.axis, 0)
        highest, higher = self.write.scratch(first.shape), self.write.scratch(first.shape)
        target = room(first.shape)
        number, *numbers = (self.write.number(float(n)) for n in expression.positions)
        self.write.do("copy", highest, first)
        self.write.do("copy", target, number)
        for number, values in zip(numbers, others, strict=True):
            self.write.do("greater", higher, values, highest)
            self.write.do("since", target, higher, number)
            self.write.do("max", highest, highest, values)
        self.write.do("equal", higher, highest, highest)  # no nan
        self.write.do("where", target, higher, target, highest)
        return target

    def _lagged(self, inner: Places, expression: Expression, room: Room) -> Places:
        years = min(int(expression.value), inner.shape[expression.axis])
        early = np.full_like(inner, self.write.number(0.0))
        both = np.concatenate([early, inner], axis=expression.axis)
        size = inner.shape[expression.axis]
        return both.take(range(size - years, 2 * size - years), axis=expression.axis)

    def _running(self, inner: Places, expression: Expression, room: Room) -> Places:
        """Return sums or products up to each year, or what is carried over from year to year."""
        axis, carried = expression.axis, expression.operation == "carry"
        target, size = room(inner.shape), inner.shape[axis]
        start = (target.take([0], axis=axis), inner.take([0], axis=axis))
        if carried:
            self.write.do("max", *start, self.write.number(0.0))
        else:
            self.write.do("copy", *start)
        later, before = (target.take(range(n, size - 1 + n), axis=axis) for n in (1, 0))
        rest = inner.take(range(1, size), axis=axis)
        self.write.do(_RUNNING[expression.operation], later, before, rest)
        return target

    def _dated(self, inner: Places, expression: Expression, room: Room) -> Places:
        """Return the first or the last year in which something holds."""
        years = expression.positions
        condition = np.moveaxis(inner, expression.axis, 0)[-len(years) :]
        target = room(condition.shape[1:])
        self.write.do("copy", target, self.write.number(np.inf))
        order = -1 if expression.operation == "first_year" else 1
        for year, holds in zip(years[::order], condition[::order], strict=True):
            self.write.do("since", target, holds, self.write.number(float(year)))
        return target


#: What is done to the result of the year before and the value of a year.
_RUNNING = {"cumsum": "add", "cumprod": "multiply", "carry": "hold"}

_ALONG: dict[str, Callable[[ExpressionRows, Places, Expression, Room], Places]] = {
    "sum": ExpressionRows._reduced,
    "prod": ExpressionRows._reduced,
    "lowest": ExpressionRows._reduced,
    "highest": ExpressionRows._reduced,
    "mean": ExpressionRows._mean,
    "at": ExpressionRows._picked,
    "each": ExpressionRows._each,
    "lag": ExpressionRows._lagged,
    "cumsum": ExpressionRows._running,
    "cumprod": ExpressionRows._running,
    "carry": ExpressionRows._running,
    "argmax": ExpressionRows._argmax,
    "first_year": ExpressionRows._dated,
    "last_year": ExpressionRows._dated,
}


def by_turn(members: Sequence[Sequence[int]]) -> Iterator[tuple[list[int], list[int]]]:
    """Yield the labels that have a first member with where it stands, then a second, ..."""
    for turn in range(max(map(len, members), default=0)):
        labels = [at for at, some in enumerate(members) if turn < len(some)]
        yield labels, [members[at][turn] for at in labels]


def _merged(expression: Expression) -> tuple[str, tuple[Expression, ...]]:
    """Return the operation of an expression with its arguments, two in one where that is known."""
    operation, arguments = expression.operation, expression.arguments
    if operation in ("multiply", "add"):
        for inner, other in (arguments, arguments[::-1]):
            if inner.operation == "multiply" and inner.dims == expression.dims:
                if operation == "multiply":
                    return "product", (*inner.arguments, other)
                return "fused", (other, *inner.arguments)
    return operation, arguments
