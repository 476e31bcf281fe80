"""Slow twins of the kernels: each equation said plainly in Python, NumPy or SciPy."""

import bisect
import decimal
import functools
import hashlib
import itertools
import json
import math
import operator
import re
import struct
from fractions import Fraction

import llvmlite.binding
import numpy as np
import pytest
from scipy import optimize, special, stats

from ndmc.scenario.operations import OPERATIONS
from ndmc_kernels import _jit
from ndmc_kernels.operations import Operation

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


def stream(parameter, labels):
    """Return the 64-bit number that names a cell to the random generator."""
    text = json.dumps([parameter, sorted(labels.items())], ensure_ascii=True)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


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


def normal_quantile_error(u, score):
    """Return the relative error of one score as the quantile of u, by one step of Newton's method.

    The probability is a series of positive terms, in decimals enough for what 1/2 cancels.
    """
    with decimal.localcontext(prec=50 + int(0.45 * score**2)) as context:
        z = decimal.Decimal(float(score))
        total = term = z
        n = 1
        while abs(term) > abs(total).scaleb(-context.prec):
            n += 2
            term *= z * z / n
            total += term
        density = (-z * z / 2).exp() / (2 * _pi(context.prec)).sqrt()
        above = decimal.Decimal("0.5") + density * total - decimal.Decimal(float(u))
        return float(above / (density * z))


@functools.cache
def _pi(digits):
    """Return pi by Machin's formula."""

    def arctan_of_inverse(x):
        total = term = 1 / decimal.Decimal(x)
        n = 1
        while abs(term) > decimal.Decimal(1).scaleb(-digits - 5):
            n += 2
            term /= -x * x
            total += term / n
        return total

    with decimal.localcontext(prec=digits + 10):
        return 16 * arctan_of_inverse(5) - 4 * arctan_of_inverse(239)


def packed_arithmetic(kernel):
    """Return the operations on 256 or 512 bits of doubles in a kernel, or skip the test."""
    if _jit.numba.config.CPU_NAME or not llvmlite.binding.get_host_cpu_features().get("avx2"):
        pytest.skip("not compiled for AVX2")
    fresh = _jit.compile_kernel(kernel.py_func, kernel.signature, cache=None)
    (text,) = fresh.inspect_asm().values()
    return set(re.findall(r"\bv([a-z]+)[0-9]*pd\s.*%[yz]mm", text))


def cdf(scores):
    """Return standard normal probabilities."""
    return stats.norm.cdf(scores)


def normal(z, mu, sigma):
    """Return normal quantiles of scores."""
    return stats.norm.ppf(stats.norm.cdf(z), mu, sigma)


def lognormal(z, mu, sigma):
    """Return lognormal quantiles of scores."""
    return np.exp(mu + sigma * z)


def log_series(z, terms):
    """Return exp of a Chebyshev series of scores over +-8.3."""
    return np.exp(np.polynomial.chebyshev.chebval(z / 8.3, terms))


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


def weibull_cohorts(scale, shape, ages, weights, inflow):
    """Return stock and outflow [cell, year, draw] of cohorts with Weibull lifetimes."""
    return cohort(inflow, weibull(scale, shape, ages, weights))


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


def bin_sums(bins, values, count):
    """Return the sums [input, bin, column] of values [draw, column] by bins [input, draw]."""
    return np.array([[values[row == k].sum(axis=0) for k in range(count)] for row in bins])


# --- rows ----------------------------------------------------------------------------------------


def same_values(table, first, numbers, last):
    """Return what is done for each row, as nested tuples: what is equal has the same values.

    Lines are [operation, target, a, b, c] and write each row once; ``numbers`` are known of some
    rows, ``last`` are the values of all in one draw, by which numbers that follow are known.
    """
    done = {row: ("given", int(one)) for row, one in enumerate(first)}
    known = dict(numbers) | {row: 0.0 for row, one in enumerate(first) if one == 0}
    for operation, target, *read in table.tolist():
        name = Operation(operation).name
        read = read[: {"COPY": 1, "GAIN": 1, "FUSED": 3, "WHERE": 3, "CLIP": 3}.get(name, 2)]
        into = [target] if name in ("GAIN", "SINCE") else []
        parts = [done[row] for row in (*read, *into)]
        if name == "COPY":
            done[target] = parts[0]
        elif name == "WHERE" and read[0] in known:
            done[target] = parts[1 if known[read[0]] else 2]
        elif name == "FUSED" and 0.0 in (known.get(read[1]), known.get(read[2])):
            done[target] = (name, parts[0])
        else:
            done[target] = (name, *parts)
        if all(row in known for row in (*read, *into)):
            known[target] = last[target]
        else:
            known.pop(target, None)
    return done


# --- lifetimes -----------------------------------------------------------------------------------


