"""Initial stocks that a past inflow left: as much as it left, with the cohorts that it was."""

import re

import numpy as np
import pytest
import reference
from numpy.testing import assert_allclose
from one_stock import by_year, central, certain, draws_of, lines_of, model
from strategies import scenario

from ndmc import InputError
from ndmc.engine.audit import LIMIT, Audit
from ndmc.engine.evaluation import evaluate_central
from ndmc.model import compile_plan
from ndmc.plan.description import members_of

YEARS, GROWTH, FIRST = 12, 0.07, 40.0
TAKEN = (lambda age: 0.03 if age > 0 else 0.0,)
GOMPERTZ = "gompertz(0.05, 0.3)"
RULES = {
    "stationary": ({}, 1.0),
    "growing": ({"growth": "g"}, float(np.exp(GROWTH))),
    "spin_up": ({"growth": "g"}, 1 + GROWTH),
}
LIVES = {
    "weibull(7, 2)": reference.survivors("weibull", scale=7.0, shape=2.0),
    GOMPERTZ: reference.survivors("gompertz", c=0.05, g=0.3),
}


def started(rule, lifetime="weibull(7, 2)", path=None, **stock):
    """Return a stock that a past inflow left, which goes on growing unless there is a path."""
    keys, pace = RULES[rule]
    path = FIRST * pace ** np.arange(YEARS) if path is None else path
    own = {"g": certain("1/yr", GROWTH)} if keys else {}
    own |= stock.pop("parameters", {})
    initial = {"inflow": "at(given, year=2000)", "age": rule, **keys}
    return model(lifetime, path, parameters=own, initial=initial, **stock)


def past(rule, share, removals=(), ages=150, first=FIRST):
    """Return the inflows of the years before the first, and what they left by then."""
    before = {-n: first * RULES[rule][1] ** -float(n) for n in range(1, ages)}
    if rule == "spin_up":
        before = {cohort: once for cohort, once in before.items() if share(cohort, -1) >= 1e-6}
    kept = {c: np.prod([1 - sum(r(a) for r in removals) for a in range(-c)]) for c in before}
    return before, sum(once * share(c, -1) * kept[c] for c, once in before.items())


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    ("lifetime", "convention"),
    [*(("weibull(7, 2)", c) for c in ("start", "middle", "end", "uniform")), (GOMPERTZ, "middle")],
)
def test_it_is_what_the_past_inflow_left(rule, convention, lifetime):
    """Amount, ages and cohorts are those of the inflow, whatever comes afterwards."""
    path = np.random.default_rng(8).lognormal(3, 0.4, YEARS)
    path[0] = FIRST
    values = central(started(rule, lifetime, path, inflow_at=convention))
    share = reference.steady(LIVES[lifetime], convention)
    before, _ = past(rule, share)
    twin = reference.whole_stock(share, YEARS, inflow=path, before=before)
    assert_allclose(values["held"], twin["stock"], rtol=1e-9)
    assert_allclose(values["old"], twin["release"], rtol=0, atol=1e-9 * twin["stock"].max())


@pytest.mark.parametrize("rule", ["stationary", "growing"])
def test_a_stock_grows_on_as_its_inflow_does(rule):
    """Under the inflow that led up to it, the stock goes on at the same rate."""
    values = central(started(rule))
    pace = RULES[rule][1]
    share = reference.steady(LIVES["weibull(7, 2)"], "middle")
    grown = past(rule, share)[1] * pace ** np.arange(1.0, YEARS + 1)
    assert_allclose(values["held"], grown, rtol=1e-9)
    assert_allclose(values["held"][1:] / values["held"][:-1], pace, rtol=1e-9)
    gained = (pace - 1) * values["held"][:-1]
    assert_allclose((values["sales"] - values["old"])[1:], gained, atol=1e-7)


def test_a_fixed_life_leaves_the_sum_of_its_inflows():
    """In closed form: of a life of three years and an inflow at the end, three inflows are left."""
    values = central(started("growing", "fixed(3)", inflow_at="end"))
    one = np.exp(-GROWTH)
    assert_allclose(values["held"][0], FIRST * (1 + one + one**2), rtol=1e-12)
    assert_allclose(values["old"][0], FIRST * one**3, rtol=1e-12)


