"""The dims of a scenario: years, ages, groups, and their labels."""

from __future__ import annotations

import re

from ndmc.dims import Dims
from ndmc.errors import nearest
from ndmc.scenario import reserved
from ndmc.scenario.belonging import read_labels
from ndmc.scenario.document import Document
from ndmc.scenario.field_types import years_advice
from ndmc.scenario.groupings import grouped, read_groupings, read_groups
from ndmc.scenario.schema import ScenarioFile

_YEARS = re.compile(r"\s*(\d{1,4})\s*\.\.\s*(\d{1,4})\s*")

_YEAR = re.compile(r"[1-9][0-9]{0,3}")

_MAX_YEARS = 2000


def read_dims(document: Document, file: ScenarioFile) -> Dims:
    try:
        first, last = first_and_last(file.years)
    except ValueError as wrong:
        raise document.error(str(wrong), "years") from None
    labels, groups = dict[str, tuple[str, ...]](), dict[str, dict[str, tuple[str, ...]]]()
    belongs = dict[str, dict[str, tuple[int, ...]]]()
    for name in _parents_first(document, file):
        entry = file.dims[name]
        labels[name], above = read_labels(document, name, entry, labels, belongs)
        belongs[name] = dict(above)
        groups[name] = read_groups(document, labels[name], entry.groups, "dims", name, "groups")
    years = tuple(str(year) for year in range(first, last + 1))
    labels |= _age_labels(document, file, labels.pop("age", None), years)
    of = {name: entry.of for name, entry in file.dims.items() if entry.of}
    dims = Dims({**labels, "year": years}, groups, of, belongs)
    return grouped(dims, read_groupings(document, file, dims))


def _parents_first(document: Document, file: ScenarioFile) -> list[str]:
    """Return the dims of a file, each after the one that it belongs to."""
    found: list[str] = []
    for name in file.dims:
        if name in reserved.DIMS:
            raise document.error(
                f"{name!r} is a dim of ndmc's own; choose another name", "dims", name
            )
        found += [dim for dim in _with_parents(document, file, name) if dim not in found]
    return found


def _with_parents(document: Document, file: ScenarioFile, name: str) -> list[str]:
    chain = [name]
    while parent := file.dims[chain[0]].of:
        if parent in chain:
            circle = " of ".join([*chain[::-1], parent])
            raise document.error(f"dims belong to each other in a circle: {circle}", "dims", name)
        if parent not in file.dims:
            message = f"unknown dim {parent!r}; {nearest(parent, file.dims)}"
            raise document.error(message, "dims", chain[0], "of")
        chain.insert(0, parent)
    return chain


def is_year(text: str) -> bool:
    """Whether a text may be a year, of a scenario or of none."""
    return bool(_YEAR.fullmatch(text))


def first_and_last(years: str) -> tuple[int, int]:
    """Return the first and the last of some years.

    Raises
    ------
    ValueError
        If they are not written so, run backwards, or are too many.

    Examples
    --------
    >>> first_and_last("2001..2021")
    (2001, 2021)
    """
    match = _YEARS.fullmatch(years)
    if not match:
        raise ValueError(f"years is {years!r}; {years_advice(years)}")
    first, last = int(match[1]), int(match[2])
    if last < first:
        raise ValueError(f"years run backwards, from {first} to {last}; write {last}..{first}")
    if last - first >= _MAX_YEARS:
        raise ValueError(f"more than {_MAX_YEARS} years")
    return first, last


def _age_labels(
    document: Document,
    file: ScenarioFile,
    given: tuple[str, ...] | None,
    years: tuple[str, ...],
) -> dict[str, tuple[str, ...]]:
    """Return the dims age and cohort, if the scenario has them."""
    wanted = {str(entry.by) for entry in file.indicators.values()}
    wanted |= {dim for entry in file.parameters.values() for dim in entry.dims}
    own = {}
    if given is not None and given != tuple(str(age) for age in range(len(given))):
        message = "the labels of age must be whole years without gaps: 0, 1, 2, ..."
        raise document.error(message, "dims", "age")
    if given is not None or "age" in wanted:
        own["age"] = given or tuple(str(age) for age in range(len(years)))
    if "cohort" in wanted:
        shown = {e.stock or e.outflow for e in file.indicators.values() if e.by == "cohort"}
        before = any(name in shown and s.initial is not None for name, s in file.stocks.items())
        own["cohort"] = (*["before"] * before, *years)
    return own
