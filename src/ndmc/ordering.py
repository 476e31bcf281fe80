"""Put what needs each other together, and everything after what it needs."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from graphlib import TopologicalSorter
from typing import TypeVar

import numpy as np

__all__ = ["in_order"]

Key = TypeVar("Key", bound=Hashable)


def in_order(needs: Mapping[Key, Collection[Key]]) -> list[list[Key]]:
    """Return groups of keys: each after those it needs, keys that need each other as one group.

    Parameters
    ----------
    needs
        What each key needs; keys that nothing is said of are left out.

    Examples
    --------
    >>> in_order({"a": ["b"], "b": ["c"], "c": ["b", "d"], "d": []})
    [['d'], ['b', 'c'], ['a']]
    """
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components

    index = {key: number for number, key in enumerate(needs)}
    pairs = [(index[key], index[other]) for key in needs for other in needs[key] if other in index]
    ends = np.array(pairs, dtype=int).reshape(-1, 2)
    shape = (len(index), len(index))
    graph = csr_matrix((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=shape)
    _, labels = connected_components(graph, directed=True, connection="strong")
    groups: dict[int, list[Key]] = {}
    for key, label in zip(needs, labels.tolist(), strict=True):
        groups.setdefault(label, []).append(key)
    before: dict[int, set[int]] = {label: set() for label in groups}
    for one, other in zip(labels[ends[:, 0]].tolist(), labels[ends[:, 1]].tolist(), strict=True):
        if one != other:
            before[one].add(other)
    return [groups[label] for label in TopologicalSorter(before).static_order()]
