"""Groups that need each other, in the order in which SciPy would number them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from ndmc.plan.ordering import _components, in_order

WANTED = st.integers(1, 12).flatmap(
    lambda size: st.lists(st.sets(st.integers(0, size - 1)), min_size=size, max_size=size)
)


@given(wanted=WANTED)
def test_groups_are_those_of_scipy(wanted):
    """Finds the strongly connected components, numbered alike."""
    matrix = np.zeros((len(wanted), len(wanted)))
    for one, others in enumerate(wanted):
        matrix[one, [*others]] = 1.0
    _, labels = connected_components(csr_matrix(matrix), directed=True, connection="strong")
    assert _components(wanted) == labels.tolist()


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
