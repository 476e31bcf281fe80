"""What a run takes is said beforehand, and held to: blocks fit the memory, or nothing begins."""

import tracemalloc
from dataclasses import replace

import pytest
from numpy.testing import assert_allclose
from strategies import one_parameter, scenario

import ndmc
from ndmc import InputError
from ndmc.engine import tile_width
from ndmc.plan.memory import Memory
from ndmc.runs import block, fitting
from ndmc.runs.asked import read_asked
from ndmc.runs.forecast import memory_of
from ndmc.runs.options import Options
from ndmc.runs.run import plan_only
from ndmc.runs.study_options import StudyOptions
from ndmc.store.keys import block_name
from ndmc.store.opening import open_store
from ndmc.store.series import series_of

MIB = 2**20


def needed(asked):
    """Return the memory that is forecast."""
    fit, sheets = asked.fit, series_of(asked.plan, asked.spec)[1]
    return memory_of(asked.plan, asked.spec, sheets, fit.workers, fit.piece)


def independent(cells):
    """Return a scenario with so many uncertain cells."""
    return one_parameter(
        labels={"kind": [f"k{n}" for n in range(cells)]},
        dims=["kind"],
        value=dict.fromkeys((f"k{n}" for n in range(cells)), 1.0),
        distribution="lognormal",
        cv=0.1,
        errors={"kind": "independent"},
    )


@pytest.mark.parametrize("keep", [["all"], ["none"]])
def test_blocks_fit_the_memory(keep):
    """The less memory there is the smaller blocks are, by halves, and the forecast fits it."""
    blocks = []
    for memory in (2048, 128, 100, 64):
        options = Options("steel_loop", 20_000, out="x", keep=keep, workers=2, memory=memory * MIB)
        asked = read_asked(options)
        assert needed(asked) <= memory * MIB
        blocks.append(asked.spec.block)
    assert blocks == sorted(blocks, reverse=True)
    assert blocks[-1] < blocks[0]


def test_blocks_that_were_asked_for_stay():
    """They are computed piece by piece where they do not fit; refused with what does if none do."""
    options = Options("steel_loop", 20_000, out="x", keep=["all"], block=8192, memory=64 * MIB)
    asked = read_asked(options)
    assert asked.spec.block == 8192 > asked.fit.piece
    assert needed(asked) <= 64 * MIB
    with pytest.raises(InputError, match=r"64 at a time, .* --block out: blocks of \S+ draws"):
        plan_only(replace(options, memory=24 * MIB))


def test_a_study_is_refused_before_its_draws_if_its_control_does_not_fit():
    """A fit of 1,500 inputs to as many cells takes 103 MiB, when all draws are there."""
    options = StudyOptions(scenario(independent(1500)), 8192, out="x", workers=1, memory=90 * MIB)
    with pytest.raises(InputError, match="are used; raise --memory"):
        plan_only(options)
    assert needed(read_asked(replace(options, memory=200 * MIB))) <= 200 * MIB


def test_draws_are_counted_first_only_where_that_fits():
    """Bins of brackets take memory, too: where two passes need more than there is one is made."""
    loaded, passes = scenario(independent(4000)), []
    for memory in (2048, 64, 32):
        options = Options(loaded, 40_000, out="x", keep=["none"], workers=1, memory=memory * MIB)
        asked = read_asked(options)
        assert needed(asked) <= memory * MIB
        passes.append(2 if asked.spec.counted else 1)
    assert passes == [1, 2, 1]


def test_no_more_blocks_are_held_than_there_are():
    """A second worker that finds no block computes draws while they are timed, and no more."""
    loaded = scenario(independent(4000))
    one, two = (
        needed(read_asked(Options(loaded, 200, out="x", keep=["none"], workers=workers)))
        for workers in (1, 2)
    )
    assert one < two < 1.6 * one


def test_fewer_workers_compute_where_not_all_fit():
    """Two are as many as are asked for, and one as many as fit: no more memory is used."""
    options = Options(scenario(independent(4000)), 40_000, out="x", keep=["none"], workers=2)
    whole = read_asked(options)
    tight = read_asked(replace(options, memory=24 * MIB))
    assert (whole.fit.workers, tight.fit.workers) == (2, 1)
    assert needed(tight) <= 24 * MIB
    assert "MiB in memory on 1 worker, about" in f"{plan_only(tight.options)}"


