"""What is reconciled as labelled xarray datasets: estimates with their tests, and draws."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from ndmc.errors import InputError
from ndmc.given import as_count, as_flag, as_path
from ndmc.portable import portable
from ndmc.reconciliation.estimates import Reconciled, reconcile_scenario, unit_of
from ndmc.reconciliation.joint import joint_of
from ndmc.reconciliation.moments import DrawMethod, Draws, draw_method, moments
from ndmc.reconciliation.nodal_tests import nodal_tests
from ndmc.reconciliation.system import System
from ndmc.scenario import reserved
from ndmc.scenario.load import as_scenario
from ndmc.scenario.scenario import Scenario
from ndmc.typing import Floats
from ndmc.zarr_library import zarr_library

__all__ = ["DrawWriter", "reconcile", "reconciled_draws"]

#: Draws that are written at once: 205 cells of them take 13 MB.
_BATCH = 8192


# --- estimates --------------------------------------------------------------------------------


def reconcile(
    scenario: Scenario | str | Path,
    *,
    draws: int = 0,
    covariance: bool = False,
    method: DrawMethod = "projected",
    seed: int = 1,
    variant: str | Iterable[str] = "",
    changes: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Reconcile the measurements of a scenario with its balances.

    Parameters
    ----------
    scenario
        A loaded scenario, or what `load` takes; it has a ``reconcile`` section.
    draws
        Draws whose moments are held against the estimates; 2 or more, 0 for none.
    covariance
        Whether to return how all cells vary together: n x n numbers of n cells.
    method, seed
        Of these draws, as in `reconciled_draws`.
    variant, changes
        As in `load`; only where ``scenario`` is not loaded yet.

    Returns
    -------
    xarray.Dataset
        For each flow, stock and parameter of the equations, with its dims: the reconciled value
        under its name, and ``_sd``, ``_before``, ``_before_sd``, ``_test`` and ``_class``; X has
        no ``X_before`` where a parameter is called so. For
        each ``equation`` that tests the measurements: ``equation_open`` in its
        ``equation_unit``, ``equation_open_sd`` and ``equation_test``. If asked for, ``covariance``
        and ``correlation`` (reconciled_cell, other_cell), of cells in their ``reconciled_unit``;
        correlations of what is exact are nan. The attributes hold the
        global test, the ``critical`` value of the others, what was ``rejected`` and what would
        look ``alike`` (lists as JSON text); and of draws how many there are without any weight
        (``lost``) and of equal weight (``effective``), and by how much at most they
        differ from the estimates, over so many ``cells``: means (``mean_off``) in standard
        deviations, standard deviations (``sd_off``) as shares, correlations
        (``correlation_off``) as they are.

    Raises
    ------
    InputError
        With file and line: nothing is measured, or exact values contradict each other.
    RunError
        If the equations are not linear and no solution is found, or no draw has any weight.

    Examples
    --------
    >>> import json
    >>> found = reconcile("china_nd_published")
    >>> json.loads(found.attrs["rejected"])[0]
    'automobiles_published'
    >>> str(abs(found.equation_test).idxmax().values)
    "what measures 'phone_stock' + the value of 'used' [product=mobile_phone]"
    """
    draws, way = as_count(draws, "draws"), draw_method(method)
    found = reconcile_scenario(as_scenario(scenario, variant=variant, changes=changes))
    estimates = to_dataset(found)
    if as_flag(covariance, "covariance"):
        estimates = estimates.merge(_together(found), combine_attrs="override")
    return estimates.assign_attrs(_held(found, draws, way, seed)) if draws else estimates


def to_dataset(found: Reconciled) -> xr.Dataset:
    """Return estimates, classes and tests by name, in the units of the scenario."""
    system, variables = found.system, dict[str, Any]()
    own = {name + suffix for name in system.spans for suffix in ("", reserved.SD)}
    for name, span in system.spans.items():
        dims = system.dims_of[name]
        unit, factor = unit_of(found, name)
        parts: dict[str, tuple[str, npt.NDArray[Any]]] = {
            "": ("reconciled", found.after[span] / factor),
            reserved.SD: ("standard deviation, reconciled", found.after_sd[span] / factor),
            reserved.BEFORE: ("as measured", found.before[span] / factor),
            reserved.BEFORE_SD: ("standard deviation, as measured", found.before_sd[span] / factor),
            reserved.TEST: ("adjustment over its standard deviation", found.test[span]),
            reserved.CLASS: ("how it is known", found.classes[span]),
        }
        for suffix, (title, part) in parts.items():
            if suffix.startswith(reserved.BEFORE) and name + suffix in own:
                continue
            units = {} if suffix in reserved.OF_RECONCILED else {"units": unit}
            shaped = part.reshape(system.dims.shape(dims))
            variables[name + suffix] = (dims, shaped, {"long_name": title, **units})
    estimates = xr.Dataset(variables, _coordinates(system), portable(_findings(found)))
    return estimates.merge(_tested(found), combine_attrs="override")


