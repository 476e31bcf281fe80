"""What pictures have in common: files, letters and colors; and charts, which matplotlib draws."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ndmc.errors import InputError, RunError
from ndmc.legible import legible
from ndmc.option import check_writable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["check_file"]

#: One hue, from light to dark: told apart without seeing colors, and in print.
LIGHT, MIDDLE, DARK = "#e3ecf6", "#4a86bf", "#08306b"

#: What a file's format calls its date, which would make each of two equal charts another file.
_DATES = {".svg": "Date", ".png": "", ".pdf": "CreationDate"}

#: The font that comes with matplotlib.
_FONT = "DejaVu Sans"

STYLE: dict[str, Any] = {
    "font.family": [_FONT],
    "font.size": 9,
    "axes.spines.right": False,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "text.parse_math": False,  # a dollar in a name is a dollar
    "svg.fonttype": "none",  # letters stay letters, which can be searched
    "savefig.bbox": "tight",  # the page grows around what is drawn: nothing is cut off
    "savefig.pad_inches": 0.25,
    "savefig.dpi": 150,
}


def ticked(value: float, sign: str = "") -> str:
    """Return a number beside an axis: thousands apart, but four digits together, as of a year.

    Examples
    --------
    >>> ticked(2051.0), ticked(2051.5), ticked(20510), ticked(1500, "+")
    ('2051', '2051.5', '20,510', '+1500')
    """
    return f"{value:{sign},.6g}" if abs(value) >= 9999.5 else f"{value:{sign}.6g}"


def check_file(path: Path, option: str, *others: str) -> None:
    """Refuse a file that no chart can be written to, before anything is computed for it.

    Parameters
    ----------
    path
        The file.
    option
        The option of the command line that names it.
    others
        Suffixes that are written without drawing.

    Raises
    ------
    InputError
        If the suffix is none of matplotlib's or the others, or matplotlib is missing or cannot
        be imported.
    RunError
        If its folder is not there.

    Examples
    --------
    >>> check_file(Path("a.gif"), "--picture")
    Traceback (most recent call last):
        ...
    ndmc.errors.InputError: --picture: cannot write 'a.gif'; its name must end in .svg, .png or .pdf
    """
    check_writable(path, option, *_DATES, *others)
    if path.suffix.lower() in _DATES:
        _check_matplotlib(option)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Let matplotlib not say where a home cannot be written, in two lines beside every picture."""
    log = logging.getLogger("matplotlib")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


@_quiet()
def _check_matplotlib(option: str) -> None:
    try:
        importlib.import_module("matplotlib")
    except ImportError:
        message = "the picture is drawn by matplotlib; install it with: pip install matplotlib"
        raise InputError(message, option) from None
    except ValueError:  # it reads the variable when it is imported, though no file needs it
        backend = os.environ.get("MPLBACKEND")
        message = f"matplotlib has no backend {backend!r}; unset MPLBACKEND"
        raise InputError(message, option) from None


@_quiet()
def check_letters(path: Path, option: str, names: Iterable[str]) -> None:
    """Refuse letters that are not in matplotlib's font, but for SVG: its viewer has its own.

    Parameters
    ----------
    path
        The file, one that `check_file` takes.
    option
        The option of the command line that names it.
    names
        Titles and labels that are to be drawn.

    Raises
    ------
    InputError
        For the first name with such a letter.

    Examples
    --------
    >>> check_letters(Path("shifts.png"), "--picture", ["crude steel", "粗鋼"])
    Traceback (most recent call last):
        ...
    ndmc.errors.InputError: --picture: png has no letter '粗', which is in '粗鋼'; draw .svg
    """
    kind = path.suffix.lower()[1:]
    if kind not in ("png", "pdf"):
        return
    from matplotlib.font_manager import findfont, get_font

    known = get_font(findfont(_FONT)).get_charmap()
    for name in map(legible, names):
        for letter in name:
            if ord(letter) not in known:
                message = f"{kind} has no letter {letter!r}, which is in {name!r}; draw .svg"
                raise InputError(message, option)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say which file it is that cannot be written."""
    try:
        yield
    except OSError as failed:
        raise RunError(f"cannot write {str(path)!r}: {failed.strerror or failed}") from None


@_quiet()
def write_chart(path: Path, title: str, draw: Callable[[Figure], None]) -> None:
    """Write a chart to a file; the same chart gives the same bytes.

    Parameters
    ----------
    path
        A file that `check_file` takes, with names that `check_letters` does; what it held is lost.
    title
        The title of the file.
    draw
        Draws on an empty figure.

    Raises
    ------
    RunError
        If the file cannot be written.

    Examples
    --------
    >>> write_chart(Path("line.svg"), "A line", lambda figure: figure.subplots().plot([1, 2]))
    >>> "<title>A line</title>" in Path("line.svg").read_text()
    True
    """
    from matplotlib import rc_context, style
    from matplotlib.figure import Figure

    suffix = path.suffix.lower()
    metadata = {"Title": legible(title), **({_DATES[suffix]: None} if _DATES[suffix] else {})}
    with (
        style.context(["default", STYLE]),
        rc_context({"svg.hashsalt": "ndmc"}),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", "Glyph .* missing")  # of an SVG, whose viewer may have it
        figure = Figure()
        draw(figure)
        with writing(path):
            figure.savefig(path, format=suffix[1:], metadata=metadata)
