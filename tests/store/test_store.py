"""The store: labelled, self-describing, the same however it was computed, safe against a kill."""

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr
import zarr
from numpy.testing import assert_array_equal
from parts import arrays
from strategies import bundled, python, scenario, stock_model, write

import ndmc
from ndmc.engine.evaluation import evaluate
from ndmc.errors import InputError, RunError
from ndmc.model import compile_plan
from ndmc.store.opening import open_store

KEEP = ["sales", "in_use", "end_of_life", "recycled_share", "content", "production"]
DRAWS = 2501  # so that the last block is shorter, and of one draw in blocks of 500
LARGE = ["in_use", "stock_total", "production"]


def run(out, **options):
    """Run the starter and return its store's path."""
    options = {"seed": 4, "keep": KEEP, "workers": 2, "block": 512} | options
    ndmc.run("starter", options.pop("draws", DRAWS), out=out, **options)
    return out


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Return the path of a store of the starter."""
    return run(tmp_path_factory.mktemp("stores") / "starter.zarr")


@pytest.fixture(scope="module")
def china(tmp_path_factory):
    """Return the path of a small store of china_nd."""
    out = tmp_path_factory.mktemp("stores") / "china.zarr"
    ndmc.run("china_nd", 70, seed=1, out=out, keep=LARGE, workers=2)
    return out


@pytest.fixture(scope="module")
def expected(stored):
    """Return the arrays of the starter's store."""
    return arrays(stored)


def assert_same(path, expected):
    """Demand every array of a store, percentiles included, bit for bit."""
    got = arrays(path)
    assert set(got) == set(expected)
    for name, values in expected.items():
        assert_array_equal(got[name], values, name)


# --- read by anyone ------------------------------------------------------------------------------

READ = """
import json, sys, xarray as xr
path, group = sys.argv[1], sys.argv[2] or None
data = xr.open_zarr(path, group=group)
found = {"attrs": data.attrs, "variables": {}, "coords": {}}
for name, array in data.data_vars.items():
    attrs = {k: v for k, v in array.attrs.items()}
    found["variables"][name] = {"dims": array.dims, "attrs": attrs, "dtype": str(array.dtype)}
for name, array in data.coords.items():
    found["coords"][name] = array.values.tolist()
assert "ndmc" not in sys.modules
print(json.dumps(found))
"""


def read(path, group=""):
    """Return what plain xarray, without ndmc, finds in a group of a store."""
    return json.loads(python(READ, path, group))


def test_xarray_alone_reads_the_draws(stored):
    """Dims are named and labelled, units and long names are there, without ndmc."""
    found = read(stored)
    assert set(found["variables"]) == {"sales", "in_use", "end_of_life", "recycled_share"}
    stock = found["variables"]["in_use"]
    assert stock["dims"] == ["draw", "year", "product"]
    assert stock["dtype"] == "float32"
    assert (stock["attrs"]["units"], stock["attrs"]["long_name"]) == ("t", "In-use stock")
    assert found["variables"]["sales"]["attrs"]["units"] == "t/yr"
    assert found["variables"]["recycled_share"]["attrs"]["units"] == "%"
    assert found["coords"]["product"] == ["phone", "bicycle", "car"]
    assert found["coords"]["product_group"] == ["small", "small", "large"]
    assert found["coords"]["year"] == list(range(2010, 2025))


def test_store_carries_its_provenance(stored):
    """The attrs hold seed, draws, texts and hash of the scenario, versions and times."""
    attrs, loaded = read(stored)["attrs"], bundled("starter")
    table = (loaded.folder / "production.csv").read_text(encoding="utf-8")
    assert (attrs["seed"], attrs["draws"], attrs["block"]) == (4, DRAWS, 512)
    assert attrs["complete"] == 1
    assert attrs["started"] <= attrs["finished"]
    assert attrs["scenario_text"] == loaded.document.text
    assert read(stored, "tables")["attrs"] == {"production.csv": table}
    assert attrs["scenario_hash"] == loaded.hash
    assert attrs["title"] == loaded.file.title
    for package in ("numpy", "numba", "scipy", "zarr", "python"):
        assert json.loads(attrs["versions"])[package]
    assert attrs["ndmc"]


