"""Adjust measurements so that they fit their equations: weighted least squares on arrays.

Minimise (x - m)' Q^-1 (x - m) subject to f(x, y) = 0, with measured x of means m and covariance
Q = L L', and unmeasured y. All linear algebra is orthogonal and done in units of standard
deviations, one connected component of the equations at a time: Q is never inverted, exact values
have rows of zeros in L, and covariances come out positive semidefinite.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.linalg
import scipy.sparse as sp

from ndmc.reconciliation.components import EXACT, ContradictionError, Solved, components, solve
from ndmc.reconciliation.linear_algebra import RANK, ROUNDING, TINY, Blocks, lengths
from ndmc.typing import Floats, Matrix

#: Share of its terms below which a sum is nothing but their rounding.
_CANCELLED = 16 * 2.0**-52

#: Steps of Gauss and Newton before it is given up; linear equations need two.
_MOST_STEPS = 100


@dataclass(frozen=True)
class Linear:
    """Equations near a point: residuals, derivatives by x and by y, and the size of the terms."""

    residual: Floats
    by_x: Matrix
    by_y: Matrix
    size: Floats


Linearise = Callable[[Floats, Floats], Linear]


class NoConvergenceError(RuntimeError):
    """Steps that do not settle; ``equation`` is the worst one."""

    def __init__(self, steps: int, worst: float, equation: int) -> None:
        self.steps, self.worst, self.equation = steps, worst, equation
        super().__init__(f"{worst:g} left in equation {equation} after {steps} steps")


@dataclass(frozen=True)
class Adjusted:
    """What least squares make of measurements.

    ``spread`` is a factor of the reconciled covariance of x, and ``moved`` of that of its
    adjustment; ``slope`` is the derivative of y by x. Rows of y that are not ``observable`` are
    not determined by any equation: the columns of ``hidden`` are the directions of y that none
    sees. ``gain`` [x and y, equation] is how all move to close equations that are open by 1.
    ``chi2`` has ``redundancy`` degrees of freedom.
    """

    x: Floats
    y: Floats
    spread: Matrix
    moved: Matrix
    slope: Matrix
    hidden: Matrix
    gain: Matrix
    observable: npt.NDArray[np.bool_]
    chi2: float
    redundancy: int
    steps: int
    linear: Linear

    @property
    def whole_spread(self) -> Matrix:
        """A factor of the reconciled covariance of x and y."""
        others = _told(self.slope @ self.spread, abs(self.slope) @ abs(self.spread))
        return sp.vstack([self.spread, others], format="csr")


def adjust(mean: Floats, factor: Matrix, start: Floats, linearise: Linearise) -> Adjusted:
    """Return the measurements that are nearest to those given and satisfy the equations.

    Parameters
    ----------
    mean
        Measured values, [x].
    factor
        L with L L' their covariance, [x, independent error]; sparse.
    start
        Where to look for what is not measured, [y].
    linearise
        Returns the equations near a point (x, y).

    Raises
    ------
    ContradictionError
        If exact values contradict each other.
    NoConvergenceError
        If the steps do not settle.

    Examples
    --------
    Two scales that weigh the same thing, one twice as well as the other:

    >>> unit = sp.csr_array(np.array([[1.0, -1.0]]))
    >>> def same(x, y):
    ...     return Linear(unit @ x, unit, sp.csr_array((1, 0)), np.abs(x).max(keepdims=True))
    >>> found = adjust(np.array([10.0, 11.0]), sp.diags_array([1.0, 2.0]), np.empty(0), same)
    >>> found.x.round(6).tolist(), found.redundancy
    ([10.2, 10.2], 1)
    """
    factor = sp.csr_array(factor)
    x, y = mean, _first_guess(mean, start, linearise)
    linear = linearise(x, y)
    floor = np.maximum(lengths(factor), RANK * np.abs(mean))
    # Flows that are 0, or turn out to be, leave nothing else to compare with.
    given = np.maximum(linear.size, abs(linear.by_x) @ floor)
    for step in range(1, _MOST_STEPS + 1):
        size = np.maximum(linear.size, given)
        try:
            new_x, new_y, parts = _step(linear, size, mean, factor, x, y)
        except ContradictionError:
            if step == 1:
                raise
            break  # derivatives that vanish on the way, not values that are exact
        if not (np.isfinite(new_x).all() and np.isfinite(new_y).all()):
            break
        reach = np.maximum(_reach(parts, size, len(y)), np.abs(new_y))
        moved = max(_largest(new_x - x, floor), _largest(new_y - y, reach))
        x, y, linear = new_x, new_y, linearise(new_x, new_y)
        terms = np.maximum(np.maximum(linear.size, given), abs(linear.by_y) @ reach)
        if moved < RANK and _largest(linear.residual, terms) < EXACT:
            terms = linear.size + abs(linear.by_x) @ np.abs(x - mean)
            y[np.abs(y) < _CANCELLED * _reach(parts, terms, len(y))] = 0.0
            return _assemble(x, y, linear, factor, parts, step)
    left = np.abs(linear.residual) / np.maximum(np.maximum(linear.size, given), TINY)
    left[np.isnan(left)] = np.inf
    raise NoConvergenceError(step, float(left.max()), int(left.argmax()))


def _first_guess(x: Floats, y: Floats, linearise: Linearise) -> Floats:
    """Return y that fits x as well as it can; where equations are linear in y, one step does."""
    for _ in range(4):
        linear = linearise(x, y)
        if not linear.by_y.shape[1] or not np.isfinite(linear.residual).all():
            return y
        step = np.zeros_like(y)
        for part in components(linear.by_x * 0.0, linear.by_y):
            if len(part.columns):
                dense = linear.by_y[part.rows][:, part.columns].toarray()
                width = np.maximum(np.linalg.norm(dense, axis=0), TINY)
                found = scipy.linalg.lstsq(dense / width, -linear.residual[part.rows], cond=RANK)
                step[part.columns] = found[0] / width
        y = y + step
        if _largest(step, np.abs(y).max(initial=0.0)) < EXACT:
            break
    return y


def _largest(distance: Floats, size: Floats | float) -> float:
    """Return the largest distance as a share of a size; 0 of nothing is 0."""
    return float(np.max(np.abs(distance) / np.maximum(size, TINY), initial=0.0))


def _step(
    linear: Linear, size: Floats, mean: Floats, factor: Matrix, x: Floats, y: Floats
) -> tuple[Floats, Floats, list[Solved]]:
    """Return the solution of the equations as they are near (x, y)."""
    errors = sp.csr_array(linear.by_x @ factor)
    # Where the means themselves would leave the equations.
    gap = linear.residual + linear.by_x @ (mean - x)
    scores, y, parts = np.zeros(factor.shape[1]), y.copy(), []
    for where in components(errors, linear.by_y):
        solved = solve(errors, linear.by_y, gap, size, where)
        scores[where.errors] = solved.scores
        y[where.columns] = _sum(y[where.columns], solved.change)
        parts.append(solved)
    return _sum(mean, factor @ scores), y, parts


def _sum(one: Floats, other: Floats) -> Floats:
    """Return a sum that is zero where its terms cancel but for rounding."""
    total = one + other
    return np.where(np.abs(total) < _CANCELLED * np.abs(other), 0.0, total)


def _reach(parts: Sequence[Solved], size: Floats, count: int) -> Floats:
    """Return how far each y would move if equations were open by their largest terms.

    What is the small difference of large terms is known to the rounding of those.
    """
    reach = np.zeros(count)
    for part in parts:
        reach[part.where.columns] = np.abs(part.slope) @ size[part.where.rows]
    return reach


def _assemble(
    x: Floats, y: Floats, linear: Linear, factor: Matrix, parts: Sequence[Solved], steps: int
) -> Adjusted:
    """Return what all parts together make of measurements."""
    measured, count, equations = len(x), len(y), len(linear.residual)
    taken, moved, slopes, hidden, gains = (Blocks() for _ in range(5))
    columns, redundancy = sp.csc_array(factor), 0
    alone = np.setdiff1d(np.arange(count), [n for part in parts for n in part.where.columns])
    hidden.add(np.eye(len(alone)), alone, alone)
    for part in parts:
        where = part.where
        touched = np.unique(columns[:, where.errors].indices)
        errors = factor[touched][:, where.errors].toarray()
        along = errors @ part.basis
        gains.add(errors @ part.pull, touched, where.rows)
        gains.add(part.answer, measured + where.columns, where.rows)
        moved.add(along, touched, redundancy + np.arange(along.shape[1]))
        taken.add(along @ part.basis.T, touched, where.errors)
        slopes.add(part.slope, where.columns, where.rows)
        hidden.add(part.hidden, where.columns, where.columns[: part.hidden.shape[1]])
        redundancy += along.shape[1]
    unseen = hidden.matrix(count, count)
    unseen.eliminate_zeros()
    return Adjusted(
        x=x,
        y=y,
        spread=_told(factor - taken.matrix(*factor.shape), factor),
        moved=moved.matrix(measured, redundancy),
        slope=sp.csr_array(slopes.matrix(count, equations) @ linear.by_x),
        hidden=unseen,
        gain=gains.matrix(measured + count, equations),
        observable=np.diff(unseen.indptr) == 0,
        chi2=sum(float(part.scores @ part.scores) for part in parts),
        redundancy=redundancy,
        steps=steps,
        linear=linear,
    )


def _told(total: Matrix, terms: Matrix) -> Matrix:
    """Return rows, with zeros for those that cannot be told from the rounding of their terms."""
    told = lengths(total) > ROUNDING * lengths(terms)
    return sp.csr_array(sp.diags_array(told.astype(np.float64)) @ total)
