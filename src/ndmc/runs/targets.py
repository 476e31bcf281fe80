"""How well percentiles are known, and when that is well enough."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np

from ndmc.dims import Dims
from ndmc.errors import InputError, nearest
from ndmc.label import LabelError
from ndmc.store.brackets import Series
from ndmc.store.merged import Rows
from ndmc.store.widths import width

#: Draws of the first look; each look has twice as many.
FIRST_LOOK = 2**13

#: All looks together are wrong in at most so many cases.
_ERROR = 0.05

_TARGET = re.compile(
    r"\s*(?P<name>\w+)\s*(@\s*(?P<labels>.+?))?\s+p\s*(?P<percent>[\d.]+)\s*%?"
    r"\s+within\s+(?P<tolerance>[\d.eE+-]+)\s*%\s*"
)


@dataclass(frozen=True)
class Target:
    """A percentile of some cells that is to be known to a tolerance.

    The tolerance is a share of the percentile or of the median, whichever is larger: near zero a
    share of the percentile alone could never be reached.
    """

    text: str
    name: str
    labels: str
    quantile: float
    tolerance: float


def parse_target(text: str) -> Target:
    """Read a target such as ``in_use@2021 p97.5 within 0.5 %``.

    Raises
    ------
    InputError
        If it is not written like that.

    Examples
    --------
    >>> parse_target("in_use@2021,car p97.5 within 0.5 %").labels
    '2021,car'
    """
    found = _TARGET.fullmatch(text)
    try:
        if not found:
            raise ValueError
        percent, tolerance = Decimal(found["percent"]), float(found["tolerance"])
    except (ValueError, InvalidOperation):
        example = "in_use@2021 p97.5 within 0.5 %"
        raise InputError(f"cannot read {text!r}; write it like {example!r}", "--until") from None
    if not 0 < percent < 100:
        raise InputError(f"{percent} % is not between 0 and 100 %", "--until")
    if not 0 < tolerance < float("inf"):
        raise InputError(f"a tolerance of {tolerance:g} % cannot be reached", "--until")
    labels = found["labels"] or ""
    return Target(text.strip(), found["name"], labels, float(percent / 100), tolerance / 100)


def looks(most: int) -> list[int]:
    """Return the numbers of draws after which a run is looked at, doubling.

    Examples
    --------
    >>> looks(40_000)
    [8192, 16384, 32768, 40000]
    """
    found = []
    draws = FIRST_LOOK
    while draws < most:
        found.append(draws)
        draws *= 2
    return [*found, most]


def confidence(number: int) -> float:
    """Return the confidence of each of so many looks, such that all together have 95 %."""
    return 1 - _ERROR / number


def rows_wanted(target: Target, series: Sequence[Series], dims: Dims) -> tuple[int, list[int]]:
    """Return the sheet and the rows of a target.

    Raises
    ------
    InputError
        For a name or a label that is not there.
    """
    one = next((s for s in series if s.title == target.name), None)
    if one is None:
        suggestion = nearest(target.name, [s.title for s in series])
        raise InputError(f"no percentiles of {target.name!r} are computed; {suggestion}", "--until")
    chosen = _chosen(target, one.view.kept, dims)
    cells = one.numbers.reshape(one.view.shape)
    return one.sheet, cells[np.ix_(*chosen)].reshape(-1).tolist()


def _chosen(target: Target, kept: Sequence[str], dims: Dims) -> list[tuple[int, ...]]:
    """Return where the labels of a target stand along some dims."""
    known = dims.known_by(kept)
    try:
        labels = dims.read(target.labels, known)
        for dim in labels:
            if dim not in known:
                raise LabelError(f"it has no dim {dim!r}; {nearest(dim, known)}")
        picked = dims.picked(dims.ungrouped(labels, kept))
        return [dims.along(dim, picked) for dim in kept]
    except LabelError as wrong:
        raise InputError(f"{target.name!r}: {wrong}", "--until") from None


def achieved(target: Target, own: Rows, rows: Sequence[int], quantiles: Sequence[float]) -> float:
    """Return the worst half-width of a target's cells."""
    at, middle = quantiles.index(target.quantile), quantiles.index(0.5)
    parts = (own.values[at], own.low[at], own.high[at], own.values[middle])
    return float(np.max(width(*(part[rows] for part in parts)), initial=0.0))


def told(target: str, tolerance: float, half: float) -> dict[str, Any]:
    """Return what became of a target, as a store has it."""
    return {
        "target": target,
        "tolerance": tolerance,
        "half_width": half if np.isfinite(half) else None,
        "met": half <= tolerance,
    }
