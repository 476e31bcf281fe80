"""Sinks and buffers: stocks without ages, which take up what is left over at their process."""

from __future__ import annotations

from dataclasses import replace

from ndmc.plan.given_up import check_given_up, removals_of
from ndmc.plan.initial_stocks import check_not_negative, initial_amount
from ndmc.plan.steps import Balance, Formula, Share, Single, Term, hidden
from ndmc.plan.vocabulary import Vocabulary
from ndmc.scenario.expressions import Expression
from ndmc.scenario.schema import StockEntry


def _net_of(name: str) -> str:
    return f"_net_{name}"


def _net(names: Vocabulary, name: str, stock: StockEntry) -> Balance:
    """Return the step that computes what enters minus what leaves, but for flows of its own."""
    target = _net_of(name)
    terms = [*names.inflows(stock.process)]
    terms += [replace(term, sign=-1.0) for term in names.outflows(stock.process)]
    own = {stock.remainder, stock.overflow, *stock.removals}
    kept = tuple(term for term in terms if term.name not in own)
    return Balance(target, names.stock_dims(name), stock.process, "balance", kept)


def _held_before(names: Vocabulary, name: str) -> Expression:
    """Return the initial stock as a flow into the first year."""
    nothing = names.compose.number(0.0)
    value = initial_amount(names, name)
    return nothing if value is None else names.in_a_year(names.in_first_year(value, nothing))


def sink_steps(names: Vocabulary, name: str, stock: StockEntry) -> list[Single]:
    """Return the steps of a stock that holds what enters and does not leave."""
    net, compose = _net(names, name, stock), names.compose
    entered = compose.apply("add", names.made(net.target, net.dims), _held_before(names, name))
    return [net, Formula(name, net.dims, compose.along("cumsum", entered))]


def buffer_steps(names: Vocabulary, name: str, stock: StockEntry) -> list[Single]:
    """Return the steps of a stock that holds surpluses.

    What is short is drawn from them, and the remainder comes from outside.
    """
    if stock.remainder is None:
        message = f"the buffer {name!r} names no remainder: the flow that covers what it cannot"
        names.fail(message, "stocks", name)
    _check_ends(names, name, stock.remainder, "remainder", inward=True)
    net = _net(names, name, stock)
    if stock.capacity is not None or stock.overflow is not None or stock.removals:
        return [net, *_limited(names, name, stock, stock.remainder)]
    balance = _forgetting if stock.carry_over is False else _carrying
    held, short = balance(names, names.made(net.target, net.dims), name)
    return [net, Formula(name, net.dims, held), Formula(stock.remainder, net.dims, short)]


def _check_ends(names: Vocabulary, name: str, flow: str, key: str, *, inward: bool) -> None:
    """Refuse a remainder or an overflow that does not fit the buffer."""
    check_given_up(names, name, flow, key, inward=inward)
    dims = names.stock_dims(name)
    if names.flow_dims(flow) != dims:
        names.fail(f"the {key} of {name!r} must have its dims {list(dims)}", "stocks", name, key)


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


# --- buffers that lose, or that are full ---------------------------------------------------------


def capacity_of(names: Vocabulary, name: str, stock: StockEntry) -> Expression | None:
    """Return what a buffer can hold, if that is said."""
    key, dims = ("stocks", name, "capacity"), names.stock_dims(name)
    if stock.capacity is None:
        return None
    wants = names.amount("a capacity", "; a number has its unit behind it, such as 5 kt")
    return names.read(stock.capacity, *key, of=name, wants=wants, dims=dims)


def _limited(names: Vocabulary, name: str, stock: StockEntry, remainder: str) -> list[Single]:
    """Return the steps of a buffer year by year: what it has, loses, needs, and has no room for.

    They read what is held a year late, so that they are a loop of their own.
    """
    dims, compose, nothing = names.stock_dims(name), names.compose, names.compose.number(0.0)
    room = _room(names, name, stock)
    before, has = hidden(name, "before"), hidden(name, "at hand")
    removals = removals_of(names, name, stock, dims)
    steps: list[Single] = [
        Formula(before, dims, _held_a_year_ago(names, name)),
        *(Share(flow, dims, (Term(before, dims),), dims, share) for flow, share in removals),
    ]
    net, at_hand = names.made(_net_of(name), dims), names.made(has, dims)
    forgets = stock.carry_over is False
    gained = compose.apply("max", net, nothing) if forgets else net
    lacks = compose.apply("negative", net if forgets else at_hand)
    gained = compose.apply("add", gained, names.made(before, dims))
    for flow, _ in removals:
        gained = compose.apply("subtract", gained, compose.name(flow))
    steps += [
        Formula(has, dims, gained),
        Formula(remainder, dims, compose.apply("max", lacks, nothing)),
    ]
    holds = compose.apply("max", at_hand, nothing)
    if room is not None and stock.overflow is not None:
        beyond = compose.apply("max", compose.apply("subtract", at_hand, room), nothing)
        steps.append(Formula(stock.overflow, dims, beyond))
        holds = compose.apply("min", holds, room)
    return [*steps, Formula(name, dims, compose.apply("multiply", holds, compose.name("step")))]


def _held_a_year_ago(names: Vocabulary, name: str) -> Expression:
    """Return what a buffer begins a year with, as a flow."""
    a_year_ago = names.in_a_year(names.compose.along("lag", names.compose.name(name)))
    return names.compose.apply("add", a_year_ago, _held_before(names, name))


def _room(names: Vocabulary, name: str, stock: StockEntry) -> Expression | None:
    """Return the capacity of a buffer as a flow, with what is below zero as none."""
    for key, other in (("capacity", "overflow"), ("overflow", "capacity")):
        if getattr(stock, key) is not None and getattr(stock, other) is None:
            what = {
                "overflow": "the flow that takes what it has no room for",
                "capacity": "how much it can hold",
            }[other]
            names.fail(f"the buffer {name!r} names no {other}: {what}", "stocks", name, key)
    capacity = capacity_of(names, name, stock)
    if capacity is None or stock.overflow is None:
        return None
    _check_ends(names, name, stock.overflow, "overflow", inward=False)
    check_not_negative(names, capacity, "a capacity", "stocks", name, "capacity")
    nothing = names.compose.number(0.0)
    return names.in_a_year(names.compose.apply("max", capacity, nothing))
