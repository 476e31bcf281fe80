"""A tile of draws while it is computed: its rows, and the kernels that fill them."""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ndmc.dims import align, flat
from ndmc.engine.cohorts import Members, log_nodes
from ndmc.engine.initial_stocks import amount_before, initial_amounts
from ndmc.engine.instructions import Arithmetic, Places
from ndmc.engine.row_code import Call, Fed, Lives, Loop, Other, RowCode
from ndmc.engine.stocks import driven, fed, profiled
from ndmc.engine.stopwatch import SILENT, Timer
from ndmc.plan.samplers import Group, Sampler
from ndmc.plan.steps import Before, Cohort, Conditioning, Profile, hidden
from ndmc.scenario.lifetimes import canonical
from ndmc.scenario.operations import evaluate_expression
from ndmc.typing import Floats
from ndmc_kernels import sampling
from ndmc_kernels.cohort import weibull_cohorts
from ndmc_kernels.march import march
from ndmc_kernels.rows import compute

__all__ = ["Tile"]

_MARGINALS = {
    "normal": sampling.normal,
    "lognormal": sampling.lognormal,
    "gamma_series": sampling.log_series,
    "uniform": sampling.uniform,
    "triangular": sampling.triangular,
    "truncated_normal": sampling.truncated_normal,
}


