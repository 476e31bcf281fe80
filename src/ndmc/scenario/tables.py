"""CSV tables as text: their columns, and their rows one by one, each with its line."""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ndmc.errors import InputError
from ndmc.scenario.document import read_text

__all__ = ["parse_table"]

_MAX_BYTES = 512 * 2**20

_MAX_COLUMNS = 10_000

# A row of a table with that many columns; one that is longer is no row.
_MAX_ROW = 4 * 2**20

# Characters of a cell in a message.
_SHOWN = 80

_BLANK_ROWS = re.compile(r"(?:[ \t,]*+\n)++")


@dataclass(frozen=True)
class Table:
    """A CSV file: its text, and the names of its columns."""

    path: Path
    text: str
    header: tuple[str, ...]

    def where(self, line: int = 1) -> str:
        """Return ``file:line``."""
        return f"{self.path}:{line}"

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
            if len(cells) != len(self.header):
                counts = f"{len(cells)} cells but {len(self.header)} columns"
                raise InputError(f"{counts}; quote cells that hold commas", self.where(line))
            yield line, cells

    def number(self, line: int, column: str, text: str) -> float:
        """Return ``text`` as a finite number, or say where it is not one."""
        try:
            number = parser(column)(text)
        except ValueError:
            message = f"column {column!r} holds {shown(text)}, which is not a number"
            if not text:
                message = f"column {column!r} is empty; give a number"
            raise InputError(message, self.where(line)) from None
        if not math.isfinite(number):
            message = f"column {column!r} holds {shown(text)}; numbers must be finite"
            raise InputError(message, self.where(line))
        return number


def read_table(path: Path) -> Table:
    """Return the CSV file at ``path``.

    Raises
    ------
    InputError
        For a missing or huge file, or a broken header.
    """
    remedy = "say 'wide' with the dim of most labels, whose tables are a tenth as large"
    return parse_table(read_text(path, _MAX_BYTES, remedy), path)


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
    header = next(_rows(path, text), (1, []))[1]
    if not any(header):
        raise InputError("the table is empty; its first line must name the columns", f"{path}:1")
    if len(header) > _MAX_COLUMNS:
        message = f"{len(header):,} columns, but at most {_MAX_COLUMNS:,} are read"
        raise InputError(f"{message}; give a row to each cell instead", f"{path}:1")
    name, times = Counter(header).most_common(1)[0]
    if times > 1:
        raise InputError(f"the column {name!r} stands twice", f"{path}:1")
    return Table(path, text, tuple(header))


def shown(text: str) -> str:
    """Return a cell for a message, cut if it is long."""
    return repr(text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}...")


def parser(column: str) -> Callable[[str], float]:
    """Return what reads the numbers of a column: those of cv may be given in %."""
    return _share if column == "cv" else _number


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
        raise InputError(f"not valid CSV: {broken}", f"{path}:{lines.line}") from None


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
