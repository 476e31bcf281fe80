"""A checked scenario as ordered steps over arrays; what cannot be solved is named.

A plan is a value: it holds no draw and computes none.
"""

__all__ = [
    "compiler",
    "description",
    "findings",
    "flows",
    "input_groups",
    "memory",
    "samplers",
    "splits",
    "steps",
    "study",
    "vocabulary",
    "years",
]
