"""Commands about a scenario: list, check, start one, its schema."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ndmc.cli.arguments import ScenarioArgument, SetOption, VariantOption
from ndmc.option import read_changes

if TYPE_CHECKING:
    from ndmc.plan.steps import Plan
    from ndmc.scenario.scenario import Scenario

__all__ = ["check", "new", "scenarios", "schema"]


def scenarios() -> None:
    """List the bundled scenarios.

    Example: ndmc scenarios
    """
    from ndmc.cli.print_check import print_scenarios
    from ndmc.scenario.document import read_document
    from ndmc.scenario.load import bundled, find

    print_scenarios(
        (name, str(read_document(find(name)).data.get("title", ""))) for name in bundled()
    )


def check(
    scenario: ScenarioArgument,
    variant: VariantOption = "",
    set_: SetOption = [],  # noqa: B006
    graph: Annotated[
        str, typer.Option("--graph", help="Also draw the system to this .svg file.")
    ] = "",
    quality: Annotated[
        str,
        typer.Option(
            "--quality", help="Also write the scores of data to this .svg, .png, .pdf or .csv file."
        ),
    ] = "",
) -> None:
    """Validate a scenario: structure, units, balance, what cannot be solved and why.

    Example: ndmc check china_nd --graph china.svg
    """
    from ndmc.model import compile_plan
    from ndmc.scenario.load import load

    if quality:
        from ndmc.views.charts import check_file

        check_file(Path(quality), "--quality", ".csv")
    changes = read_changes(set_)
    loaded = load(scenario, variant=variant, changes=changes)
    plan = compile_plan(loaded)
    for other in loaded.file.variants:
        compile_plan(load(scenario, variant=other, changes=changes))
    _print_check(loaded, plan)
    if graph:
        from ndmc.views.diagram import write_diagram
        from ndmc.views.overview import edges, nodes

        title = loaded.file.title or loaded.name
        write_diagram(Path(graph), title, nodes(loaded), edges(loaded, plan))
    if quality:
        from ndmc.views.overview import ratings
        from ndmc.views.quality_map import write_quality

        write_quality(Path(quality), loaded.file.title or loaded.name, ratings(loaded))


def _print_check(scenario: Scenario, plan: Plan) -> None:
    import numpy as np

    from ndmc.cli.print_check import print_check
    from ndmc.engine.refusals import check_central
    from ndmc.views.overview import loops, notes, processes, qualities, quantities, ratings

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


def new(folder: Annotated[Path, typer.Argument(help="Folder to create.")]) -> None:
    """Create a commented scenario to start from.

    Example: ndmc new my_study
    """
    from ndmc.scenario.starter import create_from_starter

    path = create_from_starter(folder)
    print(
        f"{path} is a scenario that runs; edit it, then:\n"
        f"  ndmc check {folder}\n  ndmc run {folder}"
    )


def schema() -> None:
    """Print the JSON Schema of scenario.yaml, for editors that complete and check it.

    Example: ndmc schema > scenario.schema.json
    """
    import json

    from ndmc.scenario.schema import json_schema

    print(json.dumps(json_schema(), indent=2))
