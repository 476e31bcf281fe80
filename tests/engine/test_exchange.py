"""Neighbouring draws, and what is left of them when some inputs change places between them."""

import every_step
import numpy as np
import pytest
import reference
from exchanged import (
    every_stream,
    exchanged,
    neighbours,
    observed_of,
    studied,
    swapped,
    swapped_cells,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from strategies import compiled, loops, scenario, systems

import ndmc
from ndmc.engine.evaluation import code_of, evaluate, swaps
from ndmc.engine.swaps import reach
from ndmc.model import compile_plan

#: They begin within a tile, at a leaf, and end within another leaf.
DRAWS = range(64, 140)
SEED = 5
unhurried = settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.too_slow])


LONG = [pytest.param(name, marks=pytest.mark.torture) for name in ndmc.bundled()]


def plan_of(name, folder):
    """Return the plan of a scenario: one of every kind of step, or one that is bundled."""
    if name in every_step.NAMES:
        return compile_plan(every_step.load(name, folder))
    return compiled(name)


@pytest.mark.parametrize("name", [*every_step.NAMES, *LONG])
def test_with_all_inputs_exchanged_a_draw_is_its_neighbour(name, tmp_path):
    """Whatever a draw is made of is in its streams, and nothing of it in another draw's."""
    plan = plan_of(name, tmp_path)
    before = evaluate(plan, SEED, DRAWS)
    after = swapped(plan, SEED, DRAWS, every_stream(plan))
    for cells, values in before.items():
        assert_array_equal(after[cells], neighbours(values), cells)
    assert any(np.ptp(values, axis=-1).max() > 0 for values in before.values())


# --- only what lies downstream --------------------------------------------------------------------


def groups_of(plan, how, seed=3):
    """Return groups of a plan's streams: those of each parameter, or some by chance."""
    if how == "parameters":
        return {one.name: one.streams for one in plan.samplers}
    streams, chance = every_stream(plan), np.random.default_rng(seed)
    of = chance.choice(4, len(streams), p=[0.5, 0.3, 0.15, 0.05])
    return {str(n): streams[of == n] for n in range(4) if (of == n).any()}


def with_limits(plan, seed):
    """Return limits of the first outputs that are exceeded in some draws only."""
    found = evaluate(plan, seed, DRAWS)
    return [(name, float(np.median(found[name]))) for name in [*found][:3]]


def assert_swaps_are_whole(plan, draws, seed=SEED):
    """Demand of every group the bits that the whole model has, computed with inputs exchanged."""
    cells, sums = swapped_cells(plan, seed, draws)
    base, own = observed_of(plan, seed, draws), swaps(plan)
    for n, group in enumerate(plan.study.groups):
        with exchanged(group.streams):
            whole = observed_of(plan, seed, draws)
        there = own.connected[n]
        assert_array_equal(cells[n], whole, group.name)
        assert_array_equal(whole[~there], base[~there], f"{group.name} reaches nothing more")
    return base, cells, sums


#: Of what a step reads and writes some rows are reached, others not.
PARTLY = ["fed", "quiet"]
CASES = [
    *((name, "parameters") for name in every_step.NAMES),
    *((name, "chance") for name in PARTLY),
    *(
        pytest.param(name, "chance", marks=pytest.mark.torture)
        for name in [*every_step.NAMES, *ndmc.bundled()]
        if name not in PARTLY
    ),
]


@pytest.mark.parametrize(("name", "how"), CASES)
def test_a_swap_has_the_bits_of_the_whole_model(name, how, tmp_path):
    """What lies downstream of a group is computed as if everything were; the rest never changes."""
    plan = plan_of(name, tmp_path)
    plan = studied(plan, groups_of(plan, how), with_limits(plan, SEED))
    draws = DRAWS if how == "parameters" else range(64, 350)
    base, cells, sums = assert_swaps_are_whole(plan, draws)
    own = swaps(plan)
    chosen = np.random.default_rng(1).choice(len(base), 5)
    for n, start in enumerate(own.starts[:-1]):
        entry = start + np.cumsum(own.connected[n]) - 1
        for cell in chosen[own.connected[n][chosen]]:
            assert_sums(sums[entry[cell]], base[cell], cells[n][cell], draws)
    for cell in chosen:
        assert_sums(sums[cell], base[cell], neighbours(base[cell]), draws)


def assert_sums(got, base, other, draws):
    """Demand the sums of pairs, added up one by one in batches that draws have by their number."""
    pad = np.full(draws.start, 1.0)
    base, other = np.concatenate([pad, base]), np.concatenate([pad, other])
    wanted, _ = reference.squares(base[::2], base[1::2], other[::2], other[1::2])
    wanted = np.array(wanted)
    scale = np.abs(wanted[:, 2:3])
    assert (np.abs(got - wanted)[:, :3] <= 1e-13 * scale).all()
    assert_array_equal(got[:, 3], wanted[:, 3])


def test_plans_with_and_without_a_study_compute_the_same():
    """What a study adds to the code of a plan changes no bit of an output."""
    plan = compile_plan(every_step.load("loop of lives", None))
    whole = studied(plan, groups_of(plan, "parameters"))
    for name, values in evaluate(whole, SEED, DRAWS).items():
        assert_array_equal(values, evaluate(plan, SEED, DRAWS)[name], name)


@pytest.mark.parametrize("name", ["operations", "fed", "started, given", "loop", "projected"])
def test_what_reaches_each_cell_is_known_stream_by_stream(name, tmp_path):
    """A cell changes with no stream that is said not to reach it."""
    plan = compile_plan(every_step.load(name, tmp_path))
    plan = studied(plan, groups_of(plan, "parameters"))
    streams, draws = every_stream(plan), range(64)
    found, base = reach(code_of(plan), streams.tolist()), observed_of(plan, SEED, draws)
    by_group = [found[:, np.isin(streams, g.streams)].any(axis=1) for g in plan.study.groups]
    assert_array_equal(by_group, swaps(plan).connected)
    for stream, there in zip(streams[::7], found.T[::7], strict=True):
        with exchanged([stream]):
            assert_array_equal(observed_of(plan, SEED, draws)[~there], base[~there])


@unhurried
@given(data=loops() | systems(), seed=st.integers(0, 99))
def test_random_systems_swap_as_a_whole(data, seed):
    """Of any system, with groups by chance, what is not reached stays as it is."""
    plan = compile_plan(scenario(data))
    if plan.samplers:
        streams = every_stream(plan)
        of = np.random.default_rng(seed).integers(3, size=len(streams))
        groups = {str(n): streams[of == n] for n in set(of.tolist())}
        assert_swaps_are_whole(studied(plan, groups), range(64), seed)
