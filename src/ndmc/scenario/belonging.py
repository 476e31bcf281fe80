"""Labels that belong to those of another dim: how they are written, and to which each belongs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from ndmc.errors import nearest
from ndmc.scenario.document import Document
from ndmc.scenario.schema import DimEntry

#: The positions of parents, by dim.
Belonging = Mapping[str, tuple[int, ...]]


def read_labels(
    document: Document,
    name: str,
    entry: DimEntry,
    labels: Mapping[str, tuple[str, ...]],
    belongs: Mapping[str, Belonging],
) -> tuple[tuple[str, ...], Belonging]:
    """Return the labels of a dim, and of each dim it belongs to where their parents stand.

    Parameters
    ----------
    document
        The file.
    name, entry
        The dim.
    labels, belongs
        Of the dims before it.

    Raises
    ------
    InputError
        With file and line, for labels without a parent, parents without labels, and a label twice.
    """
    if entry.of is None:
        if isinstance(entry.labels, Mapping):
            message = "labels behind others belong to them; say of which dim those are: of: DIM"
            raise document.error(message, "dims", name, "labels")
        return tuple(_once(document, entry.labels, "dims", name)), {}
    above = belongs[entry.of]
    chain = [*above, entry.of]
    cells = [
        (*(labels[dim][places[at]] for dim, places in above.items()), label)
        for at, label in enumerate(labels[entry.of])
    ]
    _refuse_others(document, name, entry.labels, chain, cells)
    behind = [_behind(document, name, entry, cell, chain) for cell in cells]
    parents = [at for at, some in enumerate(behind) for _ in some]
    found = {dim: tuple(places[at] for at in parents) for dim, places in above.items()}
    return tuple(label for some in behind for label in some), {**found, entry.of: tuple(parents)}


def _once(document: Document, labels: list[str], *key: str) -> list[str]:
    """Refuse a label that stands twice."""
    if len(set(labels)) < len(labels):
        twice = Counter(labels).most_common(1)[0][0]
        raise document.error(f"the label {twice!r} stands twice; keep one", *key)
    return labels


def _behind(
    document: Document, name: str, entry: DimEntry, cell: tuple[str, ...], chain: list[str]
) -> list[str]:
    """Return the labels behind a parent, each once."""
    found: Any = entry.labels
    for depth, label in enumerate(cell):
        key = ("dims", name, "labels", *cell[:depth])
        if not isinstance(found, Mapping):
            some = f"{{{label}: [...], ...}}"
            message = f"labels of {name!r} stand behind the {chain[depth]} that they belong to"
            raise document.error(f"{message}, such as {some}", *key)
        if label not in found:
            message = f"no labels of {name!r} for the {chain[depth]} {label!r}; every one has some"
            raise document.error(message, *key)
        found = found[label]
    key = ("dims", name, "labels", *cell)
    if not isinstance(found, list) or not found:
        some = f"[{found}]" if isinstance(found, str) else "[...]"
        message = (
            f"the labels of {name!r} for the {chain[-1]} {cell[-1]!r} are a list of at least one"
        )
        raise document.error(f"{message}; write {some}", *key)
    return _once(document, [str(label) for label in found], *key)


def _refuse_others(
    document: Document, name: str, given: Any, chain: list[str], cells: list[tuple[str, ...]]
) -> None:
    """Refuse labels behind what is no label of the dim that they belong to."""
    inner: dict[tuple[str, ...], Any] = {(): given}
    for level, dim in enumerate(chain):
        known = dict.fromkeys(cell[: level + 1] for cell in cells)
        inner = {path: some for path, some in inner.items() if isinstance(some, Mapping)}
        for path, some in inner.items():
            for label in some:
                if (*path, label) not in known:
                    allowed = [cell[-1] for cell in known if cell[:-1] == path]
                    message = f"{label!r} is no label of {dim!r}; {nearest(label, allowed)}"
                    raise document.error(message, "dims", name, "labels", *path, label)
        inner = {(*path, label): some[label] for path, some in inner.items() for label in some}
