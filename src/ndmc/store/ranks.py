"""Order statistics: which ranks a percentile and its confidence limits are."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "CONFIDENCE",
    "DEFAULT_QUANTILES",
    "between",
    "confidence_ranks",
    "held_ranks",
    "quantile_of_sorted",
    "wanted_ranks",
]


def wanted_ranks(draws: int, quantile: float, confidence: float) -> list[int]:
    """Return the ranks from 1 that a percentile and its limits need.

    A limit for which there are too few draws has a rank of 0 or above the number of draws.
    """
    index = math.floor(quantile * (draws - 1))
    above = index + 1 + (quantile * (draws - 1) > index)
    return [index + 1, min(above, draws), *confidence_ranks(draws, quantile, confidence)]


DEFAULT_QUANTILES = (0.025, 0.5, 0.975)

CONFIDENCE = 0.95

# Up to here confidence ranks are found by adding up a binomial distribution, in 2 ms.
_SUMMED = 2**24


def quantile_of_sorted(values: npt.NDArray[Any], quantile: float) -> float:
    """Return a quantile of sorted values, as ``numpy.quantile`` does (linear, type 7).

    Examples
    --------
    >>> quantile_of_sorted(np.array([1.0, 2.0, 4.0]), 0.75)
    3.0
    """
    index = quantile * (len(values) - 1)
    below = math.floor(index)
    above = min(below + 1, len(values) - 1)
    return between(float(values[below]), float(values[above]), index - below)


def between(low: float, high: float, weight: float) -> float:
    """Interpolate with the rounding of numpy, which works from the nearer end.

    Towards infinity the result is infinite, where numpy may say nan.

    Examples
    --------
    >>> between(1.0, 2.0, 0.25)
    1.25
    """
    if weight == 0 or low == high:
        return low
    if math.isinf(high):  # beyond the last draw in which an event happens it never does
        return high
    step = high - low
    return low + step * weight if weight < 0.5 else high - step * (1 - weight)


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
    if count > _SUMMED:
        return _large_binomial_quantile(probability, count, quantile)
    # Added up from 12 standard deviations below the mean, where 1e-30 is left: scipy.special, which
    # would say it too, takes 0.25 s to import.
    reach = 12 * math.sqrt(count * quantile * (1 - quantile)) + 40
    first = max(math.floor(count * quantile - reach), 0)
    above = np.arange(first + 1.0, min(math.ceil(count * quantile + reach), count) + 1)
    logs = np.log((count + 1 - above) / above * (quantile / (1 - quantile))).cumsum()
    logs = np.concatenate(([0.0], logs))
    shares = np.exp(logs - logs.max()).cumsum()
    return first + int(np.searchsorted(shares, probability * shares[-1]))


def _large_binomial_quantile(probability: float, count: int, quantile: float) -> int:
    from scipy.special import bdtr, bdtrik

    found = max(math.ceil(bdtrik(probability, count, quantile)), 0)
    # bdtrik inverts a continuous extension, which can round up one too far.
    lower = max(found - 1, 0)
    return lower if bdtr(lower, count, quantile) >= probability else found


def held_ranks(count: int, quantile: float) -> list[int]:
    """Return the 1-based ranks a percentile and its limits need."""
    index = math.floor(quantile * (count - 1))
    wanted = (index + 1, min(index + 2, count), *confidence_ranks(count, quantile))
    return [rank for rank in wanted if 1 <= rank <= count]
