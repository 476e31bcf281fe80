"""Shares that sum to 1 in every draw, as a check shows them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ndmc.scenario.marginals import deviation
from ndmc.scenario.parameters import Parameter
from ndmc.scenario.scenario import Scenario
from ndmc.studies.ratings import span


@dataclass(frozen=True)
class Whole:
    """A parameter whose cells sum to 1 along a dim, and how many such sums it has.

    Concentration and cvs, from the least to the greatest, are known of a Dirichlet distribution.
    """

    parameter: str
    along: str
    sums: int
    distribution: str
    concentration: str
    cv: str


def wholes(scenario: Scenario) -> Iterator[Whole]:
    """Yield the parameters of a scenario whose cells sum to 1 in every draw."""
    for name, parameter in scenario.parameters.items():
        found = parameter.composition
        if found:
            kinds = sorted({*parameter.marginals.groups()} - {"divided"})
            spread = _spread(parameter) if found.shares else ("", "")
            text = ", ".join(kinds) + ", divided by their sum" * (not found.shares)
            yield Whole(name, found.dim, int(found.sum_of.max()) + 1, text, *spread)


def _spread(parameter: Parameter) -> tuple[str, str]:
    """Return the concentration of shares, and their cv."""
    marginals = parameter.marginals
    drawn = np.flatnonzero(~marginals.certain)
    if not len(drawn):
        return "", ""
    cells = marginals.at(drawn)
    cvs = [deviation(cell) / cell.central for cell in cells]
    return span(cells.numbers[:, 1].tolist(), 1), f"{span(cvs, 100)} %"