def test_what_is_not_said_is_what_a_run_needs(monkeypatch):
    """Without --memory it is 2 GiB, twice that where it does not do, and half of what there is."""
    options = Options(scenario(independent(4000)), 40_000, out="x", keep=["none"], workers=2)
    plenty = read_asked(options)
    monkeypatch.setattr(fitting, "_PLENTY", 8 * MIB)
    fit = read_asked(options).fit
    assert (plenty.fit.memory, fit.memory, fit.workers) == (2048 * MIB, 64 * MIB, 2)
    monkeypatch.setattr(fitting, "MACHINE", Memory(16 * MIB))
    with pytest.raises(InputError, match=r"8 MiB \(half of this machine's\) are used"):
        plan_only(options)


def test_draws_and_percentiles_are_the_same_in_less_memory(tmp_path):
    """The blocks of a store stay, and are computed in pieces: no bit changes."""
    data, found, outs = scenario(independent(300)), [], (tmp_path / "a.zarr", tmp_path / "b.zarr")
    ndmc.run(data, 300, seed=1, out=outs[1], block=2048)
    for out, memory in zip(outs, (2048, 10), strict=True):
        draws = ndmc.run(data, 9000, seed=1, out=out, workers=1, memory=memory * MIB)
        found.append((draws.load(), ndmc.percentiles(out).load()))
    stores = [open_store(out) for out in outs]
    assert [store.spec.block for store in stores] == [8192, 2048]
    assert len(stores[1].ledger.read(block_name(2048)).pieces) == 4
    for one, other in zip(*found, strict=True):
        assert one.equals(other)


def test_the_blocks_of_a_store_stand(tmp_path):
    """Going on with other blocks is refused; with none, or the same however written, it goes on."""
    out, data = tmp_path / "x.zarr", scenario(independent(2))
    ndmc.run(data, 1000, seed=1, out=out, block=300)
    assert open_store(out).spec.block == 512
    with pytest.raises(InputError, match="--block: the store has blocks of 512 draws, 1,024 asked"):
        ndmc.run(data, 2000, seed=1, out=out, block=1024)
    ndmc.run(data, 2000, seed=1, out=out, block=500)
    ndmc.run(data, 3000, seed=1, out=out)
    assert open_store(out).spec.block == 512


def test_what_no_block_fits_is_refused_before_anything_is_computed(tmp_path):
    """The message has what is needed, at the least, and what would help."""
    loaded = scenario(independent(4000))
    options = {"seed": 1, "workers": 2, "memory": 8 * MIB, "out": tmp_path / "x.zarr"}
    tracemalloc.start()
    try:
        with pytest.raises(
            InputError,
            match=r"--memory: blocks of 256 draws, 64 at a time, need .* MiB of memory on one "
            r"worker, but at most 8 MiB are used; raise --memory, store fewer .*--keep",
        ):
            ndmc.run(loaded, 9000, **options)
        assert tracemalloc.get_traced_memory()[1] < 8 * MIB
    finally:
        tracemalloc.stop()
    assert not (tmp_path / "x.zarr").exists()


def test_means_are_of_all_draws_where_few_results_fit_at_once(tmp_path, monkeypatch):
    """Sums are of leaves of 64 draws: in smaller pieces, of 270,000 results, most were lost."""
    monkeypatch.setattr(block, "_RESULTS", 1)
    monkeypatch.setattr(tile_width, "_BYTES", 1)
    found, out = scenario(independent(3)), tmp_path / "x.zarr"
    ndmc.run(found, 200, seed=1, out=out, keep=["none"], percentiles=["given"])
    drawn = ndmc.evaluate(ndmc.compile_plan(found, ["given"]), 1, range(200))["given"]
    assert_allclose(ndmc.percentiles(out)["given_mean"], drawn.mean(axis=-1), rtol=1e-6)
