"""Groups of the labels of a dim, and groupings of it: dims whose labels are groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ndmc.dims import Dims
from ndmc.label import unknown_label
from ndmc.scenario import reserved
from ndmc.scenario.document import Document
from ndmc.scenario.schema import ScenarioFile

__all__ = ["grouped"]

#: Labels by group.
Groups = dict[str, tuple[str, ...]]


def read_groups(
    document: Document,
    labels: Sequence[str],
    given: Mapping[str, Sequence[str]],
    *key: str,
    apart: bool = True,
) -> Groups:
    """Return groups of labels as they are written, which may overlap or leave labels out.

    Raises
    ------
    InputError
        For labels that there are not, or twice in a group; for a group that is named like a
        label, if they are to be told ``apart``.
    """
    known, dim = dict.fromkeys(labels), key[1]
    for group, members in given.items():
        if apart and group in known:
            raise document.error(f"the group {group!r} has the name of a label", *key, group)
        for member in members:
            if member not in known:
                message = unknown_label(member, dim, {dim: [*known]}, {})
                raise document.error(message, *key, group)
        if len({*members}) < len(members):
            raise document.error(f"a label stands twice in {group!r}; keep one", *key, group)
    return {group: tuple(members) for group, members in given.items()}


def read_groupings(
    document: Document, file: ScenarioFile, dims: Dims
) -> dict[str, dict[str, Groups]]:
    """Return the groupings of each dim that has some, by name.

    Raises
    ------
    InputError
        As `read_groups`, for a name that is taken, and for a grouping without groups.
    """
    found, taken = dict[str, dict[str, Groups]](), {*reserved.DIMS, *dims.labels}
    for dim, entry in file.dims.items():
        for name, given in entry.groupings.items():
            key = ("dims", dim, "groupings", name)
            if name in taken:
                raise document.error(f"the name {name!r} is taken: a dim is called so", *key)
            if not given:
                message = f"the grouping {name!r} has no groups; write {{group: [labels]}}"
                raise document.error(message, *key)
            taken.add(name)
            groups = read_groups(document, dims.labels[dim], given, *key, apart=False)
            found.setdefault(dim, {})[name] = groups
    return found


def grouped(dims: Dims, groupings: Mapping[str, Mapping[str, Groups]]) -> Dims:
    """Return dims with their groupings: a dim belongs to one of which each label is in one group.

    Examples
    --------
    >>> dims = Dims({"product": ("car", "tv"), "year": ("2001",)})
    >>> found = grouped(dims, {"product": {"kind": {"mobile": ("car",), "other": ("tv",)}}})
    >>> [*found.labels], found.ordered(["kind", "product"])
    (['kind', 'product', 'year'], ('product',))
    """
    labels = dict[str, tuple[str, ...]]()
    belongs = {dim: dict(above) for dim, above in dims.belongs.items()}
    for dim, own in dims.labels.items():
        for name, groups in groupings.get(dim, {}).items():
            labels[name] = tuple(groups)
            if places := _partition(own, groups):
                belongs.setdefault(dim, {})[name] = places
                for child, above in dims.belongs.items():
                    if dim in above:
                        belongs[child][name] = tuple(places[at] for at in above[dim])
        labels[dim] = own
    return replace(
        dims,
        labels=labels,
        belongs={dim: above for dim, above in belongs.items() if above},
        groupings={dim: dict(some) for dim, some in groupings.items()},
    )


def _partition(labels: Sequence[str], groups: Groups) -> tuple[int, ...]:
    """Return the group of each label by position, if each is in one; nothing if not."""
    members = [label for some in groups.values() for label in some]
    if sorted(members) != sorted({*labels}):
        return ()
    place = {label: at for at, some in enumerate(groups.values()) for label in some}
    return tuple(place[label] for label in labels)
