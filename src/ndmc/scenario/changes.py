"""Changes to a scenario's text: variants, and values given beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ndmc.errors import InputError, nearest
from ndmc.label import keys_of, split_labels
from ndmc.scenario.distributions import KEYS
from ndmc.scenario.document import Document, parse_document, whole
from ndmc.scenario.relative import Change, Relative, is_change, is_number, read_change_of
from ndmc.scenario.schema import ParameterEntry, ScenarioFile
from ndmc.scenario.units import UnitError, parse_amount
from ndmc.scenario.variants import changes_of, named_variants

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


def changed(document: Document, file: ScenarioFile, changes: Mapping[str, str]) -> Document:
    """Return the document with changes made to it that are given as texts, in any order.

    Raises
    ------
    InputError
        If there is no such thing to change, a text is no value, or two are of the same thing.
    """
    made = [_read_change(file, name, text) for name, text in changes.items()]
    _refuse_overlaps(made)
    for one in made:
        document = change(document, one)
    return document


def _read_change(file: ScenarioFile, name: str, text: str) -> Change:
    where = f"--set {name}={text}"
    path, labels, _ = split_labels(name)
    keys = tuple(keys_of(full_path(file, path)))
    moved = is_number(keys) and is_change(text)
    if path in file.parameters and labels is None and not moved:
        _check_has_value(file, path)
    value = text if moved else plain_value(text, where)
    return read_change_of(keys, labels, value, where)


def _refuse_overlaps(made: Sequence[Change]) -> None:
    """Refuse two changes of one key, or of one and of what is below it: which is last would count.

    Of cells this is seen where they are read.
    """
    whole = dict[tuple[str, ...], Change]()
    for one in made:
        if not one.of_cells and whole.setdefault(one.keys, one) is not one:
            raise one.collision(whole[one.keys])
    for one in whole.values():
        for end in range(1, len(one.keys)):
            if above := whole.get(one.keys[:end]):
                raise one.collision(above)


def refuse_both(
    document: Document, file: ScenarioFile, variant: str, changes: Mapping[str, str]
) -> None:
    """Refuse changes of what variants set too: which of them counts would not be seen.

    Raises
    ------
    InputError
        For the first of them.
    """
    made = changes_of(document, file, named_variants(file, variant, "--variant"))
    for path in changes:
        keys = tuple(keys_of(full_path(file, split_labels(path)[0])))
        for one in made:
            least = min(len(keys), len(one.keys))
            if keys[:least] == one.keys[:least] or (keys[:2] == one.keys[:2] and one.of_value):
                message = f"{path!r} is set by a variant, too; leave one of them out"
                raise InputError(message, one.where)


def plain_value(text: str, where: str) -> Any:
    try:
        return parse_document(f"value: {text}", Path("--set")).data["value"]
    except InputError as wrong:
        raise InputError(f"cannot read the value {text!r}: {wrong.message}", where) from None


def full_path(file: ScenarioFile, path: str) -> str:
    """Return the dotted path; the name of a parameter means its value."""
    first = path.partition(".")[0]
    if path in file.parameters:
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
        message += f", but those in {', '.join(entry.tables)}"
        remedy += f", or change all or some of them, such as {name}=x1.2 or '{name}[...]=5'"
    raise InputError(f"{message}; {remedy}", f"--set {name}")


def varied(document: Document, file: ScenarioFile, names: Sequence[str]) -> Document:
    """Return the document with the changes of variants."""
    for made in changes_of(document, file, names):
        document = change(document, made)
    return document


def change(document: Document, made: Change) -> Document:
    """Return the document with a change; the parents of what it sets must exist."""
    if made.keys == ("extends",):
        message = "what a scenario extends is part of its file; write another that extends it"
        raise InputError(message, made.where)
    if made.labels is not None or made.of_cells:
        _check_parameter(document, made)
    if not made.of_cells:
        value = made.value if made.relative is None else _moved(document, made)
        document = _replaced(document, [*made.keys], value, made.where)
    if made.of_value:  # what was said of its cells before does not hold of another value
        document = replace(document, cells=(*document.cells, made))
    return document


def _check_parameter(document: Document, made: Change) -> None:
    """Refuse labels of anything but the value of a parameter that there is."""
    known = document.data.get("parameters", {})
    if made.name and made.name not in known:
        raise InputError(f"no parameter {made.name!r}; {nearest(made.name, known)}", made.where)
    if not made.of_value:
        message = f"only values of parameters are set by their labels, not {made.path!r}"
        raise InputError(f"{message}; write parameters.NAME[dim=label]", made.where)


def _moved(document: Document, made: Change) -> Any:
    """Return a number of the file with a relative change made to it."""
    found: Any = document.data
    for key in made.keys:
        found = found.get(key) if isinstance(found, dict) else None
    change, path = made.relative or Relative(), ".".join(made.keys)
    if found is None:
        message = f"{path!r} is not there to be changed; write the new number itself"
        raise InputError(message, made.where)
    try:
        number, unit = parse_amount(found)
    except UnitError as wrong:
        raise InputError(f"{path!r} cannot be changed: {wrong}", made.where) from None
    if change.unit not in ("", unit):
        message = f"{made.value!r} is in another unit than {path!r}, which is {found}"
        raise InputError(f"{message}; write it in the same", made.where)
    number = number * change.factor + change.shift
    return f"{number!r} {unit}" if unit else number


def _replaced(document: Document, keys: Sequence[str], value: Any, where: str) -> Document:
    """Return the document with the entry at a path replaced; its parents must exist."""
    data = dict(document.data)
    inner = data
    for depth, key in enumerate(keys[:-1]):
        if not isinstance(inner.get(key), dict):
            raise InputError(_not_there(document, inner, keys, depth), where)
        inner[key] = dict(inner[key])
        inner = inner[key]
    inner[keys[-1]] = value
    overrides = {**document.overrides, tuple(keys): where}
    return replace(document, data=data, overrides=overrides)


def _not_there(
    document: Document, inner: Mapping[str, Any], keys: Sequence[str], depth: int
) -> str:
    """Return what is wrong with a path of which a part does not lead on."""
    key, rest, path = keys[depth], ".".join(keys[depth:]), ".".join(keys[: depth + 1])
    known = [name for name in inner if isinstance(inner[name], dict)]
    if key in inner:
        return f"{path} is {inner[key]!r}, one value for all; set it as a whole"
    if not known:
        return f"there is no {rest!r}; {nearest(rest, inner)} (in quotes, if it has dots)"
    in_full = "" if depth else _in_full(document.data, ".".join(keys))
    return in_full or f"nothing to set at {path!r}; {nearest(key, known)}"
