"""The cohorts of a stock: what remains of each at every age, and what leaves it."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from ndmc.dims import Dims, align
from ndmc.plan.steps import Cohort, Lifetime
from ndmc.scenario.expressions import Expression
from ndmc.scenario.lifetimes import TABLE, canonical, outlived
from ndmc.scenario.operations import evaluate_expression
from ndmc.typing import Floats
from ndmc_kernels import survival


class Members:
    """The cohorts of one stock, for one tile of draws: what is left of each at every age.

    Arrays of shares are [fate, cell, age, draw]; the fates are to stay in the stock, to be released
    and each removal, as shares of the inflow of one cohort.
    """

    def __init__(self, step: Cohort, values: Mapping[str, Floats], dims: Dims, width: int) -> None:
        self.step, self.values, self.dims, self.width = step, values, dims, width
        leaves = bool(step.release or step.removals or step.level)
        self.cell_dims = step.dims[:-1]
        self.cells = dims.size(self.cell_dims)
        self.years = len(dims.years)
        self.fates = 1 + leaves + len(step.removals)

    # --- shares by age -----------------------------------------------------------------------

    def shares(self, cohort: int = 0, ages: int = 0) -> Floats:
        """Return the shares of a cohort by age, as many ages as asked for or as it can reach."""
        return np.stack(self.shares_by_fate(cohort, ages))

    def shares_by_fate(self, cohort: int = 0, ages: int = 0) -> list[Floats]:
        """Return the same, one fate after the other."""
        ages = ages or self.years - cohort * self.step.lifetime.varies
        return self.split(self.survival(cohort, ages))

    def each_cohort(self) -> Iterator[tuple[int, Floats]]:
        """Yield the year of inflow of every cohort, and its shares."""
        shares = np.empty(0)
        for year in range(self.years):
            if year == 0 or self.step.lifetime.varies:
                shares = self.shares(year)
            yield year, shares

    def split(self, left: Floats) -> list[Floats]:
        """Split survival into what stays, is released and is removed early."""
        leaving = [-np.diff(left, axis=1, prepend=1.0)] if self.fates > 1 else []
        if not self.step.removals:
            return [left, *leaving]
        rates = [self.rate(share, 0, left.shape[1]) for _, share in self.step.removals]
        kept = np.cumprod(1.0 - sum(rates), axis=1)
        earlier = np.concatenate([np.ones_like(kept[:, :1]), kept[:, :-1]], axis=1)
        gone = [left * earlier * rate for rate in rates]
        return [left * kept, *(some * earlier for some in leaving), *gone]

    def rate(self, share: Expression, first: int, ages: int) -> Floats:
        """Return the share removed at each age; one without ages starts a year after the inflow."""
        at: npt.NDArray[np.int64] = np.arange(first, first + ages)
        if "age" in share.dims:
            found = self.over(share, "age")
            return found[:, np.minimum(at, found.shape[1] - 1)]
        return self.over(share)[:, np.newaxis] * (at > 0)[:, np.newaxis]

    def over(self, expression: Expression, *further: str) -> Floats:
        """Return the values of an expression over all cells and further dims."""
        wants = (*self.cell_dims, *further)
        found = align(
            evaluate_expression(expression, self.values), expression.dims, wants, self.dims
        )
        return found.reshape(self.cells, *self.dims.shape(further), found.shape[-1])

    def numbers(self, cohort: int) -> dict[str, Floats]:
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

    def survival(self, cohort: int, ages: int) -> Floats:
        """Return the share [cell, age, draw] left at the end of each year of age."""
        lifetime, numbers = self.step.lifetime, self.numbers(cohort)
        if lifetime.kind == TABLE:
            return self._table(numbers["table"], ages)
        exact = canonical(lifetime.kind, numbers)
        if lifetime.convention == "pdf_integer":
            return self._integer_density(exact, ages)
        if lifetime.kind == "weibull" and lifetime.factor is None:
            return self._weibull(exact, ages)
        return self.averaged(exact, self._passed(cohort, ages), self.pace(cohort), ages)

    def averaged(
        self, numbers: tuple[Floats, ...], passed: Floats, pace: Floats, ages: int
    ) -> Floats:
        """Average survival over the year of arrival, for cohorts that have aged since by so much.

        ``passed`` is [cell, age, draw], ``pace`` the lifetime factor of the year of arrival.
        """
        kind, convention = self.step.lifetime.kind, self.step.lifetime.convention
        numbers = tuple(number[:, np.newaxis] for number in numbers)
        if kind == "fixed" and convention == "uniform":  # a jump, which quadrature would blur
            return self.full(np.clip((numbers[0] - passed) * pace, 0.0, 1.0), ages)
        nodes, weights = _nodes(convention, ages, self.step.lifetime.panels)
        left = np.zeros(1)
        for node in range(nodes.shape[1]):
            since = (nodes[:, node] - np.arange(ages))[:, np.newaxis]
            shares = outlived(kind, since / pace + passed, numbers)
            left = left + weights[:, node, np.newaxis] * shares
        return self.full(left, ages)

    def full(self, shares: Floats, ages: int) -> Floats:
        """Return shares over all cells, so many ages and all draws."""
        return _filling(shares, (self.cells, ages, self.width))

    def _flat(self, array: Floats) -> Floats:
        return _filling(array, (self.cells, self.width))

    def _weibull(self, numbers: tuple[Floats, ...], ages: int) -> Floats:
        (scale, shape), lifetime = numbers, self.step.lifetime
        log_ages, weights = log_nodes(lifetime, ages)
        if scale.shape[-1] == shape.shape[-1] == 1:  # certain: one draw tells all
            out = np.empty((self.cells, ages, 1))
            survival.weibull(writeable(scale), writeable(shape), log_ages, weights, out)
            return self.full(out, ages)
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

    def pace(self, year: int) -> Floats:
        """Return the factor on lifetimes in one year, [cell, 1, draw or 1]."""
        factor = self.step.lifetime.factor
        if factor is None:
            return np.ones((1, 1, 1))
        return self.over(factor, "year")[:, year : year + 1]

    def _passed(self, cohort: int, ages: int) -> Floats:
        """Return by how much a cohort has aged in the years after its first, [cell, age, draw]."""
        factor = self.step.lifetime.factor
        if factor is None:
            return np.arange(float(ages)).reshape(1, -1, 1)
        yearly = 1.0 / self.over(factor, "year")[:, cohort + 1 : cohort + ages]
        still = np.zeros((*yearly.shape[:1], 1, yearly.shape[-1]))
        aged = np.cumsum(np.concatenate([still, yearly], axis=1), axis=1)
        beyond = np.arange(1.0, ages - aged.shape[1] + 1).reshape(1, -1, 1)
        return np.concatenate([aged, aged[:, -1:] + beyond], axis=1) if beyond.size else aged


def _filling(array: Floats, shape: tuple[int, ...]) -> Floats:
    """Return an array of a shape as kernels want it, copied only if it is not."""
    return writeable(array if array.shape == shape else np.broadcast_to(array, shape))


def writeable(array: Floats) -> Floats:
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
