"""A system of equations as least squares see it: values, sizes and derivatives near a point.

Each relation is a sum of expressions over labelled names that must be zero in every cell.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from ndmc.dims import Dims, rows_in
from ndmc.label import pairs
from ndmc.reconciliation.derivatives import Slope, degree, differentiate
from ndmc.reconciliation.least_squares import Linear
from ndmc.scenario.expressions import Expression
from ndmc.scenario.operations import evaluate_expression
from ndmc.scenario.scenario import Scenario
from ndmc.scenario.units import Dimension
from ndmc.typing import Floats, Integers, Matrix

__all__ = ["System"]


@dataclass(frozen=True)
class Relation:
    """Signed expressions whose sum is zero in every cell of ``dims``."""

    name: str
    text: str
    where: str
    dimension: Dimension
    dims: tuple[str, ...]
    terms: tuple[tuple[float, Expression], ...]

    @property
    def names(self) -> frozenset[str]:
        """The names it reads."""
        return frozenset().union(*(term.names for _, term in self.terms))


@dataclass(frozen=True)
class System:
    """Equations, measured parameters and unmeasured quantities of a scenario.

    ``spans`` are the cells of each name among all variables: parameters first, then quantities.
    ``priors`` are what is known of a quantity without the balances.
    """

    scenario: Scenario
    relations: tuple[Relation, ...]
    parameters: tuple[str, ...]
    quantities: tuple[str, ...]
    dims_of: dict[str, tuple[str, ...]]
    indicators: dict[str, Expression]
    constants: dict[str, Floats]
    priors: dict[str, Expression]
    mean: Floats
    factor: Matrix

    @property
    def dims(self) -> Dims:
        """The dims of the scenario."""
        return self.scenario.dims

    @functools.cached_property
    def spans(self) -> dict[str, slice]:
        """The cells of each name among all variables."""
        names = (*self.parameters, *self.quantities)
        sizes = [self.dims.size(self.dims_of[name]) for name in names]
        ends = itertools.accumulate(sizes)
        return {
            name: slice(end - size, end) for name, size, end in zip(names, sizes, ends, strict=True)
        }

    def measures(self, name: str) -> bool:
        """Whether anything but balances tells of a name."""
        return name in self.parameters or name in self.priors

    def cell_names(self, names: Iterable[str]) -> list[str]:
        """Return every cell as a person reads it: ``sales [product=car, year=2021]``."""
        return [_cell(name, cell) for name in names for cell in self.dims.cells(self.dims_of[name])]

    def equation(self, number: int) -> tuple[Relation, str]:
        """Return the relation of an equation, and the equation as a person reads it."""
        relation, cells = next(self._by_relation(np.array([number])))
        return relation, _cell(relation.text, self.dims.cells(relation.dims)[cells[0]])

    def together(self, numbers: Integers) -> str:
        """Return several equations as a person reads them, cells of one relation at once.

        Dims of which all labels are meant are left out.
        """
        found = self._by_relation(numbers)
        return " + ".join(text for part in found for text in self._texts(*part))

    def _by_relation(self, numbers: Integers) -> Iterator[tuple[Relation, Integers]]:
        """Yield relations and those of their cells that have the numbers."""
        which = np.searchsorted(self._ends, numbers, side="right")
        for n in dict.fromkeys(which.tolist()):
            relation = self.relations[n]
            first = self._ends[n] - self.dims.size(relation.dims)
            yield relation, numbers[which == n] - first

    @functools.cached_property
    def _ends(self) -> Integers:
        return np.cumsum([self.dims.size(relation.dims) for relation in self.relations])

    def _texts(self, relation: Relation, cells: Integers) -> list[str]:
        """Return one text for all cells if they are every mix of some labels, else one for each."""
        places = np.unravel_index(cells, (*self.dims.shape(relation.dims), 1))
        along = {dim: np.unique(some) for dim, some in zip(relation.dims, places, strict=False)}
        if math.prod(map(len, along.values())) > len(cells):
            return [text for cell in cells for text in self._texts(relation, cell[np.newaxis])]
        labels = {dim: self.dims.labels[dim] for dim in relation.dims}
        some = {
            dim: "/".join(labels[dim][n] for n in found)
            for dim, found in along.items()
            if len(found) < len(labels[dim])
        }
        return [_cell(relation.text, some)]

    def linearise(self, point: Floats) -> Linear:
        """Return all equations near a point, [cell]; see `ndmc.reconciliation.least_squares`."""
        known, measured = self.known(point), len(self.mean)
        parts = [
            self._rows(relation, known, by)
            for relation, by in zip(self.relations, self._lasting.relations, strict=True)
        ]
        by = sp.csc_array(sp.vstack([part.by for part in parts], format="csc"))
        return Linear(
            residual=np.concatenate([part.value for part in parts]),
            by_x=sp.csr_array(by[:, :measured]),
            by_y=sp.csr_array(by[:, measured:]),
            size=np.concatenate([part.size for part in parts]),
        )

    def known(self, point: Floats) -> dict[str, Slope]:
        """Return every name with its derivatives at a point, indicators too."""
        return self._known(point, self._lasting.names)

    def _known(self, values: Floats, lasting: Mapping[str, Matrix]) -> dict[str, Slope]:
        found = {name: Slope(value, lasting[name]) for name, value in self.constants.items()}
        for name, span in self.spans.items():
            shape = (*self.dims.shape(self.dims_of[name]), 1)
            found[name] = Slope(values[span].reshape(shape), lasting[name])
        for name, expression in self.indicators.items():
            if name in lasting:
                found[name] = Slope(self._value(expression, found), lasting[name])
            else:
                found[name] = differentiate(expression, found, self.dims, len(values))
        return found

    def _value(self, expression: Expression, known: Mapping[str, Slope]) -> Floats:
        value = evaluate_expression(expression, {n: known[n].value for n in expression.names})
        return np.broadcast_to(value, (*self.dims.shape(expression.dims), 1))

    def _rows(
        self, relation: Relation, known: Mapping[str, Slope], lasting: Matrix | None
    ) -> _Rows:
        """Return a relation near a point, with its derivatives if they are the same everywhere."""
        size = self.dims.size(relation.dims)
        value, height, by = np.zeros(size), np.zeros(size), lasting
        for sign, term in relation.terms:
            rows = rows_in(term.dims, relation.dims, self.dims)
            if lasting is None:
                part = differentiate(term, known, self.dims, self._count)
                slope = sign * part.by[rows]
                number, by = part.value, slope if by is None else by + slope
            else:
                number = self._value(term, known)
            number = number.reshape(-1)[rows]
            value, height = value + sign * number, height + np.abs(number)
        return _Rows(value, height, by)

    @functools.cached_property
    def _count(self) -> int:
        return max((span.stop for span in self.spans.values()), default=0)

    @functools.cached_property
    def _lasting(self) -> _Lasting:
        """The derivatives that are the same everywhere.

        Of 5 s that china_nd_published takes to reject four figures, finding them anew at each step
        took 4.
        """
        names = {n: sp.csr_array((v.size, self._count)) for n, v in self.constants.items()}
        for name, span in self.spans.items():
            size = span.stop - span.start
            names[name] = sp.eye_array(size, self._count, k=span.start, format="csr")
        degrees = dict.fromkeys(self.constants, 0) | dict.fromkeys(self.spans, 1)
        known = self._known(np.ones(self._count), names)
        for name, expression in self.indicators.items():
            degrees[name] = degree(expression, degrees)
            if degrees[name] < 2:
                names[name] = known[name].by
        relations = [
            self._rows(relation, known, None).by
            if all(degree(term, degrees) < 2 for _, term in relation.terms)
            else None
            for relation in self.relations
        ]
        return _Lasting(names, relations)


@dataclass(frozen=True)
class _Lasting:
    """Derivatives of names, and of relations, None for those that are different elsewhere."""

    names: dict[str, Matrix]
    relations: list[Matrix | None]


@dataclass(frozen=True)
class _Rows:
    value: Floats
    size: Floats
    by: Matrix


def _cell(name: str, labels: Mapping[str, str]) -> str:
    return f"{name} [{pairs(labels)}]" if labels else name
