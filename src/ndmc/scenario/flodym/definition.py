"""Read the definition and the CSV files of a flodym model, as flodym itself would."""

from __future__ import annotations

import csv
import io
import itertools
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from ndmc.errors import InputError, nearest
from ndmc.scenario.document import Document, read_document, read_text
from ndmc.scenario.tables import Table, read_table

__all__ = [
    "FIELDS",
    "NAME",
    "OUTSIDE",
    "YEAR",
    "Axes",
    "Entry",
    "FlodymParameter",
    "Paths",
    "Source",
    "fresh_name",
    "read_axes",
    "read_parameters",
]

OUTSIDE = "sysenv"

YEAR = "year"

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")

_MAX_DIMENSION_BYTES = 2**20

_TYPES = {"int": int, "float": float, "str": str}

# What each list of a definition may say: our word, then flodym's own, and what flodym takes if it
# says nothing (`...`: it must).
FIELDS: dict[str, dict[str, tuple[tuple[str, ...], Any]]] = {
    "dimensions": {
        "name": (("name",), ...),
        "letter": (("letter", "dim_letter"), ...),
        "dtype": (("dtype",), ...),
    },
    "flows": {
        "from": (("from_process_name", "from_process"), ...),
        "to": (("to_process_name", "to_process"), ...),
        "letters": (("dim_letters",), ...),
        "name": (("name_override",), None),
    },
    "stocks": {
        "name": (("name",), "undefined stock"),
        "process": (("process_name", "process"), None),
        "letters": (("dim_letters",), ...),
        "time": (("time_letter",), "t"),
        "class": (("subclass",), ...),
        "lifetime": (("lifetime_model_class",), None),
        "solver": (("solver",), "manual"),
    },
    "parameters": {"name": (("name",), ...), "letters": (("dim_letters",), ...)},
}

_LISTS = ("dimensions", "processes", "flows", "stocks", "parameters")

Paths = Mapping[str, str | PathLike[str]]


@dataclass(frozen=True)
class Entry:
    """One entry of a list of the definition, in our words."""

    document: Document
    kind: str
    index: int
    fields: dict[str, Any]

    def __getitem__(self, key: str) -> Any:
        return self.fields[key]

    def error(self, message: str) -> InputError:
        """Return a mistake at the place of this entry."""
        named = self.fields.get("name")
        entry = f"{self.kind}[{self.index}]" + (f" {named!r}" if isinstance(named, str) else "")
        return self.document.error(f"{entry}: {message}", self.kind, self.index)


@dataclass(frozen=True)
class Source:
    """A definition, whichever way it came."""

    document: Document
    processes: dict[str, str]
    dimensions: list[Entry]
    flows: list[Entry]
    stocks: list[Entry]
    parameters: list[Entry]

    @classmethod
    def read(cls, definition: Any) -> Source:
        """Return a definition, whatever it was given as, read and checked."""
        document = _document(definition)
        unknown = [key for key in document.data if key not in _LISTS]
        if unknown:
            message = f"unknown key {unknown[0]!r}; {nearest(unknown[0], _LISTS)}"
            raise document.error(message, unknown[0])
        lists = {kind: _entries(document, kind) for kind in FIELDS}
        if not lists["flows"]:
            raise document.error("the definition has no flows", "flows")
        return cls(document, _processes(document), **lists)


def _document(definition: Any) -> Document:
    if isinstance(definition, str | PathLike):
        return read_document(Path(definition))
    if isinstance(definition, Mapping):
        return Document(Path("definition"), "", {str(k): v for k, v in definition.items()})
    if not all(hasattr(definition, key) for key in ("dimensions", "processes", "flows")):
        message = f"expected a flodym MFADefinition, a mapping or a path, found {definition!r:.80}"
        raise InputError(message, "definition")
    data = {key: getattr(definition, key, []) for key in _LISTS}
    return Document(Path("definition"), "", data)


def _list(document: Document, kind: str) -> Sequence[Any]:
    found = document.data.get(kind)
    if found is None and kind in ("stocks", "parameters"):
        return []
    if not isinstance(found, list | tuple):
        message = f"{kind!r} must be a list, found {found!r:.80}"
        raise document.error(message if kind in document.data else f"the key {kind!r} is missing")
    return found


