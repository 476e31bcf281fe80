"""What exact percentiles, safety and distribution add to evaluating all outputs of china_nd."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from measure import Contest, Run, interleaved
from workload import SEED, Workload

import ndmc
from ndmc.engine.audit import Audit
from ndmc.runs import run as runs
from ndmc.runs.block import Work
from ndmc.runs.cluster import Cluster
from ndmc.runs.connections import connect
from ndmc.runs.executors import Executor
from ndmc.runs.options import Options
from ndmc.runs.run import execute
from ndmc.store.integrity import verify
from ndmc.store.ledger import Ledger
from ndmc.store.opening import open_store
from ndmc.store.store import Store

AT_ONCE = 2048
STORED = ["in_use", "end_of_life", "final_products"]


def streaming(work: Workload) -> Contest:
    """Compute percentiles of everything without storing draws, against evaluating alone."""
    plan, draws = ndmc.compile_plan(work.scenario), work.sizes.long

    def evaluate() -> Run:
        start = time.perf_counter()
        for first in range(0, draws, AT_ONCE):
            some = range(first, min(first + AT_ONCE, draws))
            ndmc.evaluate(plan, SEED, some, dtype="float32", audit=Audit(plan))
        return per_draw(start, draws)

    pairs = interleaved(lambda: run(work, draws, ["none"]), evaluate, work.sizes.few)
    title = f"percentiles of all outputs, {draws:,} draws, 1 thread"
    return Contest(title, "evaluate alone", pairs, "<= 1.4", cost=True)


def safety(work: Workload) -> Contest:
    """Spend time on making draws durable, checksums, ledger and --verify, against the whole run."""
    draws = work.sizes.long // 2
    timed = {"_store": (Work, "_store"), "write": (Store, "write"), "enter": (Ledger, "write")}

    def both() -> tuple[Run, Run]:
        with stopwatch(timed) as spent:
            whole = run(work, draws, STORED, clean=False)
        start = time.perf_counter()
        assert not verify(open_store(work.folder / "long.zarr"))
        verified = time.perf_counter() - start
        shutil.rmtree(work.folder / "long.zarr")
        safe = spent["_store"] - spent["write"] + spent["enter"]
        return Run(safe + verified, draws), whole

    pairs = [both() for _ in range(work.sizes.few)]
    title = f"fsync, checksums, ledger, --verify: {draws:,} stored draws"
    return Contest(title, "the whole run", pairs, "<= 0.05", cost=True)


def reuse(work: Workload) -> Contest:
    """Spend time on comparing what a run goes on from with its checksums, against that run."""
    draws = work.sizes.long // 2
    timed = {"begun": (runs, "damage_of"), "merged": (Work, "bundle")}

    def both() -> tuple[Run, Run]:
        run(work, draws, STORED, clean=False)
        with stopwatch(timed) as spent:
            resumed = run(work, 2 * draws, STORED)
        return Run(spent["begun"] + spent["merged"], draws), Run(resumed.seconds, draws)

    pairs = [both() for _ in range(work.sizes.few)]
    title = f"checks of what is reused: {draws:,} stored draws and as many more"
    return Contest(title, "the resumed run", pairs, "<= 0.03", cost=True)


@contextlib.contextmanager
def stopwatch(timed: Mapping[str, tuple[Any, str]]) -> Iterator[dict[str, float]]:
    """Add up the time a run of one thread spends in some of its functions."""
    spent = dict.fromkeys(timed, 0.0)
    kept = {key: getattr(owner, name) for key, (owner, name) in timed.items()}

    def clocked(key: str) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            start = time.perf_counter()
            try:
                return kept[key](*arguments, **options)
            finally:
                spent[key] += time.perf_counter() - start

        return call

    for key, (owner, name) in timed.items():
        setattr(owner, name, clocked(key))
    try:
        yield spent
    finally:
        for key, (owner, name) in timed.items():
            setattr(owner, name, kept[key])


def distribution(work: Workload) -> Contest:
    """Compute in one process of a Dask cluster, against one thread of this process."""
    draws, block = work.sizes.long // 4, 16_384  # a second of work a block
    with connect("", 1) as client:
        cluster = Cluster(client)
        run(work, block, ["none"], block=block, executor=cluster)  # both are warm
        pairs = interleaved(
            lambda: run(work, draws, ["none"], block=block, executor=cluster),
            lambda: run(work, draws, ["none"], block=block),
            work.sizes.few,
        )
    title = f"1 process of a Dask cluster, {draws:,} draws"
    return Contest(title, "1 thread", pairs, "<= 1.1", cost=True)


def memory(work: Workload) -> Contest:
    """Take the peak memory of many draws, against that of a hundredth of them."""
    draws, cores = 10 * work.sizes.long, work.cores
    few = draws // 100
    pairs = [(work.run(draws, cores, keep="none"), work.run(few, cores, keep="none"))]
    title = f"peak memory: ndmc run -n {draws:,} --keep none"
    return Contest(title, f"-n {few:,}", pairs, "<= 1.1, < 1.5 GB", cost=True, of="peak")


def run(
    work: Workload,
    draws: int,
    keep: list[str],
    *,
    block: int | None = None,
    executor: Executor | None = None,
    clean: bool = True,
) -> Run:
    """Run the study in this process, with one worker."""
    out = Path(work.folder / "long.zarr")
    options = Options(work.scenario, draws, seed=SEED, out=out, keep=keep, workers=1, block=block)
    start = time.perf_counter()
    execute(options, executor=executor)
    measured = per_draw(start, draws)
    if clean:
        shutil.rmtree(out)
    return measured


def per_draw(start: float, draws: int) -> Run:
    """Return the time since a start."""
    return Run(time.perf_counter() - start, draws)
