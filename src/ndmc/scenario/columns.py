"""Columns of tables held to the rules of keys: none is passed over that reads like a number."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator

import numpy as np
import numpy.typing as npt

from ndmc.errors import InputError, nearest, warn
from ndmc.scenario.coded import Coded
from ndmc.scenario.distributions import KEYS, OWN, SPREAD
from ndmc.scenario.elsewhere import CALL_IT, INSTEAD, called_here, plain
from ndmc.scenario.given_cells import GIVEN, GivenCells
from ndmc.scenario.needs import ignored, superfluous
from ndmc.scenario.parameters import Origins
from ndmc.scenario.published import SAYING, FigureEntry
from ndmc.scenario.schema import ParameterEntry, ScenarioFile
from ndmc.scenario.tables import Table
from ndmc.scenario.written import WrittenParameter, grades_of, kinds_of

#: Columns that change no number: they go with the cell.
_WORDS = ("source", "confidence")

_BRACKETS = re.compile(r"\(.*?\)|\[.*?\]")


def value_column(entry: ParameterEntry, header: Container[str]) -> str:
    """Return the column that holds the value of a parameter."""
    return entry.column or ("mean" if "mean" in header else "value")


def refuse_lookalikes(parameter: WrittenParameter, table: Table) -> None:
    """Refuse columns that nothing reads, but that are called much like one that is read.

    Of those of words, which change no number, is only warned.

    Raises
    ------
    InputError
        With the names of all of them, and what to call them.
    """
    read = {*KEYS, "unit", *parameter.dims, parameter.entry.column}
    if parameter.entry.wide:
        return  # its columns are labels, and no others
    found = {name: _advice(name) for name in table.header if name not in read}
    found = {name: advice for name, advice in found.items() if advice}
    for entry, _ in _readers(parameter) if found else ():
        found = {name: found[name] for name in found if name not in (*entry.dims, entry.column)}
    if found:
        told = "; ".join(f"the column {name!r} is not read: {found[name]}" for name in found)
        note = f"note {next(iter(found))}"
        raise InputError(f"{told} (a note needs another name, such as {note!r})", table.where())
    for name in (name for name in table.header if name not in read):
        word = plain(name)
        if word in _WORDS and name not in _WORDS:
            warn(f"the column {name!r} is not read: call it {word!r}", table.where())


def _advice(name: str) -> str:
    key = CALL_IT.get(plain(name), "")
    advice = f"call it {key!r}" if key else INSTEAD.get(plain(name), "")
    if key in ("sd", "cv") and "%" in name:
        return "call it 'cv', and write the % in its cells"
    if key and _BRACKETS.search(name):
        advice += ", and give its unit in a column 'unit' or in the parameter's 'unit'"
    return advice


def check_figures(table: Table) -> None:
    """Refuse a table of published figures with a column too many or too few.

    Raises
    ------
    InputError
        With the name of the column.
    """
    fields = FigureEntry.model_fields
    for name in filter(None, table.header):
        if name not in fields:
            key = CALL_IT.get(plain(name), "")
            spread = key in ("sd", "cv") or plain(name) in ("uncertainty", "error", "err")
            hint = "call it 'uncertainty', a share of the value" if spread else ""
            hint = hint or called_here(name, fields) or nearest(name, fields)
            raise InputError(f"a published figure has no column {name!r}; {hint}", table.where())
    due = [(name,) for name, field in fields.items() if field.is_required()]
    for names in (SAYING, *due):
        if not {*names} & {*table.header}:
            missing = " or ".join(map(repr, names))
            message = f"no column {missing}; every published figure needs one"
            raise InputError(message, table.where())


def ignored_numbers(
    parameter: WrittenParameter, given: GivenCells, kinds: set[str]
) -> Iterator[InputError]:
    """Yield what is wrong with numbers, keys or columns, that the distributions would ignore."""
    if len(given.tables.values) == 1:
        yield from _ignored(parameter, given, kinds, given.tables.values[0], np.True_)
        return
    for part, table in enumerate(given.tables.values):
        own = given.tables.codes == part
        yield from _ignored(parameter.of_table(part), given, kinds, table, own)


def _ignored(
    parameter: WrittenParameter,
    given: GivenCells,
    kinds: set[str],
    table: Table | None,
    cells: npt.NDArray[np.bool_] | np.bool_,
) -> Iterator[InputError]:
    """Yield the same for the cells of one table, or of none."""
    entry, header = parameter.entry, table.header if table else ()
    own = {key for key in (*KEYS, *OWN) if getattr(entry, key, None) is not None}
    rows = {key: ~np.isnan(numbers) & cells for key, numbers in given.numbers.items() if table}
    columns = {key for key, are_given in rows.items() if are_given.any()}
    for keys, message in ignored(kinds, own, columns):
        name = value_column(entry, header) if keys == ("value",) else keys[-1]
        if table is None or keys[-1] in own:
            beside = [f": {key} is a column of {entry.table}" for key in keys if key not in own]
            yield parameter.error("".join((message, *beside)), keys[-1])
        elif entry.wide:
            yield parameter.error(f"a wide table gives a value; {message}", "table")
        elif len(keys) == 1 and not _read_elsewhere(parameter, table, name):
            holds = f"{name!r} holds the value; " if name != keys[0] else ""
            message = f"parameter {parameter.name!r}: the column {holds}{message}"
            yield InputError(message, table.where())
        elif len(keys) == 2 and (both := rows[keys[0]] & rows[keys[1]]).any():
            line = 1 if both.all() else int(given.lines[both].min())
            yield InputError(f"parameter {parameter.name!r}: {message}", table.where(line))


def ignored_spreads(
    parameter: WrittenParameter, origins: Origins, given: GivenCells, grades: Coded[str]
) -> Iterator[InputError]:
    """Yield what is wrong where a row says a spread that the distribution of its grade ignores."""
    for grade in grades.distinct:
        kinds = kinds_of(parameter.entry, parameter.within.file, [grade])
        own = np.array([value == grade for value in grades.values])[grades.codes]
        own &= given.filled == GIVEN
        for key in sorted(superfluous(kinds, {*SPREAD} & {*given.numbers})):
            cells = np.flatnonzero(own & (np.nan_to_num(given.numbers[key]) != 0))
            if len(cells):
                number, kind = given.numbers[key][cells[0]], " or ".join(sorted(kinds))
                message = (
                    f"{origins.name(int(cells[0]))}: {key} is {number:g}, but means nothing to"
                )
                message += f" {kind}, as its grade {grade!r} is; write 0, or change its grade"
                yield InputError(message, origins.where(int(cells[0])))


def _read_elsewhere(parameter: WrittenParameter, table: Table, name: str) -> bool:
    """Whether a column means something to another parameter, or to a variant of this one."""
    return any(name in _reads(entry, file, table.header) for entry, file in _readers(parameter))


def _reads(entry: ParameterEntry, file: ScenarioFile, header: Container[str]) -> set[str]:
    keys = {*KEYS} - superfluous(kinds_of(entry, file, grades_of(entry, file)), {*KEYS})
    return {value_column(entry, header) if key == "value" else key for key in keys}


def _readers(parameter: WrittenParameter) -> Iterator[tuple[ParameterEntry, ScenarioFile]]:
    """Yield what reads the table of a parameter, now, in the file as written, and in variants."""
    for file in parameter.within.versions():
        for entry in file.parameters.values():
            for alone in entry.alone:
                if alone.table == parameter.entry.table and not alone.wide:
                    yield alone, file
