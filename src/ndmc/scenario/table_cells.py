"""The cells of a table, tidy or wide: every one accounted for, every mistake with its line.

Read by columns, some thousand rows at a time, without an object for each cell. Only where
something is wrong are rows looked at one by one.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ndmc.dims import Dims
from ndmc.errors import InputError, Mistakes, shortened
from ndmc.label import pairs, plain_label, such_years, unknown_label
from ndmc.legible import shown
from ndmc.scenario.coded import Coded, alike
from ndmc.scenario.given_cells import (
    GivenCells,
    Rows,
    ordered,
    some_of,
    with_labels,
)
from ndmc.scenario.labels import is_year
from ndmc.scenario.tables import Columns, Table, is_number, numbers_of
from ndmc.typing import Array, Floats, Integers

# So many rows are read of a table that may have more years than the scenario.
_MAX_ROWS = 20_000_000

#: What some rows give: lines, labels, numbers and words, by column.
_Part = dict[str, dict[str, Array]]


@dataclass(frozen=True)
class Wanted:
    """The columns that are read of a tidy table, besides those of labels.

    In those with gaps a cell may be empty; in those of numbers none is, unless cells may be
    ``absent``: then one that is empty is not given. Years ``outside`` the scenario's may be read.
    """

    numbers: tuple[str, ...]
    gaps: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    outside: bool = False
    absent: bool = False


def read_cells(
    table: Table, names: tuple[str, ...], dims: Dims, wanted: Wanted, wide: str | None
) -> GivenCells:
    """Return what a table gives of every cell, each exactly once, in array order.

    Raises
    ------
    InputError
        As `read_rows`, and for missing, extra or repeated cells.
    """
    return ordered(read_rows(table, names, dims, wanted, wide), names)


def read_rows(
    table: Table, names: tuple[str, ...], dims: Dims, wanted: Wanted, wide: str | None
) -> Rows:
    """Return what a table gives of cells, as it comes.

    Parameters
    ----------
    table
        The table.
    names
        The dims of the parameter, in array order.
    dims
        All dims and their labels.
    wanted
        The columns of a tidy table that are read.
    wide
        The dim whose labels are columns, if the table is wide.

    Raises
    ------
    InputError
        For a missing column, an unknown label, and what is no number.
    """
    down = _down(table, names, dims, wide)
    if wide:
        rows = _read_wide(table, down, dims, wanted, wide)
    else:
        _check_tidy(table, down, dims)
        rows = _Reader(table, _places(table, wide), down, dims, wanted).read()
    return _with_parents(table, names, dims, rows)


def _read_wide(table: Table, down: tuple[str, ...], dims: Dims, wanted: Wanted, wide: str) -> Rows:
    """Return the rows that a wide table would have as a tidy one."""
    _check_wide(table, down, dims, wide, wanted)
    places = _places(table, wide)
    known = {*down, *dims.labels[wide]}
    across = (*dims.labels[wide], *(name for name in places if name and name not in known))
    columns = tuple(label for label in across if label in places)
    if not columns:
        raise InputError(f"no column is a label of {wide!r}", table.where())
    columned = replace(
        wanted, numbers=() if wanted.absent else columns, gaps=columns * wanted.absent, words=()
    )
    rows = _Reader(table, places, down, dims, columned).read()
    return _melted(rows, wide, across, columns)


def _down(table: Table, names: tuple[str, ...], dims: Dims, wide: str | None) -> tuple[str, ...]:
    """Return the dims that have a column of labels: those of parents only where they are needed."""
    if wide in dims.of:
        message = f"{wide!r} belongs to {dims.of[wide]!r}, so its labels cannot be columns"
        raise InputError(f"{message}; give both a column, a row for each value", table.where())
    own = set(names) | {
        parent
        for name in names
        for parent in dims.named([name])
        if parent in table.header or dims.repeats(name)
    }
    return tuple(name for name in dims.labels if name in own and name != wide)


def _with_parents(table: Table, names: tuple[str, ...], dims: Dims, rows: Rows) -> Rows:
    """Return rows of labels that belong to others, each found by both."""
    labels = dict(rows.labels)
    for name in names:
        chain = [dim for dim in dims.named([name]) if dim in labels]
        if name in dims.of:
            labels[name] = _of_parents(table, name, chain, dims, rows)
    return replace(rows, labels={name: labels[name] for name in names})


def _of_parents(table: Table, name: str, chain: Sequence[str], dims: Dims, rows: Rows) -> Integers:
    """Return where the labels of rows stand along a dim, among those of their parents."""
    own = [dims.named_at(name, dim) for dim in chain]
    place = {cell: n for n, cell in enumerate(zip(*own, strict=True))}
    texts = [np.array([*dict.fromkeys(dims.labels[dim])], dtype=object) for dim in chain]
    codes, which = np.unique(
        np.stack([rows.labels[dim] for dim in chain]), axis=1, return_inverse=True
    )
    cells = [tuple(t[code] for t, code in zip(texts, some, strict=True)) for some in codes.T]
    for n, cell in enumerate(cells):
        if cell not in place:
            line = int(rows.lines[int((which == n).argmax())])
            raise InputError(
                _no_such(name, dict(zip(chain, cell, strict=True)), dims), table.where(line)
            )
    return np.array([place[cell] for cell in cells], dtype=np.int64)[which.reshape(-1)]


def _no_such(name: str, cell: Mapping[str, str], dims: Dims) -> str:
    parent = dims.of[name]
    owner = dims.named_at(name, parent)
    known = [
        label for label, of in zip(dims.labels[name], owner, strict=True) if of == cell[parent]
    ]
    message = f"the {parent} {shown(cell[parent])} has no {name} {shown(cell[name])}"
    return f"{message}; it has {shortened(known)}"


def _check_tidy(table: Table, names: tuple[str, ...], dims: Dims) -> None:
    missing = [name for name in names if name not in table.header]
    elsewhere = table.header_elsewhere(names) if missing else ""
    with Mistakes() as mistakes:
        for name in missing[:1] if elsewhere else missing:
            across = not set(dims.labels[name]).isdisjoint(table.header)
            hint = elsewhere or (f"say 'wide: {name}'" if across else table.instead_of(name))
            mistakes.add([InputError(f"no column for the dim {name!r}; {hint}", table.where())])


def _check_wide(table: Table, down: tuple[str, ...], dims: Dims, wide: str, wanted: Wanted) -> None:
    header, labels = _places(table, wide), dims.labels[wide]
    for name in down:
        if name not in header:
            raise InputError(f"no column {name!r}; {table.instead_of(name)}", table.where())
    known = {*down, *labels}
    for name in filter(None, header):
        if name not in known and not (wanted.outside and wide == "year" and is_year(name)):
            message = unknown_label(name, wide, dims.labels, dims.groups, grouped=False)
            message += such_years(name, wide, labels, table.header, "columns")
            if wide == "year" and not name[:1].isdigit():
                message = f"a wide table has only {', '.join(map(repr, down))} and labels of "
                message += f"{wide!r}; remove it, or call it by a label"
            raise InputError(f"column {shown(name)}: {message}", table.where())
    if not wanted.absent and (missing := [label for label in labels if label not in header]):
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        message = f"no column {missing[0]!r}{more}; every label of {wide!r} needs one"
        raise InputError(message, table.where())


def _places(table: Table, wide: str | None) -> dict[str, int]:
    """Return the place of each column by its name, where that is a label by the label."""
    names = [plain_label(wide, name) if wide else name for name in table.header]
    places = {name: place for place, name in enumerate(names)}
    if twice := next((name for place, name in enumerate(names) if places[name] != place), ""):
        raise InputError(f"the column {twice!r} stands twice; keep one", table.where())
    return places


def _melted(rows: Rows, wide: str, across: tuple[str, ...], columns: Sequence[str]) -> Rows:
    """Return a wide table, some columns of labels across it, as a tidy one."""
    places = {label: place for place, label in enumerate(across)}
    numbers = np.stack([rows.numbers[label] for label in columns], axis=1).reshape(-1)
    found = Rows(
        dims=with_labels(rows.dims, wide, across),
        tables=alike(rows.tables.values[0], len(numbers)),
        lines=rows.lines.repeat(len(columns)),
        labels={
            **{name: positions.repeat(len(columns)) for name, positions in rows.labels.items()},
            wide: np.tile([places[label] for label in columns], len(rows.lines)),
        },
        numbers={"value": numbers},
        words={},
    )
    given = ~np.isnan(numbers)
    return found if given.all() else some_of(found, given)


class _Reader:
    """Reads columns of a table, by their places; ``down`` are the dims that have one."""

    def __init__(
        self,
        table: Table,
        place: Mapping[str, int],
        down: tuple[str, ...],
        dims: Dims,
        wanted: Wanted,
    ) -> None:
        self.table, self.place, self.dims, self.wanted = table, place, dims, wanted
        self.labels: dict[str, dict[str, int]] = {
            dim: (_Years if wanted.outside and dim == "year" else dict)(
                (one, n) for n, one in enumerate(dict.fromkeys(dims.labels[dim]))
            )
            for dim in down
        }
        self.words: dict[str, dict[str, int]] = {name: {} for name in wanted.words}

    def read(self) -> Rows:
        """Return all rows; of more than there can be, one too many."""
        most = 1 + math.prod(len(labels) for labels in self.labels.values())
        if self.wanted.outside:
            most = _MAX_ROWS
        parts, left = list[_Part](), most
        for some in map(self._given, self.table.columns()):
            parts.append(self._part(some if len(some) <= left else some.at(range(left))))
            left -= len(some)
            if left <= 0:
                break
        joined = _joined(parts or [self._part(Columns((), [()] * len(self.place)))])
        words = {n: Coded((*self.words[n],), codes) for n, codes in joined["words"].items()}
        lines_of = joined["lines"][""]
        if self.wanted.outside and len(lines_of) == most:
            message = f"{most:,} rows or more, of more years than the scenario has; split the table"
            raise InputError(message, self.table.where())
        return Rows(
            dims=self._dims(),
            tables=alike(self.table, len(lines_of)),
            lines=lines_of,
            labels=joined["labels"],
            numbers=joined["numbers"],
            words=words,
        )

    def _dims(self) -> Dims:
        years = self.labels.get("year")
        return with_labels(self.dims, "year", (*years,)) if years else self.dims

    def _given(self, some: Columns) -> Columns:
        """Leave out the rows of cells that are absent."""
        columns = [some.texts[self.place[name]] for name in self.wanted.numbers]
        if not self.wanted.absent or not columns:
            return some
        given = [n for n, texts in enumerate(zip(*columns, strict=True)) if any(texts)]
        return some if len(given) == len(some) else some.at(given)

    def _part(self, rows: Columns) -> _Part:
        try:
            return {
                "lines": {"": np.array(rows.lines, dtype=np.int64)},
                "labels": {dim: self._positions(dim, rows) for dim in self.labels},
                "numbers": {
                    **{
                        name: _numbers(name, self._texts(name, rows))
                        for name in self.wanted.numbers
                    },
                    **{
                        name: _with_gaps(name, self._texts(name, rows)) for name in self.wanted.gaps
                    },
                },
                "words": {name: self._codes(name, rows) for name in self.words},
            }
        except (KeyError, ValueError):
            for line, *cells in zip(rows.lines, *rows.texts, strict=True):
                self._check(line, cells)
            raise

    def _texts(self, column: str, rows: Columns) -> Sequence[str]:
        return rows.texts[self.place[column]]

    def _positions(self, dim: str, rows: Columns) -> Integers:
        known, texts = self.labels[dim], self._texts(dim, rows)
        try:
            found = [known[text] for text in texts]
        except KeyError:
            found = [known[plain_label(dim, text)] for text in texts]
        return np.array(found, dtype=np.int64)

    def _codes(self, column: str, rows: Columns) -> Integers:
        """Return the words of a column, numbered as they come."""
        known = self.words[column]
        texts = self._texts(column, rows)
        return np.array([known.setdefault(text, len(known)) for text in texts], dtype=np.int64)

    def _check(self, line: int, cells: Sequence[str]) -> None:
        """Refuse a row with a label that is none, or a number that is none."""
        for dim, known in self.labels.items():
            label = plain_label(dim, cells[self.place[dim]])
            if label not in known:
                raise InputError(self._unknown(label, dim), self.table.where(line))
        for column in (*self.wanted.numbers, *self.wanted.gaps):
            text = cells[self.place[column]]
            if text or column in self.wanted.numbers:
                of = functools.partial(self._without_number, column, cells)
                self.table.number(line, column, text, of)

    def _without_number(self, column: str, cells: Sequence[str]) -> str:
        """Return the labels of a row whose cell is no number, and how many more such rows are."""
        place, found = self.place[column], -1
        with contextlib.suppress(InputError):  # of a row below that is none
            for _, others in self.table.rows():
                text = others[place]
                gap = not text and column in self.wanted.gaps
                found += not gap and not is_number(column, text)
        named = pairs({dim: cells[self.place[dim]] for dim in self.labels})
        more = f"{found} more row{'s'[: found > 1]}" if found > 0 else ""
        return " and ".join(filter(None, (named, more)))

    def _unknown(self, label: str, dim: str) -> str:
        message = unknown_label(label, dim, self.dims.labels, self.dims.groups, grouped=False)
        texts = (cells[self.place[dim]] for _, cells in self.table.rows())
        return message + such_years(label, dim, self.dims.labels[dim], texts)


class _Years(dict[str, int]):
    """The positions of years; those outside the scenario's stand behind them as they come."""

    def __missing__(self, text: str) -> int:
        if not is_year(text):
            raise KeyError(text)
        return self.setdefault(text, len(self))


def _numbers(column: str, texts: Sequence[str]) -> Floats:
    found = np.array(numbers_of(column, texts), dtype=np.float64)
    if not np.isfinite(found).all():
        raise ValueError
    return found


def _with_gaps(column: str, texts: Sequence[str]) -> Floats:
    found = np.full(len(texts), np.nan)
    given = [n for n, text in enumerate(texts) if text]
    found[given] = _numbers(column, [texts[n] for n in given])
    return found


def _joined(parts: Sequence[_Part]) -> _Part:
    return {
        kind: {name: np.concatenate([part[kind][name] for part in parts]) for name in columns}
        for kind, columns in parts[0].items()
    }
