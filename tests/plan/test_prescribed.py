"""Stocks that a given inflow feeds until a year and that are prescribed afterwards."""

import re

import numpy as np
import pytest
import reference
from numpy.testing import assert_allclose, assert_array_equal
from one_stock import by_year, central, certain, draws_of, lines_of, model
from strategies import EPS, FOLDER, scenario

import ndmc
from ndmc import InputError
from ndmc.engine.audit import LIMIT, Audit
from ndmc.engine.cautions import cautions
from ndmc.engine.evaluation import evaluate, evaluate_central
from ndmc.engine.refusals import check_central
from ndmc.model import compile_plan
from ndmc.plan.description import describe, members_of
from ndmc.reconciliation.equations import system_of

YEARS, SINCE = 14, 6
INFLOW = np.random.default_rng(8).lognormal(3, 0.4, YEARS)
LEVEL = np.array([*[0.0] * SINCE, 95, 90, 60, 65, 80, 40, 40, 60.0])
PACE = np.array([1.5, 1, 0.6, 0.6, 2, 1, 1] * 2)
TAKEN = (lambda age: 0.03 if age > 0 else 0.0,)


def prescribed(lifetime="weibull(5, 2)", level=LEVEL, *, until=1999 + SINCE, **stock):
    """Return the scenario of a stock that is fed for some years and follows a level afterwards."""
    own = {"level": certain("t", by_year(level), "year") | {"range": "any"}}
    own |= stock.pop("parameters", {})
    stock = {"value": "level", "prescribed_from": 2000 + SINCE, **stock}
    data = model(lifetime, INFLOW, parameters=own, **stock)
    data["flows"]["sales"] |= {"value": "given", "until": until}
    if "level" not in str(stock["value"]):
        del data["parameters"]["level"]
    return data


def lives(scale=5.0):
    """Return survival of a shape of 2."""
    return reference.survivors("weibull", scale=scale, shape=2.0)


def near(values, twin, rel=1e-12):
    """Demand that stock, release, inflow and removals are the twin's, and add up."""
    largest = max(twin["stock"].max(), np.abs(twin["inflow"]).max())
    names = {"held": "stock", "old": "release", "sales": "inflow"}
    for name, of in names.items():
        assert_allclose(values[name], twin[of], rtol=0, atol=rel * largest)
    if "lost" in values:
        assert_allclose(values["lost"], twin["removed"][0], rtol=0, atol=rel * largest)


# --- laws ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("convention", "answer"),
    [
        *(("middle", answer) for answer in ("report", "clip", "early_retirement")),
        *(("start", "clip"), ("end", "report"), ("uniform", "early_retirement")),
    ],
)
def test_one_stock_is_the_twins(convention, answer):
    """Fed, then following its level with every cohort that it has, for each answer to a fall."""
    data = prescribed(inflow_at=convention, negative_inflow=answer)
    share = reference.steady(lives(), convention)
    keys = {"inflow": INFLOW, "level": LEVEL, "since": SINCE, "answer": answer}
    values = central(data)
    near(values, reference.whole_stock(share, YEARS, **keys), 1e-11)
    assert_array_equal(values["sales"][:SINCE], INFLOW[:SINCE])
    assert (values["sales"].min() < 0) == (answer == "report")
    if answer != "clip":
        assert_allclose(values["held"][SINCE:], LEVEL[SINCE:], rtol=4 * EPS)


def test_it_is_the_twins_with_all_that_a_stock_may_have():
    """Initial stock, removals, lifetimes by cohort and by period, ages and cohorts."""
    scales = np.linspace(7, 4, YEARS)
    own = {
        "pace": certain("1", by_year(PACE), "year"),
        "life": certain("yr", by_year(scales), "year"),
        "before": certain("t", 50.0),
    }
    data = prescribed(
        "weibull(life, 2)",
        parameters=own,
        lifetime_factor="pace",
        removals={"lost": "0.03"},
        negative_inflow="early_retirement",
        initial={"value": "before", "age": "stationary"},
    )
    data["indicators"] = {
        "ages": {"stock": "held", "by": "age"},
        "cohorts": {"outflow": "held", "by": "cohort"},
    }
    share = reference.by_period([lives(scale) for scale in scales], "middle", PACE)
    before = reference.past(share, 50.0, "stationary", TAKEN, ages=150)
    keys = {"inflow": INFLOW, "level": LEVEL, "since": SINCE, "answer": "early_retirement"}
    twin = reference.whole_stock(share, YEARS, before=before, removals=TAKEN, **keys)
    values = central(data)
    near(values, twin, 1e-10)
    ages = reference.by_age(twin["left"], YEARS, YEARS)
    assert_allclose(values["ages"], ages, rtol=0, atol=1e-10 * twin["stock"].max())
    cohorts = reference.by_year_of_inflow(twin["gone"], YEARS, 1)
    assert_allclose(values["cohorts"], cohorts, rtol=0, atol=1e-10 * twin["stock"].max())


