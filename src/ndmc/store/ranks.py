"""Order statistics: which draws a percentile, its limits and its bracket are made of.

Ranks count from 1. A percentile lies between two draws (linear, type 7, as ``numpy.quantile`` has
it); its confidence limits are two others (Woodruff 1952), and so are the edges of a bracket.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ndmc.option import PERCENTS, read_percents
from ndmc.typing import Array, Floats, Integers

__all__ = ["CONFIDENCE", "DEFAULT_QUANTILES", "quantile_of_sorted", "wanted_ranks"]

DEFAULT_QUANTILES = read_percents(PERCENTS, "-q")

CONFIDENCE = 0.95

#: Standard errors of a rank between a percentile and the edges of its bracket: the chance that one
#: bracket misses is 2e-9, and a miss is seen and made good by a second pass.
ERRORS = 6.0

# Up to here confidence ranks are found by adding up a binomial distribution, in 2 ms.
# --- which ranks --------------------------------------------------------------------------------


def wanted_ranks(draws: int, quantile: float, confidence: float = CONFIDENCE) -> list[int]:
    """Return the ranks that a percentile lies between, and those of its limits.

    Examples
    --------
    >>> wanted_ranks(1000, 0.5)
    [500, 501, 469, 532]
    """
    return [*_neighbours(draws, quantile), *confidence_ranks(draws, quantile, confidence)]


def _neighbours(draws: int, quantile: float) -> tuple[int, int]:
    at = quantile * (draws - 1)
    return math.floor(at) + 1, math.ceil(at) + 1


@functools.cache
def confidence_ranks(
    count: int, quantile: float, confidence: float = CONFIDENCE
) -> tuple[int, int]:
    """Return the 1-based ranks between which a quantile lies with 95 % confidence, or another.

    Order statistics (Woodruff 1952): no distribution is assumed. A rank of 0, or above
    ``count``, means there are too few draws for a limit on that side.

    Examples
    --------
    >>> confidence_ranks(1000, 0.5)
    (469, 532)
    """
    tail = (1 - confidence) / 2
    return _binomial_quantile(tail, count, quantile), _binomial_quantile(
        1 - tail, count, quantile
    ) + 1


def _binomial_quantile(probability: float, count: int, quantile: float) -> int:
    """Return the least number of successes that is not exceeded with a probability."""
    if quantile in (0.0, 1.0):
        return int(count * quantile)
    from scipy.special import bdtr, bdtrik

    found = max(math.ceil(bdtrik(probability, count, quantile)), 0)
    # bdtrik inverts a continuous extension, which can round up one too far.
    lower = max(found - 1, 0)
    return lower if bdtr(lower, count, quantile) >= probability else found


def bracket_ranks(draws: int, low: float, high: float) -> tuple[int, int]:
    """Return the ranks among some draws that lie six standard errors beyond two shares.

    They are the edges of a bracket for other draws, or for all that these are a sample of. Beyond
    the first and the last draw there is no edge.

    Examples
    --------
    >>> bracket_ranks(10_000, 0.5, 0.5)
    (4700, 5301)
    """
    below, above = (ERRORS * math.sqrt(share * (1 - share) / draws) for share in (low, high))
    return math.floor(draws * (low - below)), math.ceil(draws * (high + above)) + 1


# --- what they say ------------------------------------------------------------------------------


def quantile_of_sorted(values: npt.NDArray[Any], quantile: float) -> float:
    """Return a quantile of sorted values.

    Examples
    --------
    >>> quantile_of_sorted(np.array([1.0, 2.0, 4.0]), 0.75)
    3.0
    """
    below, above = _neighbours(len(values), quantile)
    return _at(len(values), quantile, float(values[below - 1]), float(values[above - 1]))


def _at(draws: int, quantile: float, below: float, above: float) -> float:
    return _between(below, above, quantile * (draws - 1) % 1.0)


def _between(low: float, high: float, weight: float) -> float:
    """Interpolate with the rounding of numpy, which works from the nearer end.

    Towards infinity the result is infinite, where numpy may say nan.

    Examples
    --------
    >>> _between(1.0, 2.0, 0.25)
    1.25
    """
    if weight == 0 or low == high:
        return low
    if math.isinf(high):  # beyond the last draw in which an event happens it never does
        return high
    step = high - low
    return low + step * weight if weight < 0.5 else high - step * (1 - weight)


def percentiles_of_ranked(draws: int, quantiles: Sequence[float], statistics: Floats) -> Floats:
    """Return percentiles and their limits [3, quantile, row] from [row, quantile, wanted rank]."""
    below, above, low, high = statistics.transpose(2, 1, 0)
    found = [
        [_at(draws, quantile, a, b) for a, b in zip(one, other, strict=True)]
        for quantile, one, other in zip(quantiles, below.tolist(), above.tolist(), strict=True)
    ]
    return np.array([found, low, high])


def ranked(values: npt.NDArray[Any], ranks: Integers) -> Floats:
    """Return the draws of some ranks of sorted draws, infinite where these are too few."""
    found = values[np.clip(ranks, 1, len(values)) - 1].astype(np.float64)
    return where_too_few(len(values), ranks, found)


def where_too_few(draws: int, ranks: Integers, statistics: Floats) -> Floats:
    """Return order statistics with the limits infinite for which there are too few draws."""
    return np.where(ranks < 1, -np.inf, np.where(ranks > draws, np.inf, statistics))


def order_statistics(
    ranks: Integers, counts: Integers, edges: Array, values: Array, starts: Integers
) -> Floats:
    """Return the draws of some ranks, [row, quantile, rank]; nan outside the brackets.

    Parameters
    ----------
    ranks
        [quantile, rank].
    counts
        Draws below, at the low edge, inside and at the high edge of brackets, [row, bracket, 4].
    edges
        Of the brackets, [row, bracket, 2].
    values, starts
        Draws inside, sorted within each row and bracket, and where those of each begin.
    """
    below, at_low, within, at_high = np.moveaxis(counts[:, :, np.newaxis], -1, 0)
    first = below + at_low
    at = starts[:, :, np.newaxis] + ranks - first - 1
    low, high = np.moveaxis(edges[:, :, np.newaxis].astype(np.float64), -1, 0)
    inside = (values if len(values) else np.zeros(1))[np.clip(at, 0, max(len(values) - 1, 0))]
    found = np.where(ranks <= first + within, inside, high)
    found = np.where(ranks <= first, low, found)
    known = (ranks > below) & (ranks <= first + within + at_high)
    return np.where(known, found, np.nan)


def starts_of(sizes: Integers) -> Integers:
    """Return where each of consecutive runs of such sizes begins."""
    flat = sizes.reshape(-1)
    return (np.cumsum(flat) - flat).reshape(sizes.shape)
