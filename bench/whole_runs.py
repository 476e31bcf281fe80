"""W3, W4 and W8: `ndmc run china_nd` from the shell, held against processes that do the same."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import bare_zarr
import numpy as np
import plain_whole
import xarray as xr
import zarr
from checks import assert_same
from measure import Contest, Run, interleaved, process
from numpy_inputs import Inputs
from workload import SEED, Workload

import ndmc
from ndmc.engine.tile_width import TILE

STORED = ("final_products", "in_use", "end_of_life")
IMPORTS = "import numba, xarray, zarr, dask.array"


# --- W3: percentiles of everything, no draws kept ----------------------------------------------


def check_whole(work: Workload) -> None:
    """All outputs agree from the same parameters, and percentiles from the same draws."""
    inputs = Inputs(work.scenario)
    drawn = ndmc.compile_plan(work.scenario, tuple(inputs.drawn))
    given = {name: np.moveaxis(v, 0, -1) for name, v in work.evaluate(drawn, TILE).items()}
    expected = plain_whole.model({**inputs.fixed, **given})
    found = ndmc.evaluate(ndmc.compile_plan(work.scenario), SEED, range(TILE))
    assert found.keys() == expected.keys()
    for name, values in found.items():
        assert_same(np.moveaxis(values, -1, 0), np.moveaxis(expected[name], -1, 0), name)
    check_percentiles(work, 2_000)


def check_percentiles(work: Workload, draws: int) -> None:
    """Find the same percentiles in a store without draws as the plain study does in its draws."""
    store = work.folder / "whole_checked.zarr"
    work.run(draws, work.cores, store, keep="none")
    written = xr.open_zarr(store, group="percentiles")
    plan = ndmc.compile_plan(work.scenario)
    results = ndmc.evaluate(plan, SEED, range(draws), dtype=np.float32)
    for output in plan.outputs:
        values = results[output.name].reshape(-1, draws)
        expected = plain_whole.describe(values.copy()).T
        parts = [written[output.name].transpose("quantile", *output.dims)]
        parts += [written[f"{output.name}_{of}"].transpose(*output.dims) for of in ("mean", "sd")]
        found = np.concatenate([part.values.reshape(-1, len(values)) for part in parts])
        np.testing.assert_allclose(found, expected, rtol=1e-9, err_msg=output.name)


def whole(work: Workload) -> Iterator[Contest]:
    """Run the study with all percentiles, from the start of the process to its end."""
    draws, few = work.sizes.whole, plain_whole.fitting(work.sizes.plain)
    script = [sys.executable, plain_whole.__file__, "-n", str(few), "--seed", str(SEED)]
    script += ["--out", str(work.folder / "plain_whole.npy")]
    work.run(work.sizes.start, work.cores, keep="none")  # kernels are compiled before
    pairs = interleaved(
        partial(work.run, draws, work.cores, keep="none", per_draw=True),
        partial(process, script, work.cores, draws=few),
        work.sizes.few,
    )
    cores = f"{len(work.cores)} core{'s' * (len(work.cores) > 1)}"
    title = f"W3 ndmc run -n {draws:,} --keep none, {cores}"
    yield Contest(title, f"NumPy, {few:,} draws in memory", pairs, ">= 15")


# --- W4: draws of three outputs stored ---------------------------------------------------------


def check_stored(work: Workload) -> None:
    """Zarr alone writes the same arrays, and in them the same first block."""
    store, blocks, again = prepared(work, work.sizes.start)
    write_bare(work, store, blocks, again)
    theirs, ours = zarr.open_group(again, mode="r"), zarr.open_group(store, mode="r")
    for name in STORED:
        one, other = ours[name], theirs[name]
        alike = (one.metadata.codecs, one.metadata.chunk_grid, one.shape, one.dtype)
        assert alike == (
            other.metadata.codecs, other.metadata.chunk_grid, other.shape, other.dtype
        )  # fmt: skip
        first = slice(0, block_of(one))
        np.testing.assert_array_equal(one[first], other[first])
    shutil.rmtree(again)
    shutil.rmtree(store)


def prepared(work: Workload, draws: int) -> tuple[Path, Path, Path]:
    """Return a store, a file with the draws of its first block, and where to write them again."""
    store, blocks = work.folder / "stored.zarr", work.folder / "block.npz"
    work.run(draws, work.cores, store, keep=",".join(STORED))
    group = zarr.open_group(store, mode="r")
    arrays = {name: group[name] for name in STORED}
    np.savez(blocks, **{name: a[: block_of(a)].T.copy() for name, a in arrays.items()})
    return store, blocks, work.folder / "bare.zarr"


def block_of(array: zarr.Array) -> int:
    """Return how many draws are written at a time."""
    return int((array.shards or array.chunks)[0])


def write_bare(work: Workload, store: Path, blocks: Path, again: Path) -> Run:
    """Write the draws of a store with Zarr alone."""
    shutil.rmtree(again, ignore_errors=True)
    script = [sys.executable, bare_zarr.__file__, str(store), str(blocks), str(again)]
    return process(script, work.cores)


def stored(work: Workload) -> Iterator[Contest]:
    """Run the study with draws of three outputs, and only their percentiles."""
    draws = work.sizes.stored
    paths = prepared(work, draws)
    pairs = interleaved(
        lambda: work.run(draws, work.cores, keep=",".join(STORED)),
        lambda: write_bare(work, *paths),
        work.sizes.few,
    )
    shutil.rmtree(paths[0])
    shutil.rmtree(paths[2])
    title = f"W4 ndmc run -n {draws:,} --keep {','.join(STORED)} --percentiles kept"
    yield Contest(title, "zarr, the same bytes from memory", pairs, "<= 1.3", cost=True)


# --- W8: starts --------------------------------------------------------------------------------


def starts(work: Workload) -> Iterator[Contest]:
    """Run a few draws, with kernels to compile or compiled before."""
    for cold, target in ((True, "<= 2.5"), (False, "<= 1.5")):
        ours = partial(started, work, cold=cold)
        theirs = partial(process, [sys.executable, "-c", IMPORTS], work.cores)
        work.run(work.sizes.start, work.cores, keep="")  # files are in the page cache, kernels too
        theirs()
        pairs = interleaved(ours, theirs, work.sizes.repeat)
        title = f"W8 {'cold' if cold else 'warm'} start: ndmc run -n {work.sizes.start:,}"
        yield Contest(title, IMPORTS, pairs, target, cost=True)


def started(work: Workload, *, cold: bool) -> Run:
    """Run a few draws as the scenario says."""
    if cold:
        shutil.rmtree(work.kernels, ignore_errors=True)
    return work.run(work.sizes.start, work.cores, keep="")
