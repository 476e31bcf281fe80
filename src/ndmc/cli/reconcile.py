"""The command that reconciles what is measured with the balances."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ndmc.cli.arguments import (
    ScenarioArgument,
    SeedOption,
    SetOption,
    VariantOption,
    csv_option,
)
from ndmc.errors import InputError
from ndmc.option import read_changes, read_count

if TYPE_CHECKING:
    from ndmc.reconciliation.moments import Draws, Moments
    from ndmc.typing import Floats


def reconcile(
    scenario: ScenarioArgument,
    variant: VariantOption = [],  # noqa: B006
    set_: SetOption = [],  # noqa: B006
    csv: Annotated[str, csv_option("Also write every cell to this file.")] = "",
    covariance: Annotated[
        str,
        csv_option("Also write the covariance of every two cells to this file.", "--covariance"),
    ] = "",
    picture: Annotated[
        str,
        typer.Option(
            "--picture", help="Also draw what moved, and how far, to this .svg, .png or .pdf file."
        ),
    ] = "",
    draws: Annotated[
        str, typer.Option("--draws", "-n", help="Also hold so many draws against the estimates.")
    ] = "0",
    method: Annotated[
        str, typer.Option(help="How draws agree: projected, active_set or weighted.")
    ] = "projected",
    seed: SeedOption = "1",
    out: Annotated[
        str, typer.Option(help="Also write the draws to SCENARIO-METHOD.zarr in this folder.")
    ] = "",
) -> None:
    """Reconcile what is measured with the balances: before, after, classes and tests.

    Example: ndmc reconcile china_nd_published --picture shifts.svg
    """
    from ndmc.cli.print_reconciled import print_moments, print_reconciled
    from ndmc.cli.tables import print_lines, write_csv
    from ndmc.reconciliation.equations import system_of
    from ndmc.reconciliation.estimates import adjustments, reconcile_system
    from ndmc.reconciliation.moments import Draws, draw_method
    from ndmc.scenario.load import load

    count, number = read_count(draws, "-n"), read_count(seed, "--seed")
    way = draw_method(method)
    if out and not count:
        raise InputError("--out writes draws; say how many with -n", "--out")
    if picture:
        from ndmc.views.charts import check_file

        check_file(Path(picture), "--picture")
    system = system_of(load(scenario, variant=variant, changes=read_changes(set_)))
    if picture:
        from ndmc.views.shifts import check_names

        check_names(Path(picture), system)
    found = reconcile_system(system)
    if count:
        drawn, stored = _drawn(Draws(found, way, number, count), out)
    print_reconciled(found)
    if count:
        print_moments(drawn, drawn.against(found), way)
    if out:
        print_lines(f"draws: {stored}")
    if csv:
        write_csv(Path(csv), (asdict(one) for one in adjustments(found)))
    if covariance:
        from ndmc.reconciliation.joint import pairs

        write_csv(Path(covariance), (asdict(one) for one in pairs(found)))
    if picture:
        from ndmc.views.shifts import shifts_of, write_picture

        write_picture(Path(picture), system.scenario.heading, shifts_of(found))


def _drawn(draws: Draws, out: str) -> tuple[Moments, Path | None]:
    """Make draws, store them if they are asked for, and return their moments and the store."""
    from ndmc.cli.tables import progress_bar
    from ndmc.reconciliation.moments import moments

    writer, done = None, 0
    if out:
        from ndmc.reconciliation.datasets import DrawWriter  # imports xarray

        writer = DrawWriter(draws, out)
    with progress_bar(draws.found.system.scenario.name) as bar:

        def each(cells: Floats, logs: Floats) -> None:
            nonlocal done
            done += len(logs)
            bar(done, draws.count)
            if writer is not None:
                writer.add(cells, logs)

        drawn = moments(draws, each)
    return drawn, writer.finish() if writer else None
