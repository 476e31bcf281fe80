"""Put what needs each other together, and everything after what it needs."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Hashable, Mapping, Sequence
from graphlib import TopologicalSorter
from typing import TypeVar

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from ndmc.plan.steps import Step

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
    index = {key: number for number, key in enumerate(needs)}
    wanted = [[index[other] for other in needs[key] if other in index] for key in needs]
    labels = _components(wanted)
    groups: dict[int, list[Key]] = {}
    before: dict[int, set[int]] = {}
    for key, label, others in zip(needs, labels, wanted, strict=True):
        groups.setdefault(label, []).append(key)
        known = before.setdefault(label, set())
        for other in others:
            if labels[other] != label:
                known.add(labels[other])
    return [groups[label] for label in TopologicalSorter(before).static_order()]


def _components(wanted: Sequence[Collection[int]]) -> list[int]:
    """Return a number for each: equal ones want each other."""
    counts = [len(others) for others in wanted]
    wants = np.repeat(np.arange(len(wanted)), counts)
    others = np.fromiter(itertools.chain.from_iterable(wanted), np.int64, sum(counts))
    links = csr_array((np.ones(len(wants)), (wants, others)), 2 * (len(wanted),))
    _, labels = connected_components(links, directed=True, connection="strong")
    return [int(label) for label in labels]


def cycle_through(members: Sequence[Step], start: str) -> list[str]:
    """Return the shortest way from a quantity of a loop back to itself, without hidden names."""
    maker = {name: step for step in members for name in step.targets}
    read_by, waiting = {start: ""}, [start]
    for one in waiting:
        for name in sorted(n for n in maker[one].inputs if n in maker):
            if name == start:
                path = [one]
                while path[-1] != start:
                    path.append(read_by[path[-1]])
                return [n for n in path[::-1] if " " not in n and not n.startswith("_")]
            if name not in read_by:
                read_by[name] = one
                waiting.append(name)
    return [start]
