"""What the tables of a parameter give: one, or several that are each for some years."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ndmc.errors import InputError, nearest
from ndmc.label import such_years, unknown_label
from ndmc.scenario.coded import Coded, Value, alike
from ndmc.scenario.columns import refuse_lookalikes, value_column
from ndmc.scenario.distributions import KEYS, SPREAD
from ndmc.scenario.given_cells import Rows, some_of, with_labels
from ndmc.scenario.labels import first_and_last
from ndmc.scenario.quality_reader import SCORED
from ndmc.scenario.schema import ParameterEntry, ScenarioFile, TableEntry
from ndmc.scenario.table_cells import Wanted, read_rows
from ndmc.scenario.tables import Table
from ndmc.scenario.written import WrittenParameter, grades_of
from ndmc.typing import Array

_Span = tuple[int, int]


def rows_of(parameter: WrittenParameter) -> Rows:
    """Return what each row of a parameter's tables gives.

    Raises
    ------
    InputError
        With file and line, for anything missing, superfluous or no number.
    """
    tables = parameter.entry.table
    if not isinstance(tables, list):
        return _tabled(parameter, tables or "")
    if "year" not in parameter.dims:
        message = "each of several tables is for some years, and this parameter has no dim year"
        raise parameter.error(message, "table")
    spans = _spans(parameter, tables)
    return _joined(
        [
            _of_years(parameter.of_table(n), entry, span)
            for n, (entry, span) in enumerate(zip(tables, spans, strict=True))
        ]
    )


def _spans(parameter: WrittenParameter, tables: Sequence[TableEntry]) -> list[_Span]:
    """Return the first and the last year of each table."""
    found = list[_Span]()
    for n, entry in enumerate(tables):
        try:
            first, last = first_and_last(entry.years)
        except ValueError as wrong:
            raise parameter.of_table(n).error(str(wrong), "years") from None
        for other in found:
            if first <= other[1] and other[0] <= last:
                message = f"{entry.years} overlaps with {other[0]}..{other[1]} of another table; "
                message += "each year is of one table"
                raise parameter.of_table(n).error(message, "years")
        found.append((first, last))
    return found


def _of_years(parameter: WrittenParameter, entry: TableEntry, span: _Span) -> Rows:
    """Return the rows of a table that are of its years, in its unit and of its source."""
    rows = _tabled(parameter, entry.table)
    years = np.array(rows.dims.years)[rows.labels["year"]]
    rows = some_of(rows, (years >= span[0]) & (years <= span[1]))
    for word in ("unit", "source"):
        if said := getattr(entry, word):
            known = rows.words.get(word, alike("", len(rows.lines)))
            values = tuple(value or said for value in known.values)
            rows = replace(rows, words={**rows.words, word: Coded(values, known.codes)})
    _refuse_outside(parameter, rows)
    return rows


def _refuse_outside(parameter: WrittenParameter, rows: Rows) -> None:
    """Refuse years that the scenario does not have, where nothing is said of them."""
    dims, labels = parameter.within.dims, rows.dims.labels["year"]
    outside = rows.labels["year"] >= len(dims.labels["year"])
    if parameter.may_lie_outside or not outside.any():
        return
    row = int(outside.argmax())
    label = labels[rows.labels["year"][row]]
    message = unknown_label(label, "year", dims.labels, dims.groups, grouped=False)
    texts = (labels[place] for place in rows.labels["year"].tolist())
    message += such_years(label, "year", dims.labels["year"], texts)
    raise InputError(message, rows.where(row))


def _joined(parts: Sequence[Rows]) -> Rows:
    """Return the rows of several tables as those of one."""
    years = dict.fromkeys(itertools.chain(*(part.dims.labels["year"] for part in parts)))
    dims = with_labels(parts[0].dims, "year", (*years,))
    places = {year: place for place, year in enumerate(years)}
    sizes = [len(part.lines) for part in parts]

    def texts(name: str) -> Coded[str]:
        return _in_one([part.words.get(name, alike("", len(part.lines))) for part in parts])

    def along(dim: str, part: Rows) -> Array:
        if dim != "year":
            return part.labels[dim]
        return np.array([places[year] for year in part.dims.labels[dim]])[part.labels[dim]]

    def numbers(name: str) -> Array:
        blanks = (np.full(size, np.nan) for size in sizes)
        return np.concatenate(
            [part.numbers.get(name, blank) for part, blank in zip(parts, blanks, strict=True)]
        )

    return Rows(
        dims=dims,
        tables=_in_one([part.tables for part in parts]),
        lines=np.concatenate([part.lines for part in parts]),
        labels={
            dim: np.concatenate([along(dim, part) for part in parts]) for dim in parts[0].labels
        },
        numbers={
            name: numbers(name) for name in dict.fromkeys(n for part in parts for n in part.numbers)
        },
        words={
            name: texts(name) for name in dict.fromkeys(w for part in parts for w in part.words)
        },
    )


def _in_one(parts: Sequence[Coded[Value]]) -> Coded[Value]:
    """Return the values of several parts behind each other."""
    starts = itertools.accumulate((len(part.values) for part in parts), initial=0)
    return Coded(
        tuple(value for part in parts for value in part.values),
        np.concatenate([part.codes + start for part, start in zip(parts, starts, strict=False)]),
    )


# --- one table ------------------------------------------------------------------------------------


def _tabled(parameter: WrittenParameter, name: str) -> Rows:
    """Return the rows of one table; its column of values is called so, whatever its name."""
    entry, dims, every = parameter.entry, parameter.dims, parameter.within.dims
    table = parameter.within.table(name, *parameter.at("table"))
    if entry.wide is not None and entry.wide not in dims:
        message = f"wide: {entry.wide!r} is not a dim of this parameter"
        raise parameter.error(f"{message}; {nearest(entry.wide, dims)}", "wide")
    refuse_lookalikes(parameter, table)
    column = value_column(entry, table.header)
    if not entry.column and {"mean", "value"} <= {*table.header}:
        message = "give either a column mean or a column value, or say which: 'column: value'"
        raise InputError(message, table.where())
    if entry.column and entry.column not in table.header:
        message = f"{name} has no column {column!r}; {nearest(column, table.header)}"
        raise parameter.error(message, "column")
    rows = read_rows(table, dims, every, _wanted(parameter, table, column), entry.wide)
    numbers = {("value" if k == column else k): v for k, v in rows.numbers.items()}
    return replace(rows, numbers=numbers)


def _wanted(parameter: WrittenParameter, table: Table, column: str) -> Wanted:
    """Return the columns that are read besides labels."""
    entry, dims = parameter.entry, parameter.dims
    numbers = [c for c in (*KEYS, column) if c in table.header and c not in dims]
    if not numbers and not entry.wide and set(dims) <= set(table.header):
        message = f"no column {column!r}; {table.instead_of(column)}"
        message += "" if entry.column else " (or name the one that holds the value under 'column')"
        raise InputError(message, table.where())
    if entry.column:
        numbers = [c for c in numbers if c == column or c not in ("value", "mean")]
    words, gaps = ["source", "confidence", "unit"], list[str]()
    if _may_be_scored(entry, parameter.within.file):
        # A row without scores may say its own spread, so these may be empty.
        gaps = [c for c in numbers if c in SPREAD and c != column]
        words += SCORED
    return Wanted(
        numbers=tuple(dict.fromkeys(c for c in numbers if c not in gaps)),
        gaps=tuple(gaps),
        words=tuple(c for c in words if c in table.header and c not in numbers),
        outside=parameter.may_lie_outside or parameter.part is not None,
        absent=bool(entry.missing) or parameter.part is not None,
    )


def _may_be_scored(entry: ParameterEntry, file: ScenarioFile) -> bool:
    grades = (file.grades.get(name) for name in grades_of(entry, file))
    return entry.quality is not None or any(grade and grade.quality for grade in grades)
