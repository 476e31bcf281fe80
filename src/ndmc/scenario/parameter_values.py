"""The numbers of a parameter's cells, as its entry or its table gives them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from ndmc.errors import InputError, nearest
from ndmc.scenario.distributions import KEYS
from ndmc.scenario.schema import ParameterEntry, ScenarioFile
from ndmc.scenario.tables import GivenCell, Table, read_cells, read_table
from ndmc.scenario.units import UnitError, parse_amount
from ndmc.scenario.written import WrittenParameter

#: The grade of a parameter whose cells each have that of their confidence.
BY_CONFIDENCE = "by_confidence"

#: Numbers in the unit of the parameter.
WITH_UNIT = ("value", "mean", "sd", "low", "mode", "high")

_WITHOUT_UNIT = ("cv", "mu", "sigma")

#: How wide a cell is.
SPREAD = ("cv", "sd")

_Cells = dict[tuple[str, ...], GivenCell]


def read_values(parameter: WrittenParameter) -> tuple[_Cells, Table | None]:
    """Return what is given of every cell by its labels, in array order, and the table if any.

    Raises
    ------
    InputError
        With file and line, for anything missing, superfluous or no number.
    """
    entry = parameter.entry
    if entry.table is None:
        for only in ("column", "wide"):
            if getattr(entry, only) is not None:
                raise parameter.error(f"{only!r} needs a table", only)
        return _inline(parameter), None
    if entry.value is not None:
        raise parameter.error("give either value or table, not both", "value")
    table = read_table(parameter.within.path(entry.table, *parameter.key, "table"))
    return _tabled(parameter, table), table


# --- in a table -----------------------------------------------------------------------------------


def _tabled(parameter: WrittenParameter, table: Table) -> _Cells:
    entry, dims, every = parameter.entry, parameter.dims, parameter.within.dims
    if entry.wide is not None and entry.wide not in dims:
        message = f"wide: {entry.wide!r} is not a dim of this parameter"
        raise parameter.error(f"{message}; {nearest(entry.wide, dims)}", "wide")
    column = entry.column or ("mean" if "mean" in table.header else "value")
    if entry.column and entry.column not in table.header:
        message = f"{entry.table} has no column {column!r}; {nearest(column, table.header)}"
        raise parameter.error(message, "column")
    scored = _may_be_scored(entry, parameter.within.file)
    numeric = _numeric(parameter, table, column, scored=scored)
    cells = read_cells(table, dims, every, numeric, entry.wide)
    if scored:
        cells = {labels: _with_spread(table, cell, dims) for labels, cell in cells.items()}
    order = [tuple(cell.values()) for cell in every.cells(dims)]
    return {labels: _renamed(cells[labels], column) for labels in order}


def _numeric(
    parameter: WrittenParameter, table: Table, column: str, *, scored: bool
) -> tuple[str, ...]:
    """Return the columns in which every row has a number."""
    entry, dims = parameter.entry, parameter.dims
    numeric = [c for c in (*KEYS, column) if c in table.header and c not in dims]
    if not numeric and not entry.wide and set(dims) <= set(table.header):
        message = f"no column {column!r}; {nearest(column, table.header)}"
        raise InputError(message, table.where())
    if entry.column:
        numeric = [c for c in numeric if c == column or c not in ("value", "mean")]
    if scored:
        # A row without scores may say its own spread, so these may be empty.
        numeric = [c for c in numeric if c not in SPREAD or c == column]
    return tuple(numeric)


def _may_be_scored(entry: ParameterEntry, file: ScenarioFile) -> bool:
    names = {entry.grade} if entry.grade != BY_CONFIDENCE else {*file.confidence.values()}
    grades = (file.grades.get(name or "") for name in names)
    return entry.quality is not None or any(grade and grade.quality for grade in grades)


def _with_spread(table: Table, cell: GivenCell, dims: tuple[str, ...]) -> GivenCell:
    """Return the cell with its cv and sd as numbers, where its row gives them."""
    given = {c: cell.words[c] for c in SPREAD if cell.words.get(c) and c not in dims}
    own = {column: table.number(cell.line, column, text) for column, text in given.items()}
    return replace(cell, numbers=cell.numbers | own)


def _renamed(cell: GivenCell, column: str) -> GivenCell:
    """Return the cell with the number of its column as the value."""
    numbers = {("value" if k == column else k): v for k, v in cell.numbers.items()}
    return replace(cell, numbers=numbers)


# --- in the file ----------------------------------------------------------------------------------


def _inline(parameter: WrittenParameter) -> _Cells:
    entry, dims = parameter.entry, parameter.within.dims
    if all(getattr(entry, key, None) is None for key in (*WITH_UNIT, *_WITHOUT_UNIT, "values")):
        raise parameter.error("no value; give value, table, or the numbers of the distribution")
    cells = {}
    for labels in dims.cells(parameter.dims):
        numbers = {}
        if entry.value is not None:
            numbers["value"] = _value(parameter, [labels[dim] for dim in entry.dims])
        cells[tuple(labels.values())] = GivenCell(0, numbers, {})
    if isinstance(entry.value, dict):
        _refuse_extra(parameter, entry.value, entry.dims)
    return cells


def _value(parameter: WrittenParameter, path: list[str]) -> float:
    entry, units = parameter.entry, parameter.within.units
    found, at = entry.value, ["value"]
    for dim, label in zip(entry.dims, path, strict=True):
        if not isinstance(found, dict):
            break
        if label not in found:
            raise parameter.error(f"no value for {dim}={label}; {nearest(label, found)}", *at)
        at.append(label)
        found = found[label]
    if isinstance(found, bool) or not isinstance(found, int | float | str):
        raise parameter.error(f"expected a number, found {found!r}", *at)
    try:
        number, unit = parse_amount(found)
        scale = units.factor(unit) / units.factor(entry.unit) if unit else 1.0
        if unit and units.dimension(unit) != units.dimension(entry.unit):
            raise UnitError(f"{unit!r} cannot be converted to {entry.unit!r}")
    except UnitError as wrong:
        raise parameter.error(str(wrong), *at) from None
    if not math.isfinite(number):
        raise parameter.error(f"{found!r} is not finite", *at)
    return number * scale


def _refuse_extra(
    parameter: WrittenParameter, found: dict[str, Any], dims: list[str], *at: str
) -> None:
    known = parameter.within.dims.labels[dims[0]] if dims else ()
    for label, inner in found.items():
        if label not in known:
            message = f"{label!r} is no label of {dims[0] if dims else 'this parameter'}"
            raise parameter.error(f"{message}; {nearest(label, known)}", "value", *at, label)
        if isinstance(inner, dict):
            _refuse_extra(parameter, inner, dims[1:], *at, label)
