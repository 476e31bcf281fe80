"""Reconciled estimates as a labelled xarray Dataset."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from ndmc.errors import InputError
from ndmc.reconciliation.equations import System
from ndmc.reconciliation.estimates import Reconciled, equations, reconcile_scenario, unit_of
from ndmc.reconciliation.moments import Way, blocks
from ndmc.scenario.load import as_scenario
from ndmc.scenario.scenario import Scenario
from ndmc.typing import Floats

__all__ = ["DrawWriter", "coordinates_of", "reconcile", "reconciled_draws", "to_dataset"]

#: Draws that are written at once: 205 cells of them take 13 MB.
_BATCH = 8192


def reconciled_draws(
    source: Scenario | str | Path,
    draws: int,
    *,
    method: Way = "projected",
    seed: int = 1,
    variant: str = "",
    changes: Mapping[str, str] | None = None,
) -> xr.Dataset:
    """Draw all that a scenario reconciles, so that every draw satisfies its equations.

    Parameters
    ----------
    source
        A loaded scenario, or what `load` takes; it has a ``reconcile`` section.
    draws
        Draws to make. A draw is the same however many there are.
    method
        ``projected`` moves draws to the equations, ``active_set`` also to where no flow or stock
        is negative; ``weighted`` gives them weights.
    seed
        As in `run`.
    variant, changes
        As in `load`; only where ``source`` is not loaded yet.

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
    if draws < 1:
        raise InputError(f"{draws} draws; 1 or more can be made", "draws")
    found = reconcile_scenario(as_scenario(source, variant=variant, changes=changes))
    made = [*blocks(found, method, seed, draws)]
    cells, logs = (np.concatenate(some, axis=-1) for some in zip(*made, strict=True))
    return _labelled(found, method, seed, 0, cells, logs)


class DrawWriter:
    """A Zarr store that takes draws as they are made, named for the scenario and the method.

    Raises
    ------
    InputError
        If there is such a store already.
    """

    def __init__(self, found: Reconciled, method: Way, seed: int, folder: Path) -> None:
        self.path = folder / f"{found.system.scenario.name}-{method}.zarr"
        if self.path.exists():
            raise InputError(f"{self.path} exists; choose another folder, or remove it", "--out")
        self.partial = self.path.with_suffix(".partial")
        shutil.rmtree(self.partial, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        self.found, self.method, self.seed = found, method, seed
        self.waiting: list[tuple[Floats, Floats]] = []
        self.written = 0

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
        batch = _labelled(self.found, self.method, self.seed, self.written, cells, logs)
        more: dict[str, Any] = {"append_dim": "draw"} if self.written else {"mode": "w"}
        batch.chunk({"draw": _BATCH}).to_zarr(self.partial, consolidated=False, **more)
        self.written += len(logs)


def _labelled(
    found: Reconciled, method: Way, seed: int, first: int, cells: Floats, logs: Floats
) -> xr.Dataset:
    """Return draws by name."""
    system, variables = found.system, dict[str, Any]()
    unknown = np.isnan(found.after)
    for name, span in system.spans.items():
        unit, factor = unit_of(found, name)
        values = np.where(unknown[span, np.newaxis], np.nan, cells[span] / factor).T
        shape = (len(values), *system.dims.shape(system.dims_of[name]))
        dims = ("draw", *system.dims_of[name])
        variables[name] = (dims, values.reshape(shape), {"units": unit})
    if method == "weighted":
        variables["log_weight"] = ("draw", logs, {"long_name": "logarithm of the draw's weight"})
    labels = {**coordinates_of(system), "draw": np.arange(first, first + len(logs))}
    scenario = system.scenario
    title = f"{scenario.file.title or scenario.name} (reconciled, {method})"
    about = {"title": title, "scenario": scenario.name, "method": method, "seed": seed}
    return xr.Dataset(variables, labels, about)


_KINDS = {
    "": "reconciled",
    "_sd": "standard deviation, reconciled",
    "_before": "as measured",
    "_before_sd": "standard deviation, as measured",
    "_test": "adjustment over its standard deviation",
    "_class": "how it is known",
}


def reconcile(
    source: Scenario | str | Path, *, variant: str = "", changes: Mapping[str, str] | None = None
) -> xr.Dataset:
    """Reconcile the measurements of a scenario with its balances.

    Parameters
    ----------
    source
        A loaded scenario, or what `load` takes; it has a ``reconcile`` section.
    variant, changes
        As in `load`; only where ``source`` is not loaded yet.

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
    return to_dataset(reconcile_scenario(as_scenario(source, variant=variant, changes=changes)))


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
