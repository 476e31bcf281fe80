"""Lifetimes: every kind, form and convention against its twin, and what is wrong with some."""

import itertools
import re

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from one_stock import (
    UNITS,
    YEARS,
    by_age,
    by_year,
    central,
    certain,
    draws_of,
    lines_of,
    model,
)
from scipy import special, stats
from strategies import EPS, FOLDER, scenario

import ndmc
from ndmc import InputError, RunError
from ndmc.engine.row_code import compile_rows
from ndmc.model import compile_plan
from ndmc.scenario.lifetimes import canonical, outlived

CONVENTIONS = ["start", "middle", "end", "uniform"]
#: Kind, the numbers by name as a scenario gives them, and how near the twin is.
EXACT, SPECIAL = 1e-12, 1e-9  # a special function without closed form: 1e-9
LIVES = [
    ("fixed", {"years": 3.5}, EXACT),
    ("fixed", {"years": 4.0}, EXACT),
    ("fixed", {"years": 0.3}, EXACT),
    ("fixed", {"years": 0.0}, EXACT),
    ("normal", {"mean": 8.0, "sd": 3.0}, EXACT),
    ("normal", {"mean": 2.0, "sd": 2.0}, EXACT),
    ("normal", {"mean": 10.0, "sd": 0.5}, EXACT),
    ("truncated_normal", {"mean": 8.0, "sd": 3.0}, EXACT),
    ("truncated_normal", {"mean": 2.0, "sd": 2.0}, EXACT),
    ("folded_normal", {"mean": 6.0, "sd": 3.0}, EXACT),
    ("folded_normal", {"mean": 1.0, "sd": 4.0}, EXACT),
    ("lognormal", {"mean": 9.0, "sd": 4.0}, EXACT),
    ("lognormal", {"mean": 1.5, "sd": 1.0}, EXACT),
    ("lognormal", {"mu": 1.2, "sigma": 0.7}, EXACT),
    ("lognormal", {"mu": 0.5, "sigma": 0.9}, EXACT),
    ("weibull", {"scale": 8.0, "shape": 2.0}, EXACT),
    ("weibull", {"scale": 4.0, "shape": 1.0}, EXACT),
    ("weibull", {"scale": 12.0, "shape": 0.8}, EXACT),
    ("weibull", {"scale": 6.0, "shape": 5.5}, EXACT),
    ("weibull", {"mean": 8.0, "cv": 0.5}, SPECIAL),
    ("weibull", {"mean": 3.0, "cv": 1.4}, SPECIAL),
    ("weibull", {"mean": 15.0, "cv": 0.1}, SPECIAL),
    ("gamma", {"mean": 8.0, "cv": 0.4}, SPECIAL),
    ("gamma", {"mean": 5.0, "cv": 1.3}, SPECIAL),
    ("gamma", {"shape": 2.5, "scale": 3.0}, SPECIAL),
    ("gamma", {"shape": 0.7, "scale": 6.0}, SPECIAL),
    ("loglogistic", {"scale": 7.0, "shape": 3.0}, EXACT),
    ("loglogistic", {"scale": 5.0, "shape": 1.2}, EXACT),
    ("loglogistic", {"scale": 5.0, "shape": 0.8}, EXACT),
    ("loglogistic", {"mean": 9.0, "shape": 2.5}, EXACT),
    ("gompertz", {"c": 0.05, "g": 0.3}, EXACT),
    ("gompertz", {"c": 1.0, "g": 0.05}, EXACT),
]
NAMES = [f"{kind}-{'-'.join(f'{k}{v}' for k, v in of.items())}" for kind, of, _ in LIVES]


def text(kind, numbers):
    """Return a lifetime as a scenario writes it, by name."""
    return f"{kind}({', '.join(f'{name}={value!r}' for name, value in numbers.items())})"


# --- every kind against its twin -----------------------------------------------------------------


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize(("kind", "numbers", "near"), LIVES, ids=NAMES)
def test_survival_is_the_twins(kind, numbers, near, convention):
    """What is left of one tonne is its survival, and what is released is its fall."""
    values = central(model(text(kind, numbers), inflow_at=convention))
    share = reference.steady(reference.survivors(kind, **numbers), convention)
    left = [share(0, year) for year in range(YEARS)]
    assert_allclose(values["held"], left, rtol=0, atol=near)
    assert_allclose(values["old"], -np.diff(left, prepend=1.0), rtol=0, atol=near)


@pytest.mark.parametrize(("kind", "numbers", "near"), LIVES, ids=NAMES)
def test_numbers_as_parameters_and_expressions(kind, numbers, near):
    """Numbers, parameters in other units and expressions of them are one lifetime."""
    literal = central(model(text(kind, numbers)))
    units = {name: UNITS.get(name, "yr") for name in numbers}
    own = {f"p_{name}": certain(units[name], value) for name, value in numbers.items()}
    named = {name: f"p_{name}" for name in numbers}
    given_ = ", ".join(f"{name}={value}" for name, value in named.items())
    asked = central(model(f"{kind}({given_})", parameters=own))
    assert_array_equal(asked["held"], literal["held"])
    months = {
        f"p_{name}": certain("month", value * 12) if units[name] == "yr" else own[f"p_{name}"]
        for name, value in numbers.items()
    }
    doubled = ", ".join(f"{name}=2 * {value} / 2" for name, value in named.items())
    close = central(model(f"{kind}({doubled})", parameters=months))
    # A month is a twelfth of a year but for rounding; a jump is where it was.
    assert_allclose(close["held"], literal["held"], rtol=0, atol=near)


