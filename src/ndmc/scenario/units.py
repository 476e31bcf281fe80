"""Units, converted once: every number inside a run is in the scenario's own unit and years."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

__all__ = ["NONE", "TIME", "Dimension", "UnitError", "parse_amount"]

_FACTOR = r"(?:[^\W\d]\w*|%|1)(?:\s*(?:\*\*|\^)\s*-?[1-9])?"

_UNIT = re.compile(rf"\s*{_FACTOR}(?:\s*[*/ ]\s*{_FACTOR})*\s*")  # no nested powers, no bombs

_AMOUNT = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(.*?)\s*$")


class UnitError(ValueError):
    """A unit that is unknown, or of the wrong dimension."""


@dataclass(frozen=True)
class Dimension:
    """A physical dimension: powers of base dimensions, such as mass per time."""

    powers: tuple[tuple[str, float], ...] = ()

    @classmethod
    def of(cls, powers: dict[str, float]) -> Dimension:
        """Return the dimension with these powers, zeros dropped."""
        return cls(tuple(sorted((name, p) for name, p in powers.items() if abs(p) > 1e-9)))

    def __mul__(self, other: Dimension) -> Dimension:
        powers = dict(self.powers)
        for name, power in other.powers:
            powers[name] = powers.get(name, 0.0) + power
        return Dimension.of(powers)

    def __pow__(self, exponent: float) -> Dimension:
        return Dimension.of({name: power * exponent for name, power in self.powers})

    def __truediv__(self, other: Dimension) -> Dimension:
        return self * other**-1

    def __str__(self) -> str:
        if not self.powers:
            return "dimensionless"
        return " ".join(n.strip("[]") + (f"^{p:g}" if p != 1 else "") for n, p in self.powers)


NONE = Dimension()

TIME = Dimension((("[time]", 1.0),))


# The units of nearly every study, as pint defines them. Reading these takes 0.5 ms; importing pint
# and reading all of its units 0.3 to 0.5 s, which is only done for a unit that is not here.
# tests/scenario/test_units.py holds these to pint's.
_COMMON = """
milli- = 1e-3 = m-
kilo- = 1e3 = k-
mega- = 1e6 = M-
giga- = 1e9 = G-
tera- = 1e12 = T-
meter = [length] = m
gram = [mass] = g
second = [time] = s
minute = 60 * second = min
hour = 60 * minute = h
day = 24 * hour = d
year = 365.25 * day = yr = a
month = year / 12
metric_ton = 1e3 * kilogram = t = tonne
joule = kilogram * meter ** 2 / second ** 2 = J
watt = joule / second = W
watt_hour = watt * hour = Wh
percent = 0.01
ppm = 1e-6
count = 1 = item = unit
"""

_TERM = re.compile(r"([*/]?)\s*([^\W\d]\w*|[\d.]+(?:e-?\d+)?)(?:\s*(?:\*\*|\^)\s*(-?\d))?")

Powers = dict[str, int]

Scales = dict[float, int]


class _Common:
    """The common units: by name, and by prefix and in the plural."""

    def __init__(self) -> None:
        self.bases: dict[str, str] = {}  # their dimensions
        self.parts: dict[str, tuple[float, Powers]] = {}
        self.known: dict[str, tuple[str, ...]] = {}  # prefix, if any, and unit
        prefixes: dict[str, str] = {}
        units: dict[str, str] = {}
        for line in _COMMON.split("\n")[1:-1]:
            name, meaning, *others = line.split(" = ")
            spelled = (prefixes if name.endswith("-") else units, (name, *others))
            spelled[0].update(dict.fromkeys((text.rstrip("-") for text in spelled[1]), name))
            if meaning.startswith("["):
                self.bases[name] = meaning
            else:
                self.parts[name] = _product(meaning)
        for text, unit in units.items():
            self._spell(text, text, unit)
            for before, prefix in prefixes.items():
                self._spell(before + text, text, prefix, unit)

    def _spell(self, whole: str, text: str, *way: str) -> None:
        for spelled in (whole, f"{whole}s")[: len(text)]:  # a single letter has no plural
            self.known[spelled] = way

    def measured(self, text: str) -> tuple[float, Dimension] | None:
        """Return size and dimension of a unit; None if it is not common."""
        roots, above, below = Powers(), Scales(), Scales()
        for name, power in _product(text)[1].items():
            if name not in self.known:
                return None
            self._descend(name, power, roots, above, below)
        dimension = Dimension.of({self.bases[name]: float(p) for name, p in roots.items()})
        return _ratio(above, below), dimension

    def _descend(self, name: str, power: int, roots: Powers, above: Scales, below: Scales) -> None:
        """Collect the base units that a unit is made of, and the numbers."""
        for one in self.known[name]:
            if one in self.bases:
                roots[one] = roots.get(one, 0) + power
                continue
            scale, parts = self.parts[one]
            side = above if power > 0 else below
            side[scale] = side.get(scale, 0) + abs(power)
            for part, inner in parts.items():
                self._descend(part, power * inner, roots, above, below)


def _ratio(above: Scales, below: Scales) -> float:
    """Multiply numbers as pint does, for the same bits: equal ones together, those above first."""
    found = 1.0
    for scale, power in above.items():
        found *= scale ** max(power - below.get(scale, 0), 0)
    for scale, power in below.items():
        found *= scale ** -max(power - above.get(scale, 0), 0)
    return found


def _product(text: str) -> tuple[float, Powers]:
    """Return the number and the powers of a product of units."""
    scale, powers = 1.0, Powers()
    for operator, name, exponent in _TERM.findall(text):
        power = int(exponent or 1) * (-1 if operator == "/" else 1)
        if name[0].isdigit():
            scale *= float(name) ** power
        else:
            powers[name] = powers.get(name, 0) + power
    return scale, powers


_common = cache(_Common)


@cache
def _complete() -> Any:
    import pint

    registry: Any = pint.UnitRegistry(on_redefinition="ignore")
    registry.define("kilotonne = 1000 * metric_ton = kt")  # pint's `kt` is the knot
    registry.define("year = 365.25 * day = yr = a")  # pint's `a` is the are
    registry.define("item = count = unit")
    return registry


def parse_amount(text: str | float) -> tuple[float, str]:
    """Split ``"6.7 kt"`` into its number and unit.

    Examples
    --------
    >>> parse_amount("2 %")
    (2.0, '%')
    """
    match = _AMOUNT.match(str(text))
    if not match:
        raise UnitError(f"{text!r} is not a number with a unit, such as '2 %' or '6.7 kt'")
    return float(match[1]), match[2]


class UnitSystem:
    """The numbers of one scenario: its own unit for what flows, years for time, SI elsewhere.

    Parameters
    ----------
    unit
        Unit of every stock, such as ``t``; flows are in ``unit/yr``.

    Raises
    ------
    UnitError
        If ``unit`` is unknown or dimensionless with a time in it.

    Examples
    --------
    >>> system = UnitSystem("t")
    >>> system.factor("kg")
    0.001
    >>> system.dimension("g/yr") == system.flow
    True
    """

    def __init__(self, unit: str) -> None:
        self.unit = unit
        size, self.stock = _size_and_dimension(unit)
        self.flow = self.stock / TIME
        self._base = {"[time]": _size_and_dimension("yr")[0]}
        if self.stock.powers:
            name, power = self.stock.powers[0]
            if name == "[time]":
                raise UnitError(f"{unit!r} is a time; stocks need a unit of mass, count or size")
            rest = Dimension(self.stock.powers[1:])
            self._base[name] = (size / self._scale(rest)) ** (1 / power)

    def _scale(self, dimension: Dimension) -> float:
        scale = 1.0
        for name, power in dimension.powers:
            scale *= self._base.get(name, 1.0) ** power
        return scale

    def dimension(self, unit: str) -> Dimension:
        """Return the dimension of ``unit``."""
        return _size_and_dimension(unit)[1]

    def factor(self, unit: str) -> float:
        """Return the number by which amounts in ``unit`` are multiplied to enter the model."""
        size, dimension = _size_and_dimension(unit)
        try:
            factor = size / self._scale(dimension)
        except ArithmeticError:
            raise UnitError(f"{unit!r} is too large or too small in {self.unit!r}") from None
        # 1 g is 1e-06 t, not 9.999999999999999e-07: keep round factors round.
        return float(f"{factor:.15g}")

    def name(self, dimension: Dimension) -> str:
        """Return the unit in which the model holds numbers of this dimension."""
        if dimension == self.stock:
            return self.unit
        if dimension == self.flow:
            return f"{self.unit}/yr"
        if not dimension.powers:
            return "1"
        known = {"[time]": "yr"}
        if len(self.stock.powers) == 1 and self.stock.powers[0][1] == 1:
            known[self.stock.powers[0][0]] = self.unit
        return " ".join(
            known.get(n, _SI.get(n, n.strip("[]"))) + (f"**{p:g}" if p != 1 else "")
            for n, p in dimension.powers
        )


_SI = {
    "[mass]": "g",
    "[length]": "m",
    "[current]": "A",
    "[temperature]": "K",
    "[substance]": "mol",
}


@cache
def _size_and_dimension(unit: str) -> tuple[float, Dimension]:
    if unit.strip() in ("", "1"):
        return 1.0, NONE
    if len(unit) > 100 or not _UNIT.fullmatch(unit):
        raise UnitError(f"cannot read the unit {unit[:100]!r}; write it like 'kg/MW' or '1/yr'")
    text = unit.replace("%", " percent ").strip()
    if found := _common().measured(text):
        return found
    try:
        return _measured(_complete(), text)
    except UnitError:
        raise
    except Exception as failed:  # pint raises a dozen kinds
        reason = str(failed).splitlines()[0] if str(failed) else type(failed).__name__
        raise UnitError(f"unknown unit {unit!r} ({reason})") from None


def _measured(registry: Any, unit: str) -> tuple[float, Dimension]:
    parsed = registry.Unit(unit)
    size, zero = (registry.Quantity(x, parsed).to_root_units().magnitude for x in (1.0, 0.0))
    if zero != 0:
        raise UnitError(f"{unit!r} has an offset; use an absolute unit")
    powers = {name: float(power) for name, power in parsed.dimensionality.items()}
    return float(size), Dimension.of(powers)
