"""The linear control: a linear function of the scores, whose shares are known, explains its part.

Let L = sum c_j z_j be fitted to a cell, and delta_g and tot the differences of the part of a group
and of all of L between two neighbours. L has the sums of squares P = 2 delta_g^2, I = 0 and
D = tot^2 + (tot - 2 delta_g)^2, whose expectations are 4 v_g and 4 v a pair, where v_g is the sum
of the c_j^2 of the group. What is found of L is taken off and what is expected put in its place:
only what is not linear is left to chance. Slopes come from draws outside the study, so that
nothing is biased, and the identities of shares hold.

Sums over pairs of delta_g^2, delta_g tot and tot^2 are quadratic forms of W, the sum over the pairs
of a batch of dz dz': nobody needs them while draws are evaluated, as scores follow from the seed.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ndmc.engine.scores import Scores, draw_scores, scores_of
from ndmc.plan.steps import Plan
from ndmc.runs.linear_fit import LinearFit, fit_linear
from ndmc.store.shares import DIFFERENCE, PRODUCT
from ndmc.typing import Floats, Integers
from ndmc_kernels.projection import add_products
from ndmc_kernels.squares import BATCHES, LEAF

Mask = npt.NDArray[np.bool_]

#: The pilot's draws lie outside any study; there are so many of them, or so many for each input.
_PILOT, _LEAST, _EACH = 2**62, 4096, 8

#: A cell has a control if so much of its variance is linear: that of noise would be divided by.
_EARNED = 0.5

#: A sum of slopes is a direction if it is so many standard errors from 0.
_NOISE = 3

#: With more inputs nothing is controlled: W takes 32 MB a thread, and its sums the square of them.
MOST = 2000

#: Leaves of a batch that are added to W at a time, and cells of a form: neighbours are reached by
#: the same few streams. All of china_nd: 1.3 s of processors with 32 cells, 2.7 with 1024.
_TOGETHER, _CELLS = 8, 32


@dataclass(frozen=True)
class Control:
    """Slopes [stream, cell] of all that is observed, 0 where a cell has no control.

    ``of`` is the group of each stream, and ``groups`` how many there are. ``share`` is the part of
    the variance of each cell that is linear, nan without a fit, and ``direction`` [group, cell]
    says whether a cell rises with the scores of a group, 1, or falls, -1, or 0 if that is not
    known.
    """

    scores: Scores
    of: Integers
    groups: int
    slopes: Floats = field(repr=False)
    used: Mask
    share: Floats
    direction: Floats

    @functools.cached_property
    def order(self) -> Integers:
        """The streams, group by group."""
        return np.argsort(self.of, kind="stable")

    @property
    def parts(self) -> Iterator[tuple[int, slice]]:
        """The groups that have streams, and where these are in order."""
        return _runs(self.of[self.order])


def fitted(
    plan: Plan, seed: int, reaches: Mask, lost: Mask, scale: Floats | float = 1.0
) -> Control:
    """Return the control of a study.

    Parameters
    ----------
    plan
        A plan with a study.
    seed
        Of its draws; the pilot has others of the same.
    reaches
        Which input [cell, stream], in the order of `scores_of`, a cell depends on.
    lost
        The cells of which a pair was lost: they have no control.
    scale
        What is observed, in the unit of its output, over what the sums are of.
    """
    assert plan.study is not None
    scores, groups = scores_of(plan), plan.study.groups
    of_stream = {stream: n for n, group in enumerate(groups) for stream in group.streams}
    inputs = int(reaches.any(axis=0).sum())
    if not 0 < inputs <= MOST:
        return _without(scores.chosen(np.zeros(len(scores.streams), bool)), len(groups), len(lost))
    pilot = range(_PILOT, _PILOT + max(_LEAST, _EACH * inputs))
    fit = fit_linear(plan, scores, reaches, seed, pilot)
    used = (fit.adjusted_share > _EARNED) & ~lost
    slopes = np.where(used, fit.slopes.T / scale, 0.0)
    of = np.array([of_stream[int(stream)] for stream in fit.scores.streams])
    direction = _direction(fit, of, len(groups))
    return Control(fit.scores, of, len(groups), slopes, used, fit.share, direction)


def _direction(fit: LinearFit, of: Integers, groups: int) -> Floats:
    """Return the sign of the sum of the slopes of a group, or 0 where it may be noise."""
    found = np.zeros((groups, len(fit.slopes)))
    for group in np.unique(of):
        inside = fit.slopes[:, of == group]
        count = np.count_nonzero(inside, axis=1)
        noise = np.sqrt(count * fit.residual / fit.draws)
        total = inside.sum(axis=1)
        found[group] = np.where(np.abs(total) > _NOISE * noise, np.sign(total), 0.0)
    return found


def _without(scores: Scores, groups: int, cells: int) -> Control:
    none, unknown = np.zeros(cells, bool), np.full(cells, np.nan)
    return Control(
        *(scores, np.empty(0, int), groups, np.empty((0, cells))),
        *(none, unknown, np.zeros((groups, cells))),
    )


def _runs(groups: Integers) -> Iterator[tuple[int, slice]]:
    """Yield each of some sorted groups, and where it stands."""
    found, starts = np.unique(groups, return_index=True)
    stops = [*starts[1:], len(groups)]
    for group, start, stop in zip(found, starts, stops, strict=True):
        yield int(group), slice(int(start), int(stop))


# --- sums of squares with it ----------------------------------------------------------------------


@dataclass(frozen=True)
class Squares:
    """Sums of delta_g^2 and of tot delta_g [group, cell]; the last group is that of all."""

    own: Floats
    cross: Floats


def control(
    sums: Floats,
    pairs: Integers,
    entries: tuple[Integers, Integers],
    by: Control,
    seed: int,
    workers: int,
) -> None:
    """Put a control into sums [entry, batch, column].

    Parameters
    ----------
    sums
        Of all draws from 0 on.
    pairs
        Of each batch.
    entries
        The group, -1 for all streams, and the cell of each.
    by
        The control.
    seed
        Of the draws.
    workers
        Batches worked on at once.
    """
    groups, cells = entries
    some = np.flatnonzero(by.used[cells])
    if not some.size:
        return
    where, draws = (groups[some], cells[some]), 2 * int(pairs.sum())
    expected = expected_squares(by)

    def do(batch: int) -> None:
        here = squares(by, seed, draws, batch)
        product, difference = _replaced(here, expected, int(pairs[batch]), where)
        sums[some, batch, PRODUCT] += product
        sums[some, batch, DIFFERENCE] += difference

    with ThreadPoolExecutor(workers) as threads:
        [*threads.map(do, range(BATCHES))]


def _replaced(
    found: Squares, expected: Squares, pairs: int, where: tuple[Integers, Integers]
) -> tuple[Floats, Floats]:
    """Return what is added to P and D of the entries of some groups and cells."""
    cells = where[1]
    own, cross = pairs * expected.own - found.own, pairs * expected.cross - found.cross
    product = 2 * own[where]
    difference = 2 * (own[-1, cells] - 2 * cross[where] + 2 * own[where])
    return product, difference


def expected_squares(by: Control) -> Squares:
    """Return what is expected of a pair: the difference of two scores has a variance of 2."""
    found = np.zeros((by.groups + 1, by.slopes.shape[1]))
    powers = 2 * np.square(by.slopes)
    for group, part in by.parts:
        found[group] = powers[by.order[part]].sum(axis=0)
    found[-1] = found[:-1].sum(axis=0)
    return Squares(found, found)


def squares(by: Control, seed: int, draws: int, batch: int) -> Squares:
    """Return what there is of a batch of the first draws of a seed."""
    own, cross = np.zeros((2, by.groups + 1, by.slopes.shape[1]))
    gram = _gram(by, seed, draws, batch)
    used = np.flatnonzero(by.used)
    for first in range(0, len(used), _CELLS):
        some = used[first : first + _CELLS]
        rows = np.flatnonzero(by.slopes[np.ix_(by.order, some)].any(axis=1))
        slopes, here = by.slopes[np.ix_(by.order[rows], some)], gram[np.ix_(rows, rows)]
        moved = slopes * _times(here, slopes)
        for group, part in _runs(by.of[by.order[rows]]):
            inside = np.ascontiguousarray(here[part, part])
            own[group, some] = np.sum(slopes[part] * _times(inside, slopes[part]), axis=0)
            cross[group, some] = np.sum(moved[part], axis=0)
    own[-1] = cross[-1] = cross[:-1].sum(axis=0)
    return Squares(own, cross)


def _gram(by: Control, seed: int, draws: int, batch: int) -> Floats:
    """Return the sum of dz dz' over the pairs of a batch, streams group by group."""
    # By the kernel of products: with 546 streams 44 Gflop/s a core, where OpenBLAS makes 51, and
    # the same bits with any number of threads. Half of them would do, as W is symmetric: 131,072
    # draws take 0.9 s of a core.
    found = np.zeros((len(by.of), len(by.of)))
    firsts = [*range(batch * LEAF, draws, BATCHES * LEAF)]
    for n in range(0, len(firsts), _TOGETHER):
        leaves = (range(f, min(f + LEAF, draws)) for f in firsts[n : n + _TOGETHER])
        scores = np.concatenate([draw_scores(by.scores, seed, leaf) for leaf in leaves], axis=1)
        apart = (scores[:, ::2] - scores[:, 1::2])[by.order]
        add_products(found, apart, np.ascontiguousarray(apart.T))
    return found


def _times(matrix: Floats, others: Floats) -> Floats:
    found = np.zeros(others.shape)
    add_products(found, matrix, others)
    return found
