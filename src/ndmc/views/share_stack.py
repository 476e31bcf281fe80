"""Shares of variance over the years: layers that add up to 1, under the output itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ndmc.store.shares import Flag
from ndmc.views.charts import DARK, MIDDLE, ticked
from ndmc.views.share_cells import Cell, Share, largest
from ndmc.views.share_marks import Marks, blanks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ndmc.typing import Array, Floats

#: Groups with a layer of their own, but where only one more would be left.
_LAYERS = 7

#: The least that is seen of a layer.
_SEEN = 0.004

_OTHERS = {"color": "#dddddd"}

_TOGETHER = {"fc": "white", "ec": "#777777", "hatch": "////", "lw": 0}

_QUIET: dict[str, Any] = {"color": "#8c8c8c", "alpha": 0.8, "lw": 0, "zorder": 3}

_UNKNOWN: dict[str, Any] = {"fc": "none", "ec": "#cccccc", "hatch": "....", "lw": 0}


@dataclass(frozen=True)
class Layer:
    """A part of the variance, year by year; that of one group if it has a number."""

    name: str
    values: Floats
    group: int | None = None


def layers_of(cell: Cell, names: tuple[str, ...]) -> list[Layer]:
    """Return layers that add up to 1 in every year that has shares, from the largest group on."""
    first = np.where(cell.known, np.nan_to_num(cell.first.best), np.nan)
    reached = np.flatnonzero((cell.known & (cell.flag != Flag.STRUCTURAL_ZERO)).any(axis=1))
    weight = np.nan_to_num(first[reached]).mean(axis=1)
    order = [int(reached[n]) for n in largest(weight, len(reached))]
    most = _LAYERS + (len(order) == _LAYERS + 1)
    layers = [Layer(names[n], first[n], n) for n in order[:most]]
    if rest := order[most:]:
        layers.append(Layer(f"{len(rest)} others", first[rest].sum(axis=0)))
    missing = (np.isnan(cell.first.best[reached]) & cell.known).any()
    unknown = " and groups without a share" if missing else ""
    return [*layers, Layer(f"interactions{unknown}", 1 - first[order].sum(axis=0))]


def edges_of(cell: Cell) -> Floats:
    """Return where years begin and end; an output without years fills one."""
    first = cell.years[0] if cell.years else 0
    return first - 0.5 + np.arange(cell.first.best.shape[1] + 1.0)


def draw_stack(axes: Axes, cell: Cell, marks: Marks) -> None:
    """Draw the shares of groups, of others and of interactions, one on the other."""
    edges, up, down = edges_of(cell), *np.zeros((2, cell.first.best.shape[1]))
    for layer in layers_of(cell, marks.names):
        look = _look(layer, marks)
        above, below = np.maximum(layer.values, 0), np.minimum(layer.values, 0)
        axes.stairs(up + above, edges, baseline=up, fill=True, label=layer.name, **look)
        if np.nanmin(below, initial=0) < 0:
            axes.stairs(down + below, edges, baseline=down, fill=True, **look)
        up, down = up + above, down + below
    lowest = float(np.nanmin(down, initial=0))
    axes.set_ylim(1.05 * lowest, max(1.0, float(np.nanmax(up, initial=1))))
    axes.axhline(0, color="black", lw=0.8)
    axes.axhline(1, color="black", lw=0.8)
    _draw_unknown(axes, cell, edges)
    _draw_quiet(axes, cell, edges)
    _legend(axes)
    axes.set_ylabel("share of variance")
    if lowest < -_SEEN:
        note = "Layers add up to 1; estimates below 0 are drawn below 0."
        axes.set_xlabel(note, loc="left", fontsize="small")


def _look(layer: Layer, marks: Marks) -> dict[str, Any]:
    if layer.group is not None:
        return {"fc": marks.colors[layer.group], "ec": "white", "lw": 0.4}
    return _TOGETHER if layer.name.startswith("interactions") else _OTHERS


def _legend(axes: Axes) -> None:
    """Draw a legend in the order of the layers, beside them."""
    handles, labels = axes.get_legend_handles_labels()
    names = [name + blanks(name) for name in labels[::-1]]
    axes.legend(handles[::-1], names, loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)


def draw_spread(axes: Axes, cell: Cell) -> None:
    """Draw the output itself: the middle, and the range of most draws."""
    assert cell.spread, "an output without draws is not drawn"
    axes.spines["top"].set_visible(False)
    edges, spread = edges_of(cell), cell.spread
    band, middle = spread.words
    if band:
        band_look: dict[str, Any] = {"color": MIDDLE, "alpha": 0.35, "lw": 0, "label": band}
        axes.stairs(spread.high, edges, baseline=spread.low, fill=True, **band_look)
    axes.stairs(spread.middle, edges, baseline=None, color=DARK, lw=1.5, label=middle)
    low, high = np.nanmin(spread.low, initial=0), np.nanmax(spread.high, initial=0)
    if high > low:
        axes.set_ylim(low, high + 0.05 * (high - low))
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
    _draw_quiet(axes, cell, edges)  # which the layers have in their legend
    axes.set_ylabel(cell.unit if cell.unit != "1" else "")
    axes.yaxis.set_major_formatter(lambda x, _: ticked(x))


def draw_years(axes: Axes, cell: Cell) -> None:
    """Let years be whole along an axis, and leave them out where there are none."""
    from matplotlib.ticker import MaxNLocator

    edges = edges_of(cell)
    axes.set_xlim(edges[0], edges[-1])
    axes.spines["top"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if not cell.years:
        axes.set_xticks([])


def draw_lines(axes: Axes, cell: Cell, group: int, marks: Marks) -> None:
    """Draw the first and the total share of one group over the years, with their limits."""
    edges = edges_of(cell)
    for share, look, name in ((cell.total, "--", "total"), (cell.first, "-", "first")):
        color = marks.colors[group]
        low, best, high = (np.where(cell.known, x[group], np.nan) for x in _ends(share))
        axes.stairs(high, edges, baseline=low, fill=True, color=color, alpha=0.25, lw=0)
        axes.stairs(best, edges, baseline=None, color=color, ls=look, lw=1.5, label=f"{name}, 95 %")
    axes.axhline(0, color="black", lw=0.8)
    _draw_unknown(axes, cell, edges)
    _draw_quiet(axes, cell, edges)
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
    axes.set_ylabel("share of variance")


def _ends(share: Share) -> tuple[Floats, Floats, Floats]:
    return share.low, share.best, share.high


def _draw_quiet(axes: Axes, cell: Cell, edges: Floats) -> None:
    """Grey out the years that hardly vary."""
    label: str | None = "sd below 1 % of the mean"
    for first, last in _runs(cell.quiet):
        axes.axvspan(edges[first], edges[last], label=label, **_QUIET)
        label = None


def _draw_unknown(axes: Axes, cell: Cell, edges: Floats) -> None:
    label: str | None = "no shares"
    for first, last in _runs(~cell.known):
        axes.axvspan(edges[first], edges[last], label=label, **_UNKNOWN)
        label = None


def _runs(marked: Array) -> Iterator[tuple[int, int]]:
    """Yield where each run of what is marked begins and ends."""
    steps = np.flatnonzero(np.diff(np.concatenate([[False], marked, [False]]).astype(np.int8)))
    yield from zip(steps[::2].tolist(), steps[1::2].tolist(), strict=True)
