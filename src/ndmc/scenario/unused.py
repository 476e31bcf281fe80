"""What a scenario holds and nothing uses: a name misspelt elsewhere, or one forgotten."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from ndmc.errors import closest, warn
from ndmc.scenario.document import Document
from ndmc.scenario.scenario import Scenario

_WORD = re.compile(r"[^\W\d]\w*")

#: Sections whose texts may name parameters.
_READERS = (
    *("flows", "stocks", "indicators", "correlations", "reconcile", "published", "variants"),
    "keep",
)

#: Keys whose texts name none.
_OTHERS = ("from", "to", "process", "title", "note", "source")

#: So many of a kind are named.
_NAMED = 20


def warn_of_unused(document: Document, scenario: Scenario) -> None:
    """Warn of each parameter, grade and dim that nothing uses in the file, under any variant.

    And of what is given of years that the scenario does not have.


    ``document`` is the file without changes: what they leave without use is no mistake in it.
    """
    for kind, names in _unused(document, scenario).items():
        for name in names[:_NAMED]:
            message = f"nothing uses the {kind[:-1]} {name!r}; remove it, or name it where it is"
            warn(f"{message} meant", document.where(kind, name))
        if names[_NAMED:]:
            warn(f"nothing uses {len(names) - _NAMED} more {kind}", document.where(kind))
    _warn_of_other_years(scenario)


def _warn_of_other_years(scenario: Scenario) -> None:
    years = scenario.dims.years
    found = [one for one in scenario.parameters.values() if one.passed_over]
    for one in found[:_NAMED]:
        message = f"parameter {one.name!r}: nothing uses {one.passed_over}, outside the years"
        where = scenario.document.where("parameters", one.name)
        warn(f"{message} {years[0]}..{years[-1]}", where)
    if found[_NAMED:]:
        warn(f"given cells of {len(found) - _NAMED} more parameters are outside the years, too")
    if many := scenario.passed_over:
        message = f"{many} published figure{'s are' if many > 1 else ' is'} left out, outside the"
        warn(f"{message} years {years[0]}..{years[-1]}", scenario.document.where("published"))


def _unused(document: Document, scenario: Scenario) -> dict[str, list[str]]:
    """Return the names of each kind that nothing uses, in the order of the file."""
    file = scenario.file
    changed = {*_words(document.data.get("variants")), *_words(scenario.changes)}
    graded = {grade for one in scenario.parameters.values() for grade in one.grades.distinct}
    spanned = {
        dim
        for kind in (file.parameters, file.flows, file.stocks)
        for entry in kind.values()
        for dim in entry.dims
    }
    read = {word for section in _READERS for word in _words(document.data.get(section))}
    read |= {word for figure in scenario.figures for word in _words(figure.entry.quantity)}
    used = {
        "parameters": read | changed,
        "grades": graded | {*file.confidence.values()} | changed,
        "dims": scenario.dims.full(spanned) | changed,
    }
    found = {
        kind: [
            name
            for name in document.data.get(kind, {})
            if name not in words and (kind, name) in document.lines  # and not extended alone
        ]
        for kind, words in used.items()
    }
    misspelt = read - _known(scenario)
    found["parameters"] = [name for name in found["parameters"] if not _is_meant(name, misspelt)]
    return found


def _known(scenario: Scenario) -> set[str]:
    """Return the words that mean something in texts, but for functions."""
    file, labels = scenario.file, scenario.dims.labels
    named = {*file.parameters, *file.flows, *file.stocks, *file.indicators, *labels}
    named.update(*labels.values())
    return {word for text in named for word in _WORD.findall(text)}


def _is_meant(name: str, misspelt: Iterable[str]) -> bool:
    """Whether a parameter is what a name is told to be misspelt of: then that is all it lacks."""
    return bool(closest(name, [*misspelt]))


def _words(given: Any) -> Iterator[str]:
    """Yield the words of all texts in plain data."""
    if isinstance(given, str):
        yield from _WORD.findall(given)
    elif isinstance(given, dict):
        for key, value in given.items():
            if key not in _OTHERS:
                yield from _words(value)
    elif isinstance(given, list):
        for value in given:
            yield from _words(value)
