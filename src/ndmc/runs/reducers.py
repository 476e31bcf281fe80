"""What is remembered of consecutive draws in place of them: percentiles' digests, a study's sums.

Blocks show a reducer every tile and give it all results, and pack what it has made of them. Parts,
kills, repair and merging know files of arrays alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from ndmc.engine.evaluation import Witness
from ndmc.engine.swaps import Swaps
from ndmc.engine.tiles import Tile
from ndmc.store.digest import Digester, Nodes, add_node
from ndmc.store.spec import ROUND
from ndmc.store.squares import named
from ndmc.typing import Array, Floats


class Reducer(Protocol):
    """What is made of draws, in their order."""

    @property
    def see(self) -> Witness | None:
        """What takes tiles as they are computed, if they are of use."""

    def add(self, rows: Sequence[Array]) -> None:
        """Take results, [row, draw] of each sheet."""

    def arrays(self) -> Iterator[tuple[str, Array]]:
        """Yield what is kept, by name."""


class Ranks:
    """What percentiles need."""

    see = None

    def __init__(self, digester: Digester) -> None:
        self.digester = digester
        self.add, self.arrays = digester.add, digester.arrays


class Squares:
    """Sums of squares of what groups of inputs do, one round of draws after the other."""

    def __init__(self, swaps: Swaps) -> None:
        self.swaps = swaps
        self.nodes: Nodes = {}
        self._round = -1
        self._sums: Floats | None = None

    def see(self, tile: Tile, first: int, here: slice) -> None:
        """Add the leaves of a tile, which lies within one round."""
        number = (first + here.start) // ROUND
        if number != self._round or self._sums is None:
            self._end()
            self._round, self._sums = number, self.swaps.sums()
        self.swaps.measure(tile, first, here, self._sums)

    def _end(self) -> None:
        if self._sums is not None:
            add_node(self.nodes, 0, self._round, self._sums)
            self._sums = None

    def add(self, rows: Sequence[Array]) -> None:
        """Leave results, which are rounded, to others."""

    def arrays(self) -> Iterator[tuple[str, Array]]:
        """Yield the sums of all rounds so far."""
        self._end()
        yield from named(self.nodes, self.swaps.entries)
