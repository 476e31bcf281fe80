"""Stocks that a given inflow feeds until a year, and that are prescribed from the next one on.

The one flow that is given until then (``until``) is closed by what the stock takes in afterwards;
all cohorts stay where they are.
"""

from __future__ import annotations

from dataclasses import replace

from ndmc.plan.steps import Balance, Cohort, Formula, Single, Term, hidden
from ndmc.plan.vocabulary import Vocabulary
from ndmc.scenario.expressions import Expression
from ndmc.scenario.schema import StockEntry


def check_prescribed_from(names: Vocabulary, name: str, stock: StockEntry) -> None:
    """Refuse a first prescribed year that no inflow leads up to, or that lies outside the years."""
    first = stock.prescribed_from
    if first is None:
        return
    key, years = ("stocks", name, "prescribed_from"), names.dims.years
    if stock.value is None:
        names.fail("prescribed_from only concerns a stock with a value", *key)
    if not years[0] < first <= years[-1]:
        names.fail(
            f"prescribed_from is {first}, but before it a given inflow feeds the stock: choose "
            f"one of {years[0] + 1}..{years[-1]}, or leave it out: prescribed in all years",
            *key,
        )
    ended = _ended(names, stock.process)
    if not ended:
        names.fail(
            f"the stock {name!r} is prescribed from {first} on, but no flow into "
            f"{stock.process!r} says what feeds it before; give one a value with until: "
            f"{first - 1}",
            *key,
        )
    if len(ended) > 1:
        both = " and ".join(map(repr, ended[:2]))
        names.fail(f"{both} both have until, but the stock {name!r} closes one flow alone", *key)


def check_until(names: Vocabulary, name: str) -> None:
    """Refuse a value that ends in a year after which no stock closes the flow."""
    flow, key = names.file.flows[name], ("flows", name, "until")
    if flow.until is None:
        return
    if flow.value is None:
        names.fail("until says how long a value holds; give the flow a value", *key)
    stock = names.file.stocks.get(names.holders.get(flow.target, ""))
    if stock is None or stock.prescribed_from is None:
        names.fail(
            f"until: {flow.until} leaves {name!r} open afterwards, and no stock closes it; give "
            f"the stock of {flow.target!r} a value and prescribed_from: {flow.until + 1}",
            *key,
        )
    if flow.until != stock.prescribed_from - 1:
        names.fail(
            f"{name!r} is given until {flow.until}, but the stock {names.holders[flow.target]!r} "
            f"is prescribed from {stock.prescribed_from} on; write until: "
            f"{stock.prescribed_from - 1}",
            *key,
        )


def _ended(names: Vocabulary, process: str) -> list[str]:
    """Return the flows into a process that are given until a year."""
    into = (term.name for term in names.inflows(process))
    return [name for name in into if names.file.flows[name].until is not None]


def feeding(names: Vocabulary, stock: StockEntry) -> tuple[Term, ...]:
    """Return what feeds a stock, as long as it is fed: of a flow that ends its given part."""
    ended = _ended(names, stock.process)
    return tuple(
        replace(term, name=given_part(names, term.name)) if term.name in ended else term
        for term in names.inflows(stock.process)
    )


def given_part(names: Vocabulary, flow: str) -> str:
    """Return the name of what is given of a flow: its own, unless it is given until a year."""
    until = names.file.flows[flow].until
    return flow if until is None else hidden(flow, f"until {until}")


def from_then_on(
    names: Vocabulary, first: int, value: Expression, before: Expression
) -> Expression:
    """Return one thing from a year on and another before it."""
    compose = names.compose
    begun = compose.apply("greater_equal", compose.name("year"), compose.number(float(first)))
    return compose.apply("where", begun, value, before)


# --- a level that begins with what was fed ---------------------------------------------------


def begun_with(
    names: Vocabulary, name: str, level: Expression, first: int, *key: str
) -> Expression:
    """Return a level that reads its own stock of the years before as that of what fed it alone."""
    found = _of_the_past(level, name, names.dims.years.index(first))
    if name in found.names:
        names.fail(
            f"the value of the stock {name!r} may read the stock itself only as it was before: "
            f"at({name}, year={first - 1})",
            *key,
        )
    return found


def _of_the_past(expression: Expression, name: str, start: int) -> Expression:
    if name not in expression.names:
        return expression
    years = expression.positions if expression.operation == "at" else ()
    past = expression.along == "year" and bool(years) and max(years) < start
    if past and _looks_back(expression.arguments[0]):
        return _renamed(expression, name)
    parts = tuple(_of_the_past(part, name, start) for part in expression.arguments)
    return replace(expression, arguments=parts)


def _looks_back(expression: Expression) -> bool:
    """Whether nothing in an expression needs a later year than its own."""
    kept = "year" in expression.dims
    return all((kept or "year" not in p.dims) and _looks_back(p) for p in expression.arguments)


def _renamed(expression: Expression, name: str) -> Expression:
    """Return an expression of what feeds a stock alone instead of the stock."""
    if expression.operation == "name" and expression.name == name:
        return replace(expression, name=hidden(name, "fed"))
    return replace(expression, arguments=tuple(_renamed(p, name) for p in expression.arguments))


def fed_alone(cohort: Cohort) -> list[Cohort]:
    """Return the stock that its inflow would leave in all years, if the level begins with it."""
    fed = hidden(cohort.target, "fed")
    if cohort.level is None or fed not in cohort.level.names:
        return []
    removals = tuple((hidden(flow, "fed"), share) for flow, share in cohort.removals)
    alone = replace(cohort, target=fed, removals=removals, level=None, start=0)
    return [replace(alone, inflow="", release="", kept="")]


# --- the flow that ends --------------------------------------------------------------------------


def two_parts(names: Vocabulary, name: str, value: Expression, closed: Balance) -> list[Single]:
    """Return the steps of a flow that is given until a year and closed by a stock afterwards."""
    dims, until = names.flow_dims(name), names.file.flows[name].until
    assert until is not None
    given, after = given_part(names, name), hidden(name, f"from {until + 1}")
    nothing = names.compose.number(0.0)
    both = (names.made(after, dims), names.made(given, dims))
    return [
        Formula(given, dims, from_then_on(names, until + 1, nothing, value)),
        replace(closed, target=after),
        Formula(name, dims, from_then_on(names, until + 1, *both)),
    ]
