"""What ndmc does in the contests: the stocks of china_nd in this process and from the shell."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Collection
from functools import cached_property
from pathlib import Path

import loops
import numpy as np
import plain
from measure import Run, process
from sizes import Sizes

import ndmc
from ndmc.engine.tile_width import TILE
from ndmc_kernels import survival
from ndmc_kernels.cohort import convolve

SEED = 1
NDMC = (str(Path(sysconfig.get_path("scripts"), "ndmc")), "run", "china_nd")
FLOWS = ("final_products", "sales", "in_use", "end_of_life")


class Workload:
    """Plans, one tile of draws and room for results; ``folder`` takes what is written."""

    def __init__(self, folder: Path, sizes: Sizes) -> None:
        self.folder = folder
        self.sizes = sizes
        self.cores = sorted(os.sched_getaffinity(0))
        self.scenario = ndmc.load("china_nd")
        self.moments = plain.inputs()
        self.parameters = ndmc.compile_plan(self.scenario, plain.NAMES)
        self.stock = ndmc.compile_plan(self.scenario, ["in_use"])
        self.flows = ndmc.compile_plan(self.scenario, FLOWS)

    def evaluate(self, plan: ndmc.Plan, draws: int) -> dict[str, np.ndarray]:
        """Return results as the plain model has them, [draw, ...] in model units."""
        results = ndmc.evaluate(plan, SEED, range(draws))
        scales = {output.name: output.scale for output in plan.outputs}
        return {name: np.moveaxis(v, -1, 0) / scales[name] for name, v in results.items()}

    def six_flows(self, *, closed: bool) -> ndmc.Scenario:
        """Return a loop of six flows, or the same cut open."""
        folder = self.folder / f"six_flows_{closed}_{len(list(self.folder.glob('six_flows*')))}"
        return loops.load(loops.six_flows(closed=closed), folder)

    # --- one tile, [product, year, draw] -------------------------------------------------------

    @cached_property
    def tile(self) -> dict[str, np.ndarray]:
        """The parameters of one tile, [draw, ...]."""
        return self.evaluate(self.parameters, TILE)

    @cached_property
    def lifetimes(self) -> tuple[np.ndarray, np.ndarray]:
        """Scale and shape."""
        return draws_last(self.tile["scale"]), draws_last(self.tile["shape"])

    @cached_property
    def sales(self) -> np.ndarray:
        """What enters the stock."""
        return draws_last(plain.model(**self.tile)["sales"])

    @cached_property
    def left(self) -> np.ndarray:
        """Room for survival by age."""
        return np.empty_like(self.sales)

    @cached_property
    def stocks(self) -> tuple[np.ndarray, np.ndarray]:
        """Room for stock and outflow."""
        return np.empty_like(self.sales), np.empty_like(self.sales)

    def survive(self) -> None:
        """Compute survival."""
        nodes, weights = survival.quadrature("middle", self.sales.shape[1])
        survival.weibull(*self.lifetimes, np.log(nodes), weights, self.left)

    def accumulate(self) -> None:
        """Compute stock and outflow from sales and survival."""
        stock, outflow = self.stocks
        convolve(self.sales, self.left, stock)
        convolve(self.sales, -np.diff(self.left, axis=1, prepend=1.0), outflow)

    def accumulate_anew(self) -> None:
        """Compute survival, stock and outflow."""
        self.survive()
        self.accumulate()

    # --- from the shell ------------------------------------------------------------------------

    @property
    def kernels(self) -> Path:
        """Where compiled kernels are kept between runs."""
        return self.folder / "kernels"

    def run(
        self,
        draws: int,
        cores: Collection[int],
        out: Path | None = None,
        keep: str = "in_use",
        *,
        per_draw: bool = False,
    ) -> Run:
        """Run the study with ndmc, keeping its own outputs if ``keep`` is empty.

        Without ``out`` the store is removed. Its time is that of the whole, or ``per_draw``.
        """
        store = out or self.folder / "run.zarr"
        kept = ["--keep", keep, "--percentiles", "kept"] if keep else []
        kept = ["--keep", "none"] if keep == "none" else kept
        command = [*NDMC, *kept, "-n", str(draws), "--seed", str(SEED), "--out", str(store)]
        settings = {"NUMBA_CACHE_DIR": str(self.kernels)}
        measured = process(command, cores, settings, draws if per_draw else None)
        if out is None:
            shutil.rmtree(store)
        return measured

    def run_large(self, draws: int, cores: Collection[int], *, closed: bool) -> Run:
        """Run a large system with loops, or without, keeping one output."""
        folder, store = self.folder / f"large_{closed}", self.folder / "large.zarr"
        if not folder.exists():
            loops.load(loops.large(closed=closed), folder)
        kept = ["--percentiles", "kept"]
        command = [*NDMC[:2], str(folder), *kept, "-n", str(draws), "--out", str(store)]
        measured = process(command, cores, {"NUMBA_CACHE_DIR": str(self.kernels)})
        shutil.rmtree(store)
        return measured

    def run_plain(self, draws: int, cores: Collection[int]) -> Run:
        """Run the study with the plain model."""
        options = ["-n", str(draws), "--seed", str(SEED), "--out", str(self.folder / "plain.npy")]
        return process([sys.executable, plain.__file__, *options], cores)


def draws_last(values: np.ndarray) -> np.ndarray:
    """Return [draw, ...] as ndmc's kernels want it."""
    return np.ascontiguousarray(np.moveaxis(values, 0, -1))


def draws_first(values: np.ndarray) -> np.ndarray:
    """Return [..., draw] as the plain model has it."""
    return np.moveaxis(values, -1, 0)
