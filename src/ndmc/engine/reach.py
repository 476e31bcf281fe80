"""Which rows of a plan's code inputs reach: known before a draw is computed.

What is marked may not change in a draw; what is not marked cannot. Loops are marked as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ndmc.engine.instructions import Arithmetic, Places
from ndmc.engine.row_code import Fed, Lives, Loop, Other, RowCode
from ndmc.plan.steps import Before, Cohort, Profile
from ndmc.scenario.along import ALONG
from ndmc.scenario.expressions import BY_LABEL, EVERYWHERE, Expression
from ndmc_kernels.operations import INTO, ONE, THREE

#: For every row the inputs that reach it: the bits of a whole number.
Marks = npt.NDArray[Any]


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
    for one in how.sums:
        _mark_arithmetic(one, found)
    if code.conditioning is not None:
        places = rows_of(code, code.conditioning.parameters)
        found[places] = _all(found[places])
    for call in code.each:
        _MARK[type(call)](call, found, code)
    return found


def _all(marks: Marks) -> int:
    found: int = np.bitwise_or.reduce(marks.reshape(-1)) if marks.size else 0
    return found


def rows_of(code: RowCode, names: Iterable[str]) -> Places:
    return np.concatenate([np.empty(0, np.int64), *(code.names[n].reshape(-1) for n in names)])


def _mark_arithmetic(call: Arithmetic, found: Marks, code: RowCode | None = None) -> None:
    marks = found.tolist()
    for operation, target, a, b, c in table_of(call).tolist():
        mark = marks[a]
        if operation not in ONE:
            mark |= marks[b]
        if operation in THREE:
            mark |= marks[c]
        marks[target] = mark | marks[target] if operation in INTO else mark
    found[:] = marks


def table_of(call: Arithmetic) -> Places:
    """Return what is done row by row, [n, operation target a b c]."""
    lines = call.instructions
    count = lines[:, 1]
    turn = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    each = np.repeat(lines, count, axis=0)
    return np.stack([each[:, 0], *(each[:, k] + turn * each[:, k + 1] for k in (2, 4, 6, 8))], 1)


def _mark_lives(call: Lives, found: Marks, code: RowCode) -> None:
    marks = _by_cell(call.step.lifetime.expressions, call.step.dims[:-1], found, code)
    for first in (call.scale, call.shape):
        found[first : first + call.cells] = marks


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
    found[rows] = _all(found[rows]) | _all(found[rows_of(code, outside)])


def _mark_other(call: Other, found: Marks, code: RowCode) -> None:
    step = call.step
    if isinstance(step, Before):
        marks = _by_cell((step.inflow, *step.expressions), step.dims, found, code)
        (first,) = call.targets.values()
        found[first : first + len(marks)] = marks
        return
    if isinstance(step, Profile):
        _mark_profile(call, step, found, code)
        return
    cells, years = code.dims.size(step.dims[:-1]), len(code.dims.years)
    rest = [e for e in step.expressions if e is not step.level]
    lives = _by_cell(rest, step.dims[:-1], found, code)
    came = np.zeros((cells, years), dtype=object)
    if step.reads_inflow:
        came[:] = found[call.inflow : call.inflow + cells * years].reshape(cells, years)
    if step.level is not None:
        level = _over(_marks_of(step.level, found, code), step.level.dims, step.dims, code)
        came[:, step.start :] = level.reshape(cells, years)[:, step.start :]
    marks = (_up_to(came) | lives[:, np.newaxis]).reshape(-1)
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
    if expression.operation == BY_LABEL:
        by_label = np.moveaxis(marks, expression.axis, 0)
        for part, places, _ in expression.taken(EVERYWHERE):
            over = _over(_marks_of(part, found, code), part.dims, expression.dims, code)
            by_label[list(places)] = np.moveaxis(over, expression.axis, 0)[list(places)]
        return marks
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
    Lives: _mark_lives,
    Fed: _mark_fed,
    Loop: _mark_loop,
    Other: _mark_other,
}
