"""Where the nodes and flows of a system are drawn, once they have their layers and order.

Flows that run back to an earlier layer pass above or below everything else, so no line crosses a
box or the name of another flow.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from statistics import fmean, median_low

from ndmc.legible import legible
from ndmc.views.layers import Edge, Node, System, layered, ranks

NAME, NOTE = 13, 11  # font sizes: names of nodes, all else

NAME_LINE, NOTE_LINE = 16, 14

_APART = 24  # between neighbours in a layer

_LANE, _TURN = 16, 10  # between flows that run back: in height, beside a column

MARGIN = 28


# --- sizes and heights ------------------------------------------------------------------------


def wrapped(text: str, most: int = 18) -> list[str]:
    """Break a legible name after blanks, hyphens and underscores; nothing is added or lost."""
    lines = [""]
    for piece in re.split(r"(?<=[\s_-])", legible(text)):
        if lines[-1] and len(lines[-1]) + len(piece.rstrip()) > most:
            lines.append("")
        lines[-1] += piece
    return lines


def text_width(text: str, size: float) -> float:
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return size * (0.6 * len(text) + 0.45 * wide)


def _widest(text: str, size: float) -> float:
    return max(text_width(line.rstrip(), size) for line in wrapped(text))


def _ports(system: System, end: int) -> dict[int, float]:
    """Return how far from the middle of its node every flow starts (end 0) or ends (end 1)."""
    rank = ranks(system.rows)

    def place(arc: int) -> tuple[int, int, int]:
        if side := system.side[arc]:
            a, b = system.arcs[arc]
            return side, -side * (system.layer[a] - system.layer[b]), -side * arc
        return 0, rank[system.chains[arc][-2 if end else 1]], arc

    ports: dict[int, float] = {}
    for node in range(len(system.nodes)):
        here = sorted((arc for arc, ends in enumerate(system.arcs) if ends[end] == node), key=place)
        lines = [1 if end else len(wrapped(system.edges[arc].name)) for arc in here]
        pitch = 5 + NOTE_LINE * max(lines, default=1)
        ports |= {arc: (i - (len(here) - 1) / 2) * pitch for i, arc in enumerate(here)}
    return ports


def text_height(node: Node) -> float:
    stock = 12 + NOTE_LINE * len(wrapped(node.stock)) if node.stock else 0
    return 22 + NAME_LINE * len(wrapped(node.name)) + stock


def _sizes(system: System, ports: Sequence[Mapping[int, float]]) -> list[float]:
    sizes = [text_height(node) for node in system.nodes]
    for end in (0, 1):
        for arc, port in ports[end].items():
            node, above = system.arcs[arc][end], NOTE_LINE * len(wrapped(system.edges[arc].name))
            sizes[node] = max(sizes[node], 2 * (abs(port) + max(10, above - 18)))
    return sizes


def _spread(wanted: list[float], gaps: list[float]) -> list[float]:
    """Return the heights nearest to the wanted ones that keep the gaps: pool adjacent violators."""
    offsets = list(accumulate(gaps))
    pools: list[tuple[float, int]] = []
    for want, offset in zip(wanted, offsets, strict=True):
        pools.append((want - offset, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (one, n), (two, m) = pools[-2:]
            pools[-2:] = [((one * n + two * m) / (n + m), n + m)]
    means = [mean for mean, count in pools for _ in range(count)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=True)]


_Pulls = dict[int, list[tuple[int, float]]]


def _pulls(system: System, ports: Sequence[Mapping[int, float]]) -> _Pulls:
    """Return where every neighbour would have a node or bend, once for each unit of weight."""
    pulls: _Pulls = {item: [] for row in system.rows for item in row}
    for arc, chain in system.chains.items():
        inside = all(system.nodes[n].kind == "process" for n in system.arcs[arc])
        for a, b in pairwise(chain):
            first, last = a == chain[0], b == chain[-1]
            shift = first * ports[0][arc] - last * ports[1][arc]
            weight = 3 - first - last + 3 * inside
            pulls[b] += [(a, shift)] * weight
            pulls[a] += [(b, -shift)] * weight
    return pulls


def _heights(system: System, sizes: list[float], pulls: _Pulls) -> dict[int, float]:
    y = {item: 60.0 * rank for item, rank in ranks(system.rows).items()}
    for sweep in range(40):
        # Means find the place, medians then make lines level where they can be.
        middle = fmean if sweep < 24 else median_low
        for row in system.rows if sweep % 2 == 0 else reversed(system.rows):
            half = [half_height(sizes, item) for item in row]
            gaps = [0.0, *(a + b + _APART for a, b in pairwise(half))]
            wanted = [float(middle([y[o] + by for o, by in pulls[n]] or [y[n]])) for n in row]
            y |= zip(row, _spread(wanted, gaps), strict=True)
    return y


def half_height(sizes: list[float], item: int) -> float:
    return sizes[item] / 2 if item < len(sizes) else 0.0


# --- flows that run back, columns -------------------------------------------------------------


@dataclass(frozen=True)
class _Column:
    left: float
    right: float
    clear: float  # where the names of the flows that leave have ended


@dataclass(frozen=True)
class Layout:
    """Where everything is drawn: items of layers and their heights, columns, lanes of flows."""

    system: System
    sizes: list[float]
    y: Mapping[int, float]
    ends: list[tuple[float, float]]  # heights at which a flow starts and ends
    lanes: Mapping[int, float]  # heights at which flows run back
    turns: tuple[Mapping[int, float], Mapping[int, float]]
    columns: list[_Column]
    right: float


def _lanes(system: System, sizes: list[float], y: Mapping[int, float]) -> dict[int, float]:
    """Return the height of every flow that runs back: short ones inside, long ones outside."""
    limits = {
        side: [max(side * y[n] + half_height(sizes, n) + 8 for n in row) for row in system.rows]
        for side in (-1, 1)
    }
    spans = {
        arc: slice(system.layer[system.arcs[arc][1]], system.layer[system.arcs[arc][0]] + 1)
        for arc, side in enumerate(system.side)
        if side
    }
    lanes = {}
    for arc, span in sorted(spans.items(), key=lambda item: item[1].stop - item[1].start):
        side = system.side[arc]
        lane = max(limits[side][span]) + _LANE
        limits[side][span] = [lane] * len(limits[side][span])
        lanes[arc] = side * lane
    return lanes


def _turns(system: System, lanes: Mapping[int, float], end: int) -> dict[int, float]:
    """Return how far beside a column every flow turns back (end 0) or turns in (end 1)."""
    turns, beside = {}, [4.0] * len(system.rows)
    for arc in sorted(lanes, key=lambda k: abs(lanes[k])):
        column = system.layer[system.arcs[arc][end]]
        beside[column] += _TURN
        turns[arc] = beside[column] + 8 * end
    return turns


def _gaps(system: System, y: Mapping[int, float], lanes: Mapping[int, float]) -> list[float]:
    """Return the room before every column and after the last: slopes, and flows that turn."""
    slopes, turning = [[0.0] for _ in range(len(system.rows) + 1)], [0] * (len(system.rows) + 1)
    for chain in system.chains.values():
        for gap, (a, b) in enumerate(pairwise(chain), start=system.layer[chain[0]] + 1):
            slopes[gap].append(34 + min(0.2 * abs(y[a] - y[b]), 80))
    for arc in lanes:
        a, b = system.arcs[arc]
        turning[system.layer[a] + 1] += _TURN
        turning[system.layer[b]] += _TURN
    return [max(slope) + turn for slope, turn in zip(slopes, turning, strict=True)]


def _box_width(node: Node) -> float:
    name, stock = _widest(node.name, 1.1 * NAME), _widest(node.stock, NOTE)
    return max(72, name + 24, stock + 36 if node.stock else 0)


def _columns(system: System, gaps: list[float]) -> list[_Column]:
    columns, x = [], float(MARGIN)
    for place in range(len(system.rows)):
        boxes = [n for n, at in enumerate(system.layer) if at == place]
        leaving = [system.edges[k].name for k, (a, _) in enumerate(system.arcs) if a in boxes]
        left = x + gaps[place]
        right = left + max(_box_width(system.nodes[n]) for n in boxes)
        x = right + max((_widest(name, NOTE) + 12 for name in leaving), default=0)
        columns.append(_Column(left, right, x))
    return columns


def arrange(nodes: Sequence[Node], edges: Sequence[Edge]) -> Layout:
    """Return where the nodes and flows of a system are drawn."""
    system = layered(nodes, edges)
    ports = (_ports(system, 0), _ports(system, 1))
    sizes = _sizes(system, ports)
    y = _heights(system, sizes, _pulls(system, ports))
    ends = [(y[a] + ports[0][arc], y[b] + ports[1][arc]) for arc, (a, b) in enumerate(system.arcs)]
    lanes = _lanes(system, sizes, y)
    turns = (_turns(system, lanes, 0), _turns(system, lanes, 1))
    gaps = _gaps(system, y, lanes)
    columns = _columns(system, gaps)
    return Layout(system, sizes, y, ends, lanes, turns, columns, columns[-1].clear + gaps[-1])
