"""From sums of squares to shares of the variance, with limits.

Draws a and b are neighbours, c and d the same two with the streams of a group exchanged. The sums
of P = 2 (a - c)(d - b), I = ((a - c) - (d - b))^2 and D = (a - b)^2 + (c - d)^2 have the
expectations 4 V S, 4 V (T - S) and 4 V a pair: S = sum P / sum D is the share that goes away if the
group were known, T = S + sum I / sum D what is left if all others were. No mean is subtracted, and
I is a square: S <= T in every sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from ndmc.typing import Floats, Integers

__all__ = [
    "DIFFERENCE",
    "LOST",
    "PRODUCT",
    "Flag",
    "Limited",
    "Ratios",
    "Shares",
    "limited",
    "pooled",
    "ratios",
    "shares",
    "ties",
]

Mask = npt.NDArray[np.bool_]

#: The columns of sums [..., batch, column]: of P, I and D, and the pairs that are in none of them.
PRODUCT, INTERACTION, DIFFERENCE, LOST = range(4)

#: Limits leave out as much on either side as those of percentiles.
_LEVEL = 0.975

#: Pairs of which one number is not finite: more of them are said, and still more are too many.
_SAID, _TOO_MANY = 0.001, 0.05

#: Below this share of the mean a standard deviation is rounding.
_ROUNDING = 1e-12

#: One of 32 batches holds 3 % of sum D if no draw stands out. One of fewer holds more: where four
#: times its due is above this share, it may hold that; and of the fewest nothing can be told.
_STANDS_OUT, _TIMES, _FEWEST = 0.2, 4, 8


class Flag(IntEnum):
    """What is to be known of a share before it is believed."""

    OK = 0
    STRUCTURAL_ZERO = 1
    CONSTANT = 2
    LOST_PAIRS = 3
    NEVER = 4
    UNSETTLED = 5


@dataclass(frozen=True)
class Ratios:
    """Ratios of sums [...], and the same without one batch [..., batch]; nan without a batch."""

    value: Floats
    without: Floats

    def __add__(self, other: Ratios) -> Ratios:
        return Ratios(self.value + other.value, self.without + other.without)

    def __sub__(self, other: Ratios) -> Ratios:
        return Ratios(self.value - other.value, self.without - other.without)

    @property
    def batches(self) -> Integers:
        """Of how many batches each is made."""
        return np.asarray(np.count_nonzero(np.isfinite(self.without), axis=-1))

    @property
    def error(self) -> Floats:
        """The standard error, by the jackknife; nan of fewer than two batches."""
        count, used = self.batches, np.isfinite(self.without)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.sum(self.without, axis=-1, where=used) / count
            off = np.square(self.without - mean[..., np.newaxis])
            found: Floats = np.sqrt((count - 1) / count * np.sum(off, axis=-1, where=used))
        return np.where(count > 1, found, np.nan)


@dataclass(frozen=True)
class Limited:
    """Shares, and the limits that hold 95 % of them."""

    value: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class Shares:
    """What the variance of each cell is shared out to."""

    first: Limited
    total: Limited
    interaction: Limited
    flags: npt.NDArray[np.int8]


def ratios(sums: Floats, pairs: Integers) -> tuple[Ratios, Ratios]:
    """Return the ratios S and T - S of sums [..., batch, column].

    Parameters
    ----------
    sums
        Of P, I and D, and how many pairs are in none of them.
    pairs
        How many there are, by batch.

    Examples
    --------
    >>> sums = np.full((1, 32, 4), [3.0, 0.5, 4.0, 0.0])
    >>> first, interaction = ratios(sums, np.full(32, 64))
    >>> first.value, interaction.value, first.error
    (array([0.75]), array([0.125]), array([0.]))
    """
    used = pairs > sums[..., LOST]
    whole = np.sum(sums, axis=-2)
    # P and D of a sole cause have the same bits, and keep them: they are added in one order.
    without = whole[..., np.newaxis, :] - sums
    return (
        _ratios(whole, without, PRODUCT, used),
        _ratios(whole, without, INTERACTION, used),
    )


def _ratios(whole: Floats, without: Floats, of: int, used: Mask) -> Ratios:
    with np.errstate(invalid="ignore", divide="ignore"):
        value = whole[..., of] / whole[..., DIFFERENCE]
        left = without[..., of] / without[..., DIFFERENCE]
    positive = whole[..., DIFFERENCE] > 0
    fine = used & (without[..., DIFFERENCE] > 0) & positive[..., np.newaxis]
    return Ratios(np.where(positive, value, np.nan), np.where(fine, left, np.nan))


def limited(found: Ratios) -> Limited:
    """Return ratios with their 95 % limits, by the law of t; they are nan of fewer than 2 batches.

    Of 32 batches the limits are 2.04 standard errors away. Nothing is clipped: a share whose
    estimate is below zero is shown so.
    """
    from scipy.special import stdtrit

    half = stdtrit(np.maximum(found.batches - 1, 1), _LEVEL) * found.error
    return Limited(found.value, found.value - half, found.value + half)


def shares(
    sums: Floats,
    pairs: Integers,
    mean: Floats,
    linked: Mask | bool = True,
) -> Shares:
    """Return the shares of sums [..., batch, column], and what is to be known of them.

    Parameters
    ----------
    sums, pairs
        As of `ratios`.
    mean
        Of the draws, [...], in the unit of the sums.
    linked
        Whether the group reaches the cell: of others P and I are zero, and D is that of the cell.

    Examples
    --------
    >>> sums = np.full((32, 4), [3.0, 0.5, 4.0, 0.0])
    >>> found = shares(sums, np.full(32, 64), np.array(1.0))
    >>> float(found.first.value), float(found.total.value), Flag(int(found.flags))
    (0.75, 0.875, <Flag.OK: 0>)
    """
    first, more = ratios(sums, pairs)
    flags, nothing = _flags(sums, pairs, mean, linked)
    one, other = (Ratios(np.where(nothing, np.nan, r.value), r.without) for r in (first, more))
    return Shares(limited(one), limited(one + other), limited(other), flags)


def _flags(
    sums: Floats,
    pairs: Integers,
    mean: Floats,
    linked: Mask | bool,
) -> tuple[npt.NDArray[np.int8], Mask]:
    """Return the flags [...], and where there is no share."""
    whole, count = np.sum(sums, axis=-2), np.sum(pairs)
    lost, squares = whole[..., LOST] / count, whole[..., DIFFERENCE]
    sd = np.sqrt(np.maximum(squares, 0.0) / (4 * count))  # D is 4 V a pair
    never, too_many = np.isinf(mean), lost > _TOO_MANY
    with np.errstate(invalid="ignore"):
        constant = (squares == 0) | (sd < _ROUNDING * np.abs(mean))
    cases = {
        Flag.NEVER: never,
        Flag.CONSTANT: constant & ~too_many,
        Flag.LOST_PAIRS: lost > _SAID,
        Flag.STRUCTURAL_ZERO: ~np.broadcast_to(linked, squares.shape),
        Flag.UNSETTLED: _unsettled(sums, whole, pairs),
    }
    flags = np.select([*cases.values()], [int(flag) for flag in cases], int(Flag.OK))
    return flags.astype(np.int8), never | too_many | constant


def _unsettled(sums: Floats, whole: Floats, pairs: Integers) -> Mask:
    """Whether one batch holds so much of sum D that limits are too short, or there are few."""
    batches = np.count_nonzero(pairs > sums[..., LOST], axis=-1)
    most = np.maximum(_STANDS_OUT, _TIMES / np.maximum(batches, 1))
    largest = np.max(sums[..., DIFFERENCE], axis=-1)
    return np.asarray((batches < _FEWEST) | (largest > most * whole[..., DIFFERENCE]))


def pooled(sums: Floats, weights: Floats, axes: tuple[int, ...]) -> Floats:
    """Return sums over cells [..., batch, column]: their ratios are shares of all variances.

    Parameters
    ----------
    sums, weights
        Of the cells, [..., batch, column] and [...]; a weight is 1, or one over the mean squared.
        A nan makes nan of the whole.
    axes
        Those of the cells. Pairs that are lost in one of them are not lost in all: none are.
    """
    found: Floats = np.sum(sums * weights[..., np.newaxis, np.newaxis], axis=axes)
    found[..., LOST] = 0.0
    return found


def ties(found: Ratios) -> Mask:
    """Return which ratios [group, ...] cannot be told from the next larger one of their cell.

    They are compared batch by batch: what is common to both does not count, as it does where limits
    overlap.

    Examples
    --------
    >>> value = np.array([0.2, 0.4, 0.399])
    >>> without = value[:, np.newaxis] + 1e-4 * np.cos(np.outer([1, 2, 3], np.arange(32)))
    >>> ties(Ratios(value, without)).tolist()
    [False, False, True]
    """
    from scipy.special import stdtrit

    order = np.argsort(-found.value, axis=0, kind="stable")
    value = np.take_along_axis(found.value, order, axis=0)
    without = np.take_along_axis(found.without, order[..., np.newaxis], axis=0)
    apart = Ratios(value[:-1], without[:-1]) - Ratios(value[1:], without[1:])
    close = apart.value <= stdtrit(np.maximum(apart.batches - 1, 1), _LEVEL) * apart.error
    tied = np.zeros(value.shape, bool)
    np.put_along_axis(tied, order[1:], close, axis=0)
    return tied
