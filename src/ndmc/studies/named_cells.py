"""Cells of a dataset by the labels that name them, those that others belong to among them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ndmc.dims import PARENT, Dims
from ndmc.plan.steps import MEMBER
from ndmc.store.belonging import positions

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["at", "dims_of", "labels_at", "picked"]


def dims_of(dataset: xr.Dataset | xr.DataArray) -> Dims:
    """Return the dims of a dataset with their labels as text, and to what these belong."""
    found = {
        str(dim): [*map(str, dataset[dim].values)] for dim in dataset.dims if dim in dataset.coords
    }
    parents = {dim: above for dim in found if (above := _parents(dataset, dim))}
    known = {parent: labels for above in parents.values() for parent, labels in above.items()}
    labels = {
        **{one: tuple(dict.fromkeys(known[one])) for one in known if one not in found},
        **{dim: tuple(some) for dim, some in found.items()},
    }
    belongs = positions(labels, parents)
    of = {dim: [*above][-1] for dim, above in belongs.items()}
    return Dims(labels, {}, of, belongs)


def _parents(dataset: xr.Dataset | xr.DataArray, dim: str) -> dict[str, list[str]]:
    """Return the labels of each dim that one belongs to, along it."""
    found = {}
    for name, labels in dataset.coords.items():
        parent = str(labels.attrs.get("long_name", ""))
        if labels.dims == (dim,) and name == PARENT.format(dim, parent):
            found[parent] = [*map(str, labels.values)]
    return found


def at(variable: xr.DataArray, labels: Mapping[str, Any]) -> xr.DataArray:
    """Return what stands at labels, of which those of parents may be among others."""
    dims = dims_of(variable)
    own = {dim: str(label) for dim, label in labels.items() if dim in dims.labels}
    places = dims.picked(own)
    return variable.isel({dim: places[dim][0] for dim in own if dim in variable.dims})


def labels_at(dataset: xr.Dataset, places: Mapping[str, int]) -> dict[str, Any]:
    """Return the labels that name a cell: of each dim, those it belongs to first."""
    found: dict[str, Any] = {}
    for dim, place in places.items():
        if dim == MEMBER:  # whose label says it all
            found[dim] = dataset[dim].values.tolist()[place]
            continue
        found |= {one: some[place] for one, some in _parents(dataset, dim).items()}
        found[dim] = dataset[dim].values.tolist()[place]
    return found


def picked(
    dims: Dims, own: Iterable[str], select: Mapping[str, Iterable[Any]]
) -> dict[str, list[int]]:
    """Return where the picked labels of some dims stand, of those that any are picked of."""
    known = dims.known_by(own)
    named = {dim: [*map(str, some)] for dim, some in select.items() if dim in known}
    found = dims.picked(dims.ungrouped(named, own))
    return {
        dim: [*dims.along(dim, found)]
        for dim in own
        if not found.keys().isdisjoint(dims.full([dim]))
    }
