"""The attributes of a root, held against what a run writes before any of them is used.

Anyone can make a store whose checksums are right. What is read of it later is bounded by what is
checked here: every number in its range, every name known, dims that agree with each other.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ndmc.errors import InputError
from ndmc.plan.compared import Measure
from ndmc.plan.findings import Kind
from ndmc.store import belonging
from ndmc.store.identity import spec_of
from ndmc.store.keys import ROOT
from ndmc.store.spec import GRAIN, MOST_BLOCKS, MOST_QUANTILES, how_many, stages
from ndmc.store.variables import TOTAL

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=200)]

Number = Annotated[float, Field(allow_inf_nan=False)]

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]

Count = Annotated[int, Field(ge=0, lt=2**63)]

Draws = Annotated[int, Field(ge=1, lt=2**63)]

Grains = Annotated[int, Field(ge=GRAIN, lt=2**63)]


Limit = Annotated[tuple[Name, Number], Field(strict=False)]  # JSON has lists

#: Its name and those of its members.
GroupOfInputs = Annotated[
    tuple[str, Annotated[list[str], Field(min_length=1)]], Field(strict=False)
]

Watched = Annotated[tuple[str, Kind], Field(strict=False)]


#: Length and checksum of a file: see `ndmc.store.seal`.
Sealed = Annotated[tuple[Count, str], Field(strict=False)]


class _Entry(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class Stages(_Entry):
    """How draws are cut: see `Spec`."""

    begin: Grains
    pilot: Count
    counted: Count


class OutputEntry(_Entry):
    """An output: see `ndmc.plan.steps.Output`."""

    name: Name
    dims: list[Name]
    unit: str
    scale: Number
    kind: Literal["flow", "stock", "indicator", "parameter", "event", Measure]
    title: str
    note: str


class Balance(_Entry):
    """Which processes are balanced, and how well."""

    checked: list[str]
    not_computed: list[str]
    worst: Annotated[Number, Field(ge=0)] = 0.0
    limit: Annotated[Number, Field(gt=0)] = 1.0


class Reached(_Entry):
    """What became of a target."""

    target: str
    tolerance: Annotated[Number, Field(gt=0)]
    half_width: Annotated[Number, Field(ge=0)] | None
    met: bool
    looks: Draws
    confidence: Share
    draws: Draws


class EnsembleEntry(_Entry):
    """Of which ensemble it is: what was asked for, and what each member is made of."""

    entry: dict[str, Any]
    parts: Annotated[dict[str, list[str]], Field(min_length=1)]
    reference: list[Count]
    goals: dict[Name, str]
    weights: dict[str, Share]


class Attributes(BaseModel):
    """What a run says of itself; further attributes are anyone's own affair."""

    model_config = ConfigDict(strict=True, extra="allow")

    title: str
    scenario: Name
    references: list[str]
    ndmc: str
    scenario_hash: str
    scenario_text: str
    extended_texts: list[str] = []
    variant: str
    changes: dict[str, str]
    seed: Annotated[int, Field(ge=0, lt=2**64)]
    keep: list[Name]
    percentiles: list[Name]
    quantiles: Annotated[list[Share], Field(min_length=1, max_length=MOST_QUANTILES)]
    exceed: list[Limit] = []
    dtype: Literal["float32", "float64"] = "float32"
    bits: Annotated[int, Field(ge=0)] = 0
    compute: Literal["float32", "float64"] = "float64"
    reconciled: Literal["", "projected", "active_set"]
    rounding_error: Share
    draws: Draws
    block: Grains
    stages: Stages
    complete: bool
    started: str
    finished: str = ""
    versions: dict[str, str]
    machine: str
    dims: dict[Name, Annotated[list[str], Field(min_length=1)]]
    of: dict[Name, Name] = {}
    belongs: dict[Name, dict[Name, list[str]]] = {}
    groups: dict[Name, dict[str, Annotated[list[str], Field(min_length=1)]]]
    groupings: dict[Name, dict[Name, dict[str, Annotated[list[str], Field(min_length=1)]]]] = {}
    groups_of_inputs: list[GroupOfInputs] | None = None
    headline: list[str]
    ensemble: EnsembleEntry | None = None
    outputs: list[OutputEntry]
    watched: list[Watched]
    counted: list[Count]
    warnings: list[str] = []
    until: list[Reached] = []
    balance: Balance
    files: dict[str, Sealed] = {}


def check_attributes(given: Mapping[str, Any], url: str) -> None:
    """Refuse attributes that no run writes.

    Raises
    ------
    InputError
        For the first of them.
    """
    try:
        found = Attributes.model_validate(given)
    except ValidationError as wrong:
        raise InputError(f"{url!r} is not a store of ndmc's: {_first(wrong)}") from None
    for problem in _disagreements(found, given):
        raise InputError(f"{url!r} is not a store of ndmc's: {problem} in {ROOT}")


