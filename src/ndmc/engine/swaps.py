"""Groups of inputs that change places between neighbouring draws, and what this does to results.

A tile is computed; then, for one group after the other, the streams of a group are exchanged
between draws 2i and 2i + 1 and what lies downstream is computed again, beside it.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ndmc.engine.downstream import Downstream, downstream
from ndmc.engine.instructions import Places
from ndmc.engine.reach import reached
from ndmc.engine.row_code import RowCode
from ndmc.engine.tiles import Tile
from ndmc.plan.study import Study
from ndmc.typing import Floats
from ndmc_kernels.squares import BATCHES, LEAF, SUMS, squares

__all__ = ["Swaps", "reach"]


@dataclass(frozen=True)
class Swaps:
    """How the groups of a study are exchanged.

    Attributes
    ----------
    code
        That of the plan.
    connected
        Which cells of what is observed, one after the other, each group reaches: [group, cell].
    """

    code: RowCode
    study: Study
    connected: npt.NDArray[np.bool_]
    parts: tuple[Downstream, ...]

    @functools.cached_property
    def cells(self) -> Places:
        """The rows of the cells of what is observed."""
        return _rows(self.code)

    @functools.cached_property
    def starts(self) -> Places:
        """The first entry of each group, after those of the cells themselves, and the last."""
        counts = self.connected.sum(axis=1)
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64) + len(self.cells)

    @property
    def entries(self) -> int:
        """How many entries have sums: of cells if all inputs change places, then of the groups."""
        return int(self.starts[-1])

    @property
    def shape(self) -> tuple[int, int, int]:
        """How many entries, batches and sums there are."""
        return self.entries, BATCHES, SUMS

    def sums(self) -> Floats:
        """Return room for the sums of the entries, [entry, batch, sum]."""
        return np.zeros(self.shape)

    def measure(self, tile: Tile, first: int, here: slice, sums: Floats) -> None:
        """Write the sums of the leaves of a tile, which is computed, to their batches.

        ``first`` is the first draw of the tile; those ``here`` of it are wanted.
        """
        if not tile.beside:
            for part in self.parts:
                tile.put_beside(part.code)
        place = here.start, here.stop - here.start, (first + here.start) // LEAF
        rows, cells, alone = tile.rows, self.cells, np.full(len(self.cells), -1)
        squares(rows, cells, alone, *place, 0, sums)
        for n, (part, other) in enumerate(zip(self.parts, tile.beside, strict=True)):
            some = cells[self.connected[n]]
            if len(some):
                _exchange(rows, part.streams, part.streams + self.code.rows)
                other.spread()
                other.run(other.code.each)
                squares(rows, some, some + self.code.rows, *place, int(self.starts[n]), sums)


def _exchange(rows: Floats, source: Places, target: Places) -> None:
    """Write rows with neighbouring draws exchanged to others."""
    taken = rows[source]
    pairs = taken.reshape(len(source), -1, 2)
    rows[target] = pairs[:, :, ::-1].reshape(taken.shape)


def _rows(code: RowCode) -> Places:
    return np.concatenate([np.empty(0, np.int64), *(p.reshape(-1) for p in code.observed)])


def swaps_of(code: RowCode, study: Study) -> Swaps:
    """Return how the groups of a study are exchanged."""
    marks = {stream: 1 << n for n, group in enumerate(study.groups) for stream in group.streams}
    found = reached(code, marks)
    hits = np.ascontiguousarray(_bits(found, len(study.groups)).T)
    parts = tuple(
        downstream(code, hit, frozenset(group.streams))
        for hit, group in zip(hits, study.groups, strict=True)
    )
    cells = _rows(code)
    return Swaps(code, study, hits[:, cells], parts)


def reach(code: RowCode, streams: Sequence[int]) -> npt.NDArray[np.bool_]:
    """Return which of some streams reach each cell of what is observed: [cell, stream]."""
    found = reached(code, {stream: 1 << n for n, stream in enumerate(streams)})
    return _bits(found[_rows(code)], len(streams))


def _bits(marks: npt.NDArray[np.object_], count: int) -> npt.NDArray[np.bool_]:
    """Return the lowest bits of numbers of any length, [number, bit]."""
    size = -(-count // 8)
    data = b"".join(int(mark).to_bytes(size, "little") for mark in marks.tolist())
    bytes_of = np.frombuffer(data, np.uint8).reshape(len(marks), size)
    return np.unpackbits(bytes_of, axis=1, count=count, bitorder="little").view(np.bool_)
