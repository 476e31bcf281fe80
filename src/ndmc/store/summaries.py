"""Percentiles asked of a store: of its draws, or else those the run computed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ndmc.errors import InputError, nearest
from ndmc.store.keys import percentile_key
from ndmc.store.ranks import DEFAULT_QUANTILES
from ndmc.store.store import Store
from ndmc.store.stored_percentiles import Summary, check_complete, summarise
from ndmc.store.variables import QUANTILE, SUMMARY, TOTAL
from ndmc.store.view import View, view

__all__ = ["summaries"]


def summaries(
    store: Store,
    names: Sequence[str] | None,
    quantiles: Sequence[float] = DEFAULT_QUANTILES,
    select: Mapping[str, Sequence[str]] | None = None,
    over: Iterable[str] = (),
    by_group: Iterable[str] = (),
) -> dict[str, Summary]:
    """Return percentiles of outputs; of all if None, each asked for only the dims it has.

    Raises
    ------
    InputError
        For what the store has not, such as other percentiles or sums of draws that are not kept.
    """
    store.check_files()
    select, over, by_group = select or {}, tuple(over), tuple(by_group)
    if names is not None:
        some = dict.fromkeys(names)  # each once, however often it is named
        return {name: _summary(store, name, quantiles, select, over, by_group) for name in some}
    known = {dim for output in store.computed.values() for dim in output.dims}
    for dim in (*select, *over, *by_group):
        if dim not in known:
            raise InputError(f"no output has a dim {dim!r}; {nearest(dim, sorted(known))}")
    found = {}
    for name, output in store.computed.items():
        own = {dim: labels for dim, labels in select.items() if dim in output.dims}
        dims = ([dim for dim in some if dim in output.dims] for some in (over, by_group))
        found[name] = _summary(store, name, quantiles, own, *dims)
    return found


def _summary(
    store: Store,
    name: str,
    quantiles: Sequence[float],
    select: Mapping[str, Sequence[str]],
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
    if name in store.outputs:
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
    others = tuple(dim for dim in chosen.dims if dim != "year")
    total = chosen.over and set(chosen.over) == set(others) and _is_whole(store, chosen)
    known_total = total and percentile_key(TOTAL.name(name)) in store.metadata
    if chosen.by or (chosen.over and not known_total):
        raise InputError(f"sums of {name!r} over some labels need its draws: {remedy}")
    title = TOTAL.name(name) if total else name
    at = [known.index(quantile) for quantile in quantiles]
    places = [p for dim, p in zip(chosen.dims, chosen.positions, strict=True) if dim in chosen.kept]
    parts = {}
    for part, variable in SUMMARY.items():
        some = [at, *places] if QUANTILE in variable.dims else places
        values = store.percentile(title, part)
        parts[part] = values[np.ix_(*some)] if some else values
    return Summary(chosen, tuple(quantiles), **parts, count=store.spec.draws)


def _is_whole(store: Store, chosen: View) -> bool:
    """Whether no label is left out of the dims that are summed."""
    sizes = dict(zip(chosen.dims, map(len, chosen.positions), strict=True))
    return all(sizes[dim] == len(store.dims.labels[dim]) for dim in chosen.over)
