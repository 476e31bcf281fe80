"""Loops: flows that feed back, solved for every draw and year, against dense solutions."""

import json
import random

import numpy as np
import pytest
import reference
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from strategies import imbalance, loops, scenario

from ndmc.engine.audit import LIMIT, Audit
from ndmc.engine.evaluation import evaluate
from ndmc.engine.refusals import check_central
from ndmc.engine.tile_width import tile_width
from ndmc.errors import InputError
from ndmc.model import compile_plan
from ndmc.plan.steps import March

DRAWS = 8
random_loops = settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow]
)
TOLERANCE = 1e-12


def close(got, expected, name=""):
    """Compare to 1e-12 of the largest."""
    expected = np.broadcast_to(expected, got.shape)
    assert_allclose(got, expected, rtol=0, atol=TOLERANCE * np.abs(expected).max(), err_msg=name)


def solve(data, draws=DRAWS, seed=1, **options):
    """Return every flow, stock, indicator and parameter; the balances are checked on the way."""
    loaded = scenario(data)
    file = loaded.file
    keep = [*file.flows, *file.stocks, *file.indicators, *file.parameters]
    plan = compile_plan(loaded, keep, **options)
    audit = Audit(plan)
    values = evaluate(plan, seed, range(draws), audit=audit)
    assert len(plan.accounts) == len(file.processes)
    assert audit.worst < LIMIT, audit.place
    return values


def looped(data):
    """Return the loops of a scenario, as the names that each computes."""
    plan = compile_plan(scenario(data))
    return [set(s.targets) for s in (*plan.fixed, *plan.steps) if isinstance(s, March)]


def number(unit, value=None, **key):
    """Return a parameter: certain, or between low and high."""
    if "low" in key:
        return {"unit": unit, "distribution": "uniform", **key}
    return {"unit": unit, "value": value, "distribution": "constant", **key}


def system(parameters, processes, flows, years="2000..2011", **key):
    """Return a scenario of flows written as "name: origin -> target" and their rules."""
    found = {}
    for text, rule in flows.items():
        name, ends = text.split(":")
        origin, target = ends.split("->")
        found[name] = {"from": origin.strip(), "to": target.strip(), **rule}
    return {
        "format": 1,
        "name": "looped",
        "unit": "t",
        "years": years,
        "parameters": parameters,
        "processes": processes,
        "flows": found,
        **key,
    }


def path(first=2000, last=2011, growth=1.07, start=100.0):
    """Return a table that grows year by year."""
    return {str(year): start * growth ** (year - first) for year in range(first, last + 1)}


def numbers_of(data, values):
    """Return the value or share of every flow, [cell, year, draw]; texts are products of names."""
    loaded = scenario(data)
    years, found = len(loaded.dims.years), {}
    for name, flow in data["flows"].items():
        text = flow.get("value", flow.get("share"))
        if text is None:
            continue
        if isinstance(text, dict):  # by label: the same in another order
            text = text["else"]
        total = np.ones((1, 1, 1))
        for factor in str(text).split("*"):
            factor = factor.strip()
            if factor not in data["parameters"]:
                total = total * float(factor)
                continue
            one, has = values[factor], data["parameters"][factor].get("dims", [])
            one = one if "year" in has else np.expand_dims(one, -2)
            total = total * (one if set(has) - {"year"} else one[None])
        cells = len(loaded.dims.labels["k"]) if flow.get("dims") else 1
        found[name] = np.broadcast_to(total, (cells, years, DRAWS))
    return found


def parts_of(data, values):
    """Return the age shares of every stock with a Weibull lifetime, by cohort."""
    loaded, found = scenario(data), {}
    years = len(loaded.dims.years)
    for name, stock in data.get("stocks", {}).items():
        scale, shape = stock["lifetime"].removeprefix("weibull(").removesuffix(")").split(",")
        cells = len(loaded.dims.labels["k"]) if stock.get("dims") else 1
        dims = data["parameters"].get(scale, {}).get("dims", [])
        eta = values[scale] if scale in values else np.array([float(scale)])
        eta = eta[None] if "k" not in dims else eta
        eta = eta if "year" in dims else eta[:, None]
        eta = np.broadcast_to(eta, (cells, years, DRAWS))
        beta = np.full(DRAWS, float(shape))
        ages = reference.weibull_ages(eta, beta, years, stock.get("inflow_at", "middle"))
        rates = {flow: float(rate) for flow, rate in stock.get("removals", {}).items()}
        found[name] = reference.stock_parts(ages, rates)
    return found


def dense(data, values, starts=None):
    """Return the flows and stocks of the twin, shaped as the engine's."""
    loaded = scenario(data)
    count = len(loaded.dims.labels.get("k", ("",)))
    numbers, parts = numbers_of(data, values), parts_of(data, values)
    found = reference.flow_system(data, count, numbers, parts, starts)
    both = {**data["flows"], **data.get("stocks", {})}
    return {name: one if both[name].get("dims") else one[0] for name, one in found.items()}


