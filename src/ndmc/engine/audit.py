"""What every tile of draws is checked for: that processes balance, and what is worth counting."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ndmc.dims import align, expand
from ndmc.engine.row_code import RowCode
from ndmc.engine.tiles import Tile
from ndmc.plan.findings import Extent, Watch, further
from ndmc.plan.steps import Plan, hidden
from ndmc.scenario.operations import evaluate_expression
from ndmc.typing import Floats
from ndmc_kernels.rows import survey

__all__ = ["LIMIT", "Audit"]

#: The largest residual of a balance, as a share of the largest flow or stock of the process in
#: the draw.
LIMIT = 64 * float(np.finfo(np.float64).eps)

# A loop that returns this share of what enters it has no answer worth having: what enters is
# multiplied by 1e9.
_WHOLE = 1.0 - 1e-9

# Rounding leaves this much of a closed flow, and of a stock that is just sustained.
_FLOW_NOISE, _STOCK_NOISE = 1e-9, 1e-12

# Below this, amounts have fewer digits than a balance is held to.
_NOTHING = 1e-290

Mask = npt.NDArray[np.bool_]

#: Watches that the extremes of a draw decide.
_BY_EXTREMES = ("range", "negative", "given_negative")


class Audit:
    """Checks tiles of draws, and remembers the worst balance and how many draws to count.

    Attributes
    ----------
    worst
        Largest residual of a balance so far, relative to the process's largest flow or stock.
    place
        Process, year and draw of it.
    counts
        Number of draws per watch of the plan, in its order.
    extents
        Of each watch that was met, by its number: when, and how far it went.
    draws
        Number of draws seen.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.worst = 0.0
        self.place: tuple[str, int, int] | None = None
        self.counts = [0] * len(plan.watches)
        self.extents: dict[int, Extent] = {}
        self.draws = 0
        self._groups: _Groups | None = None

    def examine(self, tile: Tile, first: int, here: slice) -> None:
        """Check a tile: its first draw, and the draws of it that are wanted."""
        self._groups = self._groups or _Groups(self.plan, tile.code)
        seen = _Seen(self.plan, tile, self._groups)
        self.draws += len(range(tile.width)[here])
        for number, watch in enumerate(self.plan.watches):
            found = _ASKED[watch.kind](watch, seen)
            if found is not None:
                found = np.broadcast_to(found, (tile.width,))[here]
                if count := int(np.count_nonzero(found)):
                    self.counts[number] += count
                    met = _Met(seen, np.arange(tile.width)[here][found])
                    self._extend(number, watch, met, first)
        if self.plan.accounts:
            self._balance(seen, first, here)

    def _extend(self, number: int, watch: Watch, met: _Met, first: int) -> None:
        """Keep when a watch was met, and how far it went."""
        excess = _EXCESS[watch.kind](watch, met) if watch.kind in _EXCESS else None
        extent = None if excess is None else met.extent(watch, excess, first)
        if extent is not None:
            self.extents[number] = further(self.extents.get(number), extent)

    def _balance(self, seen: _Seen, first: int, here: slice) -> None:
        """Keep the worst of all balances."""
        off, largest = seen.off[:, here], seen.largest_held[:, here]
        some = ~(largest <= _NOTHING)
        share = np.divide(off, largest, out=np.zeros_like(off), where=some)
        if share.max(initial=0.0) <= self.worst:
            return
        for number, account in enumerate(self.plan.accounts):
            worst = float(np.max(share[number], initial=0.0))
            if not worst <= self.worst and self.worst == self.worst:  # nan is the worst and stays
                draw = int(np.argmax(share[number]))
                net = seen.tile.rows[seen.tile.code.nets[number].reshape(-1)][:, here]
                row = int(np.argmax(np.abs(net[:, draw])))
                year = self.plan.dims.years[row % len(self.plan.dims.years)]
                self.worst = worst
                self.place = (account.process, year, first + (here.start or 0) + draw)

    def count(self, kind: str) -> dict[str, int]:
        """Return the number of draws per name, for one kind of watch."""
        pairs = zip(self.plan.watches, self.counts, strict=True)
        return {watch.name: number for watch, number in pairs if watch.kind == kind}


class _Groups:
    """Rows of which the least and the greatest value of each draw is wanted.

    They are those of names and, after them, the nets of the accounts.
    """

    def __init__(self, plan: Plan, code: RowCode) -> None:
        watched = [w for w in plan.watches if w.kind in _BY_EXTREMES]
        self.flows = {w.name for w in watched if w.kind != "range"}
        self.flows |= {output.name for output in plan.outputs if output.kind == "flow"}
        names = [*(w.name for w in watched), *sorted(self.flows)]
        names += [name for account in plan.accounts for name in account.names]
        looped = [name for w in plan.watches if w.kind == "gain" for name in w.group]
        names += [name for name in looped if name in code.names]
        self.number = {name: number for number, name in enumerate(dict.fromkeys(names))}
        places = [code.names[name] for name in self.number] + list(code.nets)
        self.rows = np.concatenate([np.empty(0, np.int64), *(p.reshape(-1) for p in places)])
        self.ends = np.cumsum([p.size for p in places], dtype=np.int64)
        self.held = _by_length([[self.number[name] for name in v.names] for v in plan.accounts])


