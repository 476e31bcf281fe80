"""The scenario file, format 1: which keys there are and what each may hold."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal, TypeVar, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ndmc.errors import InputError, nearest
from ndmc.scenario.document import Document
from ndmc.scenario.quality import LEVELS, SENSITIVE
from ndmc.scenario.units import UnitError, parse_amount

__all__ = [
    "FigureEntry",
    "FlowEntry",
    "GradeEntry",
    "IndicatorEntry",
    "InitialEntry",
    "ParameterEntry",
    "QualityEntry",
    "ScenarioFile",
    "StockEntry",
    "json_schema",
    "validate_document",
]

Model = TypeVar("Model", bound=BaseModel)

Distribution = Literal[
    "constant",
    "normal",
    "truncated_normal",
    "lognormal",
    "uniform",
    "triangular",
    "pert",
    "beta",
    "discrete",
    "empirical",
]

Convention = Literal["start", "middle", "end", "uniform", "pdf_integer"]

Method = Literal["laner", "pedigree", "pedigree_empirical", "hedbrant_soerme"]

Level = Literal["high", "medium", "low"]

Status = Literal[
    "target", "soft", "contradiction", "reported", "input", "not_modelled", "not_reproducible"
]


def _fraction(given: Any) -> Any:
    if not isinstance(given, str):
        return _finite(given)
    try:
        number, unit = parse_amount(given)
    except UnitError as wrong:
        raise ValueError(str(wrong)) from None
    if unit not in ("", "1", "%"):
        raise ValueError(f"{given!r} must be a share such as '2 %' or 0.02")
    return number / 100 if unit == "%" else number


def _fraction_or_none(given: Any) -> Any:
    return None if given == "" else _fraction(given)  # an empty cell of a table


def _finite(given: Any) -> Any:
    if isinstance(given, bool) or (isinstance(given, float) and not math.isfinite(given)):
        raise ValueError(f"expected a finite number, found {given!r}")
    return given


def _text(given: Any) -> Any:
    if isinstance(given, float):
        return f"{given:.15g}"
    return str(given) if isinstance(given, int) and not isinstance(given, bool) else given


def _texts(given: Any) -> Any:
    return [_text(item) for item in given] if isinstance(given, list) else given


def _short_dim(given: Any) -> Any:
    return {"labels": given} if isinstance(given, list) else given


def _short_value(given: Any) -> Any:
    return {"value": given} if isinstance(given, str | int | float) else given


def _words(given: Any) -> Any:
    return given.split() if isinstance(given, str) else given


def _short_quality(given: Any) -> Any:
    return {"method": given} if isinstance(given, str) else given


def _score(given: Any) -> Any:
    if isinstance(given, bool) or not isinstance(given, int):
        raise ValueError(f"a score must be a whole number such as 2, found {given!r}")
    if abs(given) > 1000:  # beyond what floats can hold, a message could not even print it
        raise ValueError("a score must be a whole number from 1 to 4 or 5")
    return given


def _sensitivity(given: Any) -> Any:
    levels = given if isinstance(given, dict) else {"": given} if given is not None else {}
    for name, level in levels.items():
        if name and name not in SENSITIVE:
            raise ValueError(f"no indicator {name!r} has one; {nearest(name, SENSITIVE)}")
        if level not in LEVELS:
            raise ValueError(f"found {level!r} but a level must be one of {', '.join(LEVELS)}")
    return given


def _range(given: Any) -> Any:
    return [-math.inf, math.inf] if given == "any" else given


Number = Annotated[float, BeforeValidator(_finite), Field(allow_inf_nan=False)]

Share = Annotated[
    float,
    BeforeValidator(_fraction, json_schema_input_type=float | str),
    Field(allow_inf_nan=False),
]

Text = Annotated[str, BeforeValidator(_text, json_schema_input_type=str | float)]

Labels = Annotated[
    list[str],
    BeforeValidator(_texts, json_schema_input_type=list[str | float]),
    Field(min_length=1),
]

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]


Score = Annotated[int, BeforeValidator(_score, json_schema_input_type=int)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DimEntry(_Entry):
    """Labels of one dim, and optionally named groups of them."""

    labels: Labels
    groups: dict[str, Labels] = {}


class QualityEntry(_Entry):
    """Scores of the quality of data, from which their cv follows."""

    method: Method
    reliability: Score | None = None
    completeness: Score | None = None
    temporal: Score | None = None
    geographical: Score | None = None
    other: Score | None = None
    technology: Score | None = None
    expert: Score | None = Field(None, description="an expert estimate, instead of all others")
    level: Score | None = Field(None, description="of Hedbrant and Soerme")
    basic: Number | None = Field(None, description="factor of a pedigree's basic uncertainty")
    sensitivity: Annotated[
        Any,
        BeforeValidator(_sensitivity, json_schema_input_type=Level | dict[str, Level] | None),
    ] = Field(None, description="how strongly the value reacts: of all indicators, or of each")
    rounded: bool | None = Field(None, description="whether Laner's table is taken as printed")


Quality = Annotated[
    QualityEntry | None,
    BeforeValidator(_short_quality, json_schema_input_type=QualityEntry | Method | None),
]


class GradeEntry(_Entry):
    """A named class of uncertainty."""

    distribution: Distribution | None = Field(None, description="needed unless quality is given")
    cv: Share | None = Field(None, description="standard deviation as a share of the mean")
    quality: Quality = None
    errors: dict[str, str] | None = Field(
        None, description="per dim: shared, independent, ar1(rho) or mixed(w)"
    )


class ParameterEntry(_Entry):
    """A labelled input with unit, source and uncertainty."""

    unit: Text
    dims: Labels | list[str] = []
    value: Any = Field(None, description="a number, or a mapping of labels to numbers")
    table: str | None = Field(None, description="a CSV file in the scenario's folder")
    column: str | None = Field(None, description="the column that holds the value")
    wide: str | None = Field(None, description="the dim whose labels are columns of the table")
    grade: str | None = None
    distribution: Distribution | None = None
    cv: Share | None = None
    sd: Number | None = None
    quality: Quality = None
    mu: Number | None = None
    sigma: Number | None = None
    low: Number | None = None
    mode: Number | None = None
    high: Number | None = None
    values: list[Number] | None = None
    weights: list[Number] | None = None
    errors: dict[str, str] | None = None
    range: Annotated[
        list[float] | None,
        BeforeValidator(_range, json_schema_input_type=list[float] | Literal["any"] | None),
    ] = Field(
        None,
        min_length=2,
        max_length=2,
        description="physical range in the parameter's unit, or any",
    )
    title: str = ""
    note: str = ""
    source: str = ""


class FlowEntry(_Entry):
    """A flow from one node to another: known, a share, or closed by a balance."""

    origin: str = Field(alias="from")
    target: str = Field(alias="to")
    dims: list[str] = []
    value: Text | None = None
    share: Text | None = None
    title: str = ""
    note: str = ""


class InitialEntry(_Entry):
    """What a stock holds at the end of the year before the first."""

    value: Text
    age: Literal["stationary", "growing", "spin_up", "given"] | None = Field(
        None, description="how old it is; a stock with a lifetime must say so"
    )
    growth: Text | None = Field(None, description="of the inflow in the past, per year")
    shares: Text | None = Field(None, description="share of each age: a parameter with the dim age")


class StockEntry(_Entry):
    """A stock, held by a process: with a lifetime, a buffer or a sink."""

    process: str
    dims: list[str] = []
    kind: Literal["lifetime", "buffer", "sink"] = "lifetime"
    lifetime: Text | None = None
    inflow_at: Convention = "middle"
    normalise: Literal["none", "truncate"] = "none"
    lifetime_factor: Text | None = Field(
        None, description="factor on lifetimes in each year, for products in use too"
    )
    value: Text | None = Field(None, description="a prescribed stock, from which inflow follows")
    negative_inflow: Literal["report", "clip", "early_retirement"] | None = None
    removals: dict[Name, Text] = Field(
        {}, description="flows that take a share of the stock every year, before its end of life"
    )
    remainder: str | None = Field(None, description="the flow that covers what a buffer cannot")
    carry_over: bool | None = Field(None, description="whether a buffer gives back what it holds")
    initial: Annotated[
        InitialEntry | None,
        BeforeValidator(_short_value, json_schema_input_type=InitialEntry | str | float | None),
    ] = None
    title: str = ""
    note: str = ""


class IndicatorEntry(_Entry):
    """A quantity computed from others, or a stock or its outflow by age or cohort."""

    value: Text | None = None
    stock: str | None = None
    outflow: str | None = Field(None, description="the stock whose release is meant")
    by: Literal["age", "cohort", "mean_age"] | None = None
    over: Annotated[
        list[str],
        BeforeValidator(_words, json_schema_input_type=list[str] | str),
    ] = Field([], description="dims to sum over")
    unit: Text | None = None
    title: str = ""
    note: str = ""


class CorrelationEntry(_Entry):
    """Correlation of the normal scores of named parameters (Gaussian copula)."""

    parameters: list[str] = Field(min_length=2)
    matrix: list[list[Number]]


class ReconcileEntry(_Entry):
    """What is measured twice or tied by balances: the system that least squares reconcile."""

    measured: dict[Name, Text] = Field(
        {}, description="flows, stocks and indicators, and the parameters that measure them"
    )
    processes: list[Name] | None = Field(
        None, description="whose balances hold; all processes if not given"
    )
    level: Annotated[Share, Field(gt=0, lt=1)] = Field(
        0.95, description="of the tests for gross errors"
    )
    eliminate: bool = Field(
        False, description="drop the worst measurement while the global test fails"
    )
    draws: Literal["projected", "active_set", "as_drawn"] = Field(
        "projected", description="what becomes of the draws of parameters in a run"
    )


class VariantEntry(_Entry):
    """A named set of changes to this file."""

    title: str = ""
    changes: dict[str, Any] = Field(alias="set")


class FigureEntry(_Entry):
    """A published figure to hold the model against."""

    id: Text = ""
    quantity: str = ""
    at: dict[str, Text] | str = ""
    over: Annotated[
        list[str],
        BeforeValidator(_words, json_schema_input_type=list[str] | str),
    ] = []
    value: Text
    unit: Text = ""
    uncertainty: Annotated[
        Annotated[float, Field(allow_inf_nan=False, gt=0)] | None,
        BeforeValidator(_fraction_or_none, json_schema_input_type=float | str | None),
    ] = Field(None, description="published standard deviation as a share of the value")
    status: Status
    note: str = ""
    source: str = ""


class PublishedEntry(_Entry):
    """Published figures, inline or in a table, and how near the model should come."""

    variant: str | None = None
    tolerance: dict[Literal["target", "soft"], Share] = {"target": 0.10, "soft": 0.20}
    table: str | None = None
    figures: list[FigureEntry] = []


def _short_published(given: Any) -> Any:
    return {"figures": given} if isinstance(given, list) else given


class ScenarioFile(_Entry):
    """One complete description of a metal cycle, format 1."""

    format: Literal[1]
    name: Name
    title: str = ""
    description: str = ""
    references: list[str] = []
    unit: Text
    years: str = Field(description="first and last year, such as 2001..2021")
    dims: dict[
        Name,
        Annotated[DimEntry, BeforeValidator(_short_dim, json_schema_input_type=DimEntry | Labels)],
    ] = {}
    grades: dict[str, GradeEntry] = {}
    confidence: dict[str, str] = {}
    parameters: dict[Name, ParameterEntry] = {}
    processes: list[Name]
    environment: list[Name] | None = None
    flows: dict[Name, FlowEntry]
    stocks: dict[Name, StockEntry] = {}
    indicators: dict[
        Name,
        Annotated[
            IndicatorEntry,
            BeforeValidator(_short_value, json_schema_input_type=IndicatorEntry | str | float),
        ],
    ] = {}
    correlations: list[CorrelationEntry] = []
    keep: list[str] | None = None
    headline: list[str] = []
    reconcile: ReconcileEntry | None = None
    variants: dict[str, VariantEntry] = {}
    published: Annotated[
        PublishedEntry | None,
        BeforeValidator(
            _short_published, json_schema_input_type=PublishedEntry | list[FigureEntry] | None
        ),
    ] = None


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the scenario file, for editors that complete and check it.

    Examples
    --------
    >>> json_schema()["title"]
    'ScenarioFile'
    """
    return ScenarioFile.model_json_schema(by_alias=True)


