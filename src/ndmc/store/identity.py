"""Whether a store is of the run that is asked for."""

from __future__ import annotations

import importlib.metadata
from typing import Any

from ndmc.scenario.scenario import Scenario
from ndmc.store.spec import Spec

__all__ = ["BEFORE", "IDENTITY", "identity", "version_of"]

#: What makes two runs the same run, but for the number of draws, which can be raised.
IDENTITY = (
    "ndmc",
    "variant",
    "changes",
    "scenario_hash",
    "seed",
    "keep",
    "percentiles",
    "quantiles",
    "exceed",
    "dtype",
    "compute",
    "bits",
)

#: What older stores mean that say nothing of it.
BEFORE = {"compute": "float64", "bits": 0}


def version_of(package: str) -> str:
    return importlib.metadata.version(package)


def identity(scenario: Scenario, spec: Spec) -> dict[str, Any]:
    """Return what makes two runs the same run."""
    return {
        "ndmc": version_of("ndmc"),
        "scenario_hash": scenario.hash,
        "variant": scenario.variant,
        "changes": dict(scenario.changes),
        "seed": spec.seed,
        "keep": list(spec.keep),
        "percentiles": list(spec.percentiles),
        "quantiles": list(spec.quantiles),
        "exceed": [list(pair) for pair in spec.exceed],
        "dtype": spec.dtype,
        "compute": "float64",  # there was a choice once: a store of another precision is refused
        "bits": spec.bits,
    }
