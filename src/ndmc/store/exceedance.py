"""How often outputs are above limits, as a run has counted it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ndmc.label import Labels
from ndmc.store.ranks import CONFIDENCE
from ndmc.store.store import Store
from ndmc.store.view import View, cells_along, series_title, unit_of, view
from ndmc.typing import Floats

__all__ = ["Exceeded", "exceedance", "exceeded", "limits_of"]


class Exceeded(NamedTuple):
    """The share of draws in which a cell of an output is above a limit.

    ``low`` and ``high`` are its 95 % limits (Clopper and Pearson 1934).
    """

    output: str
    limit: float
    unit: str
    cell: str
    share: float
    low: float
    high: float


def exceeded_in(store: Store, select: Labels) -> list[Exceeded]:
    """Return how often each output with limits is above them, in the cells that are picked."""
    found: list[Exceeded] = []
    for title in dict.fromkeys(name for name, _ in store.spec.exceed):
        dims = store.dims.named(view(store, title).dims)
        own = {dim: labels for dim, labels in select.items() if dim in dims}
        found += exceeded(store, view(store, title, own))
    return found


def exceeded(store: Store, chosen: View) -> Iterator[Exceeded]:
    """Yield how often each cell of a view is above each limit that the run was given for it."""
    limits, shares = exceedance(store, chosen)
    if not limits:
        return
    lows, highs = limits_of(shares, store.spec.draws)
    title, unit = series_title(store, chosen), unit_of(store, chosen)
    along = (cells_along(store, chosen, dim) for dim in chosen.kept)
    cells = [
        ", ".join(str(label) for named in cell for label in named.values())
        for cell in itertools.product(*along)
    ]
    for n, limit in enumerate(limits):
        parts = (part[n].reshape(-1).tolist() for part in (shares, lows, highs))
        for cell, *share in zip(cells, *parts, strict=True):
            yield Exceeded(title, limit, unit, cell, *share)


def exceedance(store: Store, chosen: View) -> tuple[list[float], Floats]:
    """Return the limits of a view, and the share of draws above each, [limit, dims...]."""
    title = series_title(store, chosen)
    limits = [limit for name, limit in store.spec.exceed if name == title]
    if not limits:
        return [], np.empty((0, *chosen.shape))
    shares = store.percentile(title, "exceedance")
    return limits, shares[np.ix_(range(len(limits)), *chosen.places)]


def limits_of(shares: Floats, draws: int) -> tuple[Floats, Floats]:
    """Return the exact confidence limits of shares of draws.

    Examples
    --------
    >>> low, high = limits_of(np.array([0.0, 0.5]), 100)
    >>> low.round(2).tolist(), high.round(2).tolist()
    ([0.0, 0.4], [0.04, 0.6])
    """
    from scipy.special import betaincinv

    tail, count = (1 - CONFIDENCE) / 2, np.rint(shares * draws)
    low = betaincinv(np.maximum(count, 1), draws - count + 1, tail)
    high = betaincinv(count + 1, np.maximum(draws - count, 1), 1 - tail)
    return np.where(count == 0, 0.0, low), np.where(count == draws, 1.0, high)