def _findings(found: Reconciled) -> dict[str, Any]:
    """Return the global test, and what was rejected."""
    names = found.system.cell_names(found.system.parameters)
    return {
        "scenario": found.system.scenario.name,
        "chi2": found.adjusted.chi2,
        "redundancy": found.adjusted.redundancy,
        "p": found.p,
        "level": found.level,
        "critical": found.critical,
        "steps": found.adjusted.steps,
        "worst_balance": found.worst,
        "rejected": [names[one.cell] for one in found.rejected],
        "alike": [", ".join(names[cell] for cell in one.alike) for one in found.rejected],
    }


def _tested(found: Reconciled) -> xr.Dataset:
    """Return how far the measurements leave each equation open that tests them."""
    tests = nodal_tests(found)
    numbers = np.array([(one.open, one.open_sd, one.test) for one in tests]).reshape(-1, 3)
    titles = {
        "equation_open": "what the measurements leave open",
        "equation_open_sd": "standard deviation of what the measurements leave open",
        "equation_test": "what is open over its standard deviation",
    }
    variables = {
        name: ("equation", column, {"long_name": title})
        for (name, title), column in zip(titles.items(), numbers.T, strict=True)
    }
    names = np.array([one.equation for one in tests], dtype=object)
    units = np.array([one.unit for one in tests], dtype=object)
    return xr.Dataset(variables, {"equation": names, "equation_unit": ("equation", units)})


def _together(found: Reconciled) -> xr.Dataset:
    """Return how all cells vary together."""
    joint, dims = joint_of(found), ("reconciled_cell", "other_cell")
    cells, units = (np.array(texts, dtype=object) for texts in (joint.cells, joint.units))
    matrices = {
        "covariance": (dims, joint.covariance, {"long_name": "covariance, reconciled"}),
        "correlation": (dims, joint.correlation, {"long_name": "correlation, reconciled"}),
    }
    unit = (dims[0], units, {"long_name": "unit of a cell"})
    return xr.Dataset(matrices, {**dict.fromkeys(dims, cells), "reconciled_unit": unit})


def _held(found: Reconciled, count: int, method: DrawMethod, seed: int) -> dict[str, Any]:
    """Return how far draws are from estimates."""
    drawn = moments(Draws(found, method, seed, count))
    off = drawn.against(found)
    return {
        "draws": count,
        "method": method,
        "seed": seed,
        "lost": drawn.lost,
        "effective": drawn.effective,
        "cells": off.cells,
        "mean_off": off.mean,
        "sd_off": off.sd,
        "correlation_off": off.correlation,
    }


# --- draws ------------------------------------------------------------------------------------


