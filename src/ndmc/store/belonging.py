"""What labels of a dim belong to, as a store says it: by the labels of each dim above it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ndmc.dims import Dims

__all__ = ["positions"]

#: Of each dim, for each one above it, the label that each of its own belongs to.
Above = Mapping[str, Mapping[str, Sequence[str]]]


def attributes(dims: Dims) -> dict[str, Any]:
    """Return the attributes that say what labels belong to; none if they do not."""
    if not dims.belongs:
        return {}
    labels = {
        dim: {one: list(dims.named_at(dim, one)) for one in of} for dim, of in dims.belongs.items()
    }
    return {"of": dims.of, "belongs": labels}


def positions(
    labels: Mapping[str, Sequence[str]], above: Above
) -> dict[str, dict[str, tuple[int, ...]]]:
    """Return where the labels stand that those of a dim belong to.

    One that stands several times is known by what both belong to.

    Raises
    ------
    KeyError
        If one is not there.

    Examples
    --------
    >>> labels = {"metal": ["Li", "Co"], "use": ["car", "car"], "part": ["rim", "seat"]}
    >>> above = {"use": {"metal": ["Li", "Co"]}}
    >>> above |= {"part": {"metal": ["Li", "Co"], "use": ["car", "car"]}}
    >>> positions(labels, above)["part"]
    {'metal': (0, 1), 'use': (0, 1)}
    """
    found: dict[str, dict[str, tuple[int, ...]]] = {dim: {} for dim in above}
    for dim, parents in above.items():
        for parent in parents:
            both = {one: own for one, own in above.get(parent, {}).items() if one in parents}
            place = {
                cell: at for at, cell in enumerate(zip(labels[parent], *both.values(), strict=True))
            }
            cells = zip(*(parents[one] for one in (parent, *both)), strict=True)
            found[dim][parent] = tuple(place[cell] for cell in cells)
    return found
