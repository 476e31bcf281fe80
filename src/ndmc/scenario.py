"""Load a scenario: a folder with scenario.yaml and tables, read once and checked whole."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from ndmc.dependence import cholesky
from ndmc.dims import Dims
from ndmc.distributions import superfluous
from ndmc.document import Document, parse_document, read_document
from ndmc.errors import InputError, RunError, nearest
from ndmc.parameters import Parameter, Reader
from ndmc.schema import FigureEntry, ScenarioFile, validate_document
from ndmc.tables import read_table
from ndmc.units import UnitError, UnitSystem

__all__ = ["Figure", "Scenario", "bundled", "load"]

FILE = "scenario.yaml"
STARTER = "starter"
_YEARS = re.compile(r"\s*(\d{1,4})\s*\.\.\s*(\d{1,4})\s*")
_MAX_YEARS = 2000
# Names that a store needs for itself, and what it adds to the names of what it holds.
_OWN = (
    "step",
    "draw",
    "quantile",
    "equation",
    "ledger",
    "inputs",
    "parameters",
    "percentiles",
    "tables",
)
_QUALITY_SUFFIXES = ("_scores", "_sensitivity", "_cv", "_distribution")
_SUFFIXES = ("_low", "_high", "_mean", "_sd", "_group", "_source", "_confidence")


@dataclass(frozen=True)
class Figure:
    """A published figure, and where it was read."""

    entry: FigureEntry
    where: str


@dataclass(frozen=True)
class Scenario:
    """One complete description of a material cycle.

    ``tables`` holds the text of every table it uses, so that a store can carry them;
    ``hash`` identifies their content together with the changes made to them.
    """

    name: str
    folder: Path
    document: Document
    file: ScenarioFile
    dims: Dims
    units: UnitSystem
    parameters: dict[str, Parameter]
    correlations: tuple[tuple[tuple[str, ...], tuple[tuple[float, ...], ...]], ...]
    figures: tuple[Figure, ...]
    variant: str
    changes: dict[str, str]
    tables: dict[str, str] = field(repr=False)

    @property
    def hash(self) -> str:
        """SHA-256 of every text, the variant and the changes."""
        parts = [
            self.document.text,
            *sorted(self.tables.items()),
            ("variant", self.variant),
            *sorted(self.changes.items()),
        ]
        return hashlib.sha256(repr(parts).encode()).hexdigest()


def bundled() -> list[str]:
    """Return the names of the scenarios that come with ndmc.

    Examples
    --------
    >>> "china_nd" in bundled()
    True
    """
    root = Path(str(files("ndmc_scenarios")))
    return sorted(path.parent.name for path in root.glob(f"*/{FILE}"))


def find(source: str | Path) -> Path:
    """Return the scenario file of a bundled name, a folder or a file.

    Raises
    ------
    InputError
        If there is none.
    """
    path = Path(source)
    if str(source) in bundled():
        return Path(str(files("ndmc_scenarios"))) / str(source) / FILE
    try:
        is_folder, is_file = path.is_dir(), path.is_file()
    except OSError as failed:
        raise InputError(f"cannot be read: {failed.strerror}", str(source)) from None
    if is_folder:
        if (path / FILE).is_file():
            return path / FILE
        raise InputError(f"the folder {path} holds no {FILE}; is it a scenario?")
    if is_file:
        return path
    if path.suffix or len(path.parts) > 1:
        raise InputError(f"there is no scenario at {str(path)!r}")
    hint = nearest(str(source), bundled())
    raise InputError(f"no bundled scenario {str(source)!r}, and no such folder; {hint}")


def load(
    source: str | Path, *, variant: str = "", changes: Mapping[str, str] | None = None
) -> Scenario:
    """Read and check a scenario.

    Parameters
    ----------
    source
        Name of a bundled scenario, or path of a scenario folder or file.
    variant
        Name of one of the scenario's variants; the scenario as it stands if empty.
    changes
        Further changes, ``{"name": "value"}`` for the value of a parameter or
        ``{"stocks.in_use.inflow_at": "end"}`` for any key of the file.

    Returns
    -------
    Scenario
        Checked; nothing has been computed.

    Raises
    ------
    InputError
        For the first mistake found, with file and line.

    Examples
    --------
    >>> load("china_nd").dims.years[:2]
    (2001, 2002)
    """
    path = find(source)
    return build(read_document(path), path.parent, variant, dict(changes or {}))


def build(document: Document, folder: Path, variant: str, changes: dict[str, str]) -> Scenario:
    """Return the scenario of a document whose tables lie in ``folder``."""
    original = document
    file = validate_document(document, ScenarioFile)
    if variant and variant not in file.variants:
        raise InputError(
            f"{file.name} has no variant {variant!r}; {nearest(variant, file.variants)}",
            "--variant",
        )
    if variant:
        for path, value in file.variants[variant].changes.items():
            where = document.where("variants", variant, "set", path)
            document = _change(document, path, value, where)
    for path, text in changes.items():
        where = f"--set {path}={text}"
        document = _change(document, _full_path(file, path), _plain(text, where), where)
    if document is not original:
        file = validate_document(document, ScenarioFile)
    try:
        units = UnitSystem(file.unit)
    except UnitError as wrong:
        raise document.error(str(wrong), "unit") from None
    dims = _dims(document, file)
    reader = Reader(folder, document, file, dims, units)
    _check_names(document, file, dims)
    _check_grades(document, file)
    parameters = {name: reader.read(name) for name in file.parameters}
    _check_described(document, parameters)
    figures = _figures(reader)
    names = {entry.table for entry in file.parameters.values() if entry.table}
    if file.published and file.published.table:
        names.add(file.published.table)
    tables = {name: (folder / name).read_text(encoding="utf-8-sig") for name in sorted(names)}
    return Scenario(
        name=file.name,
        folder=folder,
        document=document,
        file=file,
        dims=dims,
        units=units,
        parameters=parameters,
        correlations=_correlations(document, file, parameters),
        figures=figures,
        variant=variant,
        changes=changes,
        tables=tables,
    )


def _plain(text: str, where: str) -> Any:
    try:
        return parse_document(f"value: {text}", Path("--set")).data["value"]
    except InputError as wrong:
        raise InputError(f"cannot read the value {text!r}: {wrong.message}", where) from None


def _full_path(file: ScenarioFile, path: str) -> str:
    """Return the dotted path; a bare name means the value of that parameter."""
    if "." in path:
        return path
    if path not in file.parameters:
        raise InputError(
            f"no parameter {path!r}; {nearest(path, file.parameters)} "
            "(other keys are written in full, such as stocks.in_use.inflow_at=end)",
            f"--set {path}",
        )
    if file.parameters[path].value is None:
        raise InputError(
            f"parameter {path!r} has no single value to set; "
            f"change a key of it, such as parameters.{path}.grade",
            f"--set {path}",
        )
    return f"parameters.{path}.value"


def _change(document: Document, path: str, value: Any, where: str) -> Document:
    """Return the document with the entry at a dotted path replaced; its parents must exist."""
    keys = path.split(".")
    data = dict(document.data)
    inner = data
    for depth, key in enumerate(keys[:-1]):
        if not isinstance(inner.get(key), dict):
            known = [name for name in inner if isinstance(inner[name], dict)]
            message = f"nothing to set at {'.'.join(keys[: depth + 1])!r}; {nearest(key, known)}"
            raise InputError(message, where)
        inner[key] = dict(inner[key])
        inner = inner[key]
    inner[keys[-1]] = value
    overrides = {**document.overrides, tuple(keys): where}
    return replace(document, data=data, overrides=overrides)


def _dims(document: Document, file: ScenarioFile) -> Dims:
    match = _YEARS.fullmatch(file.years)
    if not match:
        message = f"years is {file.years!r}; write the first and the last, such as 2001..2021"
        raise document.error(message, "years")
    first, last = int(match[1]), int(match[2])
    if last < first:
        message = f"years run backwards, from {first} to {last}; write {last}..{first}"
        raise document.error(message, "years")
    if last - first >= _MAX_YEARS:
        raise document.error(f"more than {_MAX_YEARS} years", "years")
    labels, groups = {}, {}
    for name, entry in file.dims.items():
        if name in ("year", "cohort", "draw", "quantile", "quality_indicator", "equation"):
            raise document.error(
                f"{name!r} is a dim of ndmc's own; choose another name", "dims", name
            )
        if len(set(entry.labels)) < len(entry.labels):
            twice = next(label for label in entry.labels if entry.labels.count(label) > 1)
            raise document.error(f"the label {twice!r} stands twice", "dims", name)
        labels[name] = tuple(entry.labels)
        groups[name] = _groups(document, name, entry.labels, entry.groups)
    years = tuple(str(year) for year in range(first, last + 1))
    labels |= _age_labels(document, file, labels.pop("age", None), years)
    return Dims({**labels, "year": years}, groups)


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


def _groups(
    document: Document, dim: str, labels: list[str], groups: dict[str, list[str]]
) -> dict[str, tuple[str, ...]]:
    key = ("dims", dim, "groups")
    seen: dict[str, str] = {}
    for group, members in groups.items():
        if group in labels:
            raise document.error(f"the group {group!r} has the name of a label", *key, group)
        for member in members:
            if member not in labels:
                message = f"{dim} has no label {member!r}; {nearest(member, labels)}"
                raise document.error(message, *key, group)
            if member in seen:
                message = f"{member!r} is in the groups {seen[member]!r} and {group!r}"
                raise document.error(message, *key, group)
            seen[member] = group
    left = [label for label in labels if label not in seen] if groups else []
    if left:
        raise document.error(f"{left[0]!r} is in no group; every label must be in one", *key)
    return {group: tuple(members) for group, members in groups.items()}


def _check_names(document: Document, file: ScenarioFile, dims: Dims) -> None:
    taken = dict.fromkeys((*_OWN, *dims.labels), "a dim or a word of ndmc's own")
    for kind in ("parameters", "flows", "stocks", "indicators"):
        for name in getattr(file, kind):
            if name in taken:
                raise document.error(f"the name {name!r} is taken: {taken[name]}", kind, name)
            taken[name] = f"one of the {kind}"
    for kind in ("parameters", "flows", "stocks", "indicators"):
        for name in getattr(file, kind):
            stem = next((name.removesuffix(s) for s in _SUFFIXES if name.endswith(s)), "")
            if stem in taken:
                message = (
                    f"the name {name!r} is taken: a store describes {stem!r} under it; rename one"
                )
                raise document.error(message, kind, name)
    for word, grade in file.confidence.items():
        if grade not in file.grades:
            message = f"unknown grade {grade!r}; {nearest(grade, file.grades)}"
            raise document.error(message, "confidence", word)
    for kind in ("flows", "stocks"):
        for name, entry in getattr(file, kind).items():
            for dim in entry.dims:
                if dim not in dims.labels or dim in ("age", "cohort", "year"):
                    known = [d for d in dims.labels if d not in ("age", "cohort", "year")]
                    hint = "every flow and stock has it" if dim == "year" else nearest(dim, known)
                    raise document.error(f"unknown dim {dim!r}; {hint}", kind, name, "dims")
    _check_nodes(document, file)
    outputs = [*file.flows, *file.stocks, *file.indicators]
    for key in ("keep", "headline"):
        for index, name in enumerate(getattr(file, key) or []):
            if name not in outputs and not (key == "keep" and name in file.parameters):
                message = f"{name!r} is no flow, stock or indicator; {nearest(name, outputs)}"
                raise document.error(message, key, index)


def _check_grades(document: Document, file: ScenarioFile) -> None:
    for name, grade in file.grades.items():
        if grade.quality is None and grade.distribution is None:
            message = f"the key 'grades.{name}.distribution' is missing"
            raise document.error(message, "grades", name)
        if grade.quality and grade.cv is not None:
            message = "give either quality or cv, not both: scores say how wide it is"
            raise document.error(message, "grades", name, "cv")
        if grade.quality and grade.distribution and superfluous({grade.distribution}, {"cv"}):
            message = f"a quality means nothing to {grade.distribution}; remove it"
            raise document.error(message, "grades", name, "quality")


def _check_described(document: Document, parameters: Mapping[str, Parameter]) -> None:
    """Refuse a parameter under whose name a store describes the quality of another."""
    for name in parameters:
        stem = next((name.removesuffix(s) for s in _QUALITY_SUFFIXES if name.endswith(s)), "")
        if stem in parameters and any(parameters[stem].ratings):
            message = f"the name {name!r} is taken: a store describes {stem!r} under it; rename one"
            raise document.error(message, "parameters", name)


def _check_nodes(document: Document, file: ScenarioFile) -> None:
    if len(set(file.processes)) < len(file.processes):
        raise document.error("a process stands twice", "processes")
    nodes = [*file.processes, *(file.environment or [])]
    for index, node in enumerate(file.environment or []):
        if node in file.processes:
            message = f"{node!r} is both a process and in the environment; keep one"
            raise document.error(message, "environment", index)
    for name, flow in file.flows.items():
        if flow.origin == flow.target:
            message = f"flow {name!r} starts and ends in {flow.origin!r}"
            raise document.error(message, "flows", name)
        for end, node in (("from", flow.origin), ("to", flow.target)):
            near = difflib.get_close_matches(node, file.processes, n=1, cutoff=0.8)
            unknown = (
                node not in nodes
                if file.environment is not None
                else (node not in file.processes and bool(near))
            )
            if unknown:
                message = f"unknown process {node!r}; {nearest(node, nodes)}"
                hint = "(nodes outside the balance are listed under 'environment')"
                raise document.error(f"{message} {hint}", "flows", name, end)
    used = {node for flow in file.flows.values() for node in (flow.origin, flow.target)}
    for key, listed in (("processes", file.processes), ("environment", file.environment or [])):
        for index, node in enumerate(listed):
            if node not in used:
                raise document.error(f"no flow touches {node!r}; remove it or add one", key, index)
    holders: dict[str, str] = {}
    for name, stock in file.stocks.items():
        if stock.process not in file.processes:
            message = f"unknown process {stock.process!r}; {nearest(stock.process, file.processes)}"
            raise document.error(message, "stocks", name, "process")
        if stock.process in holders:
            message = (
                f"process {stock.process!r} already holds the stock {holders[stock.process]!r}"
            )
            raise document.error(f"{message}; split the process", "stocks", name, "process")
        holders[stock.process] = name


def _correlations(
    document: Document, file: ScenarioFile, parameters: dict[str, Parameter]
) -> tuple[tuple[tuple[str, ...], tuple[tuple[float, ...], ...]], ...]:
    found = []
    seen: set[str] = set()
    for index, entry in enumerate(file.correlations):
        key = ("correlations", index)
        for name in entry.parameters:
            if name not in parameters:
                raise document.error(
                    f"unknown parameter {name!r}; {nearest(name, parameters)}", *key
                )
            if name in seen:
                message = f"parameter {name!r} is correlated twice; put it in one matrix"
                raise document.error(message, *key)
            if not parameters[name].uncertain:
                raise document.error(f"parameter {name!r} is certain, nothing to correlate", *key)
            seen.add(name)
        first = parameters[entry.parameters[0]]
        for name in entry.parameters[1:]:
            if (parameters[name].dims, parameters[name].errors) != (first.dims, first.errors):
                message = f"{first.name!r} and {name!r} must have the same dims and the same errors"
                raise document.error(f"{message} to be correlated cell by cell", *key)
        if len(entry.matrix) != len(entry.parameters):
            message = f"{len(entry.parameters)} parameters but {len(entry.matrix)} rows"
            raise document.error(message, *key, "matrix")
        try:
            factor = cholesky(entry.matrix)
        except ValueError as wrong:
            raise document.error(str(wrong), *key, "matrix") from None
        found.append((tuple(entry.parameters), tuple(tuple(row) for row in factor.tolist())))
    return tuple(found)


def _figures(reader: Reader) -> tuple[Figure, ...]:
    document, published = reader.document, reader.file.published
    if published is None:
        return ()
    if published.variant and published.variant not in reader.file.variants:
        hint = nearest(published.variant, reader.file.variants)
        message = f"unknown variant {published.variant!r}; {hint}"
        raise document.error(message, "published", "variant")
    found = [
        Figure(entry, document.where("published", "figures", index))
        for index, entry in enumerate(published.figures)
    ]
    if published.table:
        table = read_table(reader.path(published.table, "published", "table"))
        for line, row in table.rows:
            found.append(Figure(_figure(table.path, line, row), table.where(line)))
    return tuple(found)


def _figure(path: Path, line: int, row: dict[str, str]) -> FigureEntry:
    return validate_document(Document(path, "", dict(row), {(): line}), FigureEntry)


def create_from_starter(folder: Path) -> Path:
    """Copy the commented starting scenario to a new folder and return its scenario file.

    Raises
    ------
    InputError
        If the folder exists and holds something, or its name cannot be a scenario's.
    RunError
        If it cannot be written.
    """
    name = folder.resolve().name
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise InputError(f"{name!r} cannot name a scenario; use letters, digits and _")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{str(folder)!r} exists already; choose another folder")
    starter = find(STARTER).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(starter.iterdir()):
            if path.suffix in (".yaml", ".csv", ".md"):
                text = path.read_text(encoding="utf-8")
                (folder / path.name).write_text(text.replace(STARTER, name), encoding="utf-8")
    except OSError as failed:
        raise RunError(f"cannot write {str(folder)!r}: {failed.strerror}") from None
    return folder / FILE
