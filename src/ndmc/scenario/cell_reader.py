"""What is given of the cells of a parameter becomes distributions: grades, scores, units.

Cells that are read alike, as nearly all of a table are, are read at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ndmc.errors import InputError, nearest
from ndmc.scenario.cell_changes import CellChanges, cell_changes
from ndmc.scenario.coded import Coded, alike, groups
from ndmc.scenario.distributions import (
    KEYS,
    SPREAD,
    WITH_UNIT,
    MarginalError,
    marginals,
)
from ndmc.scenario.given_cells import ZERO, GivenCells
from ndmc.scenario.marginals import Marginals, joined
from ndmc.scenario.needs import superfluous
from ndmc.scenario.parameter_values import read_values
from ndmc.scenario.parameters import Origins
from ndmc.scenario.quality import NORMAL_UP_TO, Rating
from ndmc.scenario.quality_reader import Scorer
from ndmc.scenario.schema import GradeEntry, ParameterEntry
from ndmc.scenario.units import UnitError
from ndmc.scenario.written import BY_CONFIDENCE, WrittenParameter
from ndmc.typing import Floats, Integers


@dataclass(frozen=True)
class Cells:
    """What is known of cells; see `Parameter`."""

    marginals: Marginals
    sources: Coded[str]
    confidences: Coded[str]
    grades: Coded[str]
    ratings: Coded[Rating | None]
    of_zero: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class _Some:
    """What is read of some cells."""

    marginals: Marginals
    ratings: Coded[Rating | None]
    of_zero: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class CellReader:
    """Reads the cells of one parameter; ``factor`` is what its unit is in model units."""

    parameter: WrittenParameter
    factor: float
    given: GivenCells
    origins: Origins

    @property
    def changes(self) -> CellChanges | None:
        """What is changed of single cells."""
        return self.origins.changes

    @classmethod
    def of(cls, parameter: WrittenParameter, factor: float) -> CellReader:
        """Return the reader of what a parameter gives of its cells."""
        given = read_values(parameter)
        origins = Origins(parameter, given.tables, given.lines, cell_changes(parameter))
        return cls(parameter, factor, given, origins)

    @property
    def entry(self) -> ParameterEntry:
        """What the file says of the parameter."""
        return self.parameter.entry

    def read(self) -> Cells:
        """Return the cells.

        Raises
        ------
        InputError
            With file and line, for what is missing, superfluous or impossible.
        """
        grades, size = self._grades(), len(self.given.lines)
        parts = [(cells, self._some(cells, grades[cells[0]])) for cells in self._alike(grades)]
        rating_of, of_zero = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.bool_)
        ratings = list[Rating | None]()
        for cells, some in parts:
            rating_of[cells] = some.ratings.codes + len(ratings)
            ratings += some.ratings.values
            of_zero[cells] = some.of_zero
        found = Coded(tuple(ratings), rating_of)
        self._check_scores(grades, found)
        return Cells(
            marginals=joined([(cells, some.marginals) for cells, some in parts], size),
            sources=self._words("source", self.entry.source),
            confidences=self._words("confidence", ""),
            grades=grades,
            ratings=found,
            of_zero=of_zero,
        )

    def _words(self, column: str, otherwise: str) -> Coded[str]:
        words = self.given.words.get(column, alike("", len(self.given.lines)))
        return Coded(tuple(word or otherwise for word in words.values), words.codes)

    def _check_scores(self, grades: Coded[str], ratings: Coded[Rating | None]) -> None:
        """Refuse scores that mean nothing to any cell of their grade."""
        for grade in grades.distinct:
            if scorer := self._scorer(grade):
                same = np.array([value == grade for value in grades.values])
                scorer.check(ratings.at(same[grades.codes]).distinct)

    # --- grades and scores ----------------------------------------------------------------------

    def _grades(self) -> Coded[str]:
        """Return the name of the grade of each cell, empty if it has none."""
        name, file = self.entry.grade or "", self.parameter.within.file
        if self.entry.grade is not None and name not in (BY_CONFIDENCE, *file.grades):
            message = f"unknown grade {name!r}; {nearest(name, [*file.grades, BY_CONFIDENCE])}"
            raise self.parameter.error(message, "grade")
        if name != BY_CONFIDENCE:
            return alike(name, len(self.given.lines))
        words = self.given.words.get("confidence")
        if words is None:
            message = "grade: by_confidence needs a table with a column 'confidence'"
            raise self.parameter.error(message, "grade")
        for word in words.at(self.given.filled != ZERO).distinct:
            if word not in file.confidence:
                cell = int((words.codes == words.values.index(word)).argmax())
                message = f"confidence {word!r} is not mapped to a grade"
                message = f"{message}; {nearest(word, file.confidence)}"
                raise InputError(message, self.origins.where(cell))
        return Coded(tuple(file.confidence.get(word, "") for word in words.values), words.codes)

    def _grade(self, name: str) -> GradeEntry | None:
        return None if self.entry.grade is None else self.parameter.within.file.grades.get(name)

    def _scorer(self, grade_name: str) -> Scorer | None:
        """Return what rates a cell: its parameter's own quality, or that of its grade."""
        entry, grade = self.entry, self._grade(grade_name)
        document, dims = self.parameter.within.document, self.parameter.dims
        if entry.quality:
            at: tuple[str, ...] = (*self.parameter.key, "quality")
            return Scorer(document, entry.quality, at, self.given.tables.values, dims)
        if grade is None or grade.quality is None:
            return None
        if entry.distribution and superfluous({entry.distribution}, {"cv"}):
            return None
        spread = next((key for key in SPREAD if getattr(entry, key) is not None), "")
        at = ("grades", grade_name, "quality")
        return Scorer(document, grade.quality, at, self.given.tables.values, dims, spread)

    # --- cells that are read alike --------------------------------------------------------------

    def _alike(self, grades: Coded[str]) -> Sequence[Integers]:
        """Return cells of the same grade and unit that have the same numbers."""
        given = self.given
        columns = [grades.codes, *(np.isnan(n).astype(int) for n in given.numbers.values())]
        if (given.filled == ZERO).any():
            columns.append((given.filled == ZERO).astype(int))
        if "unit" in given.words:
            columns.append(given.words["unit"].codes)
        if "distribution" in given.words:
            columns.append(given.words["distribution"].codes)
        return groups(columns, len(given.lines))

    def _some(self, cells: Integers, grade_name: str) -> _Some:
        if self.given.filled[cells[0]] == ZERO:
            return self._zero(cells)
        numbers = {key: n[cells] for key, n in self.given.numbers.items()}
        numbers = {key: n for key, n in numbers.items() if not np.isnan(n[0])}
        by_label = self.given.words.get("distribution")
        own = by_label[int(cells[0])] if by_label else ""
        grade, scorer = self._grade(grade_name), None if own else self._scorer(grade_name)
        said = own or self.entry.distribution or (grade.distribution if grade else None)
        if by_label and said is None and scorer is None and not self._own:
            said = "constant"  # beside labels that say how wide they are
        if said is None and scorer is None:
            message = f"parameter {self.parameter.name!r} says neither distribution nor grade"
            raise self.parameter.error(f"{message}; if it is exact, say 'distribution: constant'")
        ratings: Coded[Rating | None] = alike(None, len(cells))
        if scorer:
            ratings = _called(scorer.rate(self.given, cells, self.origins), said)
            numbers |= _spreads(ratings)
        row_scale = self._row_scale(int(cells[0]))
        scale = self.factor * row_scale
        if self.changes:
            numbers = self.changes.replaced(numbers, cells, row_scale)
        parts, of_zero = list[tuple[Integers, Marginals]](), np.zeros(len(cells), dtype=np.bool_)
        for distribution, members in self._distributions(said, numbers, len(cells)).items():
            of_these = {key: n[members] for key, n in numbers.items()}
            shared = {} if own else self._shared(grade, of_these)
            final = _numbers(shared, of_these, scale, distribution, len(members))
            if self.changes:
                final = self.changes.moved(final, cells[members], distribution, self.factor)
            found = self._marginals(distribution, final, cells[members])
            of_zero[members] = found.certain & (final.get("cv", 0.0) != 0)
            parts.append((members, found))
        return _Some(joined(parts, len(cells)), ratings, of_zero)

    def _zero(self, cells: Integers) -> _Some:
        """Return cells that are 0 where no change makes something else of them: exactly that."""
        numbers = {"value": np.zeros(len(cells))}
        if self.changes:
            numbers = self.changes.replaced(numbers, cells, 1.0)
            numbers["value"] = numbers["value"] * self.factor
            numbers = self.changes.moved(numbers, cells, "constant", self.factor)
        found = self._marginals("constant", numbers, cells)
        return _Some(found, alike(None, len(cells)), np.zeros(len(cells), dtype=np.bool_))

    def _row_scale(self, cell: int) -> float:
        """Return what the unit of a row is in that of the parameter."""
        words = self.given.words
        try:
            return self.parameter.row_scale(words["unit"][cell] if "unit" in words else "")
        except UnitError as wrong:
            raise InputError(str(wrong), self.origins.where(cell)) from None

    @property
    def _own(self) -> dict[str, float]:
        """The numbers that the parameter gives for all its cells."""
        keys = [key for key in (*KEYS, "concentration") if key != "value"]
        found = {key: getattr(self.entry, key, None) for key in keys}
        return {key: number for key, number in found.items() if number is not None}

    def _distributions(
        self, said: str | None, numbers: Mapping[str, Floats], size: int
    ) -> dict[str, Integers]:
        """Return the cells of each distribution: which, if none is said, their spread says."""
        if said is not None:
            return {said: np.arange(size)}
        given = {**{key: np.full(size, number) for key, number in self._own.items()}, **numbers}
        cv = given.get("cv", np.zeros(size))
        mean = given.get("mean", given.get("value"))
        if "sd" in given and mean is not None:
            # A mean that is not positive can be no lognormal's.
            cv = np.divide(given["sd"], mean, where=mean > 0, out=np.zeros(size))
        narrow = cv <= NORMAL_UP_TO
        both = {"normal": np.flatnonzero(narrow), "lognormal": np.flatnonzero(~narrow)}
        return {name: members for name, members in both.items() if len(members)}

    def _shared(self, grade: GradeEntry | None, given: Mapping[str, Floats]) -> dict[str, float]:
        """Return the numbers of all cells of a grade, beside which some are given."""
        own = self._own
        found = {"cv": grade.cv} if grade and grade.cv is not None else {}
        if "sd" in own or "sd" in given:
            found.pop("cv", None)
        return {**found, **own}

    def _marginals(
        self, distribution: str, numbers: Mapping[str, Floats], cells: Integers
    ) -> Marginals:
        lists: dict[str, list[float]] = {}
        if self.entry.values:
            values = [value * self.factor for value in self.entry.values]
            moved = self.changes.moved_choices(values, self.factor) if self.changes else values
            lists["values"] = moved
        if self.entry.weights is not None:
            lists["weights"] = self.entry.weights
        try:
            return marginals(distribution, numbers, lists, len(cells))
        except MarginalError as wrong:
            cell = int(cells[wrong.cell])
            message = f"{self.origins.name(cell)}: {wrong.in_unit(self.factor)}"
            raise InputError(message, self.origins.where(cell)) from None


