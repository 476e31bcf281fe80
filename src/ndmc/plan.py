"""Compile a scenario to a plan: every quantity determined once, in an order that can be computed.

Each flow is given, a share, or left open; each process closes one open flow. Open flows are
matched to processes, and the whole is sorted so that every step finds its inputs ready. What
cannot be solved is named.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from typing import NoReturn

import numpy as np

from ndmc.dims import Dims, Floats, align
from ndmc.errors import InputError, nearest
from ndmc.expressions import (
    Expression,
    ExpressionError,
    Variable,
    compile_expression,
    evaluate_expression,
    parse,
)
from ndmc.samplers import central_values, samplers
from ndmc.scenario import Scenario
from ndmc.schema import FlowEntry, IndicatorEntry, StockEntry
from ndmc.steps import Balance, Cohort, Formula, Output, Plan, Share, Step, Term, release_of
from ndmc.units import NONE, TIME, Dimension, UnitError

__all__ = ["compile_plan"]

# A lifetime that is drawn at or below zero this rarely is left to the check at run time.
_RARE = 1e-12


def compile_plan(
    scenario: Scenario,
    keep: Iterable[str] | None = None,
    quantities: Mapping[str, tuple[str, str]] | None = None,
) -> Plan:
    """Compile a scenario.

    Parameters
    ----------
    scenario
        A checked scenario.
    keep
        Names of the flows, stocks, indicators and parameters to compute; all flows, stocks and
        indicators if None. Only what they need is part of the plan.
    quantities
        Further outputs by name: an expression, and where it stands, for messages.

    Returns
    -------
    Plan
        Ordered steps; nothing has been computed.

    Raises
    ------
    InputError
        With file and line: what is undetermined, contradictory or circular, and units and dims
        that do not fit.

    Examples
    --------
    >>> from ndmc.scenario import load
    >>> plan = compile_plan(load("china_nd"), ["in_use"])
    >>> [output.unit for output in plan.outputs]
    ['t']
    """
    return _Compiler(scenario).plan(keep, quantities or {})


class _Compiler:
    """One compilation; the attributes are what has been worked out of the scenario so far."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.file = scenario.file
        self.dims = scenario.dims
        self.where = scenario.document.where
        self.holders = {stock.process: name for name, stock in self.file.stocks.items()}
        self.variables = self._variables()
        self.indicators: dict[str, Formula] = {}
        for name in self.file.indicators:
            self._indicator(name, ())
        self.open = [n for n, f in self.file.flows.items() if f.value is None and f.share is None]
        self.closed_by = self._match()
        self.rules = self._rules()
        self.order = self._sort()
        self._check_share_sums()

    # --- names ---------------------------------------------------------------------------

    def flow_dims(self, name: str) -> tuple[str, ...]:
        return self.dims.ordered((*self.file.flows[name].dims, "year"))

    def stock_dims(self, name: str) -> tuple[str, ...]:
        return self.dims.ordered((*self.file.stocks[name].dims, "year"))

    def _variables(self) -> dict[str, Variable]:
        units = self.scenario.units
        parameters = {
            name: Variable(p.dims, p.dimension) for name, p in self.scenario.parameters.items()
        }
        flows = {name: Variable(self.flow_dims(name), units.flow) for name in self.file.flows}
        stocks = {name: Variable(self.stock_dims(name), units.stock) for name in self.file.stocks}
        return {**parameters, **flows, **stocks}

    def _indicator(self, name: str, within: tuple[str, ...]) -> None:
        """Compile an indicator after those it reads, since they decide its dims and unit."""
        if name in self.indicators:
            return
        if name in within:
            cycle = " -> ".join((*within[within.index(name) :], name))
            self._fail(f"indicators define each other in a circle: {cycle}", "indicators", name)
        text = self.file.indicators[name].value
        for other in _names(text) & set(self.file.indicators):
            self._indicator(other, (*within, name))
        expression = self._expression(text, ("indicators", name))
        self.indicators[name] = Formula(name, expression.dims, expression)
        self.variables[name] = Variable(expression.dims, expression.dimension or NONE)

    def _expression(self, text: str, key: tuple[str, ...]) -> Expression:
        return self._quantity(text, self.where(*key))

    def _fail(self, message: str, *key: str | int) -> NoReturn:
        raise self.scenario.document.error(message, *key)

    # --- which equation determines what ----------------------------------------------------

    def _adjacent(self, process: str) -> list[str]:
        """Return the flows in the equation that closes a process; of a stock, those that leave."""
        return [
            name
            for name, flow in self.file.flows.items()
            if flow.origin == process or (flow.target == process and process not in self.holders)
        ]

    def _match(self) -> dict[str, str]:
        """Match each open flow to the process that closes it."""
        from scipy.sparse import csr_matrix
        from scipy.sparse.csgraph import maximum_bipartite_matching

        processes = self.file.processes
        touches = [
            [float(name in self._adjacent(process)) for process in processes] for name in self.open
        ]
        matched: dict[str, str] = {}
        if self.open:
            columns = maximum_bipartite_matching(csr_matrix(touches), perm_type="column")
            pairs = zip(self.open, columns, strict=True)
            matched = {name: processes[column] for name, column in pairs if column >= 0}
        for name in self.open:
            if name not in matched:
                self._undetermined(name, matched)
        for index, process in enumerate(processes):
            if process not in matched.values():
                self._overdetermined(process, index)
        return matched

    def _undetermined(self, name: str, matched: Mapping[str, str]) -> NoReturn:
        flow = self.file.flows[name]
        closes = {process: other for other, process in matched.items()}
        taken = [
            f"the balance of {process!r} already closes {closes[process]!r}"
            for process in (flow.origin, flow.target)
            if process in closes
        ]
        reason = " and ".join(taken) or "no process balance can close it"
        message = f"flow {name!r} is not determined: {reason}; give it a value or a share"
        self._fail(message, "flows", name)

    def _overdetermined(self, process: str, index: int) -> NoReturn:
        flows = self._adjacent(process)
        if process in self.holders and not flows:
            self._fail(
                f"nothing leaves {process!r}, so what the stock {self.holders[process]!r} releases "
                "has nowhere to go; add a flow without value or share",
                "processes",
                index,
            )
        self._fail(
            f"process {process!r} is over-determined: each of its flows ({', '.join(flows)}) is "
            "given elsewhere; leave one without value or share so that the balance closes it",
            "processes",
            index,
        )

    # --- steps -------------------------------------------------------------------------------

    def _rules(self) -> dict[str, Step]:
        """Return the step that determines each flow, stock and indicator."""
        rules: dict[str, Step] = dict(self.indicators)
        for name, flow in self.file.flows.items():
            if flow.value is not None and flow.share is not None:
                self._fail("give either value or share, not both", "flows", name, "share")
            if flow.value is not None:
                rules[name] = self._given(name, flow.value)
            elif flow.share is not None:
                rules[name] = self._share(name, flow.share, flow.origin)
            else:
                rules[name] = self._balance(name, self.closed_by[name])
        for name, stock in self.file.stocks.items():
            rules[name] = self._cohort(name, stock)
        return rules

    def _given(self, name: str, text: str) -> Formula:
        expression = self._expression(text, ("flows", name, "value"))
        flow = self.scenario.units.flow
        if expression.dimension not in (flow, None):
            hint = ""
            if expression.dimension == self.scenario.units.stock:
                hint = "; a parameter that counts what happens in a year says so in its unit (1/yr)"
            self._fail(
                f"flow {name!r} comes out as [{expression.dimension}] but must be [{flow}] "
                f"({self.scenario.units.name(flow)}){hint}",
                "flows",
                name,
                "value",
            )
        self._check_dims(name, expression, self.flow_dims(name), ("flows", name, "value"))
        return Formula(name, self.flow_dims(name), expression)

    def _check_dims(
        self, name: str, expression: Expression, dims: tuple[str, ...], key: tuple[str, ...]
    ) -> None:
        extra = [dim for dim in expression.dims if dim not in dims]
        if extra:
            self._fail(
                f"the expression has the dim {extra[0]!r}, which {name!r} has not; "
                f"add it to dims or sum over it: sum(..., over={extra[0]})",
                *key,
            )

    def _inflows(self, process: str) -> tuple[Term, ...]:
        # By name, not as the file has them: the order of a sum decides its last bit.
        return tuple(
            Term(name, self.flow_dims(name))
            for name, flow in sorted(self.file.flows.items())
            if flow.target == process
        )

    def _share(self, name: str, text: str, source: str) -> Share:
        key = ("flows", name, "share")
        expression = self._expression(text, key)
        if expression.dimension not in (NONE, None):
            self._fail(f"a share must be a plain number, not [{expression.dimension}]", *key)
        dims = self.flow_dims(name)
        self._check_dims(name, expression, dims, key)
        if source in self.holders:
            stock = self.holders[source]
            inflows: tuple[Term, ...] = (Term(release_of(stock), self.stock_dims(stock)),)
        else:
            inflows = self._inflows(source)
        if source not in self.file.processes:
            self._fail(f"{source!r} is not a process, so nothing is known to enter it", *key)
        if not inflows:
            self._fail(f"nothing enters {source!r}, so there is nothing to take a share of", *key)
        total = [dim for dim in dims if all(dim in term.dims for term in inflows)]
        unsplit = [dim for dim in dims if dim not in total and dim not in expression.dims]
        if unsplit:
            self._fail(
                f"what enters {source!r} is not known by {unsplit[0]!r}; "
                f"give a share with that dim, or drop it from the flow",
                *key,
            )
        return Share(name, dims, inflows, tuple(total), expression)

    def _balance(self, name: str, process: str) -> Balance:
        flow, dims = self.file.flows[name], self.flow_dims(name)
        outward = 1.0 if flow.origin == process else -1.0
        terms = []
        if process in self.holders:
            stock = self.holders[process]
            terms.append(Term(release_of(stock), self.stock_dims(stock), outward))
        for other in sorted(self._adjacent(process)):
            if other != name:
                leaves = self.file.flows[other].origin == process
                terms.append(Term(other, self.flow_dims(other), -outward if leaves else outward))
        for term in terms:
            missing = [dim for dim in dims if dim not in term.dims]
            if missing:
                self._fail(
                    f"flow {name!r} is closed by the balance of {process!r}, but {term.name!r} is "
                    f"not known by {missing[0]!r}; drop the dim or give the flow a value or share",
                    "flows",
                    name,
                )
        if not terms:
            self._fail(f"{name!r} is the only flow of process {process!r}", "flows", name)
        return Balance(name, dims, process, tuple(terms))

    def _cohort(self, name: str, stock: StockEntry) -> Cohort:
        dims, inflows = self.stock_dims(name), self._inflows(stock.process)
        if not inflows:
            self._fail(f"nothing enters {stock.process!r}, which holds {name!r}", "stocks", name)
        for term in inflows:
            missing = [dim for dim in dims if dim not in term.dims]
            if missing:
                message = f"stock {name!r} is by {missing[0]!r} but its inflow {term.name!r} is not"
                self._fail(message, "stocks", name, "dims")
        if stock.normalise != "none" and stock.inflow_at != "pdf_integer":
            message = "normalise only concerns inflow_at: pdf_integer; the others lose nothing"
            self._fail(message, "stocks", name, "normalise")
        scale, shape = self._lifetime(name, stock, dims)
        return Cohort(
            target=name,
            dims=dims,
            release=release_of(name),
            inflows=inflows,
            scale=scale,
            shape=shape,
            convention=stock.inflow_at,
            normalise=stock.normalise,
        )

    def _lifetime(
        self, name: str, stock: StockEntry, dims: tuple[str, ...]
    ) -> tuple[Expression, Expression]:
        key = ("stocks", name, "lifetime")
        try:
            texts = _weibull(stock.lifetime)
        except ExpressionError as wrong:
            self._fail(str(wrong), *key)
        if texts is None:
            self._fail(
                f"lifetime is {stock.lifetime!r}; write weibull(scale, shape) with parameters, "
                "numbers or expressions",
                *key,
            )
        found = []
        for text, label, dimension in zip(texts, ("scale", "shape"), (TIME, NONE), strict=True):
            expression = self._expression(text, key)
            literal = expression.operation == "number" and dimension == TIME
            literal = literal or (expression.operation == "number" and not expression.value)
            if expression.dimension != dimension and not literal:
                message = f"the {label} of a Weibull lifetime must be [{dimension}]"
                self._fail(f"{message}, not [{expression.dimension or NONE}]", *key)
            allowed = tuple(dim for dim in dims if dim != "year")
            if "year" in expression.dims:
                self._fail(
                    "lifetimes that change with the years are not part of this version", *key
                )
            self._check_dims(name, expression, allowed, key)
            if expression.operation == "number" and expression.value <= 0:
                self._fail(
                    f"the {label} of a lifetime must be positive, not {expression.value:g}", *key
                )
            self._check_positive(expression)
            found.append(expression)
        return found[0], found[1]

    def _check_positive(self, expression: Expression) -> None:
        from scipy.special import ndtr

        for name in sorted(expression.names & set(self.scenario.parameters)):
            parameter = self.scenario.parameters[name]
            for cell, where in zip(parameter.marginals, parameter.where, strict=True):
                if cell.central <= 0:
                    message = f"lifetime parameter {name!r} must be positive, found"
                    raise InputError(f"{message} {cell.central / parameter.factor:g}", where)
                if cell.lowest > 0:
                    continue
                chance = (
                    float(ndtr(-cell.numbers[0] / cell.numbers[1]))
                    if cell.kind == "normal"
                    else 1.0
                )
                if chance > _RARE:
                    share = (
                        f"in {chance:.2g} of the draws"
                        if cell.kind == "normal"
                        else "in some draws"
                    )
                    raise InputError(
                        f"lifetime parameter {name!r} would be drawn at or below zero {share}; "
                        "use distribution: lognormal, or truncated_normal with low above 0",
                        where,
                    )

    # --- order -----------------------------------------------------------------------------

    def _inputs(self, step: Step) -> set[str]:
        match step:
            case Formula():
                names = set(step.expression.names)
            case Share():
                names = {*step.expression.names, *(term.name for term in step.inflows)}
            case Balance():
                names = {term.name for term in step.terms}
            case Cohort():
                lifetimes = step.scale.names | step.shape.names
                names = {*lifetimes, *(term.name for term in step.inflows)}
        releases = {release_of(stock): stock for stock in self.file.stocks}
        return {releases.get(name, name) for name in names}

    def _sort(self) -> tuple[str, ...]:
        parameters = set(self.scenario.parameters)
        graph = {name: self._inputs(step) - parameters for name, step in self.rules.items()}
        try:
            return tuple(TopologicalSorter(graph).static_order())
        except CycleError as loop:
            cycle = list(dict.fromkeys(reversed(loop.args[1])))
            kind = next(
                k for k in ("flows", "stocks", "indicators") if cycle[0] in getattr(self.file, k)
            )
            self._fail(
                f"{' -> '.join([*cycle, cycle[0]])} form a loop, each needing the next; loops are "
                "not solved yet, cut it by giving one of them a value that does not use the others",
                kind,
                cycle[0],
            )

    def _check_share_sums(self) -> None:
        """Refuse shares that take more than everything, where parameters alone decide them."""
        parameters = self.scenario.parameters
        central = {name: central_values(p, self.dims) for name, p in parameters.items()}
        for process in self.file.processes:
            shares = [s for s in self.rules.values() if isinstance(s, Share)]
            leaving = [s for s in shares if self.file.flows[s.target].origin == process]
            leaving = [s for s in leaving if s.expression.names <= set(parameters)]
            total = np.zeros(1)
            for share in leaving:
                values = evaluate_expression(share.expression, central)
                total = total + _summed(values, share, self.dims)
                if values.min() < 0:
                    message = (
                        f"the share of {share.target!r} is {values.min():g}; shares lie in [0, 1]"
                    )
                    self._fail(message, "flows", share.target, "share")
            if total.max() > 1 + 1e-12:
                names = ", ".join(share.target for share in leaving)
                message = f"the shares that leave {process!r} ({names}) sum to {total.max():.6g}"
                self._fail(f"{message}, more than 1", "flows", leaving[-1].target, "share")

    # --- the plan --------------------------------------------------------------------------

    def plan(self, keep: Iterable[str] | None, quantities: Mapping[str, tuple[str, str]]) -> Plan:
        outputs = [self._output(name) for name in self._kept(keep)]
        rules = dict(self.rules)
        extra = []
        for name, (text, where) in quantities.items():
            expression = self._quantity(text, where)
            rules[name] = Formula(name, expression.dims, expression)
            unit = self.scenario.units.name(expression.dimension or NONE)
            extra.append(Output(name, expression.dims, unit, 1.0, "quantity", name, ""))
        needed = self._needed([o.name for o in (*outputs, *extra)], rules)
        order = [name for name in (*self.order, *quantities) if name in needed]
        rules |= self._without_idle_releases(rules, needed)
        parameters = frozenset(needed & set(self.scenario.parameters))
        drawn = samplers(self.scenario, parameters, self._ranges())
        varying = {sampler.name for sampler in drawn}
        fixed, steps = [], []
        for name in order:
            if self._inputs(rules[name]) & varying:
                varying.add(name)
                steps.append(rules[name])
            else:
                fixed.append(rules[name])
        certain = parameters - {sampler.name for sampler in drawn}
        return Plan(
            dims=self.dims,
            samplers=drawn,
            constants={
                name: central_values(self.scenario.parameters[name], self.dims)
                for name in sorted(certain)
            },
            fixed=tuple(fixed),
            steps=tuple(steps),
            outputs=(*outputs, *extra),
            positive=self._positive() & parameters,
        )

    def _quantity(self, text: str, where: str) -> Expression:
        try:
            return compile_expression(text, self.variables, self.dims)
        except ExpressionError as wrong:
            raise InputError(str(wrong), where) from None

    def _kept(self, keep: Iterable[str] | None) -> list[str]:
        known = [*self.file.flows, *self.file.stocks, *self.file.indicators]
        if keep is None:
            return known
        chosen = list(dict.fromkeys(keep))
        for name in chosen:
            if name not in known and name not in self.scenario.parameters:
                message = f"nothing is named {name!r}"
                allowed = [*known, *self.scenario.parameters]
                raise InputError(f"{message}; {nearest(name, allowed)}", f"--keep {name}")
        return chosen

    def _needed(self, wanted: list[str], rules: Mapping[str, Step]) -> set[str]:
        needed, waiting = set(), list(wanted)
        while waiting:
            name = waiting.pop()
            if name not in needed:
                needed.add(name)
                waiting.extend(self._inputs(rules[name]) if name in rules else ())
        return needed

    def _without_idle_releases(
        self, rules: Mapping[str, Step], needed: set[str]
    ) -> dict[str, Step]:
        """Return the stocks whose release no needed step reads, without it: half their work."""
        read = {
            term.name
            for name in needed & set(rules)
            for term in getattr(rules[name], "terms", ()) + getattr(rules[name], "inflows", ())
        }
        stocks = {name: rules[name] for name in needed & set(self.file.stocks)}
        return {
            name: replace(stock, release="")
            for name, stock in stocks.items()
            if isinstance(stock, Cohort) and stock.release not in read
        }

    def _positive(self) -> frozenset[str]:
        cohorts = [step for step in self.rules.values() if isinstance(step, Cohort)]
        return frozenset().union(*(c.scale.names | c.shape.names for c in cohorts))

    def _ranges(self) -> dict[str, tuple[float, float]]:
        """Return the physical range of each parameter: said, a share, or not negative."""
        shares = {
            step.expression.name
            for step in self.rules.values()
            if isinstance(step, Share) and step.expression.operation == "name"
        }
        return {
            name: parameter.range or ((0.0, 1.0) if name in shares else (0.0, math.inf))
            for name, parameter in self.scenario.parameters.items()
        }

    def _output(self, name: str) -> Output:
        units = self.scenario.units
        if name in self.scenario.parameters:
            p = self.scenario.parameters[name]
            return Output(name, p.dims, p.unit, 1 / p.factor, "parameter", p.title or name, p.note)
        kinds: dict[str, Mapping[str, FlowEntry | StockEntry | IndicatorEntry]] = {
            "flow": self.file.flows,
            "stock": self.file.stocks,
            "indicator": self.file.indicators,
        }
        kind = next(k for k, members in kinds.items() if name in members)
        entry = kinds[kind][name]
        dimension = self.variables[name].dimension
        unit, scale = units.name(dimension), 1.0
        if kind == "indicator" and self.file.indicators[name].unit is not None:
            unit = self.file.indicators[name].unit or "1"
            scale = 1 / self._convert(unit, dimension, name)
        title = entry.title or name.replace("_", " ")
        return Output(name, self.rules[name].dims, unit, scale, kind, title, entry.note)

    def _convert(self, unit: str, dimension: Dimension, name: str) -> float:
        try:
            if self.scenario.units.dimension(unit) != dimension:
                wanted = self.scenario.units.name(dimension)
                raise UnitError(f"{name!r} is in {wanted}, which cannot be converted to {unit!r}")
            return self.scenario.units.factor(unit)
        except UnitError as wrong:
            self._fail(str(wrong), "indicators", name, "unit")


def _summed(values: Floats, share: Share, dims: Dims) -> Floats:
    """Sum a share over the dims its source is not known by, which it splits."""
    full = align(values, share.expression.dims, share.dims, dims)
    split = tuple(n for n, dim in enumerate(share.dims) if dim not in share.total_dims)
    return np.asarray(full.sum(axis=split).max(), dtype=np.float64)


def _names(text: str) -> set[str]:
    try:
        tree = parse(text)
    except ExpressionError:
        return set()  # reported by the compiler of the expression
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def _weibull(text: str) -> tuple[str, str] | None:
    """Return the two arguments of ``weibull(scale, shape)``, positional or by name."""
    match parse(text):
        case ast.Call(func=ast.Name(id="weibull"), args=[scale, shape], keywords=[]):
            return ast.unparse(scale), ast.unparse(shape)
        case ast.Call(func=ast.Name(id="weibull"), args=[], keywords=[one, two]):
            given = {one.arg: one.value, two.arg: two.value}
            if set(given) == {"scale", "shape"}:
                return ast.unparse(given["scale"]), ast.unparse(given["shape"])
    return None
