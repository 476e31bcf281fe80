"""Ensembles as the scenario file gives them: policies, futures, levers, and what is compared."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ndmc.scenario.field_types import Share, Words

Goal = Literal["less", "more", "earlier", "later"]


def _setting(given: Any) -> Any:
    if isinstance(given, bool):
        raise ValueError(f"{str(given).lower()} is no value of a lever; write a number or a text")
    return given


#: A setting as `--set` takes it: a number, or a text such as 40 % or x1.2.
Setting = Annotated[str | int | float, BeforeValidator(_setting)]


def _named(given: Any) -> Any:
    """Return what has the name of its variants, where only these are given."""
    if isinstance(given, str):
        given = [name.strip() for name in given.split(",") if name.strip()]
    if not isinstance(given, list | tuple):
        return given
    for name in given:
        if not isinstance(name, str):
            raise ValueError(f"{name!r} is no name of a variant")
        if given.count(name) > 1:
            raise ValueError(f"{name!r} is named twice; leave one out")
    return {name: name for name in given}


Named = Annotated[
    dict[str, str | list[str]],
    BeforeValidator(_named, json_schema_input_type=dict[str, str | list[str]] | list[str] | str),
]


class EnsembleEntry(BaseModel):
    """Policies in futures, on the same draws: which are compared, and by what."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    policies: Named = Field({}, description="variants; base is the scenario as it is")
    cascade: Words = Field([], description="instead of policies: variants added one after another")
    futures: Named = Field({}, description="variants; base or reference is the scenario as it is")
    levers: dict[str, list[Setting]] = Field(
        {}, description="values that something that may be set takes", examples=["{rate: [40, 60]}"]
    )
    design: Literal["cross", "zip"] = Field(
        "cross", description="whether each value of a lever meets each of the others"
    )
    rows: str | list[dict[str, Setting]] | None = Field(
        None, description="a table with a member in each row: policy, future, and levers"
    )
    reference: str = Field("", description="the policy that others are compared with")
    weights: dict[str, Share] = Field({}, description="of futures; they sum to 1")
    outputs: Words = Field([], description="what is compared; the headline if absent")
    goals: dict[str, Goal] = Field({}, description="which way is better")
    exceed: list[str] = Field([], description="limits, such as 'in_use > 100 kt'")
    members: list[str] = Field([], description="only these, by their labels")

    @model_validator(mode="after")
    def _has_members(self) -> EnsembleEntry:
        made_of = ("policies", "cascade", "futures", "levers", "rows")
        given = [key for key in made_of if key in self.model_fields_set]
        if not given:
            raise ValueError("it is empty; name policies, futures or levers")
        if empty := [key for key in given if not getattr(self, key)]:
            raise ValueError(f"{empty[0]} is empty; name some, or leave it out")
        if "policies" in given and "cascade" in given:
            raise ValueError("policies and a cascade are given; a cascade makes its own policies")
        if "rows" in given and "levers" in given:
            raise ValueError("rows hold the values of levers; leave levers out")
        if self.cascade and self.reference not in ("", "base"):
            raise ValueError("a cascade begins with base; leave its reference out")
        if empty := [name for name, values in self.levers.items() if not values]:
            raise ValueError(f"the lever {empty[0]!r} has no values; give some, such as [40, 60]")
        return self
