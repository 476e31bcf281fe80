"""Parameters: labelled inputs with unit, source and uncertainty, read and checked cell by cell."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ndmc.dims import Dims
from ndmc.errors import InputError, nearest
from ndmc.scenario.dependence import CHOICES, Errors, parse_errors
from ndmc.scenario.distributions import KEYS, Marginal, marginal, superfluous
from ndmc.scenario.document import Document
from ndmc.scenario.quality import Rating, by_cv
from ndmc.scenario.quality_reader import Scorer
from ndmc.scenario.schema import GradeEntry, ParameterEntry, ScenarioFile
from ndmc.scenario.tables import Cell, Table, read_cells, read_table
from ndmc.scenario.units import Dimension, UnitError, UnitSystem, parse_amount

__all__ = ["Parameter", "Reader"]

BY_CONFIDENCE = "by_confidence"

_WITH_UNIT = ("value", "mean", "sd", "low", "mode", "high")

_PLAIN = ("cv", "mu", "sigma")

_SPREAD = ("cv", "sd")


@dataclass(frozen=True)
class Parameter:
    """A labelled input.

    ``marginals``, ``sources``, ``confidences``, ``grades``, ``ratings`` and ``where`` have one
    entry per cell, in array order; numbers are in model units, ``factor`` is what one ``unit`` is
    in them. ``range`` is None where the file does not say it, a rating where a cell has no scores.
    ``of_zero`` has name and place of the cells without spread, as their cv is a share of 0.
    """

    name: str
    dims: tuple[str, ...]
    unit: str
    factor: float
    dimension: Dimension
    marginals: tuple[Marginal, ...]
    errors: dict[str, Errors]
    range: tuple[float, float] | None
    sources: tuple[str, ...]
    confidences: tuple[str, ...]
    grades: tuple[str, ...]
    ratings: tuple[Rating | None, ...]
    where: tuple[str, ...]
    of_zero: tuple[tuple[str, str], ...] = ()
    title: str = ""
    note: str = ""

    @property
    def uncertain(self) -> bool:
        """Whether any cell is drawn."""
        return any(cell.kind != "constant" for cell in self.marginals)


@dataclass(frozen=True)
class Reader:
    """Reads the parameters of one scenario."""

    folder: Path
    document: Document
    file: ScenarioFile
    dims: Dims
    units: UnitSystem

    def read(self, name: str) -> Parameter:
        """Return the parameter ``name`` of the file, checked.

        Raises
        ------
        InputError
            With file and line, for anything missing, superfluous or impossible.
        """
        entry = self.file.parameters[name]
        key = ("parameters", name)
        dims = self._dims(entry, key)
        self._refuse_two_spreads(entry, key)
        try:
            factor, dimension = self.units.factor(entry.unit), self.units.dimension(entry.unit)
        except UnitError as wrong:
            raise self.document.error(str(wrong), *key, "unit") from None
        cells, table = self._cells(entry, key, dims)
        marginals, grades, wheres, of_zero = [], [], [], []
        ratings: list[Rating | None] = []
        scorers: dict[str, Scorer] = {}
        for labels, cell in cells.items():
            at = dict(zip(dims, labels, strict=True))
            inline = self.document.where(*key, "value", *(at[dim] for dim in entry.dims))
            where = table.where(cell.line) if table else inline
            grade_name, grade = self._grade(entry, key, cell, where)
            scorer = self._scorer(entry, grade, key, grade_name, table, dims)
            said = entry.distribution or (grade.distribution if grade else None)
            rated, rating, distribution = _rated(
                scorer, entry, cell, said, _cell_name(name, labels), where
            )
            if scorer:
                scorers[grade_name] = scorer
            if distribution is None:
                message = f"parameter {name!r} says neither distribution nor grade; if it is exact"
                raise self.document.error(f"{message}, say 'distribution: constant'", *key)
            scale = factor * self._row_scale(entry, cell, where)
            given = _given(entry, grade, rated, scale, distribution)
            found = _marginal(entry, given, factor, distribution, _cell_name(name, labels), where)
            if found.kind == "constant" and given.get("cv"):
                of_zero.append((_cell_name(name, labels), where))
            marginals.append(found)
            ratings.append(rating)
            grades.append(grade_name)
            wheres.append(where)
        for grade_name, scorer in scorers.items():
            scorer.check([r for r, g in zip(ratings, grades, strict=True) if g == grade_name])
        self._refuse_superfluous(entry, key, grades)
        used = {
            grade for grade, cell in zip(grades, marginals, strict=True) if cell.kind != "constant"
        }
        limits = (entry.range[0] * factor, entry.range[1] * factor) if entry.range else None
        if limits and not limits[0] < limits[1]:
            raise self.document.error(f"the range {entry.range} is empty", *key, "range")
        return Parameter(
            name=name,
            dims=dims,
            unit=entry.unit,
            factor=factor,
            dimension=dimension,
            marginals=tuple(marginals),
            errors=self._errors(entry, key, dims, used),
            range=limits,
            sources=tuple(cell.words.get("source", "") or entry.source for cell in cells.values()),
            confidences=tuple(cell.words.get("confidence", "") for cell in cells.values()),
            grades=tuple(grades),
            ratings=tuple(ratings),
            where=tuple(wheres),
            of_zero=tuple(of_zero),
            title=entry.title,
            note=entry.note,
        )

    def _dims(self, entry: ParameterEntry, key: tuple[str, ...]) -> tuple[str, ...]:
        for dim in entry.dims:
            if dim not in self.dims.labels:
                message = f"unknown dim {dim!r}; {nearest(dim, self.dims.labels)}"
                raise self.document.error(message, *key, "dims")
        if len(set(entry.dims)) < len(entry.dims):
            raise self.document.error("a dim stands twice", *key, "dims")
        return self.dims.ordered(entry.dims)

    def _cells(
        self, entry: ParameterEntry, key: tuple[str, ...], dims: tuple[str, ...]
    ) -> tuple[dict[tuple[str, ...], Cell], Table | None]:
        if entry.table is None:
            for only in ("column", "wide"):
                if getattr(entry, only) is not None:
                    raise self.document.error(f"{only!r} needs a table", *key, only)
            return self._inline(entry, key, dims), None
        if entry.value is not None:
            raise self.document.error("give either value or table, not both", *key, "value")
        table = read_table(self.path(entry.table, *key, "table"))
        if entry.wide is not None and entry.wide not in dims:
            message = (
                f"wide: {entry.wide!r} is not a dim of this parameter; {nearest(entry.wide, dims)}"
            )
            raise self.document.error(message, *key, "wide")
        column = entry.column or ("mean" if "mean" in table.header else "value")
        if entry.column and entry.column not in table.header:
            message = f"{entry.table} has no column {column!r}; {nearest(column, table.header)}"
            raise self.document.error(message, *key, "column")
        numeric = tuple(c for c in (*KEYS, column) if c in table.header and c not in dims)
        if not numeric and not entry.wide and set(dims) <= set(table.header):
            message = f"no column {column!r}; {nearest(column, table.header)}"
            raise InputError(message, table.where())
        if entry.column:
            numeric = tuple(c for c in numeric if c == column or c not in ("value", "mean"))
        if self._may_be_scored(entry):
            # A row without scores may say its own spread, so these may be empty.
            numeric = tuple(c for c in numeric if c not in _SPREAD or c == column)
        cells = read_cells(table, dims, self.dims, numeric, entry.wide)
        if self._may_be_scored(entry):
            cells = {labels: _with_spread(table, cell, dims) for labels, cell in cells.items()}
        renamed = {
            labels: Cell(
                cell.line,
                {("value" if k == column else k): v for k, v in cell.numbers.items()},
                cell.words,
            )
            for labels, cell in cells.items()
        }
        order = [tuple(cell.values()) for cell in self.dims.cells(dims)]
        return {labels: renamed[labels] for labels in order}, table

    def path(self, name: str, *key: str | int) -> Path:
        """Return the path of a file of the scenario; nothing outside its folder is ever read."""
        path = self.folder / name
        try:
            inside = path.resolve().is_relative_to(self.folder.resolve())
            present, regular = path.exists(), path.is_file()
        except (OSError, RuntimeError, ValueError):  # a circle of links, a name no file can have
            raise self.document.error(f"{name!r} cannot name a table", *key) from None
        if not inside or ".." in Path(name).parts or Path(name).is_absolute() or "\\" in name:
            message = f"{name!r} leads out of the scenario's folder; tables must lie inside it"
            raise self.document.error(message, *key)
        if present and not regular:
            raise self.document.error(f"{name!r} is not a regular file", *key)
        if not present:
            others = [p.name for p in self.folder.glob("*.csv")]
            message = f"the file {name!r} does not exist in {self.folder}; {nearest(name, others)}"
            raise self.document.error(message, *key)
        return path

    def _inline(
        self, entry: ParameterEntry, key: tuple[str, ...], dims: tuple[str, ...]
    ) -> dict[tuple[str, ...], Cell]:
        lists = entry.values is not None
        if entry.value is None:
            given = [k for k in (*_WITH_UNIT, *_PLAIN) if getattr(entry, k, None) is not None]
            if not given and not lists:
                message = "no value; give value, table, or the numbers of the distribution"
                raise self.document.error(message, *key)
        cells = {}
        for labels in self.dims.cells(dims):
            numbers = {}
            if entry.value is not None:
                path = tuple(labels[dim] for dim in entry.dims)
                numbers["value"] = self._value(entry, key, path)
            cells[tuple(labels.values())] = Cell(0, numbers, {})
        if isinstance(entry.value, dict):
            self._refuse_extra(entry.value, key, entry.dims)
        return cells

    def _value(self, entry: ParameterEntry, key: tuple[str, ...], path: tuple[str, ...]) -> float:
        found, at = entry.value, [*key, "value"]
        for dim, label in zip(entry.dims, path, strict=True):
            if not isinstance(found, dict):
                break
            at.append(label)
            if label not in found:
                message = f"no value for {dim}={label}; {nearest(label, found)}"
                raise self.document.error(message, *at[:-1])
            found = found[label]
        if isinstance(found, bool) or not isinstance(found, int | float | str):
            raise self.document.error(f"expected a number, found {found!r}", *at)
        try:
            number, unit = parse_amount(found)
            scale = self.units.factor(unit) / self.units.factor(entry.unit) if unit else 1.0
            if unit and self.units.dimension(unit) != self.units.dimension(entry.unit):
                raise UnitError(f"{unit!r} cannot be converted to {entry.unit!r}")
        except UnitError as wrong:
            raise self.document.error(str(wrong), *at) from None
        if not math.isfinite(number):
            raise self.document.error(f"{found!r} is not finite", *at)
        return number * scale

    def _refuse_extra(
        self, found: dict[str, Any], key: tuple[str, ...], dims: list[str], *at: str
    ) -> None:
        known = self.dims.labels[dims[0]] if dims else ()
        for label, inner in found.items():
            if label not in known:
                message = f"{label!r} is no label of {dims[0] if dims else 'this parameter'}"
                message += f"; {nearest(label, known)}"
                raise self.document.error(message, *key, "value", *at, label)
            if isinstance(inner, dict):
                self._refuse_extra(inner, key, dims[1:], *at, label)

    def _grade(
        self, entry: ParameterEntry, key: tuple[str, ...], cell: Cell, where: str
    ) -> tuple[str, GradeEntry | None]:
        if entry.grade is None:
            return "", None
        name = entry.grade
        if name == BY_CONFIDENCE:
            if "confidence" not in cell.words:
                message = "grade: by_confidence needs a table with a column 'confidence'"
                raise self.document.error(message, *key, "grade")
            word = cell.words["confidence"]
            if word not in self.file.confidence:
                message = f"confidence {word!r} is not mapped to a grade"
                raise InputError(f"{message}; {nearest(word, self.file.confidence)}", where)
            name = self.file.confidence[word]
        if name not in self.file.grades:
            message = f"unknown grade {name!r}; {nearest(name, [*self.file.grades, BY_CONFIDENCE])}"
            raise self.document.error(message, *key, "grade")
        return name, self.file.grades[name]

    def _may_be_scored(self, entry: ParameterEntry) -> bool:
        names = {entry.grade} if entry.grade != BY_CONFIDENCE else {*self.file.confidence.values()}
        grades = (self.file.grades.get(name or "") for name in names)
        return entry.quality is not None or any(grade and grade.quality for grade in grades)

    def _refuse_two_spreads(self, entry: ParameterEntry, key: tuple[str, ...]) -> None:
        for name in ("cv", "sd", "mu", "sigma"):
            if entry.quality and getattr(entry, name) is not None:
                message = f"give either quality or {name}, not both: scores say how wide it is"
                raise self.document.error(message, *key, name)

    def _scorer(
        self,
        entry: ParameterEntry,
        grade: GradeEntry | None,
        key: tuple[str, ...],
        name: str,
        table: Table | None,
        dims: tuple[str, ...],
    ) -> Scorer | None:
        """Return what rates a cell: its parameter's own quality, or that of its grade."""
        if entry.quality:
            return Scorer(self.document, entry.quality, (*key, "quality"), table, dims)
        if grade is None or grade.quality is None:
            return None
        if entry.distribution and superfluous({entry.distribution}, {"cv"}):
            return None
        spread = next((k for k in _SPREAD if getattr(entry, k) is not None), "")
        at = ("grades", name, "quality")
        return Scorer(self.document, grade.quality, at, table, dims, spread)

    def _refuse_superfluous(
        self, entry: ParameterEntry, key: tuple[str, ...], grades: list[str]
    ) -> None:
        """Refuse numbers of the parameter that its distribution would ignore."""
        by_spread = {"normal", "lognormal"}
        kinds: set[str] = set()
        for grade in grades:
            said = entry.distribution or (self.file.grades[grade].distribution if grade else None)
            kinds |= {said} if said else by_spread
        if entry.quality and superfluous(kinds, {"cv"}):
            message = f"a quality means nothing to {' or '.join(sorted(kinds))}; remove it"
            raise self.document.error(message, *key, "quality")
        own = {"value", "cv", "sd", "mu", "sigma", "low", "mode", "high", "values", "weights"}
        given = {name for name in own if getattr(entry, name) is not None}
        for name in sorted(superfluous(kinds, given)):
            message = f"{name} means nothing to {' or '.join(sorted(kinds))}; remove it"
            raise self.document.error(message, *key, name)
        for one, other in (("cv", "sd"), ("value", "mode"), ("value", "mu")):
            if {one, other} <= given:
                message = f"give either {one} or {other}, not both"
                raise self.document.error(message, *key, other)

    def _row_scale(self, entry: ParameterEntry, cell: Cell, where: str) -> float:
        unit = cell.words.get("unit", "")
        if not unit or unit == entry.unit:
            return 1.0
        try:
            if self.units.dimension(unit) != self.units.dimension(entry.unit):
                raise UnitError(
                    f"{unit!r} cannot be converted to the parameter's unit {entry.unit!r}"
                )
            return float(f"{self.units.factor(unit) / self.units.factor(entry.unit):.15g}")
        except UnitError as wrong:
            raise InputError(str(wrong), where) from None

    def _errors(
        self, entry: ParameterEntry, key: tuple[str, ...], dims: tuple[str, ...], grades: set[str]
    ) -> dict[str, Errors]:
        for dim in entry.errors or {}:
            if dim not in dims:
                message = (
                    f"errors along {dim!r}, which is no dim of this parameter; {nearest(dim, dims)}"
                )
                raise self.document.error(message, *key, "errors", dim)
        found: dict[str, Errors] = {}
        uncertain = bool(grades)
        for dim in dims if uncertain else ():
            said = self._said(entry, key, dim, grades)
            try:
                found[dim] = parse_errors(said, dim)
            except ValueError as wrong:
                own = dim in (entry.errors or {})
                owner = key if own else ("grades", min(grades))
                raise self.document.error(str(wrong), *owner, "errors", dim) from None
        return found

    def _said(self, entry: ParameterEntry, key: tuple[str, ...], dim: str, grades: set[str]) -> str:
        if entry.errors and dim in entry.errors:
            return entry.errors[dim]
        said = {
            grade: (self.file.grades[grade].errors or {}).get(dim) if grade else None
            for grade in sorted(grades)
        }
        if None in said.values():
            silent = next(grade for grade, text in said.items() if text is None)
            owner = f"its grade {silent!r}" if silent else f"parameter {key[1]!r}"
            message = f"{owner} does not say how errors hang together along {dim!r}; "
            raise self.document.error(f"{message}add errors: {{{dim}: ...}} with {CHOICES}", *key)
        if len(set(said.values())) > 1:
            message = f"the grades of {key[1]!r} disagree on the errors along {dim!r}: {said}; "
            raise self.document.error(
                f"{message}say errors: {{{dim}: ...}} for the parameter", *key
            )
        return str(next(iter(said.values())))


