"""Draws that cannot stand: what ends a run, and what is said of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ndmc.engine.audit import LIMIT, Audit
from ndmc.engine.evaluation import evaluate_central
from ndmc.errors import InputError, RunError
from ndmc.label import pairs
from ndmc.plan.compared import MEASURES
from ndmc.plan.findings import Watch
from ndmc.plan.steps import Plan

__all__ = ["check_central", "check_draws"]


# --- draws that have no meaning ---------------------------------------------------------------


def _gain_message(watch: Watch) -> str:
    """Say that a loop returns too much."""
    text = " -> ".join([*watch.loop, watch.loop[0]])
    return (
        f"the loop {text} returns at least all that enters it, to a part in 1e9, so that no finite "
        "flow balances it; lower its shares or let something leave it"
    )


def _start_message(watch: Watch) -> str:
    """Say that too little is left of what enters a prescribed stock."""
    return (
        f"less than 0.1 % of what enters the stock {watch.name!r} is there at the end of its first "
        "year, so its inflow cannot be found from it; use inflow_at: uniform or end, or longer "
        "lifetimes"
    )


_FATAL = {"gain": _gain_message, "no_start": _start_message}


def check_draws(
    plan: Plan,
    audit: Audit,
    results: Mapping[str, npt.NDArray[Any]],
    draws: range,
) -> None:
    """Refuse draws that have no meaning, are not finite or do not balance."""
    _check_counts(plan, audit, draws)
    for name, values in results.items():
        _check_finite(plan, name, values, draws)
    _check_balance(audit)


def _check_counts(plan: Plan, audit: Audit, draws: range) -> None:
    where = f"draws {draws.start} to {draws.stop - 1}"
    for watch, count in zip(plan.watches, audit.counts, strict=True):
        if count and watch.kind == "range" and watch.name in plan.positive:
            raise RunError(
                f"lifetime parameter {watch.name!r} was drawn at or below zero in {where}; "
                "use distribution: lognormal"
            )
        if count and watch.kind in _FATAL:
            share = f"in {count:,} of {audit.draws:,} draws ({count / audit.draws:.2g})"
            raise RunError(f"{_FATAL[watch.kind](watch)}: {share}, of {where}")


def _check_balance(audit: Audit) -> None:
    if audit.worst <= LIMIT:
        return
    assert audit.place is not None
    process, year, draw = audit.place
    raise RunError(
        f"process {process!r} is out of balance in {year} in draw {draw}, by {audit.worst:.2g} of "
        f"its largest flow or stock ({LIMIT:.2g} is rounding); look for numbers that make no "
        "sense, such as a share above 1"
    )


def _check_finite(plan: Plan, name: str, values: npt.NDArray[Any], draws: range) -> None:
    sound = np.isfinite(values)
    if name in plan.events:  # what never happens is infinite, and so is what comes before that
        sound |= np.isinf(values) if plan.output(name).kind in MEASURES else np.isposinf(values)
    if sound.all():
        return
    *cell, draw = np.argwhere(~sound)[0]
    dims = plan.output(name).dims
    labels = pairs({d: plan.dims.labels[d][n] for d, n in zip(dims, cell, strict=True)})
    place = f" [{labels}]" if labels else ""
    hint = "look for a division by zero or a negative share, and at the ranges of its parameters"
    if values.dtype == np.float32 and np.isinf(values[(*cell, draw)]):
        hint += "; above 3e38, store it with --dtype float64"
    if plan.conditioning is not None:
        hint += "; or no values near the draw satisfy the equations of 'reconcile'"
    raise RunError(f"{name}{place} is {values[(*cell, draw)]} in draw {draws.start + draw}; {hint}")


def check_central(plan: Plan) -> dict[str, npt.NDArray[Any]]:
    """Return the outputs with every parameter at its mean.

    Raises
    ------
    InputError
        If the model cannot be right even there: a loop that returns all that enters it, a
        prescribed stock that nothing can sustain.
    """
    audit = Audit(plan)
    central = evaluate_central(plan, audit)
    for watch, count in zip(plan.watches, audit.counts, strict=True):
        if count and watch.kind in _FATAL:
            raise InputError(_FATAL[watch.kind](watch), watch.where)
    return central
