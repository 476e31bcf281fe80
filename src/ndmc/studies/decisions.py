"""What an ensemble says of each policy: the rows of a table that people decide by."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ndmc.engine.audit import LIMIT
from ndmc.errors import InputError, Mistakes, nearest
from ndmc.plan.steps import MEMBER
from ndmc.store.comparisons import EVENT
from ndmc.store.store import Store
from ndmc.store.variables import TOTAL
from ndmc.studies.ensembles import folded, members_of
from ndmc.typing import Floats

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Decision", "OverFutures", "decisions", "over_futures", "rows_of"]

#: Labels by dim.
Picks = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Decision:
    """One cell of one output of a member: what it is, and how it compares with its reference.

    Percentiles are [quantile], those of the difference and of its limits too. A number that there
    is not is nan: a share that is better where nothing says which way that is. Regret is that of
    half the draws; an event has come in a share of draws ``by`` a year.
    """

    name: str
    title: str
    unit: str
    cell: dict[str, Any]
    member: dict[str, str]
    reference: Decision | None
    event: bool
    values: Floats
    mean: float
    difference: Floats
    low: Floats
    high: Floats
    less: float
    more: float
    better: float
    regret: float
    regret_mean: float
    never: float
    by: float
    year: int
    sd: float
    spread: float

    def saved(self, reference: Decision) -> float:
        """Return how many times the draws would be needed for the same if draws did not pair."""
        apart = self.sd**2 + reference.sd**2
        return apart / self.spread**2 if self.spread > 0 else math.nan


def decisions(
    store: Store,
    select: Picks = {},  # noqa: B006
    outputs: Iterable[str] | None = None,
) -> Iterator[Decision]:
    """Yield what an ensemble says of each output, cell by cell and member by member.

    Of flows and stocks it is the total, of what is yearly the last year, unless labels are picked.
    """
    found, about = folded(store), members_of(store)
    members = [
        {part: values[at] for part, values in about["parts"].items()}
        for at in range(found.sizes[MEMBER])
    ]
    labels = found[MEMBER].values.tolist()
    named = [{MEMBER: label, **parts} for label, parts in zip(labels, members, strict=True)]
    shown = [
        at
        for at, own in enumerate(named)
        if all(label in select.get(part, [label]) for part, label in own.items())
    ]
    year = int([*select.get("year", ()), store.dims.years[-1]][0])
    for name in _asked(store, found, outputs):
        output = store.computed[name]
        title = name if set(select) & set(output.summed) or not output.summed else TOTAL.name(name)
        own = _own(found, title, {"year": [store.dims.years[-1]], **select})
        about_cells = {"name": title, "title": output.title, "unit": output.unit, "year": year}
        about_cells["event"] = output.kind == EVENT
        for places in np.ndindex(*(own.sizes[dim] for dim in _dims(own, title))):
            where = dict(zip(_dims(own, title), places, strict=True))
            cells = _members(own, where, members, about["reference"], about_cells)
            yield from (cells[at] for at in shown)


def _dims(found: xr.Dataset, title: str) -> list[Any]:
    """Return the dims of an output besides its members."""
    return [dim for dim in found[f"{title}_mean"].dims if dim != MEMBER]


def _own(found: xr.Dataset, title: str, select: Picks) -> xr.Dataset:
    """Return what is told of an output, of the labels that are picked, in memory."""
    own = found[[title + suffix for suffix in _SUFFIXES if title + suffix in found]]
    return own.isel(_picked(found, _dims(found, title), select)).load()


def _members(
    own: xr.Dataset,
    where: Mapping[Any, int],
    members: Sequence[dict[str, str]],
    references: Sequence[int],
    about: Mapping[str, Any],
) -> dict[int, Decision]:
    """Return a cell of each member, by its position."""
    columns, cells = _columns(own.isel(where), about["name"]), dict[int, Decision]()
    years = own["year"].values.tolist() if "year" in own.coords else []
    for at in sorted(range(len(members)), key=lambda at: references[at] != at):
        of = references[at]
        cells[at] = Decision(
            cell=_named(own, where),
            member=members[at],
            reference=None if of == at else cells[of],
            **_numbers(columns, at),
            by=_by(columns, at, years, about["year"]),
            **about,
        )
    return cells


def _asked(store: Store, found: xr.Dataset, outputs: Iterable[str] | None) -> list[str]:
    """Return the outputs that are told of."""
    known = [name for name in store.spec.percentiles if f"{name}_difference" in found]
    if outputs is None:
        return known
    with Mistakes() as mistakes:
        for name in (one for one in outputs if one not in known):
            message = f"{name!r} is not compared in {store.path}; {nearest(name, known)}"
            mistakes.add([InputError(message, "-v")])
    return [*outputs]


def _picked(found: xr.Dataset, dims: Sequence[Any], select: Picks) -> dict[Any, list[int]]:
    """Return where the labels stand that are picked along some dims."""
    return {
        dim: [
            at
            for at, label in enumerate(found[dim].values.tolist())
            if dim not in select or label in select[dim]
        ]
        for dim in dims
    }


def _named(own: xr.Dataset, where: Mapping[Any, int]) -> dict[str, Any]:
    """Return the labels of a cell, each after what it belongs to."""
    named = dict[str, Any]()
    for dim, place in where.items():
        for other, coordinate in own.coords.items():
            if coordinate.dims == (dim,) and f"{other}".startswith(f"{dim}_"):
                above = coordinate.values.tolist()[place]
                named[f"{other}".removeprefix(f"{dim}_")] = above
        named[dim] = own[dim].values.tolist()[place]
    return named


#: What is told of a cell, and the variable that it stands in.
_SINGLE = {"mean": "_mean", "less": "_less", "more": "_more", "better": "_better"}
_SINGLE |= {"regret_mean": "_regret_mean", "never": "_never"}
_SINGLE |= {"sd": "_sd", "spread": "_difference_sd"}

_BY_QUANTILE = {"values": "", "difference": "_difference"}
_BY_QUANTILE |= {"low": "_difference_low", "high": "_difference_high"}

#: The lowest and the highest difference of all draws.
_ENDS = ("_difference_min", "_difference_max")

_SUFFIXES = (*_ENDS, *_SINGLE.values(), *_BY_QUANTILE.values(), "_regret", "_by_year")


def _columns(here: xr.Dataset, title: str) -> dict[str, Floats]:
    """Return what is told of a cell by its suffix, [member, ...]."""
    return {
        suffix: here[title + suffix].transpose(MEMBER, ...).values
        for suffix in _SUFFIXES
        if title + suffix in here
    }


def _numbers(columns: Mapping[str, Floats], at: int) -> dict[str, Any]:
    """Return what is told of a cell of a member."""
    single = {
        key: float(columns[suffix][at]) if suffix in columns else math.nan
        for key, suffix in _SINGLE.items()
    }
    of_quantiles = {key: columns[suffix][at] for key, suffix in _BY_QUANTILE.items()}
    middle = len(of_quantiles["values"]) // 2
    half = columns["_regret"][at, middle] if "_regret" in columns else math.nan
    found = single | of_quantiles | {"regret": float(half)}
    return found | _tied(found) if _is_rounding(columns, at) else found


def _is_rounding(columns: Mapping[str, Floats], at: int) -> bool:
    """Whether no draw differs from the reference by more than a balance may be off."""
    most = max(float(abs(columns[suffix][at])) for suffix in _ENDS)
    size = float(np.abs(columns[""][at]).max())
    return math.isfinite(size) and 0.0 < most <= LIMIT * size


def _tied(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is told of a member that does as its reference in all draws."""
    nothing = {key: np.zeros_like(found[key]) for key in ("difference", "low", "high")}
    better = found["better"] if math.isnan(found["better"]) else 0.0
    return nothing | {"less": 0.0, "more": 0.0, "better": better, "spread": 0.0}


