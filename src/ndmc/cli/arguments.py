"""Arguments and options that commands share, and how their text is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ndmc.errors import InputError

if TYPE_CHECKING:
    from ndmc.scenario.scenario import Scenario

__all__ = [
    "BitsOption",
    "BlockOption",
    "DrawsOption",
    "DtypeOption",
    "ExceedOption",
    "KeepOption",
    "MemoryOption",
    "OutOption",
    "PercentilesOption",
    "QuantilesOption",
    "ScenarioArgument",
    "SeedOption",
    "SetOption",
    "StoreArgument",
    "VariantOption",
    "read_changes",
    "read_count",
    "read_labels",
    "read_limit",
    "read_names",
    "read_out",
    "read_part",
    "read_percent",
]

ScenarioArgument = Annotated[str, typer.Argument(help="A bundled name, a scenario folder or file.")]

StoreArgument = Annotated[str, typer.Argument(help="A store written by ndmc run.")]

VariantOption = Annotated[str, typer.Option("--variant", help="One of the scenario's variants.")]

SetOption = Annotated[
    list[str],
    typer.Option(
        "--set", help="Change a value: name=value, or a.key.of.the.file=value. Repeatable."
    ),
]


def read_count(text: str, option: str) -> int:
    """Read a whole number, written as 100000, 100_000 or 1e5."""
    try:
        value = float(text.replace("_", ""))
        if value != int(value):
            raise ValueError
        return int(text.replace("_", "")) if text.replace("_", "").isdigit() else int(value)
    except (ValueError, OverflowError):
        message = f"{text!r} is not a whole number; write it like 100000 or 1e5"
        raise InputError(message, option) from None


def read_changes(given: list[str]) -> dict[str, str]:
    changes = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise InputError(f"{text!r} is not of the form name=value", "--set")
        changes[name.strip()] = value.strip()
    return changes


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

BitsOption = Annotated[
    int, typer.Option(help="Bits of the mantissa that results are rounded to; 0 keeps all.")
]

MemoryOption = Annotated[
    str,
    typer.Option(help="For blocks and digests; where one pass would keep more, two are made."),
]


def read_out(text: str, scenario: Scenario) -> str:
    if text.startswith("memory://"):
        raise InputError(
            f"{text} would end with this command; use a path or a bucket, memory:// from Python",
            "--out",
        )
    return text or f"{scenario.name}.zarr"


def read_part(text: str) -> tuple[int, int]:
    try:
        part, parts = text.split("/")
        return int(part), int(parts)
    except ValueError:
        raise InputError(f"{text!r} is not a part; write it like 3/16", "--part") from None


def read_limit(text: str) -> tuple[str, str]:
    name, above, limit = text.partition(">")
    if not above or not name.strip() or not limit.strip():
        raise InputError(f"{text!r} is not of the form 'name > limit'", "--exceed")
    return name.strip(), limit.strip()


def read_names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def read_labels(given: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for text in given:
        dim, equals, labels = text.partition("=")
        if not equals or not labels:
            raise InputError(f"{text!r} is not of the form dim=label", "--sel")
        if "=" in labels:
            raise InputError(f"{text!r} names two dims; give --sel once for each", "--sel")
        found.setdefault(dim.strip(), []).extend(label.strip() for label in labels.split(","))
    return found


def read_percent(text: str) -> float:
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
