"""What a run goes on from is what was written, or is computed again; nothing is taken for draws."""

import os
import shutil
import tarfile
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import ndmc
from ndmc.errors import RunError
from ndmc.store.opening import open_store

OPTIONS = {"seed": 3, "keep": ["in_use", "sales"], "percentiles": ["in_use"], "block": 1024}


def stored(out, draws, **options):
    """Run the starter, and return the path of its store."""
    ndmc.run("starter", draws, out=out, **{**OPTIONS, **options})
    return out


def same(one, other):
    """Whether all arrays of two stores are the same, bit for bit."""
    groups = (None, "percentiles", "parameters")
    for group in groups:
        mine, theirs = (open_store(out).root for out in (one, other))
        some, others = (root[group] if group else root for root in (mine, theirs))
        found = {name: array[...] for name, array in some.arrays()}
        assert set(found) == {name for name, _ in others.arrays()}
        for name, values in found.items():
            np.testing.assert_array_equal(values, others[name][...], name)
    return True


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return a store of 1,000 draws and one of 1,500, which nothing happened to."""
    folder = tmp_path_factory.mktemp("whole")
    return [stored(folder / f"{draws}.zarr", draws) for draws in (1000, 1500, 2500)]


def shard(out, name="in_use", block=0):
    """Return the file with the draws of an output in a block."""
    (found,) = (path for path in (out / name / "c" / f"{block}").rglob("*") if path.is_file())
    return found


@pytest.mark.parametrize("draws", [1500, 2500])
def test_a_lost_shard_is_computed_again(tmp_path, whole, draws):
    """A block that begins with draws that are gone begins anew: they are no nan."""
    out = shutil.copytree(whole[0], tmp_path / "run.zarr")
    shutil.rmtree(out / "in_use" / "c" / "0")
    for reading in (ndmc.open, ndmc.percentiles):
        with pytest.raises(RunError, match=r"lost part of its data \(in_use/c/0/0.*--repair"):
            reading(out)
    assert ndmc.info(out).lost == ("in_use/c/0/0/0",)
    again = r"1 damaged or missing, computed again \(in_use/c/0/0"
    with pytest.warns(ndmc.StudyWarning, match=again):
        stored(out, draws)
    assert same(out, whole[1] if draws == 1500 else whole[2])
    assert ndmc.verify(out) == []


def test_a_part_computes_what_it_has_lost(tmp_path, whole):
    """Parts hold no more of a store than their own blocks, and make these again."""
    out = tmp_path / "run.zarr"
    for _ in range(2):
        stored(out, 2500, part=(1, 2))
        shutil.rmtree(out / "in_use" / "c" / "0")
    stored(out, 2500, part=(1, 2))
    stored(out, 2500, part=(2, 2))
    assert same(out, whole[2])
    assert ndmc.verify(out) == []


def swap(one, other):
    """Put two files in each other's place."""
    data = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(data)


def test_shards_that_were_swapped_are_found(tmp_path, whole):
    """Each is whole in itself, so that only whose it is gives it away."""
    out = shutil.copytree(whole[2], tmp_path / "run.zarr")
    swap(shard(out, block=0), shard(out, block=1))
    keys = {damage.key for damage in ndmc.verify(out)}
    assert keys == {shard(out, block=n).relative_to(out).as_posix() for n in (0, 1)}
    with pytest.warns(ndmc.StudyWarning, match="2 damaged or missing, computed again"):
        stored(out, 3000)
    assert same(out, stored(tmp_path / "other.zarr", 3000))


def test_a_shard_of_another_seed_is_found(tmp_path, whole):
    """The draws of another run are not those of this one."""
    out = shutil.copytree(whole[0], tmp_path / "run.zarr")
    other = stored(tmp_path / "other.zarr", 1000, seed=4)
    shutil.copy(shard(other), shard(out))
    assert [damage.key for damage in ndmc.verify(out)] == [shard(out).relative_to(out).as_posix()]
    stored(out, 1000, repair=True)
    assert same(out, whole[0])


@pytest.mark.parametrize("entry", [False, True])
def test_another_runs_entry_is_none(tmp_path, whole, entry):
    """Files of a run that is cut otherwise are not its own, with their entry or without."""
    out = shutil.copytree(whole[2], tmp_path / "run.zarr")
    other = stored(tmp_path / "other.zarr", 2500, block=2048)
    keys = [shard(other).relative_to(other), *["ledger/block-0000000000000000"] * entry]
    for key in keys:
        shutil.copy(other / key, out / key)
    assert len(ndmc.verify(out)) == 1 + entry
    stored(out, 2500, repair=True)
    assert same(out, whole[2])


