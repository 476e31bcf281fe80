"""Uncertainty of cells: what a distribution needs, and the numbers its quantile kernel takes.

All cells of a parameter at once, by columns. Logarithms, exponentials and the error function are
those of `math`, cell by cell: NumPy's differ from them in the last bit, and so would results.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ndmc.scenario.marginals import KINDS, Marginals, joined, normal_cdf, normal_pdf
from ndmc.scenario.quality import LARGEST_CV, TOO_WIDE
from ndmc.typing import Floats

# A uniform has 52 bits, so no draw lies further out than this many standard deviations.
_FURTHEST_SCORE = 8.21

_LOWEST_UNIFORM = 2.0**-53

# Where a truncated tail ends, its probabilities keep so few digits that scores err by 1e-8.
_ROUNDING = 1e-6

KEYS = ("value", "mean", "cv", "sd", "low", "mode", "high", "mu", "sigma")

#: Those that are in the unit of the parameter.
WITH_UNIT = ("value", "mean", "sd", "low", "mode", "high")

#: Those that are not.
WITHOUT_UNIT = ("cv", "mu", "sigma")

#: Numbers in messages that are.
_IN_UNIT = ("mean", "mode", "low", "high", "sd")

#: How wide a cell is.
SPREAD = ("cv", "sd")

#: Numbers and lists that a parameter gives for all its cells, and no column.
OWN = ("concentration", "values", "weights")

_Mask = npt.NDArray[np.bool_]


class MarginalError(ValueError):
    """What is wrong with the numbers of a distribution, and the first cell that has it."""

    def __init__(self, message: str, cell: int = 0, **numbers: float) -> None:
        self.cell, self._message, self._numbers = cell, message, numbers
        super().__init__(message.format(**numbers))

    def in_unit(self, factor: float) -> str:
        """Return the message with its numbers in the unit of the parameter, as they are written."""
        return self._message.format(
            **{n: x / factor if n in _IN_UNIT else x for n, x in self._numbers.items()}
        )


def marginals(
    distribution: str,
    given: Mapping[str, Floats],
    lists: Mapping[str, list[float]],
    size: int,
) -> Marginals:
    """Return the marginals of cells that have the same distribution.

    Parameters
    ----------
    distribution
        Name of the distribution.
    given
        Its numbers by key, see ``KEYS``, in model units: one for each cell.
    lists
        ``values`` and ``weights`` of a discrete or empirical one.
    size
        The number of cells.

    Raises
    ------
    MarginalError
        If a number is missing or impossible.

    Examples
    --------
    >>> marginals("uniform", {"low": np.array([1.0]), "high": np.array([3.0])}, {}, 1)[0].central
    2.0
    """
    if distribution in ("discrete", "empirical"):
        return _discrete(distribution, lists, size)
    build, needs = FAMILIES[distribution]
    numbers = dict(given)
    if "mean" in numbers:
        numbers.setdefault("value", numbers.pop("mean"))
    if missing := [need for need in needs if numbers.keys().isdisjoint(need)]:
        wanted = " and ".join(map(" or ".join, missing))
        raise MarginalError(f"a {distribution} distribution needs {wanted}")
    for key in {"cv", "sd", "sigma"} & set(numbers):
        message = f"{key} is {{{key}:g}} but must not be negative"
        _refuse(numbers[key] < 0, message, **{key: numbers[key]})
    if "cv" in numbers:
        _refuse(numbers["cv"] > LARGEST_CV, f"cv is {TOO_WIDE}", cv=numbers["cv"])
    with np.errstate(all="ignore"):  # what cannot be computed is refused
        found = build(numbers)
    _refuse_extreme(found)
    return found


# --- families -------------------------------------------------------------------------------------


def _refuse(wrong: _Mask, message: str, **numbers: Floats) -> None:
    """Refuse the first cell that is wrong, with its numbers in the message."""
    if wrong.any():
        cell = int(wrong.argmax())
        shown = {name: float(values[cell]) for name, values in numbers.items()}
        raise MarginalError(message, cell, **shown)


def _each(function: Callable[[float], float], values: Floats) -> Floats:
    return np.array([*map(function, values.tolist())], dtype=np.float64)


def _exp(values: Floats) -> Floats:
    largest = math.log(sys.float_info.max)
    return np.where(values > largest, np.inf, _each(math.exp, np.minimum(values, largest)))


def _alike(
    kind: str, numbers: Sequence[Floats], central: Floats, lowest: Floats, highest: Floats
) -> Marginals:
    """Return the marginals of cells of one kind."""
    kinds = np.full(len(central), [*KINDS].index(kind), dtype=np.int8)
    return Marginals(kinds, np.stack(numbers, axis=1), central, lowest, highest, np.empty(0))


def _constant(value: Floats) -> Marginals:
    return _alike("constant", (value,), value, value, value)


def _unless(exact: _Mask, value: Floats, found: Marginals) -> Marginals:
    """Return constants where there is no spread, and what was found elsewhere."""
    if not exact.any():
        return found
    one = _constant(value)
    return joined([(exact, one.at(exact)), (~exact, found.at(~exact))], len(exact))


def _refuse_extreme(found: Marginals) -> None:
    finite = np.isfinite(found.central) & np.isfinite(found.lowest) & np.isfinite(found.highest)
    for kind, cells in found.groups().items():
        finite[cells] &= np.isfinite(found.numbers_of(kind, cells)).all(axis=1)
    _refuse(~finite, "the numbers are too large or too small to compute with")


def _spread(numbers: Mapping[str, Floats]) -> Floats:
    """Return the standard deviation, from sd or from cv times the mean."""
    if "sd" in numbers:
        return numbers["sd"]
    mean, cv = numbers["value"], numbers["cv"]
    message = "cv is a share of the mean, which is {mean:g}; give sd for a negative mean"
    _refuse((mean < 0) & (cv > 0), message, mean=mean)
    return cv * mean


def _normal(numbers: Mapping[str, Floats]) -> Marginals:
    mean, sd = numbers["value"], _spread(numbers)
    reach = _FURTHEST_SCORE * sd
    found = _alike("normal", (mean, sd), mean, mean - reach, mean + reach)
    return _unless(sd == 0, mean, found)


def _truncated_normal(numbers: Mapping[str, Floats]) -> Marginals:
    mean, sd = numbers["value"], _spread(numbers)
    low = numbers.get("low", np.full(len(mean), -np.inf))
    high = numbers.get("high", np.full(len(mean), np.inf))
    _refuse(~(low < high), "low {low:g} must be below high {high:g}", low=low, high=high)
    exact, given = sd == 0, {"mean": mean, "sd": sd, "low": low, "high": high}
    message = "without spread the mean {mean:g} must lie in [{low:g}, {high:g}]"
    _refuse(exact & ~((low <= mean) & (mean <= high)), message, **given)
    alpha, beta = (low - mean) / sd, (high - mean) / sd
    # Elsewhere no draw reaches the bounds.
    cut = ~exact & ~((alpha <= -_FURTHEST_SCORE) & (beta >= _FURTHEST_SCORE))
    message = "the bounds [{low:g}, {high:g}] lie more than 8 sd ({sd:g}) from the mean {mean:g}"
    _refuse(cut & ((alpha > 8) | (beta < -8)), message, **given)
    whole, parts = _normal(numbers), _truncated(mean[cut], sd[cut], low[cut], high[cut])
    return joined([(~cut, whole.at(~cut)), (cut, parts)], len(mean)) if cut.any() else whole


def _truncated(mean: Floats, sd: Floats, low: Floats, high: Floats) -> Marginals:
    """Return normal distributions between two bounds, of which either is within its reach."""
    from statistics import NormalDist

    alpha, beta = (low - mean) / sd, (high - mean) / sd
    # Beyond the mean the lower tail would lose its digits, so the upper one is mirrored.
    sign = np.where(alpha > 0, -1.0, 1.0)
    p_low, p_high = _each(normal_cdf, sign * alpha), _each(normal_cdf, sign * beta)
    density = (_each(normal_pdf, alpha) - _each(normal_pdf, beta)) / np.abs(p_high - p_low)
    # The part of the normal that is left may be all tail, further out than the furthest score.
    ends = (p_low + u * (p_high - p_low) for u in (_LOWEST_UNIFORM, 1 - _LOWEST_UNIFORM))
    scores = (_each(NormalDist().inv_cdf, np.minimum(p, 1 - _LOWEST_UNIFORM)) for p in ends)
    lowest, highest = (mean + sign * sd * score for score in scores)
    return _alike(
        "truncated_normal",
        (mean, sign * sd, p_low, p_high),
        mean + sd * density,
        np.maximum(low, lowest - _ROUNDING * sd),
        np.minimum(high, highest + _ROUNDING * sd),
    )


def _lognormal(numbers: Mapping[str, Floats]) -> Marginals:
    if "sigma" in numbers:
        if "mu" not in numbers:
            raise MarginalError("a lognormal distribution with sigma needs mu")
        mu, sigma = numbers["mu"], numbers["sigma"]
        central = _exp(mu + sigma * sigma / 2)
        exact, value = sigma == 0, central
    elif "mu" in numbers:
        raise MarginalError("a lognormal distribution with mu needs sigma")
    else:
        mean = numbers["value"]
        message = "the mean of a lognormal is {mean:g} but must be positive"
        _refuse(mean < 0, message, mean=mean)
        positive = np.where(mean > 0, mean, 1.0)
        cv = numbers["cv"] if "cv" in numbers else numbers["sd"] / positive
        sigma = np.sqrt(_each(math.log1p, cv * cv))
        mu = _each(math.log, positive) - sigma * sigma / 2
        central = _exp(mu + sigma * sigma / 2)
        exact, value = (sigma == 0) | (mean == 0), np.where(mean == 0, 0.0, central)
    reach = _FURTHEST_SCORE * sigma
    found = _alike("lognormal", (mu, sigma), central, _exp(mu - reach), _exp(mu + reach))
    return _unless(exact, value, found)


def _bounds(numbers: Mapping[str, Floats]) -> tuple[Floats, Floats]:
    low, high = numbers["low"], numbers["high"]
    _refuse(low > high, "low {low:g} is above high {high:g}", low=low, high=high)
    return low, high


def _uniform(numbers: Mapping[str, Floats]) -> Marginals:
    low, high = _bounds(numbers)
    return _unless(low == high, low, _alike("uniform", (low, high), (low + high) / 2, low, high))


def _mode(numbers: Mapping[str, Floats], low: Floats, high: Floats, weight: float) -> Floats:
    """Return the mode, given or from the mean, which weighs it ``weight`` against the bounds."""
    given = {"low": low, "high": high}
    if "mode" in numbers:
        mode, origin = numbers["mode"], "the mode"
    else:
        mean = given["mean"] = numbers["value"]
        mode = ((weight + 2) * mean - low - high) / weight
        # The mode is a difference of numbers as large as the bounds and has their rounding.
        rounding = 1e-12 * np.maximum(np.abs(low), np.abs(high))
        near = (low - rounding <= mode) & (mode <= high + rounding)
        mode = np.where(near, np.minimum(np.maximum(mode, low), high), mode)
        origin = "the mode that follows from the mean {mean:g}"
    message = origin + " is {mode:g}, outside [{low:g}, {high:g}]; check the row, give a mode"
    _refuse(~((low <= mode) & (mode <= high)), message, mode=mode, **given)
    return mode


def _triangular(numbers: Mapping[str, Floats]) -> Marginals:
    low, high = _bounds(numbers)
    mode = _mode(numbers, low, high, 1.0)
    found = _alike("triangular", (low, mode, high), (low + mode + high) / 3, low, high)
    return _unless(low == high, low, found)


def _pert(numbers: Mapping[str, Floats]) -> Marginals:
    low, high = _bounds(numbers)
    mode = _mode(numbers, low, high, 4.0)
    width = high - low
    shapes = (1 + 4 * (mode - low) / width, 1 + 4 * (high - mode) / width)
    found = _alike("beta", (*shapes, low, width), (low + 4 * mode + high) / 6, low, high)
    return _unless(low == high, low, found)


def _beta(numbers: Mapping[str, Floats]) -> Marginals:
    mean = numbers["value"]
    message = "the mean of a beta distribution is {share:g} but must lie in [0, 1]"
    message += "; check number and unit, or take another distribution such as lognormal"
    _refuse(~((mean >= 0) & (mean <= 1)), message, share=mean)
    sd = _spread(numbers)
    size = mean * (1 - mean) / (sd * sd) - 1  # = (1 - m) / (m cv^2) - 1
    message = "sd {spread:g} is too large for a share of {share:g}; it must be below {most:.3g}"
    most = np.sqrt(mean * (1 - mean))
    _refuse((sd != 0) & (size <= 0), message, spread=sd, share=mean, most=most)
    nothing, all_of_it = np.zeros(len(mean)), np.ones(len(mean))
    shapes = (mean * size, (1 - mean) * size)
    found = _alike("beta", (*shapes, nothing, all_of_it), mean, nothing, all_of_it)
    return _unless(sd == 0, mean, found)


def _discrete(distribution: str, lists: Mapping[str, list[float]], size: int) -> Marginals:
    values = lists.get("values") or []
    weights = lists.get("weights") or [1.0] * len(values)
    if not values:
        raise MarginalError(f"a {distribution} distribution needs values")
    if distribution == "empirical" and "weights" in lists:
        raise MarginalError(
            "an empirical distribution weighs its values alike; use discrete for weights"
        )
    if len(weights) != len(values):
        raise MarginalError(f"{len(values)} values but {len(weights)} weights")
    if min(weights) < 0 or sum(weights) <= 0:
        raise MarginalError("weights must not be negative, and not all zero")
    total, running, cumulative = math.fsum(weights), 0.0, []
    for weight in weights:
        running += weight / total
        cumulative.append(running)
    cumulative[-1] = 1.0
    central = math.fsum(v * w for v, w in zip(values, weights, strict=True)) / total
    numbers = [np.full(size, share) for share in cumulative]
    known = (np.full(size, number) for number in (central, min(values), max(values)))
    found = _alike("discrete", numbers, *known)
    _refuse_extreme(found)
    return replace(found, choices=np.array(values, dtype=np.float64))


def _dirichlet(numbers: Mapping[str, Floats]) -> Marginals:
    """Return shares with their concentration or cv, of which their composition makes one."""
    key = "concentration" if "concentration" in numbers else "cv"
    mean, wide = numbers["value"], numbers[key]
    found = _alike("dirichlet", (mean, wide), mean, 0.0 * mean, mean)
    return _unless((mean == 0) | (wide == 0), mean, found)


_Builder = Callable[[Mapping[str, Floats]], Marginals]

FAMILIES: dict[str, tuple[_Builder, tuple[tuple[str, ...], ...]]] = {
    "constant": (lambda numbers: _constant(numbers["value"]), (("value",),)),
    "normal": (_normal, (("value",), ("cv", "sd"))),
    "truncated_normal": (_truncated_normal, (("value",), ("cv", "sd"), ("low", "high"))),
    "lognormal": (_lognormal, (("value", "mu"), ("cv", "sd", "sigma"))),
    "uniform": (_uniform, (("low",), ("high",))),
    "triangular": (_triangular, (("low",), ("mode", "value"), ("high",))),
    "pert": (_pert, (("low",), ("mode", "value"), ("high",))),
    "beta": (_beta, (("value",), ("cv", "sd"))),
    "dirichlet": (_dirichlet, (("value",), ("concentration", "cv"))),
}
