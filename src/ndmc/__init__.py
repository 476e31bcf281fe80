"""Monte Carlo material flow analysis.

Describe a material cycle once, as labelled data; run millions of draws of it through compiled
kernels; get labelled results in Zarr with exact percentiles.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ndmc.engine.evaluation import evaluate
    from ndmc.errors import InputError, RunError, StudyWarning
    from ndmc.model import compile_plan
    from ndmc.plan.steps import Plan
    from ndmc.reconciliation.datasets import reconcile, reconciled_draws
    from ndmc.runs.run import run
    from ndmc.scenario.flodym.writer import from_flodym
    from ndmc.scenario.load import load
    from ndmc.scenario.places import bundled
    from ndmc.scenario.scenario import Scenario
    from ndmc.scenario.starter import new, show
    from ndmc.store.dataset import open_dataset as open  # noqa: A004 - reads as ndmc.open(store)
    from ndmc.store.dataset import percentiles
    from ndmc.store.information import info
    from ndmc.store.integrity import verify
    from ndmc.studies.checking import check
    from ndmc.studies.comparing import compare
    from ndmc.studies.ensembles import ensemble
    from ndmc.studies.exports import export
    from ndmc.studies.sensitivity import sensitivity
    from ndmc.studies.validation import validate

__all__ = [
    "InputError",
    "Plan",
    "RunError",
    "Scenario",
    "StudyWarning",
    "bundled",
    "check",
    "compare",
    "compile_plan",
    "ensemble",
    "evaluate",
    "export",
    "from_flodym",
    "info",
    "load",
    "new",
    "open",
    "percentiles",
    "reconcile",
    "reconciled_draws",
    "run",
    "sensitivity",
    "show",
    "validate",
    "verify",
]

# Imported on first use, so that `import ndmc` and `ndmc --help` stay light.
_HOMES = {
    "InputError": "ndmc.errors",
    "Plan": "ndmc.plan.steps",
    "RunError": "ndmc.errors",
    "Scenario": "ndmc.scenario.scenario",
    "StudyWarning": "ndmc.errors",
    "bundled": "ndmc.scenario.places",
    "check": "ndmc.studies.checking",
    "compare": "ndmc.studies.comparing",
    "compile_plan": "ndmc.model",
    "ensemble": "ndmc.studies.ensembles",
    "evaluate": "ndmc.engine.evaluation",
    "export": "ndmc.studies.exports",
    "from_flodym": "ndmc.scenario.flodym.writer",
    "info": "ndmc.store.information",
    "load": "ndmc.scenario.load",
    "new": "ndmc.scenario.starter",
    "open": "ndmc.store.dataset",
    "percentiles": "ndmc.store.dataset",
    "reconcile": "ndmc.reconciliation.datasets",
    "reconciled_draws": "ndmc.reconciliation.datasets",
    "run": "ndmc.runs.run",
    "sensitivity": "ndmc.studies.sensitivity",
    "show": "ndmc.scenario.starter",
    "validate": "ndmc.studies.validation",
    "verify": "ndmc.store.integrity",
}
_NAMES = {"open": "open_dataset"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'ndmc' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), _NAMES.get(name, name))


def __dir__() -> list[str]:
    return __all__
