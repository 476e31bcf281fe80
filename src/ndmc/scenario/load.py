"""Load a scenario: a folder with scenario.yaml and tables, read once and checked whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path

from ndmc.errors import InputError, nearest
from ndmc.scenario.changes import change, full_path, plain_value, varied
from ndmc.scenario.checks import check_described, check_grades, check_names, read_correlations
from ndmc.scenario.document import Document, read_document, whole
from ndmc.scenario.labels import read_dims
from ndmc.scenario.mistakes import validate_document
from ndmc.scenario.parameter_reader import read_parameter
from ndmc.scenario.scenario import Figure, Scenario
from ndmc.scenario.schema import FigureEntry, ScenarioFile
from ndmc.scenario.units import UnitError, UnitSystem
from ndmc.scenario.unused import warn_of_unused
from ndmc.scenario.written import Written

__all__ = ["as_scenario", "build", "bundled", "find", "load", "load_each"]

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
    if "://" in str(source):  # not shown: it may hold a password
        raise InputError("a scenario is a folder or a file of this machine, and no URL")
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

    Warns
    -----
    StudyWarning
        For what nothing uses: parameters, grades and dims.

    Examples
    --------
    >>> load("china_nd").dims.years[:2]
    (2001, 2002)
    """
    return next(load_each(source, variant=variant, changes=changes))


def load_each(
    source: str | Path, *, variant: str = "", changes: Mapping[str, str] | None = None
) -> Iterator[Scenario]:
    """Yield a scenario as `load` returns it, then each of its variants; its file is read once.

    Raises
    ------
    InputError
        As `load`.

    Examples
    --------
    >>> [scenario.variant for scenario in load_each("starter")][:1]
    ['']
    """
    path = find(source)
    given = {whole(name): whole(value) for name, value in (changes or {}).items()}
    document = read_document(path)
    loaded = build(document, path.parent, variant or "", given)
    warn_of_unused(document, loaded)
    yield loaded
    for other in loaded.file.variants:
        yield build(document, path.parent, other, given)


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
    unchanged = document
    document, file = _with_changes(document, variant, changes)
    units = _units(document, file)
    written = Written(folder, unchanged, document, file, read_dims(document, file), units)
    check_names(document, file, written.dims)
    check_grades(document, file)
    parameters = {name: read_parameter(written, name) for name in file.parameters}
    check_described(document, parameters)
    return Scenario(
        name=file.name,
        folder=folder,
        document=document,
        file=file,
        dims=written.dims,
        units=units,
        parameters=parameters,
        figures=_figures(written),
        tables={name: written.tables[name].text for name in sorted(written.tables)},
        correlations=read_correlations(document, file, parameters),
        variant=variant,
        changes=changes,
    )


def _with_changes(
    document: Document, variant: str, changes: Mapping[str, str]
) -> tuple[Document, ScenarioFile]:
    """Return a document with a variant's changes and others made to it, and what it says then."""
    file = validate_document(document, ScenarioFile)
    if not (variant or changes):
        return document, file
    if variant:
        if variant not in file.variants:
            message = f"{file.name} has no variant {variant!r}; {nearest(variant, file.variants)}"
            raise InputError(message, "--variant")
        document = varied(document, file, variant)
    for path, text in changes.items():
        where = f"--set {path}={text}"
        document = change(document, full_path(file, path), plain_value(text, where), where)
    return document, validate_document(document, ScenarioFile)


def _units(document: Document, file: ScenarioFile) -> UnitSystem:
    try:
        return UnitSystem(file.unit)
    except UnitError as wrong:
        raise document.error(str(wrong), "unit") from None


def _figures(written: Written) -> tuple[Figure, ...]:
    document, published = written.document, written.file.published
    if published is None:
        return ()
    if published.variant and published.variant not in written.file.variants:
        hint = nearest(published.variant, written.file.variants)
        message = f"unknown variant {published.variant!r}; {hint}"
        raise document.error(message, "published", "variant")
    found = [
        Figure(entry, document.where("published", "figures", index))
        for index, entry in enumerate(published.figures)
    ]
    if published.table:
        table = written.table(published.table, "published", "table")
        for line, cells in table.rows():
            row = dict(zip(table.header, cells, strict=True))
            found.append(Figure(_figure(table.path, line, row), table.where(line)))
    return tuple(found)


def _figure(path: Path, line: int, row: dict[str, str]) -> FigureEntry:
    return validate_document(Document(path, "", dict(row), {(): line}), FigureEntry)
