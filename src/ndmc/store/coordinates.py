"""The labels of dims in a group of a store, and the document of each; the dims of a total."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ndmc.dims import Dims
from ndmc.plan.steps import Output
from ndmc.store.variables import GROUP, PARENT
from ndmc.store.zarr_v3 import Document, small_document

#: The documents of arrays and groups, by key.
Documents = dict[str, Document]


def summed(output: Output) -> tuple[str, ...]:
    """Return the dims over which an output has a total: all but the years, of flows and stocks."""
    others = tuple(dim for dim in output.dims if dim != "year")
    return others if output.kind in ("flow", "stock") else ()


def labels_of(group: str, dims: Dims, used: Iterable[str]) -> dict[str, tuple[str, Sequence[Any]]]:
    """Return for each array of labels in a group, by key, its dim and the labels along it.

    Beside those of a dim there may be the group of each.
    """
    used = set(used)
    prefix, found = f"{group}/" if group else "", dict[str, tuple[str, Sequence[Any]]]()
    for dim in (one for one in dims.labels if one in used):
        found[prefix + dim] = dim, dims.coordinate(dim)
        for parent in dims.named([dim])[:-1]:
            found[prefix + PARENT.format(dim, parent)] = dim, dims.named_at(dim, parent)
        if groups := dims.groups.get(dim):
            group_of = {label: name for name, members in groups.items() for label in members}
            found[prefix + GROUP.name(dim)] = dim, [group_of[one] for one in dims.labels[dim]]
    return found


def about_labels(dim: str, labels: Sequence[Any]) -> dict[str, str]:
    """Return the attributes of an array of labels."""
    return {"long_name": dim} if isinstance(labels[0], int) else {}


def further_coordinates(dims: Dims, used: Iterable[str]) -> dict[str, str]:
    """Return the attribute that names labels that are no dims."""
    used = set(used)
    further = [
        name
        for dim in dims.labels
        if dim in used
        for name in (
            *(PARENT.format(dim, parent) for parent in dims.named([dim])[:-1]),
            *([GROUP.name(dim)] if dims.groups.get(dim) else []),
        )
    ]
    return {"coordinates": " ".join(further)} if further else {}


def of_labels(labels: Mapping[str, tuple[str, Sequence[Any]]]) -> Documents:
    """Return the documents of labels."""
    return {
        key: small_document((len(some),), type(some[0]), (dim,), about_labels(dim, some))
        for key, (dim, some) in labels.items()
    }
