"""The command that writes tables for others."""

from __future__ import annotations

from typing import Annotated

import typer

from ndmc.cli.arguments import SelOption, StoreArgument, read_selection
from ndmc.option import PERCENTS, read_names, read_percents


def export(
    store: StoreArgument,
    to: Annotated[
        str, typer.Option("--to", help="The file: NAME.csv long, NAMEiamc.csv as IAMC, NAME.nc.")
    ],
    format: Annotated[  # noqa: A002 - as the option is called
        str, typer.Option("--format", help="long, iamc or netcdf, whatever the file is called.")
    ] = "",
    outputs: Annotated[
        str, typer.Option("--outputs", "-v", help="Outputs: names with commas, all if not given.")
    ] = "",
    sel: SelOption = [],  # noqa: B006
    quantiles: Annotated[str, typer.Option("--quantiles", "-q", help="In percent.")] = PERCENTS,
    draws: Annotated[
        bool, typer.Option("--draws", help="Every draw that is stored, in place of percentiles.")
    ] = False,
    mapping: Annotated[
        str, typer.Option("--mapping", help="A YAML file: IAMC's model, region and variables.")
    ] = "",
) -> None:
    """Write what a store knows as a table for others: long, in IAMC's form, or NetCDF.

    Example: ndmc export metals.zarr --to iamc.csv -v net_demand
    """
    from ndmc.store.opening import open_store
    from ndmc.studies.exports import export as write

    write(
        store,
        to,
        format=format,
        outputs=read_names(outputs) if outputs else None,
        sel=read_selection(sel, open_store(store).dims),
        quantiles=read_percents(quantiles, "-q"),
        draws=draws,
        mapping=mapping or None,
    )
