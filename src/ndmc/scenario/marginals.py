"""Distributions of cells, reduced to a kernel and its numbers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ndmc.typing import Array, Floats, Integers

__all__ = ["KINDS", "Marginal", "Marginals", "deviation", "normal_cdf"]

#: What a marginal may be, and how many numbers its kernel takes: a discrete one, one a choice.
#: Cells that are divided by a sum are so before that; one of them that is ``divided`` is a number.
KINDS = {
    "constant": 1,
    "normal": 2,
    "truncated_normal": 4,
    "lognormal": 2,
    "uniform": 2,
    "triangular": 3,
    "beta": 4,
    "discrete": 0,
    "dirichlet": 2,
    "divided": 1,
}


@dataclass(frozen=True)
class Marginal:
    """A distribution reduced to a kernel and its numbers, in model units.

    ``lowest`` and ``highest`` are what a draw can reach, ``central`` is the mean.
    """

    kind: str
    numbers: tuple[float, ...]
    central: float
    lowest: float
    highest: float
    choices: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class Marginals:
    """The marginals of many cells, by columns.

    ``kinds`` are positions in ``KINDS``; ``numbers`` are [cell, number], nan where a kernel takes
    fewer. All discrete ones have the same ``choices``.
    """

    kinds: npt.NDArray[np.int8]
    numbers: Floats
    central: Floats
    lowest: Floats
    highest: Floats
    choices: Floats

    def __len__(self) -> int:
        return len(self.kinds)

    def __getitem__(self, cell: int) -> Marginal:
        kind = [*KINDS][self.kinds[cell]]
        return Marginal(
            kind,
            tuple(self.numbers_of(kind, np.array([cell]))[0].tolist()),
            float(self.central[cell]),
            float(self.lowest[cell]),
            float(self.highest[cell]),
            tuple(self.choices.tolist()) if kind == "discrete" else (),
        )

    def __iter__(self) -> Iterator[Marginal]:
        return (self[cell] for cell in range(len(self)))

    def at(self, cells: Array) -> Marginals:
        """Return those of some cells."""
        return Marginals(
            kinds=self.kinds[cells],
            numbers=self.numbers[cells],
            central=self.central[cells],
            lowest=self.lowest[cells],
            highest=self.highest[cells],
            choices=self.choices,
        )

    def groups(self) -> dict[str, npt.NDArray[np.int64]]:
        """Return the cells of each kind there is, that of the first cell first."""
        found, first = np.unique(self.kinds, return_index=True)
        names = [*KINDS]
        return {names[n]: np.flatnonzero(self.kinds == n) for n in found[np.argsort(first)]}

    def numbers_of(self, kind: str, cells: Integers) -> Floats:
        """Return the numbers of cells of one kind, [cell, number]."""
        return self.numbers[cells, : KINDS[kind] or len(self.choices)]

    @property
    def certain(self) -> npt.NDArray[np.bool_]:
        """Whether each cell is a constant."""
        return np.asarray(self.kinds == [*KINDS].index("constant"))


def joined(parts: Sequence[tuple[Array, Marginals]], size: int) -> Marginals:
    """Return the marginals of ``size`` cells, of which each part has some."""
    width = max(part.numbers.shape[1] for _, part in parts)
    numbers, kinds = np.full((size, width), np.nan), np.zeros(size, dtype=np.int8)
    central, lowest, highest = np.empty((3, size))
    for cells, part in parts:
        kinds[cells], central[cells] = part.kinds, part.central
        lowest[cells], highest[cells] = part.lowest, part.highest
        numbers[cells, : part.numbers.shape[1]] = part.numbers
    choices = max((part.choices for _, part in parts), key=len)
    return Marginals(kinds, numbers, central, lowest, highest, choices)


def deviation(cell: Marginal) -> float:
    """Return the standard deviation of a marginal.

    Examples
    --------
    >>> round(deviation(Marginal("uniform", (0.0, 12.0), 6.0, 0.0, 12.0)), 6)
    3.464102
    """
    numbers = cell.numbers
    match cell.kind:
        case "constant":
            return 0.0
        case "normal":
            return numbers[1]
        case "lognormal":
            return cell.central * math.sqrt(math.expm1(numbers[1] ** 2))
        case "uniform":
            return (numbers[1] - numbers[0]) / math.sqrt(12)
        case "triangular":
            low, mode, high = numbers
            return math.sqrt(((high - low) ** 2 - (mode - low) * (high - mode)) / 18)
        case "beta":
            a, b, _, width = numbers
            return width * math.sqrt(a * b / (a + b + 1)) / (a + b)
        case "dirichlet":
            mean, concentration = numbers
            return math.sqrt(mean * (1 - mean) / (concentration + 1))
        case "divided":
            return 0.0
        case "discrete":
            shares = [q - p for p, q in itertools.pairwise((0.0, *numbers))]
            away = [(value - cell.central) ** 2 for value in cell.choices]
            return math.sqrt(math.fsum(s * d for s, d in zip(shares, away, strict=True)))
    return _truncated_deviation(cell)


def _truncated_deviation(cell: Marginal) -> float:
    """Return the standard deviation of what is left of a normal."""
    from statistics import NormalDist

    mean, scale, p_low, p_high = cell.numbers
    alpha, beta = (
        NormalDist().inv_cdf(p) if 0 < p < 1 else math.copysign(math.inf, p - 0.5)
        for p in (p_low, p_high)
    )
    ends = [0.0 if math.isinf(score) else score * normal_pdf(score) for score in (alpha, beta)]
    share = p_high - p_low
    shift = (cell.central - mean) / scale
    return abs(scale) * math.sqrt(1 + (ends[0] - ends[1]) / share - shift * shift)


def normal_cdf(score: float) -> float:
    """Return the share of a standard normal below a score.

    Examples
    --------
    >>> normal_cdf(0.0)
    0.5
    """
    return 0.5 * math.erfc(-score * math.sqrt(0.5))


def normal_pdf(score: float) -> float:
    return math.exp(-0.5 * score * score) / math.sqrt(2 * math.pi) if math.isfinite(score) else 0.0
