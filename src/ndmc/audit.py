"""What every tile of draws is checked for: that processes balance, and what is worth counting."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping

import numpy as np
import numpy.typing as npt

from ndmc.dims import Floats, align, flat, rows_of
from ndmc.expressions import evaluate_expression
from ndmc.steps import Ledger, Plan, Watch, hidden
from ndmc_kernels import balance

__all__ = ["LIMIT", "Audit"]

#: The largest residual of a balance, as a share of the largest flow or stock of the process in
#: the draw.
LIMIT = 64 * float(np.finfo(np.float64).eps)

# A loop that returns this share of what enters it has no answer worth having: what enters is
# multiplied by 1e9.
_WHOLE = 1.0 - 1e-9
# Rounding leaves this much of a closed flow, and of a stock that is just sustained.
_FLOW_NOISE = 1e-9
_STOCK_NOISE = 1e-12

# Below this, amounts have fewer digits than a balance is held to.
_NOTHING = 1e-290

Mask = npt.NDArray[np.bool_]


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
    draws
        Number of draws seen.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.worst = 0.0
        self.place: tuple[str, int, int] | None = None
        self.counts = [0] * len(plan.watches)
        self.draws = 0

    def examine(self, values: Mapping[str, Floats], first: int, here: slice, width: int) -> None:
        """Check a tile: the values of every name, the tile's first draw, and the draws wanted."""
        tile = _Tile(self.plan, values, width)
        self.draws += len(range(width)[here])
        for number, watch in enumerate(self.plan.watches):
            found = np.broadcast_to(_ASKED[watch.kind](watch, tile), (width,))[here]
            self.counts[number] += int(np.count_nonzero(found))
        for ledger in self.plan.ledgers:
            self._balance(ledger, tile, first, here)

    def _balance(self, ledger: Ledger, tile: _Tile, first: int, here: slice) -> None:
        net = tile.residual(ledger)
        off, largest = tile.greatest(net), tile.largest(ledger.names)
        some = ~(largest <= _NOTHING)
        share = np.divide(off, largest, out=np.zeros_like(off), where=some)[here]
        worst = float(np.max(share))
        if not worst <= self.worst and self.worst == self.worst:  # nan is the worst and stays
            draw = int(np.argmax(share))
            row = int(np.argmax(np.abs(net[:, here][:, draw])))
            year = self.plan.dims.years[row % len(self.plan.dims.years)]
            self.worst = worst
            self.place = (ledger.process, year, first + (here.start or 0) + draw)

    def count(self, kind: str) -> dict[str, int]:
        """Return the number of draws per name, for one kind of watch."""
        pairs = zip(self.plan.watches, self.counts, strict=True)
        return {watch.name: number for watch, number in pairs if watch.kind == kind}


class _Tile:
    """The values of one tile of draws, and what is asked of them more than once."""

    def __init__(self, plan: Plan, values: Mapping[str, Floats], width: int) -> None:
        self.plan, self.values, self.width = plan, values, width
        self.sizes: dict[str, Floats] = {}

    def greatest(self, rows: Floats) -> Floats:
        """Return the largest absolute value of each draw."""
        out = np.zeros(self.width)
        balance.greatest(rows, out)
        return out

    def largest(self, names: Iterable[str]) -> Floats:
        """Return the largest absolute value of each draw among the values of names."""
        out = np.zeros(self.width)
        for name in names:
            if name not in self.sizes:
                self.sizes[name] = self.greatest(flat(self.values[name], self.width))
            np.maximum(out, self.sizes[name], out=out)
        return out

    @functools.cached_property
    def largest_flow(self) -> Floats:
        """The largest flow of each draw."""
        flows = {watch.name for watch in self.plan.watches if watch.kind.endswith("negative")}
        return self.largest(flows | {o.name for o in self.plan.outputs if o.kind == "flow"})

    def residual(self, ledger: Ledger) -> Floats:
        """Return what enters a process minus what leaves and stays, [cell and year, draw]."""
        dims = self.plan.dims
        net = np.zeros((dims.size(ledger.dims), self.width))
        for term in ledger.terms:
            rows = flat(self.values[term.name], self.width)
            balance.accumulate(rows, rows_of(term.dims, ledger.dims, dims), term.sign, net)
        if ledger.stock:
            stock = flat(self.values[ledger.stock], self.width)
            rows = np.zeros_like(net)
            balance.accumulate(stock, rows_of(ledger.stock_dims, ledger.dims, dims), 1.0, rows)
            held = rows.reshape(-1, len(dims.years), self.width)
            net -= np.diff(held, axis=1, prepend=self._before(ledger, held)).reshape(net.shape)
        return net

    def _before(self, ledger: Ledger, held: Floats) -> Floats:
        """Return the stock before the first year, [cell, 1, draw]."""
        if ledger.before is None:
            return np.zeros_like(held[:, :1])
        cells, has = ledger.stock_dims[:-1], ledger.dims[:-1]
        stock = evaluate_expression(ledger.before, self.values)
        stock = align(stock, ledger.before.dims, cells, self.plan.dims)
        summed = stock.sum(axis=tuple(n for n, dim in enumerate(cells) if dim not in has))
        return np.broadcast_to(summed.reshape(held.shape[0], 1, -1), held[:, :1].shape)


