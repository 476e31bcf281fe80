"""Load a scenario: a folder with scenario.yaml and tables, read once and checked whole."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from ndmc.errors import InputError, nearest
from ndmc.scenario.changes import change, full_path, plain_value
from ndmc.scenario.checks import check_described, check_grades, check_names, read_correlations
from ndmc.scenario.document import Document, read_document
from ndmc.scenario.labels import read_dims
from ndmc.scenario.parameters import Reader
from ndmc.scenario.scenario import Figure, Scenario
from ndmc.scenario.schema import FigureEntry, ScenarioFile, validate_document
from ndmc.scenario.tables import read_table
from ndmc.scenario.units import UnitError, UnitSystem

__all__ = ["FILE", "as_scenario", "build", "bundled", "find", "load"]

FILE = "scenario.yaml"


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


def as_scenario(
    source: Scenario | str | Path, *, variant: str = "", changes: Mapping[str, str] | None = None
) -> Scenario:
    """Return a scenario that is loaded already as it is, and load any other.

    Raises
    ------
    InputError
        As `load`, and if a loaded scenario is to be changed.

    Examples
    --------
    >>> as_scenario(load("starter")).name == as_scenario("starter").name
    True
    """
    if not isinstance(source, Scenario):
        return load(source, variant=variant, changes=changes)
    if variant or changes:
        raise InputError("variant and changes belong to load() when the scenario is loaded already")
    return source


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
            document = change(document, path, value, where)
    for path, text in changes.items():
        where = f"--set {path}={text}"
        document = change(document, full_path(file, path), plain_value(text, where), where)
    if document is not original:
        file = validate_document(document, ScenarioFile)
    try:
        units = UnitSystem(file.unit)
    except UnitError as wrong:
        raise document.error(str(wrong), "unit") from None
    dims = read_dims(document, file)
    reader = Reader(folder, document, file, dims, units)
    check_names(document, file, dims)
    check_grades(document, file)
    parameters = {name: reader.read(name) for name in file.parameters}
    check_described(document, parameters)
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
        correlations=read_correlations(document, file, parameters),
        figures=figures,
        variant=variant,
        changes=changes,
        tables=tables,
    )


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
