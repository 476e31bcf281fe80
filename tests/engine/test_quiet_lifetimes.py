"""No lifetime makes NumPy warn, at age 0 or long after the last product is gone."""

import numpy as np
import pytest
from one_stock import model
from strategies import scenario

from ndmc.engine.evaluation import evaluate
from ndmc.model import compile_plan

LIFETIMES = [
    *("fixed(5)", "fixed(0.4)", "normal(5, 2)", "truncated_normal(5, 8)", "folded_normal(5, 2)"),
    *("lognormal(5, 2)", "lognormal(mu=1.5, sigma=0.1)", "weibull(5, 0.5)", "weibull(0.5, 80)"),
    *("weibull(mean=5, cv=0.9)", "gamma(0.5, 5)", "gamma(shape=90, scale=0.1)"),
    *("gamma(mean=5, cv=2)", "loglogistic(5, 0.9)", "loglogistic(0.5, 300)"),
    *("loglogistic(mean=5, shape=2)", "gompertz(0.001, 3)", "gompertz(c=0.1, g=0.1)"),
]
INFLOW_AT = ["start", "middle", "end", "uniform"]


@pytest.mark.parametrize("lifetime", LIFETIMES)
@pytest.mark.parametrize("inflow_at", INFLOW_AT)
def test_a_lifetime_is_computed_without_a_warning(lifetime, inflow_at):
    """Through 120 years, with numbers that no draw changes: warnings are errors here."""
    plan = compile_plan(scenario(model(lifetime, np.ones(120), inflow_at=inflow_at)))
    held = evaluate(plan, 1, range(1))["held"]
    assert (np.diff(held, axis=0) > -1e-9).all()
    assert np.isfinite(held).all()
