"""Tables, numbers and progress on a terminal, and rows in a CSV."""

from __future__ import annotations

import csv
import math
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from ndmc.errors import RunError
from ndmc.legible import legible

#: A table of more rows is not laid out to the width of the page; a column is padded to so much.
_MANY, _WIDEST = 1000, 40

#: Characters of words that are not folded where a page has room, and where it has none.
_LABEL, _FOLDED = 24, 10


class _Page(Console):
    """Shows texts as they are: no control character, markup or name of an emoji is obeyed.

    Rich takes every text here before it measures it. A line break within one is shown, too: those
    of a layout are between texts (`Group`, ``sep``). A letter the terminal lacks is its number.
    """

    def render_str(self, text: str, **options: Any) -> Text:
        shown = legible(text).encode(self.encoding, "backslashreplace").decode(self.encoding)
        return super().render_str(shown, **options)


def console(*, stderr: bool = False) -> Console:
    """Return the terminal, or where there is none a page as wide as COLUMNS says, or 120."""
    columns = os.environ.get("COLUMNS", "")
    page = (int(columns) if columns.isdecimal() else 0) or 120
    width = None if stderr or sys.stdout.isatty() else page
    return _Page(stderr=stderr, markup=False, emoji=False, width=width)


def print_lines(*lines: str) -> None:
    """Print lines as they are, however long."""
    console().print(*lines, sep="\n", soft_wrap=True, highlight=False)


def print_text(text: str) -> None:
    """Print a text as it stands, but to a terminal: there nothing in it is obeyed."""
    if sys.stdout.isatty():
        print_lines(*text.expandtabs().splitlines())
    else:
        sys.stdout.write(text)


def number(value: float) -> str:
    """Return a number with four significant digits, and all those before the point up to 1e10.

    Four digits stay together, so that a year is a year; what never happens is infinite.

    Examples
    --------
    >>> number(115032.7), number(0.0123456), number(-3.0), number(-0.0)
    ('115,033', '0.01235', '-3', '0')
    >>> number(2021), number(2051.4), number(1e300), number(math.inf)
    ('2021', '2051', '1e+300', 'never')
    """
    if not math.isfinite(value):
        return {math.inf: "never", -math.inf: "none"}.get(value, "-")
    if not 999.5 <= abs(value) < 1e10:
        return f"{value:z.4g}"
    return f"{value:,.0f}" if abs(value) >= 9999.5 else f"{value:.0f}"


def limits_in_words(low: float, high: float) -> str:
    """Return confidence limits: none where there are too few draws for one."""
    return f"{number(low)} .. {'none' if high == math.inf != low else number(high)}"


def counted(count: int, word: str, words: str = "") -> str:
    """Return a number of things in words.

    Examples
    --------
    >>> counted(1, "draw"), counted(2000, "process", "processes")
    ('1 draw', '2,000 processes')
    """
    return f"{count:,} {word if count == 1 else words or f'{word}s'}"


def percent(quantile: float) -> str:
    """Return a share as a percent sign people write: 2.5 %."""
    return f"{quantile * 100:g} %"


def plain_table(title: str, *columns: RenderableType, words: int = 1) -> Table:
    """Return a table without rows: columns of words, which fold, and then columns of numbers."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(columns):
        if index < words:
            table.add_column(column, overflow="fold")
        else:
            table.add_column(column, justify="right", no_wrap=True)
    return table


def fits(page: Console, table: Table) -> bool:
    """Whether a page has room for a table, labels whole, or no page is asked for it."""
    return table.row_count > _MANY or _least_width(page, table, _LABEL) <= page.width


def _least_width(page: Console, table: Table, folded: int) -> int:
    """Return the width in which a table shows each number whole, and words folded to some."""
    between, edges = 3, 2
    widths = []
    for column in table.columns:
        width = max(_width(page, cell) for cell in (column.header, *column.cells))
        widths.append(width if column.no_wrap else min(width, folded))
    return sum(widths) + between * (len(widths) - 1) + edges


def print_table(page: Console, table: Table) -> None:
    """Print a table, beyond the edge of the page rather than without a digit.

    One of many rows is printed as lines of any length: Rich lays out a row in 0.4 ms, of 40,000 in
    16 s; this way they take 0.9 s.
    """
    if table.row_count <= _MANY:
        width = page.width
        if _least_width(page, table, _FOLDED) > width:
            page.width = _least_width(page, table, _LABEL)
        page.print(table)
        page.width = width
        return
    print_lines(*[str(table.title)] * bool(table.title))
    texts = ((column.header, *column.cells) for column in table.columns)
    columns = [[legible(_text(cell)) for cell in column] for column in texts]
    widths = [min(_WIDEST, max(map(cell_len, cells))) for cells in columns]
    rows = zip(*columns, strict=True)
    print_lines(*(_line(row, widths) for row in rows))


def _width(page: Console, cell: RenderableType) -> int:
    if isinstance(cell, Group):
        return max(_width(page, line) for line in cell.renderables)
    return page.render_str(str(cell)).cell_len


def _text(cell: RenderableType) -> str:
    return (
        " ".join(filter(None, map(_text, cell.renderables)))
        if isinstance(cell, Group)
        else str(cell)
    )


def _line(row: Iterable[str], widths: Iterable[int]) -> str:
    cells = (text + " " * (width - cell_len(text)) for text, width in zip(row, widths, strict=True))
    return "  ".join(cells).rstrip()


# --- progress ---------------------------------------------------------------------------------


class _Rate(ProgressColumn):
    """Draws per second so far."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed or 0:,.0f} draws/s")


@contextmanager
def progress_bar(title: str) -> Iterator[Any]:
    """Yield a function (done, total) that moves a progress bar; silent when not on a terminal."""
    page = console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=page, transient=True, disable=not page.is_terminal) as bar:
        task = bar.add_task(legible(title), total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def write_csv(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as CSV, with the columns of all of them: texts as they are, but to a terminal.

    Raises
    ------
    RunError
        If the file cannot be written.
    """
    held = [dict(row) for row in rows]
    columns = list(dict.fromkeys(key for row in held for key in row))
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            if file.isatty():
                held = [{key: _shown(cell) for key, cell in row.items()} for row in held]
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(held)
    except OSError as failed:
        raise RunError(f"cannot write {str(path)!r}: {failed.strerror}") from None


def _shown(cell: Any) -> Any:
    return legible(cell) if isinstance(cell, str) else cell