@pytest.mark.parametrize(("kind", "numbers", "near"), LIVES, ids=NAMES)
def test_first_forms_need_no_names(kind, numbers, near):
    """The first form of a lifetime may be written without names, in its order."""
    positional = f"{kind}({', '.join(map(repr, numbers.values()))})"
    second = (kind, *numbers) in {
        ("lognormal", "mu", "sigma"),
        ("weibull", "mean", "cv"),
        ("gamma", "shape", "scale"),
        ("loglogistic", "mean", "shape"),
    }
    if not second:
        expected = central(model(text(kind, numbers)))["held"]
        assert_array_equal(central(model(positional))["held"], expected)
    turned = text(kind, dict(reversed(numbers.items())))
    expected = central(model(text(kind, numbers)))["held"]
    assert_array_equal(central(model(turned))["held"], expected)


def _weibull(scale, shape):
    return stats.weibull_min(shape, scale=scale)


#: Other pairs of numbers, with what scipy says of the same lifetime.
OTHERS = [
    ("normal", {"mean": 8.0, "cv": 0.4}, stats.norm(8, 3.2)),
    ("folded_normal", {"mean": 6.0, "cv": 0.5}, stats.foldnorm(2, scale=3)),
    ("truncated_normal", {"mean": 6.0, "cv": 0.5}, stats.truncnorm(-2, np.inf, 6, 3)),
    ("lognormal", {"mean": 9.0, "cv": 0.5}, "mean 9 sd 4.5"),
    ("lognormal", {"mean": 9.0, "sigma": 0.6}, stats.lognorm(0.6, scale=9 * np.exp(-0.18))),
    ("lognormal", {"median": 7.0, "sigma": 0.6}, stats.lognorm(0.6, scale=7)),
    ("lognormal", {"median": 7.0, "gsd": 1.8}, stats.lognorm(np.log(1.8), scale=7)),
    ("weibull", {"mean": 9.0, "shape": 2.0}, _weibull(18 / np.sqrt(np.pi), 2)),
    ("weibull", {"mean": 9.0, "shape": 0.5}, _weibull(4.5, 0.5)),
    ("weibull", {"mean": 9.0, "sd": 4.0}, "mean 9 sd 4"),
    ("weibull", {"median": 7.0, "shape": 2.0}, _weibull(7 / np.sqrt(np.log(2)), 2)),
    ("gamma", {"mean": 8.0, "sd": 4.0}, stats.gamma(4, scale=2)),
    ("gamma", {"mean": 8.0, "shape": 2.5}, stats.gamma(2.5, scale=3.2)),
    ("gamma", {"shape": 2.5, "rate": 0.3}, stats.gamma(2.5, scale=1 / 0.3)),
    ("loglogistic", {"median": 7.0, "shape": 3.0}, stats.fisk(3, scale=7)),
    ("gompertz", {"median": 7.0, "g": 0.3}, "median 7"),
    ("gompertz", {"mode": 7.0, "g": 0.3}, stats.gompertz(np.exp(-2.1), scale=1 / 0.3)),
]


@pytest.mark.parametrize(("kind", "numbers", "known"), OTHERS)
def test_every_pair_of_numbers_is_the_lifetime_it_says(kind, numbers, known):
    """Other numbers of a lifetime are those of the distribution whose moments they are."""
    values = central(model(text(kind, numbers)))["held"]
    ages = np.arange(YEARS) + 0.5
    numbers = {name: np.array([value]) for name, value in numbers.items()}
    exact = tuple(float(number[0]) for number in canonical(kind, numbers))
    if isinstance(known, str):  # what is left is the distribution of its own two numbers
        families = {
            "lognormal": lambda mu, sigma: stats.lognorm(sigma, scale=np.exp(mu)),
            "weibull": _weibull,
            "gompertz": lambda c, g: stats.gompertz(c, scale=1 / g),
        }
        asked = known.split()
        known, found = families[kind](*exact), {"sd": "std"}
        for name, value in zip(asked[::2], asked[1::2], strict=True):
            assert_allclose(getattr(known, found.get(name, name))(), float(value), rtol=1e-9)
    assert_allclose(values, known.sf(ages), rtol=0, atol=1e-12 if kind != "gamma" else SPECIAL)
    if kind == "gompertz" and "mode" in numbers:
        near = np.linspace(6, 8, 2001)
        assert_allclose(near[np.argmax(known.pdf(near))], 7, atol=1e-3)


