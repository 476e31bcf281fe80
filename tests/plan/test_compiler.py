"""Plans: what determines each quantity, in what order, and nothing more than is needed."""

import json
import random

import numpy as np
import pytest
import reference
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from strategies import bundled, imbalance, one_parameter, scenario, stock_model, systems

from ndmc.engine.evaluation import evaluate, evaluate_central
from ndmc.errors import InputError
from ndmc.model import compile_plan
from ndmc.plan.description import describe
from ndmc.plan.steps import Balance, Cohort, Formula, March, Share, hidden

random_systems = settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow]
)


def shuffled(data, seed):
    """Return a scenario with parameters, processes, flows and indicators in another order."""
    mixed = json.loads(json.dumps(data))
    chance = random.Random(seed)
    for kind in ("parameters", "flows", "indicators"):
        items = list(mixed.get(kind, {}).items())
        chance.shuffle(items)
        mixed[kind] = dict(items)
    chance.shuffle(mixed["processes"])
    return mixed


@random_systems
@given(data=systems())
def test_any_acyclic_system_balances(data):
    """Given, shared and closed flows of any acyclic system balance to 64 eps of the largest."""
    loaded = scenario(data)
    values = evaluate(compile_plan(loaded), 1, range(64))
    assert imbalance(loaded, values) <= 64


@random_systems
@given(data=systems(), seed=st.integers(0, 1000))
def test_order_in_the_file_changes_nothing(data, seed):
    """Shuffling parameters, flows and processes in the file leaves every bit of every flow."""
    expected = evaluate(compile_plan(scenario(data)), 1, range(16))
    got = evaluate(compile_plan(scenario(shuffled(data, seed))), 1, range(16))
    for name, values in expected.items():
        assert_array_equal(got[name], values, name)


def test_order_in_the_file_changes_nothing_around_a_stock():
    """Shuffling a scenario with a stock leaves every bit."""
    data = stock_model(spread=0.1)
    expected = evaluate(compile_plan(scenario(data)), 1, range(16))
    for seed in range(5):
        got = evaluate(compile_plan(scenario(shuffled(data, seed))), 1, range(16))
        for name, values in expected.items():
            assert_array_equal(got[name], values, name)


def test_each_flow_has_the_step_of_its_rule():
    """A value is a formula, a share a share, and what is left a balance or a stock's release."""
    loaded = scenario(stock_model())
    plan = compile_plan(loaded)
    steps = {step.target: step for step in (*plan.fixed, *plan.steps)}
    kinds = {name: type(step) for name, step in steps.items()}
    expected = {
        "sales": Formula,
        "end_of_life": Balance,
        "recycled": Share,
        "dumped": Balance,
        "in_use": Cohort,
        "total": Formula,
    }
    assert kinds == expected
    assert [term.name for term in steps["end_of_life"].terms] == [hidden("in_use", "release")]
    assert describe(steps["end_of_life"], "end_of_life", loaded) == "what the stock of use releases"
    assert describe(steps["dumped"], "dumped", loaded) == "balance of waste"


def test_steps_find_their_inputs_ready():
    """Every step reads only what is drawn, constant or computed by an earlier step."""
    plan = compile_plan(bundled("china_nd"))
    known = {sampler.name for sampler in plan.samplers} | set(plan.constants)
    for step in (*plan.fixed, *plan.steps):
        assert step.inputs <= known, step.target
        known.update(step.targets)


def test_plan_holds_only_what_is_needed():
    """Steps and parameters that the kept outputs do not read are left out."""
    loaded = bundled("china_nd")
    plan = compile_plan(loaded, ["final_products"])
    assert [step.target for step in (*plan.fixed, *plan.steps)] == ["final_products"]
    assert {s.name for s in plan.samplers} == {"production", "penetration", "content"}
    assert plan.positive == frozenset()
    assert compile_plan(loaded, ["in_use"]).positive == {"scale", "shape"}
    assert {s.name for s in compile_plan(loaded, ["content"]).samplers} == {"content"}
    assert compile_plan(loaded, ["content"]).steps == ()


