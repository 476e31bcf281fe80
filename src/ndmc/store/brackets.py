"""Brackets of values between which the wanted order statistics lie."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ndmc.store.bundle import Bundle, pack
from ndmc.store.view import View
from ndmc.typing import Array, Floats

__all__ = ["Brackets", "Series", "Sheet", "first_brackets", "open_brackets"]


@dataclass(frozen=True)
class Series:
    """A view of an output whose percentiles are wanted, and where its rows are."""

    title: str
    view: View
    sheet: int
    rows: slice
    above: tuple[float, ...] = ()


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


def open_brackets(bundle: Bundle) -> Brackets:
    """Read brackets from a file."""
    sheets = range(bundle.facts["sheets"])
    cuts = tuple(bundle[f"parts/{n}"] for n in sheets) if "parts/0" in bundle else ()
    return Brackets(
        bundle.facts["start"],
        tuple(bundle[f"edges/{n}"].copy() for n in sheets),
        tuple(bundle[f"centres/{n}"].copy() for n in sheets),
        cuts,
    )


def first_brackets(sheets: Sequence[Sheet], draw: Sequence[Array]) -> Brackets:
    """Return the brackets of the first draws, centred on one draw [row] of each sheet."""
    edges = tuple(
        np.broadcast_to(np.array([-np.inf, np.inf], sheet.dtype), (sheet.rows, 1, 2)).copy()
        for sheet in sheets
    )
    centres = tuple(np.where(np.isfinite(d), d, 0.0).astype(np.float64) for d in draw)
    return Brackets(0, edges, centres)
