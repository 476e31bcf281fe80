"""Parameters read and checked: their cells, unit and range, and errors along dims."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Sequence
from dataclasses import replace

import numpy as np

from ndmc.dims import Dims
from ndmc.errors import Mistakes, nearest
from ndmc.scenario.cell_reader import CellReader
from ndmc.scenario.coded import Coded
from ndmc.scenario.columns import ignored_numbers, ignored_spreads
from ndmc.scenario.compositions import composed, composition_of
from ndmc.scenario.dependence import CHOICES, Errors, parse_errors
from ndmc.scenario.needs import superfluous
from ndmc.scenario.parameters import Composition, Parameter
from ndmc.scenario.units import Dimension, UnitError
from ndmc.scenario.written import Written, WrittenParameter, kinds_of


def read_parameter(written: Written, name: str) -> Parameter:
    """Return the parameter ``name`` of a scenario, checked.

    Raises
    ------
    InputError
        With file and line, for anything missing, superfluous or impossible.
    """
    parameter = WrittenParameter(written, name)
    entry, dims = parameter.entry, parameter.dims
    _refuse_two_spreads(parameter)
    factor, dimension = _unit(parameter)
    reader = CellReader.of(parameter, factor)
    cells = reader.read()
    _refuse_superfluous(reader, cells.grades)
    composition = composition_of(parameter)
    if composition:
        shares = composed(parameter, composition, cells.marginals, reader.origins)
        cells = replace(cells, marginals=shares)
    uncertain = np.flatnonzero(~cells.marginals.certain)
    return Parameter(
        name=name,
        dims=dims,
        unit=entry.unit,
        factor=factor,
        dimension=dimension,
        **vars(cells),
        origins=reader.origins,
        range=_range(parameter, factor),
        errors=_errors(parameter, composition, cells.grades.at(uncertain).distinct),
        composition=composition,
        title=entry.title,
        note=entry.note,
        passed_over=reader.given.passed_over,
    )


def _refuse_two_spreads(parameter: WrittenParameter) -> None:
    for name in ("cv", "sd", "mu", "sigma", "concentration"):
        if parameter.entry.quality and getattr(parameter.entry, name) is not None:
            message = f"give either quality or {name}, not both: scores say how wide it is"
            raise parameter.error(message, name)


def _unit(parameter: WrittenParameter) -> tuple[float, Dimension]:
    units, unit = parameter.within.units, parameter.entry.unit
    try:
        return units.factor(unit), units.dimension(unit)
    except UnitError as wrong:
        raise parameter.error(str(wrong), "unit") from None


def _range(parameter: WrittenParameter, factor: float) -> tuple[float, float] | None:
    given = parameter.entry.range
    if not given:
        return None
    low, high = given[0] * factor, given[1] * factor
    if not low < high:
        message = f"the range {given} is empty; write the lower bound first"
        raise parameter.error(message, "range")
    return low, high


def _refuse_superfluous(reader: CellReader, grades: Coded[str]) -> None:
    """Refuse numbers of the parameter that its distribution would ignore."""
    parameter = reader.parameter
    said = [*filter(None, grades.distinct)] or [""]  # but for cells that are not given
    kinds = kinds_of(parameter.entry, parameter.within.file, said)
    if parameter.entry.quality and superfluous(kinds, {"cv"}):
        message = f"a quality means nothing to {' or '.join(sorted(kinds))}; remove it"
        raise parameter.error(message, "quality")
    Mistakes(ignored_numbers(parameter, reader.given, kinds)).end()
    if len(kinds) > 1:
        Mistakes(ignored_spreads(parameter, reader.origins, reader.given, grades)).end()


# --- errors along dims ----------------------------------------------------------------------------


def _errors(
    parameter: WrittenParameter, composition: Composition | None, grades: Iterable[str]
) -> dict[str, Errors]:
    """Return how errors hang together along each dim, of a parameter with uncertain grades."""
    grades = sorted(grades)
    given = _by_parents(parameter, grades)
    dims = parameter.within.dims.named(parameter.dims)
    dims = (*dims, *(one for one in given if one in parameter.within.dims.partitions(dims)))
    own = composition.dim if composition and composition.shares else None
    if own in given:
        message = f"errors along {own!r} mean nothing: shares that sum to 1 along it hang together"
        raise parameter.error(f"{message} by their sum alone; remove it", "errors", own or "")
    for dim in given:
        if dim not in dims:
            message = f"errors along {dim!r}, which is no dim of this parameter"
            raise parameter.error(f"{message}; {nearest(dim, dims)}", "errors", dim)
    found: dict[str, Errors] = {}
    for dim in sorted(dims, key=lambda dim: dim not in given) if grades else ():
        if dim == own:
            found[dim] = Errors("independent")
            continue
        said = given[dim] if dim in given else _said_by_grades(parameter, dim, grades)
        try:
            found[dim] = parse_errors(said, dim)
        except ValueError as wrong:
            owner = parameter.key if dim in given else ("grades", grades[0])
            raise parameter.within.document.error(str(wrong), *owner, "errors", dim) from None
    return {dim: found[dim] for dim in dims if grades}


def _by_parents(parameter: WrittenParameter, grades: Sequence[str]) -> dict[str, str]:
    """Return what the parameter says of errors along dims: ``by metal`` is one for each metal.

    It serves all labels that belong to that. Grades may say that, too.
    """
    own, found = parameter.entry.errors or {}, dict[str, str]()
    given = {**_by_grades(parameter, grades, own), **own}
    for dim, text in given.items():
        word, _, parent = text.partition(" ")
        every = parameter.within.dims
        chain = every.named([dim])
        if word == "by" and parent.strip() in every.partitions([dim]):
            chain = (parent.strip(), *chain)
        if re.match(r"by\b|by_", text) and not (word == "by" and parent.strip() in chain[:-1]):
            raise parameter.error(_by_nothing(text, dim, every), "errors", dim)
        if word != "by":
            found[dim] = text
            continue
        last = chain.index(parent.strip())
        if twice := [one for one in chain[:-1] if one in given]:
            message = f"errors along {dim!r} {text!r} say those along {twice[0]!r}, too; keep one"
            raise parameter.error(message, "errors", dim)
        found |= {one: "shared" if at > last else "independent" for at, one in enumerate(chain)}
    return found


def _by_grades(
    parameter: WrittenParameter, grades: Sequence[str], own: Container[str]
) -> dict[str, str]:
    """Return along which dims grades say errors ``by`` others, where the parameter is silent."""
    known, found = parameter.within.file.grades, dict[str, str]()
    for dim in parameter.dims:
        said = {(known[grade].errors or {}).get(dim, "") if grade else "" for grade in grades}
        silent = not any(one in own for one in parameter.within.dims.named([dim]))
        if silent and len(said) == 1 and (text := said.pop()).startswith("by "):
            found[dim] = text
    return found


def _by_nothing(text: str, dim: str, dims: Dims) -> str:
    """Return what is wrong with errors by what the labels of a dim do not belong to."""
    parent = text.removeprefix("by").strip(" _")
    message = f"errors along {dim!r} are {text!r}"
    if parent in dims.groupings.get(dim, ()):
        message += f", but labels are in several groups of {parent!r} or in none"
    known = dict.fromkeys([*dims.named([dim])[:-1], *dims.partitions([dim])])
    choices = [f"by {one}" for one in known]
    return f"{message}; {nearest(f'by {parent}', choices) if choices else f'choose {CHOICES}'}"


def _said_by_grades(parameter: WrittenParameter, dim: str, grades: Sequence[str]) -> str:
    known = parameter.within.file.grades
    said = {grade: (known[grade].errors or {}).get(dim) if grade else None for grade in grades}
    if None in said.values():
        silent = next(grade for grade, text in said.items() if text is None)
        owner = f"its grade {silent!r}" if silent else f"parameter {parameter.name!r}"
        message = f"{owner} does not say how errors hang together along {dim!r}; "
        above = (one for one in parameter.dims if dim in parameter.within.dims.named([one])[:-1])
        also = "".join(f" (or {{{one}: by {dim}}}: one error for each {dim})" for one in above)
        raise parameter.error(f"{message}add errors: {{{dim}: ...}}{also} with {CHOICES}")
    if len(set(said.values())) > 1:
        message = f"the grades of {parameter.name!r} disagree on the errors along {dim!r}: {said}; "
        raise parameter.error(f"{message}say errors: {{{dim}: ...}} for the parameter")
    return str(said[grades[0]])
