"""Print where the time of a run went, and how much of it the machine could not do without."""

from __future__ import annotations

from ndmc.cli.tables import console, plain_table
from ndmc.engine.bounds import Need, needs, shares_of_bound
from ndmc.engine.evaluation import code_of
from ndmc.engine.stopwatch import Stopwatch
from ndmc.engine.tile_width import tile_width
from ndmc.plan.steps import Plan
from ndmc.runs.replay import work_of
from ndmc.store.series import series_of
from ndmc.store.store import Store
from ndmc_kernels.peaks import measure

__all__ = ["print_profile"]

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


def print_profile(store: Store, watch: Stopwatch) -> None:
    """Print the seconds of each stage, over all threads, with its share of the bound.

    The bound is what bytes, multiply-adds and exponentials of a stage take at the rates that
    this machine reaches on one thread with rows as large as those of a tile.
    """
    if not watch.draws:
        console().print("no draws were computed, so there is nothing to time")
        return
    plan = work_of(store.path).plan
    shares = _shares(plan, store, watch)
    total, draws = sum(watch.seconds.values()), watch.draws
    shown = plain_table("where the time went", "stage", "s", "share", "us/draw", "of the bound")
    for stage, title in _STAGES.items():
        if seconds := watch.seconds.get(stage, 0.0):
            bound = f"{shares[stage]:.0%}" if stage in shares else "-"
            each = f"{seconds / draws * 1e6:.2f}"
            shown.add_row(title, f"{seconds:.2f}", f"{seconds / total:.0%}", each, bound)
    shown.add_row("all threads", f"{total:.2f}", "", f"{total / draws * 1e6:.2f}", "")
    console().print(shown)


def _shares(plan: Plan, store: Store, watch: Stopwatch) -> dict[str, float]:
    code = code_of(plan)
    _, sheets = series_of(plan, store.spec)
    found: dict[str, Need] = needs(code, sheets[0].rows, sheets[0].dtype.itemsize)
    peaks = measure(8 * code.rows * tile_width(plan))
    return shares_of_bound(watch.seconds, watch.draws, found, peaks)
