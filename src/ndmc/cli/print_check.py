"""A checked scenario on a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from rich.console import Console

from ndmc.cli.tables import console, counted, number, plain_table, print_lines, print_table
from ndmc.errors import shortened
from ndmc.label import pairs
from ndmc.legible import command_line
from ndmc.scenario.schema import ScenarioFile
from ndmc.studies.checking import Checked


def print_scenarios(found: Iterable[tuple[str, str]]) -> None:
    """Print the bundled scenarios."""
    table = plain_table("", "scenario", "title", words=2)
    for name, title in found:
        table.add_row(name, title)
    print_table(console(), table)


def print_check(found: Checked) -> None:
    """Print the system: its processes, what determines each quantity, in which order, and loops."""
    page = console()
    table = plain_table("", "process", "in", "out", "stock", "closes", words=5)
    for one in found.processes:
        lists = (one.enter, one.leave, one.stocks, one.closes)
        table.add_row(one.process, *(", ".join(names) for names in lists))
    print_table(page, table)
    heads = ("step", "quantity", "dims", "determined by", "unit", *map(str, found.years))
    table = plain_table("", *heads, words=5)
    for each in found.quantities:
        output = each.output
        name, dims = f"{output.name} ({output.kind})", ", ".join(output.dims)
        table.add_row(each.step, name, dims, each.rule, output.unit, *map(number, each.values))
    print_table(page, table)
    _explain_dashes(found)
    if found.qualities:
        _print_qualities(page, found)
    if found.wholes:
        _print_wholes(page, found)
    for loop in found.loops:
        page.print(loop, soft_wrap=True, highlight=False)
    print_lines(*_composed(found.scenario.file), _summary(found))


def _composed(file: ScenarioFile) -> Iterator[str]:
    """Yield of each variant that is made of others which these are."""
    for name, variant in file.variants.items():
        if variant.variants:
            own = ", and changes of its own" if variant.changes else ""
            yield f"variant {name}: {shortened(variant.variants, last=' and ')}{own}"


def _explain_dashes(found: Checked) -> None:
    """Say what has no value in the table, and how to see one."""
    labels = found.scenario.dims.labels
    for each in found.quantities:
        if math.isnan(each.values[-1]):
            cell = {dim: labels[dim][0] for dim in each.output.dims if dim != "year"}
            asked = command_line(["--sel", pairs(cell, " ")])
            print_lines(f"-: indicators are not added up over labels; pick one, such as {asked}")
            return


def _print_qualities(page: Console, found: Checked) -> None:
    title = "quality of data: the cv that follows from scores (1 is best)"
    heads = ("parameter", "method", "scores", "distribution", "cells", "cv")
    table = plain_table(title, *heads, words=4)
    for one in found.qualities:
        texts = (one.parameter, one.method, one.scores, one.distribution)
        table.add_row(*texts, str(one.cells), one.cv)
    print_table(page, table)


def _print_wholes(page: Console, found: Checked) -> None:
    heads = ("parameter", "along", "distribution", "sums", "concentration", "cv")
    table = plain_table("shares that sum to 1 in every draw", *heads, words=3)
    for one in found.wholes:
        texts = (one.parameter, one.along, one.distribution)
        table.add_row(*texts, str(one.sums), one.concentration, one.cv)
    print_table(page, table)


def _summary(found: Checked) -> str:
    scenario = found.scenario
    file, uncertain = scenario.file, sum(p.uncertain for p in scenario.parameters.values())
    counts = (
        f"{counted(len(scenario.parameters), 'parameter')} ({uncertain} uncertain)",
        counted(len(file.flows), "flow"),
        counted(len(file.processes), "process", "processes"),
        counted(len(file.stocks), "stock"),
        counted(len(scenario.dims.years), "year"),
    )
    warned = f", with {counted(len(found.notes), 'warning')}" if found.notes else ""
    extends = f" (on {file.extends})" if file.extends else ""
    return f"{scenario.name}{extends}: {', '.join(counts)}: it can be run{warned}"
