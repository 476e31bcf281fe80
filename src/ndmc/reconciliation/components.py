"""Connected components of equations: each is solved alone, by dense orthogonal algebra.

Rows are made alike first, whatever their units; then the unmeasured are eliminated, and the
shortest errors found that close what is left.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.sparse as sp

from ndmc.reconciliation.linear_algebra import RANK, ROUNDING, TINY, pivoted
from ndmc.typing import Floats, Integers, Matrix

#: Share of an equation's largest term that exact values may leave open.
EXACT = 1e-9

#: Share of a direction that no equation sees below which a quantity is observed.
_SEEN = 1e-8


class ContradictionError(ValueError):
    """Exact values that no adjustment can reconcile; ``equations`` are those involved."""

    def __init__(self, equations: Integers, gap: float) -> None:
        self.equations, self.gap = equations, gap
        super().__init__(f"equations {equations.tolist()} leave {gap:g}")


@dataclass(frozen=True)
class Component:
    """The equations (``rows``), errors and unmeasured ``columns`` that hang together."""

    rows: Integers
    errors: Integers
    columns: Integers


def components(errors: Matrix, by_y: Matrix) -> Iterator[Component]:
    """Yield the components of equations with these derivatives by errors and by unmeasured y.

    Examples
    --------
    >>> by_y = sp.csr_array(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    >>> [one.rows.tolist() for one in components(by_y * 0.0, by_y)]
    [[0, 1], [2]]
    """
    equations, count = errors.shape
    both = abs(sp.hstack([errors, by_y], format="csr"))
    links: Matrix = sp.block_array([[None, both], [both.T, None]], format="csr")
    _, label = sp.csgraph.connected_components(links, directed=False)
    order = np.argsort(label, kind="stable")
    for group in np.split(order, np.flatnonzero(np.diff(label[order])) + 1):
        rows = group[group < equations]
        columns = group[group >= equations] - equations
        if len(rows):
            yield Component(rows, columns[columns < count], columns[columns >= count] - count)


@dataclass(frozen=True)
class Solved:
    """A component solved: ``scores`` of its errors and the ``change`` of its unmeasured y.

    ``basis`` are the directions of error that move; ``pull`` and ``answer`` are how errors and y
    move to close equations that are open by 1, ``slope`` how y does if errors stay. Equations do
    not see ``hidden`` directions of y.
    """

    where: Component
    scores: Floats
    change: Floats
    basis: Floats
    pull: Floats
    answer: Floats
    slope: Floats
    hidden: Floats


def solve(errors: Matrix, by_y: Matrix, gap: Floats, size: Floats, where: Component) -> Solved:
    """Solve gap + errors z + by_y change = 0 for the shortest z, and for y where it is known.

    ``size`` are the largest terms of all equations.

    Raises
    ------
    ContradictionError
        If no errors can close the equations.

    Examples
    --------
    >>> errors, by_y = sp.csr_array(np.array([[3.0, 4.0]])), sp.csr_array((1, 0))
    >>> (part,) = components(errors, by_y)
    >>> solve(errors, by_y, np.array([-25.0]), np.ones(1), part).scores.round(12).tolist()
    [3.0, 4.0]
    """
    alike = _alike(errors, by_y, gap, size, where)
    known = _eliminated(alike.by_y)
    scores, basis, pull = _shortest(alike, known.combined)
    return Solved(
        where=where,
        scores=scores,
        change=known.back @ (alike.gap + alike.errors @ scores),
        basis=basis,
        pull=pull * alike.weight,
        answer=(known.back + known.back @ alike.errors @ pull) * alike.weight,
        slope=known.back * alike.weight,
        hidden=known.hidden,
    )


@dataclass(frozen=True)
class _Alike:
    """The equations of a component, multiplied by ``weight``."""

    rows: Integers
    errors: Floats
    by_y: Floats
    gap: Floats
    size: Floats
    weight: Floats


def _alike(errors: Matrix, by_y: Matrix, gap: Floats, size: Floats, where: Component) -> _Alike:
    """Make the rows of a component alike, whatever units its equations are in."""
    own_errors = errors[where.rows][:, where.errors].toarray()
    own_by_y = by_y[where.rows][:, where.columns].toarray()
    height = np.abs(own_by_y).max(axis=1, initial=0.0)
    other = np.abs(own_errors).max(axis=1, initial=0.0)
    height = np.where(height > 0, height, np.where(other > 0, other, size[where.rows]))
    weight = 1.0 / np.where(height > 0, height, 1.0)
    return _Alike(
        rows=where.rows,
        errors=own_errors * weight[:, np.newaxis],
        by_y=own_by_y * weight[:, np.newaxis],
        gap=gap[where.rows] * weight,
        size=size[where.rows] * weight,
        weight=weight,
    )


@dataclass(frozen=True)
class _Eliminated:
    """Combinations of equations in which no y is left, and what the others say of y.

    ``back`` is how y moves to close equations that are open by 1; they do not see ``hidden``.
    """

    combined: Floats
    back: Floats
    hidden: Floats


def _eliminated(by_y: Floats) -> _Eliminated:
    count, width = len(by_y), np.maximum(np.linalg.norm(by_y, axis=0), TINY)
    # Equations without y stay as they are: mixed with others they would lose their digits.
    bare, mixed = (np.flatnonzero(by_y.any(axis=1) == has) for has in (False, True))
    left, upper, order, rank = pivoted((by_y / width)[mixed])
    combined = np.zeros((count - rank, count))
    combined[np.arange(len(bare)), bare] = 1.0
    combined[len(bare) :, mixed] = left[:, rank:].T
    back = np.zeros((by_y.shape[1], count))
    ranked = (by_y / width)[np.ix_(mixed, order[:rank])]
    back[np.ix_(order[:rank], mixed)] = -_inverse(ranked, left[:, :rank], upper[:rank, :rank])
    back /= width[:, np.newaxis]
    # A column of zeros is its own direction, of any length.
    hidden = _hidden(upper, order, rank) / np.where(width > TINY, width, 1.0)[:, np.newaxis]
    return _Eliminated(combined, back, hidden)


def _inverse(matrix: Floats, left: Floats, upper: Floats) -> Floats:
    """Return the pseudoinverse of Q R = ``matrix``, with zeros where Q leaves rounding.

    A kilotonne would otherwise move what is exactly zero by 1e-13 t. Of the entries that count as
    rounding a step of Newton and Schulz returns those that are not, such as shares of 1e-15; what
    no chain of equations links stays zero.
    """
    inverse, range_ = scipy.linalg.solve_triangular(upper, left.T), left @ left.T
    least = ROUNDING * np.abs(inverse).max(axis=1, initial=0.0, keepdims=True)
    inverse = np.where(np.abs(inverse) > least, inverse, 0.0)
    range_ = np.where(np.abs(range_) > ROUNDING, range_, 0.0)
    return inverse + inverse @ (range_ - matrix @ inverse)


def _hidden(upper: Floats, order: Integers, rank: int) -> Floats:
    """Return the directions that a matrix of this R does not see."""
    free = scipy.linalg.solve_triangular(upper[:rank, :rank], upper[:rank, rank:])
    hidden = np.zeros((len(order), len(order) - rank))
    hidden[order[:rank]] = np.where(np.abs(free) < _SEEN, 0.0, -free)
    hidden[order[rank:]] = np.eye(hidden.shape[1])
    return hidden


def _shortest(alike: _Alike, combined: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the shortest scores that close the combinations of equations without y.

    With them come the directions in which they lie, and how they answer to what is left open.
    Combinations that no error can close must be closed already.
    """
    combined = np.where(np.abs(combined) > ROUNDING, combined, 0.0)
    rows, left = combined @ alike.errors, combined @ alike.gap
    length = np.linalg.norm(rows, axis=1)
    exact = length <= RANK * (np.abs(combined) @ np.linalg.norm(alike.errors, axis=1))
    length[exact] = 1.0
    rows[exact] = 0.0
    rows /= length[:, np.newaxis]
    left = left / length
    combined /= length[:, np.newaxis]
    basis, upper, order, rank = pivoted(rows.T, "economic") if rows.any() else _nothing(rows)
    independent, others = order[:rank], order[rank:]
    solved = upper[:rank, :rank]
    # Rows are combinations of the independent ones; so must be what is left of them.
    shares = scipy.linalg.solve_triangular(solved, upper[:rank, rank:]).T
    _refuse_contradictions(alike, _remainder(combined[others], shares, combined[independent]))
    inner = basis[:, :rank]
    scores = inner @ scipy.linalg.solve_triangular(solved, -left[independent], trans=1)
    pull = inner @ scipy.linalg.solve_triangular(solved, -combined[independent], trans=1)
    return scores, inner, pull


def _nothing(rows: Floats) -> tuple[Floats, Floats, Integers, int]:
    """Return the factors of a matrix of zeros."""
    count, width = rows.shape
    return np.zeros((width, 0)), np.zeros((0, count)), np.arange(count), 0


def _remainder(rows: Floats, shares: Floats, others: Floats) -> Floats:
    """Return rows less shares of others, with zeros where only rounding is left."""
    found = rows - shares @ others
    terms = np.abs(rows) + np.abs(shares) @ np.abs(others)
    least = ROUNDING * terms.max(axis=1, initial=0.0, keepdims=True)
    return np.where(np.abs(found) > least, found, 0.0)


def _refuse_contradictions(alike: _Alike, made: Floats) -> None:
    """Refuse combinations of equations that nothing can close and that are not closed."""
    gap, size = alike.gap, alike.size
    largest = (np.abs(made) * size).max(axis=1, initial=0.0)
    if (np.abs(made @ gap) > EXACT * largest).any():
        # Combinations may mix contradictions with what agrees; of all of them take the one that
        # is open furthest, which has no part of any that is closed.
        basis, _, _, rank = pivoted(made.T, "economic")
        furthest = basis[:, :rank] @ (gap @ basis[:, :rank])
        part = np.abs(furthest) * np.maximum(size, np.abs(gap))
        left = float(furthest @ gap / np.abs(furthest * alike.weight).max())
        raise ContradictionError(alike.rows[part > 1e-6 * part.max()], left)