@pytest.mark.parametrize(
    "form", ["mean=life, cv=cv", "mean=life, shape=cv", "median=life, shape=2"]
)
def test_weibulls_of_any_numbers_have_the_bits_of_scale_and_shape(form):
    """One kernel computes them all, and each draw is that of its scale and shape."""
    own = {name: UNCERTAIN[name] for name in ("life", "cv") if name in form}
    plan = compile_plan(scenario(model(f"weibull({form})", INFLOW, parameters=own)))
    calls = [type(call).__name__ for call in compile_rows(plan).each]
    assert "Fed" in calls
    assert "Other" not in calls
    values = draws_of(model(f"weibull({form})", INFLOW, parameters=own), draws=range(3))
    names = [part.split("=") for part in form.split(", ")]
    for draw in range(3):
        numbers = {
            name: np.array([values[of][draw] if of in values else float(of)]) for name, of in names
        }
        scale, shape = (float(number[0]) for number in canonical("weibull", numbers))
        same = central(model(f"weibull({scale!r}, {shape!r})", INFLOW))
        for name in ("held", "old"):
            assert_array_equal(values[name][:, draw], same[name])


positive = st.floats(0.1, 40.0)
ORDER = ("years", "mean", "sd", "mu", "sigma", "scale", "shape", "c", "g")


@settings(deadline=None, max_examples=300)
@given(
    drawn=st.one_of(
        st.tuples(st.just("fixed"), st.fixed_dictionaries({"years": positive})),
        *(
            st.tuples(st.just(kind), st.fixed_dictionaries({"mean": positive, "sd": positive}))
            for kind in ("normal", "truncated_normal", "folded_normal", "lognormal")
        ),
        st.tuples(
            st.just("lognormal"),
            st.fixed_dictionaries({"mu": st.floats(-2, 4), "sigma": st.floats(0.05, 3)}),
        ),
        *(
            st.tuples(
                st.just(kind),
                st.fixed_dictionaries({"scale": positive, "shape": st.floats(0.2, 12)}),
            )
            for kind in ("weibull", "loglogistic")
        ),
        st.tuples(
            st.just("loglogistic"),
            st.fixed_dictionaries({"mean": positive, "shape": st.floats(1.01, 12)}),
        ),
        st.tuples(
            st.just("gompertz"),
            st.fixed_dictionaries({"c": st.floats(1e-4, 5), "g": st.floats(0.001, 1)}),
        ),
    ),
    age=st.just(0.0) | st.floats(1e-6, 60),
)
def test_any_numbers_give_the_twins_survival(drawn, age):
    """Closed forms agree with scipy.stats to 1e-12 for any numbers and age."""
    kind, numbers = drawn
    numbers = {name: numbers[name] for name in ORDER if name in numbers}
    numbers_ = canonical(kind, {name: np.array([value]) for name, value in numbers.items()})
    with np.errstate(all="ignore"):
        got = outlived(kind, np.array([age]), numbers_)[0]
    assert abs(got - float(reference.survivors(kind, **numbers)(age))) <= EXACT


@settings(deadline=None, max_examples=200)
@given(mean=positive, cv=st.floats(0.03, 5.0), age=st.floats(0, 60))
def test_gamma_and_weibull_of_mean_and_cv(mean, cv, age):
    """Special functions: 1e-9 of the twins, and the moments asked for come back."""
    given_ = {"mean": np.array([mean]), "cv": np.array([cv])}
    for kind in ("gamma", "weibull"):
        numbers = canonical(kind, given_)
        got = outlived(kind, np.array([age]), numbers)[0]
        expected = float(reference.survivors(kind, mean=mean, cv=cv)(age))
        assert abs(got - expected) <= SPECIAL, kind
    scale, shape = canonical("weibull", given_)
    one, two = special.gamma(1 + 1 / shape), special.gamma(1 + 2 / shape)
    assert_allclose(scale * one, mean, rtol=1e-12)
    # Of a steep shape, 1 + cv**2 is all that is known: cv to eps / cv**2.
    assert_allclose(np.sqrt(two / one**2 - 1), cv, rtol=1e-9)


@pytest.mark.parametrize("shape", [1, 2, 3, 7])
def test_gamma_of_a_whole_shape_is_erlangs(shape):
    """A whole shape has a closed form: what outlives an age is a Poisson sum."""
    scale, ages = 2.5, np.arange(0, 30, 0.5)
    terms = [(ages / scale) ** n / special.factorial(n) for n in range(shape)]
    got = outlived("gamma", ages, (np.array(float(shape)), np.array(scale)))
    assert_allclose(got, np.exp(-ages / scale) * sum(terms), rtol=0, atol=1e-14)


MEANS = [
    ("fixed", {"years": 7.3}, 7.3),
    ("truncated_normal", {"mean": 4.0, "sd": 3.0}, stats.truncnorm(-4 / 3, np.inf, 4, 3).mean()),
    ("folded_normal", {"mean": 3.0, "sd": 3.0}, stats.foldnorm(1, scale=3).mean()),
    ("lognormal", {"mean": 6.0, "sd": 2.0}, 6.0),
    ("lognormal", {"mu": 1.5, "sigma": 0.4}, np.exp(1.5 + 0.08)),
    ("weibull", {"scale": 8.0, "shape": 2.0}, 8 * special.gamma(1.5)),
    ("weibull", {"mean": 8.0, "cv": 0.4}, 8.0),
    ("gamma", {"mean": 8.0, "cv": 0.5}, 8.0),
    ("gamma", {"shape": 3.0, "scale": 2.0}, 6.0),
    ("gompertz", {"c": 0.05, "g": 0.3}, None),
]