def test_all_that_a_stock_may_have():
    """By product, uncertain, lost from, prescribed: each draw is the stock of its numbers."""
    uncertain = {"distribution": "lognormal", "cv": 0.1}
    own = {
        "life": certain("yr", {"a": 6.0, "b": 9.0}, "product") | uncertain,
        "level": certain("t", by_year(300 * 1.02 ** np.arange(YEARS)), "year") | uncertain,
        "once": certain("t/yr", {"a": 40.0, "b": 70.0}, "product") | uncertain,
    }
    for name in ("life", "once"):
        own[name]["errors"] = {"product": "independent"}
    own["level"]["errors"] = {"year": "shared"}
    data = started("growing", "weibull(life, 2)", parameters=own, removals={"lost": "0.03"})
    data["parameters"]["g"] |= uncertain
    data["dims"] = {"product": ["a", "b"]}
    for part in (*data["flows"].values(), *data["stocks"].values()):
        part["dims"] = ["product"]
    data["flows"]["sales"].pop("value")
    del data["parameters"]["given"]
    data["stocks"]["held"] |= {"value": "level", "negative_inflow": "early_retirement"}
    data["stocks"]["held"]["initial"]["inflow"] = "once"
    data["indicators"] = {"cohorts": {"stock": "held", "by": "cohort"}}
    values = draws_of(data, draws=range(3))
    for n, draw in np.ndindex(2, 3):
        scale = float(values["life"][n, draw])
        share = reference.steady(reference.survivors("weibull", scale=scale, shape=2.0), "middle")
        pace = np.exp(-values["g"][draw])
        before = {-k: values["once"][n, draw] * pace**k for k in range(1, 150)}
        keys = {"level": values["level"][:, draw], "answer": "early_retirement"}
        twin = reference.whole_stock(share, YEARS, before=before, removals=TAKEN, **keys)
        largest = twin["stock"].max()
        for name, of in (("held", "stock"), ("sales", "inflow"), ("old", "release")):
            assert_allclose(values[name][n, :, draw], twin[of], rtol=0, atol=1e-9 * largest)
        shown = reference.by_year_of_inflow(twin["left"], YEARS, 1)
        assert_allclose(values["cohorts"][n, :, :, draw], shown, rtol=0, atol=1e-9 * largest)


def test_it_stands_in_a_loop():
    """A stock of a loop may begin with what a past inflow left; the loop balances."""
    data = started("growing")
    data["processes"] += ["making", "waste"]
    data["flows"] = {
        "ore": {"from": "mine", "to": "making", "value": "given"},
        "sales": {"from": "making", "to": "use"},
        "old": {"from": "use", "to": "waste"},
        "recycled": {"from": "waste", "to": "making", "share": "0.6"},
        "dumped": {"from": "waste", "to": "dump"},
    }
    plan = compile_plan(scenario(data))
    audit = Audit(plan)
    values = evaluate_central(plan, audit)
    assert audit.worst <= LIMIT
    assert {account.process for account in plan.accounts} == {"use", "making", "waste"}
    share = reference.steady(LIVES["weibull(7, 2)"], "middle")
    before, _ = past("growing", share)
    twin = reference.whole_stock(share, YEARS, inflow=values["sales"], before=before)
    assert_allclose(values["held"], twin["stock"], rtol=1e-9)
    assert "held before" in {name for step in members_of(plan) for name in step.targets}


# --- what is wrong -------------------------------------------------------------------------------


def initial(*, drop=(), **keys):
    """Return a stock with other keys of its initial stock, or without some."""
    data = started("growing")
    of = data["stocks"]["held"]["initial"] | keys
    data["stocks"]["held"]["initial"] = {k: v for k, v in of.items() if k not in drop}
    data["parameters"]["mass"] = certain("t", 5.0)
    return data


def _sink():
    data = initial()
    data["stocks"]["held"] = {
        "process": "use",
        "kind": "sink",
        "initial": {"inflow": "at(given, year=2000)"},
    }
    return data


WRONG = {
    "value and inflow": (initial(value="mass"), '"value"', "needs no value; give one of both"),
    "neither": (initial(drop=["inflow"]), '"initial"', "needs a value, or the inflow that left it"),
    "a mass": (
        initial(inflow="mass"),
        '"inflow"',
        r"an inflow must be \[.*\] \(t/yr\), not \[mass",
    ),
    "every year": (initial(inflow="given"), '"inflow"', "cannot change with the years"),
    "below zero": (
        initial(inflow="-at(given, year=2000)"),
        '"inflow"',
        "an inflow cannot be negative, found -40",
    ),
    "given ages": (
        initial(age="given", drop=["growth"]),
        '"inflow"',
        "age: given needs a value; an inflow leaves ages of its own",
    ),
    "no age": (initial(drop=["age"]), '"initial"', "has no age; say age: stationary"),
    "no growth": (initial(drop=["growth"]), '"initial"', "age: growing needs growth"),
    "a sink": (_sink(), '"inflow"', "a stock of kind: sink has no ages"),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_mistakes_are_refused_at_their_line(mistake):
    """Names what does not fit together about a past inflow, at its line."""
    data, at, message = WRONG[mistake]
    with pytest.raises(InputError) as caught:
        compile_plan(scenario(data))
    assert re.search(message, caught.value.message), caught.value.message
    line = int(caught.value.where.rpartition(":")[2])
    assert at in lines_of(data)[line - 1]


def test_a_past_inflow_of_the_loop_is_refused():
    """What left the initial stock cannot be what comes of it."""
    data = started("growing")
    data["flows"]["sales"]["value"] = "given + lag(old)"
    data["stocks"]["held"]["initial"]["inflow"] = "at(sales, year=2000)"
    with pytest.raises(InputError, match=r"itself is made of .* cannot depend on what it releases"):
        compile_plan(scenario(data))
