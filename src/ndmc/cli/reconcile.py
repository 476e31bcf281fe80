"""The command that reconciles what is measured with the balances."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ndmc.cli.arguments import ScenarioArgument, SetOption, VariantOption, read_changes, read_count
from ndmc.errors import InputError

if TYPE_CHECKING:
    from ndmc.reconciliation.estimates import Reconciled
    from ndmc.reconciliation.moments import Moments, Way
    from ndmc.typing import Floats

__all__ = ["reconcile"]


def _method(text: str) -> Way:
    known: Way
    for known in ("projected", "active_set", "weighted"):
        if text == known:
            return known
    raise InputError(f"{text!r} is not projected, active_set or weighted", "--method")


def reconcile(
    scenario: ScenarioArgument,
    variant: VariantOption = "",
    set_: SetOption = [],  # noqa: B006
    csv: Annotated[str, typer.Option(help="Also write every cell to this file.")] = "",
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
    seed: Annotated[str, typer.Option(help="Same seed, same draws.")] = "1",
    out: Annotated[
        str, typer.Option(help="Also write the draws to SCENARIO-METHOD.zarr in this folder.")
    ] = "",
) -> None:
    """Reconcile what is measured with the balances: before, after, classes and tests.

    Example: ndmc reconcile china_nd_published --picture shifts.svg
    """
    from ndmc.cli.print_reconciled import print_moments, print_reconciled
    from ndmc.cli.tables import write_csv
    from ndmc.reconciliation.estimates import reconcile_scenario, rows
    from ndmc.scenario.load import load

    count, number = read_count(draws, "-n"), read_count(seed, "--seed")
    way = _method(method)
    if out and not count:
        raise InputError("--out writes draws; say how many with -n", "--out")
    if picture:
        from ndmc.views.charts import check_file

        check_file(Path(picture), "--picture")
    found = reconcile_scenario(load(scenario, variant=variant, changes=read_changes(set_)))
    if count:
        drawn, stored = _drawn(found, way, number, count, out)
    print_reconciled(found)
    if count:
        print_moments(found, drawn, way)
    if out:
        print(f"draws: {stored}")
    if csv:
        write_csv(Path(csv), ({**row.__dict__} for row in rows(found)))
    if picture:
        from ndmc.views.shifts import Shift, write_picture

        moved = [row for row in rows(found) if row.known in ("redundant", "rejected")]
        shifts = [
            Shift(row.quantity, row.shift, row.after_sd / row.before_sd, row.known == "rejected")
            for row in moved
        ]
        write_picture(Path(picture), found.system.scenario.file.title or scenario, shifts)


def _drawn(
    found: Reconciled, way: Way, seed: int, count: int, out: str
) -> tuple[Moments, Path | None]:
    """Make draws, store them if they are asked for, and return their moments and the store."""
    from ndmc.cli.tables import progress_bar
    from ndmc.reconciliation.moments import moments

    writer, done = None, 0
    if out:
        from ndmc.reconciliation.datasets import DrawWriter  # imports xarray

        writer = DrawWriter(found, way, seed, Path(out))
    with progress_bar(found.system.scenario.name) as bar:

        def each(cells: Floats, logs: Floats) -> None:
            nonlocal done
            done += len(logs)
            bar(done, count)
            if writer is not None:
                writer.add(cells, logs)

        drawn = moments(found, way, seed, count, each)
    return drawn, writer.finish() if writer else None
