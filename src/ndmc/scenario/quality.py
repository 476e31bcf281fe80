"""Data quality to uncertainty: scores of indicators become a coefficient of variation.

Where the numbers come from, and what of them could be checked, stands at each table. Scores count
from 1, the best.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["BASIC", "INDICATORS", "LEVELS", "WORST", "Rating"]

SENSITIVE = ("completeness", "temporal", "geographical", "other")

LEVELS = ("high", "medium", "low")

BASIC = "basic"

EXPERT = "expert"

_PEDIGREE = ("reliability", "completeness", "temporal", "geographical", "technology")

#: Which scores each method takes.
INDICATORS: dict[str, tuple[str, ...]] = {
    "laner": ("reliability", *SENSITIVE, EXPERT),
    "pedigree": _PEDIGREE,
    "pedigree_empirical": _PEDIGREE,
    "hedbrant_soerme": ("level",),
}

#: The last score of each method.
WORST = {"laner": 4, "pedigree": 5, "pedigree_empirical": 5, "hedbrant_soerme": 5}

# At this cv 4 normal draws in 10,000 are negative; at 41 %, the next in Laner's table, 8 in 1,000.
NORMAL_UP_TO = 0.30

#: Above this a cv is a forgotten percent sign.
LARGEST_CV = 3.0

#: What is said of one that is larger.
TOO_WIDE = "{cv:.0%}; if {cv:g} % is meant, write the %"

# More than a factor of 10 each way is Hedbrant and Soerme's last level; beyond is a mistake.
_LARGEST_FACTOR = 10.0

# Laner et al. 2016 (Journal of Industrial Ecology), cv for the scores 1 to 4.
# Not compared with the print: written down from memory. One rule, `_rule`, gives all twenty
# numbers to the printed digit, and published studies hold cvs that this table can give.
_LANER: dict[str, tuple[float, ...]] = {
    "reliability": (0.023, 0.068, 0.206, 0.623),
    "high": (0.0, 0.045, 0.137, 0.413),
    "medium": (0.0, 0.023, 0.068, 0.206),
    "low": (0.0, 0.011, 0.034, 0.103),
    EXPERT: (0.045, 0.137, 0.413, 1.246),
}

_WEIGHT = {"high": 2.0, "medium": 1.0, "low": 0.5}

# Uncertainty factors of ecoinvent 3 (Weidema et al. 2013), scores 1 to 5. As the source of openLCA
# has them (DQSystems.java); how they add up, as Brightway's (pedigree.py). The print was not seen.
_ECOINVENT: dict[str, tuple[float, ...]] = {
    "reliability": (1.0, 1.05, 1.1, 1.2, 1.5),
    "completeness": (1.0, 1.02, 1.05, 1.1, 1.2),
    "temporal": (1.0, 1.03, 1.1, 1.2, 1.5),
    "geographical": (1.0, 1.01, 1.02, 1.05, 1.1),
    "technology": (1.0, 1.05, 1.2, 1.5, 2.0),
}

# Empirical factors of Ciroth et al. 2016 (International Journal of Life Cycle Assessment), scores
# 1 to 5. As Brightway's source has them (pedigree.py). The print was not seen.
_EMPIRICAL: dict[str, tuple[float, ...]] = {
    "reliability": (1.0, 1.54, 1.61, 1.69, 1.69),
    "completeness": (1.0, 1.03, 1.04, 1.08, 1.08),
    "temporal": (1.0, 1.03, 1.1, 1.19, 1.29),
    "geographical": (1.0, 1.04, 1.08, 1.11, 1.11),
    "technology": (1.0, 1.18, 1.65, 2.08, 2.8),
}

# Hedbrant and Soerme 2001 (Water, Air and Soil Pollution: Focus): factors f of the 95 % interval
# [m/f, m f] for the levels 1 to 5. Not compared with the print: written down from memory.
_FACTORS = (1.1, 1.33, 2.0, 4.0, 10.0)


class ScoreError(ValueError):
    """A score that is missing, superfluous or impossible; ``item`` names it."""

    def __init__(self, message: str, item: str) -> None:
        self.item = item
        super().__init__(message)


@dataclass(frozen=True)
class Rating:
    """The quality of one cell: its scores, and the uncertainty that follows.

    ``sensitivities`` has the level of each indicator that has one; ``scores`` also holds
    ``basic``, the factor of the basic uncertainty, where the method has one.
    """

    method: str
    scores: tuple[tuple[str, float], ...]
    sensitivities: tuple[tuple[str, str], ...]
    cv: float
    distribution: str


def by_cv(cv: float) -> str:
    """Return the distribution of a cell that names none: normal where few draws are negative.

    Examples
    --------
    >>> by_cv(0.30), by_cv(0.31)
    ('normal', 'lognormal')
    """
    return "normal" if cv <= NORMAL_UP_TO else "lognormal"


def laner(
    scores: Mapping[str, float], sensitivity: Mapping[str, str], *, rounded: bool = True
) -> float:
    """Return the cv of scores after Laner et al. 2016, a share of the mean.

    Parameters
    ----------
    scores
        Score of each indicator, 1 to 4; an ``expert`` estimate stands alone.
    sensitivity
        How strongly the value reacts to each indicator but reliability: high, medium or low.
    rounded
        Whether to take the printed table, or the rule behind it.

    Examples
    --------
    >>> round(laner({"reliability": 2, "temporal": 3}, {"temporal": "high"}), 4)
    0.1529
    >>> laner({"expert": 2}, {})
    0.137
    """
    parts = []
    for indicator, score in scores.items():
        if indicator in SENSITIVE and score == 1:
            continue  # adds nothing, whatever the sensitivity, which need not be said
        row = sensitivity[indicator] if indicator in SENSITIVE else indicator
        parts.append(_LANER[row][int(score) - 1] if rounded else _rule(row, score))
    return math.hypot(*parts)


def _rule(row: str, score: float) -> float:
    """Return an entry of Laner's table before rounding."""
    if row in _WEIGHT:
        return _WEIGHT[row] * _rule("reliability", score - 1) if score > 1 else 0.0
    return (2.0 if row == EXPERT else 1.0) * 0.0075 * math.exp(1.105 * score)


