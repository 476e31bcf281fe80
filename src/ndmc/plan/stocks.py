"""Compile the stocks of a scenario to steps: those with lifetimes here, others elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from ndmc.plan.buffers import buffer_steps, sink_steps
from ndmc.plan.given_up import removals_of
from ndmc.plan.initial_stocks import (
    before_step,
    check_not_negative,
    initial_cohorts,
)
from ndmc.plan.prescribed import (
    begun_with,
    check_prescribed_from,
    check_until,
    fed_alone,
    feeding,
    from_then_on,
)
from ndmc.plan.steps import Cohort, Profile, Single, hidden
from ndmc.plan.stock_lifetimes import read_lifetime
from ndmc.plan.vocabulary import Vocabulary
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
            return [*before_step(names, name, cohort), *fed_alone(cohort), cohort]
        case "sink":
            return sink_steps(names, name, stock)
        case "buffer":
            return buffer_steps(names, name, stock)


#: The kinds of stocks that keys concern; others concern all.
_KINDS = {
    **dict.fromkeys(("lifetime", "lifetime_factor"), ("lifetime",)),
    **dict.fromkeys(("value", "prescribed_from", "negative_inflow"), ("lifetime",)),
    "removals": ("lifetime", "buffer"),
    **dict.fromkeys(("remainder", "carry_over", "capacity", "overflow"), ("buffer",)),
}


def _check_keys(names: Vocabulary, name: str, stock: StockEntry) -> None:
    for key, kinds in _KINDS.items():
        if stock.kind not in kinds and getattr(stock, key) not in (None, {}):
            hint = "" if stock.kind != "lifetime" else f"; say kind: {kinds[0]}"
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


# --- stocks with lifetimes -------------------------------------------------------------------


def _cohort(names: Vocabulary, name: str, stock: StockEntry) -> Cohort:
    lifetime = read_lifetime(names, name, stock)
    dims = names.stock_dims(name)
    return Cohort(
        target=name,
        dims=dims,
        inflows=feeding(names, stock),
        lifetime=lifetime,
        initial=initial_cohorts(names, name, lifetime),
        removals=removals_of(names, name, stock, (*dims[:-1], "age")),
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
        level = begun_with(names, name, level, stock.prescribed_from, *key)
        level = from_then_on(names, stock.prescribed_from, level, names.compose.number(0.0))
    check_not_negative(names, level, "a stock", *key)
    return level


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
