"""Every distribution as a scenario gives it, beside SciPy's."""

import math

import numpy as np
from scipy import stats
from strategies import one_parameter


def lognormal(mean, cv):
    """Return SciPy's lognormal of a mean and a coefficient of variation."""
    sigma = math.sqrt(math.log(1 + cv**2))
    return stats.lognorm(sigma, scale=mean / math.sqrt(1 + cv**2))


def truncated(mean, sd, low, high):
    """Return SciPy's normal of these parent moments, truncated."""
    return stats.truncnorm((low - mean) / sd, (high - mean) / sd, mean, sd)


def triangle(low, mode, high):
    """Return SciPy's triangular distribution."""
    return stats.triang((mode - low) / (high - low), low, high - low)


def pert(low, mode, high):
    """Return the beta distribution of a PERT estimate."""
    width = high - low
    return stats.beta(1 + 4 * (mode - low) / width, 1 + 4 * (high - mode) / width, low, width)


def beta(mean, cv):
    """Return the beta distribution of a mean and a coefficient of variation."""
    size = (1 - mean) / (mean * cv**2) - 1
    return stats.beta(mean * size, (1 - mean) * size)


CASES = {
    "normal": ({"value": 5, "cv": "10 %"}, stats.norm(5, 0.5)),
    "normal-sd": ({"value": -2, "sd": 3}, stats.norm(-2, 3)),
    "truncated_normal": ({"value": 1, "sd": 1, "low": 0}, truncated(1, 1, 0, np.inf)),
    "truncated_normal-lower-tail": (
        {"value": 0, "sd": 1, "low": -9, "high": -3},
        truncated(0, 1, -9, -3),
    ),
    "truncated_normal-upper-tail": (
        {"value": 0, "sd": 1, "low": 5, "high": 8},
        truncated(0, 1, 5, 8),
    ),
    "truncated_normal-two-sided": (
        {"value": 1, "cv": 0.5, "low": 0.8, "high": 1.1},
        truncated(1, 0.5, 0.8, 1.1),
    ),
    "lognormal": ({"value": 5, "cv": 0.6}, lognormal(5, 0.6)),
    "lognormal-sd": ({"value": 5, "sd": 3}, lognormal(5, 0.6)),
    "lognormal-mu": ({"mu": 1, "sigma": 0.5}, stats.lognorm(0.5, scale=math.e)),
    "uniform": ({"low": -1, "high": 3}, stats.uniform(-1, 4)),
    "triangular": ({"low": 1, "mode": 2, "high": 6}, triangle(1, 2, 6)),
    "triangular-mean": ({"low": 1, "value": 3, "high": 6}, triangle(1, 2, 6)),
    "triangular-left": ({"low": 1, "mode": 1, "high": 6}, triangle(1, 1, 6)),
    "triangular-right": ({"low": 1, "mode": 6, "high": 6}, triangle(1, 6, 6)),
    "pert": ({"low": 1, "mode": 2, "high": 6}, pert(1, 2, 6)),
    "pert-mean": ({"low": 1, "value": 2.5, "high": 6}, pert(1, 2, 6)),
    "beta": ({"value": 0.3, "cv": "20 %"}, beta(0.3, 0.2)),
    "beta-wide": ({"value": 0.5, "cv": 0.9}, beta(0.5, 0.9)),
}


def model(name):
    """Return the scenario of a case."""
    keys, _ = CASES[name]
    return one_parameter(distribution=name.partition("-")[0], range="any", **keys)
