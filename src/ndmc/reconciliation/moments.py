"""Draws of everything that a scenario reconciles, and their mean and covariance."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

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

__all__ = ["METHODS", "Moments", "Way", "blocks", "moments"]

Way = Literal["projected", "active_set", "weighted"]

Each = Callable[[Floats, Floats], None]

METHODS: tuple[Way, ...] = ("projected", "active_set", "weighted")


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


def blocks(
    found: Reconciled, method: Way, seed: int, draws: int
) -> Iterator[tuple[Floats, Floats]]:
    """Yield draws of all cells, [cell, draw], in model units, and the logs of their weights.

    Draw ``i`` is the same however many are asked for; cells of what no equation determines hold
    any value that the equations allow, and draws that are lost are nan.

    Raises
    ------
    InputError
        If the method does not fit the scenario; see `ndmc.weighting.weighted`.
    """
    system = found.system
    if method == "weighted":
        move = weighted(found).all_cells
    else:
        plain = conditioned(found, method)

        def move(drawn: Floats) -> tuple[Floats, Floats]:
            cells = plain.all_cells(drawn)
            return cells, np.where(np.isnan(cells[0]), -np.inf, 0.0)

    tile = Tile(compile_rows(_plan(found)), TILE)
    places = np.concatenate([tile.code.names[name].reshape(-1) for name in system.parameters])
    for first in range(0, draws, TILE):
        tile.sample(seed, first)
        cells, logs = move(tile.rows[places])
        yield cells[:, : draws - first], logs[: draws - first]


def _plan(found: Reconciled) -> Plan:
    """Return a plan that draws what is measured and computes nothing."""
    system = found.system
    return Plan(system.dims, samplers(system.scenario, frozenset(system.parameters), {}))


def moments(
    found: Reconciled, method: Way, seed: int, draws: int, each: Each | None = None
) -> Moments:
    """Return the mean and the covariance of weighted draws; ``each`` sees every block of them.

    Raises
    ------
    InputError
        If fewer than two draws are asked for, or as `blocks`.
    RunError
        If no draw has any weight.
    """
    if draws < 2:
        raise InputError(f"{draws} draws; a covariance takes 2 or more", "-n")
    size = len(found.point)
    highest, total, squares, lost = float("-inf"), 0.0, 0.0, 0
    mean, spread = np.zeros(size), np.zeros((size, size))
    for cells, logs in blocks(found, method, seed, draws):
        if each is not None:
            each(cells, logs)
        sound = np.isfinite(logs)
        lost += int((~sound).sum())
        if not sound.any():
            continue
        cells, logs = cells[:, sound], logs[sound]
        if logs.max() > highest:  # all weights are relative to the largest so far
            shrink = float(np.exp(highest - logs.max()))
            total, squares, spread = total * shrink, squares * shrink**2, spread * shrink
            highest = float(logs.max())
        weights = np.exp(logs - highest)
        own = float(weights.sum())
        centre = cells @ weights / own
        away = cells - centre[:, np.newaxis]
        step = centre - mean
        spread += (away * weights) @ away.T + np.outer(step, step) * (total * own / (total + own))
        total, squares = total + own, squares + float(weights @ weights)
        mean = mean + step * (own / total)
    if not total:
        raise RunError(
            f"none of {draws} draws satisfies the equations without a negative flow or stock; "
            "draw more, or use --method active_set"
        )
    effective = total**2 / squares
    covariance = spread / (total * (1 - 1 / effective)) if effective > 1 else spread * np.nan
    return Moments(draws, lost, float(effective), mean, covariance)
