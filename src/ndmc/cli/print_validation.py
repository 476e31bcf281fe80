"""A model beside published figures on a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ndmc.cli.tables import console, number, percent, plain_table, print_table
from ndmc.legible import legible

if TYPE_CHECKING:
    from ndmc.studies.figures import Comparison
    from ndmc.studies.validation import Validation


def print_validation(found: Validation) -> None:
    """Print published figures against the model, in groups, misses in red, and the sums of it."""
    page = console()
    titles = {
        "target": "targets",
        "soft": "soft targets",
        "contradiction": "published figures that contradict each other or their own tables",
        "reported": "reported, no tolerance claimed",
        "input": "inputs of the scenario, no evidence for it",
    }
    table_of = _drawn_figures if found.worst is None else _reconciled_figures
    for status, title in titles.items():
        if rows := found.of(status):
            print_table(page, table_of(title, rows))
    _print_counts(page, found)
    if found.worst is not None:
        page.print(f"largest open equation {found.worst:.1e} of the largest term")
    if found.variant:
        page.print(f"compared under the variant {found.variant!r}")


def _drawn_figures(title: str, rows: Sequence[Comparison]) -> Table:
    could_miss = rows[0].status in ("target", "soft")
    words = ("quantity", "at") if could_miss else ("quantity", "at", "why")
    columns = ("published", "unit", "model", "95 % range", "off", "verdict")
    table = plain_table(title, *words, *columns, words=len(words))
    for c in rows:
        interval = f"{number(c.low)} .. {number(c.high)}" if math.isfinite(c.low) else "-"
        reason = [] if could_miss else [c.note]
        figures = (number(c.published), c.unit, number(c.median), interval, _off(c), c.verdict)
        table.add_row(c.quantity, c.at, *reason, *figures, style=_style(c))
    return table


def _reconciled_figures(title: str, rows: Sequence[Comparison]) -> Table:
    words = ("id", "quantity", "at")
    columns = ("published", "± %", "reconciled", "± %", "deviation", "class", "verdict")
    table = plain_table(title, *words, *columns, words=len(words))
    for c in rows:
        given = f"{number(c.published)} {c.unit}" if c.unit != "1" else number(c.published)
        figures = (given, _share(c.uncertainty), number(c.median), _share(c.cv))
        table.add_row(
            c.id, c.quantity, c.at, *figures, _off(c), c.known, c.verdict, style=_style(c)
        )
    notes = [f"{c.id or c.quantity}: {c.note}" for c in rows if c.note and c.verdict != "met"]
    caption = Text("\n".join(map(legible, notes)), style="table.caption")
    table.caption, table.caption_justify = caption, "left"
    return table


def _style(comparison: Comparison) -> str:
    return "red" if comparison.failed else ""


def _off(comparison: Comparison) -> str:
    deviation = comparison.deviation
    return f"{deviation:+z.1%}" if math.isfinite(deviation) else "-"


def _share(value: float) -> str:
    return f"{100 * value:.3g}" if math.isfinite(value) else "-"


def _print_counts(page: Console, found: Validation) -> None:
    """Print how many figures are met of those that could be missed, and what is left out."""
    for status, title in {"target": "targets", "soft": "soft targets"}.items():
        if of := found.judged(status):
            page.print(f"{found.met(status)} of {len(of)} {title} are met")
        if lacking := len(found.of(status)) - len(of):
            page.print(
                f"{lacking} of the {title} need draws that are not kept; run with --keep all"
            )
    _print_stated(page, found)
    if left := found.of("not_modelled"):
        page.print(f"{len(left)} published figures are not modelled; --csv lists them with reasons")
    if lost := found.of("not_reproducible"):
        page.print(f"{len(lost)} published figures cannot be reproduced:")
    for c in lost:
        page.print(f"  {c.id or c.quantity}: {number(c.published)} {c.unit}: {c.note}")


def _print_stated(page: Console, found: Validation) -> None:
    """Print how many figures are met within their uncertainty, and how many reproduce it."""
    inputs, others = found.stated(inputs=True), found.stated(inputs=False)
    if not inputs.figures + others.figures:
        return
    share = f" ({others.within / others.figures:.0%})" if others.figures else ""
    page.print(
        f"{others.within} of {others.figures} figures with a stated uncertainty are met "
        f"within it{share}; {inputs.figures} more are inputs"
    )
    more = f"; of {inputs.figures} more of inputs {inputs.tight} and {inputs.loose}"
    page.print(
        f"{others.tight} of {others.figures} stated uncertainties are reproduced to "
        f"{percent(found.tolerance['target'])}, {others.loose} to "
        f"{percent(found.tolerance['soft'])}{more if inputs.figures else ''}"
    )
