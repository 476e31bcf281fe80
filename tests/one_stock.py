"""Scenarios of one stock, certain or not, and what comes of them."""

import json

from strategies import scenario

from ndmc.engine.audit import LIMIT, Audit
from ndmc.engine.evaluation import evaluate, evaluate_central
from ndmc.model import compile_plan

#: Years of an inflow that is not given.
YEARS = 20
#: Units of the numbers of a lifetime, where they are not years.
UNITS = {"shape": "1", "cv": "1", "c": "1", "mu": "1", "sigma": "1", "g": "1/yr"}


def model(lifetime, inflow=None, *, first=2000, parameters=None, dims=None, **stock):
    """Return a scenario with one stock of a lifetime; a single tonne enters it in the first year.

    A prescribed stock (key ``value``) leaves the inflow open.
    """
    inflow = [1.0] + [0.0] * (YEARS - 1) if inflow is None else inflow
    years = [str(first + n) for n in range(len(inflow))]
    given_ = {"value": "given"} if "value" not in stock else {}
    removed = {flow: {"from": "use", "to": "elsewhere"} for flow in stock.get("removals", {})}
    return {
        "format": 1,
        "name": "lifetimes",
        "unit": "t",
        "years": f"{years[0]}..{years[-1]}",
        "dims": dims or {},
        "parameters": {
            "given": certain("t/yr", dict(zip(years, map(float, inflow), strict=True)), "year"),
            **(parameters or {}),
        },
        "processes": ["use"],
        "flows": {
            "sales": {"from": "makers", "to": "use", **given_},
            "old": {"from": "use", "to": "waste"},
            **removed,
        },
        "stocks": {"held": {"process": "use", "lifetime": lifetime, **stock}},
    }


def certain(unit, value, *dims):
    """Return a parameter without uncertainty."""
    return {"unit": unit, "dims": list(dims), "value": value, "distribution": "constant"}


def by_year(values, first=2000):
    """Return the values of successive years as a scenario writes them."""
    return {str(first + n): float(value) for n, value in enumerate(values)}


def by_age(values):
    """Return the values of ages 0, 1, ... as a scenario writes them."""
    return {str(age): float(value) for age, value in enumerate(values)}


def central(data):
    """Return flows, stocks and indicators of the one run at the means, which must balance."""
    plan = compile_plan(scenario(data))
    audit = Audit(plan)
    values = evaluate_central(plan, audit)
    assert audit.worst <= LIMIT
    return values


def draws_of(data, keep=None, draws=range(40), seed=3):
    """Return draws of all flows, stocks, indicators and parameters, which must balance."""
    loaded = scenario(data)
    file = loaded.file
    every = [*file.flows, *file.stocks, *file.indicators, *file.parameters]
    plan = compile_plan(loaded, keep or every)
    audit = Audit(plan)
    values = evaluate(plan, seed, draws, audit=audit)
    assert audit.worst <= LIMIT
    return values


def lines_of(data):
    """Return the lines of a scenario as `strategies.scenario` writes it."""
    return json.dumps(data, indent=1).splitlines()
