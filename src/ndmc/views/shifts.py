"""Reconciled values as a picture: how far each measurement moved, in its own uncertainty."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ndmc.errors import InputError, RunError
from ndmc.views.layout import MARGIN, NOTE, text_width

__all__ = ["Shift", "picture", "write_picture"]

_INK, _FAINT, _PAPER = "#1f2a37", "#64748b", "#fcfcfb"

_BEFORE, _AFTER, _REJECTED = "#cbd5e1", "#2f6f9f", "#c2410c"

_FONT = "system-ui, -apple-system, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif"

_LINE, _TOP, _UNIT = 22, 84, 26

_ABOUT = "95 % as measured (grey) and reconciled, in standard deviations as measured"

#: Standard deviations to each side; what lies further out is drawn at the edge, with its number.
_REACH = 8.0


@dataclass(frozen=True)
class Shift:
    """A measurement: where it went and how wide it is after, in standard deviations as measured."""

    title: str
    shift: float
    width: float
    rejected: bool


def picture(title: str, shifts: Sequence[Shift]) -> str:
    """Return measurements before and after as SVG that needs nothing else.

    Parameters
    ----------
    title
        Written above the picture.
    shifts
        The measurements, each a line: 95 % as measured in grey, after in color.

    Returns
    -------
    str
        The text of an SVG file; the same shifts give the same text.

    Examples
    --------
    >>> drawn = picture("A market", [Shift("imports", 1.2, 0.6, False)])
    >>> drawn.startswith("<svg xmlns="), drawn.count('class="shift"')
    (True, 1)
    """
    left = MARGIN + max((text_width(s.title, NOTE) for s in shifts), default=0.0) + 14
    zero = left + _UNIT * _REACH
    width = max(zero + _UNIT * _REACH + MARGIN + 60, text_width(title, 16) + 2 * MARGIN)
    bottom = _TOP + _LINE * len(shifts)
    size = f'viewBox="0 0 {width:.1f} {bottom + 40}" width="{width:.0f}" height="{bottom + 40}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="{_FONT}" fill="{_INK}">',
            f"<title>{_xml(title)}</title>",
            f'<rect width="{width:.1f}" height="{bottom + 40}" fill="{_PAPER}"/>',
            f'<text x="{MARGIN}" y="36" font-size="16" font-weight="600">{_xml(title)}</text>',
            _text(_ABOUT, MARGIN, 56),
            *(_tick(n, zero + _UNIT * n, bottom) for n in range(-8, 9, 2)),
            *(_line(s, zero, _TOP + _LINE * n) for n, s in enumerate(shifts)),
            "</svg>\n",
        ]
    )


def write_picture(path: Path, title: str, shifts: Sequence[Shift]) -> None:
    """Write measurements before and after to an SVG file; what it held is lost.

    Raises
    ------
    InputError
        If the file ends in something else.
    RunError
        If it cannot be written.

    Examples
    --------
    >>> write_picture(Path("shifts.svg"), "A market", [Shift("imports", 1.2, 0.6, False)])
    >>> Path("shifts.svg").read_text()[:4]
    '<svg'
    """
    if path.suffix.lower() != ".svg":
        raise InputError(f"cannot write {str(path)!r}; the picture ends in .svg", "--picture")
    try:
        path.write_text(picture(title, shifts), encoding="utf-8")
    except OSError as failed:
        raise RunError(f"cannot write {str(path)!r}: {failed.strerror or failed}") from None


def _xml(text: str) -> str:
    return html.escape("".join(letter if letter.isprintable() else " " for letter in text))


def _text(text: str, x: float, y: float, style: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{NOTE}"{style}>{_xml(text)}</text>'


def _tick(number: int, x: float, bottom: float) -> str:
    line = f'<path d="M{x:.1f},{_TOP - 6}V{bottom:.1f}" stroke="{_BEFORE}" stroke-width="0.5"/>'
    return line + _text(f"{number:+d}" if number else "0", x, _TOP - 10, ' text-anchor="middle"')


def _bar(middle: float, half: float, y: float, height: float, color: str, zero: float) -> str:
    low, high = (min(max(end, -_REACH), _REACH) for end in (middle - half, middle + half))
    x, wide = zero + _UNIT * low, max(_UNIT * (high - low), 2.0)
    box = f'x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{height}"'
    return f'<rect {box} fill="{color}"/>'


def _line(shift: Shift, zero: float, y: float) -> str:
    color = _REJECTED if shift.rejected else _AFTER
    parts = [
        _text(shift.title, MARGIN, y + 14),
        _bar(0.0, 1.96, y + 3, 14, _BEFORE, zero),
        _bar(shift.shift, 1.96 * shift.width, y + 7, 6, color, zero),
    ]
    if abs(shift.shift) > _REACH:
        anchor = ' text-anchor="end"' if shift.shift < 0 else ""
        x = zero + math.copysign(_UNIT * _REACH + 6, shift.shift)
        parts.append(_text(f"{shift.shift:+.1f}", x, y + 14, f' fill="{_FAINT}"{anchor}'))
    about = f"{shift.title}: {shift.shift:+.2f}"
    return f'<g class="shift"><title>{_xml(about)}</title>{"".join(parts)}</g>'
