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
    """Draws of a measurement here, of the study, of a short run and by flodym; repeats."""

    draws: int = 40 * TILE
    study: int = 1_000_000
    short: int = 10_000
    loop: int = 100
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
    yield study(work, sizes, cores[:1])
    yield study(work, sizes, cores, ">= 2, < 1.5 GB")
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


# --- as processes of their own ---------------------------------------------------------------


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
