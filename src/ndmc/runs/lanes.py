"""Sums over draws of scores and what is observed: on all processors, with the same rounding."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, Self, TypeVar

import numpy as np

from ndmc.engine.scores import Scores, observed_draws
from ndmc.plan.steps import Plan
from ndmc.typing import Floats

#: Draws of a lane before the next begins: whole tiles of any width.
_SPAN = 1024

#: Draws are summed in so many lanes, whatever the number of processors.
LANES = 8


class Sums(Protocol):
    """What is added up over draws."""

    def take(self, scores: Floats, values: Floats) -> None:
        """Add draws of scores [stream, draw] and values [cell, draw], which may be written to."""

    def add(self, other: Self) -> None:
        """Add the sums over other draws."""


S = TypeVar("S", bound=Sums)


def summed(
    plan: Plan, scores: Scores, seed: int, draws: range, empty: Callable[[], S], lanes: int = LANES
) -> S:
    """Return sums over all draws; each of the lanes has sums of its own."""

    def lane(number: int) -> S:
        sums = empty()
        for span in _spans(draws, number, lanes):
            for found, values in observed_draws(plan, scores, seed, span):
                with np.errstate(invalid="ignore", over="ignore"):  # cells that are not finite
                    sums.take(found, values)
        return sums

    with ThreadPoolExecutor(min(lanes, os.cpu_count() or 1)) as threads:
        first, *others = threads.map(lane, range(lanes))
    for more in others:
        first.add(more)
    return first


def _spans(draws: range, lane: int, lanes: int) -> Iterator[range]:
    for first in range(draws.start + lane * _SPAN, draws.stop, lanes * _SPAN):
        yield range(first, min(first + _SPAN, draws.stop))
