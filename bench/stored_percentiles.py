"""W5: percentiles of a million stored draws of 400 values, against sorting the same in memory."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import loops
import numpy as np
from measure import Contest, clocked, held_to, interleaved
from workload import SEED, Workload

import ndmc
from ndmc.store.opening import open_store

NAME, CELLS = "flow", 400
LEVELS = (0.025, 0.5, 0.975)


def make(folder: Path, draws: int) -> Path:
    """Store the draws of one flow of 20 products in 20 years."""
    folder.mkdir()
    scenario = loops.load(loops.one_flow(NAME, products=20, years=20), folder / "scenario")
    store = folder / "sorted.zarr"
    ndmc.run(scenario, draws, seed=SEED, out=store, keep=[NAME], percentiles=["kept"])
    return store


def rows_of(store: Path) -> np.ndarray:
    """Return the stored draws in memory, a contiguous row of each cell."""
    opened = open_store(store)
    values = opened.read(NAME, slice(0, opened.spec.draws))
    return np.ascontiguousarray(values).reshape(CELLS, -1)


def sort_rows(rows: np.ndarray, cores: Collection[int]) -> np.ndarray:
    """Return percentiles of each row, [quantile, row], sorted by as many threads as cores."""
    with ThreadPoolExecutor(len(cores)) as threads:
        return np.array([*threads.map(_percentiles, rows)]).T


def _percentiles(row: np.ndarray) -> np.ndarray:
    ordered = np.sort(row)
    places = np.array(LEVELS) * (len(row) - 1)
    below = places.astype(int)
    low = ordered[below].astype(float)
    high = ordered[np.minimum(below + 1, len(row) - 1)].astype(float)
    return low + (high - low) * (places - below)


def check(work: Workload) -> None:
    """Percentiles of the store are NumPy's of its draws."""
    store = make(work.folder / "sorted_checked", 2_001)
    found = ndmc.percentiles(store, NAME, quantiles=LEVELS)[NAME].values.reshape(len(LEVELS), -1)
    rows = rows_of(store)
    expected = np.quantile(rows.astype(float), LEVELS, axis=1)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(sort_rows(rows, work.cores), expected, rtol=1e-12)


def contests(work: Workload) -> Iterator[Contest]:
    """Read, sort and describe on one core, then on all."""
    draws = work.sizes.sorted
    store = make(work.folder / "sorted", draws)
    rows = rows_of(store)
    for cores in sorted({tuple(work.cores[:1]), tuple(work.cores)}, key=len):
        ours = partial(ndmc.percentiles, store, NAME, quantiles=LEVELS)
        theirs = partial(sort_rows, rows, cores)
        with held_to(cores):
            ours(), theirs()
            pairs = interleaved(partial(clocked, ours), partial(clocked, theirs), work.sizes.few)
        where = f"{len(cores)} core{'s' * (len(cores) > 1)}"
        title = f"W5 percentiles of {draws:,} x {CELLS} stored float32, {where}"
        yield Contest(title, "np.sort of contiguous rows", pairs, "<= 1.2", cost=True)