@pytest.mark.parametrize(("kind", "numbers", "mean"), MEANS)
def test_steady_state_is_inflow_times_mean_lifetime(kind, numbers, mean):
    """With inflow all year, a constant inflow fills the stock to inflow times mean lifetime."""
    if mean is None:
        c, g = numbers["c"], numbers["g"]
        mean = np.exp(c) * special.exp1(c) / g
    values = central(model(text(kind, numbers), [3.0] * 200, inflow_at="uniform"))
    near = 3e-9 if kind in ("gamma",) or "cv" in numbers else 1e-12
    assert_allclose(values["held"][-1], 3 * mean, rtol=near)
    assert_allclose(values["old"][-1], 3.0, rtol=near)


@pytest.mark.parametrize(("kind", "numbers", "near"), LIVES, ids=NAMES)
def test_survival_falls_and_conventions_are_in_order(kind, numbers, near):
    """Shares lie in 0 to 1 and fall; later arrival leaves more; uniform lies between the ends."""
    left = {c: central(model(text(kind, numbers), inflow_at=c))["held"] for c in CONVENTIONS}
    for shares in left.values():
        assert shares.min() >= 0
        assert shares.max() <= 1 + 20 * EPS
        # Twenty weights of quadrature add up to 1 within 20 roundings.
        assert np.diff(shares).max() <= 20 * EPS
    assert (left["start"] <= left["middle"]).all()
    assert (left["middle"] <= left["end"]).all()
    assert (left["start"] <= left["uniform"] + 20 * EPS).all()
    assert (left["uniform"] <= left["end"] + 20 * EPS).all()
    assert_array_equal(left["end"][1:], left["start"][:-1])


SHORT = [
    ("lognormal", {"mean": 0.7, "sd": 0.35}),
    ("normal", {"mean": 0.5, "sd": 0.1}),
    ("gamma", {"mean": 0.8, "cv": 0.1}),
    ("weibull", {"scale": 0.5, "shape": 5.0}),
    ("loglogistic", {"scale": 0.5, "shape": 8.0}),
    ("normal", {"mean": 10.3, "sd": 0.05}),
]


@pytest.mark.parametrize(("kind", "numbers"), SHORT)
def test_uniform_arrival_of_short_and_narrow_lives(kind, numbers):
    """Inflow all year is right where it matters most: for lives that end within one year."""
    values = central(model(text(kind, numbers), inflow_at="uniform"))
    share = reference.steady(reference.survivors(kind, **numbers), "uniform")
    assert_allclose(values["held"], [share(0, t) for t in range(YEARS)], rtol=0, atol=SPECIAL)


# --- pdf_integer ---------------------------------------------------------------------------------


@pytest.mark.parametrize("normalise", ["none", "truncate"])
@pytest.mark.parametrize(
    "numbers",
    [{"scale": 5.0, "shape": 2.0}, {"scale": 4.0, "shape": 1.38}, {"mean": 6.0, "cv": 0.5}],
)
def test_pdf_integer_sums_densities(numbers, normalise):
    """The share that left is the sum of densities at whole ages, of the years' sum if truncated."""
    shape, scale = numbers.get("shape"), numbers.get("scale")
    if scale is None:
        scale, shape = (
            x[0] for x in canonical("weibull", {k: np.array([v]) for k, v in numbers.items()})
        )
    gone = np.cumsum([0.0, *stats.weibull_min.pdf(np.arange(1, YEARS), shape, scale=scale)])
    if normalise == "truncate":
        gone = gone / gone[-1]
    data = model(text("weibull", numbers), inflow_at="pdf_integer", normalise=normalise)
    assert_allclose(central(data)["held"], 1 - gone, rtol=0, atol=EXACT)


@pytest.mark.parametrize("normalise", ["none", "truncate"])
def test_pdf_integer_by_cohort_is_each_cohorts(normalise):
    """Lifetimes of cohorts that are all the same change nothing, truncated or not."""
    rng = np.random.default_rng(1)
    inflow = rng.lognormal(0, 1, YEARS)
    key = {"inflow_at": "pdf_integer", "normalise": normalise}
    plain = central(model("weibull(5, 2)", inflow, **key))
    own = {"life": certain("yr", by_year([5.0] * YEARS), "year")}
    varied = central(model("weibull(life, 2)", inflow, parameters=own, **key))
    assert_allclose(varied["held"], plain["held"], rtol=1e-12)
    assert_allclose(varied["old"], plain["old"], rtol=0, atol=1e-12 * plain["held"].max())


# --- lifetimes that change -----------------------------------------------------------------------

INFLOW = np.random.default_rng(5).lognormal(3, 0.4, YEARS)
VARYING = [
    ("fixed", {"years": np.linspace(7.3, 2.2, YEARS)}),
    ("normal", {"mean": np.linspace(5, 12, YEARS), "sd": np.linspace(3, 2, YEARS)}),
    ("truncated_normal", {"mean": np.linspace(2, 6, YEARS), "sd": 3.0}),
    ("folded_normal", {"mean": 4.0, "sd": np.linspace(1, 5, YEARS)}),
    ("lognormal", {"mean": np.linspace(5, 12, YEARS), "sd": np.linspace(3, 2, YEARS)}),
    ("weibull", {"scale": np.linspace(5, 12, YEARS), "shape": np.linspace(3, 1, YEARS)}),
    ("weibull", {"mean": np.linspace(5, 12, YEARS), "cv": 0.5}),
    ("gamma", {"mean": np.linspace(12, 5, YEARS), "cv": np.linspace(0.3, 0.8, YEARS)}),
    ("loglogistic", {"scale": np.linspace(12, 5, YEARS), "shape": 3.0}),
    ("gompertz", {"c": 0.1, "g": np.linspace(0.1, 0.5, YEARS)}),
]
VARYING_NAMES = [f"{kind}-{'-'.join(of)}" for kind, of in VARYING]


