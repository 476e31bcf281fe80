"""What a study is for: the shares of the variance of every cell, written with its percentiles."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ndmc.dims import Dims
from ndmc.plan.steps import Plan
from ndmc.runs.control import Control, control, fitted
from ndmc.store.description import write_coordinates
from ndmc.store.keys import SENSITIVITY, share_key
from ndmc.store.shares import (
    DIFFERENCE,
    LOST,
    Flag,
    Limited,
    Ratios,
    Shares,
    limited,
    pooled,
    ratios,
    shares,
    ties,
)
from ndmc.store.spec import Spec
from ndmc.store.study_layout import Shared, about_study, dtype_of, shared_in
from ndmc.store.variables import (
    CONTROLLED,
    EFFECT,
    FLAG,
    GRADE,
    INPUT_GROUP,
    LIMITS,
    LINEAR_SHARE,
    MEMBERS,
    SHARES,
    STATISTICS,
    TIED,
    Variable,
    share_of,
)
from ndmc.store.zarr_v3 import SmallArrays
from ndmc.typing import Floats, Integers
from ndmc_kernels.squares import BATCHES, LEAF

Mask = npt.NDArray[np.bool_]

#: The mean and the standard deviation of each cell, by title; of an event its share of draws.
Moments = Mapping[str, tuple[Floats, Floats]]

Values = dict[Variable, npt.NDArray[Any]]

#: A group and a cell have 32 batches of 4 sums; so many are looked at a time: 4 MB.
_AT_ONCE = 4096

#: Of a mean whose square is smaller the weight would be infinite, or its square have lost digits.
_SMALLEST = float(np.finfo(np.float64).tiny)

#: Half of the 95 % range of a normal variable, in standard deviations.
_HALF = 1.96


@dataclass(frozen=True)
class Measured:
    """The sums of squares of all draws of a study, [entry, batch, column].

    Entries are first the cells, for an exchange of all streams, then for each group the cells that
    it reaches: see ``connected`` [group, cell]. ``reaches`` says it of each stream, [cell, stream].
    """

    sums: Floats = field(repr=False)
    draws: int
    connected: Mask
    reaches: Mask

    @functools.cached_property
    def _entry(self) -> Integers:
        """The entry of each group and cell, -1 of those that are not connected."""
        found = np.full(self.connected.shape, -1)
        count = np.count_nonzero(self.connected)
        found[self.connected] = self.connected.shape[1] + np.arange(count)
        return found

    @functools.cached_property
    def pairs(self) -> Integers:
        """The pairs of each batch."""
        rounds, rest = divmod(self.draws, BATCHES * LEAF)
        firsts = np.arange(BATCHES) * LEAF
        return np.asarray((rounds * LEAF + np.clip(rest - firsts, 0, LEAF)) // 2)

    @property
    def entries(self) -> tuple[Integers, Integers]:
        """The group, -1 for all streams, and the cell of each entry."""
        groups, cells = np.nonzero(self.connected)
        every = np.arange(self.connected.shape[1])
        return np.concatenate([np.full(len(every), -1), groups]), np.concatenate([every, cells])

    @property
    def lost(self) -> Mask:
        """The cells of which a pair is lost, whatever is exchanged."""
        found = np.zeros(self.connected.shape[1], bool)
        found[self.entries[1][self.sums[..., LOST].any(axis=1)]] = True
        return found

    def of(self, groups: slice, cells: slice) -> Floats:
        """Return the sums of some groups and cells, [group, cell, batch, column].

        A group that does not reach a cell leaves it as it is: P and I are nothing, and D that of
        the cell.
        """
        entry = self._entry[groups, cells]
        found = np.zeros((*entry.shape, *self.sums.shape[1:]))
        found[..., DIFFERENCE:] = self.sums[cells, :, DIFFERENCE:]
        found[entry >= 0] = self.sums[entry[entry >= 0]]
        return found


def controlled(measured: Measured, plan: Plan, spec: Spec, workers: int) -> Control:
    """Give sums a control, in place, and return it; so many batches are worked on at once."""
    scales = [
        np.full(stop - start, 1.0 if one.limits else one.output.scale)
        for one, start, stop in _placed(plan, spec)
    ]
    by = fitted(plan, spec.seed, measured.reaches, measured.lost, np.concatenate(scales))
    control(measured.sums, measured.pairs, measured.entries, by, spec.seed, workers)
    return by


def shares_in(
    measured: Measured, by: Control, plan: Plan, spec: Spec, moments: Moments
) -> Iterator[tuple[Shared, Values]]:
    """Yield all that has shares, and what is said of each, with its cells along the last axis.

    Parameters
    ----------
    measured
        The sums of all draws.
    by
        The control that they were given.
    plan, spec
        Of the study.
    moments
        Of all that has shares.
    """
    for one, start, stop in _placed(plan, spec):
        part = _Part(measured, one, plan.dims, slice(start, stop))
        yield one, part.values(by, *moments[one.title])


def _placed(plan: Plan, spec: Spec) -> Iterator[tuple[Shared, int, int]]:
    """Yield all that has shares, and where its cells begin and end among all that is observed."""
    start = 0
    for one in shared_in({output.name: output for output in plan.outputs}, spec):
        stop = start + math.prod(one.shape(plan.dims))
        yield one, start, stop
        start = stop


@dataclass(frozen=True)
class _Part:
    """What has shares under one title, and where its cells are."""

    measured: Measured
    shared: Shared
    dims: Dims
    cells: slice

    def values(self, by: Control, mean: Floats, sd: Floats) -> Values:
        """Return what is said of it."""
        groups, size = len(self.measured.connected), self.cells.stop - self.cells.start
        step = max(_AT_ONCE // max(size, 1), 1)
        scale = 1.0 if self.shared.limits else self.shared.output.scale
        mean, sd = mean.reshape(-1), sd.reshape(-1)
        parts = [
            self._some(slice(first, min(first + step, groups)), mean / scale)
            for first in range(0, groups, step)
        ]
        found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        found[TIED] = self._tied(max(_AT_ONCE // max(groups, 1), 1))
        if self.shared.limits:
            return found
        first, direction = found[share_of("first", "value")], by.direction[:, self.cells]
        found[EFFECT] = direction * _HALF * sd * np.sqrt(np.maximum(first, 0.0))
        found[LINEAR_SHARE], found[CONTROLLED] = by.share[self.cells], by.used[self.cells]
        found[STATISTICS["mean"]], found[STATISTICS["sd"]] = mean, sd
        return found

    def _some(self, groups: slice, mean: Floats) -> Values:
        """Return the shares of some groups."""
        measured = self.measured
        sums, linked = measured.of(groups, self.cells), measured.connected[groups, self.cells]
        shared = shares(sums, measured.pairs, mean, linked)
        found: Values = {FLAG: shared.flags}
        for share in SHARES:
            _put(found, share, "", getattr(shared, share))
        for pool in self.shared.pools:
            together = self._pooled(pool, sums, _weights(pool, shared, mean))
            first, more = ratios(together, measured.pairs)
            _put(found, "first", pool, limited(first))
            _put(found, "total", pool, limited(first + more))
        return found

    def _tied(self, step: int) -> Mask:
        """Return which totals may be as large as the next larger one, some cells at a time.

        Groups that do not reach a cell are out of it: with a control a total may be below zero.
        """
        found, connected = [], self.measured.connected
        for first in range(self.cells.start, self.cells.stop, step):
            some = slice(first, min(first + step, self.cells.stop))
            share, more = ratios(self.measured.of(slice(None), some), self.measured.pairs)
            total = share + more
            known = np.where(connected[:, some], total.value, np.nan)
            found.append(ties(Ratios(known, total.without)))
        return np.concatenate(found, axis=1)

    def _pooled(self, pool: str, sums: Floats, weights: Floats) -> Floats:
        """Return the sums [group, cell, batch, column] of the cells that are left of some."""
        shape, dims = self.shared.shape(self.dims), self.shared.dims
        yearly = "years" in pool
        axes = tuple(n + 1 for n, dim in enumerate(dims) if dim == "year" or not yearly)
        groups, _, *rest = sums.shape
        found = pooled(sums.reshape(groups, *shape, *rest), weights.reshape(groups, *shape), axes)
        return found.reshape(groups, -1, *rest)


def _put(found: Values, share: str, pool: str, values: Limited) -> None:
    for end in ("value", "low", "high"):
        found[share_of(share, end, pool)] = getattr(values, end)


def _weights(pool: str, shared: Shares, mean: Floats) -> Floats:
    """Return the weight of each group and cell; what does not vary adds nothing.

    Nor does a cell whose draws are all zero, though they are not with inputs exchanged: it has no
    relative variance.
    """
    weights = np.ones(mean.shape)
    if pool.endswith("relative"):
        squares = np.square(mean)
        none = squares < _SMALLEST
        np.divide(1, squares, out=weights, where=~none)
        weights[none] = 0.0
    known = np.where(np.isnan(shared.first.value), np.nan, weights)
    return np.where(shared.flags == Flag.CONSTANT, 0.0, known)


# --- in a store -----------------------------------------------------------------------------------


def write_shares(
    arrays: SmallArrays,
    measured: Measured,
    plan: Plan,
    spec: Spec,
    moments: Moments,
    workers: int,
) -> dict[str, Any]:
    """Write the arrays of the group of shares, and return the attributes of the group."""
    assert plan.study is not None
    groups, used = plan.study.groups, set[str]()
    by = controlled(measured, plan, spec, workers)
    for one, values in shares_in(measured, by, plan, spec, moments):
        used |= {*one.dims}
        for variable in one.variables:
            _write(arrays, one, variable, values[variable], plan.dims)
        if one.limits:
            dim, about = LIMITS.name(one.of), {"units": one.output.unit, "long_name": LIMITS.words}
            arrays.put(share_key(dim), np.array(one.limits), (dim,), about)
    texts = {
        INPUT_GROUP: [group.name for group in groups],
        MEMBERS: [", ".join(group.members) for group in groups],
        GRADE: [group.grade for group in groups],
    }
    for name, some in texts.items():
        arrays.put(share_key(name), np.array(some), (INPUT_GROUP,), {})
    write_coordinates(arrays, SENSITIVITY, plan.dims, used)
    return about_study(spec, plan.dims, used, len(groups))


def _write(
    arrays: SmallArrays, one: Shared, variable: Variable, values: npt.NDArray[Any], dims: Dims
) -> None:
    names = one.dims_of(variable)
    shape = [len(one.limits) if dim not in dims.labels else len(dims.labels[dim]) for dim in names]
    if INPUT_GROUP in names:
        shape[0] = len(values)
    shaped = values.astype(dtype_of(variable)).reshape(shape)
    arrays.put(share_key(variable.name(one.title)), shaped, names, one.about(variable))
