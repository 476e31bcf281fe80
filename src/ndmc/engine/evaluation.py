"""Evaluate a plan: a pure function of (plan, draws, seed).

Draws are computed in tiles of a fixed width at fixed places, whatever range is asked for, so that
a draw's bits depend on nothing but its number. Everything else (blocks, threads, stores) is
built outside.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ndmc.engine.audit import Audit
from ndmc.engine.instructions import Places
from ndmc.engine.row_code import RowCode, compile_rows
from ndmc.engine.shared_rows import shared
from ndmc.engine.stopwatch import SILENT, Timer
from ndmc.engine.swaps import Swaps, swaps_of
from ndmc.engine.tile_width import tile_width
from ndmc.engine.tiles import Tile
from ndmc.errors import InputError
from ndmc.given import as_count, as_precision, wrong
from ndmc.plan.steps import Plan
from ndmc.typing import Floats
from ndmc_kernels.rows import EMIT, ROUND

__all__ = ["Witness", "alike", "check_seed", "code_of", "evaluate", "fill", "measure", "swaps"]

#: Arrays [cell, draw], float32 or float64, by the outputs whose cells they hold one after another.
_Sheets = Mapping[tuple[str, ...], npt.NDArray[Any]]


#: Is shown a tile, its first draw, and which of its draws are wanted.
Witness = Callable[[Tile, int, slice], None]


def evaluate(
    plan: Plan,
    seed: int,
    draws: range,
    *,
    dtype: npt.DTypeLike = np.float64,
    audit: Audit | None = None,
) -> dict[str, npt.NDArray[Any]]:
    """Return the outputs of a plan for a range of draws.

    Parameters
    ----------
    plan
        A compiled scenario.
    seed
        From 0 to 2**64 - 1.
    draws
        Consecutive draw numbers; draw ``i`` is the same whatever range it is asked in.
    dtype
        Precision of the result, float32 or float64; everything is computed in float64.
    audit
        Where balances are checked and draws counted, if given.

    Returns
    -------
    dict of array
        Per output, its dims in order and then the draws, in the output's unit.

    Raises
    ------
    InputError
        If the seed, the draws or the precision are out of range.

    Examples
    --------
    >>> from ndmc.model import compile_plan
    >>> from ndmc.scenario.load import load
    >>> plan = compile_plan(load("china_nd"), ["in_use"])
    >>> evaluate(plan, 1, range(3))["in_use"].shape
    (17, 21, 3)
    """
    if not isinstance(plan, Plan):
        raise wrong("plan", plan, "what ndmc.compile_plan returns")
    check_seed(seed)
    if not isinstance(draws, range) or draws.step != 1 or draws.start < 0:
        raise wrong("draws", draws, "a range of consecutive numbers, such as range(0, 1000)")
    dtype = as_precision(dtype, "dtype")
    names = tuple(output.name for output in plan.outputs)
    which = alike(plan, names)
    sheet = np.empty((which.max(initial=-1) + 1, len(draws)), dtype)
    fill({names: sheet}, plan, seed, draws, audit)
    sheet = sheet if len(sheet) == plan.cells else sheet[which]
    found, first = {}, 0
    for output in plan.outputs:
        shape = plan.dims.shape(output.dims)
        stop = first + plan.dims.size(output.dims)
        found[output.name] = sheet[first:stop].reshape(*shape, len(draws))
        first = stop
    return found


def check_seed(seed: int) -> None:
    """Refuse a seed that is no key of the random numbers.

    Raises
    ------
    InputError
        If it is no whole number, has more than 64 bits, or is negative.

    Examples
    --------
    >>> check_seed(2**64 - 1)
    """
    if not 0 <= as_count(seed, "seed") < 2**64:
        raise InputError(f"seed is {seed} but must lie in 0 .. 2**64 - 1", "--seed")


def fill(
    sheets: _Sheets,
    plan: Plan,
    seed: int,
    draws: range,
    audit: Audit | None = None,
    timer: Timer = SILENT,
    *,
    bits: int = 0,
    witnesses: Sequence[Witness] = (),
) -> None:
    """Fill sheets with outputs as `evaluate` does, timed.

    Cells that are `alike` have one row. With ``bits`` results are rounded to so many bits of their
    mantissa. All ``witnesses`` are shown each tile, with its first draw and the draws of it that
    are wanted.
    """
    compiled = _compiled(plan)
    targets = [(*compiled.cells(names)[:2], sheets[names]) for names in sheets]
    with np.errstate(all="ignore"), compiled.tile(tile_width(plan)) as tile:
        # What is not finite is found and named by the run.
        timer.start()
        for first, here, there in _tiles(draws, tile_width(plan)):
            tile.sample(seed, first)
            timer.lap("sample")
            tile.run(compiled.code.each, timer)
            for rows, scales, sheet in targets:
                stop = there + here.stop - here.start
                EMIT[sheet.itemsize](tile.rows, rows, scales, here.start, sheet, there)
                _shorten(sheet, there, stop, bits)
            timer.lap("results")
            if audit is not None:
                audit.examine(tile, first, here)
                timer.lap("balances")
            for witness in witnesses:
                witness(tile, first, here)
                timer.lap("swaps")


def tiles(plan: Plan, seed: int, draws: range) -> Iterator[tuple[Tile, slice]]:
    """Yield tiles that are computed, each with the part of its draws that is wanted."""
    compiled, width = _compiled(plan), tile_width(plan)
    with compiled.tile(width) as tile:
        for first, here, _ in _tiles(draws, width):
            with np.errstate(all="ignore"):
                tile.sample(seed, first)
                tile.run(compiled.code.each)
            yield tile, here


def _shorten(sheet: npt.NDArray[Any], start: int, stop: int, bits: int) -> None:
    """Round results to so many bits of their mantissa, unless all are wanted."""
    dropped = np.finfo(sheet.dtype).nmant - bits
    if bits and dropped > 0:
        ROUND[sheet.itemsize](sheet.view(f"i{sheet.itemsize}"), start, stop, dropped)


def _tiles(draws: range, width: int) -> Iterator[tuple[int, slice, int]]:
    """Yield the first draw of each tile, the part of it that is wanted, and where that goes."""
    for first in range(draws.start // width * width, draws.stop, width):
        start, stop = max(first, draws.start), min(first + width, draws.stop)
        yield first, slice(start - first, stop - first), start - draws.start


def alike(plan: Plan, names: tuple[str, ...]) -> Places:
    """Return for each cell of some outputs, one after the other, in which row of a sheet it is.

    In an ensemble cells that are the same in all draws have the same row.
    """
    return _compiled(plan).cells(names)[2]


def _first_rows(rows: Places, scales: Floats) -> tuple[Places, Floats, Places]:
    """Return rows with their scales, each once in the order that they come, and which each is."""
    pairs = np.stack([rows, scales.view(np.int64)], axis=1)
    _, first, which = np.unique(pairs, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    turn = np.empty_like(order)
    turn[order] = np.arange(len(order))
    return rows[first[order]], scales[first[order]], turn[which.reshape(-1)]


class _Compiled:
    """The code of a plan, and tiles that no thread uses at the moment."""

    def __init__(self, plan: Plan) -> None:
        code = compile_rows(plan)
        self.code = shared(code) if plan.gathered else code
        self.sets = 2 if plan.study else 1
        self.swaps = swaps_of(self.code, plan.study) if plan.study else None
        self._idle: list[Tile] = []
        self._scales = {output.name: output.scale for output in plan.outputs}
        self._members = bool(plan.gathered)
        self.cells = functools.cache(self._cells)

    def _cells(self, names: tuple[str, ...]) -> tuple[Places, Floats, Places]:
        """Return rows of some outputs, by what they are multiplied, and which each cell has."""
        places = [self.code.names[name].reshape(-1) for name in names]
        rows = np.concatenate([np.empty(0, np.int64), *places])
        scales = np.repeat([self._scales[name] for name in names], [len(some) for some in places])
        return _first_rows(rows, scales) if self._members else (rows, scales, np.arange(len(rows)))

    @contextlib.contextmanager
    def tile(self, width: int) -> Iterator[Tile]:
        """Lend a tile; one that fails is not used again."""
        try:
            tile = self._idle.pop()
        except IndexError:
            tile = Tile(self.code, width, self.sets)
        yield tile
        self._idle.append(tile)


def code_of(plan: Plan) -> RowCode:
    """Return the row code of a plan, compiled once."""
    return _compiled(plan).code


def swaps(plan: Plan) -> Swaps:
    """Return how the groups of a plan's study are exchanged, found once."""
    found = _compiled(plan).swaps
    if found is None:
        raise ValueError("a plan without a study has no groups")
    return found


