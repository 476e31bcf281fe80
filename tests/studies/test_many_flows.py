"""Systems of thousands of flows: the work of a check grows with them, not with their square."""

import functools
import sys

import many_flows
import pytest
from strategies import scenario, write

import ndmc
from ndmc.errors import InputError

SYSTEMS = {
    "chain closed by balances": many_flows.chain,
    "chain of shares": functools.partial(many_flows.chain, kind="share"),
    "chain of values": functools.partial(many_flows.chain, kind="value"),
    "chains side by side": many_flows.side_by_side,
}

LINEAR = {
    **SYSTEMS,
    "stocks": many_flows.stocks,
    "buffers": many_flows.buffers,
    "indicators": many_flows.indicators,
    "a loop": many_flows.ring,
}


def calls(work, name=None):
    """Return how many functions are called, in Python and in C, or how often one of a name is."""
    count = 0

    def counted(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call") if name is None else is_call(frame, event, name)

    sys.setprofile(counted)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def is_call(frame, event, name):
    """Whether a function of a name is called."""
    return event == "call" and frame.f_code.co_name == name


@pytest.mark.torture
@pytest.mark.parametrize("system", LINEAR.values(), ids=LINEAR)
def test_twice_the_flows_take_twice_the_work(system):
    """Counted in calls of functions, whatever else the machine does."""
    few, many = (scenario(system(count)) for count in (200, 400))
    ndmc.check(few)  # what is imported and compiled at first
    assert calls(lambda: ndmc.check(many)) < 2.2 * calls(lambda: ndmc.check(few))


@pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS)
def test_a_check_of_two_thousand_flows(system):
    """A chain of any length is computed; what is left at its end is what its rules leave."""
    found = ndmc.check(scenario(system(2000)))
    last = {one.output.name: one.last for one in found.quantities}
    assert len(last) in (1999, 2000)
    links = [value for name, value in last.items() if name.startswith("f")]
    assert max(links) == 100
    assert all(value > 0 for value in links[:100])


def test_indicators_are_compiled_however_many_read_each_other():
    """A chain of 1,000, read from its end, was deeper than Python's stack."""
    found = ndmc.check(scenario(many_flows.indicators(2000)))
    assert len([one for one in found.quantities if one.output.kind == "indicator"]) == 2000
    assert found.quantities[-1].last == pytest.approx(100 * 0.99**1999)


def test_a_long_circle_of_indicators_is_told():
    """It is named from where it is entered."""
    data = many_flows.indicators(2000)
    data["indicators"]["i1999"] = "i1998"
    with pytest.raises(InputError, match=r"in a circle: i1998 -> i1999 -> i1998$"):
        ndmc.check(scenario(data))


def test_variants_are_checked_on_one_reading_of_the_file(tmp_path):
    """None of them is passed over for that."""
    data = many_flows.chain(10)
    data["variants"] = {f"v{n}": {"set": {"parameters.given.value": n}} for n in range(1, 6)}
    folder = write(data, tmp_path / "varied")
    assert calls(lambda: ndmc.check(folder), "read_document") == 1
    data["variants"]["v5"]["set"] = {"parameters.given.unit": "yr"}
    with pytest.raises(InputError, match="comes out as"):
        ndmc.check(write(data, tmp_path / "wrong"))


def test_a_long_table_has_a_line_for_each_row(cli, tmp_path):
    """Every flow stands on a line of its own, however many flows its process has."""
    write(many_flows.star(1200), tmp_path / "star")
    done = cli("check", "star")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    found = [line for line in lines if "share 0.0008333333333333" in line]
    assert len(found) == 600
    assert all(line.endswith(" t/yr  50") for line in found)


def test_many_faults_are_told_in_one_message_that_can_be_read():
    """The first are told, and how many more there are."""
    data = many_flows.chain(600)
    for n in range(200):
        data["flows"][f"spilt{n}"] = {"from": f"p{n + 1}", "to": "losses"}
    with pytest.raises(InputError) as caught:
        ndmc.check(scenario(data))
    assert caught.value.message.startswith("flow 'spilt")
    assert len(caught.value.message) < 2600
    assert caught.value.message.endswith("; besides, 195 more flows or processes do not fit")
