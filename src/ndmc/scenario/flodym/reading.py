"""Have flodym read the definition and CSV files of a model, and refuse what ndmc cannot hold."""

from __future__ import annotations

import contextlib
import itertools
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import flodym
import numpy as np
from pydantic import BaseModel, ValidationError

from ndmc.errors import InputError, nearest
from ndmc.scenario.document import Document, read_document

_ENTRIES: dict[str, type[BaseModel]] = {
    "dimensions": flodym.DimensionDefinition,
    "flows": flodym.FlowDefinition,
    "stocks": flodym.StockDefinition,
    "parameters": flodym.ParameterDefinition,
}

#: What is a class in a definition, and in a file its name.
_CLASSES: dict[str, tuple[type, ...]] = {
    "dtype": (int, float, str),
    "subclass": (flodym.InflowDrivenDSM, flodym.StockDrivenDSM, flodym.SimpleFlowDrivenStock),
    "lifetime_model_class": (
        flodym.FixedLifetime,
        flodym.NormalLifetime,
        flodym.FoldedNormalLifetime,
        flodym.LogNormalLifetime,
        flodym.WeibullLifetime,
    ),
}

#: For pandas: what is called NA may be North America.
_KEEP = {"keep_default_na": False}

_Files = Mapping[str, str | PathLike[str]]


@dataclass(frozen=True)
class Source:
    """A definition, and the text that it came from."""

    document: Document
    definition: flodym.MFADefinition

    def where(self, kind: str, index: int) -> str:
        """Return where an entry stands."""
        return self.document.where(kind, index)

    def error(self, message: str, kind: str, index: int) -> InputError:
        """Return a mistake at the place of an entry."""
        name = getattr(getattr(self.definition, kind)[index], "name", None)
        entry = f"{kind}[{index}]" + (f" {name!r}" if name else "")
        return self.document.error(f"{entry}: {message}", kind, index)


@dataclass(frozen=True)
class Model:
    """What flodym read: ``time`` is the letter of the time dimension, if the model has one.

    Labels are the items of every dimension as text, by its letter.
    """

    source: Source
    dims: flodym.DimensionSet
    labels: dict[str, tuple[str, ...]]
    parameters: dict[str, flodym.Parameter]
    time: str | None
    years: tuple[str, ...]


def read_model(
    definition: Any,
    dimension_files: _Files,
    parameter_files: _Files,
    years: str | Sequence[int] | None,
) -> Model:
    """Return a model, read and checked, in whichever way its definition came."""
    source = _read_source(definition)
    time = _time_letter(source)
    given = None if years is None else _given_years(years)
    dims = _read_dims(source, dimension_files, time, given)
    labels = {one.letter: _labels(one) for one in dims}
    if time is not None:
        where = str(dimension_files.get(dims[time].name, "years"))
        given = _same_years(_yearly(labels[time], where), given, where)
    if given is None:
        message = "the definition has no time dimension; give the years, such as years='2020..2020'"
        raise source.document.error(message)
    _refuse_historic(source, labels, time, given)
    parameters = _read_parameters(source, parameter_files, dims)
    return Model(source, dims, labels, parameters, time, given)


@contextlib.contextmanager
def _told(where: Callable[..., str]) -> Iterator[None]:
    """Have what flodym says told with its place, which may depend on the entry it speaks of."""
    try:
        with warnings.catch_warnings():
            # flodym 1.1.0 renames columns in a way that pandas 3 announces the end of.
            warnings.filterwarnings("ignore", ".*inplace keyword", DeprecationWarning)
            yield
    except OSError as failed:
        raise InputError(f"cannot be read: {failed.strerror or failed}", where()) from None
    except ValidationError as refused:
        first = refused.errors()[0]
        place, message = first["loc"], first["msg"].removeprefix("Value error, ")
        entry = "".join(f"[{n}]" if isinstance(n, int) else f" {n}" for n in place).strip()
        message = f"{entry}: {message}" if entry else message
        raise InputError(f"flodym refuses it: {message:.300}", where(*place)) from None
    except Exception as refused:  # of pandas, of any kind, where columns are not what they seem
        message = " ".join(str(refused).split())
        raise InputError(f"flodym refuses it: {message:.300}", where()) from None


