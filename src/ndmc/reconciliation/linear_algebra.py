"""Linear algebra that knows its rounding: ranks, lengths of rows, matrices filled by blocks."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import scipy.linalg
import scipy.sparse as sp

from ndmc.typing import Floats, Integers, Matrix

#: Share of the largest singular value below which a direction counts as none.
RANK = 1e-10

#: Entries of orthonormal rows below this are rounding.
ROUNDING = 1e-13

#: Divides in place of what may be zero.
TINY = 1e-300


@np.errstate(over="ignore")  # what overflows is named where it is not finite
def lengths(matrix: Matrix) -> Floats:
    """Return the lengths of the rows of a sparse matrix."""
    return np.asarray(np.sqrt(matrix.power(2).sum(axis=1))).reshape(-1)


def pivoted(
    matrix: Floats, mode: Literal["full", "economic"] = "full"
) -> tuple[Any, Any, Integers, int]:
    """Return Q, R, the order of the columns and the rank."""
    if not matrix.shape[1]:
        return np.eye(len(matrix)), np.empty((len(matrix), 0)), np.empty(0, np.int64), 0
    factors: tuple[Any, Any, Any] = scipy.linalg.qr(matrix, pivoting=True, mode=mode)
    left, upper, order = factors
    diagonal = np.abs(np.diag(upper))
    rank = int((diagonal > RANK * diagonal.max(initial=0.0)).sum())
    return left, upper, order, rank


class Blocks:
    """A sparse matrix that is filled by dense blocks."""

    def __init__(self) -> None:
        self.parts: list[tuple[Floats, Integers, Integers]] = []

    def add(self, block: Floats, rows: Integers, columns: Integers) -> None:
        """Put a block where its rows and columns are."""
        down, across = np.repeat(rows, len(columns)), np.tile(columns, len(rows))
        self.parts.append((block.reshape(-1), down, across))

    def matrix(self, rows: int, columns: int) -> Matrix:
        """Return all blocks as one sparse matrix."""
        empty = (np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64))
        values, down, across = (
            np.concatenate(some) for some in zip(empty, *self.parts, strict=True)
        )
        return sp.csr_array((values, (down, across)), shape=(rows, columns))
