"""Parameters: labelled inputs with unit, source and uncertainty."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from ndmc.scenario.dependence import Errors
from ndmc.scenario.distributions import Marginal
from ndmc.scenario.quality import Rating
from ndmc.scenario.units import Dimension

__all__ = ["Parameter"]


@dataclass(frozen=True)
class ParameterCell:
    """One cell of a parameter, its numbers in model units.

    ``name`` is that of the parameter with its labels, ``where`` the line it is read from. The
    rating is None where there are no scores. A cell is ``of_zero`` that has no spread because its
    cv is a share of 0.
    """

    name: str
    where: str
    marginal: Marginal
    source: str
    confidence: str
    grade: str
    rating: Rating | None
    of_zero: bool


@dataclass(frozen=True)
class Parameter:
    """A labelled input.

    ``cells`` are in array order; ``factor`` is what one ``unit`` is in model units. ``range`` is
    None where the file does not say it.
    """

    name: str
    dims: tuple[str, ...]
    unit: str
    factor: float
    dimension: Dimension
    cells: tuple[ParameterCell, ...]
    errors: dict[str, Errors]
    range: tuple[float, float] | None
    title: str = ""
    note: str = ""

    @functools.cached_property
    def marginals(self) -> tuple[Marginal, ...]:
        """The distribution of every cell."""
        return tuple(cell.marginal for cell in self.cells)

    @functools.cached_property
    def ratings(self) -> tuple[Rating | None, ...]:
        """What the scores of every cell say."""
        return tuple(cell.rating for cell in self.cells)

    @property
    def uncertain(self) -> bool:
        """Whether any cell is drawn."""
        return any(marginal.kind != "constant" for marginal in self.marginals)
