"""Changes of the numbers of a parameter's cells: all, or those of some labels, tables included.

What is set is the value, and nothing besides, as where the file is changed. A factor is one of all
that is in the unit of the parameter, `low` and `sd` as well, so that the distribution keeps its
shape; what is added moves it, and its width is what the file says. Bounds stay where they are.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ndmc.errors import InputError
from ndmc.label import LabelError
from ndmc.scenario.relative import Change, Relative
from ndmc.scenario.units import UnitError, parse_amount
from ndmc.scenario.written import WrittenParameter
from ndmc.typing import Floats, Integers

#: Numbers that say where a distribution lies.
_PLACES = ("value", "mean", "low", "mode", "high")

#: A distribution of which low and high are bounds of what can be, whatever the value is.
_BOUNDED = "truncated_normal"

_Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class CellChanges:
    """What becomes of the numbers of each cell of a parameter, in its unit.

    ``values`` are nan where none is set, and ``last``, the change that was made last, is -1 where
    there is none.
    """

    parameter: WrittenParameter
    made: tuple[Change, ...]
    last: Integers
    values: Floats
    factors: Floats
    shifts: Floats

    def error(self, message: str, cell: int) -> InputError:
        """Return an error at the last change of a cell."""
        return InputError(f"parameter {self.parameter.name!r} {message}", self.where(cell))

    def where(self, cell: int) -> str:
        """Return where a cell is changed last; empty if it is not."""
        return self.made[self.last[cell]].where if self.last[cell] >= 0 else ""

    def replaced(
        self, numbers: Mapping[str, Floats], cells: Integers, scale: float
    ) -> dict[str, Floats]:
        """Return numbers of cells with the values that are set; of rows in units of ``scale``."""
        values, found = self.values[cells], dict(numbers)
        given = ~np.isnan(values)
        if given.any():
            key = next((key for key in ("value", "mean") if key in found), "")
            if not key:
                message = "has no value there to set; say how its numbers change, such as x1.2"
                raise self.error(message, int(cells[given][0]))
            found[key] = np.where(given, values / scale, found[key])
        return found

    def moved(
        self, numbers: Mapping[str, Floats], cells: Integers, distribution: str, unit: float
    ) -> dict[str, Floats]:
        """Return numbers of a distribution in model units, of which its own is ``unit``."""
        factors, shifts, found = self.factors[cells], self.shifts[cells] * unit, dict(numbers)
        for key in found.keys() & _PLACES:
            if distribution != _BOUNDED or key in ("value", "mean"):
                found[key] = found[key] * factors + shifts
        if "sd" in found:
            found["sd"] = found["sd"] * factors
        if "mu" in found:
            if shifts.any():
                message = "is given by mu: nothing can be added to it; write a factor, such as x1.2"
                raise self.error(message, int(cells[shifts != 0][0]))
            with np.errstate(divide="ignore"):  # what is not finite is refused
                found["mu"] = found["mu"] + np.log(factors)
        return found

    def moved_choices(self, values: Sequence[float], unit: float) -> list[float]:
        """Return the values of a discrete distribution, which are those of all its cells."""
        factor, shift = float(self.factors[0]), float(self.shifts[0])
        if ((self.factors != factor) | (self.shifts != shift)).any():
            message = "has the same values in all its cells; change all of them, not some"
            raise self.error(message, int((self.last >= 0).argmax()))
        return [value * factor + shift * unit for value in values]


def cell_changes(parameter: WrittenParameter) -> CellChanges | None:
    """Return what changes make of the cells of a parameter; nothing if there is none.

    Raises
    ------
    InputError
        For labels that it does not have, other units, and changes that are of the same cell.
    """
    made = tuple(one for one in parameter.within.document.cells if one.name == parameter.name)
    if not any(one.of_cells for one in made):
        return None
    masks = [_cells_of(parameter, one) for one in made]
    _refuse_collisions(made, masks)
    size = len(masks[0])
    found = CellChanges(
        *(parameter, made, np.full(size, -1), np.full(size, np.nan)),
        *(np.ones(size), np.zeros(size)),
    )
    for number, (one, mask) in enumerate(zip(made, masks, strict=True)):
        _make(found, number, one, mask)
    return found


def _make(found: CellChanges, number: int, one: Change, mask: _Mask) -> None:
    """Make one change after those before it: what is set anew is no longer moved."""
    change = one.relative or Relative(0.0)
    found.last[mask] = number if one.of_cells else -1
    found.factors[mask] = found.factors[mask] * change.factor if one.relative else 1.0
    added = _in_unit(found.parameter, one, change.shift, change.unit)
    found.shifts[mask] = found.shifts[mask] * change.factor + added
    if one.relative is None:
        found.values[mask] = _amount(found.parameter, one) if one.of_cells else np.nan


def _amount(parameter: WrittenParameter, one: Change) -> float:
    if isinstance(one.value, bool) or not isinstance(one.value, int | float | str):
        raise InputError(f"expected a number, found {one.value!r}", one.where)
    try:
        return _in_unit(parameter, one, *parse_amount(one.value))
    except UnitError as wrong:
        raise InputError(str(wrong), one.where) from None


def _in_unit(parameter: WrittenParameter, one: Change, number: float, unit: str) -> float:
    try:
        found = number * parameter.scale_of(unit) if unit else number
    except UnitError as wrong:
        raise InputError(str(wrong), one.where) from None
    if not np.isfinite(found):
        raise InputError(f"{one.value!r} is not finite", one.where)
    return found


# --- which cells ----------------------------------------------------------------------------------


def _cells_of(parameter: WrittenParameter, one: Change) -> _Mask:
    """Return which cells a change is of."""
    dims = parameter.within.dims
    try:
        picked = _picked(parameter, one) if one.labels is not None else _below(parameter, one)
        sides = [dims.along(dim, picked) for dim in parameter.dims]
    except LabelError as wrong:
        raise InputError(str(wrong), one.where) from None
    found = np.zeros(dims.shape(parameter.dims), dtype=np.bool_)
    found[np.ix_(*sides)] = True
    return found.reshape(-1)


def _picked(parameter: WrittenParameter, one: Change) -> dict[str, tuple[int, ...]]:
    """Return where the labels in brackets stand, by dim."""
    dims = parameter.within.dims
    own = dims.known_by(parameter.dims)
    found = dims.read(one.labels or "", own)
    if not found:
        raise LabelError("no labels stand in the brackets; leave them out to change all cells")
    if others := [dim for dim in found if dim not in own]:
        has = f"its dims are {', '.join(own)}" if own else "it has none"
        raise LabelError(f"parameter {parameter.name!r} has no dim {others[0]!r}; {has}")
    if "year" in found:
        found["year"] = [_in_model(text, dims.years) for text in found["year"]]
    return dims.picked(dims.ungrouped(found, parameter.dims))


def _in_model(text: str, years: Sequence[int]) -> str:
    """Return a period within the years of the model, which may be fewer than it was written for."""
    ends = [end.strip() for end in text.split("..")]
    if len(ends) != 2 or not all(map(str.isdecimal, ends)):
        return text
    first, last = max(int(ends[0]), years[0]), min(int(ends[1]), years[-1])
    return f"{first}..{last}" if first <= last else text


def _below(parameter: WrittenParameter, one: Change) -> dict[str, tuple[int, ...]]:
    """Return where the labels of a path stand; those of a value that is set are checked with it."""
    dims, keys = parameter.within.dims, one.keys[3:]
    named = dict.fromkeys(dim for own in parameter.entry.dims for dim in dims.named([own]))
    found = dict[str, tuple[int, ...]]()
    for dim, key in zip(named, keys, strict=False):
        if one.relative is None and key not in dims.known(dim):
            break
        found[dim] = dims.positions(dim, key)
    return found


def _refuse_collisions(made: Sequence[Change], masks: Sequence[_Mask]) -> None:
    """Refuse two changes of the same cell of which neither is to be made after the other."""
    for (m, one), (n, other) in itertools.combinations(enumerate(made), 2):
        if one.may_follow(other) or other.may_follow(one) or _say_the_same(one, other):
            continue
        both = masks[m] & masks[n]
        if not both.any():  # as most: 600 cells set one by one took 27 s, and 2 so
            continue
        for last, mask in zip(made, masks, strict=True):
            if last.relative is None and last.may_follow(one) and last.may_follow(other):
                both &= ~mask
        if both.any():
            raise one.collision(other)


def _say_the_same(one: Change, other: Change) -> bool:
    """Whether two changes make the same of a cell, or are both of the file, which is seen there."""
    absolute = one.relative is None and other.relative is None
    in_file = not (one.of_cells or other.of_cells)
    return in_file or (absolute and one.of_cells and other.of_cells and one.value == other.value)
