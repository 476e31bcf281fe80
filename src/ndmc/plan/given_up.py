"""Flows that a stock determines, and the shares that it loses by them every year."""

from __future__ import annotations

import numpy as np

from ndmc.dims import align
from ndmc.errors import nearest
from ndmc.plan.vocabulary import Vocabulary, plain
from ndmc.scenario.expressions import Expression
from ndmc.scenario.schema import StockEntry


def check_given_up(
    names: Vocabulary, name: str, flow: str, *key: str, inward: bool = False
) -> None:
    """Refuse a flow that a stock should determine but that does not fit."""
    if flow not in names.file.flows:
        names.fail(
            f"unknown flow {flow!r}; {nearest(flow, names.file.flows)}", "stocks", name, *key
        )
    entry, process = names.file.flows[flow], names.file.stocks[name].process
    if (entry.target if inward else entry.origin) != process:
        way = "into" if inward else "out of"
        fit = [term.name for term in (names.inflows if inward else names.outflows)(process)]
        message = f"{flow!r} does not lead {way} {process!r}; {nearest(flow, fit)}"
        names.fail(message, "stocks", name, *key)
    if entry.value is not None or entry.share is not None:
        given = "value" if entry.value is not None else "share"
        message = f"the stock {name!r} determines the flow {flow!r}, so it cannot have a {given}"
        names.fail(message, "flows", flow, given)
    if names.claims[flow] > 1:
        names.fail(f"two stocks determine the flow {flow!r}", "stocks", name, *key)


def removals_of(
    names: Vocabulary, name: str, stock: StockEntry, allowed: tuple[str, ...]
) -> tuple[tuple[str, Expression], ...]:
    """Return the flows that a stock loses by, with their shares over no more than some dims."""
    found = tuple(
        (flow, _removal(names, name, flow, text, allowed))
        for flow, text in sorted(stock.removals.items())
    )
    _check_removals(names, name, found)
    return found


def _removal(
    names: Vocabulary, name: str, flow: str, text: str, allowed: tuple[str, ...]
) -> Expression:
    key, dims = ("stocks", name, "removals", flow), names.stock_dims(name)
    check_given_up(names, name, flow, "removals", flow)
    share = names.read(text, *key, of=name, wants=plain("a share"), dims=allowed)
    if names.flow_dims(flow) != dims:
        names.fail(f"the flow {flow!r} must have the dims of the stock: {dims}", *key)
    return share


def _check_removals(
    names: Vocabulary, name: str, removals: tuple[tuple[str, Expression], ...]
) -> None:
    """Refuse removals below nothing, or of more than all, where parameters alone decide them."""
    total = np.zeros(1)
    wants = names.dims.ordered(dim for _, share in removals for dim in share.dims)
    for flow, share in removals:
        values = names.central(share)
        if values is None:
            continue
        if values.min() < 0:
            message = f"the share removed is {values.min():g}; shares lie in [0, 1]"
            names.fail(message, "stocks", name, "removals", flow)
        total = total + align(values, share.dims, wants, names.dims)
    if total.max() > 1 + 1e-12:
        flows = ", ".join(flow for flow, _ in removals)
        message = f"the shares removed ({flows}) sum to {total.max():.6g}, more than 1"
        names.fail(message, "stocks", name, "removals", removals[-1][0])
