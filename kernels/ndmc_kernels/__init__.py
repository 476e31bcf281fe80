"""Compiled kernels: arrays in, arrays out, one equation each.

Every array is C-contiguous with the draws innermost, `[cell..., draw]`, and draws come in tiles
whose width is a multiple of 64. No kernel mixes draws, so the bits of a draw depend neither on its
neighbours nor on its place in the tile. Outputs come last and are allocated by the caller. They may
be rows of the same array as inputs, but not the same rows. Nothing here validates.
"""