def _entries(document: Document, kind: str) -> list[Entry]:
    return [
        _entry(Entry(document, kind, index, {}), given)
        for index, given in enumerate(_list(document, kind))
    ]


def _entry(entry: Entry, given: Any) -> Entry:
    allowed = FIELDS[entry.kind]
    words = [word for names, _ in allowed.values() for word in names]
    if not isinstance(given, Mapping):
        given = {word: getattr(given, word) for word in words if hasattr(given, word)}
    unknown = [key for key in given if key not in words]
    if unknown:
        raise entry.error(f"unknown key {unknown[0]!r}; {nearest(str(unknown[0]), words)}")
    for key, (names, default) in allowed.items():
        value = next((given[name] for name in names if name in given), default)
        if value is ...:
            raise entry.error(f"the key {names[0]!r} is missing")
        entry.fields[key] = value
    _check_types(entry)
    return entry


def _check_types(entry: Entry) -> None:
    for key, value in entry.fields.items():
        optional = value is None and FIELDS[entry.kind][key][1] is None
        if key in ("class", "lifetime", "dtype") or optional:
            continue
        word = FIELDS[entry.kind][key][0][0]
        if key == "letters":
            letters = value if isinstance(value, list | tuple) else [None]
            if not all(isinstance(letter, str) and len(letter) == 1 for letter in letters):
                raise entry.error(f"{word} must be a list of single letters, found {value!r:.80}")
            if len(set(letters)) < len(letters):
                raise entry.error(f"a letter stands twice in {word} {list(letters)}")
        elif not isinstance(value, str) or not value.strip():
            raise entry.error(f"{word} must be a word, found {value!r:.80}")


def _processes(document: Document) -> dict[str, str]:
    """Return ndmc's name of each process by flodym's."""
    given = _list(document, "processes")
    for index, process in enumerate(given):
        if not isinstance(process, str):
            message = f"a process must be a name, found {process!r:.80}"
            raise document.error(message, "processes", index)
    if not given or given[0] != OUTSIDE:
        found = repr(given[0]) if given else "none"
        message = f"the first process must be 'sysenv', all outside the system, found {found}"
        raise document.error(message, "processes", 0)
    names: dict[str, str] = {}
    for index, process in enumerate(given):
        names[process] = fresh_name(process, names, document.where("processes", index))
    return names


def _ndmc_name(name: str, where: str) -> str:
    if NAME.fullmatch(name):
        return name
    arrowed = re.sub(r"\s*[=-]+>\s*", "_to_", name)
    letters = (c for c in unicodedata.normalize("NFKD", arrowed) if not unicodedata.combining(c))
    found = re.sub(r"[^A-Za-z0-9]+", "_", "".join(letters)).strip("_")
    if not NAME.fullmatch(found):
        message = f"{name!r} cannot become a name: letters, digits and _, a letter first"
        raise InputError(f"{message}; rename it in the definition", where)
    return found


def fresh_name(name: str, taken: Mapping[str, str], where: str) -> str:
    """Return ndmc's name for a name of flodym's that no other has taken."""
    found = _ndmc_name(name, where)
    for other, theirs in taken.items():
        if name == other:
            raise InputError(f"{name!r} stands twice", where)
        if found == theirs:
            message = f"{other!r} and {name!r} would both become {found!r}; rename one of them"
            raise InputError(message, where)
    return found


@dataclass(frozen=True)
class _Axis:
    """A dimension with its items."""

    title: str
    letter: str
    name: str
    kind: type
    labels: tuple[str, ...]

    def label(self, text: str) -> str | None:
        """Return the label that a cell of a table means, if it means one."""
        found = _item(text, self.kind)
        return found if found in self.labels else None


@dataclass(frozen=True)
class Axes:
    """The dims of a model by flodym's letters, and its years."""

    by_letter: dict[str, _Axis]
    years: tuple[str, ...]

    def of(self, entry: Entry) -> list[_Axis]:
        """Return the dimensions of a flow, a stock or a parameter."""
        for letter in entry["letters"]:
            if letter not in self.by_letter:
                message = f"no dimension has the letter {letter!r}; "
                raise entry.error(message + nearest(letter, self.by_letter))
        return [self.by_letter[letter] for letter in entry["letters"]]


