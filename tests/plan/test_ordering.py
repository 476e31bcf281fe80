"""Groups that need each other, each after what it needs."""

import tracemalloc

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from ndmc.plan.ordering import cycle_through, in_order
from ndmc.plan.steps import Balance, Term

WANTED = st.integers(1, 12).flatmap(
    lambda size: st.lists(st.sets(st.integers(0, size - 1)), min_size=size, max_size=size)
)


@given(wanted=WANTED)
def test_groups_are_what_leads_to_each_other(wanted):
    """Two keys share a group where each is reached from the other, and only there."""
    size = len(wanted)
    reach = np.eye(size, dtype=bool)
    for one, others in enumerate(wanted):
        reach[one, [*others]] = True
    for _ in range(size):
        reach |= reach @ reach
    groups = in_order(dict(enumerate(wanted)))
    group_of = {key: number for number, group in enumerate(groups) for key in group}
    same = [[group_of[a] == group_of[b] for b in range(size)] for a in range(size)]
    assert_array_equal(same, reach & reach.T)


@given(wanted=WANTED)
def test_everything_comes_after_what_it_needs(wanted):
    """Every key stands in one group, which needs nothing of a later one."""
    groups = in_order(dict(enumerate(wanted)))
    place = {key: number for number, group in enumerate(groups) for key in group}
    assert sorted(place) == [*range(len(wanted))]
    assert all(place[other] <= place[key] for key in place for other in wanted[key])


def test_long_chains_are_no_matter():
    """Goes deeper than Python's stack."""
    chain = {number: [number + 1] for number in range(5000)}
    assert in_order(chain) == [[number] for number in reversed(range(5000))]


def test_the_way_round_a_long_loop_takes_memory_for_that_way_only():
    """A way for each of 2,000 quantities took 16 MB."""
    links = [
        Balance(f"f{n}", ("year",), "p", "balance", (Term(f"f{(n + 1) % 2000}", ("year",)),))
        for n in range(2000)
    ]
    tracemalloc.start()
    found = cycle_through(links, "f7")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == [f"f{(n + 7) % 2000}" for n in range(2000)]
    assert most < 4e6
