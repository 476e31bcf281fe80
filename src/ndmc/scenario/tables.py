"""CSV tables: tidy or wide, every cell accounted for, every mistake with its line."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass
from pathlib import Path

from ndmc.dims import Dims
from ndmc.errors import InputError, nearest
from ndmc.scenario.document import read_text

__all__ = ["read_table"]

_MAX_TABLE_BYTES = 32 * 2**20


@dataclass(frozen=True)
class Table:
    """A CSV file as text cells, with the line of each row."""

    path: Path
    header: tuple[str, ...]
    rows: tuple[tuple[int, dict[str, str]], ...]

    def where(self, line: int = 1) -> str:
        """Return ``file:line``."""
        return f"{self.path}:{line}"

    def number(self, line: int, column: str, text: str) -> float:
        """Return ``text`` as a finite number, or say where it is not one."""
        share = column == "cv" and text.endswith("%")
        try:
            number = float(text.removesuffix("%")) / 100 if share else float(text)
        except ValueError:
            message = f"column {column!r} holds {text!r}, which is not a number"
            if not text:
                message = f"column {column!r} is empty; give a number"
            raise InputError(message, self.where(line)) from None
        if not math.isfinite(number):
            raise InputError(
                f"column {column!r} holds {text!r}; numbers must be finite", self.where(line)
            )
        return number


@dataclass(frozen=True)
class GivenCell:
    """What a table gives of one cell of a parameter."""

    line: int
    numbers: dict[str, float]
    words: dict[str, str]


def read_table(path: Path) -> Table:
    """Return the CSV file at ``path``.

    Raises
    ------
    InputError
        For a missing or huge file, a broken header, or a row of the wrong length.
    """
    text = read_text(path, _MAX_TABLE_BYTES)
    lines = csv.reader(io.StringIO(text), strict=True)
    try:
        header = tuple(name.strip() for name in next(lines, ()))
        if not any(header):
            raise InputError(
                "the table is empty; its first line must name the columns", f"{path}:1"
            )
        repeated = [name for name in header if header.count(name) > 1]
        if repeated:
            raise InputError(f"the column {repeated[0]!r} stands twice", f"{path}:1")
        rows = []
        for cells in lines:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                message = (
                    f"{len(cells)} cells but {len(header)} columns; quote cells that hold commas"
                )
                raise InputError(message, f"{path}:{lines.line_num}")
            stripped = (cell.strip() for cell in cells)
            rows.append((lines.line_num, dict(zip(header, stripped, strict=True))))
    except csv.Error as broken:
        raise InputError(f"not valid CSV: {broken}", f"{path}:{lines.line_num}") from None
    return Table(path, header, tuple(rows))


def read_cells(
    table: Table, names: tuple[str, ...], dims: Dims, columns: tuple[str, ...], wide: str | None
) -> dict[tuple[str, ...], GivenCell]:
    """Return the cells of a table by their labels, each exactly once.

    Parameters
    ----------
    table
        The table.
    names
        The dims of the parameter, in array order.
    dims
        All dims and their labels.
    columns
        The columns that hold numbers (in a tidy table). Others are words.
    wide
        The dim whose labels are columns, if the table is wide.

    Raises
    ------
    InputError
        For a missing column, an unknown label, and missing, extra or repeated cells.
    """
    cells = _wide(table, names, dims, wide) if wide else _tidy(table, names, dims, columns)
    missing = [cell for cell in dims.cells(names) if tuple(cell.values()) not in cells]
    if missing:
        labels = ", ".join(f"{dim}={label}" for dim, label in missing[0].items())
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        last = table.rows[-1][0] if table.rows else 1
        raise InputError(f"no row for {labels}{more}; every cell needs one", table.where(last))
    return cells


def _tidy(
    table: Table, names: tuple[str, ...], dims: Dims, columns: tuple[str, ...]
) -> dict[tuple[str, ...], GivenCell]:
    for name in names:
        if name not in table.header:
            across = [label for label in dims.labels[name] if label in table.header]
            hint = f"say 'wide: {name}'" if across else nearest(name, table.header)
            raise InputError(f"no column for the dim {name!r}; {hint}", table.where())
    cells: dict[tuple[str, ...], GivenCell] = {}
    for line, row in table.rows:
        key = tuple(_label(table, line, dims, name, row[name]) for name in names)
        numbers = {c: table.number(line, c, row[c]) for c in columns if c in row}
        words = {name: text for name, text in row.items() if name not in numbers}
        _add(table, cells, names, key, GivenCell(line, numbers, words))
    return cells


def _wide(
    table: Table, names: tuple[str, ...], dims: Dims, wide: str
) -> dict[tuple[str, ...], GivenCell]:
    down = tuple(name for name in names if name != wide)
    absent = [name for name in (*down, *dims.labels[wide]) if name not in table.header]
    if absent:
        raise InputError(
            f"no column {absent[0]!r}; {nearest(absent[0], table.header)}", table.where()
        )
    extra = [name for name in table.header if name not in (*down, *dims.labels[wide])]
    if extra:
        message = (
            f"column {extra[0]!r} is no label of {wide!r}; {nearest(extra[0], dims.labels[wide])}"
        )
        raise InputError(message, table.where())
    cells: dict[tuple[str, ...], GivenCell] = {}
    for line, row in table.rows:
        labels = {name: _label(table, line, dims, name, row[name]) for name in down}
        for label in dims.labels[wide]:
            key = tuple({**labels, wide: label}[name] for name in names)
            number = table.number(line, label, row[label])
            _add(table, cells, names, key, GivenCell(line, {"value": number}, {}))
    return cells


def _label(table: Table, line: int, dims: Dims, name: str, label: str) -> str:
    if label not in dims.labels[name]:
        message = f"{name} has no label {label!r}; {nearest(label, dims.labels[name])}"
        raise InputError(message, table.where(line))
    return label


def _add(
    table: Table,
    cells: dict[tuple[str, ...], GivenCell],
    names: tuple[str, ...],
    key: tuple[str, ...],
    cell: GivenCell,
) -> None:
    if key in cells:
        labels = ", ".join(f"{n}={label}" for n, label in zip(names, key, strict=True))
        message = f"a second row for {labels or 'the value'} (first on line {cells[key].line})"
        raise InputError(message, table.where(cell.line))
    cells[key] = cell