def test_what_is_kept_does_not_change_values():
    """An output has the same bits whether it is computed alone or with all others."""
    loaded = bundled("china_nd")
    together = evaluate(compile_plan(loaded), 3, range(50))
    for name in ("in_use", "illegal_mining", "illegal_carried", "eol_growth"):
        assert_array_equal(
            evaluate(compile_plan(loaded, [name]), 3, range(50))[name], together[name]
        )


def test_certain_steps_are_computed_once():
    """Steps without an uncertain input are fixed, those with one are not."""
    data = stock_model()
    assert compile_plan(scenario(data)).steps == ()
    data["parameters"]["rate"] |= {"distribution": "normal", "cv": 0.1}
    plan = compile_plan(scenario(data))
    assert [step.target for step in plan.steps] == ["recycled", "dumped"]


def test_outputs_carry_unit_title_and_kind():
    """Flows are per year, stocks are not, indicators follow their unit, parameters keep theirs."""
    data = stock_model()
    data["indicators"]["held"] = {"value": "total", "unit": "kt", "title": "Held"}
    plan = compile_plan(scenario(data), ["sales", "in_use", "total", "held", "inflow", "eta"])
    shown = [(o.name, o.unit, o.kind, o.title) for o in plan.outputs]
    assert shown == [
        ("sales", "t/yr", "flow", "sales"),
        ("in_use", "t", "stock", "in use"),
        ("total", "t", "indicator", "total"),
        ("held", "kt", "indicator", "Held"),
        ("inflow", "t/yr", "parameter", "inflow"),
        ("eta", "yr", "parameter", "eta"),
    ]
    values = evaluate(plan, 1, range(1))
    assert_allclose(values["held"] * 1000, values["total"], rtol=1e-15)
    assert plan.cells == 30 + 30 + 15 + 15 + 30 + 2


# --- what cannot be solved ------------------------------------------------------------------


def two_processes(flows):
    """Return a scenario of processes p and q with one parameter x and these flows."""
    data = one_parameter(value=1, distribution="constant")
    data |= {"processes": ["p", "q"], "flows": {}}
    for name, (origin, target, rule) in flows.items():
        data["flows"][name] = {"from": origin, "to": target, **rule}
    return data


GIVEN = {"value": "x"}
HALF = {"share": "0.5"}


@pytest.mark.parametrize(
    ("flows", "message"),
    [
        (
            {
                "a": ("out", "p", GIVEN),
                "b": ("p", "q", {}),
                "c": ("p", "end", {}),
                "d": ("q", "end", GIVEN),
                "e": ("out", "q", {}),
            },
            "not determined",
        ),
        (
            {"a": ("out", "p", GIVEN), "b": ("p", "q", GIVEN), "c": ("q", "end", {})},
            "'p' is over-determined",
        ),
        ({"a": ("out", "p", {}), "b": ("p", "q", {}), "c": ("q", "end", {})}, "not determined"),
        (
            {"a": ("out", "p", GIVEN), "b": ("p", "q", {}), "c": ("q", "p", {})},
            "loop .*b -> c -> b|c -> b -> c.* fix only differences",
        ),
        (
            {"a": ("p", "end", HALF), "b": ("p", "q", {}), "c": ("q", "end", {})},
            "nothing enters 'p'",
        ),
        (
            {
                "a": ("out", "end", HALF),
                "b": ("out", "p", {}),
                "c": ("q", "end", {}),
                "d": ("p", "end", GIVEN),
                "e": ("out", "q", GIVEN),
            },
            "'out' is not a process",
        ),
        (
            {"a": ("out", "p", {"value": "2 * 3"}), "b": ("p", "q", {}), "c": ("q", "end", {})},
            "comes out as",
        ),
        (
            {
                "a": ("out", "p", GIVEN),
                "b": ("p", "q", {"share": "x"}),
                "c": ("p", "end", {}),
                "d": ("q", "end", {}),
            },
            "a share must be a plain number",
        ),
        (
            {
                "a": ("out", "p", GIVEN),
                "b": ("p", "q", {"share": "0.7"}),
                "c": ("p", "end", {"share": "0.4"}),
                "d": ("p", "q", {}),
                "e": ("q", "end", {}),
            },
            "sum to 1.1, more than 1",
        ),
        (
            {
                "a": ("out", "p", GIVEN),
                "b": ("p", "q", {"share": "0 - 0.1"}),
                "c": ("p", "end", {}),
                "d": ("q", "end", {}),
            },
            "shares lie in",
        ),
    ],
)
def test_unsolvable_systems_are_refused(flows, message):
    """Names what is undetermined, over-determined, circular or out of range."""
    with pytest.raises(InputError, match=message):
        compile_plan(scenario(two_processes(flows)))


