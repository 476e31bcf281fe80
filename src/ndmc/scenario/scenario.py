"""A checked scenario: what every other room is given."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable, Mapping, Sized
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ndmc.dims import Dims
from ndmc.errors import InputError
from ndmc.legible import few_lines
from ndmc.scenario.document import Document
from ndmc.scenario.ensembles import Ensemble
from ndmc.scenario.parameters import Parameter
from ndmc.scenario.published import FigureEntry
from ndmc.scenario.schema import ScenarioFile
from ndmc.scenario.tables import parse_table
from ndmc.scenario.units import UnitSystem

__all__ = ["Figure", "Scenario", "hash_of"]


@dataclass(frozen=True)
class Figure:
    """A published figure, and where it was read."""

    entry: FigureEntry
    where: str


@dataclass(frozen=True)
class Scenario:
    """One complete description of a material cycle.

    ``tables`` holds the text of every table it uses, so that a store can carry them;
    ``hash`` identifies their content together with the changes made to them. Where ``mistakes``
    are left, what they concern is missing, and the scenario is good for finding more only. So many
    published figures are ``passed_over`` as are of years it no longer has.
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
    mistakes: tuple[InputError, ...] = ()
    ensemble: Ensemble | None = None
    members: tuple[Scenario, ...] = ()
    passed_over: int = 0

    def __repr__(self) -> str:
        changes = (f"{name} = {value}" for name, value in self.changes.items())
        variant = f"variant {self.variant}" if self.variant else ""
        counts = (f"{name} {len(some)}" for name, some in self._counted.items() if some)
        title = f"<Scenario {self.name}: {self.heading}"
        return few_lines(title, variant, *changes, f"{self.dims}", f"{', '.join(counts)}>")

    @property
    def _counted(self) -> dict[str, Sized]:
        sections = ("parameters", "processes", "flows", "stocks", "indicators", "variants")
        found = {name: getattr(self.file, name) for name in sections}
        return {**found, "published figures": self.figures}

    @functools.cached_property
    def holders(self) -> dict[str, str]:
        """The stock of each process that holds one."""
        return {stock.process: name for name, stock in self.file.stocks.items()}

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of its flows, stocks and indicators."""
        return (*self.file.flows, *self.file.stocks, *self.file.indicators)

    @property
    def alone(self) -> Scenario:
        """The same, without the members of an ensemble."""
        return replace(self, ensemble=None, members=())

    @property
    def heading(self) -> str:
        """Its title, or its name if it has none."""
        return self.file.title or self.name

    def header(self, table: str) -> tuple[str, ...]:
        """Return the names of the columns of one of its tables."""
        return parse_table(self.tables[table], self.folder / table).header

    @functools.cached_property
    def hash(self) -> str:
        """SHA-256 of every text, the variant and the changes."""
        text, *below = self.texts
        entry = self.ensemble.entry if self.ensemble else None
        return hash_of(text, self.tables, self.variant, self.changes, below, entry)

    @property
    def texts(self) -> tuple[str, ...]:
        """The text of its file, and of those that it extends, the nearest first."""
        return tuple(layer.text for layer in self.document.layers)


def hash_of(
    text: str,
    tables: Mapping[str, str],
    variant: str,
    changes: Mapping[str, str],
    below: Iterable[str] = (),
    ensemble: Mapping[str, Any] | None = None,
) -> str:
    """Return the SHA-256 of every text of a scenario, its variant and changes.

    Those ``below`` are of the scenarios that it extends.
    """
    parts = [text, *sorted(tables.items()), ("variant", variant), *sorted(changes.items())]
    parts += [("extends", one) for one in below]
    parts += [] if ensemble is None else [("ensemble", json.dumps(ensemble, sort_keys=True))]
    return hashlib.sha256(repr(parts).encode()).hexdigest()
