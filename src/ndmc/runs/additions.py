"""Members of an ensemble that are added later: computed with what they are compared with alone.

They have stores of their own beside that of the ensemble, NAME.added-1.zarr and so on: what is
there stays as it is. Regret is of all members, so that a store of regrets of all comes last.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from ndmc.errors import InputError
from ndmc.model import compile_plan
from ndmc.plan.joint import same_outputs
from ndmc.runs.ensemble_options import EnsembleOptions
from ndmc.runs.listener import Listener
from ndmc.runs.options import Options
from ndmc.runs.replay import scenario_of
from ndmc.runs.run import execute
from ndmc.scenario.load import with_members
from ndmc.scenario.reserved import REGRET
from ndmc.scenario.scenario import Scenario
from ndmc.store.address import place_of
from ndmc.store.creation import existing
from ndmc.store.keys import ENSEMBLE
from ndmc.store.removal import removable, remove_store
from ndmc.store.store import Store

__all__ = ["additions", "grown"]


def additions(where: str | Path) -> Iterator[Store]:
    """Yield the stores of what was added to the ensemble in a store, in their order."""
    for number in range(1, 10**6):
        place = place_of(_beside(f"{where}", number))
        store = existing(place)
        if store is None:
            return
        yield store


def _beside(where: str, number: int) -> str:
    stem, ending = posixpath.splitext(where.rstrip("/"))
    return f"{stem}.added-{number}{ending}"


def grown(options: EnsembleOptions, listener: Listener | None = None) -> Store:
    """Make an ensemble, or what is not yet there of it, and return its store.

    Raises
    ------
    InputError
        If the store has other members under the same labels.
    """
    scenario, place = options.scenario, place_of(f"{options.out}")
    assert isinstance(scenario, Scenario)
    if options.overwrite:
        for store in [*additions(f"{options.out}")][::-1]:
            removable(store.place)
            remove_store(store)
        return execute(options, listener)
    known = existing(place)
    if known is None or ENSEMBLE not in known.attrs:
        return execute(options, listener)
    batches = [_Batch(known, scenario_of(known))]
    if batches[0].scenario.hash == scenario.hash and not [*additions(known.path)]:
        return execute(options, listener)
    batches += [_Batch(store, scenario_of(store)) for store in additions(known.path)]
    _check_same(batches, scenario, known)
    found = execute(_as_in(options, batches[0]), listener)
    for batch in batches[1:]:
        execute(_as_in(options, batch), listener)
    for at, (members, names) in enumerate(_missing(batches, scenario)):
        some = with_members(scenario.alone, {**_entry(scenario), "members": members})
        out = _beside(known.path, len(batches) + at)
        execute(_run_of(options, some, names, out), listener)
    return found


@dataclass(frozen=True)
class _Batch:
    """A store with some members, and their scenario."""

    store: Store
    scenario: Scenario

    @property
    def labels(self) -> list[str]:
        return _labels(self.scenario)

    @property
    def of_regret(self) -> bool:
        """Whether it holds the regret of all alone."""
        return all(name.endswith(REGRET) for name in self.store.spec.percentiles)


def _labels(scenario: Scenario) -> list[str]:
    assert scenario.ensemble is not None
    return [one.label for one in scenario.ensemble.members]


def _entry(scenario: Scenario) -> dict[str, object]:
    assert scenario.ensemble is not None
    return dict(scenario.ensemble.entry)


def _check_same(batches: Sequence[_Batch], scenario: Scenario, known: Store) -> None:
    """Refuse a member that is another than the one of the same label in a store."""
    asked = dict(zip(_labels(scenario), scenario.members, strict=True))
    for batch in batches:
        outputs = {one.removesuffix(REGRET) for one in batch.store.spec.percentiles}
        for label, before in zip(batch.labels, batch.scenario.members, strict=True):
            if label not in asked:
                message = f"{known.path!r} has the member {label!r}, which is not asked for"
                raise InputError(f"{message}; ask for it too, or choose another --out", "--out")
            plain = [name for name in outputs if name in before.outputs]
            plans = (compile_plan(one, plain) for one in (before, asked[label]))
            if not same_outputs(*plans):
                message = f"the member {label!r} of {known.path!r} was computed otherwise"
                remedy = "choose another --out, or replace it by --overwrite"
                raise InputError(f"{message} than it is now; {remedy}", "--out")


def _as_in(options: EnsembleOptions, batch: _Batch) -> Options:
    spec = batch.store.spec
    return _run_of(options, batch.scenario, spec.percentiles, batch.store.path, spec.keep)


def _run_of(
    options: EnsembleOptions,
    scenario: Scenario,
    names: Sequence[str],
    out: str,
    keep: Sequence[str] = (),
) -> Options:
    """Return what is asked of the run of some members."""
    given = {one.name: getattr(options, one.name) for one in fields(Options) if one.init}
    given |= {"scenario": scenario, "percentiles": names, "out": out, "keep": keep}
    limited = [pair for pair in options.exceed if pair[0] in names]
    return Options(**{**given, "exceed": limited, "variant": "", "changes": None})


def _missing(
    batches: Sequence[_Batch], scenario: Scenario
) -> Iterator[tuple[list[str], list[str]]]:
    """Yield what is not there yet: members, with those they are compared with; all regret."""
    ensemble = scenario.ensemble
    assert ensemble is not None
    there = {label for batch in batches if not batch.of_regret for label in batch.labels}
    labels = _labels(scenario)
    new = [at for at, label in enumerate(labels) if label not in there]
    names = [*batches[0].store.spec.percentiles]
    if new:
        needed = {*new, *(ensemble.members[at].reference for at in new)}
        needed |= {ensemble.members[at].before for at in new} - {-1}
        some = [labels[at] for at in sorted(needed)]
        yield some, [name for name in names if not name.endswith(REGRET)]
    regrets = [name for name in names if name.endswith(REGRET)]
    whole = any({*batch.labels} == {*labels} for batch in batches if _has_regret(batch))
    if regrets and not whole:
        yield labels, regrets


def _has_regret(batch: _Batch) -> bool:
    return any(name.endswith(REGRET) for name in batch.store.spec.percentiles)
