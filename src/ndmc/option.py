"""An option of a run, declared once: what is said of it, and how its text is read."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass
from numbers import Real
from pathlib import Path
from typing import Any

from ndmc.errors import InputError, RunError, warn
from ndmc.given import as_count, names_in, wrong
from ndmc.label import read_change

__all__ = [
    "PERCENTS",
    "as_limits",
    "as_part",
    "as_size",
    "check_writable",
    "in_letters",
    "is_option",
    "option",
    "option_of",
    "read_changes",
    "read_count",
    "read_limits",
    "read_names",
    "read_part",
    "read_percents",
    "read_size",
]

#: The percentiles that are computed and shown if nothing else is said.
PERCENTS = "2.5,50,97.5"


@dataclass(frozen=True)
class Option:
    """What is known of an option besides the name, the type and the default of its field.

    Attributes
    ----------
    help
        What the command line says of it; an option without is one of Python alone.
    python
        What Python says of it, where that is something else.
    flags
        Its names on the command line, ``--name`` if there are none; one without dashes is an
        argument.
    text
        What the command line has if nothing is given, where it has texts to be read.
    read
        Reads such a text, or list of texts, with the flag to name in messages.
    shared
        Whether all parts of a run have to agree on it.
    after
        The option that it is listed after; the one declared before it if none.
    take
        Returns what Python gives as a run needs it, with the name of the option for messages.
    """

    help: str = ""
    python: str = ""
    flags: tuple[str, ...] = ()
    text: str | list[str] | None = None
    read: Callable[[Any, str], Any] | None = None
    shared: bool = True
    after: str = ""
    take: Callable[[Any, str], Any] | None = None


def option(help: str = "", **more: Any) -> Mapping[str, Option]:  # noqa: A002 - as typer has it
    """Return the metadata of a field that is an option: see `Option`.

    Examples
    --------
    >>> from dataclasses import dataclass, field, fields
    >>> @dataclass
    ... class Options:
    ...     part: str = field(default="", metadata=option("Compute part i of N: i/N."))
    >>> option_of(fields(Options)[0]).help
    'Compute part i of N: i/N.'
    """
    return {"option": Option(help, **more)}


def is_option(field: Field[Any]) -> bool:
    """Whether a field says something of itself as an option."""
    return "option" in field.metadata


def option_of(field: Field[Any]) -> Option:
    """Return what a field says of itself as an option."""
    found: Option = field.metadata["option"]
    return found


# --- texts ----------------------------------------------------------------------------------------


def read_count(text: str, flag: str) -> int:
    """Read a whole number, written as 100000, 100_000 or 1e5."""
    plain = text.replace("_", "")
    try:
        value = float(plain)
        if value != int(value):
            raise ValueError
        return int(plain) if plain.isdigit() else int(value)
    except (ValueError, OverflowError):
        message = f"{text!r} is not a whole number; write it like 100000 or 1e5"
        raise InputError(message, flag) from None


def read_names(text: str, flag: str = "") -> list[str]:
    """Read names with commas between them; there is nothing that could be wrong with them."""
    return names_in(text)


def read_percents(text: str, flag: str) -> tuple[float, ...]:
    """Read percents with commas between them as shares.

    Examples
    --------
    >>> read_percents("2.5,50,99.9", "-q")
    (0.025, 0.5, 0.999)
    """
    found = tuple(_read_percent(one, flag) for one in text.split(","))
    if len(found) > 1 and max(found) <= 0.01:
        meant = ",".join(f"{share * 1e4:.12g}" for share in found)
        warn(f"{text} are read as percents; if they are shares, write {meant}", flag)
    return found


def _read_percent(text: str, flag: str) -> float:
    from decimal import Decimal, InvalidOperation

    try:
        value = Decimal(text.strip())
    except InvalidOperation:
        message = f"{text!r} is not a number; write percents such as {PERCENTS}"
        raise InputError(message, flag) from None
    if value.is_nan() or not 0 <= value <= 100:
        raise InputError(f"{text} % is not between 0 and 100 %", flag)
    return float(value / 100)  # 99.9 / 100 would not be 0.999


def read_limits(texts: Sequence[str], flag: str) -> list[tuple[str, str]]:
    """Read limits such as ``in_use > 100 kt``."""
    found = []
    for text in texts:
        name, above, limit = text.partition(">")
        if above and limit.startswith("="):
            raise InputError(f"{text!r} has '>='; write '>', which is the same for draws", flag)
        if not above or not name.strip() or not limit.strip():
            message = f"{text!r} is not of the form 'name > limit'"
            raise InputError(f"{message}, such as 'in_use > 100 kt'", flag)
        found.append((name.strip(), limit.strip()))
    return found


def in_letters(text: str) -> str:
    """Return a text with the letters that a locale without them has left as bytes of UTF-8.

    Not for paths, which such a locale knows by these bytes only.

    Examples
    --------
    >>> in_letters("region=Wien")
    'region=Wien'
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return os.fsencode(text).decode(errors="surrogateescape")
    return text


