"""Published figures as evidence: what went into a model says nothing for it when it comes out."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence

from ndmc.dims import Dims
from ndmc.errors import InputError, nearest
from ndmc.label import LabelError
from ndmc.scenario.document import Document
from ndmc.scenario.scenario import Figure
from ndmc.scenario.schema import ParameterEntry

__all__ = []

#: What is held against the model.
_JUDGED = ("target", "soft")

_INSTEAD = "make it 'input', 'reported' or a 'contradiction'"


def no_evidence(
    document: Document,
    parameters: Mapping[str, ParameterEntry],
    figures: Sequence[Figure],
    dims: Dims,
) -> Iterator[InputError]:
    """Yield what is wrong with figures that have one name, or that are judged and went in."""
    yield from _named_twice(figures)
    yield from _judged_and_input(figures, dims)
    yield from _fitted(document, parameters, figures)


def _named_twice(figures: Sequence[Figure]) -> Iterator[InputError]:
    known = dict[str, Figure]()
    for one in figures:
        name = one.entry.id
        if name and (other := known.setdefault(name, one)) is not one:
            message = f"a figure is called {name!r}, as is the one at {other.where}"
            yield InputError(f"{message}; give each an id of its own", one.where)


def _judged_and_input(figures: Sequence[Figure], dims: Dims) -> Iterator[InputError]:
    """Yield figures that are judged and are of a number that is an input."""
    inputs = {_number(one, dims): one for one in figures if one.entry.status == "input"}
    for one in figures:
        other = inputs.get(_number(one, dims))
        if other and one.entry.quantity and one.entry.status in _JUDGED:
            message = f"it is a {_word(one)} here and an input at {other.where}"
            hint = f"what went in is no evidence; {_INSTEAD}"
            yield InputError(f"{_called(one)}: {message}; {hint}", one.where)


def _number(figure: Figure, dims: Dims) -> Hashable:
    """Return which number of the model a figure means."""
    entry = figure.entry
    labels = frozenset((dim, *some) for dim, some in _at(entry.at, dims).items())
    share = entry.above, entry.below
    return "".join(entry.quantity.split()), labels, frozenset(entry.over), entry.variant, share


def _at(at: str | Mapping[str, str], dims: Dims) -> Mapping[str, Sequence[str]]:
    if not isinstance(at, str):
        return {dim: [label] for dim, label in at.items()}
    try:
        return dims.read(at, dims.labels)
    except LabelError:  # told where it is compared
        return {"": [at]}


def _fitted(
    document: Document, parameters: Mapping[str, ParameterEntry], figures: Sequence[Figure]
) -> Iterator[InputError]:
    """Yield what parameters cannot have been fitted to."""
    known = {one.entry.id: one for one in figures if one.entry.id}
    for parameter, entry in parameters.items():
        for name in entry.fitted_to:
            where = document.where("parameters", parameter, "fitted_to")
            figure = known.get(name)
            if figure is None:
                message = f"{parameter!r} is fitted to {name!r}, which is no published figure"
                yield InputError(f"{message}; {nearest(name, known)}", where)
            elif figure.entry.status in _JUDGED:
                message = f"{name!r} is a {_word(figure)}, and {parameter!r} is fitted to it"
                hint = f"what went in is no evidence; {_INSTEAD}, or fit to another"
                yield InputError(f"{message} ({where}); {hint}", figure.where)


def _word(figure: Figure) -> str:
    return "target" if figure.entry.status == "target" else "soft target"


def _called(figure: Figure) -> str:
    return repr(figure.entry.id or figure.entry.quantity)
