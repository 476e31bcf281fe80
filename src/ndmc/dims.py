"""Dims and their labels: the named axes of every array in a scenario."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ndmc.errors import nearest, shortened
from ndmc.label import YEARLY, LabelError, Labels, listed, plain_label, read_labels, unknown_label
from ndmc.typing import Floats

__all__ = ["PARENT", "Dims", "align", "expand", "flat", "rows_in"]


#: What the labels of a dim belong to is called along it: of each dim, the labels of another.
PARENT = "{}_{}"


@dataclass(frozen=True)
class Dims:
    """The dims of a scenario in their one order: the user's own first, then year.

    Arrays carry their dims in this order and the draws last, so that a year's draws are
    contiguous and every kernel sees ``[cell, year, draw]``.

    Each label of a dim may belong to one of another, its parent: ``belongs`` says to which, by
    position, for all ancestors of a dim, and ``of`` names its parent. Labels of such a dim may
    repeat: a cell is known by the labels of all. The dims of an array have no ancestor of another.

    The ``groupings`` of a dim are dims, too, whose labels are groups of its own. It belongs to one
    of which each of its labels is in just one group; nothing is named or drawn by that.
    """

    labels: dict[str, tuple[str, ...]]
    groups: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict)
    of: dict[str, str] = field(default_factory=dict)
    belongs: dict[str, dict[str, tuple[int, ...]]] = field(default_factory=dict)
    groupings: dict[str, dict[str, dict[str, tuple[str, ...]]]] = field(default_factory=dict)

    def __str__(self) -> str:
        own = [f"{dim} ({len(some)})" for dim, some in self.labels.items() if dim != "year"]
        return ", ".join([f"years {self.years[0]}..{self.years[-1]}", *own])

    @property
    def years(self) -> tuple[int, ...]:
        """The years of the model."""
        return tuple(int(year) for year in self.labels["year"])

    def coordinate(self, dim: str) -> tuple[int, ...] | tuple[str, ...]:
        """Return the labels of ``dim``, as numbers where they are years."""
        labels = self.labels[dim]
        if dim in YEARLY and all(label.isdigit() for label in labels):
            return tuple(int(label) for label in labels)
        return labels

    def full(self, names: Iterable[str]) -> set[str]:
        """Return some dims and all that they belong to.

        Examples
        --------
        >>> dims = Dims(
        ...     {"metal": ("Li", "Co"), "use": ("car", "car")},
        ...     of={"use": "metal"},
        ...     belongs={"use": {"metal": (0, 1)}},
        ... )
        >>> sorted(dims.full(["use"])), dims.ordered(["metal", "use"])
        (['metal', 'use'], ('use',))
        """
        wanted = set(names)
        return wanted.union(*(self.belongs.get(name, ()) for name in wanted))

    def coordinates(
        self, names: Iterable[str]
    ) -> dict[str, tuple[str, tuple[int, ...] | tuple[str, ...]]]:
        """Return the labels along some dims, and those that they belong to, by name, with the dim.

        Examples
        --------
        >>> dims = Dims(
        ...     {"metal": ("Li", "Co"), "use": ("car", "car")},
        ...     of={"use": "metal"},
        ...     belongs={"use": {"metal": (0, 1)}},
        ... )
        >>> dims.coordinates(["use"])
        {'use': ('use', ('car', 'car')), 'use_metal': ('use', ('Li', 'Co'))}
        """
        wanted, found = set(names), dict[str, tuple[str, Any]]()
        for dim in (one for one in self.labels if one in wanted):
            found[dim] = dim, self.coordinate(dim)
            for parent in self.named([dim])[:-1]:
                found[PARENT.format(dim, parent)] = dim, self.named_at(dim, parent)
        return found

    def ordered(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return ``names`` in the order arrays carry them, without what others belong to."""
        wanted = set(names)
        if self.belongs:
            wanted -= set().union(*(self.belongs.get(name, ()) for name in wanted))
        return tuple(name for name in self.labels if name in wanted)

    def named(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the dims whose labels name a cell: some and their parents, in order."""
        wanted = set(names)
        for name in tuple(wanted):
            while name in self.of:
                name = self.of[name]
                wanted.add(name)
        return tuple(name for name in self.labels if name in wanted)

    def members(self, dim: str, parent: str) -> tuple[tuple[int, ...], ...]:
        """Return where the labels of a dim stand that belong to each label of another."""
        if groups := self.groupings.get(dim, {}).get(parent):
            places = self._places[dim]
            return tuple(
                tuple(at for one in some for at in places[one]) for some in groups.values()
            )
        found: list[list[int]] = [[] for _ in self.labels[parent]]
        for place, at in enumerate(self.belongs[dim][parent]):
            found[at].append(place)
        return tuple(map(tuple, found))

    def known_by(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the dims by whose labels cells may be picked: those that name them, groupings."""
        named = self.named(names)
        return (*named, *(one for dim in named for one in self.groupings.get(dim, ())))

    def partitions(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the groupings of some dims in which each label is in just one group."""
        return tuple(
            one
            for dim in names
            for one in self.groupings.get(dim, ())
            if one in self.belongs.get(dim, ())
        )

    def groups_of(self, cell: Mapping[str, str]) -> dict[str, str]:
        """Return the group of each label of a cell in the groupings where it is in just one."""
        return {
            name: next(group for group, some in self.groupings[dim][name].items() if label in some)
            for dim, label in cell.items()
            for name in self.partitions([dim])
        }

    def ungrouped(self, labels: Labels, names: Iterable[str]) -> Labels:
        """Return labels that are picked, of a grouping of one of some dims as labels of that.

        Raises
        ------
        LabelError
            If the grouping has no such group, and for labels of a dim and of a grouping of it.
        """
        found: dict[str, str | int | slice | Iterable[str | int]] = {}
        for dim, some in labels.items():
            of = next((one for one in self.named(names) if dim in self.groupings.get(one, ())), "")
            if of and (of in labels or of in found):
                raise LabelError(f"{dim!r} is a grouping of {of!r}; pick labels of one of them")
            groups = self.groupings.get(of, {}).get(dim, {})
            for one in listed(some) if of else ():
                if one not in groups:
                    raise LabelError(unknown_label(one, dim, self.labels, self.groups))
            own = [label for one in listed(some) for label in groups[one]] if of else some
            found[of or dim] = own
        return found

    def clash(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return those of some dims of which not every label of the one is in one of the other.

        They are a grouping and the dim it is of, or another grouping of that; nothing if none.
        """
        wanted = tuple(names)
        for of, groupings in self.groupings.items():
            own = tuple(name for name in wanted if name in groupings)
            whole = tuple(name for name in wanted if of in self.full([name]))
            if own and len(own + whole) > 1:
                return (own + whole)[:2]
        return ()

    def parents(self, wants: Iterable[str], dim: str) -> tuple[str, tuple[int, ...]]:
        """Return which of some dims belongs to another, and the position of each of its labels."""
        child = next(name for name in wants if dim in self.belongs.get(name, ()))
        return child, self.belongs[child][dim]

    def shape(self, names: Iterable[str]) -> tuple[int, ...]:
        """Return the number of labels of each of ``names``."""
        return tuple(len(self.labels[name]) for name in names)

    def size(self, names: Iterable[str]) -> int:
        """Return the number of cells spanned by ``names``."""
        return math.prod(self.shape(names))

    def positions(self, dim: str, label: str) -> tuple[int, ...]:
        """Return where ``label`` stands along ``dim``; a group stands where its labels do.

        A label that belongs to several parents stands once for each.

        Raises
        ------
        LabelError
            If ``dim`` has neither such a label nor such a group.
        """
        label = plain_label(dim, label)
        members = self.groups.get(dim, {}).get(label, (label,))
        places = self._places[dim]
        if members[0] not in places:
            raise LabelError(unknown_label(label, dim, self.labels, self.groups))
        return tuple(place for member in members for place in places[member])

    @functools.cached_property
    def _places(self) -> dict[str, dict[str, list[int]]]:
        """Where each label of each dim stands."""
        found: dict[str, dict[str, list[int]]] = {dim: {} for dim in self.labels}
        for dim, labels in self.labels.items():
            for place, label in enumerate(labels):
                found[dim].setdefault(label, []).append(place)
        return found

    def chosen(self, dim: str, label: str) -> tuple[int, ...]:
        """Return the same, and where years from one to another stand: 2001..2021.

        Raises
        ------
        LabelError
            As `positions`, and for years that run backwards.
        """
        ends = label.split("..") if dim in YEARLY else []
        if len(ends) != 2:
            return self.positions(dim, label)
        first, last = ends[0].strip(), ends[1].strip()
        found = tuple(range(self.positions(dim, first)[0], self.positions(dim, last)[-1] + 1))
        if not found:
            raise LabelError(f"{label!r} runs backwards; write {last}..{first}")
        return found

    def picked(self, labels: Labels) -> dict[str, tuple[int, ...]]:
        """Return where the labels that are picked of some dims stand, each once.

        Raises
        ------
        LabelError
            As `chosen`, and for a dim that there is not.
        """
        found = {}
        for dim, some in labels.items():
            if dim not in self.labels:
                raise LabelError(f"there is no dim {dim!r}; {nearest(dim, self.labels)}")
            each = (self.chosen(dim, label) for label in listed(some))
            found[dim] = tuple(dict.fromkeys(at for places in each for at in places))
        return {dim: self._within(dim, places, found) for dim, places in found.items()}

    def along(self, dim: str, picked: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
        """Return which labels of ``dim`` are picked, themselves and by what they belong to.

        Raises
        ------
        LabelError
            If there are none.
        """
        return self._within(dim, picked.get(dim, tuple(range(len(self.labels[dim])))), picked)

    def _within(
        self, dim: str, places: tuple[int, ...], picked: Mapping[str, tuple[int, ...]]
    ) -> tuple[int, ...]:
        """Return those of some labels whose parents are picked, too."""
        for parent, positions in self.belongs.get(dim, {}).items():
            if parent in picked:
                inside = {*picked[parent]}
                left = tuple(at for at in places if positions[at] in inside)
                if not left:
                    own = shortened(dict.fromkeys(self.labels[dim][at] for at in places))
                    some = shortened(self.labels[parent][at] for at in picked[parent])
                    message = f"no {dim} {own} belongs to the {parent} {some}"
                    known = [
                        self.labels[dim][at] for at, of in enumerate(positions) if of in inside
                    ]
                    raise LabelError(f"{message}; {nearest(own, known)}")
                places = left
        return places

    def read(self, text: str, among: Iterable[str]) -> dict[str, list[str]]:
        """Return the labels of some dims that a text names, by dim, as `read_labels` does."""
        return read_labels(text, {dim: self.known(dim) for dim in among})

    def known(self, dim: str) -> tuple[str, ...]:
        """Return the labels and the groups of ``dim``."""
        return (*self.labels[dim], *self.groups.get(dim, {}))

    def cells(self, names: Iterable[str]) -> list[dict[str, str]]:
        """Return the labels of every cell spanned by ``names``, in array order."""
        cells: list[dict[str, str]] = [{}]
        for name in names:
            along = self._labels_along(name)
            cells = [{**cell, **labels} for cell in cells for labels in along]
        return cells

    def _labels_along(self, name: str) -> list[dict[str, str]]:
        """Return the labels that name each position along a dim: those of its parents first."""
        chain = self.named([name])
        columns = [self.named_at(name, dim) for dim in chain]
        return [dict(zip(chain, labels, strict=True)) for labels in zip(*columns, strict=True)]

    def repeats(self, name: str) -> bool:
        """Whether a dim has a label more than once, for several parents."""
        return len(self._places[name]) < len(self.labels[name])

    def named_at(self, name: str, parent: str) -> tuple[str, ...]:
        """Return the label of a dim, or of one it belongs to, at each position along it."""
        labels = self.labels[parent]
        if name == parent:
            return labels
        return tuple(labels[at] for at in self.belongs[name][parent])

    def cell(self, names: Sequence[str], number: int) -> dict[str, str]:
        """Return the labels of one of the cells spanned by ``names``.

        Examples
        --------
        >>> Dims({"product": ("phone", "car"), "year": ("2001", "2002")}).cell(["year"], 1)
        {'year': '2002'}
        """
        places = np.unravel_index(number, self.shape(names)) if names else ()
        return {
            dim: self.labels[dim][n if dim == name else self.belongs[name][dim][n]]
            for name, n in zip(names, map(int, places), strict=True)
            for dim in self.named([name])
        }


def expand(array: Floats, has: tuple[str, ...], wants: tuple[str, ...]) -> Floats:
    """Give ``array`` an axis of length one for every dim of ``wants`` it lacks."""
    if has == wants:
        return array
    shape = iter(array.shape)
    return array.reshape(*(next(shape) if dim in has else 1 for dim in wants), array.shape[-1])


def align(array: Floats, has: tuple[str, ...], wants: tuple[str, ...], dims: Dims) -> Floats:
    """Broadcast ``array`` over ``wants``, keeping its draws (one, if it is the same in all)."""
    shape = (*dims.shape(wants), array.shape[-1])
    if set(has) <= set(wants):
        return np.broadcast_to(expand(array, has, wants), shape)
    full = np.broadcast_to(array, (*dims.shape(has), array.shape[-1]))
    return full.reshape(-1, array.shape[-1])[rows_in(has, wants, dims)].reshape(shape)


def flat(array: Floats, width: int) -> Floats:
    """Return an array as contiguous rows of draws, as kernels want it."""
    if array.shape[-1] != width:
        array = np.broadcast_to(array, (*array.shape[:-1], width))
    return np.require(array, requirements=["C", "W"]).reshape(-1, width)


def rows_in(has: tuple[str, ...], wants: tuple[str, ...], dims: Dims) -> npt.NDArray[np.int64]:
    """Return, for each cell of the dims that are wanted, the cell of ``has`` that it lies in."""
    rows: npt.NDArray[np.int64] = np.zeros((1,) * len(wants), dtype=np.int64)
    for dim in has:
        child, places = (dim, None) if dim in wants else dims.parents(wants, dim)
        along = np.arange(len(dims.labels[dim])) if places is None else np.array(places)
        shape = [-1 if name == child else 1 for name in wants]
        rows = rows * len(dims.labels[dim]) + along.reshape(shape)
    return np.array(np.broadcast_to(rows, dims.shape(wants))).reshape(-1)
