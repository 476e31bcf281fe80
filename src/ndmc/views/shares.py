"""A sensitivity study as a picture: which inputs an output's variance comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ndmc.errors import InputError, nearest
from ndmc.label import Labels
from ndmc.legible import legible
from ndmc.views.charts import check_file, check_letters, write_chart
from ndmc.views.share_cells import Cell, read_cell, worth_a_row
from ndmc.views.share_map import LEAST_COLUMNS, Sheet, draw_map, sheet_of
from ndmc.views.share_marks import Marks, columns_of, marks_of
from ndmc.views.share_panels import LEAST_ROWS, draw_dots, draw_tornado
from ndmc.views.share_stack import draw_lines, draw_spread, draw_stack, draw_years

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure, FigureBase

__all__ = ["picture"]

#: What can be drawn; `all` is the first four on one page.
KINDS = ("all", "years", "dots", "map", "tornado", "line")

#: Groups and outputs that are drawn of many.
_ROWS, _COLUMNS = 20, 24

#: The share from which on a group has a row.
_COUNTS = 0.005

#: In inches: a row, a column, a letter, what titles take, and the size of the layers over years.
_ROW, _COLUMN, _LETTER, _HEADS = 0.3, 0.36, 0.08, 1.4
_YEARS = (8.2, 4.8)


@dataclass(frozen=True)
class Page:
    """What is drawn: a cell, what it takes to draw other outputs beside it, and one group."""

    cell: Cell
    sheet: Sheet
    marks: Marks
    group: int
    heading: str

    @property
    def rows(self) -> list[int]:
        """The largest of the groups that reach the cell."""
        reached = self.cell.reached
        total = self.cell.total.best[reached, self.cell.at]
        return [reached[n] for n in worth_a_row(total, _ROWS, _COUNTS)]

    @property
    def when(self) -> str:
        """The year that is looked at, behind what is said of it."""
        return f", {self.cell.years[self.cell.at]}" if self.cell.years else ""


def check_picture(path: Path, names: Iterable[str]) -> None:
    """Refuse a file that no picture can be written to, before anything is computed for it.

    Parameters
    ----------
    path
        The file.
    names
        The title of the study, names of groups, and labels, which are to be drawn.

    Raises
    ------
    InputError
        If it ends in something else, or matplotlib is missing or has no letter for a name.

    Examples
    --------
    >>> check_picture(Path("shares.svg"), ["content", "lifetime"])
    """
    check_file(path, "--picture")
    check_letters(path, "--picture", names)


def picture(
    dataset: xr.Dataset,
    path: Path,
    output: str | None = None,
    *,
    percentiles: xr.Dataset | None = None,
    kind: str = "all",
    sel: Labels | None = None,
    group: str | None = None,
) -> None:
    """Draw a sensitivity study to a file.

    Parameters
    ----------
    dataset
        The study, as `ndmc.sensitivity` returns it.
    path
        A file that ends in ``.svg``, ``.png`` or ``.pdf``; what it held is lost.
    output
        Name of an output, or of its total (``in_use_total``); the first headline if None. Of an
        output by labels the total is drawn, if ``sel`` picks none; if there is no total, the cell
        that varies most.
    percentiles
        Those of the same store, for the range of the output over the years; without, the range is
        that of 1.96 sd to each side of the mean.
    kind
        ``years``: layers of shares over the years; ``dots``: shares with limits; ``map``: total
        shares of every output; ``tornado``: the range that each group alone gives; ``line``: one
        group over the years; ``all``: the first four.
    sel
        A label of each dim, ``{"product": "car", "year": 2021}``; the last year if none is picked.
    group
        The group of ``line``; the largest if None.

    Raises
    ------
    InputError
        For what the study has not, several labels of a dim, a file that ends in something else,
        or if matplotlib is missing or has no letter for a name.
    RunError
        If the file cannot be written.

    Examples
    --------
    >>> import xarray as xr
    >>> picture(xr.Dataset(), Path("shares.svg"))
    Traceback (most recent call last):
        ...
    ndmc.errors.InputError: dataset: this is no sensitivity study: it has no shares of variance
    """
    check_file(path, "--picture")
    if kind not in KINDS:
        raise InputError(f"there is no picture {kind!r}; {nearest(kind, KINDS)}", "kind")
    page = page_of(dataset, percentiles, output, sel, group)
    if kind == "tornado" and page.cell.effect is None:
        raise InputError(f"{page.cell.title} is an event, which has no range to draw", "kind")
    check_picture(path, [page.heading, *page.marks.names, *page.sheet.outputs])
    write_chart(path, page.heading, lambda figure: draw_page(figure, page, kind))


def page_of(
    dataset: xr.Dataset,
    percentiles: xr.Dataset | None,
    output: str | None,
    sel: Labels | None,
    group: str | None,
) -> Page:
    """Return what is drawn of a study."""
    cell = read_cell(dataset, percentiles, output, sel or {})
    by = dataset.attrs.get("reconciled", "")
    parts = [*(dataset.attrs.get(key, "") for key in ("title", "variant")), by and f"by {by}"]
    if group is not None and group not in cell.groups:
        raise InputError(
            f"the study has no group {group!r}; {nearest(group, cell.groups)}", "group"
        )
    return Page(
        cell=cell,
        sheet=sheet_of(dataset, cell, sel or {}, _ROWS, _COLUMNS),
        marks=marks_of(dataset),
        group=cell.groups.index(group) if group else (cell.reached or [0])[0],
        heading=": ".join(filter(None, [*parts, cell.heading])),
    )


# --- the page -------------------------------------------------------------------------------------


def draw_page(figure: Figure, page: Page, kind: str) -> None:
    """Draw one panel on an empty figure, or all of them."""
    figure.set_layout_engine("constrained")
    figure.suptitle(legible(page.heading), x=0.01, ha="left", fontsize=12)
    if kind != "all":
        figure.set_size_inches(*_size(page, kind))
        _PANELS[kind](figure, page)
        return
    kinds = ["years", "dots", "map", *(["tornado"] if page.cell.effect is not None else [])]
    sizes = [_size(page, one) for one in kinds]
    widths = [max(width for width, _ in sizes[column::2]) for column in range(2)]
    heights = [max(height for _, height in sizes[row : row + 2]) for row in (0, 2)]
    figure.set_size_inches(sum(widths), sum(heights))
    parts: Any = figure.subfigures(2, 2, width_ratios=widths, height_ratios=heights)
    for part, one in zip(parts.flat, kinds, strict=False):
        _PANELS[one](part, page)


def _size(page: Page, kind: str) -> tuple[float, float]:
    """Return width and height of a panel, in inches."""
    if kind in ("years", "line"):
        return _YEARS
    names = _LETTER * max(map(columns_of, page.marks.names))
    if kind == "map":
        rows, columns = page.sheet.total.shape
        return names + _COLUMN * max(columns, LEAST_COLUMNS), _HEADS + 2 + _ROW * max(
            rows, LEAST_ROWS
        )
    return names + 5.2, _HEADS + _ROW * max(len(page.rows), LEAST_ROWS)


def _draw_years(figure: FigureBase, page: Page) -> None:
    if not page.cell.spread:
        top = stack = figure.subplots()
    else:
        top, stack = figure.subplots(2, sharex=True, height_ratios=[1, 2.2])
        draw_spread(top, page.cell)
    draw_stack(stack, page.cell, page.marks)
    draw_years(stack, page.cell)
    top.set_title("Shares of variance, and what they are shares of", fontsize=10)


def _draw_dots(figure: FigureBase, page: Page) -> None:
    axes = figure.subplots()
    draw_dots(axes, page.cell, page.rows, page.marks)
    axes.set_title(f"First and total share{page.when}, with 95 % limits", fontsize=10, pad=22)


def _draw_tornado(figure: FigureBase, page: Page) -> None:
    axes = figure.subplots()
    draw_tornado(axes, page.cell, page.rows, page.marks)
    axes.set_title(f"95 % range that each group alone gives{page.when}", fontsize=10, pad=22)


def _draw_map(figure: FigureBase, page: Page) -> None:
    axes = figure.subplots()
    draw_map(axes, page.sheet, page.marks)
    axes.set_title(f"Total share of each output{page.when}", fontsize=10)


def _draw_line(figure: FigureBase, page: Page) -> None:
    axes = figure.subplots()
    draw_lines(axes, page.cell, page.group, page.marks)
    draw_years(axes, page.cell)
    axes.set_title(f"Share of {page.marks.names[page.group]}", fontsize=10)


_PANELS: dict[str, Callable[[FigureBase, Page], None]] = {
    "years": _draw_years,
    "dots": _draw_dots,
    "map": _draw_map,
    "tornado": _draw_tornado,
    "line": _draw_line,
}