def test_every_dataset_can_be_saved_as_netcdf(stored, tmp_path):
    """Attributes are what a netCDF file of any version can hold, through the engine of SciPy."""
    groups = [xr.open_zarr(stored, group=group) for group, _ in zarr.open_group(stored).groups()]
    found = [ndmc.open(stored), xr.open_zarr(stored), ndmc.percentiles(stored), *groups]
    assert len(found) == 7
    for number, dataset in enumerate(found):
        dataset.to_netcdf(tmp_path / f"{number}.nc", engine="scipy")
    with xr.open_dataset(tmp_path / "0.nc", engine="scipy") as read:
        assert_array_equal(read.in_use, found[0].in_use)
        assert json.loads(read.attrs["dims"])["product"] == ["phone", "bicycle", "car"]
        assert (read.attrs["complete"], json.loads(read.attrs["changes"])) == (1, {})


FORK = """
import os, sys, ndmc
draws = ndmc.open(sys.argv[1])
here = float(draws.in_use.mean())  # Dask's threads start here
child = os.fork()
if child == 0:
    os._exit(float(draws.in_use.mean()) != here)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no process can be forked")
def test_a_forked_process_reads_draws(stored):
    """It has Dask's threads only if they are started anew: else it waits for them for ever."""
    command = [sys.executable, "-W", "ignore", "-c", FORK, str(stored)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "0\n"


def test_every_production_row_keeps_its_source(china):
    """Each row's source and confidence stand beside its value in the group `parameters`."""
    parameters = xr.open_zarr(china, group="parameters")
    assert parameters["production"].attrs["units"] == "1/yr"
    path = bundled("china_nd").folder / "production.csv"
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    assert len(rows) == parameters["production"].size
    kept = parameters[["production", "production_source", "production_confidence"]].load()
    for row in rows:
        cell = kept.sel(product=row["product"], year=int(row["year"]))
        assert float(cell["production"]) == pytest.approx(float(row["value"]), rel=1e-15)
        assert str(cell["production_source"].values) == row["source"].strip()
        assert str(cell["production_confidence"].values) == row["confidence"]


def test_parameters_without_rows_keep_their_source(china):
    """A source said once is an attribute."""
    parameters = xr.open_zarr(china, group="parameters")
    assert "Table S2" in parameters["penetration"].attrs["source"]
    assert parameters["content"].dims == ("product",)


def test_kept_parameters_are_inputs(stored):
    """Kept parameters stand in the group `inputs`, in their own units and precision."""
    found = read(stored, "inputs")
    assert set(found["variables"]) == {"content", "production"}
    assert found["variables"]["content"]["dims"] == ["draw", "product"]
    assert found["variables"]["production"]["dims"] == ["draw", "year", "product"]
    assert found["variables"]["content"]["attrs"]["units"] == "g"
    plan = compile_plan(bundled("starter"), ["content"])
    values = evaluate(plan, 4, range(DRAWS), dtype=np.float32)["content"]
    assert_array_equal(xr.open_zarr(stored, group="inputs")["content"].values, values.T)


def test_percentiles_are_labelled(stored):
    """The group `percentiles` has quantile, year and product, limits, means and totals."""
    found = read(stored, "percentiles")
    variables = found["variables"]
    for suffix in ("", "_low", "_high"):
        assert variables[f"in_use{suffix}"]["dims"] == ["quantile", "product", "year"]
        assert variables[f"in_use_total{suffix}"]["dims"] == ["quantile", "year"]
    assert variables["in_use_mean"]["dims"] == variables["in_use_sd"]["dims"] == ["product", "year"]
    assert variables["in_use"]["attrs"]["units"] == "t"
    assert found["coords"]["quantile"] == [0.025, 0.5, 0.975]
    assert found["attrs"]["count"] == DRAWS


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_stored_is_what_is_evaluated(tmp_path, dtype):
    """Stored draws are the evaluated ones, exactly, in the precision asked for."""
    out = run(tmp_path / "run.zarr", dtype=dtype, draws=600, keep=["in_use", "recycled_share"])
    plan = compile_plan(bundled("starter"), ["in_use", "recycled_share"])
    data = ndmc.open(out)
    for name, values in evaluate(plan, 4, range(600), dtype=dtype).items():
        assert data[name].dtype == dtype
        assert_array_equal(data[name].values, values.T)


# --- the same however it is cut ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("workers", "block"), [(1, 512), (4, 512), (2, 500), (3, 700), (2, None), (2, 5000), (4, 1250)]
)
def test_blocks_and_workers_change_nothing(tmp_path, expected, workers, block):
    """Any number of workers and any block give the same store, percentiles included."""
    assert_same(run(tmp_path / "run.zarr", workers=workers, block=block), expected)


