"""Least squares of all that is observed on the scores of all inputs, from draws in any order."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ndmc.engine.scores import Scores, observed_draws
from ndmc.errors import InputError
from ndmc.plan.memory import size_text
from ndmc.plan.steps import Plan
from ndmc.typing import Floats, Integers

Mask = npt.NDArray[np.bool_]

#: Draws are summed in so many lanes, whatever the number of threads, so that rounding is the same;
#: fewer where the sums of a lane take more than this.
_LANES, _BYTES = 8, 2**28

#: Draws of a lane before the next: whole tiles of any width.
_SPAN = 1024

#: A cell whose standard deviation is less than this part of its mean does not vary.
_CONSTANT = 1e-12


def least_draws(inputs: int) -> int:
    """Return the fewest draws from which so many inputs can be told apart from noise."""
    return 2 * inputs + 128


@dataclass(frozen=True)
class LinearFit:
    """What is observed as a mean and a sum of slopes times scores, and what that leaves over.

    ``slopes`` [cell, stream] are 0 where a stream does not reach the cell, and everything of a cell
    is nan that was not finite in a draw. ``residual`` is the variance that is left over, with the
    ``inputs`` that reach the cell taken off the draws; ``variance`` that of the cell.
    """

    scores: Scores
    draws: int
    inputs: Integers
    slopes: Floats = field(repr=False)
    mean: Floats = field(repr=False)
    variance: Floats = field(repr=False)
    residual: Floats = field(repr=False)

    @property
    def share(self) -> Floats:
        """The part of the variance of a cell that is linear in the scores: R2."""
        freedom = (self.draws - self.inputs - 1) / (self.draws - 1)
        return _over(self.variance - freedom * self.residual, self.variance)

    @property
    def adjusted_share(self) -> Floats:
        """The same, without what as many inputs of noise would explain."""
        return _over(self.variance - self.residual, self.variance)


def _over(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.full_like(whole, np.nan), where=whole > 0)


def fit_linear(plan: Plan, scores: Scores, reaches: Mask, seed: int, draws: range) -> LinearFit:
    """Fit all that is observed of some draws of a plan.

    Parameters
    ----------
    plan
        A plan with a study.
    scores
        Its inputs.
    reaches
        Which input [cell, stream] a cell depends on; the slope of any other is 0.
    seed, draws
        The draws, from an even number on.

    Raises
    ------
    InputError
        If the sums would take more memory than there is.
    """
    some = np.asarray(reaches.any(axis=0))
    fitted = scores.chosen(some)
    lanes = _lanes(plan, len(fitted.streams), len(reaches))
    first = next(observed_draws(plan, fitted, seed, range(draws.start, draws.start + 1)))[1]
    with ThreadPoolExecutor(min(lanes, os.cpu_count() or 1)) as threads:
        summed = threads.map(
            lambda lane: _summed(plan, fitted, first, seed, _spans(draws, lane, lanes)),
            range(lanes),
        )
        sums = next(summed)
        for more in summed:
            sums.add(more)
    return solved(sums, fitted, first[:, 0], reaches[:, some])


def _lanes(plan: Plan, inputs: int, cells: int) -> int:
    needed = 8 * inputs * (inputs + cells)
    lanes = max(min(_BYTES // max(needed, 1), _LANES), 1)
    if (2 + lanes) * needed > plan.memory.most:
        takes, most = size_text((2 + lanes) * needed), size_text(plan.memory.most)
        message = f"the fit of {cells:,} cells to {inputs:,} inputs takes {takes}, but {most}"
        raise InputError(f"{message} may be used; ask for fewer outputs", "--outputs")
    return lanes


def _spans(draws: range, lane: int, lanes: int) -> Iterator[range]:
    for first in range(draws.start + lane * _SPAN, draws.stop, lanes * _SPAN):
        yield range(first, min(first + _SPAN, draws.stop))


class Sums:
    """Sums over draws of scores and what is observed, of their squares and their products."""

    def __init__(self, inputs: int, cells: int) -> None:
        self.draws = 0
        self.scores, self.squares = np.zeros(inputs), np.zeros((inputs, inputs))
        self.values, self.powers = np.zeros(cells), np.zeros(cells)
        self.products = np.zeros((inputs, cells))

    def take(self, scores: Floats, values: Floats) -> None:
        """Add draws of scores [stream, draw] and values [cell, draw]."""
        self.draws += scores.shape[1]
        self.scores += scores.sum(axis=1)
        self.values += values.sum(axis=1)
        self.powers += np.einsum("cn,cn->c", values, values)
        self.squares += scores @ scores.T
        self.products += scores @ values.T

    def add(self, other: Sums) -> None:
        """Add the sums over other draws."""
        self.draws += other.draws
        for name in ("scores", "squares", "values", "powers", "products"):
            getattr(self, name)[...] += getattr(other, name)


def _summed(plan: Plan, scores: Scores, first: Floats, seed: int, spans: Iterator[range]) -> Sums:
    sums = Sums(len(scores.streams), len(first))
    for span in spans:
        for found, values in observed_draws(plan, scores, seed, span):
            with np.errstate(invalid="ignore", over="ignore"):  # cells that are not finite
                # Differences to one draw keep their digits where the mean is 1e9 times the spread.
                values -= first
                sums.take(found, values)
    return sums


def solved(sums: Sums, scores: Scores, origin: Floats, reaches: Mask) -> LinearFit:
    """Return the fit of values, less the origin of their cell, from their sums."""
    draws, inputs = sums.draws, reaches.sum(axis=1)
    with np.errstate(invalid="ignore", over="ignore"):
        means = sums.values / draws
        squares = sums.squares - np.outer(sums.scores, sums.scores / draws)
        products = sums.products - np.outer(sums.scores, means)
        total = np.maximum(sums.powers - draws * means**2, 0.0)
    mean = origin + means
    total[total <= draws * (_CONSTANT * mean) ** 2] = 0.0
    slopes = np.zeros(reaches.shape)
    finite = np.isfinite(total)
    for used, cells in _alike(reaches, finite):
        found = np.linalg.solve(squares[np.ix_(used, used)], products[np.ix_(used, cells)])
        slopes[np.ix_(cells, used)] = found.T
    slopes[~finite] = np.nan
    left = np.maximum(total - np.einsum("cs,sc->c", slopes, products), 0.0)
    return LinearFit(
        scores, draws, inputs, slopes, mean, total / (draws - 1), left / (draws - inputs - 1)
    )


def _alike(reaches: Mask, finite: Mask) -> Iterator[tuple[Integers, Integers]]:
    """Yield inputs, and the finite cells that these and no others reach, to be solved at once."""
    packed = np.packbits(reaches, axis=1)
    _, which = np.unique(packed, axis=0, return_inverse=True)
    order = np.argsort(which, kind="stable")
    for cells in np.split(order, np.flatnonzero(np.diff(which[order])) + 1):
        used, some = np.flatnonzero(reaches[cells[0]]), cells[finite[cells]]
        if used.size and some.size:
            yield used, some
