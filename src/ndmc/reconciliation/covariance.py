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
from ndmc.scenario.dependence import Errors
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
    for dim in parameter.dims:
        field = sp.kron(field, _along(parameter.errors[dim], len(dims.labels[dim])))
    return sp.csr_array(field)


def _along(errors: Errors, size: int) -> Matrix:
    """Return the map along one dim; its rows have length one."""
    common, own = sp.csr_array(np.ones((size, 1))), sp.eye_array(size)
    match errors.kind:
        case "shared":
            return common
        case "independent":
            return own
        case "mixed":
            share = errors.value
            return sp.hstack([np.sqrt(share) * common, np.sqrt(1 - share) * own])
    rho, steps = errors.value, np.arange(size)
    chain = np.tril(rho ** np.maximum(steps[:, np.newaxis] - steps, 0.0))
    chain[:, 1:] *= np.sqrt(1 - rho * rho)
    return sp.csr_array(chain)
