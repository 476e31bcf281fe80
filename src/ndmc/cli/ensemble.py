"""The command that compares policies in futures, draw by draw."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ndmc.cli.arguments import (
    Given,
    SelOption,
    csv_option,
    options_of,
    picked,
    read_given,
    read_selection,
    takes_options,
)
from ndmc.runs.ensemble_options import EnsembleOptions


@takes_options(options_of(EnsembleOptions))
def ensemble(
    given: Given,
    sel: SelOption = [],  # noqa: B006
    plan: Annotated[
        bool, typer.Option("--plan", help="Only say what it would take: disk, memory, time.")
    ] = False,
    csv: Annotated[str, csv_option("Also write the table of decisions to this file.")] = "",
) -> None:
    """Run policies in futures with the same draws, and say which does better, and how surely.

    Policies and futures are variants of the scenario; what the file says of an ensemble is run if
    none are named. The same command on the same store goes on where it stopped; with a larger -n it
    adds draws.

    Example: ndmc ensemble strategic_metals -n 1e5 --out metals.zarr
    """
    from ndmc.cli.print_ensemble import print_ensemble
    from ndmc.cli.print_run import Terminal, check_targets
    from ndmc.cli.tables import print_lines, progress_bar, write_csv
    from ndmc.model import run_dims
    from ndmc.runs.additions import grown
    from ndmc.runs.forecast import check_disk
    from ndmc.runs.run import plan_only
    from ndmc.studies.decisions import decisions, rows_of
    from ndmc.studies.ensembles import ensemble_store, prepared

    options = read_given(EnsembleOptions, given)
    store = ensemble_store(options)
    if store is None:
        scenario, options = prepared(options)
        read_selection(sel, run_dims(scenario))
        if plan:
            found = plan_only(options)
            print_lines(f"{found}")
            check_disk(found)
            return
        with progress_bar(scenario.name) as bar:
            store = grown(options, Terminal(bar))
    select = picked(sel, store.dims)
    decided = [*decisions(store, select, options.outputs)] if store.complete else []
    print_ensemble(store, decided)
    if csv:
        write_csv(Path(csv), rows_of(store, decided))
    if options.until:
        check_targets(store)