def measure(plan: Plan, seed: int, draws: range) -> Floats:
    """Return the sums of squares of some draws, of one round: see `Swaps.measure`."""
    found = swaps(plan)
    sums = found.sums()
    fill({}, plan, seed, draws, witnesses=[partial(found.measure, sums=sums)])
    return sums


#: What is kept beside a plan, as long as the plan is: nothing in it may lead back to the plan.
_KEPT: weakref.WeakKeyDictionary[Plan, _Compiled] = weakref.WeakKeyDictionary()

_LOCK = threading.Lock()


def _compiled(plan: Plan) -> _Compiled:
    with _LOCK:
        if plan not in _KEPT:
            _KEPT[plan] = _Compiled(plan)
        return _KEPT[plan]


def evaluate_central(plan: Plan, audit: Audit | None = None) -> dict[str, Floats]:
    """Return the outputs of a plan with every parameter at its mean, as [dims...].

    This is what a deterministic model would report; medians of draws differ where the model is
    not linear.
    """
    code = code_of(plan)
    with np.errstate(all="ignore"):
        tile = Tile(code, 1)
        tile.central(plan.samplers)
        tile.run(code.each)
        if audit is not None:
            audit.examine(tile, 0, slice(0, 1))
        return {o.name: tile.rows[code.names[o.name], 0] * o.scale for o in plan.outputs}
