"""Brackets of values between which the wanted order statistics lie."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ndmc.store.bundle import Bundle, DamagedError, pack
from ndmc.store.view import View
from ndmc.typing import Array, Floats, Integers

__all__ = ["Brackets", "Series", "Sheet", "first_brackets", "open_brackets", "span_of"]


def span_of(rows: Integers) -> slice | Integers:
    """Return rows as a slice if they follow each other: what is read so is not copied."""
    first = int(rows[0]) if len(rows) else 0
    if np.array_equal(rows, np.arange(first, first + len(rows))):
        return slice(first, first + len(rows))
    return rows


@dataclass(frozen=True)
class Series:
    """A view of an output whose percentiles are wanted, and where its rows are, cell by cell.

    Draws are counted that are ``above`` limits that are asked for, and above those that say how
    members of an ensemble ``compare``.
    """

    title: str
    view: View
    sheet: int
    rows: slice | Integers
    above: tuple[float, ...] = ()
    compare: tuple[float, ...] = ()

    @property
    def limits(self) -> tuple[float, ...]:
        """All that draws are counted above."""
        return self.above + self.compare

    @property
    def size(self) -> int:
        """The number of its cells."""
        return math.prod(self.view.shape)

    @property
    def numbers(self) -> Integers:
        """The number of the row of each cell."""
        rows = self.rows
        return np.arange(rows.start, rows.stop) if isinstance(rows, slice) else rows

    @functools.cached_property
    def distinct(self) -> tuple[slice | Integers, slice | Integers]:
        """Its rows, each once, and which of them each cell has."""
        if isinstance(self.rows, slice):
            return self.rows, slice(None)
        rows, which = np.unique(self.rows, return_inverse=True)
        return span_of(rows), which


@dataclass(frozen=True)
class Sheet:
    """The rows of one precision: their number, and the quantiles wanted of all of them."""

    dtype: np.dtype[Any]
    rows: int


@dataclass(frozen=True)
class Brackets:
    """What draws from ``start`` on are compared with.

    ``edges`` is [row, bracket, 2] for each sheet, ``centres`` [row] what is taken off before
    moments are added up, ``cuts`` [row, bracket, cut] those of a bracket into bins if draws are
    only counted. Before anything is known there is one bracket for all percentiles: everything.
    """

    start: int
    edges: tuple[Array, ...]
    centres: tuple[Floats, ...]
    cuts: tuple[Array, ...] = ()

    @property
    def counted(self) -> bool:
        """Whether draws inside are counted by bins, to be kept in a second pass."""
        return bool(self.cuts)

    def pack(self) -> Iterator[bytes]:
        """Yield the bytes of a file."""
        arrays: dict[str, Array] = {}
        for n in range(len(self.edges)):
            arrays |= {f"edges/{n}": self.edges[n], f"centres/{n}": self.centres[n]}
            if self.cuts:
                arrays[f"parts/{n}"] = self.cuts[n]
        return pack(arrays.items(), {"start": self.start, "sheets": len(self.edges)})


def open_brackets(bundle: Bundle, sheets: Sequence[Sheet], levels: int, start: int) -> Brackets:
    """Read brackets from a file.

    Parameters
    ----------
    bundle
        The file.
    sheets, levels
        The sheets of the run, and how many percentiles are wanted of each row.
    start
        The first draw that they are for.

    Raises
    ------
    DamagedError
        If it has no brackets of these.
    """
    if (bundle.facts.get("start"), bundle.facts.get("sheets")) != (start, len(sheets)):
        raise DamagedError("it is of other draws")
    edges, centres, cuts = [], [], []
    for n, sheet in enumerate(sheets):
        kind, name = f"f{sheet.dtype.itemsize}", f"edges/{n}"
        places = (sheet.rows, 1 if bundle.shape(name)[1:] == (1, 2) else levels)
        edges.append(bundle.get(name, kind, (*places, 2)).copy())
        centres.append(bundle.get(f"centres/{n}", "f8", (sheet.rows,)).copy())
        if "parts/0" in bundle:
            each = bundle.shape(f"parts/{n}")[2:3]
            cuts.append(bundle.get(f"parts/{n}", kind, (*places, *each)))
    return Brackets(start, tuple(edges), tuple(centres), tuple(cuts))


def first_brackets(sheets: Sequence[Sheet], draw: Sequence[Array]) -> Brackets:
    """Return the brackets of the first draws, centred on one draw [row] of each sheet."""
    edges = tuple(
        np.broadcast_to(np.array([-np.inf, np.inf], sheet.dtype), (sheet.rows, 1, 2)).copy()
        for sheet in sheets
    )
    centres = tuple(np.where(np.isfinite(d), d, 0.0).astype(np.float64) for d in draw)
    return Brackets(0, edges, centres)
