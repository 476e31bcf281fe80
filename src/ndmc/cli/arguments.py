"""Arguments and options that commands share, and how their text is read."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from ndmc.errors import InputError
from ndmc.label import LabelError
from ndmc.option import check_writable, in_letters, option_of
from ndmc.runs.ensemble_options import EnsembleOptions
from ndmc.runs.options import Options, listed
from ndmc.runs.study_options import StudyOptions

if TYPE_CHECKING:
    from ndmc.dims import Dims
    from ndmc.scenario.scenario import Scenario

#: The fields of a command's options, by name.
Fields = dict[str, Field[Any]]


def options_of(kind: type[Options] = Options) -> Fields:
    """Return the options of a kind that the command line has."""
    return {one.name: one for one in listed(kind) if option_of(one).help}


def _help(name: str) -> str:
    return option_of(options_of()[name]).help


ScenarioArgument = Annotated[str, typer.Argument(help=_help("scenario"))]

StoreArgument = Annotated[str, typer.Argument(help="A store written by ndmc run.")]

VariantOption = Annotated[list[str], typer.Option("--variant", help=_help("variant"))]

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
            check_writable(Path(text), flag, ".csv")
        return text

    return typer.Option(flag, help=help, callback=checked)


# --- the options of a run -------------------------------------------------------------------------

O = TypeVar("O", bound=Options)  # noqa: E741 - beside what typing calls so

#: What a command line says of each option of a run, by name.
Given = Mapping[str, Any]


def takes_options(
    known: Fields, *, parts: bool = False
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Let a command take options, all or those that the parts of a run share.

    They stand where the command has a parameter ``given``, which it gets them by.
    """
    names = [name for name, one in known.items() if option_of(one).shared or not parts]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def called(**values: Any) -> None:
            command(given={name: values.pop(name) for name in names}, **values)

        found: list[inspect.Parameter] = []
        for own in inspect.signature(command, eval_str=True).parameters.values():
            options = [_parameter(known[name]) for name in names]
            found += options if own.name == "given" else [own.replace(kind=own.KEYWORD_ONLY)]
        called.__dict__["__signature__"] = inspect.Signature(found)
        called.__annotations__ = {}
        return called

    return decorate


def _parameter(one: Field[Any]) -> inspect.Parameter:
    """Return an option as typer takes it."""
    about, flags, default = option_of(one), _flags(one), _text(one)
    kind: Any = list[str] if isinstance(default, list) else str
    if about.text is None and default is not MISSING:
        kind = one.type
    info: Any = typer.Argument(help=about.help, metavar=None if flags[0] == one.name else flags[0])
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

    values = _values(given, Options)
    variant, changes = values.pop("variant"), values.pop("changes")
    scenario = load(values.pop("scenario"), variant=variant, changes=changes)
    out = values.pop("out") or f"{scenario.name}.zarr"
    return scenario, Options(scenario, values.pop("draws"), out=out, **values)


def read_given(kind: type[O], given: Given) -> O:
    """Return what is asked for by a kind of options."""
    values = _values(given, kind)
    return kind(values.pop("scenario"), values.pop("draws"), **values)


def given_of(kind: type[Options], given: Given, remedy: str) -> Given:
    """Return the options of a kind.

    Raises
    ------
    InputError
        With a remedy, if one of another kind is given.
    """
    own = options_of(kind)
    others = options_of() | options_of(StudyOptions) | options_of(EnsembleOptions)
    for name in given.keys() - own.keys():
        if given[name] != _text(others[name]):
            raise InputError(remedy, _flags(others[name])[-1])
    return {name: given[name] for name in own if name in given}


def _values(given: Given, kind: type[Options]) -> dict[str, Any]:
    """Return what options of a kind have as values, by name."""
    known = options_of(kind)
    _check_out(given["out"])
    return {name: _value(known[name], text) for name, text in given.items()}


def _value(one: Field[Any], text: Any) -> Any:
    about = option_of(one)
    if isinstance(text, list):
        text = [in_letters(each) for each in text]
    if text == about.text and one.default is not MISSING:
        return one.default
    return text if about.read is None else about.read(text, _flags(one)[0])


def _check_out(text: str) -> None:
    if text.startswith("memory://"):
        raise InputError(
            f"{text} would end with this command; use a path or a bucket, memory:// from Python",
            "--out",
        )


def command_of(given: Given, word: str = "run", kind: type[Options] = Options) -> list[str]:
    """Return the command that a run can be made by, with the options that are given."""
    words, known = ["ndmc", word], options_of(kind)
    for name, value in given.items():
        one = known[name]
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


def picked(given: list[str], dims: Dims) -> dict[str, list[Any]]:
    """Return the labels that ``--sel`` picks, by dim, as a dataset has them."""
    chosen = dims.picked(read_selection(given, dims))
    return {dim: [dims.coordinate(dim)[n] for n in places] for dim, places in chosen.items()}
