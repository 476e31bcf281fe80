"""What the random streams of a parameter are called, each and many at once, and how that is read.

A stream has the name of its parameter and of the labels along dims where errors are its own:
``content[product=car]``. Along a mixed dim the one that all labels share is ``common``.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ndmc.dims import Dims
from ndmc.errors import nearest
from ndmc.label import YEARLY, LabelError, pairs, read_labels
from ndmc.scenario.dependence import Errors
from ndmc.typing import Integers

__all__ = ["Picked", "StreamNames", "name_and_labels"]

Picked = npt.NDArray[np.bool_]

_PARTS = re.compile(r"\s*([^\[]*?)\s*(?:\[(.*)\]\s*)?", re.DOTALL)

#: So many years in a row are written as a range.
_RANGE = 3


def name_and_labels(text: str) -> tuple[str, str | None]:
    """Return the parameter that a text names, and the labels behind it, if there are brackets.

    Raises
    ------
    LabelError
        If a bracket is left open.

    Examples
    --------
    >>> name_and_labels("content[product=car]"), name_and_labels("content")
    (('content', 'product=car'), ('content', None))
    """
    found = _PARTS.fullmatch(text)
    if not found:
        message = f"{text!r} ends within its brackets; write a parameter and its labels"
        raise LabelError(f"{message}, such as 'content[product=car]'")
    return found[1], found[2]


@dataclass(frozen=True)
class StreamNames:
    """The names of a parameter's streams, in their order."""

    parameter: str
    errors: Mapping[str, Errors]
    dims: Dims

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of streams along each dim."""
        return tuple(len(self._along(dim)) for dim in self.errors)

    def each(self) -> list[str]:
        """Return the name of each stream.

        Examples
        --------
        >>> dims = Dims({"product": ("car", "phone"), "year": ("2001",)})
        >>> errors = {"product": Errors("mixed", 0.5), "year": Errors("shared")}
        >>> StreamNames("x", errors, dims).each()
        ['x[product=common]', 'x[product=car]', 'x[product=phone]']
        """
        along = [
            [pairs({dim: word}) if error.own else "" for word in self._along(dim)]
            for dim, error in self.errors.items()
        ]
        return [self._named(filter(None, cell)) for cell in itertools.product(*along)]

    def read(self, labels: str | None) -> Picked:
        """Return which streams have labels that a text names; all of them have none.

        A dim that is not named stands for all of its streams, the common one too.

        Raises
        ------
        LabelError
            If there is no such stream.
        """
        own = [dim for dim, error in self.errors.items() if error.own]
        chosen = {} if labels is None else self._chosen(labels, own)
        places = [
            chosen.get(dim, range(size)) for dim, size in zip(self.errors, self.shape, strict=True)
        ]
        found = np.zeros(self.shape, dtype=np.bool_)
        found[np.ix_(*places)] = True
        return found.reshape(-1)

    def shortest(self, picked: Picked) -> tuple[str, ...]:
        """Return the few names that `read` takes for just these streams.

        Examples
        --------
        >>> dims = Dims({"product": ("car", "phone"), "year": ("2001", "2002", "2003")})
        >>> names = StreamNames("x", dict.fromkeys(dims.labels, Errors("independent")), dims)
        >>> names.shortest(names.read("car")), names.shortest(names.read(None))
        (('x[product=car]',), ('x',))
        """
        return tuple(
            self._named(filter(None, map(self._side, self.errors, sides)))
            for sides in _boxes(picked.reshape(self.shape))
        )

    def serving(self, cells: Picked) -> Picked:
        """Return which streams serve any of some cells: of a chain, those of the cells' labels."""
        found = cells.reshape(self.dims.shape(self.errors))
        for axis, error in enumerate(self.errors.values()):
            common = found.any(axis=axis, keepdims=True)
            found = np.concatenate([common] * error.common + [found] * error.own, axis=axis)
        return found.reshape(-1)

    def _along(self, dim: str) -> tuple[str, ...]:
        """Return what streams are called along a dim."""
        error = self.errors[dim]
        return (self._common(dim),) * error.common + self.dims.labels[dim] * error.own

    def _common(self, dim: str) -> str:
        """Return what the stream of all labels is called, as no label is."""
        word, known = "common", self.dims.known(dim)
        while word in known:
            word = f"({word})"
        return word

    def _named(self, labels: Iterable[str]) -> str:
        inner = ",".join(labels)
        return f"{self.parameter}[{inner}]" if inner else self.parameter

    def _chosen(self, text: str, own: list[str]) -> dict[str, list[int]]:
        """Return where the labels of a text stand along dims."""
        common = {dim: (self._common(dim),) * self.errors[dim].common for dim in own}
        found = read_labels(text, {dim: (*self.dims.known(dim), *common[dim]) for dim in own})
        if not found:
            raise LabelError(f"there is no label in the brackets; write {self.parameter} for all")
        for dim in found:
            self._check(dim, own)
        return {dim: self._places(dim, labels, common[dim]) for dim, labels in found.items()}

    def _check(self, dim: str, own: list[str]) -> None:
        if dim in own:
            return
        if dim in self.errors:
            message = f"errors of {self.parameter!r} are shared along {dim}, so that one is that of"
            raise LabelError(f"{message} all labels; leave {dim} out")
        raise LabelError(f"{self.parameter!r} has no dim {dim!r}; {nearest(dim, own)}")

    def _places(self, dim: str, labels: list[str], common: tuple[str, ...]) -> list[int]:
        first = len(common)
        own = self.dims.picked({dim: [label for label in labels if label not in common]})[dim]
        return [*range(any(label in common for label in labels)), *(first + n for n in own)]

    def _side(self, dim: str, places: Integers) -> str:
        """Return the words of some places along a dim; nothing where they are all."""
        along = self._along(dim)
        if len(places) == len(along):
            return ""
        runs = np.split(places, np.flatnonzero(np.diff(places) != 1) + 1)
        words = list[str]()
        for run in runs:
            some = [along[place] for place in run]
            if self.errors[dim].common and run[0] == 0:
                words.append(some.pop(0))
            ranged = dim in YEARLY and len(some) >= _RANGE
            words += [f"{some[0]}..{some[-1]}"] if ranged else some
        return pairs({dim: words})


def _boxes(picked: Picked) -> Iterator[tuple[Integers, ...]]:
    """Yield places along every axis that span, together, what is picked."""
    axes = range(picked.ndim)
    sides = tuple(
        np.flatnonzero(picked.any(axis=tuple(other for other in axes if other != axis)))
        for axis in axes
    )
    if np.count_nonzero(picked) == np.prod([len(side) for side in sides], dtype=np.int64):
        yield sides
        return
    rows = dict[bytes, list[int]]()
    for row, within in enumerate(picked):
        if within.any():
            rows.setdefault(within.tobytes(), []).append(row)
    for alike in rows.values():
        yield from ((np.array(alike), *inner) for inner in _boxes(picked[alike[0]]))
