"""Some cells of an output: selected, and summed over dims or by group."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ndmc.dims import Dims
from ndmc.errors import InputError, nearest
from ndmc.label import LabelError
from ndmc.store.keys import percentile_key
from ndmc.store.store import Store
from ndmc.store.variables import TOTAL
from ndmc.typing import Floats

__all__ = ["View", "labels_of", "unit_of"]


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
    select: Mapping[str, Sequence[str]] | None = None,
    over: Iterable[str] = (),
    by_group: Iterable[str] = (),
) -> View:
    """Return the view of an output that picks labels, sums over dims or sums by group.

    Raises
    ------
    InputError
        For a name, dim, label or group the store has not.
    """
    summed = name.removesuffix(TOTAL.suffix)
    if name not in store.computed and percentile_key(name) in store.metadata:
        over = " ".join(f"--over {dim}" for dim in store.computed[summed].dims if dim != "year")
        raise InputError(f"{name!r} is a sum of {summed!r}; ask for -v {summed} {over}")
    if name not in store.computed:
        raise InputError(f"{name!r} is not in {store.path}; {nearest(name, store.computed)}")
    dims, own = store.dims, store.computed[name].dims
    chosen: dict[str, tuple[int, ...]] = {}
    for dim, labels in (select or {}).items():
        _check_dim(name, dim, own)
        found: list[int] = []
        for label in labels:
            try:
                found.extend(dims.chosen(dim, label))
            except LabelError as wrong:
                raise InputError(str(wrong), "--sel") from None
        chosen[dim] = tuple(dict.fromkeys(found))
    for dim in (*over, *by_group):
        _check_dim(name, dim, own)
    positions = tuple(chosen.get(dim, tuple(range(len(dims.labels[dim])))) for dim in own)
    by = tuple((dim, _groups(dims, dim, positions[own.index(dim)])) for dim in by_group)
    return View(name, own, positions, tuple(dict.fromkeys(over)), by)


def _check_dim(name: str, dim: str, dims: tuple[str, ...]) -> None:
    if dim not in dims:
        raise InputError(f"{name!r} has no dim {dim!r}; {nearest(dim, dims)}")


def _groups(dims: Dims, dim: str, chosen: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    if not dims.groups.get(dim):
        raise InputError(f"the dim {dim!r} has no groups")
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