def _cell_name(name: str, labels: tuple[str, ...]) -> str:
    return f"parameter {name!r}" + (f" [{', '.join(labels)}]" if labels else "")


def _own(entry: ParameterEntry) -> dict[str, float]:
    return {k: getattr(entry, k) for k in KEYS if getattr(entry, k, None) is not None}


def _given(
    entry: ParameterEntry,
    grade: GradeEntry | None,
    cell: Cell,
    scale: float,
    distribution: str,
) -> dict[str, float]:
    """Return the numbers of a distribution in model units, the nearest to the cell first."""
    own = _own(entry)
    given: dict[str, float] = {"cv": grade.cv} if grade and grade.cv is not None else {}
    if "sd" in own or "sd" in cell.numbers:
        given.pop("cv", None)
    given |= {k: v for k, v in own.items() if k != "value"}
    given |= cell.numbers
    given = {k: v * scale if k in _WITH_UNIT else v for k, v in given.items()}
    if "mu" in given:
        given["mu"] += math.log(scale)
    if distribution == "constant":
        return {k: v for k, v in given.items() if k in ("value", "mean")}
    return given


def _marginal(
    entry: ParameterEntry,
    given: Mapping[str, float],
    factor: float,
    distribution: str,
    name: str,
    where: str,
) -> Marginal:
    lists: dict[str, list[float]] = {}
    if entry.values:
        lists["values"] = [value * factor for value in entry.values]
    if entry.weights is not None:
        lists["weights"] = entry.weights
    try:
        found = marginal(distribution, given, lists)
        if not all(map(math.isfinite, (found.central, *found.numbers))):
            raise OverflowError
        return found
    except (ValueError, ArithmeticError) as wrong:
        extreme = isinstance(wrong, ArithmeticError)
        reason = "the numbers are too large or too small to compute with" if extreme else wrong
        raise InputError(f"{name}: {reason}", where) from None