def _numbers(
    shared: Mapping[str, float],
    given: Mapping[str, Floats],
    scale: float,
    distribution: str,
    size: int,
) -> dict[str, Floats]:
    """Return the numbers of a distribution in model units, the nearest to the cell first."""
    numbers = {key: np.full(size, number) for key, number in shared.items()} | dict(given)
    numbers = {k: v * scale if k in WITH_UNIT else v for k, v in numbers.items()}
    if "mu" in numbers:
        numbers["mu"] = numbers["mu"] + math.log(scale)
    if distribution == "constant":
        return {k: v for k, v in numbers.items() if k in ("value", "mean")}
    return numbers


def _called(ratings: Coded[Rating | None], said: str | None) -> Coded[Rating | None]:
    """Return ratings with the distribution that cells get, where one is said or there is none."""
    return Coded(
        tuple(
            replace(one, distribution=(said or one.distribution) if one.cv else "constant")
            if one
            else None
            for one in ratings.values
        ),
        ratings.codes,
    )


def _spreads(ratings: Coded[Rating | None]) -> dict[str, Floats]:
    """Return the cv of cells with scores; of cells without, nothing."""
    cvs = [one.cv for one in ratings.values if one]
    return {"cv": np.array(cvs)[ratings.codes]} if cvs else {}