def survivors(kind, **numbers):
    """Return the share of a cohort that outlives an age, as a function of the age.

    From scipy.stats, or from the closed form where it has no such distribution or parameters.
    """
    return {
        ("fixed", "years"): _fixed,
        ("normal", "mean", "sd"): lambda mean, sd: stats.norm(mean, sd).sf,
        ("truncated_normal", "mean", "sd"): _truncated,
        ("folded_normal", "mean", "sd"): lambda mean, sd: stats.foldnorm(mean / sd, scale=sd).sf,
        ("lognormal", "mean", "sd"): _lognormal_of_moments,
        ("lognormal", "mu", "sigma"): lambda mu, sigma: stats.lognorm(sigma, scale=np.exp(mu)).sf,
        ("weibull", "scale", "shape"): lambda scale, shape: (
            stats.weibull_min(shape, scale=scale).sf
        ),
        ("weibull", "mean", "cv"): _weibull_of_moments,
        ("gamma", "mean", "cv"): lambda mean, cv: stats.gamma(cv**-2, scale=mean * cv**2).sf,
        ("gamma", "shape", "scale"): lambda shape, scale: stats.gamma(shape, scale=scale).sf,
        ("loglogistic", "scale", "shape"): _loglogistic,
        ("loglogistic", "mean", "shape"): lambda mean, shape: _loglogistic(
            mean * np.sin(np.pi / shape) * shape / np.pi, shape
        ),
        ("gompertz", "c", "g"): lambda c, g: stats.gompertz(c, scale=1 / g).sf,
    }[(kind, *numbers)](**numbers)


def _fixed(years):
    def survive(age):
        return 1.0 * (age < years)

    survive.years = years
    return survive


def _loglogistic(scale, shape):
    def survive(age):  # the logarithm is logistic; scipy's fisk divides by zero far out
        with np.errstate(divide="ignore"):
            return special.expit(shape * (np.log(scale) - np.log(age)))

    return survive


def _truncated(mean, sd):
    return lambda age: stats.norm.sf(age, mean, sd) / stats.norm.sf(0, mean, sd)


def _lognormal_of_moments(mean, sd):
    variance = np.log(1 + sd**2 / mean**2)
    return stats.lognorm(np.sqrt(variance), scale=mean / np.exp(variance / 2)).sf


def _weibull_of_moments(mean, cv):
    def excess(shape):
        one, two = special.gamma(1 + 1 / shape), special.gamma(1 + 2 / shape)
        return np.sqrt(two / one**2 - 1) - cv

    shape = optimize.brentq(excess, 0.1, 50, xtol=1e-14, rtol=1e-14)
    return stats.weibull_min(shape, scale=mean / special.gamma(1 + 1 / shape)).sf


def averaged(survive, convention):
    """Return the share of a cohort left, of what came in its year at a pace and aged since.

    The age of what came after the part ``1 - u`` of the year is ``u / pace + since``.
    """
    if convention != "uniform":
        part = {"start": 1.0, "middle": 0.5, "end": 0.0}[convention]
        return functools.cache(lambda since, pace=1.0: float(survive(part / pace + since)))
    years = getattr(survive, "years", None)
    if years is not None:  # a jump, which no quadrature finds
        return lambda since, pace=1.0: min(max((years - since) * pace, 0.0), 1.0)

    @functools.cache
    def share(since, pace=1.0):
        return float(_WEIGHTS @ survive(_NODES / pace + since))

    return share


def _composite(ends, order=20):
    """Return the nodes and weights of Gauss and Legendre on each of many intervals."""
    x, w = np.polynomial.legendre.leggauss(order)
    low, high = np.array(ends[:-1])[:, None], np.array(ends[1:])[:, None]
    return ((high - low) * (x + 1) / 2 + low).ravel(), ((high - low) * w / 2).ravel()


# Intervals that shrink towards 0, where survival may be steep or not smooth, and are short beyond.
_NODES, _WEIGHTS = _composite([0.0, *2.0 ** np.arange(-40, -4), *np.linspace(1 / 16, 1, 16)])


def steady(survive, convention):
    """Return the share of a cohort left at the end of a year, for one lifetime of all."""
    share = averaged(survive, convention)
    return lambda cohort, year: share(float(year - cohort))


def by_cohort(lives, convention):
    """Return the same for a lifetime of each cohort; those before the first live like it."""
    shares = [averaged(survive, convention) for survive in lives]
    return lambda cohort, year: shares[max(cohort, 0)](float(year - cohort))


def by_period(lives, convention, factors):
    """Return the same where every year stretches lifetimes by a factor, 1 before the first."""
    shares = [averaged(survive, convention) for survive in lives]

    def pace(year):
        return float(factors[year]) if year >= 0 else 1.0

    @functools.cache
    def share(cohort, year):
        since = sum(1 / pace(later) for later in range(cohort + 1, year + 1))
        return shares[max(cohort, 0)](since, pace(cohort))

    return share


# --- stocks with lifetimes -----------------------------------------------------------------------


def past(share, value, rule, removals=(), growth=0.0, shares=None, ages=400):
    """Return the inflow of the years before the first, {cohort: inflow}, of an initial stock."""
    kept = {-1 - age: _kept(removals, age) for age in range(ages)}
    left = {cohort: share(cohort, -1) for cohort in kept}
    once = {}
    for age in range(ages):
        cohort = -1 - age
        if rule == "stationary":
            once[cohort] = 1.0
        elif rule == "growing":
            once[cohort] = np.exp(-growth * age)
        elif rule == "spin_up":
            once[cohort] = (1 + growth) ** -age if left[cohort] >= 1e-6 else 0.0
        elif age < len(shares) and left[cohort] > 0:
            once[cohort] = shares[age] / (left[cohort] * kept[cohort])
    total = sum(once[cohort] * left[cohort] * kept[cohort] for cohort in once)
    return {cohort: value * amount / total for cohort, amount in once.items() if amount}