def validate_document(document: Document, model: type[Model]) -> Model:
    """Return the document as ``model``.

    Raises
    ------
    InputError
        For the first mistake, with file and line, and how many more there are.
    """
    try:
        return model.model_validate(document.data)
    except ValidationError as wrong:
        raise _explain(document, model, wrong) from None


def _explain(document: Document, model: type[BaseModel], wrong: ValidationError) -> InputError:
    mistakes = wrong.errors(include_url=False)
    # A misspelt key is also a missing one: the spelling is what to mend.
    first = next((m for m in mistakes if m["type"] == "extra_forbidden"), mistakes[0])
    key = tuple(part for part in first["loc"] if part != "[key]")
    path = ".".join(str(part) for part in key)
    match first["type"]:
        case "extra_forbidden":
            message = f"unknown key {path!r}; {nearest(str(key[-1]), _fields(model, key[:-1]))}"
            if re.search(r"[()=,]", str(key[-1])):
                message = f"unknown key {path!r}; put texts with commas in quotes"
        case "missing":
            message = f"the key {path!r} is missing"
        case "literal_error":
            expected = first["ctx"]["expected"].replace("'", "")
            message = f"{path} is {first['input']!r} but must be {expected}"
        case "string_pattern_mismatch":
            message = f"{path!r} must be a name: letters, digits and _, starting with a letter"
        case "value_error":
            message = f"{path}: {first['ctx']['error']}"
        case _:
            found = repr(first["input"])
            found = found if len(found) < 80 else found[:77] + "..."
            message = f"{path}: {first['msg'][0].lower()}{first['msg'][1:]}, found {found}"
    if len(mistakes) > 1:
        message += f" (and {len(mistakes) - 1} more mistake{'s'[: len(mistakes) > 2]})"
    return document.error(message, *key)


def _fields(model: type[BaseModel], key: tuple[int | str, ...]) -> list[str]:
    """Return the keys allowed at ``key``, following the models down."""
    current: Any = model
    label = False  # the next part is a name or a number in a collection, no key of a model
    for part in key:
        if label:
            label = False
            continue
        field = current.model_fields.get(part)
        current = _entry_model(field.annotation) if field else None
        if current is None:
            return []
        label = get_origin(field.annotation) in (dict, list)
    return [field.alias or name for name, field in current.model_fields.items()]


def _entry_model(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in getattr(annotation, "__args__", ()):
        found = _entry_model(part)
        if found is not None:
            return found
    return None
