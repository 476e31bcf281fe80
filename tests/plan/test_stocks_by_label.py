"""New forms of stocks along labels that belong to others, each label with formulas of its own."""

import pytest
from numpy.testing import assert_array_equal
from one_stock import certain, draws_of

#: Each use that there is, with the metal it is of; what is known by metal serves its uses.
CELLS = [("li", "car"), ("li", "tv"), ("nb", "tv")]
UNITS = {"history": "t/yr", "life": "yr", "g": "1/yr", "room": "t", "decay": "1"}


def uncertain(unit, value, *dims):
    """Return a parameter whose labels have errors of their own."""
    errors = {"errors": dict.fromkeys(dims, "independent")} if dims else {}
    return certain(unit, value, *dims) | {"distribution": "lognormal", "cv": 0.1, **errors}


def waste_by_metal(dims, parameters, *, value, capacity, use=(), metal=()):
    """Return a stock in use that is fed and then prescribed, beside a buffer that is full."""
    stock = {
        **{"process": "use", "dims": [*use], "lifetime": "weibull(mean=life, shape=2)"},
        **{"value": "at(in_use, year=2005) * 1.01 ** (year - 2005)", "prescribed_from": 2006},
        "initial": {"inflow": "history", "age": "growing", "growth": "g"},
    }
    heap = {
        **{"process": "waste", "kind": "buffer", "dims": [*metal], "remainder": "rest"},
        **{"removals": {"lost": "decay"}, "capacity": capacity, "overflow": "dumped"},
    }
    asked = "max(20 t/yr - 3 t/yr * (year - 2000), 0)"
    by_metal = {"rest": ("out", "waste"), "lost": ("waste", "air"), "dumped": ("waste", "dump")}
    return {
        **{"format": 1, "name": "several", "unit": "t", "years": "2000..2011", "dims": dims},
        "parameters": parameters,
        "processes": ["use", "waste"],
        "flows": {
            "sales": {"from": "makers", "to": "use", "dims": [*use], "value": value, "until": 2005},
            "old": {"from": "use", "to": "waste", "dims": [*use]},
            "used": {"from": "waste", "to": "mill", "dims": [*metal], "value": asked},
            **{n: {"from": a, "to": b, "dims": [*metal]} for n, (a, b) in by_metal.items()},
        },
        "stocks": {"in_use": stock, "heap": heap},
    }


@pytest.fixture(scope="module")
def several():
    """Return draws of all uses of all metals at once."""
    dims = {
        "metal": ["li", "nb"],
        "use": {"of": "metal", "labels": {"li": ["car", "tv"], "nb": ["tv"]}},
    }
    history = {"li": {"car": 10, "tv": 4}, "nb": {"tv": 7}}
    by_metal = {
        "life": {"li": 12.0, "nb": 8.0},
        "g": {"li": 0.05, "nb": 0.02},
        "room": {"li": 30.0, "nb": 9.0},
        "decay": {"li": 0.1, "nb": 0.2},
    }
    own = {name: uncertain(UNITS[name], value, "metal") for name, value in by_metal.items()}
    own["history"] = uncertain("t/yr", history, "metal", "use")
    by_label = {"value": {"car": "history", "else": "2 * history"}}
    capacity = {"li": "room", "nb": "room / 2"}
    data = waste_by_metal(dims, own, **by_label, capacity=capacity, use=["use"], metal=["metal"])
    return draws_of(data, draws=range(3))


@pytest.mark.parametrize("cell", range(3))
def test_each_label_is_its_own_scenario(several, cell):
    """Fed, prescribed, begun with, full or decaying: a label has the bits that it has alone."""
    metal = ("li", "nb").index(CELLS[cell][0])
    for draw in range(3):
        places = {"history": cell, **dict.fromkeys(("life", "g", "room", "decay"), metal)}
        drawn = {name: float(several[name][at, draw]) for name, at in places.items()}
        own = {name: certain(UNITS[name], number) for name, number in drawn.items()}
        rules = {"value": "2 * history" if cell else "history", "capacity": "room / 2"}
        alone = draws_of(waste_by_metal({}, own, **rules), draws=range(1))
        for name in ("sales", "old", "in_use"):
            assert_array_equal(several[name][cell, :, draw], alone[name][:, 0])
        for name in ("rest", "lost", "dumped", "heap") if metal else ():  # of one use alone
            assert_array_equal(several[name][metal, :, draw], alone[name][:, 0])