def varying(kind, numbers, **key):
    """Return the scenario of a lifetime whose arrays are by year, and the twin of each cohort."""
    own = {
        f"p_{name}": certain(UNITS.get(name, "yr"), by_year(value), "year")
        if np.ndim(value)
        else certain(UNITS.get(name, "yr"), value)
        for name, value in numbers.items()
    }
    named = ", ".join(f"{name}=p_{name}" for name in numbers)
    parameters = {**own, **key.pop("parameters", {})}
    data = model(f"{kind}({named})", key.pop("inflow", INFLOW), parameters=parameters, **key)
    columns = {name: np.broadcast_to(value, YEARS) for name, value in numbers.items()}
    lives = [
        reference.survivors(kind, **{name: float(of[year]) for name, of in columns.items()})
        for year in range(YEARS)
    ]
    return data, lives


def near_of(kind, numbers):
    """Return the tolerance of a kind relative to the largest stock."""
    return SPECIAL if kind == "gamma" or (kind == "weibull" and "cv" in numbers) else EXACT


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize(("kind", "numbers"), VARYING, ids=VARYING_NAMES)
def test_lifetimes_by_cohort(kind, numbers, convention):
    """The year of inflow decides the lifetime, as in the twin's table of cohorts."""
    data, lives = varying(kind, numbers, inflow_at=convention)
    values = central(data)
    share = reference.by_cohort(lives, convention)
    twin = reference.whole_stock(share, YEARS, inflow=INFLOW)
    atol = near_of(kind, numbers) * twin["stock"].max()
    assert_allclose(values["held"], twin["stock"], rtol=0, atol=atol)
    assert_allclose(values["old"], twin["release"], rtol=0, atol=atol)


FACTORS = np.array([1, 1, 1.3, 0.7, 0.5, 2, 2, 1, 1.1, 0.9] * 2)


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize(("kind", "numbers"), VARYING, ids=VARYING_NAMES)
def test_lifetime_factor_ages_all_cohorts(kind, numbers, convention):
    """A factor by year stretches the years of all cohorts: age is the sum of 1 / factor."""
    own = {"pace": certain("1", by_year(FACTORS), "year")}
    data, lives = varying(
        kind, numbers, inflow_at=convention, lifetime_factor="pace", parameters=own
    )
    values = central(data)
    share = reference.by_period(lives, convention, FACTORS)
    twin = reference.whole_stock(share, YEARS, inflow=INFLOW)
    atol = near_of(kind, numbers) * twin["stock"].max()
    assert_allclose(values["held"], twin["stock"], rtol=0, atol=atol)
    assert_allclose(values["old"], twin["release"], rtol=0, atol=atol)


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize(("kind", "numbers", "near"), LIVES, ids=NAMES)
def test_what_does_not_vary_changes_nothing(kind, numbers, near, convention):
    """Equal lifetimes of all cohorts, and a factor of 1, are the constant lifetime."""
    plain = central(model(text(kind, numbers), INFLOW, inflow_at=convention))
    own = {
        f"p_{name}": certain(UNITS.get(name, "yr"), by_year([value] * YEARS), "year")
        for name, value in numbers.items()
    }
    named = f"{kind}({', '.join(f'{name}=p_{name}' for name in numbers)})"
    ones = {"pace": certain("1", by_year([1.0] * YEARS), "year")}
    for data in (
        model(named, INFLOW, inflow_at=convention, parameters=own),
        model(text(kind, numbers), INFLOW, inflow_at=convention, lifetime_factor="1"),
        model(
            text(kind, numbers),
            INFLOW,
            inflow_at=convention,
            parameters=ones,
            lifetime_factor="pace",
        ),
    ):
        values = central(data)
        atol = 1e-12 * plain["held"].max()
        assert_allclose(values["held"], plain["held"], rtol=0, atol=atol)
        assert_allclose(values["old"], plain["old"], rtol=0, atol=atol)


SCALED = [
    ("fixed", {"years": 5.5}, ["years"]),
    ("normal", {"mean": 8.0, "sd": 3.0}, ["mean", "sd"]),
    ("truncated_normal", {"mean": 2.0, "sd": 3.0}, ["mean", "sd"]),
    ("folded_normal", {"mean": 2.0, "sd": 3.0}, ["mean", "sd"]),
    ("lognormal", {"mean": 8.0, "sd": 3.0}, ["mean", "sd"]),
    ("weibull", {"scale": 8.0, "shape": 1.7}, ["scale"]),
    ("weibull", {"mean": 8.0, "cv": 0.6}, ["mean"]),
    ("gamma", {"mean": 8.0, "cv": 0.6}, ["mean"]),
    ("gamma", {"shape": 2.0, "scale": 3.0}, ["scale"]),
    ("loglogistic", {"scale": 8.0, "shape": 2.0}, ["scale"]),
    ("loglogistic", {"mean": 8.0, "shape": 2.0}, ["mean"]),
]


