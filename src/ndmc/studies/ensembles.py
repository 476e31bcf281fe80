"""Which policy does better, by how much, how surely and in which future: ensembles."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ndmc.errors import InputError
from ndmc.given import as_path
from ndmc.option import as_limits
from ndmc.plan.compared import GOALS
from ndmc.plan.steps import MEMBER
from ndmc.portable import portable
from ndmc.runs.additions import additions, grown
from ndmc.runs.ensemble_options import EnsembleOptions
from ndmc.runs.options import asked_by, refuse_others
from ndmc.scenario import reserved
from ndmc.scenario.load import as_scenario, with_members
from ndmc.scenario.scenario import Scenario
from ndmc.store.address import place_of
from ndmc.store.keys import ENSEMBLE, PERCENTILES, ROOT
from ndmc.store.opening import open_store
from ndmc.store.store import Store
from ndmc.store.stored_percentiles import check_complete
from ndmc.store.variables import BETTER, LESS, MORE, QUANTILE
from ndmc.zarr_library import zarr_library

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["ensemble", "ensemble_store", "prepared"]


@asked_by(EnsembleOptions)
def ensemble(options: EnsembleOptions) -> xr.Dataset:
    """Run policies in futures with the same draws, and compare them draw by draw.

    Only what differs between members is computed again, so that a draw of one is the draw of
    another under another policy: a difference has none of the uncertainty that both share.

    Parameters
    ----------
    {options}

    Returns
    -------
    xarray.Dataset
        With dims (policy, future, and each lever) where each is combined with each, else
        ``member`` with these as coordinates. For each output ``x``, and for its total
        ``x_total``: percentiles, each with ``_low`` and ``_high`` limits, ``_mean`` and ``_sd``, of
        ``x``, of ``x_difference`` and ``x_ratio`` to the reference in the same future, and
        ``x_regret``; ``x_less``, ``x_more``, ``x_tie`` and ``x_better``, shares of draws in which
        the policy compares so; of events ``x_never`` and ``x_by_year``.

    Raises
    ------
    InputError
        If something asked for is wrong; nothing is written.
    RunError
        If the ensemble cannot be finished; the same call goes on where it stopped.

    Examples
    --------
    >>> import ndmc, tempfile
    >>> out = tempfile.mkdtemp() + "/ensemble.zarr"
    >>> found = ndmc.ensemble("starter", 1000, out=out, policies=["base", "long_lives"])
    >>> found.in_use_total_difference.dims
    ('quantile', 'policy', 'year')
    """
    store = ensemble_store(options)
    if store is None:
        store = grown(prepared(options)[1])
    return compared(store)


def ensemble_store(options: EnsembleOptions) -> Store | None:
    """Return the store that is asked about; None if it is a scenario.

    Raises
    ------
    InputError
        If it is not one of an ensemble.
    """
    source = options.scenario
    if isinstance(source, Scenario):
        return None
    place = place_of(as_path(source, "scenario"))
    if not place.exists(ROOT) and (place.exists() or not f"{source}".endswith(".zarr")):
        return None
    store = open_store(place)
    if ENSEMBLE not in store.attrs:
        message = f"{store.path!r} is a store of a run; name a scenario that has an 'ensemble:'"
        raise InputError(f"{message}, or two stores for ndmc compare")
    check_complete(store)
    why = f"{store.path!r} is a store, which has its own; leave it out, or name a scenario"
    refuse_others(options, ("scenario", "outputs", "draws"), why)
    return store


def prepared(options: EnsembleOptions) -> tuple[Scenario, EnsembleOptions]:
    """Return the scenario of an ensemble, and what is asked of it with all that follows.

    Raises
    ------
    InputError
        If there is no such scenario or ensemble.
    """
    scenario = options.scenario
    if not isinstance(scenario, Scenario):
        loaded = as_scenario(scenario, variant=options.variant, changes=options.changes)
        scenario = with_members(loaded, options.asked(loaded))
    if scenario.ensemble is None:
        raise InputError("a loaded scenario of an ensemble is one of load(..., ensemble=...)")
    out = options.out or f"{scenario.name}-ensemble.zarr"
    exceed = [*as_limits(scenario.ensemble.exceed, "exceed"), *options.exceed]
    asked = replace(options, scenario=scenario, variant="", changes=None, out=out, exceed=exceed)
    return scenario, asked


def compared(store: Store) -> xr.Dataset:
    """Return what is known of the members of an ensemble that is complete; nothing before."""
    import xarray as xr

    if not store.complete:
        return xr.Dataset(attrs={"complete": 0, "title": store.attrs["title"]})
    about = members_of(store) | {name: store.attrs[name] for name in _OF_STORE}
    return unfolded(folded(store), about["parts"]).assign_attrs(portable(about))


def members_of(store: Store) -> dict[str, Any]:
    """Return what an ensemble is, with what was added to it: parts and references of members."""
    about: dict[str, Any] = store.attrs[ENSEMBLE]
    labels, parts, references = [*store.dims.labels[MEMBER]], about["parts"], [*about["reference"]]
    for more in _added(store):
        other, own = more.attrs[ENSEMBLE], more.dims.labels[MEMBER]
        new = [at for at, label in enumerate(own) if label not in labels]
        labels += [own[at] for at in new]
        more_parts = {name: [some[at] for at in new] for name, some in other["parts"].items()}
        parts = {name: some + more_parts[name] for name, some in parts.items()}
        references += [labels.index(own[other["reference"][at]]) for at in new]
        about = {**other}
    return about | {"parts": parts, "reference": references}


def _added(store: Store) -> list[Store]:
    return [one for one in additions(store.path) if one.complete]


def folded(store: Store) -> xr.Dataset:
    """Return what is known of the members of an ensemble, along one dim."""
    import xarray as xr

    found = _opened(store)
    for more in _added(store):
        other = _opened(more)
        labels = found[MEMBER].values.tolist()
        new = [label for label in other[MEMBER].values.tolist() if label not in labels]
        if new:
            shared = [name for name in found if name in other]
            found = xr.concat([found[shared], other[shared].sel({MEMBER: new})], MEMBER)
        if not new:
            found = found.assign({name: other[name].sel({MEMBER: labels}) for name in other})
    for name, goal in store.attrs[ENSEMBLE]["goals"].items():
        found = _with_better(found, name, more=GOALS[goal])
    return found


def _opened(store: Store) -> xr.Dataset:
    import xarray as xr

    store.check_files()
    zarr_library()
    with store.damage("percentiles"):
        found: xr.Dataset = xr.open_zarr(
            store.path, group=PERCENTILES, chunks=None, decode_timedelta=False
        )
    return found


#: What an ensemble says of the run that it is.
_OF_STORE = ("title", "scenario", "seed", "draws", "headline")


def _with_better(found: xr.Dataset, name: str, *, more: bool) -> xr.Dataset:
    """Return a dataset with the shares of draws in which members are better than the reference."""
    for title in (name, name + reserved.TOTAL):
        way = (MORE if more else LESS).name(title)
        if way in found:
            about = {"units": "1", "long_name": BETTER.words.format(title)}
            found[BETTER.name(title)] = found[way].assign_attrs(about)
    return found


def unfolded(found: xr.Dataset, parts: Mapping[str, Sequence[str]]) -> xr.Dataset:
    """Return members by what they are made of, if each is combined with each."""
    import pandas as pd
    import xarray as xr

    found = found.rename({f"{MEMBER}_{part}": part for part in parts})
    labels = {part: [*dict.fromkeys(values)] for part, values in parts.items()}
    index = pd.MultiIndex.from_arrays([[*some] for some in parts.values()], names=[*parts])
    if len(index) != math.prod(map(len, labels.values())) or not index.is_unique:
        return found
    by_part = xr.Coordinates.from_pandas_multiindex(index, MEMBER)
    return (
        found.drop_vars([MEMBER, *parts])
        .assign_coords(by_part)
        .unstack(MEMBER)
        .sel(labels)
        .transpose(QUANTILE, *parts, ...)
    )