@pytest.mark.parametrize("lifetime", ["weibull(5, 2)", "normal(8, 3)", "fixed(3.5)"])
def test_the_level_of_a_fed_stock_returns_its_inflow(lifetime):
    """Prescribing what the inflow would have made gives that inflow back."""
    fed = central(model(lifetime, INFLOW))
    values = central(prescribed(lifetime, fed["held"]))
    for name in ("sales", "old", "held"):
        assert_allclose(values[name], fed[name], rtol=0, atol=1e-11 * fed["held"].max())


@pytest.mark.parametrize("shape", [1.0, 2.0, 4.0])
def test_longer_lives_never_raise_what_a_constant_stock_takes_in_all(shape):
    """Up to any year, a stock of the same size takes the less the longer its products live.

    In a single year it may take more: those it bought instead fall due later.
    """
    taken, at_first = [], []
    for scale in (4.0, 5.0, 7.0, 12.0):
        values = central(prescribed(f"weibull({scale}, {shape})", np.full(YEARS, 150.0)))
        taken.append(np.cumsum(values["sales"])[SINCE:])
        at_first.append(values["sales"][SINCE])
    assert (np.diff(taken, axis=0) <= 1e-9).all()
    assert (np.diff(at_first) < -1).all()


def test_what_is_prescribed_before_is_not_read():
    """Nothing of the level before its first year counts, nor of the inflow after its last."""
    plain = central(prescribed())
    wild = LEVEL.copy()
    wild[:SINCE] = -1e6
    data = prescribed(level=wild, negative_inflow="clip")
    data["parameters"]["given"]["value"] = by_year([*INFLOW[:SINCE], *[-1e5] * (YEARS - SINCE)])
    plan = compile_plan(scenario(data))
    audit = Audit(plan)
    evaluate_central(plan, audit)
    assert audit.count("negative_stock") == {"held": 0}
    assert sum(audit.count("given_negative").values()) == 0
    [extent] = audit.extents.values()  # the fall of the stock itself
    assert extent.first >= 2000 + SINCE
    data["stocks"]["held"]["negative_inflow"] = "report"
    for name, values in central(data).items():
        assert_array_equal(values, plain[name])
    data["stocks"]["held"]["value"] = "sqrt(level) * sqrt(level)"  # not a number before
    for name, values in central(data).items():
        assert_allclose(values, plain[name], rtol=1e-12, atol=1e-12)


def test_other_inflows_go_on():
    """What flows in besides feeds the stock with the given flow, and lessens what it takes."""
    data = prescribed()
    data["flows"]["imports"] = {"from": "abroad", "to": "use", "value": "given / 4"}
    share = reference.steady(lives(), "middle")
    keys = {"inflow": 1.25 * INFLOW, "level": LEVEL, "since": SINCE}
    twin = reference.whole_stock(share, YEARS, **keys)
    values = central(data)
    assert_array_equal(values["sales"][:SINCE], INFLOW[:SINCE])
    values["sales"] = values["sales"] + INFLOW / 4
    near(values, twin, 1e-11)


@pytest.mark.parametrize("removals", [{}, {"lost": "0.03"}])
def test_the_level_may_begin_with_what_the_inflow_left(removals):
    """A stock that grows on from where it is has no jump, whatever its lifetimes are."""
    own = {"path": certain("1", by_year(1.01 ** np.arange(YEARS)), "year")}
    taken = TAKEN if removals else ()
    for scale in (4.0, 9.0):
        data = prescribed(f"weibull({scale}, 2)", parameters=own, removals=removals)
        last = "at(max(held, lag(held)), year=2005)"
        data["stocks"]["held"]["value"] = f"{last} * path / at(path, year=2005)"
        share = reference.steady(lives(scale), "middle")
        fed = reference.whole_stock(share, YEARS, inflow=INFLOW, removals=taken)["stock"]
        level = max(fed[4:6]) * 1.01 ** (np.arange(YEARS) - 5.0)
        keys = {"inflow": INFLOW, "level": level, "since": SINCE, "removals": taken}
        near(central(data), reference.whole_stock(share, YEARS, **keys), 1e-11)


