"""Where the results of a run lie: in an ensemble cells that are alike have one row."""

from __future__ import annotations

from ndmc.engine.evaluation import alike
from ndmc.plan.steps import Plan
from ndmc.store.brackets import Series, Sheet
from ndmc.store.series import series_of
from ndmc.store.spec import Spec


def sheets_of(plan: Plan, spec: Spec) -> tuple[list[Series], list[Sheet]]:
    """Return the series of a run and their sheets."""
    return series_of(plan, spec, alike(plan, spec.percentiles) if plan.gathered else None)