class Tile(Mapping[str, Floats]):
    """Rows [row, draw] of a plan, used for one tile after the other.

    By name it gives the values of a quantity [dims..., draw], with one draw where they are the
    same in all. ``sets`` is how often there are all rows; those ``beside`` it share its rows.
    """

    def __init__(self, code: RowCode, width: int, sets: int = 1) -> None:
        self.code, self.width = code, width
        self.rows = _aligned(sets * code.rows, width)
        self.beside: list[Tile] = []
        self._others: dict[str, Floats] = {}
        self._shares: dict[str, list[Floats]] = {}
        places, numbers = code.numbers
        self.rows[places] = numbers[:, np.newaxis]
        self.run(code.once)
        for start in range(code.rows, len(self.rows), code.rows):
            self.rows[start : start + code.rows] = self.rows[: code.rows]

    def put_beside(self, code: RowCode) -> Tile:
        """Return a tile of the same rows that runs other code."""
        other = copy.copy(self)
        other.code, other._others = code, {}
        self.beside.append(other)
        return other

    def __getitem__(self, name: str) -> Floats:
        if name in self._others:
            return self._others[name]
        places = self.code.names[name]
        few = slice(1 if name in self.code.fixed else None)
        flat_places = places.reshape(-1)
        first, count = int(flat_places[0]) if places.size else 0, places.size
        if np.array_equal(flat_places, np.arange(first, first + count)):
            return self.rows[first : first + count].reshape(*places.shape, -1)[..., few]
        return self.rows[places][..., few]

    def __iter__(self) -> Iterator[str]:
        return iter({**self._others, **self.code.names})

    def __len__(self) -> int:
        return len({**self._others, **self.code.names})

    def _block(self, first: int, *shape: int) -> Floats:
        """Return rows from a first one on as [shape..., draw]."""
        count = math.prod(shape)
        return self.rows[first : first + count].reshape(*shape, self.width)

    @functools.cached_property
    def _nothing(self) -> Floats:
        return np.empty((0, 1, self.width))

    # --- sampling ----------------------------------------------------------------------------

    def sample(self, seed: int, first: int) -> None:
        """Draw every parameter for the draws from ``first`` on."""
        how, rows = self.code.sampling, self.rows
        for kernel, (streams, at) in (
            (sampling.normals, how.normals),
            (sampling.uniforms, how.uniforms),
        ):
            if len(streams):
                kernel(np.uint64(seed), streams, first, rows[at : at + len(streams)])
        self.spread()

    def spread(self) -> None:
        """Make parameters of the scores and uniforms that are drawn."""
        how, rows = self.code.sampling, self.rows
        for call in how.fields:
            compute(call.instructions, rows)
        for source, target, count in how.cdf:
            scores, uniforms = (rows[at : at + count] for at in (source, target))
            sampling.cdf(scores, uniforms)
        for group in how.groups:
            _quantile(group, rows)
        for call in how.sums:
            compute(call.instructions, rows)
        if self.code.conditioning is not None:
            self._condition(self.code.conditioning)

    def _condition(self, conditioning: Conditioning) -> None:
        """Make what was drawn agree with the equations of `reconcile`."""
        places = self._places(conditioning.parameters)
        drawn = self.rows[places]
        conditioning.apply(drawn)
        self.rows[places] = drawn

    def _places(self, parameters: Iterable[str]) -> Places:
        return np.concatenate([self.code.names[name].reshape(-1) for name in parameters])

    def central(self, samplers: Iterable[Sampler]) -> None:
        """Set every parameter to its mean, reconciled where draws are."""
        for sampler in samplers:
            self.rows[self.code.names[sampler.name].reshape(-1)] = sampler.central
        conditioning = self.code.conditioning
        if conditioning is not None:
            places = self._places(conditioning.parameters)
            self.rows[places] = conditioning.central[:, np.newaxis]

    # --- steps -------------------------------------------------------------------------------

    def run(self, calls: Iterable[Call], timer: Timer = SILENT) -> None:
        """Make some calls of the code."""
        for call in calls:
            match call:
                case Arithmetic():
                    compute(call.instructions, self.rows)
                    timer.lap("flows")
                case Lives():
                    self._lives(call)
                    timer.lap("stocks")
                case Fed():
                    self._fed(call)
                    timer.lap("stocks")
                case Loop():
                    self._loop(call)
                    timer.lap("loops")
                case Other(step=Profile() as step):
                    self._profile(step, call.targets)
                    timer.lap("stocks")
                case Other(step=Before() as step):
                    self._before(step, call.targets)
                    timer.lap("stocks")
                case Other(step=Cohort() as step):
                    self._cohort(call, step)
                    timer.lap("stocks")

    def _lives(self, call: Lives) -> None:
        """Compute the scale and the shape of a Weibull stock."""
        numbers = Members(call.step, self, self.code.dims, self.width).numbers(0)
        both = canonical(call.step.lifetime.kind, numbers)
        for first, values in zip((call.scale, call.shape), both, strict=True):
            self.rows[first : first + call.cells] = values

    def _fed(self, call: Fed) -> None:
        """Compute a Weibull stock and what it releases."""
        size = (call.cells, call.years)
        log_ages, weights = log_nodes(call.step.lifetime, call.years)
        given = ((call.scale, size[:1]), (call.shape, size[:1]), (call.inflow, size))
        scale, shape, inflow = (self._block(at, *dims) for at, dims in given)
        stock = self._block(call.stock, *size)
        release = self._nothing if call.release is None else self._block(call.release, *size)
        weibull_cohorts(scale, shape, log_ages, weights, inflow, stock, release)

    def _loop(self, call: Loop) -> None:
        program = call.step.program
        rows = self.rows[call.first : call.first + program.rows]
        for at, _ in program.gains:
            rows[at] = 0.0
        self._load_stocks(call, rows)
        march(program.once, 1, rows)
        march(program.yearly, len(self.code.dims.years), rows)

    def _load_stocks(self, call: Loop, rows: Floats) -> None:
        """Write the age shares of every stock of a loop, and what its initial stock adds."""
        program, dims = call.step.program, self.code.dims
        years, width = len(dims.years), self.width
        stocks = [member for member in call.step.members if isinstance(member, Cohort)]
        for number, stock in enumerate(stocks):
            members = Members(replace(stock, release="all"), self, dims, width)
            places = [(fate, at) for n, fate, at in program.tables if n == number]
            span = years if stock.lifetime.varies else 1
            for cohort in range(span if places else 0):
                shares = members.shares_by_fate(cohort)
                for fate, at in places:
                    table = rows[at : at + members.cells * span * years]
                    table = table.reshape(members.cells, span, years, width)
                    table[:, cohort, : shares[fate].shape[1]] = shares[fate]
            starts = [(fate, at) for n, fate, at in program.starts if n == number]
            initial = initial_amounts(members) if starts else np.empty(0)
            for fate, at in starts:
                rows[at : at + members.cells * years] = initial[fate].reshape(-1, width)

    def _cohort(self, call: Other, step: Cohort) -> None:
        """Compute a stock of any other kind."""
        dims, width = self.code.dims, self.width
        members = Members(step, self, dims, width)
        grid = (members.cells, members.years, width)
        inflow = self._block(call.inflow, *grid[:2]) if step.reads_inflow else np.empty(grid)
        if step.level is None:
            if call.certain and step.target not in self._shares:
                self._shares[step.target] = members.shares_by_fate()
            amounts = fed(members, inflow, self._shares.get(step.target))
        else:
            level = evaluate_expression(step.level, self)
            level = flat(align(level, step.level.dims, step.dims, dims), width).reshape(grid)
            found = driven(members, level, inflow)
            amounts, inflow = found.amounts, found.inflow
            self._keep(hidden(step.target, "kept"), found.kept, call.targets)
            self._others[hidden(step.target, "shortfall")] = found.shortfall
            self._others[hidden(step.target, "first share")] = found.first
        names = [step.target, step.release, *(flow for flow, _ in step.removals)]
        for name, values in (*zip(names, amounts, strict=False), (step.inflow, inflow)):
            self._keep(name, values, call.targets)

    def _before(self, step: Before, targets: Mapping[str, int]) -> None:
        members = Members(step.cohort, self, self.code.dims, self.width)
        self._keep(step.target, amount_before(members, step.inflow), targets)

    def _profile(self, step: Profile, targets: Mapping[str, int]) -> None:
        dims, width = self.code.dims, self.width
        members = Members(replace(step.cohort, release="all"), self, dims, width)
        grid = (members.cells, members.years, width)
        inflow = flat(self[step.cohort.inflow], width).reshape(grid)
        kept = flat(self[step.cohort.kept], width).reshape(grid) if step.cohort.kept else None
        self._keep(step.target, profiled(step, members, inflow, kept), targets)

    def _keep(self, name: str, values: Floats, targets: Mapping[str, int]) -> None:
        """Write what a step computed to the rows of its name, if it has any."""
        if name in targets:
            values = values.reshape(-1, self.width)
            self.rows[targets[name] : targets[name] + len(values)] = values


