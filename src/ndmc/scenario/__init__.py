"""How a study is written, read and checked, and the small languages in it.

Nothing here draws a number or orders a computation: a `Scenario` is text understood.
"""

__all__ = [
    "along",
    "by_label",
    "composing",
    "dependence",
    "document",
    "ensembles",
    "expressions",
    "extending",
    "flodym",
    "grammar",
    "groupings",
    "lifetimes",
    "load",
    "marginals",
    "named_groups",
    "operations",
    "output_names",
    "parameters",
    "places",
    "quality",
    "reserved",
    "scenario",
    "schema",
    "starter",
    "stream_names",
    "syntax",
    "units",
]
