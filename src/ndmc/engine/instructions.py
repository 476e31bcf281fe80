"""Rows of a tile, and the instructions that compute them.

A tile is a table of rows of some hundred draws, one row for each cell of each quantity. A quantity
is an array of row numbers over its dims, so that picking, lagging and broadcasting only renumber.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from ndmc.dims import Dims, rows_in
from ndmc.plan.memory import MACHINE, Memory, size_text
from ndmc.typing import Floats
from ndmc_kernels.operations import Operation

__all__ = ["Arithmetic", "Places"]

#: Row numbers of a quantity over its dims.
Places = npt.NDArray[np.int64]

#: A row takes so much while it is compiled: 74 to 92 in stocks and flows of 100,000 values.
_BYTES = 100

Room = Callable[[tuple[int, ...]], Places]

#: Operations, each with a table [row, target and operands] of what it is done to.
_Moves = list[tuple[int, Places]]

_Call = TypeVar("_Call")


def expanded(places: Places, has: tuple[str, ...], wants: tuple[str, ...]) -> Places:
    """Return rows with an axis of length one for every dim that they lack."""
    shape = iter(places.shape)
    return places.reshape([next(shape) if dim in has else 1 for dim in wants])


@dataclass(frozen=True)
class Arithmetic:
    """Instructions that `ndmc_kernels.rows.compute` runs in one call."""

    instructions: npt.NDArray[np.int64] = field(repr=False)


class Writer(Generic[_Call]):
    """Numbers rows as they are needed and writes instructions, between calls of other kernels."""

    def __init__(self, dims: Dims, memory: Memory = MACHINE) -> None:
        self.dims, self.memory = dims, memory
        self.rows = 0
        self.scratch_rows = self.most_scratch = 0
        self.numbers: dict[float, int] = {}
        self.set: list[tuple[Places, Floats]] = []
        self.calls: list[_Call | _Moves] = []

    def take(self, shape: tuple[int, ...]) -> Places:
        """Return rows that keep what is written to them."""
        count = self._held(shape)
        self.rows += count
        return np.arange(self.rows - count, self.rows).reshape(shape)

    def scratch(self, shape: tuple[int, ...]) -> Places:
        """Return rows that the next step may use again, by negative numbers until the end."""
        count = self._held(shape)
        self.scratch_rows += count
        self.most_scratch = max(self.most_scratch, self.scratch_rows)
        return np.arange(self.scratch_rows - count, self.scratch_rows).reshape(shape) * -1 - 1

    def _held(self, shape: tuple[int, ...]) -> int:
        """Return how many rows there are in a shape, refused if all would take too much."""
        count = math.prod(shape)
        rows = self.rows + self.scratch_rows + count
        needed = _BYTES * rows
        what = f"{rows:,} rows, {count:,} of them for one step, take {size_text(needed)}"
        self.memory.hold(needed, what)
        return count

    def number(self, value: float) -> Places:
        """Return the row that holds a number."""
        key = value if value != 0 else 0.0
        if key not in self.numbers:
            self.numbers[key] = int(self.take((1,))[0])
        return np.array(self.numbers[key])

    def holding(self, values: Floats) -> Places:
        """Return rows that hold some values in every draw."""
        places = self.take(values.shape)
        self.set.append((places, values))
        return places

    def shape(self, dims: Iterable[str]) -> tuple[int, ...]:
        """Return the number of labels of each dim."""
        return self.dims.shape(dims)

    def spread(self, places: Places, has: tuple[str, ...], wants: tuple[str, ...]) -> Places:
        """Return rows over more dims."""
        if not set(has) <= set(wants):
            full = np.broadcast_to(places, self.shape(has)).reshape(-1)
            return full[rows_in(has, wants, self.dims)].reshape(self.shape(wants))
        return np.broadcast_to(expanded(places, has, wants), self.shape(wants))

    def solid(self, places: Places) -> int:
        """Return the first of rows that lie one after the other, copied if they do not."""
        flat = places.reshape(-1)
        first = int(flat[0]) if flat.size else 0
        if first >= 0 and np.array_equal(flat, np.arange(first, first + flat.size)):
            return first
        copied = self.take(places.shape)
        self.do("copy", copied, places)
        return int(copied.reshape(-1)[0])

    def kept(self, places: Places) -> Places:
        """Return rows that no later step uses again."""
        if (places >= 0).all():
            return places
        copied = self.take(places.shape)
        self.do("copy", copied, places)
        return copied

    # --- instructions ------------------------------------------------------------------------

    def do(self, operation: str, target: Places, *operands: Places) -> None:
        """Write an operation for every row of the target, in order."""
        if not self.calls or not isinstance(self.calls[-1], list):
            self.calls.append([])
        last = self.calls[-1]
        assert isinstance(last, list)
        spread = [np.broadcast_to(places, target.shape).reshape(-1) for places in operands]
        flat = target.reshape(-1)
        table = np.stack([flat, *spread, *[flat] * (3 - len(spread))], axis=1)
        last.append((Operation[operation.upper()], table))

    def taken(self) -> list[_Call | _Moves]:
        """Return the calls so far and begin anew."""
        calls, self.calls = self.calls, []
        return calls

    def finished(self, calls: Iterable[_Call | _Moves]) -> tuple[_Call | Arithmetic, ...]:
        """Return calls with their instructions, in which scratch rows come after all others."""
        return tuple(
            _arithmetic(call, self.rows) if isinstance(call, list) else call for call in calls
        )


def _arithmetic(moves: _Moves, rows: int) -> Arithmetic:
    lines: list[tuple[int, ...]] = []
    for operation, table in moves:
        lines += _runs(operation, np.where(table < 0, rows - 1 - table, table))
    return Arithmetic(np.array(lines, dtype=np.int64).reshape(-1, 10))


def instructions_of(operations: Places, table: Places) -> Arithmetic:
    """Return instructions for rows [n, target and operands] that are computed one after the other.

    As many as follow each other with one operation are done at once.
    """
    starts = np.flatnonzero(np.diff(operations, prepend=-1))
    segments = np.split(table, starts[1:]) if len(starts) else []
    pieces = zip(operations[starts].tolist(), segments, strict=True)
    return _arithmetic([(operation, some) for operation, some in pieces], 0)


def _runs(operation: int, table: Places) -> list[tuple[int, ...]]:
    """Return instructions for the lines of a table, as many at once as lie at equal steps."""
    lines = []
    steps = np.diff(table, axis=0)
    ends = [*(np.flatnonzero((steps[1:] != steps[:-1]).any(axis=1)) + 1).tolist(), len(steps)]
    first, turn = 0, 0
    while first < len(table):
        while turn < len(ends) - 1 and ends[turn] <= first:
            turn += 1
        count = max(ends[turn] - first, 0) + 1
        step = steps[first] if count > 1 else np.zeros(4, np.int64)
        pairs = (int(n) for pair in zip(table[first], step, strict=True) for n in pair)
        lines.append((operation, count, *pairs))
        first += count
    return lines