def _item(text: str, kind: type) -> str | None:
    """Return the item that a text means, as flodym would cast it, if it means one."""
    if kind is str:
        return text
    if re.fullmatch(r"-?\d+", text):
        return str(int(text))
    try:
        number = float(text)
    except ValueError:
        return None
    if kind is float and math.isfinite(number):
        return f"{number:.15g}"
    return str(int(number)) if number.is_integer() else None


def read_axes(source: Source, files: Paths, years: str | Sequence[int] | None) -> Axes:
    _refuse_unknown(files, [entry["name"] for entry in source.dimensions], "dimension_files")
    time = _time_letter(source)
    given = None if years is None else _given_years(years)
    axes: dict[str, _Axis] = {}
    for entry in source.dimensions:
        if entry["letter"] in axes:
            other = axes[entry["letter"]].title
            raise entry.error(f"has the letter {entry['letter']!r} of {other!r}; choose another")
        names = {axis.title: axis.name for axis in axes.values()}
        timely = entry["letter"] == time
        axis = _axis(entry, files, names, given if timely else None, timely)
        axes[entry["letter"]] = axis
    if time is None and given is None:
        message = "the definition has no time dimension; give the years, such as years='2020..2020'"
        raise source.document.error(message)
    found = axes[time].labels if time else given or ()
    _refuse_historic(source, axes, found)
    return Axes(axes, found)


def _axis(
    entry: Entry,
    files: Paths,
    names: Mapping[str, str],
    years: tuple[str, ...] | None,
    timely: bool,
) -> _Axis:
    title, where = entry["name"], entry.document.where(entry.kind, entry.index)
    name = YEAR if timely else fresh_name(title, names, where)
    if not timely and name == YEAR:
        raise entry.error("'year' is ndmc's time dimension; rename this one")
    kind = _dtype(entry)
    if title not in files:
        if years is None:
            raise entry.error(f"no file; give dimension_files={{{title!r}: ...}}")
        return _Axis(title, entry["letter"], name, kind, years)
    items = _items(Path(files[title]), title, kind)
    labels = _yearly(items) if timely else tuple(label for label, _ in items)
    if years is not None and years != labels:
        message = f"years is {years[0]}..{years[-1]} but holds {labels[0]}..{labels[-1]} here"
        raise InputError(f"{message}; leave one of them out", str(files[title]))
    return _Axis(title, entry["letter"], name, kind, labels)


def _dtype(entry: Entry) -> type:
    given = entry["dtype"]
    name = given.__name__ if isinstance(given, type) else str(given)
    if name not in _TYPES:
        raise entry.error(f"dtype is {name!r} but must be int, str or float")
    if len(entry["letter"]) != 1:
        raise entry.error(f"the letter is {entry['letter']!r} but must be a single one")
    return _TYPES[name]


def _items(path: Path, title: str, kind: type) -> list[tuple[str, str]]:
    """Return the items of a dimension file, and where each stands."""
    lines = csv.reader(io.StringIO(read_text(path, _MAX_DIMENSION_BYTES)), strict=True)
    try:
        rows = [(f"{path}:{lines.line_num}", row) for row in lines if any(map(str.strip, row))]
    except csv.Error as broken:
        raise InputError(f"not valid CSV: {broken}", f"{path}:{lines.line_num}") from None
    broad = [where for where, row in rows if len(row) > 1]
    if broad and len(rows) > 1:
        message = "the items of a dimension must stand in one row or one column"
        raise InputError(message, broad[0])
    cells = [(cell.strip(), where) for where, row in rows for cell in row]
    if cells and cells[0][0] == title:
        del cells[0]
    if not cells:
        raise InputError(f"no items of {title!r}", f"{path}:1")
    return _distinct(cells, kind)


def _distinct(cells: list[tuple[str, str]], kind: type) -> list[tuple[str, str]]:
    found: dict[str, str] = {}
    for cell, where in cells:
        label = _item(cell, kind)
        if not label:
            raise InputError(f"{cell!r} is no item of type {kind.__name__}", where)
        if label in found:
            raise InputError(f"the item {label!r} stands twice (first at {found[label]})", where)
        found[label] = where
    return list(found.items())


