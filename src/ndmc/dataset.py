"""Stores as labelled xarray datasets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ndmc.errors import InputError
from ndmc.quantiles import DEFAULT_QUANTILES, summaries, to_dataset
from ndmc.store import open_store

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["open_dataset", "percentiles"]


def open_dataset(store: str | Path) -> xr.Dataset:
    """Open the kept draws of a store, lazily.

    Parameters
    ----------
    store
        Path of a store.

    Returns
    -------
    xarray.Dataset
        Outputs with dims (draw, year, ...), units and long names in their attrs, the provenance
        of the run in its own.

    Raises
    ------
    InputError
        If there is no such store.
    RunError
        If its labels are damaged.

    Examples
    --------
    >>> import ndmc, tempfile
    >>> out = tempfile.mkdtemp() + "/run.zarr"
    >>> _ = ndmc.run("china_nd", 100, seed=1, out=out, keep=["in_use"])
    >>> ndmc.open(out).in_use.attrs["units"]
    't'
    """
    import xarray as xr

    opened = open_store(store)
    opened.check_labels()
    with opened.damage("a label"):
        dataset: xr.Dataset = xr.open_zarr(opened.path)
    return dataset


def percentiles(
    store: str | Path,
    variables: str | Sequence[str] | None = None,
    *,
    quantiles: Sequence[float] = DEFAULT_QUANTILES,
    sel: Mapping[str, str | int | Sequence[str | int]] | None = None,
    over: str | Iterable[str] = (),
    by_group: str | Iterable[str] = (),
) -> xr.Dataset:
    """Return exact percentiles, with confidence limits, mean and sd.

    Of outputs whose draws are stored any percentile of any sum, of others those the run computed.

    Parameters
    ----------
    store
        Path of a complete store.
    variables
        Names of outputs; all if None, each asked for those of the dims below that it has.
    quantiles
        Shares from 0 to 1.
    sel
        Labels to pick, ``{"year": 2021, "product": ["mobile_phone", "automobiles"]}``; a group
        stands for its labels.
    over
        Dims to sum over, draw by draw, before percentiles are taken.
    by_group
        Dims whose labels are summed by group.

    Returns
    -------
    xarray.Dataset
        For each variable ``x``: ``x`` (quantile, ...), ``x_low``, ``x_high``, ``x_mean``, ``x_sd``.

    Raises
    ------
    InputError
        For a name, dim or label the store has not, a sum or percentile that needs draws which are
        not stored, or an incomplete store.

    Examples
    --------
    >>> import ndmc, tempfile
    >>> out = tempfile.mkdtemp() + "/run.zarr"
    >>> _ = ndmc.run("china_nd", 200, seed=1, out=out, keep=["in_use"])
    >>> total = ndmc.percentiles(out, "in_use", sel={"year": 2021}, over="product")
    >>> 100_000 < total.in_use.sel(quantile=0.5).item() < 130_000
    True
    """
    opened = open_store(store)
    if isinstance(variables, str):
        variables = [variables]
    for quantile in quantiles:
        if not 0 <= quantile <= 1:
            raise InputError(f"quantile {quantile:g} is not between 0 and 1")
    select = {dim: _labels(chosen) for dim, chosen in (sel or {}).items()}
    dims = (over,) if isinstance(over, str) else tuple(over)
    by = (by_group,) if isinstance(by_group, str) else tuple(by_group)
    found = to_dataset(opened, summaries(opened, variables, quantiles, select, dims, by))
    single = {dim: 0 for dim, chosen in (sel or {}).items() if _is_label(chosen)}
    return found.isel({dim: at for dim, at in single.items() if found.sizes.get(dim) == 1})


def _is_label(chosen: str | int | Sequence[str | int]) -> bool:
    return isinstance(chosen, str | int)


def _labels(chosen: str | int | Sequence[str | int]) -> list[str]:
    return [str(chosen)] if isinstance(chosen, (str, int)) else [str(label) for label in chosen]