@pytest.mark.parametrize("factor", [0.5, 1.75])
@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize(("kind", "numbers", "times"), SCALED)
def test_constant_factor_scales_the_lifetime(kind, numbers, times, convention, factor):
    """A factor that is the same in all years is a lifetime so many times as long."""
    scaled = {name: v * factor if name in times else v for name, v in numbers.items()}
    expected = central(model(text(kind, scaled), INFLOW, inflow_at=convention))
    data = model(text(kind, numbers), INFLOW, inflow_at=convention, lifetime_factor=str(factor))
    got = central(data)
    atol = 1e-12 * expected["held"].max()
    assert_allclose(got["held"], expected["held"], rtol=0, atol=atol)
    assert_allclose(got["old"], expected["old"], rtol=0, atol=atol)


def test_factor_by_product_and_year():
    """A factor may differ by product; each ages on its own."""
    dims = {"product": ["a", "b"]}
    pace = {"a": by_year(FACTORS), "b": by_year(FACTORS[::-1])}
    data = model("weibull(6, 2)", INFLOW, dims=dims, lifetime_factor="pace")
    data["parameters"]["pace"] = certain("1", pace, "product", "year")
    for part in (*data["flows"].values(), *data["stocks"].values()):
        part["dims"] = ["product"]
    values = central(data)
    survive = reference.survivors("weibull", scale=6.0, shape=2.0)
    for n, factors in enumerate((FACTORS, FACTORS[::-1])):
        share = reference.by_period([survive] * YEARS, "middle", factors)
        twin = reference.whole_stock(share, YEARS, inflow=INFLOW)
        assert_allclose(values["held"][n], twin["stock"], rtol=1e-12)
        assert_allclose(values["old"][n], twin["release"], atol=1e-12 * twin["stock"].max())


# --- tables of survival --------------------------------------------------------------------------

TABLE = [1.0, 0.9, 0.75, 0.4, 0.1, 0.0]


def tabled(shares=TABLE, inflow=INFLOW, *, spread=None, **key):
    """Return a scenario whose lifetime is a table of shares by age."""
    table = certain("1", by_age(shares), "age")
    if spread:
        table = {**table, "distribution": "normal", "sd": spread, "errors": {"age": "shared"}}
    ages = {"age": [str(age) for age in range(len(shares))]}
    return model("survival(table)", inflow, parameters={"table": table}, dims=ages, **key)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_survival_table_takes_no_convention(convention):
    """Its shares are those at the end of each year, so when products came is no question."""
    with pytest.raises(InputError, match=r"scenario.yaml:\d+: inflow_at does not apply"):
        compile_plan(scenario(tabled(inflow_at=convention)))


def test_survival_table_is_the_share_itself():
    """The table is what is left at the end of each year of age."""
    values = central(tabled())
    shares = np.zeros(YEARS)
    shares[: len(TABLE)] = TABLE
    twin = reference.whole_stock(lambda c, t: shares[t - c], YEARS, inflow=INFLOW)
    assert_allclose(values["held"], twin["stock"], rtol=1e-13)
    assert_allclose(values["old"], twin["release"], rtol=0, atol=1e-13 * twin["stock"].max())


def test_survival_table_of_every_year_needs_no_end():
    """A table as long as the years may end above zero: nothing grows older than that."""
    shares = 0.97 ** np.arange(YEARS)
    values = central(tabled(shares, model_inflow := [1.0] + [0.0] * (YEARS - 1)))
    assert_allclose(values["held"], shares, rtol=1e-15)
    assert len(model_inflow) == YEARS


def test_survival_table_by_product():
    """Tables may differ by product."""
    other = [0.8, 0.5, 0.2, 0.0, 0.0, 0.0]
    data = tabled()
    data["dims"]["product"] = ["a", "b"]
    data["parameters"]["table"] = certain(
        "1", {"a": by_age(TABLE), "b": by_age(other)}, "product", "age"
    )
    for part in (*data["flows"].values(), *data["stocks"].values()):
        part["dims"] = ["product"]
    values = central(data)
    for n, column in enumerate((TABLE, other)):
        shares = np.zeros(YEARS)
        shares[: len(column)] = column
        twin = reference.whole_stock(lambda c, t, s=shares: s[t - c], YEARS, inflow=INFLOW)
        assert_allclose(values["held"][n], twin["stock"], rtol=1e-13)


def test_uncertain_survival_table():
    """Each draw of a table is the table of its draw."""
    values = draws_of(tabled(spread=0.01))
    assert np.ptp(values["table"][1]) > 0
    for draw in range(5):
        shares = np.zeros(YEARS)
        shares[: len(TABLE)] = values["table"][:, draw]
        twin = reference.whole_stock(lambda c, t, s=shares: s[t - c], YEARS, inflow=INFLOW)
        assert_allclose(values["held"][:, draw], twin["stock"], rtol=1e-13)
        assert_allclose(values["old"][:, draw], twin["release"], atol=1e-13 * twin["stock"].max())


