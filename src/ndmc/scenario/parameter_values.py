"""The numbers of a parameter's cells, as its entry or its table gives them."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ndmc.dims import Dims
from ndmc.errors import InputError, nearest
from ndmc.label import pairs, plain_label, such_years, unknown_label
from ndmc.scenario.by_label import ELSE, ByLabelError, keys_of_labels
from ndmc.scenario.columns import refuse_lookalikes, value_column
from ndmc.scenario.distributions import KEYS, SPREAD, WITHOUT_UNIT
from ndmc.scenario.inline_values import InlineValues, is_own
from ndmc.scenario.quality_reader import SCORED
from ndmc.scenario.schema import ParameterEntry, ScenarioFile
from ndmc.scenario.table_cells import GivenCells, Wanted, read_cells
from ndmc.scenario.tables import Table
from ndmc.scenario.written import WrittenParameter, grades_of
from ndmc.typing import Integers

#: Numbers in the unit of the parameter.
WITH_UNIT = ("value", "mean", "sd", "low", "mode", "high")

# More than 1 GB of numbers.
_MAX_CELLS = 10_000_000


def read_values(parameter: WrittenParameter) -> tuple[GivenCells, Table | None]:
    """Return what is given of every cell, and the table if any.

    Raises
    ------
    InputError
        With file and line, for anything missing, superfluous or no number.
    """
    entry = parameter.entry
    size = math.prod(parameter.within.dims.shape(parameter.dims))
    if size > _MAX_CELLS:
        message = f"{size:,} cells along its dims, but at most {_MAX_CELLS:,} are read"
        raise parameter.error(f"{message}; split the parameter, or leave out a dim", "dims")
    if entry.table is None:
        for only in ("column", "wide"):
            if getattr(entry, only) is not None:
                raise parameter.error(f"{only!r} needs a table", only)
        return _inline(parameter, size), None
    if entry.value is not None:
        raise parameter.error("give either value or table, not both", "value")
    table = parameter.within.table(entry.table, *parameter.key, "table")
    return _tabled(parameter, table), table


# --- in a table -----------------------------------------------------------------------------------


def _tabled(parameter: WrittenParameter, table: Table) -> GivenCells:
    entry, dims, every = parameter.entry, parameter.dims, parameter.within.dims
    if entry.wide is not None and entry.wide not in dims:
        message = f"wide: {entry.wide!r} is not a dim of this parameter"
        raise parameter.error(f"{message}; {nearest(entry.wide, dims)}", "wide")
    refuse_lookalikes(parameter, table)
    column = value_column(entry, table.header)
    if not entry.column and {"mean", "value"} <= {*table.header}:
        message = "give either a column mean or a column value, or say which: 'column: value'"
        raise InputError(message, table.where())
    if entry.column and entry.column not in table.header:
        message = f"{entry.table} has no column {column!r}; {nearest(column, table.header)}"
        raise parameter.error(message, "column")
    cells = read_cells(table, dims, every, _wanted(parameter, table, column), entry.wide)
    numbers = {("value" if k == column else k): v for k, v in cells.numbers.items()}
    return replace(cells, numbers=numbers)


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
    )


def _may_be_scored(entry: ParameterEntry, file: ScenarioFile) -> bool:
    grades = (file.grades.get(name) for name in grades_of(entry, file))
    return entry.quality is not None or any(grade and grade.quality for grade in grades)


# --- in the file ----------------------------------------------------------------------------------


def _inline(parameter: WrittenParameter, size: int) -> GivenCells:
    entry = parameter.entry
    if all(getattr(entry, key, None) is None for key in (*WITH_UNIT, *WITHOUT_UNIT, "values")):
        raise parameter.error("no value; give value, table, or the numbers of the distribution")
    lines = np.broadcast_to(np.int64(0), size)
    if entry.value is None:
        return GivenCells(lines, {}, {})
    values, which = InlineValues(parameter), np.empty(size, dtype=np.int64)
    _fill(values, which, entry.value, _All.of(parameter))
    return GivenCells(lines, values.columns(which), values.words(which))


@dataclass(frozen=True)
class _All:
    """The cells that values are written to: dims yet to be named, and where labels then stand."""

    named: tuple[str, ...]
    along: dict[str, tuple[int, ...]]

    @classmethod
    def of(cls, parameter: WrittenParameter) -> _All:
        """Return all cells of a parameter, whose parents are named before what belongs to them."""
        sizes = zip(parameter.dims, parameter.within.dims.shape(parameter.dims), strict=True)
        return cls(parameter.nested, {dim: tuple(range(size)) for dim, size in sizes})

    def labelled(self, dims: Dims) -> dict[str, _All]:
        """Return the cells of each label of the first dim."""
        (first, *rest), found = self.named, dict[str, _All]()
        child = first if first in self.along else dims.parents(self.along, first)[0]
        owner = dims.named_at(child, first)
        for label in dict.fromkeys(owner[at] for at in self.along[child]):
            some = tuple(at for at in self.along[child] if owner[at] == label)
            found[label] = _All(tuple(rest), {**self.along, child: some})
        return found

    def places(self, dims: Dims) -> Integers:
        """Return the numbers of the cells."""
        shape = dims.shape(self.along)
        return np.ravel_multi_index(np.ix_(*self.along.values()), shape).reshape(-1)


def _fill(values: InlineValues, which: Integers, found: Any, cells: _All, *at: str) -> None:
    """Write which value it is that is found at a key to the cells that lie there."""
    parameter, dims = values.parameter, values.parameter.within.dims
    own = bool(cells.named) and is_own(found, cells.named[0], parameter)
    if not cells.named or not isinstance(found, dict) or own:
        which[cells.places(dims) if cells.along else 0] = values.add(found, *at)
        return
    labelled, dim = cells.labelled(dims), cells.named[0]
    keys = _keys(parameter, found, dim, labelled, *at)
    if missing := [label for label in labelled if label not in keys]:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        message = f"no value for {pairs({dim: missing[0]})}{more}; every label needs one, "
        message += "or all others one: else"
        raise parameter.error(message, "value", *at)
    for label, key in keys.items():
        _fill(values, which, found[key], labelled[label], *at, key)


def _keys(
    parameter: WrittenParameter,
    found: Mapping[str, Any],
    dim: str,
    known: Collection[str],
    *at: str,
) -> dict[str, str]:
    """Return the keys of values by the labels they stand for."""
    dims = parameter.within.dims
    groups = dims.groups.get(dim, {})
    for key in found:
        label = plain_label(dim, key)
        if label not in known and label not in groups and label != ELSE:
            labels = {**dims.labels, dim: [*known]}
            message = unknown_label(label, dim, labels, dims.groups)
            message += such_years(label, dim, dims.labels[dim], found, "values")
            raise parameter.error(message, "value", *at, key)
    try:
        return keys_of_labels(found, dim, known, groups)
    except ByLabelError as wrong:
        raise parameter.error(str(wrong), "value", *at, wrong.key) from None
