"""How many draws are computed together: what the caches of a core hold."""

from __future__ import annotations

import functools
from pathlib import Path

from ndmc.plan.steps import Plan

__all__ = ["TILE", "tile_width"]

#: The most draws computed together, and the fewest: fewer pay more Python per draw.
TILE, _LEAST = 256, 64


def tile_width(plan: Plan) -> int:
    """Return the number of draws computed together: fewer where a draw is large against the cache.

    A draw takes about twice the rows it has values. All of china_nd (3,697 values; 512 KiB of
    level-2 cache): 48 us a draw with 64 and 128, 66 with 256, 99 with 512 draws, in a busy
    hour; in-use stock alone (1,785): 14.4 with 64, 13.1 with 128, 13.7 with 256, 16.9 with 512.
    """
    width = TILE
    while width > _LEAST and plan.held * width > _level_2_cache():
        width //= 2
    return width


@functools.cache
def _level_2_cache() -> int:
    """Return the bytes of a core's; 1 MiB where the system does not say."""
    try:
        text = Path("/sys/devices/system/cpu/cpu0/cache/index2/size").read_text(encoding="ascii")
        return 1024 * int(text.strip().removesuffix("K"))
    except (OSError, ValueError):
        return 2**20
