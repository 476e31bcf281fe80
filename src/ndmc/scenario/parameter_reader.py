"""Parameters read and checked cell by cell: grades, scores, distributions, errors along dims."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ndmc.errors import InputError, nearest
from ndmc.scenario.dependence import CHOICES, Errors, parse_errors
from ndmc.scenario.distributions import KEYS, Marginal, marginal, superfluous
from ndmc.scenario.parameter_values import BY_CONFIDENCE, SPREAD, WITH_UNIT, read_values
from ndmc.scenario.parameters import Parameter, ParameterCell
from ndmc.scenario.quality import Rating, by_cv
from ndmc.scenario.quality_reader import Scorer
from ndmc.scenario.schema import GradeEntry, ParameterEntry
from ndmc.scenario.tables import GivenCell, Table
from ndmc.scenario.units import Dimension, UnitError
from ndmc.scenario.written import Written, WrittenParameter


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
    given, table = read_values(parameter)
    reader = _CellReader(parameter, factor, table)
    cells = tuple(reader.read(labels, cell) for labels, cell in given.items())
    reader.check_scores(cells)
    _refuse_superfluous(parameter, [cell.grade for cell in cells])
    return Parameter(
        name=name,
        dims=dims,
        unit=entry.unit,
        factor=factor,
        dimension=dimension,
        cells=cells,
        range=_range(parameter, factor),
        errors=_errors(parameter, {c.grade for c in cells if c.marginal.kind != "constant"}),
        title=entry.title,
        note=entry.note,
    )


def _refuse_two_spreads(parameter: WrittenParameter) -> None:
    for name in ("cv", "sd", "mu", "sigma"):
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
        raise parameter.error(f"the range {given} is empty", "range")
    return low, high


def _refuse_superfluous(parameter: WrittenParameter, grades: Sequence[str]) -> None:
    """Refuse numbers of the parameter that its distribution would ignore."""
    entry, known = parameter.entry, parameter.within.file.grades
    kinds: set[str] = set()
    for grade in grades:
        said = entry.distribution or (known[grade].distribution if grade else None)
        kinds |= {said} if said else {"normal", "lognormal"}
    if entry.quality and superfluous(kinds, {"cv"}):
        message = f"a quality means nothing to {' or '.join(sorted(kinds))}; remove it"
        raise parameter.error(message, "quality")
    own = {"value", "cv", "sd", "mu", "sigma", "low", "mode", "high", "values", "weights"}
    given = {name for name in own if getattr(entry, name) is not None}
    for name in sorted(superfluous(kinds, given)):
        message = f"{name} means nothing to {' or '.join(sorted(kinds))}; remove it"
        raise parameter.error(message, name)
    for one, other in (("cv", "sd"), ("value", "mode"), ("value", "mu")):
        if {one, other} <= given:
            raise parameter.error(f"give either {one} or {other}, not both", other)


# --- cells ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _CellReader:
    """Reads the cells of one parameter; ``factor`` is what its unit is in model units."""

    parameter: WrittenParameter
    factor: float
    table: Table | None

    @property
    def entry(self) -> ParameterEntry:
        return self.parameter.entry

    def read(self, labels: tuple[str, ...], given: GivenCell) -> ParameterCell:
        entry, where = self.entry, self._where(labels, given)
        name = f"parameter {self.parameter.name!r}"
        name += f" [{', '.join(labels)}]" if labels else ""
        grade_name = self._grade_name(given, where)
        grade = self._grade(grade_name)
        said = entry.distribution or (grade.distribution if grade else None)
        scorer = self._scorer(grade_name)
        rated, rating, distribution = self._rated(scorer, given, said, name, where)
        if distribution is None:
            message = f"parameter {self.parameter.name!r} says neither distribution nor grade"
            raise self.parameter.error(f"{message}; if it is exact, say 'distribution: constant'")
        scale = self.factor * self._row_scale(given, where)
        numbers = self._numbers(grade, rated, scale, distribution)
        found = self._marginal(numbers, distribution, name, where)
        return ParameterCell(
            name=name,
            where=where,
            marginal=found,
            source=given.words.get("source", "") or entry.source,
            confidence=given.words.get("confidence", ""),
            grade=grade_name,
            rating=rating,
            of_zero=found.kind == "constant" and bool(numbers.get("cv")),
        )

    def check_scores(self, cells: Sequence[ParameterCell]) -> None:
        """Refuse scores that mean nothing to any cell of their grade."""
        for grade in dict.fromkeys(cell.grade for cell in cells):
            scorer = self._scorer(grade)
            if scorer:
                scorer.check([cell.rating for cell in cells if cell.grade == grade])

    def _where(self, labels: tuple[str, ...], given: GivenCell) -> str:
        if self.table:
            return self.table.where(given.line)
        at = dict(zip(self.parameter.dims, labels, strict=True))
        path = (at[dim] for dim in self.entry.dims)
        return self.parameter.within.document.where(*self.parameter.key, "value", *path)

    def _grade_name(self, given: GivenCell, where: str) -> str:
        """Return the name of the grade of a cell, empty if it has none."""
        name, file = self.entry.grade or "", self.parameter.within.file
        if name == BY_CONFIDENCE:
            if "confidence" not in given.words:
                message = "grade: by_confidence needs a table with a column 'confidence'"
                raise self.parameter.error(message, "grade")
            word = given.words["confidence"]
            if word not in file.confidence:
                message = f"confidence {word!r} is not mapped to a grade"
                raise InputError(f"{message}; {nearest(word, file.confidence)}", where)
            name = file.confidence[word]
        if self.entry.grade is not None and name not in file.grades:
            message = f"unknown grade {name!r}; {nearest(name, [*file.grades, BY_CONFIDENCE])}"
            raise self.parameter.error(message, "grade")
        return name

    def _grade(self, name: str) -> GradeEntry | None:
        return None if self.entry.grade is None else self.parameter.within.file.grades[name]

    def _scorer(self, grade_name: str) -> Scorer | None:
        """Return what rates a cell: its parameter's own quality, or that of its grade."""
        entry, grade = self.entry, self._grade(grade_name)
        document, dims = self.parameter.within.document, self.parameter.dims
        if entry.quality:
            at: tuple[str, ...] = (*self.parameter.key, "quality")
            return Scorer(document, entry.quality, at, self.table, dims)
        if grade is None or grade.quality is None:
            return None
        if entry.distribution and superfluous({entry.distribution}, {"cv"}):
            return None
        spread = next((key for key in SPREAD if getattr(entry, key) is not None), "")
        at = ("grades", grade_name, "quality")
        return Scorer(document, grade.quality, at, self.table, dims, spread)

    def _row_scale(self, given: GivenCell, where: str) -> float:
        """Return what the unit of a row is in that of the parameter."""
        unit, own, units = given.words.get("unit", ""), self.entry.unit, self.parameter.within.units
        if not unit or unit == own:
            return 1.0
        try:
            if units.dimension(unit) != units.dimension(own):
                raise UnitError(f"{unit!r} cannot be converted to the parameter's unit {own!r}")
            return float(f"{units.factor(unit) / units.factor(own):.15g}")
        except UnitError as wrong:
            raise InputError(str(wrong), where) from None

    def _rated(
        self, scorer: Scorer | None, given: GivenCell, said: str | None, name: str, where: str
    ) -> tuple[GivenCell, Rating | None, str | None]:
        """Return a cell with the cv of its scores, its rating, and its distribution."""
        if scorer is None:
            return given, None, said
        given, rating = scorer.rate(given, name, where)
        distribution = said or _by_spread({**self._own, **given.numbers})
        if rating:
            rating = replace(rating, distribution=distribution if rating.cv else "constant")
        return given, rating, distribution

    @property
    def _own(self) -> dict[str, float]:
        """The numbers that the parameter gives for all its cells."""
        found = {key: getattr(self.entry, key, None) for key in KEYS}
        return {key: number for key, number in found.items() if number is not None}

    def _numbers(
        self, grade: GradeEntry | None, given: GivenCell, scale: float, distribution: str
    ) -> dict[str, float]:
        """Return the numbers of a distribution in model units, the nearest to the cell first."""
        own = self._own
        found = {"cv": grade.cv} if grade and grade.cv is not None else {}
        if "sd" in own or "sd" in given.numbers:
            found.pop("cv", None)
        found |= {k: v for k, v in own.items() if k != "value"}
        found |= given.numbers
        found = {k: v * scale if k in WITH_UNIT else v for k, v in found.items()}
        if "mu" in found:
            found["mu"] += math.log(scale)
        if distribution == "constant":
            return {k: v for k, v in found.items() if k in ("value", "mean")}
        return found

    def _marginal(
        self, numbers: Mapping[str, float], distribution: str, name: str, where: str
    ) -> Marginal:
        lists: dict[str, list[float]] = {}
        if self.entry.values:
            lists["values"] = [value * self.factor for value in self.entry.values]
        if self.entry.weights is not None:
            lists["weights"] = self.entry.weights
        try:
            found = marginal(distribution, numbers, lists)
            if not all(map(math.isfinite, (found.central, *found.numbers))):
                raise OverflowError
            return found
        except (ValueError, ArithmeticError) as wrong:
            extreme = isinstance(wrong, ArithmeticError)
            reason = "the numbers are too large or too small to compute with" if extreme else wrong
            raise InputError(f"{name}: {reason}", where) from None


