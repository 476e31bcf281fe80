"""Draws of everything that a scenario reconciles, as labelled data."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ndmc.dims import Floats
from ndmc.errors import InputError
from ndmc.posterior import Way, blocks
from ndmc.reconciled_dataset import coordinates_of
from ndmc.reconciliation import Reconciled, reconcile_scenario, unit_of
from ndmc.scenario import load

__all__ = ["DrawWriter", "reconciled_draws"]

#: Draws that are written at once: 205 cells of them take 13 MB.
_BATCH = 8192


def reconciled_draws(
    source: str | Path,
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
    source, variant, changes
        As in `load`; the scenario has a ``reconcile`` section.
    draws, seed
        Draws to make. A draw is the same however many there are.
    method
        ``projected`` moves draws to the equations, ``active_set`` also to where no flow or stock
        is negative; ``weighted`` gives them weights.

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
    found = reconcile_scenario(load(source, variant=variant, changes=changes))
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
