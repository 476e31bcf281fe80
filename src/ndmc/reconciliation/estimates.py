"""Reconcile what is measured with the balances of a scenario: estimates, classes and tests.

Laws of least squares: Cencic 2016 (STAN); classes and tests as in VDI 2048.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
import scipy.special

from ndmc.dims import rows_in
from ndmc.errors import InputError, RunError
from ndmc.reconciliation.components import ContradictionError
from ndmc.reconciliation.derivatives import NotSmoothError, differentiate
from ndmc.reconciliation.equations import system_of
from ndmc.reconciliation.least_squares import Adjusted, Linear, NoConvergenceError, adjust
from ndmc.reconciliation.linear_algebra import lengths
from ndmc.reconciliation.system import System
from ndmc.scenario.scenario import Scenario
from ndmc.typing import Floats, Integers, Matrix

__all__ = ["Reconciled", "adjustments", "reconcile_scenario", "reconcile_system"]

Flags = npt.NDArray[np.bool_]

#: Share of a variance below which an adjustment is rounding.
_STILL = 1e-8

#: Adjustments that are correlated closer than this cannot be told apart.
_ALIKE = 1 - 1e-6


@dataclass(frozen=True)
class Rejected:
    """A measurement that was dropped, its test, and those whose error would look the same."""

    cell: int
    test: float
    alike: tuple[int, ...]


@dataclass(frozen=True)
class Reconciled:
    """Estimates before and after, one per cell of the system's parameters and quantities.

    All follow from ``adjusted``, what least squares make of what is not ``rejected``; tests are
    held against their ``level``.
    """

    system: System
    adjusted: Adjusted
    rejected: tuple[Rejected, ...]
    level: float

    @property
    def dropped(self) -> list[int]:
        """The cells of rejected measurements."""
        return [one.cell for one in self.rejected]

    @property
    def factor(self) -> Matrix:
        """The factor of the covariance of measurements, without the rejected."""
        return _without(self.system, self.dropped).factor

    # --- the solution --------------------------------------------------------------------------

    @cached_property
    def places(self) -> Integers:
        """Where each cell stands among x and y of ``adjusted``: those dropped after all others."""
        places = np.arange(len(self.adjusted.x) + len(self.adjusted.y) - len(self.rejected))
        places[self.dropped] = len(places) + np.arange(len(self.rejected))
        return places

    @cached_property
    def point(self) -> Floats:
        """Where all equations hold, with any value they allow for what nothing determines."""
        return np.concatenate([self.adjusted.x, self.adjusted.y])[self.places]

    @cached_property
    def spread(self) -> Matrix:
        """A factor of the covariance of all cells at ``point``, [cell, error]."""
        return self.adjusted.whole_spread[self.places]

    @cached_property
    def hidden(self) -> Matrix:
        """The directions that no equation sees, [cell, direction]."""
        unseen = sp.csr_array((len(self.adjusted.x), self.adjusted.hidden.shape[1]))
        return sp.vstack([unseen, self.adjusted.hidden], format="csr")[self.places]

    @cached_property
    def gain(self) -> Matrix:
        """How all cells move to close equations, [cell, equation]."""
        return self.adjusted.gain[self.places]

    @cached_property
    def deviations(self) -> Floats:
        """Standard deviations of all cells at ``point``, of those that nothing determines too."""
        return lengths(self.spread)

    @cached_property
    def worst(self) -> float:
        """The largest open equation as a share of the largest term."""
        linear = self.system.linearise(self.point)
        largest = linear.size.max(initial=0.0) or 1
        return float(np.abs(linear.residual).max(initial=0.0) / largest)

    # --- estimates -----------------------------------------------------------------------------

    @cached_property
    def _prior(self) -> tuple[Floats, Floats, Matrix]:
        return _priors(self.system, self.point[len(self.system.mean) :])

    @property
    def before(self) -> Floats:
        """Values as measured, nan where nothing but balances determines a quantity."""
        return self._prior[0]

    @property
    def before_sd(self) -> Floats:
        """Their standard deviations."""
        return self._prior[1]

    @cached_property
    def _seen(self) -> Flags:
        """Whether anything determines a cell."""
        measured = np.ones(len(self.adjusted.x), dtype=np.bool_)
        return np.concatenate([measured, self.adjusted.observable])[self.places]

    @cached_property
    def after(self) -> Floats:
        """Reconciled values, nan where nothing determines them."""
        return np.where(self._seen, self.point, np.nan)

    @cached_property
    def after_sd(self) -> Floats:
        """Their standard deviations."""
        return np.where(self._seen, self.deviations, np.nan)

    # --- tests ---------------------------------------------------------------------------------

    @cached_property
    def _lost(self) -> Flags:
        """Whether what measures a cell was rejected."""
        given = self._prior[2]
        return np.asarray((given[:, self.dropped] != 0).sum(axis=1) > 0).reshape(-1)

    @cached_property
    def _moved(self) -> Floats:
        """Variances of adjustments, 0 where nothing can be adjusted."""
        moved = self.before_sd**2 - self.after_sd**2
        moved[: len(self.adjusted.x)] = lengths(self.adjusted.moved) ** 2
        able = (moved > _STILL * self.before_sd**2) & ~self._lost
        return np.where(able, moved, 0.0)

    @cached_property
    def test(self) -> Floats:
        """Adjustments over their standard deviations, nan where nothing can be adjusted."""
        test, able = np.full(len(self.after), np.nan), self._moved > 0
        test[able] = (self.after - self.before)[able] / np.sqrt(self._moved[able])
        test[self.dropped] = [one.test for one in self.rejected]
        return test

    @cached_property
    def classes(self) -> npt.NDArray[np.str_]:
        """How each cell is known; what is measured by what was dropped is rejected."""
        known = np.isfinite(self.before_sd)
        return np.select(
            [
                self._lost,
                known & (self.before_sd == 0),
                known & (self._moved > 0),
                known,
                self._seen,
            ],
            ["rejected", "exact", "redundant", "not redundant", "observable"],
            "unobservable",
        )

    @property
    def p(self) -> float:
        """How likely the measurements are further from the balances, were there no gross error."""
        chi2, redundancy = self.adjusted.chi2, self.adjusted.redundancy
        return float(scipy.special.chdtrc(redundancy, chi2)) if redundancy else 1.0

    @property
    def plausible(self) -> bool:
        """Whether the global test shows no sign of gross errors."""
        return self.p >= 1 - self.level

    @property
    def critical(self) -> float:
        """The test that a measurement without gross error exceeds in 1 - level of all cases."""
        return float(scipy.special.ndtri(0.5 + self.level / 2))

    def beyond(self, test: float) -> bool:
        """Whether a local or nodal test exceeds the critical value."""
        return bool(abs(test) > self.critical)


def reconcile_scenario(scenario: Scenario, also: Iterable[str] = ()) -> Reconciled:
    """Return what least squares make of a scenario's measurements, and of other names."""
    return reconcile_system(system_of(scenario, also))


