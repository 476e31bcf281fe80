"""Commands about a store: what it is, its percentiles, figures it is held against."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ndmc.cli.arguments import SeedOption, SelOption, StoreArgument, csv_option, read_selection
from ndmc.errors import RunError, warn
from ndmc.option import PERCENTS, read_count, read_names, read_percents


def info(
    store: StoreArgument,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Recompute the checksum of every file; exit 1 if damaged."),
    ] = False,
) -> None:
    """Show what a store is, how complete it is, how well its percentiles are known.

    Example: ndmc info china.zarr --verify
    """
    from ndmc.cli.print_store import print_damage, print_info
    from ndmc.store.information import info_of
    from ndmc.store.integrity import damage_of, unchecked
    from ndmc.store.opening import open_store

    opened = open_store(store)
    if not verify:
        print_info(info_of(opened))
        opened.check_files()
        return
    found = damage_of(opened)
    if older := unchecked(opened):
        warn(older)
    print_damage(opened, found)
    if found:
        raise RunError(
            f"{len(found)} {'file is' if len(found) == 1 else 'files are'} damaged or missing; "
            "run the same command again with --repair"
        )


def percentiles(
    store: StoreArgument,
    variable: Annotated[
        list[str],
        typer.Option("--variable", "-v", help="Output, or its total (in_use_total); repeatable."),
    ] = [],  # noqa: B006
    quantiles: Annotated[str, typer.Option("--quantiles", "-q", help="In percent.")] = PERCENTS,
    sel: SelOption = [],  # noqa: B006
    over: Annotated[str, typer.Option(help="Dims to sum over, draw by draw.")] = "",
    by_group: Annotated[str, typer.Option(help="Dims to sum by group.")] = "",
    csv: Annotated[str, csv_option("Write the table to this file instead.")] = "",
) -> None:
    """Show exact percentiles with their 95 % confidence limits.

    Of stored draws any, of any sum; of others those the run has computed.

    Example: ndmc percentiles china.zarr -v in_use --sel year=2021 --over product
    """
    from ndmc.cli.print_store import percentile_rows, print_percentiles
    from ndmc.cli.tables import write_csv
    from ndmc.store.opening import open_store
    from ndmc.store.summaries import summaries

    opened = open_store(store)
    levels = read_percents(quantiles, "-q")
    given = (read_selection(sel, opened.dims), read_names(over), read_names(by_group))
    names = variable or [name for name in opened.attrs["headline"] if name in opened.computed]
    found = summaries(opened, names or None, levels, *given)
    if csv:
        rows = [row for each in found.items() for row in percentile_rows(opened, *each)]
        write_csv(Path(csv), rows)
    else:
        print_percentiles(opened, found)


def validate(
    source: Annotated[str, typer.Argument(metavar="SCENARIO|STORE", help="A scenario or a store.")],
    draws: Annotated[
        str, typer.Option("--draws", "-n", help="Draws, for a scenario that is not reconciled.")
    ] = "10000",
    seed: SeedOption = "1",
    variant: Annotated[
        list[str],
        typer.Option(
            help="Variant to compare, or several: a,b; what the scenario says if not given, 'none' "
            "for none. Repeatable."
        ),
    ] = [],  # noqa: B006
    csv: Annotated[str, csv_option("Also write every figure to this file.")] = "",
) -> None:
    """Compare the model with published figures; exit 1 if a target is missed or unobservable.

    A scenario with a `reconcile` section is compared by its reconciled estimates.

    Example: ndmc validate china_nd
    """
    from ndmc.cli.print_validation import print_validation
    from ndmc.cli.tables import write_csv
    from ndmc.studies.figures import rows
    from ndmc.studies.validation import compare_source

    chosen = ("" if variant == ["none"] else variant) if variant else None
    found = compare_source(source, read_count(draws, "-n"), read_count(seed, "--seed"), chosen)
    print_validation(found)
    if csv:
        write_csv(Path(csv), rows(found.comparisons))
    targets = found.judged("target")
    if missed := sum(one.failed for one in targets):
        raise RunError(f"{missed} of {len(targets)} targets missed")