def _aligned(rows: int, width: int) -> Floats:
    """Return zeros that begin at a cache line: vectors across two of them load at half speed."""
    spare = np.zeros(rows * width + 8)
    first = -spare.ctypes.data % 64 // spare.itemsize
    return spare[first : first + rows * width].reshape(rows, width)


def _quantile(group: Group, rows: Floats) -> None:
    """Make a parameter's cells from its scores or uniforms."""
    places, numbers = (group.source_of, group.target_of), group.numbers
    if group.kind == "beta":
        rows[group.target_of] = _beta_quantile(numbers, rows[group.source_of])
    elif group.kind == "gamma":
        rows[group.target_of] = _gamma_quantile(numbers, rows[group.source_of])
    elif group.kind == "discrete":
        sampling.discrete(rows, *places, numbers, group.choices, rows)
    else:
        _MARGINALS[group.kind](rows, *places, numbers, rows)


def _gamma_quantile(numbers: Floats, uniforms: Floats) -> Any:
    """Return gamma variates: shares, once they are divided by their sum."""
    # 0.6 to 1.6 us each, as a beta takes; to 3e-14, whether shapes are 0.05 or 5000. They are those
    # that are not smooth enough for a series.
    from scipy.special import gammaincinv

    mean, concentration = numbers.T
    return gammaincinv((mean * concentration)[:, np.newaxis], uniforms)


def _beta_quantile(numbers: Floats, uniforms: Floats) -> Any:
    from scipy.special import betaincinv

    a, b, low, width = (column[:, np.newaxis] for column in numbers.T)
    return low + width * betaincinv(a, b, uniforms)