def reconcile_system(system: System) -> Reconciled:
    """Return what least squares make of a system."""
    entry = system.scenario.file.reconcile
    assert entry is not None
    found = Reconciled(system, _adjusted(system, ()), (), entry.level)
    while entry.eliminate and not found.plausible:
        worst = _worst(found)
        if worst is None:
            break
        rejected = (*found.rejected, worst)
        adjusted = _adjusted(system, [one.cell for one in rejected])
        found = Reconciled(system, adjusted, rejected, entry.level)
    return found


def _adjusted(system: System, dropped: Sequence[int]) -> Adjusted:
    """Solve the system without some of its measurements, which become unknown."""
    without = _without(system, dropped)
    try:
        start = np.concatenate([_start(system, without.size), system.mean[without.dropped]])
        return adjust(system.mean, without.factor, start, without.linearise)
    except ContradictionError as wrong:
        raise _contradiction(system, wrong) from None
    except NoConvergenceError as wrong:
        _, text = system.equation(wrong.equation)
        raise RunError(
            f"no values were found that satisfy all equations: after {wrong.steps} steps {text} "
            f"is open by {wrong.worst:.3g} of its largest term; look for a share beyond [0, 1] or "
            "start from measurements nearer to the balances"
        ) from None
    except NotSmoothError as wrong:
        message = f"an equation uses {wrong.operation}(), which least squares cannot follow"
        raise system.scenario.document.error(message, "reconcile") from None


def _start(system: System, size: int) -> Floats:
    """Return quantities as measured; those that are not start at the size of those that are."""
    with np.errstate(all="ignore"):
        before, _, _ = _priors(system, np.ones(size))
    found = before[len(system.mean) :]
    known = found[np.isfinite(found) & (found != 0)]
    return np.where(np.isfinite(found), found, np.median(np.abs(known)) if len(known) else 1.0)


def _without(system: System, dropped: Sequence[int]) -> _Without:
    size = sum(system.dims.size(system.dims_of[name]) for name in system.quantities)
    return _Without(system, np.array(dropped, dtype=np.int64), size)


