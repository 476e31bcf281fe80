"""A document held against its schema, and its mistakes in words."""

from __future__ import annotations

import re
from typing import Any, TypeVar, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ndmc.errors import InputError, nearest, together
from ndmc.scenario.document import Document

Model = TypeVar("Model", bound=BaseModel)


def validate_document(document: Document, model: type[Model]) -> Model:
    """Return the document as ``model``.

    Raises
    ------
    InputError
        For every mistake, with file and line.
    """
    try:
        return model.model_validate(document.data)
    except ValidationError as wrong:
        found = wrong.errors(include_url=False)
    # A misspelt key is also a missing one: the spelling is what to mend.
    misspelt = {one["loc"][:-1] for one in found if one["type"] == "extra_forbidden"}
    told = [m for m in found if m["type"] != "missing" or m["loc"][:-1] not in misspelt]
    told.sort(key=lambda mistake: document.line(*_key(mistake)))
    raise together(_explain(document, model, one) for one in told)


def _explain(document: Document, model: type[BaseModel], first: ErrorDetails) -> InputError:
    key = _key(first)
    path = ".".join(str(part) for part in key)
    match first["type"]:
        case "extra_forbidden":
            message = f"unknown key {path!r}; {nearest(str(key[-1]), _fields(model, key[:-1]))}"
            if re.search(r"[()=,]", str(key[-1])):
                message = f"unknown key {path!r}; put texts with commas in quotes"
        case "missing":
            message = f"the key {path!r} is missing"
        case "literal_error":
            expected = first["ctx"]["expected"].replace("'", "")
            message = f"{path} is {first['input']!r} but must be {expected}"
        case "string_pattern_mismatch":
            message = f"{path!r} must be a name: letters, digits and _, starting with a letter"
        case "value_error":
            message = f"{path}: {first['ctx']['error']}"
        case _:
            found = repr(first["input"])
            found = found if len(found) < 80 else found[:77] + "..."
            message = f"{path}: {first['msg'][0].lower()}{first['msg'][1:]}, found {found}"
    return document.error(message, *key)


def _key(mistake: ErrorDetails) -> tuple[int | str, ...]:
    return tuple(part for part in mistake["loc"] if part != "[key]")


def _fields(model: type[BaseModel], key: tuple[int | str, ...]) -> list[str]:
    """Return the keys allowed at ``key``, following the models down."""
    current: Any = model
    label = False  # the next part is a name or a number in a collection, no key of a model
    for part in key:
        if label:
            label = False
            continue
        field = current.model_fields.get(part)
        current = _entry_model(field.annotation) if field else None
        if current is None:
            return []
        label = get_origin(field.annotation) in (dict, list)
    return [field.alias or name for name, field in current.model_fields.items()]


def _entry_model(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in getattr(annotation, "__args__", ()):
        found = _entry_model(part)
        if found is not None:
            return found
    return None
