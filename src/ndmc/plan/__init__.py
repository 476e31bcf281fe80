"""A checked scenario as ordered steps over arrays; what cannot be solved is named.

A plan is a value: it holds no draw and computes none.
"""

__all__ = [
    "compared",
    "compiler",
    "description",
    "findings",
    "flows",
    "input_groups",
    "joint",
    "memory",
    "samplers",
    "splits",
    "steps",
    "study",
    "vocabulary",
    "years",
]
