"""Questions that take a model, or many runs.

Asks other rooms for draws and percentiles, and keeps none of its own.
"""

__all__ = [
    "checking",
    "claims",
    "comparing",
    "decisions",
    "ensembles",
    "explained",
    "exports",
    "figures",
    "named_cells",
    "ratings",
    "sensitivity",
    "validation",
]
