"""A scenario checked before any draw: what determines each quantity, loops, and warnings."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ndmc.dims import Dims, align, flat
from ndmc.engine.cautions import cautions
from ndmc.errors import InputError, Mistakes, warn
from ndmc.label import LabelError, Labels
from ndmc.legible import few_lines
from ndmc.plan.description import describe, members_of, steps_of
from ndmc.plan.steps import Balance, Cohort, March, Output, Plan, Step
from ndmc.runs.asked import read_asked
from ndmc.runs.ensemble_options import EnsembleOptions
from ndmc.scenario.lifetimes import canonical
from ndmc.scenario.load import as_scenario, load_each, under, with_members
from ndmc.scenario.operations import evaluate_expression
from ndmc.scenario.scenario import Scenario
from ndmc.store.keys import ENSEMBLE
from ndmc.studies.compositions import Whole, wholes
from ndmc.studies.ensembles import prepared
from ndmc.studies.examination import Central, doubts, examined
from ndmc.studies.ratings import Quality, qualities
from ndmc.typing import Floats
from ndmc_kernels.survival import weibull_integer_density

__all__ = ["Checked", "check"]


@dataclass(frozen=True)
class Inventory:
    """A process: flows that enter and leave it, stocks it holds, and flows its balance closes."""

    process: str
    enter: tuple[str, ...]
    leave: tuple[str, ...]
    stocks: tuple[str, ...]
    closes: tuple[str, ...]


@dataclass(frozen=True)
class Determined:
    """A quantity: the step that computes it, a loop if it has a star, and what determines it.

    ``values`` are its totals in the years that are shown with every parameter at its mean, nan
    where values cannot be added up.
    """

    step: str
    output: Output
    rule: str
    values: tuple[float, ...]

    @property
    def last(self) -> float:
        """The last of the values."""
        return self.values[-1]


@dataclass(frozen=True)
class Checked:
    """A scenario that can be run.

    Attributes
    ----------
    scenario, plan
        What was checked, and how it is computed.
    processes
        Each process with its flows and stocks.
    years
        Those that values are shown of: the last, or those picked.
    quantities
        Flows, stocks and indicators in the order of computing.
    loops
        A sentence for each loop.
    qualities
        What follows from scores of data, for each parameter that has them.
    wholes
        What is known of parameters whose cells sum to 1 in every draw.
    notes
        What to know before a run.
    """

    scenario: Scenario
    plan: Plan
    processes: tuple[Inventory, ...]
    years: tuple[int, ...]
    quantities: tuple[Determined, ...]
    loops: tuple[str, ...]
    qualities: tuple[Quality, ...]
    wholes: tuple[Whole, ...]
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        quantities, processes = len(self.quantities), len(self.processes)
        title = f"<Checked {self.scenario.name}: {quantities} quantities of {processes} processes"
        return few_lines(title, *self.loops, *self.notes, f"{self.plan.dims}>")


def check(
    scenario: Scenario | str | Path,
    *,
    variant: str | Iterable[str] = "",
    changes: Mapping[str, Any] | None = None,
    sel: Labels | None = None,
) -> Checked:
    """Check a scenario: structure, units, balance, what cannot be solved and why.

    Parameters
    ----------
    scenario
        A loaded scenario, or what `load` takes: then all its variants are checked, too.
    variant, changes
        As in `load`; only where ``scenario`` is not loaded yet.
    sel
        Years to show values of, and labels to add up, as in `percentiles`.

    Returns
    -------
    Checked
        The system: processes, what determines each quantity, loops, and notes.

    Raises
    ------
    InputError
        For every mistake, with file and line.

    Warns
    -----
    StudyWarning
        For each of the notes.

    Examples
    --------
    >>> found = check("steel_loop")
    >>> found.loops[0][:43]
    'step 3* is a loop, solved together in each '
    >>> found.notes
    ()
    >>> check("starter", sel={"year": "2020..2022"}).years
    (2020, 2021, 2022)
    """
    if isinstance(scenario, Scenario):
        each = iter([as_scenario(scenario, variant=variant, changes=changes)])
    else:
        each = load_each(scenario, variant=variant, changes=changes)
    loaded = next(each)
    picked = _picked(loaded, sel or {})
    plan, central = examined(loaded)
    with Mistakes() as mistakes:
        for other in itertools.chain(each, _combined(loaded)):
            with mistakes.apart():
                examined(other)
        for name in _ensembles(loaded) if not isinstance(scenario, Scenario) else ():
            with mistakes.apart():
                _check_ensemble(loaded, name)
    notes = _notes(loaded, plan, central)
    for note in notes:
        warn(note)
    return Checked(
        loaded,
        plan,
        tuple(_processes(loaded, plan)),
        tuple(loaded.dims.years[n] for n in loaded.dims.picked(picked)["year"]),
        tuple(_quantities(loaded, plan, central, picked)),
        tuple(_loops(loaded, plan)),
        tuple(qualities(loaded)),
        tuple(wholes(loaded)),
        tuple(notes),
    )


def _ensembles(scenario: Scenario) -> list[str]:
    """Return the names of the ensembles of a scenario."""
    alone = [ENSEMBLE] if scenario.file.ensemble is not None else []
    return [*alone, *scenario.file.ensembles]


def _check_ensemble(scenario: Scenario, name: str) -> None:
    """Refuse an ensemble that cannot be run, where it stands in the file."""
    key = (ENSEMBLE,) if name == ENSEMBLE else ("ensembles", name)
    try:
        found = with_members(scenario, name)
        read_asked(prepared(EnsembleOptions(found, out=f"{scenario.name}.zarr"))[1])
    except InputError as wrong:
        if wrong.place[1]:
            raise
        said = f"{wrong.where.removeprefix('--')}: {wrong.message}"
        raise scenario.document.error(said, *key) from None


def _combined(scenario: Scenario) -> Iterator[Scenario]:
    """Yield a scenario under what figures are compared under, if that is no single variant."""
    named = dict.fromkeys(figure.entry.variant for figure in scenario.figures)
    others = (name for name in named if name not in ("", *scenario.file.variants))
    return (under(scenario, name) for name in others)


def _picked(scenario: Scenario, sel: Labels) -> Labels:
    """Return picked labels, if there are such; of years the last if none is picked."""
    dims = scenario.dims
    try:
        dims.picked(dims.ungrouped(sel, dims.labels))
    except LabelError as wrong:
        raise InputError(str(wrong), "sel") from None
    return {"year": dims.labels["year"][-1:], **sel}


def _processes(scenario: Scenario, plan: Plan) -> Iterator[Inventory]:
    """Yield each process with what enters, leaves and stays, and the flows it closes."""
    flows, stocks = scenario.file.flows, scenario.file.stocks
    enter, leave, held, closed = (defaultdict[str, list[str]](list) for _ in range(4))
    for name, flow in flows.items():
        enter[flow.target].append(name)
        leave[flow.origin].append(name)
    for name, stock in stocks.items():
        held[stock.process].append(name)
    for step in members_of(plan):
        if isinstance(step, Balance) and step.target in flows:
            closed[step.process].append(step.target)
    for process in scenario.file.processes:
        yield Inventory(process, *(tuple(names[process]) for names in (enter, leave, held, closed)))


def _quantities(
    scenario: Scenario, plan: Plan, central: Central, picked: Labels
) -> Iterator[Determined]:
    """Yield the outputs in the order of computing, with what determines each and its values."""
    steps, numbers = _makers(plan), _numbers(plan)
    members = {name: member for member in members_of(plan) for name in member.targets}
    for output in sorted(plan.outputs, key=lambda o: (numbers[id(steps[o.name])], o.name)):
        step = steps[output.name]
        label = f"{numbers[id(step)]}{'*' * isinstance(step, March)}"
        rule = describe(members[output.name], output.name, scenario)
        totals = _totals(output, central[output.name], picked, scenario.dims)
        yield Determined(label, output, rule, totals)


def _makers(plan: Plan) -> dict[str, Step]:
    return {name: step for step in steps_of(plan) for name in step.targets}


def _numbers(plan: Plan) -> dict[int, int]:
    """Return a number for each step that leads to an output, in the order of computing."""
    makers = _makers(plan)
    shown = {id(makers[output.name]) for output in plan.outputs}
    visible = [id(step) for step in steps_of(plan) if id(step) in shown]
    return {step: number for number, step in enumerate(visible, start=1)}


def _totals(
    output: Output, values: npt.NDArray[Any], picked: Labels, dims: Dims
) -> tuple[float, ...]:
    """Return the totals over picked labels in picked years; shares have none, but of one label."""
    found = dims.picked(dims.ungrouped(picked, output.dims))
    for axis, dim in enumerate(output.dims):
        values = values.take(dims.along(dim, found), axis=axis)
    years = values.shape[-1] if "year" in output.dims else 1
    cells = values.reshape(-1, years)
    added_up = output.kind != "indicator" or len(cells) == 1
    totals = cells.sum(axis=0) if added_up else np.full(years, math.nan)
    return tuple(np.broadcast_to(totals, len(found["year"])).tolist())


def _loops(scenario: Scenario, plan: Plan) -> list[str]:
    """Return a sentence for each loop: who needs whom, and whether within a year or over years."""
    found, numbers = [], _numbers(plan)
    for step in (step for step in steps_of(plan) if isinstance(step, March)):
        names = ", ".join(name for name in step.targets if _shown(name, scenario))
        way = "solved together in each year" if step.program.gains else "year after year"
        found.append(f"step {numbers[id(step)]}* is a loop, {way}: {names}")
    return found


def _shown(name: str, scenario: Scenario) -> bool:
    file = scenario.file
    return name in file.flows or name in file.stocks or name in file.indicators


def _notes(scenario: Scenario, plan: Plan, central: Central) -> list[str]:
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
    found += [f"{where}: {message}" for message, where in cautions(scenario, plan, central)]
    found += [f"{where}: {message}" for message, where in doubts(scenario)]
    return found + _unread_scores(scenario) + _excesses(plan)


def _unread_scores(scenario: Scenario) -> list[str]:
    """Name tables with scores that no parameter reads: columns mean nothing without a method."""
    entries = scenario.file.parameters
    scored = {
        table for p in scenario.parameters.values() if p.rated for table in entries[p.name].tables
    }
    unread = {table for entry in entries.values() for table in entry.tables} - scored
    return [
        f"{table} has a column 'reliability' that is not read; say quality: {{method: ...}} for it"
        for table in sorted(unread)
        if "reliability" in scenario.header(table)
    ]


def _excesses(plan: Plan) -> list[str]:
    """Say by how much each cell of a stock under pdf_integer loses more or less than all."""
    found = []
    for step in members_of(plan):
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
