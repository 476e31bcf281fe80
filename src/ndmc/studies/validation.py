"""Hold a model against published figures, honestly: every figure is shown, met or not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ndmc.engine.evaluation import evaluate
from ndmc.errors import InputError
from ndmc.model import compile_plan
from ndmc.plan.steps import Formula, Plan
from ndmc.runs.replay import scenario_of
from ndmc.scenario.expressions import Expression
from ndmc.scenario.load import as_scenario, load
from ndmc.scenario.operations import evaluate_expression
from ndmc.scenario.scenario import Scenario
from ndmc.store.address import place_of
from ndmc.store.keys import ROOT
from ndmc.store.ranks import quantile_of_sorted
from ndmc.store.store import Store, open_store
from ndmc.studies.figures import Comparison, Estimate, compare, tolerances, unit_factor, view_of
from ndmc.typing import Floats

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Validation", "compare_scenario", "compare_source", "compare_store", "validate"]

_MOST_DRAWS = 100_000

_BLOCK = 8192


@dataclass(frozen=True)
class Stated:
    """Of so many ``figures`` with a stated uncertainty, how many are met ``within`` it.

    The model has the same uncertainty itself of ``tight`` to the tolerance of targets, and of
    ``loose`` to that of soft targets.
    """

    figures: int
    within: int
    tight: int
    loose: int


@dataclass(frozen=True)
class Validation:
    """Every published figure of a scenario beside the model, under a variant or none ("").

    ``tolerance`` is the share by status to which figures are to be met. ``worst`` is the largest
    open equation as a share of its largest term if the model is reconciled, None if it is drawn.
    """

    comparisons: list[Comparison]
    variant: str
    tolerance: dict[str, float]
    worst: float | None = None

    def of(self, status: str) -> list[Comparison]:
        """Return the figures of a status."""
        return [one for one in self.comparisons if one.status == status]

    def met(self, status: str) -> int:
        """Return how many figures of a status are met."""
        return sum(one.verdict == "met" for one in self.of(status))

    def stated(self, *, inputs: bool) -> Stated:
        """Return how figures with a stated uncertainty fare: inputs of the model, or the others."""
        chosen = [c for c in self.comparisons if c.within and (c.status == "input") == inputs]
        off = [abs(c.cv_deviation) for c in chosen]
        return Stated(
            figures=len(chosen),
            within=sum(c.within == "yes" for c in chosen),
            tight=sum(one <= self.tolerance["target"] for one in off),
            loose=sum(one <= self.tolerance["soft"] for one in off),
        )


def validate(
    source: Scenario | str | Path,
    *,
    draws: int = 10_000,
    seed: int = 1,
    variant: str | None = None,
    changes: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Compare the model with every published figure of a scenario.

    Parameters
    ----------
    source
        A loaded scenario, which is compared as it is, what `load` takes, or the path of a store.
    draws, seed
        Draws to compute, for a scenario that is not reconciled. A store is judged by its own.
    variant
        Variant to compare; the one the scenario names for this if None, ``""`` for none.
    changes
        As in `load`; like ``variant`` only where ``source`` is a scenario that is not loaded yet.

    Returns
    -------
    pandas.DataFrame
        One row per figure: published value and relative standard deviation (``uncertainty``),
        model median, 95 % range and relative standard deviation (``cv``), status and verdict,
        ``deviation`` and ``cv_deviation`` of the model from what is published, as shares of it, and
        whether the model lies ``within`` the published 95 % range. For a scenario with a
        ``reconcile`` section these are reconciled estimates, and ``class`` is how each is known.
        The attributes hold the variant, the tolerances by status and, of a reconciled scenario,
        the largest open equation as a share of its largest term.

    Raises
    ------
    InputError
        If the scenario publishes no figures, or a figure cannot be computed.
    RunError
        If the equations of ``reconcile`` are not linear and no solution is found.

    Examples
    --------
    >>> table = validate("china_nd", draws=500)
    >>> int((table.status == "target").sum())
    18
    """
    import pandas as pd

    found = compare_source(source, draws, seed, variant, changes)
    table = pd.DataFrame([comparison.row() for comparison in found.comparisons])
    about = {"variant": found.variant, "tolerance": found.tolerance, "worst_balance": found.worst}
    table.attrs |= about
    return table


def compare_source(
    source: Scenario | str | Path,
    draws: int,
    seed: int,
    variant: str | None = None,
    changes: Mapping[str, str] | None = None,
) -> Validation:
    """Compare a store or a scenario with its published figures."""
    if not isinstance(source, Scenario) and place_of(source).exists(ROOT):
        if variant or changes:
            message = "a store is compared as it was run; variant and changes are for a scenario"
            raise InputError(message, f"{source}")
        return compare_store(open_store(source))
    scenario = as_scenario(source, variant=variant or "", changes=changes)
    published = scenario.file.published
    if variant is None and published and published.variant and not isinstance(source, Scenario):
        scenario = load(source, variant=published.variant, changes=changes)
    return compare_scenario(scenario, draws, seed)


