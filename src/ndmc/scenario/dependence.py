"""How errors hang together: along the dims of one parameter, and between parameters.

Along each dim a parameter's scores are a linear map of independent ones, with unit variance:
one common score (shared), one each (independent), a chain (ar1) or both (mixed).
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ndmc.dims import Dims
from ndmc.typing import Floats

__all__ = ["Axis", "Errors", "Mix", "axes", "streams"]

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


@dataclass(frozen=True)
class Mix:
    """How labels get a part in a score that is common to some of them.

    Each label's score is made from that at ``own`` and, for a share of its variance, the one at
    ``common``.
    """

    share: float
    common: tuple[int, ...]
    own: tuple[int, ...]


@dataclass(frozen=True)
class Axis:
    """The scores along a dim and those it belongs to, which come first.

    Each independent score has a label of every dim, or None along a dim of whose labels it serves
    all. Mixed along one dim after the other, ``of_cell`` says which then is that of each label.
    """

    dims: tuple[str, ...]
    errors: tuple[Errors, ...]
    keys: tuple[tuple[str | None, ...], ...]
    mixes: tuple[Mix, ...]
    left: int
    of_cell: tuple[int, ...]


def axes(errors: Mapping[str, Errors], dims: Dims) -> tuple[Axis, ...]:
    """Return the axes of a parameter's scores, one for each of its own dims.

    Parameters
    ----------
    errors
        How errors hang together along each dim, and along those that they belong to.
    dims
        The dims of the scenario.

    Examples
    --------
    >>> dims = Dims({"product": ("phone", "car")})
    >>> axes({"product": Errors("mixed", 0.5)}, dims)[0].keys
    ((None,), ('phone',), ('car',))
    """
    return tuple(_axis(dim, errors, dims) for dim in dims.ordered(errors))


def _axis(dim: str, errors: Mapping[str, Errors], dims: Dims) -> Axis:
    grouped = (one for one in dims.groupings.get(dim, ()) if one in errors)
    chain = (*grouped, *dims.named([dim]))
    own = tuple(errors[one] for one in chain)
    labels = [*zip(*(dims.named_at(dim, one) for one in chain), strict=True)]
    keys = _keys(labels, own)
    left, mixes = keys, []
    for at, error in enumerate(own):
        if error.kind == "mixed":
            places = {key: n for n, key in enumerate(left)}
            left = tuple(key for key in left if key[at] is not None)
            common = (places[*key[:at], None, *key[at + 1 :]] for key in left)
            mixes.append(Mix(error.value, tuple(common), tuple(places[key] for key in left)))
    places = {key: n for n, key in enumerate(left)}
    of_cell = tuple(places[_final(cell, own)] for cell in labels)
    return Axis(chain, own, keys, tuple(mixes), len(left), of_cell)


def _keys(
    labels: Sequence[tuple[str, ...]], errors: tuple[Errors, ...]
) -> tuple[tuple[str | None, ...], ...]:
    """Return the labels of every independent score, what is common to all of a dim first."""
    turn = [
        {label: n for n, label in enumerate(dict.fromkeys(some))}
        for some in zip(*labels, strict=True)
    ]
    found = dict.fromkeys(
        key
        for cell in labels
        for key in itertools.product(
            *(
                (*[None] * error.common, *[label] * error.own)
                for label, error in zip(cell, errors, strict=True)
            )
        )
    )
    if len(errors) == 1 and not errors[0].common:
        return tuple(found)

    def order(key: tuple[str | None, ...]) -> list[int]:
        return [-1 if k is None else t[k] for k, t in zip(key, turn, strict=True)]

    return tuple(sorted(found, key=order))


def _final(cell: tuple[str, ...], errors: tuple[Errors, ...]) -> tuple[str | None, ...]:
    """Return the key of the score that a label is left with."""
    return tuple(label if error.own else None for label, error in zip(cell, errors, strict=True))


def streams(parameter: str, errors: dict[str, Errors], dims: Dims) -> npt.NDArray[np.uint64]:
    """Return the streams of a parameter's independent scores, in field order.

    A stream is the 64-bit number that names a cell to the random generator. It hashes the
    parameter's name and the cell's labels, sorted by dim, never positions: a label keeps its draws
    whatever stands beside it. Along a mixed dim the common score, which has no label there, comes
    first, then one for each label. A label that belongs to another is named with that.

    Examples
    --------
    >>> streams("content", {}, Dims({}))
    array([2142570809283126606], dtype=uint64)
    """
    along = [
        [
            tuple(
                "" if label is None else json.dumps([dim, label])
                for dim, label in zip(axis.dims, key, strict=True)
            )
            for key in axis.keys
        ]
        for axis in axes(errors, dims)
    ]
    names = [dim for axis in axes(errors, dims) for dim in axis.dims]
    order = sorted(range(len(names)), key=names.__getitem__)
    head = f"[{json.dumps(parameter)}, ["
    cells = (tuple(itertools.chain(*cell)) for cell in itertools.product(*along))
    texts = (f"{head}{', '.join(filter(None, (cell[n] for n in order)))}]]" for cell in cells)
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
