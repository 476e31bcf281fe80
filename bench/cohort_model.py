"""W1: stock and outflow of 17 products over 21 years from lifetimes and inflows in memory."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import bounds
import numpy as np
import plain
from measure import Contest, Run, clocked, interleaved
from peers import PEERS, Peer, scipy_shifted
from workload import Workload, draws_last

from ndmc.engine.tile_width import TILE
from ndmc_kernels import survival
from ndmc_kernels.cohort import weibull_cohorts

sys.path.append(str(Path(__file__).parents[1] / "tests"))
import reference

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray]

YARDSTICK = Peer("SciPy sf, NumPy shifted adds", scipy_shifted)


class Tiles:
    """Draws in tiles [product, year, draw] as ndmc computes them, and room for all results."""

    def __init__(self, scale: np.ndarray, shape: np.ndarray, inflow: np.ndarray) -> None:
        whole = range(0, len(scale) // TILE * TILE, TILE)
        arrays = (scale, shape, inflow)
        self.given = [
            [draws_last(array[first : first + TILE]) for array in arrays] for first in whole
        ]
        self.found = [[np.empty_like(inflow) for _ in range(2)] for _, _, inflow in self.given]
        nodes, self.weights = survival.quadrature("middle", inflow.shape[-1])
        self.log_ages = np.log(nodes)

    def compute(self) -> None:
        """Compute stock and outflow of all draws."""
        for given, found in zip(self.given, self.found, strict=True):
            self.stock_and_outflow(*given, *found)

    def stock_and_outflow(
        self,
        scale: np.ndarray,
        shape: np.ndarray,
        inflow: np.ndarray,
        stock: np.ndarray,
        outflow: np.ndarray,
    ) -> None:
        """Compute one tile."""
        weibull_cohorts(scale, shape, self.log_ages, self.weights, inflow, stock, outflow)


def needs(products: int, years: int) -> bounds.Needs:
    """Return what a draw takes at least: all inputs read, both outputs written, once.

    The outflow follows from the stock by the balance, so the stock's multiply-adds are enough.
    """
    cells, cohorts = products * years, products * years * (years + 1) // 2
    return bounds.Needs(bytes=8 * (3 * cells + 2 * products), macs=cohorts, exps=2 * cells)


def inputs(work: Workload, draws: int) -> Arrays:
    """Return scale, shape and inflow of some draws, [draw, product] and [draw, product, year]."""
    drawn = work.evaluate(work.parameters, draws)
    return drawn["scale"], drawn["shape"], plain.model(**drawn)["sales"]


def check(work: Workload) -> None:
    """From the same inputs come the reference twin's stock and outflow."""
    given = inputs(work, TILE)
    tiles = Tiles(*given)
    tiles.compute()
    expected = twin(*given)
    compare("ndmc", [np.moveaxis(values, -1, 0) for values in tiles.found[0]], expected)
    few = [values[:2] for values in given]
    for peer in contestants():
        compare(peer.name, called(peer, *few), twin(*few, middle=peer.middle))


def contestants() -> list[Peer]:
    """Return the yardstick and every peer that is installed."""
    return [YARDSTICK, *(peer for peer in PEERS if peer.present)]


def twin(
    scale: np.ndarray, shape: np.ndarray, inflow: np.ndarray, *, middle: bool = True
) -> list[np.ndarray]:
    """Return stock and outflow of the reference, [draw, product, year]."""
    ages = np.arange(inflow.shape[-1])[:, np.newaxis] + 0.5 * middle
    left = reference.weibull(draws_last(scale), draws_last(shape), ages, np.ones_like(ages))
    found = reference.cohort(draws_last(inflow), left)
    return [np.moveaxis(values, -1, 0) for values in found]


def called(peer: Peer, *given: np.ndarray) -> list[np.ndarray]:
    """Return what a peer computes as [draw, product, year]."""
    ordered = [draws_last(values) for values in given] if peer.draws_last else given
    found = peer.model(*ordered)
    return [np.moveaxis(values, -1, 0) if peer.draws_last else values for values in found]


def compare(name: str, found: list[np.ndarray], expected: list[np.ndarray]) -> None:
    """Stop if stock or outflow differ by more than 1e-12 of the largest of a series."""
    for what, ours, theirs in zip(("stock", "outflow"), found, expected, strict=True):
        tolerance = 1e-12 * np.abs(theirs).max(axis=-1, keepdims=True)
        if not np.all(np.abs(ours - theirs) <= tolerance):
            raise SystemExit(f"{what} of {name} is not that of the reference")


def contests(work: Workload) -> Iterator[Contest]:
    """Hold ndmc, then every peer, against the yardstick."""
    given = inputs(work, work.sizes.draws)
    tiles = Tiles(*given)
    peaks = bounds.measure(work.sizes.triad)
    least = peaks.bound(needs(*given[2].shape[1:]))
    draws = len(tiles.given) * TILE
    ours = warm(tiles.compute, draws)
    pairs = interleaved(ours, race(YARDSTICK, *given), work.sizes.repeat)
    title, target = "W1 stock and outflow, lifetimes drawn", ">= 15, >= 60 % of bound"
    note = f"W1 bound: {peaks}; a draw takes at least: {least}; {least.binding} binds"
    yield Contest(title, YARDSTICK.name, pairs, target, bound=least, note=note)
    for peer in contestants()[1:]:
        theirs = race(peer, *given)
        pairs = interleaved(theirs, race(YARDSTICK, *given), -(-work.sizes.repeat // 3))
        yield Contest(f"W1 {peer.name}, instead of ndmc", YARDSTICK.name, pairs, bound=least)


def race(peer: Peer, *given: np.ndarray) -> Callable[[], Run]:
    """Measure a peer that is called with as many draws as suit it best."""
    draws = min(peer.total, len(given[0]))
    calls = [slice(first, first + peer.call) for first in range(0, draws, peer.call)]
    arrange = draws_last if peer.draws_last else np.ascontiguousarray
    parts = [[arrange(values[some]) for values in given] for some in calls]

    def compute() -> None:
        for part in parts:
            peer.model(*part)

    return warm(compute, draws)


def warm(call: Callable[[], object], draws: int) -> Callable[[], Run]:
    """Measure a call once it has been made."""
    call()
    return lambda: clocked(call, draws)
