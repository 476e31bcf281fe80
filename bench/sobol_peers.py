"""Shares of variance of three outputs of china_nd as SALib, SciPy and OpenTURNS give them.

The 459 scores behind them stand in 60 groups, or each alone. Prints the seconds, by the clock and
of processors, of the design, the model and the analysis, each a line of JSON. The model is the one
of plain_whole.py, 300 rows a call. Run: python bench/sobol_peers.py SALib -n 1024
"""

from __future__ import annotations

import argparse
import importlib
import json
import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import plain_whole
from numpy_inputs import Inputs
from ruamel.yaml import YAML
from scipy.special import ndtri
from scipy.stats import qmc

import ndmc

OUTPUTS = ("final_products", "in_use", "end_of_life")
DRAWN = ("production", "content", "penetration", "domestic_share", "scale", "shape")
CELLS = 1071
GROUPS = Path(__file__).with_name("china_groups.yaml")


class Groups:
    """The 60 groups of the file, by what they hold."""

    def __init__(self) -> None:
        named = YAML(typ="safe").load(GROUPS)["groups"]
        self.names = [*named]
        self.of = {member: name for name, members in named.items() for member in members}

    def __call__(self, parameter: str, product: str) -> str:
        """Return the group of the scores of a parameter and product."""
        return self.of.get(parameter) or self.of[f"{parameter}[product={product}]"]


class Given:
    """Scores [column, draw] in the place of a generator: handed out in the order of a draw."""

    def __init__(self, scores: np.ndarray) -> None:
        self.scores, self.next = scores, 0

    def standard_normal(self, shape: Sequence[int]) -> np.ndarray:
        """Return the next scores as [shape..., draw]."""
        first, self.next = self.next, self.next + int(np.prod(shape[:-1], dtype=int))
        return self.scores[first : self.next].reshape(shape).copy()


class China:
    """The model as a function of scores; ``columns`` are the groups in which these stand."""

    def __init__(self, cells: int = CELLS) -> None:
        self.cells = cells
        scenario = ndmc.load("china_nd")
        self.inputs = Inputs(scenario)
        groups = Groups()
        self.groups = groups.names
        self.columns = [
            groups(name, product)
            for name in DRAWN
            for shape in self._fields(name)
            for product in scenario.dims.labels["product"]
            for _ in range(int(np.prod(shape[1:], dtype=int)))
        ]

    def _fields(self, name: str) -> list[tuple[int, ...]]:
        field = self.inputs.drawn[name].field
        return [shape for shape in (field.own, field.common) if shape is not None]

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """Return the first cells [cell, draw] of scores [column, draw]."""
        found = np.empty((self.cells, scores.shape[1]))
        for first in range(0, scores.shape[1], plain_whole.CALL):
            some = Given(scores[:, first : first + plain_whole.CALL])
            draws = some.scores.shape[1]
            drawn = {name: self.inputs.drawn[name].draw(some, draws) for name in DRAWN}
            results = plain_whole.products({**self.inputs.fixed, **drawn, "recycling_rate": 0.0})
            rows = [results[name].reshape(-1, draws) for name in OUTPUTS]
            found[:, first : first + draws] = np.concatenate(rows)[: self.cells]
        return found


Shares = tuple[np.ndarray, np.ndarray]  # first and total [input or group, cell]


Clock = Callable[[str, Callable[[], Any]], Any]


def printed(phase: str, call: Callable[[], Any]) -> Any:
    """Do a phase, and print what it took."""
    start, used = time.perf_counter(), time.process_time()
    found = call()
    seconds = {"seconds": time.perf_counter() - start, "processor": time.process_time() - used}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"phase": phase, **seconds, "peak": peak}), flush=True)
    return found


def silent(_: str, call: Callable[[], Any]) -> Any:
    """Do a phase."""
    return call()


def salib(china: China, n: int, grouped: bool, clock: Clock) -> Shares:
    """Sample as SALib does, and analyse column by column, with limits."""
    sample = importlib.import_module("SALib.sample.sobol")
    analyze = importlib.import_module("SALib.analyze.sobol")
    count = len(china.columns)
    problem = {
        "num_vars": count,
        "names": [f"{n}" for n in range(count)],
        "bounds": [[0.0, 1.0]] * count,
        "dists": ["norm"] * count,
    }
    if grouped:
        problem["groups"] = list(china.columns)
    design = clock("design", lambda: sample.sample(problem, n, calc_second_order=False, seed=1))
    values = clock("model", lambda: china(design.T))
    found = clock(
        "analysis",
        lambda: [
            analyze.analyze(problem, cell, calc_second_order=False, seed=1) for cell in values
        ],
    )
    first, total = (np.array([one[name] for one in found]).T for name in ("S1", "ST"))
    return first, total


def scipy(china: China, n: int, grouped: bool, clock: Clock) -> Shares:
    """Take both indices as SciPy does, without limits; groups are exchanged by hand."""
    stats = importlib.import_module("scipy.stats")
    if not grouped:
        norms = [stats.norm()] * len(china.columns)
        found = clock("all", lambda: stats.sobol_indices(func=china, n=n, dists=norms, rng=1))
        return found.first_order.T, found.total_order.T
    points = qmc.Sobol(2 * len(china.columns), rng=1).random(n)
    own, other = np.split(ndtri(points).T, 2)
    of = np.array([china.groups.index(name) for name in china.columns])
    moved = clock(
        "model",
        lambda: {
            "f_A": china(own),
            "f_B": china(other),
            "f_AB": np.stack(
                [
                    china(np.where((of == g)[:, np.newaxis], other, own))
                    for g in range(len(china.groups))
                ]
            ),
        },
    )
    found = clock("analysis", lambda: stats.sobol_indices(func=moved, n=n))
    return found.first_order.T, found.total_order.T


def openturns(china: China, n: int, grouped: bool, clock: Clock) -> Shares:
    """Let OpenTURNS make the design of every score alone; it has no groups."""
    ot = importlib.import_module("openturns")
    if grouped:
        raise SystemExit("OpenTURNS has no groups of inputs")
    whole = ot.JointDistribution([ot.Normal()] * len(china.columns))
    design = clock("design", lambda: ot.SobolIndicesExperiment(whole, n, False).generate())
    values = clock("model", lambda: china(np.asarray(design).T))
    values = ot.Sample(values[values.std(axis=1) > 0].T)  # it refuses what is constant
    found = clock("analysis", lambda: ot.SaltelliSensitivityAlgorithm(design, values, n))
    cells = range(values.getDimension())
    first = clock("first", lambda: [found.getFirstOrderIndices(cell) for cell in cells])
    total = clock("total", lambda: [found.getTotalOrderIndices(cell) for cell in cells])
    return np.array(first).T, np.array(total).T


PEERS = {"SALib": salib, "SciPy": scipy, "OpenTURNS": openturns}


def main() -> None:
    """Find the shares, and save them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("-n", type=int, default=1024)
    parser.add_argument("--alone", action="store_true", help="every score alone, not 60 groups")
    parser.add_argument("--cells", type=int, default=CELLS, help="only the first of them")
    parser.add_argument("--memory", type=float, default=8, help="GB a process may take")
    parser.add_argument("--out")
    options = parser.parse_args()
    limit = int(options.memory * 1e9)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    china = printed("start", lambda: China(options.cells))
    first, total = PEERS[options.peer](china, options.n, not options.alone, printed)
    if options.out:
        np.savez(options.out, first=first, total=total, groups=china.groups)


if __name__ == "__main__":
    main()
