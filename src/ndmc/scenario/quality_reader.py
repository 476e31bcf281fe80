"""Scores of cells: keys of a parameter or its grade, and columns of its table."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from ndmc.errors import InputError
from ndmc.scenario.coded import Coded, groups
from ndmc.scenario.distributions import SPREAD
from ndmc.scenario.document import Document
from ndmc.scenario.given_cells import GivenCells
from ndmc.scenario.parameters import Origins
from ndmc.scenario.quality import BASIC, EXPERT, INDICATORS, SENSITIVE, Rating, ScoreError, rate
from ndmc.scenario.schema import QualityEntry
from ndmc.scenario.tables import Table
from ndmc.typing import Integers

_LEVEL = "sensitivity"

_LEVELS = (_LEVEL, *(f"{name}_{_LEVEL}" for name in SENSITIVE))

#: The columns of scores of all methods.
SCORED = (*dict.fromkeys(name for group in INDICATORS.values() for name in group), BASIC, *_LEVELS)

# So near to the name of a column of scores that it is a misspelt one.
_NEAR = 0.85


@dataclass(frozen=True)
class Scorer:
    """Rates the cells of a parameter by a ``quality`` entry and the columns of its tables.

    ``key`` is where the entry stands; ``dims`` are the columns that hold labels, whatever
    their names; ``spread`` is the key of the parameter, if any, that overrides the entry.
    """

    document: Document
    entry: QualityEntry
    key: tuple[str, ...]
    tables: tuple[Table | None, ...]
    dims: tuple[str, ...]
    spread: str = ""

    @property
    def own(self) -> dict[str, float]:
        """The scores that hold for every cell that does not say otherwise."""
        names = dict.fromkeys((*(n for group in INDICATORS.values() for n in group), BASIC))
        given = {name: getattr(self.entry, name) for name in names}
        return {name: float(score) for name, score in given.items() if score is not None}

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of tables that are read."""
        names = INDICATORS[self.entry.method]
        if self.entry.method == "laner":
            names += _LEVELS
        elif self.entry.method != "hedbrant_soerme":
            names += (BASIC,)
        return tuple(name for name in names if name not in self.dims)

    def row(self, given: GivenCells, cell: int) -> dict[str, str]:
        """Return what the row of a cell says of its quality; empty cells say nothing."""
        words = {name: given.words[name][cell] for name in self.columns if name in given.words}
        return {name: word for name, word in words.items() if word}

    def rate(self, given: GivenCells, cells: Integers, origins: Origins) -> Coded[Rating | None]:
        """Return the ratings of cells; those of rows that say their own cv or sd have none.

        Raises
        ------
        InputError
            With file and line of the row or the key that is wrong.
        """
        self._check_header()
        own = (n for n in SPREAD if n in given.numbers and not np.isnan(given.numbers[n][cells[0]]))
        spread = self.spread or next(own, "")
        columns = [given.words[name].codes[cells] for name in self.columns if name in given.words]
        found: list[Rating | None] = []
        codes = np.empty(len(cells), dtype=np.int64)
        for alike in groups(columns, len(cells)):
            codes[alike] = len(found)
            cell = int(cells[alike[0]])
            row = self.row(given, cell)
            if spread and row:
                message = f"both {next(iter(row))} and {spread}: give either scores or {spread}"
                raise InputError(message, origins.where(cell))
            found.append(None if spread else self._rated(given, cell, row, origins.where(cell)))
        if not spread:
            _refuse_means(given, cells, origins)
        return Coded(tuple(found), codes)

    def _rated(self, given: GivenCells, cell: int, row: Mapping[str, str], where: str) -> Rating:
        table, line = given.tables[cell], int(given.lines[cell])
        try:
            scores = self._scores(table, line, row)
            levels = self._levels(row, scores)
            rounded = self.entry.rounded is not False
            return rate(self.entry.method, scores, levels, rounded=rounded)
        except ScoreError as wrong:
            in_key = wrong.item in self.own and wrong.item not in row
            if line and not in_key and any(name in given.words for name in self.columns):
                raise InputError(str(wrong), where) from None
            raise self.document.error(str(wrong), *self.key, wrong.item) from None

    def _scores(self, table: Table | None, line: int, row: Mapping[str, str]) -> dict[str, float]:
        found = {
            name: _number(table, line, name, text)
            for name, text in row.items()
            if table and _LEVEL not in name
        }
        own = self.own
        if EXPERT in found:
            own = {}  # an expert's estimate in a row replaces all that holds elsewhere
        elif found:
            own.pop(EXPERT, None)
        return own | found

    def _levels(self, row: Mapping[str, str], scores: Mapping[str, float]) -> dict[str, str]:
        """Return the level of each score: the row comes before the key, one before all."""
        said = self.entry.sensitivity if self.entry.method == "laner" else None
        scored = [name for name in SENSITIVE if name in scores]
        if _LEVEL in row and not scored:
            raise ScoreError(f"a sensitivity without a score of {', '.join(SENSITIVE)}", _LEVEL)
        found = dict.fromkeys(scored, said) if isinstance(said, str) else {}
        if isinstance(said, dict):
            found |= {name: level for name, level in said.items() if name in scored}
        if _LEVEL in row:
            found = dict.fromkeys(scored, row[_LEVEL])
        each = {name: row.get(f"{name}_{_LEVEL}") for name in SENSITIVE}
        return {**found, **{name: level for name, level in each.items() if level}}

    def check(self, ratings: Iterable[Rating | None]) -> None:
        """Refuse keys that mean nothing to any cell.

        Raises
        ------
        InputError
            With file and line.
        """
        scored = {name for rating in ratings if rating for name, _ in rating.sensitivities}
        said, key = self.entry.sensitivity, (*self.key, _LEVEL)
        if said is not None and self.entry.method != "laner":
            raise self.document.error(f"{self.entry.method} knows no sensitivity; remove it", *key)
        if isinstance(said, str) and not scored:
            message = f"a sensitivity but no score of {', '.join(SENSITIVE)}; remove it"
            raise self.document.error(message, *key)
        for name in said if isinstance(said, dict) else ():
            if name not in scored:
                message = f"a sensitivity for {name} but no score; give the score or remove it"
                raise self.document.error(message, *key, name)
        if self.entry.rounded is not None and self.entry.method != "laner":
            message = f"{self.entry.method} has no rounded table; remove it"
            raise self.document.error(message, *self.key, "rounded")

    def _check_header(self) -> None:
        for table in filter(None, self.tables):
            for name in table.header:
                near = difflib.get_close_matches(name, self.columns, n=1, cutoff=_NEAR)
                if near and name not in self.columns and name not in self.dims:
                    message = f"the column {name!r} is not read; did you mean {near[0]!r}?"
                    raise InputError(message, table.where())


def _number(table: Table, line: int, name: str, text: str) -> float:
    number = table.number(line, name, text)
    if name != BASIC and not text.isdecimal():
        message = f"column {name!r} holds {text!r}; a score must be a whole number such as 2"
        raise InputError(message, table.where(line))
    return number


def _refuse_means(given: GivenCells, cells: Integers, origins: Origins) -> None:
    """Refuse scores of a mean that no cv is a share of."""
    means = given.numbers.get("value", given.numbers.get("mean"))
    if means is None or (means[cells] > 0).all():
        return
    cell = int(cells[(means[cells] <= 0).argmax()])
    message = f"{origins.name(cell)}: the mean is {means[cell]:g}, but scores give a cv, a share of"
    remedy = "give sd instead (in a table, row by row)"
    raise InputError(f"{message} the mean; {remedy}", origins.where(cell))
