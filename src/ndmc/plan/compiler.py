"""Compile a scenario to a plan: every quantity determined once, in an order that can be computed.

Each flow is given, a share, determined by a stock, or open and closed by an equation of its own.
The steps are sorted so that each finds its inputs ready; steps that need each other are a loop and
become one step. What cannot be solved is named.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import replace
from typing import Any

import numpy as np

from ndmc.dims import Dims, align
from ndmc.errors import InputError, nearest
from ndmc.plan.closing import Equation, close_flows
from ndmc.plan.loops import LoopError, compile_loop
from ndmc.plan.ordering import in_order
from ndmc.plan.samplers import Sampler, central_values, samplers
from ndmc.plan.steps import (
    Balance,
    Cohort,
    Conditioning,
    Falling,
    Formula,
    Ledger,
    March,
    Output,
    Plan,
    Profile,
    Share,
    Step,
    Term,
    Watch,
    hidden,
)
from ndmc.plan.stocks import positive_parameters, profile_steps, stock_steps
from ndmc.plan.vocabulary import Vocabulary
from ndmc.scenario.expressions import Expression
from ndmc.scenario.operations import COMPARISONS, evaluate_expression
from ndmc.scenario.scenario import Scenario
from ndmc.scenario.units import NONE, Dimension, UnitError
from ndmc.typing import Floats

__all__ = ["build_plan"]


def build_plan(
    scenario: Scenario,
    keep: Iterable[str] | None = None,
    quantities: Mapping[str, tuple[str, str]] | None = None,
    *,
    whole: bool = False,
    conditioning: Callable[[], Conditioning] | None = None,
) -> Plan:
    """Turn a checked scenario into an ordered plan, as `ndmc.compile_plan` does.

    Parameters
    ----------
    scenario, keep, quantities, whole
        As of `ndmc.compile_plan`.
    conditioning
        Makes what reconciles the draws; called once it is known that the plan can be made.
    """
    return _Compiler(scenario).plan(keep, quantities or {}, whole, conditioning)


class _Compiler:
    """One compilation; the attributes are what has been worked out of the scenario so far."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.file = scenario.file
        self.dims = scenario.dims
        self.names = Vocabulary(scenario)
        self.fail = self.names.fail
        stocks = stock_steps(self.names)
        self.closed_by = close_flows(self.names)
        steps = [*self.names.indicators.values(), *stocks, *profile_steps(self.names, stocks)]
        steps += [step for name in self.file.flows for step in self._flow(name)]
        self._check_share_sums(steps)
        self.watches = self._watches(steps)
        self.positive = positive_parameters(steps)
        self.steps = self._sorted(steps)

    # --- flows -------------------------------------------------------------------------------

    def _flow(self, name: str) -> list[Step]:
        """Return the step that determines a flow, unless a stock does."""
        flow = self.file.flows[name]
        if flow.value is not None and flow.share is not None:
            self.fail("give either value or share, not both", "flows", name, "share")
        if flow.value is not None:
            return [self._given(name, flow.value)]
        if flow.share is not None:
            return [self._share(name, flow.share, flow.origin)]
        if name in self.closed_by:
            return [self._balance(name, self.closed_by[name])]
        return []

    def _given(self, name: str, text: str) -> Formula:
        key = ("flows", name, "value")
        expression, units = self.names.expression(text, *key), self.scenario.units
        if expression.dimension not in (units.flow, None):
            hint = ""
            if expression.dimension == units.stock:
                hint = "; a parameter that counts what happens in a year says so in its unit (1/yr)"
            self.fail(
                f"flow {name!r} comes out as [{expression.dimension}] but must be [{units.flow}] "
                f"({units.name(units.flow)}){hint}",
                *key,
            )
        dims = self.names.flow_dims(name)
        self.names.check_dims(name, expression, dims, *key)
        return Formula(name, dims, expression)

    def _share(self, name: str, text: str, source: str) -> Share:
        key = ("flows", name, "share")
        expression = self.names.expression(text, *key)
        if expression.dimension not in (NONE, None):
            self.fail(f"a share must be a plain number, not [{expression.dimension}]", *key)
        dims = self.names.flow_dims(name)
        self.names.check_dims(name, expression, dims, *key)
        if source not in self.file.processes:
            self.fail(f"{source!r} is not a process, so nothing is known to enter it", *key)
        stock = self.names.holders.get(source, "")
        if stock and self.file.stocks[stock].kind == "lifetime":
            release = Term(hidden(stock, "release"), self.names.stock_dims(stock))
            inflows: tuple[Term, ...] = (release,)
        else:
            inflows = self.names.inflows(source)
        total = [dim for dim in dims if all(dim in term.dims for term in inflows)]
        unsplit = [dim for dim in dims if dim not in total and dim not in expression.dims]
        if unsplit:
            self.fail(
                f"what enters {source!r} is not known by {unsplit[0]!r}; "
                "give a share with that dim, or drop it from the flow",
                *key,
            )
        return Share(name, dims, inflows, tuple(total), expression)

    def _balance(self, name: str, equation: Equation) -> Balance:
        process, dims = equation.process, self.names.flow_dims(name)
        enters = self.file.flows[name].target == process
        into = [] if equation.kind == "release" else [*self.names.inflows(process)]
        out = [] if equation.kind == "inflow" else [*self.names.outflows(process)]
        terms = [replace(term, sign=-1.0 if enters else 1.0) for term in into]
        terms += [replace(term, sign=1.0 if enters else -1.0) for term in out]
        stock = self.names.holders.get(process, "")
        if equation.kind != "balance":
            removed = self.file.stocks[stock].removals
            terms = [term for term in terms if term.name not in removed]
            terms.insert(0, Term(hidden(stock, equation.kind), self.names.stock_dims(stock)))
        terms = [term for term in terms if term.name != name]
        for term in terms:
            missing = [dim for dim in dims if dim not in term.dims]
            if missing:
                self.fail(
                    f"flow {name!r} is closed by {equation.text}, but {term.name!r} is not known "
                    f"by {missing[0]!r}; drop the dim or give the flow a value or share",
                    "flows",
                    name,
                )
        return Balance(name, dims, process, equation.kind, tuple(terms))

    def _check_share_sums(self, steps: Sequence[Step]) -> None:
        """Refuse shares that take more than everything, where parameters alone decide them."""
        parameters = self.scenario.parameters
        central = {name: central_values(p, self.dims) for name, p in parameters.items()}
        shares = [step for step in steps if isinstance(step, Share)]
        shares = [share for share in shares if share.expression.names <= set(parameters)]
        for share in shares:
            lowest = evaluate_expression(share.expression, central).min()
            if lowest < 0:
                message = f"the share of {share.target!r} is {lowest:g}; shares lie in [0, 1]"
                self.fail(message, "flows", share.target, "share")
        for process in self.file.processes:
            leaving = [s for s in shares if self.file.flows[s.target].origin == process]
            total = _least(leaving, central, self.dims)
            if total > 1 + 1e-12:
                names = ", ".join(share.target for share in leaving)
                message = f"the shares that leave {process!r} ({names}) sum to {total:.6g}"
                self.fail(f"{message}, more than 1", "flows", leaving[-1].target, "share")

    # --- order -----------------------------------------------------------------------------

    def _sorted(self, steps: Sequence[Step]) -> list[Step]:
        """Return the steps in an order that finds inputs ready, each loop as one step."""
        maker = {name: number for number, step in enumerate(steps) for name in step.targets}
        needs = {
            number: sorted({maker[name] for name in step.inputs if name in maker})
            for number, step in enumerate(steps)
        }
        found = []
        for group in in_order(needs):
            looped = len(group) > 1 or group[0] in needs[group[0]]
            found.append(self._loop([steps[n] for n in group]) if looped else steps[group[0]])
        return found

    def _loop(self, members: Sequence[Step]) -> March:
        try:
            return compile_loop(members, self.dims)
        except LoopError as wrong:
            shown = [name for name in wrong.names if name in self.file.flows]
            shown = shown or [name for name in wrong.names if name in self.names.variables]
            cycle = _cycle(members, shown[0]) if shown else [m.targets[0] for m in members]
            text = " -> ".join([*cycle, cycle[0]])
            flows = [n for m in members for n in m.targets if n in self.file.flows]
            first = next((n for n in cycle if n in self.file.flows), flows[0] if flows else "")
            key = ("flows", first) if first else ("stocks", members[0].targets[0])
            self.fail(f"the loop {text} cannot be solved: {wrong}", *key)

    # --- what to count -----------------------------------------------------------------------

    def _watches(self, steps: Sequence[Step]) -> list[Watch]:
        found = []
        for step in steps:
            if isinstance(step, Balance) and step.target in self.file.flows:
                if step.kind != "inflow":  # of those the stock's own watch tells more
                    found.append(Watch(step.target, "negative"))
            elif isinstance(step, Formula | Share) and step.target in self.file.flows:
                found.append(Watch(step.target, "given_negative"))
            if isinstance(step, Cohort) and step.level:
                where = self.names.where("stocks", step.target)
                found.append(Watch(step.target, _ANSWERS[step.answer]))
                found.append(Watch(step.target, "negative_stock", value=step.level))
                found.append(Watch(step.target, "short_start", high=0.2))
                found.append(Watch(step.target, "no_start", high=1e-3, where=where))
            if isinstance(step, Formula | Share):
                clips = step.expression.parts("clip")
                found += [Watch(step.target, "clip", value=clip) for clip in clips]
        return found

    def _loop_watches(self, steps: Iterable[Step]) -> list[Watch]:
        found = []
        for step in (step for step in steps if isinstance(step, March)):
            for _, names in step.program.gains:
                flows = [name for name in names if name in self.file.flows] or [*names]
                cycle = _cycle(step.members, flows[0]) or flows
                kind = "flows" if flows[0] in self.file.flows else "stocks"
                where = self.names.where(kind, flows[0])
                watch = Watch(names[0], "gain", where=where, loop=tuple(cycle), group=names)
                found.append(watch)
        return found

    def _range_watches(self, drawn: Iterable[Sampler]) -> list[Watch]:
        return [
            Watch(sampler.name, "range", low=sampler.range[0], high=sampler.range[1])
            for sampler in drawn
            if sampler.reaches_out
        ]

    # --- the plan --------------------------------------------------------------------------

    def plan(
        self,
        keep: Iterable[str] | None,
        quantities: Mapping[str, tuple[str, str]],
        whole: bool,
        conditioning: Callable[[], Conditioning] | None,
    ) -> Plan:
        outputs = [self._output(name) for name in self._kept(keep)]
        extra, steps = [], [*self.steps]
        for name, (text, where) in quantities.items():
            expression = self.names.quantity(text, where)
            steps.append(Formula(name, expression.dims, expression))
            unit = self.scenario.units.name(expression.dimension or NONE)
            extra.append(Output(name, expression.dims, unit, 1.0, "quantity", name, ""))
        wanted = [output.name for output in (*outputs, *extra)]
        wanted += [*self.file.flows, *self.file.stocks] if whole else []
        steps, needed = _needed(steps, wanted)
        moved = conditioning() if conditioning else None
        if moved and needed.isdisjoint(moved.parameters):
            moved = None
        needed |= set(moved.parameters) if moved else set()
        parameters = frozenset(needed & set(self.scenario.parameters))
        drawn = samplers(self.scenario, parameters, self._ranges(steps))
        fixed, varying = _split({sampler.name for sampler in drawn}, steps)
        certain = parameters - {sampler.name for sampler in drawn}
        made = {name for step in steps for name in step.targets} | parameters
        watches = [watch for watch in self.watches if watch.name in made]
        watches += self._loop_watches(steps)
        return Plan(
            dims=self.dims,
            samplers=drawn,
            constants={
                name: central_values(self.scenario.parameters[name], self.dims)
                for name in sorted(certain)
            },
            fixed=tuple(fixed),
            steps=tuple(varying),
            outputs=(*outputs, *extra),
            ledgers=tuple(ledger for ledger in self._ledgers() if ledger.inputs <= made),
            watches=(*self._range_watches(drawn), *watches),
            positive=self.positive & parameters,
            events=_events(steps).intersection(output.name for output in (*outputs, *extra)),
            conditioning=moved,
        )

    def _ledgers(self) -> list[Ledger]:
        """Return the balance of every process over the dims that all its flows have."""
        found = []
        for process in self.file.processes:
            leaving = (replace(term, sign=-1.0) for term in self.names.outflows(process))
            terms = (*self.names.inflows(process), *leaving)
            stock = self.names.holders.get(process, "")
            held = self.names.stock_dims(stock) if stock else ()
            spans = [set(term.dims) for term in terms] + ([set(held)] if stock else [])
            dims = self.dims.ordered(set.intersection(*spans))
            before = self._before(stock)
            unit = self.scenario.units.name(self.scenario.units.flow)
            found.append(Ledger(process, dims, terms, stock, held, before, unit))
        return found

    def _before(self, stock: str) -> Expression | None:
        initial = self.file.stocks[stock].initial if stock else None
        return None if initial is None else self.names.expression(initial.value, "stocks", stock)

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

    def _ranges(self, steps: Iterable[Step]) -> dict[str, tuple[float, float]]:
        """Return the physical range of each parameter: said, a share, or not negative."""
        members = [m for s in steps for m in (s.members if isinstance(s, March) else (s,))]
        shares = {
            step.expression.name
            for step in members
            if isinstance(step, Share) and step.expression.operation == "name"
        }
        removals = [share for m in members if isinstance(m, Cohort) for _, share in m.removals]
        shares |= {share.name for share in removals if share.operation == "name"}
        return {
            name: parameter.range or ((0.0, 1.0) if name in shares else (0.0, math.inf))
            for name, parameter in self.scenario.parameters.items()
        }

    def _output(self, name: str) -> Output:
        units = self.scenario.units
        if name in self.scenario.parameters:
            p = self.scenario.parameters[name]
            return Output(name, p.dims, p.unit, 1 / p.factor, "parameter", p.title or name, p.note)
        kinds: dict[str, Mapping[str, Any]] = {
            "flow": self.file.flows,
            "stock": self.file.stocks,
            "indicator": self.file.indicators,
        }
        kind = next(k for k, members in kinds.items() if name in members)
        entry, known = kinds[kind][name], self.names.variables[name]
        unit, scale = units.name(known.dimension), 1.0
        if kind == "indicator" and entry.unit is not None:
            unit = entry.unit or "1"
            scale = 1 / self._convert(unit, known.dimension, name)
        title = entry.title or name.replace("_", " ")
        return Output(name, known.dims, unit, scale, kind, title, entry.note)

    def _convert(self, unit: str, dimension: Dimension, name: str) -> float:
        try:
            if self.scenario.units.dimension(unit) != dimension:
                wanted = self.scenario.units.name(dimension)
                raise UnitError(f"{name!r} is in {wanted}, which cannot be converted to {unit!r}")
            return self.scenario.units.factor(unit)
        except UnitError as wrong:
            self.fail(str(wrong), "indicators", name, "unit")


