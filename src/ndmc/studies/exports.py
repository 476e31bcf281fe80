"""What a store knows as a table for others: one long, one as IAMC has it, or NetCDF."""

from __future__ import annotations

import contextlib
import csv
import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ndmc.errors import InputError, RunError, warn
from ndmc.given import as_names, as_path, as_shares
from ndmc.label import Labels
from ndmc.option import check_writable
from ndmc.plan.steps import MEMBER
from ndmc.runs.additions import additions
from ndmc.scenario.document import read_document
from ndmc.store.dataset import to_dataset
from ndmc.store.keys import ENSEMBLE
from ndmc.store.opening import open_store
from ndmc.store.ranks import DEFAULT_QUANTILES
from ndmc.store.spec import blocks
from ndmc.store.store import Store
from ndmc.store.stored_percentiles import Summary, check_complete
from ndmc.store.summaries import summaries
from ndmc.store.view import cells_along, unit_of, view

__all__ = ["export"]

#: The endings of what can be written, by format.
FORMATS = {"long": (".csv",), "iamc": (".csv",), "netcdf": (".nc",)}

#: What IAMC calls its columns.
_COLUMNS = ("Model", "Scenario", "Region", "Variable", "Unit")


@dataclass(frozen=True)
class Mapped:
    """How outputs are called in IAMC: a text with ``{dim}`` for labels, or none for the usual.

    ``region`` is a dim whose labels are regions, or the name of the only one.
    """

    model: str = "ndmc"
    region: str = "World"
    variables: Mapping[str, str] = field(default_factory=dict)


def read_mapping(path: str | Path) -> Mapped:
    """Return what a YAML file says of IAMC's model, region and variables.

    Raises
    ------
    InputError
        With file and line, for anything else.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "iamc.yaml"
    >>> _ = path.write_text("model: mine" + chr(10))
    >>> read_mapping(path).model
    'mine'
    """
    document = read_document(Path(path), "write model, region and variables")
    data = document.data
    for key, value in data.items():
        if key not in ("model", "region", "variables"):
            message = f"unknown key {key!r}; choose from model, region, variables"
            raise document.error(message, key)
        if key == "variables" and not isinstance(value, dict):
            raise document.error("write them as NAME: Variable|{dim}", key)
        if key != "variables" and not isinstance(value, str):
            raise document.error(f"{key} is {value!r} but must be a text", key)
    return Mapped(**data)


def export(
    store: str | Path,
    to: str | Path,
    *,
    format: str = "",  # noqa: A002 - as people call it
    outputs: str | Iterable[str] | None = None,
    sel: Labels | None = None,
    quantiles: Sequence[float] = DEFAULT_QUANTILES,
    draws: bool = False,
    mapping: Mapped | str | Path | None = None,
) -> None:
    """Write what a store knows as a table for others.

    Parameters
    ----------
    store
        Path or URL of a complete store, of a run or of an ensemble.
    to
        The file: ``iamc.csv`` or one whose name ends so in IAMC's form, any other ``.csv`` long,
        with a row for each cell, ``.nc`` as NetCDF. It is there whole, or as it was before.
    format
        ``long``, ``iamc`` or ``netcdf``, where the name of the file does not say it.
    outputs
        Names of outputs; all if None.
    sel
        Labels to pick, as of `percentiles`.
    quantiles
        Shares from 0 to 1; in IAMC's form each is a scenario of its own, such as ``base|p97.5``.
    draws
        Whether each draw that is stored is written instead of percentiles.
    mapping
        How IAMC calls model, region and variables: a `Mapped`, or the path of a YAML file with
        ``model``, ``region`` (a dim or a name) and ``variables`` by output.

    Raises
    ------
    InputError
        If something asked for is wrong; nothing is written.
    RunError
        If the file cannot be written.

    Examples
    --------
    >>> import ndmc, tempfile
    >>> folder = tempfile.mkdtemp()
    >>> _ = ndmc.run("starter", 200, out=f"{folder}/run.zarr")
    >>> ndmc.export(f"{folder}/run.zarr", f"{folder}/iamc.csv", outputs="in_use")
    >>> Path(f"{folder}/iamc.csv").read_text().splitlines()[1][:45]
    'ndmc,starter|p2.5,World,In-use stock|phone,t,'
    """
    path = Path(as_path(to, "to"))
    kind = _kind(path, format)
    opened = open_store(store)
    check_complete(opened)
    mapped = mapping if isinstance(mapping, Mapped) else Mapped()
    if isinstance(mapping, str | Path):
        mapped = read_mapping(mapping)
    names = None if outputs is None else [*as_names(outputs, "outputs")]
    asked = _Asked(opened, names, sel or {}, as_shares(quantiles, "quantiles"), mapped)
    asked.check(draws=draws, iamc=kind == "iamc")
    with _whole(path) as partial:
        if kind == "netcdf":
            asked.netcdf(partial)
        elif kind == "iamc":
            _write(partial, asked.iamc_draws() if draws else asked.iamc())
        else:
            _write(partial, asked.long_draws() if draws else asked.long())


