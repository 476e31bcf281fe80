"""Distributions: drawn through whole scenarios, and held to SciPy's."""

import dataclasses
import math

import numpy as np
import pytest
from distribution_cases import CASES, lognormal, model
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from strategies import draw, one_parameter, scenario, write

import ndmc
from ndmc.engine import evaluation, tiles
from ndmc.model import compile_plan
from ndmc.scenario.distributions import MarginalError, marginals

DRAWS = 20_000
each_case = pytest.mark.parametrize("name", CASES)


@each_case
def test_draws_follow_the_distribution(name):
    """20 000 draws pass a Kolmogorov-Smirnov test, and mean and sd lie within 4 standard errors."""
    expected = CASES[name][1]
    got = draw(model(name), draws=DRAWS)
    assert stats.kstest(got, expected.cdf).pvalue > 1e-4
    mean, variance, _, kurtosis = (float(m) for m in expected.stats("mvsk"))
    assert abs(got.mean() - mean) < 4 * math.sqrt(variance / DRAWS)
    assert abs(got.var() - variance) < 4 * variance * math.sqrt((kurtosis + 2) / DRAWS)


@each_case
def test_central_value_is_the_mean(name):
    """What a deterministic run uses is the distribution's mean, to rounding."""
    plan = compile_plan(scenario(model(name)), ["x"])
    got = evaluation.evaluate_central(plan)["x"]
    # The truncated upper tail divides two small probabilities; a kernel twin needs no more.
    assert_allclose(got, CASES[name][1].mean(), rtol=1e-12)


@each_case
def test_extreme_uniforms_give_finite_values(name):
    """The lowest and highest uniform there are give finite values within what a cell reaches."""
    loaded = scenario(model(name))
    (sampler,) = compile_plan(loaded, ["x"]).samplers
    (group,) = sampler.groups
    uniforms = np.full((1, 64), 2.0**-53)
    uniforms[0, 32:] = 1 - 2.0**-53
    on_scores = group.kind in ("normal", "lognormal")
    rows = np.concatenate([stats.norm.ppf(uniforms) if on_scores else uniforms, np.empty((1, 64))])
    tiles._quantile(dataclasses.replace(group, target_of=group.target_of + 1), rows)
    out = rows[1:]
    assert np.isfinite(out).all()
    (cell,) = loaded.parameters["x"].marginals
    rounding = 1e-15 * np.abs(out).max()
    assert cell.lowest - rounding <= out[0, 0] <= out[0, -1] <= cell.highest + rounding
    # So near to 0 or 1 a uniform, and what is made of it, is right to one bit of itself.
    beyond = [CASES[name][1].cdf(out[0, 0]), CASES[name][1].sf(out[0, -1])]
    assert_allclose(beyond, 2.0**-53, rtol=0, atol=1.001 * 2.0**-53)


@pytest.mark.parametrize(
    "keys",
    [
        {"distribution": "normal", "value": 5, "cv": 0},
        {"distribution": "normal", "value": 0, "cv": "10 %"},
        {"distribution": "truncated_normal", "value": 5, "sd": 0, "low": 0},
        {"distribution": "lognormal", "value": 5, "cv": 0},
        {"distribution": "lognormal", "value": 0, "cv": 0.5},
        {"distribution": "uniform", "low": 5, "high": 5},
        {"distribution": "triangular", "low": 5, "mode": 5, "high": 5},
        {"distribution": "pert", "low": 5, "mode": 5, "high": 5},
        {"distribution": "beta", "value": 0, "cv": 0.1},
        {"distribution": "beta", "value": 1, "cv": 0},
        {"distribution": "constant", "value": 5},
    ],
)
def test_no_spread_is_a_constant(keys):
    """Without spread, or as a share of zero, a parameter is exactly its value and not drawn."""
    loaded = scenario(one_parameter(**keys))
    assert compile_plan(loaded, ["x"]).samplers == ()
    expected = keys.get("value", keys.get("low"))
    assert_allclose(draw(one_parameter(**keys), draws=5), expected, rtol=1e-15)


def test_discrete_values_come_as_often_as_weighed():
    """Frequencies pass a chi-squared test; a value of weight zero never comes."""
    weights = [1, 2, 0, 7]
    data = one_parameter(distribution="discrete", values=[3.0, 1.0, 9.0, 2.0], weights=weights)
    values, counts = np.unique(draw(data, draws=DRAWS), return_counts=True)
    assert_array_equal(values, [1.0, 2.0, 3.0])
    assert stats.chisquare(counts, DRAWS * np.array([0.2, 0.7, 0.1])).pvalue > 1e-4


def test_empirical_values_come_alike():
    """Each value of an empirical distribution is as likely, one that stands twice twice."""
    data = one_parameter(distribution="empirical", values=[1.0, 2.0, 2.0, 5.0])
    values, counts = np.unique(draw(data, draws=DRAWS), return_counts=True)
    assert_array_equal(values, [1.0, 2.0, 5.0])
    assert stats.chisquare(counts, DRAWS * np.array([0.25, 0.5, 0.25])).pvalue > 1e-4


