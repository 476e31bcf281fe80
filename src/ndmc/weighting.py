"""Draws that agree with equations by importance weights, whatever the distributions.

As many measurements as there are equations to close are computed from the others, which are drawn
as they are described; a draw weighs as much as what was computed is likely, and nothing where a
flow or stock is negative (Cencic and Fruehwirth 2018).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg
import scipy.sparse as sp
import scipy.special

from ndmc.conditioning import Conditioned, any_negative, bounded_cells, conditioned, shortened
from ndmc.dims import Floats
from ndmc.distributions import Marginal
from ndmc.errors import InputError
from ndmc.instructions import Places
from ndmc.reconciliation import Reconciled

__all__ = ["Weighted", "log_density", "weighted"]

#: By how much derivatives of linear equations may differ between two points.
_STRAIGHT = 1e-9


@dataclass(frozen=True)
class Weighted:
    """Draws of all but the ``dependent`` parameters' cells, and their weights."""

    conditioned: Conditioned
    marginals: tuple[Marginal, ...]
    dependent: Places
    bounded: Places

    def all_cells(self, drawn: Floats) -> tuple[Floats, Floats]:
        """Return draws that satisfy the equations, [cell, draw], and the logs of their weights."""
        cells = self.conditioned.all_cells(drawn)
        logs = np.zeros(drawn.shape[1])
        for cell in self.dependent:
            logs += log_density(self.marginals[cell], cells[cell])
        logs[any_negative(cells[self.bounded]) | np.isnan(logs)] = -np.inf
        return cells, logs


def weighted(found: Reconciled) -> Weighted:
    """Return what draws and weighs the parameters of reconciled values.

    Raises
    ------
    InputError
        With file and line: if equations are not linear in what is measured, or errors are not
        independent, or a dependent measurement has no density.
    """
    system = found.system
    where = system.scenario.document
    _refuse_curves(found)
    _refuse_shared_errors(found)
    parameters = system.scenario.parameters
    marginals = tuple(cell for name in system.parameters for cell in parameters[name].marginals)
    dependent = _dependent(found)
    for cell in dependent:
        if marginals[cell].kind == "discrete":
            name = system.cell_names(system.parameters)[cell]
            message = f"{name} is discrete and would have to follow from the others"
            raise where.error(f"{message}; use --method projected", "reconcile")
    moves = replace(conditioned(found, "projected"), gain=_gain(found, dependent))
    return Weighted(moves, marginals, dependent, bounded_cells(found))


def _refuse_curves(found: Reconciled) -> None:
    """Refuse equations whose derivatives change: draws of a curve would need more than weights."""
    system, count = found.system, len(found.system.mean)
    deviations = np.asarray(np.sqrt(found.spread.power(2).sum(axis=1))).reshape(-1)
    here = system.linearise(found.point[:count], found.point[count:])
    other = found.point + deviations + 0.01 * np.abs(found.point)
    there = system.linearise(other[:count], other[count:])
    for one, two in ((here.by_x, there.by_x), (here.by_y, there.by_y)):
        rows = np.unique((abs(one - two) > _STRAIGHT * abs(one).max()).nonzero()[0])
        if len(rows):
            relation, text = system.equation(int(rows[0]))
            raise InputError(
                f"{text} is not linear, so draws cannot be weighted; use --method projected or "
                "active_set",
                relation.where,
            )


def _refuse_shared_errors(found: Reconciled) -> None:
    system = found.system
    shared = abs(system.factor @ system.factor.T - sp.diags_array(_variances(found))) > 0
    if shared.nnz:
        name = system.cell_names(system.parameters)[int(shared.nonzero()[0][0])]
        message = f"the error of {name} is shared with others, so draws cannot be weighted"
        raise system.scenario.document.error(f"{message}; use --method projected", "reconcile")


def _variances(found: Reconciled) -> Floats:
    return np.asarray(found.system.factor.power(2).sum(axis=1)).reshape(-1)


def _dependent(found: Reconciled) -> Places:
    """Return measurements that the equations give from the others, as independent as can be."""
    along = _scaled(found)
    _, _, order = scipy.linalg.qr(along.T, mode="economic", pivoting=True)
    return np.sort(order[: along.shape[1]]).astype(np.int64)


def _scaled(found: Reconciled) -> Floats:
    """Return the directions of adjustment [measured cell, direction] in standard deviations."""
    sd = np.sqrt(_variances(found))
    scaled: Floats = found.adjusted.moved.toarray() / np.where(sd > 0, sd, 1.0)[:, np.newaxis]
    return scaled


def _gain(found: Reconciled, dependent: Places) -> Floats:
    """Return how cells move to close equations if of those measured only some may."""
    adjusted, count = found.adjusted, len(found.system.mean)
    sd = np.sqrt(_variances(found))
    along = _scaled(found)
    least = adjusted.gain.toarray()
    wanted = along.T @ (least[:count] / np.where(sd > 0, sd, 1.0)[:, np.newaxis])
    by_x = np.zeros_like(least[:count])
    by_x[dependent] = sd[dependent, np.newaxis] * np.linalg.solve(along[dependent].T, wanted)
    by_y = least[count:] + adjusted.slope @ (by_x - least[:count])
    return shortened(np.concatenate([by_x, by_y])[found.places])


def log_density(cell: Marginal, values: Floats) -> Floats:
    """Return the logarithm of a distribution's density, but for a constant; -inf outside it."""
    numbers = cell.numbers
    found: npt.NDArray[np.floating[Any]]
    with np.errstate(divide="ignore", invalid="ignore"):
        match cell.kind:
            case "normal" | "truncated_normal":
                found = -0.5 * ((values - numbers[0]) / numbers[1]) ** 2
            case "lognormal":
                logs = np.log(values)
                found = -0.5 * ((logs - numbers[0]) / numbers[1]) ** 2 - logs
            case "triangular":
                low, mode, high = numbers
                rising = np.log((values - low) / (mode - low if mode > low else 1.0))
                falling = np.log((high - values) / (high - mode if high > mode else 1.0))
                found = np.where(values < mode, rising, falling)
            case "beta":
                a, b, low, width = numbers
                share = (values - low) / width
                found = scipy.special.xlogy(a - 1, share) + scipy.special.xlog1py(b - 1, -share)
            case _:
                found = np.zeros_like(values)
    inside = (values >= cell.lowest) & (values <= cell.highest)
    return np.where(inside & ~np.isnan(found), found, -np.inf)
