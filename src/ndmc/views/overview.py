"""A scenario's system in words: processes, what determines each quantity, loops and warnings."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ndmc.dims import align, flat
from ndmc.plan.description import describe
from ndmc.plan.steps import Balance, Cohort, March, Plan, Step
from ndmc.scenario.lifetimes import canonical
from ndmc.scenario.operations import evaluate_expression
from ndmc.scenario.parameters import Parameter
from ndmc.scenario.quality import LEVELS, Rating
from ndmc.scenario.scenario import Scenario
from ndmc.scenario.schema import FlowEntry
from ndmc.scenario.tables import read_table
from ndmc.typing import Floats
from ndmc.views.layers import Edge, Node, Rule
from ndmc.views.quality_map import Rated, indicators_of
from ndmc_kernels.survival import weibull_integer_density

__all__ = ["edges", "loops", "nodes", "notes", "processes", "qualities", "quantities", "ratings"]

Central = Mapping[str, npt.NDArray[Any]]


def _steps(plan: Plan) -> tuple[Step, ...]:
    return (*plan.fixed, *plan.steps)


def _members(plan: Plan) -> Iterator[Step]:
    for step in _steps(plan):
        yield from step.members if isinstance(step, March) else (step,)


def processes(scenario: Scenario, plan: Plan) -> Iterator[tuple[str, ...]]:
    """Yield each process with what enters, leaves and stays, and the flows it closes."""
    flows, stocks = scenario.file.flows, scenario.file.stocks
    closed: dict[str, list[str]] = {process: [] for process in scenario.file.processes}
    for step in _members(plan):
        if isinstance(step, Balance) and step.target in flows:
            closed[step.process].append(step.target)
    for process in scenario.file.processes:
        into = [name for name, flow in flows.items() if flow.target == process]
        out = [name for name, flow in flows.items() if flow.origin == process]
        held = [name for name, stock in stocks.items() if stock.process == process]
        lists = (into, out, held, closed[process])
        yield (process, *(", ".join(names) for names in lists))


def quantities(
    scenario: Scenario, plan: Plan, central: Central
) -> Iterator[tuple[str, str, str, str, str, str, float]]:
    """Yield the outputs in the order of computing, with what determines each and its last value."""
    steps = {output.name: _step_of(plan, output.name) for output in plan.outputs}
    numbers = _numbers(plan)
    for output in sorted(plan.outputs, key=lambda o: (numbers[id(steps[o.name])], o.name)):
        step = steps[output.name]
        label = f"{numbers[id(step)]}{'*' * isinstance(step, March)}"
        rule = describe(step, output.name, scenario)
        added_up = output.kind != "indicator" or output.dims in ((), ("year",))
        last = _last_value(central[output.name]) if added_up else math.nan
        yield label, output.name, output.kind, ", ".join(output.dims), rule, output.unit, last


def _step_of(plan: Plan, name: str) -> Step:
    return next(step for step in _steps(plan) if name in step.targets)


def _numbers(plan: Plan) -> dict[int, int]:
    """Return a number for each step that leads to an output, in the order of computing."""
    shown = {id(_step_of(plan, output.name)) for output in plan.outputs}
    visible = [id(step) for step in _steps(plan) if id(step) in shown]
    return {step: number for number, step in enumerate(visible, start=1)}


def _last_value(values: npt.NDArray[Any]) -> float:
    """Return the total over all dims but year, in the last year."""
    return float(values[..., -1].sum()) if values.ndim else float(values)


def loops(scenario: Scenario, plan: Plan) -> list[str]:
    """Return a sentence for each loop: who needs whom, and whether within a year or over years."""
    found, numbers = [], _numbers(plan)
    for step in (step for step in _steps(plan) if isinstance(step, March)):
        names = ", ".join(name for name in step.targets if _shown(name, scenario))
        way = "solved together in each year" if step.program.gains else "year after year"
        found.append(f"step {numbers[id(step)]}* is a loop, {way}: {names}")
    return found


def _shown(name: str, scenario: Scenario) -> bool:
    file = scenario.file
    return name in file.flows or name in file.stocks or name in file.indicators


def notes(scenario: Scenario, plan: Plan, central: Central) -> list[str]:
    """Return what a person should know before a run."""
    found = [
        f"flow {o.name!r} is negative with every parameter at its mean"
        for o in plan.outputs
        if o.kind == "flow" and central[o.name].min() < 0
    ]
    found += [
        f"parameter {watch.name!r} can be drawn outside its physical range; a run counts how often"
        for watch in plan.watches
        if watch.kind == "range"
    ]
    return found + _unread_scores(scenario) + _excesses(scenario, plan)


def _unread_scores(scenario: Scenario) -> list[str]:
    """Name tables with scores that no parameter reads: columns mean nothing without a method."""
    entries = scenario.file.parameters
    scored = {entries[p.name].table for p in scenario.parameters.values() if any(p.ratings)}
    unread = {entry.table for entry in entries.values() if entry.table} - scored
    return [
        f"{table} has a column 'reliability' that is not read; say quality: {{method: ...}} for it"
        for table in sorted(unread)
        if "reliability" in read_table(scenario.folder / table).header
    ]


def _excesses(scenario: Scenario, plan: Plan) -> list[str]:
    """Say by how much each cell of a stock under pdf_integer loses more or less than all."""
    found = []
    for step in _members(plan):
        if isinstance(step, Cohort) and step.lifetime.convention == "pdf_integer":
            excess = _excess(step, plan)
            if excess is not None:
                low, high = float(excess.min()), float(excess.max())
                found.append(
                    f"stock {step.target!r} does not conserve mass: under pdf_integer a cohort "
                    f"loses {1 + low:.4g} to {1 + high:.4g} times what it was, not 1"
                )
    return found


def _excess(step: Cohort, plan: Plan) -> Floats | None:
    """Return what a cohort loses in 2000 years, as a share of what it was, minus 1, with means."""
    if step.lifetime.normalise == "truncate":
        return None
    values = {s.name: s.central.reshape(*plan.dims.shape(s.dims), 1) for s in plan.samplers}
    values |= plan.constants
    arguments = dict(step.lifetime.arguments)
    if not all(e.names <= set(values) for e in arguments.values()):
        return None
    given = {
        name: align(evaluate_expression(e, values), e.dims, step.dims, plan.dims)
        for name, e in arguments.items()
    }
    scale, shape = (flat(array, 1) for array in canonical("weibull", given))
    left = np.empty((len(scale), 2000, 1))
    weibull_integer_density(scale, shape, left)
    return -left[:, -1]


# --- quality of data -------------------------------------------------------------------------


def ratings(scenario: Scenario) -> list[Rated]:
    """Return the quality of every cell that has scores, in one row where cells are alike."""
    return [
        row
        for parameter in scenario.parameters.values()
        if any(parameter.ratings)
        for row in _ratings_of(scenario, parameter)
    ]


def _ratings_of(scenario: Scenario, parameter: Parameter) -> list[Rated]:
    """Return the rows of one parameter, without the dims along which nothing changes."""
    labels = [tuple(cell.values()) for cell in scenario.dims.cells(parameter.dims)]
    found: dict[tuple[str, ...], Rating | None] = dict(zip(labels, parameter.ratings, strict=True))
    for axis in reversed(range(len(parameter.dims))):
        merged: dict[tuple[str, ...], set[Rating | None]] = {}
        for key, rating in found.items():
            merged.setdefault(key[:axis] + key[axis + 1 :], set()).add(rating)
        if all(len(alike) == 1 for alike in merged.values()):
            found = {key: alike.pop() for key, alike in merged.items()}
    cells = len(labels) // len(found)
    return [
        Rated(parameter.name, ", ".join(key), cells, rating)
        for key, rating in found.items()
        if rating
    ]


def qualities(rows: list[Rated]) -> Iterator[tuple[str, ...]]:
    """Yield a line for each parameter and method: cells, scores, cv and distribution."""
    groups: dict[tuple[str, str], list[Rated]] = {}
    for row in rows:
        groups.setdefault((row.parameter, row.rating.method), []).append(row)
    for (name, method), alike in groups.items():
        scores = ", ".join(_scores(alike, indicator) for indicator in indicators_of(alike))
        cells = str(sum(row.cells for row in alike))
        cvs = [row.rating.cv for row in alike]
        yield name, method, scores, _kinds(alike), cells, f"{_span(cvs, 100)} %"


def _scores(rows: list[Rated], indicator: str) -> str:
    """Return an indicator with its scores and sensitivities from the least to the greatest."""
    given = [dict(row.rating.scores) for row in rows]
    scores = [one[indicator] for one in given if indicator in one]
    found = {dict(row.rating.sensitivities).get(indicator) for row in rows}
    levels = "/".join(level for level in reversed(LEVELS) if level in found)
    return f"{indicator} {_span(scores, 1)}" + f" ({levels})" * bool(levels)


def _kinds(rows: list[Rated]) -> str:
    """Return the distributions, and of how many cells each is where there are several."""
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.rating.distribution] = counts.get(row.rating.distribution, 0) + row.cells
    several = len(counts) > 1
    return ", ".join(f"{kind} {n}" if several else kind for kind, n in counts.items())


def _span(values: list[float], factor: float) -> str:
    low, high = (f"{factor * value:.3g}" for value in (min(values), max(values)))
    return low if low == high else f"{low}..{high}"


# --- the diagram -----------------------------------------------------------------------------


def nodes(scenario: Scenario) -> list[Node]:
    """Return the processes and the nodes of the environment."""
    file = scenario.file
    holders = {stock.process: name for name, stock in file.stocks.items()}
    ends = [node for flow in file.flows.values() for node in (flow.origin, flow.target)]
    outside = [node for node in dict.fromkeys(ends) if node not in file.processes]
    inside = [Node(name, "process", holders.get(name, "")) for name in file.processes]
    return inside + [Node(name, "environment") for name in outside]


def edges(scenario: Scenario, plan: Plan) -> list[Edge]:
    """Return the flows, with what determines each."""
    loop = {name for step in _steps(plan) if isinstance(step, March) for name in step.targets}
    maker = {name: step for step in _members(plan) for name in step.targets}
    found = []
    for name, flow in scenario.file.flows.items():
        text = describe(maker[name], name, scenario)
        rule = _rule(flow, maker[name])
        found.append(Edge(name, flow.origin, flow.target, rule, text, name in loop))
    return found


def _rule(flow: FlowEntry, step: Step) -> Rule:
    if flow.value is not None:
        return "value"
    if flow.share is not None:
        return "share"
    return "balance" if isinstance(step, Balance) and step.kind == "balance" else "stock"
