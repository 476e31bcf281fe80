"""Tables, numbers and progress on a terminal, and rows in a CSV."""

from __future__ import annotations

import csv
import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.console import Console, RenderableType
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

WIDE = 110  # characters that three outputs side by side need


class _Page(Console):
    """Shows texts as they are: no control character, markup or name of an emoji is obeyed.

    Rich takes every text here before it measures it. A line break within one is shown, too: those
    of a layout are between texts (`Group`, ``sep``).
    """

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(legible(text), **options)


def console(*, stderr: bool = False) -> Console:
    """Return the terminal, or a wide page where there is none."""
    width = None if stderr or sys.stdout.isatty() else 120
    return _Page(stderr=stderr, markup=False, emoji=False, width=width)


def print_lines(*lines: str) -> None:
    """Print lines as they are, however long."""
    console().print(*lines, sep="\n", soft_wrap=True, highlight=False)


def number(value: float) -> str:
    """Return a number with four significant digits, and all those before the point.

    Examples
    --------
    >>> number(115032.7), number(0.0123456), number(-3.0)
    ('115,033', '0.01235', '-3')
    """
    if not math.isfinite(value):
        return {math.inf: "none", -math.inf: "none"}.get(value, "-")
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def number_or_never(value: float) -> str:
    """Return a percentile as people read it: what is beyond all years never happens."""
    return "never" if value == math.inf else number(value)


def limits_in_words(low: float, high: float) -> str:
    """Return confidence limits: none where there are too few draws for one."""
    return f"{number_or_never(low)} .. {'never' if low == math.inf else number(high)}"


def percent(quantile: float) -> str:
    """Return a share as a percent sign people write: 2.5 %."""
    return f"{quantile * 100:g} %"


def plain_table(
    title: str, *columns: RenderableType, words: int = 1, no_wrap: bool = False
) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(columns):
        if index < words:
            table.add_column(column, overflow="fold", no_wrap=no_wrap)
        else:
            table.add_column(column, justify="right", no_wrap=True)
    return table


def print_table(page: Console, table: Table) -> None:
    """Print a table; one of many rows as lines of any length.

    Rich lays out a row in 0.4 ms, of 40,000 in 16 s; this way they take 0.9 s.
    """
    if table.row_count <= _MANY:
        page.print(table)
        return
    texts = ((column.header, *column.cells) for column in table.columns)
    columns = [[legible(str(text)) for text in column] for column in texts]
    widths = [min(_WIDEST, max(map(cell_len, cells))) for cells in columns]
    rows = zip(*columns, strict=True)
    print_lines(*(_line(row, widths) for row in rows))


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