def test_each_draw_is_its_own():
    """Inflow, level and lifetime of a draw make that draw; falls are counted as ever."""
    spread = {"distribution": "lognormal", "cv": 0.1, "errors": {"year": "independent"}}
    data = prescribed("weibull(life, 2)", parameters={"life": certain("yr", 5.0)})
    data["parameters"]["life"] |= {"distribution": "lognormal", "cv": 0.1}
    for name in ("given", "level"):
        data["parameters"][name] |= spread
    data["parameters"]["level"]["value"] = by_year(np.where(LEVEL > 0, LEVEL, 1.0))
    values = draws_of(data, draws=range(4))
    for draw in range(4):
        share = reference.steady(lives(float(values["life"][draw])), "middle")
        given, level = values["given"][:, draw], values["level"][:, draw]
        twin = reference.whole_stock(share, YEARS, inflow=given, level=level, since=SINCE)
        near({name: array[..., draw] for name, array in values.items()}, twin, 1e-11)
    plan = compile_plan(scenario(data))
    audit = Audit(plan)
    found = evaluate(plan, 3, range(200), audit=audit)
    below = (found["sales"] < 0).any(axis=0).sum()
    assert audit.count("negative_inflow") == {"held": below}
    assert audit.worst <= LIMIT


def test_recycling_of_what_it_releases_needs_no_rewriting():
    """What the stock takes may come from what it releases: production is closed around it."""
    data = prescribed()
    data["processes"] += ["making", "waste"]
    data["flows"] = {
        "ore": {"from": "mine", "to": "making"},
        "sales": {"from": "making", "to": "use", "value": "given", "until": 1999 + SINCE},
        "old": {"from": "use", "to": "waste"},
        "recycled": {"from": "waste", "to": "making", "share": "0.6"},
        "dumped": {"from": "waste", "to": "dump"},
    }
    values = central(data)
    near(values, {**central(prescribed()), **_renamed(central(prescribed()))}, 1e-13)
    assert_allclose(values["ore"], values["sales"] - 0.6 * values["old"], rtol=0, atol=1e-11)


def _renamed(values):
    return {"stock": values["held"], "release": values["old"], "inflow": values["sales"]}


# --- what is said --------------------------------------------------------------------------------


def test_what_determines_it_is_said():
    """Steps in words tell of both parts."""
    loaded = scenario(prescribed())
    plan = compile_plan(loaded)
    maker = {name: step for step in members_of(plan) for name in step.targets}
    said = describe(maker["sales"], "sales", loaded)
    assert said == "given until 2005: given; then what the prescribed stock of use takes in"
    assert describe(maker["held"], "held", loaded).startswith("given from 2006 on: level; weibull")


def test_a_jump_to_the_level_is_cautioned():
    """A level far above what the inflow left is bought in its first year: that is said."""
    for level, said in ((np.linspace(40, 90, YEARS), 0), (np.full(YEARS, 900.0), 1)):
        loaded = scenario(prescribed(level=level))
        plan = compile_plan(loaded)
        found = [*cautions(loaded, plan, check_central(plan))]
        assert len(found) == said
    assert re.search(
        r"'held' is 900 t in 2006, where .* so that \d+ t/yr flow in then and", found[0][0]
    )


# --- what is wrong -------------------------------------------------------------------------------


def refuse(data, at, message):
    """Demand that a scenario is refused with a message, on the line that holds ``at``."""
    with pytest.raises(InputError) as caught:
        compile_plan(scenario(data))
    assert re.search(message, caught.value.message), caught.value.message
    path, _, line = caught.value.where.rpartition(":")
    assert path == str(FOLDER / "scenario.yaml")
    assert at in lines_of(data)[int(line) - 1]


def changed(*, flow=(), stock=(), drop=()):
    """Return the scenario with other keys of its flow and its stock, or without some."""
    data = prescribed()
    data["flows"]["sales"] |= dict(flow)
    data["stocks"]["held"] |= dict(stock)
    for section, name, key in drop:
        del data[section][name][key]
    return data


