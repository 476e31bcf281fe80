"""Least squares of all that is observed on the scores of all inputs, from draws in any order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ndmc.engine.scores import Scores, observed_draws
from ndmc.errors import InputError
from ndmc.plan.memory import size_text
from ndmc.plan.steps import Plan
from ndmc.runs.lanes import LANES, summed
from ndmc.typing import Floats, Integers

__all__ = ["LinearFit", "fit_linear", "least_draws"]

Mask = npt.NDArray[np.bool_]

#: There are fewer lanes where the sums of all would take more than this.
_BYTES = 2**28

#: A cell whose standard deviation is less than this part of its mean does not vary.
_CONSTANT = 1e-12


def least_draws(inputs: int) -> int:
    """Return the fewest draws from which so many inputs can be told apart from noise."""
    return 2 * inputs + 128


@dataclass(frozen=True)
class LinearFit:
    """What is observed as its mean and slopes times scores less ``middle``, and what is left over.

    ``slopes`` [cell, stream] are 0 where a stream does not reach the cell, and everything of a cell
    is nan that was not finite in a draw. ``residual`` is the variance that is left over, with the
    inputs that reach the cell taken off the draws; ``variance`` that of the cell.
    """

    scores: Scores
    draws: int
    reaches: Mask = field(repr=False)
    slopes: Floats = field(repr=False)
    middle: Floats = field(repr=False)
    mean: Floats = field(repr=False)
    variance: Floats = field(repr=False)
    residual: Floats = field(repr=False)

    @property
    def inputs(self) -> Integers:
        """How many inputs reach each cell."""
        return np.asarray(self.reaches.sum(axis=1))

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
    inputs, cells = len(fitted.streams), len(reaches)
    lanes = lanes_within(plan, _lane(inputs, cells))
    origin = next(observed_draws(plan, fitted, seed, draws[:1]))[1][:, 0]
    sums = summed(plan, fitted, seed, draws, lambda: Products(inputs, origin), lanes)
    return solved(sums, fitted, reaches[:, some])


def least_memory(inputs: int, cells: int) -> int:
    """Return the bytes that a fit of so many inputs and cells takes: see `lanes_within`."""
    return 3 * _lane(inputs, cells)


def _lane(inputs: int, cells: int) -> int:
    return 8 * inputs * (inputs + cells)


def lanes_within(plan: Plan, each: int) -> int:
    """Return how many lanes sum what takes so many bytes in each, and is solved for at the end.

    Raises
    ------
    InputError
        If not even one fits into memory.
    """
    lanes = max(min(_BYTES // max(each, 1), LANES), 1)
    if (2 + lanes) * each > plan.memory.most:
        takes, most = size_text((2 + lanes) * each), size_text(plan.memory.most)
        message = f"a fit of all that is observed to all inputs takes {takes}, but {most}"
        raise InputError(f"{message} may be used; ask for fewer outputs", "--outputs")
    return lanes


class Products:
    """Sums over draws of scores and what is observed, of their squares and their products.

    Values are taken as differences to their ``origin``, a draw: these keep their digits where the
    mean is 1e9 times the spread.
    """

    def __init__(self, inputs: int, origin: Floats) -> None:
        self.draws, self.origin, cells = 0, origin, len(origin)
        self.scores, self.squares = np.zeros(inputs), np.zeros((inputs, inputs))
        self.values, self.powers = np.zeros(cells), np.zeros(cells)
        self.products = np.zeros((inputs, cells))

    def take(self, scores: Floats, values: Floats) -> None:
        """Add draws of scores [stream, draw] and values [cell, draw]."""
        values -= self.origin[:, np.newaxis]
        self.draws += scores.shape[1]
        self.scores += scores.sum(axis=1)
        self.values += values.sum(axis=1)
        self.powers += np.einsum("cn,cn->c", values, values)
        self.squares += scores @ scores.T
        self.products += scores @ values.T

    def add(self, other: Products) -> None:
        """Add the sums over other draws."""
        self.draws += other.draws
        for name in ("scores", "squares", "values", "powers", "products"):
            getattr(self, name)[...] += getattr(other, name)


def solved(sums: Products, scores: Scores, reaches: Mask) -> LinearFit:
    """Return the fit of values from their sums."""
    draws = sums.draws
    with np.errstate(invalid="ignore", over="ignore"):
        means = sums.values / draws
        squares = sums.squares - np.outer(sums.scores, sums.scores / draws)
        products = sums.products - np.outer(sums.scores, means)
        total = np.maximum(sums.powers - draws * means**2, 0.0)
    mean = sums.origin + means
    total[total <= draws * (_CONSTANT * mean) ** 2] = 0.0
    slopes = np.zeros(reaches.shape)
    finite = np.isfinite(total)
    for used, cells in _alike(reaches, finite):
        found = np.linalg.solve(squares[np.ix_(used, used)], products[np.ix_(used, cells)])
        slopes[np.ix_(cells, used)] = found.T
    slopes[~finite] = np.nan
    left = np.maximum(total - np.einsum("cs,sc->c", slopes, products), 0.0)
    freedom = draws - 1 - reaches.sum(axis=1)
    middle, variance = sums.scores / draws, total / (draws - 1)
    return LinearFit(scores, draws, reaches, slopes, middle, mean, variance, left / freedom)


def _alike(reaches: Mask, finite: Mask) -> Iterator[tuple[Integers, Integers]]:
    """Yield inputs, and the finite cells that these and no others reach, to be solved at once."""
    packed = np.packbits(reaches, axis=1)
    _, which = np.unique(packed, axis=0, return_inverse=True)
    order = np.argsort(which, kind="stable")
    for cells in np.split(order, np.flatnonzero(np.diff(which[order])) + 1):
        used, some = np.flatnonzero(reaches[cells[0]]), cells[finite[cells]]
        if used.size and some.size:
            yield used, some
