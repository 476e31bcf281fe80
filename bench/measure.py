"""Time two contestants side by side, in this process or as processes of their own."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bounds import Bound

SPAWN = Path(__file__).with_name("spawn.py")


@dataclass(frozen=True)
class Run:
    """One measurement: seconds for some draws, or of something that is not counted in draws.

    Of a process it has the peak of memory in bytes, and the seconds of all processors.
    """

    seconds: float
    draws: int | None = None
    peak: int | None = None
    processor: float | None = None

    @property
    def pace(self) -> float:
        """Seconds a draw, or of the whole."""
        return self.seconds / (self.draws or 1)

    def __str__(self) -> str:
        time = f"{rounded(1 / self.pace)} draws/s" if self.draws else f"{rounded(self.seconds)} s"
        if self.peak is None:
            return time
        return (
            f"{time}, {rounded(self.processor or 0)} s of processors, {self.peak / 2**20:.0f} MiB"
        )


@dataclass(frozen=True)
class Contest:
    """Measurements of ndmc and of its rival, in pairs made one after the other.

    The ratio is a speed-up, rival over ndmc; of a ``cost`` it is ndmc over rival. It is one of
    time, or of the peak of memory.
    """

    title: str
    rival: str
    pairs: Sequence[tuple[Run, Run]]
    target: str = ""
    cost: bool = False
    of: str = "pace"
    bound: Bound | None = None
    note: str = ""

    @property
    def ratios(self) -> list[float]:
        """The ratio of each pair, sorted."""
        speedups = [getattr(y, self.of) / getattr(m, self.of) for m, y in self.pairs]
        return sorted(1 / ratio if self.cost else ratio for ratio in speedups)

    @property
    def cells(self) -> list[str]:
        """The row of the table."""
        ours, theirs = (typical(side) for side in zip(*self.pairs, strict=True))
        ratio = rounded(statistics.median(self.ratios))
        spread = f"{rounded(self.ratios[0])}-{rounded(self.ratios[-1])}"
        reached = self.bound.reached(ours.pace) if self.bound else ""
        figures = [str(ours), self.rival, str(theirs), ratio, spread]
        return [self.title, *figures, self.target, reached]


def rounded(number: float) -> str:
    """Return a number to three figures, never as a power of ten."""
    return f"{float(f'{number:.3g}'):,.9g}"


def typical(runs: Sequence[Run]) -> Run:
    """Return the median times with the highest peak."""
    peaks = [run.peak for run in runs if run.peak is not None]
    seconds = statistics.median(run.seconds for run in runs)
    processor = statistics.median(run.processor or 0 for run in runs) if peaks else None
    return Run(seconds, runs[0].draws, max(peaks, default=None), processor)


def interleaved(
    ours: Callable[[], Run], theirs: Callable[[], Run], repeat: int
) -> list[tuple[Run, Run]]:
    """Measure both in turn, so that a noisy neighbour slows both."""
    return [(ours(), theirs()) for _ in range(repeat)]


@contextlib.contextmanager
def held_to(cores: Collection[int]) -> Iterator[None]:
    """Keep this thread, and those it starts, to some cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def clocked(call: Callable[[], object], draws: int | None = None) -> Run:
    """Measure a call that does some draws."""
    start = time.perf_counter()
    call()
    return Run(time.perf_counter() - start, draws)


def timed(call: Callable[[], object], draws: int, total: int) -> Callable[[], Run]:
    """Measure a call that does some draws, repeated until they are ``total``, once it is warm."""
    call()
    calls = -(-total // draws)

    def repeated() -> None:
        for _ in range(calls):
            call()

    return lambda: clocked(repeated, calls * draws)


def process(
    command: Sequence[str],
    cores: Collection[int],
    settings: Mapping[str, str] | None = None,
    draws: int | None = None,
) -> Run:
    """Run a command on some cores, with settings added to the environment, and measure it.

    If it does some draws, its time is counted by the draw.
    """
    spawn = [sys.executable, "-S", str(SPAWN), ",".join(map(str, cores)), *command]
    environment = {**os.environ, **(settings or {})}
    done = subprocess.run(spawn, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    return Run(draws=draws, **json.loads(done.stdout.splitlines()[-1]))
