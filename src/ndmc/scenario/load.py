"""Load a scenario: a folder with scenario.yaml and tables, read once and checked whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ndmc.dims import Dims
from ndmc.errors import InputError, Mistakes, shortened
from ndmc.given import as_variant
from ndmc.label import LabelError
from ndmc.scenario.changes import as_texts, changed, refuse_both, varied
from ndmc.scenario.checks import (
    read_correlations,
    wrong_grades,
    wrong_names,
    wrongly_described,
)
from ndmc.scenario.columns import check_figures
from ndmc.scenario.declared_units import read_units
from ndmc.scenario.document import Document
from ndmc.scenario.ensembles import Member, read_ensemble
from ndmc.scenario.extending import read_extended, reread
from ndmc.scenario.labels import is_year, read_dims
from ndmc.scenario.mistakes import validate_document
from ndmc.scenario.named_groups import groups_of, owners
from ndmc.scenario.parameter_reader import read_parameter
from ndmc.scenario.parameters import Parameter
from ndmc.scenario.percents import warn_of_fractions
from ndmc.scenario.places import find
from ndmc.scenario.published import FigureEntry
from ndmc.scenario.scenario import Figure, Scenario
from ndmc.scenario.schema import ScenarioFile
from ndmc.scenario.units import UnitError, UnitSystem
from ndmc.scenario.unused import warn_of_unused
from ndmc.scenario.variants import named_variants
from ndmc.scenario.written import BY_CONFIDENCE, Written

__all__ = ["as_scenario", "build", "load", "load_each", "same_changes", "under", "with_members"]


def load(
    source: str | Path,
    *,
    variant: str | Iterable[str] = "",
    changes: Mapping[str, Any] | None = None,
    ensemble: str | bool | Mapping[str, Any] | None = None,
) -> Scenario:
    """Read and check a scenario.

    Parameters
    ----------
    source
        Name of a bundled scenario, or path of a scenario folder or file.
    variant
        Name of one of the scenario's variants, or of several, ``"a,b"`` or a list, whose order is
        the same; the scenario as it stands if empty.
    changes
        Further changes, ``{"name": 12}`` for the value of a parameter or
        ``{"stocks.in_use.inflow_at": "end"}`` for any key of the file: numbers, lists and dicts,
        or texts as the file has them, such as ``"12 %"``. Of numbers of parameters also how they
        change, ``"x1.2"``, ``"+20 %"`` or ``"-5 kt"``, and of single labels:
        ``{"content[product=car year=2022..2030]": "x1.2"}``.
    ensemble
        Which of its ensembles to load the members of: a name, True for the only one, or a dict
        such as ``{"policies": ["base", "less_waste"]}``.

    Returns
    -------
    Scenario
        Checked; nothing has been computed.

    Raises
    ------
    InputError
        For every mistake, with file and line.

    Warns
    -----
    StudyWarning
        For what nothing uses: parameters, grades and dims; for parameters in % that may be meant
        as shares of one.

    Examples
    --------
    >>> load("china_nd").dims.years[:2]
    (2001, 2002)
    """
    found = _whole(next(load_each(source, variant=variant, changes=changes)))
    return with_members(found, ensemble) if ensemble else found


def with_members(scenario: Scenario, asked: str | bool | Mapping[str, Any]) -> Scenario:
    """Return a scenario with the members of an ensemble, each loaded.

    Raises
    ------
    InputError
        If there is no such ensemble, a member cannot be loaded, or has other dims.

    Examples
    --------
    >>> found = with_members(load("starter"), {"policies": ["base", "long_lives"]})
    >>> [one.label for one in found.ensemble.members], len(found.members)
    (['base', 'long_lives'], 2)
    """
    document, file = scenario.document, scenario.file
    ensemble = read_ensemble(document, file, scenario.folder, asked)
    plain = reread(document)
    members = tuple(_member(scenario, plain, one) for one in ensemble.members)
    for one, loaded in zip(ensemble.members, members, strict=True):
        for dim, labels in loaded.dims.labels.items():
            if labels != members[0].dims.labels.get(dim):
                raise _other_labels(dim, one, loaded, ensemble.members[0], members[0])
    return replace(scenario, ensemble=ensemble, members=members)


def _other_labels(
    dim: str, member: Member, loaded: Scenario, first: Member, other: Scenario
) -> InputError:
    """Return what is wrong with a member that has other labels than the first."""
    what = "years" if dim == "year" else f"labels of {dim!r}"
    here, there = (
        f"{some[0]}..{some[-1]}" if dim == "year" else shortened(map(repr, some))
        for some in (one.dims.labels.get(dim, ("none",)) for one in (loaded, other))
    )
    message = f"{member.label!r} has the {what} {here}, {first.label!r} has {there}"
    hint = "members are compared cell by cell: give all the same, or leave it out"
    return InputError(f"{message}; {hint}", member.where)


def _member(scenario: Scenario, document: Document, member: Member) -> Scenario:
    """Return the scenario of a member; levers set what its variants do not."""
    variant = ",".join(filter(None, (scenario.variant, member.variant)))
    levers = dict(member.levers)
    try:
        refuse_both(document, scenario.file, variant, levers)
        return build(document, scenario.folder, variant, {**scenario.changes, **levers})
    except InputError as found:
        if found.where.startswith("--set "):
            message = f"as a lever of the member {member.label!r}, {found.message}"
            raise InputError(message, member.where) from None
        where = member.where if found.where == "--variant" else found.where
        raise InputError(f"{found.message} (of the member {member.label!r})", where) from None


def _whole(scenario: Scenario) -> Scenario:
    """Return a scenario that lacks nothing."""
    Mistakes(scenario.mistakes).end()
    return scenario


def load_each(
    source: str | Path,
    *,
    variant: str | Iterable[str] = "",
    changes: Mapping[str, Any] | None = None,
) -> Iterator[Scenario]:
    """Yield a scenario as it was read, then each of its variants; its file is read once.

    What could not be read is missing from it and among its ``mistakes``, which `load` raises.

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
    given, variant = as_texts(changes), as_variant(variant, "variant")
    document = read_extended(path)
    loaded = _read(document, path.parent, variant, given)
    if not loaded.mistakes:
        warn_of_unused(document, loaded)
        warn_of_fractions(loaded)
    yield loaded
    for other in loaded.file.variants:
        yield _read(document, path.parent, other, given)


