"""What decides an output in one cell: its groups by rank, and what it would help to know one."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ndmc.store.shares import Flag
from ndmc.store.variables import EXCEEDANCE, QUANTILE, TOTAL
from ndmc.studies.named_cells import at, dims_of, labels_at, picked

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "EVENT",
    "FIRST",
    "LINEAR",
    "Explained",
    "GroupShare",
    "Picks",
    "closing_cells",
    "titles_of",
    "what",
]

#: A share with its lower and its upper limit.
Interval = tuple[float, float, float]

#: The labels that are picked of dims.
Picks = Mapping[str, Sequence[str | int]]

#: An output with the labels of one of its cells.
Cell = tuple[str, Mapping[str, Any]]

FIRST, _TOTAL_ORDER, LINEAR, EVENT = "_first_order", "_total_order", "_first_linear", "_above"

#: A range this many times as wide as the median is told in units: a percentage tells nothing.
_WIDE = 10

#: Where less of the variance is linear ranges do not narrow as standard deviations do: a hoard that
#: is often empty was said to narrow to 60 % of its range, and narrowed to 30 % in a run.
_NEARLY = 0.9

#: Limits of a first share that are further apart leave the narrowed range open: both are said.
_OPEN = 0.04


@dataclass(frozen=True)
class GroupShare:
    """The share of the variance of a cell that a group has, with its 95 % limits.

    ``first`` goes away if the group is known, ``total`` is left if all others are. A group whose
    total cannot be told from the next larger one has the ``rank`` of that: they are ``tied``.
    """

    group: str
    first: Interval
    total: Interval
    flag: Flag
    rank: int = 0
    tied: bool = False


@dataclass(frozen=True)
class Explained:
    """What decides an output in one cell.

    Attributes
    ----------
    name, labels, unit
        The name of an output, of its total (``in_use_total``) or of an event (``in_use_above``),
        with the labels of the cell.
    groups
        Those that reach it, the largest total share first.
    unreached
        The names of the others, whose shares are exactly 0.
    linear_share
        The part of the variance that is linear in the inputs.
    median, half_width
        Of the output, the half of its 95 % range; of an event ``median`` is how often it comes.
    """

    name: str
    labels: Mapping[str, Any]
    unit: str
    groups: tuple[GroupShare, ...]
    unreached: tuple[str, ...]
    linear_share: float
    median: float = math.nan
    half_width: float = math.nan

    @property
    def of_event(self) -> bool:
        """Whether it is about the draws above a limit."""
        return f"{self.name.removesuffix(EVENT)}_limit" in self.labels

    @cached_property
    def leading(self) -> list[GroupShare]:
        """The group with the largest first share, and those that it cannot be told from."""
        known = [one for one in self.groups if math.isfinite(one.first[0])]
        found = sorted(known, key=lambda one: -one.first[0])
        return [one for one in found if not _apart(found[0].first, one.first)]

    @property
    def sentence(self) -> str:
        """What it would help to know the group with the largest first share."""
        if not self.leading:
            return ""
        best, *others = self.leading
        if not best.first[1] > 0:
            return (
                f"no group alone is known to narrow the range of {self.what}: "
                "what first shares there are cannot be told from 0"
            )
        tied = [one.group for one in others if one.first[1] > 0]
        also = f"; {_listed(tied)} may matter as much" if tied else ""
        return (self._of_event(best) if self.of_event else self._of_range(best)) + also

    @property
    def what(self) -> str:
        """The output and its cell in words."""
        return what(self.name, self.labels, self.unit)

    def _of_event(self, best: GroupShare) -> str:
        share, low, high = (f"{100 * one:.0f}" for one in best.first)
        return (
            f"{best.group} decides most whether {self.what}, which is so in "
            f"{100 * self.median:.3g} % of draws: {share} % ({low} to {high} %) of the variance"
        )

    def _of_range(self, best: GroupShare) -> str:
        if not math.isfinite(self.half_width):
            return f"{best.group} decides most of {self.what}, whose 95 % range has no end"
        if self.half_width == 0:
            return f"95 % of draws of {self.what} are the same, so that there is no range to narrow"
        if self.linear_share < _NEARLY:
            return self._of_spread(best)
        now, *after = (self._width(_left(share)) for share in (0.0, *best.first))
        if after[0] == now:
            return f"no group alone matters much: the 95 % range of {self.what} stays {now}"
        about = f"about {after[0]}"
        if best.first[2] - best.first[1] > _OPEN:
            about += f" (between {after[2]} and {after[1]})"
        return (
            f"if {best.group} were known exactly, the 95 % range of {self.what} would narrow "
            f"from {now} to {about}"
        )

    def _of_spread(self, best: GroupShare) -> str:
        """Return what is left of the standard deviation, which ranges need not follow."""
        return (
            f"if {best.group} were known exactly, the standard deviation of {self.what} would fall "
            f"to about {100 * _left(best.first[0]):.0f} % of what it is, on average; its range may "
            f"not follow, as only {100 * self.linear_share:.0f} % of its variance is linear"
        )

    def _width(self, left: float) -> str:
        """Return a part of half the range, in percent of the median where that says something."""
        half, median = left * self.half_width, abs(self.median)
        if self.half_width < _WIDE * median:
            percent = float(f"{100 * half / median:.2g}")
            digits = f"{percent:.0f}" if percent >= 100 else f"{percent:#.2g}".removesuffix(".")
            return f"+-{digits} %"
        return f"+-{half:.3g} {self.unit}".removesuffix(" 1")


def what(name: str, labels: Mapping[str, Any], unit: str = "") -> str:
    """Return an output and its cell in words.

    Examples
    --------
    >>> what("in_use", {"product": "car", "year": 2021})
    'in_use of car in 2021'
    """
    output, others = name.removesuffix(EVENT), dict(labels)
    year, limit = others.pop("year", None), others.pop(f"{output}_limit", None)
    if limit is not None:
        name = f"{output} > {limit:.12g} {unit}".removesuffix(" 1")
    cell = f" of {', '.join(map(str, others.values()))}" if others else ""
    return f"{name}{cell}" + ("" if year is None else f" in {year}")


def _left(share: float) -> float:
    """Return the part of a standard deviation that is left where a share of the variance goes."""
    return math.sqrt(1 - min(max(share, 0.0), 1.0))


def _listed(names: list[str], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _apart(larger: Interval, other: Interval) -> bool:
    """Whether two shares are told apart by their limits, taken as those of independent numbers."""
    return larger[0] - other[0] > math.hypot(larger[0] - larger[1], other[2] - other[0])


def explained(
    dataset: xr.Dataset, percentiles: xr.Dataset, name: str, labels: Mapping[str, Any]
) -> Explained:
    """Return what decides a cell of an output, by the shares and the percentiles of a study."""
    names = map(str, dataset["group"].values)
    first, total = (_picked(dataset, f"{name}{kind}", labels) for kind in (FIRST, _TOTAL_ORDER))
    flags = map(Flag, _cell(dataset, f"{name}_flag", labels).tolist())
    tied = _cell(dataset, f"{name}_tied", labels).astype(bool).tolist()
    found = [*map(GroupShare, names, first, total, flags, itertools.repeat(0), tied)]
    linear = f"{name}_linear_share"
    return Explained(
        name,
        labels,
        str(dataset[f"{name.removesuffix(EVENT)}_mean"].attrs.get("units", "")),
        tuple(_ranked([one for one in found if one.flag != Flag.STRUCTURAL_ZERO])),
        tuple(one.group for one in found if one.flag == Flag.STRUCTURAL_ZERO),
        float(_cell(dataset, linear, labels)) if linear in dataset else math.nan,
        *_range(percentiles, name, labels),
    )


def titles_of(dataset: xr.Dataset, first: str = FIRST) -> list[str]:
    """Return the names of what has shares: outputs, their totals, and events."""
    names = map(str, dataset.data_vars)
    return [name.removesuffix(first) for name in names if name.endswith(first)]


def closing_cells(
    dataset: xr.Dataset, names: Iterable[str], select: Picks, first: str = FIRST
) -> list[Cell]:
    """Return which cells are told of first: of outputs, and of the events that are about them.

    Where no labels are picked, that is the last year of the total of an output, or of its cell
    that varies most there.
    """
    titles, found = titles_of(dataset, first), list[Cell]()
    for name in names:
        total = TOTAL.name(name)
        title = total if total in titles and not set(select) - {"year"} else name
        events = dict.fromkeys([f"{name}{EVENT}", f"{title}{EVENT}"])
        for one in (title, *(event for event in events if event in titles)):
            dims = dataset[one + first].dims[1:]
            found += [
                (one, cell) for cell in _cells(dataset, one, first, [*map(str, dims)], select)
            ]
    return found


def _cells(
    dataset: xr.Dataset, name: str, first: str, dims: Sequence[str], select: Picks
) -> Iterator[dict[str, Any]]:
    """Yield the labels of the cells of an output that are picked, or else told of first."""
    output = name.removesuffix(EVENT)
    chosen = picked(dims_of(dataset[name + first]), dims, select)
    if "year" in dims:
        chosen.setdefault("year", [dataset.sizes["year"] - 1])
    if f"{output}_limit" in dims:
        chosen[f"{output}_limit"] = [*range(dataset.sizes[f"{output}_limit"])]
    for picks in itertools.product(*chosen.values()):
        cell = dict(zip(chosen, picks, strict=True))
        left = [dim for dim in dims if dim not in cell]
        if left:
            shares = dataset[name + first].isel(cell)
            known = shares.notnull().any([shares.dims[0]])
            cell |= _widest(dataset, f"{output}_sd", known, cell)
        yield labels_at(dataset, {dim: cell[dim] for dim in dims})


def _widest(
    dataset: xr.Dataset, sd: str, known: xr.DataArray, cell: Mapping[str, int]
) -> dict[str, int]:
    """Return where what varies most of that which is known stands; the first if nobody can say."""
    left = [*map(str, known.dims)]
    if sd not in dataset:
        return dict.fromkeys(left, 0)
    at_cell = {dim: place for dim, place in cell.items() if dim in dataset[sd].dims}
    widest = dataset[sd].isel(at_cell).where(known).fillna(-1).argmax(left)
    return {dim: int(widest[dim]) for dim in left}


def _range(percentiles: xr.Dataset, name: str, labels: Mapping[str, Any]) -> tuple[float, float]:
    """Return the median of a cell and half of its 95 % range, or how often an event comes."""
    if name.endswith(EVENT) and name not in percentiles:
        often = percentiles[EXCEEDANCE.name(name.removesuffix(EVENT))]
        return float(at(often, labels)), math.nan
    low, median, high = at(percentiles[name], labels).transpose(QUANTILE).values.tolist()
    return median, (high - low) / 2


def _ranked(groups: list[GroupShare]) -> list[GroupShare]:
    """Return groups by their total shares; those tied to the next larger one share its rank."""
    order = sorted(groups, key=lambda one: -np.nan_to_num(one.total[0], nan=-np.inf))
    begun = (0 if one.tied else n for n, one in enumerate(order))
    firsts = [*itertools.accumulate(begun, max)]
    return [
        replace(one, rank=first + 1, tied=firsts.count(first) > 1)
        for one, first in zip(order, firsts, strict=True)
    ]


def _picked(dataset: xr.Dataset, name: str, labels: Mapping[str, Any]) -> list[Interval]:
    """Return a share and its limits, by group."""
    parts = [_cell(dataset, f"{name}{end}", labels).tolist() for end in ("", "_low", "_high")]
    return list(zip(*parts, strict=True))


def _cell(dataset: xr.Dataset, name: str, labels: Mapping[str, Any]) -> Any:
    return at(dataset[name], labels).values
