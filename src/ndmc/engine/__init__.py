"""A plan and a range of draws become arrays, tile by tile.

Pure: the same plan, seed and draw give the same bits, whoever asks; no file is read or written.
"""

__all__ = [
    "audit",
    "cautions",
    "evaluation",
    "instructions",
    "refusals",
    "row_code",
    "scores",
    "stopwatch",
    "swaps",
    "tile_width",
    "tiles",
]
