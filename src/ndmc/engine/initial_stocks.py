"""The initial stock: cohorts of before the first year, and what becomes of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ndmc.engine.cohorts import Members, writeable
from ndmc.plan.steps import Initial
from ndmc.scenario.expressions import Expression
from ndmc.scenario.lifetimes import canonical
from ndmc.typing import Floats
from ndmc_kernels.cohort import correlate

# A back-cast inflow goes back until less than this is left of it.
_SPIN_UP = 1e-6

# Less than this of a cohort is nothing: divided by it, shares overflow.
_NOTHING = 1e-200


def initial_amounts(members: Members, offset: float | None = None) -> Floats:
    """Return what the initial stock adds to each fate, [fate, cell, year, draw].

    With an offset every amount is times its age plus that.
    """
    out = np.zeros((members.fates, members.cells, members.years, members.width))
    initial = members.step.initial
    if initial is None:
        return out
    stock, unit, lost = _weights(members, initial)
    if members.fates > 1:
        out[1, :, 0] = (stock * _aged(lost, 1, offset)).sum(axis=1)
    for year, shares in _shares(members, initial):
        span = out[:, :, year : year + shares.shape[2] - initial.ages + 1]
        for fate in range(members.fates):
            found = np.empty(span.shape[1:])
            correlate(unit, writeable(_aged(shares[fate], year + 1, offset)), found)
            span[fate] += found * stock
    return out


def initial_by_age(members: Members, below: int) -> Iterator[tuple[int, Floats, Floats]]:
    """Yield, year by year, what is present and released of the initial cohorts below an age.

    Both are [cell, age, draw]; the youngest cohort is a year older than the years that have passed.
    """
    initial = members.step.initial
    assert initial is not None
    stock, unit, lost = _weights(members, initial)
    held, gone = stock * unit, stock * lost
    for first, shares in _shares(members, initial):
        for n in range(shares.shape[2] - initial.ages + 1):
            year, count = first + n, min(max(below - first - n - 1, 0), initial.ages)
            stays, leaves = shares[:2, :, n : n + count] * held[:, :count]
            yield year, stays, leaves + gone[:, :count] * (year == 0)


def _weights(members: Members, initial: Initial) -> tuple[Floats, Floats, Floats]:
    """Return the initial stock [cell, 1, draw], and its cohorts [cell, age, draw] per unit.

    A cohort's weight is the inflow it once was, so that shares of the inflow apply to it. What
    is said to be older than anything gets is lost: it leaves in the first year.
    """
    survivors = _steady(members, initial)
    left = members.split(survivors)[0]
    number = _number(members, initial)
    lost = np.zeros_like(left)
    if initial.rule == "given":
        present = np.zeros_like(left)
        present[:, : number.shape[1]] = number
        alive = left > _NOTHING
        inflow = np.divide(present, left, out=np.zeros_like(left), where=alive)
        lost[:] = np.where(alive, 0.0, present)
    else:
        inflow = _ago(initial, number, np.arange(float(initial.ages))) * np.ones_like(left)
        inflow *= survivors >= _SPIN_UP if initial.rule == "spin_up" else 1.0
    total = _summed(inflow * left + lost)
    stock = members.full(members.over(initial.value)[:, np.newaxis], 1)
    return stock, writeable(inflow / total), lost / total


def amount_before(members: Members, inflow: Expression) -> Floats:
    """Return what the inflow that led up to one of the first year has left, [cell, 1, draw].

    What is weighed is what `_weights` spreads the amount over, so that cohorts are those inflows.
    """
    initial = members.step.initial
    assert initial is not None
    survivors = _steady(members, initial)
    past = _ago(initial, _number(members, initial), np.arange(1.0, initial.ages + 1))
    past = past * (survivors >= _SPIN_UP if initial.rule == "spin_up" else 1.0)
    left = _summed(past * members.split(survivors)[0])
    return members.full(members.over(inflow)[:, np.newaxis] * left, 1)


def _ago(initial: Initial, number: Floats, years: Floats) -> Floats:
    """Return the inflow of some years ago, [cell, age, draw], as a share of that of now."""
    years = years[:, np.newaxis]
    match initial.rule:
        case "growing":
            return np.asarray(np.exp(-number * years))
        case "spin_up":
            return np.asarray((1.0 + number) ** -years)
    return np.ones_like(years)[np.newaxis]


def _number(members: Members, initial: Initial) -> Floats:
    """Return the growth [cell, 1, draw] or the shares by age [cell, age, draw] of a rule."""
    if initial.number is None:
        return np.zeros((1, 1, 1))
    if initial.rule == "given":
        return members.over(initial.number, "age")
    return members.over(initial.number)[:, np.newaxis]


def _steady(members: Members, initial: Initial) -> Floats:
    """Return survival as if the lifetime factor had been 1 before the first year."""
    step = members.step
    unstretched = replace(step, lifetime=replace(step.lifetime, factor=None))
    steady = Members(unstretched, members.values, members.dims, members.width)
    return steady.survival(0, initial.ages)


def _shares(members: Members, initial: Initial) -> Iterator[tuple[int, Floats]]:
    """Yield a year, and shares [fate, cell, age, draw] from the youngest cohort in it on.

    The longer the ages are than the initial cohorts, the more years the shares hold for.
    """
    if members.step.lifetime.factor is None:
        yield 0, members.shares(0, initial.ages + members.years)[:, :, 1:]
        return
    yield from _stretched(members, initial)


def _stretched(members: Members, initial: Initial) -> Iterator[tuple[int, Floats]]:
    """Yield, year by year, the initial cohorts under a lifetime factor."""
    ages, removals = initial.ages, members.step.removals
    exact = canonical(members.step.lifetime.kind, members.numbers(0))
    before = _steady(members, initial)
    kept = members.split(before)[0] / np.where(before > 0, before, 1.0)
    aged = np.arange(float(ages)).reshape(1, -1, 1)
    for year in range(members.years):
        aged = aged + 1.0 / members.pace(year)
        left = members.averaged(exact, aged, np.ones(1), ages)
        rates = [members.rate(share, year + 1, ages) for _, share in removals]
        still = kept * (1.0 - sum(rates))
        gone = [left * kept * rate for rate in rates]
        yield year, np.stack([left * still, (before - left) * kept, *gone])
        before, kept = left, still


def _summed(shares: Floats) -> Floats:
    """Add up ages by blocks of 32: 2000 in a row would lose a balance to rounding."""
    spare = -shares.shape[1] % 32
    full = np.pad(shares, ((0, 0), (0, spare), (0, 0)))
    blocks = full.reshape(len(full), -1, 32, full.shape[-1])
    return np.asarray(blocks.sum(axis=2).sum(axis=1, keepdims=True))


def _aged(shares: Floats, first: int, offset: float | None) -> Floats:
    """Return shares [cell, age, draw], times their age plus an offset if there is one."""
    if offset is None:
        return shares
    ages = np.arange(first, first + shares.shape[1]) + offset
    return shares * np.maximum(ages, 0.0)[:, np.newaxis]
