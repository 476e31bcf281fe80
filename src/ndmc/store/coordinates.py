"""The labels of dims in a group of a store, and the document of each; the dims of a total."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ndmc.dims import PARENT, Dims
from ndmc.plan.steps import Output
from ndmc.store.variables import GROUP
from ndmc.store.zarr_v3 import Document, small_document

#: The documents of arrays and groups, by key.
Documents = dict[str, Document]


def summed(output: Output) -> tuple[str, ...]:
    """Return the dims over which an output has a total."""
    return output.summed


def labels_of(group: str, dims: Dims, used: Iterable[str]) -> dict[str, tuple[str, Sequence[Any]]]:
    """Return for each array of labels in a group, by key, its dim and the labels along it.

    Beside those of a dim there may be the group of each.
    """
    prefix, found = f"{group}/" if group else "", dict[str, tuple[str, Sequence[Any]]]()
    for name, (dim, labels) in dims.coordinates(used).items():
        found[prefix + name] = dim, labels
        for grouping, groups in _grouped(dims, dim).items() if name == dim else ():
            group_of = {label: group for group, members in groups.items() for label in members}
            found[prefix + grouping] = dim, [group_of.get(one, "") for one in dims.labels[dim]]
    return found


def _grouped(dims: Dims, dim: str) -> dict[str, Mapping[str, Sequence[str]]]:
    """Return the groups of a dim and of its groupings by name, if no label is in several."""
    every = {GROUP.name(dim): dims.groups.get(dim, {})}
    every |= {PARENT.format(dim, name): some for name, some in dims.groupings.get(dim, {}).items()}
    return {name: groups for name, groups in every.items() if groups and not _overlap(groups)}


def _overlap(groups: Mapping[str, Sequence[str]]) -> bool:
    members = [label for some in groups.values() for label in some]
    return len({*members}) < len(members)


def about_labels(key: str, dim: str, labels: Sequence[Any]) -> dict[str, str]:
    """Return the attributes of an array of labels: of what they belong to, the dim of that."""
    name = key.rpartition("/")[2]
    if name not in (dim, GROUP.name(dim)):
        return {"long_name": name.removeprefix(PARENT.format(dim, ""))}
    return {"long_name": dim} if isinstance(labels[0], int) else {}


def further_coordinates(dims: Dims, used: Iterable[str]) -> dict[str, str]:
    """Return the attribute that names labels that are no dims."""
    further = [name for name, (dim, _) in labels_of("", dims, used).items() if name != dim]
    return {"coordinates": " ".join(further)} if further else {}


def of_labels(labels: Mapping[str, tuple[str, Sequence[Any]]]) -> Documents:
    """Return the documents of labels."""
    return {
        key: small_document((len(some),), type(some[0]), (dim,), about_labels(key, dim, some))
        for key, (dim, some) in labels.items()
    }
