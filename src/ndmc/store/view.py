"""Some cells of an output: selected, and summed over dims or by group."""

from __future__ import annotations

from collections.abc import Iterable
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

__all__ = ["View", "labels_of", "series_title", "unit_of", "view"]


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
    by: tuple[tuple[str, tuple[tuple[int, ...], ...]], ...] = ()

    @property
    def sums(self) -> bool:
        """Whether cells are added up."""
        return bool(self.over or self.by)

    @property
    def kept(self) -> tuple[str, ...]:
        """The dims of the result."""
        return tuple(dim for dim in self.dims if dim not in self.over)

    @property
    def places(self) -> list[tuple[int, ...]]:
        """The positions along each dim of the result, of a view that sums no groups."""
        where = dict(zip(self.dims, self.positions, strict=True))
        return [where[dim] for dim in self.kept]

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of labels along each dim of the result."""
        groups = {dim: len(members) for dim, members in self.by}
        sizes = {d: len(p) for d, p in zip(self.dims, self.positions, strict=True)}
        return tuple(groups.get(dim, sizes[dim]) for dim in self.kept)

    def apply(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the view of an output's [dims..., draw]."""
        for axis, chosen in enumerate(self.positions):
            if chosen != tuple(range(values.shape[axis])):
                values = values.take(chosen, axis=axis)
        if not self.sums:
            return values
        for dim, groups in self.by:
            axis = self.dims.index(dim)
            parts = [_add(values.take(group, axis=axis), axis) for group in groups]
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
        name, over = described.name, (*summed(described), *over)
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
        _check_dim(name, dim, dims.named(own))
    for dim in (*over, *by_group):
        _check_dim(name, dim, own)
    try:
        chosen = dims.picked(select or {})
        positions = tuple(dims.along(dim, chosen) for dim in own)
    except LabelError as wrong:
        raise InputError(str(wrong), "sel") from None
    by = tuple((dim, _groups(dims, dim, positions[own.index(dim)])) for dim in by_group)
    return View(name, own, positions, tuple(dict.fromkeys(over)), by)


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


def _groups(dims: Dims, dim: str, chosen: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    if not dims.groups.get(dim):
        others = [name for name, groups in dims.groups.items() if groups]
        raise InputError(f"the dim {dim!r} has no groups; {nearest(dim, others)}")
    members = (dims.positions(dim, group) for group in dims.groups[dim])
    found = (tuple(chosen.index(n) for n in group if n in chosen) for group in members)
    return tuple(group for group in found if group)


def labels_of(store: Store, chosen: View, dim: str) -> list[Any]:
    """Return the labels along a dim of a view's result."""
    groups = dict(chosen.by)
    if dim in groups:
        positions = chosen.positions[chosen.dims.index(dim)]
        group_at = {n: g for g in store.dims.groups[dim] for n in store.dims.positions(dim, g)}
        return [group_at[positions[members[0]]] for members in groups[dim]]
    coordinate = store.dims.coordinate(dim)
    return [coordinate[n] for n in chosen.positions[chosen.dims.index(dim)]]


def unit_of(store: Store, chosen: View) -> str:
    """Return the unit of a view's result: a flow summed over years is an amount, a stock more."""
    unit = store.computed[chosen.name].unit
    if "year" not in chosen.over:
        return unit
    return unit.removesuffix("/yr") if unit.endswith("/yr") else f"{unit} yr"
