"""Who is told how a run goes."""

from __future__ import annotations

from ndmc.runs.forecast import Estimate

__all__ = ["Listener"]


class Listener:
    """What a run tells, from the threads that do the work; this one does not listen."""

    def planned(self, estimate: Estimate) -> None:
        """Hear what the run will take, before it begins."""

    def done(self, draws: int, asked: int) -> None:
        """Hear how many draws there are, of how many that were asked for."""

    def start(self) -> None:
        """Hear that this thread begins with something."""

    def lap(self, stage: str, draws: int = 0) -> None:
        """Hear that a stage of the work is done, and that with it draws are, and another begins."""
