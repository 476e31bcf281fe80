"""What every tile of draws is checked for: that processes balance, and what is worth counting."""

from __future__ import annotations

from collections.abc import Mapping

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
        self.draws += len(range(width)[here])
        for number, watch in enumerate(self.plan.watches):
            mask = _ASKED[watch.kind](watch, values, self.plan)
            found = np.broadcast_to(mask, (width,))[here]
            self.counts[number] += int(np.count_nonzero(found))
        for ledger in self.plan.ledgers:
            self._balance(ledger, values, first, here, width)

    def _balance(
        self, ledger: Ledger, values: Mapping[str, Floats], first: int, here: slice, width: int
    ) -> None:
        net, largest = _residual(ledger, values, self.plan, width)
        off = np.zeros((1, width))
        balance.greatest(net, off[0])
        share = np.divide(off[0], largest, out=np.zeros(width), where=largest != 0)[here]
        worst = float(np.max(share))
        if not worst <= self.worst and self.worst == self.worst:  # nan is the worst and stays
            draw = int(np.argmax(share))
            years = len(self.plan.dims.years)
            row = int(np.argmax(np.abs(net[:, here][:, draw])))
            self.worst = worst
            start = here.start or 0
            self.place = (ledger.process, self.plan.dims.years[row % years], first + start + draw)

    def count(self, kind: str) -> dict[str, int]:
        """Return the number of draws per name, for one kind of watch."""
        pairs = zip(self.plan.watches, self.counts, strict=True)
        return {watch.name: number for watch, number in pairs if watch.kind == kind}


def _residual(
    ledger: Ledger, values: Mapping[str, Floats], plan: Plan, width: int
) -> tuple[Floats, Floats]:
    """Return what enters minus what leaves and stays, [cell and year, draw], and the largest."""
    dims, largest = plan.dims, np.zeros(width)
    net = np.zeros((dims.size(ledger.dims), width))
    for term in ledger.terms:
        rows = flat(values[term.name], width)
        balance.accumulate(rows, rows_of(term.dims, ledger.dims, dims), term.sign, net)
        balance.greatest(rows, largest)
    if ledger.stock:
        stock = flat(values[ledger.stock], width)
        rows = np.zeros_like(net)
        balance.accumulate(stock, rows_of(ledger.stock_dims, ledger.dims, dims), 1.0, rows)
        balance.greatest(stock, largest)
        held = rows.reshape(-1, len(dims.years), width)
        net -= np.diff(held, axis=1, prepend=_before(ledger, values, plan, held)).reshape(net.shape)
    return net, largest


def _before(ledger: Ledger, values: Mapping[str, Floats], plan: Plan, held: Floats) -> Floats:
    """Return the stock before the first year, [cell, 1, draw]."""
    if ledger.before is None:
        return np.zeros_like(held[:, :1])
    cells, has = ledger.stock_dims[:-1], ledger.dims[:-1]
    stock = evaluate_expression(ledger.before, values)
    stock = align(stock, ledger.before.dims, cells, plan.dims)
    summed = stock.sum(axis=tuple(n for n, dim in enumerate(cells) if dim not in has))
    return np.broadcast_to(summed.reshape(held.shape[0], 1, -1), held[:, :1].shape)


# --- what is counted ------------------------------------------------------------------------


def _any(mask: Mask) -> Mask:
    return np.asarray(mask.reshape(-1, mask.shape[-1]).any(axis=0))


def _outside(watch: Watch, values: Mapping[str, Floats], plan: Plan) -> Mask:
    drawn = values[watch.name]
    below = drawn <= 0.0 if watch.name in plan.positive else drawn < watch.low
    return _any(below | (drawn > watch.high))


def _negative(watch: Watch, values: Mapping[str, Floats], plan: Plan) -> Mask:
    names = {output.name for output in plan.outputs if output.kind == "flow"}
    names |= {other.name for other in plan.watches if other.kind == "negative"}
    flows = [values[name] for name in sorted(names)]
    largest = np.zeros(max(flow.shape[-1] for flow in flows))
    for flow in flows:
        balance.greatest(flat(flow, len(largest)), largest)
    return _any(values[watch.name] < -_FLOW_NOISE * largest)


def _clipped(watch: Watch, values: Mapping[str, Floats], plan: Plan) -> Mask:
    assert watch.value is not None
    inner, low, high = (
        align(evaluate_expression(part, values), part.dims, watch.value.dims, plan.dims)
        for part in watch.value.arguments
    )
    return _any((inner < low) | (inner > high))


def _falling(watch: Watch, values: Mapping[str, Floats], plan: Plan) -> Mask:
    stock = values[watch.name]
    largest = np.abs(stock).max(axis=-2, initial=0.0).reshape(-1, stock.shape[-1])
    return _any(values[hidden(watch.name, "shortfall")] < -_STOCK_NOISE * largest)


def _short(watch: Watch, values: Mapping[str, Floats], plan: Plan) -> Mask:
    return _any(values[hidden(watch.name, "first share")] < watch.high)


def _gaining(watch: Watch, values: Mapping[str, Floats], plan: Plan) -> Mask:
    return np.asarray(~(values[hidden(watch.name, "gain")] < _WHOLE))


_ASKED = {
    "range": _outside,
    "negative": _negative,
    "clip": _clipped,
    "negative_inflow": _falling,
    "short_start": _short,
    "no_start": _short,
    "gain": _gaining,
}
