"""W10: `ndmc sensitivity china_nd` from the shell, held against SALib and SciPy."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import sobol_peers
import xarray as xr
from measure import Contest, Run, process
from workload import NDMC, SEED, Workload

import ndmc

OUTPUTS = ",".join(sobol_peers.OUTPUTS)
GROUPED = ("--groups", str(sobol_peers.GROUPS), "-v", OUTPUTS)
CHECKED, POINTS = 8192, 256


def check(work: Workload) -> None:
    """Shares agree with those that SciPy finds of the model by NumPy, and zeros are zeros."""
    china, ours = sobol_peers.China(), study(work, CHECKED, *GROUPED)
    theirs = sobol_peers.scipy(china, POINTS, True, sobol_peers.silent)
    for kind, expected in zip(("first", "total"), theirs, strict=True):
        found = cells_of(ours, f"{kind}_order", china.groups)
        both = np.isfinite(found) & np.isfinite(expected)
        assert both.mean() > 0.9, f"{kind} shares of {both.mean():.0%}"
        apart = np.sqrt(np.mean((found - expected)[both] ** 2))
        assert apart < 0.02, f"{kind} shares are {apart:.3f} apart"
        other = (found == 0) != (np.abs(expected) < 1e-12)
        assert not other[both].any(), f"{kind} shares are zero where others are not"


def cells_of(shares: xr.Dataset, kind: str, groups: list[str]) -> np.ndarray:
    """Return [group, cell] of all outputs, in the order of the rival."""
    some = (shares[f"{name}_{kind}"].sel(group=groups) for name in sobol_peers.OUTPUTS)
    return np.concatenate([one.values.reshape(len(groups), -1) for one in some], axis=1)


def study(work: Workload, draws: int, *options: str) -> xr.Dataset:
    """Return what a study of the shell has found."""
    out = work.folder / "checked_study.zarr"
    shell(work, draws, *options, out=out)
    found = ndmc.sensitivity(out).load()
    shutil.rmtree(out)
    return found


def shell(work: Workload, draws: int, *options: str, out: Path | None = None) -> Run:
    """Run a study from the start of its process to its closing table."""
    store = out or work.folder / "study.zarr"
    command = [NDMC[0], "sensitivity", "china_nd", "-n", str(draws), "--seed", str(SEED)]
    command += [*options, "--out", str(store)] if "--linear" not in options else options
    measured = process(command, work.cores, {"NUMBA_CACHE_DIR": str(work.kernels)})
    if out is None and store.exists():
        shutil.rmtree(store)
    return measured


def contests(work: Workload) -> Iterator[Contest]:
    """Measure both studies and the fit; rivals are asked for what fits, once each."""
    size = work.sizes
    shell(work, CHECKED)  # kernels are compiled before
    yield from grouped(work)
    every = shell(work, size.shared_all)
    run = work.run(size.shared_all, work.cores, keep="none")
    title = f"W10 19 groups, 3,340 cells, {size.shared_all:,} draws"
    yield Contest(title, "ndmc run of as many draws", [(every, run)], "< 8 s + start", cost=True)
    fit = shell(work, size.fitted, "--linear", "-v", OUTPUTS)
    for peer in present():
        title = f"W10 459 inputs alone, 1,071 cells, {size.fitted:,} draws"
        pairs = [(fit, rival(work, peer, size.shared_alone, "--alone"))]
        yield Contest(title, f"{peer}, N = {size.shared_alone:,}", pairs, "<= 5 s")


def grouped(work: Workload) -> Iterator[Contest]:
    """Measure 60 groups by the evaluation: of a draw, or of a row of a rival's design."""
    draws, points, groups = work.sizes.shared, work.sizes.shared_peer, 60
    ours = shell(work, draws, *GROUPED)
    ours = Run(ours.seconds, draws * (1 + groups), ours.peak, ours.processor)
    for peer in present():
        one = rival(work, peer, points)
        theirs = Run(one.seconds, points * (2 + groups), one.peak, one.processor)
        title = f"W10 60 groups, 1,071 cells, {draws:,} draws, {ours.seconds:.1f} s"
        yield Contest(
            title, f"{peer}, N = {points:,}, {one.seconds:.1f} s", [(ours, theirs)], "<= 60 s"
        )


def present() -> list[str]:
    """Return the rivals that are installed and know groups, or can be given them."""
    return [peer for peer in ("SALib", "SciPy") if find_spec(peer.replace("SciPy", "scipy"))]


def rival(work: Workload, peer: str, points: int, *options: str) -> Run:
    """Let a rival sample, run the model by NumPy and analyse, in a process of its own."""
    script = [sys.executable, "-W", "ignore", sobol_peers.__file__, peer, "-n", str(points)]
    return process([*script, "--cells", str(work.sizes.shared_cells), *options], work.cores)
