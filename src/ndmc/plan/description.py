"""A step in words, as people and stores are told how a quantity is determined."""

from __future__ import annotations

from collections.abc import Iterator

from ndmc.plan.formulas import in_words
from ndmc.plan.steps import Balance, Cohort, Plan, Profile, Share, Single, Step, one_by_one
from ndmc.scenario.scenario import Scenario
from ndmc.scenario.schema import FlowEntry

__all__ = ["describe", "members_of", "steps_of"]


def steps_of(plan: Plan) -> tuple[Step, ...]:
    """Return all steps, those that are the same in every draw first."""
    return (*plan.fixed, *plan.steps)


def members_of(plan: Plan) -> Iterator[Single]:
    """Yield all steps, those of a loop one by one."""
    yield from one_by_one(steps_of(plan))


def describe(step: Single, name: str, scenario: Scenario) -> str:
    """Return, in a few words, what determines a quantity that a step computes."""
    flows, file = scenario.file.flows, scenario.file
    match step:
        case Cohort(target=target) if name != target:
            return f"removal {file.stocks[target].removals[name]} of what {target} holds"
        case Cohort(target=target):
            return _lifetime_in_words(step, scenario)
        case Profile(cohort=cohort, of=of, by=by):
            return f"{of} of {cohort.target} by {by.replace('_', ' ')}"
        case Share():
            origin = flows[name].origin
            holder = scenario.holders.get(origin, "")
            stock = file.stocks.get(holder)
            if stock is not None and name in stock.removals:
                return f"removal {stock.removals[name]} of what {holder} held the year before"
            held = stock is not None and stock.kind == "lifetime"
            what = "the stock releases in" if held else "enters"
            return f"share {in_words(flows[name].share)} of what {what} {origin}"
        case Balance(process=process, kind=kind):
            return _CLOSINGS[kind].format(process)
        case _ if name in flows and flows[name].value is not None:
            return _given_in_words(flows[name])
        case _ if any(name == stock.overflow for stock in file.stocks.values()):
            return "what the buffer has no room for"
        case _ if name in flows:
            return "what the buffer cannot cover"
        case _ if name in file.stocks:
            stock = file.stocks[name]
            room = f", up to {in_words(stock.capacity)}" if stock.capacity is not None else ""
            return f"{stock.kind}: what enters {stock.process} and does not leave{room}"
    return in_words(file.indicators[name].value)


_CLOSINGS = {
    "balance": "balance of {}",
    "release": "what the stock of {} releases",
    "inflow": "what the prescribed stock of {} takes in",
}


def _given_in_words(flow: FlowEntry) -> str:
    if flow.until is None:
        return f"given: {in_words(flow.value)}"
    then = _CLOSINGS["inflow"].format(flow.target)
    return f"given until {flow.until}: {in_words(flow.value)}; then {then}"


def _lifetime_in_words(step: Cohort, scenario: Scenario) -> str:
    stock = scenario.file.stocks[step.target]
    since = f" from {stock.prescribed_from} on" if stock.prescribed_from is not None else ""
    given = f"given{since}: {in_words(stock.value)}; " if stock.value is not None else ""
    at = "" if step.lifetime.kind == "survival" else f", inflow at {stock.inflow_at}"
    return f"{given}{stock.lifetime}{at}"
