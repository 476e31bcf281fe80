"""Compile a scenario to a plan: every quantity determined once, in an order that can be computed.

The steps are sorted so that each finds its inputs ready; steps that need each other are a loop and
become one step. What cannot be solved is named.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import replace
from typing import Any

from ndmc.errors import InputError, Mistakes, nearest, shortened
from ndmc.plan.flows import flow_steps
from ndmc.plan.loop_rules import LoopError
from ndmc.plan.loops import compile_loop
from ndmc.plan.memory import MACHINE, Memory
from ndmc.plan.ordering import cycle_through, in_order
from ndmc.plan.samplers import samplers
from ndmc.plan.steps import (
    Account,
    Before,
    Cohort,
    Conditioning,
    Formula,
    March,
    Output,
    Plan,
    Profile,
    Share,
    Single,
    Step,
    one_by_one,
)
from ndmc.plan.stock_lifetimes import positive_parameters
from ndmc.plan.stocks import profile_steps, stock_steps
from ndmc.plan.vocabulary import Vocabulary
from ndmc.plan.watches import loop_watches, range_watches, step_watches
from ndmc.scenario.along import EVENTS
from ndmc.scenario.expressions import Expression
from ndmc.scenario.operations import COMPARISONS
from ndmc.scenario.scenario import Scenario
from ndmc.scenario.units import NONE, Dimension, UnitError

__all__ = ["build_plan"]


def build_plan(
    scenario: Scenario,
    keep: Iterable[str] | None = None,
    quantities: Mapping[str, tuple[str, str]] | None = None,
    *,
    whole: bool = False,
    conditioning: Callable[[], Conditioning] | None = None,
    memory: Memory = MACHINE,
) -> Plan:
    """Turn a checked scenario into an ordered plan, as `ndmc.compile_plan` does.

    Parameters
    ----------
    scenario, keep, quantities, whole
        As of `ndmc.compile_plan`.
    conditioning
        Makes what reconciles the draws; called once it is known that the plan can be made.
    memory
        What compiling may take.
    """
    names = Vocabulary(scenario, memory, Mistakes(scenario.mistakes))
    unordered = _steps(names)
    with names.mistakes:
        ordered = _sorted(names, unordered)
        outputs = _outputs(names, _kept(names, keep))
    formulas = [_quantity(names, name, *given) for name, given in (quantities or {}).items()]
    outputs += [_quantity_output(names, formula) for formula in formulas]
    everything = (*names.file.flows, *names.file.stocks) if whole else ()
    wanted = (*(output.name for output in outputs), *everything)
    steps, read = _needed([*ordered, *formulas], wanted)
    moved = conditioning() if conditioning else None
    if moved and read.isdisjoint(moved.parameters):
        moved = None
    read |= set(moved.parameters) if moved else set()
    parameters = frozenset(read & set(scenario.parameters))
    drawn = samplers(scenario, parameters, _ranges(names, steps))
    uncertain = {sampler.name for sampler in drawn}
    fixed, varying = split(uncertain, steps)
    made = {name for step in steps for name in step.targets} | parameters
    watches = [watch for watch in step_watches(names, unordered) if watch.name in made]
    return Plan(
        dims=names.dims,
        samplers=drawn,
        constants={name: names.means[name] for name in sorted(parameters - uncertain)},
        fixed=tuple(fixed),
        steps=tuple(varying),
        outputs=tuple(outputs),
        accounts=tuple(account for account in _accounts(names) if account.inputs <= made),
        watches=(*range_watches(names, drawn), *watches, *loop_watches(names, steps)),
        positive=positive_parameters(unordered) & parameters,
        events=_events(steps).intersection(output.name for output in outputs),
        conditioning=moved,
        memory=memory,
    )


def _steps(names: Vocabulary) -> list[Single]:
    """Return the steps that determine everything, in no order."""
    with names.mistakes:
        found = names.mistakes.found
        stocks = stock_steps(names)
        # What a stock with a mistake determines is not known, nor which flows are left open.
        flows = flow_steps(names, closed=names.mistakes.found == found)
    return [*names.indicators.values(), *stocks, *profile_steps(names, stocks), *flows]


# --- order -------------------------------------------------------------------------------------


def _sorted(names: Vocabulary, steps: Sequence[Single]) -> list[Step]:
    """Return the steps in an order that finds inputs ready, each loop as one step."""
    maker = {name: number for number, step in enumerate(steps) for name in step.targets}
    needs = {
        number: sorted({maker[name] for name in step.inputs if name in maker})
        for number, step in enumerate(steps)
    }
    found: list[Step] = []
    for group in in_order(needs):
        looped = len(group) > 1 or group[0] in needs[group[0]]
        with names.mistakes.apart():
            found.append(_loop(names, [steps[n] for n in group]) if looped else steps[group[0]])
    return found


def _loop(names: Vocabulary, members: Sequence[Single]) -> March:
    try:
        return compile_loop(members, names.dims)
    except LoopError as wrong:
        shown = [name for name in wrong.names if name in names.file.flows]
        shown = shown or [name for name in wrong.names if name in names.variables]
        cycle = cycle_through(members, shown[0]) if shown else [m.targets[0] for m in members]
        text = shortened([*cycle, cycle[0]], " -> ")
        flows = [n for m in members for n in m.targets if n in names.file.flows]
        first = next((n for n in cycle if n in names.file.flows), flows[0] if flows else "")
        key = ("flows", first) if first else ("stocks", members[0].targets[0])
        names.fail(f"the loop {text} cannot be solved: {wrong}", *key)


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


def split(drawn: set[str], steps: Sequence[Step]) -> tuple[list[Step], list[Step]]:
    """Split steps into those that no draw changes and those that draws do."""
    fixed, varying, uncertain = [], [], set(drawn)
    for step in steps:
        if step.inputs & uncertain:
            uncertain |= set(step.targets)
            varying.append(step)
        else:
            fixed.append(step)
    return fixed, varying


# --- what is asked of it ---------------------------------------------------------------------


def _kept(names: Vocabulary, keep: Iterable[str] | None) -> list[str]:
    known = [*names.file.flows, *names.file.stocks, *names.file.indicators]
    if keep is None:
        return known
    chosen = list(dict.fromkeys(keep))
    allowed = dict.fromkeys([*known, *names.scenario.parameters])
    for name in chosen:
        if name not in allowed:
            message = f"nothing is named {name!r}"
            raise InputError(f"{message}; {nearest(name, allowed)}", f"--keep {name}")
    return chosen


def _quantity(names: Vocabulary, name: str, text: str, where: str) -> Formula:
    expression = names.quantity(text, where)
    return Formula(name, expression.dims, expression)


def _quantity_output(names: Vocabulary, formula: Formula) -> Output:
    unit = names.scenario.units.name(formula.expression.dimension or NONE)
    return Output(formula.target, formula.dims, unit, 1.0, "quantity", formula.target, "")


def _outputs(names: Vocabulary, kept: Iterable[str]) -> list[Output]:
    found = []
    for name in kept:
        with names.mistakes.apart():
            found.append(_output(names, name))
    return found


def _output(names: Vocabulary, name: str) -> Output:
    units, file = names.scenario.units, names.file
    if name in names.scenario.parameters:
        p = names.scenario.parameters[name]
        return Output(name, p.dims, p.unit, 1 / p.factor, "parameter", p.title or name, p.note)
    kinds: dict[str, Mapping[str, Any]] = {
        "flow": file.flows,
        "stock": file.stocks,
        "indicator": file.indicators,
    }
    kind = next(k for k, members in kinds.items() if name in members)
    entry, known = kinds[kind][name], names.variables[name]
    unit, scale = units.name(known.dimension), 1.0
    if kind == "indicator" and entry.unit is not None:
        unit = entry.unit or "1"
        scale = 1 / _factor(names, unit, known.dimension, name)
    title = entry.title or name.replace("_", " ")
    return Output(name, known.dims, unit, scale, kind, title, entry.note)


def _factor(names: Vocabulary, unit: str, dimension: Dimension, name: str) -> float:
    units = names.scenario.units
    try:
        if units.dimension(unit) != dimension:
            found = f"{name!r} is in {units.name(dimension)} [{dimension}]"
            raise UnitError(f"{found}, which cannot be converted to {units.as_read(unit)}")
        return units.factor(unit)
    except UnitError as wrong:
        names.fail(str(wrong), "indicators", name, "unit")


# --- what is known of it -----------------------------------------------------------------------


def _ranges(names: Vocabulary, steps: Iterable[Step]) -> dict[str, tuple[float, float]]:
    """Return the physical range of each parameter: said, a share, or not negative."""
    members = [*one_by_one(steps)]
    shares = [step.expression for step in members if isinstance(step, Share)]
    shares += [share for m in members if isinstance(m, Cohort) for _, share in m.removals]
    plain = {one.name for share in shares for one in share.branches if one.operation == "name"}
    return {
        name: parameter.range or (0.0, 1.0 if name in plain else math.inf)
        for name, parameter in names.scenario.parameters.items()
    }


def _accounts(names: Vocabulary) -> list[Account]:
    """Return the balance of every process over the dims that all its flows have."""
    found = []
    unit = names.scenario.units.name(names.scenario.units.flow)
    for process in names.file.processes:
        leaving = (replace(term, sign=-1.0) for term in names.outflows(process))
        terms = (*names.inflows(process), *leaving)
        stock = names.holders.get(process, "")
        held = names.stock_dims(stock) if stock else ()
        spans = [names.dims.full(term.dims) for term in terms]
        spans += [names.dims.full(held)] if stock else []
        dims = names.dims.ordered(set.intersection(*spans))
        before = names.initial(stock) if stock else None
        found.append(Account(process, dims, terms, stock, held, before, unit))
    return found


def _events(steps: Iterable[Step]) -> frozenset[str]:
    """Return the names that may be infinite because of an event; steps come in their order."""
    found: set[str] = set()
    for step in steps:
        dated = any(_may_be_never(part, found) for part in _expressions(step))
        others = step.inputs.difference(*(part.names for part in _expressions(step)))
        if dated or others & found:
            found |= set(step.targets)
    return frozenset(found)


def _may_be_never(part: Expression, events: Set[str]) -> bool:
    """Whether an expression is infinite where an event never happens.

    Comparisons are not, and the largest has a year, even if it is infinite.
    """
    if part.operation in (*COMPARISONS, "argmax"):
        return False
    arguments = part.arguments[1:] if part.operation == "where" else part.arguments
    own = part.operation in EVENTS or (part.operation == "name" and part.name in events)
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
        case Before():
            return (step.inflow, *step.expressions)
        case March():
            return tuple(part for member in step.members for part in _expressions(member))
    return ()
