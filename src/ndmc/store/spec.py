"""How a run is cut: stages whose brackets come from the draws before, and blocks within them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["GRAIN", "MOST", "Spec", "blocks", "cut", "expected", "how_many", "stages"]

#: Draws of a block come in multiples of this, but for the last of a run.
GRAIN = 256

#: A stage has this many times the draws before it. Brackets of a stage narrow with the square root
#: of it, and the digests of a stage are merged once: 8 keeps both small.
_GROWTH = 8

#: No more draws than this are in a block of which only digests are kept: seconds of work. Where
#: draws are only counted at first digests are as large as they are many, so blocks are larger.
MOST = 2**16

_MOST_COUNTED = 2**19


@dataclass(frozen=True)
class Spec:
    """What a run computes and how it is cut.

    Attributes
    ----------
    keep
        Outputs whose draws are stored, a shard for each block of ``block`` draws.
    percentiles
        Outputs whose percentiles are computed, at ``quantiles``.
    exceed
        Pairs of an output and a limit: in which share of the draws is it above?
    begin
        Draws of the first stage, all values of which are kept.
    pilot
        No stage begins after this many draws; 0 for no limit.
    bits
        Bits of the mantissa that results are rounded to, 0 for all.
    counted
        The first draw of the stage that is only counted, and kept in a second pass; 0 for none.
    """

    seed: int
    draws: int
    block: int
    dtype: str
    keep: tuple[str, ...]
    percentiles: tuple[str, ...]
    quantiles: tuple[float, ...]
    exceed: tuple[tuple[str, float], ...] = ()
    begin: int = 8192
    pilot: int = 0
    counted: int = 0
    bits: int = 0


def stages(spec: Spec) -> Iterator[range]:
    """Yield the draws of each stage.

    Examples
    --------
    >>> spec = Spec(1, 100_000, 8192, "float32", (), (), (), begin=8192)
    >>> [*stages(spec)]
    [range(0, 8192), range(8192, 65536), range(65536, 100000)]
    """
    first, stop = 0, spec.begin
    last = spec.counted or spec.pilot or spec.draws
    while first < spec.draws:
        if stop > last:
            stop = spec.draws
        yield range(first, min(stop, spec.draws))
        first, stop = stop, stop * _GROWTH


def blocks(spec: Spec) -> list[range]:
    """Return the draws of every block.

    Examples
    --------
    >>> spec = Spec(1, 20_000, 8192, "float32", ("in_use",), (), (), begin=8192)
    >>> blocks(spec)
    [range(0, 8192), range(8192, 16384), range(16384, 20000)]
    """
    return [block for stage in stages(spec) for block in cut(stage, spec)]


def how_many(spec: Spec) -> int:
    """Return how many blocks there are, without listing them.

    Examples
    --------
    >>> how_many(Spec(1, 20_000, 8192, "float32", ("in_use",), (), (), begin=8192))
    3
    """
    return sum(len(_starts(stage, spec)) for stage in stages(spec))


def cut(stage: range, spec: Spec) -> list[range]:
    """Return the blocks of a stage."""
    starts = _starts(stage, spec)
    return [range(first, min(first + starts.step, stage.stop)) for first in starts]


def _starts(stage: range, spec: Spec) -> range:
    size = spec.block
    if not spec.keep:
        most = _MOST_COUNTED if size == MOST and stage.start == (spec.counted or -1) else size
        least = spec.begin if stage.start else spec.begin // 2
        size = min(most, max(stage.start // 16, least, GRAIN))
    return range(stage.start, stage.stop, size)


def expected(spec: Spec, rows: int) -> float:
    """Return about how many values are kept in digests at the end of a run.

    Examples
    --------
    >>> spec = Spec(1, 1_000_000, 8192, "float32", (), (), (0.025, 0.5, 0.975), begin=8192)
    >>> round(expected(spec, 1))
    13461
    """
    last = [*stages(spec)][-1]
    if not last.start:
        return float(rows * spec.draws)
    spread = 12 * sum(math.sqrt(q * (1 - q)) for q in spec.quantiles)
    return rows * spread * spec.draws / math.sqrt(last.start)
