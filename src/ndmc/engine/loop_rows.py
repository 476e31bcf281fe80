"""Rows of loops that need no other year: as arithmetic, of which members of an ensemble share some.

Year by year a loop writes few rows again and again, which is faster where nothing is shared.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ndmc.engine.expression_rows import ExpressionRows
from ndmc.engine.instructions import Places, Writer
from ndmc.plan.steps import Program
from ndmc_kernels.operations import ONE, THREE, Operation


def is_timeless(program: Program) -> bool:
    """Whether a loop is solved within each year, from nothing that another year has written."""
    years = {Operation.LAG, Operation.RECALL}
    later = {at for _, at, stride in program.yearly[:, :3].tolist() if not stride}
    for operation, target, _, *pairs in program.yearly.tolist():
        if operation in years or any(at in later for at in pairs[::2] if at != target):
            return False
        later.discard(target)
    return True


def unrolled(program: Program, write: Writer[Any], expressions: ExpressionRows) -> Places:
    """Write a timeless loop, and return the row of each of the rows that its program numbers."""
    years = np.arange(len(write.dims.years))
    rows = write.take((program.rows,))
    for at, number in program.constants:
        rows[at] = write.number(number)
    for at, expression in program.inputs:
        found = expressions.rows(expression, write.take)
        spread = np.broadcast_to(found, write.shape(expression.dims)).reshape(-1)
        rows[at : at + spread.size] = spread
    for at, _ in program.gains:
        write.do("copy", rows[at : at + 1], write.number(0.0))
    for line in program.once:
        _write(write, line[0], *(rows[at : at + 1] for at in line[1::2]))
    single = (at for _, at, stride in program.yearly[:, :3].tolist() if not stride)
    yearly = {at: write.take(years.shape) for at in single}
    for line in program.yearly:
        pairs = zip(line[1::2], line[2::2], strict=True)
        each = (yearly.get(at, rows[at + stride * years]) for at, stride in pairs)
        _write(write, line[0], *each)
    return rows


def _write(
    write: Writer[Any], operation: int, target: Places, a: Places, b: Places, c: Places
) -> None:
    if operation == Operation.RESOLVE:
        one, left = write.number(1.0), write.take(a.shape)
        write.do("subtract", left, one, a)
        write.do("divide", target, one, left)
        for n in range(a.size):
            write.do("max", b[n : n + 1], a[n : n + 1], b[n : n + 1])
        return
    reads = 1 if operation in ONE else 3 if operation in THREE else 2
    write.do(Operation(operation).name, target, *(a, b, c)[:reads])
