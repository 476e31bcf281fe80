"""Reconciled values and their tests on a terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.console import Console

from ndmc.cli.tables import console, number, percent, plain_table, print_table

if TYPE_CHECKING:
    from ndmc.reconciliation.estimates import Reconciled
    from ndmc.reconciliation.moments import Agreement, Moments


def print_reconciled(found: Reconciled) -> None:
    """Print every cell before and after, the tests, and what was rejected."""
    from ndmc.reconciliation.estimates import adjustments

    page = console()
    columns = ("unit", "before", "sd", "after", "sd", "shift", "test")
    table = plain_table("reconciled", "quantity", "known", *columns, words=2)
    for one in adjustments(found):
        shown = [number(x) for x in (one.before, one.before_sd, one.after, one.after_sd)]
        tests = [f"{x:+z.2f}" if math.isfinite(x) else "-" for x in (one.shift, one.test)]
        style = "red" if one.known == "rejected" or found.beyond(one.test) else ""
        table.add_row(one.quantity, one.known, one.unit, *shown, *tests, style=style)
    print_table(page, table)
    verdict = "no sign of gross errors" if found.plausible else "gross errors remain"
    chi2, redundancy = found.adjusted.chi2, found.adjusted.redundancy
    page.print(
        f"global test: chi2 {number(chi2)} with {redundancy} degrees of freedom, "
        f"p {found.p:.3g}: {verdict} at {percent(found.level)}"
    )
    page.print(
        f"largest open equation {found.worst:.1e} of the largest term, after "
        f"{found.adjusted.steps} steps; a test beyond {found.critical:.2f} is marked"
    )
    _print_open(page, found)
    _print_rejected(page, found)


def print_moments(drawn: Moments, off: Agreement, method: str) -> None:
    """Print how far mean and covariance of draws are from those of least squares."""
    page = console()
    page.print(
        f"{drawn.draws:,} draws ({method}), worth {drawn.effective:,.0f} of equal weight, "
        f"{drawn.lost:,} without any; against least squares, over {off.cells} cells:"
    )
    page.print(
        f"  means differ by up to {number(off.mean)} sd (one standard error is "
        f"{number(off.standard_error)})"
    )
    page.print(f"  standard deviations by up to {number(100 * off.sd)} %")
    page.print(f"  correlations by up to {number(off.correlation)}")


def _print_open(page: Console, found: Reconciled) -> None:
    """Print the equations that are open further than measurements err, the furthest first."""
    from ndmc.reconciliation.nodal_tests import nodal_tests

    tested = nodal_tests(found)
    beyond = sorted((e for e in tested if found.beyond(e.test)), key=lambda e: -abs(e.test))
    page.print(
        f"nodal tests: as measured, {len(beyond)} of {len(tested)} equations are open by more than "
        f"{found.critical:.2f} of their standard deviations"
    )
    if beyond:
        table = plain_table("", "equation", "unit", "open", "sd", "test", words=1)
        for one in beyond:
            numbers = (number(one.open), number(one.open_sd), f"{one.test:+z.2f}")
            table.add_row(one.equation, one.unit, *numbers)
        print_table(page, table)


def _print_rejected(page: Console, found: Reconciled) -> None:
    names = found.system.cell_names(found.system.parameters)
    for turn, one in enumerate(found.rejected, start=1):
        others = ", ".join(names[cell] for cell in one.alike)
        alike = f"; an error in {others} would look the same" if others else ""
        page.print(f"rejected {turn}: {names[one.cell]}, test {one.test:+z.1f}{alike}")
