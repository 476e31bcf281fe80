"""Reconciled estimates as a labelled xarray Dataset."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from ndmc.equations import System
from ndmc.reconciliation import Reconciled, equations, reconcile_scenario, unit_of
from ndmc.scenario import load

__all__ = ["coordinates_of", "reconcile", "to_dataset"]

_KINDS = {
    "": "reconciled",
    "_sd": "standard deviation, reconciled",
    "_before": "as measured",
    "_before_sd": "standard deviation, as measured",
    "_test": "adjustment over its standard deviation",
    "_class": "how it is known",
}


def reconcile(
    source: str | Path, *, variant: str = "", changes: Mapping[str, str] | None = None
) -> xr.Dataset:
    """Reconcile the measurements of a scenario with its balances.

    Parameters
    ----------
    source, variant, changes
        As in `load`; the scenario has a ``reconcile`` section.

    Returns
    -------
    xarray.Dataset
        For each flow, stock and parameter of the equations, with its dims: the reconciled value
        under its name, and ``_sd``, ``_before``, ``_before_sd``, ``_test`` and ``_class``. For
        each ``equation`` that tests the measurements: ``equation_open`` in its
        ``equation_unit``, ``equation_open_sd`` and ``equation_test``. The attributes hold the
        global test.

    Raises
    ------
    InputError
        With file and line: nothing is measured, or exact values contradict each other.
    RunError
        If the equations are not linear and no solution is found.

    Examples
    --------
    >>> found = reconcile("china_nd_published")
    >>> found.attrs["rejected"][0]
    'automobiles_published'
    >>> str(abs(found.equation_test).idxmax().values)
    "what measures 'phone_stock' + the value of 'used' [product=mobile_phone]"
    """
    return to_dataset(reconcile_scenario(load(source, variant=variant, changes=changes)))


def to_dataset(found: Reconciled) -> xr.Dataset:
    """Return estimates, classes and tests by name, in the units of the scenario."""
    system = found.system
    parts: tuple[Any, ...] = (
        found.after,
        found.after_sd,
        found.before,
        found.before_sd,
        found.test,
        found.classes,
    )
    variables = {}
    for name, span in system.spans.items():
        unit, factor = unit_of(found, name)
        for number, ((suffix, title), part) in enumerate(zip(_KINDS.items(), parts, strict=True)):
            scaled = part[span] / factor if number < 4 else part[span]
            shaped = scaled.reshape(system.dims.shape(system.dims_of[name]))
            about = {"long_name": title, **({"units": unit} if number < 4 else {})}
            variables[name + suffix] = (system.dims_of[name], shaped, about)
    names = system.cell_names(system.parameters)
    findings: dict[str, Any] = {
        "scenario": system.scenario.name,
        "chi2": found.chi2,
        "redundancy": found.redundancy,
        "p": found.p,
        "level": found.level,
        "steps": found.steps,
        "worst_balance": found.worst,
        "rejected": [names[one.cell] for one in found.rejected],
    }
    estimates = xr.Dataset(variables, coordinates_of(system), findings)
    return estimates.merge(_nodal_tests(found), combine_attrs="override")


def coordinates_of(system: System) -> dict[str, npt.NDArray[Any]]:
    """Return the labels of all dims, text as objects: Zarr has no stable type for fixed length."""
    used = {dim for name in system.spans for dim in system.dims_of[name]}
    labels = {dim: system.dims.coordinate(dim) for dim in system.dims.ordered(used)}
    return {
        dim: np.array(some, dtype=object if isinstance(some[0], str) else np.int64)
        for dim, some in labels.items()
    }


def _nodal_tests(found: Reconciled) -> xr.Dataset:
    """Return how far the measurements leave each equation open that tests them."""
    tested = equations(found)
    numbers = np.array([(one.open, one.open_sd, one.test) for one in tested]).reshape(-1, 3)
    titles = {
        "equation_open": "what the measurements leave open",
        "equation_open_sd": "standard deviation of what the measurements leave open",
        "equation_test": "what is open over its standard deviation",
    }
    variables = {
        name: ("equation", column, {"long_name": title})
        for (name, title), column in zip(titles.items(), numbers.T, strict=True)
    }
    names = np.array([one.equation for one in tested], dtype=object)
    units = np.array([one.unit for one in tested], dtype=object)
    return xr.Dataset(variables, {"equation": names, "equation_unit": ("equation", units)})