_ANSWERS: dict[str, Falling] = {
    "report": "negative_inflow",
    "clip": "clipped_inflow",
    "early_retirement": "early_retirement",
}


def _cycle(members: Sequence[Step], start: str) -> list[str]:
    """Return the shortest way from a quantity of a loop back to itself, without hidden names."""
    maker = {name: step for step in members for name in step.targets}
    paths = [[start]]
    seen = {start}
    for path in paths:
        for name in sorted(maker[path[-1]].inputs & set(maker)):
            if name == start:
                return [n for n in path if " " not in n and not n.startswith("_")]
            if name not in seen:
                seen.add(name)
                paths.append([*path, name])
    return [start]


def _needed(steps: Sequence[Step], wanted: Iterable[str]) -> tuple[list[Step], set[str]]:
    """Return the steps that lead to what is wanted, without idle parts, and all they read."""
    needed, found = set(wanted), []
    for step in reversed(steps):
        if needed & set(step.targets):
            needed |= step.inputs
            found.append(_without_idle_parts(step, needed))
    return found[::-1], needed


def _without_idle_parts(step: Step, needed: set[str]) -> Step:
    """Return a stock whose release or inflow nothing reads without them: half its work."""
    if not isinstance(step, Cohort):
        return step
    return replace(
        step,
        inflow=step.inflow if step.inflow in needed else "",
        release=step.release if step.release in needed else "",
        kept=step.kept if step.kept in needed else "",
    )


