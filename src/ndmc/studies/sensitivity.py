"""Which inputs make results uncertain: a study of a scenario, or what a store knows of it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from ndmc.errors import InputError, Mistakes
from ndmc.given import as_path
from ndmc.portable import portable
from ndmc.runs.options import asked_by, refuse_others
from ndmc.runs.replay import scenario_of
from ndmc.runs.run import execute
from ndmc.runs.study_options import StudyOptions
from ndmc.scenario.load import as_scenario
from ndmc.scenario.output_names import nearest_output
from ndmc.scenario.reserved import DIFFERENCE
from ndmc.scenario.scenario import Scenario
from ndmc.store.address import place_of
from ndmc.store.dataset import percentiles
from ndmc.store.keys import ENSEMBLE, ROOT
from ndmc.store.opening import open_store
from ndmc.store.place import Place
from ndmc.store.store import Store
from ndmc.store.stored_percentiles import check_complete
from ndmc.store.variables import TOTAL
from ndmc.studies.explained import (
    EVENT,
    FIRST,
    Explained,
    Picks,
    closing_cells,
    explained,
    titles_of,
)
from ndmc.zarr_library import zarr_library

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "certain_in",
    "closing",
    "fitted",
    "headline_of",
    "linear_asked",
    "prepared",
    "sensitivity",
    "shares_of",
    "store_asked",
]

#: Draws if nothing is said of them: of a study, of one to a tolerance at most, and of a fit.
_DRAWS, _MOST, _FITTED = 2**13, 10**7, 2**14

#: Limits come from batches of 64 draws, of which there must be two.
_FEWEST = 128


#: What shares say of the run that they are of.
_OF_STORE = (
    *("title", "scenario", "variant", "changes", "seed"),
    *("scenario_hash", "ndmc", "reconciled", "headline"),
)


@asked_by(StudyOptions)
def sensitivity(options: StudyOptions) -> xr.Dataset:
    """Say which inputs the uncertainty of every output comes from.

    The variance of each output, in every cell and year, is shared out among groups of inputs
    (Sobol' indices of first and of total order).

    Parameters
    ----------
    {options}

    Returns
    -------
    xarray.Dataset
        For each output ``x``, and for its total ``x_total``: ``x_first_order``, the share of the
        variance that goes away if a group is known, and ``x_total_order``, what is left if all
        others are, each with ``_low`` and ``_high``, the 95 % limits, with dims (group, ...);
        ``x_flag`` says which of them to be careful with. The attribute ``measure_first`` says what
        it would help to know the most important group of the headline outputs. Where ``linear``,
        ``x_first_linear`` has a row for each input. Percentiles of a study: `ndmc.percentiles`.

    Raises
    ------
    InputError
        If something asked for is wrong; nothing is written.
    RunError
        If the study cannot be finished; the same call goes on where it stopped.

    Examples
    --------
    >>> import ndmc, tempfile
    >>> out = tempfile.mkdtemp() + "/study.zarr"
    >>> shares = ndmc.sensitivity("starter", 2048, out=out)
    >>> shares.in_use_total_total_order.dims
    ('group', 'year')
    """
    store = store_asked(options)
    if linear_asked(options, store):
        return fitted(options, store)
    if store is None:
        store = execute(prepared(options)[1])
    shares = shares_of(store, options.outputs)
    said = (one.sentence for one in (closing(store, shares) if store.complete else ()))
    return shares.assign_attrs(measure_first="\n".join(filter(None, said)))


# --- what is asked for ----------------------------------------------------------------------------


def store_asked(options: StudyOptions) -> Store | None:
    """Return the store that is asked about; None if it is a scenario.

    Raises
    ------
    InputError
        If something is asked for that a store has no choice of, or its draws have weights.
    """
    source = options.scenario
    if isinstance(source, Scenario):
        return None
    place = place_of(as_path(source, "scenario"))
    if not place.exists(ROOT) and (place.exists() or not f"{source}".endswith(".zarr")):
        return None
    _check_weights(place)
    store = open_store(place)
    linear = ("draws", "linear") if linear_asked(options, store) else ()
    if not linear:
        check_complete(store)
    why = f"{store.path!r} is a store, which has its own; leave it out, or name a scenario"
    refuse_others(options, ("scenario", "outputs", *linear), why)
    return store


def linear_asked(options: StudyOptions, store: Store | None) -> bool:
    """Whether all inputs are fitted alone: asked for, or of a run, which knows no groups."""
    return options.linear or (store is not None and store.spec.groups is None)


def _check_weights(place: Place) -> None:
    """Refuse the draws of a reconciliation that have weights."""
    try:
        weighted = json.loads(place.read(ROOT))["attributes"].get("method") == "weighted"
    except (OSError, ValueError, LookupError, AttributeError, TypeError):
        return  # no store of either kind: it is told so
    if weighted:
        raise InputError(
            f"{place.url!r} holds weighted draws: by their weights inputs follow from each other, "
            "so that no part of the variance is that of one alone; name a scenario instead, with "
            "draws: projected or active_set in 'reconcile'"
        )


def prepared(options: StudyOptions) -> tuple[Scenario, StudyOptions]:
    """Return the scenario of a study, and what is asked of it with all that follows.

    Raises
    ------
    InputError
        If there is no such scenario, or no such number of draws.
    """
    scenario = as_scenario(
        options.scenario,
        variant=options.variant,
        changes=options.changes,
        ensemble=options.ensemble,
    )
    draws = options.draws
    if draws is None:
        draws = _MOST if options.tolerance else _DRAWS
    _check_draws(draws)
    if options.tolerance and options.part:
        raise InputError("parts cannot wait for each other's looks; give -n", "--tolerance")
    out = options.out or f"{scenario.name}-sensitivity.zarr"
    asked = replace(options, scenario=scenario, variant="", changes=None, draws=draws, out=out)
    return scenario, asked


def _check_draws(draws: int) -> None:
    if draws < _FEWEST:
        message = f"{draws} draws asked for; limits of shares need {_FEWEST}, useful ones thousands"
        raise InputError(f"{message}: ask for {_DRAWS}", "-n")
    if draws % 2:
        message = f"{draws:,} draws asked for; neighbours are compared, so an even number is needed"
        raise InputError(f"{message}, such as {draws + 1:,}", "-n")


# --- what is found --------------------------------------------------------------------------------


def fitted(options: StudyOptions, store: Store | None) -> xr.Dataset:
    """Return the first shares of every single input, of a scenario or of a store."""
    from ndmc.studies.linear_shares import linear_shares

    draws, outputs = _FITTED if options.draws is None else options.draws, options.outputs
    if store is not None:
        return linear_shares(store.path, draws, outputs=outputs)
    why = "a linear fit has no such option; leave it out, or leave out --linear"
    refuse_others(
        options, ("scenario", "draws", "seed", "outputs", "linear", "changes", "variant"), why
    )
    source, variant, changes = options.scenario, options.variant, options.changes
    return linear_shares(source, draws, options.seed, outputs, variant=variant, changes=changes)


def shares_of(store: Store, outputs: Iterable[str] | None = None) -> xr.Dataset:
    """Return the shares of a study that is complete, lazily; nothing before."""
    import xarray as xr

    if not store.complete:
        return xr.Dataset(attrs={"complete": 0, "title": store.attrs["title"]})
    store.check_files()
    zarr_library()
    with store.damage("shares"):
        # Not of Dask: each array is one chunk, read when it is asked for.
        found: xr.Dataset = xr.open_zarr(
            store.path, group="sensitivity", chunks=None, decode_timedelta=False
        )
    if outputs is not None:
        found = found[_variables(found, store, outputs)]
    about = {name: store.attrs[name] for name in _OF_STORE}
    return found.assign_attrs(portable(about))


def _variables(found: xr.Dataset, store: Store, outputs: Iterable[str]) -> list[str]:
    """Return the names of all that is known of outputs, their totals and events."""
    titles = titles_of(found)
    wanted = set[str]()
    with Mistakes() as mistakes:
        for name in dict.fromkeys(outputs):
            if name not in titles:
                message = f"{name!r} is not in {store.path}; {nearest_output(name, titles)}"
                mistakes.add([InputError(message, "-v")])
            own = name.removesuffix(EVENT) if name in titles else name
            wanted |= {own, TOTAL.name(own), f"{own}{EVENT}", f"{TOTAL.name(own)}{EVENT}"}
    owners = {f"{one}": max(t for t in titles if f"{one}".startswith(f"{t}_")) for one in found}
    return [name for name, title in owners.items() if title in wanted]


def headline_of(names: Iterable[str], shares: xr.Dataset, first: str = FIRST) -> list[str]:
    """Return the outputs that are told of first: of the headline, else the first few."""
    titles = titles_of(shares, first)
    return [name for name in names if name in titles] or titles[:1]


def certain_in(store: Store) -> list[str]:
    """Return the parameters of a study that are certain, which are in no group."""
    parameters = scenario_of(store).parameters
    return [name for name, one in parameters.items() if not one.uncertain]


def closing(store: Store, shares: xr.Dataset, select: Picks = {}) -> list[Explained]:  # noqa: B006
    """Return what is to be said first of a study: of its headline outputs, or of picked cells."""
    names = store.attrs["headline"] if ENSEMBLE not in store.attrs else _gains(store, shares)
    cells = closing_cells(shares, headline_of(names, shares), select)
    known = percentiles(store.path, sorted({title.removesuffix(EVENT) for title, _ in cells}))
    return [explained(shares, known, *cell) for cell in cells]


def _gains(store: Store, shares: xr.Dataset) -> list[str]:
    """Return the differences of an ensemble that are told of first: of totals where there are."""
    titles, plain = titles_of(shares), store.spec.percentiles
    totals = [name for name in titles if name.endswith(TOTAL.name("") + DIFFERENCE)]
    apart = {name.replace(TOTAL.name("") + DIFFERENCE, DIFFERENCE) for name in totals}
    return [name for name in plain if name in titles and name not in apart]
