"""A document held against its schema, and its mistakes in words of the format."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from ndmc.errors import InputError, closest, nearest, together
from ndmc.scenario.document import Document, Key
from ndmc.scenario.elsewhere import called_here
from ndmc.scenario.numerals import remedy

Model = TypeVar("Model", bound=BaseModel)

# Characters of a value in a message.
_SHOWN = 60

#: Keys that hold a list of names, which have no blanks.
_OF_NAMES = ("processes", "environment", "headline")

#: What to write instead of what was found, by pydantic's type of mistake.
_WANTED = {
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "too_short": "at least {min_length} in the list",
    "too_long": "{max_length} in the list",
    "string_too_short": "a name",
    "string_too_long": "at most {max_length} characters",
    "string_pattern_mismatch": "a name: letters, digits and _, starting with a letter",
    "greater_than": "more than {gt:g}",
    "less_than": "less than {lt:g}",
    "literal_error": "{expected}",
}


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
    keyed = [(_key(document.data, mistake["loc"]), mistake) for mistake in found]
    told = sorted(_independent(keyed), key=lambda one: document.line(*one[0]))
    within = {key[0]: key for key, _ in reversed(told) if _misplaced(model, key)}
    told = [one for one in told if not one[0] or within.get(one[0][0], one[0]) == one[0]]
    raise together(_explain(document, model, *one) for one in told)


def _misplaced(model: type[BaseModel], key: Key) -> bool:
    """Say whether a section of the file stands within another."""
    return len(key) > 1 and key[0] in model.model_fields and key[1] in model.model_fields


def _key(data: Any, parts: Key) -> Key:
    """Return where a mistake stands in the file, where what is written short has fewer parts."""
    key: Key = ()
    for part in parts:
        listed = isinstance(data, list) and isinstance(part, int)
        if listed or (isinstance(data, dict) and part in data):
            key, data = (*key, part), data[part]
    return key


def _independent(keyed: list[tuple[Key, ErrorDetails]]) -> Iterator[tuple[Key, ErrorDetails]]:
    """Yield one mistake for each place: what may be one thing or another is wrong as either."""
    misspelt = {key[:-1] for key, mistake in keyed if mistake["type"] == "extra_forbidden"}
    around = {key[:end] for key, _ in keyed for end in range(len(key))}
    seen = set[Key]()
    for key, mistake in keyed:
        if mistake["type"] == "missing" and key not in misspelt:  # then a misspelt one is meant
            yield key, mistake
        elif mistake["type"] != "missing" and key not in around and key not in seen:
            seen.add(key)
            yield key, mistake


def _explain(
    document: Document, model: type[BaseModel], key: Key, mistake: ErrorDetails
) -> InputError:
    path, kind = _path(document.data, key), mistake["type"]
    section = key[1] if _misplaced(model, key) else None
    if section and kind in ("extra_forbidden", "missing", "model_type"):
        message = f"{section!r} stands within {key[0]!r}; write it at the left margin"
        return document.error(message, *key[:2])
    if kind == "missing":
        whole = ".".join(filter(None, (path, str(mistake["loc"][-1]))))
        missing = (
            f"the key {_quoted(whole)} is missing{_choices(model, (*key, mistake['loc'][-1]))}"
        )
        missing += _like_extended(document, key)
        if key[:1] in document.overrides:
            missing += f"; all of {key[0]!r} is replaced here: set single keys by their path, "
            missing += f"such as {_first_path(document.data, key[:1])}"
        return document.error(missing, *key)
    if kind == "extra_forbidden":
        return document.error(_unknown_key(model, key, path, mistake["input"]), *key)
    if kind == "value_error":
        told = str(mistake["ctx"]["error"])
        return document.error(f"{path}: {told}" if path else told, *key)
    if mistake["loc"][-1] == "[key]":
        path, found = _path(document.data, key[:-1]), f"the key {_shown(key[-1])}"
        return document.error(f"{path} has {found}; write {_wanted(model, key, mistake)}", *key)
    if kind == "literal_error":
        message = f"{path} is {_shown(mistake['input'])} but must be {_wanted(model, key, mistake)}"
        known = re.findall(r"'([^']*)'", mistake["ctx"]["expected"])
        if like := closest(str(mistake["input"]), known):
            message += f"; did you mean {like!r}?"
        return document.error(message, *key)
    found = _found(mistake["input"])
    advice = remedy(mistake["input"]) if kind in ("float_parsing", "int_parsing") else ""
    advice = _whole_parameter(document, key, mistake["input"]) or advice
    advice = advice or f"write {_wanted(model, key, mistake)}"
    return document.error(f"{path} is {found}; {advice}", *key)


def _like_extended(document: Document, key: Key) -> str:
    """Return which entry of the scenario that is extended may be meant by one that is new."""
    base = document.base.data.get(str(key[0])) if document.base and len(key) == 2 else None
    known = [*base] if isinstance(base, dict) and key[1] not in base else []
    like = closest(str(key[1]), known) if known else ""
    return f"; did you mean {like!r}, as in what this extends?" if like else ""


def _whole_parameter(document: Document, key: Key, given: Any) -> str:
    """Return how a number is written that stands where a parameter should."""
    if key[0] != "parameters" or len(key) != 2 or not isinstance(given, str | int | float):
        return ""
    if key in document.overrides:
        return f"set parameters.{key[1]}.value"
    return f"write {{unit: ..., value: {_shown(given)}}}"


def _unknown_key(model: type[BaseModel], key: Key, path: str, given: Any) -> str:
    name, known = str(key[-1]), [*_fields(model, key[:-1])]
    others = [top for top in model.model_fields if name in _fields(model, (top,))]
    hint = nearest(name, known)
    if given is None and re.fullmatch(r"[\d ]+%?", name):
        hint = "write decimals with a point, and texts with commas in quotes"
    elif re.search(r"[()=,]", name):
        hint = "put texts with commas in quotes"
    elif "." in name and "set" in known:
        hint = "write it below 'set'"
    elif elsewhere := called_here(name, known):
        hint = elsewhere
    elif others and not closest(name, known):
        hint = f"it is a key of entries of {' and '.join(others)}"
    elif hint.startswith("choose"):
        hint = f"the keys here are {', '.join(known)}"
    return f"unknown key {_quoted(path)}; {hint}"


# --- what was found, and what is wanted -----------------------------------------------------------


def _path(data: Any, key: Key) -> str:
    """Return a key in words: with dots, and list items by their number and name."""
    path = ""
    for part in key:
        data = data[part]
        named = data if isinstance(data, dict) else {}
        name = named.get("id") or named.get("quantity")
        if isinstance(part, int):
            path += f" item {part + 1}" + (f" {_shown(name)}" if name else "")
        else:
            path += f".{part}" if path else part
    return path


def _quoted(path: str) -> str:
    return path if "'" in path else f"'{path}'"


def _found(given: Any) -> str:
    if given is None:
        return "empty"
    if isinstance(given, bool):
        return str(given).lower()
    kinds = {int: ", a number", float: ", a number", list: ", a list", dict: ", which has keys"}
    return _shown(given) + next((what for one, what in kinds.items() if isinstance(given, one)), "")


def _shown(given: Any) -> str:
    text = repr(given)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def _wanted(model: type[BaseModel], key: Key, mistake: ErrorDetails) -> str:
    """Return what should stand at a key."""
    kind, given = mistake["type"], mistake["input"]
    context = mistake.get("ctx", {})
    expected = str(context.get("expected", "")).replace("'", "")
    wanted = _WANTED.get(kind, "what the format says").format(**{**context, "expected": expected})
    example = _example(model, key)
    if kind == "string_type" and isinstance(given, bool | int | float):
        wanted = f"text{example}" if example else f"text, in quotes: '{str(given).lower()}'"
    if kind == "string_type" and isinstance(given, list | dict):
        wanted = ("keys and what they hold" if " {" in example else wanted) + example
    if kind == "list_type":
        wanted = f"a list, {_as_list(key, given)}"
    if kind in ("dict_type", "model_type") or (kind == "too_short" and given == {}):
        wanted = _keys(model, key, named=kind == "dict_type")
        if example:
            wanted = f"keys and what they hold{example}"
    if kind == "less_than" and isinstance(given, int | float) and 1 < given < 100:
        wanted += f", or {given:g} %"
    return wanted if given is not None else f"{wanted}, or remove the key"


def _as_list(key: Key, given: Any) -> str:
    """Return how what stands there is written as a list."""
    if isinstance(given, dict) and any(isinstance(one, dict) for one in given.values()):
        return "whose entries begin with '- '"
    items = "a, b" if given is None else str(given)
    if isinstance(given, dict):
        items = ", ".join(map(str, given.values()))
    if key[-1] in _OF_NAMES and "," not in items:
        items = ", ".join(items.split())
    return f"such as [{items}]"


def _example(model: type[BaseModel], key: Key) -> str:
    """Return what the format gives as an example of a key, or of what it stands within."""
    for inner, how in ((key, "such as"), (key[:-1], "as in")):
        field = _field(model, inner)
        if field and field.examples:
            return f", {how} {field.examples[0]}"
    return ""


def _choices(model: type[BaseModel], key: Key) -> str:
    field = _field(model, key)
    known = get_args(field.annotation) if field and get_origin(field.annotation) is Literal else ()
    return f"; write one of {', '.join(map(str, known))}" if len(known) > 1 else ""


def _first_path(data: Any, key: Key) -> str:
    """Return the path of the first single value below a key."""
    for part in key:
        data = data[part]
    while isinstance(data, dict) and data:
        part, data = next(iter(data.items()))
        key = (*key, part)
    return ".".join(map(str, key))


def _keys(model: type[BaseModel], key: Key, *, named: bool) -> str:
    """Return an example of the keys that are due, below names if they have some."""
    fields = _fields(model, key)
    due = [name for name, needed in fields.items() if needed] or [*fields][:1]
    entry = f"{{{', '.join(f'{name}: ...' for name in due)}}}" if due else "..."
    return f"keys and what they hold, such as {f'{{name: {entry}}}' if named else entry}"


def _fields(model: type[BaseModel], key: Key) -> dict[str, bool]:
    """Return the keys allowed at ``key``, and whether each is needed."""
    entry = _entry_at(model, key)
    fields = entry.model_fields.items() if entry else ()
    return {field.alias or name: field.is_required() for name, field in fields}


def _field(model: type[BaseModel], key: Key) -> FieldInfo | None:
    """Return what the format says of a key."""
    entry = _entry_at(model, key[:-1]) if key else None
    fields = entry.model_fields.items() if entry else ()
    return next((field for name, field in fields if key[-1] in (name, field.alias)), None)


def _entry_at(model: type[BaseModel], key: Key) -> type[BaseModel] | None:
    """Return the model of what stands at ``key``, following the models down."""
    current: Any = model
    label = False  # the next part is a name or a number in a collection, no key of a model
    for part in key:
        if label or isinstance(part, int):
            label = False
            continue
        field = next((f for n, f in current.model_fields.items() if part in (n, f.alias)), None)
        current = _entry_model(field.annotation) if field else None
        if field is None or current is None:
            return None
        label = get_origin(field.annotation) in (dict, list)
    found: type[BaseModel] = current
    return found


def _entry_model(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in getattr(annotation, "__args__", ()):
        found = _entry_model(part)
        if found is not None:
            return found
    return None