def _kept(removals, age):
    """Return what removals leave of a cohort at the end of its year of that age."""
    return np.prod([1 - sum(rate(young) for rate in removals) for young in range(age + 1)])


def whole_stock(
    share, years, *, inflow=None, level=None, since=0, answer="report", before=None, removals=()
):
    """Return a stock cohort by cohort, year by year: everything that there is to know of it.

    It follows its level ``since`` a year, and is fed by its inflow before or where there is none.
    ``share(cohort, year)`` is left at the end of the year of the inflow of a cohort, ``before``
    maps cohorts before the first to their inflow, ``removals`` are functions of the age.
    """
    # Of a cohort of which 1e-20 is left before the first year, nothing can be seen afterwards.
    amount = {c: once for c, once in (before or {}).items() if abs(once * share(c, -1)) > 1e-20}
    still = {cohort: _kept(removals, -1 - cohort) for cohort in amount}
    found = {name: np.zeros(years) for name in ("stock", "release", "inflow")}
    found["removed"] = np.zeros((len(removals), years))
    found["left"], found["gone"] = {}, {}
    for year in range(years):
        if level is None or year < since:
            amount[year] = inflow[year]
        else:
            missing = level[year] - sum(
                amount[c] * still[c] * share(c, year) * (1 - sum(r(year - c) for r in removals))
                for c in amount
            )
            first = share(year, year) * (1 - sum(rate(0) for rate in removals))
            amount[year] = missing / first if answer == "report" else max(missing, 0.0) / first
        still[year] = 1.0
        found["inflow"][year] = amount[year]
        for cohort in amount:
            age = year - cohort
            earlier = share(cohort, year - 1) if cohort < year else 1.0
            now = share(cohort, year)
            found["gone"][cohort, year] = amount[cohort] * still[cohort] * (earlier - now)
            for removed, rate in zip(found["removed"], removals, strict=True):
                removed[year] += amount[cohort] * still[cohort] * now * rate(age)
            still[cohort] *= 1 - sum(rate(age) for rate in removals)
            found["left"][cohort, year] = amount[cohort] * still[cohort] * now
        total = sum(found["left"][cohort, year] for cohort in amount)
        driven = level is not None and year >= since
        if driven and answer == "early_retirement" and total > level[year]:
            for cohort in amount:
                kept = found["left"][cohort, year] * level[year] / total
                found["gone"][cohort, year] += found["left"][cohort, year] - kept
                found["left"][cohort, year] = kept
                still[cohort] *= level[year] / total
        found["stock"][year] = sum(found["left"][cohort, year] for cohort in amount)
        found["release"][year] = sum(found["gone"][cohort, year] for cohort in amount)
    return found


def buffer(into, out, *, initial=0.0, loss=None, capacity=None, carry_over=True):
    """Return what a buffer holds, loses, has no room for and lacks, year by year."""
    years = len(into)
    loss, capacity = loss or [0.0] * years, capacity or [np.inf] * years
    found = {name: np.zeros(years) for name in ("held", "lost", "overflow", "remainder")}
    held = initial
    for year, net in enumerate(np.subtract(into, out)):
        found["lost"][year] = held * loss[year]
        held -= found["lost"][year]
        lacking = max(-net - held, 0.0) if carry_over else max(-net, 0.0)
        held = held + net + lacking
        found["remainder"][year] = lacking
        found["overflow"][year] = max(held - max(capacity[year], 0.0), 0.0)
        held -= found["overflow"][year]
        found["held"][year] = held
    return found


def by_age(table, years, labels):
    """Return {(cohort, year): amount} by age, [age, year]; the last age stands for all older."""
    out = np.zeros((labels, years))
    for (cohort, year), amount in table.items():
        out[min(year - cohort, labels - 1), year] += amount
    return out


def by_year_of_inflow(table, years, before):
    """Return {(cohort, year): amount} by cohort, [cohort, year], all before the first as one."""
    out = np.zeros((years + before, years))
    for (cohort, year), amount in table.items():
        out[max(cohort + before, 0), year] += amount
    return out


def mean_age(table, years, offset):
    """Return the mean age of what is in {(cohort, year): amount} each year; 0 of nothing."""
    out = np.zeros(years)
    for now in range(years):
        cells = [(y - c + offset, amount) for (c, y), amount in table.items() if y == now]
        total = sum(amount for _, amount in cells)
        out[now] = sum(age * amount for age, amount in cells) / total if total else 0.0
    return out


# --- the kernels of stocks, array by array -------------------------------------------------------


def correlate(weight, share, years):
    """Return the summed weights times their shares each year later, [cell, year, draw]."""
    out = np.zeros((weight.shape[0], years, weight.shape[2]))
    for year in range(years):
        for age in range(weight.shape[1]):
            out[:, year] += weight[:, age] * share[:, age + year]
    return out


