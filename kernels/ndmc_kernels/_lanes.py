"""A few neighbouring draws held in vector registers as one value: for kernels only.

LLVM vectorises a loop over draws by itself, but takes one register a step and keeps no sum in
registers from one row to the next. A polynomial then waits for itself: 0.7e9 exp/s, with four
registers at a time 1.3e9; and sums of products are bound by loads and stores.
"""

from __future__ import annotations

import importlib
import operator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ndmc_kernels._jit import extending, inline, ir, numba

Values = NDArray[np.float64]

imputils: Any = importlib.import_module("numba.core.imputils")
templates: Any = importlib.import_module("numba.core.typing.templates")

#: Draws held at once: four registers of 256 bits, or two of 512.
WIDTH = 16

_DOUBLES = ir.VectorType(ir.DoubleType(), WIDTH)
_WORDS = ir.VectorType(ir.IntType(64), WIDTH)


class _Lanes(numba.types.Type):  # type: ignore[misc]
    """The type of `WIDTH` draws."""


_LANES = _Lanes("Lanes")
_NUMBER, _PLACE = numba.types.float64, numba.types.intp
_ROWS = numba.types.Array(_NUMBER, 2, "C")


@extending.register_model(_Lanes)
class _Model(extending.models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _DOUBLES)


def _operator(symbol: Any, instruction: str) -> None:
    """Let an operator take lanes, and lanes with a number."""
    pairs = [(_LANES, _LANES), (_LANES, _NUMBER), (_NUMBER, _LANES)]
    cases = {"cases": [templates.signature(_LANES, *pair) for pair in pairs]}
    templates.infer_global(symbol)(type(instruction, (templates.ConcreteTemplate,), cases))

    def generate(context: Any, builder: Any, signature: Any, operands: Any) -> Any:
        return getattr(builder, instruction)(*(_lanes(builder, one) for one in operands))

    for pair in pairs:
        imputils.lower_builtin(symbol, *pair)(generate)


for _symbol, _instruction in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
):
    _operator(_symbol, _instruction)


def _lanes(builder: Any, value: Any) -> Any:
    """Return lanes as they are, and a number in all lanes."""
    if value.type == _DOUBLES:
        return value
    first = ir.Constant(ir.IntType(32), 0)
    one = builder.insert_element(ir.Constant(_DOUBLES, ir.Undefined), value, first)
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(first.type, WIDTH), None))


def _pointer(context: Any, builder: Any, rows: Any, row: Any, draw: Any) -> Any:
    array = context.make_array(_ROWS)(context, builder, rows)
    columns = builder.extract_value(array.shape, 1)
    place = builder.add(builder.mul(row, columns), draw)
    return builder.bitcast(builder.gep(array.data, [place]), _DOUBLES.as_pointer())


@extending.intrinsic  # type: ignore[untyped-decorator]
def load(context: Any, rows: Any, row: Any, draw: Any) -> Any:
    """Return the lanes of a row [row, draw] from a draw on, without a check of bounds."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(_pointer(context, builder, *arguments), align=8)

    return _LANES(_ROWS, _PLACE, _PLACE), generate


@extending.intrinsic  # type: ignore[untyped-decorator]
def store(context: Any, rows: Any, row: Any, draw: Any, lanes: Any) -> Any:
    """Write lanes into a row [row, draw] from a draw on, without a check of bounds."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        *place, lanes = arguments
        builder.store(lanes, _pointer(context, builder, *place), align=8)
        return context.get_dummy_value()

    return numba.types.void(_ROWS, _PLACE, _PLACE, _LANES), generate


@extending.intrinsic  # type: ignore[untyped-decorator]
def within(context: Any, lanes: Any, low: Any, high: Any) -> Any:
    """Return lanes clipped to a range; nan stays nan."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        lanes, *ends = arguments
        for comparison, end in zip("<>", ends, strict=True):
            limit = _lanes(builder, end)
            beyond = builder.fcmp_ordered(comparison, lanes, limit)
            lanes = builder.select(beyond, limit, lanes)
        return lanes

    return _LANES(_LANES, _NUMBER, _NUMBER), generate


def _chosen(comparison: str) -> Any:
    """Return an intrinsic that keeps, lane by lane, the one of two that compares so."""

    def intrinsic(context: Any, one: Any, other: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            one, other = arguments
            return builder.select(builder.fcmp_ordered(comparison, one, other), one, other)

        return _LANES(_LANES, _LANES), generate

    return extending.intrinsic(intrinsic)


#: The lower and the higher of two lanes; the second where one is nan.
lower, higher = _chosen("<"), _chosen(">")


@extending.intrinsic  # type: ignore[untyped-decorator]
def lanes_of(context: Any, number: Any) -> Any:
    """Return a number in all lanes."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _lanes(builder, *arguments)

    return _LANES(_NUMBER), generate


@extending.intrinsic  # type: ignore[untyped-decorator]
def exchanged(context: Any, lanes: Any) -> Any:
    """Return lanes of which neighbours have changed places, an even one with the next."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        whole = ir.IntType(32)
        order = ir.Constant(ir.VectorType(whole, WIDTH), [lane ^ 1 for lane in range(WIDTH)])
        return builder.shuffle_vector(*arguments, *arguments, order)

    return _LANES(_LANES), generate


@extending.intrinsic  # type: ignore[untyped-decorator]
def exponents(context: Any, lanes: Any) -> Any:
    """Return doubles whose sign and exponent are the lowest twelve bits of lanes."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        words = builder.bitcast(*arguments, _WORDS)
        return builder.bitcast(builder.shl(words, ir.Constant(_WORDS, [52] * WIDTH)), _DOUBLES)

    return _LANES(_LANES), generate


@extending.intrinsic  # type: ignore[untyped-decorator]
def prefetch(context: Any, rows: Any, row: Any, draw: Any) -> Any:
    """Ask for lanes of a row [row, draw] to be brought near, for writing too."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        byte, whole = ir.IntType(8).as_pointer(), ir.IntType(32)
        first = builder.bitcast(_pointer(context, builder, *arguments), byte)
        kind = ir.FunctionType(ir.VoidType(), [byte, whole, whole, whole])
        ask = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
        for line in range(0, 8 * WIDTH, 64):
            place = builder.gep(first, [ir.Constant(whole, line)])
            builder.call(ask, [place, *(ir.Constant(whole, n) for n in (1, 3, 1))])
        return context.get_dummy_value()

    return numba.types.void(_ROWS, _PLACE, _PLACE), generate


@inline
def take(rows: Values, row: int, first: int, into: Values, at: int) -> None:
    """Copy lanes into a row of scratch [row, lane]; of fewer draws, the last fills it up."""
    if rows.shape[1] >= WIDTH:
        store(into, at, 0, load(rows, row, first))
    else:
        for lane in range(WIDTH):
            into[at, lane] = rows[row, min(lane, rows.shape[1] - 1)]


@inline
def give(scratch: Values, rows: Values) -> None:
    """Copy rows of scratch [row, lane] to those of fewer draws."""
    for row in range(rows.shape[0]):
        for draw in range(rows.shape[1]):
            rows[row, draw] = scratch[row, draw]


@inline
def after(cell: int, first: int, shape: tuple[int, int, int]) -> tuple[int, int]:
    """Return the cell and draw of the lanes to be worked on next, or of the last once more."""
    cells, _, draws = shape
    if first + WIDTH < draws:
        return cell, min(first + WIDTH, draws - WIDTH)
    return min(cell + 1, cells - 1), 0
