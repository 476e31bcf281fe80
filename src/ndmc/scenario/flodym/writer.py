"""Turn the definition and the CSV files of a flodym model into a scenario folder.

flodym holds dimensions, processes, flows, stocks and parameters as data, and equations, lifetimes
and conventions as Python code. The data is carried over; what stands in code is left for a person
to fill in, as commented lines, and nothing is made up for it.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from ndmc.errors import InputError, RunError, nearest
from ndmc.scenario.document import parse_document
from ndmc.scenario.flodym.definition import (
    FIELDS,
    NAME,
    OUTSIDE,
    YEAR,
    Axes,
    Entry,
    FlodymParameter,
    Paths,
    Source,
    fresh_name,
    read_axes,
    read_parameters,
)
from ndmc.scenario.load import FILE, build
from ndmc.scenario.units import UnitError, UnitSystem

__all__ = ["from_flodym"]

_NOT_PLAIN = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}

_INFLOW_DRIVEN, _STOCK_DRIVEN = "InflowDrivenDSM", "StockDrivenDSM"

_FLOW_DRIVEN = "SimpleFlowDrivenStock"

_STOCKS = (_INFLOW_DRIVEN, _STOCK_DRIVEN, _FLOW_DRIVEN)

_LIFETIMES = {
    "FixedLifetime": "fixed(mean)",
    "NormalLifetime": "normal(mean, std)",
    "FoldedNormalLifetime": "folded_normal(mean, std)",
    "LogNormalLifetime": "lognormal(mean, std)",
    "WeibullLifetime": "weibull(weibull_scale, weibull_shape)",
}


def from_flodym(
    definition: Any,
    folder: str | PathLike[str],
    *,
    dimension_files: Paths,
    parameter_files: Paths,
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
        CSV file of each parameter by its flodym name, long or wide, recognised as flodym does.
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
        For anything flodym would refuse, years with gaps, a second time dimension, and whatever
        ndmc cannot express. Nothing is written then.
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
    source = Source.read(definition)
    axes = read_axes(source, dimension_files, years)
    parameters = read_parameters(source, axes, parameter_files)
    text = _Text(source, axes, parameters, title, unit).render()
    tables = {f"{p.name}.csv": p.csv for p in parameters if p.dims}
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
    if not NAME.fullmatch(name):
        raise InputError(f"{name!r} cannot name a scenario; use letters, digits and _")
    return name


_HEAD = """\
# Written by ndmc.from_flodym from a flodym definition and its CSV files. flodym keeps equations,
# lifetimes and conventions in Python code, and units nowhere. Those could not be read, and nothing
# was made up for them. To fill in, where a comment says so:
#   parameters   `unit`, such as t/yr, t, yr, % or 1
#   flows        `value` or `share`, as in your compute(). All are open as they stand; every process
#                closes exactly one open flow by its balance
#   stocks       `lifetime`, and `value` where the stock is prescribed
# `ndmc check` says what is missing. Loops need no solving by hand.
"""

_UNIT_LINE = "    # unit:        <- fill in: flodym has no units; such as t/yr, t, yr, % or 1"

_LIFETIME_LINE = "    # lifetime: "


@dataclass(frozen=True)
class _Text:
    """The text of the scenario file."""

    source: Source
    axes: Axes
    parameters: list[FlodymParameter]
    name: str
    unit: str

    def render(self) -> str:
        years = self.axes.years
        head = [
            "format: 1",
            f"name: {_word(self.name)}",
            f"unit: {_word(self.unit)}",
            f"years: {years[0]}..{years[-1]}",
        ]
        parts = [head, self._dims(), self._parameters(), self._nodes(), self._flows()]
        blocks = [*parts, self._stocks()]
        return _HEAD + "\n".join("\n".join(block) + "\n" for block in blocks if block)

    def _dims(self) -> list[str]:
        lines = ["dims:"]
        for axis in self.axes.by_letter.values():
            if axis.name != YEAR:
                labels = ", ".join(_word(label) for label in axis.labels)
                comment = f"  # {_quoted(axis.title)}" if axis.title != axis.name else ""
                lines.append(f"  {_word(axis.name)}: [{labels}]{comment}")
        return lines if len(lines) > 1 else []

    def _parameters(self) -> list[str]:
        lines = ["parameters:"]
        for parameter in self.parameters:
            lines += [f"  {_word(parameter.name)}:", *_title(parameter.title, parameter.name)]
            lines.append(_UNIT_LINE)
            if parameter.dims:
                lines += [f"    dims: {_row(parameter.dims)}", f"    table: {parameter.name}.csv"]
            else:
                lines.append(f"    value: {parameter.cells[0][1]}")
            errors = ", ".join(f"{dim}: shared" for dim in parameter.dims)
            hint = "cv: 10 %" + (f", errors: {{{errors}}}" if errors else "")
            lines.append(f"    distribution: constant   # if uncertain, such as: lognormal, {hint}")
        return lines if len(lines) > 1 else []

    def _nodes(self) -> list[str]:
        inside = [name for title, name in self.source.processes.items() if title != OUTSIDE]
        renamed = [
            f"# process {_quoted(title)} is {name}"
            for title, name in self.source.processes.items()
            if title != name
        ]
        ends = {end for flow in self.source.flows for end in (flow["from"], flow["to"])}
        outside = [OUTSIDE] if OUTSIDE in ends else []
        nodes = [f"processes: {_row(inside)}", f"environment: {_row(outside)}"]
        return [*renamed, *self._one_sided(), *nodes]

    def _one_sided(self) -> list[str]:
        """Return a hint for every process that cannot balance."""
        stocks = {stock["process"] for stock in self.source.stocks}
        lines = []
        for word, end in (("enters", "to"), ("leaves", "from")):
            ends = {flow[end] for flow in self.source.flows}
            for title, name in self.source.processes.items():
                if title not in {*ends, *stocks, OUTSIDE}:
                    hint = f"nothing {word} {name} and it holds no stock: move it to environment"
                    lines.append(f"# {hint}, or give it a stock (kind: sink)")
        return lines

    def _flows(self) -> list[str]:
        lines = ["flows:"]
        names: dict[str, str] = {}
        for entry in self.source.flows:
            title = entry["name"] or f"{entry['from']} => {entry['to']}"
            where = entry.document.where(entry.kind, entry.index)
            names[title] = fresh_name(title, names, where)
            lines += [f"  {_word(names[title])}:", *_title(title, names[title])]
            lines.append(f"    from: {_word(self._process(entry, entry['from']))}")
            lines.append(f"    to: {_word(self._process(entry, entry['to']))}")
            lines += self._letters(entry)
            lines.append(
                "    # value: or share:   <- fill in as in your compute(); open if neither"
            )
        return lines

    def _process(self, entry: Entry, title: str) -> str:
        if title not in self.source.processes:
            message = f"unknown process {title!r}; {nearest(title, self.source.processes)}"
            raise entry.error(message)
        return self.source.processes[title]

    def _letters(self, entry: Entry) -> list[str]:
        dims = [axis.name for axis in self.axes.of(entry) if axis.name != YEAR]
        return [f"    dims: {_row(dims)}"] if dims else []

    def _stocks(self) -> list[str]:
        lines = ["stocks:"]
        names: dict[str, str] = {}
        for entry in self.source.stocks:
            title = entry["name"]
            where = entry.document.where(entry.kind, entry.index)
            names[title] = fresh_name(title, names, where)
            lines += [f"  {_word(names[title])}:", *_title(title, names[title])]
            if entry["process"] is None:
                raise entry.error("has no process, but a stock of ndmc's is held by one; name it")
            lines.append(f"    process: {_word(self._process(entry, entry['process']))}")
            lines += [*self._letters(entry), *_stock_kind(entry)]
        return lines if len(lines) > 1 else []


def _stock_kind(entry: Entry) -> list[str]:
    if entry["time"] not in entry["letters"]:
        raise entry.error(f"the time_letter {entry['time']!r} is not among its dim_letters")
    kind = _class(entry, "class", _STOCKS)
    if kind == _FLOW_DRIVEN:
        if entry["lifetime"] is not None:
            raise entry.error(f"a {_FLOW_DRIVEN} has no lifetime_model_class; remove it")
        return ["    kind: sink"]
    if entry["lifetime"] is None:
        raise entry.error(f"a {kind} needs a lifetime_model_class")
    lifetime = _LIFETIMES[_class(entry, "lifetime", tuple(_LIFETIMES))]
    lines = [f'{_LIFETIME_LINE}"{lifetime}"   <- fill in: years or parameters, as set in your code']
    if kind == _STOCK_DRIVEN:
        lines.append(
            "    # value:   <- fill in: the parameter or expression that prescribes the stock"
        )
    return [*lines, "    inflow_at: middle   # flodym's default; change it if your code does"]


def _class(entry: Entry, key: str, known: tuple[str, ...]) -> str:
    given = entry[key]
    names = [base.__name__ for base in given.__mro__] if isinstance(given, type) else [str(given)]
    found = next((n.rpartition(".")[2] for n in names if n.rpartition(".")[2] in known), None)
    if found is None:
        word = FIELDS[entry.kind][key][0][0]
        raise entry.error(f"unknown {word} {names[0]!r}; {nearest(names[0], known)}")
    return found


def _quoted(text: str) -> str:
    """Return a text as a YAML string on one line, whatever is in it."""
    dumped = json.dumps(text, ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in dumped)


def _word(text: str) -> str:
    plain = NAME.fullmatch(text) and text.lower() not in _NOT_PLAIN
    return text if plain else _quoted(text)


def _row(names: Iterable[str]) -> str:
    return f"[{', '.join(_word(name) for name in names)}]"


def _title(title: str, name: str) -> list[str]:
    return [f"    title: {_quoted(title)}"] if title != name else []


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
