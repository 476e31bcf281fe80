"""What is asked of a run, checked before anything is computed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from ndmc.engine.evaluation import check_seed
from ndmc.errors import InputError, Mistakes, nearest
from ndmc.model import nameable, output_names
from ndmc.plan.input_groups import resolved
from ndmc.plan.steps import Plan
from ndmc.runs.fitting import Fit, check_memory, fitted
from ndmc.runs.options import Options
from ndmc.runs.replay import plan_of, studied
from ndmc.runs.sheets import sheets_of
from ndmc.runs.targets import Target, looks, parse_target, rows_wanted
from ndmc.scenario.load import as_scenario
from ndmc.scenario.output_names import nearest_output
from ndmc.scenario.scenario import Scenario
from ndmc.scenario.units import UnitError, parse_amount
from ndmc.store.address import check_store_name
from ndmc.store.series import titles_of
from ndmc.store.spec import MOST, MOST_QUANTILES, Identity, Spec
from ndmc.store.store import Store
from ndmc.store.study_layout import check_study_names
from ndmc.store.variables import TOTAL

__all__ = ["read_asked"]

#: Digests of a block count in 32 bits.
_LARGEST_BLOCK = 2**30


@dataclass(frozen=True)
class Asked:
    """What is asked for, checked, and how it is computed.

    ``looked`` are the draws after which targets are looked at.
    """

    options: Options
    scenario: Scenario
    plan: Plan
    spec: Spec
    fit: Fit
    targets: Sequence[Target] = ()
    looked: Sequence[int] = ()

    @property
    def first(self) -> Spec:
        """What a new store is made for."""
        return replace(self.spec, draws=self.looked[0]) if self.looked else self.spec

    def going_on(self, known: Store | None) -> Spec:
        """Return what is computed from now on, cut as a store is that there is already.

        Raises
        ------
        InputError
            If other blocks are asked for.
        """
        if known is None:
            return self.spec
        if self.options.block is not None and self.spec.block != known.spec.block:
            message = (
                f"the store has blocks of {known.spec.block:,} draws, {self.spec.block:,} asked"
            )
            raise InputError(
                f"{message} for; leave --block out, or choose another --out", "--block"
            )
        return replace(known.spec, draws=max(self.spec.draws, known.spec.draws))

    def computes(self, known: Store | None) -> bool:
        """Whether a store has not all that is asked for, or may have lost some of it."""
        if known is None or self.options.repair:
            return True
        return not known.complete or known.spec.draws < self.spec.draws

    def fitting(self, known: Store | None) -> Asked:
        """Return the same as it is computed in the memory there is, in the blocks of a store.

        Raises
        ------
        InputError
            If it takes more than may be used.
        """
        plan, options, fit, spec = self.plan, self.options, self.fit, self.going_on(known)
        if known is not None:
            fit = fitted(plan, spec, options, workers_of(options), known=True)[1]
        check_memory(plan, spec, fit, options, known=known is not None)
        return replace(self, fit=fit)

    def within(self, known: Store) -> Asked:
        """Return the same with the percentiles that a store has besides, of an earlier target."""
        more = known.spec.quantiles
        if set(self.spec.quantiles) <= set(more):
            return replace(self, spec=replace(self.spec, quantiles=more))
        return self


def read_asked(options: Options) -> Asked:
    """Check what is asked for, and compute nothing.

    Raises
    ------
    InputError
        If something is wrong.
    """
    scenario = as_scenario(options.scenario, variant=options.variant, changes=options.changes)
    check_store_name(options.out)
    workers = workers_of(options)
    targets = [parse_target(text) for text in options.until]
    _check_counts(options, workers)
    _check_precision(options)
    _check_part(options)
    _check_executor(options)
    plan, spec = _wanted(scenario, options, targets)
    spec, fit = fitted(plan, spec, options, workers)
    for target in targets:
        rows_wanted(target, sheets_of(plan, spec)[0], plan.dims)
    looked = looks(spec.draws) if targets or options.tolerance else ()
    return Asked(options, scenario, plan, spec, fit, targets, looked)


def workers_of(options: Options) -> int:
    """Return how many workers are asked for: one for each core if nothing is said."""
    return cores() if options.workers is None else options.workers


def cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# --- what is asked for ----------------------------------------------------------------------------


def _wanted(scenario: Scenario, options: Options, targets: Sequence[Target]) -> tuple[Plan, Spec]:
    """Return the plan of what is wanted, and what that is in the names and units of a scenario."""
    keep, names = _names(scenario, options)
    plan = plan_of(scenario, names, keep, options.memory)
    quantiles = {*options.quantiles, *(t.quantile for t in targets), *([0.5] if targets else [])}
    if len(quantiles) > MOST_QUANTILES:
        message = f"{len(quantiles)} quantiles asked for; a store has at most {MOST_QUANTILES}"
        raise InputError(message, "-q")
    found = {one.name: getattr(options, one.name) for one in fields(Identity)}
    found |= {
        "keep": keep,
        "percentiles": names,
        "quantiles": tuple(sorted(quantiles)),
        "exceed": tuple(_limit(scenario, plan, names, *pair) for pair in options.exceed),
    }
    spec = Spec(draws=options.draws, block=options.block or MOST, **found)
    groups = options.grouped(scenario, plan)
    if groups is None:
        return plan, spec
    check_study_names({one.name: one for one in plan.outputs}, spec, plan.dims)
    return studied(plan, groups, spec), replace(spec, groups=resolved(groups))


def _names(scenario: Scenario, options: Options) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of what is stored, and of what percentiles are computed of."""
    known = [*output_names(scenario)]
    kept = _listed(scenario.file.keep if options.keep is None else options.keep)
    kept = known if kept in (None, ["all"]) else [] if kept == ["none"] else kept
    wanted = _listed(options.wanted(scenario))
    if wanted is None or wanted == ["all"]:
        wanted = [*known, *(name for name in kept if name not in known)]
    elif wanted in (["kept"], ["none"]):
        wanted = list(kept) if wanted == ["kept"] else []
    if not (wanted or kept):
        raise InputError("neither draws nor percentiles are asked for", "--percentiles")
    there = nameable(scenario)
    by = dict.fromkeys(wanted, options.names_by) | dict.fromkeys(kept, "--keep")
    with Mistakes() as mistakes:
        for name in (one for one in by if one not in there):
            message = f"nothing is named {name!r}; {nearest_output(name, there)}"
            mistakes.add([InputError(message, f"{by[name]} {name}")])
    return tuple(dict.fromkeys(kept)), tuple(dict.fromkeys(wanted))


