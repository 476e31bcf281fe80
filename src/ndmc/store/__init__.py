"""What a run leaves: files that can be trusted, and exact percentiles of them.

Knows draws only as arrays of outputs: nothing here can compute one.
"""

__all__ = [
    "address",
    "brackets",
    "buffer",
    "bundle",
    "creation",
    "dataset",
    "description",
    "digest",
    "exceedance",
    "information",
    "integrity",
    "keys",
    "ledger",
    "merged",
    "opening",
    "place",
    "ranks",
    "removal",
    "seal",
    "series",
    "shares",
    "spec",
    "squares",
    "store",
    "stored_percentiles",
    "structured",
    "study_layout",
    "summaries",
    "variables",
    "view",
    "widths",
    "zarr_v3",
]
