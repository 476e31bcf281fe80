"""Dims and their labels: the named axes of every array in a scenario."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ndmc.errors import nearest
from ndmc.label import YEARLY, LabelError, Labels, listed, plain_label, read_labels, unknown_label
from ndmc.typing import Floats

__all__ = ["Dims", "align", "expand", "flat", "rows_in", "rows_of"]


@dataclass(frozen=True)
class Dims:
    """The dims of a scenario in their one order: the user's own first, then year.

    Arrays carry their dims in this order and the draws last, so that a year's draws are
    contiguous and every kernel sees ``[cell, year, draw]``.
    """

    labels: dict[str, tuple[str, ...]]
    groups: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict)

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

    def ordered(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return ``names`` in the order arrays carry them."""
        wanted = set(names)
        return tuple(name for name in self.labels if name in wanted)

    def shape(self, names: Iterable[str]) -> tuple[int, ...]:
        """Return the number of labels of each of ``names``."""
        return tuple(len(self.labels[name]) for name in names)

    def size(self, names: Iterable[str]) -> int:
        """Return the number of cells spanned by ``names``."""
        return math.prod(self.shape(names))

    def positions(self, dim: str, label: str) -> tuple[int, ...]:
        """Return where ``label`` stands along ``dim``; a group stands where its labels do.

        Raises
        ------
        LabelError
            If ``dim`` has neither such a label nor such a group.
        """
        label = plain_label(dim, label)
        members = self.groups.get(dim, {}).get(label, (label,))
        if members[0] not in self.labels[dim]:
            raise LabelError(unknown_label(label, dim, self.labels, self.groups))
        return tuple(self.labels[dim].index(member) for member in members)

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
        return found

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
            cells = [{**cell, name: label} for cell in cells for label in self.labels[name]]
        return cells

    def cell(self, names: Sequence[str], number: int) -> dict[str, str]:
        """Return the labels of one of the cells spanned by ``names``.

        Examples
        --------
        >>> Dims({"product": ("phone", "car"), "year": ("2001", "2002")}).cell(["year"], 1)
        {'year': '2002'}
        """
        places = np.unravel_index(number, self.shape(names)) if names else ()
        return {name: self.labels[name][n] for name, n in zip(names, places, strict=True)}


def expand(array: Floats, has: tuple[str, ...], wants: tuple[str, ...]) -> Floats:
    """Give ``array`` an axis of length one for every dim of ``wants`` it lacks."""
    if has == wants:
        return array
    shape = iter(array.shape)
    return array.reshape(*(next(shape) if dim in has else 1 for dim in wants), array.shape[-1])


def align(array: Floats, has: tuple[str, ...], wants: tuple[str, ...], dims: Dims) -> Floats:
    """Broadcast ``array`` over ``wants``, keeping its draws (one, if it is the same in all)."""
    return np.broadcast_to(expand(array, has, wants), (*dims.shape(wants), array.shape[-1]))


def flat(array: Floats, width: int) -> Floats:
    """Return an array as contiguous rows of draws, as kernels want it."""
    if array.shape[-1] != width:
        array = np.broadcast_to(array, (*array.shape[:-1], width))
    return np.require(array, requirements=["C", "W"]).reshape(-1, width)


def rows_of(has: tuple[str, ...], wants: tuple[str, ...], dims: Dims) -> npt.NDArray[np.int64]:
    """Return, for each cell of ``has``, its row among the cells of the dims that are wanted."""
    return _rows(dims.shape(has), tuple(dim in wants for dim in has))


def rows_in(has: tuple[str, ...], wants: tuple[str, ...], dims: Dims) -> npt.NDArray[np.int64]:
    """Return, for each cell of the dims that are wanted, the cell of ``has`` that it lies in."""
    sizes = iter(dims.shape(has))
    shape = tuple(next(sizes) if dim in has else 1 for dim in wants)
    numbers = np.arange(dims.size(has), dtype=np.int64).reshape(shape)
    return np.broadcast_to(numbers, dims.shape(wants)).reshape(-1)


@functools.lru_cache(maxsize=1024)
def _rows(shape: tuple[int, ...], kept: tuple[bool, ...]) -> npt.NDArray[np.int64]:
    inner = tuple(size if keep else 1 for size, keep in zip(shape, kept, strict=True))
    rows = np.arange(math.prod(inner), dtype=np.int64).reshape(inner)
    return np.broadcast_to(rows, shape).copy().reshape(-1)
