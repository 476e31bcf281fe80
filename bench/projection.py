"""W9: draws of 60 flows moved onto 25 balances; ndmc against a loop over draws and a product."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
from checks import assert_same
from measure import Contest, Run, interleaved, timed
from workload import SEED, Workload

from ndmc.engine.tile_width import TILE
from ndmc_kernels.projection import add_products

FLOWS, PROCESSES = 60, 25


class Balances:
    """Flows between processes and one environment, all measured, and the gain of their balances."""

    def __init__(self) -> None:
        rng = np.random.default_rng(SEED)
        places = np.arange(FLOWS) % (PROCESSES + 1)
        # A ring through all of them, then flows at random.
        onward = np.where(np.arange(FLOWS) <= PROCESSES, 1, rng.integers(1, PROCESSES, FLOWS))
        whole = np.zeros((PROCESSES + 1, FLOWS))
        whole[places, range(FLOWS)] = -1.0
        whole[(places + onward) % (PROCESSES + 1), range(FLOWS)] = 1.0
        self.equations, self.constants = whole[:PROCESSES], rng.normal(size=PROCESSES)
        variance = rng.lognormal(size=FLOWS)
        seen = self.equations * variance
        self.gain = np.linalg.solve(seen @ self.equations.T, seen).T.copy()
        self.back, self.left = -self.gain, np.empty((PROCESSES, TILE))

    def tiles(self, values: np.ndarray) -> None:
        """Project [tile, flow, draw] as ndmc computes them."""
        for tile in values:
            self.left[:] = -self.constants[:, np.newaxis]
            add_products(self.left, self.equations, tile)
            add_products(tile, self.back, self.left)

    def loop(self, values: np.ndarray) -> None:
        """Project [draw, flow] one by one."""
        for x in values:
            x -= self.gain @ (self.equations @ x - self.constants)


def check(_: Workload) -> None:
    """Both project alike, and what they project meets the balances."""
    balances = Balances()
    plain = np.random.default_rng(SEED).normal(size=(2 * TILE, FLOWS))
    tiles = in_tiles(plain)
    balances.loop(plain)
    balances.tiles(tiles)
    assert_same(tiles, in_tiles(plain), "projected flows")
    left = balances.equations @ tiles
    assert_same(left, np.broadcast_to(balances.constants[:, np.newaxis], left.shape), "balances")


def in_tiles(values: np.ndarray) -> np.ndarray:
    """Return [draw, flow] as [tile, flow, draw]."""
    return np.ascontiguousarray(values.reshape(-1, TILE, FLOWS).swapaxes(1, 2))


def contests(work: Workload) -> Iterator[Contest]:
    """Hold ndmc against both, in a process that knows of one core: its products then use one."""
    title = f"W9 {FLOWS} flows onto {PROCESSES} balances"
    product = f"NumPy, [{FLOWS}, {FLOWS}] @ [{FLOWS}, {draws_of(work.sizes.projected):,}]"
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as alone:
        looped = alone.submit(race, looping, work.sizes.projected, work.sizes.few).result()
        yield Contest(title, "NumPy, draw by draw", looped, ">= 10")
        multiplied = alone.submit(race, multiplying, work.sizes.projected, work.sizes.repeat)
        yield Contest(title, product, multiplied.result(), "<= 2", cost=True)


def draws_of(draws: int) -> int:
    """Return as many draws in whole tiles."""
    return -(-draws // TILE) * TILE


Rival = Callable[[Balances, np.ndarray], Callable[[], object]]


def race(rival: Rival, least: int, repeat: int) -> list[tuple[Run, Run]]:
    """Measure ndmc and a rival, with the same draws in memory, in turn."""
    balances, draws = Balances(), draws_of(least)
    plain = np.random.default_rng(SEED).normal(size=(draws, FLOWS))
    tiles = in_tiles(plain)
    ours = timed(partial(balances.tiles, tiles), draws, draws)
    theirs = timed(rival(balances, plain), draws, draws)
    return interleaved(ours, theirs, repeat)


def looping(balances: Balances, values: np.ndarray) -> Callable[[], object]:
    """Project draw by draw."""
    return partial(balances.loop, values)


def multiplying(_: Balances, values: np.ndarray) -> Callable[[], object]:
    """Multiply all draws by one matrix, into room there is."""
    matrix = np.random.default_rng(SEED).normal(size=(FLOWS, FLOWS))
    values, out = np.ascontiguousarray(values.T), np.empty(values.shape[::-1])
    return partial(np.matmul, matrix, values, out=out)
