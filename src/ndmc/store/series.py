"""The series a run keeps percentiles of, and the kernels that takes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ndmc.plan.steps import Plan
from ndmc.store.brackets import Series, Sheet
from ndmc.store.spec import Spec
from ndmc.store.view import View

__all__ = ["kernels_of", "series_of"]


def series_of(plan: Plan, spec: Spec) -> tuple[list[Series], list[Sheet]]:
    """Return the series of a run: each output, and flows and stocks summed over all but the years.

    Sums are made in float64 from draws in the precision they are kept in, as they would be from
    stored draws, and have a sheet of their own.
    """
    dims, names = plan.dims, {output.name for output in plan.outputs}
    found: list[Series] = []
    rows = [0, 0]
    for name in spec.percentiles:
        output = plan.output(name)
        positions = tuple(tuple(range(len(dims.labels[dim]))) for dim in output.dims)
        others = tuple(dim for dim in output.dims if dim != "year")
        total = others and output.kind in ("flow", "stock") and f"{name}_total" not in names
        views = [(name, View(name, output.dims, positions), 0)]
        if total:
            views.append((f"{name}_total", View(name, output.dims, positions, others), 1))
        for title, view, sheet in views:
            limits = tuple(limit for other, limit in spec.exceed if other == title)
            size = int(np.prod(view.shape, dtype=np.int64))
            span = slice(rows[sheet], rows[sheet] + size)
            found.append(Series(title, view, sheet, span, limits))
            rows[sheet] += size
    sheets = [Sheet(np.dtype(spec.dtype), rows[0]), Sheet(np.dtype(np.float64), rows[1])]
    return found, sheets


def kernels_of(plan: Plan, spec: Spec) -> list[Any]:
    """Return the kernels that take long to compile and are called last: scores and digests."""
    from ndmc_kernels.digest import ADD_UP, DIGEST
    from ndmc_kernels.sampling import normals

    _, sheets = series_of(plan, spec)
    found = [DIGEST[sheet.dtype.itemsize] for sheet in sheets if sheet.rows]
    return [normals, *found, *([ADD_UP[sheets[0].dtype.itemsize]] if sheets[1].rows else [])]
