"""Compile the flows of a scenario to steps: given, shares of what enters, or left by equations."""

from __future__ import annotations

from dataclasses import replace

from ndmc.plan.closing import Closing, close_flows
from ndmc.plan.formulas import Given
from ndmc.plan.prescribed import two_parts
from ndmc.plan.splits import check_share_sums, share_step
from ndmc.plan.steps import Balance, Formula, Share, Single, Term, hidden
from ndmc.plan.vocabulary import Vocabulary
from ndmc.scenario.expressions import Expression

__all__ = ["flow_value"]


def flow_steps(names: Vocabulary, *, closed: bool) -> list[Single]:
    """Return the steps that compute every flow which no stock determines, those closed if asked.

    What does not fit together is added to the mistakes, with file and line, as are shares that
    take more than everything.
    """
    closings = dict[str, Closing]()
    with names.mistakes.apart():
        closings = close_flows(names) if closed else {}
    steps: list[Single] = []
    for name in names.file.flows:
        with names.mistakes.apart():
            steps += _flow(names, name, closings.get(name))
    check_share_sums(names, [step for step in steps if isinstance(step, Share)])
    return steps


def _flow(names: Vocabulary, name: str, closing: Closing | None) -> list[Single]:
    flow = names.file.flows[name]
    if flow.value is not None and flow.share is not None:
        names.fail("give either value or share, not both", "flows", name, "share")
    if flow.value is not None and flow.until is None:
        return [Formula(name, names.flow_dims(name), flow_value(names, name, flow.value))]
    if flow.value is not None:
        value = flow_value(names, name, flow.value)
        return two_parts(names, name, value, _balance(names, name, closing)) if closing else []
    if flow.share is not None:
        return [share_step(names, name, flow.share)]
    return [_balance(names, name, closing)] if closing else []


def flow_value(names: Vocabulary, name: str, given: Given) -> Expression:
    """Return the value of a flow."""
    units, key = names.scenario.units, ("flows", name, "value")

    def misfit(found: Expression) -> str:
        if found.dimension in (None, units.flow):
            return ""
        hint = ""
        if found.dimension == units.stock:
            hint = "; a parameter that counts what happens in a year says so in its unit (1/yr)"
        elif found.operation == "number":
            hint = f"; a number has its unit behind it, such as 50 {units.name(units.flow)}"
        if found.dimension == units.stock and ("[time]", -1.0) in units.stock.powers:
            hint = f"; unit: {units.unit} is that of the stocks; flows are per year by themselves"
        wanted = f"must be [{units.flow}] ({units.name(units.flow)})"
        return f"flow {name!r} comes out as [{found.dimension}] but {wanted}{hint}"

    return names.read(given, *key, of=name, wants=misfit, dims=names.flow_dims(name))


def _balance(names: Vocabulary, name: str, closing: Closing) -> Balance:
    process, dims = closing.process, names.flow_dims(name)
    enters = names.file.flows[name].target == process
    into = [] if closing.kind == "release" else [*names.inflows(process)]
    out = [] if closing.kind == "inflow" else [*names.outflows(process)]
    terms = [replace(term, sign=-1.0 if enters else 1.0) for term in into]
    terms += [replace(term, sign=1.0 if enters else -1.0) for term in out]
    stock = names.holders.get(process, "")
    if closing.kind != "balance":
        removed = names.file.stocks[stock].removals
        terms = [term for term in terms if term.name not in removed]
        terms.insert(0, Term(hidden(stock, closing.kind), names.stock_dims(stock)))
    terms = [term for term in terms if term.name != name]
    for term in terms:
        missing = [dim for dim in dims if dim not in names.dims.full(term.dims)]
        if missing:
            names.fail(
                f"flow {name!r} is closed by {closing.text}, but {term.name!r} is not known "
                f"by {missing[0]!r}; give it that dim, drop the dim here, or give the flow a "
                "value or share",
                *("flows", name),
            )
    return Balance(name, dims, process, closing.kind, tuple(terms))