def _kind(path: Path, given: str) -> str:
    if given and given not in FORMATS:
        raise InputError(f"{given!r} is no format; choose one of {', '.join(FORMATS)}", "--format")
    by_name = "iamc" if path.name.lower().endswith("iamc.csv") else "long"
    kind = given or ("netcdf" if path.suffix.lower() == ".nc" else by_name)
    check_writable(path, "--to", *(FORMATS[kind] if given else (".csv", ".nc")))
    return kind


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """Yield a file beside another, which it replaces once it is whole."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        partial.replace(path)
    except OSError as failed:
        raise RunError(f"cannot write {str(path)!r}: {failed.strerror or failed}") from None
    finally:
        partial.unlink(missing_ok=True)


def _write(path: Path, rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


@dataclass(frozen=True)
class _Asked:
    """What is asked of a store."""

    store: Store
    names: list[str] | None
    select: Labels
    quantiles: Sequence[float]
    mapped: Mapped

    def check(self, *, draws: bool, iamc: bool) -> None:
        """Refuse what the store has not, before anything is written."""
        if draws:
            kept = [*self.store.outputs]
            for name in self.names or kept or [""]:
                if name not in kept:
                    which = repr(name) if name else "outputs"
                    message = (
                        f"the draws of {which} are not stored; run with --keep {name or 'all'}"
                    )
                    raise InputError(message, "-v")
        elif not iamc:
            self._summaries(self.store)
        for name in self.mapped.variables:
            if name not in self.store.computed:
                message = f"{name!r} is no output of {self.store.path}"
                raise InputError(message, "--mapping")

    def _summaries(self, store: Store) -> dict[str, Summary]:
        every = self.names if self.names is not None else [*store.spec.percentiles]
        return summaries(store, every, self.quantiles, self.select)

    @property
    def _stores(self) -> list[tuple[Store, set[str] | None]]:
        """The store, and what was added to an ensemble, each with the members that it tells of."""
        if ENSEMBLE not in self.store.attrs:
            return [(self.store, None)]
        found, seen = list[tuple[Store, set[str] | None]](), set[str]()
        for one in (self.store, *additions(self.store.path)):
            new = {*one.dims.labels[MEMBER]} - seen
            found += [(one, new)] if new and one.complete else []
            seen |= new
        return found

    # --- percentiles -----------------------------------------------------------------------------

    def _cells(self) -> Iterator[tuple[Store, str, Summary, dict[str, Any], int]]:
        """Yield each cell of each output: its labels, and where it stands among all."""
        for store, members in self._stores:
            for name, summary in self._summaries_of(store).items():
                for at, cell in enumerate(_labels(store, summary.view)):
                    if members is None or MEMBER not in cell or cell[MEMBER] in members:
                        yield store, name, summary, _parted(store, cell), at

    def _summaries_of(self, store: Store) -> dict[str, Summary]:
        if store is self.store:
            return self._summaries(store)
        every = self.names if self.names is not None else [*self.store.spec.percentiles]
        known = [name for name in every if name in store.spec.percentiles]
        return summaries(store, known, self.quantiles, self.select)

    def long(self) -> Iterator[Sequence[Any]]:
        """Yield the rows of a long table."""
        levels = [f"p{q * 100:g}" for q in self.quantiles]
        numbers = [*(n for level in levels for n in (level, f"{level}_low", f"{level}_high"))]
        dims = self._dims()
        yield ["output", *dims, "unit", "mean", "sd", *numbers]
        for store, name, summary, cell, at in self._cells():
            flat = [part.reshape(len(levels), -1)[:, at]
                    for part in (summary.values, summary.low, summary.high)]  # fmt: skip
            known = [float(part.reshape(-1)[at]) for part in (summary.mean, summary.sd)]
            row = [value for level in zip(*flat, strict=True) for value in map(float, level)]
            labels = [cell.get(dim, "") for dim in dims]
            yield [name, *labels, unit_of(store, summary.view), *known, *row]

    def _dims(self) -> list[str]:
        return [*dict.fromkeys(dim for *_, cell, _ in self._cells() for dim in cell)]

    def iamc(self) -> Iterator[Sequence[Any]]:
        """Yield the rows of IAMC's form: a scenario for each percentile."""
        years = self.store.dims.years
        yield [*_COLUMNS, *years]
        left, rows = set[str](), dict[tuple[str, ...], dict[int, float]]()
        for store, name, summary, cell, at in self._cells():
            if "year" not in cell:
                left.add(name)
                continue
            head = self._named(store, name, cell)
            flat = summary.values.reshape(len(self.quantiles), -1)[:, at]
            for q, value in zip(self.quantiles, flat.tolist(), strict=True):
                key = (head[0], f"{head[1]}|p{q * 100:g}", *head[2:])
                rows.setdefault(key, {})[int(cell["year"])] = value
        _told(left, some=bool(rows))
        for key, values in rows.items():
            yield [*key, *(_number(values.get(year)) for year in years)]

    def _named(self, store: Store, name: str, cell: Mapping[str, Any]) -> tuple[str, ...]:
        """Return what a series is called: model, scenario, region, variable, unit."""
        own = {dim: label for dim, label in cell.items() if dim != "year"}
        parts = store.attrs[ENSEMBLE]["parts"] if ENSEMBLE in store.attrs else {}
        members = [str(own.pop(part)) for part in parts if part in own]
        scenario = "|".join(members) or store.attrs["variant"] or store.attrs["scenario"]
        region = str(own.pop(self.mapped.region, self.mapped.region))
        chosen = view(store, name)
        title = store.computed[chosen.name].title + "|Total" * chosen.sums
        text = self.mapped.variables.get(name) or "|".join([title, *(f"{{{dim}}}" for dim in own)])
        try:
            variable = text.format(**{dim: str(label) for dim, label in cell.items()})
        except (KeyError, IndexError, ValueError):
            message = f"{text!r} names what is no dim of {name!r}; it has {', '.join(cell)}"
            raise InputError(message, "--mapping") from None
        return self.mapped.model, scenario, region, variable, unit_of(store, chosen)

    # --- draws -----------------------------------------------------------------------------------

    def _kept(self) -> Iterator[tuple[str, Any, range, list[dict[str, Any]]]]:
        """Yield the draws of outputs that are stored, block by block, [cell, draw]."""
        for name in self.names or [*self.store.outputs]:
            chosen = view(self.store, name, self.select)
            cells = [_parted(self.store, cell) for cell in _labels(self.store, chosen)]
            for block in blocks(self.store.spec):
                values = chosen.apply(self.store.read(name, slice(block.start, block.stop)))
                yield name, values.reshape(len(cells), -1), block, cells

    def long_draws(self) -> Iterator[Sequence[Any]]:
        """Yield a row for each draw of each cell."""
        names = self.names or [*self.store.outputs]
        every = (_labels(self.store, view(self.store, name, self.select)) for name in names)
        firsts = [_parted(self.store, cells[0]) for cells in every]
        dims = [*dict.fromkeys(dim for cell in firsts for dim in cell)]
        yield ["output", "draw", *dims, "unit", "value"]
        for name, values, block, cells in self._kept():
            unit = self.store.computed[name].unit
            for cell, some in zip(cells, values, strict=True):
                labels = [cell.get(dim, "") for dim in dims]
                for draw, value in zip(block, some.tolist(), strict=True):
                    yield [name, draw, *labels, unit, value]

    def iamc_draws(self) -> Iterator[Sequence[Any]]:
        """Yield a row for each draw of each series: a scenario for each draw."""
        years = self.store.dims.years
        yield [*_COLUMNS, *years]
        left, some = set[str](), False
        for name, values, block, cells in self._kept():
            if "year" not in cells[0]:
                left.add(name)
                continue
            some = True
            series = dict[tuple[str, ...], dict[int, int]]()
            for at, cell in enumerate(cells):
                series.setdefault(self._named(self.store, name, cell), {})[int(cell["year"])] = at
            for head, places in series.items():
                for n, draw in enumerate(block):
                    numbers = (values[places[y], n].item() if y in places else "" for y in years)
                    yield [head[0], f"{head[1]}|draw {draw}", *head[2:], *numbers]
        _told(left, some=some)

    # --- NetCDF ----------------------------------------------------------------------------------

    def netcdf(self, path: Path) -> None:
        """Write percentiles as NetCDF; of an ensemble by policy and future."""
        from ndmc.studies.ensembles import compared

        if ENSEMBLE in self.store.attrs:
            found = compared(self.store).load()
        else:
            found = to_dataset(self.store, self._summaries(self.store))
        texts = {name: one.astype(object) for name, one in found.coords.items()
                 if one.dtype.kind not in "iuf"}  # fmt: skip
        found.assign_coords(texts).to_netcdf(path)


