"""Every name that ndmc adds to those of a scenario, and that a scenario is checked against."""

from __future__ import annotations

__all__ = ["DIFFERENCE", "REGRET"]

#: Dims of ndmc's own, but for age, whose labels may be given.
DIMS = (
    *("year", "cohort", "draw", "quantile", "quality_indicator", "equation"),
    *("reconciled_cell", "other_cell"),
)

#: Words of expressions, and what lies beside outputs in a store.
WORDS = ("step", "ledger", "inputs", "parameters", "percentiles", "tables")

# What a store says of an output, under its name and a suffix, and of the sum of its cells.
LOW, HIGH, MEAN, SD, MIN, MAX = "_low", "_high", "_mean", "_sd", "_min", "_max"
TOTAL, EXCEEDANCE, LIMIT = "_total", "_exceedance", "_limit"

# Of a dim; and of a parameter.
GROUP, SOURCE, CONFIDENCE = "_group", "_source", "_confidence"

#: All these: no name may be another with one of them behind it.
SUFFIXES = (LOW, HIGH, MEAN, SD, MIN, MAX, TOTAL, EXCEEDANCE, LIMIT, GROUP, SOURCE, CONFIDENCE)

#: Of a parameter with scores of data quality; other parameters may be called so.
OF_SCORES = SCORES, SENSITIVITY, CV, DISTRIBUTION = (
    "_scores",
    "_sensitivity",
    "_cv",
    "_distribution",
)

#: What a study says of an output, of its total, and of draws above a limit, under their names and
#: these; its store is checked against the names of its own scenario.
FIRST_ORDER, TOTAL_ORDER, INTERACTION = "_first_order", "_total_order", "_interaction"
LINEAR_SHARE, CONTROLLED, FLAG, EFFECT = "_linear_share", "_controlled", "_flag", "_effect"
TIED = "_tied"
OVER_YEARS, OVER_CELLS, RELATIVE, ABOVE = "_over_years", "_over_cells", "_relative", "_above"

#: What an ensemble computes of an output and of its total, under their names and these; it is
#: checked against the names of its own scenario.
DIFFERENCE, RATIO, REGRET, CONTRIBUTION = "_difference", "_ratio", "_regret", "_contribution"
OF_ENSEMBLES = LESS, MORE, TIE, BETTER, NEVER, BY_YEAR = (
    *("_less", "_more", "_tie", "_better", "_never", "_by_year"),
)

#: What a linear fit says of an output and of its total.
FIRST_LINEAR, METHOD, BY_PARAMETER = "_first_linear", "_method", "_by_parameter"

#: What is reconciled is told of under its name and these, but what was measured gives way to a
#: parameter that is called so.
OF_RECONCILED = TEST, CLASS = ("_test", "_class")
BEFORE, BEFORE_SD = "_before", "_before_sd"

#: What stands beside the quantities of a scenario that is reconciled.
RECONCILED = (
    *("equation_open", "equation_open_sd", "equation_test", "equation_unit", "log_weight"),
    *("covariance", "correlation", "reconciled_unit"),
)
