"""Pictures of a material-flow system, as SVG."""

from __future__ import annotations

import html
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from ndmc.legible import legible
from ndmc.option import check_writable
from ndmc.views.charts import writing
from ndmc.views.layers import Edge, Node
from ndmc.views.layout import (
    MARGIN,
    NAME,
    NAME_LINE,
    NOTE,
    NOTE_LINE,
    Layout,
    arrange,
    half_height,
    text_height,
    text_width,
    wrapped,
)

__all__ = ["check_diagram", "write_diagram"]

_INK, _LINE, _LOOP = "#1f2a37", "#64748b", "#c2410c"

_BOX, _FRAME, _PAPER = "#eaf1f8", "#54789c", "#fcfcfb"

_FONT = "system-ui, -apple-system, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif"

#: What determines a flow: its name in the legend and its line.
_RULES = {
    "value": ("value", 'stroke-width="1.5"'),
    "share": ("share", 'stroke-width="1.5" stroke-dasharray="7 4"'),
    "balance": ("balance", 'stroke-width="1.8" stroke-dasharray="1.8 3.6"'),
    "stock": ("stock release", 'stroke-width="3.2"'),
}


def _forward(layout: Layout, arc: int) -> str:
    chain, (y, end) = layout.system.chains[arc], layout.ends[arc]
    columns = layout.columns[layout.system.layer[chain[0]] :][: len(chain)]
    path = f"M{columns[0].right:.1f} {y:.1f}"
    for (one, two), to in zip(pairwise(columns), chain[1:], strict=True):
        after = end if to == chain[-1] else layout.y[to]
        x = (one.clear + two.left) / 2
        path += f"H{one.clear:.1f}C{x:.1f} {y:.1f} {x:.1f} {after:.1f} {two.left:.1f} {after:.1f}"
        y = after
    return path


def _return(layout: Layout, arc: int) -> str:
    (start, end), lane = layout.ends[arc], layout.lanes[arc]
    origin, target = (layout.columns[layout.system.layer[n]] for n in layout.system.arcs[arc])
    out, into = origin.clear + layout.turns[0][arc], target.left - layout.turns[1][arc]
    r, v = 10, 10 * layout.system.side[arc]
    return (
        f"M{origin.right:.1f} {start:.1f}H{out - r:.1f}q{r} 0 {r} {v}V{lane - v:.1f}q0 {v} -{r} {v}"
        f"H{into + r:.1f}q-{r} 0 -{r} {-v}V{end + v:.1f}q0 {-v} {r} {-v}H{target.left:.1f}"
    )


def _xml(text: str) -> str:
    return html.escape(legible(text))


def _text(text: str, x: float, y: float, size: int = NOTE, style: str = "") -> str:
    leading = NAME_LINE if size > NOTE else NOTE_LINE
    rows = (
        f'<tspan x="{x:.1f}" y="{y + row * leading:.1f}">{_xml(line)}</tspan>'
        for row, line in enumerate(wrapped(text))
    )
    return f'<text font-size="{size}"{style}>{"".join(rows)}</text>'


def _svg_edge(layout: Layout, arc: int) -> str:
    edge, (start, end) = layout.system.edges[arc], layout.ends[arc]
    origin, target = (layout.columns[layout.system.layer[n]] for n in layout.system.arcs[arc])
    path = (_forward if arc in layout.system.chains else _return)(layout, arc)
    line, ink = (_LOOP, _LOOP) if edge.loop else (_LINE, _INK)
    about = f"{edge.origin} to {edge.target}" + (f": {edge.text}" if edge.text else "")
    y = start - 5 - NOTE_LINE * (len(wrapped(edge.name)) - 1)
    return (
        f'<g class="flow" fill="{ink}"><title>{_xml(about)}</title>'
        f'<path d="{path}" fill="none" stroke="{line}" {_RULES[edge.rule][1]}/>'
        f'<path d="M{target.left - 9:.1f} {end - 4.5:.1f}l9 4.5l-9 4.5z" fill="{line}"/>'
        f"{_text(edge.name, origin.right + 7, y)}</g>"
    )


def _rect(x: float, y: float, width: float, height: float, style: str) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f"<rect {place} {style}/>"


