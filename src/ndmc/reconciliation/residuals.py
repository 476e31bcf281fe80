"""What equations leave open, computed in many draws at once."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable

import numpy as np

from ndmc.engine.instructions import Arithmetic, Places
from ndmc.engine.row_code import compile_rows
from ndmc.plan.steps import Formula, Plan, hidden
from ndmc.reconciliation.system import Relation, System
from ndmc.scenario.expressions import Expression
from ndmc.typing import Floats
from ndmc_kernels.rows import compute


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
        steps.append(Formula(_open(n), relation.dims, _signed(relation)))
        steps.append(Formula(_size(n), relation.dims, _sized(relation)))
    return Plan(system.dims, constants={**system.constants, **shaped}, steps=tuple(steps))


def _signed(relation: Relation) -> Expression:
    """Return the sum of a relation's terms, what has a plus first."""
    (sign, total), *others = sorted(relation.terms, key=lambda term: -term[0])
    if sign < 0:
        total = Expression(total.dims, total.dimension, "negative", (total,))
    for sign, term in others:
        operation = "add" if sign > 0 else "subtract"
        total = Expression(relation.dims, None, operation, (total, term))
    return total


def _sized(relation: Relation) -> Expression:
    """Return the sum of their sizes."""
    parts = [Expression(t.dims, t.dimension, "abs", (t,)) for _, t in relation.terms]
    return functools.reduce(
        lambda total, part: Expression(relation.dims, None, "add", (total, part)), parts
    )
