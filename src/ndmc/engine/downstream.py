"""Code that computes what lies downstream of some inputs a second time, and nothing else.

A plan's rows are each written by one step. Those that inputs reach can be computed once more, from
other values of these inputs, into rows of their own: row n of the second set stands ``code.rows``
after row n of the first. What is not reached is read where it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ndmc.engine.instructions import Arithmetic, Places, instructions_of
from ndmc.engine.reach import rows_of, table_of
from ndmc.engine.row_code import Call, Fed, Lives, Loop, Other, RowCode
from ndmc.engine.sampled_rows import Sampling
from ndmc.plan.samplers import Group
from ndmc.plan.steps import Conditioning, one_by_one
from ndmc_kernels.operations import Operation

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Downstream:
    """Code of what some inputs reach, whose rows of scores are ``streams``.

    ``hit`` says which rows are computed; the second row n is ``code.rows`` after the first.
    """

    code: RowCode
    streams: Places
    hit: Mask


def downstream(code: RowCode, hit: Mask, streams: frozenset[int]) -> Downstream:
    """Return the code that computes all rows that some streams reach, marked in ``hit``."""
    return _Second(code, hit).code_of(streams)


class _Second:
    """Code moved to the second set of rows, as far as it is reached."""

    def __init__(self, code: RowCode, hit: Mask) -> None:
        self.first, self.hit = code, hit

    def code_of(self, streams: frozenset[int]) -> Downstream:
        first = self.first
        each: list[Call] = []
        for call in first.each:
            each += _MOVE[type(call)](self, call)
        wanted = self._read()
        code = replace(
            first,
            numbers=(np.empty(0, np.int64), np.empty(0)),
            names={name: self.moved(first.names[name]) for name in wanted},
            sampling=self._sampling(),
            conditioning=self._conditioning,
            once=(),
            each=tuple(each),
            audit=(),
            nets=(),
            observed=tuple(map(self.moved, first.observed)),
        )
        return Downstream(code, self._rows_drawn(streams), self.hit)

    def moved(self, rows: Places) -> Places:
        """Return where rows are read: those that are reached in the second set."""
        return np.asarray(np.where(self.hit[rows], rows + self.first.rows, rows))

    def _read(self) -> frozenset[str]:
        """Return the names that are read by name."""
        steps = [call.step for call in self.first.each if isinstance(call, Loop | Other)]
        found = frozenset[str]().union(*(step.inputs for step in one_by_one(steps)))
        lives = [call.step.lifetime for call in self.first.each if isinstance(call, Lives)]
        found |= {name for one in lives for part in one.expressions for name in part.names}
        if self.first.conditioning is not None:
            found |= {*self.first.conditioning.parameters}
        return found & self.first.names.keys()

    # --- sampling --------------------------------------------------------------------------------

    @property
    def _conditioning(self) -> Conditioning | None:
        """What makes parameters agree, if any of them is drawn anew: then all of them are."""
        found = self.first.conditioning
        if found is None or not self.hit[rows_of(self.first, found.parameters)].any():
            return None
        return found

    def _rows_drawn(self, streams: frozenset[int]) -> Places:
        how = self.first.sampling
        rows = [
            at + n
            for some, at in (how.normals, how.uniforms)
            for n, stream in enumerate(some.tolist())
            if stream in streams
        ]
        return np.array(rows, dtype=np.int64)

    def _sampling(self) -> Sampling:
        how, nothing = self.first.sampling, (np.empty(0, np.uint64), 0)
        fields = [call for field in how.fields for call in self.arithmetic(field)]
        cdf = [
            (int(self.moved(np.array(source + n))), target + n + self.first.rows, 1)
            for source, target, count in how.cdf
            for n in np.flatnonzero(self.hit[target : target + count]).tolist()
        ]
        groups = [self._group(group, self.hit[group.target_of]) for group in how.groups]
        some = tuple(group for group in groups if len(group.target_of))
        sums = [call for one in how.sums for call in self.arithmetic(one)]
        return Sampling(nothing, nothing, tuple(fields), _together(cdf), some, tuple(sums))

    def _group(self, group: Group, some: Mask) -> Group:
        return Group(
            group.kind,
            self.moved(group.source_of[some]),
            group.target_of[some] + self.first.rows,
            np.ascontiguousarray(group.numbers[some]),
            np.ascontiguousarray(group.choices[some]),
        )

    # --- steps -----------------------------------------------------------------------------------

    def arithmetic(self, call: Arithmetic) -> list[Arithmetic]:
        table = table_of(call)
        table = table[self.hit[table[:, 1]]]
        if not len(table):
            return []
        return [instructions_of(table[:, 0], self.moved(table[:, 1:]))]

    def lives(self, call: Lives) -> list[Call]:
        if not self.hit[call.scale : call.scale + call.cells].any():
            return []
        shift = self.first.rows
        return [replace(call, scale=call.scale + shift, shape=call.shape + shift)]

    def fed(self, call: Fed) -> list[Call]:
        cells = np.arange(call.cells)
        years = np.arange(call.years)
        rows = call.stock + cells[:, np.newaxis] * call.years + years
        found: list[Call] = []
        for some in _spans(self.hit[rows].any(axis=1)):
            found += self._fed(call, some)
        return found

    def _fed(self, call: Fed, some: range) -> list[Call]:
        """Return what computes some cells of a stock."""
        at = some.start
        before, scale = self._block(call.scale + at, len(some))
        and_before, shape = self._block(call.shape + at, len(some))
        at_last, inflow = self._block(call.inflow + at * call.years, len(some) * call.years)
        shift = at * call.years + self.first.rows
        release = None if call.release is None else call.release + shift
        fed = replace(
            call,
            cells=len(some),
            scale=scale,
            shape=shape,
            inflow=inflow,
            stock=call.stock + shift,
            release=release,
        )
        return [*before, *and_before, *at_last, fed]

    def _block(self, first: int, count: int) -> tuple[list[Arithmetic], int]:
        """Return where rows that are read together lie, and what brings those there not reached."""
        rows = np.arange(first, first + count)
        hit = self.hit[rows]
        if not hit.any():
            return [], first
        second = first + self.first.rows
        if hit.all():
            return [], second
        rest = rows[~hit]
        table = np.stack([rest + self.first.rows, rest, rest, rest], axis=1)
        table[:, 2:] = table[:, :1]
        return [instructions_of(np.full(len(rest), Operation.COPY), table)], second

    def loop(self, call: Loop) -> list[Call]:
        if not self.hit[call.first]:
            return []
        return [Loop(call.step, call.first + self.first.rows)]

    def other(self, call: Other) -> list[Call]:
        size = self.first.dims.size(call.step.dims)
        firsts = call.targets.values()
        if not any(self.hit[first : first + size].any() for first in firsts):
            return []
        copies, inflow = ([], -1) if call.inflow < 0 else self._block(call.inflow, size)
        targets = {name: first + self.first.rows for name, first in call.targets.items()}
        return [*copies, Other(call.step, targets, inflow, call.certain)]


_MOVE: Mapping[type, Callable[[_Second, Any], list[Any]]] = {
    Arithmetic: _Second.arithmetic,
    Lives: _Second.lives,
    Fed: _Second.fed,
    Loop: _Second.loop,
    Other: _Second.other,
}


def _spans(some: Mask) -> list[range]:
    """Return the stretches of a mask that are true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], some, [False]]).astype(np.int8)))
    return [range(start, stop) for start, stop in edges.reshape(-1, 2).tolist()]


def _together(rows: list[tuple[int, int, int]]) -> tuple[tuple[int, int, int], ...]:
    """Return sources and targets that follow each other as one."""
    found: list[tuple[int, int, int]] = []
    for source, target, count in rows:
        if found and (found[-1][0] + found[-1][2], found[-1][1] + found[-1][2]) == (source, target):
            found[-1] = (found[-1][0], found[-1][1], found[-1][2] + count)
        else:
            found.append((source, target, count))
    return tuple(found)
