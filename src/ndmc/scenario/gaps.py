"""Cells that are not given: on a line between two years, held from the nearest, or zero."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ndmc.errors import InputError
from ndmc.label import pairs
from ndmc.scenario.coded import Coded, alike
from ndmc.scenario.distributions import WITH_UNIT
from ndmc.scenario.given_cells import (
    HELD,
    INTERPOLATED,
    ZERO,
    GivenCells,
    Rows,
    given_twice,
    what_to_say,
)
from ndmc.scenario.units import UnitError
from ndmc.scenario.written import WrittenParameter
from ndmc.typing import Floats, Integers


@dataclass(frozen=True)
class _Timeline:
    """The rows of a parameter and its cells, the years of each label one behind the other.

    ``rows`` are in the order of their ``places``; behind the last stands one at -1 that says
    nothing. ``at`` is where each of the ``wanted`` cells stands among them, or would stand.
    """

    first: int
    span: int
    rows: Integers
    places: Integers
    wanted: Integers
    at: Integers

    @property
    def given(self) -> npt.NDArray[np.bool_]:
        """Whether a row is of each cell."""
        return np.asarray(self.places[self.at] == self.wanted)

    def years(self, rows: Integers) -> Integers:
        """Return the years of rows."""
        return self.places[rows] % self.span + self.first

    def are_beside(self, rows: Integers, cells: Integers) -> npt.NDArray[np.bool_]:
        """Whether rows are of the same labels as cells, in whatever year."""
        return np.asarray(self.places[rows] // self.span == self.wanted[cells] // self.span)


@dataclass(frozen=True)
class _Filling:
    """How cells without a row are filled: from the ``nearest``, or on a line between two rows."""

    cells: Integers
    how: npt.NDArray[np.int8]
    before: Integers
    after: Integers
    nearest: Integers
    weight: Floats


def filled(parameter: WrittenParameter, rows: Rows) -> GivenCells:
    """Return what is given of every cell, and what the parameter says of those without a row.

    Raises
    ------
    InputError
        For two rows of a cell, and for a cell without one that nothing is said of.
    """
    line = _timeline(parameter, rows)
    found = _filling(line, parameter.entry.missing)
    _refuse_empty(parameter, line, found)
    row_of = line.at.copy()
    row_of[found.cells] = found.nearest
    cells = _and_blank(rows).taken(line.rows[row_of])
    if len(found.cells):
        how = np.zeros(len(row_of), dtype=np.int8)
        how[found.cells] = found.how
        words = cells.words | {"source": _sources(line, found, cells)}
        numbers = _interpolated(parameter, rows, line, found, cells)
        cells = replace(cells, numbers=numbers, words=words, filled=how)
    on_line = found.how == INTERPOLATED
    used = np.zeros(len(line.rows), dtype=np.bool_)
    for some in (row_of, found.before[on_line], found.after[on_line]):
        used[some] = True
    return replace(cells, passed_over=_passed_over(line.years(np.flatnonzero(~used[:-1]))))


def _passed_over(years: Integers) -> str:
    """Return in words of how many cells nothing is read, and of which years."""
    if not len(years):
        return ""
    span = f"{years.min()}..{years.max()}" if years.min() < years.max() else f"{years[0]}"
    return f"{len(years):,} given cell{'s'[: len(years) > 1]} of {span}"


def _timeline(parameter: WrittenParameter, rows: Rows) -> _Timeline:
    names, dims = parameter.dims, parameter.within.dims
    others = tuple(name for name in names if name != "year")
    years, own = np.zeros(len(rows.lines), dtype=np.int64), np.zeros(1, dtype=np.int64)
    if "year" in names:
        years, own = np.array(rows.dims.years)[rows.labels["year"]], np.array(dims.years)
    first = int(years.min(initial=own[0]))
    span = int(years.max(initial=own[-1])) - first + 1
    places = rows.cells(others) * span + (years - first)
    order = np.argsort(places, kind="stable")
    in_order = places[order]
    if (in_order[1:] == in_order[:-1]).any():
        raise given_twice(rows, places)
    wanted = (np.arange(dims.size(others))[:, None] * span + (own - first)).reshape(-1)
    return _Timeline(
        first=first,
        span=span,
        rows=np.append(order, len(order)),
        places=np.append(in_order, -1),
        wanted=wanted,
        at=np.searchsorted(in_order, wanted),
    )


def _filling(line: _Timeline, rules: tuple[str, ...]) -> _Filling:
    cells = np.flatnonzero(~line.given)
    after, blank = line.at[cells], len(line.rows) - 1
    before = after - 1  # of the first that is the last, which says nothing
    is_before, is_after = line.are_beside(before, cells), line.are_beside(after, cells)
    can = {
        "interpolate": (INTERPOLATED, is_before & is_after),
        "hold": (HELD, is_before | is_after),
        "0": (ZERO, np.ones(len(cells), dtype=np.bool_)),
    }
    how = np.zeros(len(cells), dtype=np.int8)
    for number, possible in (can[rule] for rule in rules):
        how[possible & (how == 0)] = number
    year, start, end = line.wanted[cells], line.places[before], line.places[after]
    weight = np.zeros(len(cells))
    np.divide(year - start, end - start, out=weight, where=how == INTERPOLATED)
    nearest = np.where(is_before & (weight <= 0.5), before, after)
    nearest[(how != INTERPOLATED) & (how != HELD)] = blank
    return _Filling(cells, how, before, after, nearest, weight)


def _refuse_empty(parameter: WrittenParameter, line: _Timeline, found: _Filling) -> None:
    """Refuse cells without a row that no rule fills."""
    empty = np.flatnonzero(found.how == 0)
    if not len(empty):
        return
    rules, first = parameter.entry.missing, empty[:1]
    named = pairs(parameter.within.dims.cell(parameter.dims, int(found.cells[first[0]])))
    named += f" and {len(empty) - 1} more" if len(empty) > 1 else ""
    if not rules:
        message = f"nothing is given for {named}; every cell needs a number, "
        message += what_to_say(parameter.dims)
        raise parameter.error(message, "value" if parameter.entry.table is None else "table")
    beside = (found.before[first], found.after[first])
    known = [one for one in beside if line.are_beside(one, found.cells[first])[0]]
    if not known:
        message = f"nothing is given for {named} in any year; give some, or say "
        raise parameter.error(f"{message}'missing: [{', '.join((*rules, '0'))}]'", "missing")
    year = line.years(known[0])[0]
    message = f"{named}: nothing is interpolated beyond {year}, the outermost year that is given; "
    message += "say what is there by 'missing: [interpolate, hold]' or '[interpolate, 0]'"
    raise parameter.error(message, "missing")


def _and_blank(rows: Rows) -> Rows:
    """Return rows with one behind the last that says nothing."""
    return replace(
        rows,
        tables=Coded(rows.tables.values, np.append(rows.tables.codes, 0)),
        lines=np.append(rows.lines, 0),
        numbers={name: np.append(numbers, np.nan) for name, numbers in rows.numbers.items()},
        words={
            name: Coded((*words.values, ""), np.append(words.codes, len(words.values)))
            for name, words in rows.words.items()
        },
    )


def _interpolated(
    parameter: WrittenParameter, rows: Rows, line: _Timeline, found: _Filling, cells: GivenCells
) -> dict[str, Floats]:
    """Return the numbers of cells with those between two years on a straight line.

    Where only one of the two rows has a number it is that of the nearer one, as its words are.
    """
    some = np.flatnonzero(found.how == INTERPOLATED)
    ends = [line.rows[end[some]] for end in (found.before, found.after)]
    own, weight = found.cells[some], found.weight[some]
    scales = [_scales(parameter, rows, end, line.rows[found.nearest[some]]) for end in ends]
    numbers = dict[str, Floats]()
    for name, column in cells.numbers.items():
        start, end = (
            _in_unit(name, rows.numbers[name][end], scale)
            for end, scale in zip(ends, scales, strict=True)
        )
        # Rounded like this it lies between its ends, and what is below another number stays so.
        between = start * (1 - weight) + end * weight
        between = np.clip(between, np.minimum(start, end), np.maximum(start, end))
        numbers[name] = column.copy()
        numbers[name][own] = np.where(np.isnan(between), column[own], between)
    return numbers


def _scales(
    parameter: WrittenParameter, rows: Rows, these: Integers, others: Integers
) -> Floats | None:
    """Return what the units of rows are in those of others; None where they are all the same."""
    units = rows.words.get("unit")
    if units is None or (units.codes[these] == units.codes[others]).all():
        return None
    scales = np.ones(len(units.values))
    for code in np.unique(units.codes).tolist():
        try:
            scales[code] = parameter.row_scale(units.values[code])
        except UnitError as wrong:
            row = int((units.codes == code).argmax())
            raise InputError(str(wrong), rows.where(row)) from None
    return np.asarray(scales[units.codes[these]] / scales[units.codes[others]])


def _in_unit(name: str, numbers: Floats, scale: Floats | None) -> Floats:
    if scale is None:
        return numbers
    if name == "mu":
        return np.asarray(numbers + np.log(scale))
    return np.asarray(numbers * scale) if name in WITH_UNIT else numbers


def _sources(line: _Timeline, found: _Filling, cells: GivenCells) -> Coded[str]:
    """Return the sources of cells, where those that are filled say from which years."""
    size = len(line.at)
    known = cells.words.get("source", alike("", size))
    values, codes = [*known.values], np.array(known.codes)

    def say(how: int, of: Integers, text: Callable[[int], str]) -> None:
        some = found.how == how
        keys, inverse = np.unique(of[some], return_inverse=True)
        codes[found.cells[some]] = inverse + len(values)
        values.extend(text(key) for key in keys.tolist())

    start, end = line.years(found.before), line.years(found.after)
    many = 10_000
    say(
        INTERPOLATED,
        start * many + end,
        lambda key: f"interpolated between {key // many} and {key % many}",
    )
    say(HELD, line.years(found.nearest), lambda year: f"held from {year}")
    say(ZERO, np.zeros_like(start), lambda _: "not given, so 0")
    return Coded(tuple(values), codes)
