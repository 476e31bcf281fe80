"""What is given by label, or by group: which of it each label of a dim takes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from ndmc.dims import Dims
from ndmc.errors import shortened
from ndmc.label import LabelError, plain_label, unknown_label
from ndmc.legible import shown

__all__ = ["ByLabelError", "dim_of", "taken"]

#: The key of what labels take that have nothing of their own.
ELSE = "else"

#: What the rest is called elsewhere.
_REST = ("default", "other", "others", "otherwise", "rest", "remaining", "all", "*", "_")


class ByLabelError(LabelError):
    """Keys that are no labels, or not all of them; ``key`` is the one that is wrong, if any."""

    def __init__(self, message: str, key: str = "") -> None:
        super().__init__(message)
        self.key = key


def dim_of(keys: Iterable[str], among: Sequence[str], dims: Dims) -> str:
    """Return the dim of which all keys but ``else`` are labels or groups.

    It may be a grouping of one in which each label is in just one group.

    Raises
    ------
    ByLabelError
        If none of the dims has them all, or several.

    Examples
    --------
    >>> dims = Dims({"product": ("phone", "car"), "year": ("2001", "2002")})
    >>> dim_of(["car", "else"], ["product", "year"], dims)
    'product'
    """
    own = [key for key in keys if key != ELSE]
    if not own:
        raise ByLabelError("no label in it; write {label: formula, else: formula}")
    if not among:
        raise ByLabelError(f"there is no dim of which {own[0]!r} is a label", own[0])
    unknown = {dim: _unknown(own, dim, dims) for dim in among}
    fitting = [dim for dim in among if not unknown[dim]]
    fitting = fitting or [dim for dim in dims.partitions(among) if not _unknown(own, dim, dims)]
    if len(fitting) > 1:
        both = " and ".join(fitting[:2])
        message = f"{both} have the labels {shortened(own, last=' and ')}"
        raise ByLabelError(f"{message}; write where({fitting[0]} == {own[0]}, ..., ...)", own[0])
    if fitting:
        return fitting[0]
    nearest = min(among, key=lambda dim: len(unknown[dim]))
    wrong = unknown[nearest][0]
    text = plain_label(nearest, wrong)
    if other := next((d for d in dims.labels if d not in among and wrong in dims.known(d)), ""):
        message = f"{wrong!r} is a label of {other}; here stand those of"
        raise ByLabelError(f"{message} {shortened(among, last=' or ')}", wrong)
    message = unknown_label(text, nearest, dims.labels, dims.groups)
    if hint := _meant(text, dims.known(nearest)):
        message = f"{nearest} has no label {shown(text)}; {hint}"
    raise ByLabelError(message, wrong)


def _meant(text: str, known: Collection[str]) -> str:
    """Return what is meant by a key that is no label, where that can be told."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) > 1 and {*parts} <= {*known}:
        return "write each label on a line of its own, or name a group of them"
    return f"all others are called {ELSE!r}" if text.casefold() in _REST else ""


def _unknown(keys: Iterable[str], dim: str, dims: Dims) -> list[str]:
    known = {*dims.known(dim)}
    return [key for key in keys if plain_label(dim, key) not in known]


def taken(keys: Sequence[str], dim: str, dims: Dims, places: Iterable[int]) -> dict[int, int]:
    """Return, for some places along a dim, the number of the key that the label there takes.

    Raises
    ------
    ByLabelError
        As `keys_of_labels`, for keys that are no labels, and for labels that take nothing.

    Examples
    --------
    >>> dims = Dims({"product": ("phone", "car", "van")}, {"product": {"road": ("car", "van")}})
    >>> taken(["van", "road", "else"], "product", dims, range(3))
    {0: 2, 1: 1, 2: 0}
    """
    for key in keys:
        if key != ELSE:
            _check(key, dim, dims)
    labels = {place: dims.labels[dim][place] for place in places}
    found = keys_of_labels(keys, dim, labels.values(), dims.groups.get(dim, {}))
    if missing := [*dict.fromkeys(label for label in labels.values() if label not in found)]:
        message = f"no formula for {dim} {shortened(missing, last=' and ')}"
        raise ByLabelError(f"{message}; give each label one, or all others: else")
    number = {key: n for n, key in enumerate(keys)}
    return {place: number[found[label]] for place, label in labels.items()}


def path_to(found: Any, cell: Mapping[str, str], dims: Dims) -> list[str]:
    """Return the keys by which the labels of a cell lead to what is given by label.

    Examples
    --------
    >>> dims = Dims({"product": ("phone", "car")})
    >>> path_to({"phone": 1, "else": {"value": 2}}, {"product": "car"}, dims)
    ['else']
    """
    path, left = list[str](), {**cell, **dims.groups_of(cell)}
    while isinstance(found, dict):
        dim = next((one for one in left if {*found} <= {*dims.known(one), ELSE}), "")
        if not dim:
            break
        keys = keys_of_labels(found, dim, dims.labels[dim], dims.groups.get(dim, {}))
        path.append(keys.get(left.pop(dim), ""))
        found = found.get(path[-1])
    return path


def _check(key: str, dim: str, dims: Dims) -> None:
    try:
        dims.positions(dim, key)
    except LabelError as wrong:
        raise ByLabelError(str(wrong), key) from None


def keys_of_labels(
    keys: Iterable[str], dim: str, labels: Iterable[str], groups: Mapping[str, Sequence[str]]
) -> dict[str, str]:
    """Return the key of each of some labels: its own before that of a group, that before ``else``.

    Raises
    ------
    ByLabelError
        For a label that is there twice, or in two groups, and a key that no label takes.

    Examples
    --------
    >>> keys_of_labels(["tin", "else"], "metal", ["iron", "tin"], {})
    {'iron': 'else', 'tin': 'tin'}
    """
    own, grouped, others = dict[str, str](), dict[str, str](), dict[str, str]()
    known, twice = dict.fromkeys(labels), dict[str, str]()
    for key in keys:
        label = plain_label(dim, key)
        if label in own:
            raise ByLabelError(f"{key!r} and {own[label]!r} are the same label; keep one", key)
        if label in known:
            own[label] = key
        elif label in groups:
            some = [member for member in groups[label] if member in known]
            twice |= {member: key for member in some if member in grouped}
            grouped |= dict.fromkeys(some, key)
        elif key == ELSE:
            others = dict.fromkeys(known, key)
    if both := next((label for label in twice if label not in own), ""):
        message = f"{both!r} is in two of the groups, {twice[both]!r} the second of them"
        raise ByLabelError(f"{message}; give it one of its own", twice[both])
    found = {**others, **grouped, **own}
    used = {*found.values()}
    if unused := [key for key in keys if key not in used]:
        message = f"no label of {dim} takes {unused[0]!r}: each has one of its own; remove it"
        raise ByLabelError(message, unused[0])
    return found
