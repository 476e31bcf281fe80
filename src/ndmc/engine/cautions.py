"""What is seldom meant, seen with every parameter at its mean, before any draw."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ndmc.dims import expand
from ndmc.plan.description import members_of
from ndmc.plan.findings import rounded
from ndmc.plan.steps import Cohort, Formula, Plan, Share
from ndmc.scenario.along import ALONG
from ndmc.scenario.expressions import EVERYWHERE, Expression, Within
from ndmc.scenario.operations import COMPARISONS, evaluate_expression
from ndmc.scenario.scenario import Scenario
from ndmc.typing import Floats

__all__ = ["cautions"]

#: Outputs [dims...] in their own units.
Central = Mapping[str, npt.NDArray[Any]]

#: A first inflow is that of a stock that was there before if it is so many times the next.
_STEEP = 3.0


def cautions(scenario: Scenario, plan: Plan, central: Central) -> Iterator[tuple[str, str]]:
    """Yield what to be warned of, and where it stands in the file; of what is computed at all."""
    values = _in_model_units(plan, central)
    for step in members_of(plan):
        if isinstance(step, Cohort) and step.level is not None:
            message = _bought_at_once(scenario, step, values)
            if message:
                yield message, scenario.document.where("stocks", step.target)
        if isinstance(step, Formula | Share):
            kind = "flows" if step.target in scenario.file.flows else "indicators"
            for part, within in step.expression.placed("first_year", EVERYWHERE):
                if _holds_of_nothing(part, within, plan, values):
                    message = (
                        f"a first_year() in {step.target!r} is {part.positions[0]} because both "
                        "sides of its comparison are still 0 then; compare with > or <, or begin "
                        "with a year in which there is something"
                    )
                    yield message, scenario.document.where(kind, step.target)


def _in_model_units(plan: Plan, central: Central) -> dict[str, Floats]:
    """Return outputs and parameters as expressions read them, [dims..., draw]."""
    drawn = {s.name: s.central.reshape(*plan.dims.shape(s.dims), 1) for s in plan.samplers}
    outputs = {o.name: central[o.name][..., np.newaxis] / o.scale for o in plan.outputs}
    return {**plan.constants, **drawn, **outputs}


# --- a stock that is there before the first year ------------------------------------------------


def _bought_at_once(scenario: Scenario, step: Cohort, values: Mapping[str, Floats]) -> str:
    """Say that a whole stock flows in in the first year: it does not start, it was there before.

    A stock that really starts grows by more in some later year than in the first.
    """
    flows, years = scenario.file.flows, scenario.dims.years
    process = scenario.file.stocks[step.target].process
    names = sorted(name for name, flow in flows.items() if flow.target == process)
    if len(years) < step.start + 2 or not {step.target, *names} <= values.keys():
        return ""
    inflow = sum((_by_year(values[name], len(years)) for name in names), np.zeros(len(years)))
    first, second = inflow[step.start : step.start + 2].tolist()
    if not (first > _STEEP * max(second, 0.0) and first > np.delete(inflow, step.start).max()):
        return ""
    unit, held = scenario.units.unit, _by_year(values[step.target], len(years))
    amounts = f"{rounded(first)} {unit}/yr flow in then and {rounded(second)} in the next"
    what = f"the prescribed stock {step.target!r} is {rounded(held[step.start])} {unit} in"
    if step.start:
        return (
            f"{what} {years[step.start]}, where {rounded(held[step.start - 1])} {unit} were fed "
            f"before, so that {amounts}; look whether both count the same"
        )
    if step.initial is not None:
        return ""
    return (
        f"{what} the first year and starts empty, so that {amounts}; give `initial` (age: "
        "stationary, growing, spin_up or given)"
    )


def _by_year(values: Floats, years: int) -> Floats:
    return np.asarray(values[..., 0].reshape(-1, years).sum(axis=0))


# --- an event that is only nothing against nothing ----------------------------------------------


def _holds_of_nothing(
    event: Expression, within: Within, plan: Plan, values: Mapping[str, Floats]
) -> bool:
    """Whether a condition holds in the first year that counts, of a comparison of 0 with 0."""
    ((condition, inside),) = event.needed(within)
    if not condition.names <= values.keys():
        return False
    first = {**inside, "year": (len(plan.dims.years) - len(event.positions),)}

    def at_first(part: Expression) -> Floats:
        return expand(evaluate_expression(part, values, first), part.dims, condition.dims)

    def nothing(part: Expression) -> npt.NDArray[np.bool_]:
        one, other = map(at_first, part.arguments)
        return np.asarray((at_first(part) != 0) & (one == 0) & (other == 0))

    holds = at_first(condition) != 0
    return any(bool((holds & nothing(part)).any()) for part in _comparisons(condition))


def _comparisons(condition: Expression) -> list[Expression]:
    """Return the comparisons that a condition is made of, cell by cell."""
    if condition.operation in COMPARISONS:
        return [condition]
    if condition.operation in ALONG:
        return []
    return [found for part in condition.arguments for found in _comparisons(part)]
