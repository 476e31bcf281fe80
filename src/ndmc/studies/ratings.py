"""Scores of data, in one row where cells are alike, and what follows from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ndmc.scenario.parameters import Parameter
from ndmc.scenario.quality import BASIC, INDICATORS, LEVELS, Rating
from ndmc.scenario.scenario import Scenario

__all__ = ["Rated", "indicators_of", "ratings"]


@dataclass(frozen=True)
class Rated:
    """Cells of a parameter that share their quality: its name, their labels, and how many."""

    parameter: str
    labels: str
    cells: int
    rating: Rating

    @property
    def title(self) -> str:
        """Name and labels."""
        return f"{self.parameter}: {self.labels}" if self.labels else self.parameter


def indicators_of(rows: Sequence[Rated]) -> list[str]:
    """Return the indicators that any row has a score of, in the order of the methods."""
    scored = {name for row in rows for name, _ in row.rating.scores}
    known = dict.fromkeys((*(name for group in INDICATORS.values() for name in group), BASIC))
    return [name for name in known if name in scored]


def ratings(scenario: Scenario) -> list[Rated]:
    """Return the quality of every cell that has scores, in one row where cells are alike."""
    return [
        row
        for parameter in scenario.parameters.values()
        if parameter.rated
        for row in _ratings_of(scenario, parameter)
    ]


def _ratings_of(scenario: Scenario, parameter: Parameter) -> list[Rated]:
    """Return the rows of one parameter, without the dims along which nothing changes."""
    ratings, dims = parameter.ratings, list(parameter.dims)
    known: dict[Rating | None, int] = {}
    number = np.array([known.setdefault(one, len(known)) for one in ratings.values])
    found = number[ratings.codes].reshape(scenario.dims.shape(dims))
    for axis in reversed(range(len(dims))):
        first = found.take(0, axis)
        if (found == np.expand_dims(first, axis)).all():
            found = first
            del dims[axis]
    cells, distinct = len(ratings) // found.size, [*known]
    labelled = zip(scenario.dims.cells(dims), found.reshape(-1).tolist(), strict=True)
    return [
        Rated(parameter.name, ", ".join(labels.values()), cells, rating)
        for labels, rating in ((labels, distinct[n]) for labels, n in labelled)
        if rating
    ]


def _counted(parameter: Parameter) -> list[Rated]:
    """Return the ratings of a parameter, each with the number of cells that have it."""
    counts: dict[Rating | None, int] = {}
    of_each = np.bincount(parameter.ratings.codes, minlength=len(parameter.ratings.values))
    for rating, count in zip(parameter.ratings.values, of_each.tolist(), strict=True):
        counts[rating] = counts.get(rating, 0) + count
    found = parameter.ratings.distinct
    return [Rated(parameter.name, "", counts[rating], rating) for rating in found if rating]


@dataclass(frozen=True)
class Quality:
    """What follows from the scores of a parameter by a method, from the least to the greatest."""

    parameter: str
    method: str
    scores: str
    distribution: str
    cells: int
    cv: str


def qualities(scenario: Scenario) -> Iterator[Quality]:
    """Yield what follows from scores, for each parameter and method."""
    groups: dict[tuple[str, str], list[Rated]] = {}
    for row in (row for one in scenario.parameters.values() for row in _counted(one)):
        groups.setdefault((row.parameter, row.rating.method), []).append(row)
    for (name, method), alike in groups.items():
        scores = ", ".join(_scores(alike, indicator) for indicator in indicators_of(alike))
        cells = sum(row.cells for row in alike)
        cvs = [row.rating.cv for row in alike]
        yield Quality(name, method, scores, _kinds(alike), cells, f"{span(cvs, 100)} %")


def _scores(rows: list[Rated], indicator: str) -> str:
    """Return an indicator with its scores and sensitivities from the least to the greatest."""
    given = [dict(row.rating.scores) for row in rows]
    scores = [one[indicator] for one in given if indicator in one]
    found = {dict(row.rating.sensitivities).get(indicator) for row in rows}
    levels = "/".join(level for level in reversed(LEVELS) if level in found)
    return f"{indicator} {span(scores, 1)}" + f" ({levels})" * bool(levels)


def _kinds(rows: list[Rated]) -> str:
    """Return the distributions, and of how many cells each is where there are several."""
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.rating.distribution] = counts.get(row.rating.distribution, 0) + row.cells
    several = len(counts) > 1
    return ", ".join(f"{kind} {n}" if several else kind for kind, n in counts.items())


def span(values: list[float], factor: float) -> str:
    """Return the least and the greatest of some values, times a factor."""
    low, high = (f"{factor * value:.3g}" for value in (min(values), max(values)))
    return low if low == high else f"{low}..{high}"
