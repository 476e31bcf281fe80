"""What lies downstream of some inputs: which rows they reach, and the code that computes those.

A plan's rows are each written by one step. Those that inputs reach can be computed a second time,
from other values of these inputs, into rows of their own: row n of the second set stands
``code.rows`` after row n of the first. What is not reached is read where it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ndmc.engine.instructions import Arithmetic, Places, instructions_of
from ndmc.engine.row_code import Call, Fed, Loop, Other, RowCode
from ndmc.engine.sampled_rows import Sampling
from ndmc.plan.samplers import Group
from ndmc.plan.steps import Cohort, Conditioning, Profile, one_by_one
from ndmc.scenario.expressions import Expression
from ndmc.scenario.operations import ALONG
from ndmc_kernels.operations import Operation

#: For every row the inputs that reach it: the bits of a whole number.
Marks = npt.NDArray[Any]

Mask = npt.NDArray[np.bool_]

#: Operations of one row and of three; all others read two. These read their target, too.
_ONE = {Operation[n] for n in ("COPY", "NEGATIVE", "GAIN", "LOSE", "ABS", "SQRT", "EXP", "LOG")}
_THREE = {Operation[n] for n in ("FUSED", "PRODUCT", "CLIP", "WHERE")}
_INTO = {Operation[n] for n in ("GAIN", "LOSE", "SINCE")}


# --- which rows inputs reach ----------------------------------------------------------------------


def reached(code: RowCode, marks: Mapping[int, int]) -> Marks:
    """Return which inputs reach every row of a study's code.

    Parameters
    ----------
    code
        Code of a plan with a study.
    marks
        For streams the bits that stand for them; of other streams nothing is said.

    Returns
    -------
    array
        A whole number for each row: the bits of all streams that reach it.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from ndmc.engine.row_code import compile_rows
    >>> from ndmc.model import compile_plan
    >>> from ndmc.plan.study import Study
    >>> plan = compile_plan("steel_loop")
    >>> code = compile_rows(replace(plan, study=Study((), ())))
    >>> stream = int(plan.samplers[0].streams[0])
    >>> sum(reached(code, {stream: 1})) > 0
    True
    """
    found = np.zeros(code.rows, dtype=object)
    how = code.sampling
    for streams, at in (how.normals, how.uniforms):
        found[at : at + len(streams)] = [marks.get(int(stream), 0) for stream in streams]
    for field in how.fields:
        _mark_arithmetic(field, found)
    for source, target, count in how.cdf:
        found[target : target + count] = found[source : source + count]
    for group in how.groups:
        found[group.target_of] = found[group.source_of]
    if code.conditioning is not None:
        places = _rows_of(code, code.conditioning.parameters)
        found[places] = _all(found[places])
    for call in code.each:
        _MARK[type(call)](call, found, code)
    return found


def _all(marks: Marks) -> int:
    found: int = np.bitwise_or.reduce(marks.reshape(-1)) if marks.size else 0
    return found


def _rows_of(code: RowCode, names: Iterable[str]) -> Places:
    return np.concatenate([np.empty(0, np.int64), *(code.names[n].reshape(-1) for n in names)])


def _mark_arithmetic(call: Arithmetic, found: Marks, code: RowCode | None = None) -> None:
    marks = found.tolist()
    for operation, target, a, b, c in _table(call).tolist():
        mark = marks[a]
        if operation not in _ONE:
            mark |= marks[b]
        if operation in _THREE:
            mark |= marks[c]
        marks[target] = mark | marks[target] if operation in _INTO else mark
    found[:] = marks


def _table(call: Arithmetic) -> Places:
    """Return what is done row by row, [n, operation target a b c]."""
    lines = call.instructions
    count = lines[:, 1]
    turn = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    each = np.repeat(lines, count, axis=0)
    return np.stack([each[:, 0], *(each[:, k] + turn * each[:, k + 1] for k in (2, 4, 6, 8))], 1)


def _mark_fed(call: Fed, found: Marks, code: RowCode) -> None:
    lives = (
        found[call.scale : call.scale + call.cells] | found[call.shape : call.shape + call.cells]
    )
    _mark_stock(call.inflow, lives, [call.stock, call.release], (call.cells, call.years), found)


def _mark_stock(
    inflow: int, lives: Marks, targets: Iterable[int | None], size: tuple[int, int], found: Marks
) -> None:
    """Mark a stock [cell, year] by its lifetimes [cell] and what flows in until each year."""
    count = size[0] * size[1]
    came = found[inflow : inflow + count].reshape(size)
    marks = _up_to(came) | lives[:, np.newaxis]
    for target in targets:
        if target is not None:
            found[target : target + count] = marks.reshape(-1)


def _up_to(marks: Marks) -> Marks:
    """Return marks [cell, year] of each year and all before."""
    return np.asarray(np.bitwise_or.accumulate(marks, axis=1))


def _mark_loop(call: Loop, found: Marks, code: RowCode) -> None:
    """Mark a loop as a whole: what reaches any of it reaches all."""
    rows = slice(call.first, call.first + call.step.program.rows)
    expressions = (
        e for one in call.step.members if isinstance(one, Cohort) for e in one.expressions
    )
    outside = frozenset[str]().union(*(e.names for e in expressions)) - set(call.step.targets)
    found[rows] = _all(found[rows]) | _all(found[_rows_of(code, outside)])


def _mark_other(call: Other, found: Marks, code: RowCode) -> None:
    step = call.step
    if isinstance(step, Profile):
        _mark_profile(call, step, found, code)
        return
    cells, years = code.dims.size(step.dims[:-1]), len(code.dims.years)
    rest = [e for e in step.expressions if e is not step.level]
    lives = _by_cell(rest, step.dims[:-1], found, code)
    if step.level is None:
        inflow = found[call.inflow : call.inflow + cells * years].reshape(cells, years)
    else:
        level = _over(_marks_of(step.level, found, code), step.level.dims, step.dims, code)
        inflow = level.reshape(cells, years)
    marks = (_up_to(inflow) | lives[:, np.newaxis]).reshape(-1)
    for first in call.targets.values():
        found[first : first + len(marks)] = marks


def _mark_profile(call: Other, step: Profile, found: Marks, code: RowCode) -> None:
    """Mark a stock by age or cohort as a whole, cell by cell."""
    cohort = step.cohort
    dims = cohort.dims[:-1]
    read = [code.names[n] for n in (cohort.target, cohort.inflow, cohort.kept) if n]
    lives = _by_cell(cohort.expressions, dims, found, code)
    for places in read:
        lives = lives | np.bitwise_or.reduce(found[places].reshape(len(lives), -1), axis=1)
    (first,), size = call.targets.values(), code.dims.size(step.dims)
    marks = _over(lives.reshape(code.dims.shape(dims)), dims, step.dims, code)
    found[first : first + size] = marks.reshape(-1)


def _by_cell(
    expressions: Iterable[Expression], dims: tuple[str, ...], found: Marks, code: RowCode
) -> Marks:
    """Return what reaches any of some expressions, for each cell over some dims."""
    marks = np.zeros(code.dims.shape(dims), dtype=object)
    for one in expressions:
        marks = marks | _over(_marks_of(one, found, code), one.dims, dims, code)
    return np.asarray(marks).reshape(-1)


def _marks_of(expression: Expression, found: Marks, code: RowCode) -> Marks:
    """Return what reaches an expression, over its dims."""
    size = code.dims.shape(expression.dims)
    if expression.operation == "name":
        return np.asarray(found[code.names[expression.name]])
    if expression.operation in ALONG:
        inside = _all(_marks_of(expression.arguments[0], found, code))
        return np.full(size, inside, dtype=object)
    marks = np.zeros(size, dtype=object)
    for part in expression.arguments:
        marks = marks | _over(_marks_of(part, found, code), part.dims, expression.dims, code)
    return np.asarray(marks)


def _over(marks: Marks, has: tuple[str, ...], wants: tuple[str, ...], code: RowCode) -> Marks:
    """Return marks over other dims: those of all labels of a dim that is gone."""
    gone = tuple(n for n, dim in enumerate(has) if dim not in wants)
    if gone:
        for axis in reversed(gone):
            marks = np.bitwise_or.reduce(marks, axis=axis)
    kept = [dim for dim in has if dim in wants]
    order = sorted(range(len(kept)), key=lambda n: wants.index(kept[n]))
    marks = np.asarray(marks, dtype=object).transpose(order)
    shape = [len(code.dims.labels[dim]) if dim in kept else 1 for dim in wants]
    return np.broadcast_to(marks.reshape(shape), code.dims.shape(wants))


_MARK: Mapping[type, Callable[[Any, Marks, RowCode], None]] = {
    Arithmetic: _mark_arithmetic,
    Fed: _mark_fed,
    Loop: _mark_loop,
    Other: _mark_other,
}


# --- code that computes them ----------------------------------------------------------------------


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
        return Downstream(code, self._rows_of(streams), self.hit)

    def moved(self, rows: Places) -> Places:
        """Return where rows are read: those that are reached in the second set."""
        return np.asarray(np.where(self.hit[rows], rows + self.first.rows, rows))

    def _read(self) -> frozenset[str]:
        """Return the names that are read by name."""
        steps = [call.step for call in self.first.each if isinstance(call, Loop | Other)]
        found = frozenset[str]().union(*(step.inputs for step in one_by_one(steps)))
        if self.first.conditioning is not None:
            found |= {*self.first.conditioning.parameters}
        return found & self.first.names.keys()

    # --- sampling --------------------------------------------------------------------------------

    @property
    def _conditioning(self) -> Conditioning | None:
        """What makes parameters agree, if any of them is drawn anew: then all of them are."""
        conditioning = self.first.conditioning
        if conditioning is None:
            return None
        return (
            conditioning if self.hit[_rows_of(self.first, conditioning.parameters)].any() else None
        )

    def _rows_of(self, streams: frozenset[int]) -> Places:
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
        return Sampling(nothing, nothing, tuple(fields), _together(cdf), some)

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
        table = _table(call)
        table = table[self.hit[table[:, 1]]]
        if not len(table):
            return []
        return [instructions_of(table[:, 0], self.moved(table[:, 1:]))]

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
