"""Some cells of an output: selected, and summed over dims or by group."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ndmc.dims import Dims
from ndmc.errors import InputError, nearest
from ndmc.label import LabelError, Labels
from ndmc.scenario import reserved
from ndmc.scenario.output_names import nearest_output
from ndmc.store.coordinates import summed
from ndmc.store.store import Store
from ndmc.store.variables import TOTAL
from ndmc.typing import Floats

__all__ = ["View", "cells_along", "series_title", "unit_of", "view"]


@dataclass(frozen=True)
class Grouped:
    """A dim whose labels are summed: ``into`` those of another, or groups of its own.

    ``cells`` are what names each of these; ``members`` are those of each, counted among the labels
    that are picked.
    """

    dim: str
    into: str
    cells: tuple[dict[str, str], ...]
    members: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class View:
    """Which cells of an output are wanted: picked labels, summed dims, dims summed by group.

    Sums are made in float64 from the stored draws, draw by draw: the percentiles of a sum, not
    the sum of percentiles.
    """

    name: str
    dims: tuple[str, ...]
    positions: tuple[tuple[int, ...], ...]
    over: tuple[str, ...] = ()
    by: tuple[Grouped, ...] = ()

    @property
    def sums(self) -> bool:
        """Whether cells are added up."""
        return bool(self.over or self.by)

    @property
    def kept(self) -> tuple[str, ...]:
        """The dims of the result."""
        into = {one.dim: one.into for one in self.by}
        return tuple(into.get(dim, dim) for dim in self.dims if dim not in self.over)

    @property
    def places(self) -> list[tuple[int, ...]]:
        """The positions along each dim of the result, of a view that sums no groups."""
        where = dict(zip(self.dims, self.positions, strict=True))
        return [where[dim] for dim in self.kept]

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of labels along each dim of the result."""
        sizes = {d: len(p) for d, p in zip(self.dims, self.positions, strict=True)}
        sizes |= {one.into: len(one.members) for one in self.by}
        return tuple(sizes[dim] for dim in self.kept)

    def apply(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the view of an output's [dims..., draw]."""
        for axis, chosen in enumerate(self.positions):
            if chosen != tuple(range(values.shape[axis])):
                values = values.take(chosen, axis=axis)
        if not self.sums:
            return values
        for one in self.by:
            axis = self.dims.index(one.dim)
            parts = [_add(values.take(group, axis=axis), axis) for group in one.members]
            values = np.stack(parts, axis=axis)
        for axis in sorted((self.dims.index(dim) for dim in self.over), reverse=True):
            values = _add(values, axis)
        return values


def _add(values: npt.NDArray[Any], axis: int) -> Floats:
    """Add up an axis label by label: ``sum`` does it in pairs where a block has one draw."""
    first, *others = np.moveaxis(values, axis, 0)
    total: Floats = first.astype(np.float64)
    for label in others:
        total += label
    return total


def view(
    store: Store,
    name: str,
    select: Labels | None = None,
    over: Iterable[str] = (),
    by_group: Iterable[str] = (),
) -> View:
    """Return the view of an output that picks labels, sums over dims or sums by group.

    The name of a total stands for the sum of its output over all dims but the years.

    Raises
    ------
    InputError
        For a name, dim, label or group the store has not.
    """
    described = store.computed.get(name.removesuffix(TOTAL.suffix))
    if described and name == TOTAL.name(described.name) and summed(described):
        name, over = described.name, (*store.dims.named(summed(described)), *over)
    if name not in store.computed:
        totals = [TOTAL.name(one.name) for one in store.computed.values() if summed(one)]
        hint = nearest_output(name, [*store.computed, *totals])
        if store.spec.groups is not None and (
            reserved.FIRST_ORDER in name or reserved.TOTAL_ORDER in name
        ):
            hint = f"shares are shown by 'ndmc sensitivity {store.path}'"
        raise InputError(f"{name!r} is not in {store.path}; {hint}")
    dims, own = store.dims, store.computed[name].dims
    for dim in select or {}:
        _check_dim(name, dim, dims.known_by(own))
    for dim in over:
        _check_dim(name, dim, dims.named(own))
    for dim in by_group:
        _check_dim(name, dim, (*own, *(g for one in own for g in dims.groupings.get(one, ()))))
    try:
        chosen = dims.picked(dims.ungrouped(select or {}, own))
        positions = tuple(dims.along(dim, chosen) for dim in own)
    except LabelError as wrong:
        raise InputError(str(wrong), "sel") from None
    whole, left = _summed_over(dims, own, over)
    along = dict(zip(own, positions, strict=True))
    by = [_by_parent(dims, dim, parent, along[dim]) for dim, parent in left.items()]
    by += [_by_group(dims, one, along) for one in by_group]
    return View(name, own, positions, whole, tuple(by))


def _summed_over(
    dims: Dims, own: tuple[str, ...], over: Iterable[str]
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the dims of an output that go away, and those that leave what they belong to."""
    wanted = dict.fromkeys(over)
    for dim in wanted:
        if dim not in own:
            child = next(one for one in own if dim in dims.named([one]))
            if child not in wanted:
                message = f"each {child} belongs to one {dim}; sum over {child} first"
                raise InputError(message, f"over {dim}")
    left = {}
    for dim in (one for one in own if one in wanted):
        above = [one for one in dims.named([dim])[:-1] if one not in wanted]
        if above:
            left[dim] = above[-1]
    return tuple(dim for dim in own if dim in wanted and dim not in left), left


def _by_parent(dims: Dims, dim: str, parent: str, chosen: tuple[int, ...]) -> Grouped:
    every = zip(dims.cells([parent]), dims.members(dim, parent), strict=True)
    return _grouped(dim, parent, every, chosen)


def series_title(store: Store, chosen: View) -> str:
    """Return the name by which a run knows a view, or the whole of it; nothing if it has none.

    A run knows outputs, and the sums of flows and stocks over all labels of all dims but the years.
    """
    if not chosen.sums:
        return chosen.name
    where = dict(zip(chosen.dims, chosen.positions, strict=True))
    whole = all(len(where[dim]) == len(store.dims.labels[dim]) for dim in chosen.over)
    total = {*chosen.over} == {*summed(store.computed[chosen.name])}
    return TOTAL.name(chosen.name) if total and whole and not chosen.by else ""


def _check_dim(name: str, dim: str, dims: tuple[str, ...]) -> None:
    if dim not in dims:
        raise InputError(f"{name!r} has no dim {dim!r}; {nearest(dim, dims)}")


def _by_group(dims: Dims, by: str, along: Mapping[str, tuple[int, ...]]) -> Grouped:
    """Return what is summed by the groups of a dim, or by those of a grouping of one."""
    if dim := next((one for one in along if by in dims.groupings.get(one, ())), ""):
        return _by_parent(dims, dim, by, along[dim])
    if not dims.groups.get(by):
        others = [name for name, groups in dims.groups.items() if groups]
        others += [one for dim in along for one in dims.groupings.get(dim, ())]
        raise InputError(f"the dim {by!r} has no groups; {nearest(by, others)}")
    every = (({by: group}, dims.positions(by, group)) for group in dims.groups[by])
    return _grouped(by, by, every, along[by])


def _grouped(
    dim: str,
    into: str,
    every: Iterable[tuple[dict[str, str], tuple[int, ...]]],
    chosen: tuple[int, ...],
) -> Grouped:
    """Return those of some groups in which are labels that are picked."""
    place = {at: n for n, at in enumerate(chosen)}
    found = [(cell, tuple(place[at] for at in some if at in place)) for cell, some in every]
    found = [(cell, some) for cell, some in found if some]
    if not found:
        raise InputError(f"no label of {dim!r} that is picked is in a group of {into!r}")
    cells, members = zip(*found, strict=True)
    return Grouped(dim, into, cells, members)


def cells_along(store: Store, chosen: View, dim: str) -> list[dict[str, Any]]:
    """Return what names each label along a dim of a view's result: those it belongs to first."""
    if grouped := next((one for one in chosen.by if one.into == dim), None):
        return [*grouped.cells]
    dims = store.dims
    positions = chosen.positions[chosen.dims.index(dim)]
    columns = {
        one: dims.coordinate(one) if one == dim else dims.named_at(dim, one)
        for one in dims.named([dim])
    }
    return [{one: labels[at] for one, labels in columns.items()} for at in positions]


def unit_of(store: Store, chosen: View) -> str:
    """Return the unit of a view's result: a flow summed over years is an amount, a stock more."""
    unit = store.computed[chosen.name].unit
    if "year" not in chosen.over:
        return unit
    return unit.removesuffix("/yr") if unit.endswith("/yr") else f"{unit} yr"
