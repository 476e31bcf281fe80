"""The two ways a run can end badly: the input is wrong, or the work failed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["InputError", "RunError", "nearest"]


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
        self.message = message
        self.where = where
        super().__init__(f"{where}: {message}" if where else message)


class RunError(RuntimeError):
    """The input was right but the work could not be finished."""


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
    close = difflib.get_close_matches(name, choices, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"choose one of {choices}" if choices else "none is defined here"