def test_loops_are_cut_by_a_given_value():
    """A system whose flows only circulate is solved when one of them is given."""
    loop = {
        "a": ("out", "p", GIVEN),
        "b": ("p", "q", {}),
        "d": ("q", "p", {"value": "0.25 * x"}),
        "e": ("q", "end", {}),
    }
    values = evaluate(compile_plan(scenario(two_processes(loop))), 1, range(1))
    assert {name: float(v.ravel()[0]) for name, v in values.items()} == {
        "a": 1.0,
        "b": 1.25,
        "d": 0.25,
        "e": 1.0,
    }


def test_indicators_in_a_circle_are_refused():
    """Indicators that read each other are refused, and the circle is shown."""
    data = stock_model(indicators={"i": "2 * j", "j": "k + k", "k": "i / 2"})
    with pytest.raises(InputError, match=r"circle: (i -> j -> k -> i|j -> k -> i -> j)"):
        compile_plan(scenario(data))


def test_indicators_may_stand_in_any_order():
    """An indicator may use one that is written after it."""
    data = stock_model(indicators={"twice": "2 * once", "once": "sum(in_use, over=product)"})
    values = evaluate(compile_plan(scenario(data), ["twice", "once"]), 1, range(1))
    assert_array_equal(values["twice"], 2 * values["once"])


@pytest.mark.parametrize(
    ("lifetime", "message"),
    [
        ("weibull(beta, eta)", "scale of a weibull lifetime must be"),
        ("weibull(inflow, beta)", "scale of a weibull lifetime must be"),
        ("weibull(0, beta)", "must be positive"),
        ("weibull(eta)", "write weibull"),
        ("normal(eta, beta)", "sd of a normal lifetime must be"),
    ],
)
def test_impossible_lifetimes_are_refused(lifetime, message):
    """Lifetimes must have positive numbers of the right units."""
    data = stock_model()
    data["stocks"]["in_use"]["lifetime"] = lifetime
    with pytest.raises(InputError, match=message):
        compile_plan(scenario(data))


def test_lifetimes_drawn_below_zero_are_refused():
    """A normal lifetime that is often negative is refused before anything runs."""
    data = stock_model()
    data["parameters"]["eta"] |= {"distribution": "normal", "cv": 0.5}
    with pytest.raises(InputError, match=r"at or below zero in 0\.023 of the draws"):
        compile_plan(scenario(data))


def test_shares_split_what_has_no_such_dim():
    """A share with a dim splits a total that has none; the parts and the rest are the whole."""
    data = one_parameter(labels={"k": ["u", "v"]}, value=8, distribution="constant")
    data["parameters"]["part"] = {
        "unit": "%",
        "dims": ["k"],
        "value": {"u": 25, "v": 50},
        "distribution": "constant",
    }
    data["flows"]["split"] = {"from": "middle", "to": "sink", "dims": ["k"], "share": "part"}
    values = evaluate(compile_plan(scenario(data)), 1, range(1))
    assert_array_equal(values["split"][:, 0, 0], [2, 4])
    assert_array_equal(values["closed"][0, 0], 2)
    assert np.shape(values["split"]) == (2, 1, 1)