def _split(drawn: set[str], steps: Sequence[Step]) -> tuple[list[Step], list[Step]]:
    """Split steps into those that no draw changes and those that draws do."""
    fixed, varying, uncertain = [], [], set(drawn)
    for step in steps:
        if step.inputs & uncertain:
            uncertain |= set(step.targets)
            varying.append(step)
        else:
            fixed.append(step)
    return fixed, varying


def _events(steps: Iterable[Step]) -> frozenset[str]:
    """Return the names that may be infinite because of a first year; steps come in their order."""
    found: set[str] = set()
    for step in steps:
        dated = any(_may_be_never(part, found) for part in _expressions(step))
        others = step.inputs.difference(*(part.names for part in _expressions(step)))
        if dated or others & found:
            found |= set(step.targets)
    return frozenset(found)


def _may_be_never(part: Expression, events: Set[str]) -> bool:
    """Whether an expression is infinite where an event never happens; comparisons are not."""
    if part.operation in COMPARISONS:
        return False
    arguments = part.arguments[1:] if part.operation == "where" else part.arguments
    own = part.operation == "first_year" or (part.operation == "name" and part.name in events)
    return own or any(_may_be_never(argument, events) for argument in arguments)


def _expressions(step: Step) -> tuple[Expression, ...]:
    """Return every expression that a step evaluates."""
    match step:
        case Formula() | Share():
            return (step.expression,)
        case Cohort():
            return step.expressions
        case Profile():
            return step.cohort.expressions
        case March():
            return tuple(part for member in step.members for part in _expressions(member))
    return ()


def _least(shares: Sequence[Share], central: Mapping[str, Floats], dims: Dims) -> float:
    """Return the largest sum of shares over the cells they have in common.

    A share is summed over the dims that it splits. Of dims that only some of them have, the
    smallest share counts: how much each label weighs is not known.
    """
    if not shares:
        return 0.0
    common = set.intersection(*(set(share.total_dims) for share in shares))
    total = np.zeros(1)
    for share in shares:
        full = align(
            evaluate_expression(share.expression, central),
            share.expression.dims,
            share.dims,
            dims,
        )
        split = tuple(n for n, dim in enumerate(share.dims) if dim not in share.total_dims)
        known = full.sum(axis=split)
        extra = tuple(n for n, dim in enumerate(share.total_dims) if dim not in common)
        total = total + known.min(axis=extra)
    return float(total.max())
