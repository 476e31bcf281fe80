"""Put what needs each other together, and everything after what it needs."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from graphlib import TopologicalSorter
from typing import TypeVar

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
    """Return a number for each: equal ones want each other, low ones are left first (Tarjan 1972).

    `scipy.sparse.csgraph` says the same, but takes 0.35 s to import.
    tests/plan/test_ordering.py holds this to it.
    """
    labels, lowest, entered = [-1] * len(wanted), [0] * len(wanted), [-1] * len(wanted)
    held: list[int] = []
    count = number = 0
    for root in range(len(wanted)):
        path = [root] if entered[root] < 0 else []
        ahead = {root: sorted(wanted[root])}
        while path:
            one = path[-1]
            if entered[one] < 0:
                entered[one] = lowest[one] = number
                number += 1
                held.append(one)
            if ahead[one]:
                other = ahead[one].pop()
                if entered[other] < 0:
                    path.append(other)
                    ahead[other] = sorted(wanted[other])
                elif labels[other] < 0:
                    lowest[one] = min(lowest[one], entered[other])
                continue
            path.pop()
            if path:
                lowest[path[-1]] = min(lowest[path[-1]], lowest[one])
            if lowest[one] == entered[one]:
                while labels[one] < 0:
                    labels[held.pop()] = count
                count += 1
    return labels


def cycle_through(members: Sequence[Step], start: str) -> list[str]:
    """Return the shortest way from a quantity of a loop back to itself, without hidden names."""
    maker = {name: step for step in members for name in step.targets}
    paths = [[start]]
    seen = {start}
    for path in paths:
        for name in sorted(maker[path[-1]].inputs & set(maker)):
            if name == start:
                return [n for n in path if " " not in n and not n.startswith("_")]
            if name not in seen:
                seen.add(name)
                paths.append([*path, name])
    return [start]
