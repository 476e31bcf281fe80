"""Percentiles asked of a store: of its draws, or else those the run computed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ndmc.errors import InputError, nearest
from ndmc.label import Labels
from ndmc.store.coordinates import summed
from ndmc.store.ranks import DEFAULT_QUANTILES
from ndmc.store.store import Store
from ndmc.store.stored_percentiles import Summary, check_complete, summarise
from ndmc.store.variables import QUANTILE, SUMMARY, TOTAL
from ndmc.store.view import View, series_title, view

__all__ = ["summaries"]


def summaries(
    store: Store,
    names: Sequence[str] | None,
    quantiles: Sequence[float] = DEFAULT_QUANTILES,
    select: Labels | None = None,
    over: Iterable[str] = (),
    by_group: Iterable[str] = (),
) -> dict[str, Summary]:
    """Return percentiles of outputs, all if None; each is asked for only the dims it has.

    Raises
    ------
    InputError
        For what the store has not, such as other percentiles or sums of draws that are not kept.
    """
    store.check_files()
    select, over, by_group = select or {}, tuple(over), tuple(by_group)
    some = [*store.computed] if names is None else [*dict.fromkeys(names)]
    dims = {name: view(store, name).dims for name in some}
    dims = {name: store.dims.known_by(own) for name, own in dims.items()}
    known = dict.fromkeys(dim for own in dims.values() for dim in own)
    for dim in (*select, *over, *by_group):
        if dim not in known:
            whose = f"{some[0]!r} has no" if len(some) == 1 else "no output has a"
            raise InputError(f"{whose} dim {dim!r}; {nearest(dim, known)}")
    found = {}
    for name, own in dims.items():
        picked = {dim: labels for dim, labels in select.items() if dim in own}
        sums = ([dim for dim in each if dim in own] for each in (over, by_group))
        found[name] = _summary(store, name, quantiles, picked, *sums)
    return found


def _summary(
    store: Store,
    name: str,
    quantiles: Sequence[float],
    select: Labels,
    over: Iterable[str],
    by_group: Iterable[str],
) -> Summary:
    """Return percentiles of an output: of its stored draws, or else those the run computed.

    Raises
    ------
    InputError
        For what the store has not, such as other percentiles or sums of draws that are not kept.
    """
    over, by_group = tuple(over), tuple(by_group)
    chosen = view(store, name, select, over, by_group)
    if chosen.name in store.outputs:
        return summarise(store, chosen, quantiles)
    return _recalled(store, chosen, quantiles)


def _recalled(store: Store, chosen: View, quantiles: Sequence[float]) -> Summary:
    """Return percentiles that the run computed of draws it did not keep."""
    check_complete(store)
    name, known = chosen.name, store.spec.quantiles
    remedy = f"its draws are not kept; run with --keep {name}"
    for quantile in quantiles:
        if quantile not in known:
            found = ", ".join(f"{q * 100:g}" for q in known)
            raise InputError(f"{name!r} has the percentiles {found} only: {remedy}")
    title = series_title(store, chosen)
    if not title:
        only = f"{TOTAL.name(name)!r} only" if summed(store.computed[name]) else "none"
        raise InputError(f"of the sums of {name!r} the run has {only}: {remedy}")
    at = [known.index(quantile) for quantile in quantiles]
    parts = {}
    for part, variable in SUMMARY.items():
        some = [at, *chosen.places] if QUANTILE in variable.dims else chosen.places
        values = store.percentile(title, part)
        parts[part] = values[np.ix_(*some)] if some else values
    return Summary(chosen, tuple(quantiles), **parts, count=store.spec.draws)
