"""A scenario to the plan that is run: compiled, and its draws reconciled where it asks for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from ndmc.plan.compiler import build_plan
from ndmc.plan.memory import Memory
from ndmc.plan.steps import Plan
from ndmc.scenario.load import as_scenario
from ndmc.scenario.scenario import Scenario

__all__ = ["compile_plan"]


def compile_plan(
    scenario: Scenario | str | Path,
    keep: Iterable[str] | None = None,
    quantities: Mapping[str, tuple[str, str]] | None = None,
    *,
    whole: bool = False,
    memory: int | None = None,
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
        Bytes that compiling may take; what the machine has if None.

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
    entry = scenario.file.reconcile
    if entry is None or entry.draws == "as_drawn":
        return build_plan(scenario, keep, quantities, whole=whole, memory=Memory(memory))
    from ndmc.reconciliation.conditioning import conditioned
    from ndmc.reconciliation.estimates import reconcile_scenario

    method = entry.draws
    return build_plan(
        scenario,
        keep,
        quantities,
        whole=whole,
        conditioning=lambda: conditioned(reconcile_scenario(scenario), method),
        memory=Memory(memory),
    )
