"""The scenario file, format 1: which keys there are and what each may hold."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ndmc.scenario.document import as_it_stands
from ndmc.scenario.ensemble_entry import EnsembleEntry
from ndmc.scenario.field_types import (
    Along,
    Convention,
    Declarations,
    Distribution,
    GroupName,
    Kept,
    Labels,
    Line,
    Members,
    Method,
    Missing,
    Name,
    Number,
    OwnDistribution,
    Parts,
    Range,
    Score,
    Sensitivity,
    Share,
    Text,
    Texts,
    Words,
    Year,
    Years,
)
from ndmc.scenario.published import FigureEntry, PublishedEntry

__all__ = [
    "FlowEntry",
    "IndicatorEntry",
    "InitialEntry",
    "ScenarioFile",
    "StockEntry",
    "json_schema",
]

#: What YAML makes of an expression.
_PLAIN = (str, int, float)


def _short(key: str, kinds: type | tuple[type, ...], whole: Any) -> BeforeValidator:
    """Return what reads one of some kinds as a mapping with a single key; ``whole`` is either."""

    def mapping(given: Any) -> Any:
        return {key: given} if isinstance(given, kinds) else given

    return BeforeValidator(mapping, json_schema_input_type=whole)


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DimEntry(_Entry):
    """Labels of one dim, and optionally named groups of them."""

    of: Name | None = Field(
        None, description="the dim that each label belongs to a label of, which has its own"
    )
    labels: Annotated[
        Labels | dict[str, Any],
        Field(description="a list; where they belong to others, behind each of these a list"),
    ]
    groups: dict[str, Labels] = Field(
        {}, description="of labels, which may be in several of them or in none"
    )
    groupings: dict[Name, dict[str, Labels]] = Field(
        {}, description="further groups, by the name of a dim whose labels they are"
    )


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
    sensitivity: Sensitivity = Field(
        None, description="how strongly the value reacts: of all indicators, or of each"
    )
    rounded: bool | None = Field(None, description="whether Laner's table is taken as printed")


Quality = Annotated[QualityEntry | None, _short("method", str, QualityEntry | Method | None)]


class GradeEntry(_Entry):
    """A named class of uncertainty."""

    distribution: Distribution | None = Field(None, description="needed unless quality is given")
    cv: Share | None = Field(None, description="standard deviation as a share of the mean")
    quality: Quality = None
    errors: Along = Field(None, description="per dim: shared, independent, ar1(rho) or mixed(w)")


class TableEntry(_Entry):
    """One of several tables of a parameter, and the years it is for."""

    table: str
    years: Years = Field(description="first and last year, such as 1990..2010")
    column: str | None = None
    wide: str | None = None
    unit: Text | None = None
    source: str = ""


class ParameterEntry(_Entry):
    """A labelled input with unit, source and uncertainty."""

    unit: Text
    dims: Annotated[list[str], BeforeValidator(as_it_stands)] = []
    value: Any = Field(None, description="a number, or a mapping of labels to numbers")
    table: str | Annotated[list[TableEntry], Field(min_length=1)] | None = Field(
        None,
        description="a CSV file in the scenario's folder, or several, each for its years",
        examples=["sales.csv"],
    )
    column: str | None = Field(None, description="the column that holds the value")
    wide: str | None = Field(None, description="the dim whose labels are columns of the table")
    missing: Missing = Field(
        (), description="what cells are that are not given; of several the first that can tell"
    )
    grade: str | None = None
    distribution: OwnDistribution | None = None
    along: str | None = Field(
        None, description="the dim along which dirichlet shares sum to 1", examples=["product"]
    )
    concentration: Annotated[Number, Field(gt=0)] | None = Field(
        None, description="of dirichlet shares: the larger, the nearer draws are to the means"
    )
    normalise: str | None = Field(
        None,
        description="the dim along whose labels values are divided by their sum in every draw",
        examples=["product"],
    )
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
    errors: Along = None
    range: Range = Field(
        None,
        min_length=2,
        max_length=2,
        description="physical range in the parameter's unit, or any",
    )
    title: Line = ""
    note: Line = ""
    source: str = ""

    @property
    def tables(self) -> list[str]:
        """The names of its tables."""
        if isinstance(self.table, list):
            return [one.table for one in self.table]
        return [self.table] if self.table else []

    @property
    def alone(self) -> list[ParameterEntry]:
        """The same with each of its tables as its only one."""
        if not isinstance(self.table, list):
            return [self]
        own = {"column": self.column, "wide": self.wide}
        return [
            self.model_copy(
                update={"table": one.table, **{key: getattr(one, key) or own[key] for key in own}}
            )
            for one in self.table
        ]


class FlowEntry(_Entry):
    """A flow from one node to another: known, a share, or closed by a balance."""

    origin: str = Field(alias="from")
    target: str = Field(alias="to", examples=["use"])
    dims: list[str] = []
    value: Texts | None = Field(None, examples=["{car: production * content, else: 0}"])
    share: Texts | None = None
    until: Year | None = Field(
        None, description="last year of the value; a stock that is prescribed then closes the flow"
    )
    title: Line = ""
    note: Line = ""


class InitialEntry(_Entry):
    """What a stock holds at the end of the year before the first."""

    value: Texts | None = None
    inflow: Texts | None = Field(
        None,
        description="that of the first year, which the past one led up to: what it left is held",
        examples=["at(sales, year=1990)"],
    )
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
    lifetime: Text | None = Field(None, examples=["weibull(scale, shape)"])
    inflow_at: Convention = "middle"
    normalise: Literal["none", "truncate"] = "none"
    lifetime_factor: Text | None = Field(
        None, description="factor on lifetimes in each year, for products in use too"
    )
    value: Texts | None = Field(None, description="a prescribed stock, from which inflow follows")
    prescribed_from: Year | None = Field(
        None, description="first year of the value; before it a flow that is given feeds the stock"
    )
    negative_inflow: Literal["report", "clip", "early_retirement"] | None = None
    removals: dict[Name, Text] = Field(
        {},
        description="flows that take a share of the stock every year, before its end of life; of "
        "a buffer, a share of what it holds at the start of the year",
        examples=["{exported: export_share}"],
    )
    remainder: str | None = Field(None, description="the flow that covers what a buffer cannot")
    carry_over: bool | None = Field(None, description="whether a buffer gives back what it holds")
    capacity: Texts | None = Field(None, description="what a buffer can hold at the end of a year")
    overflow: str | None = Field(None, description="the flow that takes what is beyond it")
    initial: Annotated[
        InitialEntry | None, _short("value", _PLAIN, InitialEntry | str | float | None)
    ] = None
    title: Line = ""
    note: Line = ""


class IndicatorEntry(_Entry):
    """A quantity computed from others, or a stock or its outflow by age or cohort."""

    value: Texts | None = None
    stock: str | None = None
    outflow: str | None = Field(None, description="the stock whose release is meant")
    by: Literal["age", "cohort", "mean_age"] | None = None
    over: Words = Field([], description="dims to sum over")
    unit: Text | None = None
    title: Line = ""
    note: Line = ""


class CorrelationEntry(_Entry):
    """Correlation of the normal scores of named parameters (Gaussian copula)."""

    parameters: list[str] = Field(min_length=2)
    matrix: list[list[Number]]


class ReconcileEntry(_Entry):
    """What is measured twice or tied by balances: the system that least squares reconcile."""

    measured: dict[Name, Text] = Field(
        {},
        description="flows, stocks and indicators, and the parameters that measure them",
        examples=["{imports: imports_reported}"],
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


class SensitivityEntry(_Entry):
    """Which errors of parameters are moved together where variance is shared out."""

    groups: dict[GroupName, Members] = Field(
        min_length=1,
        description="groups by name: parameters, some labels of one, or '*' for all others",
        examples=["{supply: [ore, grade], use: ['content[product=car]', scale], rest: '*'}"],
    )


class VariantEntry(_Entry):
    """A named set of changes to this file, on top of other variants if it names some."""

    title: Line = ""
    variants: Parts = Field([], description="variants that it is made of")
    changes: dict[str, Any] = Field(
        default_factory=dict,
        alias="set",
        description="new values, or changes of numbers, by their paths",
        examples=["{parameters.scale.cv: 20 %, 'parameters.content[product=car]': x1.2}"],
    )

    @model_validator(mode="after")
    def _says_something(self) -> VariantEntry:
        if self.model_fields_set.isdisjoint({"variants", "changes"}):
            raise ValueError("say what it changes under 'set', or what it is made of: 'variants'")
        return self


class ScenarioFile(_Entry):
    """One complete description of a metal cycle, format 1."""

    format: Literal[1]
    name: Name
    extends: str | None = Field(
        None, description="a bundled scenario, or ../FOLDER, that this file is laid over"
    )
    title: Line = ""
    description: str = ""
    references: list[str] = []
    unit: Text
    units: Declarations = Field(
        {},
        description="units of the file's own: money, count, or an amount of others",
        examples=["{AUD: money, magnet: count, barrel: 159 l}"],
    )
    years: Years = Field(description="first and last year, such as 2001..2021")
    dims: dict[Name, Annotated[DimEntry, _short("labels", list, DimEntry | Labels)]] = {}
    grades: dict[str, GradeEntry] = {}
    confidence: dict[str, str] = {}
    parameters: dict[Name, ParameterEntry] = {}
    processes: list[Name]
    environment: list[Name] | None = None
    flows: dict[Name, FlowEntry]
    stocks: dict[Name, StockEntry] = {}
    indicators: dict[
        Name, Annotated[IndicatorEntry, _short("value", _PLAIN, IndicatorEntry | str | float)]
    ] = {}
    correlations: list[CorrelationEntry] = []
    keep: Kept | None = Field(
        None, description="outputs whose draws a run stores: all, none, or names; all if absent"
    )
    headline: list[str] = []
    reconcile: ReconcileEntry | None = None
    sensitivity: SensitivityEntry | None = None
    variants: dict[str, VariantEntry] = {}
    ensemble: EnsembleEntry | None = Field(
        None, description="policies in futures that are compared"
    )
    ensembles: dict[Name, EnsembleEntry] = Field({}, description="several of them, by name")
    published: Annotated[
        PublishedEntry | None, _short("figures", list, PublishedEntry | list[FigureEntry] | None)
    ] = None


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the scenario file, for editors that complete and check it.

    Of one that extends another any part may be missing within its keys.

    Examples
    --------
    >>> json_schema()["title"]
    'ScenarioFile'
    """
    whole = ScenarioFile.model_json_schema(by_alias=True)
    about = {key: whole.pop(key) for key in ("title", "description", "$defs")}
    own = {key: {} for key in whole["properties"]} | {
        key: whole["properties"][key] for key in ("name", "extends")
    }
    laid_over = {"type": "object", "properties": own, "additionalProperties": False}
    return {
        **about,
        "if": {"type": "object", "required": ["extends"]},
        "then": {**laid_over, "required": ["name"]},
        "else": whole,
    }
