"""What a run will take, said before it begins: disk, memory, time."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ndmc.engine.audit import Audit
from ndmc.engine.evaluation import code_of, evaluate, measure, swaps
from ndmc.engine.scores import scores_of
from ndmc.engine.tile_width import held_beside, tile_width
from ndmc.errors import InputError
from ndmc.plan.memory import size_text
from ndmc.plan.steps import Plan
from ndmc.runs.block import MOST_PIECE, at_once
from ndmc.runs.control import MOST
from ndmc.runs.linear_fit import least_memory
from ndmc.runs.sheets import sheets_of
from ndmc.store.brackets import Sheet
from ndmc.store.digest import BINS, SEGMENT, room_inside
from ndmc.store.merged import rows_together
from ndmc.store.place import Place
from ndmc.store.spec import ROUND, Spec, blocks, expected, how_many, largest, stages

__all__ = ["Estimate", "check_disk"]

#: Files smaller than this take as much on most disks.
_FILE = 4096

#: Bytes of the counts of a bracket and of a bin of one, with the copies while they are written, and
#: of the sums of a row.
_COUNTS, _BIN, _SUMS = 64, 8, 128

#: What is held of some rows while they are merged, against their kept values: 99 percentiles of 15
#: rows took 2.4 times these.
_WHILE_MERGED = 3


@dataclass(frozen=True)
class Estimate:
    """What a run takes: ``memory`` is that of all workers, ``seconds`` of the draws to come.

    A study evaluates the model once a draw, and once more for each group of inputs.
    """

    blocks: int
    block: int
    disk: float
    memory: float
    free: int | None
    seconds: float
    passes: int
    evaluations: int = 0
    workers: int = 0
    piece: int = MOST_PIECE

    def __str__(self) -> str:
        free = "" if self.free is None else f" of {size_text(self.free)} free"
        passes = " in two passes" if self.passes == 2 else ""
        study = f"{self.evaluations:,} evaluations in " if self.evaluations else ""
        pieces = f", {self.piece:,} at a time" if self.piece < self.block else ""
        workers = f" on {self.workers} worker{'s'[: self.workers > 1]}" if self.workers else ""
        return (
            f"{study}{self.blocks:,} blocks of at most {self.block:,} draws{pieces}{passes}, "
            f"{size_text(self.disk)} on disk{free}, {size_text(self.memory)} in memory{workers}, "
            f"about {_duration(self.seconds)}"
        )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def estimate(
    plan: Plan,
    spec: Spec,
    place: Place,
    workers: int,
    piece: int = MOST_PIECE,
    *,
    done: int = 0,
    freed: int = 0,
) -> Estimate:
    """Return what a run takes, its speed measured on a few draws.

    Parameters
    ----------
    plan, spec
        What is computed.
    place
        Where it is written.
    workers
        Threads or processes that compute at once.
    piece
        Draws of a block that are computed at a time.
    done
        Draws that are written already.
    freed
        Bytes that are removed first.
    """
    sheets = sheets_of(plan, spec)[1]
    passes, free = 2 if spec.counted else 1, place.free()
    seconds = _seconds_per_draw(plan, spec, workers) * (spec.draws - done) * passes
    return Estimate(
        how_many(spec),
        max(largest(stage, spec) for stage in stages(spec)),
        disk_of(plan, spec, sheets, done),
        memory_of(plan, spec, sheets, workers, piece),
        None if free is None else free + freed,
        seconds,
        passes,
        0 if spec.groups is None else spec.draws * (1 + len(spec.groups)),
        workers,
        piece,
    )


def _seconds_per_draw(plan: Plan, spec: Spec, workers: int) -> float:
    """Time a few draws in every worker at once: threads share more than processors."""
    draws = range(min(spec.draws, 2 * tile_width(plan)))

    def work(_: int) -> None:
        evaluate(plan, spec.seed, draws, dtype=spec.dtype, audit=Audit(plan))
        if plan.study:
            measure(plan, spec.seed, draws)

    work(0)  # compiles what is not compiled yet
    start = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(work, range(workers)))
    # Digests and files take about two fifths more.
    return 1.4 * (time.perf_counter() - start) / len(draws) / workers


def disk_of(plan: Plan, spec: Spec, sheets: Sequence[Sheet], done: int = 0) -> float:
    """Return the bytes a run writes from now on: draws as if none compressed, digests, percentiles.

    What is kept in digests is largest just before those of a stage are merged.
    """
    item = np.dtype(spec.dtype).itemsize
    cells = sum(plan.dims.size(o.dims) for o in plan.outputs if o.name in spec.keep)
    rows, width = sum(s.rows for s in sheets), len(spec.quantiles)
    values = float(sum(expected(spec, s.rows) * s.dtype.itemsize for s in sheets))
    fixed = float((16 * width + 32) * rows * len(blocks(spec)))
    if spec.counted:
        fixed += 256 * width * rows * len(blocks(spec))
        values /= 32
    fixed += 2 * _squares(plan) * len(blocks(spec)) if plan.study else 0
    share = (spec.draws - done) / spec.draws
    files = _FILE * 3 * len(blocks(spec)) * (1 + len(spec.keep))
    return share * (cells * item * spec.draws + 2 * values + fixed + files) + rows * 128


def memory_of(
    plan: Plan, spec: Spec, sheets: Sequence[Sheet], workers: int, piece: int = MOST_PIECE
) -> float:
    """Return the bytes that grow with blocks, pieces of them, outputs and workers.

    Blocks and merges take turns; tiles and brackets stay for the next block. All workers compute
    draws while they are timed, but no more have a block than there are.
    """
    sets = 2 if plan.study else 1
    tile = 8 * tile_width(plan) * (sets * code_of(plan).rows + held_beside(plan))
    block = max(_of_block(plan, spec, sheets, stage, piece) for stage in stages(spec))
    bounds = len(spec.quantiles) * (2 + (BINS if spec.counted else 0))
    brackets = bounds * sum(s.rows * s.dtype.itemsize for s in sheets)
    computed = min(workers, how_many(spec)) * block
    merging = _of_merging(spec, sheets, piece) + (_of_shares(plan) if plan.study else 0)
    return workers * tile + brackets + max(computed, merging)


def _of_block(plan: Plan, spec: Spec, sheets: Sequence[Sheet], stage: range, piece: int) -> float:
    """Return what is held of a block: some results, draws to be stored, and a digest."""
    item, block = np.dtype(spec.dtype).itemsize, largest(stage, spec)
    size = min(piece, block)
    some = min(at_once(plan, spec), size)
    cells = sum(plan.dims.size(o.dims) for o in plan.outputs if o.name in spec.keep)
    sums = sum(s.rows * s.dtype.itemsize for s in sheets[1:])
    room = min(size, room_inside(stage.start, size)) if stage.start else size
    brackets = len(spec.quantiles) if stage.start else 1
    bins = _BIN * BINS if stage.start and stage.start == spec.counted else 0
    digest = 0.0
    for sheet in sheets:
        written = min(sheet.rows, SEGMENT)  # a copy of those rows
        digest += brackets * room * sheet.dtype.itemsize * (sheet.rows + written)
        digest += sheet.rows * (brackets * (_COUNTS + bins) + _SUMS)
    if plan.study:  # nodes of the tree of rounds: one of each level, and the round in hand
        digest += _squares(plan) * (1 + (size // ROUND).bit_length())
    return some * (plan.cells * item + sums) + cells * item * block + digest


def _of_shares(plan: Plan) -> int:
    """Return what is held while shares are made: their sums, and the fit of a control."""
    inputs, cells = min(len(scores_of(plan).streams), MOST), len(swaps(plan).cells)
    return 3 * _squares(plan) + least_memory(inputs, cells)


def _squares(plan: Plan) -> int:
    """Return the bytes of the sums of squares of a study."""
    return 8 * math.prod(swaps(plan).shape)


def _of_merging(spec: Spec, sheets: Sequence[Sheet], piece: int) -> float:
    """Return what is held while digests become brackets or percentiles, some rows at a time.

    How many draws each digest has in each bracket is known of some more.
    """
    rows, width = sum(s.rows for s in sheets), len(spec.quantiles)
    bins = 2 * _BIN * BINS if spec.counted else 0
    together = max(min(s.rows, SEGMENT) * s.dtype.itemsize for s in sheets)
    kept = expected(spec, 1) / (32 if spec.counted else 1)
    values = max(min(spec.begin, spec.draws), kept) * together
    digests = how_many(spec) * max(spec.block // piece, 1)
    some = min(rows, rows_together(digests, width))
    sizes = some * width * digests * np.min_scalar_type(min(spec.block, piece)).itemsize
    return _WHILE_MERGED * values + sizes + rows * (width * (2 * _COUNTS + bins) + _SUMS)


def check_disk(found: Estimate) -> None:
    """Refuse a run that writes more than there is room for.

    Raises
    ------
    InputError
        With both numbers, and the options to change.
    """
    if found.free is not None and found.disk > found.free:
        raise InputError(
            f"the run needs {size_text(found.disk)} of disk but {size_text(found.free)} are free; "
            "store fewer draws (--keep none, or fewer names), lower -n, or choose another --out",
            "--keep",
        )
