"""What may stand behind a key of the scenario file: numbers, shares, texts and lists of them."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from ndmc.errors import nearest
from ndmc.given import names_in
from ndmc.scenario.document import as_it_stands
from ndmc.scenario.numerals import bounds_in, is_missing
from ndmc.scenario.quality import LARGEST_CV, LEVELS, SENSITIVE, TOO_WIDE
from ndmc.scenario.units import UnitError, parse_amount

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

#: Of a parameter, not of a grade: that of shares which sum to 1 along one of its dims.
OwnDistribution = Literal[Distribution, "dirichlet"]

#: What cells may be that are not given, in the order in which they leave others some to fill.
FILLING = ("interpolate", "hold", "0")

_CHOICES = "interpolate, hold or 0, or several: [interpolate, hold]"

Convention = Literal["start", "middle", "end", "uniform", "pdf_integer"]

Method = Literal["laner", "pedigree", "pedigree_empirical", "hedbrant_soerme"]

Level = Literal["high", "medium", "low"]

Status = Literal[
    "target", "soft", "contradiction", "reported", "input", "not_modelled", "not_reproducible"
]


def fraction(given: Any) -> Any:
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
    if given == "":  # an empty cell of a table
        return None
    if isinstance(given, str) and is_missing(given):
        raise ValueError(f"{given!r} is no share; leave it empty where none is published")
    share = fraction(given)
    if isinstance(share, float) and share > LARGEST_CV:
        raise ValueError(f"it is {TOO_WIDE.format(cv=share)}")
    return share


def _finite(given: Any) -> Any:
    if isinstance(given, bool) or (isinstance(given, float) and not math.isfinite(given)):
        raise ValueError(f"expected a finite number, found {str(given).lower()}")
    return given


def _text(given: Any) -> Any:
    if isinstance(given, float):
        return f"{given:.15g}"
    return str(given) if isinstance(given, int) and not isinstance(given, bool) else given


def _years(given: Any) -> Any:
    if isinstance(given, list | dict):
        raise ValueError(f"{years_advice(str(given))}, and no list")
    return _text(given)


def years_advice(given: str) -> str:
    """Say how years are written instead of a text.

    Examples
    --------
    >>> years_advice("2001-2021")
    'write the first and the last: 2001..2021'
    """
    seen = re.findall(r"\d{4}", given) or ["2001", "2021"]
    return f"write the first and the last: {seen[0]}..{seen[-1]}"


def _line(given: str) -> str:
    return given.rstrip("\n")  # with which YAML ends a block of text


def _words(given: Any) -> Any:
    return given.split() if isinstance(given, str) else given


def _one_or_more(given: Any) -> Any:
    return [given] if isinstance(given, str) else given


def _kept(given: Any) -> Any:
    return names_in(given) if isinstance(given, str) else given


def _score(given: Any) -> Any:
    if isinstance(given, bool) or not isinstance(given, int):
        raise ValueError(f"a score must be a whole number such as 2, found {given!r}")
    if abs(given) > 1000:  # beyond what floats can hold, a message could not even print it
        raise ValueError("a score must be a whole number from 1 to 4 or 5")
    return given


def _year(given: Any) -> Any:
    if isinstance(given, bool) or not re.fullmatch(r"\d{1,4}(\.0)?", str(given)):
        raise ValueError(f"a year must be a whole number such as 2021, found {given!r}")
    return int(float(given))


def _sensitivity(given: Any) -> Any:
    levels = given if isinstance(given, dict) else {"": given} if given is not None else {}
    for name, level in levels.items():
        if name and name not in SENSITIVE:
            raise ValueError(f"no indicator {name!r} has one; {nearest(name, SENSITIVE)}")
        if level not in LEVELS:
            raise ValueError(f"found {level!r} but a level must be one of {', '.join(LEVELS)}")
    return given


def _amount(given: str) -> str:
    if not given:
        raise ValueError("it is empty; give a number")
    try:
        parse_amount(given)
    except UnitError as wrong:
        raise ValueError(str(wrong)) from None
    return given


def _published(given: str) -> str:
    try:
        return _amount(given)
    except ValueError:
        if advice := bounds_in(given):
            raise ValueError(f"{given!r} is no single number; write {advice}") from None
        raise


def _none_if_empty(given: Any) -> Any:
    return None if given == "" else given  # an empty cell of a table


def _ends(given: Any) -> Any:
    if given == "":
        return None
    if not isinstance(given, str):
        return given
    low, between, high = given.partition("..")
    if not (between and low.strip() and high.strip()):
        written = bounds_in(given).removeprefix("range: ")
        advice = f"write {written or 'the lowest and the highest: 100..200 kt'}"
        raise ValueError(f"{given!r} is no range; {advice}")
    return [low.strip(), high.strip()]


def _declarations(given: Any) -> Any:
    if isinstance(given, str):
        raise ValueError(
            f"found {given!r}; did you mean 'unit'? units of the file's own are declared such as "
            "{AUD: money, magnet: count, barrel: 159 l}"
        )
    return given


def _in_order(words: list[str]) -> str:
    return f"[{', '.join(word for word in FILLING if word in words)}]"


def _missing(given: Any) -> Any:
    if given == [] or isinstance(given, dict):
        raise ValueError(f"it is one for all cells; write {_CHOICES}")
    words = [str(one) for one in (given if isinstance(given, list) else [given])]
    for word in words:
        if word not in FILLING:
            several = len(parts := re.findall(r"\w+", word)) > 1 and {*parts} <= {*FILLING}
            hint = f"write {_in_order(parts)}" if several else nearest(word, FILLING)
            raise ValueError(f"found {word!r}; {hint}")
    if (order := _in_order(words)) != f"[{', '.join(words)}]":
        raise ValueError(f"each word fills what the one before it leaves; write {order}")
    return tuple(words)


def _along(given: Any) -> Any:
    if isinstance(given, str):
        raise ValueError(f"{given!r} names no dim; write it for each, such as {{year: {given}}}")
    return given


def _range(given: Any) -> Any:
    return [-math.inf, math.inf] if given == "any" else given


Number = Annotated[float, BeforeValidator(_finite), Field(allow_inf_nan=False)]

Share = Annotated[
    float,
    BeforeValidator(fraction, json_schema_input_type=float | str),
    Field(allow_inf_nan=False),
]

Text = Annotated[str, BeforeValidator(_text, json_schema_input_type=str | float)]

#: A formula for all labels, or one for each: several dims nest.
Texts = Text | dict[str, Text | dict[str, Text | dict[str, Text]]]

Year = Annotated[int, BeforeValidator(_year, json_schema_input_type=int)]

Years = Annotated[str, BeforeValidator(_years, json_schema_input_type=str | float)]

Line = Annotated[str, AfterValidator(_line)]

Labels = Annotated[
    list[str],
    BeforeValidator(as_it_stands, json_schema_input_type=list[str | float | bool | None]),
    Field(min_length=1),
]

#: A name is a folder of a store, with a suffix behind it: file systems allow 255 characters.
Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=200)]

_Filling = Literal[0, "hold", "interpolate"]

Missing = Annotated[
    tuple[str, ...],
    BeforeValidator(_missing, json_schema_input_type=_Filling | list[_Filling]),
]

Score = Annotated[int, BeforeValidator(_score, json_schema_input_type=int)]

Kept = Annotated[list[str], BeforeValidator(_kept, json_schema_input_type=list[str] | str)]

Parts = Annotated[
    list[str], BeforeValidator(_kept, json_schema_input_type=list[str] | str), Field(min_length=1)
]

#: A group of parameters: a text that a table and a picture have room for.
GroupName = Annotated[str, Field(min_length=1, max_length=200)]

Members = Annotated[
    list[str],
    BeforeValidator(_one_or_more, json_schema_input_type=list[str] | str),
    Field(min_length=1),
]

#: Units by name, and what each is.
Declarations = Annotated[
    dict[str, Text], BeforeValidator(_declarations, json_schema_input_type=dict[str, str | float])
]

Words = Annotated[list[str], BeforeValidator(_words, json_schema_input_type=list[str] | str)]

Sensitivity = Annotated[
    Any, BeforeValidator(_sensitivity, json_schema_input_type=Level | dict[str, Level] | None)
]

#: How errors hang together along each dim.
Along = Annotated[
    dict[str, str] | None, BeforeValidator(_along, json_schema_input_type=dict[str, str] | None)
]

Range = Annotated[
    list[float] | None,
    BeforeValidator(_range, json_schema_input_type=list[float] | Literal["any"] | None),
]

Amount = Annotated[Text, AfterValidator(_amount)]

#: What a published figure may say or not: a column of a table is empty where it does not.
AmountOrNone = Annotated[
    Annotated[Text, AfterValidator(_published)] | None,
    BeforeValidator(_none_if_empty, json_schema_input_type=str | float | None),
]

#: The lowest and the highest, with a unit behind both or the latter.
Ends = Annotated[
    Annotated[list[Amount], Field(min_length=2, max_length=2)] | None,
    BeforeValidator(_ends, json_schema_input_type=list[str | float] | str | None),
]

PublishedShare = Annotated[
    Annotated[float, Field(allow_inf_nan=False, gt=0)] | None,
    BeforeValidator(_fraction_or_none, json_schema_input_type=float | str | None),
]

PickedLabels = Annotated[
    dict[str, str] | str,
    BeforeValidator(
        as_it_stands, json_schema_input_type=dict[str, str | float | bool | None] | str
    ),
]
