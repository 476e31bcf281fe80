"""The data dictionary: every variable of a store that stands beside what a user named.

docs/store-layout.md shows it as a table, which tests/store/test_variables.py holds to this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ndmc.scenario import reserved
from ndmc.store.keys import PARAMETERS, PERCENTILES

__all__ = ["EXCEEDANCE", "LIMITS", "QUANTILE", "STATISTICS", "TOTAL", "Variable"]

#: Dims of percentiles and of scores.
QUANTILE, INDICATOR = "quantile", "quality_indicator"

#: Stands for the dims of what is described.
_OWN = "..."


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
        found = (own if dim == _OWN else [dim.format(described)] for dim in self.dims)
        return tuple(dim for dims in found for dim in dims)


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

#: All of them, by the group of the store they are in; those in "" in every group with such dims.
VARIABLES = {
    PERCENTILES: (*STATISTICS.values(), TOTAL, EXCEEDANCE, LIMITS),
    PARAMETERS: (CENTRAL, *TEXTS.values(), *QUALITY.values()),
    "": (GROUP,),
}