# --- the definition --------------------------------------------------------------------------


def _read_source(definition: Any) -> Source:
    document = _document(definition)
    with _told(document.where):
        if not isinstance(definition, flodym.MFADefinition):
            definition = flodym.MFADefinition(**_with_classes(document))
        flodym.make_processes(definition.processes)
    if not definition.flows:
        raise document.error("the definition has no flows", "flows")
    source = Source(document, definition)
    for kind in ("flows", "stocks", "parameters"):
        for index, entry in enumerate(getattr(definition, kind)):
            if len(set(entry.dim_letters)) < len(entry.dim_letters):
                message = f"a letter stands twice in dim_letters {list(entry.dim_letters)}"
                raise source.error(message, kind, index)
    return source


def _document(definition: Any) -> Document:
    if isinstance(definition, str | PathLike):
        return read_document(Path(definition))
    if not isinstance(definition, Mapping | flodym.MFADefinition):
        message = f"expected a flodym MFADefinition, a mapping or a path, found {definition!r:.80}"
        raise InputError(message, "definition")
    return Document(
        Path("definition"), "", {str(key): value for key, value in dict(definition).items()}
    )


def _with_classes(document: Document) -> dict[str, Any]:
    """Return a definition with the classes that it names, and no key that flodym would ignore."""
    _refuse_unknown_keys(document, document.data, flodym.MFADefinition)
    found = dict(document.data)
    for kind in _ENTRIES.keys() & found.keys():
        if isinstance(found[kind], list | tuple):
            found[kind] = [_entry(document, kind, *one) for one in enumerate(found[kind])]
    return found


def _entry(document: Document, kind: str, index: int, given: Any) -> Any:
    if not isinstance(given, Mapping):
        return given
    _refuse_unknown_keys(document, given, _ENTRIES[kind], kind, index)
    entry = dict(given)
    for key, classes in _CLASSES.items():
        if isinstance(entry.get(key), str):
            known = {one.__name__: one for one in classes}
            name = entry[key].rpartition(".")[2]
            if name not in known:
                message = f"{kind}[{index}]: unknown {key} {name!r}; {nearest(name, known)}"
                raise document.error(message, kind, index, key)
            entry[key] = known[name]
    return entry


def _refuse_unknown_keys(
    document: Document, given: Mapping[str, Any], model: type[BaseModel], *place: Any
) -> None:
    known = [
        str(word)
        for name, field in model.model_fields.items()
        for word in getattr(field.validation_alias, "choices", [name])
    ]
    for key in given:
        if key not in known:
            where = "{}[{}]: ".format(*place) if place else ""
            message = f"{where}unknown key {key!r}; {nearest(str(key), known)}"
            raise document.error(message, *place, key)


def _time_letter(source: Source) -> str | None:
    definition = source.definition
    used = sorted({stock.time_letter for stock in definition.stocks})
    if len(used) > 1:
        message = f"the stocks have the time dimensions {used}; ndmc has one, all years"
        raise source.document.error(message, "stocks")
    letters = {one.letter: one.name for one in definition.dimensions}
    if used and used[0] not in letters:
        raise source.error(f"the time_letter {used[0]!r} is no dimension's letter", "stocks", 0)
    if used or "t" in letters:
        return used[0] if used else "t"
    named = (k for k, title in letters.items() if title.lower() in ("time", "year", "years"))
    return next(named, None)


# --- dimensions and years --------------------------------------------------------------------


def _labels(dimension: flodym.Dimension) -> tuple[str, ...]:
    return tuple(
        f"{item:.15g}" if isinstance(item, float) else str(item) for item in dimension.items
    )


def _read_dims(
    source: Source, files: _Files, time: str | None, years: tuple[str, ...] | None
) -> flodym.DimensionSet:
    _refuse_unknown(files, (one.name for one in source.definition.dimensions), "dimension_files")
    found = [
        _read_dimension(source, index, files, years if one.letter == time else None)
        for index, one in enumerate(source.definition.dimensions)
    ]
    with _told(source.document.where):
        return flodym.DimensionSet(dim_list=found)