def _by(columns: Mapping[str, Floats], at: int, years: Sequence[int], year: int) -> float:
    """Return the share of draws in which an event has come by a year."""
    return float(columns["_by_year"][at, years.index(year)]) if "_by_year" in columns else math.nan


# --- over futures ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class OverFutures:
    """What a policy does over all futures: its weighted mean, and the future where it does worst.

    Of events there is no mean: years that never come have none.
    """

    name: str
    cell: dict[str, Any]
    member: dict[str, str]
    mean: float
    regret: float
    better: float
    worst: str
    worst_better: float


def over_futures(found: Sequence[Decision], weights: Mapping[str, float]) -> Iterator[OverFutures]:
    """Yield what each policy does over futures that have weights, where a goal says what is better.

    The worst future is that of the largest mean regret, of events that of the fewest draws in which
    the policy is better.
    """
    together: dict[Any, list[Decision]] = {}
    for one in found:
        own = {part: value for part, value in one.member.items() if part != "future"}
        key = one.name, *one.cell.items(), *own.items()
        together.setdefault(key, []).append(one)
    for some in together.values():
        first = some[0]
        if not weights or math.isnan(first.regret) or "future" not in first.member:
            continue
        shares = [weights[one.member["future"]] for one in some]
        worst = max(some, key=lambda one: -one.better if one.event else one.regret_mean)
        means = (math.nan, math.nan)
        if not first.event:
            means = (
                _weighted(shares, [one.mean for one in some]),
                _weighted(shares, [one.regret_mean for one in some]),
            )
        yield OverFutures(
            first.name,
            first.cell,
            {part: value for part, value in first.member.items() if part != "future"},
            *means,
            better=_weighted(shares, [one.better for one in some]),
            worst=worst.member["future"],
            worst_better=worst.better,
        )


def _weighted(shares: Sequence[float], values: Sequence[float]) -> float:
    return sum(share * value for share, value in zip(shares, values, strict=True) if share)


def rows_of(store: Store, found: Sequence[Decision]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table: a cell of a member each, with all that is known."""
    levels = [f"p{q * 100:g}" for q in store.spec.quantiles]
    for one in found:
        row = {"output": one.name, **one.cell, **one.member, "unit": one.unit, "mean": one.mean}
        row |= dict(zip(levels, one.values.tolist(), strict=True))
        for part, values in (("", one.difference), ("_low", one.low), ("_high", one.high)):
            names = [f"difference_{level}{part}" for level in levels]
            row |= dict(zip(names, values.tolist(), strict=True))
        row |= {"less": one.less, "more": one.more, "better": one.better}
        row |= {"regret_mean": one.regret_mean, "regret_p50": one.regret, "sd": one.sd}
        row |= {"never": one.never, f"by_{one.year}": one.by}
        row |= {"difference_sd": one.spread}
        row |= {"draws_saved": one.saved(one.reference) if one.reference else math.nan}
        yield {key: "" if value != value else value for key, value in row.items()}
