"""Commands about a scenario: list, check, start one, its schema."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ndmc.cli.arguments import (
    ScenarioArgument,
    SelOption,
    SetOption,
    VariantOption,
    read_selection,
)
from ndmc.legible import command_line
from ndmc.option import read_changes

if TYPE_CHECKING:
    from ndmc.scenario.scenario import Scenario
    from ndmc.studies.ratings import Rated


def scenarios() -> None:
    """List the bundled scenarios.

    Example: ndmc scenarios
    """
    from ndmc.cli.print_check import print_scenarios
    from ndmc.scenario.extending import read_extended
    from ndmc.scenario.places import bundled, find

    print_scenarios(
        (name, str(read_extended(find(name)).data.get("title", ""))) for name in bundled()
    )


def check(
    scenario: ScenarioArgument,
    variant: VariantOption = [],  # noqa: B006
    set_: SetOption = [],  # noqa: B006
    sel: SelOption = [],  # noqa: B006
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
    from ndmc.cli.print_check import print_check
    from ndmc.scenario.load import load
    from ndmc.studies.checking import check as checked

    changes = read_changes(set_)
    if graph:
        from ndmc.views.diagram import check_diagram

        check_diagram(Path(graph))
    if quality:
        from ndmc.views.charts import check_file
        from ndmc.views.quality_map import check_quality

        check_file(Path(quality), "--quality", ".csv")
        check_quality(Path(quality), *_rated(load(scenario, variant=variant, changes=changes)))
    dims = load(scenario, variant=variant, changes=changes).dims if sel else None
    selection = read_selection(sel, dims) if dims else {}
    found = checked(scenario, variant=variant, changes=changes, sel=selection)
    print_check(found)
    loaded = found.scenario
    if graph:
        from ndmc.views.diagram import write_diagram
        from ndmc.views.overview import edges, nodes

        write_diagram(Path(graph), loaded.heading, nodes(loaded), edges(loaded, found.plan))
    if quality:
        from ndmc.views.quality_map import write_quality

        write_quality(Path(quality), *_rated(loaded))


def _rated(scenario: Scenario) -> tuple[str, list[Rated]]:
    """Return what the picture of quality shows: a title, and scores."""
    from ndmc.studies.ratings import ratings

    return scenario.heading, ratings(scenario)


def show(
    scenario: ScenarioArgument,
    file: Annotated[
        str,
        typer.Argument(help="Another file of its folder, such as README.md.", show_default=False),
    ] = "",
) -> None:
    """Print the file of a scenario, or another one beside it.

    Example: ndmc show steel_loop README.md
    """
    from ndmc.cli.tables import print_text
    from ndmc.scenario.starter import show as text_of

    print_text(text_of(scenario, file))


def new(
    folder: Annotated[Path, typer.Argument(help="Folder to create; its name is the scenario's.")],
    source: Annotated[
        str, typer.Option("--from", help="Scenario to copy: a bundled name, a folder or file.")
    ] = "starter",
) -> None:
    """Create a scenario to start from: a commented one, or a copy of any other.

    Example: ndmc new my_study --from steel_loop
    """
    from ndmc.cli.tables import print_lines
    from ndmc.scenario.starter import new as create

    path = create(folder, source=source)
    what = "scenario that runs" if source == "starter" else f"copy of {source}"
    print_lines(
        f"{path} is a {what}; edit it, then:",
        *(f"  {command_line(['ndmc', word, str(folder)])}" for word in ("check", "run")),
    )


def schema() -> None:
    """Print the JSON Schema of scenario.yaml, for editors that complete and check it.

    Example: ndmc schema > scenario.schema.json
    """
    import json

    from ndmc.scenario.schema import json_schema

    print(json.dumps(json_schema(), indent=2))