def reconciled_draws(
    scenario: Scenario | str | Path,
    draws: int,
    *,
    method: DrawMethod = "projected",
    seed: int = 1,
    out: str | Path | None = None,
    variant: str | Iterable[str] = "",
    changes: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Draw all that a scenario reconciles, so that every draw satisfies its equations.

    Parameters
    ----------
    scenario
        A loaded scenario, or what `load` takes; it has a ``reconcile`` section.
    draws
        Draws to make. A draw is the same however many there are.
    method
        ``projected`` moves draws to the equations, ``active_set`` also to where no flow or stock
        is negative; ``weighted`` gives them weights.
    seed
        As in `run`.
    out
        Folder in which they are written to ``SCENARIO-METHOD.zarr`` as they are made, and returned
        lazily; None keeps them in memory.
    variant, changes
        As in `load`; only where ``scenario`` is not loaded yet.

    Returns
    -------
    xarray.Dataset
        Flows, stocks and parameters by name, dims (draw, ...), in the units of the scenario; nan
        where nothing determines a quantity, and in draws that no step brings to the equations.
        ``weighted`` draws have a ``log_weight``, which is -inf where a flow or stock is negative.
        The attributes name the scenario, the method and the seed.

    Raises
    ------
    InputError
        With file and line, as `ndmc.reconcile`, and if the method does not fit the scenario.
    RunError
        If the equations are not linear and no solution is found.

    Examples
    --------
    >>> drawn = reconciled_draws("china_nd_published", 100)
    >>> drawn.supply_published.sizes["draw"], drawn.attrs["method"]
    (100, 'projected')
    """
    draws, way = as_count(draws, "draws"), draw_method(method)
    if draws < 1:
        raise InputError(f"{draws} draws; 1 or more can be made", "draws")
    folder = None if out is None else as_path(out, "out")
    found = reconcile_scenario(as_scenario(scenario, variant=variant, changes=changes))
    made = Draws(found, way, seed, draws)
    if folder is None:
        cells, logs = (np.concatenate(some, axis=-1) for some in zip(*made, strict=True))
        return _labelled(made, 0, cells, logs)
    writer = DrawWriter(made, folder)
    for block in made:
        writer.add(*block)
    stored: xr.Dataset = xr.open_zarr(writer.finish(), consolidated=False)
    return stored


class DrawWriter:
    """A Zarr store that takes draws as they are made, named for the scenario and the method.

    Raises
    ------
    InputError
        If there is such a store already, or the folder is a URL.
    """

    def __init__(self, draws: Draws, out: str) -> None:
        if "://" in out:  # not shown: it may hold a password
            message = "draws are written to a folder of this machine, and to no URL"
            raise InputError(message, "--out")
        zarr_library()
        folder = Path(out)
        self.path = folder / f"{draws.found.system.scenario.name}-{draws.method}.zarr"
        if self.path.exists():
            raise InputError(f"{self.path} exists; choose another folder, or remove it", "--out")
        self.partial = self.path.with_suffix(".partial")
        shutil.rmtree(self.partial, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        self.draws, self.written = draws, 0
        self.waiting: list[tuple[Floats, Floats]] = []

    def add(self, cells: Floats, logs: Floats) -> None:
        """Take the next block of draws."""
        self.waiting.append((cells, logs))
        if sum(len(logs) for _, logs in self.waiting) >= _BATCH:
            self._write()

    def finish(self) -> Path:
        """Write what is left, and give the store its name."""
        if self.waiting:
            self._write()
        self.partial.rename(self.path)
        return self.path

    def _write(self) -> None:
        cells, logs = (np.concatenate(some, axis=-1) for some in zip(*self.waiting, strict=True))
        self.waiting.clear()
        batch = _labelled(self.draws, self.written, cells, logs)
        more: dict[str, Any] = {"append_dim": "draw"} if self.written else {"mode": "w"}
        batch.chunk({"draw": _BATCH}).to_zarr(self.partial, consolidated=False, **more)
        self.written += len(logs)


def _labelled(draws: Draws, first: int, cells: Floats, logs: Floats) -> xr.Dataset:
    """Return draws by name."""
    found, system, variables = draws.found, draws.found.system, dict[str, Any]()
    unknown = np.isnan(found.after)
    for name, span in system.spans.items():
        unit, factor = unit_of(found, name)
        values = np.where(unknown[span, np.newaxis], np.nan, cells[span] / factor).T
        shape = (len(values), *system.dims.shape(system.dims_of[name]))
        variables[name] = (("draw", *system.dims_of[name]), values.reshape(shape), {"units": unit})
    if draws.method == "weighted":
        variables["log_weight"] = ("draw", logs, {"long_name": "logarithm of the draw's weight"})
    labels = {**_coordinates(system), "draw": np.arange(first, first + len(logs))}
    scenario = system.scenario
    title = f"{scenario.heading} (reconciled, {draws.method})"
    made = {"scenario": scenario.name, "method": draws.method, "seed": draws.seed}
    return xr.Dataset(variables, labels, {"title": title, **made})


def _coordinates(system: System) -> dict[str, tuple[str, npt.NDArray[Any]]]:
    """Return the labels of all dims, text as objects: Zarr has no stable type for fixed length."""
    used = {dim for name in system.spans for dim in system.dims_of[name]}
    return {
        name: (dim, np.array(some, dtype=object if isinstance(some[0], str) else np.int64))
        for name, (dim, some) in system.dims.coordinates(used).items()
    }