def _limit(
    scenario: Scenario, plan: Plan, names: Sequence[str], name: str, limit: float | str
) -> tuple[str, float]:
    """Return a limit in the unit of its output."""
    known, file = titles_of(plan, names), scenario.file
    if name not in known:
        message = f"no percentiles of {name!r} are computed; {nearest(name, known)}"
        output = re.split(r"[\s@\[]", name)[0]
        if output in known:
            rest = name.removeprefix(output)
            message = f"a limit is one of all cells of {output!r}, each is told; leave out {rest!r}"
        elif name.removesuffix(TOTAL.suffix) in (*file.flows, *file.stocks, *file.indicators):
            message = f"no percentiles of {name!r} are computed; add it to the outputs asked for"
        raise InputError(message, "--exceed")
    unit, units = plan.output(known[name].name).unit, scenario.units
    try:
        number, given = parse_amount(limit)
        if not np.isfinite(number):
            raise UnitError(f"{limit!r} is no finite number")
        if given in ("", unit):
            return name, number
        if units.dimension(given) != units.dimension(unit):
            found = f"{name!r} is in {units.as_read(unit)}"
            raise UnitError(f"{found}, which cannot be compared with {units.as_read(given)}")
        return name, number * units.factor(given) / units.factor(unit)
    except UnitError as wrong:
        raise InputError(str(wrong), "--exceed") from None


def _listed(names: Iterable[str] | None) -> list[str] | None:
    return None if names is None else list(names) or ["none"]


def _check_counts(options: Options, workers: int) -> None:
    draws = options.draws
    if draws < 1:
        raise InputError(f"{draws} draws asked for; at least 1 is needed", "-n")
    if draws >= 2**63:
        raise InputError(f"{draws} draws asked for; at most 2**63 - 1 can be numbered", "-n")
    check_seed(options.seed)
    if workers < 1:
        raise InputError(f"{workers} workers asked for; at least 1 is needed", "--workers")
    block = options.block
    if block is not None and block < 1:
        raise InputError(f"blocks of {block} draws asked for; at least 1 is needed", "--block")
    if block is not None and block > _LARGEST_BLOCK:
        message = f"blocks of {block} draws asked for; at most {_LARGEST_BLOCK} are counted in one"
        raise InputError(message, "--block")


def _check_precision(options: Options) -> None:
    most = np.finfo(options.dtype).nmant
    if not 0 <= options.bits <= most:
        message = f"{options.bits} bits of the mantissa asked for; {options.dtype} has {most}"
        raise InputError(f"{message}, 0 keeps all", "--bits")


def _check_part(options: Options) -> None:
    if options.overwrite and options.repair:
        message = "a store that is replaced needs no repair; leave one out"
        raise InputError(message, "--overwrite")
    if options.part is None:
        return
    if options.overwrite:
        message = "each part would remove what the others have computed; remove the store before"
        raise InputError(f"{message}, or choose another --out", "--overwrite")
    part, parts = options.part
    if parts < 1:
        raise InputError(f"{parts} parts asked for; at least 1 is needed", "--part")
    if not 1 <= part <= parts:
        raise InputError(
            f"part {part} of {parts}: choose from 1/{parts} to {parts}/{parts}", "--part"
        )
    if options.until:
        raise InputError("parts cannot wait for each other's looks; give -n", "--until")


def _check_executor(options: Options) -> None:
    given = {
        "--scheduler": options.scheduler,
        "client": options.client is not None,
        "--processes": options.processes,
    }
    names = [name for name, there in given.items() if there]
    if len(names) > 1:
        message = f"there are workers at {names[0]} already; leave one out"
        raise InputError(message, names[1])
