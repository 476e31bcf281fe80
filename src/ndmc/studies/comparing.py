"""Two runs that are there already, compared draw by draw."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ndmc.errors import InputError, Mistakes, nearest
from ndmc.given import as_names
from ndmc.model import compared_outputs, compile_plan
from ndmc.plan.samplers import Sampler
from ndmc.runs.listener import Listener
from ndmc.runs.options import Options
from ndmc.runs.replay import scenario_of
from ndmc.runs.run import execute
from ndmc.scenario.ensembles import Ensemble, Member
from ndmc.scenario.scenario import Scenario
from ndmc.store.keys import ENSEMBLE
from ndmc.store.opening import open_store
from ndmc.store.store import Store
from ndmc.store.stored_percentiles import check_complete
from ndmc.studies.ensembles import compared

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["compare", "comparison"]

#: What two runs have to share for a draw of one to be a draw of the other.
_SHARED = {"seed": "seed", "draws": "number of draws", "ndmc": "version of ndmc"}


def compare(
    first: str | Path, second: str | Path, outputs: str | Iterable[str] | None = None
) -> xr.Dataset:
    """Compare two finished runs of the same seed and draws, draw by draw.

    Both are computed again from the scenarios in their stores, as draws are not always stored, and
    not in full precision. Nothing is written.

    Parameters
    ----------
    first
        Path or URL of the store of the reference.
    second
        That of the run which is compared with it.
    outputs
        Outputs that are compared; those of both that have percentiles if None.

    Returns
    -------
    xarray.Dataset
        As of `ensemble`, with the two stores as policies.

    Raises
    ------
    InputError
        If they do not pair: other seeds, draws, versions, dims, or no input in common.

    Examples
    --------
    >>> import ndmc, tempfile
    >>> one, other = (tempfile.mkdtemp() + f"/{name}.zarr" for name in ("now", "long"))
    >>> _ = ndmc.run("starter", 300, out=one)
    >>> _ = ndmc.run("starter", 300, out=other, variant="long_lives")
    >>> found = ndmc.compare(one, other, "in_use")
    >>> [*found.policy.values], found.in_use_total_more.isel(policy=1, year=-1).item()
    (['now', 'long'], 1.0)
    """
    with comparison(first, second, outputs) as store:
        return compared(store).load()


@contextlib.contextmanager
def comparison(
    first: str | Path,
    second: str | Path,
    outputs: str | Iterable[str] | None = None,
    listener: Listener | None = None,
) -> Iterator[Store]:
    """Yield a store of what compares two runs, which is there for a while."""
    stores = [_finished(where) for where in (first, second)]
    _check_pair(*stores)
    scenarios = [scenario_of(store) for store in stores]
    labels = _labels(stores)
    names = _names(stores, None if outputs is None else as_names(outputs, "outputs"))
    scenario = _together(scenarios, labels, names)
    _check_shared(stores, scenarios, names)
    spec = stores[0].spec
    with tempfile.TemporaryDirectory() as folder:
        asked = Options(
            scenario,
            spec.draws,
            out=f"{folder}/compared.zarr",
            seed=spec.seed,
            keep=["none"],
            percentiles=compared_outputs(scenario, names),
            quantiles=spec.quantiles,
            dtype=spec.dtype,
        )
        yield execute(asked, listener)


def _finished(where: str | Path) -> Store:
    """Return the store of a run that is complete."""
    store = open_store(where)
    check_complete(store)
    kinds = {"an ensemble": ENSEMBLE in store.attrs, "a study": store.spec.groups is not None}
    for kind, is_one in kinds.items():
        if is_one:
            message = f"{store.path!r} is the store of {kind}"
            raise InputError(f"{message}; give two stores that 'ndmc run' has written")
    return store


def _check_pair(first: Store, second: Store) -> None:
    for key, words in _SHARED.items():
        one, other = first.attrs[key], second.attrs[key]
        if one != other:
            message = f"{first.path!r} and {second.path!r} do not pair: the {words} is {one}"
            raise InputError(f"{message} in the one and {other} in the other; run one again")


def _check_shared(stores: list[Store], scenarios: list[Scenario], names: list[str]) -> None:
    """Refuse runs that draw nothing from the same random numbers: their draws have no pairs."""
    first, second = (
        {stream for sampler in compile_plan(one, names).samplers for stream in _streams(sampler)}
        for one in scenarios
    )
    if first and second and not first & second:
        one, other = (store.path for store in stores)
        message = f"{one!r} and {other!r} do not pair: no uncertain parameter is in both"
        raise InputError(f"{message}; parameters pair by their names and labels")


def _streams(sampler: Sampler) -> list[int]:
    found: list[int] = sampler.streams.tolist()
    return found


def _labels(stores: list[Store]) -> list[str]:
    """Return what two stores are called: by their names, or by their paths."""
    names = [store.path.rstrip("/").rpartition("/")[2].removesuffix(".zarr") for store in stores]
    if names[0] != names[1]:
        return names
    paths = [store.path for store in stores]
    if paths[0] == paths[1]:
        raise InputError(f"{paths[0]!r} is given twice; give two stores")
    return paths


def _names(stores: list[Store], asked: Iterable[str] | None) -> list[str]:
    """Return the outputs that are compared."""
    first, second = (store.spec.percentiles for store in stores)
    if asked is not None:
        return _known(stores, [*asked])
    shared = [name for name in first if name in second]
    if not shared:
        one, other = (store.path for store in stores)
        message = f"no output has percentiles in both {one!r} and {other!r}"
        raise InputError(f"{message}; name some that both scenarios have", "-v")
    return shared


def _known(stores: list[Store], asked: list[str]) -> list[str]:
    """Return outputs that are asked for, which both scenarios have."""
    first, second = ((*one.outputs, *one.parameters) for one in map(scenario_of, stores))
    known = [name for name in first if name in second]
    with Mistakes() as mistakes:
        for name in (one for one in asked if one not in known):
            mistakes.add([InputError(f"nothing is named {name!r}; {nearest(name, known)}", "-v")])
    return asked


def _together(scenarios: list[Scenario], labels: list[str], names: list[str]) -> Scenario:
    """Return an ensemble of two scenarios, of which the first is the reference."""
    first, second = (one.dims.labels for one in scenarios)
    for dim in (*first, *second):
        if first.get(dim) != second.get(dim):
            message = f"they do not pair: the labels of {dim!r} are others in {labels[1]!r}"
            raise InputError(f"{message} than in {labels[0]!r}")
    members = tuple(
        Member(label=label, policy=label, future="", levers=(), variant="") for label in labels
    )
    ensemble = Ensemble(members, tuple(names), {}, {}, (), {})
    return replace(scenarios[0], ensemble=ensemble, members=tuple(scenarios))
