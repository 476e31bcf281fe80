"""Monte Carlo material flow analysis.

Describe a material cycle once, as labelled data; run millions of draws of it through compiled
kernels; get labelled results in Zarr with exact percentiles.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ndmc.dataset import open_dataset as open  # noqa: A004 - reads as ndmc.open(store)
    from ndmc.dataset import percentiles
    from ndmc.drawn_dataset import reconciled_draws
    from ndmc.errors import InputError, RunError
    from ndmc.evaluation import evaluate
    from ndmc.execution import run
    from ndmc.flodym import from_flodym
    from ndmc.model import compile_plan
    from ndmc.reconciled_dataset import reconcile
    from ndmc.scenario import Scenario, bundled, load
    from ndmc.steps import Plan
    from ndmc.validation import validate

__all__ = [
    "InputError",
    "Plan",
    "RunError",
    "Scenario",
    "bundled",
    "compile_plan",
    "evaluate",
    "from_flodym",
    "load",
    "open",
    "percentiles",
    "reconcile",
    "reconciled_draws",
    "run",
    "validate",
]

# Imported on first use, so that `import ndmc` and `ndmc --help` stay light.
_HOMES = {
    "InputError": "ndmc.errors",
    "Plan": "ndmc.steps",
    "RunError": "ndmc.errors",
    "Scenario": "ndmc.scenario",
    "bundled": "ndmc.scenario",
    "compile_plan": "ndmc.model",
    "evaluate": "ndmc.evaluation",
    "from_flodym": "ndmc.flodym",
    "load": "ndmc.scenario",
    "open": "ndmc.dataset",
    "percentiles": "ndmc.dataset",
    "reconcile": "ndmc.reconciled_dataset",
    "reconciled_draws": "ndmc.drawn_dataset",
    "run": "ndmc.execution",
    "validate": "ndmc.validation",
}
_NAMES = {"open": "open_dataset"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'ndmc' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), _NAMES.get(name, name))


def __dir__() -> list[str]:
    return __all__
