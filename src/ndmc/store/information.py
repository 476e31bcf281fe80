"""What a store is, how complete it is, and how well its percentiles are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ndmc.label import Labels
from ndmc.legible import few_lines
from ndmc.plan.steps import MEMBER, Output
from ndmc.store.exceedance import Exceeded, exceeded_in
from ndmc.store.opening import open_store
from ndmc.store.store import Store
from ndmc.store.widths import Known, widths

__all__ = ["Findings", "Info", "findings_of", "info", "info_of"]


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What was found in the draws of a run: see `Info`."""

    draws: int
    counted: tuple[tuple[str, str, int], ...]
    warnings: tuple[str, ...]
    balance: Mapping[str, Any]
    targets: tuple[Mapping[str, Any], ...]
    exceeded: tuple[Exceeded, ...]


@dataclass(frozen=True, kw_only=True)
class Info(Findings):
    """What a store says of its run.

    Attributes
    ----------
    path
        Where it is.
    scenario, title, scenario_hash, variant, changes
        What was run; the hash is of the scenario's texts.
    seed, draws, dtype, bits
        What was asked for; ``bits`` of the mantissa are kept, all if 0.
    blocks, written, complete
        How many blocks there are and how many of them are written, and whether that is all.
    started, finished, versions
        When, and by what; ``finished`` is empty before.
    groups
        Of a sensitivity study, the names of the members of each group of inputs; a run has none.
    members
        Of an ensemble, the labels of its members; a run has none.
    outputs, kept
        What is computed, and the names of that whose draws are stored.
    counted
        A name, a kind and a number of draws for each thing that draws were counted of.
    warnings
        A sentence for each of these: in how many draws, between which years, how much.
    balance
        The processes whose balances were ``checked`` and those ``not_computed`` whole, and of a
        complete run the ``worst`` residual.
    targets
        What became of each target of ``until``.
    exceeded
        How often outputs are above the limits of ``exceed`` in the last year, of a complete run.
    known
        The percentile of each output that is known worst, of a complete run.
    lost
        Files that are gone or cut short; what else is wrong with files, `ndmc.verify` finds.
    """

    path: str
    scenario: str
    title: str
    scenario_hash: str
    variant: str
    changes: Mapping[str, str]
    seed: int
    dtype: str
    bits: int
    blocks: int
    written: int
    complete: bool
    started: str
    finished: str
    versions: Mapping[str, str]
    groups: Mapping[str, tuple[str, ...]]
    members: tuple[str, ...]
    outputs: tuple[Output, ...]
    kept: tuple[str, ...]
    known: tuple[Known, ...]
    lost: tuple[str, ...]

    def __repr__(self) -> str:
        title = f"<Info {self.scenario}: {self.title or self.scenario}"
        of = f" of {len(self.groups)} groups of inputs" if self.groups else ""
        of += f" of each of {len(self.members)} members" if self.members else ""
        draws = f"{self.draws:,} draws{of}, seed {self.seed}, in {self.path}"
        blocks = f"{self.written} of {self.blocks} blocks, of {len(self.outputs)} outputs"
        lost = f"{len(self.lost)} files are lost" if self.lost else ""
        return few_lines(title, draws, lost, f"{blocks}, kept: {', '.join(self.kept) or 'none'}>")


def info(store: str | Path) -> Info:
    """Say what a store is, how complete it is, how well its percentiles are known.

    Parameters
    ----------
    store
        Path or URL of a store.

    Returns
    -------
    Info
        Where it comes from, what is in it, and what was found.

    Raises
    ------
    InputError
        If there is none.
    RunError
        If it is damaged.

    Examples
    --------
    >>> import ndmc, tempfile
    >>> out = tempfile.mkdtemp() + "/run.zarr"
    >>> draws = ndmc.run("starter", 300, out=out, keep=["in_use"])
    >>> found = info(out)
    >>> found.scenario, found.draws, found.complete, found.kept
    ('starter', 300, True, ('in_use',))
    """
    return info_of(open_store(store))


def info_of(store: Store) -> Info:
    """Return what an opened store says."""
    attrs, written, spec = store.attrs, store.written, store.spec
    names = ("scenario", "title", "scenario_hash", "variant", "changes", "started")
    return Info(
        **vars(findings_of(store)),
        **{name: attrs[name] for name in names},
        path=store.path,
        seed=spec.seed,
        dtype=spec.dtype,
        bits=spec.bits,
        blocks=len(written),
        written=int(written.sum()),
        complete=store.complete,
        finished=attrs.get("finished", ""),
        versions={"ndmc": attrs["ndmc"], **attrs["versions"]},
        members=tuple(store.dims.labels.get(MEMBER, ())),
        groups=dict(spec.groups or ()),
        outputs=tuple(store.computed.values()),
        kept=spec.keep,
        known=tuple(widths(store)) if store.complete else (),
        lost=tuple(store.lost()),
    )


def findings_of(store: Store, select: Labels | None = None) -> Findings:
    """Return what was found in the draws of an opened store, in the last year or picked cells."""
    attrs, cells = store.attrs, {"year": store.dims.labels["year"][-1:], **(select or {})}
    return Findings(
        draws=attrs["draws"],
        counted=tuple(store.counted),
        warnings=tuple(store.warnings),
        balance=attrs["balance"],
        targets=tuple(attrs.get("until", [])),
        exceeded=tuple(exceeded_in(store, cells)) if store.complete else (),
    )