def spread(year, inflow, shares, out):
    """Return out [part, cell, year, draw] with what one year's inflow leaves to later years."""
    out = out.copy()
    for later in range(year, out.shape[2]):
        out[:, :, later] += inflow[:, year] * shares[:, :, later - year]
    return out


def drive(year, level, shares, answer, out):
    """Return the inflow and share kept [cell, draw] of one year, out and the missing stock."""
    out = out.copy()
    left = out[0, :, year].copy()
    missing = level[:, year] - left
    inflow, kept = missing / shares[0, :, 0], np.ones_like(left)
    if answer > 0:
        inflow = np.where(missing < 0, 0.0, inflow)
    if answer == 2:
        kept = np.where(missing < 0, level[:, year] / left, 1.0)
        out[0, :, year] = left * kept
        out[1, :, year] += left * (1 - kept)
        out[:, :, year + 1 :] *= kept[:, None]
    return inflow, kept, out, missing


def profile(year, by, first, offset, outflow, inflow, shares, kept, row_of, out):
    """Return out [row, label, year, draw] with one cohort added to it."""
    out = out.copy()
    for cell in range(inflow.shape[0]):
        still = np.ones_like(inflow[cell, year])
        for now in range(year, inflow.shape[1]):
            age = now - year
            stays = kept[cell, now] if age else np.ones_like(still)
            present = inflow[cell, year] * still * shares[0, cell, age]
            released = inflow[cell, year] * still * shares[1, cell, age] + present * (1 - stays)
            amount = released if outflow else present * stays
            still = still * stays
            row = out[row_of[cell], :, now]
            if by == 0:
                row[min(age, len(row) - 1)] += amount
            elif by == 1:
                row[first + year] += amount
            else:
                row[0] += amount * (age + offset)
                row[1] += amount
    return out


# --- loops -----------------------------------------------------------------------------------


# exp and log of the kernels are their own; a power is the C library's or theirs.
ULPS = {"exp": 2, "log": 2, "power": 4}

_PLAIN = {
    "copy": lambda a: a,
    "fused": lambda a, b, c: a + b * c,
    **{name: operation.ufunc for name, operation in OPERATIONS.items()},
}


def march(lines, years, rows):
    """Return rows after a program of (operation, target, arguments), each place (row, stride).

    The arguments of ``lag`` are a place and a number of years, those of ``recall`` a series and
    the place of age shares [cohort, age] that lie so many rows apart from cohort to cohort.
    """
    rows = rows.copy()
    for year in range(years):
        for operation, target, *arguments in lines:
            at = [row + year * stride for row, stride in (target, *arguments)]
            match operation:
                case "lag":
                    before = arguments[1][0]
                    out = rows[at[1] - before] if before <= year else np.zeros(rows.shape[1])
                case "recall":
                    (series, _), (share, apart) = arguments
                    out = np.zeros(rows.shape[1])
                    for born in range(year):
                        out = out + rows[series + born] * rows[share + born * apart + year - born]
                case "resolve":
                    gain = rows[at[1]].copy()
                    rows[at[2]] = np.maximum(gain, rows[at[2]])
                    out = 1.0 / (1.0 - gain)
                case _:
                    out = _PLAIN[operation](*(rows[place] for place in at[1:]))
            rows[at[0]] = out
    return rows


def compute(lines, rows):
    """Return rows after lines of (operation, count, places), each place (row, step)."""
    rows = rows.copy()
    for operation, count, target, *operands in lines:
        for n in range(count):
            old = rows[target[0] + n * target[1]].copy()
            given = [rows[row + n * step] for row, step in operands]
            rows[target[0] + n * target[1]] = {
                "gain": lambda a, old=old: old + a,
                "lose": lambda a, old=old: old - a,
                "fused": lambda a, b, c: a + b * c,
                "product": lambda a, b, c: a * b * c,
                "hold": lambda a, b: np.maximum(a + b, 0.0),
                "since": lambda a, b, old=old: np.where((a != 0) & ~np.isnan(a), b, old),
                **_PLAIN,
            }[operation](*given)
    return rows


def survey(rows, groups):
    """Return the least and the greatest value of each draw among groups of rows, nan if one is."""
    return (np.array([find(rows[group], axis=0) for group in groups]) for find in (np.min, np.max))


