"""The command line. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ndmc.errors import InputError, RunError

if TYPE_CHECKING:
    from ndmc.dims import Floats
    from ndmc.posterior import Moments, Way
    from ndmc.reconciliation import Reconciled
    from ndmc.scenario import Scenario
    from ndmc.scheduling import Executor
    from ndmc.steps import Plan
    from ndmc.stopwatch import Stopwatch

__all__ = ["app", "main"]

app = typer.Typer(
    help="Monte Carlo material flow analysis: labelled scenarios in, exact percentiles out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

#: The family of errors of typer's own; where it lies has moved between its versions.
_UsageError: Any = typer.BadParameter.__base__
_INTERRUPTED = 130  # what typer makes of Ctrl-C
_A_LITTLE = 0.05  # seconds, in which a callback ends
_STOPPED = "stopped; a run goes on where it stopped by the same command"

ScenarioArgument = Annotated[str, typer.Argument(help="A bundled name, a scenario folder or file.")]
StoreArgument = Annotated[str, typer.Argument(help="A store written by ndmc run.")]
VariantOption = Annotated[str, typer.Option("--variant", help="One of the scenario's variants.")]
SetOption = Annotated[
    list[str],
    typer.Option(
        "--set", help="Change a value: name=value, or a.key.of.the.file=value. Repeatable."
    ),
]


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(version("ndmc"))
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """Monte Carlo material flow analysis: labelled scenarios in, exact percentiles out."""


def _count(text: str, option: str) -> int:
    """Read a whole number, written as 100000, 100_000 or 1e5."""
    try:
        value = float(text.replace("_", ""))
        if value != int(value):
            raise ValueError
        return int(text.replace("_", "")) if text.replace("_", "").isdigit() else int(value)
    except (ValueError, OverflowError):
        message = f"{text!r} is not a whole number; write it like 100000 or 1e5"
        raise InputError(message, option) from None


def _changes(given: list[str]) -> dict[str, str]:
    changes = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise InputError(f"{text!r} is not of the form name=value", "--set")
        changes[name.strip()] = value.strip()
    return changes


@app.command()
def scenarios() -> None:
    """List the bundled scenarios.

    Example: ndmc scenarios
    """
    from ndmc.document import read_document
    from ndmc.report import print_scenarios
    from ndmc.scenario import bundled, find

    print_scenarios(
        (name, str(read_document(find(name)).data.get("title", ""))) for name in bundled()
    )


@app.command()
def check(
    scenario: ScenarioArgument,
    variant: VariantOption = "",
    set_: SetOption = [],  # noqa: B006
    graph: Annotated[
        str, typer.Option("--graph", help="Also draw the system to this .svg or .dot file.")
    ] = "",
    quality: Annotated[
        str,
        typer.Option("--quality", help="Also write the scores of data to this .svg or .csv file."),
    ] = "",
) -> None:
    """Validate a scenario: structure, units, balance, what cannot be solved and why.

    Example: ndmc check china_nd --graph china.svg
    """
    from ndmc.model import compile_plan
    from ndmc.scenario import load

    changes = _changes(set_)
    loaded = load(scenario, variant=variant, changes=changes)
    plan = compile_plan(loaded)
    for other in loaded.file.variants:
        compile_plan(load(scenario, variant=other, changes=changes))
    _print_check(loaded, plan)
    if graph:
        from ndmc.diagram import write_diagram
        from ndmc.overview import edges, nodes

        title = loaded.file.title or loaded.name
        write_diagram(Path(graph), title, nodes(loaded), edges(loaded, plan))
    if quality:
        from ndmc.heatmap import write_heat_map
        from ndmc.overview import ratings

        write_heat_map(Path(quality), loaded.file.title or loaded.name, ratings(loaded))


def _print_check(scenario: Scenario, plan: Plan) -> None:
    import numpy as np

    from ndmc.execution import check_central
    from ndmc.overview import loops, notes, processes, qualities, quantities, ratings
    from ndmc.report import print_check

    central = check_central(plan)
    for output in plan.outputs:
        values = central[output.name]
        never = np.isposinf(values) & (output.name in plan.events)
        if not (np.isfinite(values) | never).all():
            raise scenario.document.error(
                f"{output.name!r} is not finite with every parameter at its mean; look for a "
                "division by zero, such as by a flow that is 0 in the first year",
                f"{output.kind}s",
                output.name,
            )
    print_check(
        processes(scenario, plan),
        quantities(scenario, plan, central),
        loops(scenario, plan),
        notes(scenario, plan, central),
        list(qualities(ratings(scenario))),
    )
    uncertain = sum(p.uncertain for p in scenario.parameters.values())
    file = scenario.file
    counts = [
        f"{len(entries)} {word if len(entries) == 1 else words}"
        for entries, word, words in (
            (file.flows, "flow", "flows"),
            (file.processes, "process", "processes"),
            (file.stocks, "stock", "stocks"),
        )
    ]
    print(
        f"{scenario.name}: {len(scenario.parameters)} parameters ({uncertain} uncertain), "
        f"{', '.join(counts)}, {len(scenario.dims.years)} years: it can be run"
    )


DrawsOption = Annotated[str, typer.Option("--draws", "-n", help="Number of draws, such as 1e6.")]
SeedOption = Annotated[str, typer.Option(help="Same seed, same draws.")]
OutOption = Annotated[
    str, typer.Option(help="Store to write, path or URL; NAME.zarr if not given.")
]
KeepOption = Annotated[
    str, typer.Option(help="Outputs whose draws are stored: all, none, or names with commas.")
]
PercentilesOption = Annotated[
    str, typer.Option(help="Outputs to compute percentiles of: all, kept, or names with commas.")
]
QuantilesOption = Annotated[str, typer.Option("--quantiles", "-q", help="In percent.")]
ExceedOption = Annotated[
    list[str],
    typer.Option(help="Share of draws above a limit: 'NAME > 100 kt'. Repeatable."),
]
BlockOption = Annotated[
    str,
    typer.Option(help="Draws per block, a power of two from 256 on; by size if not given."),
]
DtypeOption = Annotated[str, typer.Option(help="Precision of stored draws: float32 or float64.")]
ComputeOption = Annotated[
    str, typer.Option(help="Precision of the computation: float64, or float32 for speed.")
]
BitsOption = Annotated[
    int, typer.Option(help="Bits of the mantissa that results are rounded to; 0 keeps all.")
]
MemoryOption = Annotated[
    str,
    typer.Option(help="For blocks and digests; where one pass would keep more, two are made."),
]


@app.command()
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
    compute: ComputeOption = "float64",
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
    from ndmc.execution import Options, execute
    from ndmc.limits import parse_size
    from ndmc.report import plan_printer, print_run, progress_bar
    from ndmc.scenario import load
    from ndmc.stopwatch import SILENT

    options = Options(
        keep=_names(keep) if keep else None,
        percentiles=_names(percentiles) if percentiles else None,
        quantiles=[_percent(text) for text in quantiles.split(",")],
        exceed=[_limit(text) for text in exceed],
        until=until,
        workers=workers,
        block=_count(block, "--block") if block else None,
        dtype=dtype,
        compute=compute,
        bits=bits,
        memory=parse_size(memory),
        part=_part(part) if part else None,
        repair=repair,
        watch=_watch(scheduler or processes) if profile else SILENT,
    )
    loaded = load(scenario, variant=variant, changes=_changes(set_))
    number = _count(draws or ("1e7" if until else "10000"), "-n")
    path = _out(out, loaded)
    if plan:
        from ndmc.execution import plan_only
        from ndmc.limits import check

        found = plan_only(loaded, number, seed=_count(seed, "--seed"), out=path, options=options)
        print(found)
        check(found, options.memory)
        return
    with _executor(scheduler, processes, workers) as executor, progress_bar(loaded.name) as bar:
        store = execute(
            loaded,
            number,
            seed=_count(seed, "--seed"),
            out=path,
            options=options,
            executor=executor,
            progress=bar,
            planned=plan_printer(bar),
        )
    print_run(store)
    if profile:
        from ndmc.profile import print_profile

        print_profile(store, options.watch)
    missed = [found for found in store.attrs.get("until", []) if until and not found["met"]]
    if missed:
        raise RunError(
            f"{len(missed)} of {len(until)} targets not reached after {number:,} draws; "
            "the same command with a larger -n goes on"
        )


def _watch(elsewhere: object) -> Stopwatch:
    from ndmc.stopwatch import Stopwatch

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
    from ndmc.scheduling import Cluster, connect

    with connect(scheduler, workers) as client:
        yield Cluster(client)


def _out(text: str, scenario: Scenario) -> str:
    if text.startswith("memory://"):
        raise InputError(
            f"{text} would end with this command; use a path or a bucket, memory:// from Python",
            "--out",
        )
    return text or f"{scenario.name}.zarr"


def _part(text: str) -> tuple[int, int]:
    try:
        part, parts = text.split("/")
        return int(part), int(parts)
    except ValueError:
        raise InputError(f"{text!r} is not a part; write it like 3/16", "--part") from None


def _limit(text: str) -> tuple[str, str]:
    name, above, limit = text.partition(">")
    if not above or not name.strip() or not limit.strip():
        raise InputError(f"{text!r} is not of the form 'name > limit'", "--exceed")
    return name.strip(), limit.strip()


@app.command()
def finish(
    store: StoreArgument,
    workers: Annotated[int | None, typer.Option(help="Threads; one per core if not given.")] = None,
) -> None:
    """Merge the percentiles of a run whose parts are all done.

    Example: ndmc finish china.zarr
    """
    from ndmc.execution import Options
    from ndmc.execution import finish as merge
    from ndmc.report import print_run, progress_bar

    with progress_bar("finish") as progress:
        found = merge(store, Options(workers=workers), progress)
    print_run(found)


@app.command()
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
    compute: ComputeOption = "float64",
    bits: BitsOption = 0,
    time: Annotated[str, typer.Option(help="Time limit of a job, HH:MM:SS.")] = "04:00:00",
    cpus: Annotated[int, typer.Option(help="Cores of a job.")] = 4,
    memory: Annotated[str, typer.Option(help="Memory of a job.")] = "8G",
    grace: Annotated[int, typer.Option(help="Seconds before the time limit to stop in.")] = 60,
) -> None:
    """Print the script of an array job that computes a run in parts, without a scheduler of ndmc's.

    Example: ndmc job slurm china_nd --parts 16 -n 1e8 --keep none --out china.zarr > job.sh
    """
    from ndmc.execution import Options, check_asked
    from ndmc.jobs import job_script
    from ndmc.scenario import load

    loaded = load(scenario, variant=variant, changes=_changes(set_))
    path = _out(out, loaded)
    options_of_run = Options(
        keep=_names(keep) if keep else None,
        percentiles=_names(percentiles) if percentiles else None,
        quantiles=[_percent(text) for text in quantiles.split(",")],
        exceed=[_limit(text) for text in exceed],
        block=_count(block, "--block") if block else None,
        dtype=dtype,
        compute=compute,
        bits=bits,
        part=(parts, parts),
    )
    check_asked(loaded, _count(draws, "-n"), seed=_count(seed, "--seed"), options=options_of_run)
    given = {
        "--keep": keep,
        "--percentiles": percentiles,
        "--variant": variant,
        "--block": block,
        "--quantiles": quantiles if quantiles != "2.5,50,97.5" else "",
        "--dtype": dtype if dtype != "float32" else "",
        "--compute": compute if compute != "float64" else "",
        "--bits": str(bits or ""),
    }
    command = ["ndmc", "run", scenario, "-n", draws, "--seed", seed]
    command += ["--out", path]
    command += [text for option, value in given.items() if value for text in (option, value)]
    command += [text for change in set_ for text in ("--set", change)]
    command += [text for limit in exceed for text in ("--exceed", limit)]
    options = {"parts": parts, "time": time, "cpus": cpus, "memory": memory, "grace": grace}
    print(job_script(system, command, name=loaded.name, **options), end="")  # type: ignore[arg-type]


@app.command()
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
    from ndmc.report import print_damage, print_info
    from ndmc.store import open_store

    opened = open_store(store)
    if verify:
        from ndmc.integrity import verify as damaged

        found = damaged(opened)
        print_damage(opened, found)
        if found:
            raise RunError(
                f"{len(found)} {'file is' if len(found) == 1 else 'files are'} damaged or missing; "
                "run the same command again with --repair"
            )
        return
    print_info(opened)


@app.command()
def percentiles(
    store: StoreArgument,
    variable: Annotated[
        list[str], typer.Option("--variable", "-v", help="Output; repeatable.")
    ] = [],  # noqa: B006
    quantiles: Annotated[
        str, typer.Option("--quantiles", "-q", help="In percent.")
    ] = "2.5,50,97.5",
    sel: Annotated[list[str], typer.Option(help="dim=label[,label]; a group is a label.")] = [],  # noqa: B006
    over: Annotated[str, typer.Option(help="Dims to sum over, draw by draw.")] = "",
    by_group: Annotated[str, typer.Option(help="Dims to sum by group.")] = "",
    csv: Annotated[str, typer.Option(help="Write the table to this file instead.")] = "",
) -> None:
    """Show exact percentiles with their 95 % confidence limits.

    Of stored draws any, of any sum; of others those the run has computed.

    Example: ndmc percentiles china.zarr -v in_use --sel year=2021 --over product
    """
    from ndmc.quantiles import summaries
    from ndmc.report import percentile_rows, print_percentiles, write_csv
    from ndmc.store import open_store

    opened = open_store(store)
    levels = [_percent(text) for text in quantiles.split(",")]
    given = (_labels(sel), _names(over), _names(by_group))
    names = variable or [name for name in opened.attrs["headline"] if name in opened.computed]
    found = summaries(opened, names or None, levels, *given)
    if csv:
        rows = [row for one in found.values() for row in percentile_rows(opened, one)]
        write_csv(Path(csv), rows)
    else:
        print_percentiles(opened, found)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _labels(given: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for text in given:
        dim, equals, labels = text.partition("=")
        if not equals or not labels:
            raise InputError(f"{text!r} is not of the form dim=label", "--sel")
        if "=" in labels:
            raise InputError(f"{text!r} names two dims; give --sel once for each", "--sel")
        found.setdefault(dim.strip(), []).extend(label.strip() for label in labels.split(","))
    return found


def _percent(text: str) -> float:
    from decimal import Decimal, InvalidOperation

    try:
        value = Decimal(text.strip())
    except InvalidOperation:
        raise InputError(
            f"{text!r} is not a number; write percents such as 2.5,50,97.5", "-q"
        ) from None
    if value.is_nan() or not 0 <= value <= 100:
        raise InputError(f"{text} % is not between 0 and 100 %", "-q")
    return float(value / 100)  # 99.9 / 100 would not be 0.999


@app.command()
def validate(
    source: Annotated[str, typer.Argument(metavar="SCENARIO|STORE", help="A scenario or a store.")],
    draws: Annotated[
        str, typer.Option("--draws", "-n", help="Draws, for a scenario that is not reconciled.")
    ] = "10000",
    seed: Annotated[str, typer.Option(help="Same seed, same draws.")] = "1",
    variant: Annotated[
        str | None,
        typer.Option(
            help="Variant to compare; what the scenario says if not given, 'none' for none."
        ),
    ] = None,
    csv: Annotated[str, typer.Option(help="Also write every figure to this file.")] = "",
) -> None:
    """Compare the model with published figures; exit 1 if a target is missed or unobservable.

    A scenario with a `reconcile` section is compared by its reconciled estimates.

    Example: ndmc validate china_nd
    """
    from ndmc.report import print_validation, write_csv
    from ndmc.validation import compare_source

    chosen = "" if variant == "none" else variant
    found = compare_source(source, _count(draws, "-n"), _count(seed, "--seed"), chosen)
    print_validation(found)
    if csv:
        write_csv(Path(csv), (one.row() for one in found.comparisons))
    verdicts = [one.verdict for one in found.comparisons if one.status == "target"]
    missed = sum(verdict in ("missed", "unobservable") for verdict in verdicts)
    if missed:
        raise RunError(f"{missed} of {len(verdicts)} targets missed")


def _method(text: str) -> Way:
    known: Way
    for known in ("projected", "active_set", "weighted"):
        if text == known:
            return known
    raise InputError(f"{text!r} is not projected, active_set or weighted", "--method")


@app.command()
def reconcile(
    scenario: ScenarioArgument,
    variant: VariantOption = "",
    set_: SetOption = [],  # noqa: B006
    csv: Annotated[str, typer.Option(help="Also write every cell to this file.")] = "",
    picture: Annotated[
        str, typer.Option("--picture", help="Also draw what moved, and how far, to this .svg file.")
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
    from ndmc.reconciliation import reconcile_scenario, rows
    from ndmc.report import print_moments, print_reconciled, write_csv
    from ndmc.scenario import load

    count, number = _count(draws, "-n"), _count(seed, "--seed")
    way = _method(method)
    if out and not count:
        raise InputError("--out writes draws; say how many with -n", "--out")
    found = reconcile_scenario(load(scenario, variant=variant, changes=_changes(set_)))
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
        from ndmc.shifts import Shift, write_picture

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
    from ndmc.posterior import moments
    from ndmc.report import progress_bar

    writer, done = None, 0
    if out:
        from ndmc.drawn_dataset import DrawWriter  # imports xarray

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


@app.command()
def new(folder: Annotated[Path, typer.Argument(help="Folder to create.")]) -> None:
    """Create a commented scenario to start from.

    Example: ndmc new my_study
    """
    from ndmc.scenario import create_from_starter

    path = create_from_starter(folder)
    print(
        f"{path} is a scenario that runs; edit it, then:\n"
        f"  ndmc check {folder}\n  ndmc run {folder}"
    )


@app.command()
def schema() -> None:
    """Print the JSON Schema of scenario.yaml, for editors that complete and check it.

    Example: ndmc schema > scenario.schema.json
    """
    import json

    from ndmc.schema import json_schema

    print(json.dumps(json_schema(), indent=2))


def main() -> None:
    """Run the command line: exit 0 done, 1 failed, 2 wrong input."""
    try:
        sys.unraisablehook = _interrupt_again
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as in the background of a shell
                signal.signal(number, _interrupt)
        code = app(prog_name="ndmc", standalone_mode=False)
    except _UsageError as wrong:
        _quit_usage(wrong)
    except InputError as wrong:
        _quit(str(wrong), 2)
    except RunError as failed:
        _quit(str(failed), 1)
    except KeyboardInterrupt:
        _quit(_STOPPED, 1)
    except MemoryError:
        _quit("out of memory; lower --block or --workers", 1)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except OSError as failed:
        _quit(f"{failed.strerror or failed}{f': {failed.filename}' if failed.filename else ''}", 1)
    else:
        if code == _INTERRUPTED:
            _quit(_STOPPED, 1)
        _ignore_signals()
        sys.exit(code)


class _Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM.

    Python ends by the signal, whatever is caught, where a plain one is raised while text is
    executed, as dataclasses do when they are imported.
    """


def _interrupt(number: int, frame: object) -> None:
    """End as Ctrl-C does; once by SIGTERM, which batch systems send to a job and to all in it."""
    if number == signal.SIGTERM:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _Interrupted


def _interrupt_again(lost: Any) -> None:
    """Interrupt a little later where Python could not: in a callback of C, or in __del__."""
    if not isinstance(lost.exc_value, _Interrupted):
        sys.__unraisablehook__(lost)
    else:
        signal.signal(signal.SIGALRM, _interrupt)
        signal.setitimer(signal.ITIMER_REAL, _A_LITTLE)


def _ignore_signals() -> None:
    """Let nothing change how the command ends, now that it does."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)


def _quit_usage(wrong: Any) -> None:
    """Say what is wrong with a command in one line; where nothing is given, show the help."""
    text = wrong.format_message()
    if "\n" in text:
        print(text, file=sys.stderr)
        sys.exit(2)
    path = wrong.ctx.command_path if wrong.ctx else "ndmc"
    _quit(f"{text[:1].lower()}{text[1:].rstrip('.')}; see {path} --help", 2)


def _quit(message: str, code: int) -> None:
    _ignore_signals()
    print(f"error: {message}", file=sys.stderr)
    sys.exit(code)
