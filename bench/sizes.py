"""How much is measured: draws of each row, and how often."""

from __future__ import annotations

from dataclasses import dataclass

from ndmc.engine.tile_width import TILE


@dataclass(frozen=True)
class Sizes:
    """Draws of a measurement in this process, and of each kind of run; elements of the triad.

    ``repeat`` is the number of pairs of a short row, ``few`` that of a long one.
    """

    draws: int = 40 * TILE
    triad: int = 2**24
    whole: int = 4_000_000
    plain: int = 500_000
    stored: int = 400_000
    sorted: int = 1_000_000
    looped: int = 512
    looped_plain: int = 4
    projected: int = 1_000_000
    scaling: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    threads: int = 200_000
    start: int = 1_000
    # Of W10: draws of 60 groups, of all outputs, of the fit; points and cells of its rivals.
    shared: int = 131_072
    shared_all: int = 8192
    fitted: int = 16_384
    shared_peer: int = 1024
    shared_alone: int = 64
    shared_cells: int = 1071
    # Of W11: draws of an ensemble, and of its rival.
    compared: int = 100_000
    compared_peer: int = 200
    # Of the other rows: the study, flodym, the large system, a long run.
    study: int = 1_000_000
    loop: int = 100
    large: int = 2048
    long: int = 400_000
    repeat: int = 15

    @property
    def few(self) -> int:
        """Pairs of a row of whole runs."""
        return -(-self.repeat // 5)


QUICK = Sizes(
    draws=4 * TILE,
    triad=2**20,
    whole=6_000,
    plain=2_000,
    stored=4_000,
    sorted=3_000,
    looped=64,
    looped_plain=1,
    projected=4_000,
    scaling=(2_048, 4_096),
    threads=4_096,
    start=300,
    shared=2048,
    shared_all=2048,
    fitted=4096,
    shared_peer=16,
    shared_alone=4,
    shared_cells=5,
    compared=300,
    compared_peer=3,
    study=4_000,
    loop=5,
    large=64,
    long=3_000,
    repeat=1,
)
LONG = (10_000, 100_000, 1_000_000, 10_000_000, 100_000_000)
