"""Nodal tests: which equations test the measurements, and how far those leave each of them open."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.sparse as sp

from ndmc.reconciliation.components import components
from ndmc.reconciliation.estimates import Reconciled
from ndmc.reconciliation.least_squares import Adjusted
from ndmc.reconciliation.linear_algebra import RANK, TINY, Blocks, lengths, pivoted
from ndmc.typing import Floats, Integers, Matrix

__all__ = ["nodal_tests"]


@dataclass(frozen=True)
class NodalTest:
    """An equation without unmeasured quantities, and how far the measurements leave it open."""

    equation: str
    unit: str
    open: float
    open_sd: float
    test: float


def nodal_tests(found: Reconciled) -> list[NodalTest]:
    """Return the equations that test the measurements, in the order of the scenario.

    Each is named by those that it takes together, the first of them taken once; those that only
    say what one quantity is go without saying. ``open`` is what enters a process beyond what
    leaves, or a quantity beyond what it is said to be: as measured, linear from the solution on.
    """
    system = found.system
    tested = redundant_equations(found.adjusted, system.mean, found.factor)
    plain = np.asarray((found.adjusted.linear.by_y != 0).sum(axis=1)).reshape(-1) == 1
    # Of no rows np.split makes one, which zip drops.
    taken = np.split(tested.combined.indices, tested.combined.indptr[1:-1])
    name = system.scenario.units.name
    return [
        NodalTest(
            equation=system.together(np.array([own, *(row if plain[own] else row[~plain[row]])])),
            unit=name(system.equation(own)[0].dimension),
            open=float(left),
            open_sd=float(sd),
            test=float(left / sd),
        )
        for own, row, left, sd in zip(
            tested.own.tolist(), taken, tested.open, tested.open_sd, strict=False
        )
    ]


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

    >>> from ndmc.reconciliation.least_squares import Linear, adjust
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
    blocks, tested = Blocks(), list[int]()
    for part in components(errors, linear.by_y):
        place, combined = _without_unknowns(linear.by_y[part.rows][:, part.columns].toarray())
        kept = _independent(combined, errors[part.rows][:, part.errors].toarray())
        blocks.add(combined[kept], len(tested) + np.arange(len(kept)), part.rows)
        tested += part.rows[place[kept]].tolist()
    own = np.array(tested, dtype=np.int64)
    rows = blocks.matrix(len(own), len(linear.residual))[np.argsort(own)]
    rows.eliminate_zeros()
    gap = linear.residual + linear.by_x @ (mean - found.x)
    return Redundant(np.sort(own), rows, rows @ gap, lengths(rows @ errors))


def _without_unknowns(by_y: Floats) -> tuple[Integers, Floats]:
    """Return the own equation of each combination without y, and the combinations.

    Equations with one unknown say what that is, those with few are taken before those with many,
    and the last before the first: so balances are tested, with measurements in their place.
    """
    rows = by_y / np.maximum(np.linalg.norm(by_y, axis=0), TINY)
    # Equations with one y get length 1, others 0.71 at most: pivots take the longest first.
    height = np.abs(rows).max(axis=1, initial=0.0) * (rows != 0).sum(axis=1)
    height = np.where(height > 0, height, 1.0) * np.linspace(1.0, 0.999, len(rows))
    _, upper, order, rank = pivoted((rows / height[:, np.newaxis]).T, "economic")
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
    _, _, order, rank = pivoted((longer * rows[able] / length[able, np.newaxis]).T, "economic")
    return able[order[:rank]]