def flow_system(file, count, numbers, parts, starts=None):
    """Solve a linear system of flows with a dense matrix for each year and draw.

    Nothing here knows which balance closes which flow: all equations are solved together.

    Parameters
    ----------
    file
        A scenario's mapping. A flow has a value, a share, or neither; stocks have lifetimes.
    count
        Labels of the one dim that flows and stocks may have.
    numbers
        Per flow its value or share, [cell, year, draw].
    parts
        Per stock, and per part ("stock", "release" or a removal) the shares of an inflow,
        [cell, cohort, age, draw].
    starts
        Per stock and part what an initial stock adds, [cell, year, draw].

    Returns
    -------
    dict of array
        Every flow and stock, [cell, year, draw].
    """
    flows, stocks = file["flows"], file.get("stocks", {})
    holder = {entry["process"]: name for name, entry in stocks.items()}
    removed = {flow: name for name, entry in stocks.items() for flow in entry.get("removals", {})}
    cells = {name: count if flow.get("dims") else 1 for name, flow in flows.items()}
    held = {name: count if entry.get("dims") else 1 for name, entry in stocks.items()}
    unknown = [(name, cell) for name in flows for cell in range(cells[name])]
    column = {key: n for n, key in enumerate(unknown)}
    into = {p: [n for n, f in flows.items() if f["to"] == p] for p in file["processes"]}
    out_of = {p: [n for n, f in flows.items() if f["from"] == p] for p in file["processes"]}
    _, years, width = next(iter(numbers.values())).shape

    def columns(names, cell, among):
        """Return the unknowns of flows that make up one cell of ``among`` cells, as they are."""
        found = []
        for name in names:
            own = range(cells[name]) if among == 1 else [cell if cells[name] > 1 else 0]
            found += [column[name, one] for one in own]
        return found

    inflow = {name: np.zeros((held[name], years, width)) for name in stocks}
    out = {name: np.zeros((cells[name], years, width)) for name in flows}
    found_stocks = {name: np.zeros((held[name], years, width)) for name in stocks}

    def earlier(stock, part, cell, year):
        total = np.zeros(width) if not starts or stock not in starts else starts[stock][part]
        total = total if total.ndim == 1 else total[cell, year]
        for born in range(year):
            share = parts[stock][part][cell, born, year - born]
            total = total + inflow[stock][cell, born] * share
        return total

    for year in range(years):
        matrix = np.zeros((width, len(unknown), len(unknown)))
        right = np.zeros((width, len(unknown)))
        row = 0
        for name, flow in flows.items():
            stock = holder.get(flow["from"], "")
            for cell in range(cells[name]):
                me = column[name, cell]
                if name in removed or "share" in flow or "value" in flow:
                    matrix[:, row, me] = 1.0
                    row += 1
                if name in removed:
                    part, stock = name, removed[name]
                    now = parts[stock][part][cell, year, 0]
                    matrix[:, row - 1, columns(into[flow["from"]], cell, held[stock])] -= now[
                        :, None
                    ]
                    right[:, row - 1] = earlier(stock, part, cell, year)
                elif "value" in flow:
                    right[:, row - 1] = numbers[name][cell, year]
                elif "share" in flow:
                    share = numbers[name][cell, year]
                    entering = into[flow["from"]]
                    among = min([cells[name], *(cells[n] for n in entering)])
                    if stock:
                        share_now = share * parts[stock]["release"][cell, year, 0]
                        right[:, row - 1] = share * earlier(stock, "release", cell, year)
                    else:
                        share_now = share
                    places = columns(entering, cell, among)
                    np.subtract.at(matrix, (slice(None), row - 1, places), share_now[:, None])
        for process in file["processes"]:
            stock, leaving = holder.get(process, ""), out_of[process]
            leaving = [name for name in leaving if name not in removed]
            common = held[stock] if stock else min(cells[n] for n in into[process] + leaving)
            for cell in range(common):
                places = columns(leaving, cell, common)
                np.add.at(matrix, (slice(None), row, places), 1.0)
                places = columns(into[process], cell, common)
                now = parts[stock]["release"][cell, year, 0] if stock else np.ones(width)
                np.subtract.at(matrix, (slice(None), row, places), now[:, None])
                if stock:
                    right[:, row] = earlier(stock, "release", cell, year)
                row += 1
        assert row == len(unknown), "as many equations as unknowns"
        solution = np.linalg.solve(matrix, right[:, :, None])[:, :, 0]
        for (name, cell), at in column.items():
            out[name][cell, year] = solution[:, at]
        for stock, entry in stocks.items():
            for cell in range(held[stock]):
                places = columns(into[entry["process"]], cell, held[stock])
                inflow[stock][cell, year] = solution[:, places].sum(axis=1)
                now = parts[stock]["stock"][cell, year, 0] * inflow[stock][cell, year]
                found_stocks[stock][cell, year] = earlier(stock, "stock", cell, year) + now
    return {**out, **found_stocks}


def stock_parts(survival, rates=None):
    """Return what age shares [cell, cohort, age, draw] make of an inflow: part by part.

    ``rates`` are the shares removed each year by name, from the year after the inflow.
    """
    release = -np.diff(survival, axis=2, prepend=1.0)
    kept = np.ones_like(survival)
    for age in range(1, survival.shape[2]):
        kept[:, :, age] = kept[:, :, age - 1] * (1.0 - sum((rates or {}).values(), start=0.0))
    before = np.concatenate([np.ones_like(kept[:, :, :1]), kept[:, :, :-1]], axis=2)
    parts = {"stock": survival * kept, "release": release * before}
    for name, rate in (rates or {}).items():
        parts[name] = survival * before * rate
        parts[name][:, :, 0] = 0.0
    return parts


def weibull_ages(scale, shape, years, convention):
    """Return Weibull survival at the end of each year of age, [..., age, draw]."""
    scale, shape = np.asarray(scale)[..., None, :], np.asarray(shape)[..., None, :]
    ages = np.arange(float(years))[:, None]
    if convention != "uniform":
        ages = ages + {"start": 1.0, "middle": 0.5, "end": 0.0}[convention]
        return stats.weibull_min.sf(ages, shape, scale=scale)
    # The integral of S is the upper incomplete gamma function: exact for any shape.
    edges = np.arange(years + 1.0)[:, None]
    whole = scale / shape * special.gamma(1 / shape)
    area = whole * special.gammainc(1 / shape, (edges / scale) ** shape)
    return np.diff(area, axis=-2)


