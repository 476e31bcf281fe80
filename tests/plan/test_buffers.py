"""Buffers that lose a share of what they hold, and that hold no more than their capacity."""

import re

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from one_stock import by_year, central, certain, draws_of, lines_of
from strategies import EPS, scenario

from ndmc import InputError
from ndmc.engine.audit import LIMIT, Audit
from ndmc.engine.evaluation import evaluate
from ndmc.model import compile_plan
from ndmc.plan.description import describe, members_of
from ndmc.plan.steps import one_by_one

INTO = [10, 14, 3, 0, 25, 30, 2, 1, 18.0]
OUT = [8, 6, 9, 12, 5, 7, 16, 20, 4.0]
LOSS = [0.1, 0.2, 0.0, 0.1, 0.05, 0.3, 0.1, 0.1, 1.0]
ROOM = [20, 20, 5, 5, 12, 0, 9, 30, 8.0]


def buffered(into=INTO, out=OUT, *, initial=4.0, loss=None, capacity=None, **key):
    """Return the scenario of a buffer, with what it loses and can hold if that is said."""
    own = {
        "into": certain("t/yr", by_year(into), "year"),
        "out": certain("t/yr", by_year(out), "year"),
    }
    stock = {"process": "place", "kind": "buffer", "remainder": "rest", **key}
    flows = {
        "enters": {"from": "makers", "to": "place", "value": "into"},
        "leaves": {"from": "place", "to": "users", "value": "out"},
        "rest": {"from": "elsewhere", "to": "place"},
    }
    if loss is not None:
        own["rate"] = certain("1", by_year(loss), "year")
        stock["removals"], flows["lost"] = {"lost": "rate"}, {"from": "place", "to": "air"}
    if capacity is not None:
        own["room"] = certain("kt", by_year(np.divide(capacity, 1000)), "year")
        stock |= {"capacity": "room", "overflow": "dumped"}
        flows["dumped"] = {"from": "place", "to": "dump"}
    if initial:
        own["start"] = certain("t", initial)
        stock["initial"] = "start"
    return {
        "format": 1,
        "name": "buffered",
        "unit": "t",
        "years": f"2000..{1999 + len(into)}",
        "parameters": own,
        "processes": ["place"],
        "flows": flows,
        "stocks": {"held": stock},
    }


def near(values, twin, initial=4.0):
    """Demand that all is the twin's."""
    atol = 64 * EPS * max(*INTO, *OUT, initial, twin["held"].max(), 30)
    names = {"held": "held", "rest": "remainder", "lost": "lost", "dumped": "overflow"}
    for name, of in names.items():
        if name in values:
            assert_allclose(values[name], twin[of], rtol=0, atol=atol)


# --- laws ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("carry_over", [True, False])
@pytest.mark.parametrize(
    "limits", [{"loss": LOSS}, {"capacity": ROOM}, {"loss": LOSS, "capacity": ROOM}]
)
def test_what_a_buffer_loses_and_has_no_room_for(limits, carry_over):
    """A share of what it began the year with is lost; what is beyond its capacity overflows."""
    values = central(buffered(**limits, carry_over=carry_over))
    near(values, reference.buffer(INTO, OUT, initial=4.0, carry_over=carry_over, **limits))


amount = st.just(0.0) | st.floats(1e-3, 1e5)
amounts = st.lists(amount, min_size=1, max_size=6)


@settings(deadline=None, max_examples=25)
@given(into=amounts, out=amounts, room=amount, rate=st.floats(0, 1))
def test_any_buffer_balances_and_keeps_its_limits(into, out, room, rate):
    """It holds from nothing to its capacity, and never lacks and overflows at once."""
    years = min(len(into), len(out))
    limits = {"loss": [rate] * years, "capacity": [room] * years}
    values = central(buffered(into[:years], out[:years], initial=0.0, **limits))
    assert values["held"].min() >= 0
    assert values["held"].max() <= room * (1 + 4 * EPS)
    assert_array_equal(np.minimum(values["rest"], values["dumped"]), 0)


def test_without_room_there_is_no_buffer():
    """Of capacity 0 every deficit is covered from outside, and every surplus overflows."""
    values = central(buffered(initial=0.0, capacity=[0.0] * len(INTO)))
    net = np.subtract(INTO, OUT)
    assert_array_equal(values["held"], 0)
    assert_array_equal(values["rest"], np.maximum(-net, 0))
    assert_array_equal(values["dumped"], np.maximum(net, 0))


def test_limits_that_do_not_bind_change_nothing():
    """Room for everything and no loss are a buffer without either."""
    plain = central(buffered())
    values = central(buffered(loss=[0.0] * len(INTO), capacity=[1e6] * len(INTO)))
    for name, known in plain.items():
        assert_allclose(values[name], known, rtol=0, atol=64 * EPS * 60)
    assert_array_equal(values["lost"], 0)
    assert_array_equal(values["dumped"], 0)


def test_a_store_that_decays_falls_as_a_power():
    """In closed form: what is never asked for falls by its rate a year."""
    years = len(INTO)
    values = central(buffered([0.0] * years, [0.0] * years, loss=[0.1] * years))
    assert_allclose(values["held"], 4.0 * 0.9 ** np.arange(1, years + 1), rtol=1e-13)


