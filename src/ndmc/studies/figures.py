"""Published figures: which number of a model is meant by each, and whether it is met."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from ndmc.dims import Dims
from ndmc.errors import InputError, nearest, warn
from ndmc.label import LabelError, Labels, pairs
from ndmc.plan.vocabulary import Vocabulary
from ndmc.plan.years import is_year, years_among
from ndmc.scenario.expressions import Expression
from ndmc.scenario.scenario import Figure, Scenario
from ndmc.scenario.units import NONE, TIME, UnitError
from ndmc.store.view import View
from ndmc.studies.claims import Claim, Tolerance, claim_of, tolerance_of

__all__ = ["NOT_KEPT", "OTHER_VARIANT", "Comparison", "rows"]

#: Half of a 95 % range in standard deviations of a normal quantity.
NORMAL_95 = 1.96

#: What is said of a figure whose draws a store has not.
NOT_KEPT = "not kept"

#: And of one that a store of another variant says nothing of.
OTHER_VARIANT = "other variant"

#: What is held against the model.
_JUDGED = ("target", "soft")

_NOT_COMPUTED = ("not modelled", "not reproducible", NOT_KEPT, OTHER_VARIANT)


@dataclass(frozen=True)
class Quantity:
    """The quantity of a figure, and whether it is a year."""

    expression: Expression
    dated: bool


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

    Of a probability these are the share of draws in %, and its 95 % confidence limits. Of bounds,
    which stand in the ``claim``, ``published`` is nan. ``tolerance`` and ``variant`` are the
    figure's own; a ``dated`` quantity is a year.

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
    claim: Claim
    tolerance: str
    variant: str
    dated: bool

    @property
    def failed(self) -> bool:
        """Whether the model misses what it is to meet, or does not know it."""
        return self.verdict in ("missed", "unobservable")

    @property
    def deviation(self) -> float:
        """Model median over what is published, less one; 0 within bounds."""
        if self.claim.is_value:
            return self.median / self.published - 1 if self.published else math.nan
        return self.claim.deviation(self.median)

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
        """Return all of it by column, with further columns where it says more than a value."""
        row = {key: value for key, value in self.__dict__.items() if key not in _OWN}
        row |= {"deviation": self.deviation, "cv_deviation": self.cv_deviation}
        row["within"] = self.within
        row["class"] = row.pop("known")
        return row | self.said

    @property
    def said(self) -> dict[str, Any]:
        """What a figure says beyond a value, by column."""
        claim = self.claim
        bounds = {} if claim.is_value else {"at_least": claim.low, "at_most": claim.high}
        limits = {"above": claim.above, "below": claim.below}
        unit = claim.quantity_unit if claim.is_probability else ""
        texts = {"limit_unit": unit, "tolerance": self.tolerance, "variant": self.variant}
        return {
            **{key: x for key, x in (bounds | limits).items() if math.isfinite(x)},
            **{key: text for key, text in texts.items() if text},
        }


#: Fields that are no columns, or only where a figure has them, and such columns.
_OWN = ("claim", "tolerance", "variant", "dated")
_SAID = ("at_least", "at_most", "above", "below", "limit_unit", "tolerance", "variant")


def rows(comparisons: Iterable[Comparison]) -> list[dict[str, Any]]:
    """Return comparisons by column, those that only some figures have behind the others."""
    found = [one.row() for one in comparisons]
    texts = {key for row in found for key, value in row.items() if isinstance(value, str)}
    given = {key for row in found for key in row}
    empty = {key: "" if key in texts else math.nan for key in _SAID if key in given}
    return [{key: x for key, x in row.items() if key not in empty} | empty | row for row in found]


def compare(
    scenario: Scenario, figure: Figure, quantity: Quantity | None, modelled: Modelled
) -> Comparison:
    """Return a figure beside what the model says of it."""
    entry, claim = figure.entry, claim_of(figure)
    return Comparison(
        id=entry.id,
        quantity=entry.quantity or entry.note,
        at=pairs(_at(figure, scenario.dims), " "),
        published=claim.value,
        unit=claim.unit,
        uncertainty=math.nan if entry.uncertainty is None else entry.uncertainty,
        median=modelled.median,
        low=modelled.low,
        high=modelled.high,
        cv=modelled.cv,
        known=modelled.known,
        status=entry.status,
        verdict=_verdict(scenario, figure, quantity, modelled),
        note=entry.note,
        where=figure.where,
        claim=claim,
        tolerance=entry.tolerance or "",
        variant=entry.variant,
        dated=quantity is not None and quantity.dated,
    )


def _verdict(
    scenario: Scenario, figure: Figure, quantity: Quantity | None, modelled: Modelled
) -> str:
    status = figure.entry.status
    if status == "not_reproducible":
        return "not reproducible"
    if modelled.missing or quantity is None:
        return modelled.missing
    if status not in _JUDGED:
        return "input" if status == "input" else "reported"
    claim, allowed = claim_of(figure), tolerance(scenario, figure, quantity)
    verdict = "met" if allowed.allows(claim, modelled.median) else "missed"
    if claim.is_probability and math.isfinite(modelled.low):
        _warn_if_near(figure, claim, modelled, allowed)
    return verdict


def _warn_if_near(figure: Figure, claim: Claim, modelled: Modelled, allowed: Tolerance) -> None:
    """Warn of a share of draws that so few do not tell from what it is held against."""
    share, low, high = modelled.median, modelled.low, modelled.high
    if len({allowed.allows(claim, end) for end in (low, share, high)}) > 1:
        name = figure.entry.id or figure.entry.quantity
        warn(
            f"{name!r} is so in {share:.4g} % of the draws, {low:.4g} to {high:.4g} % with 95 % "
            "confidence: too few to tell whether it is met; take more with -n",
            figure.where,
        )


def may_be_doubted(figure: Figure) -> bool:
    """Whether a figure is met within a share of its value, which tells nothing of a year."""
    entry, claim = figure.entry, claim_of(figure)
    judged = entry.status in _JUDGED and entry.tolerance is None
    return judged and claim.is_value and not claim.is_probability


def doubts_of(names: Vocabulary, figures: Sequence[Figure]) -> Iterator[tuple[str, str]]:
    """Yield what is said of years that are met within a share, and where they stand."""
    for figure, quantity in zip(figures, quantities(names, figures), strict=True):
        if quantity and quantity.dated:
            share = tolerances(names.scenario)[figure.entry.status]
            years = share * abs(claim_of(figure).value)
            message = f"within {100 * share:g} % a year is met by {years:.0f} years; "
            yield f"{message}give the figure a tolerance such as '5 yr'", figure.where


def tolerance(scenario: Scenario, figure: Figure, quantity: Quantity) -> Tolerance:
    """Return how near a figure is to be met: as it says, or values as near as its status."""
    claim, dimension = claim_of(figure), quantity.expression.dimension or NONE
    own = tolerance_of(scenario, figure, claim, dimension, dated=quantity.dated)
    if own or not claim.is_value:
        return own or Tolerance(0.0, relative=False)
    return Tolerance(tolerances(scenario)[figure.entry.status], relative=True)


def tolerances(scenario: Scenario) -> dict[str, float]:
    """Return how near targets and soft targets are to be met, as shares by status."""
    published = scenario.file.published
    return {"target": 0.10, "soft": 0.20} | dict(published.tolerance if published else {})


def quantities(names: Vocabulary, figures: Iterable[Figure]) -> Iterator[Quantity | None]:
    """Yield the quantity of each figure, None where it has none.

    Raises
    ------
    InputError
        For one that cannot be read.
    """
    years = years_among(names.indicators.values())
    for figure in figures:
        yield _quantity(names, figure, years)


def _quantity(names: Vocabulary, figure: Figure, years: Set[str]) -> Quantity | None:
    if not figure.entry.quantity:
        return None
    expression = names.quantity(figure.entry.quantity, figure.where)
    return Quantity(expression, is_year(expression, years))


def check_figure(names: Vocabulary, figure: Figure, years: Set[str]) -> None:
    """Refuse a figure that does not mean one number of the model, in a unit of its own."""
    claim_of(figure)
    if quantity := _quantity(names, figure, years):
        view_of(figure, quantity.expression, names.dims)
        unit_factor(names.scenario, figure, quantity.expression)
        if figure.entry.status in _JUDGED:
            tolerance(names.scenario, figure, quantity)


def view_of(figure: Figure, expression: Expression, dims: Dims) -> View:
    """Return the view that reduces a quantity to one number."""
    picked, named = _picked(figure, expression, dims), dims.named(expression.dims)
    for dim in (*picked, *figure.entry.over):
        if dim not in named:
            message = f"{figure.entry.quantity!r} has no dim {dim!r}; {nearest(dim, named)}"
            raise InputError(message, figure.where)
    try:
        found = dims.picked(picked)
        positions = tuple(dims.along(dim, found) for dim in expression.dims)
    except LabelError as wrong:
        raise InputError(f"at: {wrong}", figure.where) from None
    known = {*picked, *figure.entry.over, *_settled(expression.dims, positions, picked, dims)}
    if left := [dim for dim in named if dim not in known]:
        raise InputError(
            f"{figure.entry.quantity!r} still has the dim {left[0]!r}; say {left[0]}=... under "
            "'at', or put it under 'over'",
            figure.where,
        )
    return View(figure.entry.quantity, expression.dims, positions, expression.dims)


def _picked(figure: Figure, expression: Expression, dims: Dims) -> Labels:
    """Return the labels at which a figure is, those of a group of a grouping as such of its dim."""
    try:
        return dims.ungrouped(_at(figure, dims), expression.dims)
    except LabelError as wrong:
        raise InputError(f"at: {wrong}", figure.where) from None


def _settled(
    own: Iterable[str], positions: Iterable[Sequence[int]], picked: Container[str], dims: Dims
) -> Iterator[str]:
    """Yield dims of which picked labels all belong to one label."""
    for dim, some in zip(own, positions, strict=True):
        for parent, above in dims.belongs.get(dim, {}).items():
            if dim in picked and len({above[at] for at in some}) == 1:
                yield parent


def _at(figure: Figure, dims: Dims) -> Mapping[str, Sequence[str]]:
    at = figure.entry.at
    if isinstance(at, dict):
        return {dim: [label] for dim, label in at.items()}
    try:
        return dims.read(at, dims.labels)
    except LabelError as wrong:
        raise InputError(f"at: {wrong}", figure.where) from None


def unit_factor(scenario: Scenario, figure: Figure, expression: Expression) -> float:
    """Return what one published unit is in model numbers.

    A year's flow may be printed as an amount (kt for kt/yr), as studies do.
    """
    unit = claim_of(figure).quantity_unit
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
