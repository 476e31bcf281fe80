"""Commands that compute: a run, its last merge, the script of a batch job."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from ndmc.cli.arguments import (
    BitsOption,
    BlockOption,
    DrawsOption,
    DtypeOption,
    ExceedOption,
    KeepOption,
    MemoryOption,
    OutOption,
    PercentilesOption,
    QuantilesOption,
    ScenarioArgument,
    SeedOption,
    SetOption,
    StoreArgument,
    VariantOption,
    read_changes,
    read_count,
    read_limit,
    read_names,
    read_out,
    read_part,
    read_percent,
)
from ndmc.errors import InputError, RunError

if TYPE_CHECKING:
    from ndmc.engine.stopwatch import Stopwatch
    from ndmc.runs.executors import Executor

__all__ = ["finish", "job", "run"]


def run(
    scenario: ScenarioArgument,
    draws: DrawsOption = "",
    seed: SeedOption = "1",
    out: OutOption = "",
    keep: KeepOption = "",
    percentiles: PercentilesOption = "",
    quantiles: QuantilesOption = "2.5,50,97.5",
    exceed: ExceedOption = [],  # noqa: B006
    until: Annotated[
        list[str],
        typer.Option(help="Stop when known: 'NAME@2021 p97.5 within 0.5 %'. Repeatable."),
    ] = [],  # noqa: B006
    set_: SetOption = [],  # noqa: B006
    variant: VariantOption = "",
    workers: Annotated[
        int | None, typer.Option(help="Threads, or processes; one per core if not given.")
    ] = None,
    processes: Annotated[
        bool, typer.Option("--processes", help="Compute in processes of a local Dask cluster.")
    ] = False,
    scheduler: Annotated[
        str, typer.Option(help="Address of a Dask scheduler whose workers compute.")
    ] = "",
    part: Annotated[
        str, typer.Option(help="Compute part i of N: i/N. The parts share the store.")
    ] = "",
    block: BlockOption = "",
    dtype: DtypeOption = "float32",
    bits: BitsOption = 0,
    memory: MemoryOption = "2GiB",
    repair: Annotated[
        bool, typer.Option("--repair", help="Compute anew the blocks that are damaged.")
    ] = False,
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
    from ndmc.cli.print_run import plan_printer, print_run
    from ndmc.cli.tables import progress_bar
    from ndmc.engine.stopwatch import SILENT
    from ndmc.runs.forecast import parse_size
    from ndmc.runs.options import Options
    from ndmc.runs.run import execute
    from ndmc.scenario.load import load

    options = Options(
        keep=read_names(keep) if keep else None,
        percentiles=read_names(percentiles) if percentiles else None,
        quantiles=[read_percent(text) for text in quantiles.split(",")],
        exceed=[read_limit(text) for text in exceed],
        until=until,
        workers=workers,
        block=read_count(block, "--block") if block else None,
        dtype=dtype,
        bits=bits,
        memory=parse_size(memory),
        part=read_part(part) if part else None,
        repair=repair,
        watch=_watch(scheduler or processes) if profile else SILENT,
    )
    loaded = load(scenario, variant=variant, changes=read_changes(set_))
    number = read_count(draws or ("1e7" if until else "10000"), "-n")
    path = read_out(out, loaded)
    if plan:
        from ndmc.runs.forecast import check
        from ndmc.runs.run import plan_only

        found = plan_only(
            loaded, number, seed=read_count(seed, "--seed"), out=path, options=options
        )
        print(found)
        check(found, options.memory)
        return
    with _executor(scheduler, processes, workers) as executor, progress_bar(loaded.name) as bar:
        store = execute(
            loaded,
            number,
            seed=read_count(seed, "--seed"),
            out=path,
            options=options,
            executor=executor,
            progress=bar,
            planned=plan_printer(bar),
        )
    print_run(store)
    if profile:
        from ndmc.cli.profile import print_profile

        print_profile(options.watch)
    missed = [found for found in store.attrs.get("until", []) if until and not found["met"]]
    if missed:
        raise RunError(
            f"{len(missed)} of {len(until)} targets not reached after {number:,} draws; "
            "the same command with a larger -n goes on"
        )


def _watch(elsewhere: object) -> Stopwatch:
    from ndmc.engine.stopwatch import Stopwatch

    if elsewhere:
        message = "it times the threads of this process; leave out --scheduler and --processes"
        raise InputError(message, "--profile")
    return Stopwatch()


@contextlib.contextmanager
def _executor(scheduler: str, processes: bool, workers: int | None) -> Iterator[Executor | None]:
    """Yield what computes the blocks: a cluster if asked for, else None for threads."""
    if not (scheduler or processes):
        yield None
        return
    if scheduler and processes:
        raise InputError("there are workers at --scheduler already; leave one out", "--processes")
    from ndmc.runs.cluster import Cluster, connect

    with connect(scheduler, workers) as client:
        yield Cluster(client)


def finish(
    store: StoreArgument,
    workers: Annotated[int | None, typer.Option(help="Threads; one per core if not given.")] = None,
) -> None:
    """Merge the percentiles of a run whose parts are all done.

    Example: ndmc finish china.zarr
    """
    from ndmc.cli.print_run import print_run
    from ndmc.cli.tables import progress_bar
    from ndmc.runs.options import Options
    from ndmc.runs.run import finish as merge

    with progress_bar("finish") as progress:
        found = merge(store, Options(workers=workers), progress)
    print_run(found)


def job(
    system: Annotated[str, typer.Argument(metavar="slurm|pbs", help="The batch system.")],
    scenario: ScenarioArgument,
    parts: Annotated[int, typer.Option(help="Jobs of the array.")],
    draws: DrawsOption = "10000",
    seed: SeedOption = "1",
    out: OutOption = "",
    keep: KeepOption = "",
    percentiles: PercentilesOption = "",
    quantiles: QuantilesOption = "2.5,50,97.5",
    exceed: ExceedOption = [],  # noqa: B006
    set_: SetOption = [],  # noqa: B006
    variant: VariantOption = "",
    block: BlockOption = "",
    dtype: DtypeOption = "float32",
    bits: BitsOption = 0,
    time: Annotated[str, typer.Option(help="Time limit of a job, HH:MM:SS.")] = "04:00:00",
    cpus: Annotated[int, typer.Option(help="Cores of a job.")] = 4,
    memory: Annotated[str, typer.Option(help="Memory of a job.")] = "8G",
    grace: Annotated[int, typer.Option(help="Seconds before the time limit to stop in.")] = 60,
) -> None:
    """Print the script of an array job that computes a run in parts, without a scheduler of ndmc's.

    Example: ndmc job slurm china_nd --parts 16 -n 1e8 --keep none --out china.zarr > job.sh
    """
    from ndmc.runs.jobs import job_script
    from ndmc.runs.options import Options, check_asked
    from ndmc.scenario.load import load

    loaded = load(scenario, variant=variant, changes=read_changes(set_))
    path = read_out(out, loaded)
    options_of_run = Options(
        keep=read_names(keep) if keep else None,
        percentiles=read_names(percentiles) if percentiles else None,
        quantiles=[read_percent(text) for text in quantiles.split(",")],
        exceed=[read_limit(text) for text in exceed],
        block=read_count(block, "--block") if block else None,
        dtype=dtype,
        bits=bits,
        part=(parts, parts),
    )
    check_asked(
        loaded, read_count(draws, "-n"), seed=read_count(seed, "--seed"), options=options_of_run
    )
    given = {
        "--keep": keep,
        "--percentiles": percentiles,
        "--variant": variant,
        "--block": block,
        "--quantiles": quantiles if quantiles != "2.5,50,97.5" else "",
        "--dtype": dtype if dtype != "float32" else "",
        "--bits": str(bits or ""),
    }
    command = ["ndmc", "run", scenario, "-n", draws, "--seed", seed]
    command += ["--out", path]
    command += [text for option, value in given.items() if value for text in (option, value)]
    command += [text for change in set_ for text in ("--set", change)]
    command += [text for limit in exceed for text in ("--exceed", limit)]
    options = {"parts": parts, "time": time, "cpus": cpus, "memory": memory, "grace": grace}
    print(job_script(system, command, name=loaded.name, **options), end="")  # type: ignore[arg-type]
