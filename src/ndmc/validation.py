"""Hold a model against published figures, honestly: every figure is shown, met or not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ndmc.dims import Dims, Floats
from ndmc.errors import InputError, nearest
from ndmc.evaluation import evaluate
from ndmc.expressions import Expression, evaluate_expression
from ndmc.place import place_of
from ndmc.plan import compile_plan
from ndmc.quantiles import View, quantile_of_sorted
from ndmc.replay import scenario_of
from ndmc.scenario import Figure, Scenario, load
from ndmc.steps import Formula, Plan
from ndmc.store import Store, open_store
from ndmc.units import NONE, TIME, Dimension, UnitError, parse_amount

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Comparison", "compare_scenario", "compare_store", "validate"]

_MOST_DRAWS = 100_000
_BLOCK = 8192


@dataclass(frozen=True)
class Comparison:
    """A published figure and the model's median and 95 % range, in the figure's unit.

    ``verdict`` is met or missed for targets and soft targets, reported for what is only shown,
    and says why where the model has no such number.
    """

    id: str
    quantity: str
    at: str
    published: float
    unit: str
    median: float
    low: float
    high: float
    status: str
    verdict: str
    note: str
    where: str

    @property
    def deviation(self) -> float:
        """Model median over published, less one."""
        return self.median / self.published - 1 if self.published else float("nan")


def validate(
    source: str | Path, *, draws: int = 10_000, seed: int = 1, variant: str | None = None
) -> pd.DataFrame:
    """Compare the model with every published figure of a scenario.

    Parameters
    ----------
    source
        A scenario, as in `load`, or the path of a store.
    draws, seed
        Draws to compute, for a scenario. A store is judged by its own.
    variant
        Variant to compare; the one the scenario names for this if None, ``""`` for none.

    Returns
    -------
    pandas.DataFrame
        One row per figure: published value, model median and 95 % range, status and verdict.

    Raises
    ------
    InputError
        If the scenario publishes no figures, or a figure cannot be computed.

    Examples
    --------
    >>> table = validate("china_nd", draws=500)
    >>> int((table.status == "target").sum())
    18
    """
    import pandas as pd

    comparisons = (
        compare_store(open_store(source))
        if is_store(source)
        else compare_scenario(source, draws, seed, variant)
    )
    return pd.DataFrame([{**c.__dict__, "deviation": c.deviation} for c in comparisons])


def is_store(source: str | Path) -> bool:
    """Whether a path looks like a Zarr store rather than a scenario."""
    return place_of(source).exists("zarr.json")


def compare_scenario(
    source: str | Path, draws: int, seed: int, variant: str | None
) -> list[Comparison]:
    """Evaluate a scenario in memory and compare it with its published figures."""
    scenario = load(source)
    if scenario.file.published is None:
        raise InputError(f"{scenario.name} publishes no figures; add a 'published' section")
    if not 1 <= draws <= _MOST_DRAWS:
        raise InputError(f"{draws} draws; validation takes 1 to {_MOST_DRAWS}", "-n")
    chosen = scenario.file.published.variant if variant is None else variant
    if chosen:
        scenario = load(source, variant=chosen)
    plan = _figure_plan(scenario)
    blocks = (range(n, min(n + _BLOCK, draws)) for n in range(0, draws, _BLOCK))
    return _compare(scenario, plan, (evaluate(plan, seed, block) for block in blocks))


def compare_store(store: Store) -> list[Comparison]:
    """Compare the kept draws of a store with the published figures of its scenario."""
    scenario = scenario_of(store)
    if scenario.file.published is None:
        raise InputError(f"{scenario.name} publishes no figures", store.path)
    if not store.complete:
        raise InputError("the run is not complete", store.path)
    plan = _figure_plan(scenario)
    kept = {name for name, output in store.outputs.items()}
    expressions = {name: e for name, e in _expressions(plan).items() if e.names <= kept}
    return _compare(scenario, plan, _stored(store, expressions), expressions)


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
        name: _view(numbers[name], expression, scenario.dims)
        for name, expression in expressions.items()
    }
    found: dict[str, list[Floats]] = {name: [] for name in computed}
    for block in blocks:
        for name in computed:
            found[name].append(np.atleast_1d(views[name].apply(block[name])).reshape(-1))
    return [
        _comparison(scenario, figure, found.get(name), expressions.get(name))
        for name, figure in numbers.items()
    ]


def _view(figure: Figure, expression: Expression, dims: Dims) -> View:
    """Return the view that reduces a quantity to one number per draw."""
    picked = _at(figure)
    for dim in (*picked, *figure.entry.over):
        if dim not in expression.dims:
            message = (
                f"{figure.entry.quantity!r} has no dim {dim!r}; {nearest(dim, expression.dims)}"
            )
            raise InputError(message, figure.where)
    left = [dim for dim in expression.dims if dim not in picked and dim not in figure.entry.over]
    if left:
        raise InputError(
            f"{figure.entry.quantity!r} still has the dim {left[0]!r}; say {left[0]}=... under "
            "'at', or put it under 'over'",
            figure.where,
        )
    positions = []
    for dim in expression.dims:
        positions.append(_positions(figure, dims, dim, picked.get(dim)))
    return View(figure.entry.quantity, expression.dims, tuple(positions), expression.dims)


def _at(figure: Figure) -> dict[str, str]:
    at = figure.entry.at
    if isinstance(at, dict):
        return dict(at)
    pairs = [part.partition("=") for part in at.split()]
    broken = [dim for dim, equals, label in pairs if not (equals and label)]
    if broken:
        raise InputError(f"at is {at!r}; write dim=label pairs such as year=2021", figure.where)
    return {dim: label for dim, _, label in pairs}


def _positions(figure: Figure, dims: Dims, dim: str, label: str | None) -> tuple[int, ...]:
    if label is None:
        return tuple(range(len(dims.labels[dim])))
    first, dots, last = label.partition("..")
    try:
        if dim == "year" and dots:
            return tuple(range(dims.positions(dim, first)[0], dims.positions(dim, last)[0] + 1))
        return dims.positions(dim, label)
    except KeyError as unknown:
        message = f"{dim} has no label {unknown.args[0]!r}; {nearest(label, dims.known(dim))}"
        raise InputError(message, figure.where) from None


def _comparison(
    scenario: Scenario,
    figure: Figure,
    draws: list[Floats] | None,
    expression: Expression | None,
) -> Comparison:
    entry = figure.entry
    published, unit = _amount(figure)
    median = low = high = float("nan")
    verdict = "not modelled" if expression is None else "not kept"
    if expression is not None and draws is not None:
        factor = _factor(scenario, figure, unit, expression.dimension or NONE)
        values = np.concatenate(draws) / factor
        values.sort()
        low, median, high = (quantile_of_sorted(values, q) for q in (0.025, 0.5, 0.975))
        verdict = _verdict(scenario, entry.status, median / published - 1 if published else 0.0)
    return Comparison(
        id=entry.id,
        quantity=entry.quantity or entry.note,
        at=" ".join(f"{dim}={label}" for dim, label in _at(figure).items()),
        published=published,
        unit=unit,
        median=median,
        low=low,
        high=high,
        status=entry.status,
        verdict=verdict,
        note=entry.note,
        where=figure.where,
    )


def _verdict(scenario: Scenario, status: str, deviation: float) -> str:
    published = scenario.file.published
    if published is None or status not in ("target", "soft"):
        return "reported"
    tolerance = {"target": 0.10, "soft": 0.20} | dict(published.tolerance)
    return "met" if abs(deviation) <= tolerance[status] else "missed"


def _amount(figure: Figure) -> tuple[float, str]:
    try:
        number, unit = parse_amount(figure.entry.value)
    except UnitError as wrong:
        raise InputError(str(wrong), figure.where) from None
    return number, figure.entry.unit or unit or "1"


def _factor(scenario: Scenario, figure: Figure, unit: str, dimension: Dimension) -> float:
    """Return what one published unit is in model numbers.

    A year's flow may be printed as an amount (kt for kt/yr), as studies do.
    """
    try:
        given, factor = scenario.units.dimension(unit), scenario.units.factor(unit)
    except UnitError as wrong:
        raise InputError(str(wrong), figure.where) from None
    if given not in (dimension, dimension * TIME, dimension / TIME):
        model = scenario.units.name(dimension)
        message = f"published in {unit!r}, but {figure.entry.quantity!r} is in {model}"
        raise InputError(message, figure.where)
    return factor
