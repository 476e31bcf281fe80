"""Shares of what enters a process: what they take, and whether they leave anything over.

Where all that leaves a process are shares that sum to 1, its balance holds by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ndmc.dims import rows_in
from ndmc.errors import shortened
from ndmc.label import pairs
from ndmc.plan.formulas import Given
from ndmc.plan.steps import Share, Term, hidden
from ndmc.plan.vocabulary import Vocabulary, plain
from ndmc.scenario.expressions import Expression
from ndmc.typing import Floats

__all__ = ["share_of_flow"]

#: How far shares may be from 1 in sum: half of what a balance may be open.
_ROUNDING = 32 * 2.0**-52

#: Shares that sum to more than this take more than everything.
_MOST = 1 + 1e-12

#: So many times shares are summed with other numbers, which sum to 1 as nearly.
_TRIES, _NEAR = 3, 1e-9

#: How much of the way to an end of its range a number is moved at most.
_WAY = 0.1


def share_of_flow(names: Vocabulary, name: str, given: Given) -> Expression:
    """Return the share that a flow is of what enters its origin."""
    key, dims = ("flows", name, "share"), names.flow_dims(name)
    return names.read(given, *key, of=name, wants=plain("a share"), dims=dims)


def share_step(names: Vocabulary, name: str, given: Given) -> Share:
    """Return the step that computes a flow which is a share of what enters its origin."""
    share, origin = share_of_flow(names, name, given), names.file.flows[name].origin
    key, dims = ("flows", name, "share"), names.flow_dims(name)
    if origin not in names.file.processes:
        hint = "list it among the processes, or give a value instead of a share"
        names.fail(f"{origin!r} is not a process, so nothing is known to enter it; {hint}", *key)
    stock = names.holders.get(origin, "")
    inflows = names.inflows(origin)
    if stock and names.file.stocks[stock].kind == "lifetime":
        inflows = (Term(hidden(stock, "release"), names.stock_dims(stock)),)
    known = (names.dims.full(term.dims) for term in inflows)
    total = names.dims.ordered(names.dims.full(dims).intersection(*known))
    unsplit = [dim for dim in dims if dim not in total and dim not in share.dims]
    if unsplit:
        names.fail(
            f"what enters {origin!r} is not known by {unsplit[0]!r}; "
            "give a share with that dim, or drop it from the flow",
            *key,
        )
    return Share(name, dims, inflows, total, share)


# --- more than everything ------------------------------------------------------------------------


def check_share_sums(names: Vocabulary, shares: Sequence[Share]) -> None:
    """Refuse shares that take more than everything, where parameters alone decide them."""
    known: dict[str, list[tuple[Share, Floats]]] = {}
    for share in shares:
        values = names.central(share.expression)
        if values is None:
            continue
        if values.min() < 0:
            message = f"the share of {share.target!r} is {values.min():g}; shares lie in [0, 1]"
            names.mistakes.add([names.wrong(message, "flows", share.target, "share")])
        known.setdefault(names.file.flows[share.target].origin, []).append((share, values))
    for process in names.file.processes:
        leaving = known.get(process, [])
        total = _least_sum(names, leaving)
        if total > _MOST:
            targets = ", ".join(share.target for share, _ in leaving)
            message = f"the shares that leave {process!r} ({targets}) sum to {total:.6g}"
            last, _ = leaving[-1]
            message += ", more than 1; a share is a part of 1, or a parameter in %"
            wrong = names.wrong(message, "flows", last.target, "share")
            names.mistakes.add([wrong])


def _least_sum(names: Vocabulary, shares: Sequence[tuple[Share, Floats]]) -> float:
    """Return the largest sum of shares over the cells they have in common.

    A share is summed over the dims that it splits. Of dims that only some of them have, the
    smallest share counts: how much each label weighs is not known.
    """
    if not shares:
        return 0.0
    common = names.dims.ordered(
        set.intersection(*(names.dims.full(s.total_dims) for s, _ in shares))
    )
    total = np.zeros(names.dims.size(common))
    for share, values in shares:
        least = np.full(len(total), np.inf)
        taken = _taken(names, share, values)[:, 0]
        np.minimum.at(least, rows_in(common, share.total_dims, names.dims), taken)
        total += least
    return float(total.max())


def _taken(names: Vocabulary, share: Share, values: Floats) -> Floats:
    """Return what a share takes of each cell that is split, [cell, draw], from its values."""
    rows = values.reshape(-1, values.shape[-1])
    each = rows[rows_in(share.expression.dims, share.dims, names.dims)]
    taken = np.zeros((names.dims.size(share.total_dims), values.shape[-1]))
    np.add.at(taken, rows_in(share.total_dims, share.dims, names.dims), each)
    return taken


# --- nothing left over ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Split:
    """What all that leaves a process sums to: shares, of what enters it or its stock releases.

    ``wrong`` says in which cell that is not 1, or not in every draw; nothing if it is.
    """

    wrong: str
    remedy: str = ""


def split_of(names: Vocabulary, process: str) -> Split | None:
    """Return how shares split all that enters a process; None if others leave it, too.

    What is wrong with a share by itself is among the mistakes.
    """
    stock = names.file.stocks.get(names.holders.get(process, ""))
    if stock is not None and stock.kind != "lifetime":
        return None
    leaving = [t.name for t in names.outflows(process) if t.name not in names.claims]
    texts = {name: names.file.flows[name].share for name in leaving}
    if not texts or None in texts.values() or process not in names.file.processes:
        return None
    with names.mistakes.apart():
        return _split([share_step(names, name, text or "") for name, text in texts.items()], names)
    return Split("")


def _split(shares: Sequence[Share], names: Vocabulary) -> Split:
    dims = names.dims.ordered({dim for share in shares for dim in share.total_dims})
    trials = _Trials(names)
    valued = [(share, trials.values(share.expression)) for share in shares]
    total = np.zeros((names.dims.size(dims), _TRIES + 1))
    for share, values in valued:
        total += _taken(names, share, values)[rows_in(share.total_dims, dims, names.dims)]
    if (np.abs(total - 1) <= _NEAR).all() and (trials.free or _exact(total[:, 0]).all()):
        return Split("")
    along = [dim for share in shares for dim in share.dims if dim not in share.total_dims]
    remedy = "give one of them as 1 minus the others, "
    if along:
        remedy = f"let the parameter behind them say 'normalise: {along[0]}', "
    if trials.free:
        unknown = shortened(sorted(trials.free), last=" and ")
        return Split(f"do not sum to 1 as far as is known without {unknown}", remedy)
    if _least_sum(names, valued) > _MOST:
        return Split("")  # told as more than everything
    if _exact(total[:, 0]).all():
        return Split("sum to 1 at the means of parameters, but not in every draw", remedy)
    return Split(_uneven(names, dims, total[:, 0]), _even(names, dims, total[:, 0]))


def _exact(total: Floats) -> npt.NDArray[np.bool_]:
    return np.abs(total - 1) <= _ROUNDING


def _even(names: Vocabulary, dims: tuple[str, ...], total: Floats) -> str:
    """Say what to do with shares that do not sum to 1."""
    dim = _summed_over(names, dims, total)
    if not dim:
        return "let them sum to 1, "
    return (
        f"over {dim!r} they do, but what enters is known by it, and each is a share of its own "
        f"{dim}: let it enter without that dim, let them sum to 1 for each, "
    )


def _summed_over(names: Vocabulary, dims: tuple[str, ...], total: Floats) -> str:
    """Return a dim over which shares sum to 1, although what they share out is known by it."""
    for dim in dims:
        rest = names.dims.ordered({*names.dims.named(dims)} - {dim})
        sums = np.bincount(rows_in(rest, dims, names.dims), total)
        if len(total) > len(sums) and (np.abs(sums - 1) <= _NEAR).all():
            return dim
    return ""


def _uneven(names: Vocabulary, dims: tuple[str, ...], total: Floats) -> str:
    """Say where shares do not sum to 1, and by how much."""
    cells = np.flatnonzero(~_exact(total))
    least, most = total[cells].min(), total[cells].max()
    worst = int(cells[np.abs(total[cells] - 1).argmax()])
    found = total[worst] - 1
    text = f"sum to {total[worst]:.6g}, {abs(found):.3g} {'more' if found > 0 else 'less'} than 1"
    if least == most and len(cells) == len(total):
        return text
    more = f" and {len(cells) - 1} more" if len(cells) > 1 else ""
    return f"{text}, for {pairs(names.dims.cell(dims, worst))}{more}"


class _Trials:
    """Values of expressions at the means of parameters, and at numbers near them, each its own.

    An expression that is 1 with numbers that have nothing to do with each other is 1 in every
    draw: a difference that is 0 by chance at all of them is not to be met. What others compute,
    flows above all, may be anything, and is ``free``.
    """

    def __init__(self, names: Vocabulary) -> None:
        self.names, self.free = names, set[str]()
        self.known: dict[str, Floats] = {}
        self.random = np.random.default_rng(0)

    def values(self, expression: Expression) -> Floats:
        """Return the values of an expression, [dims..., trial]."""
        for name in sorted(expression.names):
            if name not in self.known:
                self.known[name] = self._named(name)
        found = self.names.evaluated(expression, self.known, _TRIES + 1)
        return np.broadcast_to(found, (*found.shape[:-1], _TRIES + 1))

    def _named(self, name: str) -> Floats:
        if name in self.names.scenario.parameters:
            return self._parameter(name)
        if name in self.names.indicators:
            return self.values(self.names.indicators[name].expression)
        self.free.add(name)
        shape = self.names.dims.shape(self.names.variables[name].dims)
        return self.random.uniform(0.5, 1.5, (*shape, _TRIES + 1))

    def _parameter(self, name: str) -> Floats:
        parameter, means = self.names.scenario.parameters[name], self.names.means[name]
        marginals = parameter.marginals
        if marginals.certain.all():
            return means
        ends = np.stack([marginals.lowest, marginals.highest])
        size = (len(marginals), _TRIES)
        end = ends[self.random.integers(2, size=size), np.arange(len(marginals))[:, np.newaxis]]
        central = marginals.central[:, np.newaxis]
        moved = central + self.random.uniform(0, _WAY, size) * (end - central)
        moved[marginals.certain] = central[marginals.certain]
        if parameter.composition:
            of = parameter.composition.sum_of
            total = np.zeros((of.max() + 1, _TRIES))
            np.add.at(total, of, moved)
            moved /= total[of]
        return np.concatenate([central, moved], axis=1).reshape(*means.shape[:-1], -1)
