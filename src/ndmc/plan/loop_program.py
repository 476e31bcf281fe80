"""Rows and instructions of a loop: what is linear in the unknowns of a year, as row operations."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ndmc_kernels.operations import Operation

#: Operations by the names they have in expressions.
_NUMBERS = {one.name.lower(): int(one) for one in Operation}

#: The cell of a quantity, its labels by number, whose value in a year is to be found.
Unknown = tuple[str, tuple[int, ...]]


class Row(NamedTuple):
    """A row of the program: where it stands in the first year, and how far on each year."""

    at: int
    stride: int = 0
    fixed: bool = False


#: Factors that need no product.
_PLAIN = (0.0, 1.0, -1.0)

#: A number that is known when the program is written, or the row that will hold it.
Value = Row | float


@dataclass(slots=True)
class Linear:
    """A constant part and a coefficient for each unknown of the same year."""

    constant: Value
    unknowns: dict[Unknown, Value] = field(default_factory=dict)


class ProgramWriter:
    """Numbers rows as they are needed and writes instructions: once, or for every year."""

    def __init__(self) -> None:
        self.rows = 0
        self.constants: dict[float, int] = {}
        self.once, self.yearly = array("q"), array("q")
        self.computed: dict[tuple[object, ...], Row] = {}

    def take(self, count: int) -> int:
        """Return the first of so many new rows."""
        first, self.rows = self.rows, self.rows + count
        return first

    def do(self, operation: str, *values: Value, into: Row | None = None) -> Row:
        """Append an instruction; the same one is not computed twice."""
        rows = [self._constant(v) if isinstance(v, float) else v for v in values]
        key = (operation, *rows)
        if into is None and key in self.computed:
            return self.computed[key]
        fixed = into is None and all(row.fixed for row in rows)
        out = into or Row(self.take(1), 0, fixed)
        places = [number for row in (out, *rows, out, out)[:4] for number in row[:2]]
        (self.once if fixed else self.yearly).extend((_NUMBERS[operation], *places))
        self.computed[key] = out
        return out

    def _constant(self, value: float) -> Row:
        if value not in self.constants:
            self.constants[value] = self.take(1)
        return Row(self.constants[value], 0, True)

    # --- sums and products -----------------------------------------------------------------

    def plus(self, left: Linear, right: Linear, factor: Value) -> Linear:
        """Return left + factor * right."""
        unknowns = dict(left.unknowns)
        for unknown, coefficient in right.unknowns.items():
            unknowns[unknown] = self.fused(unknowns.get(unknown, 0.0), factor, coefficient)
        return Linear(self.fused(left.constant, factor, right.constant), unknowns)

    def scaled(self, value: Linear, factor: Value) -> Linear:
        """Return factor * value."""
        return self.plus(Linear(0.0), value, factor)

    def fused(self, a: Value, b: Value, c: Value) -> Value:
        """Return a + b * c."""
        if a == 0.0 or b in _PLAIN or c in _PLAIN:
            product = self._times(b, c)
            if isinstance(product, Row) and isinstance(a, Row) and -1.0 in (b, c):
                return self.do("subtract", a, c if b == -1.0 else b)
            return self.add_up(a, product)
        return self.do("fused", a, b, c)

    def add_up(self, a: Value, b: Value) -> Value:
        """Return a + b."""
        if isinstance(a, float) and isinstance(b, float):
            return a + b
        if a == 0.0:
            return b
        return a if b == 0.0 else self.do("add", a, b)

    def _times(self, a: Value, b: Value) -> Value:
        if isinstance(a, float) and isinstance(b, float):
            return a * b
        for one, other in ((a, b), (b, a)):
            if one in _PLAIN:
                return 0.0 if one == 0.0 else other if one == 1.0 else self._minus(other)
        return self.do("multiply", a, b)

    def _minus(self, a: Value) -> Value:
        return -a if isinstance(a, float) else self.do("negative", a)


def code_of(numbers: array[int]) -> npt.NDArray[np.int64]:
    """Return instructions as `ndmc_kernels.march` reads them."""
    return np.array(numbers, dtype=np.int64).reshape(-1, 9)