def _with_spread(table: Table, cell: Cell, dims: tuple[str, ...]) -> Cell:
    """Return the cell with its cv and sd as numbers, where its row gives them."""
    given = {c: cell.words[c] for c in _SPREAD if cell.words.get(c) and c not in dims}
    own = {column: table.number(cell.line, column, text) for column, text in given.items()}
    return replace(cell, numbers=cell.numbers | own)


def _rated(
    scorer: Scorer | None,
    entry: ParameterEntry,
    cell: Cell,
    said: str | None,
    name: str,
    where: str,
) -> tuple[Cell, Rating | None, str | None]:
    """Return a cell with the cv of its scores, its rating, and its distribution."""
    if scorer is None:
        return cell, None, said
    cell, rating = scorer.rate(cell, name, where)
    distribution = said or _by_spread({**_own(entry), **cell.numbers})
    if rating:
        rating = replace(rating, distribution=distribution if rating.cv else "constant")
    return cell, rating, distribution


def _by_spread(numbers: Mapping[str, Any]) -> str:
    """Return the distribution of a cell of a parameter with scores that names none."""
    mean = numbers.get("mean", numbers.get("value"))
    if "sd" not in numbers or not isinstance(mean, int | float):
        return by_cv(numbers.get("cv", 0.0))
    # A mean that is not positive can be no lognormal's.
    return by_cv(numbers["sd"] / mean) if mean > 0 else "normal"
