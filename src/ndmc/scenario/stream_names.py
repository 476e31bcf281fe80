"""What the random streams of a parameter are called, each and many at once, and how that is read.

A stream has the name of its parameter and of the labels along dims where errors are its own:
``content[product=car]``. Along a mixed dim the one that all labels share is ``common``.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ndmc.dims import Dims
from ndmc.errors import nearest
from ndmc.label import YEARLY, LabelError, pairs, read_labels
from ndmc.scenario.dependence import Axis, Errors, axes
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

    @functools.cached_property
    def axes(self) -> tuple[Axis, ...]:
        """The axes of its scores."""
        return axes(self.errors, self.dims)

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of streams along each dim."""
        return tuple(len(axis.keys) for axis in self.axes)

    def each(self) -> list[str]:
        """Return the name of each stream.

        Examples
        --------
        >>> dims = Dims({"product": ("car", "phone"), "year": ("2001",)})
        >>> errors = {"product": Errors("mixed", 0.5), "year": Errors("shared")}
        >>> StreamNames("x", errors, dims).each()
        ['x[product=common]', 'x[product=car]', 'x[product=phone]']
        """
        along = [[self._pairs(axis, key) for key in axis.keys] for axis in self.axes]
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
            [n for n, key in enumerate(axis.keys) if self._is_chosen(axis, key, chosen)]
            for axis in self.axes
        ]
        if labels is not None and not all(places):
            raise LabelError(f"{self.parameter!r} has no error of its own for {labels}")
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
            self._named(filter(None, words))
            for sides in _boxes(picked.reshape(self.shape))
            for words in itertools.product(*map(self._side, self.axes, sides))
        )

    def serving(self, cells: Picked) -> Picked:
        """Return which streams serve any of some cells: of a chain, those of the cells' labels."""
        found = cells.reshape(self.dims.shape(axis.dims[-1] for axis in self.axes))
        for at, axis in enumerate(self.axes):
            along = np.moveaxis(found, at, 0)
            parts = [along[some].any(axis=0) for some in self._served(axis)]
            found = np.moveaxis(np.array(parts), 0, at)
        return found.reshape(-1)

    def _served(self, axis: Axis) -> list[list[int]]:
        """Return the labels of a dim that each score serves along its axis."""
        served: dict[tuple[str | None, ...], list[int]] = {key: [] for key in axis.keys}
        columns = (self.dims.named_at(axis.dims[-1], dim) for dim in axis.dims)
        for place, cell in enumerate(zip(*columns, strict=True)):
            either = ((None, label) for label in cell)
            for key in itertools.product(*either):
                if key in served:
                    served[key].append(place)
        return [*served.values()]

    def _common(self, dim: str) -> str:
        """Return what the stream of all labels is called, as no label is."""
        word, known = "common", self.dims.known(dim)
        while word in known:
            word = f"({word})"
        return word

    def _word(self, dim: str, label: str | None) -> str:
        """Return what a stream is called along a dim; nothing where there is one alone."""
        if label is not None:
            return label
        return self._common(dim) if self.errors[dim].own else ""

    def _pairs(self, axis: Axis, key: tuple[str | None, ...]) -> str:
        words = zip(axis.dims, map(self._word, axis.dims, key), strict=True)
        return ",".join(pairs({dim: word}) for dim, word in words if word)

    def _named(self, labels: Iterable[str]) -> str:
        inner = ",".join(labels)
        return f"{self.parameter}[{inner}]" if inner else self.parameter

    def _is_chosen(
        self, axis: Axis, key: tuple[str | None, ...], chosen: Mapping[str, set[str]]
    ) -> bool:
        words = zip(axis.dims, map(self._word, axis.dims, key), strict=True)
        return all(dim not in chosen or word in chosen[dim] for dim, word in words)

    def _chosen(self, text: str, own: list[str]) -> dict[str, set[str]]:
        """Return the words of a text along dims."""
        common = {dim: (self._common(dim),) * self.errors[dim].common for dim in own}
        found = read_labels(text, {dim: (*self.dims.known(dim), *common[dim]) for dim in own})
        if not found:
            raise LabelError(f"there is no label in the brackets; write {self.parameter} for all")
        for dim in found:
            self._check(dim, own)
        return {dim: self._words(dim, labels, common[dim]) for dim, labels in found.items()}

    def _check(self, dim: str, own: list[str]) -> None:
        if dim in own:
            return
        if dim in self.errors:
            message = f"errors of {self.parameter!r} are shared along {dim}, so that one is that of"
            raise LabelError(f"{message} all labels; leave {dim} out")
        raise LabelError(f"{self.parameter!r} has no dim {dim!r}; {nearest(dim, own)}")

    def _words(self, dim: str, labels: list[str], common: tuple[str, ...]) -> set[str]:
        own = self.dims.picked({dim: [label for label in labels if label not in common]})[dim]
        along = self.dims.labels[dim]
        return {*(label for label in labels if label in common), *(along[n] for n in own)}

    def _side(self, axis: Axis, places: Integers) -> list[str]:
        """Return the words of some places along an axis; nothing where they are all.

        Of labels that belong to others there is one for each of these.
        """
        if len(places) == len(axis.keys):
            return [""]
        found: dict[tuple[str | None, ...], list[int]] = {}
        for place in places.tolist():
            found.setdefault(axis.keys[place][:-1], []).append(place)
        return [self._sides(axis, parents, some) for parents, some in found.items()]

    def _sides(self, axis: Axis, parents: tuple[str | None, ...], places: list[int]) -> str:
        dim, own = axis.dims[-1], axis.errors[-1].own
        above = self._pairs(replace(axis, dims=axis.dims[:-1]), parents)
        if not own or len(places) == sum(key[:-1] == parents for key in axis.keys) > 1:
            return above
        runs = np.split(np.array(places), np.flatnonzero(np.diff(places) != 1) + 1)
        words = list[str]()
        for run in runs:
            some = [self._word(dim, axis.keys[place][-1]) for place in run]
            if axis.keys[run[0]][-1] is None:
                words.append(some.pop(0))
            ranged = dim in YEARLY and len(some) >= _RANGE
            words += [f"{some[0]}..{some[-1]}"] if ranged else some
        return ",".join(filter(None, (above, pairs({dim: words}))))


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
