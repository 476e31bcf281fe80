"""The data dictionary: every variable of a store that stands beside what a user named.

docs/store-layout.md shows it as a table, which tests/store/test_variables.py holds to this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ndmc.scenario import reserved
from ndmc.store.keys import PARAMETERS, PERCENTILES, SENSITIVITY

__all__ = [
    "ABOVE",
    "BETTER",
    "CONTROLLED",
    "EFFECT",
    "EXCEEDANCE",
    "FLAG",
    "GRADE",
    "INPUT_GROUP",
    "LESS",
    "LIMITS",
    "LINEAR_SHARE",
    "MEMBERS",
    "MORE",
    "QUANTILE",
    "SHARES",
    "STATISTICS",
    "TIED",
    "TOTAL",
    "Variable",
    "share_of",
]

#: Dims of percentiles and of scores.
QUANTILE, INDICATOR = "quantile", "quality_indicator"

#: The dim of the shares of a study, and what is said of each of its labels.
INPUT_GROUP, MEMBERS, GRADE = "group", "group_members", "group_grade"

#: Stand for the dims of what is described, and for those of them that are left over the years.
_OWN, _BUT_YEARS = "...", "... but year"


@dataclass(frozen=True)
class Variable:
    """What stands under a name and a suffix.

    In ``words``, which are its long name, braces stand for the title of what is described, and in
    ``dims`` for the name of that.
    """

    suffix: str
    words: str = "{}"
    dims: tuple[str, ...] = (_OWN,)

    def name(self, described: str) -> str:
        """Return the name of the variable that describes something."""
        return described + self.suffix

    def dims_of(self, described: str, own: Sequence[str]) -> tuple[str, ...]:
        """Return the dims of the variable, where what it describes has some of its own.

        Examples
        --------
        >>> EXCEEDANCE.dims_of("in_use", ["product", "year"])
        ('in_use_limit', 'product', 'year')
        """
        found = {_OWN: own, _BUT_YEARS: [dim for dim in own if dim != "year"]}
        each = (found.get(dim, [dim.format(described)]) for dim in self.dims)
        return tuple(dim for dims in each for dim in dims)


_OF_QUANTILES = (QUANTILE, _OWN)

#: What is known of the draws of an output, by the names of `Rows` and `Summary`.
STATISTICS = {
    "values": Variable("", dims=_OF_QUANTILES),
    "low": Variable(reserved.LOW, "{}, lower 95 % confidence limit", _OF_QUANTILES),
    "high": Variable(reserved.HIGH, "{}, upper 95 % confidence limit", _OF_QUANTILES),
    "mean": Variable(reserved.MEAN, "{}, mean"),
    "sd": Variable(reserved.SD, "{}, standard deviation"),
    "least": Variable(reserved.MIN, "{}, lowest draw"),
    "most": Variable(reserved.MAX, "{}, highest draw"),
}

#: Those of them that can be had of any sum of stored draws.
SUMMARY = {name: STATISTICS[name] for name in ("values", "low", "high", "mean", "sd")}

#: The percentiles of an output's sum over all dims but the years, which has all other statistics.
TOTAL = Variable(reserved.TOTAL, dims=(QUANTILE, "year"))

EXCEEDANCE = Variable(
    reserved.EXCEEDANCE, "share of draws with {} above", ("{}" + reserved.LIMIT, _OWN)
)

#: What can be read of an output whose percentiles are computed.
KNOWN = {**STATISTICS, "exceedance": EXCEEDANCE}

LIMITS = Variable(reserved.LIMIT, "limit", ("{}" + reserved.LIMIT,))

#: The mean of each cell of a parameter, in its own unit.
CENTRAL = Variable("")

#: What is said of a parameter, by cell where it differs.
TEXTS = {"source": Variable(reserved.SOURCE, ""), "confidence": Variable(reserved.CONFIDENCE, "")}

#: What is known of the data quality of a parameter with scores, by cell.
QUALITY = {
    "scores": Variable(reserved.SCORES, "score of each indicator, 1 is best", (_OWN, INDICATOR)),
    "sensitivity": Variable(
        reserved.SENSITIVITY, "how strongly the value reacts", (_OWN, INDICATOR)
    ),
    "cv": Variable(reserved.CV, "standard deviation as a share of the mean, from scores"),
    "distribution": Variable(reserved.DISTRIBUTION, "distribution of each cell"),
}

#: The group of each label of a dim, along it.
GROUP = Variable(reserved.GROUP, "", ("{}",))

#: The shares of a study, each with its limits.
SHARES = {
    "first": (reserved.FIRST_ORDER, "share of variance that goes away if the group is known"),
    "total": (reserved.TOTAL_ORDER, "share of variance that is left if all others are known"),
    "interaction": (reserved.INTERACTION, "share of variance only together with other groups"),
}

#: How a member of an ensemble compares with its reference, draw by draw.
LESS = Variable(reserved.LESS, "{}, share of draws in which it is negative")
MORE = Variable(reserved.MORE, "{}, share of draws in which it is positive")
TIE = Variable(reserved.TIE, "{}, share of draws in which it is 0")

#: The same in words of what is wanted of it.
BETTER = Variable(reserved.BETTER, "{}, share of draws in which it is better than the reference")

#: When an event of an ensemble comes, if it does.
NEVER = Variable(reserved.NEVER, "{}, share of draws in which it never comes")
BY_YEAR = Variable(reserved.BY_YEAR, "{}, share of draws in which it has come", ("year", _OWN))

_ENDS = {"value": ("", ""), "low": (reserved.LOW, "lower"), "high": (reserved.HIGH, "upper")}

#: Over which cells variances are added up, by name; relative ones are over the mean squared.
POOLS = {
    "over_years": (reserved.OVER_YEARS, ", of all years", _BUT_YEARS),
    "over_years_relative": (
        reserved.OVER_YEARS + reserved.RELATIVE,
        ", of all years, each over its mean squared",
        _BUT_YEARS,
    ),
    "over_cells": (reserved.OVER_CELLS, ", of all cells", ""),
    "over_cells_relative": (
        reserved.OVER_CELLS + reserved.RELATIVE,
        ", of all cells, each over its mean squared",
        "",
    ),
}


def share_of(share: str, end: str, pool: str = "") -> Variable:
    """Return the variable of a share, or of one of its limits, in each cell or over some.

    Examples
    --------
    >>> share_of("first", "low", "over_years").name("in_use")
    'in_use_first_order_over_years_low'
    """
    suffix, words = SHARES[share]
    behind, cells, own = POOLS[pool] if pool else ("", "", _OWN)
    ending, limit = _ENDS[end]
    said = f"{{}}, {words}{cells}" + (f", {limit} 95 % limit" if limit else "")
    return Variable(suffix + behind + ending, said, tuple(filter(None, (INPUT_GROUP, own))))


#: What else a study says.
LINEAR_SHARE = Variable(reserved.LINEAR_SHARE, "{}, share of variance that is linear in the scores")
CONTROLLED = Variable(reserved.CONTROLLED, "{}, whether a linear control was used")
FLAG = Variable(reserved.FLAG, "{}, what is to be known of its shares", (INPUT_GROUP, _OWN))
TIED = Variable(
    reserved.TIED, "{}, whether its total order may be the next larger one", (INPUT_GROUP, _OWN)
)
EFFECT = Variable(
    reserved.EFFECT, "{}, half of the 95 % range that the group alone gives", (INPUT_GROUP, _OWN)
)

#: What a study says of the draws above a limit, in the dims of its limits, too.
ABOVE = Variable(reserved.ABOVE, "{} above a limit", ("{}" + reserved.LIMIT, _OWN))

_SHARED = [share_of(share, end) for share in SHARES for end in _ENDS]
_POOLED = [share_of(s, end, pool) for pool in POOLS for s in ("first", "total") for end in _ENDS]

#: All of them, by the group of the store they are in; those in "" in every group with such dims.
VARIABLES = {
    PERCENTILES: (
        *(*STATISTICS.values(), TOTAL, EXCEEDANCE, LIMITS),
        *(LESS, MORE, TIE, BETTER, NEVER, BY_YEAR),
    ),
    PARAMETERS: (CENTRAL, *TEXTS.values(), *QUALITY.values()),
    SENSITIVITY: (
        *_SHARED,
        *_POOLED,
        *(LINEAR_SHARE, CONTROLLED, FLAG, TIED, EFFECT, STATISTICS["mean"], STATISTICS["sd"]),
        LIMITS,
    ),
    "": (GROUP,),
}
