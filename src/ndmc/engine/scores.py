"""Scores of a plan's inputs: what each random stream is drawn from, before it becomes a value.

Scores are independent, with mean 0 and variance 1: standard normal, or uniform where a stream is
used as a uniform alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ndmc.engine.evaluation import code_of, tiles
from ndmc.engine.instructions import Places
from ndmc.plan.steps import Plan
from ndmc.typing import Floats
from ndmc_kernels import sampling
from ndmc_kernels.rows import EMIT

__all__ = ["Scores", "draw_scores", "observed_draws", "scores_of"]

#: The standard deviation of a uniform, inverted.
_UNIFORM = math.sqrt(12.0)

#: Draws that are looked at together: as many as the widest tile has.
_AT_ONCE = 256


@dataclass(frozen=True)
class Scores:
    """The streams of a plan, each once, and the row of each in a tile.

    The first ``normal`` of them are drawn as normal scores, some of these as uniforms, too; the
    others as uniforms alone.
    """

    streams: npt.NDArray[np.uint64]
    rows: Places
    normal: int

    def chosen(self, some: npt.NDArray[np.bool_]) -> Scores:
        """Return those of some streams."""
        return Scores(self.streams[some], self.rows[some], int(some[: self.normal].sum()))


def scores_of(plan: Plan) -> Scores:
    """Return the scores of all inputs of a plan.

    Examples
    --------
    >>> from ndmc.model import compile_plan
    >>> from ndmc.scenario.load import load
    >>> len(scores_of(compile_plan(load("china_nd"), ["in_use"])).streams)
    459
    """
    how = code_of(plan).sampling
    (normals, first), (uniforms, second) = how.normals, how.uniforms
    alone = np.flatnonzero(~np.isin(uniforms, normals))
    streams = np.concatenate([normals, uniforms[alone]])
    rows = np.concatenate([np.arange(first, first + len(normals)), second + alone])
    return Scores(streams, rows, len(normals))


def draw_scores(scores: Scores, seed: int, draws: range) -> Floats:
    """Return scores [stream, draw] of a range of draws that begins at an even number.

    Nothing is evaluated: they depend on nothing but the seed and the streams.
    """
    width = len(draws) + len(draws) % 2  # kernels draw two at a time
    found = np.empty((len(scores.streams), width))
    for kernel, part in (
        (sampling.normals, slice(scores.normal)),
        (sampling.uniforms, slice(scores.normal, None)),
    ):
        kernel(np.uint64(seed), scores.streams[part], draws.start, found[part])
    _standardise(found[scores.normal :])
    return found[:, : len(draws)]


def _standardise(uniforms: Floats) -> None:
    uniforms -= 0.5
    uniforms *= _UNIFORM


def observed_draws(
    plan: Plan, scores: Scores, seed: int, draws: range
) -> Iterator[tuple[Floats, Floats]]:
    """Yield scores [stream, draw], and what is observed [cell, draw], of some draws at a time.

    Cells are those of all that a study of the plan observes, one after the other, in the unit of
    the output. Both arrays are written anew each time. How many draws they have depends on nothing
    but their numbers: sums over them have the same bits whatever a tile holds.
    """
    cells, scales = _observed(plan)
    for first in range(draws.start // _AT_ONCE * _AT_ONCE, draws.stop, _AT_ONCE):
        some = range(max(first, draws.start), min(first + _AT_ONCE, draws.stop))
        found = np.empty((len(scores.rows), len(some)))
        values = np.empty((len(cells), len(some)))
        at = 0
        for tile, here in tiles(plan, seed, some):
            stop = at + here.stop - here.start
            found[:, at:stop] = tile.rows[scores.rows, here]
            EMIT[values.itemsize](tile.rows, cells, scales, here.start, values, at)
            at = stop
        _standardise(found[scores.normal :])
        yield found, values


def _observed(plan: Plan) -> tuple[Places, Floats]:
    """Return the row of every observed cell, and by what it is multiplied."""
    assert plan.study is not None
    found = [*zip(plan.study.observed, code_of(plan).observed, strict=True)]
    scales = [
        np.full(rows.size, plan.output(one.name).scale if one.above is None else 1.0)
        for one, rows in found
    ]
    rows = [rows.reshape(-1) for _, rows in found]
    return np.concatenate([np.empty(0, np.int64), *rows]), np.concatenate([[], *scales])