def _yearly(items: list[tuple[str, str]]) -> tuple[str, ...]:
    for label, where in items:
        if not re.fullmatch(r"\d{1,4}", label):
            raise InputError(f"{label!r} is no year", where)
    for (before, _), (after, where) in itertools.pairwise(items):
        if int(after) != int(before) + 1:
            message = f"{after} follows {before}; ndmc has yearly steps, so years must rise by one"
            raise InputError(f"{message} (interpolate the tables first)", where)
    return tuple(label for label, _ in items)


def _given_years(years: str | Sequence[int]) -> tuple[str, ...]:
    if isinstance(years, str):
        match = re.fullmatch(r"\s*(\d{1,4})\s*\.\.\s*(\d{1,4})\s*", years)
        if not match or int(match[2]) < int(match[1]):
            message = f"found {years!r}; write the first and the last, such as 2001..2021"
            raise InputError(message, "years")
        years = range(int(match[1]), int(match[2]) + 1)
    if not years:
        raise InputError("no years", "years")
    return _yearly([(str(year), "years") for year in years])


def _time_letter(source: Source) -> str | None:
    used = sorted({stock["time"] for stock in source.stocks})
    if len(used) > 1:
        message = f"the stocks have the time dimensions {used}; ndmc has one, all years"
        raise source.document.error(message, "stocks")
    letters = {entry["letter"]: entry["name"] for entry in source.dimensions}
    if used and used[0] not in letters:
        raise source.stocks[0].error(f"the time_letter {used[0]!r} is no dimension's letter")
    if used or "t" in letters:
        return used[0] if used else "t"
    named = (k for k, title in letters.items() if title.lower() in ("time", "year", "years"))
    return next(named, None)


def _refuse_historic(source: Source, axes: dict[str, _Axis], years: tuple[str, ...]) -> None:
    for entry in source.dimensions:
        axis = axes[entry["letter"]]
        if axis.name != YEAR and not set(years).isdisjoint(axis.labels):
            message = (
                f"holds years ({axis.labels[0]} to {axis.labels[-1]}), as the time dimension does; "
                "ndmc has one time dimension: give its tables for all years, by that one's letter"
            )
            raise entry.error(message)


def _refuse_unknown(files: Paths, known: list[str], option: str) -> None:
    for name in files:
        if name not in known:
            raise InputError(f"nothing is named {name!r}; {nearest(name, known)}", option)


