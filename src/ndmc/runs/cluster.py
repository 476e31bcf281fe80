"""The workers of a Dask cluster compute the blocks: each is tried a few times."""

from __future__ import annotations

import contextlib
import functools
import os
import pickle
import queue
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

from ndmc.errors import InputError, RunError, warn
from ndmc.runs.block import Work
from ndmc.runs.connections import distributed_library
from ndmc.runs.executors import Report, Task
from ndmc.store.keys import block_name

#: Futures in flight for each thread of a cluster: one computes while the next is on its way.
_WINDOW = 2

#: A block that fails is tried so many times.
_TRIES = 3

#: Where so many blocks have failed, the others would too: no room, a model without meaning.
_ENOUGH = 20

#: Seconds after which a worker must see what another machine has written: NFS keeps names for 60.
_STALE = 75

#: What must be the same on all machines for all to compute the same bits.
_SAME = ("ndmc", "numpy", "numba", "scipy", "zarr")


class Cluster:
    """The workers of a Dask scheduler, each of which opens the store by its path.

    Raises
    ------
    InputError
        If a worker has no ndmc, or another version of what computes.
    """

    def __init__(self, client: Any) -> None:
        self.client = client
        found = client.run(_REMOTE, _versions.__name__, on_error="return")
        for address, there in found.items():
            if isinstance(there, ImportError):
                raise _unfit(address, f"cannot import what it needs ({there})")
            if isinstance(there, dict):  # else it died meanwhile
                _check_versions(address, there, _versions())

    def run(self, work: Work, tasks: Sequence[Task], report: Report) -> None:
        """Compute tasks, a window at a time; what fails is tried again, and named at the end.

        Raises
        ------
        RunError
            If blocks cannot be computed; all others are.
        InputError
            If a worker cannot take part, or none can see the store.
        """
        if not work.place.shared:
            message = f"{work.place} is in the memory of this process, where no worker sees it"
            raise InputError(f"{message}; use a path or a bucket", "--out")
        done = _done_before(work, tasks)
        flight = _Flight(self.client, _About.of(work), tasks)
        try:
            for task in flight.finished():
                # Not what the worker says: one that dies after its last write cannot say it.
                report(len(task.block) - done.get(task.block.start, 0))
        finally:
            flight.cancel()
        flight.check()


def _done_before(work: Work, tasks: Sequence[Task]) -> dict[int, int]:
    """Return how many draws are written of the blocks that were begun."""
    begun = set(work.store.ledger.names)
    blocks = [task.block for task in tasks if not task.again]
    return {b.start: work.done(b) for b in blocks if block_name(b.start) in begun}


@dataclass(frozen=True)
class _Try:
    """A task that is tried for the ``number``-th time; a suspect has killed workers."""

    task: Task
    number: int = 1
    suspect: bool = False


class _Flight:
    """Tasks on their way through a cluster: no more at a time than keep its threads busy."""

    def __init__(self, client: Any, about: _About, tasks: Sequence[Task]) -> None:
        self.client, self.about, self.count = client, about, len(tasks)
        self.address = client.scheduler.address
        self.fresh = iter(tasks)
        self.again, self.suspects = deque[_Try](), deque[_Try]()
        self.futures: dict[Any, _Try] = {}
        self.failed: dict[int, tuple[Task, str]] = {}
        self.ended: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.threads, self.counted, self.waiting = 1, -1.0, False

    def finished(self) -> Iterator[Task]:
        """Yield each task that is done, until all are or enough have failed."""
        while len(self.failed) < _ENOUGH and self._submit():
            future = self._wait()
            one = self.futures.pop(future)
            if future.status == "finished":
                yield one.task
            else:
                self._again(one, _error(future))

    def _wait(self) -> Any:
        """Return a future that has ended, in whatever way."""
        while True:
            with contextlib.suppress(queue.Empty):
                return self.ended.get(timeout=1)
            self._check_connection()
            self._width()

    def _check_connection(self) -> None:
        """Give up once the client has: it looks for a lost scheduler for as long as for a new."""
        if self.client.status in ("closing", "closed"):
            message = f"the scheduler at {self.address} is gone; what is done is safe"
            raise RunError(f"{message}, the same command goes on with another")

    def _submit(self) -> bool:
        """Fill the window; return whether anything is on its way."""
        while self.client.status == "connecting":
            time.sleep(0.1)
        self._check_connection()
        while len(self.futures) < self._width() and (one := self._next()):
            future = self.client.submit(
                _REMOTE, _do.__name__, pickle.dumps((self.about, one.task)), pure=False
            )
            self.futures[future] = one
            future.add_done_callback(self.ended.put)
        return bool(self.futures)

    def _width(self) -> int:
        now = time.monotonic()
        if now > self.counted + 1 and self.client.status == "running":
            with contextlib.suppress(OSError):  # the connection is being made again
                self.threads = sum(self.client.nthreads().values())
            self.counted = now
            if not self.threads and not self.waiting:
                warn(f"{self.address} has no workers; waiting for some to join")
            self.waiting = not self.threads
        return _WINDOW * max(self.threads, 1)

    def _next(self) -> _Try | None:
        """Return what is to be tried next: suspects last and one by one, to know whose fault it is.

        A worker that dies takes with it whatever it has in hand.
        """
        task = next(self.fresh, None)
        if task is not None:
            return _Try(task)
        if self.again:
            return self.again.popleft()
        return self.suspects.popleft() if self.suspects and not self.futures else None

    def _again(self, one: _Try, error: BaseException | None) -> None:
        """Try a task again, unless that is of no use."""
        if error is None:  # taken back: the workers were restarted, or the scheduler was
            self.again.append(one)
        elif isinstance(error, InputError):
            raise error
        elif isinstance(error, ImportError):
            raise InputError(f"a worker cannot import what it needs ({error})", "--scheduler")
        elif _is_killer(error) and not one.suspect:
            self.suspects.append(_Try(one.task, one.number, suspect=True))
        elif not _is_killer(error) and one.number < _TRIES:
            self.again.append(_Try(one.task, one.number + 1, one.suspect))
        else:
            self.failed[one.task.block.start] = (one.task, _cause(error))

    def cancel(self) -> None:
        """Take back what is still on its way."""
        if self.futures and self.client.status == "running":
            self.client.cancel([*self.futures])

    def check(self) -> None:
        """Raise RunError if blocks have failed."""
        if not self.failed:
            return
        task, cause = self.failed[min(self.failed)]
        which = f"draws {task.block.start:,} to {task.block.stop - 1:,}: {cause}"
        number = len(self.failed)
        if number < _ENOUGH:
            some = "1 block" if number == 1 else f"{number} blocks"
            message = f"{some} of {self.count:,} could not be computed, the first of them {which}"
            raise RunError(f"{message}; all others are safe, the same command tries again")
        message = f"stopped after {number} blocks could not be computed, the first of them {which}"
        raise RunError(f"{message}; what is done is safe, the same command goes on")


