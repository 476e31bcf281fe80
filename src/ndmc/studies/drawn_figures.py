"""Published figures of a scenario that is drawn: percentiles of each figure over draws."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from ndmc.engine.evaluation import evaluate
from ndmc.model import compile_plan
from ndmc.plan.steps import Formula, Plan
from ndmc.scenario.expressions import Expression
from ndmc.scenario.operations import evaluate_expression
from ndmc.scenario.scenario import Scenario
from ndmc.store.ranks import quantile_of_sorted
from ndmc.store.store import Store
from ndmc.studies.figures import NOT_KEPT, Comparison, Modelled, compare, unit_factor, view_of
from ndmc.typing import Floats

#: Draws of all figures are kept until they are ranked.
MOST_DRAWS = 100_000

_BLOCK = 8192


def compare_drawn(scenario: Scenario, draws: int, seed: int) -> list[Comparison]:
    """Evaluate a scenario in memory and compare it with its figures.

    Raises
    ------
    InputError
        If a figure cannot be computed.

    Examples
    --------
    >>> from ndmc.scenario.load import load
    >>> compare_drawn(load("two_stage_hoard"), 100, 1)[0].verdict
    'met'
    """
    plan = _plan_of(scenario)
    blocks = (range(n, min(n + _BLOCK, draws)) for n in range(0, draws, _BLOCK))
    drawn = (evaluate(plan, seed, block) for block in blocks)
    return _compare(scenario, _expressions(plan), drawn)


def compare_stored(scenario: Scenario, store: Store) -> list[Comparison]:
    """Compare the kept draws of a complete store with the figures of its scenario.

    Raises
    ------
    InputError
        If a figure cannot be computed.
    """
    expressions = _expressions(_plan_of(scenario))
    kept = {n: e for n, e in expressions.items() if e.names <= store.outputs.keys()}
    return _compare(scenario, expressions, _stored(store, kept))


def _stored(store: Store, expressions: Mapping[str, Expression]) -> Iterator[dict[str, Floats]]:
    needed = set().union(*(e.names for e in expressions.values()))
    draws = min(store.spec.draws, MOST_DRAWS)
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


def _plan_of(scenario: Scenario) -> Plan:
    """Return a plan that computes the quantities of all figures and nothing else."""
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
    expressions: Mapping[str, Expression],
    blocks: Iterable[Mapping[str, Floats]],
) -> list[Comparison]:
    figures = {_title(n): figure for n, figure in enumerate(scenario.figures)}
    views = {n: view_of(figures[n], e, scenario.dims) for n, e in expressions.items()}
    drawn = defaultdict[str, list[Floats]](list)
    for block in blocks:
        for name, values in block.items():
            drawn[name].append(np.atleast_1d(views[name].apply(values)).reshape(-1))
    modelled = {
        name: Modelled(missing=NOT_KEPT if name in expressions else "not modelled")
        for name in figures
    }
    for name, parts in drawn.items():
        factor = unit_factor(scenario, figures[name], expressions[name])
        modelled[name] = _modelled(np.concatenate(parts) / factor)
    return [compare(scenario, figures[name], modelled[name]) for name in figures]


def _modelled(values: Floats) -> Modelled:
    """Return the percentiles of draws, and their standard deviation over their mean."""
    values.sort()
    low, median, high = (quantile_of_sorted(values, q) for q in (0.025, 0.5, 0.975))
    with np.errstate(divide="ignore", invalid="ignore"):  # of 0, and of what never happens
        sd = 0.0 if values[0] == values[-1] else values.std()
        cv = float(sd / abs(values.mean()))
    return Modelled(median, low, high, cv)
