"""Who computes blocks: the contract, and threads of this process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from ndmc.runs.block import Work

#: Blocks in the queue of the threads.
_AT_ONCE = 1000

Report = Callable[[int], None]


@dataclass(frozen=True)
class Task:
    """A block to compute within a stage, or to digest again under brackets of a name."""

    block: range
    stage: int = 0
    again: str = ""

    def do(self, work: Work, stopped: Callable[[], bool] = lambda: False) -> int:
        """Compute it and return the number of new draws."""
        if self.again:
            return work.compute_again(self.block, self.again, stopped)
        return work.compute(self.block, self.stage, stopped)


class Executor(Protocol):
    """What computes tasks; ``report`` is called with the draws done by each."""

    def run(self, work: Work, tasks: Sequence[Task], report: Report) -> None:
        """Compute tasks."""


class Threads:
    """Threads of this process."""

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def run(self, work: Work, tasks: Sequence[Task], report: Report) -> None:
        """Compute tasks; when one fails or the run is stopped, those in hand are dropped.

        Raises
        ------
        RunError
            If a block cannot be computed.
        OSError
            If it cannot be written.
        """
        stop = threading.Event()
        causes: list[BaseException] = []

        def do(task: Task) -> None:
            try:
                report(task.do(work, stop.is_set))
            except BaseException as failed:
                if not stop.is_set():
                    causes.append(failed)
                stop.set()
                raise

        with ThreadPoolExecutor(self.workers) as pool:
            try:
                for first in range(0, len(tasks), _AT_ONCE):
                    for done in [pool.submit(do, task) for task in tasks[first : first + _AT_ONCE]]:
                        done.result()
            except BaseException:
                stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                if causes:  # and not what the others say, who were stopped because of it
                    raise causes[0] from None
                raise
