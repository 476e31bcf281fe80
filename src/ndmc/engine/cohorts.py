"""Evaluate stocks with lifetimes: what remains of every cohort, and what leaves it."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ndmc.dims import Dims, align, rows_of
from ndmc.plan.steps import Cohort, Initial, Lifetime, Profile
from ndmc.scenario.expressions import Expression, evaluate_expression
from ndmc.scenario.lifetimes import TABLE, canonical, outlived
from ndmc.typing import Floats
from ndmc_kernels import survival
from ndmc_kernels.cohort import convolve, correlate, drive, profile, spread

__all__ = ["Members", "driven", "fed", "log_nodes", "profiled"]

_ANSWERS = {"report": 0, "clip": 1, "early_retirement": 2}

# A back-cast inflow goes back until less than this is left of it.
_SPIN_UP = 1e-6

# Less than this of a cohort is nothing: divided by it, shares overflow.
_NOTHING = 1e-200


class Members:
    """The cohorts of one stock, for one tile of draws: what is left of each at every age.

    Arrays of shares are [part, cell, age, draw]; the parts are the stock, its release and each
    removal, as shares of the inflow of one cohort.
    """

    def __init__(self, step: Cohort, values: Mapping[str, Floats], dims: Dims, width: int) -> None:
        self.step, self.values, self.dims, self.width = step, values, dims, width
        leaves = bool(step.release or step.removals or step.level)
        self.cell_dims = step.dims[:-1]
        self.cells = dims.size(self.cell_dims)
        self.years = len(dims.years)
        self.parts = 1 + leaves + len(step.removals)

    # --- shares by age -----------------------------------------------------------------------

    def shares(self, cohort: int = 0, ages: int = 0) -> Floats:
        """Return the shares of a cohort by age, as many ages as asked for or as it can reach."""
        return np.stack(self.parts_by_age(cohort, ages))

    def parts_by_age(self, cohort: int = 0, ages: int = 0) -> list[Floats]:
        """Return the same, part by part."""
        ages = ages or self.years - cohort * self.step.lifetime.varies
        return self._split(self._survival(cohort, ages))

    def each_cohort(self) -> Iterator[tuple[int, Floats]]:
        """Yield the year of inflow of every cohort, and its shares."""
        shares = np.empty(0)
        for year in range(self.years):
            if year == 0 or self.step.lifetime.varies:
                shares = self.shares(year)
            yield year, shares

    def _split(self, left: Floats) -> list[Floats]:
        """Split survival into what stays, is released and is removed early."""
        leaving = [-np.diff(left, axis=1, prepend=1.0)] if self.parts > 1 else []
        if not self.step.removals:
            return [left, *leaving]
        rates = [self._rate(share, 0, left.shape[1]) for _, share in self.step.removals]
        kept = np.cumprod(1.0 - sum(rates), axis=1)
        earlier = np.concatenate([np.ones_like(kept[:, :1]), kept[:, :-1]], axis=1)
        gone = [left * earlier * rate for rate in rates]
        return [left * kept, *(part * earlier for part in leaving), *gone]

    def _rate(self, share: Expression, first: int, ages: int) -> Floats:
        """Return the share removed at each age; one without ages starts a year after the inflow."""
        wants = (*self.cell_dims, *(("age",) if "age" in share.dims else ()))
        flat = align(evaluate_expression(share, self.values), share.dims, wants, self.dims)
        flat = flat.reshape(self.cells, -1, flat.shape[-1])
        at: npt.NDArray[np.int64] = np.arange(first, first + ages)
        if "age" in share.dims:
            return flat[:, np.minimum(at, flat.shape[1] - 1)]
        return flat * (at > 0)[:, np.newaxis]

    def _numbers(self, cohort: int) -> dict[str, Floats]:
        """Return the arguments of the lifetime of one cohort, each [cell, draw or 1]."""
        found = {}
        for name, expression in self.step.lifetime.arguments:
            array = evaluate_expression(expression, self.values)
            has = expression.dims
            if "year" in has:
                array = np.take(array, cohort, axis=has.index("year"))
                has = tuple(dim for dim in has if dim != "year")
            wants = (*self.cell_dims, *(("age",) if "age" in has else ()))
            found[name] = align(array, has, wants, self.dims).reshape(
                self.cells, *self.dims.shape(wants[len(self.cell_dims) :]), array.shape[-1]
            )
        return found

    def _survival(self, cohort: int, ages: int) -> Floats:
        """Return the share [cell, age, draw] left at the end of each year of age."""
        lifetime, numbers = self.step.lifetime, self._numbers(cohort)
        if lifetime.kind == TABLE:
            return self._table(numbers["table"], ages)
        exact = canonical(lifetime.kind, numbers)
        if lifetime.convention == "pdf_integer":
            return self._integer_density(exact, ages)
        if lifetime.kind == "weibull" and lifetime.factor is None:
            return self._weibull(exact, ages)
        return self._averaged(exact, self._passed(cohort, ages), self._pace(cohort), ages)

    def _averaged(
        self, numbers: tuple[Floats, ...], passed: Floats, pace: Floats, ages: int
    ) -> Floats:
        """Average survival over the year of arrival, for cohorts that have aged since by so much.

        ``passed`` is [cell, age, draw], ``pace`` the lifetime factor of the year of arrival.
        """
        kind, convention = self.step.lifetime.kind, self.step.lifetime.convention
        numbers = tuple(number[:, np.newaxis] for number in numbers)
        if kind == "fixed" and convention == "uniform":  # a jump, which quadrature would blur
            return self._full(np.clip((numbers[0] - passed) * pace, 0.0, 1.0), ages)
        nodes, weights = _nodes(convention, ages, self.step.lifetime.panels)
        left = np.zeros(1)
        for node in range(nodes.shape[1]):
            part = (nodes[:, node] - np.arange(ages))[:, np.newaxis]
            shares = outlived(kind, part / pace + passed, numbers)
            left = left + weights[:, node, np.newaxis] * shares
        return self._full(left, ages)

    def _full(self, shares: Floats, ages: int) -> Floats:
        return _filling(shares, (self.cells, ages, self.width))

    def _flat(self, array: Floats) -> Floats:
        return _filling(array, (self.cells, self.width))

    def _weibull(self, numbers: tuple[Floats, ...], ages: int) -> Floats:
        (scale, shape), lifetime = numbers, self.step.lifetime
        log_ages, weights = log_nodes(lifetime, ages)
        if scale.shape[-1] == shape.shape[-1] == 1:  # certain: one draw tells all
            out = np.empty((self.cells, ages, 1))
            survival.weibull(_writeable(scale), _writeable(shape), log_ages, weights, out)
            return self._full(out, ages)
        out = np.empty((self.cells, ages, self.width))
        survival.weibull(self._flat(scale), self._flat(shape), log_ages, weights, out)
        return out

    def _integer_density(self, numbers: tuple[Floats, ...], ages: int) -> Floats:
        scale, shape = numbers
        out = np.empty((self.cells, self.years, self.width))
        survival.weibull_integer_density(self._flat(scale), self._flat(shape), out)
        if self.step.lifetime.normalise == "truncate":
            out[:] = 1.0 - (1.0 - out) / (1.0 - out[:, -1:])
        return out[:, :ages]

    def _table(self, table: Floats, ages: int) -> Floats:
        out = np.zeros((self.cells, ages, self.width))
        known = min(ages, table.shape[1])
        out[:, :known] = table[:, :known]
        return out

    # --- lifetimes that change for what is in use already -----------------------------------

    def _pace(self, year: int) -> Floats:
        """Return the factor on lifetimes in one year, [cell, 1, draw or 1]."""
        factor = self.step.lifetime.factor
        if factor is None:
            return np.ones((1, 1, 1))
        return self._factors(factor)[:, year : year + 1]

    def _factors(self, factor: Expression) -> Floats:
        wants = (*self.cell_dims, "year")
        array = align(evaluate_expression(factor, self.values), factor.dims, wants, self.dims)
        return array.reshape(self.cells, self.years, array.shape[-1])

    def _passed(self, cohort: int, ages: int) -> Floats:
        """Return by how much a cohort has aged in the years after its first, [cell, age, draw]."""
        factor = self.step.lifetime.factor
        if factor is None:
            return np.arange(float(ages)).reshape(1, -1, 1)
        yearly = 1.0 / self._factors(factor)[:, cohort + 1 : cohort + ages]
        still = np.zeros((*yearly.shape[:1], 1, yearly.shape[-1]))
        aged = np.cumsum(np.concatenate([still, yearly], axis=1), axis=1)
        beyond = np.arange(1.0, ages - aged.shape[1] + 1).reshape(1, -1, 1)
        return np.concatenate([aged, aged[:, -1:] + beyond], axis=1) if beyond.size else aged

    # --- the initial stock ---------------------------------------------------------------------

    def initial(self, offset: float | None = None) -> Floats:
        """Return what the initial stock adds to each part, [part, cell, year, draw].

        With an offset every amount is times its age plus that.
        """
        out = np.zeros((self.parts, self.cells, self.years, self.width))
        if self.step.initial is None:
            return out
        stock, unit, lost = self._initial_weights(self.step.initial)
        if self.parts > 1:
            out[1, :, 0] = (stock * _aged(lost, 1, offset)).sum(axis=1)
        for year, age, shares in self._initial_shares(self.step.initial):
            span = out[:, :, year : year + shares.shape[2] - unit.shape[1] + 1]
            for part in range(self.parts):
                found = np.empty(span.shape[1:])
                correlate(unit, _writeable(_aged(shares[part], age, offset)), found)
                span[part] += found * stock
        return out

    def initial_by_age(self, labels: int) -> Iterator[tuple[int, Floats, Floats]]:
        """Yield, year by year, what is present and released of the ages below the last label.

        The first of the ages is that of the youngest initial cohort, one more each year.
        """
        assert self.step.initial is not None
        stock, unit, lost = self._initial_weights(self.step.initial)
        held, gone = stock * unit, stock * lost
        for first, _, shares in self._initial_shares(self.step.initial):
            for n in range(shares.shape[2] - unit.shape[1] + 1):
                count = min(max(labels - first - n - 2, 0), held.shape[1])
                part = shares[:, :, n : n + count]
                released = held[:, :count] * part[1] + gone[:, :count]
                yield first + n, held[:, :count] * part[0], released
                gone = np.zeros_like(gone)

    def _initial_weights(self, initial: Initial) -> tuple[Floats, Floats, Floats]:
        """Return the initial stock [cell, 1, draw], and its cohorts [cell, age, draw] per unit.

        A cohort's weight is the inflow it once was, so that shares of the inflow apply to it. What
        is said to be older than anything gets is lost: it leaves in the first year.
        """
        survivors = self._steady(initial.ages)
        left = self._split(survivors)[0]
        number = self._initial_number(initial)
        ages = np.arange(float(initial.ages))[:, np.newaxis]
        lost = np.zeros_like(left)
        match initial.rule:
            case "stationary":
                inflow = np.ones_like(left)
            case "growing":
                inflow = np.exp(-number * ages) * np.ones_like(left)
            case "spin_up":
                inflow = (1.0 + number) ** -ages * (survivors >= _SPIN_UP)
            case _:
                present = np.zeros_like(left)
                present[:, : number.shape[1]] = number
                alive = left > _NOTHING
                inflow = np.divide(present, left, out=np.zeros_like(left), where=alive)
                lost[:] = np.where(alive, 0.0, present)
        total = _summed(inflow * left + lost)
        stock = align(
            evaluate_expression(initial.value, self.values),
            initial.value.dims,
            self.cell_dims,
            self.dims,
        )
        stock = stock.reshape(self.cells, 1, stock.shape[-1])
        return self._full(stock, 1), _writeable(inflow / total), lost / total

    def _initial_number(self, initial: Initial) -> Floats:
        """Return the growth [cell, 1, draw] or the shares by age [cell, age, draw] of a rule."""
        if initial.number is None:
            return np.zeros((1, 1, 1))
        by_age = initial.rule == "given"
        wants = (*self.cell_dims, *(("age",) if by_age else ()))
        array = align(
            evaluate_expression(initial.number, self.values), initial.number.dims, wants, self.dims
        )
        return array.reshape(self.cells, -1, array.shape[-1])

    def _steady(self, ages: int) -> Floats:
        """Return survival as if the lifetime factor had been 1 before the first year."""
        if self.step.lifetime.factor is None:
            return self._survival(0, ages)
        return Members(_without_factor(self.step), self.values, self.dims, self.width)._survival(
            0, ages
        )

    def _initial_shares(self, initial: Initial) -> Iterator[tuple[int, int, Floats]]:
        """Yield a year, the youngest age in it, and shares [part, cell, age, draw] from there on.

        The longer the ages are than the initial cohorts, the more years the shares hold for.
        """
        if self.step.lifetime.factor is None:
            yield 0, 1, self.shares(0, initial.ages + self.years)[:, :, 1:]
            return
        yield from self._stretched(initial)

    def _stretched(self, initial: Initial) -> Iterator[tuple[int, int, Floats]]:
        """Yield, year by year, the initial cohorts under a lifetime factor."""
        ages, removals = initial.ages, self.step.removals
        exact = canonical(self.step.lifetime.kind, self._numbers(0))
        before = self._steady(ages)
        kept = self._split(before)[0] / np.where(before > 0, before, 1.0)
        aged = np.arange(float(ages)).reshape(1, -1, 1)
        for year in range(self.years):
            aged = aged + 1.0 / self._pace(year)
            left = self._averaged(exact, aged, np.ones(1), ages)
            rates = [self._rate(share, year + 1, ages) for _, share in removals]
            still = kept * (1.0 - sum(rates))
            gone = [left * kept * rate for rate in rates]
            yield year, year + 1, np.stack([left * still, (before - left) * kept, *gone])
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


def _without_factor(step: Cohort) -> Cohort:
    return replace(step, lifetime=replace(step.lifetime, factor=None))


def _filling(array: Floats, shape: tuple[int, ...]) -> Floats:
    """Return an array of a shape as kernels want it, copied only if it is not."""
    return _writeable(array if array.shape == shape else np.broadcast_to(array, shape))


def _writeable(array: Floats) -> Floats:
    """Return an array as kernels want it."""
    return np.require(array, requirements=["C", "W"])


@functools.lru_cache(maxsize=64)
def _nodes(convention: str, ages: int, panels: int) -> tuple[Floats, Floats]:
    return survival.quadrature(convention, ages, panels)


def log_nodes(lifetime: Lifetime, ages: int) -> tuple[Floats, Floats]:
    """Return the logarithms of the ages at which survival is evaluated, and their weights."""
    return _log_nodes(lifetime.convention, ages, lifetime.panels)


@functools.lru_cache(maxsize=64)
def _log_nodes(convention: str, ages: int, panels: int) -> tuple[Floats, Floats]:
    nodes, weights = survival.quadrature(convention, ages, panels)
    with np.errstate(divide="ignore"):
        return np.log(nodes), weights


# --- stocks ----------------------------------------------------------------------------------


def fed(members: Members, inflow: Floats, known: list[Floats] | None = None) -> Floats:
    """Return all parts [part, cell, year, draw] of a stock, of the inflow that feeds it.

    Its shares by age may be known.
    """
    if members.step.lifetime.varies:
        out = members.initial()
        for year, shares in members.each_cohort():
            spread(year, inflow, shares, out)
        return out
    out = np.empty((members.parts, *inflow.shape))
    for part, shares in enumerate(known or members.parts_by_age()):
        convolve(inflow, shares, out[part])
    return out if members.step.initial is None else out + members.initial()


@dataclass(frozen=True)
class Driven:
    """A prescribed stock: its parts [part, cell, year, draw] and what it takes to follow them.

    ``inflow`` and ``kept``, the share of all cohorts that stayed, are [cell, year, draw];
    ``shortfall``, the lowest level minus what was left, and ``first``, the smallest share of an
    inflow that is there at the end of its year, are [cell, draw].
    """

    parts: Floats
    inflow: Floats
    kept: Floats
    shortfall: Floats
    first: Floats


def driven(members: Members, level: Floats, answer: str) -> Driven:
    """Return the stock that follows ``level`` [cell, year, draw]."""
    out, inflow, kept = members.initial(), np.empty_like(level), np.ones_like(level)
    shortfall = np.zeros((members.cells, members.width))
    first = np.ones_like(shortfall)
    for year, shares in members.each_cohort():
        np.minimum(first, shares[0, :, 0], out=first)
        drive(year, level, shares, _ANSWERS[answer], inflow, kept, out, shortfall)
        spread(year, inflow, shares, out)
    return Driven(out, inflow, kept, shortfall, first)


# --- results by age and cohort ---------------------------------------------------------------


def profiled(
    step: Profile, members: Members, inflow: Floats, kept: Floats | None, dims: Dims
) -> Floats:
    """Return a stock or its release by age or cohort, or its mean age, [cell, ..., year, draw]."""
    labels = 2 if step.by == "mean_age" else len(dims.labels[step.by])
    wanted = tuple(dim for dim in members.cell_dims if dim in step.dims)
    shape = dims.shape(wanted)
    out = np.zeros((dims.size(wanted), labels, members.years, members.width))
    rows = rows_of(members.cell_dims, wanted, dims)
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
        mean = np.divide(out[:, 0], total, out=np.zeros_like(total), where=total != 0)
        return mean.reshape(*shape, *mean.shape[1:])
    return out.reshape(*shape, *out.shape[1:])


_MODES = {"age": 0, "cohort": 1, "mean_age": 2}

#: Years between the middle of a cohort's arrival and the end of its first year.
_OFFSETS = {"start": 1.0, "middle": 0.5, "end": 0.0, "uniform": 0.5, "pdf_integer": 0.0}


def _add_initial(
    step: Profile,
    members: Members,
    kept: Floats,
    rows: npt.NDArray[np.int64],
    offset: float,
    out: Floats,
) -> None:
    """Add the cohorts of the initial stock, whose ages go on from before the first year."""
    after = np.cumprod(kept, axis=1)
    before = np.concatenate([np.ones_like(after[:, :1]), after[:, :-1]], axis=1)

    def amount(present: Floats, released: Floats, years: slice | int = slice(None)) -> Floats:
        now = (slice(None), years)
        if step.of == "stock":
            return np.asarray(after[now] * present)
        return np.asarray(before[now] * (released + (1.0 - kept[now]) * present))

    whole = amount(*members.initial()[:2])
    match step.by:
        case "cohort":
            np.add.at(out[:, 0], rows, whole)
        case "mean_age":
            np.add.at(out[:, 0], rows, amount(*members.initial(offset)[:2]))
            np.add.at(out[:, 1], rows, whole)
        case _:
            for year, present, released in members.initial_by_age(out.shape[1]):
                found = amount(present, released, slice(year, year + 1))
                ages = slice(year + 1, year + 1 + found.shape[1])
                np.add.at(out[:, ages, year], rows, found)
                whole[:, year] -= found.sum(axis=1)
            np.add.at(out[:, -1], rows, np.maximum(whole, 0.0))  # what rounding leaves is no mass
