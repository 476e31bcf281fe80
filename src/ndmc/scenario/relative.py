"""Changes as they are written: a path, labels of a parameter, and a new value or a change of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ndmc.errors import InputError
from ndmc.scenario.distributions import KEYS

# No part of a text can be matched in two ways: texts are anyone's.
_NUMBER = r"((?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?)"

#: Sections of formulas, of which no number can be changed.
_OF_FORMULAS = ("flows", "stocks", "indicators")

_FACTOR = re.compile(rf"[x*\u00d7]\s*{_NUMBER}")

_SHARE = re.compile(rf"([-+])\s*{_NUMBER}\s*%")

_SHIFT = re.compile(rf"([-+])\s*{_NUMBER}(\s*[^\d\s.%+*/-][^%]*|\s+1(?!\d)[^%]*)?")

#: What reads like a change of the number there is, and is written otherwise.
_UNCLEAR = re.compile(
    r"\s*([+*/x\u00d7]\s*[\d.]|[-+*/]=|-[^a-z]*%\s*$"
    r"|[\d.]+\s*([x\u00d7]\s*$|[*x\u00d7]\s*[\d.]|%\s*(more|less|higher|lower)))"
)

_NEGATIVE = re.compile(rf"-\s*{_NUMBER}")

#: How changes of a number are written.
FORMS = "x1.2, +20 %, -20 %, +5 kt or -5 kt"

#: Keys that hold numbers, besides values.
_SINGLE = tuple(key for key in KEYS if key != "value")


@dataclass(frozen=True)
class Relative:
    """A change of a number: times ``factor``, then more by ``shift`` in a unit, its own if none."""

    factor: float = 1.0
    shift: float = 0.0
    unit: str = ""


def read_relative(text: str) -> Relative | None:
    """Return what a text makes of the number there is; nothing if it reads like no change.

    Raises
    ------
    ValueError
        If it reads like one, but not in a way that is clear.

    Examples
    --------
    >>> read_relative("+20 %") == read_relative("x1.2") == Relative(1.2)
    True
    >>> read_relative("-5 kt")
    Relative(factor=1.0, shift=-5.0, unit='kt')
    >>> read_relative("+5 EUR").unit, read_relative("+1e3 1/yr").unit
    ('EUR', '1/yr')
    >>> read_relative("60")
    """
    plain = text.strip()
    if factor := _FACTOR.fullmatch(plain):
        return Relative(float(factor[1]))
    if share := _SHARE.fullmatch(plain):
        return Relative((100 + float(share[1] + share[2])) / 100)
    if shift := _SHIFT.fullmatch(plain):
        return Relative(shift=float(shift[1] + shift[2]), unit=(shift[3] or "").strip())
    if _UNCLEAR.match(text):
        raise ValueError(f"{text!r} reads like a change of the number there is; write {FORMS}")
    return None


def is_change(text: str) -> bool:
    """Whether a text that is to be read as YAML reads like a change: -5 is a number.

    Examples
    --------
    >>> is_change("+5"), is_change("-5"), is_change("-5 kt")
    (True, False, True)
    """
    try:
        return read_relative(text) is not None and not _NEGATIVE.fullmatch(text.strip())
    except ValueError:
        return True


@dataclass(frozen=True)
class Change:
    """What stands at a path becomes another, or another number where it is ``relative``.

    ``labels`` are those of a parameter that it is of, as they are written. It is made ``by`` a
    variant, or beside the file, and may change anew what the variants do that it is ``over``.
    """

    keys: tuple[str, ...]
    labels: str | None
    value: Any
    relative: Relative | None
    where: str
    by: str = ""
    over: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """Its parameter, empty if it is of none."""
        return self.keys[1] if self.keys[0] == "parameters" and len(self.keys) > 1 else ""

    @property
    def of_value(self) -> bool:
        """Whether it is of the value of a parameter, or of some labels, and no other number."""
        rest = self.keys[2:]
        single = len(rest) > 1 and rest[-1] in _SINGLE
        return bool(self.name) and rest[:1] in ((), ("value",)) and not single

    @property
    def of_cells(self) -> bool:
        """Whether it is made where the cells of a parameter are read."""
        return self.labels is not None or (self.relative is not None and self.of_value)

    def may_follow(self, other: Change) -> bool:
        """Whether it may change what another does."""
        return (not self.by and bool(other.by)) or other.by in self.over

    def collision(self, other: Change) -> InputError:
        """Return what is said of two of which neither may change what the other does."""
        if self.by == other.by:
            both = f"the variant {self.by!r} sets it twice" if self.by else "it is set twice"
            return InputError(f"{both}, here and by {other.path!r}; leave one out", self.where)
        message = f"the variants {self.by!r} and {other.by!r} both set {self.path!r}"
        message += f" (the other as {other.path!r})" * (self.path != other.path)
        message += f", here and at {other.where}; say what holds in a variant made of both"
        names = f"[{self.by}, {other.by}]"
        return InputError(f"{message}: {{variants: {names}, set: {{...}}}}", self.where)

    @property
    def what(self) -> tuple[Any, ...]:
        """What is the same of equal changes, wherever they are made."""
        return self.keys, self.labels, self.relative or self.value

    @property
    def path(self) -> str:
        """Its path and labels, for messages."""
        labels = "" if self.labels is None else f"[{self.labels}]"
        return ".".join(self.keys) + labels


def read_change_of(
    keys: tuple[str, ...],
    labels: str | None,
    value: Any,
    where: str,
    by: str = "",
    over: frozenset[str] = frozenset(),
) -> Change:
    """Return a change, relative where a text reads like one and a number stands at its path.

    Raises
    ------
    InputError
        If it reads like a change of a number, but not in a way that is clear.
    """
    relative = None
    if isinstance(value, str) and keys[0] in _OF_FORMULAS and _is_no_formula(value):
        message = f"{value!r} is a change of a number, and {'.'.join(keys)} holds a formula"
        raise InputError(f"{message}; write all of the new one, or change a parameter in it", where)
    if isinstance(value, str) and is_number(keys):
        try:
            relative = read_relative(value)
        except ValueError as wrong:
            raise InputError(str(wrong), where) from None
    return Change(keys, labels, value, relative, where, by, over)


def _is_no_formula(text: str) -> bool:
    """Whether a text is a change of a number: x2 may be a name."""
    try:
        return not text.strip().isidentifier() and read_relative(text) is not None
    except ValueError:
        return False


def is_number(keys: tuple[str, ...]) -> bool:
    """Whether a number stands at a path, or the numbers of a parameter."""
    section, last, rest = keys[0], keys[-1], keys[2:]
    if section == "parameters" and len(keys) > 1:
        return rest[:1] in ((), ("value",)) or last in KEYS
    return section == "grades" and last in KEYS and bool(rest)