def _by_spread(numbers: Mapping[str, Any]) -> str:
    """Return the distribution of a cell of a parameter with scores that names none."""
    mean = numbers.get("mean", numbers.get("value"))
    if "sd" not in numbers or not isinstance(mean, int | float):
        return by_cv(numbers.get("cv", 0.0))
    # A mean that is not positive can be no lognormal's.
    return by_cv(numbers["sd"] / mean) if mean > 0 else "normal"


# --- errors along dims ----------------------------------------------------------------------------


def _errors(parameter: WrittenParameter, grades: Iterable[str]) -> dict[str, Errors]:
    """Return how errors hang together along each dim, of a parameter with uncertain grades."""
    entry, dims, grades = parameter.entry, parameter.dims, sorted(grades)
    given = entry.errors or {}
    for dim in given:
        if dim not in dims:
            message = f"errors along {dim!r}, which is no dim of this parameter"
            raise parameter.error(f"{message}; {nearest(dim, dims)}", "errors", dim)
    found: dict[str, Errors] = {}
    for dim in dims if grades else ():
        said = given[dim] if dim in given else _said_by_grades(parameter, dim, grades)
        try:
            found[dim] = parse_errors(said, dim)
        except ValueError as wrong:
            owner = parameter.key if dim in given else ("grades", grades[0])
            raise parameter.within.document.error(str(wrong), *owner, "errors", dim) from None
    return found


def _said_by_grades(parameter: WrittenParameter, dim: str, grades: Sequence[str]) -> str:
    known = parameter.within.file.grades
    said = {grade: (known[grade].errors or {}).get(dim) if grade else None for grade in grades}
    if None in said.values():
        silent = next(grade for grade, text in said.items() if text is None)
        owner = f"its grade {silent!r}" if silent else f"parameter {parameter.name!r}"
        message = f"{owner} does not say how errors hang together along {dim!r}; "
        raise parameter.error(f"{message}add errors: {{{dim}: ...}} with {CHOICES}")
    if len(set(said.values())) > 1:
        message = f"the grades of {parameter.name!r} disagree on the errors along {dim!r}: {said}; "
        raise parameter.error(f"{message}say errors: {{{dim}: ...}} for the parameter")
    return str(said[grades[0]])
