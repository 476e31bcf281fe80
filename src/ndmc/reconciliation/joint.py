"""How reconciled cells vary together: covariance and correlation, in the units people read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ndmc.reconciliation.estimates import Reconciled, unit_of
from ndmc.typing import Floats

__all__ = ["pairs"]

#: Standard deviations below this share of a value are rounding: they correlate with nothing.
_STILL = 1e-9


@dataclass(frozen=True)
class Joint:
    """Covariance and correlation [cell, cell] of reconciled cells, each in its unit.

    They are nan where nothing determines a cell, correlations also where one is exact.
    """

    cells: list[str]
    units: list[str]
    covariance: Floats
    correlation: Floats


def joint_of(found: Reconciled) -> Joint:
    """Return how all cells vary together, in the order in which `adjustments` has them."""
    spans = found.system.spans.items()
    places = np.concatenate([np.arange(span.start, span.stop) for _, span in spans])
    units = [unit_of(found, name) for name, span in spans for _ in range(span.start, span.stop)]
    factors = np.array([factor for _, factor in units])
    spread, after = found.spread[places], found.after[places] / factors
    covariance = (spread @ spread.T).toarray() / np.outer(factors, factors)
    covariance[np.isnan(after)] = covariance[:, np.isnan(after)] = np.nan
    sd = np.sqrt(np.diag(covariance))
    sd = np.where(sd > _STILL * np.abs(after), sd, np.nan)
    names = found.system.cell_names(found.system.spans)
    return Joint(names, [unit for unit, _ in units], covariance, covariance / np.outer(sd, sd))


@dataclass(frozen=True)
class Together:
    """Two cells, which may be one and the same, and how they vary together."""

    quantity: str
    unit: str
    other: str
    other_unit: str
    covariance: float
    correlation: float


def pairs(found: Reconciled) -> Iterator[Together]:
    """Yield every two cells once, and each with itself."""
    joint = joint_of(found)
    for one, other in zip(*np.triu_indices(len(joint.cells)), strict=True):
        yield Together(
            quantity=joint.cells[one],
            unit=joint.units[one],
            other=joint.cells[other],
            other_unit=joint.units[other],
            covariance=float(joint.covariance[one, other]),
            correlation=float(joint.correlation[one, other]),
        )
