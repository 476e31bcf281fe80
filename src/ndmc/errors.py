"""The two ways a run can end badly, input that is wrong and work that fails, and warnings."""

from __future__ import annotations

import difflib
import sys
import warnings
from collections.abc import Iterable, Sequence
from types import FrameType

from ndmc.legible import legible

__all__ = ["InputError", "RunError", "StudyWarning", "nearest", "readable", "warn"]

#: So many characters of a message are told, whatever was found: of its begin and of its end.
_BEGIN, _END = 2000, 500

#: Names are compared up to this product of the characters on both sides: some 2 s.
_COMPARED = 10**7

#: So many names are listed; of more, the first few.
_LISTED, _FIRST = 10, 5


class InputError(ValueError):
    """Something the user wrote is wrong; nothing was computed or written.

    Parameters
    ----------
    message
        What was found, what is allowed and what to do, in lower case.
    where
        ``file:line`` or the command-line option that holds the mistake.
    """

    def __init__(self, message: str, where: str = "") -> None:
        self.message = message = readable(message)
        self.where = where = readable(where)
        super().__init__(f"{where}: {message}" if where else message)


class RunError(RuntimeError):
    """The input was right but the work could not be finished.

    Parameters
    ----------
    message
        What failed and what to do, in lower case.
    """

    def __init__(self, message: str) -> None:
        super().__init__(readable(message))


class StudyWarning(UserWarning):
    """What does not stop a study, but whoever uses its numbers should know.

    The command line prints it on stderr; in Python it is a warning as any other.
    """


def warn(message: str, where: str = "") -> None:
    """Warn of something, in the name of the code that called ndmc.

    Parameters
    ----------
    message
        What was found and what to do, in lower case.
    where
        ``file:line`` that it is about.

    Examples
    --------
    >>> with warnings.catch_warnings(record=True) as said:
    ...     warnings.simplefilter("always")
    ...     warn("nothing uses the dim 'product'", "scenario.yaml:7")
    >>> print(said[0].message)
    scenario.yaml:7: nothing uses the dim 'product'
    """
    frame: FrameType | None = sys._getframe()
    level = 1
    while frame is not None and _is_own(frame):
        frame, level = frame.f_back, level + 1
    text = f"{where}: {message}" if where else message
    warnings.warn(readable(text), StudyWarning, stacklevel=level)


def _is_own(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).split(".")[0] == __name__.split(".")[0]


def readable(text: str) -> str:
    """Return a legible text without its middle if it is too long: what to do stands at its end.

    Examples
    --------
    >>> len(readable("a" * 100_000)) < 3000
    True
    """
    text = legible(text)
    left_out = len(text) - _BEGIN - _END
    if left_out <= 0:
        return text
    return f"{text[:_BEGIN]} ... ({left_out} characters left out) ... {text[-_END:]}"


def nearest(name: str, allowed: Iterable[str]) -> str:
    """Return a clause that suggests the nearest allowed name, or lists them all.

    Parameters
    ----------
    name
        The name that was not found.
    allowed
        The names that would have been right.

    Returns
    -------
    str
        A clause to append to a message.

    Examples
    --------
    >>> nearest("prodct", ["product", "region"])
    "did you mean 'product'?"
    """
    choices = list(allowed)
    if len(name) * sum(map(len, choices)) <= _COMPARED:
        close = difflib.get_close_matches(name, choices, n=1, cutoff=0.6)
        if close:
            return f"did you mean {close[0]!r}?"
    return f"choose one of {_listed(choices)}" if choices else "none is defined here"


def _listed(names: Sequence[str]) -> str:
    if len(names) <= _LISTED:
        return ", ".join(map(repr, names))
    return f"{', '.join(map(repr, names[:_FIRST]))}, ... and {len(names) - _FIRST} more"
