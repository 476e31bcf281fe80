"""Turn the definition and the CSV files of a flodym model into a scenario folder.

flodym holds dimensions, processes, flows, stocks and parameters as data, and equations, lifetimes
and conventions as Python code. The data is carried over; what stands in code is left for a person
to fill in, as commented lines, and nothing is made up for it.
"""

from __future__ import annotations

import importlib.util
import re
import tempfile
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from ndmc.errors import InputError, RunError
from ndmc.scenario.document import parse_document
from ndmc.scenario.flodym.names import is_name
from ndmc.scenario.flodym.text import ScenarioText
from ndmc.scenario.load import build
from ndmc.scenario.places import FILE
from ndmc.scenario.units import UnitError, UnitSystem

__all__ = ["from_flodym"]


def from_flodym(
    definition: Any,
    folder: str | PathLike[str],
    *,
    dimension_files: Mapping[str, str | PathLike[str]],
    parameter_files: Mapping[str, str | PathLike[str]],
    years: str | Sequence[int] | None = None,
    unit: str = "t",
    name: str | None = None,
) -> Path:
    r"""Write a scenario folder from the definition and the CSV files of a flodym model.

    The equations of a flodym model are Python code in its ``compute`` and cannot be read. **Every
    flow comes out open**, without ``value`` or ``share``. Lifetimes, prescribed stocks and units
    stand in code or nowhere: they are left as commented lines with what to write there, so
    ``ndmc check`` names what is missing until it is filled in. Dims, processes, flows, stocks and
    the values of all parameters (certain, as in flodym) are carried over.

    The time dimension becomes the scenario's years, ``sysenv`` the only node of the environment.
    Names become letters, digits and ``_`` (``use => waste`` is ``use_to_waste``); flodym's own
    stand as title or in a comment.

    Parameters
    ----------
    definition
        A ``flodym.MFADefinition``, a mapping with the same keys, or the path of a YAML or JSON
        file that holds them. In a file, classes and dtypes are given by name.
    folder
        The folder to write; it must not exist or be empty.
    dimension_files
        CSV file of each dimension by its flodym name: one row or one column of items.
    parameter_files
        CSV file of each parameter by its flodym name, long or wide, read by flodym.
        Missing and extra cells are mistakes.
    years
        First and last year, ``"2001..2021"``, or the years one by one, of a time dimension that
        has no file, or of a definition that has no time dimension.
    unit
        Unit of every stock.
    name
        Name of the scenario; the folder's if not given.

    Returns
    -------
    Path
        The scenario file, to be completed.

    Raises
    ------
    InputError
        For anything flodym refuses, years with gaps, a second time dimension, and whatever ndmc
        cannot express; if flodym is missing. Nothing is written then.
    RunError
        If the folder cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "time.csv").write_text("2001\n2002\n")
    >>> _ = (folder / "sales.csv").write_text("Time,value\n2001,5\n2002,6\n")
    >>> definition = {
    ...     "dimensions": [{"name": "Time", "letter": "t", "dtype": int}],
    ...     "processes": ["sysenv", "use"],
    ...     "flows": [
    ...         {"from_process": "sysenv", "to_process": "use", "dim_letters": ["t"]},
    ...         {"from_process": "use", "to_process": "sysenv", "dim_letters": ["t"]},
    ...     ],
    ...     "parameters": [{"name": "sales", "dim_letters": ["t"]}],
    ... }
    >>> path = from_flodym(
    ...     definition,
    ...     folder / "phones",
    ...     dimension_files={"Time": folder / "time.csv"},
    ...     parameter_files={"sales": folder / "sales.csv"},
    ... )
    >>> sorted(file.name for file in path.parent.iterdir())
    ['sales.csv', 'scenario.yaml']
    """
    target = Path(folder)
    title = _scenario_name(target, name)
    try:
        UnitSystem(unit)
    except UnitError as wrong:
        raise InputError(str(wrong), "unit") from None
    if importlib.util.find_spec("flodym") is None:
        message = "this needs flodym; install it with: pip install flodym"
        raise InputError(message, "definition")
    from ndmc.scenario.flodym.reading import read_model

    model = read_model(definition, dimension_files, parameter_files, years)
    found = ScenarioText(model, title, unit)
    text, tables = found.render(), found.tables()
    _check_by_ndmc(text, tables)
    return _write(target, {FILE: text, **tables})


def _scenario_name(folder: Path, name: str | None) -> str:
    try:
        present, empty = folder.exists(), folder.is_dir() and not any(folder.iterdir())
        linked, name = folder.is_symlink(), folder.resolve().name if name is None else name
    except (OSError, ValueError):
        raise InputError(f"{str(folder)!r:.200} cannot name a folder") from None
    if linked or (present and not empty):
        raise InputError(f"{str(folder)!r} exists already; choose another folder")
    if not is_name(name):
        raise InputError(f"{name!r} cannot name a scenario; use letters, digits and _")
    return name


def _check_by_ndmc(text: str, tables: Mapping[str, str]) -> None:
    """Refuse what ndmc would refuse even when all is filled in, such as a name used twice."""
    filled = re.sub(r"^    # unit:.*$", '    unit: "1"', text, flags=re.MULTILINE)
    filled = re.sub(r"^    # lifetime:.*$", "    lifetime: fixed(1)", filled, flags=re.MULTILINE)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        try:
            _fill(folder, tables)
            build(parse_document(filled, folder / FILE), folder, "", {})
        except InputError as wrong:
            message = f"ndmc cannot hold this system: {wrong.message}"
            raise InputError(message, "definition") from None


def _write(folder: Path, texts: Mapping[str, str]) -> Path:
    """Write a folder whole or not at all."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".ndmc-", dir=folder.resolve().parent) as scratch:
            beside = Path(scratch) / "scenario"
            beside.mkdir()
            _fill(beside, texts)
            if folder.exists():
                folder.rmdir()
            beside.rename(folder)
    except OSError as failed:
        raise RunError(f"cannot write {str(folder)!r}: {failed.strerror}") from None
    return folder / FILE


def _fill(folder: Path, texts: Mapping[str, str]) -> None:
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
