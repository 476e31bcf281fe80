"""A scenario to the plan that is run: compiled, and its draws reconciled where it asks for it."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Any

from ndmc.dims import Dims
from ndmc.errors import InputError, Mistakes, nearest
from ndmc.given import as_names, wrong
from ndmc.option import as_size
from ndmc.plan.compared import Measured, check_goals, measured, measures_of, wanted_of
from ndmc.plan.compiler import build_plan
from ndmc.plan.memory import Memory
from ndmc.plan.steps import Plan
from ndmc.scenario import reserved
from ndmc.scenario.load import as_scenario
from ndmc.scenario.scenario import Scenario

__all__ = ["compared_outputs", "compile_plan", "nameable", "output_names", "run_dims"]


def compile_plan(
    scenario: Scenario | str | Path,
    keep: str | Iterable[str] | None = None,
    quantities: Mapping[str, tuple[str, str]] | None = None,
    *,
    whole: bool = False,
    memory: int | str | None = None,
) -> Plan:
    """Compile a scenario.

    Parameters
    ----------
    scenario
        A loaded scenario, its path, or the name of one that is bundled.
    keep
        Names of the flows, stocks, indicators and parameters to compute; all flows, stocks and
        indicators if None. Only what they need is part of the plan.
    quantities
        Further outputs by name: an expression, and where it stands, for messages.
    whole
        Compute every flow and stock even if not kept, so that every balance can be checked.
    memory
        Bytes that compiling may take, or a text such as ``"2GiB"``; what the machine has if None.

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
    >>> from ndmc.scenario.load import load
    >>> plan = compile_plan(load("china_nd"), ["in_use"])
    >>> [output.unit for output in plan.outputs]
    ['t']
    """
    scenario = as_scenario(scenario)
    keep = None if keep is None else as_names(keep, "keep")
    _check_pairs(quantities)
    room = Memory(None if memory is None else as_size(memory, "memory"))
    if scenario.ensemble is not None:
        return _joint(scenario, keep, whole=whole, memory=room)
    return _alone(scenario, keep, quantities, whole=whole, memory=room)


def _alone(
    scenario: Scenario,
    keep: Iterable[str] | None,
    quantities: Mapping[str, tuple[str, str]] | None = None,
    *,
    whole: bool,
    memory: Memory,
) -> Plan:
    """Compile a scenario that is no ensemble."""
    entry = scenario.file.reconcile
    if entry is None or entry.draws == "as_drawn":
        return build_plan(scenario, keep, quantities, whole=whole, memory=memory)
    from ndmc.reconciliation.conditioning import conditioned
    from ndmc.reconciliation.estimates import reconcile_scenario

    method = entry.draws
    return build_plan(
        scenario,
        keep,
        quantities,
        whole=whole,
        conditioning=lambda: conditioned(reconcile_scenario(scenario), method),
        memory=memory,
    )


def _joint(scenario: Scenario, keep: Iterable[str] | None, *, whole: bool, memory: Memory) -> Plan:
    """Compile the members of an ensemble, and put their plans together."""
    from ndmc.plan.joint import joint_plan

    assert scenario.ensemble is not None
    names = tuple(output_names(scenario) if keep is None else keep)
    found = [measured(name, (*scenario.outputs, *scenario.parameters)) for name in names]
    of = [*dict.fromkeys(one.of for one in found if one)]
    plans = [_alone(one, of, whole=whole, memory=memory) for one in scenario.members]
    return joint_plan(plans, run_dims(scenario), wanted_of(scenario.ensemble, names))


def run_dims(scenario: Scenario) -> Dims:
    """Return the dims of what a run of a scenario computes: of an ensemble its members, too."""
    from ndmc.plan.joint import member_dims

    if scenario.ensemble is None:
        return scenario.dims
    return member_dims(scenario.members[0].dims, scenario.ensemble)


def output_names(scenario: Scenario) -> tuple[str, ...]:
    """Return the names of all that a run of a scenario can have percentiles of.

    Those of an ensemble are also what its members are compared by.
    """
    if scenario.ensemble is None:
        return scenario.outputs
    return compared_outputs(scenario, scenario.outputs)


def nameable(scenario: Scenario) -> tuple[str, ...]:
    """Return the names of all that can be asked of a run, parameters too."""
    if scenario.ensemble is None:
        return (*scenario.outputs, *scenario.parameters)
    return compared_outputs(scenario, (*scenario.outputs, *scenario.parameters))


def compared_outputs(scenario: Scenario, outputs: Iterable[str] | None) -> tuple[str, ...]:
    """Return the names of outputs of an ensemble with those of all that compares its members.

    Without any they are those that the ensemble has, the headline of the scenario or all.

    Raises
    ------
    InputError
        For a name that there is not.
    """
    ensemble, file = scenario.ensemble, scenario.file
    assert ensemble is not None
    asked = [*(outputs or ensemble.outputs or file.headline or ["all"])]
    asked = [*scenario.outputs] if asked == ["all"] else asked
    known = (*scenario.outputs, *scenario.parameters)
    with Mistakes() as mistakes:
        for name in (one for one in asked if one not in known):
            mistakes.add([InputError(f"nothing is named {name!r}; {nearest(name, known)}", "-v")])
    plan = _alone(scenario.members[0], asked, whole=False, memory=Memory())
    check_goals(plan, ensemble.goals, ensemble.places.get("goals", "goals"))
    wanted = wanted_of(ensemble, ())
    found = [
        one
        for output in plan.outputs
        for one in measures_of(output, event=output.name in plan.events, wanted=wanted)
    ]
    _check_apart(found, known)
    return tuple(one.name for one in found)


def _check_apart(found: Iterable[Measured], known: Container[str]) -> None:
    """Refuse outputs that have the name of what an ensemble says of others."""
    for one in found:
        said = [one.title + suffix for suffix in reserved.OF_ENSEMBLES]
        for name in (*said, *([one.name] if one.measure else [])):
            if name in known:
                message = f"the name {name!r} stands for two things in an ensemble of {one.of!r}"
                raise InputError(f"{message}; rename the output that is called so", "-v")


def _check_pairs(quantities: Any) -> None:
    """Refuse quantities that are no expressions by name, each with where it stands."""
    pairs = quantities.values() if isinstance(quantities, Mapping) else [quantities]
    if quantities is not None and not all(isinstance(one, tuple | list) for one in pairs):
        wanted = "a dict of pairs, such as {'total': ('a + b', 'notebook')}"
        raise wrong("quantities", quantities, wanted)
