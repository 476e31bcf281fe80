"""Stocks with lifetimes: fed by their inflow or prescribed, and their results by age and cohort."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ndmc.dims import rows_in
from ndmc.engine.cohorts import Members
from ndmc.engine.initial_stocks import initial_amounts, initial_by_age
from ndmc.plan.steps import Profile
from ndmc.typing import Floats
from ndmc_kernels.cohort import convolve, drive, profile, spread

_ANSWERS = {"report": 0, "clip": 1, "early_retirement": 2}


def fed(members: Members, inflow: Floats, known: list[Floats] | None = None) -> Floats:
    """Return the amount of each fate [fate, cell, year, draw] of the inflow that feeds a stock.

    Its shares by age may be known.
    """
    if members.step.lifetime.varies:
        out = initial_amounts(members)
        for year, shares in members.each_cohort():
            spread(year, inflow, shares, out)
        return out
    out = np.empty((members.fates, *inflow.shape))
    for fate, shares in enumerate(known or members.shares_by_fate()):
        convolve(inflow, shares, out[fate])
    return out if members.step.initial is None else out + initial_amounts(members)


@dataclass(frozen=True)
class Driven:
    """A prescribed stock: amounts [fate, cell, year, draw] and what it takes to follow them.

    ``inflow`` and ``kept``, the share of all cohorts that stayed, are [cell, year, draw];
    ``shortfall``, the lowest level minus what was left, and ``first``, the smallest share of an
    inflow that is there at the end of its year, are [cell, draw].
    """

    amounts: Floats
    inflow: Floats
    kept: Floats
    shortfall: Floats
    first: Floats


def driven(members: Members, level: Floats, fed: Floats) -> Driven:
    """Return the stock that follows ``level`` [cell, year, draw] once it is no more ``fed``."""
    step = members.step
    out, inflow, kept = initial_amounts(members), np.array(fed), np.ones_like(level)
    shortfall = np.zeros((members.cells, members.width))
    first = np.ones_like(shortfall)
    for year, shares in members.each_cohort():
        if year >= step.start:
            np.minimum(first, shares[0, :, 0], out=first)
            drive(year, level, shares, _ANSWERS[step.answer], inflow, kept, out, shortfall)
        spread(year, inflow, shares, out)
    return Driven(out, inflow, kept, shortfall, first)


# --- results by age and cohort ---------------------------------------------------------------

_MODES = {"age": 0, "cohort": 1, "mean_age": 2}

#: Years between the middle of a cohort's arrival and the end of its first year.
_OFFSETS = {"start": 1.0, "middle": 0.5, "end": 0.0, "uniform": 0.5, "pdf_integer": 0.0}


def profiled(step: Profile, members: Members, inflow: Floats, kept: Floats | None) -> Floats:
    """Return a stock or its release by age or cohort, or its mean age, [cell, ..., year, draw]."""
    dims, cells = members.dims, members.cell_dims
    labels = 2 if step.by == "mean_age" else len(dims.labels[step.by])
    wanted = tuple(dim for dim in step.dims if dim in dims.full(cells))
    out = np.zeros((dims.size(wanted), labels, members.years, members.width))
    rows = rows_in(wanted, cells, dims)
    kept = np.ones_like(inflow) if kept is None else kept
    mode, offset = _MODES[step.by], _OFFSETS[members.step.lifetime.convention]
    if step.of == "outflow":  # what leaves in a year is half a year younger than what it leaves
        offset -= 0.5
    for year, shares in members.each_cohort():
        first = labels - members.years if step.by == "cohort" else 0
        profile(year, mode, first, offset, step.of == "outflow", inflow, shares, kept, rows, out)
    if members.step.initial is not None:
        _add_initial(step, members, kept, rows, offset, out)
    if step.by == "mean_age":
        total = out[:, 1]
        out = np.divide(out[:, 0], total, out=np.zeros_like(total), where=total != 0)
    return out.reshape(*dims.shape(wanted), *out.shape[1:])


def _add_initial(
    step: Profile,
    members: Members,
    kept: Floats,
    rows: npt.NDArray[np.int64],
    offset: float,
    out: Floats,
) -> None:
    """Add the cohorts of the initial stock, whose ages go on from before the first year."""
    amount = _amount_of(step, kept)
    whole = amount(slice(None), *initial_amounts(members)[:2])
    match step.by:
        case "cohort":
            np.add.at(out[:, 0], rows, whole)
        case "mean_age":
            times_age = amount(slice(None), *initial_amounts(members, offset)[:2])
            np.add.at(out[:, 0], rows, times_age)
            np.add.at(out[:, 1], rows, whole)
        case "age":
            for year, *stays_and_leaves in initial_by_age(members, out.shape[1] - 1):
                found = amount(slice(year, year + 1), *stays_and_leaves)
                np.add.at(out[:, year + 1 : year + 1 + found.shape[1], year], rows, found)
                whole[:, year] -= found.sum(axis=1)
            np.add.at(out[:, -1], rows, np.maximum(whole, 0.0))  # what rounding leaves is no mass


def _amount_of(step: Profile, kept: Floats) -> Callable[[slice, Floats, Floats], Floats]:
    """Return what makes an amount in some years of what would be present and released.

    ``kept`` is the share of all cohorts that a prescribed stock lets stay.
    """
    after = np.cumprod(kept, axis=1)
    before = np.concatenate([np.ones_like(after[:, :1]), after[:, :-1]], axis=1)

    def amount(years: slice, present: Floats, released: Floats) -> Floats:
        if step.of == "stock":
            return np.asarray(after[:, years] * present)
        gone = released + (1.0 - kept[:, years]) * present
        return np.asarray(before[:, years] * gone)

    return amount