def assert_dense(data, starts=None):
    """Solve a system both ways."""
    values = solve(data)
    expected = dense(data, values, starts)
    largest = max(np.abs(one).max() for one in expected.values())
    for name, one in expected.items():
        assert_allclose(values[name], one, rtol=0, atol=TOLERANCE * largest, err_msg=name)
    return values


# --- closed forms ----------------------------------------------------------------------------

NEW_SCRAP = system(
    {
        "demand": number("t/yr", path(), dims=["year"]),
        "fine": number("1", low=0.8, high=0.95),
        "melted": number("1", low=0.9, high=0.99),
        "kept": number("1", low=0.5, high=0.9),
    },
    ["making", "fabrication", "use", "waste", "scrap"],
    {
        "primary: mine -> making": {},
        "metal: making -> fabrication": {},
        "products: fabrication -> use": {"value": "demand"},
        "new_scrap: fabrication -> scrap": {"share": "1 - fine"},
        "old: use -> waste": {},
        "old_scrap: waste -> scrap": {"share": "kept"},
        "landfill: waste -> dump": {},
        "recycled: scrap -> making": {"share": "melted"},
        "slag: scrap -> dump": {},
    },
    stocks={"in_use": {"process": "use", "lifetime": "weibull(5, 2)"}},
)


def test_new_scrap_loop_equals_its_closed_form():
    """Primary = D / y - rn (1 - y) D / y - old, of methods 3.8."""
    values = solve(NEW_SCRAP, 500)
    demand, fine, melted = values["demand"], values["fine"], values["melted"]
    survival = reference.weibull_ages(np.full((1, 1), 5.0), np.full(1, 2.0), 12, "middle")[0]
    _, out = reference.cohort(demand[None], survival[None])
    old = values["kept"] * out[0]
    metal = demand / fine
    close(values["metal"], metal)
    close(values["new_scrap"], (1 - fine) * metal)
    close(values["primary"], metal - melted * (1 - fine) * metal - melted * old)
    assert looped(NEW_SCRAP) == [{"metal", "new_scrap"}]


@pytest.mark.parametrize("convention", ["start", "middle", "end", "uniform"])
def test_supply_limited_loop_equals_its_closed_form(convention):
    """I_t = (P_t + r known_t) / (1 - r o_0), of methods 3.8, under each convention."""
    data = system(
        {
            "mined": number("t/yr", path(), dims=["year"]),
            "rate": number("1", low=0.5, high=0.95),
            "life": number("yr", low=1.5, high=9),
        },
        ["making", "use", "waste"],
        {
            "primary: mine -> making": {"value": "mined"},
            "sales: making -> use": {},
            "old: use -> waste": {},
            "recycled: waste -> making": {"share": "rate"},
            "lost: waste -> dump": {},
        },
        stocks={
            "in_use": {"process": "use", "lifetime": "weibull(life, 1.5)", "inflow_at": convention}
        },
    )
    values = solve(data, 200)
    left = reference.weibull_ages(values["life"], np.full(200, 1.5), 12, convention)
    gone = -np.diff(left, axis=0, prepend=1.0)
    sales, rate = np.zeros((12, 200)), values["rate"]
    for year in range(12):
        known = sum((sales[born] * gone[year - born] for born in range(year)), np.zeros(200))
        sales[year] = (values["mined"][year] + rate * known) / (1 - rate * gone[0])
    close(values["sales"], sales)
    stock, out = reference.cohort(sales[None], left[None])
    close(values["in_use"], stock[0])
    close(values["old"], out[0])


def test_mean_over_draws_is_that_of_the_closed_form_not_of_the_mean_share():
    """Shares in a loop are not averaged: E[1 / (1 - r)] is not 1 / (1 - E[r])."""
    data = system(
        {"fed": number("t/yr", 10), "r": number("1", low=0.0, high=0.9)},
        ["mill", "sieve"],
        {
            "in: out -> mill": {"value": "fed"},
            "milled: mill -> sieve": {},
            "coarse: sieve -> mill": {"share": "r"},
            "fine: sieve -> end": {},
        },
        years="2000..2000",
    )
    values = solve(data, 20_000)
    milled = values["milled"][0]
    close(values["milled"], 10 / (1 - values["r"]))
    # E[1 / (1 - r)] = ln(1 / (1 - 0.9)) / 0.9 of a uniform r; its sd from 20 000 draws is 0.014.
    exact = 10 * np.log(10) / 0.9
    assert abs(milled.mean() - exact) < 5 * milled.std() / np.sqrt(milled.size)
    assert milled.mean() > 1.2 * 10 / (1 - 0.45)


def test_losses_of_what_is_asked_for_run_backward():
    """A share of an unknown input: input = output / (1 - loss), through three processes."""
    data = system(
        {
            "asked": number("t/yr", path(), dims=["year"]),
            "a": number("1", low=0.0, high=0.5),
            "b": number("1", low=0.0, high=0.5),
            "c": number("1", low=0.0, high=0.5),
        },
        ["first", "second", "third"],
        {
            "ore: mine -> first": {},
            "concentrate: first -> second": {},
            "metal: second -> third": {},
            "product: third -> users": {"value": "asked"},
            "tailings: first -> dump": {"share": "a"},
            "slag: second -> dump": {"share": "b"},
            "swarf: third -> dump": {"share": "c"},
        },
    )
    values = solve(data)
    a, b, c = (values[name] for name in "abc")
    close(values["metal"], values["asked"] / (1 - c))
    close(values["ore"], values["asked"] / (1 - c) / (1 - b) / (1 - a))


