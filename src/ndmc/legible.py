"""Text that others wrote, where it is shown: nothing in it is obeyed, and nothing of it is lost."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

__all__ = ["command_line", "few_lines", "legible", "shown"]

#: Characters of a value in a message.
_VALUE = 80

#: Lines, and characters of each, by which an object is shown.
_LINES, _LINE = 8, 100

#: What is obeyed instead of seen: controls (C0, DEL, C1), marks and overrides of direction,
#: separators of lines; and what is no character: halves of pairs, and two that XML refuses.
_UNSEEN = r"\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ud800-\udfff\ufffe\uffff"

_ANY_UNSEEN = re.compile(f"[{_UNSEEN}]")

_SPECIAL_OR_UNSEEN = re.compile(rf"[\\'{_UNSEEN}]")


def legible(text: str) -> str:
    r"""Return a text with an escape for each character that a terminal or a page would obey.

    Parameters
    ----------
    text
        A title, a label, a path: anything that someone else may have written.

    Returns
    -------
    str
        The same text, if it has no such character.

    Examples
    --------
    >>> print(legible("Kupfer \x1b[31m in \u202eChina\n"))
    Kupfer \x1b[31m in \u202eChina\n
    """
    return _ANY_UNSEEN.sub(lambda found: ascii(found[0])[1:-1], text)


def shown(text: str) -> str:
    """Return a label, a cell or another value in quotes for a message, cut if it is long.

    Examples
    --------
    >>> shown("car"), len(shown(1000 * "car"))
    ("'car'", 82)
    """
    return repr(text if len(text) <= _VALUE else f"{text[: _VALUE - 3]}...")


def few_lines(*texts: str) -> str:
    """Return what an object is shown by: texts that are not empty, of many and long ones a part.

    Examples
    --------
    >>> print(few_lines("<Scenario starter", "", "years 2010..2024>"))
    <Scenario starter
      years 2010..2024>
    """
    shown = [legible(text) for text in texts if text]
    if len(shown) > _LINES:
        shown = [*shown[: _LINES - 2], f"... ({len(shown) - _LINES + 1} more)", shown[-1]]
    cut = (text if len(text) <= _LINE else f"{text[: _LINE - 4]} ...{text[-1:]}" for text in shown)
    return "\n  ".join(cut)


def command_line(words: Iterable[str]) -> str:
    r"""Return words on one line that a shell reads as these words.

    Parameters
    ----------
    words
        A command and its arguments.

    Returns
    -------
    str
        What holds control characters is quoted as Bash, Zsh and POSIX of 2024 have it.

    Examples
    --------
    >>> print(command_line(["ndmc", "finish", "my runs/it's.zarr", "a\tb"]))
    ndmc finish 'my runs/it'"'"'s.zarr' $'a\011b'
    """
    return " ".join(map(_quoted, words))


def _quoted(word: str) -> str:
    if _ANY_UNSEEN.search(word):
        return f"$'{_SPECIAL_OR_UNSEEN.sub(lambda found: _octal(found[0]), word)}'"
    return shlex.quote(word)


def _octal(character: str) -> str:
    byte = "\udc80" <= character <= "\udcff"  # of a file name that is not UTF-8
    encoded = character.encode("utf-8", "surrogateescape" if byte else "surrogatepass")
    return "".join(f"\\{one:03o}" for one in encoded)
