"""Models with known shares of their variance, and studies of them by brute force."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from ndmc_kernels.squares import BATCHES

LEAF = 32


def batches(pairs):
    """Return the batch of each of so many pairs."""
    return np.arange(pairs) // LEAF % BATCHES


def summed(a, b, c, d):
    """Return sums [entry, batch, column] of results [entry, pair], and the pairs of each batch."""
    a, b, c, d = np.broadcast_arrays(a, b, c, d)
    fine = np.isfinite(a) & np.isfinite(b) & np.isfinite(c) & np.isfinite(d)
    with np.errstate(invalid="ignore", over="ignore"):
        terms = (
            2 * (a - c) * (d - b),
            ((a - c) - (d - b)) ** 2,
            (a - b) ** 2 + (c - d) ** 2,
            ~fine,
        )
    of, found = batches(a.shape[-1]), np.zeros((*a.shape[:-1], BATCHES, 4))
    for column, term in enumerate(terms):
        there = np.where(fine, term, 0.0) if column < 3 else term
        for batch in range(BATCHES):
            found[..., batch, column] = there[..., of == batch].sum(axis=-1)
    return found, np.bincount(of, minlength=BATCHES)


@dataclass(frozen=True)
class Model:
    """A function of standard normal scores [input, draw], the groups of its inputs, its shares."""

    of: object
    groups: tuple
    first: tuple = ()
    total: tuple = ()

    @property
    def inputs(self):
        """How many inputs it has."""
        return max(map(max, self.groups)) + 1

    def study(self, scores):
        """Return the sums [group, batch, column] of draws [input, draw], and the pairs."""
        even, odd = scores[:, ::2], scores[:, 1::2]
        return summed(self.of(even), self.of(odd), *self.swapped(even, odd))

    def swapped(self, even, odd):
        """Return the results [group, pair] of draws whose groups are exchanged."""
        found = np.empty((2, len(self.groups), even.shape[1]))
        for n, group in enumerate(self.groups):
            one, other = even.copy(), odd.copy()
            one[list(group)], other[list(group)] = odd[list(group)], even[list(group)]
            found[:, n] = self.of(one), self.of(other)
        return found


def each(inputs):
    """Return a group of each input."""
    return tuple((n,) for n in range(inputs))


def _of_products(parts):
    """Return the shares of a product of independent factors, from their squared cv."""
    whole = np.prod(1 + parts) - 1
    return tuple(parts / whole), tuple(parts / (1 + parts) * (1 + whole) / whole)


def product(cvs):
    """Return a product of normal factors."""
    cvs = np.asarray(cvs)
    shares = _of_products(cvs**2)
    return Model(lambda z: np.prod(1 + cvs[:, np.newaxis] * z, axis=0), each(len(cvs)), *shares)


def ratio(one, other):
    """Return a ratio of lognormal values."""
    shares = _of_products(np.expm1(np.array([one, other]) ** 2))
    return Model(lambda z: np.exp(one * z[0] - other * z[1]), each(2), *shares)


def added(sds):
    """Return a sum of normal terms."""
    sds = np.asarray(sds)
    shares = tuple(sds**2 / np.sum(sds**2))
    return Model(lambda z: sds @ z, each(len(sds)), shares, shares)


def sobol_g(a):
    """Return the G function of Saltelli and Sobol' (1995)."""
    a = np.asarray(a)[:, np.newaxis]
    shares = _of_products(1 / (3 * (1 + a[:, 0]) ** 2))
    return Model(
        lambda z: np.prod((np.abs(4 * ndtr(z) - 2) + a) / (1 + a), axis=0), each(len(a)), *shares
    )


def ishigami():
    """Return the function of Ishigami and Homma (1990)."""

    def of(z):
        x, y, w = np.pi * (2 * ndtr(z) - 1)
        return np.sin(x) + 7 * np.sin(y) ** 2 + 0.1 * w**4 * np.sin(x)

    one = 0.5 * (1 + 0.1 * np.pi**4 / 5) ** 2
    two, both = 49 / 8, 0.01 * np.pi**8 * (1 / 18 - 1 / 50)
    whole = one + two + both
    first, total = (one, two, 0.0), (one + both, two, both)
    return Model(of, each(3), tuple(s / whole for s in first), tuple(s / whole for s in total))


def smaller():
    """Return the smaller of two uniform values."""
    return Model(lambda z: ndtr(z).min(axis=0), each(2), (0.4, 0.4), (0.6, 0.6))


def cohorts(years=24):
    """Return a stock of cohorts: yearly inflows, an error they share, lifetime, and its shape."""
    age = np.arange(years)[::-1, np.newaxis] + 0.5

    def of(z):
        life, shape = 9 * np.exp(0.2 * z[years + 1]), 2 * np.exp(0.1 * z[years + 2])
        inflows = (1 + 0.15 * z[:years]) * np.exp(0.1 * z[years]) * (1 + 0.05 * age[::-1])
        return np.sum(inflows * np.exp(-((age / life) ** shape)), axis=0)

    return Model(of, (tuple(range(years)), (years,), (years + 1,), (years + 2,)))
