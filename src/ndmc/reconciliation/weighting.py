"""Draws that agree with equations by importance weights, whatever the distributions.

As many independent errors as there are equations to close are computed from the others, which are
drawn as they are described; a draw weighs as much as what was computed is likely, and nothing
where a flow or stock is negative. Where equations are not linear it weighs more, the steeper what
was computed changes with the rest, in standard deviations of both (Cencic and Fruehwirth 2018).
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.special

from ndmc.engine.instructions import Places
from ndmc.reconciliation.conditioning import (
    Conditioned,
    any_negative,
    bounded_cells,
    conditioned,
    shortened,
)
from ndmc.reconciliation.draw_slopes import Slopes
from ndmc.reconciliation.estimates import Reconciled
from ndmc.scenario.marginals import Marginal
from ndmc.typing import Floats

#: By how much derivatives of linear equations may differ between two points.
_STRAIGHT = 1e-9

#: Share of the largest singular value of all errors below which one is made of others.
_RANK = 1e-10


@dataclass(frozen=True)
class Weighted:
    """Draws in which some errors follow from the others, and their weights.

    ``alone`` are the cells with a dependent error of their own, by their distributions; ``scores``
    gives the other dependent errors from what cells are off their means, [error, cell].
    """

    conditioned: Conditioned
    alone: tuple[tuple[int, Marginal], ...]
    scores: Floats
    bounded: Places
    curve: _Curve | None

    def all_cells(self, drawn: Floats) -> tuple[Floats, Floats]:
        """Return draws that satisfy the equations, [cell, draw], and the logs of their weights."""
        cells = self.conditioned.all_cells(drawn)
        system = self.conditioned.found.system
        away = cells[: len(system.mean)] - system.mean[:, np.newaxis]
        logs = -0.5 * ((self.scores @ away) ** 2).sum(axis=0)
        for cell, marginal in self.alone:
            logs += _log_density(marginal, cells[cell])
        if self.curve is not None:
            logs += self.curve.log_areas(self.conditioned.slopes_at(cells))
        logs[any_negative(cells[self.bounded]) | np.isnan(logs)] = -np.inf
        return cells, logs


@dataclass(frozen=True)
class _Curve:
    """The equations and cells that tell how dependent errors change with the ``free`` ones.

    ``unknown`` are cells that are not measured; ``dependent`` and ``free`` are the directions of
    errors, [cell, error].
    """

    slopes: Slopes
    rows: Places
    unknown: Places
    dependent: Floats
    free: Floats

    def log_areas(self, entries: Floats) -> Floats:
        """Return the logs of the area that a unit of free errors takes in each draw."""
        logs = np.full(entries.shape[1], np.nan)
        for draw in np.flatnonzero(np.isfinite(entries).all(axis=0)):
            by = self.slopes.matrix(entries[:, draw])[self.rows]
            solved = np.hstack([by[:, self.unknown], by @ self.dependent])
            with contextlib.suppress(np.linalg.LinAlgError):  # where it stands upright
                along = np.linalg.solve(solved, by @ self.free)[len(self.unknown) :]
                logs[draw] = 0.5 * np.linalg.slogdet(np.eye(len(along)) + along @ along.T)[1]
        return shortened(logs)


@dataclass(frozen=True)
class _Errors:
    """Independent errors of what is measured: what they do to cells, and how cells tell them."""

    factor: Floats
    scores: Floats

    def along(self, found: Reconciled) -> Floats:
        """Return the directions of adjustment, [error, direction]."""
        moved: Floats = self.scores @ found.adjusted.moved.toarray()
        return moved


def weighted(found: Reconciled) -> Weighted:
    """Return what draws and weighs the parameters of reconciled values.

    Raises
    ------
    InputError
        With file and line: if an error that is not normal is shared, some errors are made of
        others, or a dependent measurement has no density.
    """
    errors = _errors(found)
    dependent = _dependent(errors.along(found))
    marginals = _marginals(found)
    alone, normal = list[tuple[int, Marginal]](), list[int]()
    for error in dependent:
        cell = int(np.flatnonzero(errors.factor[:, error])[0])
        if marginals[cell].kind == "normal":
            normal.append(int(error))
        else:
            alone.append((cell, marginals[cell]))
        if marginals[cell].kind == "discrete":
            _refuse(found, cell, "{} is discrete and would have to follow from the others")
    moves = replace(conditioned(found, "projected"), gain=_gain(found, errors, dependent))
    return Weighted(
        conditioned=moves,
        alone=tuple(alone),
        scores=errors.scores[normal],
        bounded=bounded_cells(found),
        curve=None if _straight(found) else _curve(moves, errors, dependent),
    )


def _marginals(found: Reconciled) -> list[Marginal]:
    parameters = found.system.scenario.parameters
    return [cell for name in found.system.parameters for cell in parameters[name].marginals]


def _errors(found: Reconciled) -> _Errors:
    """Return the errors of all measurements that are not rejected."""
    factor = found.system.factor.toarray()
    factor[found.dropped] = 0.0
    factor = factor[:, factor.any(axis=0)]
    _refuse_shared_errors(found, factor)
    sd = np.linalg.norm(factor, axis=1)
    scale = np.where(sd > 0, sd, 1.0)
    scores = np.linalg.pinv(factor / scale[:, np.newaxis], rcond=_RANK) / scale
    made = np.flatnonzero(np.abs(scores @ factor - np.eye(factor.shape[1])).max(axis=0) > 1e-6)
    if len(made):
        cell = int(np.flatnonzero(factor[:, made[0]])[0])
        _refuse(found, cell, "the error of {} is made of those of others")
    return _Errors(factor, scores)


def _refuse_shared_errors(found: Reconciled, factor: Floats) -> None:
    """Refuse errors that are shared and not normal: their joint density is not known."""
    several = (factor != 0).sum(axis=0) > 1
    shared = factor[:, several].any(axis=1) | ((factor != 0).sum(axis=1) > 1)
    for cell, marginal in enumerate(_marginals(found)):
        if shared[cell] and marginal.kind != "normal":
            _refuse(found, cell, "the error of {} is shared with others and not normal")


def _refuse(found: Reconciled, cell: int, why: str) -> None:
    system = found.system
    message = why.format(system.cell_names(system.parameters)[cell])
    raise system.scenario.document.error(
        f"{message}, so draws cannot be weighted; use --method projected or active_set",
        "reconcile",
    )


def _straight(found: Reconciled) -> bool:
    """Whether derivatives are the same at two points."""
    other = found.point + found.deviations + 0.01 * np.abs(found.point)
    here, there = found.system.linearise(found.point), found.system.linearise(other)
    pairs = ((here.by_x, there.by_x), (here.by_y, there.by_y))
    return not any((abs(one - two) > _STRAIGHT * abs(one).max()).nnz for one, two in pairs)


def _dependent(along: Floats) -> Places:
    """Return errors that the equations give from the others, as independent as can be."""
    return np.sort(_most_independent(along.T, along.shape[1]))


def _gain(found: Reconciled, errors: _Errors, dependent: Places) -> Floats:
    """Return how cells move to close equations if only some errors may."""
    adjusted, count = found.adjusted, len(found.system.mean)
    along, least = errors.along(found), adjusted.gain.toarray()
    wanted = along.T @ (errors.scores @ least[:count])
    by_x = errors.factor[:, dependent] @ np.linalg.solve(along[dependent].T, wanted)
    by_y = least[count:] + adjusted.slope @ (by_x - least[:count])
    return shortened(np.concatenate([by_x, by_y])[found.places])


def _curve(moves: Conditioned, errors: _Errors, dependent: Places) -> _Curve:
    """Choose as many equations, and cells that are not measured, as are independent."""
    found, slopes = moves.found, moves.slopes
    count, cells = len(found.system.mean), len(found.point)
    directions = np.zeros((cells, errors.factor.shape[1]))
    directions[:count] = errors.factor
    by = slopes.matrix(moves.slopes_at(found.point[:, np.newaxis])[:, 0])
    by = _unit_rows(by * slopes.steps) / slopes.steps
    unknown = np.concatenate([np.array(found.dropped, dtype=np.int64), np.arange(count, cells)])
    known = len(unknown) - len(np.unique(found.hidden.tocoo().coords[1]))
    unknown = unknown[_most_independent((by * slopes.steps)[:, unknown], known)]
    solved = np.hstack([by[:, unknown], by @ directions[:, dependent]])
    return _Curve(
        slopes=slopes,
        rows=_most_independent(_unit_rows(solved.T), solved.shape[1]),
        unknown=unknown,
        dependent=directions[:, dependent],
        free=np.delete(directions, dependent, axis=1),
    )


def _most_independent(matrix: Floats, count: int) -> Places:
    """Return so many columns, each the furthest from those before it."""
    _, order = scipy.linalg.qr(matrix, mode="r", pivoting=True)
    return order[:count].astype(np.int64)


def _unit_rows(rows: Floats) -> Floats:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(length > 0, length, 1.0)


def _log_density(cell: Marginal, values: Floats) -> Floats:
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
