"""Memory for some draws of all outputs, by name and as rows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ndmc.store.brackets import Series, Sheet
from ndmc.typing import Array, Floats

__all__ = ["Buffer"]


class Buffer:
    """Memory for some draws: ``results`` by output [dims..., draw], and ``rows`` [row, draw].

    Both are the same memory, but for the rows of sums, which `add_up` fills.
    """

    def __init__(self, series: Sequence[Series], sheets: Sequence[Sheet], draws: int) -> None:
        self.draws = draws
        self.rows = [np.empty((sheet.rows, draws), sheet.dtype) for sheet in sheets]
        self.results: dict[str, Array] = {}
        self._sums = []
        for one in series:
            here = self.rows[one.sheet][one.rows].reshape(*one.view.shape, draws)
            if one.view.sums:
                self._sums.append((one.view, here))
            else:
                self.results[one.view.name] = here

    def add_up(self) -> None:
        """Fill the rows of sums from the results."""
        for view, here in self._sums:
            values = self.results[view.name]
            *others, last = sorted(map(view.dims.index, view.over), reverse=True)
            for axis in others:
                values = _added(values, axis)
            _added(values, last, here)


def _added(values: Array, axis: int, totals: Floats | None = None) -> Floats:
    """Add up an axis of [dims..., draw] as a view does, in memory of its own if none is given."""
    from ndmc_kernels.digest import ADD_UP

    outer, labels, inner = values.shape[:axis], values.shape[axis], values.shape[axis + 1 : -1]
    if totals is None:
        totals = np.empty((*outer, *inner, values.shape[-1]))
    sizes, draws = (math.prod(outer), math.prod(inner)), values.shape[-1]
    shaped = values.reshape(sizes[0], labels, sizes[1], draws)
    ADD_UP[values.itemsize](shaped, totals.reshape(*sizes, draws))
    return totals
