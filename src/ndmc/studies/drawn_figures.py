"""Published figures of a scenario that is drawn: percentiles of each figure over draws."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from ndmc.engine.evaluation import evaluate
from ndmc.engine.tile_width import tile_width
from ndmc.model import compile_plan
from ndmc.plan.steps import Formula, Plan, one_by_one
from ndmc.plan.years import years_among
from ndmc.scenario.expressions import Expression
from ndmc.scenario.operations import evaluate_expression
from ndmc.scenario.scenario import Figure, Scenario
from ndmc.store.exceedance import limits_of
from ndmc.store.ranks import quantile_of_sorted
from ndmc.store.store import Store
from ndmc.studies.claims import Claim, claim_of
from ndmc.studies.figures import (
    NOT_KEPT,
    OTHER_VARIANT,
    Comparison,
    Modelled,
    Quantity,
    compare,
    unit_factor,
    view_of,
)
from ndmc.typing import Floats

#: Draws of all figures are kept until they are ranked.
MOST_DRAWS = 100_000

#: So many draws are evaluated at a time, fewer where their values take more than so many bytes.
_BLOCK, _BYTES = 8192, 2**27


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
    blocks = _blocks(draws, plan.cells, tile_width(plan)) if plan.outputs else ()
    drawn = (evaluate(plan, seed, block) for block in blocks)
    return _compare(scenario, _quantities(plan), drawn)


def compare_stored(scenario: Scenario, store: Store) -> list[Comparison]:
    """Compare the kept draws of a complete store with the figures of its scenario.

    Raises
    ------
    InputError
        If a figure cannot be computed.
    """
    quantities = _quantities(_plan_of(scenario))
    expressions = {name: quantity.expression for name, quantity in quantities.items()}
    kept = {n: e for n, e in expressions.items() if e.names <= store.outputs.keys()}
    return _compare(scenario, quantities, _stored(store, kept))


def compare_missing(scenario: Scenario, store: Store) -> list[Comparison]:
    """Return the figures of a scenario that the store of another variant says nothing of."""
    return [compare(scenario, f, None, Modelled(missing=OTHER_VARIANT)) for f in scenario.figures]


def _stored(store: Store, expressions: Mapping[str, Expression]) -> Iterator[dict[str, Floats]]:
    needed = set().union(*(e.names for e in expressions.values()))
    draws = min(store.spec.draws, MOST_DRAWS)
    cells = sum(store.dims.size(store.outputs[name].dims) for name in needed)
    for block in _blocks(draws, cells):
        part = slice(block.start, block.stop)
        values = {
            name: np.ascontiguousarray(store.read(name, part), dtype=np.float64)
            / store.outputs[name].scale
            for name in needed
        }
        yield {name: evaluate_expression(e, values) for name, e in expressions.items()}


def _blocks(draws: int, cells: int, least: int = 1) -> Iterator[range]:
    """Yield draws in as large blocks as fit, whole tiles of ``least`` draws."""
    size = max(min(_BLOCK, _BYTES // (8 * max(cells, 1))) // least, 1) * least
    return (range(first, min(first + size, draws)) for first in range(0, draws, size))


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


def _quantities(plan: Plan) -> dict[str, Quantity]:
    steps = (*plan.fixed, *plan.steps)
    names, years = {output.name for output in plan.outputs}, years_among(one_by_one(steps))
    formulas = [step for step in steps if isinstance(step, Formula) and step.target in names]
    return {one.target: Quantity(one.expression, one.target in years) for one in formulas}


def _compare(
    scenario: Scenario, quantities: Mapping[str, Quantity], blocks: Iterable[Mapping[str, Floats]]
) -> list[Comparison]:
    figures = {_title(n): figure for n, figure in enumerate(scenario.figures)}
    views = {n: view_of(figures[n], q.expression, scenario.dims) for n, q in quantities.items()}
    drawn = defaultdict[str, list[Floats]](list)
    for block in blocks:
        for name, values in block.items():
            own = np.array(views[name].apply(values))  # no view, which would keep all of the block
            drawn[name].append(own.reshape(-1))
    modelled = {
        name: Modelled(missing=NOT_KEPT if name in quantities else "not modelled")
        for name in figures
    }
    for name, parts in drawn.items():
        factor = unit_factor(scenario, figures[name], quantities[name].expression)
        modelled[name] = _modelled(figures[name], np.concatenate(parts) / factor)
    return [compare(scenario, f, quantities.get(n), modelled[n]) for n, f in figures.items()]


def _modelled(figure: Figure, values: Floats) -> Modelled:
    """Return the percentiles of draws, and their standard deviation over their mean."""
    claim = claim_of(figure)
    if claim.is_probability:
        return _share_of_draws(claim, values)
    values.sort()
    low, median, high = (quantile_of_sorted(values, q) for q in (0.025, 0.5, 0.975))
    with np.errstate(divide="ignore", invalid="ignore"):  # of 0, and of what never happens
        sd = 0.0 if values[0] == values[-1] else values.std()
        cv = float(sd / abs(values.mean()))
    return Modelled(median, low, high, cv)


def _share_of_draws(claim: Claim, values: Floats) -> Modelled:
    """Return in how many draws of a hundred a quantity is where a figure has it, with limits."""
    inside = values > claim.above
    if claim.below < math.inf:  # or what never happens would be in no range
        inside &= values < claim.below
    share = np.mean(inside)
    low, high = (100 * float(limit[0]) for limit in limits_of(np.array([share]), len(values)))
    return Modelled(100 * float(share), low, high)