def first_year(condition, years):
    """Return the first year in which [cell, year, draw] is true, [cell, draw]; infinity: never."""
    out = np.full((condition.shape[0], condition.shape[2]), np.inf)
    for cell, draw in np.ndindex(*out.shape):
        true = [y for y, now in zip(years, condition[cell, :, draw], strict=True) if abs(now) > 0]
        out[cell, draw] = min(true, default=np.inf)
    return out


def gather(values, edges, counts, kept):
    """Return counts and kept values after the draws of each row, one by one."""
    counts, kept = counts.copy(), kept.copy()
    for row, bracket in np.ndindex(edges.shape[:2]):
        (low, high), count = edges[row, bracket], counts[row, bracket]
        for value in values[row]:
            if value < low:
                count[0] += 1
            elif value == low:
                count[1] += 1
            elif value == high:
                count[3] += 1
            elif value < high:
                if count[2] < kept.shape[2]:
                    kept[row, bracket, count[2]] = value
                count[2] += 1
    return counts, kept


def leaf_sums(values, centre):
    """Return sums of d and d * d over leaves of 64 draws [row, leaf, 2], d a draw off the centre.

    A leaf is filled up with zeros and folded in halves until one number is left.
    """
    off = values.astype(np.float64) - centre[:, np.newaxis]
    off = np.pad(off, ((0, 0), (0, -off.shape[1] % 64))).reshape(len(off), -1, 64)
    lanes = np.stack([off, off * off], axis=2)
    while lanes.shape[-1] > 1:
        half = lanes.shape[-1] // 2
        lanes = lanes[..., :half] + lanes[..., half:]
    return lanes[..., 0]


def add_up(values):
    """Return the sums of [outer, label, inner, draw] over labels, one after the other."""
    totals = values[:, 0].astype(np.float64)
    for label in range(1, values.shape[1]):
        totals = totals + values[:, label]
    return totals


def quantile(values, level):
    """Return numpy's quantile of draws, infinite where the upper neighbour is and weighs in."""
    values = np.sort(np.asarray(values, dtype=np.float64))
    index = level * (len(values) - 1)
    place = int(np.floor(index))
    low, high = values[place], values[min(place + 1, len(values) - 1)]
    if np.isfinite(high):
        return float(np.quantile([low, high], index - place))
    return float(low if index == place else high)


# --- least squares -------------------------------------------------------------------------------


def fractions(matrix):
    """Return a matrix, or a vector as a column, in exact fractions: a list of rows."""
    return [[Fraction(value) for value in np.atleast_1d(row).tolist()] for row in matrix]


def echelon(matrix):
    """Return the reduced row echelon form of a matrix of fractions, and its pivot columns."""
    rows, pivots = [list(row) for row in matrix], []
    for column in range(len(rows[0]) if rows else 0):
        top = len(pivots)
        found = next((n for n in range(top, len(rows)) if rows[n][column]), None)
        if found is None:
            continue
        rows[top], rows[found] = rows[found], rows[top]
        rows[top] = [value / rows[top][column] for value in rows[top]]
        for n, row in enumerate(rows):
            if n != top and row[column]:
                rows[n] = [a - row[column] * b for a, b in zip(row, rows[top], strict=True)]
        pivots.append(column)
    return rows, pivots


def null_space(matrix, columns):
    """Return the vectors that a matrix of so many columns maps to zero, as rows."""
    rows, pivots = echelon(matrix)
    basis = []
    for free in sorted(set(range(columns)) - set(pivots)):
        vector = [Fraction(int(n == free)) for n in range(columns)]
        for row, pivot in zip(rows, pivots, strict=False):
            vector[pivot] = -row[free]
        basis.append(vector)
    return basis


def product(left, right):
    """Return the product of two matrices of fractions; of no rows there is none."""
    columns = list(zip(*right, strict=True))
    return [[sum(map(operator.mul, row, column)) for column in columns] for row in left]


def solution(matrix, columns, right):
    """Return one solution of a system in fractions, 0 where it is free; ValueError: there is none.

    The system has so many columns, and a column of solutions for each column on the right.
    """
    rows, pivots = echelon([[*row, *also] for row, also in zip(matrix, right, strict=True)])
    if any(pivot >= columns for pivot in pivots):
        raise ValueError("no solution")
    found = [[Fraction(0)] * (len(right[0]) if right else 0) for _ in range(columns)]
    for row, pivot in zip(rows, pivots, strict=False):
        found[pivot] = row[columns:]
    return found


def transposed(matrix):
    """Return the transpose of a matrix of fractions."""
    return [list(row) for row in zip(*matrix, strict=True)]


