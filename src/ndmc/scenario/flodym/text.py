"""The scenario of a flodym model as text: what flodym knows, and lines to fill in for the rest."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ndmc.errors import nearest
from ndmc.scenario.flodym.names import fresh_name, listed, quoted, word

if TYPE_CHECKING:
    from flodym import Parameter, StockDefinition

    from ndmc.scenario.flodym.reading import Model

_OUTSIDE, _YEAR = "sysenv", "year"

_STOCK_DRIVEN = "StockDrivenDSM"

_STOCKS = ("InflowDrivenDSM", _STOCK_DRIVEN, "SimpleFlowDrivenStock")

_LIFETIMES = {
    "FixedLifetime": "fixed(mean)",
    "NormalLifetime": "normal(mean, std)",
    "FoldedNormalLifetime": "folded_normal(mean, std)",
    "LogNormalLifetime": "lognormal(mean, std)",
    "WeibullLifetime": "weibull(weibull_scale, weibull_shape)",
}

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


class ScenarioText:
    """The text of the scenario file, and its tables."""

    def __init__(self, model: Model, name: str, unit: str) -> None:
        self.model, self.name, self.unit = model, name, unit
        self.definition = model.source.definition
        self.processes = self._named("processes", self.definition.processes)
        self.parameters = self._named("parameters", [p.name for p in self.definition.parameters])
        self.dims = self._dim_names()

    def _named(
        self, kind: str, titles: Sequence[str], taken: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        """Return ndmc's names by flodym's."""
        names = dict(taken or {})
        for index, title in enumerate(titles):
            names[title] = fresh_name(title, names, self.model.source.where(kind, index))
        return names

    def _dim_names(self) -> dict[str, str]:
        """Return ndmc's names of dims by flodym's letters."""
        others = [one for one in self.model.dims if one.letter != self.model.time]
        taken = {"ndmc's time dimension": _YEAR}
        names = self._named("dimensions", [one.name for one in others], taken)
        return {one.letter: names.get(one.name, _YEAR) for one in self.model.dims}

    def tables(self) -> dict[str, str]:
        """Return the cells of all parameters that have dims, as tidy tables."""
        return {
            f"{self.parameters[title]}.csv": self._table(parameter)
            for title, parameter in self.model.parameters.items()
            if parameter.dims.letters
        }

    def _table(self, parameter: Parameter) -> str:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        letters = parameter.dims.letters
        writer.writerow((*(self.dims[letter] for letter in letters), "value"))
        labels = itertools.product(*(self.model.labels[letter] for letter in letters))
        for cell, value in zip(labels, parameter.values.flat, strict=True):
            writer.writerow((*cell, _number(value)))
        return text.getvalue()

    def render(self) -> str:
        """Return the scenario file."""
        years = self.model.years
        head = [
            "format: 1",
            f"name: {word(self.name)}",
            f"unit: {word(self.unit)}",
            f"years: {years[0]}..{years[-1]}",
        ]
        parts = [head, self._dims(), self._parameters(), self._nodes(), self._flows()]
        blocks = [*parts, self._stocks()]
        return _HEAD + "\n".join("\n".join(block) + "\n" for block in blocks if block)

    def _dims(self) -> list[str]:
        lines = ["dims:"]
        for one in self.model.dims:
            if one.letter != self.model.time:
                name = self.dims[one.letter]
                comment = f"  # {quoted(one.name)}" if one.name != name else ""
                lines.append(f"  {word(name)}: {listed(self.model.labels[one.letter])}{comment}")
        return lines if len(lines) > 1 else []

    def _parameters(self) -> list[str]:
        lines = ["parameters:"]
        for title, parameter in self.model.parameters.items():
            name = self.parameters[title]
            dims = [self.dims[letter] for letter in parameter.dims.letters]
            lines += [f"  {word(name)}:", *_title(title, name), _UNIT_LINE]
            if dims:
                lines += [f"    dims: {listed(dims)}", f"    table: {name}.csv"]
            else:
                lines.append(f"    value: {_number(parameter.values)}")
            errors = ", ".join(f"{dim}: shared" for dim in dims)
            hint = "cv: 10 %" + (f", errors: {{{errors}}}" if errors else "")
            lines.append(f"    distribution: constant   # if uncertain, such as: lognormal, {hint}")
        return lines if len(lines) > 1 else []

    def _nodes(self) -> list[str]:
        inside = [name for title, name in self.processes.items() if title != _OUTSIDE]
        renamed = [
            f"# process {quoted(title)} is {name}"
            for title, name in self.processes.items()
            if title != name
        ]
        flows = self.definition.flows
        ends = {end for flow in flows for end in (flow.from_process_name, flow.to_process_name)}
        outside = [_OUTSIDE] if _OUTSIDE in ends else []
        nodes = [f"processes: {listed(inside)}", f"environment: {listed(outside)}"]
        return [*renamed, *self._one_sided(), *nodes]

    def _one_sided(self) -> list[str]:
        """Return a hint for every process that cannot balance."""
        stocks = {stock.process_name for stock in self.definition.stocks}
        into = {flow.to_process_name for flow in self.definition.flows}
        out = {flow.from_process_name for flow in self.definition.flows}
        return [
            f"# nothing {verb} {name} and it holds no stock: move it to environment, "
            "or give it a stock (kind: sink)"
            for verb, ends in (("enters", into), ("leaves", out))
            for title, name in self.processes.items()
            if title not in {*ends, *stocks, _OUTSIDE}
        ]

    def _flows(self) -> list[str]:
        flows = self.definition.flows
        titles = [
            flow.name_override or f"{flow.from_process_name} => {flow.to_process_name}"
            for flow in flows
        ]
        lines = ["flows:"]
        for index, (title, name) in enumerate(self._named("flows", titles).items()):
            flow = flows[index]
            origin = self._process("flows", index, flow.from_process_name)
            target = self._process("flows", index, flow.to_process_name)
            lines += [
                f"  {word(name)}:",
                *_title(title, name),
                f"    from: {word(origin)}",
                f"    to: {word(target)}",
                *self._letters(flow.dim_letters),
                "    # value: or share:   <- fill in as in your compute(); open if neither",
            ]
        return lines

    def _process(self, kind: str, index: int, title: str) -> str:
        if title not in self.processes:
            message = f"unknown process {title!r}; {nearest(title, self.processes)}"
            raise self.model.source.error(message, kind, index)
        return self.processes[title]

    def _letters(self, letters: Sequence[str]) -> list[str]:
        dims = [self.dims[letter] for letter in letters if self.dims[letter] != _YEAR]
        return [f"    dims: {listed(dims)}"] if dims else []

    def _stocks(self) -> list[str]:
        stocks = self.definition.stocks
        lines = ["stocks:"]
        names = self._named("stocks", [stock.name for stock in stocks])
        for index, (title, name) in enumerate(names.items()):
            stock = stocks[index]
            if stock.process_name is None:
                message = "has no process, but a stock of ndmc's is held by one; name it"
                raise self.model.source.error(message, "stocks", index)
            process = self._process("stocks", index, stock.process_name)
            lines += [
                f"  {word(name)}:",
                *_title(title, name),
                f"    process: {word(process)}",
                *self._letters(stock.dim_letters),
                *self._kind(stock, index),
            ]
        return lines if len(lines) > 1 else []

    def _kind(self, stock: StockDefinition, index: int) -> list[str]:
        if stock.time_letter not in stock.dim_letters:
            message = f"the time_letter {stock.time_letter!r} is not among its dim_letters"
            raise self.model.source.error(message, "stocks", index)
        kind = self._class(index, "subclass", stock.subclass, _STOCKS)
        if stock.lifetime_model_class is None:
            return ["    kind: sink"]
        life = self._class(index, "lifetime_model_class", stock.lifetime_model_class, _LIFETIMES)
        lines = [
            f'{_LIFETIME_LINE}"{_LIFETIMES[life]}"   '
            "<- fill in: years or parameters, as set in your code"
        ]
        if kind == _STOCK_DRIVEN:
            lines.append(
                "    # value:   <- fill in: the parameter or expression that prescribes the stock"
            )
        return [*lines, "    inflow_at: middle   # flodym's default; change it if your code does"]

    def _class(self, index: int, key: str, given: type, known: Iterable[str]) -> str:
        """Return which of the classes that ndmc knows a class is, or is made of."""
        names = [base.__name__ for base in given.__mro__]
        found = next((name for name in names if name in known), None)
        if found is None:
            message = f"unknown {key} {names[0]!r}; {nearest(names[0], known)}"
            raise self.model.source.error(message, "stocks", index)
        return found


def _number(value: Any) -> str:
    return repr(float(value)).removesuffix(".0")


def _title(title: str, name: str) -> list[str]:
    return [f"    title: {quoted(title)}"] if title != name else []
