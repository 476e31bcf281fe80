"""The series a run keeps percentiles of, and the kernels that takes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ndmc.plan.steps import Plan
from ndmc.store.brackets import Series, Sheet, span_of
from ndmc.store.comparisons import compared_at
from ndmc.store.coordinates import summed
from ndmc.store.spec import Spec
from ndmc.store.variables import TOTAL
from ndmc.store.view import View
from ndmc.typing import Integers

__all__ = ["kernels_of", "series_of", "titles_of"]


def titles_of(plan: Plan, names: Iterable[str]) -> dict[str, View]:
    """Return what percentiles are computed of: outputs, and the sums over all dims but the years.

    There is a sum of every flow and stock that has other dims.
    """
    dims, found = plan.dims, {}
    for name in names:
        output = plan.output(name)
        positions = tuple(tuple(range(len(dims.labels[dim]))) for dim in output.dims)
        found[name] = View(name, output.dims, positions)
        if over := summed(output):
            found[TOTAL.name(name)] = View(name, output.dims, positions, over)
    return found


def series_of(
    plan: Plan, spec: Spec, which: Integers | None = None
) -> tuple[list[Series], list[Sheet]]:
    """Return the series of a run and their sheets.

    ``which`` says in which row of a sheet the cells of outputs are, one after the other; if nothing
    is said each has its own.
    Sums are made in float64 from draws in the precision they are kept in, as they would be from
    stored draws, and have a sheet of their own.
    """
    found: list[Series] = []
    ends = [0, 0]
    for title, view in titles_of(plan, spec.percentiles).items():
        sheet = int(title != view.name)
        limits = tuple(limit for other, limit in spec.exceed if other == title)
        size = int(np.prod(view.shape, dtype=np.int64))
        span = slice(ends[sheet], ends[sheet] + size)
        rows = span if sheet or which is None else span_of(which[span])
        kind = "" if view.sums else plan.output(view.name).kind
        found.append(Series(title, view, sheet, rows, limits, compared_at(kind, plan.dims)))
        ends[sheet] += size
    outputs = ends[0] if which is None else int(which.max(initial=-1)) + 1
    sheets = [Sheet(np.dtype(spec.dtype), outputs), Sheet(np.dtype(np.float64), ends[1])]
    return found, sheets


def kernels_of(plan: Plan, spec: Spec) -> list[Any]:
    """Return the kernels that take long to compile and are called last: scores and digests."""
    from ndmc_kernels.digest import ADD_UP, DIGEST
    from ndmc_kernels.sampling import normals
    from ndmc_kernels.squares import squares

    _, sheets = series_of(plan, spec)
    found = [DIGEST[sheet.dtype.itemsize] for sheet in sheets if sheet.rows]
    found += [ADD_UP[sheets[0].dtype.itemsize]] if sheets[1].rows else []
    return [normals, *found, *([] if spec.groups is None else [squares])]
