"""The contests: one function for each row of the table."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import long_runs
import loops
import numpy as np
import plain
from measure import Contest, Run, interleaved, process, timed
from workload import SEED, Workload, draws_first

import ndmc
from ndmc.steps import TILE

FLODYM = importlib.util.find_spec("flodym") is not None
IMPORTS = "import numba, xarray, dask.array, zarr"


@dataclass(frozen=True)
class Sizes:
    """Draws of a measurement here, of the study, a short run, flodym, a large and a long run."""

    draws: int = 40 * TILE
    study: int = 1_000_000
    short: int = 10_000
    loop: int = 100
    large: int = 2048
    long: int = 400_000
    repeat: int = 15


class Side(NamedTuple):
    """A contestant: what it is called, a call, the draws of a call and of a measurement."""

    name: str
    call: Callable[[], object]
    draws: int
    total: int | None = None


def contests(work: Workload, sizes: Sizes) -> Iterator[Contest]:
    """Hold every contest."""
    cores = sorted(os.sched_getaffinity(0))
    yield sampling(work, sizes)
    yield survival(work, sizes)
    yield cohorts(work, sizes)
    if FLODYM:
        yield flodym(work, sizes)
    yield evaluation(work, sizes)
    yield loop(work, sizes)
    yield loop_by_hand(work, sizes)
    yield large_system(work, sizes, cores)
    yield study(work, sizes, cores[:1])
    yield study(work, sizes, cores, ">= 2, < 1.5 GB")
    yield from long_runs.contests(work, sizes.long, -(-sizes.repeat // 5), cores)
    yield start(work, sizes, cores, cold=True)
    yield start(work, sizes, cores, cold=False)


# --- in this process, one thread -------------------------------------------------------------


def race(ours: Side, theirs: Side, sizes: Sizes, target: str = "") -> Contest:
    """Time calls that do some draws each."""
    mine = timed(ours.call, ours.draws, sizes.draws)
    yours = timed(theirs.call, theirs.draws, theirs.total or sizes.draws)
    return Contest(ours.name, theirs.name, interleaved(mine, yours, sizes.repeat), target)


def sampling(work: Workload, sizes: Sizes) -> Contest:
    """Draw all inputs."""
    rng = np.random.default_rng(SEED)
    ours = partial(ndmc.evaluate, work.parameters, SEED, range(TILE))
    theirs = partial(plain.sample, work.moments, rng, plain.CALL)
    return race(
        Side("sample all inputs", ours, TILE),
        Side("NumPy Generator", theirs, plain.CALL),
        sizes,
    )


def survival(work: Workload, sizes: Sizes) -> Contest:
    """Compute survival by age."""
    scale, shape = (work.tile[name][: plain.CALL] for name in ("scale", "shape"))
    theirs = partial(plain.survival, scale, shape, work.sales.shape[1])
    return race(
        Side("survival", work.survive, TILE),
        Side("SciPy weibull_min.sf", theirs, plain.CALL),
        sizes,
    )


def cohorts(work: Workload, sizes: Sizes) -> Contest:
    """Compute stock and outflow from inflow and survival."""
    work.survive()
    given = [draws_first(values)[: plain.CALL].copy() for values in (work.sales, work.left)]
    return race(
        Side("stock and outflow", work.accumulate, TILE),
        Side("NumPy shifted adds", partial(plain.cohorts, *given), plain.CALL),
        sizes,
    )


def flodym(work: Workload, sizes: Sizes) -> Contest:
    """Compute survival, stock and outflow from inflow."""
    import flodym_loop

    everything = (draws_first(work.sales), work.tile["scale"], work.tile["shape"])
    given = [values[: sizes.loop] for values in everything]
    return race(
        Side("survival, stock and outflow", work.accumulate_anew, TILE),
        Side("flodym, draw by draw", partial(flodym_loop.cohorts, *given), sizes.loop, sizes.loop),
        sizes,
    )


def evaluation(work: Workload, sizes: Sizes) -> Contest:
    """Compute everything from draws to the stock, which both keep in float32."""
    ours = partial(ndmc.evaluate, work.stock, SEED, range(sizes.draws), dtype=np.float32)
    theirs = partial(plain.stocks, work.moments, SEED, sizes.draws)
    return race(
        Side("evaluate: sample to stock", ours, sizes.draws),
        Side("NumPy + SciPy", theirs, sizes.draws),
        sizes,
        ">= 4",
    )


def loop(work: Workload, sizes: Sizes) -> Contest:
    """Solve a loop of six flows in every draw and year, against the same loop cut open."""
    plans = [ndmc.compile_plan(work.six_flows(closed=closed)) for closed in (True, False)]
    ours, theirs = (partial(ndmc.evaluate, plan, SEED, range(sizes.draws)) for plan in plans)
    pairs = race(Side("", ours, sizes.draws), Side("", theirs, sizes.draws), sizes).pairs
    return Contest("loop of 6 flows, 100 years", "the same cut open", pairs, "< 3", cost=True)


def loop_by_hand(work: Workload, sizes: Sizes) -> Contest:
    """Solve the loop from draws to its output, against a matrix for each draw and year."""
    scenario = work.six_flows(closed=True)
    plan = ndmc.compile_plan(scenario, [loops.OUTPUT])
    inputs = ndmc.compile_plan(scenario, ["given", "a", "b", "c"])
    drawn = [*ndmc.evaluate(inputs, SEED, range(plain.CALL)).values()]
    return race(
        Side("loop, draws to output", partial(ndmc.evaluate, plan, SEED, range(TILE)), TILE),
        Side("numpy.linalg.solve alone", partial(loops.dense, *drawn), plain.CALL),
        sizes,
    )


# --- as processes of their own ---------------------------------------------------------------


def large_system(work: Workload, sizes: Sizes, cores: Collection[int]) -> Contest:
    """Run 40 processes, 60 flows, 50 products and 100 years, against the same without loops."""

    def once(closed: bool) -> Run:
        return work.run_large(sizes.large, cores, closed=closed)

    once(True), once(False)
    pairs = interleaved(partial(once, True), partial(once, False), -(-sizes.repeat // 5))
    title = f"40 processes, 60 flows, 50 products, 100 years: ndmc run -n {sizes.large:,}"
    return Contest(title, "the same without loops", pairs, "< 2 GB", cost=True)


def study(work: Workload, sizes: Sizes, cores: Collection[int], target: str = "") -> Contest:
    """Run the whole study, from reading the scenario to written percentiles."""
    pairs = interleaved(
        lambda: work.run(sizes.study, cores),
        lambda: work.run_plain(sizes.study, cores),
        -(-sizes.repeat // 5),
    )
    title = f"ndmc run -n {sizes.study:,} on {len(cores)} core{'s' * (len(cores) > 1)}"
    return Contest(title, "plain.py", pairs, target)


def start(work: Workload, sizes: Sizes, cores: Collection[int], *, cold: bool) -> Contest:
    """Run a few draws, with kernels to compile or compiled before."""

    def ours() -> Run:
        if cold:
            shutil.rmtree(work.kernels, ignore_errors=True)
        return work.run(sizes.short, cores, keep="")

    theirs = partial(process, [sys.executable, "-c", IMPORTS], cores)
    ours(), theirs()
    title = f"{'cold' if cold else 'warm'} start: ndmc run -n {sizes.short:,}"
    pairs = interleaved(ours, theirs, sizes.repeat)
    return Contest(title, IMPORTS, pairs, "< 3" if cold else "", cost=True)
