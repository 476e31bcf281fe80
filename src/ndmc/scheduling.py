"""Who computes the blocks: Dask threads of this process, or the workers of a Dask cluster."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from typing import Any, Protocol

from ndmc.errors import InputError, RunError
from ndmc.work import StoppedError, Work

__all__ = ["Cluster", "Executor", "Task", "Threads", "connect"]

_AT_ONCE = 1000
#: Futures in flight for each worker of a cluster: one computes while the next is on its way.
_WINDOW = 2
#: A block that fails is tried so many times; a worker that dies of one takes four with it.
_TRIES = 3
#: Seconds to wait for a scheduler.
_PATIENCE = 20

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
    """Dask threads of this process."""

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
        from dask.threaded import get

        stop = threading.Event()

        def do(task: Task) -> None:
            try:
                report(task.do(work, stop.is_set))
            except BaseException:
                stop.set()
                raise

        with ThreadPoolExecutor(self.workers) as pool:
            try:
                # One graph of 1e5 tasks costs Dask 3.4 ms a task, of 1e3 0.4 ms.
                for first in range(0, len(tasks), _AT_ONCE):
                    some = tasks[first : first + _AT_ONCE]
                    graph = {("block", n): (do, task) for n, task in enumerate(some)}
                    get(graph, [*graph], pool=pool)
            except BaseException:
                stop.set()
                raise


# --- a Dask cluster -------------------------------------------------------------------------------


class Cluster:
    """The workers of a Dask scheduler, each of which opens the store by its path.

    Raises
    ------
    InputError
        If the scheduler cannot be reached, or a worker has another version of ndmc.
    """

    def __init__(self, client: Any) -> None:
        self.client = client
        here = _versions()
        for address, there in client.run(_versions).items():
            if there != here:
                found = ", ".join(f"{name} {v}" for name, v in there.items())
                wanted = ", ".join(f"{name} {v}" for name, v in here.items())
                message = f"worker {address} has {found}, this process {wanted}"
                raise InputError(f"{message}; install the same versions on all", "--scheduler")

    def run(self, work: Work, tasks: Sequence[Task], report: Report) -> None:
        """Compute tasks, a window at a time; what fails is tried again, and named at the end.

        Raises
        ------
        RunError
            If blocks cannot be computed; all others are.
        """
        waiting = [(task, 1) for task in reversed(tasks)]
        futures: dict[Any, tuple[Task, int]] = {}
        failed: dict[int, str] = {}
        queue = _distributed().as_completed()
        try:
            while waiting or futures:
                width = _WINDOW * max(len(self.client.scheduler_info(n_workers=-1)["workers"]), 1)
                while waiting and len(futures) < width:
                    task, tried = waiting.pop()
                    future = self.client.submit(_do, _About.of(work), task, pure=False)
                    futures[future] = (task, tried)
                    queue.add(future)
                future = next(queue)
                task, tried = futures.pop(future)
                if future.status == "finished":
                    report(future.result())
                elif tried < _TRIES and not _is_final(future.exception()):
                    waiting.insert(0, (task, tried + 1))
                else:
                    failed[task.block.start] = _cause(future.exception())
        finally:
            self.client.cancel([*futures])
        if failed:
            first, cause = min(failed.items())
            count = f"{len(failed)} block{'s' * (len(failed) > 1)}"
            raise RunError(
                f"{count} of {len(tasks)} could not be computed, the first from draw {first:,} on: "
                f"{cause}; all others are safe, the same command tries again"
            )


@contextlib.contextmanager
def connect(address: str, workers: int | None) -> Iterator[Any]:
    """Yield a client of a scheduler, or of processes of our own that listen on loopback only.

    TLS and all other settings are those of Dask's configuration.

    Raises
    ------
    InputError
        If there is none, or Dask's distributed part is not installed.
    """
    try:
        distributed = _distributed()
    except ImportError:
        message = 'this needs distributed; install ndmc with its extra: pip install "ndmc[cluster]"'
        raise InputError(message, "--scheduler") from None
    with contextlib.ExitStack() as stack:
        if not address:
            cluster = distributed.LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                dashboard_address=None,
            )
            address = stack.enter_context(cluster).scheduler_address
        try:
            client = stack.enter_context(distributed.Client(address, timeout=_PATIENCE))
        except (OSError, ValueError) as failed:
            reason = str(failed).splitlines()[0]
            message = f"no scheduler answers at {address!r} ({reason}); is it running?"
            raise InputError(message, "--scheduler") from None
        yield client


def _distributed() -> Any:
    # Untyped on purpose: its functions have no annotations.
    return import_module("distributed")


@dataclass(frozen=True)
class _About:
    """What a worker needs to open a run: where it is, and which state of it."""

    url: str
    checksum: int
    versions: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, work: Work) -> _About:
        checksum = work.store.attrs["checksum"]
        return cls(work.store.path, checksum, tuple(_versions().items()))


def _do(about: _About, task: Task) -> int:
    if tuple(_versions().items()) != about.versions:
        raise InputError(f"this worker has {_versions()}, the run {dict(about.versions)}")
    return task.do(_open(about))


@functools.lru_cache(maxsize=4)
def _open(about: _About) -> Work:
    from ndmc.replay import work_of

    return work_of(about.url)


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("ndmc", "numpy", "numba", "zarr")}


def _is_final(error: BaseException | None) -> bool:
    """Whether trying again is of no use."""
    return isinstance(error, InputError | StoppedError)


def _cause(error: BaseException | None) -> str:
    if type(error).__name__ == "KilledWorker":
        return "it killed every worker that tried it (out of memory?)"
    return f"{error}" if isinstance(error, InputError | RunError) else f"{error!r}"
