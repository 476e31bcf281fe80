"""A scenario as it is written: its file, and the folder its tables lie in."""

from __future__ import annotations

import contextlib
import functools
import itertools
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from ndmc.dims import Dims
from ndmc.errors import InputError, nearest
from ndmc.scenario.changes import varied
from ndmc.scenario.document import Document
from ndmc.scenario.mistakes import validate_document
from ndmc.scenario.schema import ParameterEntry, ScenarioFile, TableEntry
from ndmc.scenario.tables import Table, read_table
from ndmc.scenario.units import UnitError, UnitSystem

#: The grade of a parameter whose cells each have that of their confidence.
BY_CONFIDENCE = "by_confidence"


@dataclass(frozen=True)
class Written:
    """A file with the keys of the schema, its dims and units, before its parameters are read.

    ``unchanged`` is the file before changes; ``tables`` are those that were read, by name.
    """

    folder: Path
    unchanged: Document
    document: Document
    file: ScenarioFile
    dims: Dims
    units: UnitSystem
    tables: dict[str, Table] = field(default_factory=dict)

    def table(self, name: str, *key: str | int) -> Table:
        """Return a table of the scenario, read once however many parameters it has."""
        if name not in self.tables:
            self.tables[name] = read_table(self._path(name, *key))
        return self.tables[name]

    @property
    def other_years(self) -> bool:
        """Whether it has other years than its tables were made for, by a change or as an extension.

        Then what they give of further years is left aside.
        """
        said = [layer for layer in self.document.layers if ("years",) in layer.lines]
        return ("years",) in self.document.overrides or len(said) > 1

    def versions(self) -> Iterator[ScenarioFile]:
        """Yield the file with its changes, without, and under each of its variants."""
        yield self.file
        file = validate_document(self.unchanged, ScenarioFile)
        yield file
        for name in file.variants:
            with contextlib.suppress(InputError):  # a wrong one is told where it is asked for
                yield validate_document(varied(self.unchanged, file, [name]), ScenarioFile)

    def _path(self, name: str, *key: str | int) -> Path:
        """Return the path of a file of the scenario, or of one that it extends.

        Nothing outside their folders is ever read.
        """
        bases = itertools.islice(self.document.layers, 1, None)
        folders = [self.folder, *(base.path.parent for base in bases)]
        for folder in folders:
            if path := self._path_in(folder, name, *key):
                return path
        others = {p.name for folder in folders for p in folder.glob("*.csv")}
        shown = " and ".join(map(str, folders))
        message = f"the file {name!r} does not exist in {shown}; {nearest(name, sorted(others))}"
        raise self.document.error(message, *key)

    def _path_in(self, folder: Path, name: str, *key: str | int) -> Path | None:
        """Return the path of a file of a folder, if there is one."""
        path = _spelt(folder / name)
        try:
            inside = path.resolve().is_relative_to(folder.resolve())
            present, regular = path.exists(), path.is_file()
        except UnicodeEncodeError:
            message = f"the locale has names in {sys.getfilesystemencoding()} only, not {name!r}"
            advice = "set LC_ALL=C.UTF-8 or PYTHONUTF8=1"
            raise self.document.error(f"{message}; {advice}", *key) from None
        except (OSError, RuntimeError, ValueError):  # a circle of links, a name no file can have
            raise self.document.error(f"{name!r} cannot name a table", *key) from None
        if not inside or ".." in Path(name).parts or Path(name).is_absolute() or "\\" in name:
            message = f"{name!r} leads out of the scenario's folder; tables must lie inside it"
            raise self.document.error(message, *key)
        if present and not regular:
            raise self.document.error(f"{name!r} is not a regular file", *key)
        return path if present else None


def grades_of(entry: ParameterEntry, file: ScenarioFile) -> set[str]:
    """Return the names of the grades that cells of a parameter may have; empty for none."""
    return {*file.confidence.values()} if entry.grade == BY_CONFIDENCE else {entry.grade or ""}


def kinds_of(entry: ParameterEntry, file: ScenarioFile, grades: Iterable[str]) -> set[str]:
    """Return the distributions that cells of these grades may have."""
    found: set[str] = set()
    for name in grades:
        grade = file.grades.get(name)
        said = entry.distribution or (grade.distribution if grade else None)
        found |= {said} if said else {"normal", "lognormal"}
    return found


def _spelt(path: Path) -> Path:
    """Return the file whose name has the same letters, if they are only encoded otherwise."""
    if path.name.isascii() or path.exists() or not path.parent.is_dir():
        return path
    alike = (p for p in path.parent.iterdir() if unicodedata.normalize("NFC", p.name) == path.name)
    return next(alike, path)


@dataclass(frozen=True)
class WrittenParameter:
    """One parameter of a scenario as it is written; of several tables with one ``part`` only."""

    within: Written
    name: str
    part: int | None = None

    @property
    def entry(self) -> ParameterEntry:
        """What the file says of it."""
        entry = self.within.file.parameters[self.name]
        return entry if self.part is None else entry.alone[self.part]

    @property
    def key(self) -> tuple[str, str]:
        """Where it stands in the file."""
        return ("parameters", self.name)

    def at(self, *key: str) -> tuple[str | int, ...]:
        """Return where a key of it stands in the file."""
        of_table = self.part is not None and key and key[0] in TableEntry.model_fields
        return (*self.key, *(("table", self.part or 0) if of_table else ()), *key)

    def error(self, message: str, *key: str) -> InputError:
        """Return an error at a key of it."""
        return self.within.document.error(message, *self.at(*key))

    def of_table(self, part: int) -> WrittenParameter:
        """Return the same with one of its tables as its only one."""
        return replace(self, part=part)

    @property
    def may_lie_outside(self) -> bool:
        """Whether years that the scenario does not have may be given."""
        return bool(self.entry.missing) or self.within.other_years

    def scale_of(self, unit: str) -> float:
        """Return what a unit is in that of the parameter.

        Raises
        ------
        UnitError
            If it is none, or of another dimension.
        """
        units, own = self.within.units, self.entry.unit
        if units.dimension(unit) != units.dimension(own):
            wanted = f"the parameter's unit {units.as_read(own)}"
            raise UnitError(f"{units.as_read(unit)} cannot be converted to {wanted}")
        return units.factor(unit) / units.factor(own)

    def row_scale(self, unit: str) -> float:
        """Return the same as a row has it, whose unit is the parameter's if it says none.

        Raises
        ------
        UnitError
            As `scale_of`.
        """
        own = not unit or unit == self.entry.unit
        return 1.0 if own else float(f"{self.scale_of(unit):.15g}")

    @functools.cached_property
    def dims(self) -> tuple[str, ...]:
        """Its dims in the order of arrays."""
        labels, given = self.within.dims.labels, self.entry.dims
        for dim in given:
            if dim not in labels:
                raise self.error(f"unknown dim {dim!r}; {nearest(dim, labels)}", "dims")
        if len(set(given)) < len(given):
            raise self.error("a dim stands twice", "dims")
        if clash := self.within.dims.clash(given):
            message = f"{clash[0]!r} and {clash[1]!r} group the same labels; name one of them"
            raise self.error(message, "dims")
        return self.within.dims.ordered(given)

    @property
    def nested(self) -> tuple[str, ...]:
        """The dims whose labels name a cell, as values by label nest: parents before children."""
        dims = self.within.dims
        return tuple(dict.fromkeys(dim for own in self.entry.dims for dim in dims.named([own])))
