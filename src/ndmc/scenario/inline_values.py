"""What stands in the file for some cells: a number, or a distribution of their own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ndmc.errors import nearest
from ndmc.scenario.coded import Coded
from ndmc.scenario.distributions import FAMILIES, KEYS, WITHOUT_UNIT
from ndmc.scenario.field_types import fraction
from ndmc.scenario.needs import ignored
from ndmc.scenario.quality import by_cv
from ndmc.scenario.units import UnitError, parse_amount
from ndmc.scenario.written import BY_CONFIDENCE, WrittenParameter
from ndmc.typing import Floats, Integers

#: What a distribution of its own may hold.
_OWN = ("distribution", *KEYS)


def is_own(found: Any, dim: str, parameter: WrittenParameter) -> bool:
    """Whether a mapping is a distribution, and not values by the labels of a dim."""
    known = parameter.within.dims.known(dim) if dim else ()
    return isinstance(found, dict) and bool(found) and {*found} <= {*_OWN} - {*known}


@dataclass(frozen=True)
class InlineValues:
    """The values of a parameter that stand in the file, each for some cells.

    ``numbers`` has those of each by key; ``distributions`` is empty for a plain number.
    """

    parameter: WrittenParameter
    numbers: list[Mapping[str, float]] = field(default_factory=list)
    distributions: list[str] = field(default_factory=list)

    def add(self, found: Any, *at: str) -> int:
        """Read what stands at a key, and return its number."""
        own = is_own(found, "", self.parameter)
        numbers = self._own(found, *at) if own else {"value": self._amount(found, *at)}
        plain = numbers.keys() <= {"value"} and "distribution" not in (found if own else ())
        self.numbers.append(numbers)
        self.distributions.append("" if plain else self._distribution(found, numbers, *at))
        return len(self.numbers) - 1

    def columns(self, which: Integers) -> dict[str, Floats]:
        """Return the numbers of cells by key, nan where none is given."""
        keys = dict.fromkeys(key for numbers in self.numbers for key in numbers)
        return {
            key: np.array([numbers.get(key, math.nan) for numbers in self.numbers])[which]
            for key in keys
        }

    def words(self, which: Integers) -> dict[str, Coded[str]]:
        """Return the distributions of cells, if any has one of its own."""
        known = [*dict.fromkeys(self.distributions)]
        codes = np.array([known.index(name) for name in self.distributions])
        return {"distribution": Coded(tuple(known), codes[which])} if any(known) else {}

    # --- a distribution of its own ---------------------------------------------------------------

    def _own(self, found: Mapping[str, Any], *at: str) -> dict[str, float]:
        numbers = {}
        for key, given in found.items():
            if key == "cv":
                numbers[key] = self._share(given, *at, key)
            elif key in WITHOUT_UNIT:
                numbers[key] = self._plain(given, *at, key)
            elif key != "distribution":
                numbers["value" if key == "mean" else key] = self._amount(given, *at, key)
        return numbers

    def _distribution(
        self, found: Mapping[str, Any], numbers: Mapping[str, float], *at: str
    ) -> str:
        """Return the distribution that is said, or that of the parameter, or that of its spread."""
        name = found.get("distribution") or self._parameters or _by_spread(numbers)
        if name == "dirichlet":
            message = "shares of a dirichlet distribution have one width; give each label its mean"
            raise self.parameter.error(message, "value", *at)
        if name not in FAMILIES:
            message = f"a label cannot have the distribution {name!r}; {nearest(name, FAMILIES)}"
            raise self.parameter.error(message, "value", *at, "distribution")
        for keys, message in ignored({name}, {*numbers}):
            raise self.parameter.error(message, "value", *at, keys[-1])
        return str(name)

    @property
    def _parameters(self) -> str | None:
        """The distribution of the parameter, if one is said."""
        entry = self.parameter.entry
        grade = self.parameter.within.file.grades.get(entry.grade or BY_CONFIDENCE)
        return entry.distribution or (grade.distribution if grade else None)

    # --- numbers ---------------------------------------------------------------------------------

    def _share(self, found: Any, *at: str) -> float:
        try:
            return self._plain(fraction(found), *at)
        except ValueError as wrong:
            raise self.parameter.error(str(wrong), "value", *at) from None

    def _plain(self, found: Any, *at: str) -> float:
        if isinstance(found, bool) or not isinstance(found, int | float):
            message = f"expected a plain number, found {found!r}"
            raise self.parameter.error(message, "value", *at)
        return float(found)

    def _amount(self, found: Any, *at: str) -> float:
        """Return the number found at a key, in the unit of the parameter."""
        parameter = self.parameter
        if isinstance(found, bool) or not isinstance(found, int | float | str):
            message = f"expected a number, found {found!r}{_by_label(parameter, found, len(at))}"
            raise parameter.error(message, "value", *at)
        try:
            number, unit = parse_amount(found)
            scale = parameter.scale_of(unit) if unit else 1.0
        except UnitError as wrong:
            raise parameter.error(str(wrong), "value", *at) from None
        if not math.isfinite(number):
            raise parameter.error(f"{found!r} is not finite", "value", *at)
        return number * scale


def _by_spread(numbers: Mapping[str, float]) -> str:
    """Return the distribution of a number that says how wide it is, and not which it has."""
    value = numbers.get("value", 0.0)
    relative = numbers["sd"] / value if "sd" in numbers and value > 0 else 0.0
    return by_cv(numbers.get("cv", relative))


def _by_label(parameter: WrittenParameter, found: Any, depth: int) -> str:
    """Return how numbers by label are written, where they stand as one value."""
    labels, dims = parameter.within.dims.labels, parameter.entry.dims
    if isinstance(found, list) and depth < len(dims):
        some = ", ".join(f"{label}: ..." for label in labels[dims[depth]][:2])
        return f"; write each behind its label, such as {{{some}, ...}}"
    if isinstance(found, dict) and (wrong := {*found} - {*_OWN}) and wrong != {*found}:
        return f"; {sorted(wrong)[0]!r} is none of {', '.join(_OWN)}"
    if isinstance(found, dict):
        fitting = [dim for dim, own in labels.items() if dim not in dims and {*found} <= {*own}]
        return f"; say of which dim the labels are: dims: [{fitting[0]}]" if fitting else ""
    return ""
