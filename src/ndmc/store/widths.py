"""How well the percentiles of a store are known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ndmc.label import quoted
from ndmc.store.store import Store
from ndmc.typing import Floats

__all__ = ["width"]


class Known(NamedTuple):
    """The percentile of an output that is known worst.

    ``half_width`` is that of its 95 % limits, as a share of the percentile or of the median,
    whichever is larger.
    """

    output: str
    quantile: float
    half_width: float
    cell: str


def width(values: Floats, low: Floats, high: Floats, median: Floats) -> Floats:
    """Return the half-widths of confidence limits, as shares of percentile or median.

    What is infinite and known to be so has none.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        off = np.maximum(high - values, values - low)
        off = np.where((low == high) | (low == values) & (high == values), 0.0, off)
        size = np.maximum(np.abs(values), np.where(np.isfinite(median), np.abs(median), 0.0))
        found = np.where(off == 0, 0.0, off / size)
    return np.where(np.isnan(found), np.inf, found)


def widths(store: Store) -> Iterator[Known]:
    """Yield for each output the percentile that is known worst.

    Half-widths are of the 95 % limits stored beside the percentiles.
    """
    quantiles = store.spec.quantiles
    for name in store.spec.percentiles:
        values, low, high = (store.percentile(name, part) for part in ("values", "low", "high"))
        middle = values[quantiles.index(0.5)] if 0.5 in quantiles else values
        found = width(values, low, high, middle)
        worst = np.unravel_index(int(np.argmax(found)), found.shape)
        dims = store.computed[name].dims
        cell = [store.dims.labels[d][n] for d, n in zip(dims, worst[1:], strict=True)]
        yield Known(name, quantiles[worst[0]], float(found[worst]), ", ".join(map(quoted, cell)))
