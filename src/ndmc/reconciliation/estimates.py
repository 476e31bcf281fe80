"""Reconcile what is measured with the balances of a scenario: estimates, classes and tests.

Laws of least squares: Cencic 2016 (STAN); classes and tests as in VDI 2048.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
import scipy.special

from ndmc.dims import rows_in
from ndmc.errors import InputError, RunError
from ndmc.reconciliation.derivatives import NotSmoothError, differentiate
from ndmc.reconciliation.equations import System, system_of
from ndmc.reconciliation.least_squares import (
    Adjusted,
    ContradictionError,
    Linear,
    NoConvergenceError,
    adjust,
    redundant_equations,
)
from ndmc.scenario.scenario import Scenario
from ndmc.typing import Floats, Matrix

__all__ = [
    "Equation",
    "Reconciled",
    "Rejected",
    "Row",
    "equations",
    "reconcile_scenario",
    "rows",
    "unit_of",
]

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

    ``before`` is nan where nothing but balances determines a quantity; ``after`` where nothing
    does. ``test`` is the adjustment over its standard deviation, nan where nothing can be adjusted.

    ``point`` is where all equations hold, with any value that they allow for what nothing
    determines. ``spread`` is a factor of the covariance of all cells there, [cell, error], and the
    columns of ``hidden`` are the directions that no equation sees, [cell, direction].
    """

    system: System
    before: Floats
    before_sd: Floats
    after: Floats
    after_sd: Floats
    test: Floats
    classes: npt.NDArray[np.str_]
    chi2: float
    redundancy: int
    steps: int
    worst: float
    level: float
    rejected: tuple[Rejected, ...]
    point: Floats
    spread: Matrix
    hidden: Matrix
    adjusted: Adjusted
    places: npt.NDArray[np.int64]

    @property
    def gain(self) -> Matrix:
        """How all cells move to close equations, [cell, equation]."""
        return self.adjusted.gain[self.places]

    @property
    def deviations(self) -> Floats:
        """Standard deviations of all cells at ``point``, of those that nothing determines too."""
        return _lengths(self.spread)

    @property
    def p(self) -> float:
        """How likely the measurements are further from the balances, were there no gross error."""
        return float(scipy.special.chdtrc(self.redundancy, self.chi2)) if self.redundancy else 1.0

    @property
    def critical(self) -> float:
        """The test that a measurement without gross error exceeds in 1 - level of all cases."""
        return float(scipy.special.ndtri(0.5 + self.level / 2))


def reconcile_scenario(scenario: Scenario, also: Iterable[str] = ()) -> Reconciled:
    """Return what least squares make of a scenario's measurements, and of other names."""
    system = system_of(scenario, also)
    entry = scenario.file.reconcile
    assert entry is not None
    found, dropped = _adjusted(system, ()), list[Rejected]()
    result = _result(system, found, dropped, entry.level)
    while entry.eliminate and result.p < 1 - entry.level:
        worst = _worst(system, found, result)
        if worst is None:
            break
        dropped.append(worst)
        found = _adjusted(system, [one.cell for one in dropped])
        result = _result(system, found, dropped, entry.level)
    return result


def _adjusted(system: System, dropped: Any) -> Adjusted:
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


def _without(system: System, dropped: Any) -> _Without:
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
        x = x.copy()
        x[self.dropped] = y[self.size :]
        linear = self.system.linearise(x, y[: self.size])
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


def _result(system: System, found: Adjusted, dropped: list[Rejected], level: float) -> Reconciled:
    """Return estimates, classes and tests of every cell."""
    cells = [one.cell for one in dropped]
    count = len(found.x)
    places = _places(count, len(found.y), cells)
    point = np.concatenate([found.x, found.y])[places]
    spread = found.whole_spread[places]
    unseen = sp.csr_array((count, found.hidden.shape[1]))
    hidden = sp.vstack([unseen, found.hidden], format="csr")[places]
    seen = np.concatenate([np.ones(count, dtype=np.bool_), found.observable])[places]
    before, before_sd, given = _priors(system, point[count:])
    after, after_sd = np.where(seen, point, np.nan), np.where(seen, _lengths(spread), np.nan)
    moved = before_sd**2 - after_sd**2
    moved[:count] = _lengths(found.moved) ** 2
    lost = np.asarray((given[:, cells] != 0).sum(axis=1) > 0).reshape(-1)
    able = (moved > _STILL * before_sd**2) & ~lost
    test = np.full(len(after), np.nan)
    test[able] = (after - before)[able] / np.sqrt(moved[able])
    test[cells] = [one.test for one in dropped]
    linear = system.linearise(point[:count], point[count:])
    return Reconciled(
        system=system,
        before=before,
        before_sd=before_sd,
        after=after,
        after_sd=after_sd,
        test=test,
        classes=_classes(before_sd, able, seen, lost),
        chi2=found.chi2,
        redundancy=found.redundancy,
        steps=found.steps,
        worst=float(np.abs(linear.residual).max(initial=0.0) / (linear.size.max(initial=0.0) or 1)),
        level=level,
        rejected=tuple(dropped),
        point=point,
        spread=spread,
        hidden=hidden,
        adjusted=found,
        places=places,
    )


