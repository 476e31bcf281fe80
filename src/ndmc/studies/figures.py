"""Published figures: which number of a model is meant by each, and whether it is met."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ndmc.dims import Dims
from ndmc.errors import InputError, nearest
from ndmc.label import LabelError, pairs
from ndmc.plan.vocabulary import Vocabulary
from ndmc.scenario.expressions import Expression
from ndmc.scenario.scenario import Figure, Scenario
from ndmc.scenario.units import NONE, TIME, UnitError, parse_amount
from ndmc.store.view import View

__all__ = ["Comparison"]

#: Half of a 95 % range in standard deviations of a normal quantity.
NORMAL_95 = 1.96

#: What is said of a figure whose draws a store has not.
NOT_KEPT = "not kept"

_NOT_COMPUTED = ("not modelled", "not reproducible", NOT_KEPT)


@dataclass(frozen=True)
class Modelled:
    """What a model says of a figure, in the figure's unit; ``missing`` is why it says nothing."""

    median: float = math.nan
    low: float = math.nan
    high: float = math.nan
    cv: float = math.nan
    known: str = ""
    missing: str = ""


@dataclass(frozen=True)
class Comparison:
    """A published figure and the model's median and 95 % range, in the figure's unit.

    ``uncertainty`` and ``cv`` are relative standard deviations, published and of the model.
    ``known`` is how a reconciled model knows it. ``verdict`` is met or missed for targets and soft
    targets, reported for what is only shown, input for what went in, and says why where the model
    has no such number.
    """

    id: str
    quantity: str
    at: str
    published: float
    unit: str
    uncertainty: float
    median: float
    low: float
    high: float
    cv: float
    known: str
    status: str
    verdict: str
    note: str
    where: str

    @property
    def failed(self) -> bool:
        """Whether the model misses what it is to meet, or does not know it."""
        return self.verdict in ("missed", "unobservable")

    @property
    def deviation(self) -> float:
        """Model median over published, less one."""
        return self.median / self.published - 1 if self.published else math.nan

    @property
    def cv_deviation(self) -> float:
        """Model cv over the published uncertainty, less one; nan where either is missing."""
        return self.cv / self.uncertainty - 1

    @property
    def within(self) -> str:
        """Whether the model lies in the published 95 % range: yes, no, or "" if there is none."""
        if math.isnan(self.uncertainty) or self.verdict in _NOT_COMPUTED:
            return ""
        half = NORMAL_95 * self.uncertainty * abs(self.published)
        return "yes" if abs(self.median - self.published) <= half else "no"

    def row(self) -> dict[str, Any]:
        """Return all of it by column."""
        off = {"deviation": self.deviation, "cv_deviation": self.cv_deviation}
        row = {**self.__dict__, **off, "within": self.within}
        row["class"] = row.pop("known")
        return row


def compare(scenario: Scenario, figure: Figure, modelled: Modelled) -> Comparison:
    """Return a figure beside what the model says of it."""
    entry = figure.entry
    published, unit = _amount(figure)
    deviation = modelled.median / published - 1 if published else 0.0
    return Comparison(
        id=entry.id,
        quantity=entry.quantity or entry.note,
        at=pairs(_at(figure, scenario.dims), " "),
        published=published,
        unit=unit,
        uncertainty=math.nan if entry.uncertainty is None else entry.uncertainty,
        median=modelled.median,
        low=modelled.low,
        high=modelled.high,
        cv=modelled.cv,
        known=modelled.known,
        status=entry.status,
        verdict=_verdict(scenario, entry.status, modelled.missing, deviation),
        note=entry.note,
        where=figure.where,
    )


def _verdict(scenario: Scenario, status: str, missing: str, deviation: float) -> str:
    if status == "not_reproducible":
        return "not reproducible"
    if missing:
        return missing
    tolerance = tolerances(scenario)
    if status not in tolerance:
        return "input" if status == "input" else "reported"
    return "met" if abs(deviation) <= tolerance[status] else "missed"


def tolerances(scenario: Scenario) -> dict[str, float]:
    """Return how near targets and soft targets are to be met, as shares by status."""
    published = scenario.file.published
    return {"target": 0.10, "soft": 0.20} | dict(published.tolerance if published else {})


def check_figure(names: Vocabulary, figure: Figure) -> None:
    """Refuse a figure that does not mean one number of the model, in a unit of its own."""
    if not figure.entry.quantity:
        _amount(figure)
        return
    expression = names.quantity(figure.entry.quantity, figure.where)
    view_of(figure, expression, names.dims)
    unit_factor(names.scenario, figure, expression)


def view_of(figure: Figure, expression: Expression, dims: Dims) -> View:
    """Return the view that reduces a quantity to one number."""
    picked = _at(figure, dims)
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
    positions = tuple(_positions(figure, dims, dim, picked) for dim in expression.dims)
    return View(figure.entry.quantity, expression.dims, positions, expression.dims)


def _at(figure: Figure, dims: Dims) -> Mapping[str, Sequence[str]]:
    at = figure.entry.at
    if isinstance(at, dict):
        return {dim: [label] for dim, label in at.items()}
    try:
        return dims.read(at, dims.labels)
    except LabelError as wrong:
        raise InputError(f"at: {wrong}", figure.where) from None


def _positions(
    figure: Figure, dims: Dims, dim: str, picked: Mapping[str, Sequence[str]]
) -> tuple[int, ...]:
    try:
        found = [at for label in picked.get(dim, ()) for at in dims.chosen(dim, label)]
    except LabelError as wrong:
        raise InputError(f"at: {wrong}", figure.where) from None
    return tuple(dict.fromkeys(found)) if dim in picked else tuple(range(len(dims.labels[dim])))


def _amount(figure: Figure) -> tuple[float, str]:
    try:
        number, unit = parse_amount(figure.entry.value)
    except UnitError as wrong:
        raise InputError(str(wrong), figure.where) from None
    said = figure.entry.unit
    if unit and said and unit != said:
        message = f"the value is in {unit!r} but the unit is {said!r}; give one of them"
        raise InputError(message, figure.where)
    return number, said or unit or "1"


def unit_factor(scenario: Scenario, figure: Figure, expression: Expression) -> float:
    """Return what one published unit is in model numbers.

    A year's flow may be printed as an amount (kt for kt/yr), as studies do.
    """
    _, unit = _amount(figure)
    dimension = expression.dimension or NONE
    try:
        given, factor = scenario.units.dimension(unit), scenario.units.factor(unit)
    except UnitError as wrong:
        raise InputError(str(wrong), figure.where) from None
    if given not in (dimension, dimension * TIME):
        model = f"{scenario.units.name(dimension)} [{dimension}]"
        published = f"published in {scenario.units.as_read(unit)}"
        message = f"{published}, but {figure.entry.quantity!r} is in {model}"
        raise InputError(message, figure.where)
    return factor
