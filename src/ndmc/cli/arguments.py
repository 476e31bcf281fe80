"""Arguments and options that commands share, and how their text is read."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ndmc.errors import InputError
from ndmc.label import LabelError
from ndmc.option import check_ending, in_letters, option_of
from ndmc.runs.options import Options, listed

if TYPE_CHECKING:
    from ndmc.dims import Dims
    from ndmc.scenario.scenario import Scenario

_OPTIONS = {one.name: one for one in listed() if option_of(one).help}


def _help(name: str) -> str:
    return option_of(_OPTIONS[name]).help


ScenarioArgument = Annotated[str, typer.Argument(help=_help("scenario"))]

StoreArgument = Annotated[str, typer.Argument(help="A store written by ndmc run.")]

VariantOption = Annotated[str, typer.Option("--variant", help=_help("variant"))]

SetOption = Annotated[list[str], typer.Option("--set", help=_help("changes"))]

SelOption = Annotated[
    list[str],
    typer.Option(
        "--sel", help="dim=label[,label] ...; a group is a label, so is 2001..2010. Repeatable."
    ),
]

SeedOption = Annotated[str, typer.Option(help=_help("seed"))]


def csv_option(help: str, flag: str = "--csv") -> Any:  # noqa: A002 - as typer has it
    """Return the option that names a CSV, which is refused before anything is computed for it."""

    def checked(text: str) -> str:
        if text:
            check_ending(Path(text), flag, ".csv")
        return text

    return typer.Option(flag, help=help, callback=checked)


# --- the options of a run -------------------------------------------------------------------------

#: What a command line says of each option of a run, by name.
Given = Mapping[str, Any]


def takes_options(
    *, parts: bool = False, **texts: str
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Let a command take the options of a run, all or those that its parts share.

    They stand where the command has a parameter ``given``, which it gets them by. ``texts`` are
    what it has in place of what others have if nothing is given.
    """
    names = [name for name, one in _OPTIONS.items() if option_of(one).shared or not parts]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def called(**values: Any) -> None:
            command(given={name: values.pop(name) for name in names}, **values)

        found: list[inspect.Parameter] = []
        for own in inspect.signature(command, eval_str=True).parameters.values():
            options = [_parameter(_OPTIONS[name], texts.get(name)) for name in names]
            found += options if own.name == "given" else [own.replace(kind=own.KEYWORD_ONLY)]
        called.__dict__["__signature__"] = inspect.Signature(found)
        called.__annotations__ = {}
        return called

    return decorate


def _parameter(one: Field[Any], text: str | None) -> inspect.Parameter:
    """Return an option as typer takes it."""
    about, flags, default = option_of(one), _flags(one), text or _text(one)
    kind: Any = list[str] if isinstance(default, list) else str
    if about.text is None and default is not MISSING:
        kind = one.type
    info: Any = typer.Argument(help=about.help)
    if flags[0].startswith("-"):
        info = typer.Option(*flags, help=about.help)
    return inspect.Parameter(
        one.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if default is MISSING else default,
        annotation=Annotated[kind, info],
    )


def _flags(one: Field[Any]) -> tuple[str, ...]:
    return option_of(one).flags or (f"--{one.name}",)


def _text(one: Field[Any]) -> Any:
    """Return what the command line has if an option is not given; MISSING if it has to be."""
    return one.default if option_of(one).text is None else option_of(one).text


def read_options(given: Given) -> tuple[Scenario, Options]:
    """Return the scenario, and what is asked for of it."""
    from ndmc.scenario.load import load

    values = {name: _value(_OPTIONS[name], text) for name, text in given.items()}
    variant, changes = values.pop("variant"), values.pop("changes")
    scenario = load(values.pop("scenario"), variant=variant, changes=changes)
    out = _read_out(values.pop("out"), scenario)
    return scenario, Options(scenario, values.pop("draws"), out=out, **values)


def _value(one: Field[Any], text: Any) -> Any:
    about = option_of(one)
    if isinstance(text, list):
        text = [in_letters(each) for each in text]
    if about.read is None:
        return text
    if text == about.text and one.default is not MISSING:
        return one.default
    return about.read(text, _flags(one)[0])


def _read_out(text: str, scenario: Scenario) -> str:
    if text.startswith("memory://"):
        raise InputError(
            f"{text} would end with this command; use a path or a bucket, memory:// from Python",
            "--out",
        )
    return text or f"{scenario.name}.zarr"


def command_of(given: Given) -> list[str]:
    """Return the command that a run can be made by, with the options that are given."""
    words = ["ndmc", "run"]
    for name, value in given.items():
        one = _OPTIONS[name]
        if value == _text(one) and name != "seed":  # which is said even if it goes without
            continue
        flag = _flags(one)[0]
        for text in value if isinstance(value, list) else [value]:
            words += [flag] * flag.startswith("-") + [str(text)] * (text is not True)
    return words


def read_selection(given: list[str], dims: Dims) -> dict[str, list[str]]:
    """Read the labels that ``--sel`` picks, by dim; those of one dim add up."""
    found: dict[str, list[str]] = {}
    try:
        for text in given:
            for dim, some in dims.read(in_letters(text), dims.labels).items():
                found.setdefault(dim, []).extend(some)
        dims.picked(found)  # refuses what is no label, before anything is computed
    except LabelError as wrong:
        raise InputError(str(wrong), "--sel") from None
    return found