def test_blocks_are_whole_shards(stored):
    """Each block of each output is one file, so that a write is whole or absent."""
    for name in ("in_use", "sales", "recycled_share", "inputs/content"):
        files = [path for path in (stored / name / "c").rglob("*") if path.is_file()]
        assert len(files) == -(-DRAWS // 512)
        array = zarr.open_array(stored / name, mode="r")
        assert (array.shards or array.chunks)[0] == 512


def test_a_cells_draws_lie_together(tmp_path):
    """Large outputs are cut by years inside a shard, so that one year can be read alone."""
    out = tmp_path / "run.zarr"
    ndmc.run("china_nd", 16384, seed=1, out=out, keep=["in_use"], workers=2, block=8192)
    array = zarr.open_array(out / "in_use", mode="r")
    assert array.shards == (8192, 21, 17)
    assert array.chunks == (8192, 3, 17)


def test_flipped_bits_are_found(tmp_path, stored):
    """A damaged byte anywhere in a block's file is an error when read, never a wrong number."""
    damaged = tmp_path / "damaged.zarr"
    shutil.copytree(stored, damaged)
    chance = random.Random(1)
    for name in ("in_use", "recycled_share"):
        file = next(path for path in (damaged / name / "c" / "0").rglob("*") if path.is_file())
        whole = file.read_bytes()
        for place in [0, 1, len(whole) - 1, *(chance.randrange(len(whole)) for _ in range(60))]:
            broken = bytearray(whole)
            broken[place] ^= 1 << chance.randrange(8)
            file.write_bytes(broken)
            with pytest.raises(RunError, match="damaged or missing"):
                open_store(damaged).read(name, slice(0, 512))
        file.write_bytes(whole)
        open_store(damaged).read(name, slice(0, 512))


def test_truncated_blocks_are_found(tmp_path, stored):
    """A block's file that was cut short is an error when read."""
    damaged = tmp_path / "damaged.zarr"
    shutil.copytree(stored, damaged)
    file = next(path for path in (damaged / "in_use" / "c" / "0").rglob("*") if path.is_file())
    whole = file.read_bytes()
    for length in (0, 1, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:length])
        with pytest.raises(RunError, match="damaged or missing"):
            open_store(damaged).read("in_use", slice(0, 512))


# --- interrupted ---------------------------------------------------------------------------------

KILLED = """
import os, signal, sys
import ndmc
from ndmc.runs import run
from ndmc.store.ledger import Ledger

when, out = sys.argv[1:]
seen = 0
def die():
    os.kill(os.getpid(), signal.SIGKILL)
def write(self, entry):
    global seen
    seen += entry.name.startswith("block-")
    if when == "before marking" and seen == 3:
        die()
    original(self, entry)
    if when == "after marking" and seen == 3:
        die()
original, Ledger.write = Ledger.write, write
if when == "before percentiles":
    run.percentiles_of = lambda *arguments: die()
if when == "before finishing":
    run.write_percentiles = lambda *arguments: die()
ndmc.run("starter", 2501, seed=4, out=out, keep=KEEP, workers=1, block=512)
""".replace("KEEP", repr(KEEP))


def kill(out, when):
    """Run the starter in another process that kills itself part of the way."""
    killed = subprocess.run([sys.executable, "-c", KILLED, when, str(out)], check=False)
    assert killed.returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("when", "blocks"),
    [
        ("before marking", 2),
        ("after marking", 3),
        ("before percentiles", 5),
        ("before finishing", 5),
    ],
)
def test_killed_run_is_finished_by_the_same_call(tmp_path, expected, when, blocks):
    """A run killed at any point is not complete, and goes on to the store of an undisturbed one."""
    out = tmp_path / "run.zarr"
    kill(out, when)
    store = open_store(out)
    assert not store.complete
    assert store.written.sum() == blocks
    if blocks < 5:
        with pytest.raises(InputError, match="not complete"):
            ndmc.percentiles(out, "in_use")
    touched = {f: f.stat().st_mtime_ns for f in (out / "in_use").rglob("c/*") if f.is_file()}
    run(out, workers=2)
    assert open_store(out).complete
    assert_same(out, expected)
    done = sorted(touched)[:blocks]
    assert all(file.stat().st_mtime_ns == touched[file] for file in done)


