"""Limits that too few draws are above, or below, for anyone to say what decides it."""

from __future__ import annotations

import numpy as np

from ndmc.engine.scores import observed_draws, scores_of
from ndmc.errors import InputError
from ndmc.plan.steps import Plan
from ndmc.plan.study import Observed
from ndmc.store.spec import Spec
from ndmc.typing import Floats

#: So many draws are looked at before all others; and of all, so many must be on the rarer side: the
#: variance of an event that comes 200 times is known to 7 %.
_LOOKED, _NEEDED = 2**12, 200


def check_tails(plan: Plan, spec: Spec) -> None:
    """Refuse events of a study that are too rare, or too sure, in every cell.

    Raises
    ------
    InputError
        With the number of draws that would do.
    """
    if plan.study is None or all(one.above is None for one in plan.study.observed):
        return
    draws = range(min(spec.draws, _LOOKED))
    found = observed_draws(plan, scores_of(plan), spec.seed, draws)
    often = sum(values.sum(axis=1) for _, values in found)
    first = 0
    for one in plan.study.observed:
        cells = slice(first, first + plan.dims.size(one.dims))
        first = cells.stop
        if one.above is not None:
            _check(one, plan.output(one.name).unit, np.asarray(often)[cells], len(draws), spec)


def _check(one: Observed, unit: str, often: Floats, looked: int, spec: Spec) -> None:
    rarer = int(np.minimum(often, looked - often).max())
    at_most = rarer + 2 * np.sqrt(rarer) + 3  # the upper limit of what is expected in as many
    if at_most * spec.draws >= _NEEDED * looked:
        return
    side = "above" if often.max() < looked / 2 else "not above"
    enough = f"ask for -n {_rounded(_NEEDED * looked / rarer)}" if rarer else "ask for more draws"
    event = f"{one.title} > {one.above:.12g} {unit}".removesuffix(" 1")
    raise InputError(
        f"{event!r}: of the first {looked:,} draws {rarer} at most are {side}, and of "
        f"{spec.draws:,} about {rarer * spec.draws / looked:.0f} would be; what decides it is not "
        f"known from fewer than {_NEEDED}: {enough}, or choose another limit",
        "--exceed",
    )


def _rounded(draws: float) -> str:
    """Return a number of draws with two digits, not below it."""
    ten = 10 ** max(int(np.log10(draws)) - 1, 0)
    return f"{-(-int(np.ceil(draws)) // ten) * ten}"
