"""CSV tables as text: their columns, and their rows one by one, each with its line."""

from __future__ import annotations

import csv
import itertools
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ndmc.errors import InputError, closest, nearest
from ndmc.legible import shown
from ndmc.scenario.dialects import foreign
from ndmc.scenario.document import read_text
from ndmc.scenario.numerals import remedy

_MAX_BYTES = 512 * 2**20

_MAX_COLUMNS = 10_000

# A row of a table with that many columns; one that is longer is no row.
_MAX_ROW = 4 * 2**20

# So many characters, or rows, are put in columns at once: as many as stay in a processor's cache.
_TOGETHER, _ROWS = 2**18, 2**13

# So many rows may stand above the names of columns, as titles do.
_TITLES = 20

_DIGITS = re.compile(r"[-+]?[\d.]+")

_SPACE = re.compile(r"[^\S\n]")

_BLANK = re.compile(r"(?m)^(?:[^\S\n]|,)*$")

_BLANK_ROWS = re.compile(r"(?:[ \t,]*\n)+")


@dataclass(frozen=True)
class Columns:
    """Some rows of a table: their lines, and the texts of each column."""

    lines: Sequence[int]
    texts: Sequence[Sequence[str]]

    def __len__(self) -> int:
        return len(self.lines)

    def at(self, places: Sequence[int]) -> Columns:
        """Return some of the rows."""
        found = ([texts[place] for place in places] for texts in self.texts)
        return Columns([self.lines[place] for place in places], [*found])


