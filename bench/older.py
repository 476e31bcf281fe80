"""The rows of single steps, and of what long runs add: one function for each row of the table."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import NamedTuple

import long_runs
import loops
import numpy as np
import plain
from measure import Contest, Run, interleaved, timed
from sizes import Sizes
from workload import SEED, Workload, draws_first

import ndmc
from ndmc.engine.tile_width import TILE


class Side(NamedTuple):
    """A contestant: what it is called, a call, the draws of a call and of a measurement."""

    name: str
    call: Callable[[], object]
    draws: int
    total: int | None = None


# --- in this process, one thread -------------------------------------------------------------


def race(ours: Side, theirs: Side, sizes: Sizes, target: str = "") -> Contest:
    """Time calls that do some draws each."""
    mine = timed(ours.call, ours.draws, sizes.draws)
    yours = timed(theirs.call, theirs.draws, theirs.total or sizes.draws)
    return Contest(ours.name, theirs.name, interleaved(mine, yours, sizes.repeat), target)


def survival(work: Workload) -> Contest:
    """Compute survival by age."""
    scale, shape = (work.tile[name][: plain.CALL] for name in ("scale", "shape"))
    theirs = partial(plain.survival, scale, shape, work.sales.shape[1])
    return race(
        Side("survival", work.survive, TILE),
        Side("SciPy weibull_min.sf", theirs, plain.CALL),
        work.sizes,
    )


def cohorts(work: Workload) -> Contest:
    """Compute stock and outflow from inflow and survival."""
    work.survive()
    given = [draws_first(values)[: plain.CALL].copy() for values in (work.sales, work.left)]
    return race(
        Side("stock and outflow", work.accumulate, TILE),
        Side("NumPy shifted adds", partial(plain.cohorts, *given), plain.CALL),
        work.sizes,
    )


def evaluation(work: Workload) -> Contest:
    """Compute everything from draws to the stock, which both keep in float32."""
    ours = partial(ndmc.evaluate, work.stock, SEED, range(work.sizes.draws), dtype=np.float32)
    theirs = partial(plain.stocks, work.moments, SEED, work.sizes.draws)
    return race(
        Side("evaluate: sample to stock", ours, work.sizes.draws),
        Side("NumPy + SciPy", theirs, work.sizes.draws),
        work.sizes,
        ">= 4",
    )


def loop(work: Workload) -> Contest:
    """Solve a loop of six flows in every draw and year, against the same loop cut open."""
    plans = [ndmc.compile_plan(work.six_flows(closed=closed)) for closed in (True, False)]
    ours, theirs = (partial(ndmc.evaluate, plan, SEED, range(work.sizes.draws)) for plan in plans)
    pairs = race(
        Side("", ours, work.sizes.draws), Side("", theirs, work.sizes.draws), work.sizes
    ).pairs
    return Contest("loop of 6 flows, 100 years", "the same cut open", pairs, "< 3", cost=True)


def loop_by_hand(work: Workload) -> Contest:
    """Solve the loop from draws to its output, against a matrix for each draw and year."""
    scenario = work.six_flows(closed=True)
    plan = ndmc.compile_plan(scenario, [loops.OUTPUT])
    inputs = ndmc.compile_plan(scenario, ["given", "a", "b", "c"])
    drawn = [*ndmc.evaluate(inputs, SEED, range(plain.CALL)).values()]
    return race(
        Side("loop, draws to output", partial(ndmc.evaluate, plan, SEED, range(TILE)), TILE),
        Side("numpy.linalg.solve alone", partial(loops.dense, *drawn), plain.CALL),
        work.sizes,
    )


# --- as processes of their own ---------------------------------------------------------------


def large_system(work: Workload) -> Contest:
    """Run 40 processes, 60 flows, 50 products and 100 years, against the same without loops."""

    def once(closed: bool) -> Run:
        return work.run_large(work.sizes.large, work.cores, closed=closed)

    once(True), once(False)
    pairs = interleaved(partial(once, True), partial(once, False), work.sizes.few)
    title = f"40 processes, 60 flows, 50 products, 100 years: ndmc run -n {work.sizes.large:,}"
    return Contest(title, "the same without loops", pairs, "< 2 GB", cost=True)


def study(work: Workload, cores: Collection[int], target: str = "") -> Contest:
    """Run the whole study, from reading the scenario to written percentiles."""
    pairs = interleaved(
        lambda: work.run(work.sizes.study, cores),
        lambda: work.run_plain(work.sizes.study, cores),
        work.sizes.few,
    )
    title = f"ndmc run -n {work.sizes.study:,} on {len(cores)} core{'s' * (len(cores) > 1)}"
    return Contest(title, "plain.py", pairs, target)


def alone(work: Workload) -> Contest:
    """Run it on one core."""
    return study(work, work.cores[:1])


def together(work: Workload) -> Contest:
    """Run it on all cores."""
    return study(work, work.cores, ">= 2, < 1.5 GB")


ROWS: dict[str, Callable[[Workload], Contest]] = {
    "survival": survival,
    "stock": cohorts,
    "evaluate": evaluation,
    "loop": loop,
    "solve": loop_by_hand,
    "large": large_system,
    "study-1": alone,
    "study": together,
    "streaming": long_runs.streaming,
    "safety": long_runs.safety,
    "reuse": long_runs.reuse,
    "cluster": long_runs.distribution,
    "memory": long_runs.memory,
}


def contests(name: str, work: Workload) -> Iterator[Contest]:
    """Hold one contest."""
    yield ROWS[name](work)
