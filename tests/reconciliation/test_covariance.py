"""Covariance of parameters: what least squares assume is what draws do."""

import itertools
import math

import numpy as np
import pytest
from distribution_cases import CASES, model
from numpy.testing import assert_allclose
from strategies import one_parameter, scenario

from ndmc.engine.evaluation import evaluate
from ndmc.model import compile_plan
from ndmc.reconciliation.covariance import factor_of
from ndmc.scenario.marginals import deviation

DRAWS = 200_000
SEED = 11
CHOICES = ["shared", "independent", "ar1(0.8)", "ar1(-0.5)", "mixed(0.3)"]
YEARS = ["2000", "2001", "2002"]


def drawn(data, names):
    """Return draws of all cells of some parameters, [cell, draw]."""
    plan = compile_plan(scenario(data), list(names))
    found = evaluate(plan, SEED, range(DRAWS))
    wide = (np.broadcast_to(found[name], (*found[name].shape[:-1], DRAWS)) for name in names)
    return np.concatenate([one.reshape(-1, DRAWS) for one in wide])


def covariance(data, names):
    """Return L L' of some parameters."""
    factor = factor_of(scenario(data), list(names)).toarray()
    return factor @ factor.T


def near(draws, expected):
    """Demand a covariance of draws, each entry within five standard errors of normals.

    Of n normals the variance of a covariance is (s_ii s_jj + s_ij ** 2) / n.
    """
    variances = np.diag(expected)
    error = np.sqrt((np.outer(variances, variances) + expected**2) / DRAWS)
    assert (np.abs(np.cov(draws) - expected) <= 5 * error + 1e-12 * variances.max()).all()


def field(along_k, along_year):
    """Return a scenario with one parameter by k and year, each cell with its own spread."""
    values = {k: {y: 10.0 * (n + 1) + m for m, y in enumerate(YEARS)} for n, k in enumerate("uvw")}
    return one_parameter(
        "2000..2002",
        {"k": ["u", "v", "w"]},
        dims=["k", "year"],
        value=values,
        distribution="normal",
        cv=0.1,
        errors={"k": along_k, "year": along_year},
    )


@pytest.mark.parametrize(
    ("along_k", "along_year"),
    [*itertools.product(["shared", "independent", "mixed(0.6)"], CHOICES)],
)
def test_covariance_is_that_of_draws(along_k, along_year):
    """Errors along two dims: the factor's covariance is that of 200 000 draws."""
    data = field(along_k, along_year)
    near(drawn(data, ["x"]), covariance(data, ["x"]))


def three(dims=False):
    """Return three correlated normal parameters and one beside them, by k and year or plain."""
    labels = {"k": ["u", "v"]} if dims else None
    shape = {"dims": ["k", "year"], "errors": {"k": "independent", "year": "ar1(0.6)"}}
    shape = shape if dims else {}
    data = one_parameter("2000..2002" if dims else "2000..2000", labels)
    means = {"x": 5.0, "y": 20.0, "z": 3.0, "alone": 7.0}
    for n, (name, mean) in enumerate(means.items()):
        value = {k: dict.fromkeys(YEARS, mean + m) for m, k in enumerate("uv")} if dims else mean
        data["parameters"][name] = {
            "unit": "t/yr",
            "value": value,
            "distribution": "normal",
            "sd": 1.0 + n,
            **shape,
        }
    for flow in data["flows"].values():
        flow["dims"] = ["k"] if dims else []
    matrix = [[1.0, 0.6, -0.3], [0.6, 1.0, 0.2], [-0.3, 0.2, 1.0]]
    data["correlations"] = [{"parameters": ["x", "y", "z"], "matrix": matrix}]
    return data


@pytest.mark.parametrize("dims", [False, True])
@pytest.mark.parametrize("names", ["xyz", "zx", "y", ["z", "alone", "x"]])
def test_correlated_parameters(dims, names):
    """Some of a correlated group, in any order, with others between them."""
    data = three(dims)
    near(drawn(data, names), covariance(data, names))


def test_correlations_are_those_written():
    """Plain parameters have the covariance of the matrix times their deviations."""
    got = covariance(three(), "xyz")
    matrix = np.array([[1.0, 0.6, -0.3], [0.6, 1.0, 0.2], [-0.3, 0.2, 1.0]])
    assert_allclose(got, matrix * np.outer([1, 2, 3], [1, 2, 3]), rtol=1e-14)


def test_exact_cells_have_no_errors():
    """A constant has a row of zeros, and no names have no rows."""
    data = one_parameter(value=3, distribution="constant")
    assert not factor_of(scenario(data), ["x"]).toarray().any()
    assert factor_of(scenario(data), []).shape == (0, 0)


@pytest.mark.parametrize("name", CASES)
def test_deviation_is_that_of_draws(name):
    """Each family's standard deviation is SciPy's, and the spread of its draws."""
    (cell,) = scenario(model(name)).parameters["x"].marginals
    _, variance, _, excess = (float(m) for m in CASES[name][1].stats("mvsk"))
    # SciPy's truncated tails lose digits of their variance by cancellation.
    assert math.isclose(deviation(cell), math.sqrt(variance), rel_tol=1e-6)
    draws = drawn(model(name), ["x"])
    # The variance of the variance of n values of excess kurtosis e is (e + 2) / n of its square.
    assert abs(draws.var() / deviation(cell) ** 2 - 1) < 5 * math.sqrt((excess + 2) / DRAWS)


@pytest.mark.parametrize("kind", ["discrete", "empirical"])
def test_deviation_of_values(kind):
    """A list of values has the deviation of its weighted values."""
    weights = {"weights": [1, 2, 5]} if kind == "discrete" else {}
    data = one_parameter(distribution=kind, values=[1, 4, 6], **weights)
    (cell,) = scenario(data).parameters["x"].marginals
    shares = np.array(weights.get("weights", [1, 1, 1])) / sum(weights.get("weights", [1, 1, 1]))
    values = np.array([1, 4, 6])
    centre = shares @ values
    moments = [shares @ (values - centre) ** power for power in (2, 4)]
    assert math.isclose(deviation(cell), math.sqrt(moments[0]), rel_tol=1e-14)
    error = math.sqrt((moments[1] - moments[0] ** 2) / DRAWS)
    assert abs(drawn(data, ["x"]).var() - moments[0]) < 5 * error
