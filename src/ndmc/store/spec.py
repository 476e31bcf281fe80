"""How a run is cut: stages whose brackets come from the draws before, and blocks within them."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from ndmc.given import as_count, as_names, as_precision, as_shares
from ndmc.option import (
    PERCENTS,
    as_limits,
    option,
    read_count,
    read_limits,
    read_names,
    read_percents,
)

__all__ = [
    "GRAIN",
    "MOST",
    "MOST_BLOCKS",
    "MOST_QUANTILES",
    "ROUND",
    "Identity",
    "Spec",
    "blocks",
    "cut",
    "expected",
    "how_many",
    "largest",
    "stages",
]

#: Draws of a block come in multiples of this, but for the last of a run.
GRAIN = 256

#: In a study they come in multiples of this: draws in which each of 32 batches has its turn once.
ROUND = 2048

#: A stage has this many times the draws before it. Brackets of a stage narrow with the square root
#: of it, and the digests of a stage are merged once: 8 keeps both small.
_GROWTH = 8

#: No more draws than this are in a block of which only digests are kept: seconds of work. Where
#: draws are only counted at first digests are as large as they are many, so blocks are larger.
MOST = 2**16

_MOST_COUNTED = 2**19

#: A store has no more blocks than this: each has an entry of the ledger.
MOST_BLOCKS = 10**6

#: More than anyone asks for: each is a bracket of every row.
MOST_QUANTILES = 1000


#: Groups of inputs by name, each with the names of its members.
Groups = tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What makes two runs of a scenario the same run, but for the number of draws.

    Each field is an option of a run, and an attribute of its store. Stores that were written before
    there was one have its default.
    """

    seed: int = field(
        default=1,
        metadata=option(
            "Same seed, same draws.",
            python="From 0 to 2**64 - 1; the same seed gives the same draws, bit for bit.",
            text="1",
            read=read_count,
            take=as_count,
        ),
    )
    keep: Iterable[str] | None = field(
        default=None,
        metadata=option(
            "Outputs whose draws are stored: all, none, or names with commas.",
            python="Outputs and parameters whose draws are stored; what the scenario says if None, "
            '``["none"]`` for none.',
            text="",
            read=read_names,
            take=as_names,
        ),
    )
    percentiles: Iterable[str] | None = field(
        default=None,
        metadata=option(
            "Outputs to compute percentiles of: all, kept, or names with commas.",
            python="Outputs whose percentiles are computed, kept or not; all outputs if None, "
            '``["kept"]`` for those that are stored.',
            text="",
            read=read_names,
            take=as_names,
        ),
    )
    quantiles: Sequence[float] = field(
        default=read_percents(PERCENTS, "-q"),
        metadata=option(
            "In percent.",
            python="Shares from 0 to 1.",
            flags=("-q", "--quantiles"),
            text=PERCENTS,
            read=read_percents,
            take=as_shares,
        ),
    )
    exceed: Sequence[tuple[str, float | str]] = field(
        default=(),
        metadata=option(
            "Share of draws above a limit: 'NAME > 100 kt'. Repeatable.",
            python='Texts such as ``"in_use > 100 kt"``, or pairs of an output and a limit, a '
            'number in its unit or a text such as ``"100 kt"``: the share of draws above it is '
            "computed.",
            text=[],
            read=read_limits,
            take=as_limits,
        ),
    )
    dtype: str = field(
        default="float32",
        metadata=option(
            "Precision of stored draws: float32 or float64.",
            python="Precision in which draws are stored and ranked, float32 or float64.",
            take=as_precision,
        ),
    )
    bits: int = field(
        default=0,
        metadata=option(
            "Bits of the mantissa that results are rounded to; 0 keeps all.",
            python="Bits of the mantissa that results are rounded to, which then compress better: "
            "10 bits keep a relative error of 2**-11. All bits if 0.",
            take=as_count,
            text="0",
            read=read_count,
        ),
    )


@dataclass(frozen=True, kw_only=True)
class Spec(Identity):
    """What a run computes, in the names and units of its scenario, and how it is cut.

    Attributes
    ----------
    draws
        How many there are.
    block
        Draws of a block; the outputs in ``keep`` have a shard for each.
    begin
        Draws of the first stage, all values of which are kept.
    pilot
        No stage begins after this many draws; 0 for no limit.
    counted
        The first draw of the stage that is only counted, and kept in a second pass; 0 for none.
    groups
        Of a study, the names of groups of inputs with those of their members; None of a run.
    """

    keep: tuple[str, ...]
    percentiles: tuple[str, ...]
    quantiles: tuple[float, ...]
    exceed: tuple[tuple[str, float], ...] = ()
    draws: int
    block: int
    begin: int = 8192
    pilot: int = 0
    counted: int = 0
    groups: Groups | None = None

    @property
    def grain(self) -> int:
        """What draws of a block come in multiples of, but for the last of a run."""
        return GRAIN if self.groups is None else ROUND


def stages(spec: Spec) -> Iterator[range]:
    """Yield the draws of each stage.

    Examples
    --------
    >>> spec = Spec(draws=100_000, block=8192, keep=(), percentiles=(), quantiles=())
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
    >>> spec = Spec(draws=20_000, block=8192, keep=("in_use",), percentiles=(), quantiles=())
    >>> blocks(spec)
    [range(0, 8192), range(8192, 16384), range(16384, 20000)]
    """
    return [block for stage in stages(spec) for block in cut(stage, spec)]


def how_many(spec: Spec) -> int:
    """Return how many blocks there are, without listing them.

    Examples
    --------
    >>> spec = Spec(draws=20_000, block=8192, keep=("in_use",), percentiles=(), quantiles=())
    >>> how_many(spec)
    3
    """
    return sum(len(_starts(stage, spec)) for stage in stages(spec))


def cut(stage: range, spec: Spec) -> list[range]:
    """Return the blocks of a stage."""
    starts = _starts(stage, spec)
    return [range(first, min(first + starts.step, stage.stop)) for first in starts]


def largest(stage: range, spec: Spec) -> int:
    """Return how many draws the largest block of a stage has."""
    return min(_starts(stage, spec).step, len(stage))


def _starts(stage: range, spec: Spec) -> range:
    size = spec.block
    if not spec.keep:
        most = _MOST_COUNTED if size == MOST and stage.start == (spec.counted or -1) else size
        least = spec.begin if stage.start else spec.begin // 2
        size = min(most, max(stage.start // 16, least, spec.grain))
    return range(stage.start, stage.stop, size)


def expected(spec: Spec, rows: int) -> float:
    """Return about how many values are kept in digests at the end of a run.

    Examples
    --------
    >>> quantiles = (0.025, 0.5, 0.975)
    >>> spec = Spec(draws=10**6, block=8192, keep=(), percentiles=(), quantiles=quantiles)
    >>> round(expected(spec, 1))
    13461
    """
    last = [*stages(spec)][-1]
    if not last.start:
        return float(rows * spec.draws)
    spread = 12 * sum(math.sqrt(q * (1 - q)) for q in spec.quantiles)
    return rows * spread * spec.draws / math.sqrt(last.start)
