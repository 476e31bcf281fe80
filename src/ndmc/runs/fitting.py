"""How a run is cut: in blocks, and pieces of them, that the memory holds on as many workers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ndmc.engine.tile_width import tile_width
from ndmc.errors import InputError
from ndmc.plan.memory import MACHINE, size_text
from ndmc.plan.steps import Plan
from ndmc.runs.forecast import memory_of
from ndmc.runs.options import Options
from ndmc.runs.sheets import sheets_of
from ndmc.store.brackets import Sheet
from ndmc.store.spec import GRAIN, MOST_BLOCKS, Spec, expected, how_many, largest, stages
from ndmc_kernels.digest import LEAF

#: What a run takes if nothing is said, where that is enough: more makes none faster.
_PLENTY = 2**31

_BLOCK_BYTES = 32 * 2**20

_MOST_BLOCK = 2**13

#: All draws of the first stage are kept in digests, as many as take so many bytes.
_BEGIN_BYTES = 160 * 2**20

#: But no fewer: after 256 draws brackets of five percentiles have room for 3.3 times the draws of a
#: block of 256, after 1024 for 2.3 times.
_LEAST_BEGIN, _MOST_BEGIN = 2**10, 2**13

#: A run in parts has one long last stage, which parts need not wait for each other in; what comes
#: before is a share of it so large.
_PILOT_SHARE = 32


@dataclass(frozen=True)
class Fit:
    """How a run is computed: ``piece`` draws of a block at a time, by so many workers.

    ``needed`` is what that takes of the ``memory`` that it was fitted to.
    """

    workers: int
    piece: int
    needed: float
    memory: int


def fitted(
    plan: Plan, spec: Spec, options: Options, workers: int, *, known: bool = False
) -> tuple[Spec, Fit]:
    """Return how a run is cut, and computed in the memory that there is.

    The blocks of a store that is ``known`` stay, as those asked for do: what does not fit as a
    whole is computed piece by piece, and after that by fewer workers. If nothing fits it is what
    needs least.
    """
    sheets = sheets_of(plan, spec)[1]
    for memory, some in _ways(options, workers):
        cut = spec if known else _cut(plan, spec, sheets, options, memory, some)
        for piece in _pieces(plan, cut):
            needed = memory_of(plan, cut, sheets, some, piece)
            if needed <= memory:
                return cut, Fit(some, piece, needed, memory)
    return cut, Fit(some, piece, needed, memory)


def _ways(options: Options, workers: int) -> Iterator[tuple[int, int]]:
    """Yield how much memory may be used on how many workers, from what is liked best on.

    If nothing is said it is doubled where less does not do, to half of what the machine has.
    Workers of a cluster are as many as they are.
    """
    most = MACHINE.most // 2 if options.memory is None else options.memory
    memory = most if options.memory is not None else min(most, _PLENTY)
    yield memory, workers
    while memory < most:
        memory = min(2 * memory, most)
        yield memory, workers
    if options.client is None and not options.scheduler:
        for fewer in range(workers - 1, 0, -1):
            yield most, fewer


def _pieces(plan: Plan, spec: Spec) -> Iterator[int]:
    """Yield how many draws of a block may be computed at a time: all of the largest, then fewer."""
    piece = 1 << (max(largest(stage, spec) for stage in stages(spec)) - 1).bit_length()
    least = spec.grain if plan.study else max(LEAF, tile_width(plan))
    yield max(piece, least)
    while piece > least:
        piece //= 2
        yield piece


def check_memory(plan: Plan, spec: Spec, fit: Fit, options: Options, *, known: bool) -> None:
    """Refuse a run that takes more memory than it may use.

    Raises
    ------
    InputError
        With both numbers, and the options to change.
    """
    if fit.needed <= fit.memory:
        return
    block = max(largest(stage, spec) for stage in stages(spec))
    some = f", {fit.piece:,} at a time," if fit.piece < block else ""
    one = "one worker" if fit.workers == 1 else f"{fit.workers} workers"
    of = " (half of this machine's)" if options.memory is None else ""
    raise InputError(
        f"blocks of {block:,} draws{some} need {size_text(fit.needed)} of memory on {one}, but at "
        f"most {size_text(fit.memory)}{of} are used; raise --memory, "
        f"{_remedies(plan, spec, fit, options, known=known)}",
        "--memory",
    )


def _remedies(plan: Plan, spec: Spec, fit: Fit, options: Options, *, known: bool) -> str:
    """Return what else makes a run take less memory: a store that there is stays as it is cut."""
    if known:
        return "or choose another --out, where blocks may be smaller"
    if options.block is not None:
        free, found = fitted(plan, spec, replace(options, block=None), fit.workers)
        if found.needed <= found.memory:
            return f"or leave --block out: blocks of {free.block:,} draws fit"
    if plan.study:
        return "ask for fewer outputs with -v, or for fewer groups"
    return (
        "store fewer outputs with --keep, name fewer with --percentiles, or sum indicators by age "
        "and cohort over a dim"
    )


# --- blocks -------------------------------------------------------------------------------------


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


def _cut(
    plan: Plan, spec: Spec, sheets: Sequence[Sheet], options: Options, memory: int, workers: int
) -> Spec:
    """Return how a run is cut: if no block is asked for, in the largest that fit the memory."""
    block = spec.block
    if spec.keep and options.block is None:
        cells = sum(plan.dims.size(o.dims) for o in plan.outputs if o.name in spec.keep)
        block = plan_blocks(spec.draws, cells, np.dtype(spec.dtype).itemsize, workers)
    block = max(1 << (block - 1).bit_length(), spec.grain)
    parts = options.part is not None
    found = _cut_to(block, plan, spec, sheets, memory, workers, parts=parts)
    while (
        options.block is None
        and found.block > spec.grain
        and memory_of(plan, found, sheets, workers) > memory
    ):
        found = _cut_to(found.block // 2, plan, spec, sheets, memory, workers, parts=parts)
    return found


def _cut_to(
    block: int,
    plan: Plan,
    spec: Spec,
    sheets: Sequence[Sheet],
    memory: int,
    workers: int,
    *,
    parts: bool,
) -> Spec:
    """Return how a run is cut to blocks of so many draws."""
    row = sum(sheet.rows * sheet.dtype.itemsize for sheet in sheets)
    least = max(_LEAST_BEGIN, spec.grain)
    begin = _power_of_two(max(min(_BEGIN_BYTES // max(row, 1), _MOST_BEGIN), least))
    begin = max(begin, block) if spec.keep else begin
    pilot = max(begin, spec.draws // _PILOT_SHARE) if parts else 0
    spec = replace(spec, block=block, begin=begin, pilot=pilot)
    return staged(plan, spec, sheets, memory, workers)


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
