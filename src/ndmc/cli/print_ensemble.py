"""An ensemble on a terminal: which policy does better, by how much, how surely, in which future."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from ndmc.cli.print_run import print_balance, print_exceeded, print_part, print_targets
from ndmc.cli.tables import console, counted, number, percent, plain_table, print_table
from ndmc.legible import command_line
from ndmc.store.information import findings_of
from ndmc.store.store import Store
from ndmc.studies.decisions import Decision, OverFutures, over_futures


def print_ensemble(store: Store, found: Sequence[Decision]) -> None:
    """Print how the members of an ensemble compare: a table for each output, and over futures."""
    page = console()
    if not store.complete:
        print_part(page, store)
        return
    print_decisions(page, store, found)
    weights = store.attrs["ensemble"]["weights"]
    robust = [*over_futures(found, weights)]
    if robust:
        print_table(page, _over_futures(robust, weights))
    findings = findings_of(store, {})
    print_exceeded(page, findings.exceeded)
    print_balance(page, findings)
    print_targets(page, findings)
    draws, seed = counted(store.spec.draws, "draw"), store.attrs["seed"]
    page.print(f"{draws} of each member, seed {seed}, in {store.path}", soft_wrap=True)
    shown = command_line(["ndmc", "ensemble", store.path, "--csv", "decisions.csv"])
    page.print(f"next: {shown}", soft_wrap=True, highlight=False)


def print_decisions(page: Console, store: Store, found: Sequence[Decision]) -> None:
    """Print a table for each output."""
    for _, some in itertools.groupby(found, key=lambda one: one.name):
        _print_output(page, store, [*some])


def _print_output(page: Console, store: Store, found: Sequence[Decision]) -> None:
    """Print a row for each cell and member of an output."""
    first = found[0]
    years = {one.cell.get("year") for one in found}
    year = f", {years.pop()}" if len(years) == 1 and None not in years else ""
    dims = [dim for dim in first.cell if not (year and dim == "year")]
    goal = store.attrs["ensemble"]["goals"].get(first.name.removesuffix("_total"), "")
    low, *_, high = [percent(q).removesuffix(" %") for q in store.spec.quantiles]
    between = f"{low} .. {high} %"
    columns = [*dims, *first.member, "median", between, "difference", "(95 % limits)", between]
    columns += [_BETTER.get(goal, "less"), "regret"] if goal else ["less", "more"]
    columns += [f"by {first.year}", "never"] if first.event else []
    title = f"{first.title}, {first.unit}{year}".removesuffix(", 1")
    table = plain_table(title, *columns, words=len(dims) + len(first.member))
    for before, one in zip([None, *found], found, strict=False):
        new = before is None or before.cell != one.cell
        labels = [str(one.cell[dim]) if new else "" for dim in dims]
        table.add_row(*labels, *one.member.values(), *_texts(one, goal))
    print_table(page, table)
    saved = [one.saved(one.reference) for one in found if one.reference]
    known = sorted(times for times in saved if math.isfinite(times))
    if known:
        page.print(
            f"as draws pair, these differences are known as from {number(known[0])} to "
            f"{number(known[-1])} times as many draws that do not",
            soft_wrap=True,
            highlight=False,
        )


#: How the share of draws is called in which a member does better, by what is better.
_BETTER = {"less": "P(less)", "more": "P(more)", "earlier": "P(earlier)", "later": "P(later)"}


def _texts(one: Decision, goal: str) -> list[str]:
    """Return what is told of a cell of a member."""
    at = len(one.values) // 2
    texts = [number(one.values[at]), _range(one.values[0], one.values[-1])]
    if one.reference is None:
        texts += ["reference", "", ""]
        texts += ["", number(one.regret)] if goal else ["", ""]
    else:
        limits = (one.low[at], one.high[at]), (one.difference[0], one.difference[-1])
        texts += [_signed(one.difference[at])]
        texts += [" .. ".join(map(_signed, pair)) for pair in limits]
        shares = [_share(one.better), number(one.regret)] if goal else []
        texts += shares or [_share(one.less), _share(one.more)]
    return texts + ([_share(one.by), _share(one.never)] if one.event else [])


def _range(low: float, high: float) -> str:
    return f"{number(low)} .. {number(high)}"


def _signed(value: float) -> str:
    """Return a difference with its sign: what never happens is later than all."""
    if math.isinf(value):
        return "to never" if value > 0 else "from never"
    return f"{'+' if value > 0 else ''}{number(value)}"


def _share(share: float) -> str:
    return f"{100 * share:.3g} %"


def _over_futures(found: Sequence[OverFutures], weights: Mapping[str, float]) -> Table:
    """Return a table of what each policy does over all futures."""
    shares = ", ".join(f"{name} {weight:g}" for name, weight in weights.items())
    dims = [*dict.fromkeys(dim for one in found for dim in one.cell)]
    own = [*found[0].member]
    heads = ["output", *dims, *own, "mean", "mean regret", "P(better)", "worst future", "there"]
    title = f"over futures, weighted: {shares}"
    table = plain_table(title, *heads, words=1 + len(dims) + len(own))
    for one in found:
        cell = [str(one.cell.get(dim, "")) for dim in dims]
        means = ["" if math.isnan(value) else number(value) for value in (one.mean, one.regret)]
        known = [_share(one.better), one.worst, _share(one.worst_better)]
        table.add_row(one.name, *cell, *one.member.values(), *means, *known)
    return table
