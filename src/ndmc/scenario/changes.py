"""Changes to a scenario's text: variants, and values given beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from ndmc.errors import InputError, nearest
from ndmc.scenario.document import Document, parse_document
from ndmc.scenario.schema import ScenarioFile


def plain_value(text: str, where: str) -> Any:
    try:
        return parse_document(f"value: {text}", Path("--set")).data["value"]
    except InputError as wrong:
        raise InputError(f"cannot read the value {text!r}: {wrong.message}", where) from None


def full_path(file: ScenarioFile, path: str) -> str:
    """Return the dotted path; a bare name means the value of that parameter."""
    if "." in path:
        return path
    if path not in file.parameters:
        raise InputError(
            f"no parameter {path!r}; {nearest(path, file.parameters)} "
            "(other keys are written in full, such as stocks.in_use.inflow_at=end)",
            f"--set {path}",
        )
    if file.parameters[path].value is None:
        raise InputError(
            f"parameter {path!r} has no single value to set; "
            f"change a key of it, such as parameters.{path}.grade",
            f"--set {path}",
        )
    return f"parameters.{path}.value"


def varied(document: Document, file: ScenarioFile, variant: str) -> Document:
    """Return the document with the changes of a variant."""
    for path, value in file.variants[variant].changes.items():
        where = document.where("variants", variant, "set", path)
        document = change(document, path, value, where)
    return document


def change(document: Document, path: str, value: Any, where: str) -> Document:
    """Return the document with the entry at a dotted path replaced; its parents must exist."""
    keys = path.split(".")
    data = dict(document.data)
    inner = data
    for depth, key in enumerate(keys[:-1]):
        if not isinstance(inner.get(key), dict):
            known = [name for name in inner if isinstance(inner[name], dict)]
            message = f"nothing to set at {'.'.join(keys[: depth + 1])!r}; {nearest(key, known)}"
            raise InputError(message, where)
        inner[key] = dict(inner[key])
        inner = inner[key]
    inner[keys[-1]] = value
    overrides = {**document.overrides, tuple(keys): where}
    return replace(document, data=data, overrides=overrides)
