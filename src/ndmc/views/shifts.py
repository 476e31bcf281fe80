"""Reconciled values as a picture: how far each measurement moved, in its own uncertainty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ndmc.legible import legible
from ndmc.views.charts import DARK, LIGHT, MIDDLE, check_file, check_letters, write_chart

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ndmc.reconciliation.estimates import Reconciled
    from ndmc.reconciliation.system import System

__all__ = ["check_names", "shifts_of", "write_picture"]

_LINE, _WIDTH = 0.26, 5.5  # inches

_SURE = 1.96  # standard deviations to each side of 95 %

#: Standard deviations to each side; what lies further out is drawn at the edge, with its number.
_REACH = 8.0


@dataclass(frozen=True)
class Shift:
    """A measurement: where it went and how wide it is after, in standard deviations as measured."""

    title: str
    shift: float
    width: float
    rejected: bool


def check_names(path: Path, system: System) -> None:
    """Refuse names of cells that a picture cannot show, before they are reconciled.

    Raises
    ------
    InputError
        If matplotlib has no letter for the name of a cell that may be drawn.

    Examples
    --------
    >>> from ndmc.reconciliation.equations import system_of
    >>> from ndmc.scenario.load import load
    >>> check_names(Path("shifts.png"), system_of(load("uk_ree")))
    """
    measured = (name for name in system.spans if system.measures(name))
    names = [system.scenario.heading, *system.cell_names(measured)]
    check_letters(path, "--picture", names)


def shifts_of(found: Reconciled) -> list[Shift]:
    """Return the measurements that could be adjusted, and those that were rejected.

    Examples
    --------
    >>> from ndmc.reconciliation.estimates import reconcile_scenario
    >>> from ndmc.scenario.load import load
    >>> shifts_of(reconcile_scenario(load("uk_ree")))[0].title
    'motors_made'
    """
    from ndmc.reconciliation.estimates import adjustments  # imports SciPy

    return [
        Shift(one.quantity, one.shift, one.after_sd / one.before_sd, one.known == "rejected")
        for one in adjustments(found)
        if one.known in ("redundant", "rejected")
    ]


def write_picture(path: Path, title: str, shifts: Sequence[Shift]) -> None:
    """Draw measurements before and after to a file.

    Parameters
    ----------
    path
        A file that ends in ``.svg``, ``.png`` or ``.pdf``; what it held is lost.
    title
        Written above the picture.
    shifts
        The measurements, each a line.

    Raises
    ------
    InputError
        If the file ends in something else, or matplotlib is missing or has no letter for a name.
    RunError
        If it cannot be written.

    Examples
    --------
    >>> write_picture(Path("shifts.svg"), "A market", [Shift("imports", 1.2, 0.6, False)])
    >>> ">imports</text>" in Path("shifts.svg").read_text()
    True
    """
    check_file(path, "--picture")
    check_letters(path, "--picture", [title, *(shift.title for shift in shifts)])
    write_chart(path, title, lambda figure: _draw(figure, title, shifts))


def _draw(figure: Figure, title: str, shifts: Sequence[Shift]) -> None:
    rows = max(len(shifts), 1)
    figure.set_size_inches(_WIDTH, _LINE * rows)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axvspan(-_SURE, _SURE, color=LIGHT, label="as measured, 95 %")
    for rejected, *look in (
        (False, MIDDLE, "o", "reconciled, 95 %"),
        (True, DARK, "X", "rejected"),
    ):
        places = {row: one for row, one in enumerate(shifts) if one.rejected == rejected}
        if places:
            _draw_lines(axes, places, *look)
    axes.set_title(legible(title), pad=34)
    axes.set_yticks(range(len(shifts)), [legible(shift.title) for shift in shifts])
    axes.set_ylim(rows - 0.5, -0.5)  # the first row on top
    axes.set_xlim(-_REACH - 0.4, _REACH + 0.4)
    axes.set_xlabel("moved, in standard deviations as measured")
    axes.xaxis.set_label_position("top")
    axes.xaxis.tick_top()
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.grid(axis="x", color=DARK, alpha=0.12)
    axes.legend(loc="upper left", bbox_to_anchor=(0, 0), ncols=3, frameon=False)


def _draw_lines(
    axes: Axes, shifts: Mapping[int, Shift], color: str, marker: str, label: str
) -> None:
    middles, halves = [], []
    for row, one in shifts.items():
        middle = min(max(one.shift, -_REACH), _REACH)
        middles.append(middle)
        halves.append(_SURE * one.width if middle == one.shift else 0.0)
        if middle != one.shift:
            side = "right" if middle > 0 else "left"
            axes.text(middle, row, f"   {one.shift:+.1f}   ", ha=side, va="center_baseline")
    line = axes.errorbar(middles, [*shifts], xerr=halves, fmt=marker, color=color, label=label)
    line[0].set_clip_on(False)  # at the edge, markers are drawn whole