def test_each_draw_is_its_own_and_what_is_wrong_with_some_is_counted():
    """Rates and capacities of a draw are that draw's; a capacity below zero holds nothing."""
    data = buffered(loss=[0.1] * 9, capacity=[6.0] * 9)
    data["parameters"]["room"] |= {"distribution": "normal", "cv": 0.6, "range": "any"}
    data["parameters"]["rate"] |= {"distribution": "beta", "cv": 0.3}
    for name in ("room", "rate"):
        data["parameters"][name]["errors"] = {"year": "independent"}
    values = draws_of(data, draws=range(5))
    for draw in range(5):
        limits = {"loss": [*values["rate"][:, draw]], "capacity": [*values["room"][:, draw] * 1000]}
        twin = reference.buffer(INTO, OUT, initial=4.0, **limits)
        near({name: array[..., draw] for name, array in values.items()}, twin)
    plan = compile_plan(scenario(data), ["room", "held", "dumped", "rest", "lost"])
    audit = Audit(plan)
    found = evaluate(plan, 3, range(300), audit=audit)
    below = (found["room"] < 0).any(axis=0).sum()
    assert audit.count("negative_capacity") == {"held": below}
    assert 0 < below < 300
    assert audit.worst <= LIMIT
    assert found["held"].min() == 0


def test_it_stands_in_loops():
    """What is held may decide what is made a year later, by product, and all balances."""
    data = buffered(loss=LOSS, capacity=ROOM, initial=4.0)
    data["flows"]["enters"]["value"] = "max(out - lag(held) / step / 2, 0)"
    values = central(data)
    assert len([*one_by_one(compile_plan(scenario(data)).steps)]) == 0  # certain: computed once
    held, into = 0.0, []
    for year in range(len(OUT)):
        into.append(max(OUT[year] - held / 2, 0.0))
        twin = reference.buffer(into, OUT[: year + 1], initial=4.0, loss=LOSS, capacity=ROOM)
        held = twin["held"][-1]
    near(values, twin)
    assert_allclose(values["enters"], into, rtol=0, atol=1e-12)


def test_by_product():
    """Every product has its own store; limits may be of all of them."""
    data = buffered(loss=LOSS, capacity=ROOM)
    data["dims"] = {"product": ["a", "b"]}
    for part in (*data["flows"].values(), *data["stocks"].values()):
        part["dims"] = ["product"]
    data["parameters"]["into"] = certain(
        "t/yr", {"a": by_year(INTO), "b": by_year(OUT)}, "product", "year"
    )
    values = central(data)
    for n, into in enumerate((INTO, OUT)):
        twin = reference.buffer(into, OUT, initial=4.0, loss=LOSS, capacity=ROOM)
        near({name: array[n] for name, array in values.items()}, twin)


# --- what is said --------------------------------------------------------------------------------


def test_what_determines_its_flows_is_said():
    """Each flow of the buffer in words."""
    loaded = scenario(buffered(loss=LOSS, capacity=ROOM))
    maker = {n: step for step in members_of(compile_plan(loaded)) for n in step.targets}
    said = {
        name: describe(maker[name], name, loaded) for name in ("lost", "dumped", "rest", "held")
    }
    assert said == {
        "lost": "removal rate of what held held the year before",
        "dumped": "what the buffer has no room for",
        "rest": "what the buffer cannot cover",
        "held": "buffer: what enters place and does not leave, up to room",
    }


def _without(section, name, key):
    data = buffered(loss=LOSS, capacity=ROOM)
    del data[section][name][key]
    return data


def _with(section, name, **keys):
    data = buffered(loss=LOSS, capacity=ROOM)
    data[section][name] |= keys
    return data


WRONG = {
    "no overflow": (
        _without("stocks", "held", "overflow"),
        '"capacity"',
        "names no overflow: the flow that takes what it has no room for",
    ),
    "no capacity": (
        _without("stocks", "held", "capacity"),
        '"overflow"',
        "names no capacity: how much it can hold",
    ),
    "an overflow inwards": (
        _with("stocks", "held", overflow="enters"),
        '"overflow"',
        "'enters' does not lead out of 'place'",
    ),
    "an unknown overflow": (
        _with("stocks", "held", overflow="dump"),
        '"overflow"',
        "unknown flow 'dump'; did you mean 'dumped'",
    ),
    "an overflow with a value": (
        _with("flows", "dumped", value="out"),
        '"value"',
        "determines the flow 'dumped', so it cannot have a value",
    ),
    "one flow for both": (
        _with("stocks", "held", overflow="lost"),
        "",
        "two stocks determine the flow 'lost'|determines the flow 'lost' twice",
    ),
    "below zero": (
        buffered(capacity=[-1.0, *ROOM[1:]]),
        '"capacity"',
        "a capacity cannot be negative, found -1",
    ),
    "a flow as capacity": (
        _with("stocks", "held", capacity="into"),
        '"capacity"',
        r"a capacity must be \[mass\] \(t\), not",
    ),
    "more than all": (
        buffered(loss=[1.2, *LOSS[1:]]),
        '"lost"',
        r"the shares removed \(lost\) sum to 1\.2, more than 1",
    ),
    "a mass as a rate": (
        _with("stocks", "held", removals={"lost": "start"}),
        '"lost"',
        r"a share must be a plain number, not \[mass\]",
    ),
    "a loss": (_with("stocks", "held", loss="rate"), '"loss"', "removals"),
    "a full sink": (
        _with("stocks", "held", kind="sink", remainder=None, removals={}, overflow=None),
        '"capacity"',
        "capacity does not concern a stock of kind: sink",
    ),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_mistakes_are_refused_at_their_line(mistake):
    """Names what does not fit together about a buffer, at its line."""
    data, at, message = WRONG[mistake]
    with pytest.raises(InputError) as caught:
        compile_plan(scenario(data))
    assert re.search(message, caught.value.message), caught.value.message
    line = int(caught.value.where.rpartition(":")[2])
    assert at in lines_of(data)[line - 1]
