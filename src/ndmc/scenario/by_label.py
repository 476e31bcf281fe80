"""What is given by label, or by group: which of it each label of a dim takes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ndmc.dims import Dims
from ndmc.errors import shortened
from ndmc.label import LabelError, plain_label, unknown_label

__all__ = ["ByLabelError", "dim_of", "taken"]

#: The key of what labels take that have nothing of their own.
ELSE = "else"


class ByLabelError(LabelError):
    """Keys that are no labels, or not all of them; ``key`` is the one that is wrong, if any."""

    def __init__(self, message: str, key: str = "") -> None:
        super().__init__(message)
        self.key = key


def dim_of(keys: Iterable[str], among: Sequence[str], dims: Dims) -> str:
    """Return the dim of which all keys but ``else`` are labels or groups.

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
    known = {dim: {*dims.known(dim)} for dim in among}
    unknown = {
        dim: [key for key in own if plain_label(dim, key) not in known[dim]] for dim in among
    }
    if not own:
        raise ByLabelError("no label in it; write {label: formula, else: formula}")
    if not among:
        raise ByLabelError(f"there is no dim of which {own[0]!r} is a label", own[0])
    fitting = [dim for dim in among if not unknown[dim]]
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
    raise ByLabelError(unknown_label(text, nearest, dims.labels, dims.groups), wrong)


def taken(keys: Sequence[str], dim: str, dims: Dims, what: str = "value") -> tuple[int, ...]:
    """Return, for each label of a dim, the number of the key that it takes.

    A label's own key goes before that of a group, and that before ``else``.

    Raises
    ------
    ByLabelError
        For labels that take nothing, or two groups; for keys that are no labels, the same one, or
        taken by none.

    Examples
    --------
    >>> dims = Dims({"product": ("phone", "car", "van")}, {"product": {"road": ("car", "van")}})
    >>> taken(["van", "road", "else"], "product", dims)
    (2, 1, 0)
    """
    own, grouped = dict[int, list[int]](), dict[int, list[int]]()
    for number, key in enumerate(keys):
        if key != ELSE:
            label = plain_label(dim, key)
            among = grouped if label in dims.groups.get(dim, ()) else own
            for place in _places(key, dim, dims):
                among.setdefault(place, []).append(number)
    last = keys.index(ELSE) if ELSE in keys else -1
    found = [
        _one(own.get(place, grouped.get(place, [last])), place in own, keys, label)
        for place, label in enumerate(dims.labels[dim])
    ]
    if missing := [f"{label}" for n, label in zip(found, dims.labels[dim], strict=True) if n < 0]:
        message = f"no {what} for {dim} {shortened(missing, last=' and ')}"
        raise ByLabelError(f"{message}; give each label one, or all others: else")
    if unused := [key for number, key in enumerate(keys) if number not in {*found}]:
        message = f"no label of {dim} takes {unused[0]!r}: each has one of its own; remove it"
        raise ByLabelError(message, unused[0])
    return tuple(found)


def _places(key: str, dim: str, dims: Dims) -> tuple[int, ...]:
    try:
        return dims.positions(dim, key)
    except LabelError as wrong:
        raise ByLabelError(str(wrong), key) from None


def _one(numbers: Sequence[int], own: bool, keys: Sequence[str], label: str) -> int:
    """Return the key of a label, of which there may be but one."""
    if len(numbers) == 1:
        return numbers[0]
    first, second = (keys[number] for number in numbers[:2])
    if own:
        raise ByLabelError(f"{second!r} and {first!r} are the same label; keep one", second)
    message = f"{label!r} is in the groups {first!r} and {second!r}"
    raise ByLabelError(f"{message}; give it one of its own", second)
