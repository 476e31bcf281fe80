"""Sums of squares of a study in digests: some entries at a time, over nodes of a tree of draws.

A node of level 0 is a round: the draws in which each batch has its turn once. Sums of nodes are
joined as those of moments are, so they have the same bits however draws were cut and ordered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from ndmc.store.bundle import Bundle, DamagedError
from ndmc.store.digest import Nodes, add_node
from ndmc.typing import Array, Floats

__all__ = ["arrays_of", "named", "of_all"]

#: Entries whose sums are joined at a time: 4 MB in each digest.
_TOGETHER = 4096


def named(nodes: Nodes, entries: int) -> Iterator[tuple[str, Array]]:
    """Yield the arrays of a digest with sums [entry, ...] of some nodes."""
    for number, some in enumerate(_segments(entries)):
        for (level, index), sums in nodes.items():
            yield f"squares/{number}/{level}/{index}", sums[some]


def arrays_of(bundles: Iterable[Bundle], shape: tuple[int, ...]) -> Iterator[tuple[str, Array]]:
    """Yield the arrays of the digest of all draws of some others, whose sums are of a shape."""
    for number, nodes in enumerate(joined(bundles, shape)):
        for (level, index), sums in nodes.items():
            yield f"squares/{number}/{level}/{index}", sums


def of_all(bundles: Iterable[Bundle], shape: tuple[int, ...]) -> Floats:
    """Return the sums of all draws of some digests.

    Raises
    ------
    DamagedError
        If a digest has no sums, or others.
    """
    total = np.zeros(shape)
    for some, nodes in zip(_segments(shape[0]), joined(bundles, shape), strict=True):
        for key in sorted(nodes):
            total[some] = nodes[key] + total[some]
    return total


def joined(bundles: Iterable[Bundle], shape: tuple[int, ...]) -> Iterator[Nodes]:
    """Yield the nodes of some entries after the other."""
    held = tuple(bundles)
    for number, some in enumerate(_segments(shape[0])):
        nodes: Nodes = {}
        size = len(range(shape[0])[some])
        for bundle in held:
            found = [*_keys(bundle, f"squares/{number}/")]
            if not found:
                raise DamagedError(f"it has no sums of squares from entry {some.start} on")
            for name, level, index in found:
                add_node(nodes, level, index, bundle.get(name, "f8", (size, *shape[1:])))
        yield nodes


def _keys(bundle: Bundle, prefix: str) -> Iterator[tuple[str, int, int]]:
    for name in bundle.names:
        if name.startswith(prefix):
            numbers: Any = name.removeprefix(prefix).split("/")
            if len(numbers) != 2 or not all(n.isdecimal() and len(n) < 20 for n in numbers):
                raise DamagedError(f"its part {name[:60]!r} is of no draws")
            yield name, int(numbers[0]), int(numbers[1])


def _segments(entries: int) -> list[slice]:
    return [slice(first, min(first + _TOGETHER, entries)) for first in range(0, entries, _TOGETHER)]
