"""By what a group of inputs is known in every picture of a study: its color and its short name."""

from __future__ import annotations

import itertools
import math
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ndmc.legible import legible
from ndmc.studies.explained import titles_of
from ndmc.views.share_cells import headline_of, labels_of, largest, total_or_own

if TYPE_CHECKING:
    import xarray as xr

    from ndmc.typing import Floats

#: Tol's scheme of twelve, which those who confuse colors tell apart, the clearest first.
_COLORS = (
    *("#332288", "#88ccee", "#cc6677", "#ddcc77", "#117733", "#882255"),
    *("#44aa99", "#999933", "#aa4499", "#6699cc", "#661100", "#aa4466"),
)

#: Of groups beyond these; neighbours are told apart.
_GREYS = ("#6e6e6e", "#a0a0a0", "#878787")

#: Columns of a name, more where that would make two names one.
_COLUMNS = 30


@dataclass(frozen=True)
class Marks:
    """The color and the short name of each group, in the order of the study."""

    colors: tuple[str, ...]
    names: tuple[str, ...]

    def row(self, group: int) -> str:
        """Return the name of a group where it ends at a line."""
        return blanks(self.names[group]) + self.names[group]


def marks_of(dataset: xr.Dataset) -> Marks:
    """Return what groups look like, which is the same for whatever output is drawn."""
    groups = labels_of(dataset, "group")
    ranked = _ranked(dataset)
    grey = itertools.cycle(_GREYS)
    colors = {n: color for n, color in itertools.zip_longest(ranked, _COLORS) if n is not None}
    return Marks(
        colors=tuple(colors[n] or next(grey) for n in range(len(groups))),
        names=tuple(short_names(groups)),
    )


def _ranked(dataset: xr.Dataset) -> list[int]:
    """Return groups by what they do to the headline, then those that only do something else."""
    headline = [total_or_own(dataset, name) for name in headline_of(dataset)]
    first, every = _mean_total(dataset, headline), _mean_total(dataset, titles_of(dataset))
    ranked = [n for n in largest(first, len(first)) if first[n] > 0]
    return ranked + [n for n in largest(every, len(every)) if n not in ranked]


def _mean_total(dataset: xr.Dataset, titles: Iterable[str]) -> Floats:
    """Return what each group has in total, over all cells of outputs that count alike."""
    shares = (dataset[f"{title}_total_order"].transpose("group", ...).values for title in titles)
    means = [np.nan_to_num(one).reshape(len(one), -1).mean(axis=1) for one in shares]
    return np.asarray(np.sum(means, axis=0))


def short_names(names: Sequence[str]) -> list[str]:
    """Return names, of long ones without what is in the middle; what differs still does.

    Examples
    --------
    >>> short_names(["content[product=mobile phones and tablets]", "scale"])
    ['content[product…s and tablets]', 'scale']
    """
    shown = [legible(name) for name in names]
    columns = dict.fromkeys(shown, _COLUMNS)
    while True:
        short = {name: _short(name, columns[name]) for name in columns}
        times = Counter(short.values())
        if max(times.values(), default=1) == 1:
            return [short[name] for name in shown]
        columns = {name: n + 10 * (times[short[name]] > 1) for name, n in columns.items()}


def blanks(name: str) -> str:
    """Return the room that wide letters take in a viewer, beyond what a font without them gives."""
    return math.ceil(1.3 * (columns_of(name) - len(name))) * " "


def _short(name: str, columns: int) -> str:
    """Return a name within some columns, of which a wide letter fills two."""
    if columns_of(name) <= columns:
        return name
    half = columns // 2
    head, tail = name[:half], name[-(half - 1) :]
    while columns_of(head) > half:
        head = head[:-1]
    while columns_of(tail) > half - 1:
        tail = tail[1:]
    return f"{head.rstrip()}…{tail.lstrip()}"


def columns_of(name: str) -> int:
    """Return how wide a name is."""
    return sum(1 + (unicodedata.east_asian_width(letter) in "WF") for letter in name)
