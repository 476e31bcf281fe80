"""First shares of every input: from a linear fit, or from bins where a cell is not linear."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from ndmc.engine.scores import Scores
from ndmc.plan.steps import Plan
from ndmc.runs.lanes import summed
from ndmc.runs.linear_fit import LinearFit, lanes_within
from ndmc.typing import Floats, Integers
from ndmc_kernels.bins import add_to_bins

__all__ = ["FirstShares", "first_shares"]

#: Sums over the bins of some cells take at most so many bytes, in each of so many lanes.
_BYTES, _BINNED = 2**26, 2

#: Bins are used where less than so much of the variance of a cell is linear.
_LINEAR = 0.5

#: Bins of uniforms are all as wide; those of normals are quantiles of one with so many times the
#: spread, which tells apart best what a normal is rounded to (Panter and Dite 1951). Of x^2 2^14
#: draws have an error of .004 so, and lose a fourteenth in bins that are all as probable.
_SPREAD = math.sqrt(3.0)

#: Up to so many draws there are 32 bins, above twice as many.
_MANY = 2**15


@dataclass(frozen=True)
class FirstShares:
    """Shares [cell, stream], the standard error of each, and the cells that bins were used for.

    A share is exactly 0 where the stream does not reach the cell, and nan where the cell does not
    vary or was not finite in a draw.
    """

    shares: Floats
    errors: Floats
    binned: npt.NDArray[np.bool_]

    def part(self, cells: slice, streams: Integers) -> FirstShares:
        """Return the shares of some cells and streams."""
        shares, errors = self.shares[cells, streams], self.errors[cells, streams]
        return FirstShares(shares, errors, self.binned[cells])


def first_shares(plan: Plan, fit: LinearFit, seed: int, draws: range) -> FirstShares:
    """Return the first shares of all inputs of a fit, from the draws that it was made of."""
    shares, errors = fitted_shares(plan, fit, seed, draws)
    binned = fit.adjusted_share < _LINEAR
    cells = np.flatnonzero(binned)
    if cells.size:
        shares[cells], errors[cells] = binned_shares(plan, fit, cells, seed, draws)
    return FirstShares(shares, errors, binned)


# --- from a linear fit ----------------------------------------------------------------------------


def fitted_shares(plan: Plan, fit: LinearFit, seed: int, draws: range) -> tuple[Floats, Floats]:
    """Return the part of the variance that is linear in each input, and its standard error.

    It is c^2 / (sum c^2 + s^2), without what noise adds to a squared slope.

    What noise adds to a squared slope is taken off it, also in the sum. The sample variance is no
    better whole: its error would be common to all shares and several times as large as theirs.
    """
    noise = fit.residual / (fit.draws - fit.inputs - 2)
    squares = np.where(fit.reaches, fit.slopes**2 - noise[:, np.newaxis], 0.0)
    whole = squares.sum(axis=1) + fit.residual
    whole[~(fit.variance > 0)] = np.nan
    shares = np.where(fit.reaches, squares / whole[:, np.newaxis], 0.0)
    lanes = lanes_within(plan, 16 * fit.slopes.size)
    sums = summed(plan, fit.scores, seed, draws, lambda: _Influence(fit), lanes)
    return shares, _errors(fit, shares, whole, sums)


class _Influence:
    """Sums of what each draw has to say of the shares.

    With r what a draw leaves over and f = sum c z, it moves a slope by z r / n and the whole
    variance by u / n, u = 2 r f + r^2 - s^2, so that a share moves by (2 c z r - share u) / n over
    the whole: sums of z^2 r^2, z r u and u^2 give its variance. No distribution of r is assumed.
    """

    def __init__(self, fit: LinearFit) -> None:
        self.fit, (cells, inputs) = fit, fit.slopes.shape
        self.own, self.mixed = np.zeros((cells, inputs)), np.zeros((cells, inputs))
        self.common = np.zeros(cells)

    def take(self, scores: Floats, values: Floats) -> None:
        fit = self.fit
        linear = fit.slopes @ (scores - fit.middle[:, np.newaxis])
        rest = values
        rest -= fit.mean[:, np.newaxis]
        rest -= linear
        whole = rest * (2 * linear + rest) - fit.residual[:, np.newaxis]
        self.own += rest**2 @ (scores**2).T
        self.mixed += (rest * whole) @ scores.T
        self.common += np.einsum("cn,cn->c", whole, whole)

    def add(self, other: _Influence) -> None:
        self.own += other.own
        self.mixed += other.mixed
        self.common += other.common


def _errors(fit: LinearFit, shares: Floats, whole: Floats, sums: _Influence) -> Floats:
    """Return the standard error of shares: where a slope is lost in noise, that of its square."""
    # Residuals are too small by what the inputs take off the draws, and slopes err by as much more.
    count = ((fit.draws - fit.inputs - 1.0) ** 2)[:, np.newaxis]
    own, squares = sums.own / count, fit.slopes**2
    variance = 4 * np.maximum(squares - own, 0.0) * own + 2 * own**2
    variance -= 4 * fit.slopes * shares * sums.mixed / count
    variance += shares**2 * sums.common[:, np.newaxis] / count
    errors = np.sqrt(np.maximum(variance, 0.0)) / whole[:, np.newaxis]
    return np.where(fit.reaches, errors, 0.0)


# --- from bins ------------------------------------------------------------------------------------


def binned_shares(
    plan: Plan, fit: LinearFit, cells: Integers, seed: int, draws: range
) -> tuple[Floats, Floats]:
    """Return first shares of some cells from their means in bins of the uniform of each input."""
    bins = 32 if len(draws) <= _MANY else 64
    shares, errors = np.zeros((2, len(cells), len(fit.scores.streams)))
    step = max(_BYTES // (24 * bins * max(len(fit.scores.streams), 1)), 1)
    for first in range(0, len(cells), step):
        some = cells[first : first + step]
        used = np.asarray(fit.reaches[some].any(axis=0))
        scores = fit.scores.chosen(used)
        empty = functools.partial(_Bins, fit, scores, some, bins)
        sums = summed(plan, scores, seed, draws, empty, _BINNED)
        for whole, part in zip((shares, errors), sums.shares(len(draws)), strict=True):
            whole[first : first + step, used] = np.where(fit.reaches[some][:, used], part, 0.0)
    return shares, errors


class _Bins:
    """Sums of some cells, as differences to their mean, of their squares and cubes, by bin."""

    def __init__(self, fit: LinearFit, scores: Scores, cells: Integers, bins: int) -> None:
        self.cells, self.bins, self.normal = cells, bins, scores.normal
        self.mean = fit.mean[cells, np.newaxis]
        self.sd = np.sqrt(fit.variance[cells, np.newaxis])
        self.sums = np.zeros((len(scores.streams), bins, 1 + 3 * len(cells)))
        self.fourth = np.zeros(len(cells))

    def take(self, scores: Floats, values: Floats) -> None:
        x = (values[self.cells] - self.mean) / self.sd
        columns = np.vstack([np.ones((1, x.shape[1])), x, x**2, x**3])
        add_to_bins(self._binned(scores), np.ascontiguousarray(columns.T), self.sums)
        self.fourth += (x**4).sum(axis=1)

    def _binned(self, scores: Floats) -> npt.NDArray[np.int64]:
        """Return the bin of each score [stream, draw]."""
        shares = [n / self.bins for n in range(1, self.bins)]
        normal = [NormalDist(sigma=_SPREAD).inv_cdf(share) for share in shares]
        uniform = [math.sqrt(12.0) * (share - 0.5) for share in shares]
        parts = zip((normal, uniform), np.split(scores, [self.normal]), strict=True)
        return np.concatenate([np.searchsorted(edges, part) for edges, part in parts])

    def add(self, other: _Bins) -> None:
        self.sums += other.sums
        self.fourth += other.fourth

    def shares(self, draws: int) -> tuple[Floats, Floats]:
        """Return shares [cell, stream] of variance between bins, and their standard errors.

        With x the difference of a draw to the mean, in standard deviations, and m its mean in the
        bin, the draw moves a share by (2 x m - m^2 - share x^2) / n.
        """
        cells = len(self.cells)
        number, first, second, third = np.split(self.sums, [1, 1 + cells, 1 + 2 * cells], axis=2)
        total = second.sum(axis=1)
        fine, coarse = (
            _between(some(number), some(first), total, draws) for some in (lambda x: x, _in_pairs)
        )
        # What differs within a bin is lost, a quarter as much of it in bins half as wide: of
        # Ishigami's function 2^14 draws have an error of .0051 in 32 bins, and .0042 so.
        shares = (4 * fine - coarse) / 3
        m = np.divide(first, number, out=np.zeros_like(first), where=number > 0)
        squares = (4 * m**2 * second - 3 * m**3 * first).sum(axis=1)
        squares += shares * (2 * m**2 * second - 4 * m * third).sum(axis=1)
        squares += shares**2 * self.fourth
        return shares.T, (np.sqrt(np.maximum(squares, 0.0)) / total).T


def _in_pairs(sums: Floats) -> Floats:
    """Return sums [stream, bin, cell] over bins that are twice as wide."""
    return np.asarray(sums[:, 0::2] + sums[:, 1::2])


def _between(number: Floats, sums: Floats, total: Floats, draws: int) -> Floats:
    """Return the part of the variance between bins without noise, (eta2 - k) / (1 - k)."""
    squares = np.divide(sums**2, number, out=np.zeros_like(sums), where=number > 0)
    noise = (number.shape[1] - 1) / (draws - 1)
    return np.asarray((squares.sum(axis=1) / total - noise) / (1 - noise))
