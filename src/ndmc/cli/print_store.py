"""A store on a terminal: percentiles, provenance, damage."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from ndmc.cli.print_run import print_balance, print_exceeded, print_targets
from ndmc.cli.tables import (
    console,
    counted,
    fits,
    limits_in_words,
    number,
    percent,
    plain_table,
    print_table,
)
from ndmc.store.exceedance import exceedance, exceeded
from ndmc.store.information import Info
from ndmc.store.integrity import Damage
from ndmc.store.store import Store
from ndmc.store.stored_percentiles import Summary
from ndmc.store.view import cells_along, unit_of

#: Damaged files that are listed.
_MOST_SHOWN = 100

_LIMITS = "(95 % limits)"


def percentile_rows(store: Store, name: str, summary: Summary) -> Iterator[dict[str, Any]]:
    """Yield a row per cell: labels, percentiles with their limits, mean, sd, and what is above."""
    chosen = summary.view
    cells: list[dict[str, Any]] = [{}]
    for dim in chosen.kept:
        cells = [{**c, **named} for c in cells for named in cells_along(store, chosen, dim)]
    count = len(summary.quantiles)
    parts = [part.reshape(count, -1) for part in (summary.values, summary.low, summary.high)]
    others = {"mean": summary.mean, "sd": summary.sd}
    others |= {
        f"above {limit:g}": share for limit, share in zip(*exceedance(store, chosen), strict=True)
    }
    flat = {column: values.reshape(-1).tolist() for column, values in others.items()}
    for n, cell in enumerate(cells):
        row: dict[str, Any] = {"variable": name, **cell, "unit": unit_of(store, chosen)}
        for q, quantile in enumerate(summary.quantiles):
            values = (float(part[q, n]) for part in parts)
            for suffix, value in zip(("", "_low", "_high"), values, strict=True):
                row[f"p{quantile * 100:g}{suffix}"] = value
        yield {**row, **{column: values[n] for column, values in flat.items()}}


def print_percentiles(store: Store, summaries: Mapping[str, Summary]) -> None:
    """Print percentiles, each with its 95 % confidence limits."""
    page = console()
    for summary in summaries.values():
        table = _beside(store, summary)
        print_table(page, table if fits(page, table) else _below(store, summary))
    views = (summary.view for summary in summaries.values())
    print_exceeded(page, [each for chosen in views for each in exceeded(store, chosen)])
    page.print(f"{counted(store.attrs['draws'], 'draw')}, seed {store.attrs['seed']}")


def _beside(store: Store, summary: Summary) -> Table:
    """Return a table with percentiles beside each other."""
    kept = _named(store, summary)
    columns = [text for q in summary.quantiles for text in (percent(q), _LIMITS)]
    table = plain_table(_title(store, summary), *kept, *columns, words=len(kept))
    for labels, known in _cells(store, summary):
        table.add_row(*labels, *(text for each in known for text in each))
    return table


def _below(store: Store, summary: Summary) -> Table:
    """Return a table with percentiles below each other, which is narrow."""
    kept = _named(store, summary)
    columns = (*kept, "", "percentile", _LIMITS)
    table = plain_table(_title(store, summary), *columns, words=len(kept))
    for labels, known in _cells(store, summary):
        for quantile, each in zip(summary.quantiles, known, strict=True):
            table.add_row(*labels, percent(quantile), *each)
    return table


def _named(store: Store, summary: Summary) -> tuple[str, ...]:
    """Return the dims whose labels name a cell."""
    chosen = summary.view
    some = (cells_along(store, chosen, dim)[:1] for dim in chosen.kept)
    return tuple(dim for cells in some for cell in cells for dim in cell)


def _title(store: Store, summary: Summary) -> str:
    chosen = summary.view
    summed = [*chosen.over, *(one.dim for one in chosen.by if one.into != one.dim)]
    over = f", sum over {', '.join(summed)}" if summed else ""
    return f"{store.computed[chosen.name].title}{over}, {unit_of(store, chosen)}"


def _cells(store: Store, summary: Summary) -> Iterator[tuple[list[str], list[tuple[str, str]]]]:
    """Yield the labels of each cell, and its percentiles with their limits."""
    for row in percentile_rows(store, summary.view.name, summary):
        keys = [f"p{q * 100:g}" for q in summary.quantiles]
        known = [
            (number(row[key]), limits_in_words(row[f"{key}_low"], row[f"{key}_high"]))
            for key in keys
        ]
        yield [str(row[dim]) for dim in _named(store, summary)], known


def print_info(found: Info) -> None:
    """Print what a store is, how complete it is and where it comes from."""
    page = console()
    table = Table(box=None, show_header=False, pad_edge=False)
    for key, value in _facts(found).items():
        table.add_row(key, value)
    page.print(table)
    outputs = plain_table("", "output", "dims", "unit", "title", "draws", words=5)
    for output in found.outputs:
        stored = output.name in found.kept
        dims = (*["draw"] * stored, *reversed(output.dims))
        kept = "stored" if stored else "percentiles only"
        outputs.add_row(output.name, ", ".join(dims), output.unit, output.title, kept)
    print_table(page, outputs)
    print_exceeded(page, found.exceeded)
    for text in found.warnings:
        page.print(f"warning: {text}", style="yellow", soft_wrap=True, highlight=False)
    print_balance(page, found)
    if found.complete:
        print_targets(page, found)
        _print_widths(page, found)


def _facts(found: Info) -> dict[str, str]:
    state, bits = "complete", found.bits
    if not found.complete:
        state = f"not complete: {found.written} of {found.blocks} blocks"
    rounded = f", rounded to {bits} bits: within {2.0 ** -(bits + 1):.2g} of each value"
    groups = len(found.groups)
    study = f"{counted(groups, 'group')} of inputs: {found.draws * (1 + groups):,} evaluations"
    members = ", ".join(found.members)
    return {
        "scenario": f"{found.scenario}: {found.title}",
        "scenario hash": found.scenario_hash,
        "variant": found.variant or "none",
        "changes": ", ".join(f"{k}={v}" for k, v in found.changes.items()) or "none",
        "draws": f"{found.draws:,} in {counted(found.blocks, 'block')}",
        **({"sensitivity study": study} if groups else {}),
        **({"ensemble": f"{counted(len(found.members), 'member')}: {members}"} if members else {}),
        "seed": str(found.seed),
        "state": state,
        "started": found.started,
        "finished": found.finished or "-",
        "versions": ", ".join(f"{k} {v}" for k, v in found.versions.items()),
        "stored as": found.dtype + rounded * (bits > 0),
    }


def _print_widths(page: Console, found: Info) -> None:
    """Print how well the percentiles of each output are known, the worst cell of each."""
    table = plain_table("how well percentiles are known", "output", "worst", "95 % limits", words=2)
    for name, quantile, half, cell in found.known:
        known = f"within {half:.2%}" if math.isfinite(half) else "no limit: too few draws"
        where = f" of {cell}" if cell else ""
        table.add_row(name, f"{percent(quantile)}{where}", known)
    print_table(page, table)


def print_damage(store: Store, damaged: Sequence[Damage]) -> None:
    """Print what is damaged, or that nothing is."""
    page = console()
    if not damaged:
        entries = len(store.ledger.names)
        page.print(f"every file of {store.path} is what was written: {entries:,} ledger entries")
        return
    table = plain_table("", "block or part", "file", "what is wrong", words=3)
    for found in damaged[:_MOST_SHOWN]:
        table.add_row(found.entry or "-", found.key, found.reason)
    print_table(page, table)
    if len(damaged) > _MOST_SHOWN:
        page.print(f"and {len(damaged) - _MOST_SHOWN:,} more")
