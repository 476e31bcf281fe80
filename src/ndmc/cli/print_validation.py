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
from ndmc.studies.figures import NOT_KEPT, OTHER_VARIANT

if TYPE_CHECKING:
    from ndmc.studies.claims import Claim
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
        interval = f"{number(c.low)} .. {number(c.high)}" if not math.isnan(c.low) else "-"
        reason = [] if could_miss else [c.note]
        unit = "year" if c.dated and not c.claim.is_probability else c.unit
        figures = (_published(c.claim), unit, number(c.median), interval, _off(c), c.verdict)
        table.add_row(_quantity(c), _at(c), *reason, *figures, style=_style(c))
    return table


def _reconciled_figures(title: str, rows: Sequence[Comparison]) -> Table:
    words = ("id", "quantity", "at")
    columns = ("published", "± %", "reconciled", "± %", "deviation", "class", "verdict")
    table = plain_table(title, *words, *columns, words=len(words))
    for c in rows:
        published = _published(c.claim)
        given = f"{published} {c.unit}" if c.unit != "1" else published
        figures = (given, _share(c.uncertainty), number(c.median), _share(c.cv))
        table.add_row(
            c.id, _quantity(c), _at(c), *figures, _off(c), c.known, c.verdict, style=_style(c)
        )
    notes = [f"{c.id or c.quantity}: {c.note}" for c in rows if c.note and c.verdict != "met"]
    caption = Text("\n".join(map(legible, notes)), style="table.caption")
    table.caption, table.caption_justify = caption, "left"
    return table


def _quantity(comparison: Comparison) -> str:
    """Return the quantity of a figure, and where it is to be if the figure is a probability."""
    claim = comparison.claim
    if not claim.is_probability:
        return comparison.quantity
    unit = "" if claim.quantity_unit == "1" else f" {claim.quantity_unit}"
    limits = {"above": claim.above, "below": claim.below}
    words = [f"{word} {number(x)}{unit}" for word, x in limits.items() if math.isfinite(x)]
    return f"{comparison.quantity} {' and '.join(words)}"


def _at(comparison: Comparison) -> str:
    """Return the labels of a figure, and its variant if it has one of its own."""
    variant = f"under {comparison.variant!r}" if comparison.variant else ""
    return " ".join(filter(None, (comparison.at, variant)))


def _published(claim: Claim) -> str:
    """Return what is published as it is written: a number, a bound or a range."""
    if claim.is_value:
        return number(claim.low)
    if not math.isfinite(claim.low):
        return f"<= {number(claim.high)}"
    if not math.isfinite(claim.high):
        return f">= {number(claim.low)}"
    return f"{number(claim.low)} .. {number(claim.high)}"


def _style(comparison: Comparison) -> str:
    return "red" if comparison.failed else ""


def _off(comparison: Comparison) -> str:
    """Return how far the model is off: years of a year, else a share; nothing within bounds."""
    deviation, claim = comparison.deviation, comparison.claim
    if not math.isfinite(deviation) or not (claim.is_value or deviation):
        return "-"
    if comparison.dated and not claim.is_probability:
        return f"{comparison.median - claim.nearest(comparison.median):+z.4g} yr"
    return f"{deviation:+z.1%}"


def _share(value: float) -> str:
    return f"{100 * value:.3g}" if math.isfinite(value) else "-"


def _print_counts(page: Console, found: Validation) -> None:
    """Print how many figures are met of those that could be missed, and what is left out."""
    for status, title in {"target": "targets", "soft": "soft targets"}.items():
        if of := found.judged(status):
            page.print(f"{found.met(status)} of {len(of)} {title} are met")
        if lacking := found.lacking(status, NOT_KEPT):
            page.print(
                f"{lacking} of the {title} need draws that are not kept; run with --keep all"
            )
        if others := found.lacking(status, OTHER_VARIANT):
            page.print(f"{others} of the {title} are compared under another variant")
    _print_stated(page, found)
    if left := found.of("not_modelled"):
        page.print(f"{len(left)} published figures are not modelled; --csv lists them with reasons")
    if lost := found.of("not_reproducible"):
        page.print(f"{len(lost)} published figures cannot be reproduced:")
    for c in lost:
        page.print(f"  {c.id or c.quantity}: {_published(c.claim)} {c.unit}: {c.note}")


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
