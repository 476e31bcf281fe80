"""What draws are counted of: when it is so, how far it went, and how that is said."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np

from ndmc.scenario.expressions import Expression, Within

__all__ = ["Extent", "Kind", "Watch", "found_in", "further", "rounded", "said"]

#: What is done where a prescribed stock falls faster than its cohorts leave.
Falling = Literal["negative_inflow", "clipped_inflow", "early_retirement"]

#: What draws are counted of.
Kind = (
    Literal[
        "range",
        "negative",
        "given_negative",
        "negative_stock",
        "negative_capacity",
        "clip",
        "short_start",
        "no_start",
        "gain",
    ]
    | Falling
)


@dataclass(frozen=True)
class Watch:
    """Something that draws are counted of, and when: see `ndmc.engine.audit`.

    ``value`` is the expression it looks at, if it looks at one, ``within`` some positions along
    dims. How far a draw goes beyond what is right has ``dims``, and is in ``unit`` once multiplied
    by ``scale``.
    """

    name: str
    kind: Kind
    value: Expression | None = None
    within: Within = field(default_factory=dict, hash=False)
    low: float = -np.inf
    high: float = np.inf
    where: str = ""
    loop: tuple[str, ...] = ()
    group: tuple[str, ...] = ()
    dims: tuple[str, ...] = ()
    unit: str = ""
    scale: float = 1.0


class Extent(NamedTuple):
    """Between which years something was so, and the most it was: how much, and in which cell.

    Years are 0 where it has none. ``draw`` is the first that was so far out.
    """

    first: int
    last: int
    most: float
    draw: int
    place: str


def further(one: Extent | None, other: Extent) -> Extent:
    """Return the extent of two together, whatever their order.

    Examples
    --------
    >>> further(Extent(2001, 2002, 0.5, 7, "car, 2001"), Extent(2002, 2005, 0.25, 3, "car, 2004"))
    Extent(first=2001, last=2005, most=0.5, draw=7, place='car, 2001')
    """
    if one is None:
        return other
    worst = max(one, other, key=lambda some: (some.most, -some.draw))
    return worst._replace(first=min(one.first, other.first), last=max(one.last, other.last))


def found_in(
    watches: Iterable[Watch], counts: Iterable[int], extents: Mapping[int, Extent], draws: int
) -> Iterator[str]:
    """Yield a sentence for each thing that draws were counted of and some were."""
    for number, (watch, count) in enumerate(zip(watches, counts, strict=True)):
        if count:
            yield said(watch, count, draws, extents.get(number))


def said(watch: Watch, count: int, draws: int, extent: Extent | None = None) -> str:
    """Return what is said of a watch that was met in some draws.

    Examples
    --------
    >>> watch = Watch("sales", "given_negative", unit="t/yr")
    >>> print(said(watch, 576, 10_000, Extent(2019, 2021, 12.3, 7, "car, 2020"))[57:136])
    576 of 10,000 draws, within 2019..2021, by up to 12.3 t/yr (car, 2020, draw 7);
    """
    what, remedy = _TEXTS[watch.kind]
    reach = _reach(extent, watch.unit) if extent else ""
    return f"{what.format(repr(watch.name))} in {count:,} of {draws:,} draws{reach}; {remedy}"


def _reach(extent: Extent, unit: str) -> str:
    years = f"within {extent.first}..{extent.last}"
    if extent.first == extent.last:
        years = f"in {extent.first}" if extent.first else ""
    amount = f"by up to {rounded(extent.most)}{f' {unit}' if unit != '1' else ''}"
    place = ", ".join(filter(None, (extent.place, f"draw {extent.draw}")))
    return "".join(f", {part}" for part in (years, f"{amount} ({place})") if part)


def rounded(value: float) -> str:
    """Return an amount as a sentence has it.

    Examples
    --------
    >>> rounded(1001.3), rounded(10.34), rounded(0.01234)
    ('1,001', '10.3', '0.0123')
    """
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


_TEXTS: dict[Kind, Sequence[str]] = {
    "range": (
        "parameter {} left its physical range",
        "its values were used as drawn. Choose a distribution that stays inside (lognormal, beta, "
        "truncated_normal), or say 'range: any' if they are possible",
    ),
    "negative": (
        "flow {}, closed by a balance, is negative",
        "it was kept as it came out. More leaves its process than enters: look at the uncertainty "
        "of the flows beside it",
    ),
    "given_negative": (
        "flow {} is negative, as its value or share says,",
        "look at the parameters it is computed from",
    ),
    "negative_stock": (
        "the stock {} is prescribed below zero",
        "look at the parameters it is computed from",
    ),
    "negative_capacity": (
        "the capacity of the buffer {} is below zero",
        "it held nothing then. Look at the parameters it is computed from",
    ),
    "clip": ("a clip() in {} took effect in at least one cell and year", "as its limits ask"),
    "negative_inflow": (
        "the prescribed stock {} falls faster than its cohorts leave, so its inflow is negative",
        "negative_inflow: clip or early_retirement would answer otherwise",
    ),
    "clipped_inflow": (
        "the prescribed stock {} falls faster than its cohorts leave",
        "nothing flowed in then, and it is larger than prescribed (negative_inflow: clip)",
    ),
    "early_retirement": (
        "the prescribed stock {} falls faster than its cohorts leave",
        "of all cohorts the same share left early then (negative_inflow: early_retirement)",
    ),
    "short_start": (
        "less than 20 % of what enters the stock {} is there at the end of the year",
        "its inflow swings from year to year; use inflow_at: uniform or end",
    ),
}
