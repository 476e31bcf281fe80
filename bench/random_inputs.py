"""W2: all random inputs of china_nd, with triangular contents and lognormal lifetimes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from checks import assert_alike
from measure import Contest, interleaved, timed
from numpy_inputs import Inputs, fastest
from workload import SEED, Workload

import ndmc
from ndmc.engine.evaluation import fill
from ndmc.engine.tile_width import TILE

VARIANT = "content_ranges"
CHANGES = {f"parameters.{name}.distribution": "lognormal" for name in ("scale", "shape")}


def scenario() -> ndmc.Scenario:
    """Return china_nd with every kind of distribution."""
    return ndmc.load("china_nd", variant=VARIANT, changes=CHANGES)


def plan(of: ndmc.Scenario) -> ndmc.Plan:
    """Return the plan that draws all uncertain parameters, and nothing else."""
    uncertain = [name for name, one in of.parameters.items() if one.uncertain]
    return ndmc.compile_plan(of, uncertain)


def check(work: Workload) -> None:
    """Means, spreads and changes from year to year of every parameter are distributed alike."""
    draws, loaded = work.sizes.draws, scenario()
    ours = work.evaluate(plan(loaded), draws)
    theirs = Inputs(loaded).draw(np.random.default_rng(SEED), draws)
    for name, values in theirs.items():
        expected = np.moveaxis(values, -1, 0)
        assert_alike(ours[name], expected, name)
        if expected.ndim > 1:
            assert_alike(np.diff(ours[name]), np.diff(expected), f"change of {name}")


def contests(work: Workload) -> Iterator[Contest]:
    """Draw all of them, in tiles whose room is used again."""
    loaded = scenario()
    compiled = plan(loaded)
    sheets = {tuple(o.name for o in compiled.outputs): np.empty((compiled.cells, TILE))}
    ours = timed(partial(fill, sheets, compiled, SEED, range(TILE)), TILE, work.sizes.draws)
    inputs = Inputs(loaded)
    name, theirs = fastest(inputs, work.sizes.draws, timed)
    pairs = interleaved(ours, theirs, work.sizes.repeat)
    yield Contest(f"W2 random inputs, {compiled.cells:,} values a draw", name, pairs, ">= 4")
