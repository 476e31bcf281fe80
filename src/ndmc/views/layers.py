"""Which layer every node of a system stands in, from left to right, and in which order.

The layout is that of Sugiyama, Tagawa and Toda (1981): turn round what closes a cycle, give every
node a layer, order the layers against crossings, then straighten (`layout`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from statistics import fmean
from typing import Literal

Rule = Literal["value", "share", "balance", "stock"]


@dataclass(frozen=True)
class Node:
    """A process, or a node of the environment.

    Parameters
    ----------
    name
        The name flows refer to.
    kind
        Whether its balance is kept.
    stock
        The name of the stock it holds, drawn inside the box.
    """

    name: str
    kind: Literal["process", "environment"]
    stock: str = ""


@dataclass(frozen=True)
class Edge:
    """A flow.

    Parameters
    ----------
    name
        Written where the flow leaves its origin.
    origin, target
        Names of nodes.
    rule
        What determines the flow, drawn as the style of the line.
    text
        The rule in words, shown when the pointer rests on the flow.
    loop
        Whether it is part of a loop that is solved together, drawn in another colour.
    """

    name: str
    origin: str
    target: str
    rule: Rule
    text: str = ""
    loop: bool = False


_Arcs = list[tuple[int, int]]


def _turned(nodes: Sequence[Node], arcs: _Arcs) -> set[int]:
    """Return the arcs that run back because a node outside is drawn as a source or as a sink."""
    surplus = [sum((a == n) - (b == n) for a, b in arcs) for n in range(len(nodes))]
    outside = [node.kind == "environment" for node in nodes]
    return {
        arc
        for arc, (a, b) in enumerate(arcs)
        if a == b or (outside[b] and surplus[b] >= 0) or (outside[a] and surplus[a] < 0)
    }


def _reach(start: int, ahead: list[list[tuple[int, int]]]) -> int:
    seen, waiting = {start}, [start]
    while waiting:
        found = {to for to, _ in ahead[waiting.pop()]} - seen
        seen |= found
        waiting += found
    return len(seen)


def _acyclic(nodes: Sequence[Node], arcs: _Arcs) -> _Arcs:
    back = _turned(nodes, arcs)
    ahead: list[list[tuple[int, int]]] = [[] for _ in nodes]
    for arc, (a, b) in enumerate(arcs):
        if arc not in back:
            ahead[a].append((b, arc))
    entered = {to for row in ahead for to, _ in row}
    done: dict[int, bool] = {}

    def visit(node: int) -> None:
        done[node] = False
        for to, arc in ahead[node]:
            if to not in done:
                visit(to)
            elif not done[to]:
                back.add(arc)
        done[node] = True

    # The source that reaches most is where the material begins: it decides what runs back.
    for root in sorted(range(len(nodes)), key=lambda n: (n in entered, -_reach(n, ahead), n)):
        if root not in done:
            visit(root)
    return [pair for arc, pair in enumerate(arcs) if arc not in back]


def _layers(size: int, arcs: _Arcs) -> list[int]:
    layer = [0] * size
    for _ in range(size):
        for a, b in arcs:
            layer[b] = max(layer[b], layer[a] + 1)
    # What sends more than it receives stands next to where it sends.
    for node in sorted(range(size), key=lambda n: -layer[n]):
        after = [layer[b] for a, b in arcs if a == node]
        if len(after) > sum(b == node for _, b in arcs):
            layer[node] = min(after) - 1
    return layer


def ranks(rows: list[list[int]]) -> dict[int, int]:
    """Return the place of every node and bend in its layer."""
    return {item: rank for row in rows for rank, item in enumerate(row)}


def _crossings(rows: list[list[int]], links: list[_Arcs]) -> int:
    rank = ranks(rows)
    return sum(
        (rank[a] - rank[c]) * (rank[b] - rank[d]) < 0
        for gap in links
        for (a, b), (c, d) in combinations(gap, 2)
    )


def _sweep(rows: list[list[int]], links: list[_Arcs], forward: bool) -> list[list[int]]:
    rows = [list(row) for row in rows]
    for place in range(1, len(rows)) if forward else range(len(rows) - 2, -1, -1):
        rank = ranks(rows)
        near: dict[int, list[int]] = {item: [] for item in rows[place]}
        for a, b in links[place - 1] if forward else links[place]:
            near[b if forward else a].append(rank[a if forward else b])
        seat = {item: fmean(ranks or [rank[item]]) for item, ranks in near.items()}
        rows[place].sort(key=seat.__getitem__)
    return rows


def _ordered(rows: list[list[int]], links: list[_Arcs]) -> list[list[int]]:
    tried = [rows]
    for sweep in range(16):
        tried.append(_sweep(tried[-1], links, forward=sweep % 2 == 0))
    return min(tried, key=lambda rows: _crossings(rows, links))


@dataclass(frozen=True)
class System:
    """Nodes and flows in layers: what runs forward, in which order, and what runs back."""

    nodes: Sequence[Node]
    edges: Sequence[Edge]
    arcs: _Arcs
    layer: list[int]
    chains: dict[int, list[int]]  # flows that run forward: origin, a bend in each layer, target
    rows: list[list[int]]  # nodes and bends from top to bottom, layer by layer
    side: list[int]  # flows that run back: -1 above all, 1 below; the others 0


def _chains(layer: list[int], arcs: _Arcs) -> dict[int, list[int]]:
    chains, free = {}, len(layer)
    for arc, (a, b) in enumerate(arcs):
        if (bends := layer[b] - layer[a] - 1) >= 0:
            chains[arc] = [a, *range(free, free + bends), b]
            free += bends
    return chains


def _rows(layer: list[int], chains: Mapping[int, list[int]]) -> list[list[int]]:
    rows = [[n for n, at in enumerate(layer) if at == place] for place in range(max(layer) + 1)]
    links: list[_Arcs] = [[] for _ in rows]
    for chain in chains.values():
        for place, (a, b) in enumerate(pairwise(chain), start=layer[chain[0]]):
            links[place].append((a, b))
            if b != chain[-1]:
                rows[place + 1].append(b)
    return _ordered(rows, links)


def layered(nodes: Sequence[Node], edges: Sequence[Edge]) -> System:
    """Return a system in layers."""
    index = {node.name: n for n, node in enumerate(nodes)}
    arcs = [(index[edge.origin], index[edge.target]) for edge in edges]
    layer = _layers(len(nodes), _acyclic(nodes, arcs))
    chains = _chains(layer, arcs)
    rows = _rows(layer, chains)
    depth = {n: (rank + 0.5) / len(row) for row in rows for rank, n in enumerate(row)}
    side = [
        0 if arc in chains else -1 if depth[a] + depth[b] < 0.99 else 1
        for arc, (a, b) in enumerate(arcs)
    ]
    return System(nodes, edges, arcs, layer, chains, rows, side)
