"""Which quantities are years: of events, and what is chosen from or put behind them."""

from __future__ import annotations

from collections.abc import Iterable, Set

from ndmc.plan.steps import Formula, Single
from ndmc.scenario.along import EVENTS
from ndmc.scenario.expressions import Expression

__all__ = ["is_year", "years_among"]

#: What gives one of the things, or something between them.
_CHOOSES = (
    *("min", "max", "clip", "where", "by_label"),
    *("lowest", "highest", "mean", "at", "each"),
)

#: A number from here on is a year itself: what is left of a year without it is a time.
_EARLIEST = 1000.0


def years_among(steps: Iterable[Single]) -> frozenset[str]:
    """Return the names of what is a year; steps come in the order in which they are computed.

    Examples
    --------
    >>> years_among([])
    frozenset()
    """
    found: set[str] = set()
    for step in steps:
        if isinstance(step, Formula) and is_year(step.expression, found):
            found.add(step.target)
    return frozenset(found)


def is_year(expression: Expression, years: Set[str]) -> bool:
    """Whether an expression is a year of the calendar, where these names are."""
    operation, arguments = expression.operation, expression.arguments
    if operation in EVENTS:
        return True
    if operation in ("series", "argmax"):  # of years, of ages, or of what is so for a label
        return min(expression.positions) >= _EARLIEST
    if operation == "name":
        return expression.name in years
    if operation == "add":
        return sum(is_year(argument, years) for argument in arguments) == 1
    if operation == "subtract":
        taken = arguments[1]
        few = taken.operation == "number" and taken.value < _EARLIEST
        return few and is_year(arguments[0], years)
    chosen = arguments[1:] if operation == "where" else arguments
    return operation in _CHOOSES and any(is_year(argument, years) for argument in chosen)
