"""Measurements, and draws of them, moved to the balances.

Least squares on sparse arrays below, labels and tests above; the only room that solves equations.
"""

__all__ = [
    "conditioning",
    "datasets",
    "derivatives",
    "equations",
    "estimates",
    "joint",
    "moments",
    "nodal_tests",
    "system",
]
