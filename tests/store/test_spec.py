"""How a run is cut: without gaps, along stages and grains, and the same when draws are raised."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ndmc.store.spec import GRAIN, MOST, Spec, blocks, cut, expected, stages

unhurried = settings(deadline=None, max_examples=200)


@st.composite
def specs(draw):
    """Return a spec as runs make them: powers of two, a pilot in parts, counted or not."""
    keep = draw(st.sampled_from([(), ("in_use",)]))
    begin = 2 ** draw(st.integers(8, 13))
    block = 2 ** draw(st.integers(8, 13)) if keep else draw(st.sampled_from([2**10, 2**14, MOST]))
    begin = max(begin, block) if keep else begin
    draws = draw(st.integers(1, 2 * begin) | st.integers(1, 600 * begin))
    pilot = draw(st.sampled_from([0, begin, max(begin, draws // 32)]))
    wanted = {"keep": keep, "percentiles": (), "quantiles": (0.5,)}
    spec = Spec(**wanted, draws=draws, block=block, begin=begin, pilot=pilot)
    last = [*stages(spec)][-1].start
    if last and not pilot and draw(st.booleans()):
        spec = replace(spec, counted=last)
    return spec


def joined(parts):
    """Return the range of consecutive ranges, which must follow each other without gaps."""
    for one, two in itertools.pairwise(parts):
        assert one.stop == two.start
    return range(parts[0].start, parts[-1].stop)


@given(spec=specs())
@unhurried
def test_blocks_partition_all_draws(spec):
    """Every draw is in one block and in one stage, and no block is empty."""
    assert joined(blocks(spec)) == range(spec.draws)
    assert joined([*stages(spec)]) == range(spec.draws)
    assert all(blocks(spec))


@given(spec=specs())
@unhurried
def test_blocks_do_not_cross_stages(spec):
    """The blocks of a stage partition it."""
    for stage in stages(spec):
        assert joined(cut(stage, spec)) == stage


@given(spec=specs())
@unhurried
def test_blocks_are_whole_grains(spec):
    """Blocks start at multiples of a grain, and all but the last of a run stop at one."""
    found = blocks(spec)
    assert all(block.start % GRAIN == 0 for block in found)
    assert all(block.stop % GRAIN == 0 for block in found[:-1])


@given(spec=specs(), more=st.integers(0, 10**6))
@unhurried
def test_raising_draws_moves_no_block(spec, more):
    """With more draws the blocks there were start where they did, and only the last one grows."""
    before, after = blocks(spec), blocks(replace(spec, draws=spec.draws + more))
    assert [block.start for block in after[: len(before)]] == [block.start for block in before]
    assert after[: len(before) - 1] == before[:-1]
    assert after[len(before) - 1].stop >= before[-1].stop
    old, new = [*stages(spec)], [*stages(replace(spec, draws=spec.draws + more))]
    assert [stage.start for stage in new[: len(old)]] == [stage.start for stage in old]


@given(spec=specs(), more=st.integers(0, 10**6))
@unhurried
def test_counting_the_last_stage_moves_no_earlier_block(spec, more):
    """A stage that begins to be counted as draws are raised leaves all blocks before it alone."""
    raised = replace(spec, draws=spec.draws + more)
    last = [*stages(raised)][-1].start
    if raised.pilot or raised.counted or last < spec.draws:
        return
    counted = replace(raised, counted=last)
    assert [*stages(counted)] == [*stages(raised)]
    assert [b for b in blocks(counted) if b.stop <= last][: len(blocks(spec)) - 1] == blocks(spec)[
        :-1
    ]


@given(spec=specs())
@unhurried
def test_kept_draws_are_one_shard_a_block(spec):
    """Where draws are stored the n-th block is the n-th shard."""
    if not spec.keep:
        return
    for number, block in enumerate(blocks(spec)):
        assert block.start == number * spec.block
        assert len(block) <= spec.block


@given(spec=specs())
@unhurried
def test_only_the_last_stage_is_counted(spec):
    """A counted stage is the last, however many draws follow."""
    if spec.counted:
        for draws in (spec.draws, 100 * spec.draws):
            found = [*stages(replace(spec, draws=draws))]
            assert found[-1] == range(spec.counted, draws)


@given(spec=specs())
@unhurried
def test_no_stage_begins_after_the_pilot(spec):
    """In parts, the last stage begins within the pilot."""
    if spec.pilot:
        assert [*stages(spec)][-1].start <= spec.pilot


@pytest.mark.parametrize("draws", [1, 255, 256, 8192, 8193])
def test_draws_of_the_first_stage_are_all_kept(draws):
    """Before there are brackets, as many values are kept as there are draws; after, fewer."""
    spec = Spec(draws=draws, block=4096, keep=(), percentiles=(), quantiles=(0.025, 0.5))
    found = expected(spec, 3)
    assert found == 3 * draws if draws <= 8192 else found < 3 * draws