# --- events ---------------------------------------------------------------------------------


def with_events(**indicators):
    """Return the stock model with indicators that ask when its stocks pass a limit."""
    data = stock_model(spread=0.1)
    data["parameters"]["limit"] = {"unit": "t", "value": 500, "distribution": "constant"}
    passed = {"passed": "first_year(in_use > limit)"}
    return scenario(data | {"indicators": {**passed, **indicators}})


def test_events_are_followed_through_any_chain_of_names():
    """A first year and all that reads one, however far, may be infinite; nothing else may."""
    loaded = with_events(
        latest="max(late, 0)",
        late="at(passed, product=a) - 2010",
        spread="passed - at(passed, product=b)",
        total="sum(in_use, over=product)",
        over="sum(where(in_use > limit, 1, 0), over=year) / step",
    )
    plan = compile_plan(loaded)
    assert plan.events == {"passed", "late", "latest", "spread"}
    assert compile_plan(loaded, ["latest", "total"]).events == {"latest"}
    assert compile_plan(loaded, ["total", "over"]).events == frozenset()
    further = {"figure": ("late + 1", "here"), "own": ("first_year(in_use > 2 * limit)", "here")}
    assert compile_plan(loaded, ["total"], further).events == {"figure", "own"}
    assert compile_plan(bundled("china_nd")).events == frozenset()


def test_events_reach_flows_and_stocks():
    """What is computed from the year itself may be infinite, its stock and the balance with it."""
    data = stock_model()
    data["parameters"]["limit"] = {"unit": "t/yr", "value": 150, "distribution": "constant"}
    data["indicators"] = {"start": "first_year(inflow > limit)", "twice": "2 * in_use"}
    data["flows"]["sales"]["value"] = "inflow * start / 2000"
    expected = {"start", "sales", "in_use", "end_of_life", "recycled", "dumped", "twice"}
    assert compile_plan(scenario(data)).events == expected
    data["flows"]["sales"]["value"] = "inflow"
    assert compile_plan(scenario(data)).events == {"start"}


@pytest.mark.parametrize(
    "rule", ["where(year >= start, inflow, 0)", "where(year >= first_year(inflow > y), inflow, 0)"]
)
def test_what_only_begins_with_an_event_is_finite(rule):
    """A comparison with the year is true or not, so that what follows stays finite."""
    data = stock_model()
    data["parameters"]["y"] = {"unit": "t/yr", "value": 150, "distribution": "constant"}
    data["indicators"] = {"start": "first_year(inflow > y)"}
    data["flows"]["sales"]["value"] = rule
    assert compile_plan(scenario(data)).events == {"start"}


def test_events_are_evaluated_draw_by_draw_and_with_means():
    """Each draw has the year that its own stock gives, +inf for never; so has the central run."""
    plan = compile_plan(with_events(gap="passed - 2000"))
    values, central = evaluate(plan, 1, range(300)), evaluate_central(plan)
    expected = reference.first_year(values["in_use"] > 500, range(2000, 2015))
    assert_array_equal(values["passed"], expected)
    expected = reference.first_year(central["in_use"][..., np.newaxis] > 500, range(2000, 2015))
    assert_array_equal(central["passed"], expected[:, 0])
    assert_array_equal(values["gap"], values["passed"] - 2000)
    assert len(np.unique(values["passed"])) > 2
    never = compile_plan(with_events(never="first_year(in_use > 1e9 * limit)"), ["never"])
    assert_array_equal(evaluate(never, 1, range(5), dtype=np.float32)["never"], np.inf)
    assert_array_equal(evaluate_central(never)["never"], [np.inf, np.inf])


RETURNING = {"a": ("out", "p", GIVEN), "b": ("p", "q", {}), "e": ("q", "end", {})}


