"""Slow twins of the kernels: each equation said plainly in Python, NumPy or SciPy."""

import bisect
import struct

import numpy as np
from scipy import special, stats

_MASK = 0xFFFFFFFF


def philox(counter, key):
    """Return the Philox4x32-10 block of four counter words and two key words."""
    c, k = [int(word) for word in counter], [int(word) for word in key]
    for _ in range(10):
        high0, low0 = divmod(0xD2511F53 * c[0], 2**32)
        high1, low1 = divmod(0xCD9E8D57 * c[2], 2**32)
        c = [high1 ^ c[1] ^ k[0], low1, high0 ^ c[3] ^ k[1], low0]
        k = [(k[0] + 0x9E3779B9) & _MASK, (k[1] + 0xBB67AE85) & _MASK]
    return c


def uniform_draw(seed, stream, draw):
    """Return one uniform of (seed, stream, draw)."""
    seed, stream, block = int(seed), int(stream), draw // 2
    counter = [block & _MASK, block >> 32, stream & _MASK, stream >> 32]
    words = philox(counter, [seed & _MASK, seed >> 32])
    low, high = words[:2] if draw % 2 == 0 else words[2:]
    return (((low | high << 32) >> 12) + 0.5) * 2.0**-52


def uniforms(seed, streams, first, width):
    """Return uniforms [stream, draw]."""
    return np.array([[uniform_draw(seed, s, first + i) for i in range(width)] for s in streams])


def normals(seed, streams, first, width):
    """Return standard normal scores [stream, draw]."""
    return special.ndtri(uniforms(seed, streams, first, width))


def cdf(scores):
    """Return standard normal probabilities."""
    return stats.norm.cdf(scores)


def normal(z, mu, sigma):
    """Return normal quantiles of scores."""
    return stats.norm.ppf(stats.norm.cdf(z), mu, sigma)


def lognormal(z, mu, sigma):
    """Return lognormal quantiles of scores."""
    return np.exp(mu + sigma * z)


def truncated_normal(u, mu, sigma, low, high):
    """Return quantiles of a normal between its probabilities low and high."""
    return mu + sigma * stats.norm.ppf(low + u * (high - low))


def uniform(u, low, high):
    """Return uniform quantiles."""
    return stats.uniform.ppf(u, low, high - low)


def triangular(u, low, mode, high):
    """Return triangular quantiles."""
    return stats.triang.ppf(u, (mode - low) / (high - low), low, high - low)


def discrete(u, cumulative, values):
    """Return the value of the first cumulative probability that reaches each uniform."""
    return np.array([values[bisect.bisect_left(cumulative, one)] for one in u])


def weibull(scale, shape, ages, weights):
    """Return weighted Weibull survival [cell, age, draw] at ages [age, node]."""
    scale, shape = scale[:, None, None, :], shape[:, None, None, :]
    survival = stats.weibull_min.sf(ages[None, :, :, None], shape, scale=scale)
    return (weights[None, :, :, None] * survival).sum(axis=2)


def weibull_integer_density(scale, shape, ages):
    """Return 1 minus the summed Weibull densities at ages 1 to k, [cell, k, draw]."""
    k = np.arange(1, ages)[None, :, None]
    density = stats.weibull_min.pdf(k, shape[:, None, :], scale=scale[:, None, :])
    return 1.0 - np.concatenate([0.0 * density[:, :1], np.cumsum(density, axis=1)], axis=1)


def leaving(survival):
    """Return the share of a cohort that leaves at each age."""
    shares = np.empty_like(survival)
    for age in range(survival.shape[1]):
        shares[:, age] = (survival[:, age - 1] if age else 1.0) - survival[:, age]
    return shares


def convolve(inflow, share):
    """Return the summed shares of all earlier inflows [cell, year, draw], cohort by cohort."""
    out = np.zeros_like(inflow)
    for year in range(inflow.shape[1]):
        for born in range(year + 1):
            out[:, year] += inflow[:, born] * share[:, year - born]
    return out


def cohort(inflow, survival):
    """Return stock and outflow [cell, year, draw]."""
    return convolve(inflow, survival), convolve(inflow, leaving(survival))


def accumulate(source, target_of, sign, out):
    """Return out plus the signed rows of source at their targets."""
    out = out.copy()
    np.add.at(out, target_of, sign * source)
    return out


def transfer(total, total_of, share, share_of):
    """Return each row's share of its total."""
    return total[total_of] * share[share_of]


def ordered_key(value):
    """Return the integer that sorts as the double does."""
    (pattern,) = struct.unpack("<Q", struct.pack("<d", value))
    return pattern ^ 0xFFFFFFFFFFFFFFFF if pattern >> 63 else pattern | 1 << 63


def tally(values, shift, prefixes):
    """Return the counts [prefix, digit] of the keys that begin with a prefix."""
    counts = np.zeros((len(prefixes), 65536), dtype=np.int64)
    for key in map(ordered_key, values):
        for row, prefix in enumerate(prefixes):
            counts[row, key >> shift & 0xFFFF] += key >> (shift + 16) == prefix
    return counts
