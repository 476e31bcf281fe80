"""What a picture of a sensitivity study shows: one cell of an output over the years, as arrays."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ndmc.errors import InputError, nearest
from ndmc.label import LabelError, Labels
from ndmc.store.shares import Flag
from ndmc.store.structured import structured
from ndmc.studies.explained import EVENT, FIRST, titles_of, what
from ndmc.studies.named_cells import at, labels_at
from ndmc.studies.named_cells import dims_of as named_dims

if TYPE_CHECKING:
    import xarray as xr

    from ndmc.typing import Array, Floats

_YEAR, _GROUP, _TOTAL = "year", "group", "_total"

#: What a year varies by at least, as a share of its mean, for its shares to be worth a look.
_LEAST = 0.01

#: Groups that have a row whatever their share is.
_FEW = 5


@dataclass(frozen=True)
class Share:
    """A share of variance and its 95 % limits, each [group, year]."""

    best: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class Spread:
    """The output itself over the years: the middle of its draws and what holds most of them."""

    low: Floats
    middle: Floats
    high: Floats
    words: tuple[str, str]


@dataclass(frozen=True)
class Cell:
    """An output in one cell; arrays are [group, year] or [year], with one year if it has none.

    ``effect`` is the half-width of the 95 % range that a group alone gives the output, and
    ``sign`` the direction in which it moves when the group rises, 0 where that is not known.
    """

    title: str
    name: str
    widest: bool
    unit: str
    years: tuple[int, ...]
    at: int
    groups: tuple[str, ...]
    first: Share
    total: Share
    flag: Array
    spread: Spread | None
    quiet: Array
    effect: Floats | None
    sign: Floats | None

    @property
    def heading(self) -> str:
        """Its name, and whether it is shown for what it is or because it was asked for."""
        return f"{self.name}, which varies most" if self.widest else self.name

    @cached_property
    def known(self) -> Array:
        """The years that have shares: where something varies, and it is known by what."""
        return _known(self.first, self.flag)

    @property
    def reached(self) -> list[int]:
        """The groups that reach the cell in the year that is looked at, the largest first."""
        reached = self.flag[:, self.at] != Flag.STRUCTURAL_ZERO
        order = largest(self.total.best[:, self.at], len(reached))
        return [group for group in order if reached[group]]


def headline_of(dataset: xr.Dataset) -> list[str]:
    """Return the outputs of the headline, or what stands first in a study."""
    titles = titles_of(dataset)
    if not titles:
        raise InputError("this is no sensitivity study: it has no shares of variance", "dataset")
    names = structured(dataset.attrs).get("headline", [])
    return [name for name in names if name in titles] or titles[:1]


def total_or_own(dataset: xr.Dataset, title: str, picked: Collection[str] = ()) -> str:
    """Return the title of the total of an output, unless a dim is picked that is summed there."""
    total = title + _TOTAL
    if total not in titles_of(dataset):
        return title
    summed = {*dims_of(dataset, title)} - {*dims_of(dataset, total)}
    return title if summed & {*picked} else total


def read_cell(
    dataset: xr.Dataset, spread: xr.Dataset | None, output: str | None, sel: Labels | None
) -> Cell:
    """Return the cell of an output that labels pick.

    Of an output by labels, where none is picked, the total is taken if there is one; else, and of
    dims that are left, the cell that varies most.

    Raises
    ------
    InputError
        For an output or a label that the study has not, and for several labels of a dim.
    """
    picked = _places(dataset, sel or {})
    title = _title(dataset, output, picked)
    own = {dim: place for dim, place in picked.items() if dim in dims_of(dataset, title)}
    return cell_of(dataset, spread, title, own)


def _title(dataset: xr.Dataset, output: str | None, picked: Collection[str]) -> str:
    titles = titles_of(dataset)
    title = headline_of(dataset)[0] if output is None else output
    if title not in titles:
        raise InputError(f"the study has no output {title!r}; {nearest(title, titles)}", "output")
    return total_or_own(dataset, title, picked)


def dims_of(dataset: xr.Dataset, title: str) -> list[str]:
    """Return the dims of an output."""
    return [str(dim) for dim in dataset[title + FIRST].dims if dim != _GROUP]


def _places(dataset: xr.Dataset, sel: Labels) -> dict[str, int]:
    """Return where the label stands that is picked of each dim, which not all outputs need have."""
    asked = {dim: _text(one) if isinstance(one, float) else one for dim, one in sel.items()}
    dims = dict.fromkeys(dim for title in titles_of(dataset) for dim in dims_of(dataset, title))
    known = named_dims(dataset)
    labels = {dim: tuple(labels_of(dataset, dim)) for dim in dims}
    known = replace(known, labels={**known.labels, **labels})
    try:
        found = known.picked(asked)
        own = [dim for dim in dims if not found.keys().isdisjoint(known.full([dim]))]
        picked = {**found, **{dim: known.along(dim, found) for dim in own}}
    except LabelError as wrong:
        raise InputError(str(wrong), "sel") from None
    several = [dim for dim, places in picked.items() if len(places) > 1]
    if several:
        raise InputError(f"a picture shows one cell; pick one label of {several[0]}", "sel")
    return {dim: places[0] for dim, places in picked.items()}


def labels_of(dataset: xr.Dataset, dim: str) -> list[str]:
    """Return the labels of a dim, limits as short as they were given."""
    found = dataset[dim].values if dim in dataset.coords else range(dataset.sizes[dim])
    return [_text(one) for one in found]


def _text(label: Any) -> str:
    """Return a label; of a limit the number as people write it."""
    return f"{label:.12g}" if isinstance(label, float) else str(label)


def cell_of(
    dataset: xr.Dataset, spread: xr.Dataset | None, title: str, places: Mapping[str, int]
) -> Cell:
    """Return an output in a cell; of dims that are not placed, that which varies most."""
    timed = _YEAR in dims_of(dataset, title)
    years = tuple(map(int, dataset[_YEAR].values)) if timed else ()
    cell = _widest(dataset, title, places, places.get(_YEAR, len(years) - 1))
    cell.pop(_YEAR, None)
    arrays = _Arrays(dataset, title, cell)
    first, flag = arrays.share(FIRST), arrays.flag()
    known = np.flatnonzero(_known(first, flag))
    last = int(known[-1]) if known.size else flag.shape[1] - 1
    return Cell(
        title=title,
        name=_in_words(dataset, title, cell),
        widest=not cell.keys() - {f"{event_of(title)}_limit"} <= places.keys(),
        unit=arrays.unit(),
        years=years,
        at=places.get(_YEAR, last),
        groups=tuple(labels_of(dataset, _GROUP)),
        first=first,
        total=arrays.share("_total_order"),
        flag=flag,
        spread=_spread(dataset, spread, title, cell),
        quiet=arrays.quiet(),
        effect=arrays.half_width(first),
        sign=arrays.sign(),
    )


def event_of(title: str) -> str:
    """Return the output that an event is about."""
    return title.removesuffix(EVENT)


def _in_words(dataset: xr.Dataset, title: str, cell: Mapping[str, int]) -> str:
    labels = labels_at(dataset, cell)
    limits = dataset.get(f"{event_of(title)}_limit")
    return what(title, labels, "" if limits is None else str(limits.attrs.get("units", "1")))


def _known(first: Share, flag: Array) -> Array:
    known: Array = (np.isfinite(first.best) & (flag != Flag.STRUCTURAL_ZERO)).any(axis=0)
    return known


def _widest(
    dataset: xr.Dataset, title: str, places: Mapping[str, int], year: int
) -> dict[str, int]:
    """Return where the cell stands that varies most, of those that are left open."""
    open_dims = [d for d in dims_of(dataset, title) if d not in places and d != _YEAR]
    if not open_dims:
        return dict(places)
    name = f"{title}_sd"
    if name not in dataset:
        return {**places, **dict.fromkeys(open_dims, 0)}
    chosen = {dim: n for dim, n in {**places, _YEAR: year}.items() if dim in dataset[name].dims}
    sd = dataset[name].isel(chosen).transpose(*open_dims).values
    found = np.unravel_index(int(np.argmax(np.nan_to_num(sd, nan=-1.0))), sd.shape)
    return {**places, **{dim: int(n) for dim, n in zip(open_dims, found, strict=True)}}


@dataclass(frozen=True)
class _Arrays:
    """The arrays of an output in a cell, each with a year."""

    dataset: xr.Dataset
    title: str
    cell: Mapping[str, int]

    def one(self, suffix: str) -> Floats | None:
        """Return a variable, [group, year] or [year], or None if there is none."""
        if self.title + suffix not in self.dataset:
            return None
        return np.asarray(_over_years(self.dataset[self.title + suffix], self.cell), np.float64)

    def share(self, suffix: str) -> Share:
        """Return a share with its limits."""
        ends = (
            _over_years(self.dataset[self.title + suffix + end], self.cell)
            for end in ("", "_low", "_high")
        )
        return Share(*ends)

    def flag(self) -> Array:
        """Return the flags of shares."""
        flag: Array = _over_years(self.dataset[f"{self.title}_flag"], self.cell)
        return flag

    def unit(self) -> str:
        """Return the unit of the output, which an event has not."""
        mean = self.dataset.get(f"{self.title}_mean")
        return "" if mean is None else str(mean.attrs.get("units", ""))

    def quiet(self) -> Array:
        """Return the years that hardly vary."""
        mean, sd = self.one("_mean"), self.one("_sd")
        if mean is None or sd is None:
            return np.zeros(self.flag().shape[1], bool)
        return np.asarray(sd < _LEAST * np.abs(mean))

    def half_width(self, first: Share) -> Floats | None:
        """Return half of the 95 % range that each group alone gives an output, not an event."""
        sd = self.one("_sd")
        if sd is None or self.one("_effect") is None:
            return None
        return 1.96 * sd * np.sqrt(np.maximum(first.best, 0))

    def sign(self) -> Floats | None:
        """Return the direction of each group."""
        effect = self.one("_effect")
        return None if effect is None else np.sign(effect)


def _over_years(variable: xr.DataArray, cell: Mapping[str, int]) -> Any:
    found = variable.isel({dim: n for dim, n in cell.items() if dim in variable.dims})
    return found.values if _YEAR in found.dims else found.values[..., None]


def _spread(
    dataset: xr.Dataset, percentiles: xr.Dataset | None, title: str, cell: Mapping[str, int]
) -> Spread | None:
    """Return percentiles of an output, of an event how often it comes; else what sd says."""
    labels = labels_at(dataset, cell)
    event = f"{event_of(title)}_exceedance"
    if percentiles is not None and title in percentiles:
        ends = percentiles["quantile"].values
        found = _picked(percentiles[title], labels, dataset)
        width = f"{100 * ends[0]:g} to {100 * ends[-1]:g} % of the draws"
        return Spread(found[0], found[len(ends) // 2], found[-1], (width, "median"))
    if title.endswith(EVENT) and percentiles is not None and event in percentiles:
        often = _picked(percentiles[event], labels, dataset)
        return Spread(often, often, often, ("", "share of draws above"))
    arrays = _Arrays(dataset, title, cell)
    mean, sd = arrays.one("_mean"), arrays.one("_sd")
    if mean is None or sd is None:
        return None
    return Spread(mean - 1.96 * sd, mean, mean + 1.96 * sd, ("1.96 sd to each side", "mean"))


def _picked(variable: xr.DataArray, labels: Mapping[str, Any], dataset: xr.Dataset) -> Any:
    """Return percentiles of a cell in the years of the study."""
    timed = {_YEAR: dataset[_YEAR].values} if _YEAR in variable.dims else {}
    found = at(variable, labels).sel(timed)
    return found.values if timed else found.values[..., None]


def largest(share: Floats, most: int) -> list[int]:
    """Return where the largest stand, in falling order; what is not known comes last."""
    order = np.argsort(-np.nan_to_num(share, nan=-np.inf), kind="stable")
    return [int(one) for one in order[:most]]


def worth_a_row(share: Floats, most: int, least: float) -> list[int]:
    """Return the same, after the first few only those with at least some share."""
    order = largest(share, most)
    return [n for place, n in enumerate(order) if place < _FEW or not share[n] < least]