@dataclass(frozen=True)
class FlodymParameter:
    """A parameter and the number of each of its cells, as text."""

    title: str
    name: str
    dims: tuple[str, ...]
    cells: list[tuple[tuple[str, ...], str]]

    @property
    def csv(self) -> str:
        """The cells as a tidy table."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow((*self.dims, "value"))
        writer.writerows((*labels, number) for labels, number in self.cells)
        return text.getvalue()


def read_parameters(source: Source, axes: Axes, files: Paths) -> list[FlodymParameter]:
    _refuse_unknown(files, [entry["name"] for entry in source.parameters], "parameter_files")
    names: dict[str, str] = {}
    found = []
    for entry in source.parameters:
        title = entry["name"]
        if title not in files:
            raise entry.error(f"no file; give parameter_files={{{title!r}: ...}}")
        names[title] = fresh_name(title, names, source.document.where(entry.kind, entry.index))
        dims = axes.of(entry)
        cells = _Reading(read_table(Path(files[title])), dims).cells()
        found.append(FlodymParameter(title, names[title], tuple(dim.name for dim in dims), cells))
    return found


@dataclass(frozen=True)
class _Reading:
    """A parameter's table, read the way flodym recognises its columns.

    A column belongs to a dimension if it has its name or letter, or if, without one, it holds
    exactly its items. The labels of one dimension may be columns (wide); otherwise one column
    is left, the values. A dimension with a single item needs no column.
    """

    table: Table
    dims: list[_Axis]

    def cells(self) -> list[tuple[tuple[str, ...], str]]:
        """Return the text of every cell by its labels, in the order of the dims."""
        rows = self._rows()
        columns = self._columns(rows)
        values = [column for column in range(len(self.table.header)) if column not in columns]
        wide = self._wide(values, columns)
        if wide is None and len(values) != 1:
            names = [self.table.header[column] for column in values]
            message = f"expected one column of values, found {names}; no dim has them as items"
            raise InputError(message, self.table.where())
        found: dict[tuple[str, ...], tuple[str, int]] = {}
        for line, row in rows:
            for column in values:
                labels = self._row_labels(line, row, columns)
                if wide is not None:
                    labels[wide.name] = wide.label(self.table.header[column]) or ""
                self._add(found, tuple(labels[dim.name] for dim in self.dims), line, row[column])
        self._refuse_missing(found)
        return [(labels, found[labels][0]) for labels in self._all()]

    def _rows(self) -> list[tuple[int, list[str]]]:
        rows = [(line, list(row.values())) for line, row in self.table.rows]
        headless = [(1, list(self.table.header)), *rows]
        first = [row[0] for _, row in headless]
        return headless if any(_same(first, dim) for dim in self.dims) else rows

    def _named(self) -> dict[int, _Axis]:
        found: dict[int, _Axis] = {}
        for column, title in enumerate(self.table.header):
            for dim in self.dims:
                if title in (dim.title, dim.letter):
                    if dim in found.values():
                        message = f"two columns are named for the dimension {dim.title!r}"
                        raise InputError(message, self.table.where())
                    found[column] = dim
        return found

    def _columns(self, rows: list[tuple[int, list[str]]]) -> dict[int, _Axis]:
        """Return the columns that hold a dimension's labels."""
        found = self._named()
        if found and len(rows) > len(self.table.rows):
            message = "the first line holds items, but also names of columns; name all of them"
            raise InputError(message, self.table.where())
        for column in range(len(self.table.header)):
            if column not in found:
                items = [row[column] for _, row in rows]
                matched = [dim for dim in self._left(found) if _same(items, dim)]
                if not matched:
                    break
                if len(matched) > 1:
                    message = f"column {column + 1} could be any of {[d.title for d in matched]}"
                    raise InputError(f"{message}; name every column", self.table.where())
                found[column] = matched[0]
        return found

    def _left(self, found: Mapping[int, _Axis]) -> list[_Axis]:
        return [dim for dim in self.dims if dim not in found.values()]

    def _wide(self, values: list[int], columns: dict[int, _Axis]) -> _Axis | None:
        names = [self.table.header[column] for column in values]
        left = self._left(columns)
        wide = next((dim for dim in left if _same(names, dim)), None)
        if wide is None and any(_same(names, dim) for dim in self.dims):
            message = "a dimension's items stand both in a column and in the first line"
            raise InputError(message, self.table.where())
        for dim in left:
            if dim is not wide and len(dim.labels) > 1:
                message = f"no column for the dimension {dim.title!r}"
                known = list(self.table.header)
                raise InputError(f"{message}; the columns are {known}", self.table.where())
        return wide

    def _row_labels(self, line: int, row: list[str], columns: dict[int, _Axis]) -> dict[str, str]:
        labels = {dim.name: dim.labels[0] for dim in self.dims if len(dim.labels) == 1}
        for column, dim in columns.items():
            label = dim.label(row[column])
            if label is None:
                message = f"{dim.title!r} has no item {row[column]!r}"
                raise InputError(f"{message}; {_hint(row[column], dim)}", self.table.where(line))
            labels[dim.name] = label
        return labels

    def _add(
        self,
        found: dict[tuple[str, ...], tuple[str, int]],
        labels: tuple[str, ...],
        line: int,
        text: str,
    ) -> None:
        if labels in found:
            which = ", ".join(labels) or "a parameter without dims"
            message = f"a second value for {which} (first on line {found[labels][1]})"
            raise InputError(message, self.table.where(line))
        number = self.table.number(line, "value", text)
        found[labels] = (repr(number).removesuffix(".0"), line)

    def _all(self) -> Iterable[tuple[str, ...]]:
        return itertools.product(*(dim.labels for dim in self.dims))

    def _refuse_missing(self, found: Mapping[tuple[str, ...], object]) -> None:
        missing = [labels for labels in self._all() if labels not in found]
        if missing:
            which = ", ".join(missing[0]) or "the parameter, beneath the line of column names"
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            message = f"no value for {which}{more}; every cell needs one"
            raise InputError(message, str(self.table.path))


def _same(items: Iterable[str], dim: _Axis) -> bool:
    return {_item(text, dim.kind) for text in items} == set(dim.labels)


def _hint(text: str, dim: _Axis) -> str:
    if dim.name == YEAR or len(dim.labels) > 20:
        return f"it holds {dim.labels[0]} to {dim.labels[-1]}"
    return nearest(text, dim.labels)
