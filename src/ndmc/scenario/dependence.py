"""How errors hang together: along the dims of one parameter, and between parameters.

Along each dim a parameter's scores are a linear map of independent ones, with unit variance:
one common score (shared), one each (independent), a chain (ar1) or both (mixed).
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ndmc.dims import Dims
from ndmc.typing import Floats

__all__ = ["Errors", "streams"]

CHOICES = (
    "shared (one error for all labels: a systematic error), independent (one per label), "
    "ar1(rho) (neighbours resemble each other, for years) or mixed(w) (share w of the variance "
    "is common)"
)

_PATTERN = re.compile(r"\s*(shared|independent|ar1|mixed)\s*(?:\(\s*([-+.\deE]+)\s*\))?\s*")


@dataclass(frozen=True)
class Errors:
    """The error structure along one dim."""

    kind: str
    value: float = 0.0

    @property
    def common(self) -> bool:
        """Whether one score serves all labels."""
        return self.kind in ("shared", "mixed")

    @property
    def own(self) -> bool:
        """Whether each label has a score of its own."""
        return self.kind != "shared"


def parse_errors(text: str, dim: str) -> Errors:
    """Return the error structure that ``text`` names.

    Raises
    ------
    ValueError
        If it is none of the four, or its number is out of range.

    Examples
    --------
    >>> parse_errors("mixed(0.5)", "year")
    Errors(kind='mixed', value=0.5)
    """
    match = _PATTERN.fullmatch(text)
    if not match or (match[1] in ("ar1", "mixed")) != (match[2] is not None):
        raise ValueError(f"errors along {dim!r} are {text!r}; choose {CHOICES}")
    try:
        value = float(match[2] or 0)
    except ValueError:
        raise ValueError(f"{match[2]!r} in {text!r} is not a number") from None
    if match[1] == "ar1" and not -1 < value < 1:
        raise ValueError(f"rho in {text!r} must lie between -1 and 1")
    if match[1] == "mixed" and not 0 <= value <= 1:
        raise ValueError(f"w in {text!r} must lie in [0, 1]")
    return Errors(match[1], value)


def streams(parameter: str, errors: dict[str, Errors], dims: Dims) -> npt.NDArray[np.uint64]:
    """Return the streams of a parameter's independent scores, in field order.

    A stream is the 64-bit number that names a cell to the random generator. It hashes the
    parameter's name and the cell's labels, sorted by dim, never positions: a label keeps its draws
    whatever stands beside it. Along a mixed dim the common score, which has no label there, comes
    first, then one for each label.

    Examples
    --------
    >>> streams("content", {}, Dims({}))
    array([2142570809283126606], dtype=uint64)
    """
    along = []
    for dim, error in errors.items():
        own = [json.dumps([dim, label]) for label in dims.labels[dim]] if error.own else []
        along.append([""] * error.common + own)
    order = sorted(range(len(along)), key=[*errors].__getitem__)
    head = f"[{json.dumps(parameter)}, ["
    texts = (
        f"{head}{', '.join(filter(None, (cell[n] for n in order)))}]]"
        for cell in itertools.product(*along)
    )
    return np.frombuffer(b"".join(map(_digest, texts)), dtype="<u8").astype(np.uint64)


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=8).digest()


def cholesky(matrix: list[list[float]]) -> Floats:
    """Return the lower Cholesky factor of a correlation matrix.

    Raises
    ------
    ValueError
        If the matrix is not square and symmetric with a unit diagonal, or not positive definite.
    """
    size = len(matrix)
    if any(len(row) != size for row in matrix):
        raise ValueError(
            f"a correlation matrix must be square; the rows have {[len(r) for r in matrix]}"
        )
    values = np.array(matrix, dtype=np.float64)
    if not np.array_equal(values, values.T):
        row, column = np.argwhere(values != values.T)[0]
        pair = f"{values[row, column]:g} and {values[column, row]:g}"
        found = f"found {pair} for the parameters {row + 1} and {column + 1}"
        raise ValueError(f"a correlation matrix must be symmetric; {found}")
    if not np.array_equal(np.diag(values), np.ones(size)):
        raise ValueError("a correlation matrix must have ones on its diagonal")
    if np.abs(values).max() > 1:
        raise ValueError(f"correlations must lie in [-1, 1]; found {np.abs(values).max():g}")
    eigenvalues, vectors = np.linalg.eigh(values)
    if eigenvalues[0] < -1e-12:
        nearest = _nearest(vectors, eigenvalues)
        raise ValueError(
            f"these correlations contradict each other (smallest eigenvalue {eigenvalues[0]:.3g}); "
            f"the nearest possible ones are {nearest.round(4).tolist()}"
        )
    return _factor(values)


def _factor(values: Floats) -> Floats:
    """Factor row by row: a parameter added to the list leaves the rows above it as they were."""
    factor = np.zeros_like(values)
    for i in range(len(values)):
        for j in range(i):
            rest = values[i, j] - factor[i, :j] @ factor[j, :j]
            factor[i, j] = rest / factor[j, j] if factor[j, j] > 1e-8 else 0.0
        factor[i, i] = np.sqrt(max(values[i, i] - factor[i, :i] @ factor[i, :i], 0.0))
    return factor


def _nearest(vectors: Floats, eigenvalues: Floats) -> Floats:
    repaired = (vectors * np.clip(eigenvalues, 0, None)) @ vectors.T
    scale = np.sqrt(np.diag(repaired))
    return np.asarray(repaired / np.outer(scale, scale), dtype=np.float64)
