"""Draws of everything that a scenario reconciles, as labelled data."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from ndmc.dims import Floats
from ndmc.errors import InputError
from ndmc.posterior import Way, blocks
from ndmc.reconciliation import Reconciled, reconcile_scenario, unit_of
from ndmc.scenario import load

__all__ = ["reconciled_draws", "write_draws"]

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
    found = reconcile_scenario(load(source, variant=variant, changes=changes))
    return xr.concat([*_batches(found, method, seed, draws)], "draw", data_vars="minimal")


def write_draws(found: Reconciled, method: Way, seed: int, draws: int, folder: Path) -> Path:
    """Write draws to a Zarr store that has the scenario's and the method's name.

    Raises
    ------
    InputError
        If there is such a store already, or the method does not fit the scenario.
    """
    path = folder / f"{found.system.scenario.name}-{method}.zarr"
    if path.exists():
        raise InputError(f"{path} exists; choose another folder, or remove it", "--out")
    partial = path.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    for number, batch in enumerate(_batches(found, method, seed, draws)):
        whole = batch.chunk({"draw": _BATCH})
        if number:
            whole.to_zarr(partial, append_dim="draw", consolidated=False)
        else:
            whole.to_zarr(partial, mode="w", consolidated=False)
    partial.rename(path)
    return path


def _batches(found: Reconciled, method: Way, seed: int, draws: int) -> Iterator[xr.Dataset]:
    """Yield so many draws at once as labelled data."""
    if draws < 1:
        raise InputError(f"{draws} draws; 1 or more can be made", "-n")
    waiting: list[tuple[Floats, Floats]] = []
    first, count = 0, 0
    for cells, logs in blocks(found, method, seed, draws):
        waiting.append((cells, logs))
        count += len(logs)
        if count == min(_BATCH, draws - first):
            cells, logs = (np.concatenate(some, axis=-1) for some in zip(*waiting, strict=True))
            yield _labelled(found, method, seed, first, cells, logs)
            first, count = first + count, 0
            waiting.clear()


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
    used = {dim for name in system.spans for dim in system.dims_of[name]}
    labels = {dim: _coordinate(system.dims.coordinate(dim)) for dim in system.dims.ordered(used)}
    labels["draw"] = np.arange(first, first + len(logs))
    scenario = system.scenario
    title = f"{scenario.file.title or scenario.name} (reconciled, {method})"
    about = {"title": title, "scenario": scenario.name, "method": method, "seed": seed}
    return xr.Dataset(variables, labels, about)


def _coordinate(labels: tuple[int, ...] | tuple[str, ...]) -> npt.NDArray[Any]:
    """Return labels, text as objects: Zarr has no stable type for text of fixed length."""
    return np.array(labels, dtype=object if isinstance(labels[0], str) else np.int64)
