"""Draws of parameters that agree with the equations of `reconcile`, and have their covariance.

A draw is moved to the equations along the gain of least squares at the reconciled values: drawn
from a normal distribution and linear equations, it then has the reconciled mean and covariance
exactly (Matheron's rule). Where equations are not linear it is moved again until they close.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from ndmc.engine.instructions import Places
from ndmc.reconciliation.draw_slopes import Slopes, slopes_of
from ndmc.reconciliation.estimates import Reconciled
from ndmc.reconciliation.residuals import Residuals
from ndmc.typing import Floats
from ndmc_kernels.projection import add_products, nonnegative

__all__ = ["conditioned"]

Method = Literal["projected", "active_set"]

#: What an equation may leave open, over the sum of its terms; balances promise 64 eps.
_CLOSED = 16 * 2.0**-52

#: Steps until a draw counts as lost. A share of 25 % with a cv of 10 % takes six.
_MOST_STEPS = 40

#: Turns of bounds and steps; one is enough where equations are linear.
_MOST_TURNS = 40

#: Share of the largest terms below which a flow counts as zero, not as negative.
_ZERO = 1e-12

#: Variances below this share of the squared value cannot be moved by any error.
_FIXED = 1e-20


@dataclass(frozen=True)
class Conditioned:
    """How draws of a scenario's measured parameters are made to agree; see `Conditioning`.

    ``found`` are the reconciled values; ``gain`` [cell, equation] and ``lift`` [cell, bound] are
    how all cells, those of parameters first, move to close equations and to leave bounds.
    ``start`` is where cells begin that are not drawn, ``replaced`` those of rejected measurements.
    """

    method: Method
    found: Reconciled
    residuals: Residuals = field(repr=False)
    gain: Floats
    lift: Floats
    start: Floats
    replaced: Places
    bounded: Places

    @property
    def parameters(self) -> tuple[str, ...]:
        """The parameters whose draws are moved, in the order of their cells."""
        return self.found.system.parameters

    @property
    def central(self) -> Floats:
        """The reconciled values of their cells."""
        return self.found.point[: self.measured]

    @property
    def measured(self) -> int:
        """How many cells they have."""
        return len(self.found.system.mean)

    def apply(self, drawn: Floats) -> None:
        """Move draws [cell of the parameters, draw] in place; those that cannot be are nan.

        What becomes of a draw does not depend on the others.
        """
        drawn[...] = self.all_cells(drawn)[: self.measured]

    def all_cells(self, drawn: Floats) -> Floats:
        """Return draws of parameters, moved, and of all quantities, [cell, draw]."""
        cells = np.repeat(self.start[:, np.newaxis], drawn.shape[1], axis=1)
        cells[: self.measured] = drawn
        cells[self.replaced] = self.start[self.replaced, np.newaxis]
        with np.errstate(all="ignore"):
            lost = self._close(cells)
            if self.method == "active_set":
                lost |= self._bound(cells)
        cells[:, lost] = np.nan
        return cells

    def slopes_at(self, cells: Floats) -> Floats:
        """Return the derivatives of all equations by all cells in every draw; see `Slopes`."""
        with np.errstate(all="ignore"):
            return self.slopes.at(lambda some: self.residuals.of(some)[0], cells)

    @functools.cached_property
    def slopes(self) -> Slopes:
        """Which cells each equation reads."""
        return slopes_of(self.found)

    def _close(self, cells: Floats) -> npt.NDArray[np.bool_]:
        """Move draws until every equation is closed, and return those in which one is not."""
        for _ in range(_MOST_STEPS):
            left, size = self.residuals.of(cells)
            closed = np.abs(left) <= _CLOSED * size
            lost = ~closed.all(axis=0)
            if not lost.any():
                break
            # Rounding of large equations would keep those of flows near zero open.
            left[closed] = 0.0
            add_products(cells, self.gain, left)
        return np.asarray(lost)

    def _bound(self, cells: Floats) -> npt.NDArray[np.bool_]:
        """Move draws with negative quantities to the nearest that has none; return those lost.

        Forces are found for the draw as it would be without any, time and again: where equations
        are not linear, closing them moves the bounds.
        """
        covariance = np.ascontiguousarray(self.lift[self.bounded])
        forces = np.zeros((len(self.bounded), cells.shape[1]))
        lost = np.zeros(cells.shape[1], dtype=np.bool_)
        for _ in range(_MOST_TURNS):
            held = cells[self.bounded]
            negative = ~lost & any_negative(held)
            if not negative.any():
                break
            add_products(held, covariance, -forces)
            held[:, ~negative] = 0.0
            pulls = np.empty_like(held)
            nonnegative(held, covariance, pulls, 10 * len(held) + 10)
            pulls[:, ~negative] = forces[:, ~negative]
            add_products(cells, self.lift, pulls - forces)
            forces = pulls
            lost |= self._close(cells)
        return np.asarray(lost | negative)


def conditioned(found: Reconciled, method: Method) -> Conditioned:
    """Return what makes draws of a scenario's parameters agree with its reconciled values.

    Parameters
    ----------
    found
        What `reconcile_scenario` returns.
    method
        ``projected`` moves draws to the equations; ``active_set`` then moves those with negative
        flows or stocks to the nearest that has none.

    Examples
    --------
    >>> from ndmc.reconciliation.estimates import reconcile_scenario
    >>> from ndmc.scenario.load import load
    >>> found = conditioned(reconcile_scenario(load("china_nd_published")), "projected")
    >>> drawn = found.central[:, np.newaxis].repeat(2, axis=1)
    >>> bool(np.allclose(found.all_cells(drawn)[: len(drawn)], drawn))
    True
    """
    bounded = bounded_cells(found) if method == "active_set" else np.empty(0, np.int64)
    return Conditioned(
        method=method,
        found=found,
        residuals=Residuals(found.system),
        gain=shortened(found.gain.toarray()),
        lift=shortened((found.spread @ found.spread[bounded].T).toarray()),
        start=shortened(found.point),
        replaced=np.array(found.dropped, dtype=np.int64),
        bounded=bounded,
    )


@np.errstate(over="ignore")  # what overflows is named where it is not finite
def shortened(values: Floats) -> Floats:
    """Round to single precision: the last bits of linear algebra are not the same everywhere."""
    return np.ascontiguousarray(values.astype(np.float32).astype(np.float64))


def any_negative(held: Floats) -> npt.NDArray[np.bool_]:
    """Return in which draws one of some flows and stocks [cell, draw] is below zero."""
    return np.asarray((held < -_ZERO * np.abs(held).max(axis=0, initial=0.0)).any(axis=0))


def bounded_cells(found: Reconciled) -> Places:
    """Return the flows and stocks that are known and can be moved."""
    cells = np.arange(len(found.point))
    free = found.deviations**2 > _FIXED * found.point**2
    return cells[free & np.isfinite(found.after) & (cells >= len(found.system.mean))]
