"""Published figures of a reconciled scenario: estimates with their errors, not draws.

Expressions of reconciled cells get their standard deviations to first order (the delta method).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist

import numpy as np
import scipy.sparse as sp

from ndmc.errors import InputError
from ndmc.plan.vocabulary import Vocabulary
from ndmc.reconciliation.derivatives import NotSmoothError, Slope, differentiate
from ndmc.reconciliation.estimates import Reconciled, reconcile_scenario
from ndmc.scenario.expressions import Expression
from ndmc.scenario.scenario import Figure, Scenario
from ndmc.store.view import View
from ndmc.studies.claims import Claim, claim_of
from ndmc.studies.figures import (
    NORMAL_95,
    Comparison,
    Modelled,
    Quantity,
    compare,
    quantities,
    unit_factor,
    view_of,
)
from ndmc.typing import Matrix

#: Share of a derivative along what no equation sees below which it is rounding.
_BLIND = 1e-8


def compare_reconciled(scenario: Scenario) -> tuple[list[Comparison], float]:
    """Reconcile a scenario and compare it with its published figures.

    Returns
    -------
    comparisons, worst
        One per figure; the largest open equation as a share of its largest term.

    Raises
    ------
    InputError
        As `ndmc.reconcile`, and if a figure cannot be computed.
    RunError
        If the equations are not linear and no solution is found.

    Examples
    --------
    >>> from ndmc.scenario.load import load
    >>> comparisons, worst = compare_reconciled(load("china_nd_published"))
    >>> comparisons[0].id, comparisons[0].known, worst < 1e-12
    ('14', 'derived', True)
    """
    names = Vocabulary(scenario)
    wanted = [*quantities(names, scenario.figures)]
    read = frozenset().union(*(quantity.expression.names for quantity in wanted if quantity))
    found = _Estimates(reconcile_scenario(scenario, read))
    comparisons = [
        compare(scenario, figure, quantity, found.modelled(figure, quantity))
        for figure, quantity in zip(scenario.figures, wanted, strict=True)
    ]
    return comparisons, found.reconciled.worst


class _Estimates:
    """What is reconciled: all names where the equations hold, twice, and without what is unknown.

    The equations cannot tell ``here`` from ``elsewhere``; in ``blank`` unknown cells are nan.
    """

    def __init__(self, reconciled: Reconciled) -> None:
        self.reconciled = reconciled
        point, hidden = reconciled.point, reconciled.hidden
        size = float(np.abs(point).max(initial=1.0))
        known = reconciled.system.known
        self.here = known(point)
        self.elsewhere = known(point + hidden @ np.full(hidden.shape[1], size))
        self.blank = known(np.where(np.diff(hidden.indptr) > 0, np.nan, point))

    def modelled(self, figure: Figure, quantity: Quantity | None) -> Modelled:
        """Return the reconciled value of a figure's quantity with its 95 % range."""
        if quantity is None:
            return Modelled(missing="not modelled")
        expression, scenario = quantity.expression, self.reconciled.system.scenario
        view = view_of(figure, expression, scenario.dims)
        factor = unit_factor(scenario, figure, expression)
        if not expression.names <= self.here.keys():  # stocks by age or cohort are no variables
            return Modelled(known="derived", missing="unobservable")
        value, slope = self._number(figure, expression, view, self.here)
        blank, _ = self._number(figure, expression, view, self.blank)
        _, other = self._number(figure, expression, view, self.elsewhere)
        # A product of two unknowns may be flat along their sum where both are equal: look twice.
        told = not math.isnan(blank) or (self._cancels(slope) and self._cancels(other))
        known = self._class(value, slope, told)
        if not told:
            return Modelled(known=known, missing="unobservable")
        sd = math.sqrt((slope @ self.reconciled.spread).power(2).sum()) / factor
        middle, half = value / factor, NORMAL_95 * sd
        claim = claim_of(figure)
        if claim.is_probability:
            return Modelled(_probability(claim, middle, sd), known=known)
        cv = sd / abs(middle) if middle else math.nan
        return Modelled(middle, middle - half, middle + half, cv, known)

    def _number(
        self, figure: Figure, expression: Expression, view: View, names: Mapping[str, Slope]
    ) -> tuple[float, Matrix]:
        """Return the number that a figure means, and its derivatives by all cells, [1, cell]."""
        dims = self.reconciled.system.dims
        try:
            whole = differentiate(expression, names, dims, len(self.reconciled.point))
        except NotSmoothError as wrong:
            message = f"{wrong.operation}() has no derivative, so it has no reconciled error"
            raise InputError(message, figure.where) from None
        numbers = np.arange(dims.size(expression.dims)).reshape(dims.shape(expression.dims))
        cells = numbers[np.ix_(*view.positions)].reshape(-1)
        slope = sp.csr_array(whole.by[cells].sum(axis=0).reshape(1, -1))
        return float(whole.value.reshape(-1)[cells].sum()), slope

    def _cancels(self, slope: Matrix) -> bool:
        """Whether a number changes with unknown cells, but not where no equation sees it."""
        along = np.abs((slope @ self.reconciled.hidden).toarray())
        size = (abs(slope) @ abs(self.reconciled.hidden)).toarray()
        return bool(size.any() and (along <= _BLIND * size).all())

    def _class(self, value: float, slope: Matrix, told: bool) -> str:
        """Return the class of the one cell that a number is, whatever it is called."""
        slope.eliminate_zeros()
        if slope.nnz == 1 and slope.data[0] == 1:
            cell = int(slope.indices[0])
            if value == self.reconciled.point[cell]:
                return str(self.reconciled.classes[cell])
        return "exact" if told and slope.nnz == 0 else "derived"


def _probability(claim: Claim, middle: float, sd: float) -> float:
    """Return in % how probable it is that a normal quantity is where a figure has it."""
    if not sd:
        return 100.0 * (claim.above < middle < claim.below)
    normal = NormalDist(middle, sd)
    return 100 * (normal.cdf(claim.below) - normal.cdf(claim.above))