def _labels(store: Store, chosen: Any) -> list[dict[str, Any]]:
    """Return the labels of each cell of a view."""
    along = (cells_along(store, chosen, dim) for dim in chosen.kept)
    return [
        {dim: label for named in cell for dim, label in named.items()}
        for cell in itertools.product(*along)
    ]


def _parted(store: Store, cell: Mapping[str, Any]) -> dict[str, Any]:
    """Return the labels of a cell, of a member of an ensemble what it is made of."""
    if MEMBER not in cell or ENSEMBLE not in store.attrs:
        return dict(cell)
    at = store.dims.labels[MEMBER].index(cell[MEMBER])
    parts = {name: some[at] for name, some in store.attrs[ENSEMBLE]["parts"].items()}
    return {**parts, **{dim: label for dim, label in cell.items() if dim != MEMBER}}


def _number(value: float | None) -> Any:
    return "" if value is None or not np.isfinite(value) else value


def _told(left: set[str], *, some: bool) -> None:
    """Warn of what is left out; refuse to write nothing."""
    if not left:
        return
    text = f"of {', '.join(sorted(left))} there are no years, which IAMC's form wants"
    if not some:
        raise InputError(f"{text}; write another form, such as --to long.csv", "--to")
    warn(f"{text}; left out", "--to")