def as_scenario(
    source: Scenario | str | Path,
    *,
    variant: str | Iterable[str] = "",
    changes: Mapping[str, Any] | None = None,
    ensemble: str | bool | Mapping[str, Any] | None = None,
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
        return load(source, variant=variant, changes=changes, ensemble=ensemble)
    if variant or changes or ensemble:
        message = "variant, changes and ensemble belong to load() when"
        raise InputError(f"{message} the scenario is loaded already")
    return source


def under(scenario: Scenario, variant: str) -> Scenario:
    """Return a loaded scenario under another of its variants, with the same changes.

    Raises
    ------
    InputError
        As `load`.

    Examples
    --------
    >>> under(load("china_nd"), "full_year_ages").variant
    'full_year_ages'
    """
    if variant == scenario.variant:
        return scenario
    return build(reread(scenario.document), scenario.folder, variant, scenario.changes)


def build(document: Document, folder: Path, variant: str, changes: dict[str, str]) -> Scenario:
    """Return the scenario of a document whose tables lie in ``folder``."""
    return _whole(_read(document, folder, variant, changes))


def _read(document: Document, folder: Path, variant: str, changes: dict[str, str]) -> Scenario:
    """Return the same, and what could not be read as its mistakes."""
    unchanged = document
    document, file, variant = _with_changes(document, variant, changes)
    written = _written(folder, unchanged, document, file)
    mistakes = Mistakes()
    mistakes.add(wrong_names(document, file, written.dims))
    sound = not mistakes.found
    parameters = _parameters(written, mistakes)
    correlations = read_correlations(document, file, parameters, mistakes)
    figures = tuple(_figures(written, mistakes))
    outside = [written.other_years and _is_outside(written.dims, figure) for figure in figures]
    found = Scenario(
        name=file.name,
        folder=folder,
        document=document,
        file=file,
        dims=written.dims,
        units=written.units,
        parameters=parameters,
        figures=tuple(one for one, is_out in zip(figures, outside, strict=True) if not is_out),
        passed_over=sum(outside),
        tables={name: written.tables[name].text for name in sorted(written.tables)},
        correlations=correlations,
        variant=variant,
        changes=changes,
    )
    if (groups := groups_of(found)) and file.parameters.keys() == parameters.keys():
        with mistakes.apart():
            owners(found, groups)
    if not sound:
        mistakes.end()
    return replace(found, mistakes=mistakes.found)


def same_changes(scenario: Scenario, changes: Mapping[str, str]) -> bool:
    """Whether other changes would make the same scenario: 1 and 1.0 are one value, in any key.

    Examples
    --------
    >>> same_changes(load("starter", changes={"lifetime_shape": 3}), {"lifetime_shape": "3.0"})
    True
    """
    if changes == scenario.changes:
        return True
    document = reread(scenario.document)
    try:
        other, file, _ = _with_changes(document, scenario.variant, changes)
        cells = [[one.what for one in each.cells] for each in (other, scenario.document)]
        return file == scenario.file and cells[0] == cells[1]
    except InputError:
        return False


def _with_changes(
    document: Document, variant: str, changes: Mapping[str, str]
) -> tuple[Document, ScenarioFile, str]:
    """Return a document with changes of variants and others, what it says then, and the variants.

    These are in the order of the file, in which they are the same however they are asked for.
    """
    file = validate_document(document, ScenarioFile)
    if not (variant or changes):
        return document, file, ""
    names = named_variants(file, variant, "--variant")
    document = varied(document, file, names)
    document = changed(document, file, changes)
    return document, validate_document(document, ScenarioFile), ",".join(names)


def _written(folder: Path, unchanged: Document, document: Document, file: ScenarioFile) -> Written:
    with Mistakes() as mistakes:
        with mistakes.apart():
            units = _units(document, file)
        dims = read_dims(document, file)
    return Written(folder, unchanged, document, file, dims, units)


def _units(document: Document, file: ScenarioFile) -> UnitSystem:
    declared = read_units(document, file.units)
    try:
        return UnitSystem(file.unit, declared)
    except UnitError as wrong:
        raise document.error(str(wrong), "unit") from None


def _parameters(written: Written, mistakes: Mistakes) -> dict[str, Parameter]:
    """Return the parameters that can be read; not those of a grade that is wrong itself."""
    document, file = written.document, written.file
    unusable = set[str | None]()
    for grade, wrong in wrong_grades(document, file):
        unusable.add(grade)
        mistakes.add([wrong])
    if not unusable.isdisjoint(file.confidence.values()):
        unusable.add(BY_CONFIDENCE)
    found = {}
    for name, entry in file.parameters.items():
        if entry.grade not in unusable:
            with mistakes.apart():
                found[name] = read_parameter(written, name)
    mistakes.add(wrongly_described(document, found))
    return found


def _figures(written: Written, mistakes: Mistakes) -> Iterator[Figure]:
    for figure in _given_figures(written, mistakes):
        with mistakes.apart():
            names = named_variants(written.file, figure.entry.variant, figure.where)
            entry = figure.entry.model_copy(update={"variant": ",".join(names)})
            yield Figure(entry, figure.where)


def _is_outside(dims: Dims, figure: Figure) -> bool:
    """Whether a figure is of a year that there is not."""
    at = figure.entry.at
    try:
        years = dims.read(at, dims.labels).get("year", []) if isinstance(at, str) else [at["year"]]
    except (KeyError, LabelError):  # a wrong one is told where it is compared
        return False
    ends = [end.strip() for label in years for end in label.split("..")]
    return any(is_year(end) and end not in dims.labels["year"] for end in ends)


def _given_figures(written: Written, mistakes: Mistakes) -> Iterator[Figure]:
    document, published = written.document, written.file.published
    if published is None:
        return
    with mistakes.apart():
        where = document.where("published", "variant")
        named_variants(written.file, published.variant or "", where)
    within = () if isinstance(document.data["published"], list) else ("figures",)
    for index, entry in enumerate(published.figures):
        yield Figure(entry, document.where("published", *within, index))
    if published.table:
        with mistakes.apart():
            yield from _tabled_figures(written, published.table, mistakes)


def _tabled_figures(written: Written, name: str, mistakes: Mistakes) -> Iterator[Figure]:
    table = written.table(name, "published", "table")
    check_figures(table)
    for line, cells in table.rows():
        row = {name: cell for name, cell in zip(table.header, cells, strict=True) if name}
        with mistakes.apart():
            yield Figure(_figure(table.path, line, row), table.where(line))


def _figure(path: Path, line: int, row: dict[str, str]) -> FigureEntry:
    return validate_document(Document(path, "", dict(row), {(): line}), FigureEntry)
