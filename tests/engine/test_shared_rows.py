"""Rows that are the same are one, and what nothing reads is not computed: no bit changes."""

from dataclasses import replace

import every_step
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from strategies import compiled, loops, scenario, systems

import ndmc
from ndmc.engine.audit import Audit
from ndmc.engine.evaluation import alike, code_of, evaluate
from ndmc.engine.instructions import Arithmetic
from ndmc.engine.row_code import Loop
from ndmc.model import compile_plan

DRAWS = range(60, 140)
LONG = [pytest.param(name, marks=pytest.mark.torture) for name in ndmc.bundled()]


class OfNobody(dict):
    """What is gathered of members, of whom there are none: a plan is as that of an ensemble."""

    def __bool__(self):
        """Say that it is one."""
        return True


def assert_shared(plan, seed=3):
    """Demand the same outputs, balances and counts of a plan whose rows are shared."""
    together = replace(plan, gathered=OfNobody())
    audits = Audit(plan), Audit(together)
    wanted = evaluate(plan, seed, DRAWS, audit=audits[0])
    found = evaluate(together, seed, DRAWS, audit=audits[1])
    for name, values in wanted.items():
        assert_array_equal(found[name], values, name)
    assert audits[0].counts == audits[1].counts
    assert audits[0].worst == audits[1].worst
    assert code_of(together).rows <= code_of(replace(plan, gathered={})).rows * 3
    return code_of(together)


@pytest.mark.parametrize("name", [*every_step.NAMES, *LONG])
def test_shared_rows_have_the_bits_of_rows_of_their_own(name, tmp_path):
    """Whatever step reads or writes them."""
    known = name in every_step.NAMES
    plan = compile_plan(every_step.load(name, tmp_path)) if known else compiled(name)
    assert_shared(plan)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(data=loops() | systems(), seed=st.integers(0, 99))
def test_random_systems_are_shared(data, seed):
    """Loops that need no other year are arithmetic then."""
    assert_shared(compile_plan(scenario(data)), seed)


# --- what is shared -------------------------------------------------------------------------------

POLICIES = ["base", "niobium_90", "recovery_60", "recovery_90"]


@pytest.fixture(scope="module")
def metals():
    """Return the plan of policies for metals, which begin after 2021."""
    members = ndmc.load("strategic_metals", ensemble={"policies": POLICIES})
    return compile_plan(members, ["net_demand", "concentrate"])


@pytest.mark.parametrize("name", ["net_demand", "concentrate"])
def test_years_before_a_policy_and_labels_that_it_leaves_alone_are_computed_once(metals, name):
    """In loops, too; what differs is computed for each."""
    rows = code_of(metals).names[name]
    years, labels = [*metals.dims.years], metals.dims.labels["metal"]
    until, niobium = years.index(2021) + 1, labels.index("niobium")
    assert_array_equal(rows[..., :until], np.broadcast_to(rows[:1, :, :until], (4, 5, until)))
    others = np.delete(np.arange(5), niobium)
    assert_array_equal(rows[1, others], rows[0, others])
    last = rows[..., -1]
    assert last[1, niobium] == last[3, niobium]
    assert len(np.unique(last[:, niobium])) == 3
    assert (last[2:, others] != last[0, others]).all()


def test_four_policies_cost_less_than_three_runs(metals):
    """Of the arithmetic of a run a part is done once; of the rest each row once."""
    alone = code_of(compile_plan("strategic_metals", ["net_demand", "concentrate"]))
    assert not any(isinstance(call, Loop) for call in code_of(metals).each)

    def lines(code):
        calls = [call for call in (*code.each, *code.audit) if isinstance(call, Arithmetic)]
        return sum(int(call.instructions[:, 1].sum()) for call in calls)

    loops = [call.step.program for call in alone.each if isinstance(call, Loop)]
    of_loops = sum(len(program.yearly) for program in loops) * len(metals.dims.years)
    assert lines(code_of(metals)) < 3 * (lines(alone) + of_loops)


def test_cells_that_are_alike_have_one_row_of_results(metals):
    """Each row of a sheet is that of the first cell that has it."""
    which = alike(metals, ("net_demand",))
    rows = code_of(metals).names["net_demand"].reshape(-1)
    assert len(which) == rows.size
    assert which.max() + 1 == len(np.unique(rows)) < rows.size
    _, first = np.unique(which, return_index=True)
    assert_array_equal(first, np.sort(first))
    assert_array_equal(rows[first][which], rows)
