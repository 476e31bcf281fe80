"""Total shares of variance as a map: groups of inputs by outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ndmc.label import Labels
from ndmc.store.shares import Flag
from ndmc.studies.explained import titles_of
from ndmc.views.charts import DARK, LIGHT, MIDDLE
from ndmc.views.share_cells import Cell, headline_of, read_cell, worth_a_row
from ndmc.views.share_marks import blanks, short_names
from ndmc.views.share_panels import LEAST_ROWS, SMALL

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

    from ndmc.typing import Array, Floats
    from ndmc.views.share_marks import Marks

#: The least share that has its number.
_SAID = 0.05

#: Outputs that there is room for, so that cells of few are not wide.
LEAST_COLUMNS = 8


@dataclass(frozen=True)
class Sheet:
    """Total shares and their flags, [group, output], of the largest groups."""

    outputs: tuple[str, ...]
    groups: tuple[int, ...]
    total: Floats
    flag: Array
    left_out: str


def sheet_of(dataset: xr.Dataset, shown: Cell, sel: Labels, rows: int, columns: int) -> Sheet:
    """Return total shares in a cell of every output, that which is shown first."""
    cells = _cells(dataset, shown, sel)
    varying = [cell for cell in cells if cell is shown or cell.known[cell.at]]
    drawn = varying[:columns]
    total = np.stack([cell.total.best[:, cell.at] for cell in drawn], axis=1)
    flag = np.stack([cell.flag[:, cell.at] for cell in drawn], axis=1)
    reaching = np.flatnonzero((flag != Flag.STRUCTURAL_ZERO).any(axis=1))
    order = reaching[worth_a_row(np.nan_to_num(total[reaching]).max(axis=1), rows, _SAID)]
    left = {
        "smaller groups not drawn": len(reaching) - len(order),
        "groups that reach none": len(total) - len(reaching),
        "more outputs not drawn": len(varying) - len(drawn),
        "outputs that do not vary": len(cells) - len(varying),
    }
    return Sheet(
        outputs=tuple(cell.name for cell in drawn),
        groups=tuple(order.tolist()),
        total=total[order],
        flag=flag[order],
        left_out="; ".join(f"{words}: {n}" for words, n in left.items() if n),
    )


def _cells(dataset: xr.Dataset, shown: Cell, sel: Labels) -> list[Cell]:
    """Return a cell of every output, in the year that is looked at; of the headline first."""
    titles, headline = titles_of(dataset), headline_of(dataset)
    totals = {f"{title}_total" for title in titles}
    if shown.years:
        sel = {**sel, "year": shown.years[shown.at]}
    others = [title for title in titles if title not in {*totals, _own(shown.title)}]
    others.sort(key=lambda title: title not in headline)
    return [shown, *(read_cell(dataset, None, title, sel) for title in others)]


def _own(title: str) -> str:
    """Return the output that a title is of, itself or its total."""
    return title.removesuffix("_total")


def draw_map(axes: Axes, sheet: Sheet, marks: Marks) -> None:
    """Draw total shares of groups in outputs, the darker the larger, with numbers."""
    from matplotlib.colors import LinearSegmentedColormap

    steps = [(0, "white"), (_SAID, LIGHT), (0.5, MIDDLE), (1, DARK)]
    colors = LinearSegmentedColormap.from_list("shares", steps)
    axes.pcolormesh(sheet.total, cmap=colors, vmin=0, vmax=1, edgecolors="#dddddd", lw=0.5)
    for (row, column), total in np.ndenumerate(sheet.total):
        text = "-" if np.isnan(total) else f"{total:.2f}" if total >= _SAID else ""
        ink = "white" if total >= 0.4 else "black"
        axes.text(
            column + 0.5, row + 0.5, text, color=ink, ha="center", va="center", fontsize="small"
        )
        if sheet.flag[row, column] == Flag.STRUCTURAL_ZERO:
            axes.plot(column + 0.5, row + 0.5, ".", color="#bbbbbb", ms=2)
    axes.set_yticks(np.arange(len(sheet.groups)) + 0.5, [marks.row(n) for n in sheet.groups])
    names = [name + blanks(name) for name in short_names(sheet.outputs)]
    axes.set_xticks(np.arange(len(names)) + 0.5, names, rotation=90)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlim(0, max(len(names), LEAST_COLUMNS))
    axes.set_ylim(max(len(sheet.groups), LEAST_ROWS), 0)  # the first row on top
    notes = ["dot: does not reach it"] * bool((sheet.flag == Flag.STRUCTURAL_ZERO).any())
    notes += ["-: no share"] * bool(np.isnan(sheet.total).any())
    said = [*notes, *filter(None, sheet.left_out.split("; "))]
    lines = ["; ".join(said[at : at + 2]) for at in range(0, len(said), 2)]
    axes.set_xlabel("\n".join(lines), **SMALL)