# --- against the dense solution --------------------------------------------------------------


def test_chained_and_nested_loops_equal_the_dense_solution():
    """Scrap of three stages returns to the stage itself, to the one before and to the first."""
    shares = {name: number("1", low=0.02, high=0.25) for name in ("a", "b", "c", "d", "e", "f")}
    data = system(
        {"fed": number("t/yr", path(), dims=["year"]), **shares},
        ["one", "two", "three", "remelt"],
        {
            "in: mine -> one": {"value": "fed"},
            "bars: one -> two": {},
            "sheets: two -> three": {},
            "goods: three -> users": {},
            "one_back: one -> remelt": {"share": "a"},
            "two_back: two -> one": {"share": "b"},
            "three_back: three -> two": {"share": "c"},
            "three_far: three -> remelt": {"share": "d"},
            "remelted: remelt -> one": {},
            "two_lost: two -> dump": {"share": "e"},
            "dross: remelt -> dump": {"share": "f"},
        },
    )
    assert_dense(data)


def test_two_loops_that_share_a_process_equal_the_dense_solution():
    """Two ways back into one process, each with its own loss and one with a stock."""
    data = system(
        {
            "fed": number("t/yr", path(), dims=["year"]),
            "a": number("1", low=0.1, high=0.4),
            "b": number("1", low=0.1, high=0.4),
            "c": number("1", low=0.1, high=0.9),
            "life": number("yr", low=1, high=6),
        },
        ["hub", "left", "right"],
        {
            "in: mine -> hub": {"value": "fed"},
            "to_left: hub -> left": {"share": "a"},
            "to_right: hub -> right": {},
            "left_back: left -> hub": {"share": "b"},
            "left_out: left -> users": {},
            "right_back: right -> hub": {"share": "c"},
            "right_out: right -> users": {},
        },
        stocks={"held": {"process": "right", "lifetime": "weibull(life, 1.2)"}},
    )
    assert_dense(data)


def pooled():
    """Return products whose scrap goes to one pool, from which each product takes its part."""
    return system(
        {
            "fed": number("t/yr", {"u": 100, "v": 30, "w": 7}, dims=["k"]),
            "old": number("1", {"u": 0.3, "v": 0.6, "w": 0.5}, dims=["k"]),
            "part": number("1", {"u": 0.2, "v": 0.1, "w": 0.5}, dims=["k"]),
            "loss": number("1", low=0.05, high=0.2),
            "life": number("yr", {"u": 1.5, "v": 4, "w": 9}, dims=["k"]),
        },
        ["making", "use", "sorting", "pool"],
        {
            "primary: mine -> making": {"dims": ["k"], "value": "fed"},
            "sales: making -> use": {"dims": ["k"]},
            "scrap: use -> sorting": {"dims": ["k"], "share": "old"},
            "waste: use -> dump": {"dims": ["k"]},
            "gathered: sorting -> pool": {},
            "returned: pool -> making": {"dims": ["k"], "share": "part"},
            "lost: pool -> dump": {"share": "loss"},
            "left: pool -> abroad": {},
        },
        dims={"k": ["u", "v", "w"]},
        stocks={"in_use": {"process": "use", "dims": ["k"], "lifetime": "weibull(life, 2)"}},
    )


def test_a_loop_that_couples_products_through_a_sum_equals_the_dense_solution():
    """What the pool gives one product depends on the scrap of all."""
    values = assert_dense(pooled())
    assert values["sales"].shape == (3, 12, DRAWS)


def test_a_sum_in_an_expression_couples_products_too():
    """Each product takes a part of the sum of all, this year's: solved as one system."""
    data = system(
        {
            "fed": number("t/yr", {"u": 100, "v": 30}, dims=["k"]),
            "tenth": number("1", {"u": 0.1, "v": 0.3}, dims=["k"]),
            "r": number("1", low=0.1, high=0.5),
        },
        ["making", "using"],
        {
            "primary: mine -> making": {"dims": ["k"], "value": "fed"},
            "extra: mine -> making": {
                "dims": ["k"],
                "value": "tenth * sum(made, over=k) - mean(back, over=k) + at(made, k=v) / 9",
            },
            "made: making -> using": {"dims": ["k"]},
            "back: using -> making": {"dims": ["k"], "share": "r"},
            "gone: using -> end": {"dims": ["k"]},
        },
        years="2000..2001",
        dims={"k": ["u", "v"]},
    )
    values = solve(data)
    for draw in range(DRAWS):
        r = values["r"][draw]
        # made = fed + tenth (made_u + made_v) - r (made_u + made_v) / 2 + made_v / 9 + r made
        matrix = np.eye(2) * (1 - r)
        matrix -= np.outer([0.1, 0.3], [1, 1]) - r / 2 * np.ones((2, 2))
        matrix[:, 1] -= 1 / 9
        made = np.linalg.solve(matrix, [100, 30])
        assert_allclose(values["made"][:, 1, draw], made, rtol=TOLERANCE)