# --- draws ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "numbers", "near"), LIVES, ids=NAMES)
def test_a_draw_is_the_model_with_its_numbers(kind, numbers, near):
    """Uncertain numbers give, in each draw, the certain model with that draw's numbers."""
    own = {
        f"p_{name}": certain(UNITS.get(name, "yr"), value)
        | (
            {"distribution": "lognormal", "cv": 0.1}
            if value > 0 and name != "mu"
            else {"distribution": "normal", "sd": 0.1, "range": "any"}
        )
        for name, value in numbers.items()
    }
    named = f"{kind}({', '.join(f'{name}=p_{name}' for name in numbers)})"
    values = draws_of(model(named, INFLOW, parameters=own), draws=range(3))
    for draw in range(3):
        drawn = {name: float(values[f"p_{name}"][draw]) for name in numbers}
        share = reference.steady(reference.survivors(kind, **drawn), "middle")
        twin = reference.whole_stock(share, YEARS, inflow=INFLOW)
        # Shapes of a special function, and 1 / 12 of a unit, are drawn as any other number.
        atol = near * twin["stock"].max()
        assert_allclose(values["held"][:, draw], twin["stock"], rtol=0, atol=atol)
        assert_allclose(values["old"][:, draw], twin["release"], rtol=0, atol=atol)


UNCERTAIN = {
    "life": {"unit": "yr", "value": 8.0, "distribution": "lognormal", "cv": 0.2},
    "cv": {"unit": "1", "value": 0.5, "distribution": "lognormal", "cv": 0.1},
    "pace": {
        "unit": "1",
        "dims": ["year"],
        "value": by_year(FACTORS),
        "distribution": "lognormal",
        "cv": 0.1,
        "errors": {"year": "independent"},
    },
}


@pytest.mark.parametrize("lifetime", ["weibull(mean=life, cv=cv)", "gamma(life, cv)"])
@pytest.mark.parametrize("key", [{}, {"lifetime_factor": "pace"}, {"inflow_at": "uniform"}])
def test_bits_do_not_depend_on_the_neighbours(lifetime, key):
    """A draw has the same bits alone, in any range, and beside any other."""
    data = model(lifetime, INFLOW, parameters=UNCERTAIN, **key)
    whole = draws_of(data, draws=range(600))
    for part in (range(1), range(599, 600), range(250, 260), range(100, 400)):
        for name, values in draws_of(data, draws=part).items():
            assert_array_equal(values, whole[name][..., part.start : part.stop], name)


# --- what is wrong -------------------------------------------------------------------------------


def refuse(data, at, message):
    """Demand that a scenario is refused with a message, on the line that holds ``at``."""
    with pytest.raises(InputError) as caught:
        compile_plan(scenario(data))
    assert re.search(message, caught.value.message), caught.value.message
    assert "\n" not in str(caught.value)
    first = caught.value.message[0]
    assert first == first.lower()
    path, _, line = caught.value.where.rpartition(":")
    assert path == str(FOLDER / "scenario.yaml")
    shown = lines_of(data)[int(line) - 1]
    assert at in shown, f"{caught.value.where}: {shown!r}"


PLAIN = {"number": certain("1", 2.0), "mass": certain("t", 2.0), "life": certain("yr", 5.0)}
WRONG = [
    ("weibul(5, 2)", r"unknown lifetime 'weibul'; did you mean 'weibull'"),
    ("5", r"lifetime is '5'; write one such as weibull\(scale, shape\)"),
    ("weibull", r"write one such as weibull"),
    (
        "weibull(5)",
        r"the arguments do not fit; write weibull\(scale, shape\), weibull\(mean=, cv=\), "
        r".*weibull\(mean=, shape=\) or weibull\(median=, shape=\)",
    ),
    ("weibull(5, 2, 1)", r"3 arguments given; write weibull"),
    ("weibull(5, scale=2)", r"'scale' is given twice"),
    ("weibull(scale=5, shape=2, cv=1)", r"the lifetime is given twice"),
    ("lognormal(mean=5, sd=2, mu=1)", r"the lifetime is given twice"),
    ("normal(mean=5, sigma=2)", r"the arguments do not fit; write normal\(mean, sd\)"),
    ("weibull(scale=5, mean=4)", r"the arguments do not fit"),
    ("weibull(mean=5, shape=2, cv=0.5)", r"the lifetime is given twice"),
    ("lognormal(median=5, gsd=0.9)", r"does not exist; its gsd is above 1"),
    ("weibull(mean=2, shape=life)", r"the shape of a weibull lifetime must be \["),
    ("gamma(shape=2, rate=life)", r"the rate of a gamma lifetime must be \["),
    ("normal(5, **{})", r"the arguments do not fit|not part of the grammar"),
    ("weibull(5 5)", r"5 5"),
    ("normal(mass, 2)", r"the mean of a normal lifetime must be \[time\], not \[mass\]"),
    ("normal(number, 2)", r"the mean of a normal lifetime must be \["),
    ("normal(life, number)", r"the sd of a normal lifetime must be \["),
    ("weibull(life, life)", r"the shape of a weibull lifetime must be \["),
    ("gompertz(number, number)", r"the g of a gompertz lifetime must be \["),
    ("weibull(0, 2)", r"the scale of a lifetime must be positive, not 0"),
    ("weibull(5, -2)", r"the shape of a lifetime must be positive, not -2"),
    ("gamma(5, 0)", r"the cv of a lifetime must be positive, not 0"),
    ("normal(nothing, 2)", r"unknown name 'nothing'"),
    ("weibull(given, 2)", r"the scale of a weibull lifetime must be \["),
    ("survival(life)", r"the table of a survival lifetime must be \["),
    ("survival(number)", r"a survival table needs the dim age"),
    ("survival()", r"the arguments do not fit; write survival\(table\)"),
]


