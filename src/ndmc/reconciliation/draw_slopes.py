"""Derivatives of compiled equations in many draws at once, by central differences.

Cells that no equation has in common are moved together, so a large system takes as many looks as
its fullest equations have cells.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from ndmc.engine.instructions import Places
from ndmc.reconciliation.estimates import Reconciled
from ndmc.typing import Floats

#: Share of a cell by which it is moved: a product is off by 1e-12 then, a quotient by 1e-8.
_STEP = 1e-4

#: Share of an equation's size below which a cell is rounding.
_ZERO = 1e-12


@dataclass(frozen=True)
class Slopes:
    """Which cell (``columns``) each equation (``rows``) reads, and how far cells are moved.

    ``colours`` are the cells that are moved together, and the entries that this gives.
    """

    shape: tuple[int, int]
    rows: Places
    columns: Places
    steps: Floats
    colours: tuple[tuple[Places, Places], ...]

    def at(self, left: Callable[[Floats], Floats], cells: Floats) -> Floats:
        """Return all derivatives, [entry, draw], of what equations leave open at some cells."""
        found = np.empty((len(self.rows), cells.shape[1]))
        for moving, entries in self.colours:
            step = self.steps[moving, np.newaxis]
            moved = cells.copy()
            moved[moving] += step
            above = left(moved)
            moved[moving] = cells[moving] - step
            between = (above - left(moved))[self.rows[entries]]
            found[entries] = between / (2 * self.steps[self.columns[entries], np.newaxis])
        return found

    def matrix(self, entries: Floats) -> Floats:
        """Return the derivatives of one draw, [entry], as [equation, cell]."""
        found = np.zeros(self.shape)
        found[self.rows, self.columns] = entries
        return found


def slopes_of(found: Reconciled) -> Slopes:
    """Return which cells the equations of reconciled values read, there and nearby."""
    height = np.maximum(np.abs(found.point), found.deviations)
    read = sp.csc_array((found.gain.shape[1], len(height)))
    for point in (found.point, found.point + 1.01 * height):
        linear = found.system.linearise(point)
        read = read + abs(sp.hstack([linear.by_x, linear.by_y], format="csc"))
        # What is zero but for rounding is moved as far as its equations are large.
        reach = (sp.diags_array(linear.size) @ (read != 0)).max(axis=0).toarray().reshape(-1)
        height = np.where(height > _ZERO * reach, height, reach)
    steps = _STEP * np.where(height > 0, height, 1.0)
    entries = sp.csc_array(read).tocoo()
    rows, columns = (axis.astype(np.int64) for axis in entries.coords)
    colour = _colours(rows, columns, len(steps))
    return Slopes(
        shape=entries.shape,
        rows=rows,
        columns=columns,
        steps=steps,
        colours=tuple(
            (np.flatnonzero(colour == n), np.flatnonzero(colour[columns] == n))
            for n in range(colour.max(initial=-1) + 1)
        ),
    )


def _colours(rows: Places, columns: Places, count: int) -> Places:
    """Return numbers of cells, of which no equation reads two with the same."""
    taken: dict[int, set[int]] = {}
    found = np.full(count, -1)
    for cell in np.unique(columns):
        readers = [taken.setdefault(int(row), set()) for row in rows[columns == cell]]
        used = set().union(*readers)
        found[cell] = next(n for n in range(len(used) + 1) if n not in used)
        for numbers in readers:
            numbers.add(int(found[cell]))
    return found