def in_use(**stock):
    """Return a loop through a stock with two products; the stock as asked for."""
    return system(
        {
            "fed": number("t/yr", {"u": path(start=70), "v": path(growth=0.9)}, dims=["k", "year"]),
            "rate": number("1", {"u": 0.9, "v": 0.4}, dims=["k"]),
            "life": number("yr", low=2, high=7),
            "lives": number(
                "yr",
                {"u": path(growth=1.1, start=2), "v": path(growth=0.9, start=9)},
                dims=["k", "year"],
            ),
        },
        ["making", "use", "waste", "repair"],
        {
            "primary: mine -> making": {"dims": ["k"], "value": "fed"},
            "sales: making -> use": {"dims": ["k"]},
            "old: use -> waste": {"dims": ["k"]},
            "broken: use -> repair": {"dims": ["k"], "share": "0.2"},
            "mended: repair -> use": {"dims": ["k"], "share": "0.8"},
            "unmended: repair -> waste": {"dims": ["k"]},
            "recycled: waste -> making": {"dims": ["k"], "share": "rate"},
            "lost: waste -> dump": {"dims": ["k"]},
        },
        dims={"k": ["u", "v"]},
        stocks={
            "in_use": {"process": "use", "dims": ["k"], "lifetime": "weibull(life, 1.3)", **stock}
        },
    )


@pytest.mark.parametrize("convention", ["start", "middle", "end", "uniform"])
def test_reuse_from_the_release_of_a_stock_equals_the_dense_solution(convention):
    """What is repaired returns to use in the year it left, under each convention."""
    assert_dense(in_use(inflow_at=convention))


@pytest.mark.parametrize("convention", ["start", "middle", "uniform"])
def test_lifetimes_by_cohort_inside_a_loop_equal_the_dense_solution(convention):
    """The year of inflow decides how long a cohort stays."""
    assert_dense(in_use(lifetime="weibull(lives, 1.3)", inflow_at=convention))


def test_removals_inside_a_loop_equal_the_dense_solution():
    """What leaves a stock early, one flow out of the system and one back into it."""
    data = in_use(removals={"exported": "0.05", "donated": "0.1"}, lifetime="weibull(lives, 1.3)")
    data["flows"]["exported"] = {"from": "use", "to": "abroad", "dims": ["k"]}
    data["flows"]["donated"] = {"from": "use", "to": "repair", "dims": ["k"]}
    values = assert_dense(data)
    assert values["exported"][:, 1:].min() > 0


@pytest.mark.parametrize("lifetime", ["weibull(life, 1.3)", "weibull(lives, 1.3)"])
def test_initial_stock_inside_a_loop_equals_the_dense_solution(lifetime):
    """A stock of known ages is released year by year beside what the loop brings in."""
    ages = 8
    data = in_use(
        lifetime=lifetime,
        inflow_at="end",
        removals={"exported": "0.05"},
        initial={"value": "before", "age": "given", "shares": "aged"},
    )
    data["flows"]["exported"] = {"from": "use", "to": "abroad", "dims": ["k"]}
    data["dims"]["age"] = [str(age) for age in range(ages)]
    shares = {str(age): (ages - age) / 36 for age in range(ages)}
    data["parameters"]["before"] = number("t", low=500, high=900)
    data["parameters"]["aged"] = number("1", shares, dims=["age"])
    values = solve(data)
    # A share of age j at the end of the year before the first is a cohort that came j years
    # earlier; what is left of it n years on is s(j + n) k(j + n) / (s(j) k(j)).
    years = 12
    eta = values["lives"][:, :1] if "lives" in lifetime else values["life"][None, None]
    eta = np.broadcast_to(eta, (2, 1, DRAWS))
    survival = reference.weibull_ages(eta, np.full(DRAWS, 1.3), years + ages, "end")
    parts = reference.stock_parts(survival, {"exported": 0.05})
    starts = {name: np.zeros((2, years, DRAWS)) for name in parts}
    for name, of in parts.items():
        for age in range(ages):
            came = values["before"] * shares[str(age)] / parts["stock"][:, 0, age]
            for year in range(years):
                starts[name][:, year] += came * of[:, 0, age + 1 + year]
    expected = dense(data, values, {"in_use": starts})
    for name, one in expected.items():
        close(values[name], one, name)


# --- what remembers --------------------------------------------------------------------------


def remembering(rule, **key):
    """Return a loop whose ``extra`` inflow follows a rule that reads what the loop computes."""
    return system(
        {
            "fed": number("t/yr", path(), dims=["year"]),
            "r": number("1", low=0.1, high=0.6),
            "q": number("1", low=0.1, high=0.9),
        },
        ["mill", "sieve"],
        {
            "in: mine -> mill": {"value": "fed"},
            "extra: mine -> mill": {"value": rule},
            "milled: mill -> sieve": {},
            "coarse: sieve -> mill": {"share": "r"},
            "fine: sieve -> end": {},
        },
        **key,
    )


