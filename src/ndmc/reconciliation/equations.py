"""The equations that reconcile a scenario: balances, measurements, and the rules of flows.

The same equations as a plan computes with, and those of `reconcile` besides, which may be more
than are needed or fewer.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator

import numpy as np

from ndmc.errors import InputError, nearest
from ndmc.plan.flows import flow_value
from ndmc.plan.splits import share_of_flow
from ndmc.plan.vocabulary import Vocabulary
from ndmc.reconciliation.covariance import factor_of
from ndmc.reconciliation.system import Relation, System
from ndmc.scenario.expressions import Expression
from ndmc.scenario.scenario import Scenario
from ndmc.scenario.units import Dimension

__all__ = ["system_of"]

#: Inflows added one after the other: 550 were deeper than Python's stack.
_AT_ONCE = 128


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
    return _Relations(scenario).system(frozenset(also))


class _Relations:
    """The relations of a scenario; the attributes are what has been read of it."""

    def __init__(self, scenario: Scenario) -> None:
        if scenario.file.reconcile is None:
            message = (
                f"{scenario.name} has no 'reconcile' section; add one that says what is measured"
            )
            raise scenario.document.error(message)
        self.scenario, self.file = scenario, scenario.file
        self.entry = scenario.file.reconcile
        self.names = Vocabulary(scenario)
        self.compose = self.names.compose
        self.processes = self._processes()
        self.measured = {n: self._measurement(n, text) for n, text in self.entry.measured.items()}

    def system(self, also: frozenset[str]) -> System:
        """Return them, closed, with the variables that they read."""
        relations = self._closed([*self._balances(), *self._measurements()], also)
        read = self._read(also.union(*(relation.names for relation in relations)))
        needed = {n: p for n, p in self.scenario.parameters.items() if n in read}
        uncertain = [n for n, p in needed.items() if p.uncertain]
        if not uncertain:
            message = (
                "nothing is measured: no equation reads an uncertain parameter; give one a cv or sd"
            )
            self.names.fail(message, "reconcile")
        self._refuse_compositions(uncertain)
        means = self.names.means
        return System(
            scenario=self.scenario,
            relations=tuple(relations),
            parameters=tuple(uncertain),
            quantities=tuple(n for n in (*self.file.flows, *self.file.stocks) if n in read),
            dims_of={name: variable.dims for name, variable in self.names.variables.items()},
            indicators={n: f.expression for n, f in self.names.indicators.items() if n in read},
            constants={n: means[n] for n, p in needed.items() if not p.uncertain},
            priors=self._priors(),
            mean=np.concatenate([means[n].reshape(-1) for n in uncertain]),
            factor=factor_of(self.scenario, uncertain),
        )

    def _processes(self) -> list[str]:
        named = self.entry.processes
        chosen = self.file.processes if named is None else named
        for index, name in enumerate(chosen):
            if name not in self.file.processes:
                message = f"{name!r} has no balance: it is not one of the processes"
                self.names.fail(f"{message} {self.file.processes}", "reconcile", "processes", index)
        for name in chosen:
            stock = self.names.holders.get(name, "")
            if stock and self.file.stocks[stock].kind == "lifetime":
                self.names.fail(
                    f"{name!r} holds {stock!r}, which a lifetime empties: its balance is no "
                    "equation of one year; list the other processes under 'processes'",
                    "reconcile",
                )
        return chosen

    # --- balances ------------------------------------------------------------------------------

    def _balances(self) -> Iterator[Relation]:
        for process in self.processes:
            where = self.names.where("processes", self.file.processes.index(process))
            parts = [(1.0, self.compose.name(flow.name)) for flow in self.names.inflows(process)]
            parts += [(-1.0, self.compose.name(flow.name)) for flow in self.names.outflows(process)]
            stock = self.names.holders.get(process, "")
            parts += [(-1.0, self._change(stock))] if stock else []
            full = self.scenario.dims.full
            shared = set.intersection(*(full(part.dims) for _, part in parts))
            dims = self.scenario.dims.ordered(shared)
            terms = tuple((sign, self.compose.total(part, dims)) for sign, part in parts)
            flow, text = self.scenario.units.flow, f"the balance of {process!r}"
            yield Relation(process, text, where, flow, dims, terms)

    def _change(self, stock: str) -> Expression:
        """Return what a stock gains in a year; before the first it holds what is initial."""
        held, initial = self.compose.name(stock), self.names.initial(stock)
        before = self.compose.along("lag", held)
        if initial is not None:
            before = self.names.in_first_year(initial, before)
        return self.names.in_a_year(self.compose.apply("subtract", held, before))

    # --- measurements --------------------------------------------------------------------------

    def _measurement(self, name: str, text: str) -> Expression:
        key, units = ("reconcile", "measured", name), self.scenario.units
        known = [*self.file.flows, *self.file.stocks, *self.file.indicators]
        if name not in known:
            message = f"{name!r} is no flow, stock or indicator; {nearest(name, known)}"
            self.names.fail(message, *key)
        variable = self.names.variables[name]

        def misfit(found: Expression) -> str:
            if found.dimension in (None, variable.dimension):
                return ""
            return (
                f"{name!r} is measured in [{found.dimension}] but is in "
                f"[{variable.dimension}] ({units.name(variable.dimension)})"
            )

        found = self.names.read(text, *key, of=name, wants=misfit, dims=variable.dims)
        if name in found.names:
            hint = "name the parameter that measures it"
            self.names.fail(f"{name!r} is measured by itself, which says nothing; {hint}", *key)
        self._refuse_cv_of_zero(text.strip())
        return found

    def _measurements(self) -> Iterator[Relation]:
        if not self.measured:
            self.names.fail("nothing is measured; add measured: {flow: parameter}", "reconcile")
        for name, expression in self.measured.items():
            variable = self.names.variables[name]
            where = self.names.where("reconcile", "measured", name)
            text = f"what measures {name!r}"
            yield self._equal(name, text, where, variable.dimension, expression)

    def _refuse_cv_of_zero(self, name: str) -> None:
        """Refuse what is measured as 0 with a cv: it would be exact without anybody saying so."""
        parameter = self.scenario.parameters.get(name)
        if parameter and parameter.of_zero.any():
            cell = int(parameter.of_zero.argmax())
            raise InputError(
                f"{parameter.origins.name(cell)} is measured as 0, of which a cv is no spread; "
                "give sd (in a table, row by row), 0 if it is exact",
                parameter.origins.where(cell),
            )

    def _refuse_compositions(self, names: Iterable[str]) -> None:
        """Refuse shares that sum to 1 in every draw, which least squares would move one by one."""
        for name in names:
            if self.scenario.parameters[name].composition:
                message = f"the cells of {name!r} sum to 1 in every draw, which reconciled ones do"
                message = f"{message} not; write distribution: constant for what is reconciled, or"
                hint = "leave the processes that it splits out of reconcile, processes"
                self.names.fail(f"{message} {hint}", "parameters", name)

    # --- rules of flows ------------------------------------------------------------------------

    def _rules(self, flow: str) -> Iterator[Relation]:
        """Yield the value or the share of a flow."""
        entry, units = self.file.flows[flow], self.scenario.units
        if entry.until is not None:
            message = (
                f"{flow!r} is given until {entry.until} alone, so that no equation of it holds in "
                "every year; reconcile processes that it neither enters nor leaves"
            )
            self.names.fail(message, "flows", flow, "until")
        if entry.value is not None:
            word, rule = "value", flow_value(self.names, flow, entry.value)
        elif entry.share is not None:
            share = share_of_flow(self.names, flow, entry.share)
            word, rule = "share", self.compose.apply("multiply", share, self._shared_out(flow))
        else:
            return
        where = self.names.where("flows", flow, word)
        yield self._equal(flow, f"the {word} of {flow!r}", where, units.flow, rule)

    def _shared_out(self, flow: str) -> Expression:
        """Return what the flow is a share of, over its dims.

        That is what enters the process it leaves, or all that a stock with a lifetime releases
        there, which is what leaves it in the same year.
        """
        origin = self.file.flows[flow].origin
        stock = self.file.stocks.get(self.names.holders.get(origin, ""))
        released = stock is not None and stock.kind == "lifetime"
        terms = self.names.outflows(origin) if released else self.names.inflows(origin)
        if not terms:
            self.names.fail(f"nothing is known to enter {origin!r}", "flows", flow, "share")
        dims = self.names.flow_dims(flow)
        parts = [self.compose.total(self.compose.name(term.name), dims) for term in terms]
        add = functools.partial(functools.reduce, functools.partial(self.compose.apply, "add"))
        while len(parts) > 1:  # a sum of some at a time: trees are walked by recursion
            parts = [add(parts[at : at + _AT_ONCE]) for at in range(0, len(parts), _AT_ONCE)]
        return parts[0]

    def _equal(
        self, name: str, text: str, where: str, dimension: Dimension, expression: Expression
    ) -> Relation:
        """Return the relation that a name is an expression."""
        own = self.compose.name(name)
        return Relation(name, text, where, dimension, own.dims, ((1.0, own), (-1.0, expression)))

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
        given = {
            name: flow_value(self.names, name, flow.value)
            for name, flow in self.file.flows.items()
            if flow.value is not None and flow.until is None
        }
        parameters = set(self.scenario.parameters)
        return {n: e for n, e in {**given, **self.measured}.items() if e.names <= parameters}
