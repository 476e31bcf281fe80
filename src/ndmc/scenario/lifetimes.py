"""Lifetimes: how they are written, and the share of a cohort that outlives an age."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ndmc.errors import nearest, shortened
from ndmc.scenario.expressions import ExpressionError
from ndmc.scenario.syntax import parse
from ndmc.scenario.units import NONE, TIME, Dimension
from ndmc.typing import Floats

__all__ = ["TABLE", "Argument", "canonical", "does_not_exist", "outlived", "parse_lifetime"]

#: The lifetime that is given as a table of shares, not as a distribution.
TABLE = "survival"


@dataclass(frozen=True)
class Argument:
    """A number of a lifetime: its name, dimension and whether it must be above zero."""

    name: str
    dimension: Dimension
    positive: bool = True


_MEAN, _MEDIAN = Argument("mean", TIME), Argument("median", TIME)

_SD, _CV = Argument("sd", TIME), Argument("cv", NONE)

_SCALE, _SHAPE = Argument("scale", TIME), Argument("shape", NONE)

_SIGMA, _GROWTH = Argument("sigma", NONE), Argument("g", TIME**-1)

_MOMENTS = ((_MEAN, _SD), (_MEAN, _CV))

# The first form of each is the one that is written without names. Weibull's scale and mean are
# none: of shapes on both sides of 2.166 they have the same ratio.
_FORMS: dict[str, tuple[tuple[Argument, ...], ...]] = {
    "fixed": ((Argument("years", TIME, positive=False),),),
    "normal": _MOMENTS,
    "truncated_normal": _MOMENTS,
    "folded_normal": _MOMENTS,
    "lognormal": (
        *_MOMENTS,
        (Argument("mu", NONE, positive=False), _SIGMA),
        (_MEAN, _SIGMA),
        (_MEDIAN, _SIGMA),
        (_MEDIAN, Argument("gsd", NONE)),
    ),
    "weibull": ((_SCALE, _SHAPE), (_MEAN, _CV), (_MEAN, _SD), (_MEAN, _SHAPE), (_MEDIAN, _SHAPE)),
    "gamma": (
        (_MEAN, _CV),
        (_MEAN, _SD),
        (_MEAN, _SHAPE),
        (_SHAPE, _SCALE),
        (_SHAPE, Argument("rate", TIME**-1)),
    ),
    "loglogistic": ((_SCALE, _SHAPE), (_MEAN, _SHAPE), (_MEDIAN, _SHAPE)),
    "gompertz": (
        (Argument("c", NONE), _GROWTH),
        (_MEDIAN, _GROWTH),
        (Argument("mode", TIME), _GROWTH),
    ),
    TABLE: ((Argument("table", NONE, positive=False),),),
}

#: What numbers of a kind must be for it to exist, where that is not only above zero.
_BOUNDS = {"loglogistic": "its mean needs a shape above 1", "lognormal": "its gsd is above 1"}


def parse_lifetime(text: str) -> tuple[str, dict[Argument, str]]:
    """Return the kind of a lifetime and the text of each of its arguments.

    Raises
    ------
    ExpressionError
        For anything that is not a known lifetime with all its arguments, each once.

    Examples
    --------
    >>> kind, arguments = parse_lifetime("weibull(scale, shape=2)")
    >>> kind, {argument.name: text for argument, text in arguments.items()}
    ('weibull', {'scale': 'scale', 'shape': '2'})
    """
    match parse(text):
        case ast.Call(func=ast.Name(id=kind), args=args, keywords=keywords) if kind in _FORMS:
            return kind, _arguments(kind, args, keywords)
        case ast.Call(func=ast.Name(id=kind)):
            raise ExpressionError(f"unknown lifetime {kind!r}; {nearest(kind, _FORMS)}")
    raise ExpressionError(f"lifetime is {text!r}; write one such as {_written('weibull')}")


def _written(kind: str) -> str:
    forms = (
        f"{kind}({', '.join(a.name + '=' * (n > 0) for a in form)})"
        for n, form in enumerate(_FORMS[kind])
    )
    return shortened(forms, last=" or ")


def does_not_exist(kind: str) -> str:
    """Say that there is no lifetime of a kind with some numbers.

    Examples
    --------
    >>> does_not_exist("loglogistic")
    'a lifetime of these numbers does not exist; its mean needs a shape above 1'
    """
    return f"a lifetime of these numbers does not exist; {_BOUNDS.get(kind, 'look at them')}"


def _arguments(kind: str, args: list[ast.expr], keywords: list[ast.keyword]) -> dict[Argument, str]:
    first = _FORMS[kind][0]
    if len(args) > len(first):
        raise ExpressionError(f"{len(args)} arguments given; write {_written(kind)}")
    given = [(argument.name, node) for argument, node in zip(first, args, strict=False)]
    given += [(keyword.arg or "**", keyword.value) for keyword in keywords]
    names = [name for name, _ in given]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise ExpressionError(f"{twice!r} is given twice; write {_written(kind)}")
    for form in _FORMS[kind]:
        if {argument.name for argument in form} == set(names):
            texts = dict(given)
            return {argument: ast.unparse(texts[argument.name]) for argument in form}
    known = {argument.name for form in _FORMS[kind] for argument in form}
    if set(names) <= known and any({a.name for a in f} < set(names) for f in _FORMS[kind]):
        raise ExpressionError(f"the lifetime is given twice; write {_written(kind)}")
    raise ExpressionError(f"the arguments do not fit; write {_written(kind)}")


def canonical(kind: str, given: Mapping[str, Floats]) -> tuple[Floats, ...]:
    """Return the numbers that `outlived` wants from those of any form of a lifetime."""
    convert = _CONVERSIONS.get((kind, *given))  # a loglogistic median is its scale
    return convert(*given.values()) if convert else tuple(given.values())


def _mean_and_sd(mean: Floats, cv: Floats) -> tuple[Floats, ...]:
    return mean, mean * cv


def _lognormal_of_mean(mean: Floats, sd: Floats) -> tuple[Floats, ...]:
    return _lognormal_of_cv(mean, sd / mean)


def _lognormal_of_cv(mean: Floats, cv: Floats) -> tuple[Floats, ...]:
    # mean = exp(mu + variance / 2), and cv**2 + 1 = exp(variance)
    variance = np.log1p(cv**2)
    return np.log(mean) - variance / 2, np.sqrt(variance)


def _lognormal_of_sigma(mean: Floats, sigma: Floats) -> tuple[Floats, ...]:
    return np.log(mean) - sigma**2 / 2, sigma


def _lognormal_of_median(median: Floats, sigma: Floats) -> tuple[Floats, ...]:
    return np.log(median), sigma


def _lognormal_of_gsd(median: Floats, gsd: Floats) -> tuple[Floats, ...]:
    # A geometric standard deviation of 1 and below is none: nan, which the run names.
    return np.log(median), np.log(np.where(gsd > 1, gsd, np.nan))


def _weibull_of_cv(mean: Floats, cv: Floats) -> tuple[Floats, ...]:
    return _weibull_of_mean(mean, _weibull_shape(cv))


def _weibull_of_sd(mean: Floats, sd: Floats) -> tuple[Floats, ...]:
    return _weibull_of_cv(mean, sd / mean)


def _weibull_of_mean(mean: Floats, shape: Floats) -> tuple[Floats, ...]:
    from scipy.special import gamma

    return mean / gamma(1 + 1 / shape), shape


def _weibull_of_median(median: Floats, shape: Floats) -> tuple[Floats, ...]:
    # exp(-(median / scale)**shape) = 1 / 2
    return median * np.log(2.0) ** (-1 / shape), shape


def _weibull_shape(cv: Floats) -> Floats:
    """Solve cv**2 + 1 = G(1 + 2/b) / G(1 + 1/b)**2 for the shape b, by Newton on log b."""
    from scipy.special import gammaln, psi

    target = np.log1p(cv**2)
    x = np.log(np.clip(cv**-1.086, 0.05, 100.0))  # Justus et al. 1978: within 1 % near shape 2
    for _ in range(50):
        inverse = np.exp(-x)
        value = gammaln(1 + 2 * inverse) - 2 * gammaln(1 + inverse) - target
        slope = 2 * inverse * (psi(1 + inverse) - psi(1 + 2 * inverse))
        change = np.clip(value / slope, -1.0, 1.0)
        # What has converged stays, so that a draw's bits do not depend on its neighbours.
        change[np.abs(change) < 1e-15 * np.maximum(np.abs(x), 1.0)] = 0.0
        x = x - change
        if not change.any():
            break
    return np.exp(x)


def _gamma_of_cv(mean: Floats, cv: Floats) -> tuple[Floats, ...]:
    # mean = shape scale, and cv**2 = 1 / shape
    return cv**-2, mean * cv**2


def _gamma_of_sd(mean: Floats, sd: Floats) -> tuple[Floats, ...]:
    return _gamma_of_cv(mean, sd / mean)


def _gamma_of_mean(mean: Floats, shape: Floats) -> tuple[Floats, ...]:
    return shape, mean / shape


def _gamma_of_rate(shape: Floats, rate: Floats) -> tuple[Floats, ...]:
    return shape, 1 / rate


def _loglogistic_of_mean(mean: Floats, shape: Floats) -> tuple[Floats, ...]:
    # Shapes of 1 and below have no mean: nan, which the run names.
    return np.where(shape > 1, mean * np.sinc(1 / shape), np.nan), shape


def _gompertz_of_median(median: Floats, g: Floats) -> tuple[Floats, ...]:
    # exp(-c (exp(g median) - 1)) = 1 / 2
    return np.log(2.0) / np.expm1(g * median), g


def _gompertz_of_mode(mode: Floats, g: Floats) -> tuple[Floats, ...]:
    # The density c g exp(g a - c (exp(g a) - 1)) is highest where c exp(g a) = 1.
    return np.exp(-g * mode), g


_CONVERSIONS: dict[tuple[str, ...], Callable[..., tuple[Floats, ...]]] = {
    ("normal", "mean", "cv"): _mean_and_sd,
    ("truncated_normal", "mean", "cv"): _mean_and_sd,
    ("folded_normal", "mean", "cv"): _mean_and_sd,
    ("lognormal", "mean", "sd"): _lognormal_of_mean,
    ("lognormal", "mean", "cv"): _lognormal_of_cv,
    ("lognormal", "mean", "sigma"): _lognormal_of_sigma,
    ("lognormal", "median", "sigma"): _lognormal_of_median,
    ("lognormal", "median", "gsd"): _lognormal_of_gsd,
    ("weibull", "mean", "cv"): _weibull_of_cv,
    ("weibull", "mean", "sd"): _weibull_of_sd,
    ("weibull", "mean", "shape"): _weibull_of_mean,
    ("weibull", "median", "shape"): _weibull_of_median,
    ("gamma", "mean", "cv"): _gamma_of_cv,
    ("gamma", "mean", "sd"): _gamma_of_sd,
    ("gamma", "mean", "shape"): _gamma_of_mean,
    ("gamma", "shape", "rate"): _gamma_of_rate,
    ("loglogistic", "mean", "shape"): _loglogistic_of_mean,
    ("gompertz", "median", "g"): _gompertz_of_median,
    ("gompertz", "mode", "g"): _gompertz_of_mode,
}


def outlived(kind: str, ages: Floats, numbers: tuple[Floats, ...]) -> Floats:
    """Return the share of a cohort that outlives each age.

    Parameters
    ----------
    kind
        Name of the lifetime, but not the table.
    ages
        Years since the inflow, from 0 on; broadcasts against the numbers.
    numbers
        What `canonical` returns.

    Examples
    --------
    >>> outlived("fixed", np.array([3.0, 4.0]), (np.array(3.5),)).tolist()
    [1.0, 0.0]
    """
    # The logarithm of age 0, and powers beyond all floats, lead to the right limits: 1 and 0.
    with np.errstate(divide="ignore", over="ignore"):
        return np.asarray(_SURVIVAL[kind](ages, *numbers), dtype=np.float64)


def _fixed(age: Floats, years: Floats) -> Floats:
    return np.asarray(age < years, dtype=np.float64)


def _normal(age: Floats, mean: Floats, sd: Floats) -> Floats:
    from scipy.special import ndtr

    return np.asarray(ndtr((mean - age) / sd))


def _truncated_normal(age: Floats, mean: Floats, sd: Floats) -> Floats:
    return _normal(age, mean, sd) / _normal(np.zeros(1), mean, sd)


def _folded_normal(age: Floats, mean: Floats, sd: Floats) -> Floats:
    return _normal(age, mean, sd) + _normal(age, -mean, sd)


def _lognormal(age: Floats, mu: Floats, sigma: Floats) -> Floats:
    return _normal(np.log(age), mu, sigma)


def _weibull(age: Floats, scale: Floats, shape: Floats) -> Floats:
    return np.exp(-((age / scale) ** shape))


def _gamma(age: Floats, shape: Floats, scale: Floats) -> Floats:
    from scipy.special import gammaincc

    return np.asarray(gammaincc(shape, age / scale))


def _loglogistic(age: Floats, scale: Floats, shape: Floats) -> Floats:
    return 1.0 / (1.0 + (age / scale) ** shape)


def _gompertz(age: Floats, c: Floats, g: Floats) -> Floats:
    return np.exp(-c * np.expm1(g * age))


_SURVIVAL: dict[str, Callable[..., Floats]] = {
    "fixed": _fixed,
    "normal": _normal,
    "truncated_normal": _truncated_normal,
    "folded_normal": _folded_normal,
    "lognormal": _lognormal,
    "weibull": _weibull,
    "gamma": _gamma,
    "loglogistic": _loglogistic,
    "gompertz": _gompertz,
}
