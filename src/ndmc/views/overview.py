"""A scenario's system as what its drawing shows: nodes, and flows with what determines each."""

from __future__ import annotations

from ndmc.plan.description import describe, members_of, steps_of
from ndmc.plan.steps import Balance, March, Plan, Step
from ndmc.scenario.scenario import Scenario
from ndmc.scenario.schema import FlowEntry
from ndmc.views.layers import Edge, Node, Rule

__all__ = ["edges", "nodes"]


def nodes(scenario: Scenario) -> list[Node]:
    """Return the processes and the nodes of the environment."""
    file = scenario.file
    ends = [node for flow in file.flows.values() for node in (flow.origin, flow.target)]
    processes = set(file.processes)
    outside = [node for node in dict.fromkeys(ends) if node not in processes]
    inside = [Node(name, "process", scenario.holders.get(name, "")) for name in file.processes]
    return inside + [Node(name, "environment") for name in outside]


def edges(scenario: Scenario, plan: Plan) -> list[Edge]:
    """Return the flows, with what determines each."""
    loop = {name for step in steps_of(plan) if isinstance(step, March) for name in step.targets}
    maker = {name: step for step in members_of(plan) for name in step.targets}
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
