"""A scenario to the plan that is run: compiled, and its draws reconciled where it asks for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ndmc.given import as_names, wrong
from ndmc.option import as_size
from ndmc.plan.compiler import build_plan
from ndmc.plan.memory import Memory
from ndmc.plan.steps import Plan
from ndmc.scenario.load import as_scenario
from ndmc.scenario.scenario import Scenario

__all__ = ["compile_plan"]


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
    entry = scenario.file.reconcile
    if entry is None or entry.draws == "as_drawn":
        return build_plan(scenario, keep, quantities, whole=whole, memory=room)
    from ndmc.reconciliation.conditioning import conditioned
    from ndmc.reconciliation.estimates import reconcile_scenario

    method = entry.draws
    return build_plan(
        scenario,
        keep,
        quantities,
        whole=whole,
        conditioning=lambda: conditioned(reconcile_scenario(scenario), method),
        memory=room,
    )


def _check_pairs(quantities: Any) -> None:
    """Refuse quantities that are no expressions by name, each with where it stands."""
    pairs = quantities.values() if isinstance(quantities, Mapping) else [quantities]
    if quantities is not None and not all(isinstance(one, tuple | list) for one in pairs):
        wanted = "a dict of pairs, such as {'total': ('a + b', 'notebook')}"
        raise wrong("quantities", quantities, wanted)
