"""The command that compares two runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ndmc.cli.arguments import SelOption, csv_option, picked
from ndmc.option import read_names


def compare(
    first: Annotated[str, typer.Argument(help="The store of the reference.")],
    second: Annotated[str, typer.Argument(help="The store that is compared with it.")],
    outputs: Annotated[
        str, typer.Option("--outputs", "-v", help="Outputs to compare: names with commas.")
    ] = "",
    sel: SelOption = [],  # noqa: B006
    csv: Annotated[str, csv_option("Also write the table to this file.")] = "",
) -> None:
    """Compare two finished runs of the same seed and draws, draw by draw.

    Both are computed again from the scenarios in their stores; nothing is written.

    Example: ndmc compare base.zarr policy.zarr -v net_demand --sel year=2050
    """
    from ndmc.cli.print_ensemble import print_decisions
    from ndmc.cli.print_run import Terminal
    from ndmc.cli.tables import console, counted, progress_bar, write_csv
    from ndmc.studies.comparing import comparison
    from ndmc.studies.decisions import decisions, rows_of

    names = read_names(outputs) if outputs else None
    with progress_bar("compare") as bar, comparison(first, second, names, Terminal(bar)) as store:
        found = [*decisions(store, picked(sel, store.dims))]
        page, draws = console(), counted(store.spec.draws, "draw")
        print_decisions(page, store, found)
        page.print(f"{draws} of each, seed {store.spec.seed}; the reference is {first}")
        if csv:
            write_csv(Path(csv), rows_of(store, found))