def reconcile(mean, factor, by_x, by_y, constant):
    """Return what least squares make of by_x x + by_y y + constant = 0, exactly.

    Unmeasured y are eliminated by the combinations G of equations that are free of them; then x is
    mean - Q G' z with G Q G' z = G mean + constant.

    Returns
    -------
    dict
        ``x``, ``y`` and their joint ``covariance`` in fractions; for each y whether it is
        ``observable``; the rank that is left as ``redundancy``, and ``chi2``.

    Raises
    ------
    ValueError
        If exact values contradict each other.
    """
    mean, factor, constant = fractions(mean), fractions(factor), fractions(constant)
    by_x, by_y = fractions(by_x), fractions(by_y)
    unmeasured, count = len(by_y[0]), len(mean)
    covariance = product(factor, transposed(factor))
    free = null_space(transposed(by_y), len(by_y)) if unmeasured else _unit(len(by_x))
    conditions = product(free, by_x)
    gap = product(free, [[a + b] for [a], [b] in zip(product(by_x, mean), constant, strict=True)])
    seen = product(conditions, covariance)
    normal = product(seen, transposed(conditions)) if conditions else []
    shift = solution(normal, len(normal), [[*a, *b] for a, b in zip(gap, seen, strict=True)])
    x, qx = mean, covariance
    if conditions:
        moved = product(transposed(seen), shift)
        x = [[a - b[0]] for [a], b in zip(mean, moved, strict=True)]
        qx = [
            [a - b for a, b in zip(row, less[1:], strict=True)]
            for row, less in zip(covariance, moved, strict=True)
        ]
    out = product(by_x, x)
    y = solution(by_y, unmeasured, [[-a - b] for [a], [b] in zip(out, constant, strict=True)])
    qyx = solution(by_y, unmeasured, _negative(product(by_x, qx)))
    qy = solution(by_y, unmeasured, _negative(product(by_x, transposed(qyx)))) if qyx else []
    unseen = null_space(by_y, unmeasured)
    whole = [[*row, *(other[n] for other in qyx)] for n, row in enumerate(qx)]
    whole += [[*row, *other] for row, other in zip(qyx, qy, strict=True)]
    return {
        "x": [value for [value] in x],
        "y": [value for [value] in y],
        "covariance": whole,
        "observable": [not any(vector[n] for vector in unseen) for n in range(unmeasured)],
        "redundancy": len(echelon(normal)[1]) if count else 0,
        "chi2": sum(one[0] * g[0] for one, g in zip(shift, gap, strict=True)),
    }


def combination(mean, factor, by_x, by_y, constant, chosen, own):
    """Return the one combination of chosen equations without y, what it leaves open, its variance.

    It takes the equation ``own`` once; ValueError if there is none or more than one.
    """
    mean, factor, constant = fractions(mean), fractions(factor), fractions(constant)
    by_x, by_y = ([fractions(matrix)[n] for n in chosen] for matrix in (by_x, by_y))
    unmeasured = len(by_y[0])
    [row] = null_space(transposed(by_y), len(chosen)) if unmeasured else _unit(len(chosen))
    row = [[value / row[chosen.index(own)] for value in row]]
    out = zip(product(by_x, mean), [constant[n] for n in chosen], strict=True)
    [[left]] = product(row, [[a + b] for [a], [b] in out])
    errors = product(product(row, by_x), factor)
    return row[0], left, sum(value**2 for value in errors[0])


def _unit(size):
    return [[Fraction(int(n == m)) for m in range(size)] for n in range(size)]


def _negative(matrix):
    return [[-value for value in row] for row in matrix]


def nearest(mean, deviations, constant, by_x, curved, steps=12):
    """Return x nearest to independent measurements where constant + by_x x + x' curved x / 2 = 0.

    Newton's method on the conditions of Lagrange, from the measurements, in fractions of 40 digits.
    """
    mean = [value for [value] in fractions(mean)]
    weights = [1 / Fraction(sd) ** 2 for sd in deviations]
    by_x, curved = fractions(by_x), [fractions(matrix) for matrix in curved]
    constant = [value for [value] in fractions(constant)]
    x, forces = list(mean), [Fraction(0)] * len(constant)
    size = len(x)
    for _ in range(steps):
        column = [[value] for value in x]
        bent = [[value for [value] in product(matrix, column)] for matrix in curved]
        slopes = [
            [a + b for a, b in zip(*rows, strict=True)] for rows in zip(by_x, bent, strict=True)
        ]
        left = [
            c + sum((a + b / 2) * v for a, b, v in zip(linear, more, x, strict=True))
            for c, linear, more in zip(constant, by_x, bent, strict=True)
        ]
        pull = [
            w * (v - m) + sum(force * row[n] for force, row in zip(forces, slopes, strict=True))
            for n, (w, v, m) in enumerate(zip(weights, x, mean, strict=True))
        ]
        matrix = [
            [
                weights[n] * (n == m)
                + sum(f * c[n][m] for f, c in zip(forces, curved, strict=True))
                for m in range(size)
            ]
            + [row[n] for row in slopes]
            for n in range(size)
        ]
        matrix += [[*row, *([Fraction(0)] * len(slopes))] for row in slopes]
        change = solution(matrix, len(matrix), [[-value] for value in pull + left])
        moved = [_rounded(value + more) for value, [more] in zip(x + forces, change, strict=True)]
        x, forces = moved[:size], moved[size:]
    return x


def _rounded(value, digits=40):
    """Return a fraction to so many digits."""
    with decimal.localcontext(prec=digits):
        return Fraction(decimal.Decimal(value.numerator) / decimal.Decimal(value.denominator))