def test_units_scale_every_key():
    """Values, spreads and bounds are all converted: the same draws in kg as in t."""
    for keys in (
        {"distribution": "truncated_normal", "value": 5, "sd": 2, "low": 3, "high": 8},
        {"distribution": "triangular", "low": 1, "mode": 2, "high": 6},
        {"distribution": "discrete", "values": [1, 2, 5]},
        {"distribution": "lognormal", "mu": 1, "sigma": 0.5},
    ):
        tonnes = draw(one_parameter(**keys), draws=1000, name="given")
        kilograms = draw(one_parameter(**{**keys, "unit": "kg/yr"}), draws=1000, name="given")
        assert_allclose(kilograms, tonnes / 1000, rtol=1e-13)


def test_kinds_may_differ_by_cell(tmp_path):
    """Cells of one parameter that are normal, constant and lognormal keep to themselves."""
    keys = {"dims": ["k"], "grade": "by_confidence", "table": "x.csv"}
    data = one_parameter(labels={"k": ["n", "c", "l"]}, errors={"k": "independent"}, **keys)
    data["grades"] = {
        "wide": {"distribution": "normal", "cv": 0.1},
        "exact": {"distribution": "constant"},
        "skew": {"distribution": "lognormal", "cv": 0.5},
    }
    data["confidence"] = {"W": "wide", "E": "exact", "S": "skew"}
    folder = write(data, tmp_path / "mixed")
    (folder / "x.csv").write_text("k,value,confidence\nn,5,W\nc,7,E\nl,5,S\n", encoding="utf-8")
    got = ndmc.evaluate(compile_plan(ndmc.load(folder), ["x"]), 3, range(DRAWS))["x"]
    assert stats.kstest(got[0], stats.norm(5, 0.5).cdf).pvalue > 1e-4
    assert (got[1] == 7).all()
    assert stats.kstest(got[2], lognormal(5, 0.5).cdf).pvalue > 1e-4


def one(family, numbers):
    """Return the marginal of one cell."""
    return marginals(family, {key: np.array([n]) for key, n in numbers.items()}, {}, 1)[0]


FAMILIES = {
    "constant": ("value",),
    "normal": ("value", "sd"),
    "truncated_normal": ("value", "sd", "low", "high"),
    "lognormal": ("value", "cv"),
    "uniform": ("low", "high"),
    "triangular": ("low", "mode", "high"),
    "pert": ("low", "value", "high"),
    "beta": ("share", "cv"),
}


@given(family=st.sampled_from([*FAMILIES]), data=st.data())
def test_cells_are_read_alike_alone_and_together(family, data):
    """Of many cells each has the marginal it has alone, to the bit, without spread or with it."""
    widths = st.sampled_from([0.0, 0.25, 0.3])
    low = data.draw(st.lists(st.floats(0.5, 1e3), min_size=1, max_size=6))
    width = np.array([data.draw(widths) for _ in low])
    bounds = np.array(low), np.array(low) * (1 + width)
    known = {"low": bounds[0], "high": bounds[1], "value": sum(bounds) / 2, "cv": width}
    known |= {"mode": bounds[0], "sd": width, "share": width}
    if family == "truncated_normal":
        known |= {"low": bounds[0] - 5 * width - 1e-9, "high": bounds[1] + 1e-9}
    numbers = {"value" if key == "share" else key: known[key] for key in FAMILIES[family]}
    together = marginals(family, numbers, {}, len(low))
    alone = [one(family, {key: of[n] for key, of in numbers.items()}) for n in range(len(low))]
    assert [*together] == alone


@given(mean=st.floats(1e-9, 1e9), cv=st.floats(1e-3, 3))
def test_logarithms_are_those_of_the_standard_library(mean, cv):
    """NumPy's differ from them in the last bit on some processors, and draws would with them."""
    found = one("lognormal", {"value": mean, "cv": cv})
    sigma = math.sqrt(math.log1p(cv * cv))
    mu = math.log(mean) - sigma * sigma / 2
    assert found.numbers == (mu, sigma)
    assert found.central == math.exp(mu + sigma * sigma / 2)
    assert found.highest == math.exp(mu + 8.21 * sigma)


def test_of_many_cells_the_first_that_is_wrong_is_told():
    """A mistake is that of a cell, with its numbers."""
    low, high = np.array([1.0, 2.0, 5.0, 9.0]), np.array([2.0, 2.0, 4.5, 1.0])
    with pytest.raises(MarginalError, match=r"low 5 is above high 4\.5") as wrong:
        marginals("uniform", {"low": low, "high": high}, {}, 4)
    assert wrong.value.cell == 2
    with pytest.raises(MarginalError, match="too large or too small") as wrong:
        marginals("lognormal", {"mu": np.array([1.0, 709.0]), "sigma": np.ones(2)}, {}, 2)
    assert wrong.value.cell == 1


@given(
    low=st.floats(-1e6, 1e6),
    width=st.floats(1e-3, 1e6),
    share=st.floats(0, 1),
    family=st.sampled_from(["triangular", "pert"]),
)
def test_mode_follows_from_the_mean(low, width, share, family):
    """Giving the mean of a triangle or PERT instead of its mode is the same distribution."""
    high, mode = low + width, min(low + share * width, low + width)
    given_mode = one(family, {"low": low, "mode": mode, "high": high})
    mean = {"low": low, "value": given_mode.central, "high": high}
    given_mean = one(family, mean)
    # The mode is a difference of numbers as large as the bounds, so it has their rounding.
    atol = 1e-14 * max(abs(low), abs(high), 1.0) * (1 if family == "triangular" else 8 / width)
    assert_allclose(given_mean.numbers, given_mode.numbers, rtol=1e-9, atol=atol)
