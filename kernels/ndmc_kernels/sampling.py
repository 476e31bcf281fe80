"""Draws that depend on seed, stream and draw number alone, and the marginals made from them.

A uniform is one half of a Philox4x32-10 block (Salmon et al. 2011): key = seed, counter =
(draw // 2, stream), all as low and high 32-bit words. Even draws take words 0 and 1 of the block,
odd draws words 2 and 3. Marginals may read and write rows of one array, but not the same row.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ndmc_kernels._jit import double, inline, kernel
from ndmc_kernels.elementary import (
    central_quantile,
    exp,
    is_central,
    normal_cdf,
    tail_quantile,
)

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Words = NDArray[np.uint64]
Word = np.uint64 | np.uint32
Block = tuple[np.uint64, np.uint64, np.uint64, np.uint64]

# Multipliers and key increments, in 64-bit words so that products keep their high half.
_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
_DROP, _ONE_BITS = np.uint64(12), np.uint64(0x3FF0000000000000)
_BELOW_ONE = 1.0 - 2.0**-53

FURTHEST = 8.3  # a uniform has 52 bits: no score lies further out

_CHUNK = 2048  # draws scored at once: many enough to fill vectors with tails, few enough for L1
_GROUP = np.uint64(32)  # draws looked at together for tails: one in six groups has any


@inline
def philox(c0: Word, c1: Word, c2: Word, c3: Word, k0: Word, k1: Word) -> Block:
    """Return the four 32-bit words of the Philox4x32-10 block of a counter and a key."""
    # Masking the factors is free, as the vector multiply reads low halves only; masking the
    # products costs 0.1 ns a uniform.
    for _ in range(10):
        p0, p1 = _M0 * (c0 & _LOW), _M1 * (c2 & _LOW)
        c0, c1, c2, c3 = (p1 >> _HALF) ^ (c1 ^ k0), p1, (p0 >> _HALF) ^ (c3 ^ k1), p0
        k0, k1 = k0 + _W0, k1 + _W1
    return c0 & _LOW, c1 & _LOW, c2 & _LOW, c3 & _LOW


@inline
def open_unit(low: np.uint64, high: np.uint64) -> float:
    """Return ((x >> 12) + 0.5) * 2**-52 of x = low | high << 32, strictly inside (0, 1)."""
    x = low | (high << _HALF)
    return double(np.int64((x >> _DROP) | _ONE_BITS)) - _BELOW_ONE


@inline
def fill_uniforms(seed: np.uint64, stream: np.uint64, first: int, row: Floats) -> None:
    """Fill a row with the draws of one stream that start at `first`, an even number."""
    pairs, block = row.shape[0] // 2, np.uint64(first // 2)
    # In two parts, the second one empty but every 2**33 draws: with the upper word of the counter
    # constant, half of the first two rounds is done once a row, 5 % of the time.
    split = min(pairs, int(_LOW - (block & _LOW)) + 1)
    for start, stop in ((0, split), (split, pairs)):
        upper = (block + np.uint64(start)) >> _HALF
        for pair in range(start, stop):
            w0, w1, w2, w3 = philox(
                (block + np.uint64(pair)) & _LOW,
                upper,
                stream & _LOW,
                stream >> _HALF,
                seed & _LOW,
                seed >> _HALF,
            )
            row[2 * pair] = open_unit(w0, w1)
            row[2 * pair + 1] = open_unit(w2, w3)


@kernel("void(u8, u8[::1], i8, f8[:, ::1])")
def uniforms(seed: np.uint64, streams: Words, first: int, out: Floats) -> None:
    """Fill out [stream, draw] with the uniforms of draws first, first + 1, ..."""
    for n in range(out.shape[0]):
        fill_uniforms(seed, streams[n], first, out[n])


@inline
def score(u: Floats, tails: Floats, places: Integers) -> None:
    """Turn uniforms into standard normal scores in place; tails and places are scratch."""
    # The centre for all, in vectors; the few tails gathered before and put back after it.
    count, end = 0, np.uint64(u.shape[0])
    # Unsigned, as a signed index might count from the end, which would be a gather in AVX-512.
    for start in range(np.uint64(0), end, _GROUP):
        stop = min(start + _GROUP, end)
        rare = False
        for draw in range(start, stop):
            rare |= not is_central(u[draw])
        if rare:
            for draw in range(start, stop):
                tails[count], places[count] = u[draw], draw
                count += not is_central(u[draw])
    for draw in range(u.shape[0]):
        u[draw] = central_quantile(u[draw])
    for tail in range(count):
        tails[tail] = tail_quantile(tails[tail])
    for tail in range(count):
        u[places[tail]] = tails[tail]


@kernel("void(u8, u8[::1], i8, f8[:, ::1])")
def normals(seed: np.uint64, streams: Words, first: int, out: Floats) -> None:
    """Fill out [stream, draw] with standard normal scores of draws first, first + 1, ..."""
    width, flat = out.shape[1], out.reshape(-1)
    step = max(_CHUNK // width, 1)
    tails, places = np.empty(step * width), np.empty(step * width, np.int64)
    for start in range(0, out.shape[0], step):
        stop = min(start + step, out.shape[0])
        for n in range(start, stop):
            fill_uniforms(seed, streams[n], first, out[n])
        score(flat[start * width : stop * width], tails, places)


@kernel("void(f8[:, ::1], f8[:, ::1])")
def cdf(scores: Floats, out: Floats) -> None:
    """Turn normal scores [row, draw] back into uniforms."""
    for n in range(out.shape[0]):
        z, u = scores[n], out[n]
        for draw in range(u.shape[0]):
            u[draw] = normal_cdf(z[draw])


_MARGINAL = "void(f8[:, ::1], i8[::1], i8[::1], f8[:, ::1], f8[:, ::1])"


@kernel(_MARGINAL)
def normal(
    source: Floats, source_of: Integers, target_of: Integers, numbers: Floats, out: Floats
) -> None:
    """Scale normal scores [row, draw] by (mu, sigma) [n, 2]."""
    for n in range(source_of.shape[0]):
        z, x = source[source_of[n]], out[target_of[n]]
        mu, sigma = numbers[n, 0], numbers[n, 1]
        for draw in range(x.shape[0]):
            x[draw] = mu + sigma * z[draw]


@kernel(_MARGINAL)
def lognormal(
    source: Floats, source_of: Integers, target_of: Integers, numbers: Floats, out: Floats
) -> None:
    """Scale normal scores [row, draw] by (mu, sigma) [n, 2] of the logarithm, and take exp."""
    for n in range(source_of.shape[0]):
        z, x = source[source_of[n]], out[target_of[n]]
        mu, sigma = numbers[n, 0], numbers[n, 1]
        for draw in range(x.shape[0]):
            x[draw] = exp(mu + sigma * z[draw])


@kernel(_MARGINAL)
def log_series(
    source: Floats, source_of: Integers, target_of: Integers, numbers: Floats, out: Floats
) -> None:
    """Take exp of Chebyshev series [n, term] of normal scores [row, draw] over +-FURTHEST.

    The number of terms is odd. By Clenshaw's rule, two terms at a time: 7 ns for 49 terms.
    """
    t, one, two = np.empty(out.shape[1]), np.empty(out.shape[1]), np.empty(out.shape[1])
    for n in range(source_of.shape[0]):
        z, x = source[source_of[n]], out[target_of[n]]
        for draw in range(x.shape[0]):
            t[draw] = z[draw] * (2.0 / FURTHEST)
            one[draw] = two[draw] = 0.0
        for term in range(numbers.shape[1] - 1, 0, -2):
            even, odd = numbers[n, term], numbers[n, term - 1]
            for draw in range(x.shape[0]):
                two[draw] = t[draw] * one[draw] - two[draw] + even
                one[draw] = t[draw] * two[draw] - one[draw] + odd
        for draw in range(x.shape[0]):
            x[draw] = exp(0.5 * t[draw] * one[draw] - two[draw] + numbers[n, 0])


@kernel(_MARGINAL)
def truncated_normal(
    source: Floats, source_of: Integers, target_of: Integers, numbers: Floats, out: Floats
) -> None:
    """Map uniforms [row, draw] to the part of a normal between two of its probabilities.

    Numbers [n, 4] are mu, sigma, low and high probability. In the upper tail pass -sigma and the
    probabilities of the mirrored normal, which keep their digits.
    """
    tails, places = np.empty(out.shape[1]), np.empty(out.shape[1], np.int64)
    for n in range(source_of.shape[0]):
        u, x = source[source_of[n]], out[target_of[n]]
        mu, sigma, low, high = numbers[n, 0], numbers[n, 1], numbers[n, 2], numbers[n, 3]
        for draw in range(x.shape[0]):
            p = low + u[draw] * (high - low)
            # The sum can round to 1, whose quantile is infinite.
            x[draw] = _BELOW_ONE if p > _BELOW_ONE else p
        score(x, tails, places)
        for draw in range(x.shape[0]):
            x[draw] = mu + sigma * x[draw]


@kernel(_MARGINAL)
def uniform(
    source: Floats, source_of: Integers, target_of: Integers, numbers: Floats, out: Floats
) -> None:
    """Stretch uniforms [row, draw] to (low, high) [n, 2]."""
    for n in range(source_of.shape[0]):
        u, x = source[source_of[n]], out[target_of[n]]
        low, high = numbers[n, 0], numbers[n, 1]
        for draw in range(x.shape[0]):
            x[draw] = low + u[draw] * (high - low)


@kernel(_MARGINAL)
def triangular(
    source: Floats, source_of: Integers, target_of: Integers, numbers: Floats, out: Floats
) -> None:
    """Map uniforms [row, draw] to triangles (low, mode, high) [n, 3]."""
    for n in range(source_of.shape[0]):
        u, x = source[source_of[n]], out[target_of[n]]
        low, mode, high = numbers[n, 0], numbers[n, 1], numbers[n, 2]
        # In two loops, or both roots would be taken of each draw.
        for draw in range(x.shape[0]):
            rising, falling = u[draw] * (high - low), (1.0 - u[draw]) * (high - low)
            up, down = rising * (mode - low), falling * (high - mode)
            x[draw] = up if rising < mode - low else down
        for draw in range(x.shape[0]):
            root = math.sqrt(x[draw])
            x[draw] = low + root if u[draw] * (high - low) < mode - low else high - root


@kernel("void(f8[:, ::1], i8[::1], i8[::1], f8[:, ::1], f8[:, ::1], f8[:, ::1])")
def discrete(
    source: Floats,
    source_of: Integers,
    target_of: Integers,
    cumulative: Floats,
    values: Floats,
    out: Floats,
) -> None:
    """Map uniforms [row, draw] to the first value [n, k] that cumulative [n, k] reaches."""
    for n in range(source_of.shape[0]):
        u, x = source[source_of[n]], out[target_of[n]]
        for draw in range(x.shape[0]):
            x[draw] = values[n, 0]
        for k in range(1, values.shape[1]):
            passed, value = cumulative[n, k - 1], values[n, k]
            for draw in range(x.shape[0]):
                x[draw] = value if u[draw] > passed else x[draw]