UNTIL, FROM = ("flows", "sales", "until"), ("stocks", "held", "prescribed_from")
WRONG = {
    "another year": (
        changed(flow={"until": 2006}),
        '"until"',
        "given until 2006, but the stock 'held' is prescribed from 2006 on; write until: 2005",
    ),
    "no prescribed_from": (
        changed(drop=[FROM]),
        '"until"',
        "until: 2005 leaves 'sales' open afterwards.* value and prescribed_from: 2006",
    ),
    "no until": (
        changed(drop=[UNTIL]),
        '"prescribed_from"',
        "prescribed from 2006 on, but no flow into 'use' .* a value with until: 2005",
    ),
    "no value of the flow": (
        changed(drop=[("flows", "sales", "value")]),
        '"until"',
        "until says how long a value holds; give the flow a value",
    ),
    "no value of the stock": (
        changed(drop=[("stocks", "held", "value")]),
        '"prescribed_from"',
        "prescribed_from only concerns a stock with a value",
    ),
    "the first year": (
        changed(flow={"until": 1999}, stock={"prescribed_from": 2000}),
        '"prescribed_from"',
        r"prescribed_from is 2000, .* choose one of 2001\.\.2013, or leave it out",
    ),
    "after the last": (
        changed(flow={"until": 2013}, stock={"prescribed_from": 2014}),
        '"prescribed_from"',
        r"choose one of 2001\.\.2013",
    ),
    "no year": (changed(stock={"prescribed_from": "soon"}), '"prescribed_from"', "whole number"),
    "itself afterwards": (
        changed(stock={"value": "lag(held) * 1.02"}),
        '"value"',
        r"may read the stock itself only as it was before: at\(held, year=2005\)",
    ),
    "itself of all years": (
        changed(stock={"value": "at(held / mean(held, over=year) * level, year=2005)"}),
        '"value"',
        r"may read the stock itself only as it was before",
    ),
    "below zero afterwards": (
        prescribed(level=[*LEVEL[:-1], -5.0]),
        '"value"',
        "a stock cannot be negative, found -5",
    ),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_mistakes_are_refused_at_their_line(mistake):
    """Names what does not fit together, at its line, and what to write."""
    refuse(*WRONG[mistake])


def test_flows_that_do_not_fit_are_refused():
    """One flow into the stock ends, and a flow that no stock closes does not."""
    data = prescribed()
    data["flows"]["imports"] = {**data["flows"]["sales"], "from": "abroad"}
    refuse(data, '"prescribed_from"', "'imports' and 'sales' both have until")
    data = prescribed()
    data["flows"]["old"] |= {"value": "given", "until": 2005}
    refuse(data, '"until"', "until: 2005 leaves 'old' open afterwards, and no stock closes it")
    data = prescribed()
    data["stocks"]["held"] = {"process": "use", "kind": "sink", "prescribed_from": 2006}
    refuse(data, '"prescribed_from"', "does not concern a stock of kind: sink")


def test_an_inflow_that_depends_on_the_release_is_refused():
    """Before it is prescribed, nothing that flows in may come from what the stock releases."""
    data = prescribed()
    data["processes"].append("waste")
    data["flows"] |= {
        "old": {"from": "use", "to": "waste"},
        "reused": {"from": "waste", "to": "use", "share": "0.1"},
        "dumped": {"from": "waste", "to": "dump"},
    }
    refuse(data, "", "what flows into the stock 'held' before it is prescribed cannot depend on")


def test_a_flow_of_two_parts_is_not_reconciled():
    """No equation of all years holds for a flow that is given in some: that is said at its line."""
    data = prescribed()
    data["processes"].append("making")
    data["flows"]["sales"]["from"] = "making"
    data["flows"]["ore"] = {"from": "mine", "to": "making"}
    data["parameters"]["weighed"] = certain("t/yr", by_year(INFLOW), "year") | {
        "distribution": "normal",
        "cv": 0.1,
        "errors": {"year": "independent"},
    }
    data["reconcile"] = {"processes": ["making"], "measured": {"ore": "weighed"}}
    compile_plan(scenario(data | {"reconcile": None}))
    with pytest.raises(InputError, match="'sales' is given until 2005 alone"):
        system_of(scenario(data))


def test_a_run_of_it(tmp_path):
    """A run, its variant of longer lives, and what is stored of it."""
    data = prescribed()
    longer = {"title": "Longer lives", "set": {"stocks.held.lifetime": "weibull(8, 2)"}}
    data["variants"] = {"long": longer}
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / "scenario.yaml").write_text("\n".join(lines_of(data)))
    found = [
        evaluate_central(compile_plan(ndmc.load(folder, variant=variant)))["sales"][SINCE]
        for variant in (None, "long")
    ]
    assert found[1] < found[0] - 5