def read_changes(texts: Sequence[str], flag: str = "--set") -> dict[str, str]:
    """Read changes such as ``collection=50``."""
    changes = {}
    for text in texts:
        name, value = read_change(in_letters(text))
        if not name:
            raise InputError(f"{text!r} is not of the form name=value", flag)
        if name in changes:
            raise InputError(f"{name!r} is set twice; leave one out", flag)
        changes[name] = value
    return changes


def read_part(text: str, flag: str) -> tuple[int, int]:
    """Read a part such as ``3/16``."""
    try:
        part, parts = text.split("/")
        return int(part), int(parts)
    except ValueError:
        raise InputError(f"{text!r} is not a part; write it like 3/16", flag) from None


_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kMGT]i?)?B?\s*")

_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}

_UNITS |= {"ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def read_size(text: str, flag: str) -> int:
    """Read a number of bytes with a unit.

    Examples
    --------
    >>> read_size("1.5 GiB", "--memory")
    1610612736
    """
    found = _SIZE.fullmatch(text)
    if not found:
        raise InputError(f"{text!r} is not a size; write it like 500MB or 2GiB", flag)
    return int(float(found[1]) * _UNITS[found[2] or ""])


# --- files ----------------------------------------------------------------------------------------


def check_writable(path: Path, flag: str, *endings: str) -> None:
    """Refuse a file that says by its name that it holds something else, or that has no folder.

    A pipe or a device says nothing, which leaves no doubt where there is one ending.

    Raises
    ------
    InputError
        If it has none of the endings.
    RunError
        If its folder is not there.

    Examples
    --------
    >>> check_writable(Path("table.xlsx"), "--csv", ".csv")
    Traceback (most recent call last):
        ...
    ndmc.errors.InputError: --csv: cannot write 'table.xlsx'; its name must end in .csv
    """
    if path.suffix.lower() in endings:
        _check_folder(path)
        return
    if len(endings) == 1 and path.exists() and not (path.is_file() or path.is_dir()):
        return
    known = " or ".join(filter(None, [", ".join(endings[:-1]), endings[-1]]))
    raise InputError(f"cannot write {str(path)!r}; its name must end in {known}", flag)


def _check_folder(path: Path) -> None:
    if not path.parent.is_dir():
        gone = f"the folder {str(path.parent)!r} must exist"
        raise RunError(f"cannot write {str(path)!r}: {os.strerror(errno.ENOENT)}; {gone}")


# --- values ---------------------------------------------------------------------------------------


def as_size(value: Any, name: str) -> int:
    """Return a number of bytes, given as such or as text.

    Examples
    --------
    >>> as_size("2GiB", "memory") == as_size(2**31, "memory")
    True
    """
    return read_size(value, name) if isinstance(value, str) else as_count(value, name)


def as_part(value: Any, name: str) -> tuple[int, int]:
    """Return a part, given as two numbers or as text.

    Examples
    --------
    >>> as_part("3/16", "part") == as_part((3, 16), "part")
    True
    """
    if isinstance(value, str):
        return read_part(value, name)
    try:
        part, parts = value
    except (TypeError, ValueError):
        raise wrong(name, value, "a part such as (3, 16) or '3/16'") from None
    return as_count(part, name), as_count(parts, name)


def as_limits(value: Any, name: str) -> list[tuple[str, Any]]:
    """Return limits, each a text or an output and what it is compared with; one may stand alone.

    Examples
    --------
    >>> as_limits(["in_use > 100 kt", ("sales", 5)], "exceed")
    [('in_use', '100 kt'), ('sales', 5)]
    """
    alone = isinstance(value, str) or _is_limit(value)
    given: Sequence[Any] = [value] if alone or not isinstance(value, Sequence) else value
    found: list[tuple[str, Any]] = []
    for one in given:
        if isinstance(one, str):
            found += read_limits([one], name)
        elif _is_limit(one):
            found.append((one[0], one[1]))
        else:
            raise wrong(name, value, "limits such as 'in_use > 100 kt' or ('in_use', 100)")
    return found


def _is_limit(value: Any) -> bool:
    """Whether a value is an output and a number or text; two texts with a sign are two limits."""
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:
        return False
    name, limit = value
    numbers = isinstance(limit, str | Real) and not isinstance(limit, bool)
    return isinstance(name, str) and ">" not in name and numbers
