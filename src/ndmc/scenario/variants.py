"""Variants that are composed: which a text names, what they are made of, and what each changes."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from graphlib import CycleError, TopologicalSorter

from ndmc.errors import InputError, nearest
from ndmc.given import names_in
from ndmc.label import keys_of, split_labels
from ndmc.scenario.document import Document
from ndmc.scenario.relative import Change, read_change_of
from ndmc.scenario.schema import ScenarioFile


def named_variants(file: ScenarioFile, text: str, where: str) -> tuple[str, ...]:
    """Return the variants that a text names, in the order of the file: any order is the same.

    Raises
    ------
    InputError
        For one that there is not, and one that is named twice.
    """
    names = [text] if text in file.variants else names_in(text)
    for name in names:
        if name not in file.variants:
            parts = re.split(r"[\s+;&|]+", name)
            several = len(parts) > 1 and {*parts} <= {*file.variants}
            hint = f"write {','.join(parts)}" if several else nearest(name, file.variants)
            message = f"{file.name} has no variant {name!r}; {hint}"
            raise InputError(message, where)
        if names.count(name) > 1:
            raise InputError(f"the variant {name!r} is named twice; leave one out", where)
    return tuple(name for name in file.variants if name in names)


def changes_of(document: Document, file: ScenarioFile, names: Sequence[str]) -> list[Change]:
    """Return what variants change, and before it what those change that they are made of.

    Raises
    ------
    InputError
        For variants in a circle, and for two that set the same thing otherwise.
    """
    within = dict[str, frozenset[str]]()
    found = list[Change]()
    for name in _in_order(document, file, names):
        parts = file.variants[name].variants
        within[name] = frozenset(parts).union(*(within[part] for part in parts))
        found += _own(document, file, name, within[name])
    for one, other in itertools.combinations(found, 2):
        if _collide(one, other) and not any(_settles(each, one, other) for each in found):
            raise one.collision(other)
    return found


def _in_order(document: Document, file: ScenarioFile, names: Sequence[str]) -> list[str]:
    """Return variants and all that they are made of, parts first."""
    parts = dict[str, list[str]]()
    waiting = [*names]
    while waiting:
        name = waiting.pop()
        if name not in parts:
            parts[name] = _parts(document, file, name)
            waiting += parts[name]
    in_file = {name: parts[name] for name in file.variants if name in parts}
    try:
        return [*TopologicalSorter(in_file).static_order()]
    except CycleError as wrong:
        circle = wrong.args[1][::-1]
        message = f"variants in a circle: {' -> '.join(circle)}; leave one of them out"
        raise document.error(message, "variants", circle[0], "variants") from None


def _parts(document: Document, file: ScenarioFile, name: str) -> list[str]:
    found = file.variants[name].variants
    for part in found:
        if part not in file.variants:
            others = [other for other in file.variants if other != name]
            message = f"no variant {part!r}; {nearest(part, others)}"
            raise document.error(message, "variants", name, "variants")
    return found


def _own(
    document: Document, file: ScenarioFile, name: str, over: frozenset[str]
) -> Iterator[Change]:
    texts = getattr(document.data["variants"][name].get("set"), "texts", {})
    for path, value in file.variants[name].changes.items():
        where, text = document.where("variants", name, "set", path), texts.get(path) or ""
        plus = isinstance(value, int | float) and text.startswith("+")  # which YAML drops
        path, labels, _ = split_labels(path)
        keys = tuple(keys_of(path))
        yield read_change_of(keys, labels, text if plus else value, where, name, over)


def _collide(one: Change, other: Change) -> bool:
    """Whether two variants set a key, of which neither is made of the other, or what is below it.

    Of cells this is seen where they are read.
    """
    apart = one.may_follow(other) or other.may_follow(one) or one.by == other.by
    if apart or one.of_cells or other.of_cells:
        return False
    least = min(len(one.keys), len(other.keys))
    same = one.keys == other.keys and one.value == other.value and one.relative is None
    return one.keys[:least] == other.keys[:least] and not same


def _settles(last: Change, one: Change, other: Change) -> bool:
    """Whether a variant that is made of two others says itself what holds."""
    above = (each.keys[: len(last.keys)] == last.keys for each in (one, other))
    absolute = last.relative is None and last.labels is None
    return absolute and last.may_follow(one) and last.may_follow(other) and all(above)