def _svg_node(layout: Layout, index: int) -> str:
    node, column = layout.system.nodes[index], layout.columns[layout.system.layer[index]]
    left, width, height = column.left, column.right - column.left, layout.sizes[index]
    style, weight = f'rx="8" fill="{_BOX}" stroke="{_FRAME}" stroke-width="1.4"', 600
    if node.kind == "environment":
        style, weight = 'rx="17" fill="#ffffff" stroke="#94a3b8" stroke-dasharray="4 3"', 400
    middle, y = left + width / 2, layout.y[index] - text_height(node) / 2 + 23
    parts = [
        _rect(left, layout.y[index] - height / 2, width, height, style),
        _text(node.name, middle, y, NAME, f' font-weight="{weight}"'),
    ]
    if node.stock:
        y += NAME_LINE * len(wrapped(node.name)) - 8
        inner = 8 + NOTE_LINE * len(wrapped(node.stock))
        style = f'rx="3" fill="#ffffff" stroke="{_FRAME}"'
        parts += [
            _rect(left + 8, y, width - 16, inner, style),
            _text(node.stock, middle, y + 15),
        ]
    return f'<g class="{node.kind}" text-anchor="middle" fill="{_INK}">{"".join(parts)}</g>'


def _legend(y: float) -> tuple[str, float]:
    parts, x = [], float(MARGIN)
    rows = [(label, style, _LINE) for label, style in _RULES.values()]
    for label, style, color in [*rows, ("solved together", 'stroke-width="1.5"', _LOOP)]:
        parts.append(f'<path d="M{x:.1f} {y:.1f}h34" stroke="{color}" {style}/>')
        parts.append(_text(label, x + 41, y + 4))
        x += 63 + text_width(label, NOTE)
    return f'<g class="legend" fill="{_INK}">{"".join(parts)}</g>', x


def svg(title: str, nodes: Sequence[Node], edges: Sequence[Edge]) -> str:
    """Return a drawing of the system as SVG that needs nothing else.

    Parameters
    ----------
    title
        Written above the drawing.
    nodes
        What is drawn as a box.
    edges
        What is drawn as a line, between nodes that are listed.

    Returns
    -------
    str
        The text of an SVG file; the same system gives the same text.

    Examples
    --------
    >>> nodes = [Node("mine", "environment"), Node("use", "process", "in use")]
    >>> picture = svg("Copper", nodes, [Edge("metal", "mine", "use", "value")])
    >>> picture.startswith("<svg xmlns="), picture.count('class="flow"')
    (True, 1)
    """
    layout, title = arrange(nodes, edges), legible(title)
    reach = [(y, half_height(layout.sizes, item)) for item, y in layout.y.items()]
    top = min([y - half for y, half in reach] + [*layout.lanes.values()]) - 68
    bottom = max([y + half for y, half in reach] + [*layout.lanes.values()]) + 44
    legend, legend_right = _legend(bottom)
    width = max(layout.right + MARGIN, legend_right, text_width(title, 1.1 * 16) + 2 * MARGIN)
    height = bottom + 24 - top
    head = (
        f'viewBox="0 {top:.1f} {width:.1f} {height:.1f}" width="{width:.0f}" height="{height:.0f}"'
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {head} font-family="{_FONT}">',
        f"<title>{_xml(title)}</title>",
        _rect(0, top, width, height, f'fill="{_PAPER}"'),
        f'<text x="{MARGIN}" y="{top + 32:.1f}" font-size="16" font-weight="600" fill="{_INK}">'
        f"{_xml(title)}</text>",
        *(_svg_edge(layout, arc) for arc in range(len(edges))),
        *(_svg_node(layout, node) for node in range(len(nodes))),
        legend,
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def check_diagram(path: Path) -> None:
    """Refuse a file that no diagram is written to.

    Raises
    ------
    InputError
        If it does not end in ``.svg``.

    Examples
    --------
    >>> check_diagram(Path("system.svg"))
    """
    check_writable(path, "--graph", ".svg")


def write_diagram(path: Path, title: str, nodes: Sequence[Node], edges: Sequence[Edge]) -> None:
    """Write a drawing of the system to a file.

    Parameters
    ----------
    path
        A file that ends in ``.svg``; what it held is lost.
    title
        Written above the drawing.
    nodes
        What is drawn as a box.
    edges
        What is drawn as a line.

    Raises
    ------
    InputError
        If the file ends in something else.
    RunError
        If the file cannot be written.

    Examples
    --------
    >>> write_diagram(Path("system.svg"), "One box", [Node("use", "process")], [])
    >>> Path("system.svg").read_text()[:4]
    '<svg'
    """
    check_diagram(path)
    with writing(path):
        path.write_text(svg(title, nodes, edges), encoding="utf-8")
