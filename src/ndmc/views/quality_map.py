"""The quality of data as a picture or a table: cells by indicators, coloured by score."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ndmc.errors import InputError
from ndmc.legible import legible
from ndmc.scenario.quality import BASIC, WORST
from ndmc.studies.ratings import Rated, indicators_of
from ndmc.views.charts import DARK, LIGHT, MIDDLE, check_file, check_letters, write_chart, writing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["check_quality", "write_quality"]

#: In inches: the height of a row, the width of a score, that of the bars of cvs.
_LINE, _CELL, _BARS = 0.26, 0.95, 2.4


def check_quality(path: Path, title: str, rows: Sequence[Rated]) -> None:
    """Refuse what cannot be written.

    Parameters
    ----------
    path, title, rows
        As for `write_quality`.

    Raises
    ------
    InputError
        If the file ends in something else, nothing has scores, or matplotlib is missing or has no
        letter for a name.

    Examples
    --------
    >>> check_quality(Path("quality.csv"), "Copper", [])
    Traceback (most recent call last):
        ...
    ndmc.errors.InputError: --quality: no parameter has scores; give one 'quality'
    """
    check_file(path, "--quality", ".csv")
    if not rows:
        raise InputError("no parameter has scores; give one 'quality'", "--quality")
    check_letters(path, "--quality", [title, *(row.title for row in rows)])


def write_quality(path: Path, title: str, rows: Sequence[Rated]) -> None:
    """Write scores to a file: drawn, each in the color of how bad it is, or as a table.

    Parameters
    ----------
    path
        A file that ends in ``.svg``, ``.png``, ``.pdf`` or ``.csv``; what it held is lost.
    title
        Written above the picture.
    rows
        The cells, each row a line of the picture or the table.

    Raises
    ------
    InputError
        As `check_quality`.
    RunError
        If the file cannot be written.

    Examples
    --------
    >>> from ndmc.scenario.quality import rate
    >>> rows = [Rated("content", "", 1, rate("laner", {"expert": 2}))]
    >>> write_quality(Path("quality.svg"), "Copper", rows)
    >>> ">content</text>" in Path("quality.svg").read_text()
    True
    """
    check_quality(path, title, rows)
    if path.suffix.lower() != ".csv":
        write_chart(path, title, lambda figure: _draw(figure, title, rows))
        return
    with writing(path):
        path.write_text(csv_table(rows), encoding="utf-8")


def csv_table(rows: Sequence[Rated]) -> str:
    """Return scores as CSV, one line a row; empty where an indicator has no score.

    Parameters
    ----------
    rows
        The cells.

    Returns
    -------
    str
        The text of a CSV file.

    Examples
    --------
    >>> from ndmc.scenario.quality import rate
    >>> row = Rated("content", "car", 1, rate("laner", {"reliability": 2}))
    >>> print(csv_table([row]).splitlines()[1])
    content,car,1,laner,2,0.068,normal
    """
    names = indicators_of(rows)
    levels = [n for n in names if any(n in dict(row.rating.sensitivities) for row in rows)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    heads = [*names, *(f"{name}_sensitivity" for name in levels)]
    writer.writerow(["parameter", "labels", "cells", "method", *heads, "cv", "distribution"])
    for row in rows:
        scores, given = dict(row.rating.scores), dict(row.rating.sensitivities)
        found = [f"{scores[name]:g}" if name in scores else "" for name in names]
        found += [given.get(name, "") for name in levels]
        cv, distribution = f"{row.rating.cv:.6g}", row.rating.distribution
        first = [row.parameter, row.labels, row.cells, row.rating.method]
        writer.writerow([*first, *found, cv, distribution])
    return text.getvalue()


def _draw(figure: Figure, title: str, rows: Sequence[Rated]) -> None:
    names = indicators_of(rows)
    widths, height = (_CELL * len(names), _BARS), _LINE * len(rows)
    figure.set_size_inches(sum(widths) * 1.02, height)
    figure.subplots_adjust(left=0, right=1, bottom=0, top=1, wspace=0.02)
    scores, spreads = figure.subplots(1, 2, sharey=True, width_ratios=widths)
    scores.set_title(legible(title), pad=34)
    scores.set_yticks(np.arange(len(rows)) + 0.5, [legible(row.title) for row in rows])
    scores.set_xticks(np.arange(len(names)) + 0.5, names)
    _draw_scores(scores, names, rows)
    _draw_spreads(spreads, rows)
    for axes in (scores, spreads):
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    scores.invert_yaxis()  # the first row on top


def _draw_scores(axes: Axes, names: Sequence[str], rows: Sequence[Rated]) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    colors = LinearSegmentedColormap.from_list("scores", [LIGHT, MIDDLE, DARK])
    bad = np.array([[_badness(row, name) for name in names] for row in rows])
    mesh = axes.pcolormesh(bad, cmap=colors, vmin=0, vmax=1, edgecolors="white")
    for place, label in np.ndenumerate([[_label(row, name) for name in names] for row in rows]):
        ink = "white" if bad[place] >= 0.5 else "black"
        axes.text(
            place[1] + 0.5, place[0] + 0.5, label, color=ink, ha="center", va="center_baseline"
        )
    width, height = _CELL * len(names), _LINE * len(rows)
    below = axes.inset_axes((0, -0.5 / height, 1.6 / width, 0.15 / height))
    legend = axes.figure.colorbar(mesh, cax=below, orientation="horizontal", ticks=[0, 1])
    legend.set_ticklabels(["best", "worst"])
    legend.set_label("score within its method")
    legend.outline.set_visible(False)


def _badness(row: Rated, name: str) -> float:
    """Return 0 for the best and 1 for the worst score of a method; a factor has no score."""
    score = dict(row.rating.scores).get(name, np.nan)
    return np.nan if name == BASIC else (score - 1) / (WORST[row.rating.method] - 1)


def _label(row: Rated, name: str) -> str:
    scores, levels = dict(row.rating.scores), dict(row.rating.sensitivities)
    return f"{scores[name]:g} {levels.get(name, '')}".rstrip() if name in scores else ""


def _draw_spreads(axes: Axes, rows: Sequence[Rated]) -> None:
    cvs = [100 * row.rating.cv for row in rows]
    bars = axes.barh(np.arange(len(rows)) + 0.5, cvs, height=0.5, color=MIDDLE)
    labels = [
        f"{cv:.1f} %, {row.rating.distribution} ({row.rating.method})"
        for cv, row in zip(cvs, rows, strict=True)
    ]
    axes.bar_label(bars, labels, padding=4)
    axes.set_xlabel("cv (%)")
    axes.xaxis.set_label_position("top")
