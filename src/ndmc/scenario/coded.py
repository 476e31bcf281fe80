"""Values that many cells share, each kept once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from ndmc.typing import Array, Integers

Value = TypeVar("Value")


@dataclass(frozen=True, eq=False)
class Coded(Generic[Value]):
    """A value of every cell: that of cell ``n`` is ``values[codes[n]]``.

    Examples
    --------
    >>> words = Coded(("low", "high"), np.array([0, 0, 1]))
    >>> len(words), words[2], words.distinct
    (3, 'high', ['low', 'high'])
    """

    values: tuple[Value, ...]
    codes: Integers

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, cell: int) -> Value:
        return self.values[int(self.codes[cell])]

    def __iter__(self) -> Iterator[Value]:
        return (self.values[code] for code in self.codes.tolist())

    @property
    def distinct(self) -> list[Value]:
        """The values that cells have, in the order of the cells that have them first."""
        found, first = np.unique(self.codes, return_index=True)
        return [*dict.fromkeys(self.values[code] for code in found[np.argsort(first)].tolist())]

    def at(self, cells: Array) -> Coded[Value]:
        """Return those of some cells."""
        return Coded(self.values, self.codes[cells])


def alike(value: Value, size: int) -> Coded[Value]:
    """Return one value for all of ``size`` cells."""
    return Coded((value,), np.broadcast_to(np.intp(0), size))


def groups(columns: Iterable[Integers], size: int) -> Sequence[Integers]:
    """Return the cells that are alike in every column, the group of the first cell first.

    Examples
    --------
    >>> [group.tolist() for group in groups([np.array([1, 0, 1]), np.array([0, 0, 0])], 3)]
    [[0, 2], [1]]
    """
    codes = np.zeros(size, dtype=np.int64)
    for column in columns:
        codes = np.unique(codes * (int(column.max()) + 1) + column, return_inverse=True)[1]
    order = np.argsort(codes, kind="stable")
    found = np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)
    return sorted(found, key=lambda cells: int(cells[0]))
