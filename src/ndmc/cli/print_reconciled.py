"""Reconciled values and their tests on a terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.console import Console

from ndmc.cli.tables import console, number, percent, plain_table

if TYPE_CHECKING:
    from ndmc.reconciliation.estimates import Reconciled
    from ndmc.reconciliation.moments import Moments

__all__ = ["print_moments", "print_reconciled"]


def print_reconciled(found: Reconciled) -> None:
    """Print every cell before and after, the tests, and what was rejected."""
    from ndmc.reconciliation.estimates import rows

    page = console()
    columns = ("unit", "before", "sd", "after", "sd", "shift", "test")
    table = plain_table("reconciled", "quantity", "known", *columns, words=2)
    for row in rows(found):
        numbers = [row.before, row.before_sd, row.after, row.after_sd]
        tests = [f"{x:+.2f}" if math.isfinite(x) else "-" for x in (row.shift, row.test)]
        style = "red" if row.known == "rejected" or abs(row.test) > found.critical else ""
        shown = [number(x) for x in numbers]
        table.add_row(row.quantity, row.known, row.unit, *shown, *tests, style=style)
    page.print(table)
    verdict = "no sign of gross errors" if found.p >= 1 - found.level else "gross errors remain"
    page.print(
        f"global test: chi2 {number(found.chi2)} with {found.redundancy} degrees of freedom, "
        f"p {found.p:.3g}: {verdict} at {percent(found.level)}"
    )
    page.print(
        f"largest open equation {found.worst:.1e} of the largest term, after {found.steps} steps; "
        f"a test beyond {found.critical:.2f} is marked"
    )
    _print_open(page, found)
    _print_rejected(page, found)


def print_moments(found: Reconciled, drawn: Moments, method: str) -> None:
    """Print how far mean and covariance of draws are from those of least squares."""
    import numpy as np

    page = console()
    sd = found.deviations
    size = np.abs(found.point)
    # Of what has no deviation, or only rounding for one, there is nothing to compare.
    known = np.isfinite(found.after) & (sd > np.maximum(1e-9 * size, 1e-9 * np.median(size)))
    off = np.abs(drawn.mean - found.point)[known] / sd[known]
    sds = np.sqrt(np.diag(drawn.covariance))[known]
    covariance = (found.spread @ found.spread.T).toarray()[np.ix_(known, known)]
    least = covariance / np.outer(sd[known], sd[known])
    own = drawn.covariance[np.ix_(known, known)] / np.outer(sds, sds)
    page.print(
        f"{drawn.draws:,} draws ({method}), worth {drawn.effective:,.0f} of equal weight, "
        f"{drawn.lost:,} without any; against least squares, over {known.sum()} cells:"
    )
    page.print(
        f"  means differ by up to {number(off.max())} sd (one standard error is "
        f"{number(drawn.effective**-0.5)})"
    )
    page.print(
        f"  standard deviations by up to {number(100 * np.abs(sds / sd[known] - 1).max())} %"
    )
    page.print(f"  correlations by up to {number(np.abs(own - least).max())}")


def _print_open(page: Console, found: Reconciled) -> None:
    """Print the equations that are open further than measurements err, the furthest first."""
    from ndmc.reconciliation.estimates import equations

    tested = equations(found)
    beyond = sorted((e for e in tested if abs(e.test) > found.critical), key=lambda e: -abs(e.test))
    page.print(
        f"nodal tests: as measured, {len(beyond)} of {len(tested)} equations are open by more than "
        f"{found.critical:.2f} of their standard deviations"
    )
    if beyond:
        table = plain_table("", "equation", "unit", "open", "sd", "test", words=1)
        for one in beyond:
            numbers = (number(one.open), number(one.open_sd), f"{one.test:+.2f}")
            table.add_row(one.equation, one.unit, *numbers)
        page.print(table)


def _print_rejected(page: Console, found: Reconciled) -> None:
    names = found.system.cell_names(found.system.parameters)
    for turn, one in enumerate(found.rejected, start=1):
        others = ", ".join(names[cell] for cell in one.alike)
        alike = f"; an error in {others} would look the same" if others else ""
        page.print(f"rejected {turn}: {names[one.cell]}, test {one.test:+.1f}{alike}")