def _by_length(lists: Sequence[Sequence[int]]) -> list[tuple[npt.NDArray[np.int64], ...]]:
    """Return arrays of lists with similar lengths, each after the numbers of its lists.

    As long as the longest, those of 1,000 processes that lose to one took 1 GB for a tile.
    """
    groups = defaultdict[int, list[int]](list)
    for number, one in enumerate(lists):
        groups[len(one).bit_length()].append(number)
    return [(np.array(some), _padded([lists[n] for n in some])) for some in groups.values()]


def _padded(lists: Sequence[Sequence[int]]) -> npt.NDArray[np.int64]:
    """Return lists of numbers as an array, in which short ones repeat their first."""
    most = max(map(len, lists), default=0)
    return np.array([[*one, *[one[0]] * (most - len(one))] for one in lists], dtype=np.int64)


class _Seen:
    """A tile, and what is asked of it more than once: extremes are [group, draw]."""

    def __init__(self, plan: Plan, tile: Tile, groups: _Groups) -> None:
        self.plan, self.tile, self.groups = plan, tile, groups
        tile.run(tile.code.audit)
        self.least = np.empty((len(groups.ends), tile.width))
        self.most = np.empty_like(self.least)
        survey(tile.rows, groups.rows, groups.ends, self.least, self.most)
        self.size = np.maximum(-self.least, self.most)
        self.lowest = self.least.min(axis=1, initial=np.inf).tolist()
        self.highest = self.most.max(axis=1, initial=-np.inf).tolist()

    @property
    def off(self) -> Floats:
        """The largest residual of each account and draw."""
        return self.size[len(self.groups.number) :]

    @property
    def largest_held(self) -> Floats:
        """The largest flow or stock of each account and draw."""
        found = np.empty((len(self.plan.accounts), self.tile.width))
        for accounts, names in self.groups.held:
            found[accounts] = self.size[names].max(axis=1)
        return found

    def largest(self, names: Iterable[str]) -> Floats:
        """Return the largest absolute value of each draw among the values of names."""
        numbers = [self.groups.number[name] for name in names]
        return np.asarray(self.size[numbers].max(axis=0, initial=0.0))

    @functools.cached_property
    def largest_flow(self) -> Floats:
        """The largest flow of each draw."""
        return self.largest(self.groups.flows)


# --- what is counted ------------------------------------------------------------------------


def _any(mask: npt.NDArray[np.bool_]) -> Mask:
    return np.asarray(mask.reshape(-1, mask.shape[-1]).any(axis=0))


def _outside(watch: Watch, seen: _Seen) -> Mask | None:
    number, positive = seen.groups.number[watch.name], watch.name in seen.plan.positive
    lowest, highest = seen.lowest[number], seen.highest[number]
    if not (lowest < watch.low or highest > watch.high or (positive and lowest <= 0.0)):
        return None  # as nearly always
    least, most = seen.least[number], seen.most[number]
    return np.asarray((least <= 0.0 if positive else least < watch.low) | (most > watch.high))


def _negative(watch: Watch, seen: _Seen) -> Mask | None:
    number = seen.groups.number[watch.name]
    if not seen.lowest[number] < 0.0:  # as nearly always
        return None
    return np.asarray(seen.least[number] < -_FLOW_NOISE * seen.largest_flow)


def _below_zero(watch: Watch, seen: _Seen) -> Mask:
    assert watch.value is not None
    return _any(evaluate_expression(watch.value, seen.tile) < 0.0)


def _clipped(watch: Watch, seen: _Seen) -> Mask:
    assert watch.value is not None
    inner, low, high = (
        expand(evaluate_expression(part, seen.tile, watch.within), part.dims, watch.value.dims)
        for part in watch.value.arguments
    )
    return _any(np.asarray((inner < low) | (inner > high)))


def _falling(watch: Watch, seen: _Seen) -> Mask:
    stock = seen.tile[watch.name]
    largest = np.abs(stock).max(axis=-2, initial=0.0).reshape(-1, stock.shape[-1])
    return _any(seen.tile[hidden(watch.name, "shortfall")] < -_STOCK_NOISE * largest)


def _short(watch: Watch, seen: _Seen) -> Mask:
    return _any(seen.tile[hidden(watch.name, "first share")] < watch.high)


def _gaining(watch: Watch, seen: _Seen) -> Mask:
    """Tell draws in which a loop returns all that enters it, or so much that flows are negative.

    Above a gain of 1 the equations may still have a good answer, if something else than a return
    flow closes them (a given outflow of which more enters than leaves, for one).
    """
    gain = seen.tile[hidden(watch.name, "gain")]
    known = [name for name in watch.group if name in seen.groups.number]
    lowest = seen.least[[seen.groups.number[name] for name in known]].min(axis=0)
    sound = lowest >= -_FLOW_NOISE * seen.largest(known)
    return np.asarray(~((gain < _WHOLE) | (sound & (gain > 2.0 - _WHOLE))))