def year_by_year(values, extra):
    """Return the flows of `remembering`; ``extra`` gives its inflow in year t of those before.

    It is called with the histories of milled, coarse and extra, as lists, and returns a constant
    and the factor of milled in the same year.
    """
    fed, r = values["fed"], values["r"]
    milled, coarse, extras = [], [], []
    for year in range(12):
        constant, factor = extra(year, milled, coarse, extras)
        milled.append((fed[year] + constant) / (1 - r - factor))
        coarse.append(r * milled[-1])
        extras.append(constant + factor * milled[-1])
    return {"milled": np.array(milled), "coarse": np.array(coarse), "extra": np.array(extras)}


def before(history, years=1):
    """Return the value of some years ago, or zero."""
    return history[-years] if len(history) >= years else 0.0


MEMORIES = {
    "a plain share of this year": ("q / 4 * milled", lambda q, t, m, c, e: (0.0, q / 4)),
    "lag": ("q * lag(coarse)", lambda q, t, m, c, e: (q * before(c), 0.0)),
    "lag by three years": (
        "q * lag(milled, 3) / 2",
        lambda q, t, m, c, e: (q * before(m, 3) / 2, 0.0),
    ),
    "lag by no year": ("q / 4 * lag(milled, 0)", lambda q, t, m, c, e: (0.0, q / 4)),
    "lag beyond all years": ("lag(milled, 40)", lambda q, t, m, c, e: (0.0, 0.0)),
    "lag of an expression": (
        "q * lag(min(milled, 3 * coarse))",
        lambda q, t, m, c, e: (q * np.minimum(before(m), 3 * before(c)), 0.0),
    ),
    "lag of a lag": (
        "q * lag(lag(milled) + milled) / 4",
        lambda q, t, m, c, e: (q * (before(m, 2) + before(m)) / 4, 0.0),
    ),
    "its own lag": (
        "q * lag(extra) + coarse / 9",
        lambda q, t, m, c, e: (q * before(e), lambda r: r / 9),
    ),
    "running sum of the same year": (
        "q / 20 * cumsum(milled) / step",
        lambda q, t, m, c, e: (q / 20 * (sum(m) + 0.0), q / 20),
    ),
    "running sum of the years before": (
        "q / 20 * lag(cumsum(milled)) / step",
        lambda q, t, m, c, e: (q / 20 * (sum(m) + 0.0), 0.0),
    ),
    "what is carried over": (
        "q / 9 * carry(lag(coarse) - lag(milled, 2) / 4) / step",
        None,
    ),
    "a quota": (
        "min(q * lag(milled), 20 * fed / fed * at(fed, year=2000) / 100)",
        lambda q, t, m, c, e: (np.minimum(q * before(m), 20.0), 0.0),
    ),
    "clipped": (
        "clip(lag(milled) - at(fed, year=2003), 0 * fed, at(fed, year=2000) / 10)",
        lambda q, t, m, c, e: (np.clip(before(m) - 100 * 1.07**3, 0, 10.0), 0.0),
    ),
    "chosen by what was": (
        "where(lag(milled) > at(fed, year=2004), q / 9 * milled, q / 3 * coarse)",
        lambda q, t, m, c, e: (
            0.0,
            lambda r: np.where(before(m) > 100 * 1.07**4, q / 9, q / 3 * r),
        ),
    ),
    "nonlinear in what was": (
        "fed * (1 - exp(-lag(milled) / at(fed, year=2000))) * sqrt(q) / 2",
        lambda q, t, m, c, e: (
            100 * 1.07**t * (1 - np.exp(-before(m) / 100)) * np.sqrt(q) / 2,
            0.0,
        ),
    ),
    "by the number of the year": (
        "where(year < 2005, 0, q / 4) * milled",
        lambda q, t, m, c, e: (0.0, 0.0 if t < 5 else q / 4),
    ),
    "divided by what is known": (
        "milled / (4 + lag(milled) / at(fed, year=2000))",
        lambda q, t, m, c, e: (0.0, 1 / (4 + before(m) / 100)),
    ),
}


@pytest.mark.parametrize("name", MEMORIES)
def test_what_remembers_inside_a_loop(name):
    """Each rule equals the same loop computed year after year in plain Python."""
    text, rule = MEMORIES[name]
    values = solve(remembering(text))
    q, r = values["q"], values["r"]
    held = [np.zeros(DRAWS)]

    def extra(year, milled, coarse, extras):
        if rule is None:
            surplus = before(coarse) - before(milled, 2) / 4
            held.append(np.maximum(held[-1] + surplus, 0.0))
            return q / 9 * held[-1], 0.0
        constant, factor = rule(q, year, milled, coarse, extras)
        return constant, factor(r) if callable(factor) else factor

    expected = year_by_year(values, extra)
    for flow, one in expected.items():
        close(values[flow], one, flow)


def test_an_indicator_inside_a_loop():
    """A rule may read indicators that read what it helps to determine."""
    data = remembering("q * gap / 4", indicators={"gap": "half - coarse / 3", "half": "milled / 2"})
    values = solve(data)
    q, r = values["q"], values["r"]
    expected = year_by_year(values, lambda t, m, c, e: (0.0, q * (0.5 - r / 3) / 4))
    for flow, one in expected.items():
        close(values[flow], one, flow)
    close(values["gap"], expected["milled"] * (0.5 - r / 3))


