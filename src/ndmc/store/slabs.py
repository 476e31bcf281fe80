"""A view of stored draws, cut into slabs of cells that are read and summarised together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ndmc.store.store import Store
from ndmc.store.view import View
from ndmc.typing import Integers


@dataclass(frozen=True)
class Slab:
    """Cells of some years, and among them some flat cells; ``targets`` are theirs in the view."""

    view: View
    years: slice
    inner: slice | Integers
    targets: Integers

    def read(self, store: Store, draws: range) -> npt.NDArray[Any]:
        """Return draws of the cells, [cell, draw]."""
        values = store.read(self.view.name, slice(draws.start, draws.stop), self.years)
        return self.view.apply(values).reshape(-1, len(draws))[self.inner]

    def of_cells(self, cells: Sequence[int], capacity: int) -> list[Slab]:
        """Return slabs of some of the cells."""
        places = np.arange(math.prod(self.view.shape), dtype=np.int64)[self.inner]
        some = [np.array(cells[n : n + capacity]) for n in range(0, len(cells), capacity)]
        return [Slab(self.view, self.years, places[one], self.targets[one]) for one in some]


def slabs(store: Store, chosen: View, capacity: int) -> list[Slab]:
    """Cut a view into slabs of at most ``capacity`` cells, along the chunks of the store."""
    targets = np.arange(math.prod(chosen.shape), dtype=np.int64).reshape(chosen.shape)
    if "year" not in chosen.kept:
        return _consecutive(chosen, slice(None), targets.reshape(-1), capacity)
    axis, place = chosen.kept.index("year"), chosen.dims.index("year")
    years = chosen.positions[place]
    step = _years_at_once(store, chosen, capacity)
    found: list[Slab] = []
    for first in range(0, len(years), step):
        some = years[first : first + step]
        span = slice(min(some), max(some) + 1)
        inside = tuple(year - span.start for year in some)
        positions = (*chosen.positions[:place], inside, *chosen.positions[place + 1 :])
        part = View(chosen.name, chosen.dims, positions, chosen.over, chosen.by)
        theirs = targets.take(range(first, first + len(some)), axis=axis).reshape(-1)
        found.extend(_consecutive(part, span, theirs, capacity))
    return found


def _years_at_once(store: Store, chosen: View, capacity: int) -> int:
    """Return how many years fit, in whole chunks where more than one does."""
    years = len(chosen.positions[chosen.dims.index("year")])
    step = max(capacity // (math.prod(chosen.shape) // years), 1)
    grain = int(store.arrays[chosen.name].chunks[1 + chosen.dims[::-1].index("year")])
    return step - step % grain if step > grain else step


def _consecutive(part: View, years: slice, targets: Integers, capacity: int) -> list[Slab]:
    return [
        Slab(part, years, slice(n, n + capacity), targets[n : n + capacity])
        for n in range(0, len(targets), capacity)
    ]
