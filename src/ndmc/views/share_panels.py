"""Shares of variance in one year: dots with limits, and a tornado."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ndmc.store.shares import Flag
from ndmc.views.charts import DARK, MIDDLE, ticked
from ndmc.views.share_cells import Cell

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ndmc.views.share_marks import Marks

#: Shares that limits may leave by, to each side of 0 and 1, and still be drawn.
_BEYOND = 0.3

#: How dark a bar is where the group is high, where it is low, and where either may be.
_HIGH, _LOW, _PLAIN = 1.0, 0.35, 0.6

#: What is said beside a share that is not to be trusted, or is not there.
_WORDS = {
    Flag.CONSTANT: "constant",
    Flag.LOST_PAIRS: "some draws lost",
    Flag.NEVER: "never comes in some draws",
    Flag.UNSETTLED: "unsettled",
}

#: Rows that there is room for, so that few bars are not fat.
LEAST_ROWS = 6

#: Of what is said below a panel.
SMALL: dict[str, Any] = {"loc": "left", "fontsize": "small"}


def draw_dots(axes: Axes, cell: Cell, rows: Sequence[int], marks: Marks) -> None:
    """Draw first and total share of each group, with their limits."""
    for place, group in enumerate(rows):
        for share, shift, face in ((cell.first, -0.17, None), (cell.total, 0.17, "white")):
            low, best, high = (x[group, cell.at] for x in (share.low, share.best, share.high))
            color, row = marks.colors[group], place + shift
            axes.plot([low, high], [row, row], color=color)
            axes.plot(best, row, "D" if face else "o", color=color, mfc=face, ms=4 if face else 5)
        _say_flag(axes, cell, group, place)
    _name_rows(axes, rows, marks)
    axes.axvline(0, color="black", lw=0.8)
    axes.grid(axis="x", color=DARK, alpha=0.12)
    low, high = axes.get_xlim()
    axes.set_xlim(max(min(low, -0.02), -_BEYOND), min(max(high, 0.1), 1 + _BEYOND))
    axes.set_xlabel(_rest(cell, rows), **SMALL)
    for marker, face, name in (("o", MIDDLE, "first"), ("D", "white", "total, with interactions")):
        axes.plot([], [], marker, color=MIDDLE, mfc=face, label=name)
    _legend_above(axes, 2)


def _say_flag(axes: Axes, cell: Cell, group: int, place: int) -> None:
    """Say of shares that are not to be trusted, or that there are not, why."""
    words = _WORDS.get(Flag(int(cell.flag[group, cell.at])), "")
    high = min(np.nan_to_num(cell.total.high[group, cell.at]), 1 + _BEYOND)
    axes.text(high, place, f"  {words}", va="center", fontsize="small", color="#555555")


def _rest(cell: Cell, rows: Sequence[int]) -> str:
    """Say how many groups are not drawn, and why."""
    reached = cell.reached
    left, apart = len(reached) - len(rows), len(cell.groups) - len(reached)
    counted = {"smaller groups not drawn": left, "groups that do not reach it": apart}
    return "; ".join(f"{words}: {n}" for words, n in counted.items() if n)


def _name_rows(axes: Axes, rows: Sequence[int], marks: Marks) -> None:
    axes.set_yticks(range(len(rows)), [marks.row(group) for group in rows])
    axes.set_ylim(max(len(rows), LEAST_ROWS) - 0.5, -0.5)  # the first row on top
    axes.tick_params(axis="y", length=0)
    axes.spines[["left", "top"]].set_visible(False)


def _legend_above(axes: Axes, columns: int) -> None:
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=columns,
        frameon=False,
        borderpad=0,
        borderaxespad=0.3,
        handletextpad=0.5,
        columnspacing=1.2,
    )


def draw_tornado(axes: Axes, cell: Cell, rows: Sequence[int], marks: Marks) -> None:
    """Draw the 95 % range that each group alone gives the output, dark where the group is high."""
    assert cell.sign is not None, "a cell without effects is not drawn"
    rows = sorted(rows, key=lambda group: -np.nan_to_num(_width(cell, group), nan=-1.0))
    for place, group in enumerate(rows):
        width, sign = _width(cell, group), cell.sign[group, cell.at]
        for side in (-1, 1):
            alpha = _PLAIN if abs(sign) != 1 else _HIGH if sign == side else _LOW
            axes.barh(place, side * width, 0.7, color=marks.colors[group], alpha=alpha, lw=0)
        axes.text(
            np.nan_to_num(width), place, f"  {_number(width, sign)}", va="center", fontsize="small"
        )
    _name_rows(axes, rows, marks)
    axes.axvline(0, color="black", lw=0.8)
    axes.xaxis.set_major_formatter(lambda x, _: ticked(x, "+") if x else "0")
    axes.margins(x=0.12)
    axes.locator_params(axis="x", nbins=6)
    unit = f" ({cell.unit})" if cell.unit not in ("", "1") else ""
    axes.set_xlabel(f"change from the mean{unit}")
    for alpha, name in (
        (_HIGH, "group high"),
        (_LOW, "group low"),
        (_PLAIN, "direction not known"),
    ):
        if alpha != _PLAIN or any(not cell.sign[group, cell.at] for group in rows):
            axes.bar([0], [0], color="#333333", alpha=alpha, label=name)
    _legend_above(axes, 3)


def _width(cell: Cell, group: int) -> float:
    assert cell.effect is not None
    return float(cell.effect[group, cell.at])


def _number(width: float, sign: float) -> str:
    """Return a half-width with its sign, to three digits.

    Examples
    --------
    >>> _number(5400.3, 1), _number(0.012345, -1), _number(0.0, 0), _number(math.nan, 0)
    ('+5,400', '-0.0123', '0', 'no value')
    """
    if not math.isfinite(width):
        return "no value"
    shown = float(f"{width:.3g}")
    if not shown:
        return "0"
    text = f"{shown:,.0f}" if 1000 <= shown < 1e9 else f"{shown:.3g}"
    return f"{'±' if not sign else '+' if sign > 0 else '-'}{text}"
