"""Do ndmc and its rivals compute the same? Nothing is timed before all of this holds."""

from __future__ import annotations

import os

import loops
import numpy as np
import plain
import xarray as xr
from workload import FLOWS, SEED, Workload, draws_first

import ndmc
from ndmc.engine.tile_width import TILE

LEVELS = [0.025, 0.5, 0.975]


def check(work: Workload) -> None:
    """Stop if ndmc and the plain model, or the loop by hand, disagree."""
    check_model(work)
    check_kernels(work)
    check_loop(work)
    check_draws(work, work.sizes.draws)
    check_study(work, 2_000)


def check_loop(work: Workload) -> None:
    """Both solve the loop alike: ndmc, and a matrix for each draw and year."""
    scenario = work.six_flows(closed=True)
    names = ["given", "a", "b", "c", loops.OUTPUT]
    *drawn, out = ndmc.evaluate(ndmc.compile_plan(scenario, names), 1, range(TILE)).values()
    assert_same(loops.dense(*drawn), out, "loop")


def check_model(work: Workload) -> None:
    """From the same draws come the same flows and stocks."""
    expected = plain.model(**work.tile)
    results = work.evaluate(work.flows, TILE)
    for name in FLOWS:
        assert_same(results[name], expected[name], name)


def check_kernels(work: Workload) -> None:
    """From the same inputs come the same survival, stock and outflow."""
    work.survive()
    work.accumulate()
    left = plain.survival(work.tile["scale"], work.tile["shape"], work.left.shape[1])
    assert_same(draws_first(work.left), left, "survival")
    expected = plain.cohorts(draws_first(work.sales), left)
    for name, ours, theirs in zip(("stock", "outflow"), work.stocks, expected, strict=True):
        assert_same(draws_first(ours), theirs, name)


def check_draws(work: Workload, draws: int) -> None:
    """Parameters, their changes from year to year, and stocks are distributed alike."""
    ours = work.evaluate(work.parameters, draws)
    theirs = plain.sample(work.moments, np.random.default_rng(SEED), draws)
    for name in plain.NAMES:
        assert_alike(ours[name], theirs[name], name)
    for name in ("production", "penetration"):
        assert_alike(np.diff(ours[name]), np.diff(theirs[name]), f"change of {name}")
    stock = work.evaluate(work.stock, draws)["in_use"]
    assert_alike(stock, plain.model(**theirs)["in_use"], "in_use")


def check_study(work: Workload, draws: int) -> None:
    """Percentiles that ndmc writes are NumPy's own of its draws, and near the plain ones."""
    store = work.folder / "checked.zarr"
    work.run(draws, os.sched_getaffinity(0), store)
    stored = ndmc.open(store).in_use.transpose("draw", "product", "year").values
    found = xr.open_zarr(store, group="percentiles").sel(quantile=LEVELS)
    theirs = plain.percentiles(work.moments, SEED, draws)
    low, ours, high = (
        found[name].transpose("quantile", "product", "year").values
        for name in ("in_use_low", "in_use", "in_use_high")
    )
    np.testing.assert_array_equal(ours, np.quantile(stored.astype(float), LEVELS, axis=0))
    # The 95 % limits are four standard errors apart, a difference has 1.4 of them.
    assert_within(ours, theirs, 2 * (high - low) + 1e-6 * theirs, "percentiles")


def assert_same(ours: np.ndarray, theirs: np.ndarray, name: str) -> None:
    """Both agree to 1e-12 of the largest of the product's series."""
    assert_within(ours, theirs, 1e-12 * np.abs(theirs).max(axis=-1, keepdims=True), name)


def assert_alike(ours: np.ndarray, theirs: np.ndarray, name: str) -> None:
    """Means and standard deviations over draws agree within six standard errors."""
    sd, rounding = theirs.std(axis=0), 1e-12 * np.abs(theirs).max(axis=0)
    error = sd * np.sqrt(2 / len(theirs)) + rounding
    assert_within(ours.mean(axis=0), theirs.mean(axis=0), 6 * error, f"mean of {name}")
    assert_within(ours.std(axis=0), sd, 6 * error, f"standard deviation of {name}")


def assert_within(ours: np.ndarray, theirs: np.ndarray, tolerance: np.ndarray, name: str) -> None:
    """Raise, with the worst place, where two arrays differ by more than allowed."""
    excess = np.abs(ours - theirs) - tolerance
    if np.any(~(excess <= 0)):
        at = np.unravel_index(np.argmax(excess), excess.shape)
        raise SystemExit(f"{name} differs at {at}: ndmc {ours[at]:.6g}, rival {theirs[at]:.6g}")
