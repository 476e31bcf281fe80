"""Scores of data, in one row where cells are alike, and what follows from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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
        if any(parameter.ratings)
        for row in _ratings_of(scenario, parameter)
    ]


def _ratings_of(scenario: Scenario, parameter: Parameter) -> list[Rated]:
    """Return the rows of one parameter, without the dims along which nothing changes."""
    labels = [tuple(cell.values()) for cell in scenario.dims.cells(parameter.dims)]
    found: dict[tuple[str, ...], Rating | None] = dict(zip(labels, parameter.ratings, strict=True))
    for axis in reversed(range(len(parameter.dims))):
        merged: dict[tuple[str, ...], set[Rating | None]] = {}
        for key, rating in found.items():
            merged.setdefault(key[:axis] + key[axis + 1 :], set()).add(rating)
        if all(len(alike) == 1 for alike in merged.values()):
            found = {key: alike.pop() for key, alike in merged.items()}
    cells = len(labels) // len(found)
    return [
        Rated(parameter.name, ", ".join(key), cells, rating)
        for key, rating in found.items()
        if rating
    ]


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
    for row in ratings(scenario):
        groups.setdefault((row.parameter, row.rating.method), []).append(row)
    for (name, method), alike in groups.items():
        scores = ", ".join(_scores(alike, indicator) for indicator in indicators_of(alike))
        cells = sum(row.cells for row in alike)
        cvs = [row.rating.cv for row in alike]
        yield Quality(name, method, scores, _kinds(alike), cells, f"{_span(cvs, 100)} %")


def _scores(rows: list[Rated], indicator: str) -> str:
    """Return an indicator with its scores and sensitivities from the least to the greatest."""
    given = [dict(row.rating.scores) for row in rows]
    scores = [one[indicator] for one in given if indicator in one]
    found = {dict(row.rating.sensitivities).get(indicator) for row in rows}
    levels = "/".join(level for level in reversed(LEVELS) if level in found)
    return f"{indicator} {_span(scores, 1)}" + f" ({levels})" * bool(levels)


def _kinds(rows: list[Rated]) -> str:
    """Return the distributions, and of how many cells each is where there are several."""
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.rating.distribution] = counts.get(row.rating.distribution, 0) + row.cells
    several = len(counts) > 1
    return ", ".join(f"{kind} {n}" if several else kind for kind, n in counts.items())


def _span(values: list[float], factor: float) -> str:
    low, high = (f"{factor * value:.3g}" for value in (min(values), max(values)))
    return low if low == high else f"{low}..{high}"