def test_a_sink_inside_a_loop():
    """What a deposit holds comes back year by year: a stock without ages, the same year."""
    data = system(
        {
            "fed": number("t/yr", path(), dims=["year"]),
            "r": number("1", low=0.1, high=0.6),
            "mined": number("1", low=0.01, high=0.2),
        },
        ["use", "deposit"],
        {
            "in: mine -> use": {"value": "fed"},
            "dumped: use -> deposit": {},
            "sold: use -> end": {"share": "r"},
            "urban: deposit -> use": {"value": "mined * deposited / step"},
        },
        stocks={"deposited": {"process": "deposit", "kind": "sink", "initial": "300 * tonne"}},
    )
    data["parameters"]["tonne"] = number("t", 1)
    values = solve(data)
    held, r, mined = 300.0, values["r"], values["mined"]
    for year in range(12):
        # held' = held + (1 - r) (fed + mined held') - mined held'
        fed = values["fed"][year]
        held = (held + (1 - r) * fed) / (1 - (1 - r) * mined + mined)
        close(values["deposited"][year], held)
        close(values["dumped"][year], (1 - r) * (fed + mined * held))


def test_a_buffer_inside_a_loop_through_the_year_before():
    """A hoard that covers deficits, which follow what was sold a year ago."""
    data = system(
        {
            "fed": number("t/yr", path(growth=0.93), dims=["year"]),
            "r": number("1", low=0.2, high=0.8),
        },
        ["market", "use"],
        {
            "supply: mine -> market": {"value": "fed"},
            "illegal: mine -> market": {},
            "returned: use -> market": {"share": "r"},
            "spent: use -> end": {},
            "demand: market -> use": {
                "value": "0.8 * at(fed, year=2000) + lag(demand) / 2 - lag(illegal)"
            },
        },
        stocks={"hoard": {"process": "market", "kind": "buffer", "remainder": "illegal"}},
    )
    values = solve(data, 100)
    held, demand, illegal, r = np.zeros((3, 100)), 0.0, 0.0, values["r"]
    held = held[0]
    for year in range(12):
        demand = 80 + demand / 2 - illegal
        net = values["fed"][year] + r * demand - demand
        illegal = np.maximum(-net - held, 0.0)
        held = np.maximum(held + net, 0.0)
        close(values["demand"][year], demand)
        close(values["illegal"][year], illegal)
        close(values["hoard"][year], held)
    assert values["illegal"].max() > 0
    assert values["hoard"].max() > 0


# --- random systems --------------------------------------------------------------------------


@random_loops
@given(data=loops())
def test_random_loops_equal_the_dense_solution(data):
    """Any system that loses something has one solution, and no gain is reported for it."""
    assert_dense(data)
    check_central(compile_plan(scenario(data)))


@random_loops
@given(data=loops(), seed=st.integers(0, 1000))
def test_order_in_the_file_changes_no_bit(data, seed):
    """Parameters, flows, processes and stocks may stand in any order."""
    expected = evaluate(compile_plan(scenario(data)), 1, range(DRAWS))
    got = evaluate(compile_plan(scenario(shuffled(data, seed))), 1, range(DRAWS))
    for name, values in expected.items():
        assert_array_equal(got[name], values, name)


def shuffled(data, seed):
    """Return a scenario with everything in another order."""
    mixed, chance = json.loads(json.dumps(data)), random.Random(seed)
    for kind in ("parameters", "flows", "stocks", "indicators"):
        items = list(mixed.get(kind, {}).items())
        chance.shuffle(items)
        mixed[kind] = dict(items)
    chance.shuffle(mixed["processes"])
    return mixed


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("data", [NEW_SCRAP, pooled(), in_use()], ids=["scrap", "pool", "use"])
def test_order_in_the_file_changes_no_bit_of_a_usual_cycle(data, seed):
    """The same for systems as people write them."""
    expected = evaluate(compile_plan(scenario(data)), 1, range(DRAWS))
    got = evaluate(compile_plan(scenario(shuffled(data, seed))), 1, range(DRAWS))
    for name, values in expected.items():
        assert_array_equal(got[name], values, name)


@random_loops
@given(data=loops())
def test_random_loops_balance(data):
    """Every process balances to 64 eps of its largest flow, also as another sum sees it."""
    loaded = scenario(data)
    plan = compile_plan(loaded)
    audit = Audit(plan)
    values = evaluate(plan, 1, range(DRAWS), audit=audit)
    assert audit.worst < LIMIT, audit.place
    assert audit.draws == DRAWS
    assert imbalance(loaded, values) <= 64


