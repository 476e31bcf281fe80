"""A scenario on another: its file laid over that of a bundled one, or of one beside its own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ndmc.errors import closest, nearest
from ndmc.scenario.document import Document, Entries, parse_document, read_document
from ndmc.scenario.places import FILE, bundled, find

__all__ = ["document_of", "read_extended"]

_BESIDE = re.compile(r"\.\./([^/\\]+)/?")


def read_extended(path: Path) -> Document:
    """Return the scenario file at ``path``, laid over those that it extends.

    Raises
    ------
    InputError
        As `read_document`, for scenarios in a circle, and for one that lies elsewhere.
    """
    found = [read_document(path)]
    while "extends" in found[-1].data:
        base = base_of(found[-1])
        before = [one.path.resolve() for one in found]
        if base.resolve() in before:
            names = [one.path.parent.resolve().name for one in found]
            circle = " -> ".join([*names, base.parent.name])
            raise found[-1].error(f"scenarios in a circle: {circle}", "extends")
        found.append(read_document(base))
    return _laid(found)


def document_of(texts: Iterable[str], path: Path) -> Document:
    r"""Return the same from its text and those it extends, the nearest first; see `read_extended`.

    Examples
    --------
    >>> document_of(["name: b\nextends: a", "name: a\nunit: t"], Path("scenario.yaml")).data
    {'unit': 't', 'name': 'b', 'extends': 'a'}
    """
    return _laid([parse_document(text, path) for text in texts])


def reread(document: Document) -> Document:
    """Return a document as its texts have it, without changes."""
    return _laid([parse_document(one.text, one.path) for one in document.layers])


def base_of(document: Document) -> Path:
    """Return the file of the scenario that another extends.

    Raises
    ------
    InputError
        If it is neither bundled nor in a folder beside, or leads there through a link.
    """
    name, key = document.data["extends"], "extends"
    if isinstance(name, str) and name in bundled():
        return find(name)
    beside = _BESIDE.fullmatch(name) if isinstance(name, str) else None
    if not beside or beside[1] in (".", ".."):
        raise document.error(f"{name!r} is no scenario to extend; {_remedy(document, name)}", key)
    try:
        around = document.path.parent.resolve().parent
        base = around / beside[1] / FILE
        inside = base.resolve().parent.parent == around and base.resolve().name == FILE
        present = base.is_file()
    except (OSError, RuntimeError, ValueError):
        raise document.error(f"{name!r} cannot name a folder", key) from None
    if not present:
        others = [f"../{one.parent.name}" for one in around.glob(f"*/{FILE}")]
        raise document.error(f"there is no scenario at {name!r}; {nearest(name, others)}", key)
    if not inside:
        message = f"{name!r} is a link that leads elsewhere; it must lie beside this folder"
        raise document.error(message, key)
    return base


def _remedy(document: Document, name: Any) -> str:
    around = document.path.parent.resolve().parent
    known = {one: one for one in bundled()}
    known |= {(one := found.parent.name): f"../{one}" for found in around.glob(f"*/{FILE}")}
    bare = f"{name}".replace("\\", "/").removesuffix(f"/{FILE}").strip("./")
    if isinstance(name, str) and (close := closest(bare, [*known])):
        return f"did you mean {known[close]!r}?"
    choices = f"{', '.join(bundled())}, or a folder beside this one: ../NAME"
    return f"write a bundled name, {choices}"


def _laid(layers: Iterable[Document]) -> Document:
    """Return documents as one, each over the next, of which it takes over all but the name."""
    *above, found = layers
    for one in reversed(above):
        below = {key: value for key, value in found.data.items() if key not in ("name", "extends")}
        texts = getattr(found.data, "texts", {})
        found = replace(one, data=_merged(below, texts, one.data), base=found)
    return found


def _merged(below: Mapping[str, Any], texts: Mapping[str, Any], own: Mapping[str, Any]) -> Entries:
    """Return a mapping laid over another: mappings are merged, all else is replaced, ~ removes."""
    found, own_texts = Entries(), getattr(own, "texts", {})
    for name in {**below, **own}:
        value = own[name] if name in own else below[name]
        if value is None and name in own and name in below:
            continue
        if isinstance(value, dict) and isinstance(below.get(name), dict) and name in own:
            value = _merged(below[name], getattr(below[name], "texts", {}), value)
        found[name] = value
        found.texts[name] = (own_texts if name in own else texts).get(name)
    return found
