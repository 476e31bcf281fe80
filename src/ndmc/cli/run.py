"""Commands that compute: a run, its last merge, the script of a batch job."""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from ndmc.cli.arguments import (
    Given,
    SelOption,
    StoreArgument,
    command_of,
    given_of,
    options_of,
    read_given,
    read_options,
    read_selection,
    takes_options,
)
from ndmc.errors import InputError
from ndmc.option import read_count
from ndmc.runs.ensemble_options import EnsembleOptions
from ndmc.runs.options import Options
from ndmc.runs.study_options import StudyOptions
from ndmc.store.keys import ENSEMBLE

if TYPE_CHECKING:
    pass


#: The options of all that computes, of which an ensemble has some of its own.
_EVERY = options_of() | options_of(StudyOptions) | options_of(EnsembleOptions)

_OF_ENSEMBLES = ("policies", "futures", "levers", "reference", "ensemble")


@takes_options(options_of())
def run(
    given: Given,
    sel: SelOption = [],  # noqa: B006
    plan: Annotated[
        bool, typer.Option("--plan", help="Only say what the run would take: disk, memory, time.")
    ] = False,
    profile: Annotated[
        bool, typer.Option("--profile", help="Say at the end where the time went.")
    ] = False,
) -> None:
    """Run a scenario: percentiles of every output, and the draws of those kept.

    The same command on the same store goes on where it stopped; with a larger -n it adds draws.

    Example: ndmc run china_nd -n 1e5 --seed 1 --out china.zarr
    """
    from ndmc.cli.print_run import Terminal, check_targets, print_run
    from ndmc.cli.tables import print_lines, progress_bar
    from ndmc.engine.stopwatch import SILENT, Stopwatch
    from ndmc.runs.forecast import check_disk
    from ndmc.runs.run import execute, plan_only

    scenario, options = read_options(_with_draws(given))
    selection = read_selection(sel, scenario.dims)
    if profile and (options.scheduler or options.processes):
        message = "it times the threads of this process; leave out --scheduler and --processes"
        raise InputError(message, "--profile")
    if plan:
        found = plan_only(options)
        print_lines(f"{found}")
        check_disk(found)
        return
    stopwatch = Stopwatch()
    with progress_bar(scenario.name) as bar:
        store = execute(options, Terminal(bar, stopwatch if profile else SILENT))
    print_run(store, selection)
    if profile:
        from ndmc.cli.profile import print_profile

        print_profile(stopwatch)
    if options.until:
        check_targets(store)


def finish(
    store: StoreArgument,
    workers: Annotated[str, typer.Option(help="Threads; one per core if not given.")] = "",
) -> None:
    """Merge the percentiles of a run whose parts are all done.

    Example: ndmc finish china.zarr
    """
    from ndmc.cli.print_run import Terminal, print_run
    from ndmc.cli.tables import progress_bar
    from ndmc.runs.run import finish as merge

    threads = read_count(workers, "--workers") if workers else None
    with progress_bar("finish") as bar:
        found = merge(store, threads, Terminal(bar))
    if found.spec.groups is None and ENSEMBLE in found.attrs:
        from ndmc.cli.print_ensemble import print_ensemble
        from ndmc.studies.decisions import decisions

        print_ensemble(found, [*decisions(found)])
        return
    if found.spec.groups is None:
        print_run(found)
        return
    from ndmc.cli.print_sensitivity import print_sensitivity
    from ndmc.studies.sensitivity import closing, shares_of

    print_sensitivity(found, closing(found, shares_of(found)))


@takes_options(_EVERY | options_of(), parts=True)
def job(
    system: Annotated[str, typer.Argument(metavar="slurm|pbs", help="The batch system.")],
    parts: Annotated[str, typer.Option(help="Jobs of the array.")],
    given: Given,
    sensitivity: Annotated[
        bool, typer.Option("--sensitivity", help="A sensitivity study, which may have groups.")
    ] = False,
    time: Annotated[str, typer.Option(help="Time limit of a job, HH:MM:SS.")] = "04:00:00",
    cpus: Annotated[str, typer.Option(help="Cores of a job.")] = "4",
    memory: Annotated[str, typer.Option(help="Memory of a job.")] = "8G",
    grace: Annotated[str, typer.Option(help="Seconds before the time limit to stop in.")] = "60",
) -> None:
    """Print the script of an array job that computes a run in parts, without a scheduler of ndmc's.

    Example: ndmc job slurm china_nd --parts 16 -n 1e8 --keep none --out china.zarr > job.sh
    """
    from ndmc.runs.asked import read_asked
    from ndmc.runs.jobs import job_script

    chosen = any(given[name] != _EVERY[name].default and given[name] for name in _OF_ENSEMBLES)
    kinds = (_run_in_parts, _ensemble_in_parts, _study_in_parts)
    name, options, command = kinds[2 if sensitivity else chosen](given)
    count = read_count(parts, "--parts")
    last = max(count, 1)
    read_asked(replace(options, part=(last, last)))  # refuses what the parts would
    script = job_script(
        system,
        command,
        name=name,
        parts=count,
        time=time,
        cpus=read_count(cpus, "--cpus"),
        memory=memory,
        grace=read_count(grace, "--grace"),
    )
    _write_as_given()
    print(script, end="")


def _run_in_parts(given: Given) -> tuple[str, Options, list[str]]:
    """Return the name of a scenario, what is asked of it, and the command that asks for it."""
    remedy = "add --sensitivity: it is an option of a sensitivity study"
    given = _with_draws(given_of(Options, given, remedy))
    scenario, options = read_options(given)
    return scenario.name, options, command_of({**given, "out": options.out})


def _study_in_parts(given: Given) -> tuple[str, Options, list[str]]:
    """Return the same of a sensitivity study."""
    from ndmc.studies.sensitivity import prepared

    remedy = "leave it out: a sensitivity study stores no draws, and has the usual percentiles"
    given = given_of(StudyOptions, given, remedy)
    scenario, options = prepared(read_given(StudyOptions, given))
    command = command_of({**given, "out": options.out}, "sensitivity", StudyOptions)
    return scenario.name, options, command


def _ensemble_in_parts(given: Given) -> tuple[str, Options, list[str]]:
    """Return the same of an ensemble."""
    from ndmc.studies.ensembles import prepared

    remedy = "leave it out: it is no option of an ensemble"
    given = given_of(EnsembleOptions, given, remedy)
    scenario, options = prepared(read_given(EnsembleOptions, given))
    command = command_of({**given, "out": options.out}, "ensemble", EnsembleOptions)
    return scenario.name, options, command


def _with_draws(given: Given) -> Given:
    """Return what is given, with as many draws as a run has if nothing is said of them."""
    return {**given, "draws": given["draws"] or ("1e7" if given.get("until") else "10000")}


def _write_as_given() -> None:
    """Let a script have the bytes of the words it was asked for with, whatever a terminal shows."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        errors = sys.getfilesystemencodeerrors()
        sys.stdout.reconfigure(encoding=sys.getfilesystemencoding(), errors=errors)
