"""Compile the stocks of a scenario to steps: lifetimes, prescribed stocks, buffers and sinks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

import numpy as np

from ndmc.dims import align
from ndmc.errors import nearest
from ndmc.plan.initial_stocks import (
    before_step,
    check_not_negative,
    initial_amount,
    initial_cohorts,
)
from ndmc.plan.prescribed import check_prescribed_from, check_until, feeding, from_then_on
from ndmc.plan.steps import Balance, Cohort, Formula, Profile, Single, hidden
from ndmc.plan.stock_lifetimes import read_lifetime
from ndmc.plan.vocabulary import Vocabulary, plain
from ndmc.scenario.expressions import Expression
from ndmc.scenario.schema import StockEntry


def stock_steps(names: Vocabulary) -> list[Single]:
    """Return the steps that compute every stock, what it releases and what it loses.

    What does not fit together is added to the mistakes, with file and line.
    """
    steps: list[Single] = []
    for name in names.file.flows:
        with names.mistakes.apart():
            check_until(names, name)
    for name, stock in names.file.stocks.items():
        with names.mistakes.apart():
            steps += _stock(names, name, stock)
    return steps


def _stock(names: Vocabulary, name: str, stock: StockEntry) -> list[Single]:
    _check_keys(names, name, stock)
    match stock.kind:
        case "lifetime":
            cohort = _cohort(names, name, stock)
            return [*before_step(names, name, cohort), cohort]
        case "sink":
            return _sink(names, name, stock)
        case "buffer":
            return _buffer(names, name, stock)


_ONLY: dict[str, tuple[str, ...]] = {
    "lifetime": (
        *("lifetime", "lifetime_factor", "value", "prescribed_from", "negative_inflow", "removals"),
    ),
    "buffer": ("remainder", "carry_over"),
    "sink": (),
}


def _check_keys(names: Vocabulary, name: str, stock: StockEntry) -> None:
    for kind, keys in _ONLY.items():
        for key in keys:
            if kind != stock.kind and getattr(stock, key) not in (None, {}):
                hint = "" if stock.kind != "lifetime" else f"; say kind: {kind}"
                message = f"{key} does not concern a stock of kind: {stock.kind}{hint}"
                names.fail(message, "stocks", name, key)
    if stock.kind == "lifetime" and stock.lifetime is None:
        names.fail(
            f"stock {name!r} has no lifetime; give it one, or say kind: sink or kind: buffer",
            "stocks",
            name,
        )
    if stock.negative_inflow is not None and stock.value is None:
        message = "negative_inflow only concerns a stock with a value, from which inflow follows"
        names.fail(message, "stocks", name, "negative_inflow")
    check_prescribed_from(names, name, stock)
    for key in ("age", "inflow"):
        if stock.kind != "lifetime" and getattr(stock.initial, key, None) is not None:
            message = f"a stock of kind: {stock.kind} has no ages; give initial as one value"
            names.fail(message, "stocks", name, "initial", key)
    _check_inflows(names, name, stock)


def _check_inflows(names: Vocabulary, name: str, stock: StockEntry) -> None:
    terms = names.inflows(stock.process)
    terms += names.outflows(stock.process) if stock.kind != "lifetime" else ()
    for term in terms:
        known = names.dims.full(term.dims)
        missing = [dim for dim in names.stock_dims(name) if dim not in known]
        if missing:
            kind = "inflow" if stock.kind == "lifetime" else "flow"
            message = f"stock {name!r} is by {missing[0]!r} but its {kind} {term.name!r} is not"
            names.fail(message, "stocks", name, "dims")


# --- sinks and buffers -----------------------------------------------------------------------


def _net(names: Vocabulary, name: str, stock: StockEntry) -> Balance:
    """Return the step that computes what enters minus what leaves, but for the remainder."""
    target = f"_net_{name}"
    names.variables[target] = names.variable(names.stock_dims(name), names.scenario.units.flow)
    terms = [*names.inflows(stock.process)]
    terms += [replace(term, sign=-1.0) for term in names.outflows(stock.process)]
    kept = tuple(term for term in terms if term.name != stock.remainder)
    return Balance(target, names.stock_dims(name), stock.process, "balance", kept)


def _held_before(names: Vocabulary, name: str) -> Expression:
    """Return the initial stock as a flow into the first year."""
    nothing = names.compose.number(0.0)
    value = initial_amount(names, name)
    return nothing if value is None else names.in_a_year(names.in_first_year(value, nothing))


def _sink(names: Vocabulary, name: str, stock: StockEntry) -> list[Single]:
    net, compose = _net(names, name, stock), names.compose
    entered = compose.apply("add", compose.name(net.target), _held_before(names, name))
    return [net, Formula(name, net.dims, compose.along("cumsum", entered))]


def _buffer(names: Vocabulary, name: str, stock: StockEntry) -> list[Single]:
    """Hold surpluses; what is short is drawn from them, and the remainder comes from outside."""
    if stock.remainder is None:
        message = f"the buffer {name!r} names no remainder: the flow that covers what it cannot"
        names.fail(message, "stocks", name)
    _check_given_up(names, name, stock.remainder, "remainder", inward=True)
    net = _net(names, name, stock)
    if names.flow_dims(stock.remainder) != net.dims:
        message = f"the remainder of {name!r} must have its dims {list(net.dims)}"
        names.fail(message, "stocks", name, "remainder")
    balance = _forgetting if stock.carry_over is False else _carrying
    held, short = balance(names, names.compose.name(net.target), name)
    return [net, Formula(name, net.dims, held), Formula(stock.remainder, net.dims, short)]


def _carrying(names: Vocabulary, net: Expression, name: str) -> tuple[Expression, Expression]:
    """Return what a buffer that gives back holds, and what is short of it."""
    compose, before = names.compose, _held_before(names, name)
    held = compose.along("carry", compose.apply("add", net, before))
    at_hand = names.in_a_year(compose.along("lag", compose.name(name)))
    at_hand = compose.apply("add", at_hand, before)
    short = compose.apply("subtract", compose.apply("negative", net), at_hand)
    return held, compose.apply("max", short, compose.number(0.0))


def _forgetting(names: Vocabulary, net: Expression, name: str) -> tuple[Expression, Expression]:
    """Return what a buffer that only takes holds, and what is short without it."""
    compose, nothing = names.compose, names.compose.number(0.0)
    surplus = compose.apply("max", net, nothing)
    held = compose.along("cumsum", compose.apply("add", surplus, _held_before(names, name)))
    return held, compose.apply("max", compose.apply("negative", net), nothing)


def _check_given_up(
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


# --- stocks with lifetimes -------------------------------------------------------------------


def _cohort(names: Vocabulary, name: str, stock: StockEntry) -> Cohort:
    lifetime = read_lifetime(names, name, stock)
    removals = tuple(
        (flow, _removal(names, name, flow, text)) for flow, text in sorted(stock.removals.items())
    )
    _check_removals(names, name, removals)
    return Cohort(
        target=name,
        dims=names.stock_dims(name),
        inflows=feeding(names, stock),
        lifetime=lifetime,
        initial=initial_cohorts(names, name, lifetime),
        removals=removals,
        level=_level(names, name, stock) if stock.value is not None else None,
        answer=stock.negative_inflow or "report",
        inflow=hidden(name, "inflow"),
        release=hidden(name, "release"),
        kept=hidden(name, "kept") if stock.value is not None else "",
        start=names.dims.years.index(stock.prescribed_from) if stock.prescribed_from else 0,
    )


def _level(names: Vocabulary, name: str, stock: StockEntry) -> Expression:
    """Return what a stock is prescribed to be; 0 before it is."""
    key, dims = ("stocks", name, "value"), names.stock_dims(name)
    given = stock.value if stock.value is not None else ""
    level = names.read(given, *key, of=name, wants=names.amount("a stock"), dims=dims)
    if stock.prescribed_from is not None:
        level = from_then_on(names, stock.prescribed_from, level, names.compose.number(0.0))
    check_not_negative(names, level, "a stock", *key)
    return level


def _removal(names: Vocabulary, name: str, flow: str, text: str) -> Expression:
    key, dims = ("stocks", name, "removals", flow), names.stock_dims(name)
    _check_given_up(names, name, flow, "removals", flow)
    allowed = (*dims[:-1], "age")
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


# --- indicators by age and cohort --------------------------------------------------------------


def profile_steps(names: Vocabulary, steps: Iterable[Single]) -> list[Profile]:
    """Return the steps of indicators that show a stock or its release by age or cohort."""
    cohorts = {step.target: step for step in steps if isinstance(step, Cohort)}
    found = []
    for name, entry in names.file.indicators.items():
        if entry.by is not None and entry.value is None:
            cohort = cohorts[entry.stock or entry.outflow or ""]
            dims = names.variables[name].dims
            of: Literal["stock", "outflow"] = "outflow" if entry.stock is None else "stock"
            found.append(Profile(name, dims, cohort, of, entry.by))
    return found
