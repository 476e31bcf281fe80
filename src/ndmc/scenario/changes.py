"""Changes to a scenario's text: variants, and values given beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ndmc.errors import InputError, nearest
from ndmc.label import keys_of
from ndmc.scenario.distributions import KEYS, WITHOUT_UNIT
from ndmc.scenario.document import Document, parse_document, whole
from ndmc.scenario.schema import ParameterEntry, ScenarioFile

#: What reads like a change of the number there is: a sign or a factor before one or behind it, and
#: a share less; a negative value is written as a number.
_RELATIVE = re.compile(
    r"\s*([+*/x\u00d7]\s*[\d.]|[-+*/]=|-[^a-z]*%\s*$|[\d.]+\s*([x\u00d7]\s*$|[*x\u00d7]\s*[\d.]))"
)

#: Where a name may stand that is given without its path.
_SECTIONS = ("parameters", "flows", "stocks", "indicators", "grades", "dims")


def as_texts(changes: Mapping[str, Any] | None) -> dict[str, str]:
    """Return changes as the command line gives them: numbers, lists and mappings as YAML.

    Raises
    ------
    InputError
        If one is none of these.

    Examples
    --------
    >>> as_texts({"collection": 0.5, "dims.product.labels": ["phone", "car"]})
    {'collection': '0.5', 'dims.product.labels': '["phone", "car"]'}
    """
    known = isinstance(changes, Mapping | None)
    if not known or not all(isinstance(path, str) for path in changes or ()):
        message = (
            f"they are a dict by name or path, such as {{'collection': 50}}; found {changes!r}"
        )
        raise InputError(message, "changes")
    return {whole(path): _as_text(path, value) for path, value in (changes or {}).items()}


def _as_text(path: str, value: Any) -> str:
    if isinstance(value, str):
        return whole(value)
    try:
        return json.dumps(value, default=lambda array: array.tolist())  # of NumPy
    except (AttributeError, TypeError, ValueError):
        message = f"{value!r} is no value; give a number, a text, a list or a dict"
        raise InputError(message, f"changes[{path!r}]") from None


def changed(document: Document, file: ScenarioFile, name: str, text: str) -> Document:
    """Return the document with a change made to it that is given as text.

    Raises
    ------
    InputError
        If there is no such thing to change, or the text is no value.
    """
    where, path = f"--set {name}={text}", full_path(file, name)
    _refuse_relative(document, path, text, where)
    return change(document, path, plain_value(text, where), where)


def plain_value(text: str, where: str) -> Any:
    try:
        return parse_document(f"value: {text}", Path("--set")).data["value"]
    except InputError as wrong:
        raise InputError(f"cannot read the value {text!r}: {wrong.message}", where) from None


def full_path(file: ScenarioFile, path: str) -> str:
    """Return the dotted path; the name of a parameter means its value."""
    first = path.partition(".")[0]
    if path in file.parameters:
        _check_has_value(file, path)
        return f"parameters.{path}.value"
    if first in type(file).model_fields:
        return path
    known = [*file.parameters, *type(file).model_fields]
    hint = nearest(path, known)
    message = (
        f"no parameter {path!r}; {hint if '?' in hint else nearest(path, file.parameters)} "
        "(other keys are written in full, such as stocks.in_use.inflow_at=end)"
    )
    if found := _in_full({section: getattr(file, section) for section in _SECTIONS}, path):
        message = f"{found}="
    if path in file.variants:
        message = f"{path!r} is a variant; choose it by --variant {path}"
    raise InputError(message, f"--set {path}")


def _in_full(sections: Mapping[str, Any], path: str) -> str:
    """Return how a path is written in full that begins with a name; empty if it does not."""
    first, _, rest = path.partition(".")
    section = next((one for one in _SECTIONS if first in (sections.get(one) or {})), "")
    if section == "parameters" and rest and rest.split(".")[0] not in ParameterEntry.model_fields:
        rest = f"value.{rest}"  # a label
    rest = rest or ("value" if section in ("parameters", "flows", "indicators") else "KEY")
    return section and f"{first!r} is one of the {section}; write {section}.{first}.{rest}"


def _check_has_value(file: ScenarioFile, name: str) -> None:
    entry = file.parameters[name]
    if entry.value is not None:
        return
    message = f"parameter {name!r} has no single value to set"
    given = next((key for key in KEYS if getattr(entry, key, None) is not None), "grade")
    remedy = f"change a key of it, such as parameters.{name}.{given}"
    if entry.table:
        message += f", but those in {entry.table}"
        remedy += f", or scale it where it is used, such as flows.NAME.value='1.2 * {name}'"
    raise InputError(f"{message}; {remedy}", f"--set {name}")


def _refuse_relative(document: Document, path: str, value: Any, where: str) -> None:
    """Refuse a text that reads like a change of the number that stands there."""
    section, *keys = keys_of(path)
    if section != "parameters" or len(keys) < 2 or keys[1] not in KEYS:
        return
    if not isinstance(value, str) or not _RELATIVE.match(value):
        return
    found: list[Any] = [document.data]
    for key in (section, *keys):
        found.append(found[-1].get(key) if isinstance(found[-1], dict) else None)
    unit = found[2].get("unit") if isinstance(found[2], dict) else None
    now = f", which is {found[-1]}" if isinstance(found[-1], int | float | str) else ""
    how = f" in its unit ({unit})" if unit and keys[1] not in WITHOUT_UNIT else ""
    message = f"{value!r} reads like a change of the {keys[1]}{now}; write the new one itself"
    raise InputError(f"{message}, as a plain number{how}", where)


def varied(document: Document, file: ScenarioFile, variant: str) -> Document:
    """Return the document with the changes of a variant."""
    for path, value in file.variants[variant].changes.items():
        where = document.where("variants", variant, "set", path)
        _refuse_relative(document, path, value, where)
        document = change(document, path, value, where)
    return document


def change(document: Document, path: str, value: Any, where: str) -> Document:
    """Return the document with the entry at a dotted path replaced; its parents must exist."""
    keys = keys_of(path)
    data = dict(document.data)
    inner = data
    for depth, key in enumerate(keys[:-1]):
        if not isinstance(inner.get(key), dict):
            known = [name for name in inner if isinstance(inner[name], dict)]
            message = f"nothing to set at {'.'.join(keys[: depth + 1])!r}; {nearest(key, known)}"
            message = ("" if depth else _in_full(document.data, path)) or message
            if key in inner:
                found = f"{'.'.join(keys[: depth + 1])} is {inner[key]!r}, one value for all"
                message = f"{found}; set it as a whole"
            elif not known:
                rest = ".".join(keys[depth:])
                message = (
                    f"there is no {rest!r}; {nearest(rest, inner)} (in quotes, if it has dots)"
                )
            raise InputError(message, where)
        inner[key] = dict(inner[key])
        inner = inner[key]
    inner[keys[-1]] = value
    overrides = {**document.overrides, tuple(keys): where}
    return replace(document, data=data, overrides=overrides)
