"""Compile the flows of a scenario to steps: given, shares of what enters, or left by equations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ndmc.dims import align
from ndmc.plan.closing import Closing, close_flows
from ndmc.plan.steps import Balance, Formula, Share, Single, Term, hidden
from ndmc.plan.vocabulary import Vocabulary, plain
from ndmc.scenario.expressions import Expression
from ndmc.typing import Floats

__all__ = ["flow_value", "share_of_flow"]


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
    _check_share_sums(names, [step for step in steps if isinstance(step, Share)])
    return steps


def _flow(names: Vocabulary, name: str, closing: Closing | None) -> list[Single]:
    flow = names.file.flows[name]
    if flow.value is not None and flow.share is not None:
        names.fail("give either value or share, not both", "flows", name, "share")
    if flow.value is not None:
        return [Formula(name, names.flow_dims(name), flow_value(names, name, flow.value))]
    if flow.share is not None:
        return [_share(names, name, flow.origin, share_of_flow(names, name, flow.share))]
    return [_balance(names, name, closing)] if closing else []


def flow_value(names: Vocabulary, name: str, text: str) -> Expression:
    """Return the value of a flow."""
    units, key = names.scenario.units, ("flows", name, "value")

    def misfit(found: Expression) -> str:
        if found.dimension in (None, units.flow):
            return ""
        hint = "a parameter that counts what happens in a year says so in its unit (1/yr)"
        if ("[time]", -1.0) in units.stock.powers:
            hint = f"unit: {units.unit} is that of the stocks; flows are per year by themselves"
        return (
            f"flow {name!r} comes out as [{found.dimension}] but must be [{units.flow}] "
            f"({units.name(units.flow)})" + f"; {hint}" * (found.dimension == units.stock)
        )

    return names.read(text, *key, of=name, wants=misfit, dims=names.flow_dims(name))


def share_of_flow(names: Vocabulary, name: str, text: str) -> Expression:
    """Return the share that a flow is of what enters its origin."""
    key, dims = ("flows", name, "share"), names.flow_dims(name)
    return names.read(text, *key, of=name, wants=plain("a share"), dims=dims)


def _share(names: Vocabulary, name: str, origin: str, share: Expression) -> Share:
    key, dims = ("flows", name, "share"), names.flow_dims(name)
    if origin not in names.file.processes:
        hint = "list it among the processes, or give a value instead of a share"
        names.fail(f"{origin!r} is not a process, so nothing is known to enter it; {hint}", *key)
    stock = names.holders.get(origin, "")
    inflows = names.inflows(origin)
    if stock and names.file.stocks[stock].kind == "lifetime":
        inflows = (Term(hidden(stock, "release"), names.stock_dims(stock)),)
    total = tuple(dim for dim in dims if all(dim in term.dims for term in inflows))
    unsplit = [dim for dim in dims if dim not in total and dim not in share.dims]
    if unsplit:
        names.fail(
            f"what enters {origin!r} is not known by {unsplit[0]!r}; "
            "give a share with that dim, or drop it from the flow",
            *key,
        )
    return Share(name, dims, inflows, total, share)


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
        missing = [dim for dim in dims if dim not in term.dims]
        if missing:
            names.fail(
                f"flow {name!r} is closed by {closing.text}, but {term.name!r} is not known "
                f"by {missing[0]!r}; give it that dim, drop the dim here, or give the flow a "
                "value or share",
                *("flows", name),
            )
    return Balance(name, dims, process, closing.kind, tuple(terms))


def _check_share_sums(names: Vocabulary, shares: Sequence[Share]) -> None:
    """Refuse shares that take more than everything, where parameters alone decide them."""
    known: dict[str, list[tuple[Share, Floats]]] = {}
    for share in shares:
        values = names.central(share.expression)
        if values is None:
            continue
        if values.min() < 0:
            message = f"the share of {share.target!r} is {values.min():g}; shares lie in [0, 1]"
            names.mistakes.add([names.wrong(message, "flows", share.target, "share")])
        taken = align(values, share.expression.dims, share.dims, names.dims)
        known.setdefault(names.file.flows[share.target].origin, []).append((share, taken))
    for process in names.file.processes:
        leaving = known.get(process, [])
        total = _least_sum(leaving)
        if total > 1 + 1e-12:
            targets = ", ".join(share.target for share, _ in leaving)
            message = f"the shares that leave {process!r} ({targets}) sum to {total:.6g}"
            last, _ = leaving[-1]
            message += ", more than 1; a share is a part of 1, or a parameter in %"
            wrong = names.wrong(message, "flows", last.target, "share")
            names.mistakes.add([wrong])


def _least_sum(shares: Sequence[tuple[Share, Floats]]) -> float:
    """Return the largest sum of shares over the cells they have in common.

    A share is summed over the dims that it splits. Of dims that only some of them have, the
    smallest share counts: how much each label weighs is not known.
    """
    if not shares:
        return 0.0
    common = set.intersection(*(set(share.total_dims) for share, _ in shares))
    total = np.zeros(1)
    for share, values in shares:
        split = tuple(n for n, dim in enumerate(share.dims) if dim not in share.total_dims)
        known = values.sum(axis=split)
        extra = tuple(n for n, dim in enumerate(share.total_dims) if dim not in common)
        total = total + known.min(axis=extra)
    return float(total.max())
