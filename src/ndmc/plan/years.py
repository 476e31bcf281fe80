"""Which quantities are years: of events, and what is chosen from or put behind them."""

from __future__ import annotations

from collections.abc import Iterable, Set

from ndmc.plan.steps import Formula, Single
from ndmc.scenario.expressions import Expression

__all__ = ["is_year", "years_among"]

#: What gives a year, whatever it is given.
_GIVES = ("first_year", "last_year", "peak_year", "argmax")

#: What gives one of the things, or something between them.
_CHOOSES = ("min", "max", "clip", "where", "mean", "at", "each", "by_label")

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
    if operation in _GIVES:
        return True
    if operation == "name":
        return expression.name in years
    if operation == "series":  # of the years themselves
        return expression.dims == ("year",) and min(expression.positions) >= _EARLIEST
    if operation == "add":
        return sum(is_year(argument, years) for argument in arguments) == 1
    if operation == "subtract":
        taken = arguments[1]
        few = taken.operation == "number" and taken.value < _EARLIEST
        return few and is_year(arguments[0], years)
    chosen = arguments[1:] if operation == "where" else arguments
    return operation in _CHOOSES and any(is_year(argument, years) for argument in chosen)
