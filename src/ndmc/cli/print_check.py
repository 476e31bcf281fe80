"""A checked scenario on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ndmc.cli.tables import console, number, plain_table

__all__ = ["print_check", "print_scenarios"]


# --- scenarios -------------------------------------------------------------------------------


def print_scenarios(found: Iterable[tuple[str, str]]) -> None:
    """Print the bundled scenarios."""
    table = plain_table("", "scenario", "title", words=2)
    for name, title in found:
        table.add_row(name, title)
    console().print(table)


def print_check(
    processes: Iterable[tuple[str, ...]],
    quantities: Iterable[tuple[str, str, str, str, str, str, float]],
    loops: Sequence[str],
    notes: Iterable[str],
    qualities: Sequence[tuple[str, ...]] = (),
) -> None:
    """Print the system: its processes, what determines each quantity, in which order, and loops."""
    page = console()
    table = plain_table("", "process", "in", "out", "stock", "closes", words=5)
    for row in processes:
        table.add_row(*row)
    page.print(table)
    table = plain_table(
        "", "step", "quantity", "dims", "determined by", "unit", "last year", words=5
    )
    for step, name, kind, dims, rule, unit, value in quantities:
        table.add_row(step, f"{name} ({kind})", dims, rule, unit, number(value))
    page.print(table)
    if qualities:
        title = "quality of data: the cv that follows from scores (1 is best)"
        heads = ("parameter", "method", "scores", "distribution", "cells", "cv")
        table = plain_table(title, *heads, words=4)
        for row in qualities:
            table.add_row(*row)
        page.print(table)
    for loop in loops:
        page.print(loop, soft_wrap=True, highlight=False)
    for note in notes:
        page.print(f"warning: {note}", style="yellow", soft_wrap=True)
