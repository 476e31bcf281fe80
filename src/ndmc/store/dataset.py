"""Stores as labelled xarray datasets."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ndmc.dims import PARENT
from ndmc.given import as_names, as_shares, wrong
from ndmc.label import Labels, is_one
from ndmc.portable import portable
from ndmc.store.exceedance import exceedance
from ndmc.store.opening import open_store
from ndmc.store.ranks import CONFIDENCE, DEFAULT_QUANTILES
from ndmc.store.store import Store
from ndmc.store.stored_percentiles import Summary
from ndmc.store.summaries import summaries
from ndmc.store.variables import EXCEEDANCE, LIMITS, QUANTILE, SUMMARY
from ndmc.store.view import View, cells_along, unit_of
from ndmc.zarr_library import zarr_library

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["open_dataset", "percentiles", "to_dataset"]


def _forget_threads() -> None:
    """Let a forked process read: it has Dask's pools of threads, but none of their threads."""
    threaded: Any = sys.modules.get("dask.threaded")
    if threaded is not None:
        threaded.default_pool = None
        threaded.pools.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)


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
        of the run in its own: text, numbers, lists of numbers, and JSON text of all else.

    Raises
    ------
    InputError
        If there is no such store.
    RunError
        If its labels are damaged, or files with draws are gone.

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
    opened.check_files()
    opened.check_labels()
    zarr_library()
    with opened.damage("a label"):
        # xarray 2025.9 makes times of what is counted in days, xarray 2026.9 does not.
        dataset: xr.Dataset = xr.open_zarr(opened.path, decode_timedelta=False)
    return dataset.assign_attrs(portable(dataset.attrs))  # of older stores they are not


def percentiles(
    store: str | Path,
    variables: str | Sequence[str] | None = None,
    *,
    quantiles: Sequence[float] = DEFAULT_QUANTILES,
    sel: Labels | None = None,
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
        Names of outputs, or of their totals (``in_use_total``); all outputs if None. Each is asked
        for those of the dims below that it has.
    quantiles
        Shares from 0 to 1.
    sel
        Labels to pick, ``{"year": 2021, "product": ["mobile_phone", "automobiles"]}``; a group
        stands for its labels, ``"2010..2021"`` or ``slice(2010, 2021)`` for the years.
    over
        Dims to sum over, draw by draw, before percentiles are taken.
    by_group
        Dims whose labels are summed by group.

    Returns
    -------
    xarray.Dataset
        For each variable ``x``: ``x`` (quantile, ...), ``x_low``, ``x_high``, ``x_mean``, ``x_sd``;
        and ``x_exceedance`` (x_limit, ...), where the run was given limits for it.

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
    names = None if variables is None else as_names(variables, "variables")
    shares = as_shares(quantiles, "quantiles")
    if not isinstance(sel, Mapping | None) or not all(isinstance(dim, str) for dim in sel or ()):
        raise wrong("sel", sel, "a dict of labels by dim, such as {'year': 2021}")
    dims, by = as_names(over, "over"), as_names(by_group, "by_group")
    found = to_dataset(opened, summaries(opened, names, shares, sel, dims, by))
    single = {dim: 0 for dim, chosen in (sel or {}).items() if is_one(chosen)}
    return found.isel({dim: at for dim, at in single.items() if found.sizes.get(dim) == 1})


def _coordinates(store: Store, chosen: View) -> dict[str, Any]:
    """Return the labels along the dims of a view, and those that they belong to."""
    found: dict[str, Any] = {}
    for dim in chosen.kept:
        named = cells_along(store, chosen, dim)
        found[dim] = [cell[dim] for cell in named]
        for parent in [*named[0]][:-1] if named else ():
            labels = [cell[parent] for cell in named]
            found[PARENT.format(dim, parent)] = (dim, labels, {"long_name": parent})
    return found


def to_dataset(store: Store, summaries: Mapping[str, Summary]) -> xr.Dataset:
    """Return summaries as a labelled dataset.

    For a variable ``x`` it holds ``x`` with dims (quantile, ...), ``x_low`` and ``x_high`` (the
    95 % confidence limits of each percentile), ``x_mean`` and ``x_sd``, and ``x_exceedance`` where
    there are limits.
    """
    import xarray as xr

    data: dict[str, Any] = {}
    coords: dict[str, Any] = {}
    for name, one in summaries.items():
        kept, output = one.view.kept, store.computed[one.view.name]
        attrs = {"units": unit_of(store, one.view)}
        coords[QUANTILE] = list(one.quantiles)
        coords |= _coordinates(store, one.view)
        for part, variable in SUMMARY.items():
            about = {**attrs, "long_name": variable.words.format(output.title)}
            dims = variable.dims_of(name, kept)
            data[variable.name(name)] = (dims, getattr(one, part), about)
        limits, shares = exceedance(store, one.view)
        if limits:
            about = {"units": "1", "long_name": EXCEEDANCE.words.format(output.title)}
            data[EXCEEDANCE.name(name)] = (EXCEEDANCE.dims_of(name, kept), shares, about)
            coords[LIMITS.name(name)] = (LIMITS.dims_of(name, ()), limits, attrs)
    provenance = {
        "draws": store.spec.draws,
        "method": "linear (type 7), exact",
        "confidence": CONFIDENCE,
        "warnings": store.warnings,
    }
    return xr.Dataset(data, coords, portable(provenance))