def pedigree(scores: Mapping[str, float], basic: float, *, empirical: bool = False) -> float:
    """Return the cv of pedigree scores, a share of the mean.

    Parameters
    ----------
    scores
        Score of each indicator, 1 to 5.
    basic
        Factor of the basic uncertainty, 1 if there is none.
    empirical
        Whether to take the factors of Ciroth et al. 2016 instead of ecoinvent's.

    Examples
    --------
    >>> round(pedigree({"reliability": 2, "technology": 4}, 1.05), 4)
    0.2078
    """
    table = _EMPIRICAL if empirical else _ECOINVENT
    factors = [basic, *(table[name][int(score) - 1] for name, score in scores.items())]
    return _cv_of_lognormal(0.5 * math.hypot(*map(math.log, factors)))


def hedbrant_soerme(level: float) -> float:
    """Return the cv of a level of Hedbrant and Soerme 2001, a share of the mean.

    Their interval [m/f, m f] is read as the middle 95 % of a lognormal.

    Examples
    --------
    >>> [round(hedbrant_soerme(level), 3) for level in (1, 2, 3, 4, 5)]
    [0.049, 0.146, 0.365, 0.806, 1.725]
    """
    return _cv_of_lognormal(math.log(_FACTORS[int(level) - 1]) / 1.96)


def _cv_of_lognormal(sigma: float) -> float:
    return math.sqrt(math.expm1(sigma * sigma))