@random_loops
@given(data=loops())
def test_flows_are_linear_in_what_is_given(data):
    """Twice the given flows are twice all flows and stocks, bit for bit; a sum of two is a sum."""
    expected = evaluate(compile_plan(scenario(data)), 1, range(DRAWS))
    twice = json.loads(json.dumps(data))
    table = twice["parameters"]["path"]["value"]
    table.update({year: 2 * value for year, value in table.items()})
    for name, values in evaluate(compile_plan(scenario(twice)), 1, range(DRAWS)).items():
        assert_array_equal(values, 2 * expected[name], name)
    other = json.loads(json.dumps(data))
    table = other["parameters"]["path"]["value"]
    table.update({year: value * (int(year) % 3) for year, value in table.items()})
    second = evaluate(compile_plan(scenario(other)), 1, range(DRAWS))
    both = json.loads(json.dumps(data))
    table = both["parameters"]["path"]["value"]
    table.update({year: value * (1 + int(year) % 3) for year, value in table.items()})
    largest = max(np.abs(one).max() for one in expected.values())
    for name, values in evaluate(compile_plan(scenario(both)), 1, range(DRAWS)).items():
        total = expected[name] + second[name]
        assert_allclose(values, total, rtol=0, atol=3 * TOLERANCE * largest, err_msg=name)


@random_loops
@given(data=loops(), wait=st.integers(1, 4))
def test_what_is_given_later_happens_later(data, wait):
    """The same given flows some years later give the same flows and stocks those years later."""
    expected = evaluate(compile_plan(scenario(data)), 1, range(DRAWS))
    later = json.loads(json.dumps(data))
    table = list(data["parameters"]["path"]["value"].values())
    table = [0.0] * wait + table[: len(table) - wait]
    later["parameters"]["path"]["value"] = {str(2000 + n): one for n, one in enumerate(table)}
    largest = max(np.abs(one).max() for one in expected.values())
    for name, values in evaluate(compile_plan(scenario(later)), 1, range(DRAWS)).items():
        assert_array_equal(values[..., :wait, :], 0.0, name)
        one = expected[name][..., : 6 - wait, :]
        assert_allclose(values[..., wait:, :], one, rtol=0, atol=TOLERANCE * largest, err_msg=name)


@random_loops
@given(data=loops(), chosen=st.data())
def test_what_is_kept_and_asked_for_changes_no_bit(data, chosen):
    """One output alone, and some draws alone, have the bits they have among all."""
    loaded = scenario(data)
    together = evaluate(compile_plan(loaded), 5, range(300))
    name = chosen.draw(st.sampled_from(sorted(together)))
    first = chosen.draw(st.integers(0, 299))
    some = range(first, chosen.draw(st.integers(first + 1, 300)))
    alone = evaluate(compile_plan(loaded, [name]), 5, some)
    assert_array_equal(alone[name], together[name][..., some.start : some.stop])
    narrow = compile_plan(loaded)
    vars(narrow)["held"] = 2**40  # so large a draw is computed in the narrowest tiles
    assert tile_width(narrow) == 16
    assert_array_equal(evaluate(narrow, 5, some)[name], alone[name])


def test_two_equal_halves_of_a_product_are_the_product():
    """Splitting a product in two of half the size each leaves the total; halving is exact."""
    whole = in_use()
    halves = json.loads(json.dumps(whole))
    whole["dims"]["k"] = ["u"]
    for name, scale in (("fed", 0.5), ("rate", 1.0), ("lives", 1.0)):
        one = whole["parameters"][name]["value"]["u"]
        whole["parameters"][name]["value"] = {"u": one}
        part = {y: v * scale for y, v in one.items()} if isinstance(one, dict) else one * scale
        halves["parameters"][name]["value"] = {"u": part, "v": part}
    one, two = solve(whole), solve(halves)
    for name in (*whole["flows"], *whole["stocks"]):
        assert_array_equal(two[name][0], two[name][1], name)
        assert_array_equal(two[name].sum(axis=0), one[name][0], name)


def test_two_equal_halves_in_a_pool_are_the_product():
    """The same where both halves share one scrap pool, but for the order of a sum."""
    whole, halves = pooled(), pooled()
    whole["dims"]["k"] = ["u"]
    halves["dims"]["k"] = ["u", "v"]
    for name in ("fed", "old", "part", "life"):
        one = whole["parameters"][name]["value"]["u"]
        whole["parameters"][name]["value"] = {"u": one}
        part = one / 2 if name in ("fed", "part") else one
        halves["parameters"][name]["value"] = {"u": part, "v": part}
    one, two = solve(whole), solve(halves)
    for name, flow in {**whole["flows"], **whole["stocks"]}.items():
        if flow.get("dims"):
            close(two[name].sum(axis=0), one[name][0], name)


# --- which balance closes which flow ---------------------------------------------------------

# Two open flows between the same two processes: either balance could close either of them.
RETURNED = {
    "a: out -> p": {"value": "x"},
    "there: p -> q": {},
    "back: q -> p": {},
    "lost: q -> end": {"share": "s"},
}


@pytest.mark.parametrize("seed", range(6))
def test_open_flows_that_could_be_closed_either_way_are_solved_either_way(seed):
    """What is there / back is x / s and (1 - s) x / s in whatever order the file has them.

    It is no gain of 1 or more if the other balance is taken.
    """
    data = system(
        {"x": number("t/yr", 10), "s": number("1", low=0.1, high=0.3)}, ["p", "q"], RETURNED
    )
    mixed = shuffled(data, seed)
    values = solve(mixed)
    close(values["there"], 10 / values["s"])
    close(values["back"], 10 * (1 - values["s"]) / values["s"])
    plan = compile_plan(scenario(mixed))
    check_central(plan)
    audit = Audit(plan)
    evaluate(plan, 1, range(100), audit=audit)
    assert set(audit.count("gain").values()) == {0}