_ASKED: dict[str, Callable[[Watch, _Seen], Mask | None]] = {
    "range": _outside,
    "negative": _negative,
    "given_negative": _negative,
    "negative_stock": _below_zero,
    "negative_capacity": _below_zero,
    "clip": _clipped,
    "negative_inflow": _falling,
    "clipped_inflow": _falling,
    "early_retirement": _falling,
    "short_start": _short,
    "no_start": _short,
    "gain": _gaining,
}


# --- how far it goes ------------------------------------------------------------------------


class _Met(Mapping[str, Floats]):
    """A tile of which only those draws are left in which something is met."""

    def __init__(self, seen: _Seen, draws: npt.NDArray[np.intp]) -> None:
        self.seen, self.draws = seen, draws
        self.dims = seen.plan.dims

    def __getitem__(self, name: str) -> Floats:
        values = self.seen.tile[name]
        return values if values.shape[-1] == 1 else values[..., self.draws]

    def __iter__(self) -> Iterator[str]:
        return iter(self.seen.tile)

    def __len__(self) -> int:
        return len(self.seen.tile)

    def extent(self, watch: Watch, excess: Floats, first: int) -> Extent | None:
        """Return between which years there is an excess [dims..., draw], and the most of it."""
        shape = self.dims.shape(watch.dims)
        excess = np.broadcast_to(excess, (*shape, len(self.draws)))
        cells = excess.reshape(-1, len(self.draws))
        draw = int(np.argmax(cells.max(axis=0)))
        cell = int(np.argmax(cells[:, draw]))
        most = float(cells[cell, draw]) * watch.scale
        if not 0 <= most < np.inf:
            return None
        place = ", ".join(self.dims.cell(watch.dims, cell).values())
        years = self._years(watch, excess)
        return Extent(*years, most, first + int(self.draws[draw]), place)

    def _years(self, watch: Watch, excess: Floats) -> tuple[int, int]:
        if "year" not in watch.dims:
            return 0, 0
        others = tuple(n for n, dim in enumerate((*watch.dims, "draw")) if dim != "year")
        years = np.flatnonzero((excess > 0).any(axis=others))
        if not len(years):
            return 0, 0
        return self.dims.years[years[0]], self.dims.years[years[-1]]


def _above(excess: Floats, noise: Floats | float) -> Floats:
    """Return an excess where it is more than rounding, and else 0."""
    return np.where(excess > noise, excess, 0.0)


def _out_of_range(watch: Watch, met: _Met) -> Floats:
    values = met[watch.name]
    return np.maximum(watch.low - values, values - watch.high)


def _below(watch: Watch, met: _Met) -> Floats:
    return _above(-met[watch.name], _FLOW_NOISE * met.seen.largest_flow[met.draws])


def _level_below(watch: Watch, met: _Met) -> Floats:
    assert watch.value is not None
    return -evaluate_expression(watch.value, met)


def _short_of_cohorts(watch: Watch, met: _Met) -> Floats:
    """Return what is missing of a stock to what its cohorts leave, in the worst year of each."""
    stock, shortfall = met[watch.name], met[hidden(watch.name, "shortfall")]
    largest = np.abs(stock).max(axis=-2, initial=0.0)
    return _above(-shortfall.reshape(*largest.shape[:-1], -1), _STOCK_NOISE * largest)


def _inflow_below(watch: Watch, met: _Met) -> Floats | None:
    """Return negative inflows, if anything reads them."""
    inflow = hidden(watch.name, "inflow")
    if inflow not in met.seen.tile.code.names:
        return None
    short = np.expand_dims(_short_of_cohorts(watch, met), -2)
    return np.where(short > 0.0, -met[inflow], 0.0)


def _more_than_prescribed(watch: Watch, met: _Met) -> Floats:
    assert watch.value is not None
    level = align(evaluate_expression(watch.value, met), watch.value.dims, watch.dims, met.dims)
    stock = met[watch.name]
    largest = np.abs(stock).max(axis=-2, keepdims=True, initial=0.0)
    return _above(stock - level, _STOCK_NOISE * largest)


def _less_than_needed(watch: Watch, met: _Met) -> Floats:
    first = met[hidden(watch.name, "first share")]
    return watch.high - first.reshape(*met.dims.shape(watch.dims), -1)


#: Not clip(): it is what was asked for, often in all draws, and looking at it again made a model of
#: two flows take a third longer.
_EXCESS: dict[str, Callable[[Watch, _Met], Floats | None]] = {
    "range": _out_of_range,
    "negative": _below,
    "given_negative": _below,
    "negative_stock": _level_below,
    "negative_capacity": _level_below,
    "negative_inflow": _inflow_below,
    "clipped_inflow": _more_than_prescribed,
    "early_retirement": _short_of_cohorts,
    "short_start": _less_than_needed,
}
