"""Units, converted once: every number inside a run is in the scenario's own unit and years."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from ndmc.scenario.known_units import Declared, UnitError, read_unit
from ndmc.scenario.numerals import LONGEST, is_uncertain, remedy

__all__ = ["NONE", "TIME", "Dimension", "UnitError", "parse_amount"]

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"

# What begins otherwise is no unit but the rest of a number: of 1,5 or 10 000.
_AMOUNT = re.compile(rf"\s*({_NUMBER})\s*(1|(?:(?:1\s*/|[^\W\d_]|[%‰°€$£]).*?)?)\s*", re.DOTALL)

_LAST_WORD = re.compile(r"(.*?)\s*([^\W\d_]*|%)\s*", re.DOTALL)


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


def parse_amount(text: str | float) -> tuple[float, str]:
    """Split ``"6.7 kt"`` into its number and unit.

    Examples
    --------
    >>> parse_amount("2 %")
    (2.0, '%')
    """
    match = _AMOUNT.fullmatch(str(text))
    if not match or is_uncertain(match[0]):
        message = f"{text!r} is not a number with a unit, such as '2 %' or '6.7 kt'"
        advice = _of_amount(str(text))
        raise UnitError(f"{message}; {advice}" if advice else message)
    return float(match[1]), match[2]


def _of_amount(text: str) -> str:
    """Return what to write instead of a text that is no amount."""
    if word := _LAST_WORD.fullmatch(text[:LONGEST]):
        advice = remedy(word[1], amount=True)
        if word[2] and re.fullmatch(r"write \S+", advice):
            return f"{advice} {word[2]}"
    return remedy(text, amount=True)


class UnitSystem:
    """The numbers of one scenario: its own unit for what flows, years for time, SI elsewhere.

    Parameters
    ----------
    unit
        Unit of every stock, such as ``t``; flows are in ``unit/yr``.
    declared
        Units of the scenario's own.

    Raises
    ------
    UnitError
        If ``unit`` is unknown, a time, or a plain number that is not 1, such as a million: shares
        are plain numbers, too, and stay what they are.

    Examples
    --------
    >>> system = UnitSystem("t")
    >>> system.factor("kg")
    0.001
    >>> system.dimension("g/yr") == system.flow
    True
    """

    def __init__(self, unit: str, declared: Declared = ()) -> None:
        self.unit, self._declared = unit, declared
        size, self.stock = _size_and_dimension(unit, declared)
        if not self.stock.powers and size != 1.0:
            message = f"{unit!r} is {size:g}; stocks are counted one by one"
            raise UnitError(f"{message}, such as in 'item' or 'vehicles'")
        self.flow = self.stock / TIME
        self._base = {"[time]": _size_and_dimension("yr", ())[0]}
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
        return _size_and_dimension(unit, self._declared)[1]

    def is_unit(self, text: str) -> bool:
        """Whether a text is a unit."""
        try:
            self.dimension(text)
        except UnitError:
            return False
        return True

    def as_read(self, unit: str) -> str:
        """Return a unit and how it is read, for a message.

        Examples
        --------
        >>> UnitSystem("t").as_read("kton/a")
        "'kton/a' [mass time^-1]"
        """
        return f"{unit!r} [{self.dimension(unit)}]"

    def factor(self, unit: str) -> float:
        """Return the number by which amounts in ``unit`` are multiplied to enter the model."""
        size, dimension = _size_and_dimension(unit, self._declared)
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


_SI = {"[mass]": "g", "[length]": "m", "[substance]": "mol"}


@cache
def _size_and_dimension(unit: str, declared: Declared) -> tuple[float, Dimension]:
    size, powers = read_unit(unit, declared)
    return size, Dimension.of({name: float(power) for name, power in powers.items()})
