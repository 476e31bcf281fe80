"""Memory for some draws of all outputs, by name and as rows."""

from __future__ import annotations

import math
from collections.abc import KeysView, Sequence

import numpy as np

from ndmc.store.brackets import Series, Sheet
from ndmc.typing import Array, Floats

__all__ = ["Buffer"]


class Buffer:
    """Memory for some draws: ``rows`` [row, draw] of each sheet, of which `add_up` fills sums."""

    def __init__(self, series: Sequence[Series], sheets: Sequence[Sheet], draws: int) -> None:
        self.draws = draws
        self.rows = [np.empty((sheet.rows, draws), sheet.dtype) for sheet in sheets]
        self._outputs = {one.view.name: one for one in series if not one.view.sums}
        self._sums = [one for one in series if one.view.sums]

    @property
    def names(self) -> KeysView[str]:
        """The outputs."""
        return self._outputs.keys()

    def result(self, name: str) -> Array:
        """Return an output, [dims..., draw]: copied if some of its cells have one row."""
        return self._of(self._outputs[name])

    def _of(self, one: Series) -> Array:
        return self.rows[one.sheet][one.rows].reshape(*one.view.shape, self.draws)

    def add_up(self) -> None:
        """Fill the rows of sums from the results."""
        for one in self._sums:
            view, here, values = one.view, self._of(one), self.result(one.view.name)
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