@pytest.mark.parametrize("statistic", ["", "_low", "_high", "_mean"])
def test_percentiles_of_fewer_draws_are_found(tmp_path, statistic):
    """What stood there before draws were added is no percentile of all of them."""
    out = stored(tmp_path / "run.zarr", 3000, keep=["none"])
    older = shutil.copytree(out / "percentiles" / f"in_use{statistic}", tmp_path / "older")
    stored(out, 6000, keep=["none"])
    before = shutil.copytree(out, tmp_path / "before.zarr")
    key = f"percentiles/in_use{statistic}"
    shutil.rmtree(out / key)
    shutil.copytree(older, out / key)
    (damage,) = ndmc.verify(out)
    assert damage.key.startswith(f"{key}/c/")
    with pytest.raises(RunError, match=rf"{key}.*--repair"):
        ndmc.percentiles(out)
    stored(out, 6000, keep=["none"], repair=True)
    assert same(out, before)
    assert ndmc.verify(out) == []


@pytest.mark.parametrize("folder", ["parameters", "product", "year"])
def test_labels_and_parameters_are_made_again(tmp_path, whole, folder):
    """A run that goes on writes them anew where they are not those of the run."""
    for kind in ("zarr.json", "0"):
        out = shutil.copytree(whole[0], tmp_path / f"{kind}.zarr")
        found = next(path for path in (out / folder).rglob(kind) if path.is_file())
        found.write_bytes(found.read_bytes()[:-5])
        assert len(ndmc.verify(out)) == 1
        stored(out, 1500)
        assert same(out, whole[1])
        assert ndmc.verify(out) == []


def test_small_arrays_that_are_gone_are_missed(tmp_path, whole):
    """Labels and percentiles are files as draws are: who reads a store is told."""
    out = shutil.copytree(whole[0], tmp_path / "run.zarr")
    (out / "percentiles" / "in_use_total_high" / "c" / "0" / "0").write_bytes(b"")
    (out / "product" / "c" / "0").unlink()
    assert set(ndmc.info(out).lost) == {"percentiles/in_use_total_high/c/0/0", "product/c/0"}
    for reading in (ndmc.open, ndmc.percentiles, lambda out: stored(out, 1000)):
        with pytest.raises(RunError, match=r"lost part of its data .*--repair"):
            reading(out)
    stored(out, 1000, repair=True)
    assert same(out, whole[0])


def test_an_entry_that_counts_something_else_is_none(tmp_path, whole):
    """An entry whose checksum anyone has made is compared with what a run of it counts."""
    out = shutil.copytree(whole[0], tmp_path / "run.zarr")
    store = open_store(out)
    (entry,) = (entry for entry in store.entries() if entry.pieces)
    pieces = tuple(replace(piece, counts=(0,) * 99) for piece in entry.pieces)
    store.ledger.write(replace(entry, pieces=pieces))
    assert [damage.entry for damage in ndmc.verify(out)][:1] == [entry.name]
    stored(out, 1500)
    assert same(out, whole[1])


def test_the_text_of_another_scenario_is_found(tmp_path, whole):
    """The run could not be repeated from it: it is put right by a run, and named before."""
    out = shutil.copytree(whole[0], tmp_path / "run.zarr")
    before = open_store(out).attrs["scenario_text"]
    open_store(out).write_attributes(scenario_text="format: 1")
    (damage,) = ndmc.verify(out)
    assert (damage.key, "another scenario" in damage.reason) == ("zarr.json", True)
    stored(out, 1500)
    assert open_store(out).attrs["scenario_text"] == before
    assert ndmc.verify(out) == []


def test_a_file_of_any_length_is_not_read_whole(tmp_path, whole):
    """What is longer than was written is damaged; nobody waits for gigabytes of zeros."""
    out = shutil.copytree(whole[0], tmp_path / "run.zarr")
    keys = ["year/c/0", f"ledger/{next(iter(open_store(out).ledger.names))}"]
    for key in keys:
        os.truncate(out / key, 2**40)
    tracemalloc.start()
    found = {damage.key for damage in ndmc.verify(out)}
    assert tracemalloc.get_traced_memory()[1] < 2**28
    tracemalloc.stop()
    assert set(keys) <= found


OLDER = Path(__file__).parents[1] / "store" / "older.tar.xz"


def test_a_store_of_an_older_version_is_read(tmp_path):
    """Its checksums say less, which is said; with more draws the new files have all of theirs."""
    options = {"seed": 3, "keep": ["lithium_bought"], "percentiles": ["in_use"], "quantiles": [0.5]}
    with tarfile.open(OLDER) as archive:
        archive.extractall(tmp_path, filter="data")
    out = tmp_path / "older.zarr"
    with pytest.warns(
        ndmc.StudyWarning, match="older version: that its files are whole is checked"
    ):
        assert ndmc.verify(out) == []
    assert (xr.open_zarr(out).attrs["changes"], ndmc.open(out).attrs["changes"]) == ({}, "{}")
    ndmc.open(out).to_netcdf(tmp_path / "older.nc", engine="scipy")
    # The text as it was: a run goes on with the same, to its comments.
    starter = shutil.copytree(ndmc.load("starter").folder, tmp_path / "starter")
    (starter / "scenario.yaml").write_text(open_store(out).attrs["scenario_text"], "utf-8")
    for draws in (40, 80):
        whole = tmp_path / f"{draws}.zarr"
        for store in (out, whole):
            ndmc.run(starter, draws, out=store, **options)
        assert same(out, whole)
    assert "files" in open_store(out).attrs