def _first(wrong: ValidationError) -> str:
    about = wrong.errors(include_url=False, include_context=False)[0]
    path = ".".join(f"{part}"[:60] for part in about["loc"])
    if about["type"] == "missing":
        return f"the attribute {path!r} is missing"
    expected = (
        about["msg"].replace("Input should", "it should").replace("String should", "it should")
    )
    return f"attribute {path!r} is {reprlib.repr(about['input'])}; {expected}"


# --- what holds between attributes ----------------------------------------------------------------


def _disagreements(found: Attributes, given: Mapping[str, Any]) -> Iterator[str]:
    yield from _of_dims(found)
    yield from _of_groups(found)
    yield from _of_outputs(found)
    yield from _of_draws(found, given)


def _twice(what: str, names: Sequence[Any]) -> Iterator[str]:
    if len(set(names)) < len(names):
        yield f"one of the {what} stands twice"


def _of_dims(found: Attributes) -> Iterator[str]:
    dims = found.dims
    for dim, labels in dims.items():
        above = [*found.belongs.get(dim, {}).values()]
        if any(len(own) != len(labels) for own in above):
            yield f"not every label of {dim!r} belongs to another"
            return
        yield from _twice(f"labels of {dim!r}", [*zip(labels, *above, strict=True)])
    yield from _of_belonging(found)
    years = dims.get("year", ())
    whole = all(year.isascii() and year.isdigit() and len(year) <= 4 for year in years)
    if not (years and whole and [*map(int, years)] == [*range(int(years[0]), int(years[-1]) + 1)]):
        yield "the labels of 'year' are not years, one after the other,"


def _of_belonging(found: Attributes) -> Iterator[str]:
    dims = [*found.dims]
    for dim, above in found.belongs.items():
        for parent, labels in above.items():
            if not set(labels) <= set(found.dims.get(parent, ())) or dim not in dims:
                yield f"labels of {dim!r} belong to what are no labels of {parent!r}"
            elif dims.index(parent) >= dims.index(dim):
                yield f"the dim {parent!r} does not come before {dim!r}"
    for dim, parent in found.of.items():
        if not {parent, *found.belongs.get(parent, ())} <= {*found.belongs.get(dim, ())}:
            yield f"labels of {dim!r} do not belong to {parent!r}"
            return
    try:
        belonging.positions(found.dims, found.belongs)
    except KeyError as wrong:
        yield f"labels belong to {wrong.args[0]!r}, which there is not,"


def _of_groups(found: Attributes) -> Iterator[str]:
    for dim, groups in found.groups.items():
        if not _members(groups) <= set(found.dims.get(dim, ())):
            yield f"the groups of {dim!r} hold what are no labels of it"
    for dim, groupings in found.groupings.items():
        for name, groups in groupings.items():
            if not _members(groups) <= set(found.dims.get(dim, ())):
                yield f"the groups of {name!r} hold what are no labels of {dim!r}"
            if found.dims.get(name) != [*groups]:
                yield f"the labels of {name!r} are not the groups of it"


def _members(groups: Mapping[str, list[str]]) -> set[str]:
    return {label for group in groups.values() for label in group}


def _of_outputs(found: Attributes) -> Iterator[str]:
    names = [output.name for output in found.outputs]
    yield from _twice("outputs", names)
    for output in found.outputs:
        if output.dims != [dim for dim in found.dims if dim in output.dims]:
            yield f"the dims of {output.name!r} are not among the dims, or in another order,"
    for what, some in {"keep": found.keep, "percentiles": found.percentiles}.items():
        yield from _twice(f"names of {what!r}", some)
        if not set(some) <= set(names):
            yield f"a name of {what!r} is not among the outputs"
    titles = {name for one in found.percentiles for name in (one, TOTAL.name(one))}
    if not {name for name, _ in found.exceed} <= titles:
        yield "a name of 'exceed' has no percentiles"


def _of_draws(found: Attributes, given: Mapping[str, Any]) -> Iterator[str]:
    spec, most = spec_of(given), np.finfo(found.dtype).nmant
    if found.bits > most:
        yield f"attribute 'bits' is {found.bits}, where {found.dtype} has {most},"
    for what, number in {"block": spec.block, "stages.begin": spec.begin}.items():
        if number & (number - 1):
            yield f"attribute {what!r} is {number}, which is no power of two,"
    if how_many(spec) > MOST_BLOCKS:
        yield f"there are {how_many(spec)} blocks, where a store has at most {MOST_BLOCKS},"
    if spec.counted not in (0, *(stage.start for stage in stages(spec))):
        yield f"attribute 'stages.counted' is {spec.counted}, where no stage begins,"
    if len(found.counted) not in (0, len(found.watched)):
        yield f"{len(found.counted)} numbers are counted of {len(found.watched)} things"
    if found.complete and any(number > found.draws for number in found.counted):
        yield "more draws are counted than there are"