def compare_scenario(scenario: Scenario, draws: int, seed: int) -> Validation:
    """Reconcile a scenario, or evaluate it in memory, and compare it with its figures."""
    if scenario.file.published is None:
        raise InputError(f"{scenario.name} publishes no figures; add a 'published' section")
    if scenario.file.reconcile is not None:
        from ndmc.studies.reconciled_figures import compare_reconciled  # imports SciPy

        comparisons, worst = compare_reconciled(scenario)
        return Validation(comparisons, scenario.variant, tolerances(scenario), worst)
    if not 1 <= draws <= _MOST_DRAWS:
        raise InputError(f"{draws} draws; validation takes 1 to {_MOST_DRAWS}", "-n")
    plan = _figure_plan(scenario)
    blocks = (range(n, min(n + _BLOCK, draws)) for n in range(0, draws, _BLOCK))
    drawn = _compare(scenario, plan, (evaluate(plan, block, seed=seed) for block in blocks))
    return Validation(drawn, scenario.variant, tolerances(scenario))


def compare_store(store: Store) -> Validation:
    """Compare the kept draws of a store with the published figures of its scenario."""
    scenario = scenario_of(store)
    if scenario.file.published is None:
        raise InputError(f"{scenario.name} publishes no figures", store.path)
    if not store.complete:
        raise InputError("the run is not complete", store.path)
    plan = _figure_plan(scenario)
    kept = {name for name, output in store.outputs.items()}
    expressions = {name: e for name, e in _expressions(plan).items() if e.names <= kept}
    drawn = _compare(scenario, plan, _stored(store, expressions), expressions)
    return Validation(drawn, store.attrs["variant"], tolerances(scenario))


def _stored(store: Store, expressions: Mapping[str, Expression]) -> Iterator[dict[str, Floats]]:
    needed = set().union(*(e.names for e in expressions.values()))
    draws = min(store.spec.draws, _MOST_DRAWS)
    for first in range(0, draws, _BLOCK):
        part = slice(first, min(first + _BLOCK, draws))
        values = {
            name: np.ascontiguousarray(store.read(name, part), dtype=np.float64)
            / store.outputs[name].scale
            for name in needed
        }
        yield {name: evaluate_expression(e, values) for name, e in expressions.items()}


def _title(number: int) -> str:
    return f"figure {number}"


def _figure_plan(scenario: Scenario) -> Plan:
    quantities = {
        _title(n): (figure.entry.quantity, figure.where)
        for n, figure in enumerate(scenario.figures)
        if figure.entry.quantity
    }
    return compile_plan(scenario, [], quantities)


def _expressions(plan: Plan) -> dict[str, Expression]:
    names = {output.name for output in plan.outputs}
    steps = (*plan.fixed, *plan.steps)
    return {s.target: s.expression for s in steps if isinstance(s, Formula) and s.target in names}


def _compare(
    scenario: Scenario,
    plan: Plan,
    blocks: Iterator[dict[str, Any]],
    computed: Mapping[str, Expression] | None = None,
) -> list[Comparison]:
    expressions = _expressions(plan)
    computed = expressions if computed is None else computed
    numbers = {_title(n): figure for n, figure in enumerate(scenario.figures)}
    views = {
        name: view_of(numbers[name], expression, scenario.dims)
        for name, expression in expressions.items()
    }
    found: dict[str, list[Floats]] = {name: [] for name in computed}
    for block in blocks:
        for name in computed:
            found[name].append(np.atleast_1d(views[name].apply(block[name])).reshape(-1))
    estimates = {name: Estimate(missing="not kept") for name in expressions}
    for name, parts in found.items():
        factor = unit_factor(scenario, numbers[name], expressions[name])
        estimates[name] = _estimate(np.concatenate(parts) / factor)
    return [
        compare(scenario, figure, estimates.get(name, Estimate(missing="not modelled")))
        for name, figure in numbers.items()
    ]


def _estimate(values: Floats) -> Estimate:
    """Return the percentiles of draws, and their standard deviation over their mean."""
    values.sort()
    low, median, high = (quantile_of_sorted(values, q) for q in (0.025, 0.5, 0.975))
    with np.errstate(divide="ignore", invalid="ignore"):  # of 0, and of what never happens
        cv = float(values.std() / abs(values.mean()))
    return Estimate(median, low, high, cv)
