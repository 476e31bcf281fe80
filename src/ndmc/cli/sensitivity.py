"""The command that says which inputs matter."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ndmc.cli.arguments import (
    Given,
    SelOption,
    csv_option,
    options_of,
    picked,
    read_given,
    takes_options,
)
from ndmc.errors import InputError
from ndmc.runs.study_options import StudyOptions

if TYPE_CHECKING:
    from ndmc.scenario.scenario import Scenario
    from ndmc.store.store import Store
    from ndmc.studies.explained import Explained, Picks


@takes_options(options_of(StudyOptions))
def sensitivity(
    given: Given,
    sel: SelOption = [],  # noqa: B006
    plan: Annotated[
        bool, typer.Option("--plan", help="Only say what the study would take: disk, memory, time.")
    ] = False,
    csv: Annotated[str, csv_option("Also write every share to this file.")] = "",
    picture: Annotated[
        str,
        typer.Option("--picture", help="Also draw the shares to this .svg, .png or .pdf file."),
    ] = "",
) -> None:
    """Say which inputs the uncertainty of every output comes from, and which to measure first.

    Shares of the variance by group of inputs (Sobol' indices): first is what goes away if a group
    is known, total what is left if all others are. The same command on the same store goes on where
    it stopped; with a larger -n it adds draws.

    Example: ndmc sensitivity china_nd -n 8192 --seed 1 --out china-shares.zarr --csv shares.csv
    """
    from ndmc.cli.print_run import check_targets
    from ndmc.model import run_dims
    from ndmc.studies.sensitivity import linear_asked, prepared, store_asked

    if picture:
        from ndmc.views.charts import check_file

        check_file(Path(picture), "--picture")
    options = read_given(StudyOptions, given)
    store = store_asked(options)
    written = {"--csv": csv, "--picture": picture}
    if linear_asked(options, store):
        why = "is of a study with groups; leave it out, or leave out --linear"
        _refuse({"--picture": picture, "--plan": plan}, why)
        _linear(options, store, sel, csv)
        return
    if store is not None:
        _refuse({"--plan": plan}, f"{store.path!r} is computed already; leave it out")
        _shown(store, options, picked(sel, store.dims), csv, picture)
        return
    scenario, options = prepared(options)
    select = picked(sel, run_dims(scenario))
    if options.part:
        _refuse(written, "a part has no shares; leave it out, and ask the finished store for it")
    if plan:
        _refuse(written, "there is nothing to write where nothing is computed; leave out --plan")
        _planned(options)
        return
    store = _made(scenario, options)
    _shown(store, options, select, csv, picture)
    if options.tolerance:
        check_targets(store)


def _refuse(given: Mapping[str, Any], why: str) -> None:
    """Refuse options that are given."""
    for flag, value in given.items():
        if value:
            raise InputError(why, flag)


def _planned(options: StudyOptions) -> None:
    """Print what a study would take."""
    from ndmc.cli.tables import print_lines
    from ndmc.runs.forecast import check_disk
    from ndmc.runs.run import plan_only

    found = plan_only(options)
    print_lines(f"{found}")
    check_disk(found)


def _made(scenario: Scenario, options: StudyOptions) -> Store:
    """Make a study, and return its store."""
    from ndmc.cli.print_run import Terminal
    from ndmc.cli.tables import progress_bar
    from ndmc.runs.run import execute

    with progress_bar(scenario.name) as bar:
        return execute(options, Terminal(bar))


def _linear(options: StudyOptions, store: Store | None, sel: list[str], csv: str) -> None:
    """Print the first shares of every single input, and write them if they are asked for."""
    from ndmc.cli.print_sensitivity import print_linear, share_rows
    from ndmc.cli.tables import write_csv
    from ndmc.runs.replay import scenario_of
    from ndmc.scenario.load import as_scenario
    from ndmc.studies.explained import LINEAR
    from ndmc.studies.sensitivity import fitted, headline_of

    if store is None:
        source, variant, changes = options.scenario, options.variant, options.changes
        scenario = as_scenario(source, variant=variant, changes=changes)
    else:
        scenario = scenario_of(store)
    select = picked(sel, scenario.dims)
    shares = fitted(options, store)
    print_linear(shares, headline_of(scenario.file.headline, shares, LINEAR), select)
    if csv:
        write_csv(Path(csv), share_rows(shares, select, LINEAR))


def _shown(store: Store, options: StudyOptions, select: Picks, csv: str, picture: str) -> None:
    """Print a study, if all its parts are done, and write what else is asked for."""
    from ndmc.cli.print_run import print_part
    from ndmc.cli.print_sensitivity import print_sensitivity, share_rows
    from ndmc.cli.tables import console, write_csv
    from ndmc.studies.sensitivity import closing, shares_of

    if not store.complete:
        print_part(console(), store)
        return
    shares = shares_of(store, options.outputs)
    told = closing(store, shares, select)
    print_sensitivity(store, told)
    if csv:
        write_csv(Path(csv), share_rows(shares, select))
    if picture:
        _draw(store, told[0], Path(picture))


def _draw(store: Store, told: Explained, path: Path) -> None:
    """Draw the cell that is told of first, in the colors that groups have in the whole study."""
    from ndmc.store.dataset import percentiles
    from ndmc.studies.explained import EVENT
    from ndmc.studies.sensitivity import shares_of
    from ndmc.views.shares import picture

    known = percentiles(store.path, told.name.removesuffix(EVENT))
    picture(shares_of(store), path, told.name, percentiles=known, sel=told.labels)
