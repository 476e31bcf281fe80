"""Where the time of a run goes: seconds of each stage, added up over threads."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from typing import Protocol

__all__ = ["SILENT", "Stopwatch", "Timer"]


class Timer(Protocol):
    """Who is told when a thread begins, and when a stage of its work is done."""

    def start(self) -> None:
        """Begin a lap of this thread."""

    def lap(self, stage: str, draws: int = 0) -> None:
        """End the lap, which belongs to a stage, and begin the next; with it draws may be done."""


class Stopwatch:
    """Adds the time since a thread's last lap to a stage, and counts draws.

    Examples
    --------
    >>> stopwatch = Stopwatch()
    >>> stopwatch.start()
    >>> stopwatch.lap("sample")
    >>> list(stopwatch.seconds)
    ['sample']
    """

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.draws = 0
        self._here = threading.local()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin a lap of this thread."""
        self._here.at = time.perf_counter()

    def lap(self, stage: str, draws: int = 0) -> None:
        """End the lap, and begin the next."""
        now = time.perf_counter()
        with self._lock:
            self.seconds[stage] += now - self._here.at
            self.draws += draws
        self._here.at = now


class _Silent:
    """A timer that nobody reads."""

    def start(self) -> None:
        pass

    def lap(self, stage: str, draws: int = 0) -> None:
        pass


SILENT = _Silent()
