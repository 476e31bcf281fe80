"""Means and covariance of parameters, as least squares see them: up to the second moment.

The factor L of a covariance L L' is built as draws are: independent scores, mapped along each dim
by the errors of a parameter, mixed between correlated parameters, times standard deviations. For
parameters that are not normal this takes the correlation of values for that of scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

from ndmc.dims import Dims
from ndmc.scenario.dependence import Axis, axes
from ndmc.scenario.marginals import deviation
from ndmc.scenario.parameters import Parameter
from ndmc.scenario.scenario import Scenario
from ndmc.typing import Floats, Matrix


def factor_of(scenario: Scenario, names: Sequence[str]) -> Matrix:
    """Return the factor of the covariance of all cells of some parameters, [cell, error].

    Examples
    --------
    >>> from ndmc.scenario.load import load
    >>> scenario = load("starter")
    >>> name = next(name for name, one in scenario.parameters.items() if one.uncertain)
    >>> factor_of(scenario, [name]).shape[0] == len(scenario.parameters[name].marginals)
    True
    """
    factors = dict(scenario.correlations)
    groups = [*factors]
    groups += [(name,) for name in names if not any(name in members for members in groups)]
    rows: dict[str, Any] = {}
    blocks, start = [], 0
    for members in groups:
        mixed = np.array(factors.get(members, ((1.0,),)))
        wanted = [n for n, name in enumerate(members) if name in names]
        if wanted:
            blocks.append(_group(scenario, members, mixed, wanted))
        for n in wanted:
            size = scenario.dims.size(scenario.parameters[members[n]].dims)
            rows[members[n]] = np.arange(start, start + size)
            start += size
    if not blocks:
        return sp.csr_array((0, 0))
    stacked = sp.csr_array(sp.block_diag(blocks, format="csr"))
    return stacked[np.concatenate([rows[name] for name in names])]


def _group(
    scenario: Scenario, members: Sequence[str], mixed: Floats, wanted: Sequence[int]
) -> Matrix:
    """Return the factor of parameters that are correlated cell by cell."""
    parameters = [scenario.parameters[name] for name in members]
    fields = [_field(parameter, scenario.dims) for parameter in parameters]
    spread = [sp.diags_array(_deviations(parameter)) for parameter in parameters]
    rows = [[mixed[n, m] * (spread[n] @ field) for m, field in enumerate(fields)] for n in wanted]
    return sp.block_array(rows, format="csr")


def _deviations(parameter: Parameter) -> Floats:
    return np.array([deviation(cell) for cell in parameter.marginals])


def _field(parameter: Parameter, dims: Dims) -> Matrix:
    """Return the map from independent scores to those of the cells."""
    field: Matrix = sp.eye_array(1)
    for axis in axes(parameter.errors, dims):
        field = sp.kron(field, _along(axis))
    return sp.csr_array(field)


def _along(axis: Axis) -> Matrix:
    """Return the map along one dim, and those it belongs to; its rows have length one."""
    field = sp.eye_array(len(axis.keys), format="csr")
    for mix in axis.mixes:
        common, own = field[list(mix.common)], field[list(mix.own)]
        field = np.sqrt(mix.share) * common + np.sqrt(1 - mix.share) * own
    if axis.errors[-1].kind == "ar1":
        field = _chain(axis.errors[-1].value, len(axis.keys))
    return sp.csr_array(field[list(axis.of_cell)])


def _chain(rho: float, size: int) -> Matrix:
    """Return the map along labels that each follow the one before."""
    steps = np.arange(size)
    chain = np.tril(rho ** np.maximum(steps[:, np.newaxis] - steps, 0.0))
    chain[:, 1:] *= np.sqrt(1 - rho * rho)
    return sp.csr_array(chain)
