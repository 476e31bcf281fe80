"""The quality of data as a picture or a table: cells by indicators, coloured by score."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ndmc.errors import InputError, RunError
from ndmc.scenario.quality import BASIC, INDICATORS, WORST, Rating
from ndmc.views.layout import MARGIN, NOTE, text_width

__all__ = ["Row", "csv_table", "heat_map", "indicators_of", "write_heat_map"]

_INK, _FAINT, _PAPER = "#1f2a37", "#64748b", "#fcfcfb"

_FONT = "system-ui, -apple-system, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif"

#: From the best score to the worst: light to dark, so that it can be read without hues.
_COLORS = ("#e6f0f7", "#f9e7b8", "#f2b36b", "#d4693a", "#8f2d1c")

_LINE, _TOP, _CELL = 22, 88, 92


@dataclass(frozen=True)
class Row:
    """Cells of a parameter that share their quality: its name, their labels, and how many."""

    parameter: str
    labels: str
    cells: int
    rating: Rating

    @property
    def title(self) -> str:
        """Name and labels."""
        return f"{self.parameter}: {self.labels}" if self.labels else self.parameter


def indicators_of(rows: Sequence[Row]) -> list[str]:
    """Return the indicators that any row has a score of, in the order of the methods."""
    scored = {name for row in rows for name, _ in row.rating.scores}
    known = dict.fromkeys((*(name for group in INDICATORS.values() for name in group), BASIC))
    return [name for name in known if name in scored]


def _color(method: str, score: float) -> str:
    """Return the color of a score; the best and the worst of every method look alike."""
    share = (score - 1) / (WORST[method] - 1)
    return _COLORS[round(share * (len(_COLORS) - 1))]


def _xml(text: str) -> str:
    return html.escape("".join(letter if letter.isprintable() else " " for letter in text))


def _text(text: str, x: float, y: float, style: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{NOTE}"{style}>{_xml(text)}</text>'


def _score(row: Row, name: str, x: float, y: float) -> str:
    scores, levels = dict(row.rating.scores), dict(row.rating.sensitivities)
    if name not in scores:
        return ""
    label = f"{scores[name]:g}" + (f" {levels[name]}" if name in levels else "")
    middle = ' text-anchor="middle"'
    if name == BASIC:
        return _text(label, x + _CELL / 2, y + 15, middle)
    color = _color(row.rating.method, scores[name])
    ink = "#ffffff" if color in _COLORS[3:] else _INK
    about = f"{row.title}: {name} {label}"
    return (
        f'<g class="score" fill="{ink}"><title>{_xml(about)}</title>'
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{_CELL - 2}" height="{_LINE - 2}" fill="{color}"/>'
        f"{_text(label, x + _CELL / 2 - 1, y + 15, middle)}</g>"
    )


def _line(row: Row, names: Sequence[str], left: float, y: float) -> str:
    x = left + _CELL * len(names)
    return "".join(
        [
            _text(row.title, MARGIN, y + 15),
            *(_score(row, name, left + _CELL * n, y) for n, name in enumerate(names)),
            _text(f"{row.rating.cv * 100:.1f} %", x + 60, y + 15, ' text-anchor="end"'),
            _text(row.rating.distribution, x + 74, y + 15),
            _text(row.rating.method, x + 74 + _CELL + 20, y + 15, f' fill="{_FAINT}"'),
        ]
    )


def _legend(left: float, y: float) -> str:
    parts = [_text("best", left, y + 13)]
    for n, color in enumerate(_COLORS):
        x = left + 34 + 22 * n
        parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="20" height="16" fill="{color}"/>')
    parts.append(_text("worst score of the method", left + 40 + 22 * len(_COLORS), y + 13))
    return f'<g class="legend">{"".join(parts)}</g>'


def heat_map(title: str, rows: Sequence[Row]) -> str:
    """Return a heat map of scores as SVG that needs nothing else.

    Parameters
    ----------
    title
        Written above the picture.
    rows
        The cells, each row a line of the picture.

    Returns
    -------
    str
        The text of an SVG file; the same rows give the same text.

    Examples
    --------
    >>> from ndmc.scenario.quality import rate
    >>> row = Row("content", "car", 1, rate("laner", {"reliability": 2}))
    >>> picture = heat_map("Copper", [row])
    >>> picture.startswith("<svg xmlns="), picture.count('class="score"')
    (True, 1)
    """
    names = indicators_of(rows)
    left = MARGIN + max(text_width(row.title, NOTE) for row in rows) + 14
    right = left + _CELL * len(names)
    width = max(right + 74 + 2 * _CELL + 60, text_width(title, 1.1 * 16) + 2 * MARGIN)
    bottom = _TOP + _LINE * len(rows)
    heads = [
        *((name, left + _CELL * (n + 0.5) - 1, "middle") for n, name in enumerate(names)),
        ("cv", right + 60, "end"),
        ("distribution", right + 74, "start"),
        ("method", right + 94 + _CELL, "start"),
    ]
    size = f'viewBox="0 0 {width:.1f} {bottom + 56}" width="{width:.0f}" height="{bottom + 56}"'
    bold = ' font-weight="600"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="{_FONT}" fill="{_INK}">',
            f"<title>{_xml(title)}</title>",
            f'<rect width="{width:.1f}" height="{bottom + 56}" fill="{_PAPER}"/>',
            f'<text x="{MARGIN}" y="36" font-size="16"{bold}>{_xml(title)}</text>',
            *(_text(t, x, _TOP - 10, f' text-anchor="{end}"{bold}') for t, x, end in heads),
            *(_line(row, names, left, _TOP + _LINE * n) for n, row in enumerate(rows)),
            _legend(MARGIN, bottom + 22),
            "</svg>\n",
        ]
    )


def csv_table(title: str, rows: Sequence[Row]) -> str:
    """Return scores as CSV, one line a row; empty where an indicator has no score.

    Parameters
    ----------
    title
        Not written: a table has no place for it.
    rows
        The cells.

    Returns
    -------
    str
        The text of a CSV file.

    Examples
    --------
    >>> from ndmc.scenario.quality import rate
    >>> row = Row("content", "car", 1, rate("laner", {"reliability": 2}))
    >>> print(csv_table("Copper", [row]).splitlines()[1])
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


def write_heat_map(path: Path, title: str, rows: Sequence[Row]) -> None:
    """Write scores to a file; its suffix says in which format.

    Parameters
    ----------
    path
        A file that ends in ``.svg`` or ``.csv``; what it held is lost.
    title
        Written above the picture.
    rows
        The cells.

    Raises
    ------
    InputError
        If the file ends in something else, or nothing has scores.
    RunError
        If the file cannot be written.

    Examples
    --------
    >>> from ndmc.scenario.quality import rate
    >>> rows = [Row("content", "", 1, rate("laner", {"expert": 2}))]
    >>> write_heat_map(Path("quality.svg"), "Copper", rows)
    >>> Path("quality.svg").read_text()[:4]
    '<svg'
    """
    draw = {".svg": heat_map, ".csv": csv_table}.get(path.suffix.lower())
    if draw is None:
        message = f"cannot write {str(path)!r}; a heat map of quality ends in .svg or .csv"
        raise InputError(message, "--quality")
    if not rows:
        raise InputError("no parameter has scores; give one 'quality'", "--quality")
    try:
        path.write_text(draw(title, rows), encoding="utf-8")
    except OSError as failed:
        raise RunError(f"cannot write {str(path)!r}: {failed.strerror or failed}") from None
