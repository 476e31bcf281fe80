"""What equations leave open, computed in many draws at once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

import numpy as np

from ndmc.engine.instructions import Arithmetic, Places
from ndmc.engine.row_code import compile_rows
from ndmc.plan.steps import Formula, Plan, hidden
from ndmc.reconciliation.system import Relation, System
from ndmc.scenario.expressions import Expression
from ndmc.typing import Floats
from ndmc_kernels.rows import compute

#: Terms of a sum, each with the operation that adds it.
_Terms = list[tuple[str, Expression]]

#: Terms added one after the other: trees are walked by recursion, and 500 were deeper than its end.
_AT_ONCE = 128


class Residuals:
    """All equations of a system, compiled."""

    def __init__(self, system: System) -> None:
        self._code = compile_rows(_plan_of(system))
        numbers = range(len(system.relations))
        self._cells = self._places(system.spans)
        self._open = self._places(map(_open, numbers))
        self._size = self._places(map(_size, numbers))
        self._idle = list[Floats]()

    def of(self, cells: Floats) -> tuple[Floats, Floats]:
        """Return what each equation leaves open, [equation, draw], and the sum of its terms."""
        rows = self._rows(cells.shape[1])
        rows[self._cells] = cells
        for call in self._code.each:
            assert isinstance(call, Arithmetic)
            compute(call.instructions, rows)
        found = rows[self._open], rows[self._size]
        self._idle.append(rows)
        return found

    def _rows(self, width: int) -> Floats:
        """Return rows that no other thread uses."""
        with contextlib.suppress(IndexError):
            rows = self._idle.pop()
            if rows.shape[1] == width:
                return rows
        rows = np.zeros((self._code.rows, width))
        places, numbers = self._code.numbers
        rows[places] = numbers[:, np.newaxis]
        return rows

    def _places(self, names: Iterable[str]) -> Places:
        return np.concatenate([self._code.names[name].reshape(-1) for name in names])


def _open(equation: int) -> str:
    return hidden(f"equation {equation}", "left open")


def _size(equation: int) -> str:
    return hidden(f"equation {equation}", "size")


def _plan_of(system: System) -> Plan:
    """Return the equations as steps, which read all cells as if they were constants."""
    values = {name: np.zeros(system.dims.size(system.dims_of[name])) for name in system.spans}
    shaped = {n: v.reshape(*system.dims.shape(system.dims_of[n]), 1) for n, v in values.items()}
    steps = [Formula(name, e.dims, e) for name, e in system.indicators.items()]
    for n, relation in enumerate(system.relations):
        steps += _added_up(_open(n), relation.dims, *_signed(relation))
        steps += _added_up(_size(n), relation.dims, *_sized(relation))
    return Plan(system.dims, constants={**system.constants, **shaped}, steps=tuple(steps))


def _signed(relation: Relation) -> tuple[Expression, _Terms]:
    """Return the sum of a relation's terms, what has a plus first."""
    (sign, first), *others = sorted(relation.terms, key=lambda term: -term[0])
    if sign < 0:
        first = Expression(first.dims, first.dimension, "negative", (first,))
    return first, [("add" if sign > 0 else "subtract", term) for sign, term in others]


def _sized(relation: Relation) -> tuple[Expression, _Terms]:
    """Return the sum of their sizes."""
    first, *others = (Expression(t.dims, t.dimension, "abs", (t,)) for _, t in relation.terms)
    return first, [("add", part) for part in others]


def _added_up(
    name: str, dims: tuple[str, ...], total: Expression, others: _Terms
) -> Iterator[Formula]:
    """Yield steps that add terms to a first one, in their order: so many deep at a time."""
    for start in range(0, len(others), _AT_ONCE):
        if start:
            part = hidden(name, f"of the first {start}")
            yield Formula(part, dims, total)
            total = Expression(dims, None, "name", name=part)
        for operation, term in others[start : start + _AT_ONCE]:
            total = Expression(dims, None, operation, (total, term))
    yield Formula(name, dims, total)