def test_complete_run_is_not_computed_again(tmp_path, monkeypatch):
    """The same call on a complete store touches nothing."""
    out = run(tmp_path / "run.zarr", draws=100)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    monkeypatch.setattr("ndmc.runs.block.Work.compute", None)
    run(out, draws=100)
    assert {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": 5}, "seed: 4, asked for 5"),
        ({"keep": ["sales"]}, "keep"),
        ({"dtype": "float64"}, "dtype: 'float32', asked for 'float64'"),
        ({"variant": "long_lives"}, "variant|scenario"),
        ({"changes": {"lifetime_shape": "3"}}, "changes|scenario"),
    ],
)
def test_another_runs_store_is_refused(tmp_path, options, message):
    """A store is never continued by a run that would have written other numbers."""
    out = run(tmp_path / "run.zarr", draws=100)
    with pytest.raises(InputError, match=f"belongs to another run .*({message})"):
        run(out, **{"draws": 100} | options)


def test_another_block_cannot_continue(tmp_path, expected):
    """A store is continued in its own blocks, and by nobody who asks for others."""
    out = tmp_path / "run.zarr"
    kill(out, "after marking")
    with pytest.raises(InputError, match="the store has blocks of 512 draws, 256 asked for"):
        run(out, block=100)
    run(out, block=None)
    assert open_store(out).spec.block == 512
    assert_same(out, expected)


def test_incomplete_store_opens_quietly(tmp_path):
    """The draws of an unfinished run can be opened; those not written are not a number."""
    out = tmp_path / "run.zarr"
    kill(out, "after marking")
    data = ndmc.open(out)
    assert data.attrs["complete"] == 0
    written = np.repeat(open_store(out).written, 512)[:DRAWS]
    assert 0 < written.sum() < DRAWS
    assert_array_equal(np.isfinite(data.in_use.values).all(axis=(1, 2)), written)
    assert_array_equal(np.isnan(data.in_use.values).all(axis=(1, 2)), ~written)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_nothing_is_written_where_it_may_not(tmp_path):
    """A folder that cannot be written gives a clear error."""
    tmp_path.chmod(0o500)
    with pytest.raises(ndmc.RunError, match="cannot write"):
        run(tmp_path / "run.zarr", draws=10)


# --- small ones ----------------------------------------------------------------------------------


def test_one_draw_one_year(tmp_path):
    """One draw of one year without dims makes a whole store, whose limits are unknown."""
    data = stock_model("2000..2000", spread=0.1, products=("a",))
    out = tmp_path / "run.zarr"
    ndmc.run(write(data, tmp_path / "one"), 1, seed=1, out=out, keep=["all"])
    found = xr.open_zarr(out, group="percentiles").load()
    assert_array_equal(found.total, np.full((3, 1), float(ndmc.open(out).total[0, 0])))
    assert (found.total_low == -np.inf).all()
    # One draw lies above the 2.5th percentile in 97.5 % of all cases, so that limit is known.
    assert_array_equal(np.isinf(found.total_high[:, 0]), [False, True, True])


def test_constant_scenario_has_no_spread(tmp_path):
    """Without uncertainty all percentiles are the one value, and the sd is zero."""
    out = tmp_path / "run.zarr"
    ndmc.run(write(stock_model(), tmp_path / "certain"), 1000, seed=1, out=out)
    found = xr.open_zarr(out, group="percentiles").load()
    assert (found.in_use == found.in_use[0]).all()
    assert float(found.in_use_sd.max()) == 0.0
    values = evaluate(compile_plan(scenario(stock_model())), 1, range(1), dtype=np.float32)
    assert_array_equal(found.in_use[0], values["in_use"][..., 0])
