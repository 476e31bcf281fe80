"""Parameters: labelled inputs with unit, source and uncertainty."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ndmc.scenario.by_label import path_to
from ndmc.scenario.cell_changes import CellChanges
from ndmc.scenario.coded import Coded
from ndmc.scenario.dependence import Errors
from ndmc.scenario.marginals import Marginals
from ndmc.scenario.quality import Rating
from ndmc.scenario.tables import Table
from ndmc.scenario.units import Dimension
from ndmc.scenario.written import WrittenParameter
from ndmc.typing import Integers

__all__ = ["Parameter"]


@dataclass(frozen=True)
class Origins:
    """Where the cells of a parameter are written: in tables, on ``lines``, or in the file.

    Of those that are changed by themselves it is where the change is.
    """

    parameter: WrittenParameter
    tables: Coded[Table | None]
    lines: Integers
    changes: CellChanges | None = None

    def name(self, cell: int) -> str:
        """Return the name of the parameter with the labels of a cell."""
        labels = self._labels(cell).values()
        return f"parameter {self.parameter.name!r}" + (f" [{', '.join(labels)}]" if labels else "")

    def where(self, cell: int) -> str:
        """Return ``file:line`` of a cell."""
        if changed := self.changes.where(cell) if self.changes else "":
            return changed
        table, line = self.tables[cell], int(self.lines[cell])
        if table and line:
            return table.where(line)
        labels, parameter = self._labels(cell), self.parameter
        entry, dims = parameter.entry, parameter.within.dims
        path = path_to(entry.value, {dim: labels[dim] for dim in parameter.nested}, dims)
        return parameter.within.document.where(*parameter.key, "value", *path)

    def _labels(self, cell: int) -> dict[str, str]:
        return self.parameter.within.dims.cell(self.parameter.dims, cell)


@dataclass(frozen=True)
class Composition:
    """Cells that are divided by their sum along a dim in every draw.

    ``sum_of`` is the number of each cell's sum; ``shares`` says that their distribution is one of
    shares, which errors along the dim would mean nothing to.
    """

    dim: str
    sum_of: Integers
    shares: bool


@dataclass(frozen=True)
class Parameter:
    """A labelled input, its numbers in model units.

    ``factor`` is what one ``unit`` is in model units. ``range`` is None where the file does not
    say it; the marginals of a ``composition`` are those of its cells before they are divided, but
    for means and what draws can reach. What differs by cell is in array
    order: the rating is None where there are no scores, and a cell is ``of_zero`` that has no
    spread because its cv is a share of 0. What is given of years that the scenario does not have
    is ``passed_over``, in words.
    """

    name: str
    dims: tuple[str, ...]
    unit: str
    factor: float
    dimension: Dimension
    marginals: Marginals
    sources: Coded[str]
    confidences: Coded[str]
    grades: Coded[str]
    ratings: Coded[Rating | None]
    of_zero: npt.NDArray[np.bool_]
    origins: Origins
    errors: dict[str, Errors]
    range: tuple[float, float] | None
    composition: Composition | None = None
    title: str = ""
    note: str = ""
    passed_over: str = ""

    @property
    def uncertain(self) -> bool:
        """Whether any cell is drawn."""
        return not self.marginals.certain.all()

    @property
    def rated(self) -> bool:
        """Whether any cell has scores."""
        return any(self.ratings.values)