@pytest.mark.parametrize(
    "rule",
    [
        "where(first_year(b > x) > 2001, x, 0)",
        "x * first_year(lag(b) > x) / 4000",
        "0.1 * lag(b * where(first_year(b > x) > 2001, 1, 0))",
        "0.1 * x * cumsum(first_year(b > x) * year) / step",
    ],
)
def test_a_first_year_of_a_loop_is_refused_inside_it(rule):
    """All years of a loop must be known before its first year can be asked for, lagged or not."""
    data = two_processes({**RETURNING, "d": ("q", "p", {"value": rule})})
    data["years"] = "2000..2003"
    with pytest.raises(
        InputError, match=r"d -> b.* cannot be solved: .*, or a first, last or peak year"
    ):
        compile_plan(scenario(data))


def test_a_loop_may_read_a_first_year_of_what_is_known_before_it():
    """A first year of parameters enters a loop as a number, and can be asked for after the loop."""
    started = "where(year >= first_year(y > x), 0.5, 0)"
    data = two_processes({**RETURNING, "d": ("q", "p", {"share": started})})
    data["years"] = "2000..2003"
    grows = {"2000": 0.5, "2001": 1.0, "2002": 1.5, "2003": 0.5}
    data["parameters"]["y"] = data["parameters"]["x"] | {"dims": ["year"], "value": grows}
    data["indicators"] = {"doubled": "first_year(b > 1.5 * x)", "never": "first_year(b > 9 * x)"}
    plan = compile_plan(scenario(data))
    loop = next(step for step in (*plan.fixed, *plan.steps) if isinstance(step, March))
    assert {"b", "d"} <= set(loop.targets)
    assert plan.events == {"doubled", "never"}
    values = evaluate(plan, 1, range(1))
    assert_array_equal(values["b"][:, 0], [1, 1, 2, 2])
    assert (values["doubled"][0], values["never"][0]) == (2002, np.inf)
    counted = {"value": "where(lag(cumsum(b > x)) > 0, 0.5 * x, 0)"}
    data["flows"]["d"] = {"from": "q", "to": "p", **counted}
    data["flows"]["a"]["value"] = "y"
    got = evaluate(compile_plan(scenario(data)), 1, range(1))["b"][:, 0]
    assert_array_equal(got, [0.5, 1.0, 1.5, 1.0])


@pytest.mark.parametrize(
    ("place", "text", "message"),
    [
        ("flow", "inflow * 2.5 % + 50 kt/yr", ""),
        ("flow", "50", "a number has its unit behind it, such as 50 t/yr"),
        ("flow", "50 kt", "must be .mass time"),
        ("flow", "50 kt/year + inflow_", "unknown name"),
        ("lifetime", "weibull(30 months, 200 %)", ""),
        ("lifetime", "fixed(10 kg)", r"must be \[time\], not \[mass\]"),
        ("lifetime", "weibull(2 yr, 3 yr)", r"must be \[dimensionless\], not \[time\]"),
        ("initial", "50 kt", ""),
        ("initial", "50", "a number has its unit behind it, such as 5 kt"),
    ],
)
def test_amounts_stand_wherever_expressions_do(place, text, message):
    """A number with its unit for a flow, in a lifetime and for an initial stock."""
    data = stock_model("2000..2003")
    if place == "flow":
        data["flows"]["sales"]["value"] = text
    else:
        given = {"value": text, "age": "stationary"} if place == "initial" else text
        data["stocks"]["in_use"][place] = given
    if message:
        with pytest.raises(InputError, match=message):
            compile_plan(scenario(data))
    else:
        compile_plan(scenario(data))


def test_an_indicator_may_be_called_like_a_label():
    """What a condition or at() names is a label, and no circle."""
    data = stock_model("2000..2003")
    data["indicators"] = {
        "a": "sum(where(product == a, in_use, 0), over=product)",
        "b": "at(in_use, product=b) + sum(where(product in [b], a, 0 t), over=product)",
    }
    assert compile_plan(scenario(data), ["a", "b"]).output("b").dims == ("year",)