def _places(measured: int, others: int, dropped: list[int]) -> npt.NDArray[np.int64]:
    """Return where each cell stands among x and y: those dropped stand after all others."""
    places = np.arange(measured + others - len(dropped))
    places[dropped] = len(places) + np.arange(len(dropped))
    return places


def _lengths(matrix: Matrix) -> Floats:
    return np.asarray(np.sqrt(matrix.power(2).sum(axis=1))).reshape(-1)


def _priors(system: System, y: Floats) -> tuple[Floats, Floats, Matrix]:
    """Return every cell as parameters alone have it, its sd, and its derivatives by them."""
    known = system.known(system.mean, y)
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
    return before, np.where(np.isnan(before), np.nan, _lengths(by @ system.factor)), by


def _classes(
    before_sd: Floats,
    able: npt.NDArray[np.bool_],
    seen: npt.NDArray[np.bool_],
    lost: npt.NDArray[np.bool_],
) -> npt.NDArray[np.str_]:
    """Say of each cell how it is known; what is measured by what was dropped is rejected."""
    known = np.isfinite(before_sd)
    return np.select(
        [lost, known & (before_sd == 0), known & able, known, seen],
        ["rejected", "exact", "redundant", "not redundant", "observable"],
        "unobservable",
    )


@dataclass(frozen=True)
class Row:
    """One cell, as people read it."""

    quantity: str
    unit: str
    before: float
    before_sd: float
    after: float
    after_sd: float
    shift: float
    test: float
    known: str


def rows(found: Reconciled) -> Iterator[Row]:
    """Yield every cell in the units of the scenario; ``shift`` is in sd as measured."""
    system = found.system
    for name, span in system.spans.items():
        unit, factor = unit_of(found, name)
        for cell, title in zip(
            range(span.start, span.stop), system.cell_names([name]), strict=True
        ):
            before, sd = float(found.before[cell]), float(found.before_sd[cell])
            after = float(found.after[cell])
            yield Row(
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


@dataclass(frozen=True)
class Equation:
    """An equation without unmeasured quantities, and how far the measurements leave it open."""

    equation: str
    unit: str
    open: float
    open_sd: float
    test: float


def equations(found: Reconciled) -> list[Equation]:
    """Return the equations that test the measurements, in the order of the scenario.

    Each is named by those that it takes together, the first of them taken once; those that only
    say what one quantity is go without saying. ``open`` is what enters a process beyond what
    leaves, or a quantity beyond what it is said to be: as measured, linear from the solution on.
    """
    system = found.system
    without = _without(system, [one.cell for one in found.rejected])
    tested = redundant_equations(found.adjusted, system.mean, without.factor)
    plain = np.asarray((found.adjusted.linear.by_y != 0).sum(axis=1)).reshape(-1) == 1
    # Of no rows np.split makes one, which zip drops.
    taken = np.split(tested.combined.indices, tested.combined.indptr[1:-1])
    name = system.scenario.units.name
    return [
        Equation(
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


def unit_of(found: Reconciled, name: str) -> tuple[str, float]:
    """Return the unit in which a name is shown, and what one of it is in the model."""
    scenario = found.system.scenario
    if name in scenario.parameters:
        return scenario.parameters[name].unit, scenario.parameters[name].factor
    units = scenario.units
    return units.name(units.flow if name in scenario.file.flows else units.stock), 1.0


def _worst(system: System, found: Adjusted, result: Reconciled) -> Rejected | None:
    """Return the measurement with the largest test, if it is beyond the critical value."""
    measured = len(system.mean)
    tests = np.nan_to_num(np.abs(result.test[:measured]))
    tests[[one.cell for one in result.rejected]] = 0.0
    cell = int(tests.argmax())
    if tests[cell] <= result.critical:
        return None
    alike = _alike(found, cell)
    # Of those that look alike, the one whose error is the smallest in its own deviations.
    share = _lengths(found.moved)[alike] / _lengths(system.factor)[alike]
    chosen = int(alike[np.argmax(share)])
    others = tuple(int(n) for n in alike if n != chosen)
    return Rejected(chosen, float(result.test[chosen]), others)


def _alike(found: Adjusted, cell: int) -> npt.NDArray[np.int64]:
    """Return the measurements whose adjustments go along with that of a cell, and the cell."""
    lengths = _lengths(found.moved)
    along = np.asarray((found.moved @ found.moved[[cell]].T).todense()).reshape(-1)
    return np.flatnonzero((np.abs(along) > _ALIKE * lengths * lengths[cell]) & (lengths > 0))
