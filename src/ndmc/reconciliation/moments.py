"""Draws of everything that a scenario reconciles, and their mean and covariance."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ndmc.engine.evaluation import check_seed
from ndmc.engine.row_code import compile_rows
from ndmc.engine.tile_width import TILE
from ndmc.engine.tiles import Tile
from ndmc.errors import InputError, RunError
from ndmc.plan.samplers import samplers
from ndmc.plan.steps import Plan
from ndmc.reconciliation.conditioning import conditioned
from ndmc.reconciliation.estimates import Reconciled
from ndmc.reconciliation.weighting import weighted
from ndmc.typing import Floats

__all__ = ["Agreement", "Draws", "Moments", "draw_method", "moments"]

DrawMethod = Literal["projected", "active_set", "weighted"]

METHODS: tuple[DrawMethod, ...] = ("projected", "active_set", "weighted")


def draw_method(text: str) -> DrawMethod:
    """Return a method of making draws agree with the equations, by its name.

    Raises
    ------
    InputError
        If there is none of this name.
    """
    for known in METHODS:
        if known == text:
            return known
    raise InputError(f"{text!r} is not projected, active_set or weighted", "--method")


@dataclass(frozen=True)
class Draws:
    """Draws of all cells, which are made block by block when they are iterated over.

    A block holds them in model units, [cell, draw], and the logs of their weights. Draw ``i`` is
    the same however many are asked for; cells of what no equation determines hold any value that
    the equations allow, and draws that are lost are nan.
    """

    found: Reconciled
    method: DrawMethod
    seed: int
    count: int

    def __post_init__(self) -> None:
        check_seed(self.seed)
        if self.count >= 2**63:
            message = f"{self.count} draws asked for; at most 2**63 - 1 can be numbered"
            raise InputError(message, "-n")

    def __iter__(self) -> Iterator[tuple[Floats, Floats]]:
        move = self._move()
        tile = Tile(compile_rows(self._plan()), TILE)
        names = self.found.system.parameters
        places = np.concatenate([tile.code.names[name].reshape(-1) for name in names])
        for first in range(0, self.count, TILE):
            tile.sample(self.seed, first)
            cells, logs = move(tile.rows[places])
            yield cells[:, : self.count - first], logs[: self.count - first]

    def _move(self) -> Callable[[Floats], tuple[Floats, Floats]]:
        """Return what makes drawn parameters agree, and weighs them."""
        if self.method == "weighted":
            return weighted(self.found).all_cells
        plain = conditioned(self.found, self.method)

        def move(drawn: Floats) -> tuple[Floats, Floats]:
            cells = plain.all_cells(drawn)
            return cells, np.where(np.isnan(cells[0]), -np.inf, 0.0)

        return move

    def _plan(self) -> Plan:
        """Return a plan that draws what is measured and computes nothing."""
        system = self.found.system
        return Plan(system.dims, samplers(system.scenario, frozenset(system.parameters), {}))


@dataclass(frozen=True)
class Agreement:
    """By how much at most moments of draws differ from least squares, over so many ``cells``.

    Means in standard deviations, of which ``standard_error`` is the error of one, standard
    deviations as shares, correlations as they are.
    """

    cells: int
    mean: float
    standard_error: float
    sd: float
    correlation: float


@dataclass(frozen=True)
class Moments:
    """Mean and covariance of all cells over weighted draws, and how many draws they are worth.

    ``effective`` is the number of equally weighted draws with the same error of a mean, and
    ``lost`` how many could not be made to satisfy the equations.
    """

    draws: int
    lost: int
    effective: float
    mean: Floats
    covariance: Floats

    def against(self, found: Reconciled) -> Agreement:
        """Hold them against the moments that least squares give."""
        sd, size = found.deviations, np.abs(found.point)
        # Of what has no deviation, or only rounding for one, there is nothing to compare.
        known = np.isfinite(found.after) & (sd > np.maximum(1e-9 * size, 1e-9 * np.median(size)))
        off = np.abs(self.mean - found.point)[known] / sd[known]
        sds = np.sqrt(np.diag(self.covariance))[known]
        covariance = (found.spread @ found.spread.T).toarray()[np.ix_(known, known)]
        least = covariance / np.outer(sd[known], sd[known])
        own = self.covariance[np.ix_(known, known)] / np.outer(sds, sds)
        return Agreement(
            cells=int(known.sum()),
            mean=float(off.max()),
            standard_error=self.effective**-0.5,
            sd=float(np.abs(sds / sd[known] - 1).max()),
            correlation=float(np.abs(own - least).max()),
        )


class _Sums:
    """Sums of weighted draws so far, by weights relative to the largest of them."""

    def __init__(self, size: int) -> None:
        self.highest, self.total, self.squares, self.lost = float("-inf"), 0.0, 0.0, 0
        self.mean, self.spread = np.zeros(size), np.zeros((size, size))

    def add(self, cells: Floats, logs: Floats) -> None:
        sound = np.isfinite(logs)
        self.lost += int((~sound).sum())
        if sound.any():
            self._weigh(cells[:, sound], logs[sound])

    def _weigh(self, cells: Floats, logs: Floats) -> None:
        if logs.max() > self.highest:
            shrink = float(np.exp(self.highest - logs.max()))
            self.total, self.squares = self.total * shrink, self.squares * shrink**2
            self.spread, self.highest = self.spread * shrink, float(logs.max())
        weights = np.exp(logs - self.highest)
        own, total = float(weights.sum()), self.total
        centre = cells @ weights / own
        away = cells - centre[:, np.newaxis]
        step = centre - self.mean
        between = np.outer(step, step) * (total * own / (total + own))
        self.spread += (away * weights) @ away.T + between
        self.total, self.squares = total + own, self.squares + float(weights @ weights)
        self.mean = self.mean + step * (own / self.total)


def moments(draws: Draws, each: Callable[[Floats, Floats], None] | None = None) -> Moments:
    """Return the mean and the covariance of weighted draws; ``each`` sees every block of them.

    Raises
    ------
    InputError
        If fewer than two draws are asked for, or the method does not fit the scenario.
    RunError
        If no draw has any weight.
    """
    if draws.count < 2:
        raise InputError(f"{draws.count} draws; a covariance takes 2 or more", "-n")
    sums = _Sums(len(draws.found.point))
    for cells, logs in draws:
        if each is not None:
            each(cells, logs)
        sums.add(cells, logs)
    if not sums.total:
        raise RunError(
            f"none of {draws.count} draws satisfies the equations without a negative flow or "
            "stock; draw more, or use --method active_set"
        )
    effective = sums.total**2 / sums.squares
    weight = sums.total * (1 - 1 / effective)
    covariance = sums.spread / weight if effective > 1 else sums.spread * np.nan
    return Moments(draws.count, sums.lost, float(effective), sums.mean, covariance)