def rate(
    method: str,
    scores: Mapping[str, float],
    sensitivity: Mapping[str, str] | None = None,
    *,
    rounded: bool = True,
) -> Rating:
    """Return the rating of one cell, checked.

    Parameters
    ----------
    method
        One of ``INDICATORS``.
    scores
        Score of each indicator that is assessed, and ``basic`` for a pedigree. An indicator that
        is left out adds nothing.
    sensitivity
        Level of each of Laner's indicators but reliability.
    rounded
        Whether Laner's printed table is meant, or the rule behind it.

    Raises
    ------
    ScoreError
        For scores and levels that are missing, superfluous or impossible.

    Examples
    --------
    >>> rating = rate("hedbrant_soerme", {"level": 3})
    >>> round(rating.cv, 3), rating.distribution
    (0.365, 'lognormal')
    """
    given = dict(sensitivity or {})
    _check_scores(method, scores)
    _check_whole(method, scores)
    _check_sensitivity(method, scores, given)
    plain = {name: scores[name] for name in INDICATORS[method] if name in scores}
    if method == "laner":
        cv = laner(plain, given, rounded=rounded)
    elif method == "hedbrant_soerme":
        cv = hedbrant_soerme(plain["level"])
    else:
        cv = pedigree(plain, scores[BASIC], empirical=method == "pedigree_empirical")
        plain[BASIC] = scores[BASIC]
    levels = tuple((name, given[name]) for name in SENSITIVE if name in given)
    return Rating(method, tuple(plain.items()), levels, cv, by_cv(cv))


def _check_scores(method: str, scores: Mapping[str, float]) -> None:
    allowed, worst = INDICATORS[method], WORST[method]
    for name, score in scores.items():
        if name == BASIC and allowed == _PEDIGREE:
            if not 1 <= score <= _LARGEST_FACTOR:
                message = f"basic is {score:g} but must be a factor from 1 to {_LARGEST_FACTOR:g}"
                raise ScoreError(message, name)
        elif name not in allowed:
            message = f"{method} has no {name!r}; it takes {', '.join(allowed)}"
            raise ScoreError(message, name)
        elif score not in range(1, worst + 1):
            message = f"{name} is {score:g} but {method} has the whole scores 1 (best) to {worst}"
            raise ScoreError(message, name)


def _check_whole(method: str, scores: Mapping[str, float]) -> None:
    """Refuse scores that lack one the method cannot do without, or have too many."""
    if EXPERT in scores and len(scores) > 1:
        other = next(name for name in scores if name != EXPERT)
        message = f"an expert estimate replaces all other scores; remove it or {other!r}"
        raise ScoreError(message, EXPERT)
    needed = "level" if method == "hedbrant_soerme" else "reliability"
    if needed not in scores and EXPERT not in scores:
        instead = ", or expert alone" if method == "laner" else ""
        raise ScoreError(f"{method} needs a score for {needed}{instead}", needed)
    if INDICATORS[method] == _PEDIGREE and BASIC not in scores:
        message = f"{method} needs basic, the factor of the basic uncertainty; 1 if there is none"
        raise ScoreError(message, BASIC)


def _check_sensitivity(
    method: str, scores: Mapping[str, float], sensitivity: Mapping[str, str]
) -> None:
    for name, level in sensitivity.items():
        item = f"{name}_sensitivity"
        if method != "laner":
            raise ScoreError(f"{method} knows no sensitivity; remove it", item)
        if name not in SENSITIVE:
            message = f"{name} has no sensitivity; only {', '.join(SENSITIVE)} have"
            raise ScoreError(message, item)
        if level not in LEVELS:
            raise ScoreError(f"the sensitivity {level!r} must be one of {', '.join(LEVELS)}", item)
        if name not in scores:
            message = f"a sensitivity for {name} but no score; give the score or remove it"
            raise ScoreError(message, item)
    for name in SENSITIVE:
        if method == "laner" and scores.get(name, 1) > 1 and name not in sensitivity:
            message = f"{name} is {scores[name]:g} but has no sensitivity; say high, medium or low"
            raise ScoreError(message, name)