def _error(future: Any) -> BaseException | None:
    """Return why a task failed; None if it was only taken back."""
    with contextlib.suppress(CancelledError):
        error: BaseException | None = future.exception()
        return error
    return None


def _is_killer(error: BaseException) -> bool:
    return type(error).__name__ == "KilledWorker"


def _cause(error: BaseException) -> str:
    if _is_killer(error):
        return "it killed every worker that tried it (out of memory?)"
    return f"{error}" if isinstance(error, RunError) else f"{error!r}"


# --- what a worker does ---------------------------------------------------------------------------


def _remote() -> Callable[..., Any]:
    """Return a function that workers get whole, not by its name: one without ndmc can say so.

    A task that a worker cannot load would never end.
    """

    def ndmc(name: str, arguments: bytes = b"") -> Any:
        import importlib
        import pickle

        try:
            function = getattr(importlib.import_module("ndmc.runs.cluster"), name)
        except Exception as error:
            raise ImportError(f"{error}") from None
        return function(*pickle.loads(arguments)) if arguments else function()

    return ndmc


_REMOTE = _remote()


@dataclass(frozen=True)
class _About:
    """What a worker needs to open a run: where it is, which state of it, and how it is computed."""

    url: str
    checksum: int
    versions: tuple[tuple[str, str], ...]
    piece: int

    @classmethod
    def of(cls, work: Work) -> _About:
        url = work.place.url
        whole = url if "://" in url else os.path.abspath(url)
        return cls(whole, work.store.attrs["checksum"], tuple(_versions().items()), work.piece)


def _do(about: _About, task: Task) -> None:
    """Do a task. What fails leaves as plain text: not every error reaches the client otherwise."""
    failed: InputError | RunError
    try:
        address = distributed_library().get_worker().address
        _check_versions(address, _versions(), dict(about.versions))
        try:
            work = _open(about)
        except InputError as wrong:
            raise _unfit(address, f"cannot open the store ({wrong})") from None
        task.do(work)
    except InputError as wrong:
        failed = InputError(wrong.message, wrong.where)
    except Exception as error:
        failed = RunError(f"{error}" if isinstance(error, RunError) else f"{error!r}")
    else:
        return
    raise failed  # here, where it has no context


@functools.lru_cache(maxsize=4)
def _open(about: _About) -> Work:
    """Open a run in the state that its client knows."""
    from ndmc.runs.replay import work_of

    end = time.monotonic() + _STALE
    while (work := work_of(about.url)).store.attrs["checksum"] != about.checksum:
        if time.monotonic() > end:
            raise RunError(f"a worker sees another store at {about.url!r} than this process")
        time.sleep(0.5)
    return replace(work, piece=about.piece)


@functools.cache
def _versions() -> dict[str, str]:
    return {name: version(name) for name in _SAME}


def _check_versions(address: str, there: dict[str, str], here: dict[str, str]) -> None:
    """Refuse a worker that has another version of anything that computes."""
    other = [name for name in here if there.get(name) != here[name]]
    if other:
        has, wanted = (", ".join(f"{name} {v.get(name)}" for name in other) for v in (there, here))
        raise _unfit(address, f"has {has}, this run {wanted}; install the same versions on all")


def _unfit(address: str, reason: str) -> InputError:
    return InputError(f"the worker at {address} {reason}", "--scheduler")