@dataclass(frozen=True)
class _Without:
    """A system of which some measured cells count as unmeasured, after all others."""

    system: System
    dropped: npt.NDArray[np.int64]
    size: int

    @property
    def factor(self) -> Matrix:
        kept = np.ones(len(self.system.mean))
        kept[self.dropped] = 0.0
        return sp.csr_array(sp.diags_array(kept) @ self.system.factor)

    def linearise(self, x: Floats, y: Floats) -> Linear:
        point = np.concatenate([x, y[: self.size]])
        point[self.dropped] = y[self.size :]
        linear = self.system.linearise(point)
        by_y = sp.hstack([linear.by_y, linear.by_x[:, self.dropped]], format="csr")
        return replace(linear, by_y=by_y)


def _contradiction(system: System, wrong: ContradictionError) -> InputError:
    found = [system.equation(int(number)) for number in wrong.equations]
    texts = "; ".join(text for _, text in found)
    return InputError(
        f"exact values contradict each other by {wrong.gap:.4g}: {texts}; give one of the values "
        "an uncertainty, or leave it open",
        found[0][0].where,
    )


def _priors(system: System, y: Floats) -> tuple[Floats, Floats, Matrix]:
    """Return every cell as parameters alone have it, its sd, and its derivatives by them."""
    known = system.known(np.concatenate([system.mean, y]))
    count = len(system.mean)
    before = np.concatenate([system.mean, np.full(len(y), np.nan)])
    given = {name: sp.csr_array(known[name].by[:, :count]) for name in system.spans}
    for name, expression in system.priors.items():
        if name in system.quantities:
            slope = differentiate(expression, known, system.dims, count + len(y))
            rows = rows_in(expression.dims, system.dims_of[name], system.dims)
            before[system.spans[name]] = slope.value.reshape(-1)[rows]
            given[name] = slope.by[rows][:, :count]
    by = sp.csr_array(sp.vstack([*given.values()], format="csr"))
    return before, np.where(np.isnan(before), np.nan, lengths(by @ system.factor)), by


@dataclass(frozen=True)
class Adjustment:
    """One cell as measured and as reconciled, in the unit in which people read it."""

    quantity: str
    unit: str
    before: float
    before_sd: float
    after: float
    after_sd: float
    shift: float
    test: float
    known: str


def adjustments(found: Reconciled) -> Iterator[Adjustment]:
    """Yield every cell in the units of the scenario; ``shift`` is in sd as measured."""
    system = found.system
    for name, span in system.spans.items():
        unit, factor = unit_of(found, name)
        for cell, title in zip(
            range(span.start, span.stop), system.cell_names([name]), strict=True
        ):
            before, sd = float(found.before[cell]), float(found.before_sd[cell])
            after = float(found.after[cell])
            yield Adjustment(
                quantity=title,
                unit=unit,
                before=before / factor,
                before_sd=sd / factor,
                after=after / factor,
                after_sd=float(found.after_sd[cell]) / factor,
                shift=(after - before) / sd if sd > 0 else float("nan"),
                test=float(found.test[cell]),
                known=str(found.classes[cell]),
            )


def unit_of(found: Reconciled, name: str) -> tuple[str, float]:
    """Return the unit in which a name is shown, and what one of it is in the model."""
    scenario = found.system.scenario
    if name in scenario.parameters:
        return scenario.parameters[name].unit, scenario.parameters[name].factor
    units = scenario.units
    return units.name(units.flow if name in scenario.file.flows else units.stock), 1.0


def _worst(found: Reconciled) -> Rejected | None:
    """Return the measurement with the largest test, if it is beyond the critical value."""
    tests = np.nan_to_num(np.abs(found.test[: len(found.system.mean)]))
    tests[found.dropped] = 0.0
    cell = int(tests.argmax())
    if not found.beyond(tests[cell]):
        return None
    alike = _alike(found.adjusted.moved, cell)
    # Of those that look alike, the one whose error is the smallest in its own deviations.
    share = lengths(found.adjusted.moved)[alike] / lengths(found.system.factor)[alike]
    chosen = int(alike[np.argmax(share)])
    others = tuple(int(n) for n in alike if n != chosen)
    return Rejected(chosen, float(found.test[chosen]), others)


def _alike(moved: Matrix, cell: int) -> Integers:
    """Return the measurements whose adjustments go along with that of a cell, and the cell."""
    size = lengths(moved)
    along = np.asarray((moved @ moved[[cell]].T).todense()).reshape(-1)
    return np.flatnonzero((np.abs(along) > _ALIKE * size * size[cell]) & (size > 0))