@dataclass(frozen=True)
class Table:
    """A CSV file: its text, the names of its columns, and the places of those without."""

    path: Path
    text: str
    header: tuple[str, ...]
    unnamed: tuple[int, ...] = ()

    def where(self, line: int = 1) -> str:
        """Return ``file:line``."""
        return f"{self.path}:{line}"

    def header_elsewhere(self, names: Sequence[str]) -> str:
        """Return where columns are named instead of in the first line, if that is seen."""
        for line, cells in itertools.islice(_rows(self.path, self.text), 1, _TITLES):
            if {*names} <= {*cells}:
                return f"line {line} has names of columns; remove the lines above it"
        if len(self.header) > len(names) and all(map(_DIGITS.fullmatch, self.header)):
            return "the first line must name the columns; it holds numbers"
        return ""

    def instead_of(self, column: str) -> str:
        """Say what to do about a column that is missing: one much like it has another name."""
        names = [*filter(None, self.header)]
        found = closest(column, names)
        return f"call the column {found!r} {column!r}" if found else nearest(column, names)

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the line and the cells of every row that is not blank.

        Raises
        ------
        InputError
            For a row of the wrong length, and for what is no CSV.
        """
        rows = _rows(self.path, self.text)
        next(rows)
        for line, cells in rows:
            if not any(cells):
                continue
            if len(cells) != len(self.header) or self.unnamed:
                cells = self._fitted(line, cells)
            yield line, cells

    def columns(self) -> Iterator[Columns]:
        """Yield what `rows` does by columns, some thousand rows at a time.

        1.5 million rows of four columns took 6.5 s by rows, collecting garbage included.
        """
        line, at, odd = 1, self.text.find("\n") + 1 or len(self.text), '"' in self.text
        while at < len(self.text) and not odd:
            end = self.text.find("\n", at + _TOGETHER) + 1 or len(self.text)
            some = _split(self.text[at:end].removesuffix("\n"), line + 1, len(self.header))
            odd = some is None or bool(self.unnamed)
            if some is not None and not odd:
                yield some
                line, at = line + len(some), end
        rows = (row for row in self.rows() if row[0] > line) if odd else iter(())
        while found := [*itertools.islice(rows, _ROWS)]:
            texts = zip(*(cells for _, cells in found), strict=True)
            yield Columns([number for number, _ in found], [*texts])

    def _fitted(self, line: int, cells: list[str]) -> list[str]:
        """Return a row without the empty cells behind it, as spreadsheets write them."""
        many = len(self.header)
        for place in self.unnamed:
            if any(cells[place : place + 1]):
                message = f"{shown(cells[place])} stands in column {place + 1}, which has no name"
                raise InputError(f"{message}; name it, or remove it", self.where(line))
        if len(cells) < many or any(cells[many:]) or len(cells) > _MAX_COLUMNS:
            advice = "numbers have no commas (1234.5), and texts that have stand in quotes"
            if cells[0].startswith("#"):
                advice = "a table has no comments; remove the line"
            elif len(cells) < many:
                advice = "an empty cell has its comma, too"
            counts = f"{len(cells)} cells but {many} columns"
            raise InputError(f"{counts}; {advice}", self.where(line))
        return cells[:many]

    def number(self, line: int, column: str, text: str, of: Callable[[], str] = str) -> float:
        """Return ``text`` as a finite number, or say ``of`` which cell it is not one."""
        try:
            number = parser(column)(text)
            wrong = "" if math.isfinite(number) else "; numbers must be finite"
        except ValueError:
            wrong = ", which is not a number"
        if not wrong:
            return number
        cell = f" ({found})" if (found := of()) else ""
        if not text:
            advice = "give a number, or say by 'missing' what cells without one are"
            raise InputError(f"column {column!r} is empty{cell}; {advice}", self.where(line))
        percent = column == "cv" and text.endswith("%")
        what = remedy(text.removesuffix("%") if percent else text)
        advice = f"; {what}{' (and the %)' * percent}" if what else ""
        message = f"column {column!r} holds {shown(text)}{wrong}{cell}{advice}"
        raise InputError(message, self.where(line))


def read_table(path: Path) -> Table:
    """Return the CSV file at ``path``.

    Raises
    ------
    InputError
        For a missing or huge file, or a broken header.
    """
    advice = "say 'wide' with the dim of most labels, whose tables are a tenth as large"
    return parse_table(read_text(path, _MAX_BYTES, advice), path)


def parse_table(text: str, path: Path) -> Table:
    r"""Return the table with a text; ``path`` is for messages only.

    Raises
    ------
    InputError
        For a broken header.

    Examples
    --------
    >>> table = parse_table("product,value\n\ncar,2\n", Path("x.csv"))
    >>> table.header, list(table.rows())
    (('product', 'value'), [(3, ['car', '2'])])
    """
    if wrong := foreign(text):
        raise InputError(wrong, f"{path}:1")
    text = unicodedata.normalize("NFC", text)  # as it is, if it is ASCII or composed already
    header = next(_rows(path, text), (1, []))[1]
    if not any(header):
        if text.strip(", \t\n"):
            raise InputError("the first line is blank; it must name the columns", f"{path}:1")
        raise InputError("the table is empty; its first line must name the columns", f"{path}:1")
    if len(header) > _MAX_COLUMNS:
        message = f"{len(header):,} columns, but at most {_MAX_COLUMNS:,} are read"
        raise InputError(f"{message}; give a row to each cell instead", f"{path}:1")
    unnamed = tuple(place for place, name in enumerate(header) if not name)
    while not header[-1]:
        header.pop()
    name, times = Counter(filter(None, header)).most_common(1)[0]
    if times > 1:
        raise InputError(
            f"the column {name!r} stands twice; the first line must name each once", f"{path}:1"
        )
    return Table(path, text, tuple(header), unnamed)


def _split(text: str, line: int, columns: int) -> Columns | None:
    """Return lines of so many columns each, the first of that number, if that is all they are."""
    lines = text.split("\n")
    odd = "\r" in text or max(map(len, lines)) > csv.field_size_limit()
    if odd or {*map(str.count, lines, itertools.repeat(","))} != {columns - 1}:
        return None
    if _BLANK.search(text):
        return None
    cells = text.replace("\n", ",").split(",")
    if _SPACE.search(text):
        cells = [*map(str.strip, cells)]
    return Columns(range(line, line + len(lines)), [cells[n::columns] for n in range(columns)])


def numbers_of(column: str, texts: Sequence[str]) -> list[float]:
    """Return the numbers of a column as its `parser` reads them."""
    together = "".join(texts)
    plain = column != "cv" and together.isascii() and "_" not in together
    return [*map(float if plain else parser(column), texts)]


def parser(column: str) -> Callable[[str], float]:
    """Return what reads the numbers of a column: those of cv may be given in %."""
    return _share if column == "cv" else _number


def is_number(column: str, text: str) -> bool:
    """Say whether a cell of a column is a finite number."""
    try:
        return math.isfinite(parser(column)(text))
    except ValueError:
        return False


def _share(text: str) -> float:
    return _number(text.removesuffix("%")) / 100 if text.endswith("%") else _number(text)


def _number(text: str) -> float:
    if "_" in text or not text.isascii():  # as Python writes numbers, and nobody else: 1_0 is 10
        raise ValueError(text)
    return float(text)


def _rows(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line and the cells of every row; most blank ones are left out."""
    lines = _Lines(path, text)
    try:
        for cells in csv.reader(lines, strict=True):
            lines.begin = lines.at
            yield lines.line, [cell.strip() for cell in cells]
    except csv.Error as broken:
        begin = text.count("\n", 0, lines.begin) + 1
        message = f"not valid CSV: {broken}, in the row that begins on line {begin}"
        if '"' in text[lines.begin : lines.at]:
            message += '; a cell in quotes ends with one, and has two ("") for each within'
        raise InputError(message, f"{path}:{lines.line}") from None


class _Lines:
    """The lines of a text, as the reader of CSV asks for them.

    Not `io.StringIO`, which takes four bytes a character, and lets a row have any length.
    """

    def __init__(self, path: Path, text: str) -> None:
        self.path, self.text = path, text
        self.begin = self.at = self.line = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        # Between rows only, within one they are part of a cell: 15 million one by one took 14 s.
        blank = _BLANK_ROWS.match(self.text, self.at) if self.at == self.begin > 0 else None
        if blank:
            self.line += self.text.count("\n", self.at, blank.end())
            self.begin = self.at = blank.end()
        start, self.at = self.at, self.text.find("\n", self.at) + 1 or len(self.text)
        if start == self.at:
            raise StopIteration
        self.line += 1
        if self.at - self.begin > _MAX_ROW:
            message = f"a row of more than {_MAX_ROW:,} characters; is it the right file?"
            raise InputError(message, f"{self.path}:{self.line}")
        return self.text[start : self.at]
