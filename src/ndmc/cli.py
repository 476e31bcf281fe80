"""The command line. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ndmc.errors import InputError, RunError

if TYPE_CHECKING:
    from ndmc.scenario import Scenario
    from ndmc.steps import Plan

__all__ = ["app", "main"]

app = typer.Typer(
    help="Monte Carlo material flow analysis: labelled scenarios in, exact percentiles out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

_INTERRUPTED = 130  # what typer makes of Ctrl-C

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
) -> None:
    """Validate a scenario: structure, units, balance, what cannot be solved and why.

    Example: ndmc check china_nd --graph china.svg
    """
    from ndmc.plan import compile_plan
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


def _print_check(scenario: Scenario, plan: Plan) -> None:
    import numpy as np

    from ndmc.execution import check_central
    from ndmc.overview import loops, notes, processes, quantities
    from ndmc.report import print_check

    central = check_central(plan)
    for output in plan.outputs:
        if not np.isfinite(central[output.name]).all():
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


@app.command()
def run(
    scenario: ScenarioArgument,
    draws: Annotated[
        str, typer.Option("--draws", "-n", help="Number of draws, such as 1e6.")
    ] = "10000",
    seed: Annotated[str, typer.Option(help="Same seed, same draws.")] = "1",
    out: Annotated[str, typer.Option(help="Store to write; NAME.zarr if not given.")] = "",
    keep: Annotated[str, typer.Option(help="Outputs to store: all, or names with commas.")] = "",
    set_: SetOption = [],  # noqa: B006
    variant: VariantOption = "",
    workers: Annotated[int | None, typer.Option(help="Threads; one per core if not given.")] = None,
    block: Annotated[str, typer.Option(help="Draws per block; by size if not given.")] = "",
    dtype: Annotated[str, typer.Option(help="Stored precision: float32 or float64.")] = "float32",
) -> None:
    """Run a scenario and store its draws and percentiles.

    The same command on the same store goes on where it stopped.

    Example: ndmc run china_nd -n 1e5 --seed 1 --out china.zarr
    """
    from ndmc.execution import execute
    from ndmc.report import print_run, progress_bar
    from ndmc.scenario import load

    loaded = load(scenario, variant=variant, changes=_changes(set_))
    path = Path(out or f"{loaded.name}.zarr")
    with progress_bar(loaded.name) as progress:
        store = execute(
            loaded,
            _count(draws, "-n"),
            seed=_count(seed, "--seed"),
            out=path,
            keep=[name.strip() for name in keep.split(",")] if keep else None,
            workers=workers,
            block=_count(block, "--block") if block else None,
            dtype=dtype,
            progress=progress,
        )
    print_run(store)


@app.command()
def info(store: StoreArgument) -> None:
    """Show what a store is, how complete it is, and where it comes from.

    Example: ndmc info china.zarr
    """
    from ndmc.report import print_info
    from ndmc.store import open_store

    print_info(open_store(store))


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
    """Show exact percentiles of stored draws, with their 95 % confidence limits.

    Example: ndmc percentiles china.zarr -v in_use --sel year=2021 --over product
    """
    from ndmc.quantiles import summarise, view
    from ndmc.report import percentile_rows, print_percentiles, write_csv
    from ndmc.store import open_store

    opened = open_store(store)
    levels = [_percent(text) for text in quantiles.split(",")]
    picked = _labels(sel)
    views = {
        name: view(opened, name, picked, _names(over), _names(by_group))
        for name in variable or _headline(opened.attrs["headline"], list(opened.outputs))
    }
    summaries = {name: summarise(opened, chosen, levels) for name, chosen in views.items()}
    if csv:
        rows = [row for summary in summaries.values() for row in percentile_rows(opened, summary)]
        write_csv(Path(csv), rows)
    else:
        print_percentiles(opened, summaries)


def _headline(wanted: list[str], kept: list[str]) -> list[str]:
    return [name for name in wanted if name in kept] or kept


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
    try:
        value = float(text)
    except ValueError:
        raise InputError(
            f"{text!r} is not a number; write percents such as 2.5,50,97.5", "-q"
        ) from None
    if not 0 <= value <= 100:
        raise InputError(f"{text} % is not between 0 and 100 %", "-q")
    return value / 100


@app.command()
def validate(
    source: Annotated[str, typer.Argument(metavar="SCENARIO|STORE", help="A scenario or a store.")],
    draws: Annotated[str, typer.Option("--draws", "-n", help="Draws, for a scenario.")] = "10000",
    seed: Annotated[str, typer.Option(help="Same seed, same draws.")] = "1",
    variant: Annotated[
        str | None,
        typer.Option(
            help="Variant to compare; what the scenario says if not given, 'none' for none."
        ),
    ] = None,
    csv: Annotated[str, typer.Option(help="Also write every figure to this file.")] = "",
) -> None:
    """Compare the model with published figures; exit 1 if a target is missed.

    Example: ndmc validate china_nd
    """
    from ndmc.report import print_comparisons, write_csv
    from ndmc.scenario import load
    from ndmc.store import open_store
    from ndmc.validation import compare_scenario, compare_store, is_store

    if is_store(source):
        opened = open_store(source)
        found, used = compare_store(opened), opened.attrs["variant"]
    else:
        chosen = "" if variant == "none" else variant
        found = compare_scenario(source, _count(draws, "-n"), _count(seed, "--seed"), chosen)
        published = load(source).file.published
        used = (published.variant or "" if published else "") if chosen is None else chosen
    print_comparisons(found, used)
    if csv:
        write_csv(Path(csv), ({**c.__dict__, "deviation": c.deviation} for c in found))
    missed = [c for c in found if c.status == "target" and c.verdict == "missed"]
    if missed:
        count = sum(c.status == "target" for c in found)
        raise RunError(f"{len(missed)} of {count} targets missed")


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
        app()
    except InputError as wrong:
        _quit(str(wrong), 2)
    except RunError as failed:
        _quit(str(failed), 1)
    except SystemExit as ended:
        if ended.code == _INTERRUPTED:
            _quit("stopped; the same command goes on where it stopped", 1)
        raise
    except MemoryError:
        _quit("out of memory; lower --block or --workers", 1)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except OSError as failed:
        _quit(f"{failed.strerror or failed}{f': {failed.filename}' if failed.filename else ''}", 1)


def _quit(message: str, code: int) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(code)