# --- projection ----------------------------------------------------------------------------------


def add_products(rows, matrix, others):
    """Return rows [row, draw] with the products of a matrix and others [other, draw] added."""
    out = np.empty_like(rows)
    for row, draw in np.ndindex(rows.shape):
        terms = [matrix[row, n] * others[n, draw] for n in range(len(others))]
        out[row, draw] = math.fsum([rows[row, draw], *terms])
    return out


def project(values, equations, constants, gain):
    """Return values [value, draw] moved along a gain, and what equations left open before."""
    open_ = add_products(
        np.repeat(-constants[:, np.newaxis], values.shape[1], 1), equations, values
    )
    return add_products(values, -gain, open_), open_


def nonnegative(z, covariance):
    """Return all z + M l >= 0 with l >= 0 that is zero where the sum is not, with l, exactly.

    Every set of rows is tried whose part of M can be inverted: where M is singular one sum may be
    reached by several l.
    """
    [z], matrix = fractions([z]), fractions(covariance)
    found = []
    for chosen in itertools.product((False, True), repeat=len(z)):
        rows = [n for n, used in enumerate(chosen) if used]
        part = [[matrix[n][m] for m in rows] for n in rows]
        if len(echelon(part)[1]) < len(rows):
            continue
        pulls = [Fraction(0)] * len(z)
        for n, [value] in zip(
            rows, solution(part, len(rows), [[-z[n]] for n in rows]), strict=True
        ):
            pulls[n] = value
        sums = [
            a + sum(b * c for b, c in zip(row, pulls, strict=True))
            for a, row in zip(z, matrix, strict=True)
        ]
        if min([*sums, *pulls]) >= 0:
            found.append((sums, pulls))
    return found


# --- shares of the variance ----------------------------------------------------------------------


def squares(a, b, c, d):
    """Return the sums of P, I and D and the pairs lost, by batch, and the pairs of each batch.

    Neighbours a and b, and the same draws with a group exchanged, c and d, are taken pair by pair.
    """
    sums, pairs = [[0.0, 0.0, 0.0, 0.0] for _ in range(32)], [0] * 32
    for n in range(len(a)):
        batch = (2 * n // 64) % 32
        pairs[batch] += 1
        if not all(math.isfinite(x[n]) for x in (a, b, c, d)):
            sums[batch][3] += 1
            continue
        own, rest = a[n] - c[n], d[n] - b[n]
        sums[batch][0] += 2 * own * rest
        sums[batch][1] += (own - rest) ** 2
        sums[batch][2] += (a[n] - b[n]) ** 2 + (c[n] - d[n]) ** 2
    return sums, pairs


def shares(a, b, c, d):
    """Return the first and total share of a group and their difference, each with its limits."""
    sums, pairs = squares(a, b, c, d)
    used = [n for n in range(32) if pairs[n] > sums[n][3]]

    def found(batches):
        product, interaction, difference = (sum(sums[n][k] for n in batches) for k in range(3))
        if difference == 0:
            return math.nan, math.nan, math.nan
        first, more = product / difference, interaction / difference
        return first, first + more, more

    values, without = found(used), [found([m for m in used if m != n]) for n in used]
    return {
        name: (values[k], *_limits(values[k], [some[k] for some in without]))
        for k, name in enumerate(("first", "total", "interaction"))
    }


def _limits(value, without):
    """Return the limits of what was found with all batches, and without each of them in turn."""
    count = len(without)
    if count < 2:
        return math.nan, math.nan
    mean = sum(without) / count
    error = math.sqrt((count - 1) / count * sum((x - mean) ** 2 for x in without))
    return value - stats.t.ppf(0.975, count - 1) * error, value + (
        stats.t.ppf(0.975, count - 1) * error
    )


def controlled(results, scores, slopes, group):
    """Return the sums of P and D of one cell, by batch, with a linear control, pair by pair.

    ``results`` are a, b, c and d, scores [stream, draw] those of a and b, a group some streams.
    """
    sums, _ = squares(*results)
    inside, every = (sum(slopes[n] ** 2 for n in some) for some in (group, range(len(slopes))))
    for n in range(len(results[0])):
        batch = (2 * n // 64) % 32
        apart = [c * (z[2 * n] - z[2 * n + 1]) for c, z in zip(slopes, scores, strict=True)]
        delta, tot = sum(apart[k] for k in group), sum(apart)
        sums[batch][0] += 4 * inside - 2 * delta**2
        sums[batch][2] += 4 * every - tot**2 - (tot - 2 * delta) ** 2
    return sums


def fill(points, years, rules):
    """Return the value of each year where some have one, as rules say; None where none can tell."""

    def known(year):
        before, after = ([y for y in points if side(y)] for side in (year.__gt__, year.__lt__))
        if year in points:
            return points[year]
        if "interpolate" in rules and before and after:
            first, last = max(before), min(after)
            share = Fraction(year - first, last - first)
            return float(Fraction(points[first]) * (1 - share) + Fraction(points[last]) * share)
        if "hold" in rules and points:
            return points[max(before) if before else min(after)]
        return 0.0 if "0" in rules else None

    return [known(year) for year in years]
