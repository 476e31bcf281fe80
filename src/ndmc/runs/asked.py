"""What is asked of a run, checked before anything is computed, and how the run is cut for it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from ndmc.engine.evaluation import check_seed
from ndmc.errors import InputError, Mistakes, nearest
from ndmc.plan.input_groups import resolved
from ndmc.plan.memory import size_text
from ndmc.plan.steps import Plan
from ndmc.runs.forecast import memory_of
from ndmc.runs.options import Options
from ndmc.runs.replay import plan_of, studied
from ndmc.runs.targets import Target, looks, parse_target, rows_wanted
from ndmc.scenario.load import as_scenario
from ndmc.scenario.output_names import nearest_output
from ndmc.scenario.scenario import Scenario
from ndmc.scenario.units import UnitError, parse_amount
from ndmc.store.address import check_store_name
from ndmc.store.brackets import Sheet
from ndmc.store.series import series_of, titles_of
from ndmc.store.spec import (
    GRAIN,
    MOST,
    MOST_BLOCKS,
    MOST_QUANTILES,
    Identity,
    Spec,
    expected,
    how_many,
    largest,
    stages,
)
from ndmc.store.store import Store
from ndmc.store.study_layout import check_study_names
from ndmc.store.variables import TOTAL

__all__ = ["read_asked"]

_BLOCK_BYTES = 32 * 2**20

_MOST_BLOCK = 2**13

#: Digests of a block count in 32 bits.
_LARGEST_BLOCK = 2**30

#: All draws of the first stage are kept in digests, as many as take so many bytes.
_BEGIN_BYTES = 160 * 2**20

#: But no fewer: after 256 draws brackets of five percentiles have room for 3.3 times the draws of a
#: block of 256, after 1024 for 2.3 times.
_LEAST_BEGIN, _MOST_BEGIN = 2**10, 2**13

#: A run in parts has one long last stage, which parts need not wait for each other in; what comes
#: before is a share of it so large.
_PILOT_SHARE = 32


def plan_blocks(draws: int, cells: int, itemsize: int, workers: int) -> int:
    """Return how many draws a block should have whose draws are stored.

    A block is what one task computes, holds and writes: about 32 MiB, or less where many workers
    share the draws; a power of two, so that blocks fit the stages of a run.

    Examples
    --------
    >>> plan_blocks(1_000_000, 357, 4, 2)
    8192
    >>> plan_blocks(1000, 357, 4, 2)
    256
    """
    fitting = _BLOCK_BYTES // max(cells * itemsize, 1)
    share = draws // workers
    return _power_of_two(max(min(fitting, share, _MOST_BLOCK), GRAIN))


def _power_of_two(number: int) -> int:
    return 1 << (number.bit_length() - 1)


@dataclass(frozen=True)
class Asked:
    """What is asked for, checked: ``looked`` are the draws after which targets are looked at."""

    options: Options
    scenario: Scenario
    plan: Plan
    spec: Spec
    workers: int
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
    workers = options.workers if options.workers is not None else cores()
    targets = [parse_target(text) for text in options.until]
    _check_counts(options, workers)
    _check_precision(options)
    _check_part(options)
    _check_executor(options)
    plan, spec = _wanted(scenario, options, targets)
    sheets = series_of(plan, spec)[1]
    spec = _cut(plan, spec, sheets, options, workers)
    for target in targets:
        rows_wanted(target, series_of(plan, spec)[0], plan.dims)
    looked = looks(spec.draws) if targets or options.tolerance else ()
    return Asked(options, scenario, plan, spec, workers, targets, looked)


def check_memory(asked: Asked, known: Store | None) -> None:
    """Refuse a run that takes more memory than it may use.

    Raises
    ------
    InputError
        With both numbers, and the options to change.
    """
    plan, spec, options, workers = asked.plan, asked.going_on(known), asked.options, asked.workers
    sheets = series_of(plan, spec)[1]
    needed = memory_of(plan, spec, sheets, workers)
    if needed <= options.memory:
        return
    single = spec if known else _cut(plan, replace(spec, counted=0), sheets, options, 1)
    alone = memory_of(plan, single, sheets, 1)
    block = max(largest(stage, spec) for stage in stages(spec))
    raise InputError(
        f"blocks of {block:,} draws need {size_text(needed)} of memory on {workers} workers, "
        f"{size_text(alone)} on one, but at most {size_text(options.memory)} are used; "
        f"raise --memory, {_remedies(block, known)}",
        "--memory",
    )


def _remedies(block: int, known: Store | None) -> str:
    """Return what else makes a run take less memory: a store that there is stays as it is cut."""
    if known is not None:
        return "lower --workers, or choose another --out, where blocks may be smaller"
    fewer = "--block or " if block > GRAIN else ""
    return (
        f"lower {fewer}--workers, store fewer outputs with --keep, name fewer with --percentiles, "
        "or sum indicators by age and cohort over a dim"
    )


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


def _cut(plan: Plan, spec: Spec, sheets: Sequence[Sheet], options: Options, workers: int) -> Spec:
    """Return how a run is cut: if no block is asked for, in the largest that fit the memory."""
    block = spec.block
    if spec.keep and options.block is None:
        cells = sum(plan.dims.size(o.dims) for o in plan.outputs if o.name in spec.keep)
        block = plan_blocks(spec.draws, cells, np.dtype(spec.dtype).itemsize, workers)
    block = max(1 << (block - 1).bit_length(), spec.grain)
    found = _cut_to(block, plan, spec, sheets, options, workers)
    while (
        options.block is None
        and found.block > spec.grain
        and memory_of(plan, found, sheets, workers) > options.memory
    ):
        found = _cut_to(found.block // 2, plan, spec, sheets, options, workers)
    return found


def _cut_to(
    block: int, plan: Plan, spec: Spec, sheets: Sequence[Sheet], options: Options, workers: int
) -> Spec:
    """Return how a run is cut to blocks of so many draws."""
    row = sum(sheet.rows * sheet.dtype.itemsize for sheet in sheets)
    least = max(_LEAST_BEGIN, spec.grain)
    begin = _power_of_two(max(min(_BEGIN_BYTES // max(row, 1), _MOST_BEGIN), least))
    begin = max(begin, block) if spec.keep else begin
    pilot = max(begin, spec.draws // _PILOT_SHARE) if options.part else 0
    spec = replace(spec, block=block, begin=begin, pilot=pilot)
    return staged(plan, spec, sheets, options.memory, workers)


def staged(
    plan: Plan, spec: Spec, sheets: Sequence[Sheet], memory: int, workers: int, begun: int = 0
) -> Spec:
    """Return how a run is cut whose last stage would keep more than the memory: counted first.

    If only one way fits it is that, if none does the one that needs less. Only a stage that has not
    begun yet can be counted; parts of a run would have to wait for each other.
    """
    if how_many(spec) > MOST_BLOCKS:
        raise InputError(
            f"{spec.draws} draws are {how_many(spec)} blocks but a store has at most "
            f"{MOST_BLOCKS}; lower -n or raise --block",
            "-n",
        )
    last = [*stages(spec)][-1]
    if spec.counted or spec.pilot or not last.start or last.start < begun:
        return spec
    kept = sum(expected(spec, sheet.rows) * sheet.dtype.itemsize for sheet in sheets)
    counted = replace(spec, counted=last.start)
    once, twice = (memory_of(plan, way, sheets, workers) for way in (spec, counted))
    if max(kept, once) <= memory or twice > max(once, memory):
        return spec
    return counted


def _names(scenario: Scenario, options: Options) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of what is stored, and of what percentiles are computed of."""
    file = scenario.file
    known = [*file.flows, *file.stocks, *file.indicators]
    kept = _listed(file.keep if options.keep is None else options.keep)
    kept = known if kept in (None, ["all"]) else [] if kept == ["none"] else kept
    wanted = _listed(options.percentiles)
    if wanted is None or wanted == ["all"]:
        wanted = [*known, *(name for name in kept if name not in known)]
    elif wanted in (["kept"], ["none"]):
        wanted = list(kept) if wanted == ["kept"] else []
    if not (wanted or kept):
        raise InputError("neither draws nor percentiles are asked for", "--percentiles")
    there = [*known, *scenario.parameters]
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
