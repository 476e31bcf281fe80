"""Policies of five metals, held against what was worked out by hand of 8,000 draws of a draft."""

import numpy as np
import pytest

import ndmc

DRAWS, OTHERS = 2000, 8000
POLICIES = ["base", "recovery_90", "all_recovered", "cobalt_free", "fast"]

#: The share of draws in which scrap gives more than mines by 2050, and in which the reserve of
#: today is used up by 2100, of each policy.
SURPASSED = {
    "lithium": (0.005, 0.11, 0.46, 0.005, 0.005),
    "cobalt": (1, 1, 1, 1, 1),
    "indium": (0, 0.79, 0.97, 0, 0),
    "germanium": (0, 0.01, 0.08, 0, 0),
}
USED_UP = {
    "lithium": (0.96, 0.89, 0.73, 0.96, 1),
    "cobalt": (1, 1, 1, 0.56, 1),
    "niobium": (0.96, 0.35, 0.26, 0.96, 1),
}
#: The difference of lithium that is mined in 2050 to the base, kt: median and 95 % range.
GAIN = {
    "recovery_90": (-20, -29, -14),
    "all_recovered": (-40, -65, -23),
    "cobalt_free": (0, 0, 0),
    "fast": (84, 61, 115),
}


@pytest.fixture(scope="module")
def metals(tmp_path_factory):
    """Return the ensemble of the policies in one future."""
    out = tmp_path_factory.mktemp("metals") / "all.zarr"
    entry = {
        "policies": POLICIES,
        "outputs": ["net_demand", "secondary_exceeds", "reserve_gone"],
    }
    return ndmc.ensemble(ndmc.load("strategic_metals", ensemble=entry), DRAWS, out=out).load()


@pytest.mark.parametrize(
    ("name", "year", "worked"),
    [("secondary_exceeds", 2050, SURPASSED), ("reserve_gone", 2100, USED_UP)],
)
def test_events_come_as_often_as_was_worked_out(metals, name, year, worked):
    """Within five standard errors of both, and half of the last digit that is printed."""
    for metal, shares in worked.items():
        found = metals[f"{name}_by_year"].sel(metal=metal, year=year).values
        known = np.array(shares)
        error = np.sqrt(known * (1 - known) * (1 / DRAWS + 1 / OTHERS))
        assert (np.abs(found - known) <= 5 * error + 0.005).all(), (name, metal, found)


def test_gains_are_those_that_were_worked_out(metals):
    """Half a kilotonne is what was printed; percentiles at the edge are known to some per cent."""
    found = metals.net_demand_difference.sel(metal="lithium", year=2050) / 1000
    for policy, (median, low, high) in GAIN.items():
        known = found.sel(policy=policy).sel(quantile=[0.5, 0.025, 0.975]).values
        assert np.abs(known - [median, low, high]).max() <= 0.5 + 0.06 * abs(high - low), policy


def test_pairing_is_worth_the_draws_that_were_worked_out(metals):
    """The standard deviation of the paired difference, and as if draws did not pair, kt."""
    for policy, (paired, apart) in {"recovery_90": (3.9, 58), "all_recovered": (11, 56)}.items():
        cell = {"metal": "lithium", "year": 2050}
        one, base = (metals.net_demand_sd.sel(policy=p, **cell) for p in (policy, "base"))
        found = metals.net_demand_difference_sd.sel(policy=policy, **cell)
        assert float(found) / 1000 == pytest.approx(paired, rel=0.1)
        assert float(np.hypot(one, base)) / 1000 == pytest.approx(apart, rel=0.06)
