"""What a published figure says: a value, bounds, or in how many draws a quantity is beyond limits.

Numbers are in the figure's own unit; those of probabilities are in %.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ndmc.errors import InputError
from ndmc.scenario.scenario import Figure, Scenario
from ndmc.scenario.units import TIME, Dimension, UnitError, parse_amount

__all__ = ["Claim"]

_PERCENT = "%"


@dataclass(frozen=True)
class Claim:
    """Between which numbers a figure lies, which are one where it is a value.

    ``quantity_unit`` is the unit of the quantity, and of the limits ``above`` and ``below`` which
    it is to be if the figure is a probability, infinite where there is none.
    """

    low: float
    high: float
    unit: str
    is_value: bool
    quantity_unit: str
    above: float = -math.inf
    below: float = math.inf

    @property
    def is_probability(self) -> bool:
        """Whether it is about a share of draws."""
        return math.isfinite(self.above) or math.isfinite(self.below)

    @property
    def value(self) -> float:
        """The value, nan of bounds."""
        return self.low if self.is_value else math.nan

    def nearest(self, number: float) -> float:
        """Return what it allows that is nearest to a number."""
        return min(max(number, self.low), self.high)

    def deviation(self, number: float) -> float:
        """Return a number over what is nearest to it, less one; nan of nan, 0 beside 0."""
        nearest = self.nearest(number)
        if not self.is_value and self.low <= number <= self.high:
            return 0.0
        return number / nearest - 1 if nearest else 0.0

    def distance(self, number: float) -> float:
        """Return how far a number lies outside; what never happens may be within."""
        if self.low <= number <= self.high:
            return 0.0
        return abs(number - self.nearest(number))


def claim_of(figure: Figure) -> Claim:
    """Return what a figure says.

    Raises
    ------
    InputError
        For units that differ, an empty range, and a probability that is none.
    """
    entry = figure.entry
    limits, unit = _amounts(figure, {"above": entry.above, "below": entry.below})
    if not limits:
        bounds, unit = _amounts(figure, _bounds(figure))
        return _claim(figure, bounds, unit, unit)
    bounds = {key: _share(figure, key, text) for key, text in _bounds(figure).items() if text}
    claim = _claim(figure, bounds, _PERCENT, unit, **limits)
    if claim.above >= claim.below:
        raise InputError("nothing is above 'above' and below 'below'", figure.where)
    return claim


def _bounds(figure: Figure) -> dict[str, str | None]:
    """Return what is given by key, the ends of a range by its own."""
    entry = figure.entry
    if entry.range is not None:
        return dict(zip(("at_least", "at_most"), entry.range, strict=True))
    return {"value": entry.value, "at_least": entry.at_least, "at_most": entry.at_most}


def _amounts(figure: Figure, given: Mapping[str, str | None]) -> tuple[dict[str, float], str]:
    """Return numbers and the unit that all of them have, behind them or under ``unit``."""
    found, unit = dict[str, float](), figure.entry.unit
    for key, text in given.items():
        if text is None:
            continue
        found[key], own = _amount(figure, text)
        if own and unit and own != unit:
            word = "the value" if key == "value" else key
            at = "the unit is" if unit == figure.entry.unit else "another is in"
            message = f"{word} is in {own!r} but {at} {unit!r}; give one of them"
            raise InputError(message, figure.where)
        unit = own or unit
    return found, unit or "1"


def _amount(figure: Figure, text: str) -> tuple[float, str]:
    try:
        return parse_amount(text)
    except UnitError as wrong:
        raise InputError(str(wrong), figure.where) from None


def _share(figure: Figure, key: str, text: str) -> float:
    """Return a probability in %."""
    number, unit = _amount(figure, text)
    share = number if unit == _PERCENT else 100 * number
    if unit not in ("", "1", _PERCENT) or not 0 <= share <= 100:
        message = f"{key} is {text!r}, but with above or below it is a probability; write a share "
        raise InputError(f"{message}from 0 to 100 %, such as '90 %'", figure.where)
    return share


def _claim(
    figure: Figure,
    bounds: Mapping[str, float],
    unit: str,
    quantity_unit: str,
    above: float = -math.inf,
    below: float = math.inf,
) -> Claim:
    if "value" in bounds:
        low = high = bounds["value"]
    else:
        low, high = bounds.get("at_least", -math.inf), bounds.get("at_most", math.inf)
    if low > high:
        message = f"the range from {low:g} to {high:g} is empty; give the lowest first"
        raise InputError(message, figure.where)
    return Claim(low, high, unit, "value" in bounds, quantity_unit, above, below)


# --- how near it is to be met --------------------------------------------------------------------


@dataclass(frozen=True)
class Tolerance:
    """How far outside a figure may be missed: by a share of what is nearest in it, or an amount."""

    size: float
    relative: bool

    def allows(self, claim: Claim, number: float) -> bool:
        """Whether a number is near enough."""
        if self.relative:
            return abs(claim.deviation(number)) <= self.size
        return claim.distance(number) <= self.size


def tolerance_of(
    scenario: Scenario, figure: Figure, claim: Claim, dimension: Dimension, *, dated: bool
) -> Tolerance | None:
    """Return the tolerance of a figure's own, an amount in its unit.

    Parameters
    ----------
    scenario
        Whose units are known.
    figure, claim
        The figure, and what it says.
    dimension, dated
        Of the quantity: its dimension, and whether it is a year.

    Raises
    ------
    InputError
        For a tolerance that is none, in another dimension, or a share of what has none.
    """
    if figure.entry.tolerance is None:
        return None
    number, unit = _amount(figure, figure.entry.tolerance)
    if number < 0:
        raise InputError(f"a tolerance of {figure.entry.tolerance!r} is below 0", figure.where)
    if unit == _PERCENT:
        _refuse_relative(figure, claim, dated=dated)
        return Tolerance(number / 100, relative=True)
    if not unit:
        return Tolerance(number, relative=False)
    units = scenario.units
    try:
        given, factor = units.dimension(unit), units.factor(unit)
        own, size = units.dimension(claim.unit), units.factor(claim.unit)
    except UnitError as wrong:
        raise InputError(str(wrong), figure.where) from None
    years = dated and given == TIME
    if claim.is_probability or not (years or given in (own, dimension)):
        wanted = "%" if claim.is_probability else "yr" if dated else claim.unit
        found = f"the tolerance is in {units.as_read(unit)}, but the figure in {wanted!r} [{own}]"
        raise InputError(f"{found}; write such as '5 {wanted}'", figure.where)
    return Tolerance(number * factor / (1.0 if years else size), relative=False)


def _refuse_relative(figure: Figure, claim: Claim, *, dated: bool) -> None:
    """Refuse a share of a year or of 0."""
    said = figure.entry.tolerance
    if dated and not claim.is_probability:
        message = f"a tolerance of {said!r} of a year means nothing; write such as '5 yr'"
        raise InputError(message, figure.where)
    if 0.0 in (claim.low, claim.high):
        message = f"a tolerance of {said!r} of 0 is nothing; write it in {claim.unit!r}"
        raise InputError(message, figure.where)