# --- what is counted ------------------------------------------------------------------------


def _any(mask: npt.NDArray[np.bool_]) -> Mask:
    return np.asarray(mask.reshape(-1, mask.shape[-1]).any(axis=0))


def _outside(watch: Watch, tile: _Tile) -> Mask:
    drawn = tile.values[watch.name]
    below = drawn <= 0.0 if watch.name in tile.plan.positive else drawn < watch.low
    return _any(below | (drawn > watch.high))


def _negative(watch: Watch, tile: _Tile) -> Mask:
    flow = tile.values[watch.name]
    if not flow.min() < 0:  # as nearly always: a tenth of the work of telling draws apart
        return np.zeros(1, dtype=np.bool_)
    return _any(flow < -_FLOW_NOISE * tile.largest_flow)


def _below_zero(watch: Watch, tile: _Tile) -> Mask:
    assert watch.value is not None
    return _any(evaluate_expression(watch.value, tile.values) < 0.0)


def _clipped(watch: Watch, tile: _Tile) -> Mask:
    assert watch.value is not None
    inner, low, high = (
        align(evaluate_expression(part, tile.values), part.dims, watch.value.dims, tile.plan.dims)
        for part in watch.value.arguments
    )
    return _any((inner < low) | (inner > high))


def _falling(watch: Watch, tile: _Tile) -> Mask:
    stock = tile.values[watch.name]
    largest = np.abs(stock).max(axis=-2, initial=0.0).reshape(-1, stock.shape[-1])
    return _any(tile.values[hidden(watch.name, "shortfall")] < -_STOCK_NOISE * largest)


def _short(watch: Watch, tile: _Tile) -> Mask:
    return _any(tile.values[hidden(watch.name, "first share")] < watch.high)


def _gaining(watch: Watch, tile: _Tile) -> Mask:
    """Tell draws in which a loop returns all that enters it, or so much that flows are negative.

    Above a gain of 1 the equations may still have a good answer, if something else than a return
    flow closes them (a given outflow of which more enters than leaves, for one).
    """
    gain = tile.values[hidden(watch.name, "gain")]
    flows = [tile.values[name] for name in watch.group if name in tile.values]
    lowest = np.min([f.reshape(-1, f.shape[-1]).min(axis=0) for f in flows], axis=0)
    sound = lowest >= -_FLOW_NOISE * tile.largest(n for n in watch.group if n in tile.values)
    return np.asarray(~((gain < _WHOLE) | (sound & (gain > 2.0 - _WHOLE))))


_ASKED: dict[str, Callable[[Watch, _Tile], Mask]] = {
    "range": _outside,
    "negative": _negative,
    "given_negative": _negative,
    "negative_stock": _below_zero,
    "clip": _clipped,
    "negative_inflow": _falling,
    "clipped_inflow": _falling,
    "early_retirement": _falling,
    "short_start": _short,
    "no_start": _short,
    "gain": _gaining,
}
