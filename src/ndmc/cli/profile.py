"""Print where the time of a run went."""

from __future__ import annotations

from ndmc.cli.tables import console, plain_table, print_table
from ndmc.engine.stopwatch import Stopwatch

#: What the stages are called, in the order of the work.
_STAGES = {
    "sample": "sample",
    "flows": "flows and indicators",
    "stocks": "survival and cohorts",
    "loops": "loops",
    "results": "results in kept precision",
    "balances": "balances and counts",
    "percentiles": "percentiles",
    "write": "write",
    "merge": "merge percentiles",
}


def print_profile(stopwatch: Stopwatch) -> None:
    """Print the seconds of each stage, over all threads."""
    if not stopwatch.draws:
        console().print("no draws were computed, so there is nothing to time")
        return
    total, draws = sum(stopwatch.seconds.values()), stopwatch.draws
    shown = plain_table("where the time went", "stage", "s", "share", "us/draw")
    for stage, title in _STAGES.items():
        if seconds := stopwatch.seconds.get(stage, 0.0):
            each = f"{seconds / draws * 1e6:.2f}"
            shown.add_row(title, f"{seconds:.2f}", f"{seconds / total:.0%}", each)
    shown.add_row("all threads", f"{total:.2f}", "", f"{total / draws * 1e6:.2f}")
    print_table(console(), shown)
