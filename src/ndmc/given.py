"""Values as Python gives them: each is taken as what it has to be, or refused by name."""

from __future__ import annotations

import operator
import os
import reprlib
from collections.abc import Iterable
from typing import Any

from ndmc.errors import InputError

__all__ = [
    "as_count",
    "as_flag",
    "as_names",
    "as_path",
    "as_precision",
    "as_shares",
    "as_text",
    "as_variant",
    "names_in",
    "wrong",
]


def wrong(name: str, value: Any, wanted: str) -> InputError:
    """Return what is said of a value of another kind."""
    return InputError(f"{name} is {reprlib.repr(value)} but must be {wanted}")


def as_count(value: Any, name: str) -> int:
    """Return a whole number, of NumPy's too; true and false are none.

    Raises
    ------
    InputError
        For anything else.

    Examples
    --------
    >>> as_count("10", "draws")
    Traceback (most recent call last):
    ndmc.errors.InputError: draws is '10' but must be a whole number (an int)
    """
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise wrong(name, value, "a whole number (an int)") from None


def as_flag(value: Any, name: str) -> bool:
    """Return what is true or false."""
    if not isinstance(value, bool):
        raise wrong(name, value, "True or False")
    return value


def as_text(value: Any, name: str) -> str:
    """Return a text."""
    if not isinstance(value, str):
        raise wrong(name, value, "a text")
    return value


def as_names(value: Any, name: str) -> tuple[str, ...]:
    """Return names, of which one may stand alone.

    Examples
    --------
    >>> as_names("in_use", "keep"), as_names(["in_use", "sales"], "keep")
    (('in_use',), ('in_use', 'sales'))
    """
    found = [value] if isinstance(value, str) else value
    if isinstance(found, Iterable):
        found = tuple(found)
        if all(isinstance(one, str) for one in found):
            return found
    raise wrong(name, value, "a text, or a list of texts")


def as_variant(value: Any, name: str) -> str:
    """Return variants, given as a text or as a list of them, as one text; none are empty.

    Examples
    --------
    >>> as_variant(["long_lives", "less_waste"], "variant"), as_variant(None, "variant")
    ('long_lives,less_waste', '')
    """
    return ",".join(() if value is None else as_names(value, name))


def names_in(text: str) -> list[str]:
    """Return the names of a text with commas between them.

    Examples
    --------
    >>> names_in("in_use, sales")
    ['in_use', 'sales']
    """
    return [name.strip() for name in text.split(",") if name.strip()]


def as_path(value: Any, name: str) -> str:
    """Return a path or URL as text."""
    try:
        return as_text(os.fspath(value), name)
    except (TypeError, InputError):
        raise wrong(name, value, "a text or a pathlib.Path") from None


def as_shares(value: Any, name: str) -> tuple[float, ...]:
    """Return shares from 0 to 1, of which one may stand alone.

    Examples
    --------
    >>> as_shares(0.5, "quantiles")
    (0.5,)
    """
    try:
        if isinstance(value, str | bytes):
            raise TypeError
        found = tuple(map(float, value if isinstance(value, Iterable) else [value]))
    except (TypeError, ValueError):
        raise wrong(name, value, "shares from 0 to 1, such as [0.025, 0.5, 0.975]") from None
    if not found:
        raise InputError(f"no {name} are asked for; at least one is needed")
    for share in found:
        if not 0 <= share <= 1:
            raise InputError(f"quantile {share:g} is not between 0 and 1")
    return found


def as_precision(value: Any, name: str) -> str:
    """Return the name of a precision, which may be given as NumPy's type."""
    found = getattr(value, "__name__", f"{value}")
    if found not in ("float32", "float64"):
        raise InputError(f"dtype is {reprlib.repr(value)}; choose float32 or float64", f"--{name}")
    return found
