"""Published figures as the scenario file gives them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ndmc.scenario.field_types import (
    AmountOrNone,
    Ends,
    Line,
    PickedLabels,
    PublishedShare,
    Share,
    Status,
    Text,
    Words,
)

#: What a published figure says: one of these, or both bounds.
SAYING = ("value", "at_most", "at_least", "range")


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FigureEntry(_Entry):
    """A published figure to hold the model against: a value, bounds, or how probable they are."""

    id: Text = ""
    quantity: str = ""
    at: PickedLabels = ""
    over: Words = []
    variant: Text = Field("", description="the variant it is compared under, if one of its own")
    value: AmountOrNone = None
    at_most: AmountOrNone = Field(None, description="an upper bound instead of a value")
    at_least: AmountOrNone = Field(None, description="a lower bound instead of a value")
    range: Ends = Field(None, description="both, such as 100..200 kt", examples=["[100, 200]"])
    above: AmountOrNone = Field(
        None, description="then the figure is the share of draws in which the quantity is above"
    )
    below: AmountOrNone = Field(None, description="the share of draws in which it is below")
    unit: Text = ""
    tolerance: AmountOrNone = Field(
        None,
        description="how near to come: in % of the figure, or in its own unit",
        examples=["5 yr"],
    )
    uncertainty: PublishedShare = Field(
        None, description="published standard deviation as a share of the value"
    )
    status: Status
    note: Line = ""
    source: str = ""

    @model_validator(mode="after")
    def _says_one_thing(self) -> FigureEntry:
        given = [key for key in SAYING if getattr(self, key) is not None]
        if not given:
            message = "it is empty; give a number as value, at_most or at_least, or a range"
            raise ValueError(message)
        if len(given) > 1 and given != ["at_most", "at_least"]:
            message = f"{' and '.join(given)} are given; give a value, at_most, at_least, or both"
            raise ValueError(f"{message} of the latter, or a range")
        if self.uncertainty is not None and (given != ["value"] or self.above or self.below):
            raise ValueError("only a value has an uncertainty; leave it out")
        if self.tolerance is not None and self.status not in ("target", "soft"):
            raise ValueError(f"a figure that is {self.status!r} is not judged; leave tolerance out")
        return self


class PublishedEntry(_Entry):
    """Published figures, inline or in a table, and how near the model should come."""

    variant: str | None = None
    tolerance: dict[Literal["target", "soft"], Share] = Field(
        {"target": 0.10, "soft": 0.20}, examples=["{target: 10 %, soft: 20 %}"]
    )
    table: str | None = None
    figures: list[FigureEntry] = []
