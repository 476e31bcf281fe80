"""The equations of a scenario as least squares see them: balances, rules and measurements.

The same equations as a plan computes with, and those of `reconcile` besides, which may be more
than are needed or fewer: each is a sum of expressions over labelled names that must be zero.
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
from ndmc.errors import InputError, nearest
from ndmc.plan.samplers import central_values
from ndmc.plan.vocabulary import Vocabulary
from ndmc.reconciliation.covariance import factor_of
from ndmc.reconciliation.derivatives import Slope, degree, differentiate
from ndmc.reconciliation.least_squares import Linear
from ndmc.scenario.expressions import Expression
from ndmc.scenario.operations import evaluate_expression
from ndmc.scenario.scenario import Scenario
from ndmc.scenario.units import Dimension
from ndmc.typing import Floats, Integers, Matrix

__all__ = ["Relation", "System", "system_of"]


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

    def linearise(self, x: Floats, y: Floats) -> Linear:
        """Return all equations near a point, for `ndmc.reconciliation.least_squares.adjust`."""
        known = self.known(x, y)
        parts = [
            self._rows(relation, known, by)
            for relation, by in zip(self.relations, self._lasting.relations, strict=True)
        ]
        by = sp.csc_array(sp.vstack([part.by for part in parts], format="csc"))
        return Linear(
            residual=np.concatenate([part.value for part in parts]),
            by_x=sp.csr_array(by[:, : len(x)]),
            by_y=sp.csr_array(by[:, len(x) :]),
            size=np.concatenate([part.size for part in parts]),
        )

    def known(self, x: Floats, y: Floats) -> dict[str, Slope]:
        """Return every name with its derivatives, indicators too."""
        return self._known(np.concatenate([x, y]), self._lasting.names)

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
    inside = ", ".join(f"{dim}={label}" for dim, label in labels.items())
    return f"{name} [{inside}]" if inside else name


def system_of(scenario: Scenario, also: Iterable[str] = ()) -> System:
    """Return the equations that a scenario's ``reconcile`` section asks for.

    Parameters
    ----------
    scenario
        A checked scenario.
    also
        Names to have among the variables, with their rules, even if no equation reads them.

    Raises
    ------
    InputError
        With file and line: if there is no such section, nothing is measured, or a name, a unit
        or a dim does not fit.

    Examples
    --------
    >>> from ndmc.scenario.load import load
    >>> try:
    ...     system_of(load("starter"))
    ... except ValueError as wrong:
    ...     print("reconcile" in str(wrong))
    True
    """
    return _Compiler(scenario).system(frozenset(also))


class _Compiler:
    """What has been worked out of the scenario so far."""

    def __init__(self, scenario: Scenario) -> None:
        if scenario.file.reconcile is None:
            message = f"{scenario.name} has no 'reconcile' section: say what is measured"
            raise scenario.document.error(message)
        self.scenario, self.file = scenario, scenario.file
        self.entry = scenario.file.reconcile
        self.names = Vocabulary(scenario)
        self.processes = self._processes()

    def system(self, also: frozenset[str]) -> System:
        relations = self._closed([*self._balances(), *self._measured()], also)
        read = self._read(also.union(*(relation.names for relation in relations)))
        needed = {n: p for n, p in self.scenario.parameters.items() if n in read}
        uncertain = [n for n, p in needed.items() if p.uncertain]
        if not uncertain:
            message = "nothing is measured: no equation reads an uncertain parameter"
            self.names.fail(message, "reconcile")
        quantities = [n for n in (*self.file.flows, *self.file.stocks) if n in read]
        dims = self.scenario.dims
        return System(
            scenario=self.scenario,
            relations=tuple(relations),
            parameters=tuple(uncertain),
            quantities=tuple(quantities),
            dims_of={name: variable.dims for name, variable in self.names.variables.items()},
            indicators={n: f.expression for n, f in self.names.indicators.items() if n in read},
            constants={n: central_values(p, dims) for n, p in needed.items() if not p.uncertain},
            priors=self._priors(),
            mean=np.concatenate([central_values(needed[n], dims).reshape(-1) for n in uncertain]),
            factor=factor_of(self.scenario, uncertain),
        )

    def _processes(self) -> list[str]:
        for index, name in enumerate(self.entry.processes or []):
            if name not in self.file.processes:
                message = f"{name!r} has no balance: it is not one of the processes"
                self.names.fail(f"{message} {self.file.processes}", "reconcile", "processes", index)
        chosen = self.entry.processes
        for name in self.file.processes if chosen is None else chosen:
            stock = self.names.holders.get(name, "")
            if stock and self.file.stocks[stock].kind == "lifetime":
                self.names.fail(
                    f"{name!r} holds {stock!r}, which a lifetime empties: its balance is no "
                    "equation of one year; list the other processes under 'processes'",
                    "reconcile",
                )
        return list(self.file.processes if chosen is None else chosen)

    # --- equations -----------------------------------------------------------------------------

    def _balances(self) -> Iterator[Relation]:
        for process in self.processes:
            index = self.file.processes.index(process)
            where = self.names.where("processes", index)
            flows = [(1.0, t) for t in self.names.inflows(process)]
            flows += [(-1.0, t) for t in self.names.outflows(process)]
            stock = self.names.holders.get(process, "")
            spans = [set(term.dims) for _, term in flows]
            spans += [set(self.names.stock_dims(stock))] if stock else []
            dims = self.scenario.dims.ordered(set.intersection(*spans))
            texts = [(sign, _summed(term.name, term.dims, dims)) for sign, term in flows]
            if stock:
                texts.append(
                    (-1.0, _summed(f"({self._change(stock)})", self.names.stock_dims(stock), dims))
                )
            terms = [(sign, self.names.quantity(text, where)) for sign, text in texts]
            flow, text = self.scenario.units.flow, f"the balance of {process!r}"
            yield Relation(process, text, where, flow, dims, tuple(terms))

    def _change(self, stock: str) -> str:
        """Return what a stock gains in a year; before the first it holds what is initial."""
        initial = self.file.stocks[stock].initial
        before = f"lag({stock})"
        if initial is not None:
            first = self.scenario.dims.years[0]
            before = f"where(year == {first}, {initial.value}, lag({stock}))"
        return f"({stock} - {before}) / step"

    def _measured(self) -> Iterator[Relation]:
        if not self.entry.measured:
            self.names.fail("nothing is measured; add 'measured'", "reconcile")
        known = [*self.file.flows, *self.file.stocks, *self.file.indicators]
        for name, text in self.entry.measured.items():
            key = ("reconcile", "measured", name)
            if name not in known:
                message = f"{name!r} is no flow, stock or indicator; {nearest(name, known)}"
                self.names.fail(message, *key)
            variable = self.names.variables[name]
            expression = self.names.expression(text, *key)
            if expression.dimension not in (variable.dimension, None):
                units = self.scenario.units
                self.names.fail(
                    f"{name!r} is measured in [{expression.dimension}] but is in "
                    f"[{variable.dimension}] ({units.name(variable.dimension)})",
                    *key,
                )
            self.names.check_dims(name, expression, variable.dims, *key)
            self._refuse_cv_of_zero(text.strip())
            own = self.names.quantity(name, self.names.where(*key))
            yield Relation(
                name,
                f"what measures {name!r}",
                self.names.where(*key),
                variable.dimension,
                variable.dims,
                ((1.0, own), (-1.0, expression)),
            )

    def _refuse_cv_of_zero(self, name: str) -> None:
        """Refuse what is measured as 0 with a cv: it would be exact without anybody saying so."""
        parameter = self.scenario.parameters.get(name)
        for cell, where in parameter.of_zero if parameter else ():
            raise InputError(
                f"{cell} is measured as 0, of which a cv is no spread; give sd (in a table, row by "
                "row), 0 if it is exact",
                where,
            )

    def _rules(self, flow: str) -> Iterator[Relation]:
        """Yield the value or the share of a flow."""
        entry, dims = self.file.flows[flow], self.names.flow_dims(flow)
        key = ("flows", flow, "share" if entry.value is None else "value")
        text = entry.value
        if entry.share is not None:
            inflows = self.names.inflows(entry.origin)
            entering = " + ".join(_summed(t.name, t.dims, dims) for t in inflows)
            text = f"({entry.share}) * ({entering})"
        if text is None:
            return
        expression = self.names.expression(text, *key)
        self.names.check_dims(flow, expression, dims, *key)
        where = self.names.where(*key)
        own = self.names.quantity(flow, where)
        dimension, said = self.scenario.units.flow, f"the {key[2]} of {flow!r}"
        yield Relation(flow, said, where, dimension, dims, ((1.0, own), (-1.0, expression)))

    def _closed(self, relations: list[Relation], also: frozenset[str]) -> list[Relation]:
        """Return the relations with the rules of every flow that they read, and so on."""
        done: set[str] = set()
        waiting = [*(relation.names for relation in relations), also]
        for names in waiting:
            for name in sorted(self._read(names) - done):
                done.add(name)
                if name in self.file.flows:
                    rules = [*self._rules(name)]
                    relations += rules
                    waiting += [rule.names for rule in rules]
        return relations

    def _read(self, names: frozenset[str]) -> frozenset[str]:
        """Return names and what the indicators among them read."""
        waiting = sorted(names)
        for name in waiting:
            if name in self.names.indicators:
                waiting += sorted(self.names.indicators[name].expression.names)
        return frozenset(waiting)

    def _priors(self) -> dict[str, Expression]:
        """Return what is known of quantities from parameters alone."""
        measured = {
            name: self.names.expression(text, "reconcile", "measured", name)
            for name, text in self.entry.measured.items()
        }
        given = {
            name: self.names.expression(flow.value, "flows", name, "value")
            for name, flow in self.file.flows.items()
            if flow.value is not None
        }
        parameters = set(self.scenario.parameters)
        return {n: e for n, e in {**given, **measured}.items() if e.names <= parameters}


def _summed(text: str, has: tuple[str, ...], wants: tuple[str, ...]) -> str:
    """Return a text summed over the dims that are not wanted."""
    for dim in has:
        if dim not in wants:
            text = f"sum({text}, over={dim})"
    return text
