"""Formulas as the file gives them: one for all labels of a dim, or one for some and others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ndmc.errors import InputError
from ndmc.scenario.by_label import ByLabelError, dim_of, taken
from ndmc.scenario.composing import Composer
from ndmc.scenario.expressions import EVERYWHERE, Expression, Within

#: A formula, or one for each label: what `Texts` of the schema holds.
Given = str | Mapping[str, Any]

#: Compiles the text at a key of the file.
Compile = Callable[..., Expression]


def texts_of(given: Given) -> Iterator[str]:
    """Yield the texts of all formulas in a value."""
    if not isinstance(given, Mapping):
        yield str(given)
        return
    for inner in given.values():
        yield from texts_of(inner)


def in_words(given: Given | None) -> str:
    """Return a value as one text."""
    if not isinstance(given, Mapping):
        return str(given)
    return f"{{{', '.join(f'{key}: {in_words(inner)}' for key, inner in given.items())}}}"


@dataclass(frozen=True)
class Compiler:
    """Makes one expression of a value; ``wrong`` makes the error at a key of the file."""

    compose: Composer
    wrong: Callable[..., InputError]

    def compiled(
        self,
        given: Given,
        key: Sequence[str | int],
        among: Sequence[str],
        text: Compile,
        within: Within = EVERYWHERE,
    ) -> Expression:
        """Return a value as an expression, whose keys are labels of one ``among`` some dims.

        Several dims nest, each ``within`` the labels of those outside of it.

        Raises
        ------
        InputError
            With file and line, for keys and formulas that do not fit.
        """
        if not isinstance(given, Mapping):
            return text(given, *key)
        dims = self.compose.dims
        try:
            dim = dim_of(given, among, dims)
            places = dims.along(dim, within)
            chosen = taken([*given], dim, dims, places)
        except ByLabelError as wrong:
            raise self.wrong(str(wrong), *key, *filter(None, [wrong.key])) from None
        rest = [other for other in among if other != dim]
        inside: list[list[int]] = [[] for _ in given]
        for at in places:
            inside[chosen[at]].append(at)
        parts = {
            label: self.compiled(inner, (*key, label), rest, text, {**within, dim: tuple(some)})
            for (label, inner), some in zip(given.items(), inside, strict=True)
        }
        self._check_alike(parts, key)
        everywhere = [chosen.get(at, 0) for at in range(len(dims.labels[dim]))]
        return self.compose.by_label(dim, everywhere, *parts.values())

    def _check_alike(self, parts: Mapping[str, Expression], key: Sequence[str | int]) -> None:
        """Refuse formulas of different dimensions; 0 may stand beside anything."""
        known = {label: part for label, part in parts.items() if part.dimension is not None}
        first = next(iter(known), "")
        for label, part in known.items():
            if part.dimension != known[first].dimension:
                message = (
                    f"{label!r} is [{part.dimension}], but {first!r} is [{known[first].dimension}]"
                    "; the formulas of all labels have one dimension"
                )
                raise self.wrong(f"{message}{self.compose.as_read(part)}", *key, label)
