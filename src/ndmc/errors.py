"""The two ways a run can end badly, input that is wrong and work that fails, and warnings."""

from __future__ import annotations

import difflib
import itertools
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from ndmc.legible import legible

__all__ = [
    "ConsequentError",
    "InputError",
    "Mistakes",
    "RunError",
    "StudyWarning",
    "closest",
    "nearest",
    "readable",
    "shortened",
    "together",
    "warn",
]

#: So many characters of a message are told, whatever was found; of several, so many at least.
_MOST, _LEAST = 2500, 400

#: So many mistakes are told at once.
_TOLD = 20

#: Names are compared up to this product of the characters on both sides: some 2 s.
_COMPARED = 10**7

#: So many names are listed; of more, the first few.
_LISTED, _FIRST = 10, 5


class InputError(ValueError):
    """Something the user wrote is wrong; nothing was computed or written.

    Mistakes that do not depend on each other are told at once, up to 20: ``message`` and ``where``
    are those of the first, its text has a line for each.

    Parameters
    ----------
    message
        What was found, what is allowed and what to do, in lower case.
    where
        ``file:line`` or the command-line option that holds the mistake.

    Examples
    --------
    >>> wrong = InputError("unknown unit 'tt'", "scenario.yaml:4")
    >>> wrong.where, wrong.message, len(wrong.mistakes)
    ('scenario.yaml:4', "unknown unit 'tt'", 1)
    """

    def __init__(self, message: str, where: str = "") -> None:
        self.message = message = readable(message)
        self.where = where = readable(where)
        self.others: tuple[InputError, ...] = ()
        self.more = False
        super().__init__(f"{where}: {message}" if where else message)

    @property
    def place(self) -> tuple[str, int]:
        """The file and the line of the mistake; the line is 0 where there is none."""
        file, _, line = self.where.rpartition(":")
        return (file, int(line)) if line.isdecimal() else (self.where, 0)

    @property
    def mistakes(self) -> tuple[InputError, ...]:
        """Itself and those beside it, in the order of the file."""
        return (self, *self.others)

    def __str__(self) -> str:
        most = max(_MOST // len(self.mistakes), _LEAST)
        lines = [readable(str(one.args[0]), most) for one in self.mistakes]
        if self.more:
            lines.append(f"there are more than these {_TOLD} mistakes; mend them first")
        return "\n".join(lines)


def together(mistakes: Iterable[InputError], *, more: bool = False) -> InputError:
    """Return the first mistakes as one, in the order of lines, tables behind their scenario.

    There are ``more`` than these if so said, too.
    """
    found = list(itertools.islice(mistakes, _TOLD + 1))
    found.sort(key=lambda one: (one.place[0].endswith(".csv"), *one.place))
    alike = dict[tuple[str, str], list[InputError]]()
    for one in found:
        alike.setdefault((one.place[0], one.message), []).append(one)
    first, *others = (_as_one(same) for same in list(alike.values())[:_TOLD])
    first.others, first.more = tuple(others), more or len(found) > _TOLD
    return first


def _as_one(same: Sequence[InputError]) -> InputError:
    """Return a mistake that is made in several lines."""
    first, *again = same
    lines = ", ".join(str(one.place[1]) for one in again)
    also = f" (also on line{'s'[: len(again) > 1]} {lines})" if again else ""
    return InputError(f"{first.message}{also}", first.where)


class ConsequentError(InputError):
    """Something that cannot be read because of a mistake that is told elsewhere."""


class Mistakes:
    """Gathers what is wrong with things that do not depend on each other, and raises it at once.

    Examples
    --------
    >>> with Mistakes() as mistakes:
    ...     for line, unit in enumerate(["tt", "t", "kgg"], 1):
    ...         with mistakes.apart():
    ...             if unit != "t":
    ...                 raise InputError(f"unknown unit {unit!r}", f"scenario.yaml:{line}")
    Traceback (most recent call last):
    ndmc.errors.InputError: scenario.yaml:1: unknown unit 'tt'
    scenario.yaml:3: unknown unit 'kgg'
    """

    def __init__(self, before: Iterable[InputError] = ()) -> None:
        self._found: dict[str, InputError] = {}
        self._consequences: list[ConsequentError] = []
        self._more = False
        self.add(before)

    @property
    def found(self) -> tuple[InputError, ...]:
        """What was found, in the order in which it was."""
        return tuple(self._found.values())

    def add(self, wrong: Iterable[InputError]) -> None:
        """Take mistakes and those beside them, each once; too many are raised."""
        for one in wrong:
            if isinstance(one, ConsequentError):
                self._consequences.append(one)
                continue
            self._found |= {str(mistake.args[0]): mistake for mistake in one.mistakes}
            self._more |= one.more
            if len(self._found) > _TOLD:
                self.end()

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Go on behind a block, whatever is wrong in it."""
        try:
            yield
        except InputError as wrong:
            self.add([wrong])

    def __enter__(self) -> Mistakes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, wrong: BaseException | None, at: object
    ) -> None:
        if isinstance(wrong, InputError):
            self.add([wrong])
        if wrong is None or isinstance(wrong, InputError):
            self.end()

    def end(self) -> None:
        """Raise what was found; what follows from something else only if that was not."""
        if told := self.found or self._consequences[:1]:
            raise together(told, more=self._more) from None


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


def readable(text: str, most: int = _MOST) -> str:
    """Return a legible text without its middle if it is too long: what to do stands at its end.

    Examples
    --------
    >>> len(readable("a" * 100_000)) < 3000
    True
    """
    text, end = legible(text), most // 5
    left_out = len(text) - most
    if left_out <= 0:
        return text
    return f"{text[: most - end]} ... ({left_out} characters left out) ... {text[-end:]}"


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
    if close := closest(name, choices):
        return f"did you mean {close!r}?"
    return f"choose one of {shortened(map(repr, choices))}" if choices else "none is defined here"


def closest(name: str, names: Sequence[str]) -> str:
    """Return the name that is most like another, capitals or not; empty if none is.

    Examples
    --------
    >>> closest("Cars", ["phone", "car"]), closest("Cars", ["phone"])
    ('car', '')
    """
    if len(name) * sum(map(len, names)) > _COMPARED:
        return ""
    folded = {one.casefold(): one for one in reversed(names)}
    found = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    return folded[found[0]] if found else ""


def shortened(texts: Iterable[str], between: str = ", ", last: str = "") -> str:
    """Return texts as one, of many the first few; the ``last`` may have a word before it.

    Examples
    --------
    >>> shortened("abc", " -> "), shortened("abc", last=" and ")
    ('a -> b -> c', 'a, b and c')
    >>> shortened(map(str, range(100)))
    '0, 1, 2, 3, 4, ... and 95 more'
    """
    known = [*texts]
    if len(known) > _LISTED:
        return between.join([*known[:_FIRST], f"... and {len(known) - _FIRST} more"])
    end = last if last and len(known) > 1 else between
    return end.join(filter(None, [between.join(known[:-1]), *known[-1:]]))
