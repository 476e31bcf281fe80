"""Formulas by label inside a loop: what of them is known before it is solved, and what is not."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace

from ndmc.scenario.expressions import BY_LABEL, EVERYWHERE, Expression
from ndmc.scenario.units import NONE

_NOTHING = Expression((), None, "number", value=0.0)


def split(expression: Expression, members: Set[str]) -> tuple[Expression, Expression]:
    """Return formulas by label that are known, and those that read ``members`` of the loop.

    Where the others are taken the known are 0, so that one input holds them all; of what is known
    in the others nothing is computed for labels that do not take it.
    """
    dim, size = expression.dims[expression.axis], len(expression.positions)
    known, others = list(expression.arguments), list(expression.arguments)
    for n, formula in enumerate(expression.arguments):
        if formula.names & members:
            known[n] = _NOTHING
            taken = tuple(int(one != n) for one in expression.positions)
            others[n] = _limited(formula, members, dim, taken) if size > 1 else formula
    return replace(expression, arguments=tuple(known)), replace(expression, arguments=tuple(others))


def _limited(
    formula: Expression, members: Set[str], dim: str, taken: tuple[int, ...]
) -> Expression:
    """Return a formula whose known parts are 0 for the labels that do not take it."""
    if not formula.names & members:
        if dim not in formula.dims or not formula.arguments:
            return formula
        both = (formula, _NOTHING)
        axis = formula.dims.index(dim)
        return replace(formula, operation=BY_LABEL, arguments=both, axis=axis, positions=taken)
    if formula.along == dim:  # which needs its argument everywhere there
        return formula
    arguments = (_limited(part, members, dim, taken) for part in formula.arguments)
    return replace(formula, arguments=tuple(arguments))


def by_year(expression: Expression) -> Expression:
    """Return formulas by year as choices: a loop has one code for all its years."""
    *others, (chosen, _, _) = expression.taken(EVERYWHERE)
    for part, places, _ in others:
        holds = tuple(int(n in places) for n in range(len(expression.positions)))
        test = Expression(("year",), NONE, "series", positions=holds, axis=0)
        both = (test, part, chosen)
        chosen = replace(expression, operation="where", arguments=both, axis=-1, positions=())
    return chosen