def _read_dimension(
    source: Source, index: int, files: _Files, years: tuple[str, ...] | None
) -> flodym.Dimension:
    """Return a dimension from its file, or if it has none from the years that are given."""
    one = source.definition.dimensions[index]
    if one.dtype not in _CLASSES["dtype"]:
        message = f"dtype is {one.dtype.__name__!r} but must be int, str or float"
        raise source.error(message, "dimensions", index)
    if one.name not in files:
        if years is None:
            message = f"no file; give dimension_files={{{one.name!r}: ...}}"
            raise source.error(message, "dimensions", index)
        return flodym.Dimension.from_np(np.array(years), one)
    path = str(files[one.name])
    with _told(lambda *_: path):
        reader = flodym.CSVDimensionReader({one.name: path}, **_KEEP)
        found: flodym.Dimension = reader.read_dimension(one)
    labels = _labels(found)
    if len(set(labels)) < len(labels) or not all(labels):
        wrong = next(label for label in labels if not label or labels.count(label) > 1)
        message = f"the item {wrong!r} stands twice" if wrong else "an item is empty"
        raise InputError(message, path)
    return found


def _yearly(labels: tuple[str, ...], where: str) -> tuple[str, ...]:
    for label in labels:
        if not re.fullmatch(r"\d{1,4}", label):
            raise InputError(f"{label!r} is no year", where)
    for before, after in itertools.pairwise(labels):
        if int(after) != int(before) + 1:
            message = f"{after} follows {before}; ndmc has yearly steps, so years must rise by one"
            raise InputError(f"{message} (interpolate the tables first)", where)
    return labels


def _given_years(years: str | Sequence[int]) -> tuple[str, ...]:
    if isinstance(years, str):
        match = re.fullmatch(r"\s*(\d{1,4})\s*\.\.\s*(\d{1,4})\s*", years)
        if not match or int(match[2]) < int(match[1]):
            message = f"found {years!r}; write the first and the last, such as 2001..2021"
            raise InputError(message, "years")
        years = range(int(match[1]), int(match[2]) + 1)
    if not years:
        raise InputError("no years", "years")
    return _yearly(tuple(str(year) for year in years), "years")


def _same_years(
    labels: tuple[str, ...], given: tuple[str, ...] | None, where: str
) -> tuple[str, ...]:
    if given not in (None, labels):
        message = f"years is {given[0]}..{given[-1]} but holds {labels[0]}..{labels[-1]} here"
        raise InputError(f"{message}; leave one of them out", where)
    return labels


def _refuse_historic(
    source: Source,
    labels: Mapping[str, tuple[str, ...]],
    time: str | None,
    years: tuple[str, ...],
) -> None:
    for index, (letter, found) in enumerate(labels.items()):
        if letter != time and not set(years).isdisjoint(found):
            message = (
                f"holds years ({found[0]} to {found[-1]}), as the time dimension does; "
                "ndmc has one time dimension: give its tables for all years, by that one's letter"
            )
            raise source.error(message, "dimensions", index)


def _refuse_unknown(files: _Files, known: Iterable[str], option: str) -> None:
    names = list(known)
    for name in files:
        if name not in names:
            raise InputError(f"nothing is named {name!r}; {nearest(name, names)}", option)


# --- parameters ------------------------------------------------------------------------------


def _read_parameters(
    source: Source, files: _Files, dims: flodym.DimensionSet
) -> dict[str, flodym.Parameter]:
    _refuse_unknown(files, (one.name for one in source.definition.parameters), "parameter_files")
    found = {}
    for index, one in enumerate(source.definition.parameters):
        if one.name not in files:
            message = f"no file; give parameter_files={{{one.name!r}: ...}}"
            raise source.error(message, "parameters", index)
        path = str(files[one.name])
        with _told(lambda *_, path=path: path):
            reader = flodym.CSVParameterReader({one.name: path}, **_KEEP)
            read = reader.read_parameter_values(one.name, dims.get_subset(one.dim_letters))
        if not np.isfinite(read.values).all():
            raise InputError("a value is infinite; numbers must be finite", path)
        found[one.name] = read
    return found
