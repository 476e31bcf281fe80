"""W7: what a draw costs among many and among few, and what a second thread brings."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial

from measure import Contest, Run, clocked, interleaved
from workload import SEED, Workload

from ndmc.runs.options import Options
from ndmc.runs.run import execute


def contests(work: Workload) -> Iterator[Contest]:
    """Run all outputs of china_nd without stored draws, in this process."""
    fewest, *others = work.sizes.scaling
    run(work, fewest, 1)
    for draws in others:
        pairs = interleaved(
            partial(run, work, draws, 1), partial(run, work, fewest, 1), work.sizes.few
        )
        title = f"W7 cost of a draw among {draws:,}, 1 thread"
        yield Contest(title, f"among {fewest:,}", pairs, "0.9 to 1.1", cost=True)
    if len(work.cores) > 1:
        draws = work.sizes.threads
        pairs = interleaved(
            partial(run, work, draws, 2), partial(run, work, draws, 1), work.sizes.few
        )
        yield Contest(f"W7 {draws:,} draws, 2 threads", "1 thread", pairs, ">= 1.8")


def run(work: Workload, draws: int, threads: int) -> Run:
    """Run the study to its percentiles."""
    out = work.folder / "scaling.zarr"
    options = Options(work.scenario, draws, seed=SEED, out=out, keep=["none"], workers=threads)
    measured = clocked(lambda: execute(options), draws)
    shutil.rmtree(out)
    return measured
