"""Uncertainty of one cell: what a distribution needs, and the numbers its quantile kernel takes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["Marginal", "deviation", "normal_cdf"]

# A uniform has 52 bits, so no draw lies further out than this many standard deviations.
_FURTHEST_SCORE = 8.21

_LOWEST_UNIFORM = 2.0**-53

# Where a truncated tail ends, its probabilities keep so few digits that scores err by 1e-8.
_ROUNDING = 1e-6

# Above this a cv is a forgotten percent sign.
_LARGEST_CV = 3.0

KEYS = ("value", "mean", "cv", "sd", "low", "mode", "high", "mu", "sigma")


@dataclass(frozen=True)
class Marginal:
    """A distribution reduced to a kernel and its numbers, in model units.

    ``lowest`` and ``highest`` are what a draw can reach, ``central`` is the mean.
    """

    kind: str
    numbers: tuple[float, ...]
    central: float
    lowest: float
    highest: float
    choices: tuple[float, ...] = ()


def marginal(
    distribution: str, given: Mapping[str, float], lists: Mapping[str, list[float]]
) -> Marginal:
    """Return the marginal of a cell.

    Parameters
    ----------
    distribution
        Name of the distribution.
    given
        Its numbers by key, see ``KEYS``, in model units.
    lists
        ``values`` and ``weights`` of a discrete or empirical one.

    Raises
    ------
    ValueError
        If a number is missing or impossible.

    Examples
    --------
    >>> marginal("uniform", {"low": 1.0, "high": 3.0}, {}).central
    2.0
    """
    if distribution in ("discrete", "empirical"):
        return _discrete(distribution, lists)
    build, needs = _FAMILIES[distribution]
    numbers = dict(given)
    if "mean" in numbers:
        numbers.setdefault("value", numbers.pop("mean"))
    for need in needs:
        if not any(option in numbers for option in need):
            wanted = " or ".join("value" if option == "mean" else option for option in need)
            raise ValueError(f"a {distribution} distribution needs {wanted}")
    for key in ("cv", "sd", "sigma"):
        if numbers.get(key, 0.0) < 0:
            raise ValueError(f"{key} is {numbers[key]:g} but must not be negative")
    if numbers.get("cv", 0.0) > _LARGEST_CV:
        raise ValueError(f"cv is {numbers['cv']:.0%}; if {numbers['cv']:g} % is meant, write the %")
    return build(numbers)


def deviation(cell: Marginal) -> float:
    """Return the standard deviation of a marginal.

    Examples
    --------
    >>> round(deviation(marginal("uniform", {"low": 0.0, "high": 12.0}, {})), 6)
    3.464102
    """
    numbers = cell.numbers
    match cell.kind:
        case "constant":
            return 0.0
        case "normal":
            return numbers[1]
        case "lognormal":
            return cell.central * math.sqrt(math.expm1(numbers[1] ** 2))
        case "uniform":
            return (numbers[1] - numbers[0]) / math.sqrt(12)
        case "triangular":
            low, mode, high = numbers
            return math.sqrt(((high - low) ** 2 - (mode - low) * (high - mode)) / 18)
        case "beta":
            a, b, _, width = numbers
            return width * math.sqrt(a * b / (a + b + 1)) / (a + b)
        case "discrete":
            shares = [q - p for p, q in itertools.pairwise((0.0, *numbers))]
            away = [(value - cell.central) ** 2 for value in cell.choices]
            return math.sqrt(math.fsum(s * d for s, d in zip(shares, away, strict=True)))
    return _truncated_deviation(cell)


def _truncated_deviation(cell: Marginal) -> float:
    """Return the standard deviation of what is left of a normal."""
    from statistics import NormalDist

    mean, scale, p_low, p_high = cell.numbers
    alpha, beta = (
        NormalDist().inv_cdf(p) if 0 < p < 1 else math.copysign(math.inf, p - 0.5)
        for p in (p_low, p_high)
    )
    ends = [0.0 if math.isinf(score) else score * _normal_pdf(score) for score in (alpha, beta)]
    share = p_high - p_low
    shift = (cell.central - mean) / scale
    return abs(scale) * math.sqrt(1 + (ends[0] - ends[1]) / share - shift * shift)


def superfluous(distributions: set[str], keys: set[str]) -> set[str]:
    """Return those of ``keys`` that mean nothing to any of the distributions.

    Examples
    --------
    >>> superfluous({"uniform"}, {"low", "high", "cv"})
    {'cv'}
    """
    useful: set[str] = set()
    for name in distributions:
        needs = _FAMILIES[name][1] if name in _FAMILIES else (("values",), ("weights",))
        useful.update(*needs)
    return keys - useful


def _constant(value: float) -> Marginal:
    return Marginal("constant", (value,), value, value, value)


def _spread(numbers: Mapping[str, float]) -> float:
    """Return the standard deviation, from sd or from cv times the mean."""
    if "sd" in numbers:
        return numbers["sd"]
    if numbers["value"] < 0 and numbers["cv"] > 0:
        raise ValueError(
            f"cv is a share of the mean, which is {numbers['value']:g}; give sd for a negative mean"
        )
    return numbers["cv"] * numbers["value"]


def _normal(numbers: Mapping[str, float]) -> Marginal:
    mean, sd = numbers["value"], _spread(numbers)
    if sd == 0:
        return _constant(mean)
    reach = _FURTHEST_SCORE * sd
    return Marginal("normal", (mean, sd), mean, mean - reach, mean + reach)


def _truncated_normal(numbers: Mapping[str, float]) -> Marginal:
    mean, sd = numbers["value"], _spread(numbers)
    low, high = numbers.get("low", -math.inf), numbers.get("high", math.inf)
    if not low < high:
        raise ValueError(f"low {low:g} must be below high {high:g}")
    if sd == 0:
        if not low <= mean <= high:
            raise ValueError(f"without spread the mean {mean:g} must lie in [{low:g}, {high:g}]")
        return _constant(mean)
    alpha, beta = (low - mean) / sd, (high - mean) / sd
    if alpha <= -_FURTHEST_SCORE and beta >= _FURTHEST_SCORE:
        return _normal(numbers)  # no draw reaches the bounds
    if alpha > 8 or beta < -8:
        raise ValueError(
            f"the bounds [{low:g}, {high:g}] lie more than 8 sd ({sd:g}) from the mean {mean:g}"
        )
    return _truncated(mean, sd, low, high)


def _truncated(mean: float, sd: float, low: float, high: float) -> Marginal:
    """Return a normal distribution between two bounds, of which either is within its reach."""
    from statistics import NormalDist

    alpha, beta = (low - mean) / sd, (high - mean) / sd
    # Beyond the mean the lower tail would lose its digits, so the upper one is mirrored.
    sign = -1.0 if alpha > 0 else 1.0
    p_low, p_high = normal_cdf(sign * alpha), normal_cdf(sign * beta)
    density = (_normal_pdf(alpha) - _normal_pdf(beta)) / abs(p_high - p_low)
    # The part of the normal that is left may be all tail, further out than the furthest score.
    ends = (p_low + u * (p_high - p_low) for u in (_LOWEST_UNIFORM, 1 - _LOWEST_UNIFORM))
    score = NormalDist().inv_cdf
    lowest, highest = (mean + sign * sd * score(min(p, 1 - _LOWEST_UNIFORM)) for p in ends)
    return Marginal(
        "truncated_normal",
        (mean, sign * sd, p_low, p_high),
        mean + sd * density,
        max(low, lowest - _ROUNDING * sd),
        min(high, highest + _ROUNDING * sd),
    )


def normal_cdf(score: float) -> float:
    """Return the share of a standard normal below a score.

    Examples
    --------
    >>> normal_cdf(0.0)
    0.5
    """
    return 0.5 * math.erfc(-score * math.sqrt(0.5))


def _normal_pdf(score: float) -> float:
    return math.exp(-0.5 * score * score) / math.sqrt(2 * math.pi) if math.isfinite(score) else 0.0


def _lognormal(numbers: Mapping[str, float]) -> Marginal:
    if "sigma" in numbers:
        if "mu" not in numbers:
            raise ValueError("a lognormal distribution with sigma needs mu")
        mu, sigma = numbers["mu"], numbers["sigma"]
    else:
        mean = numbers["value"]
        if mean == 0:
            return _constant(0.0)
        if mean < 0:
            raise ValueError(f"the mean of a lognormal is {mean:g} but must be positive")
        cv = numbers["cv"] if "cv" in numbers else numbers["sd"] / mean
        sigma = math.sqrt(math.log1p(cv * cv))
        mu = math.log(mean) - sigma * sigma / 2
    central = math.exp(mu + sigma * sigma / 2)
    if sigma == 0:
        return _constant(central)
    reach = _FURTHEST_SCORE * sigma
    return Marginal("lognormal", (mu, sigma), central, math.exp(mu - reach), math.exp(mu + reach))


def _bounds(numbers: Mapping[str, float]) -> tuple[float, float]:
    low, high = numbers["low"], numbers["high"]
    if low > high:
        raise ValueError(f"low {low:g} is above high {high:g}")
    return low, high


def _uniform(numbers: Mapping[str, float]) -> Marginal:
    low, high = _bounds(numbers)
    if low == high:
        return _constant(low)
    return Marginal("uniform", (low, high), (low + high) / 2, low, high)


def _mode(numbers: Mapping[str, float], low: float, high: float, weight: float) -> float:
    """Return the mode, given or from the mean, which weighs it ``weight`` against the bounds."""
    if "mode" in numbers:
        mode, origin = numbers["mode"], "the mode"
    else:
        mode = ((weight + 2) * numbers["value"] - low - high) / weight
        # The mode is a difference of numbers as large as the bounds and has their rounding.
        rounding = 1e-12 * max(abs(low), abs(high))
        if low - rounding <= mode <= high + rounding:
            mode = min(max(mode, low), high)
        origin = f"the mode that follows from the mean {numbers['value']:g}"
    if not low <= mode <= high:
        raise ValueError(
            f"{origin} is {mode:g}, outside [{low:g}, {high:g}]; check the row, give a mode"
        )
    return mode


def _triangular(numbers: Mapping[str, float]) -> Marginal:
    low, high = _bounds(numbers)
    mode = _mode(numbers, low, high, 1.0)
    if low == high:
        return _constant(low)
    return Marginal("triangular", (low, mode, high), (low + mode + high) / 3, low, high)


def _pert(numbers: Mapping[str, float]) -> Marginal:
    low, high = _bounds(numbers)
    mode = _mode(numbers, low, high, 4.0)
    if low == high:
        return _constant(low)
    width = high - low
    shapes = (1 + 4 * (mode - low) / width, 1 + 4 * (high - mode) / width)
    return Marginal("beta", (*shapes, low, width), (low + 4 * mode + high) / 6, low, high)


def _beta(numbers: Mapping[str, float]) -> Marginal:
    mean = numbers["value"]
    if not 0 <= mean <= 1:
        raise ValueError(f"the mean of a beta distribution is {mean:g} but must lie in [0, 1]")
    sd = _spread(numbers)
    if sd == 0:
        return _constant(mean)
    size = mean * (1 - mean) / (sd * sd) - 1  # = (1 - m) / (m cv^2) - 1
    if size <= 0:
        raise ValueError(
            f"sd {sd:g} is too large for a share of {mean:g}; "
            f"it must be below {math.sqrt(mean * (1 - mean)):.3g}"
        )
    return Marginal("beta", (mean * size, (1 - mean) * size, 0.0, 1.0), mean, 0.0, 1.0)


def _discrete(distribution: str, lists: Mapping[str, list[float]]) -> Marginal:
    values = lists.get("values") or []
    weights = lists.get("weights") or [1.0] * len(values)
    if not values:
        raise ValueError(f"a {distribution} distribution needs values")
    if distribution == "empirical" and "weights" in lists:
        raise ValueError(
            "an empirical distribution weighs its values alike; use discrete for weights"
        )
    if len(weights) != len(values):
        raise ValueError(f"{len(values)} values but {len(weights)} weights")
    if min(weights) < 0 or sum(weights) <= 0:
        raise ValueError("weights must not be negative, and not all zero")
    total, running, cumulative = math.fsum(weights), 0.0, []
    for weight in weights:
        running += weight / total
        cumulative.append(running)
    cumulative[-1] = 1.0
    central = math.fsum(v * w for v, w in zip(values, weights, strict=True)) / total
    return Marginal("discrete", tuple(cumulative), central, min(values), max(values), tuple(values))


_Builder = Callable[[Mapping[str, float]], Marginal]

_FAMILIES: dict[str, tuple[_Builder, tuple[tuple[str, ...], ...]]] = {
    "constant": (lambda numbers: _constant(numbers["value"]), (("value",),)),
    "normal": (_normal, (("value",), ("cv", "sd"))),
    "truncated_normal": (_truncated_normal, (("value",), ("cv", "sd"), ("low", "high"))),
    "lognormal": (_lognormal, (("value", "mu"), ("cv", "sd", "sigma"))),
    "uniform": (_uniform, (("low",), ("high",))),
    "triangular": (_triangular, (("low",), ("mode", "value"), ("high",))),
    "pert": (_pert, (("low",), ("mode", "value"), ("high",))),
    "beta": (_beta, (("value",), ("cv", "sd"))),
}