def test_three_open_flows_around_three_processes_are_solved():
    """A triangle of remainders, of which one process loses a share."""
    data = system(
        {"x": number("t/yr", 10), "s": number("1", low=0.1, high=0.3)},
        ["p", "q", "r"],
        {
            "a: out -> p": {"value": "x"},
            "f: r -> p": {},
            "e: q -> r": {},
            "d: p -> q": {},
            "lost: r -> end": {"share": "s"},
        },
    )
    for seed in range(6):
        mixed = shuffled(data, seed)
        values = solve(mixed)
        close(values["e"], 10 / values["s"])
        check_central(compile_plan(scenario(mixed)))


# --- gains -----------------------------------------------------------------------------------


def mill(share, **key):
    """Return a loop whose gain is a parameter."""
    return system(
        {"fed": number("t/yr", 10), "r": share},
        ["mill", "sieve"],
        {
            "in: out -> mill": {"value": "fed"},
            "milled: mill -> sieve": {},
            "coarse: sieve -> mill": {"share": "r"},
            "fine: sieve -> end": {},
        },
        years="2000..2002",
        **key,
    )


def test_a_loop_that_loses_nothing_is_refused_at_the_mean():
    """A gain of 1 has no finite answer; the cycle is named."""
    with pytest.raises(InputError, match=r"the loop (coarse|milled) -> .* returns at least all"):
        check_central(compile_plan(scenario(mill(number("1", 1)))))
    check_central(compile_plan(scenario(mill(number("1", 0.999_999)))))


@pytest.mark.parametrize(
    ("flows", "stocks"),
    [
        # What is born is a share of all that lives, this year's births among them.
        (
            {
                "bought: out -> herd": {"value": "fed"},
                "births: out -> herd": {"value": "r * cumsum(bought + births) / step"},
                "sold: herd -> end": {},
            },
            {},
        ),
        (
            {
                "bought: out -> herd": {"value": "fed"},
                "births: out -> herd": {"value": "r * living / step"},
            },
            {"living": {"process": "herd", "kind": "sink"}},
        ),
        (
            {
                "bought: out -> herd": {"value": "fed"},
                "births: out -> herd": {"value": "r * sold"},
                "sold: herd -> end": {},
            },
            {},
        ),
    ],
    ids=["running sum", "sink", "plain"],
)
def test_a_gain_through_whatever_the_loop_runs_is_found(flows, stocks):
    """Growth of 120 % within the year has no answer, whichever quantities carry it."""
    data = system(
        {"fed": number("t/yr", 10), "r": number("1", 1.2)}, ["herd"], flows, stocks=stocks
    )
    with pytest.raises(InputError, match="returns at least all that enters it"):
        check_central(compile_plan(scenario(data)))
    data["parameters"]["r"]["value"] = 0.3
    check_central(compile_plan(scenario(data)))


def test_gains_are_counted_draw_by_draw():
    """Where the shares of a loop sum to more than 1 in some draws, those are counted."""
    data = mill(number("1", low=0.4, high=0.9))
    data["parameters"]["s"] = number("1", low=0.05, high=0.25)
    data["flows"]["fine"]["to"] = "mill"
    data["flows"]["taken"] = {"from": "mill", "to": "end", "share": "s - 0.1"}
    plan = compile_plan(scenario(data), [*data["flows"], "s"])
    audit = Audit(plan)
    values = evaluate(plan, 1, range(1000), audit=audit)
    expected = int((values["s"] <= 0.1 + 1e-9).sum())
    assert 100 < expected < 400
    assert sum(audit.count("gain").values()) == expected


def test_gain_in_one_product_and_one_year_is_found():
    """The largest of all cells and years decides."""
    data = pooled()
    data["parameters"]["old"] = number(
        "1",
        {k: {str(y): 0.5 for y in range(2000, 2012)} for k in "uvw"},
        dims=["k", "year"],
    )
    check_central(compile_plan(scenario(data)))
    data["parameters"]["fed"]["value"] = {"u": 0, "v": 0, "w": 1}
    data["flows"]["boost"] = {
        "from": "mine",
        "to": "making",
        "dims": ["k"],
        "value": "where(year == 2007, growth, 0) * sales",
    }
    data["parameters"]["growth"] = number("1", {"u": 0.1, "v": 1.5, "w": 0.1}, dims=["k"])
    with pytest.raises(InputError, match="returns at least all"):
        check_central(compile_plan(scenario(data)))
    data["parameters"]["growth"]["value"]["v"] = 0.5
    check_central(compile_plan(scenario(data)))


def test_balances_close_near_a_gain_of_one():
    """A loop that returns all but 1e-8 multiplies by 1e8, and still balances."""
    data = mill(number("1", 1 - 1e-8))
    values = solve(data)
    assert_allclose(values["milled"], 1e9, rtol=1e-7)
