"""Names of flodym's as ndmc has them, and any text as YAML has it on one line."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping

from ndmc.errors import InputError

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")

_NOT_PLAIN = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


def is_name(text: str) -> bool:
    """Say whether ndmc can have a text as a name."""
    return bool(_NAME.fullmatch(text))


def fresh_name(name: str, taken: Mapping[str, str], where: str) -> str:
    """Return ndmc's name for a name of flodym's that no other has taken."""
    found = _ndmc_name(name, where)
    for other, theirs in taken.items():
        if name == other:
            raise InputError(f"{name!r} stands twice", where)
        if found == theirs:
            message = f"{other!r} and {name!r} would both become {found!r}; rename one of them"
            raise InputError(message, where)
    return found


def _ndmc_name(name: str, where: str) -> str:
    if is_name(name):
        return name
    arrowed = re.sub(r"\s*[=-]+>\s*", "_to_", name)
    letters = (c for c in unicodedata.normalize("NFKD", arrowed) if not unicodedata.combining(c))
    found = re.sub(r"[^A-Za-z0-9]+", "_", "".join(letters)).strip("_")
    if not is_name(found):
        message = f"{name!r} cannot become a name: letters, digits and _, a letter first"
        raise InputError(f"{message}; rename it in the definition", where)
    return found


def quoted(text: str) -> str:
    """Return a text as a YAML string on one line, whatever is in it."""
    dumped = json.dumps(text, ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in dumped)


def word(text: str) -> str:
    """Return a text as YAML, without quotes where it needs none."""
    return text if is_name(text) and text.lower() not in _NOT_PLAIN else quoted(text)


def listed(names: Iterable[str]) -> str:
    """Return texts as a YAML list on one line."""
    return f"[{', '.join(word(name) for name in names)}]"