@pytest.mark.parametrize(("lifetime", "message"), WRONG, ids=[text_ for text_, _ in WRONG])
def test_wrong_lifetimes_are_refused(lifetime, message):
    """Names what does not fit, at its line."""
    refuse(model(lifetime, parameters=PLAIN), '"lifetime"', message)


def test_lifetime_with_a_strange_dim_is_refused():
    """A lifetime may have the dims of its stock and year, no others."""
    life = certain("yr", {"a": 5, "b": 6}, "product")
    data = model("fixed(life)", parameters={"life": life}, dims={"product": ["a", "b"]})
    refuse(data, '"lifetime"', "the expression has the dim 'product', which 'held' has not")


@pytest.mark.parametrize("value", [0.0, -3.0])
def test_lifetimes_at_or_below_zero_are_refused(value):
    """A parameter that must be positive is refused where its value stands."""
    data = model("weibull(life, 2)", parameters={"life": certain("yr", value)})
    refuse(data, '"value"', rf"lifetime parameter 'life' must be positive, found {value:g}")


def test_lifetimes_that_may_be_drawn_below_zero_are_refused():
    """A normal lifetime parameter must stay above zero in all but a rare draw."""
    life = {"unit": "yr", "value": 5.0, "distribution": "normal", "cv": 0.4}
    data = model("weibull(life, 2)", parameters={"life": life})
    refuse(data, "", "would be drawn at or below zero in .* of the draws; use .*lognormal")


TABLES = [
    ([1.0, 0.5, 0.6, 0.0], "must fall from at most 1"),
    ([1.2, 0.5, 0.0], "must fall from at most 1"),
    ([1.0, 0.5, -0.1], "must fall from at most 1"),
    ([1.0, 0.5, 0.25], "ends at age 2 with 0.25 still in stock; add ages until it is 0"),
]


@pytest.mark.parametrize(("shares", "message"), TABLES)
def test_wrong_survival_tables_are_refused(shares, message):
    """Tables that rise, leave 0 to 1, or end early."""
    refuse(tabled(shares), '"lifetime"', message)


def test_survival_table_and_year_are_refused():
    """A table is the same in all years."""
    data = tabled()
    data["parameters"]["more"] = certain("1", by_year(np.ones(YEARS)), "year")
    data["stocks"]["held"]["lifetime"] = "survival(table * more)"
    refuse(data, '"lifetime"', "cannot change with the years")


@pytest.mark.parametrize(
    ("key", "at", "message"),
    [
        ({"lifetime_factor": "0"}, "factor", "a lifetime factor must be positive, not 0"),
        ({"lifetime_factor": "-1.5"}, "factor", "a lifetime factor must be positive, not -1.5"),
        ({"lifetime_factor": "life"}, "factor", r"a factor must be a plain number, not \["),
        ({"lifetime_factor": "number - 3"}, "factor", "must be positive, not -1"),
        ({"inflow_at": "noon"}, "inflow_at", "inflow_at is 'noon' but must be start, middle"),
        ({"inflow_at": "pdf_integer"}, "inflow_at", "pdf_integer is there for weibull only"),
        ({"normalise": "truncate"}, "normalise", "normalise only concerns inflow_at: pdf_integer"),
    ],
)
def test_wrong_keys_of_a_lifetime_are_refused(key, at, message):
    """Factors and conventions that do not fit."""
    refuse(model("normal(8, 2)", parameters=PLAIN, **key), at, message)


def test_factor_on_a_table_is_refused():
    """A table cannot be stretched, nor can densities at whole ages."""
    refuse(tabled(lifetime_factor="1.5"), "lifetime_factor", "whose age can be stretched")
    data = model("weibull(5, 2)", inflow_at="pdf_integer", lifetime_factor="1.5")
    refuse(data, "lifetime_factor", "whose age can be stretched")


def test_loglogistic_without_a_mean_is_refused(tmp_path):
    """A shape of at most 1 has no mean to be told; nothing is written."""
    with pytest.raises((InputError, RunError), match=r"is nan|shape"):
        ndmc.run(
            scenario(model("loglogistic(mean=5, shape=0.9)")), 10, seed=1, out=tmp_path / "x.zarr"
        )
    assert not (tmp_path / "x.zarr").exists()


def test_every_pair_of_forms_is_told_apart():
    """Every kind and form that the twin knows is one that the engine knows."""
    for (kind, numbers, _), (other, more, _) in itertools.combinations(LIVES, 2):
        if kind == other and set(numbers) != set(more):
            both = text(kind, numbers | more)
            refuse(model(both), '"lifetime"', "the lifetime is given twice")
