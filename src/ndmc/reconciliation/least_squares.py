"""Adjust measurements so that they fit their equations: weighted least squares on arrays.

Minimise (x - m)' Q^-1 (x - m) subject to f(x, y) = 0, with measured x of means m and covariance
Q = L L', and unmeasured y. All linear algebra is orthogonal and done in units of standard
deviations, one connected part of the equations at a time: Q is never inverted, exact values have
rows of zeros in L, and covariances come out positive semidefinite.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import scipy.linalg
import scipy.sparse as sp

from ndmc.typing import Floats, Integers, Matrix

__all__ = [
    "Adjusted",
    "ContradictionError",
    "Linear",
    "NoConvergenceError",
    "Redundant",
    "adjust",
    "redundant_equations",
]

#: Share of the largest singular value below which a direction counts as none.
RANK = 1e-10

#: Share of an equation's largest term that exact values may leave open.
EXACT = 1e-9

#: Share of a direction that no equation sees below which a quantity is observed.
_SEEN = 1e-8

#: Entries of orthonormal rows below this are rounding.
_ROUNDING = 1e-13

#: Share of its terms below which a sum is nothing but their rounding.
_CANCELLED = 16 * 2.0**-52

_TINY = 1e-300

MOST_STEPS = 100


@dataclass(frozen=True)
class Linear:
    """Equations near a point: residuals, derivatives by x and by y, and the size of the terms."""

    residual: Floats
    by_x: Matrix
    by_y: Matrix
    size: Floats


Linearise = Callable[[Floats, Floats], Linear]


class ContradictionError(ValueError):
    """Exact values that no adjustment can reconcile; ``equations`` are those involved."""

    def __init__(self, equations: Integers, gap: float) -> None:
        self.equations, self.gap = equations, gap
        super().__init__(f"equations {equations.tolist()} leave {gap:g}")


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


def adjust(
    mean: Floats, factor: Matrix, start: Floats, linearise: Linearise, *, most: int = MOST_STEPS
) -> Adjusted:
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
    most
        Steps of Gauss and Newton before it is given up; linear equations need two.

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
    floor = np.maximum(_deviations(factor), RANK * np.abs(mean))
    # Flows that are 0, or turn out to be, leave nothing else to compare with.
    given = np.maximum(linear.size, abs(linear.by_x) @ floor)
    for step in range(1, most + 1):
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
            about = _assemble(linear, factor, parts)
            terms = linear.size + abs(linear.by_x) @ np.abs(x - mean)
            y[np.abs(y) < _CANCELLED * _reach(parts, terms, len(y))] = 0.0
            return Adjusted(x=x, y=y, steps=step, linear=linear, **about)
    left = np.abs(linear.residual) / np.maximum(np.maximum(linear.size, given), _TINY)
    left[np.isnan(left)] = np.inf
    raise NoConvergenceError(step, float(left.max()), int(left.argmax()))


def _first_guess(x: Floats, y: Floats, linearise: Linearise) -> Floats:
    """Return y that fits x as well as it can; where equations are linear in y, one step does."""
    for _ in range(4):
        linear = linearise(x, y)
        if not linear.by_y.shape[1] or not np.isfinite(linear.residual).all():
            return y
        step = np.zeros_like(y)
        for rows, _, columns in _parts(linear.by_x * 0.0, linear.by_y):
            if len(columns):
                dense = linear.by_y[rows][:, columns].toarray()
                width = np.maximum(np.linalg.norm(dense, axis=0), _TINY)
                found = scipy.linalg.lstsq(dense / width, -linear.residual[rows], cond=RANK)
                step[columns] = found[0] / width
        y = y + step
        if _largest(step, _height(y)) < EXACT:
            break
    return y


def _largest(distance: Floats, size: Floats | float) -> float:
    """Return the largest distance as a share of a size; 0 of nothing is 0."""
    return float(np.max(np.abs(distance) / np.maximum(size, _TINY), initial=0.0))


def _height(values: Floats) -> float:
    return float(np.abs(values).max(initial=0.0))


def _deviations(factor: Matrix) -> Floats:
    return np.asarray(np.sqrt(factor.power(2).sum(axis=1))).reshape(-1)


def _parts(errors: Matrix, by_y: Matrix) -> Iterator[tuple[Integers, Integers, Integers]]:
    """Yield the rows, errors and unmeasured columns of each connected part of the equations."""
    equations, count = errors.shape
    both = abs(sp.hstack([errors, by_y], format="csr"))
    links: Matrix = sp.block_array([[None, both], [both.T, None]], format="csr")
    _, label = sp.csgraph.connected_components(links, directed=False)
    order = np.argsort(label, kind="stable")
    for group in np.split(order, np.flatnonzero(np.diff(label[order])) + 1):
        rows = group[group < equations]
        columns = group[group >= equations] - equations
        if len(rows):
            yield rows, columns[columns < count], columns[columns >= count] - count


@dataclass(frozen=True)
class _Part:
    """One step in one connected part of the equations.

    ``basis`` are the directions of error that move, by their place in ``errors``; ``pull`` and
    ``answer`` are how errors and ``columns`` move to close equations that are open by 1.
    """

    rows: Integers
    errors: Integers
    columns: Integers
    scores: Floats
    basis: Floats
    change: Floats
    slope: Floats
    hidden: Floats
    pull: Floats
    answer: Floats


def _step(
    linear: Linear, size: Floats, mean: Floats, factor: Matrix, x: Floats, y: Floats
) -> tuple[Floats, Floats, list[_Part]]:
    """Return the solution of the equations as they are near (x, y)."""
    errors = sp.csr_array(linear.by_x @ factor)
    # Where the means themselves would leave the equations.
    gap = linear.residual + linear.by_x @ (mean - x)
    scores, y, parts = np.zeros(factor.shape[1]), y.copy(), []
    for part in _parts(errors, linear.by_y):
        solved = _solve(errors, linear.by_y, gap, size, part)
        scores[solved.errors] = solved.scores
        y[solved.columns] = _sum(y[solved.columns], solved.change)
        parts.append(solved)
    return _sum(mean, factor @ scores), y, parts


def _sum(one: Floats, other: Floats) -> Floats:
    """Return a sum that is zero where its terms cancel but for rounding."""
    total = one + other
    return np.where(np.abs(total) < _CANCELLED * np.abs(other), 0.0, total)


def _reach(parts: Sequence[_Part], size: Floats, count: int) -> Floats:
    """Return how far each y would move if equations were open by their largest terms.

    What is the small difference of large terms is known to the rounding of those.
    """
    reach = np.zeros(count)
    for part in parts:
        reach[part.columns] = np.abs(part.slope) @ size[part.rows]
    return reach


def _assemble(linear: Linear, factor: Matrix, parts: Sequence[_Part]) -> dict[str, Any]:
    """Return the covariances of all parts together; see `Adjusted`."""
    count = linear.by_y.shape[1]
    taken, moved, slopes, hidden, gains = (_Blocks() for _ in range(5))
    columns, redundancy = sp.csc_array(factor), 0
    alone = np.setdiff1d(np.arange(count), [n for part in parts for n in part.columns])
    hidden.add(np.eye(len(alone)), alone, alone)
    for part in parts:
        touched = np.unique(columns[:, part.errors].indices)
        errors = factor[touched][:, part.errors].toarray()
        along = errors @ part.basis
        gains.add(errors @ part.pull, touched, part.rows)
        gains.add(part.answer, factor.shape[0] + part.columns, part.rows)
        moved.add(along, touched, redundancy + np.arange(along.shape[1]))
        taken.add(along @ part.basis.T, touched, part.errors)
        slopes.add(part.slope, part.columns, part.rows)
        hidden.add(part.hidden, part.columns, part.columns[: part.hidden.shape[1]])
        redundancy += along.shape[1]
    equations = slopes.matrix(count, len(linear.residual))
    unseen = hidden.matrix(count, count)
    unseen.eliminate_zeros()
    return {
        "spread": _told(factor - taken.matrix(*factor.shape), factor),
        "moved": moved.matrix(factor.shape[0], redundancy),
        "slope": sp.csr_array(equations @ linear.by_x),
        "hidden": unseen,
        "gain": gains.matrix(factor.shape[0] + count, len(linear.residual)),
        "observable": np.diff(unseen.indptr) == 0,
        "chi2": sum(float(part.scores @ part.scores) for part in parts),
        "redundancy": redundancy,
    }


def _told(total: Matrix, terms: Matrix) -> Matrix:
    """Return rows, with zeros for those that cannot be told from the rounding of their terms."""
    told = _deviations(total) > _ROUNDING * _deviations(terms)
    return sp.csr_array(sp.diags_array(told.astype(np.float64)) @ total)


class _Blocks:
    """A sparse matrix that is filled by dense blocks."""

    def __init__(self) -> None:
        self.parts: list[tuple[Floats, Integers, Integers]] = []

    def add(self, block: Floats, rows: Integers, columns: Integers) -> None:
        """Put a block where its rows and columns are."""
        down, across = np.repeat(rows, len(columns)), np.tile(columns, len(rows))
        self.parts.append((block.reshape(-1), down, across))

    def matrix(self, rows: int, columns: int) -> Matrix:
        """Return all blocks as one sparse matrix."""
        empty = (np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64))
        values, down, across = (
            np.concatenate(some) for some in zip(empty, *self.parts, strict=True)
        )
        return sp.csr_array((values, (down, across)), shape=(rows, columns))


def _solve(
    all_errors: Matrix,
    all_by_y: Matrix,
    all_gap: Floats,
    all_size: Floats,
    part: tuple[Integers, Integers, Integers],
) -> _Part:
    """Solve gap + errors z + by_y change = 0 for the shortest z, and for y where it is known."""
    names, some, columns = part
    errors = all_errors[names][:, some].toarray()
    by_y = all_by_y[names][:, columns].toarray()
    weight = _row_weights(errors, by_y, all_size[names])
    errors, by_y = errors * weight[:, np.newaxis], by_y * weight[:, np.newaxis]
    gap, size = all_gap[names] * weight, all_size[names] * weight
    width = np.maximum(np.linalg.norm(by_y, axis=0), _TINY)
    # Equations without y stay as they are: mixed with others they would lose their digits.
    bare, mixed = (np.flatnonzero(by_y.any(axis=1) == has) for has in (False, True))
    left, upper, order, rank = _pivoted((by_y / width)[mixed])
    combined = np.zeros((len(gap) - rank, len(gap)))
    combined[np.arange(len(bare)), bare] = 1.0
    combined[len(bare) :, mixed] = left[:, rank:].T
    scores, basis, pull = _shortest(combined, errors, gap, size, weight, names)
    solved = upper[:rank, :rank]
    back = np.zeros((by_y.shape[1], len(gap)))
    ranked = (by_y / width)[np.ix_(mixed, order[:rank])]
    back[np.ix_(order[:rank], mixed)] = -_inverse(ranked, left[:, :rank], solved)
    back /= width[:, np.newaxis]
    free = scipy.linalg.solve_triangular(solved, upper[:rank, rank:])
    hidden = np.zeros((by_y.shape[1], by_y.shape[1] - rank))
    hidden[order[:rank]] = np.where(np.abs(free) < _SEEN, 0.0, -free)
    hidden[order[rank:]] = np.eye(hidden.shape[1])
    # A column of zeros is its own direction, of any length.
    hidden /= np.where(width > _TINY, width, 1.0)[:, np.newaxis]
    change = back @ (gap + errors @ scores)
    answer = (back + back @ errors @ pull) * weight
    slope = back * weight
    return _Part(names, some, columns, scores, basis, change, slope, hidden, pull * weight, answer)


def _row_weights(errors: Floats, by_y: Floats, size: Floats) -> Floats:
    """Return factors that make the rows alike, whatever units their equations are in."""
    height = np.abs(by_y).max(axis=1, initial=0.0)
    other = np.abs(errors).max(axis=1, initial=0.0)
    height = np.where(height > 0, height, np.where(other > 0, other, size))
    return 1.0 / np.where(height > 0, height, 1.0)


def _inverse(matrix: Floats, left: Floats, upper: Floats) -> Floats:
    """Return the pseudoinverse of Q R = ``matrix``, with zeros where Q leaves rounding.

    A kilotonne would otherwise move what is exactly zero by 1e-13 t. Of the entries that count as
    rounding a step of Newton and Schulz returns those that are not, such as shares of 1e-15; what
    no chain of equations links stays zero.
    """
    inverse, range_ = scipy.linalg.solve_triangular(upper, left.T), left @ left.T
    least = _ROUNDING * np.abs(inverse).max(axis=1, initial=0.0, keepdims=True)
    inverse = np.where(np.abs(inverse) > least, inverse, 0.0)
    range_ = np.where(np.abs(range_) > _ROUNDING, range_, 0.0)
    return inverse + inverse @ (range_ - matrix @ inverse)


def _pivoted(
    matrix: Floats, mode: Literal["full", "economic"] = "full"
) -> tuple[Any, Any, Integers, int]:
    """Return Q, R, the order of the columns and the rank."""
    if not matrix.shape[1]:
        return np.eye(len(matrix)), np.empty((len(matrix), 0)), np.empty(0, np.int64), 0
    factors: tuple[Any, Any, Any] = scipy.linalg.qr(matrix, pivoting=True, mode=mode)
    left, upper, order = factors
    diagonal = np.abs(np.diag(upper))
    rank = int((diagonal > RANK * diagonal.max(initial=0.0)).sum())
    return left, upper, order, rank


def _shortest(
    combined: Floats,
    errors: Floats,
    gap: Floats,
    size: Floats,
    weight: Floats,
    names: Integers,
) -> tuple[Floats, Floats, Floats]:
    """Return the shortest scores that close what is left of the equations without y.

    With them come the directions in which they lie, and how they answer to what is left open.

    ``combined`` are the combinations of equations in which no y is left. Those that no error
    can close must be closed already. Rows have been multiplied by ``weight``.
    """
    combined = np.where(np.abs(combined) > _ROUNDING, combined, 0.0)
    rows, left = combined @ errors, combined @ gap
    length = np.linalg.norm(rows, axis=1)
    noise = RANK * (np.abs(combined) @ np.linalg.norm(errors, axis=1))
    exact = length <= noise
    rows[exact] = 0.0
    rows /= np.where(exact, 1.0, length)[:, np.newaxis]
    left = left / np.where(exact, 1.0, length)
    combined /= np.where(exact, 1.0, length)[:, np.newaxis]
    basis, upper, order, rank = _pivoted(rows.T, "economic") if rows.any() else _nothing(rows)
    independent, others = order[:rank], order[rank:]
    solved = upper[:rank, :rank]
    # Rows are combinations of the independent ones; so must be what is left of them.
    shares = scipy.linalg.solve_triangular(solved, upper[:rank, rank:]).T
    made = _remainder(combined[others], shares, combined[independent])
    _refuse_contradictions(made, gap, size, weight, names)
    inner = basis[:, :rank]
    scores = inner @ scipy.linalg.solve_triangular(solved, -left[independent], trans=1)
    pull = inner @ scipy.linalg.solve_triangular(solved, -combined[independent], trans=1)
    return scores, inner, pull


def _remainder(rows: Floats, shares: Floats, others: Floats) -> Floats:
    """Return rows less shares of others, with zeros where only rounding is left."""
    found = rows - shares @ others
    terms = np.abs(rows) + np.abs(shares) @ np.abs(others)
    least = _ROUNDING * terms.max(axis=1, initial=0.0, keepdims=True)
    return np.where(np.abs(found) > least, found, 0.0)


def _nothing(rows: Floats) -> tuple[Floats, Floats, Integers, int]:
    """Return the factors of a matrix of zeros."""
    count, width = rows.shape
    return np.zeros((width, 0)), np.zeros((0, count)), np.arange(count), 0


def _refuse_contradictions(
    made: Floats, gap: Floats, size: Floats, weight: Floats, names: Integers
) -> None:
    """Refuse combinations of equations that nothing can close and that are not closed."""
    largest = (np.abs(made) * size).max(axis=1, initial=0.0)
    if (np.abs(made @ gap) > EXACT * largest).any():
        # Combinations may mix contradictions with what agrees; of all of them take the one that
        # is open furthest, which has no part of any that is closed.
        basis, _, _, rank = _pivoted(made.T, "economic")
        furthest = basis[:, :rank] @ (gap @ basis[:, :rank])
        part = np.abs(furthest) * np.maximum(size, np.abs(gap))
        left = float(furthest @ gap / np.abs(furthest * weight).max())
        raise ContradictionError(names[part > 1e-6 * part.max()], left)


# --- what tests the measurements -----------------------------------------------------------------


@dataclass(frozen=True)
class Redundant:
    """Equations without what is unmeasured, and how far measurements leave them open.

    Each row of ``combined`` [row, equation] is its ``own`` equation, taken once, with those that
    say what is unmeasured in it. Every row has an error ``open_sd``, and none follows from others.
    """

    own: Integers
    combined: Matrix
    open: Floats
    open_sd: Floats


def redundant_equations(found: Adjusted, mean: Floats, factor: Matrix) -> Redundant:
    """Return the equations that test measurements, each with as few others as its unknowns need.

    They are taken as they are near the solution: open is what the measurements would leave open,
    were the equations linear from there on.

    Parameters
    ----------
    found
        What `adjust` has made of the measurements.
    mean, factor
        As they were given to `adjust`.

    Examples
    --------
    Two come in and five leave, by way of a flow that nobody measures:

    >>> by_x, by_y = sp.csr_array(np.diag([1.0, -1.0])), sp.csr_array([[-1.0], [1.0]])
    >>> def chain(x, y):
    ...     return Linear(by_x @ x + by_y @ y, by_x, by_y, np.ones(2))
    >>> mean, factor = np.array([2.0, 5.0]), sp.eye_array(2)
    >>> found = redundant_equations(adjust(mean, factor, np.zeros(1), chain), mean, factor)
    >>> found.combined.toarray().tolist(), found.open.round(12).tolist()
    ([[1.0, 1.0]], [-3.0])
    """
    linear = found.linear
    errors = sp.csr_array(linear.by_x @ sp.csr_array(factor))
    blocks, tested = _Blocks(), list[int]()
    for names, some, columns in _parts(errors, linear.by_y):
        place, combined = _without_unknowns(linear.by_y[names][:, columns].toarray())
        kept = _independent(combined, errors[names][:, some].toarray())
        blocks.add(combined[kept], len(tested) + np.arange(len(kept)), names)
        tested += names[place[kept]].tolist()
    own = np.array(tested, dtype=np.int64)
    rows = blocks.matrix(len(own), len(linear.residual))[np.argsort(own)]
    rows.eliminate_zeros()
    gap = linear.residual + linear.by_x @ (mean - found.x)
    return Redundant(np.sort(own), rows, rows @ gap, _deviations(rows @ errors))


def _without_unknowns(by_y: Floats) -> tuple[Integers, Floats]:
    """Return the own equation of each combination without y, and the combinations.

    Equations with one unknown say what that is, those with few are taken before those with many,
    and the last before the first: so balances are tested, with measurements in their place.
    """
    rows = by_y / np.maximum(np.linalg.norm(by_y, axis=0), _TINY)
    # Equations with one y get length 1, others 0.71 at most: pivots take the longest first.
    height = np.abs(rows).max(axis=1, initial=0.0) * (rows != 0).sum(axis=1)
    height = np.where(height > 0, height, 1.0) * np.linspace(1.0, 0.999, len(rows))
    _, upper, order, rank = _pivoted((rows / height[:, np.newaxis]).T, "economic")
    own, others = order[rank:], order[:rank]
    shares = scipy.linalg.solve_triangular(upper[:rank, :rank], upper[:rank, rank:]).T
    combined = np.zeros((len(own), len(rows)))
    combined[np.arange(len(own)), own] = 1.0
    combined[:, others] = np.where(np.abs(shares) > RANK, -shares, 0.0)
    return own, combined * height[own, np.newaxis] / height


def _independent(combined: Floats, errors: Floats) -> Integers:
    """Return the rows that have an error, without those that follow from others before them."""
    rows = combined @ errors
    length = np.linalg.norm(rows, axis=1)
    able = np.flatnonzero(length > RANK * (np.abs(combined) @ np.linalg.norm(errors, axis=1)))
    # Of equations that say the same the first is slightly longer, whatever their rounding.
    longer = np.linspace(1.0, 0.999, len(able))[:, np.newaxis]
    _, _, order, rank = _pivoted((longer * rows[able] / length[able, np.newaxis]).T, "economic")
    return able[order[:rank]]
