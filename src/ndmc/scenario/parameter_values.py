"""The numbers of a parameter's cells, as its entry or its table gives them."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ndmc.dims import Dims
from ndmc.label import pairs, plain_label, such_years, unknown_label
from ndmc.scenario.by_label import ELSE, ByLabelError, keys_of_labels
from ndmc.scenario.coded import Coded, alike
from ndmc.scenario.distributions import WITH_UNIT, WITHOUT_UNIT
from ndmc.scenario.gaps import filled
from ndmc.scenario.given_cells import GIVEN, GivenCells, Rows, ordered, what_to_say, with_labels
from ndmc.scenario.inline_values import InlineValues, is_own
from ndmc.scenario.labels import is_year
from ndmc.scenario.table_sources import rows_of
from ndmc.scenario.written import WrittenParameter
from ndmc.typing import Floats, Integers

# More than 1 GB of numbers.
_MAX_CELLS = 10_000_000


def read_values(parameter: WrittenParameter) -> GivenCells:
    """Return what is given of every cell.

    Raises
    ------
    InputError
        With file and line, for anything missing, superfluous or no number.
    """
    entry = parameter.entry
    size = math.prod(parameter.within.dims.shape(parameter.dims))
    if size > _MAX_CELLS:
        message = f"{size:,} cells along its dims, but at most {_MAX_CELLS:,} are read"
        raise parameter.error(f"{message}; split the parameter, or leave out a dim", "dims")
    if {"hold", "interpolate"} & {*entry.missing} and "year" not in parameter.dims:
        message = f"{entry.missing[0]} goes from year to year, and this parameter has no dim year"
        raise parameter.error(f"{message}; say 'missing: 0' if absent cells are 0", "missing")
    if entry.table is None:
        for only in ("column", "wide"):
            if getattr(entry, only) is not None:
                raise parameter.error(f"{only!r} needs a table", only)
        return _inline(parameter, size)
    if entry.value is not None:
        raise parameter.error("give either value or table, not both", "value")
    rows = rows_of(parameter)
    if parameter.may_lie_outside or isinstance(entry.table, list):
        return filled(parameter, rows)
    return ordered(rows, parameter.dims)


def _inline(parameter: WrittenParameter, size: int) -> GivenCells:
    entry = parameter.entry
    if all(getattr(entry, key, None) is None for key in (*WITH_UNIT, *WITHOUT_UNIT, "values")):
        raise parameter.error("no value; give value, table, or the numbers of the distribution")
    by_label = isinstance(entry.value, dict)
    if entry.missing and not by_label:
        message = "'missing' means nothing to what is given for all cells at once; remove it"
        raise parameter.error(message, "missing")
    if parameter.may_lie_outside and by_label:
        return filled(parameter, _points(parameter))
    if entry.value is None:
        return _cells({}, {}, size)
    values, which = InlineValues(parameter), np.empty(size, dtype=np.int64)
    dims = parameter.within.dims
    _fill(values, dims, which, entry.value, _All.of(parameter, dims))
    return _cells(values.columns(which), values.words(which), size)


def _cells(numbers: dict[str, Floats], words: dict[str, Coded[str]], size: int) -> GivenCells:
    """Return the cells of no table."""
    return GivenCells(
        lines=np.broadcast_to(np.int64(0), size),
        numbers=numbers,
        words=words,
        tables=alike(None, size),
        filled=np.broadcast_to(np.int8(GIVEN), size),
    )


# --- points ---------------------------------------------------------------------------------------


def _points(parameter: WrittenParameter) -> Rows:
    """Return the values that are given as the rows of a table would be."""
    value, dims = parameter.entry.value, parameter.within.dims
    years = {year for year in _years(value, parameter.nested) if is_year(year)}
    more = sorted(years.difference(dims.labels["year"]), key=int)
    dims = with_labels(dims, "year", (*dims.labels["year"], *more))
    size = dims.size(parameter.dims)
    if size > 2 * _MAX_CELLS:
        raise parameter.error("too many cells in the years that are given; use a table", "value")
    values, which = InlineValues(parameter), np.full(size, -1)
    _fill(values, dims, which, value, _All.of(parameter, dims))
    given = np.flatnonzero(which >= 0)
    along = np.unravel_index(given, dims.shape(parameter.dims)) if parameter.dims else ()
    return Rows(
        dims=dims,
        tables=alike(None, len(given)),
        lines=np.zeros(len(given), dtype=np.int64),
        labels=dict(zip(parameter.dims, along, strict=True)),
        numbers=values.columns(which[given]),
        words=values.words(which[given]),
    )


def _years(found: Any, named: Sequence[str]) -> Iterator[str]:
    """Yield the years among the keys of values."""
    for key, inner in found.items() if named and isinstance(found, dict) else ():
        if named[0] == "year":
            yield plain_label("year", key)
        yield from _years(inner, named[1:])


# --- values by label ------------------------------------------------------------------------------


@dataclass(frozen=True)
class _All:
    """The cells that values are written to: dims yet to be named, and where labels then stand."""

    named: tuple[str, ...]
    along: dict[str, tuple[int, ...]]

    @classmethod
    def of(cls, parameter: WrittenParameter, dims: Dims) -> _All:
        """Return all cells of a parameter, whose parents are named before what belongs to them."""
        sizes = zip(parameter.dims, dims.shape(parameter.dims), strict=True)
        return cls(parameter.nested, {dim: tuple(range(size)) for dim, size in sizes})

    def dim_of(self, keys: Collection[str], dims: Dims) -> str:
        """Return the dim whose labels are named: the first, or a grouping that has all keys."""
        first, own = self.named[0], {*keys} - {ELSE}
        if own & {*dims.known(first)}:
            return first
        groupings = dims.partitions(self.named)
        return next((one for one in groupings if own and own <= {*dims.labels[one]}), first)

    def labelled(self, dim: str, dims: Dims) -> dict[str, _All]:
        """Return the cells of each label of a dim."""
        rest, places = tuple(one for one in self.named if one != dim), dict[str, list[int]]()
        child = dim if dim in self.along else dims.parents(self.along, dim)[0]
        owner = dims.named_at(child, dim)
        for at in self.along[child]:
            places.setdefault(owner[at], []).append(at)
        return {
            label: _All(rest, {**self.along, child: tuple(some)}) for label, some in places.items()
        }

    def places(self, dims: Dims, years: int) -> Integers:
        """Return the numbers of the cells, those of the first years only where none is named."""
        if not self.along:
            return np.zeros(1, dtype=np.int64)
        along = dict(self.along)
        if "year" in self.named:
            along["year"] = along["year"][:years]
        return np.ravel_multi_index(np.ix_(*along.values()), dims.shape(along)).reshape(-1)


def _fill(
    values: InlineValues, dims: Dims, which: Integers, found: Any, cells: _All, *at: str
) -> None:
    """Write which value is found at a key to the cells there; ``dims`` may have more years."""
    parameter, known = values.parameter, values.parameter.within.dims
    own = bool(cells.named) and is_own(found, cells.named[0], parameter)
    if not cells.named or not isinstance(found, dict) or own:
        which[cells.places(dims, len(known.years))] = values.add(found, *at)
        return
    dim = cells.dim_of(found, dims)
    labelled = cells.labelled(dim, dims)
    keys = _keys(parameter, found, dim, labelled, *at)
    missing = [label for label in labelled if label not in keys]
    if missing and not parameter.may_lie_outside:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        message = f"no value for {pairs({dim: missing[0]})}{more}; every label needs one, "
        message += f"or all others one: else; {what_to_say(cells.named)}"
        raise parameter.error(message, "value", *at)
    for label, key in keys.items():
        if key != ELSE or label in known.labels[dim]:
            _fill(values, dims, which, found[key], labelled[label], *at, key)


def _keys(
    parameter: WrittenParameter,
    found: Mapping[str, Any],
    dim: str,
    known: Collection[str],
    *at: str,
) -> dict[str, str]:
    """Return the keys of values by the labels they stand for."""
    dims = parameter.within.dims
    groups = dims.groups.get(dim, {})
    for key in found:
        label = plain_label(dim, key)
        if label not in known and label not in groups and label != ELSE:
            labels = {**dims.labels, dim: [*known]}
            message = unknown_label(label, dim, labels, dims.groups)
            message += such_years(label, dim, dims.labels[dim], found, "values")
            raise parameter.error(message, "value", *at, key)
    try:
        return keys_of_labels(found, dim, known, groups)
    except ByLabelError as wrong:
        raise parameter.error(str(wrong), "value", *at, wrong.key) from None
