"""Print a run: what it will take, how far it has come, its closing table, what to type next."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Callable, Iterable

import numpy as np
from rich.console import Console, Group
from rich.table import Table

from ndmc.cli.tables import console, counted, fits, number, percent, plain_table, print_table
from ndmc.engine.stopwatch import SILENT, Timer
from ndmc.errors import RunError
from ndmc.label import Labels
from ndmc.legible import command_line, legible
from ndmc.runs.forecast import Estimate
from ndmc.runs.listener import Listener
from ndmc.store.exceedance import Exceeded
from ndmc.store.information import Findings, findings_of
from ndmc.store.keys import percentile_key
from ndmc.store.store import Store
from ndmc.store.variables import TOTAL
from ndmc.store.view import cells_along, series_title, view

#: Characters of a title that are not folded.
_TITLE = 30


class Terminal(Listener):
    """Shows what a run will take and how far it has come, and passes its laps on to a timer."""

    def __init__(self, bar: Callable[[int, int], None], timer: Timer = SILENT) -> None:
        self.bar, self.timer = bar, timer

    def planned(self, estimate: Estimate) -> None:
        """Print it, unless nobody would see it."""
        page = console(stderr=True)
        if page.is_terminal:
            page.print(f"{estimate}", highlight=False, soft_wrap=True)

    def done(self, draws: int, asked: int) -> None:
        """Move the bar."""
        self.bar(draws, asked)

    def start(self) -> None:
        """Pass it on."""
        self.timer.start()

    def lap(self, stage: str, draws: int = 0) -> None:
        """Pass it on."""
        self.timer.lap(stage, draws)


def print_run(store: Store, select: Labels = {}) -> None:  # noqa: B006 - it stays empty
    """Print the closing table of a run, what left its range, and what to type next.

    The table is of the last year, or of the years and labels that are picked.
    """
    page, attrs = console(), store.attrs
    if not store.complete:
        print_part(page, store)
        return
    headline = [name for name in attrs["headline"] if name in store.spec.percentiles]
    if not headline:
        headline = [n for n in store.spec.percentiles if store.computed[n].kind != "parameter"][:3]
    select = {"year": store.dims.labels["year"][-1:], **select}
    by_dims: dict[tuple[str, ...], list[str]] = {}
    for name in headline:
        by_dims.setdefault(store.computed[name].dims, []).append(name)
    for dims, names in by_dims.items():
        _print_headline(
            page,
            store,
            names,
            {dim: select[dim] for dim in store.dims.known_by(dims) if dim in select},
        )
    found = findings_of(store, select)
    print_exceeded(page, found.exceeded)
    print_balance(page, found)
    print_targets(page, found)
    page.print(
        f"{counted(found.draws, 'draw')}, seed {attrs['seed']}, in {store.path}", soft_wrap=True
    )
    example = headline[0] if headline else next(iter(store.computed))
    shown = command_line(["ndmc", "percentiles", store.path, "-v", example])
    page.print(f"next: {shown}", soft_wrap=True, highlight=False)


def print_part(page: Console, store: Store) -> None:
    """Print that a part is done, and what is left to others."""
    missing = store.missing()
    page.print(
        f"this part is done; of {store.path} {len(missing):,} of {len(store.written):,} blocks "
        "are left to other parts. The last to be done merges the percentiles; "
        f"{command_line(['ndmc', 'finish', store.path])} does it by hand",
        soft_wrap=True,
        highlight=False,
    )


def print_targets(page: Console, found: Findings) -> None:
    """Print which of the targets of ``--until`` are reached."""
    for target in found.targets:
        word = "reached" if target["met"] else "not reached"
        half = "unknown" if target["half_width"] is None else f"{target['half_width']:.2%}"
        page.print(
            f"{word}: {target['target']}; it is known to {half} after {target['draws']:,} draws "
            f"(limits of {target['confidence']:.2%}, so that all of {target['looks']} looks "
            "together have 95 %)",
            style="" if target["met"] else "yellow",
            highlight=False,
            soft_wrap=True,
        )


def check_targets(store: Store) -> None:
    """Fail if targets are missed."""
    targets = store.attrs.get("until", [])
    if missed := sum(not found["met"] for found in targets):
        raise RunError(
            f"{missed} of {len(targets)} targets not reached after {store.spec.draws:,} draws; "
            "the same command with a larger -n goes on"
        )


def _print_headline(page: Console, store: Store, names: list[str], select: Labels) -> None:
    """Print outputs of the same dims side by side, as many as the page has room for."""
    table = _headline(store, names, select)
    if len(names) > 1 and not fits(page, table):
        half = (len(names) + 1) // 2
        for some in (names[:half], names[half:]):
            _print_headline(page, store, some, select)
    else:
        print_table(page, table)


def _headline(store: Store, names: list[str], select: Labels) -> Table:
    """Return a table of the percentiles of outputs of the same dims; one year is in its title."""
    heads = [percent(q) for q in store.spec.quantiles]
    blocks = [_block(store, name, select) for name in names]
    rows = max(map(len, blocks))
    for block in blocks:
        block += [[""] * len(heads)] * (rows - len(block))
    padded = [_padded(heads, block) for block in blocks]
    titles = [_title(store, name, len(head)) for name, head in zip(names, padded, strict=True)]
    lines = max(map(len, titles))
    columns = [
        Group(*[""] * (lines - len(title)), *title, head)
        for title, head in zip(titles, padded, strict=True)
    ]
    chosen = view(store, names[0], select)
    along = {dim: cells_along(store, chosen, dim) for dim in chosen.dims}
    year = [*along.pop("year")[0].values()] if len(along.get("year", ())) == 1 else []
    title = ": ".join(map(str, [store.attrs["title"] or store.attrs["scenario"], *year]))
    heads = [dim for named in along.values() for dim in named[0]]
    table = plain_table(title, Group(*[""] * lines, ", ".join(heads)), *columns)
    cells = [
        tuple(label for named in cell for label in named.values())
        for cell in itertools.product(*along.values())
    ]
    totals = [("total", *named.values()) for named in along.get("year", [{"year": ""}])]
    for row, cell in enumerate([*cells, *totals][:rows]):
        texts = (_padded(block[row], block) for block in blocks)
        last = row + 1 == len(cells) < rows
        table.add_row(", ".join(map(str, filter(None, cell))), *texts, end_section=last)
    return table


def _title(store: Store, name: str, width: int) -> list[str]:
    """Return the lines of the title of an output, over numbers of some width."""
    output = store.computed[name]
    return textwrap.wrap(legible(f"{output.title}, {output.unit}"), max(width, _TITLE))


def _block(store: Store, name: str, select: Labels) -> list[list[str]]:
    """Return the stored percentiles of each cell, and of their total if the run knows it."""
    views, rows = [view(store, name, select)], list[list[float]]()
    if percentile_key(TOTAL.name(name)) in store.metadata:
        views.append(view(store, TOTAL.name(name), select))
    for title, chosen in ((series_title(store, one), one) for one in views):
        if title:
            quantiles = range(len(store.spec.quantiles))
            values = store.percentile(title)[np.ix_(quantiles, *chosen.places)]
            rows += values.reshape(len(quantiles), -1).T.tolist()
    return [[number(value) for value in row] for row in rows]


def _padded(texts: list[str], block: list[list[str]]) -> str:
    """Return texts in the width of the widest of their block."""
    width = max(6, *(len(text) for row in block for text in row))
    return "  ".join(f"{text:>{width}}" for text in texts)


def print_exceeded(page: Console, found: Iterable[Exceeded]) -> None:
    """Print in what share of draws outputs are above limits."""
    heads = ("output", "cell", "above", "share", "(95 % limits)")
    table = plain_table("share of draws above a limit", *heads, words=2)
    for one in found:
        share, low, high = (number(100 * part) for part in (one.share, one.low, one.high))
        limit = f"{number(one.limit)} {one.unit}".removesuffix(" 1")
        table.add_row(one.output, one.cell, limit, f"{share} %", f"{low} .. {high} %")
    if table.row_count:
        print_table(page, table)


def print_balance(page: Console, found: Findings) -> None:
    """Print how well the processes balance."""
    balance = found.balance
    if "worst" in balance and balance["checked"]:
        left = balance["not_computed"]
        processes = counted(len(balance["checked"]), "process", "processes")
        rest = f"; not computed whole: {', '.join(left)}" if left else ""
        page.print(
            f"balanced in every draw and year: {processes}, worst residual "
            f"{balance['worst']:.2g} of the largest flow or stock{rest}",
            soft_wrap=True,
            highlight=False,
        )
