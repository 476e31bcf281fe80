"""W11: `ndmc ensemble strategic_metals` from the shell, held against one run, and EMA Workbench."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec

import ema_metals
import numpy as np
from measure import Contest, Run, interleaved, process
from workload import NDMC, SEED, Workload

import ndmc
from ndmc.scenario.places import find

NAMES = ("net_demand", "secondary_exceeds", "reserve_gone")
OUTPUTS = ",".join(NAMES)
POLICIES = "base,nothing_recovered,niobium_90,recovery_60,recovery_90,all_recovered"
#: Memory is what a block takes, from so many draws on.
LEAST = 20_000
FOLDER = find("strategic_metals").parent


def check(work: Workload) -> None:
    """Hold the model in NumPy to what ndmc has, from the same inputs."""
    scenario, some = ndmc.load("strategic_metals"), range(5)
    shares = [name for name in ema_metals.SIZES if scenario.parameters[name].unit == "%"]
    plan = ndmc.compile_plan(scenario, [*NAMES, *ema_metals.SIZES])
    found, metals = ndmc.evaluate(plan, SEED, some), ema_metals.Metals(FOLDER)
    known = int(np.flatnonzero((metals.history > 0).all(axis=0))[0])
    found["history"] = found["history"][:, known] / metals.history[:, known, None]
    for draw in some:
        x = {name: found[name][..., draw] for name in ema_metals.SIZES}
        x |= {name: x[name] / 100 for name in shares}
        for name, values in metals(**x).items():
            np.testing.assert_allclose(values, found[name][..., draw], rtol=1e-9, err_msg=name)


def contests(work: Workload) -> Iterator[Contest]:
    """Measure ensembles and runs in turn, then memory, then the rival."""
    draws, few = work.sizes.compared, work.sizes.few
    shell(work, 300, "reference")  # kernels are compiled
    one_run(work, 300)
    titles = {"reference": "6 policies", "reference,fast": "6 policies x 2 futures"}
    for futures, title in titles.items():
        target = "<= 3" if "," not in futures else "<= 5"
        pairs = interleaved(
            lambda futures=futures: shell(work, draws, futures), lambda: one_run(work, draws), few
        )
        rival = "ndmc run of as many draws"
        yield Contest(f"W11 {title}, {draws:,} draws", rival, pairs, target, cost=True)
    less = pairs[-1][0]
    if draws > LEAST:
        more = shell(work, 4 * draws, "reference,fast")
        title = f"W11 memory of 6 x 2 and {4 * draws:,} draws"
        yield Contest(title, f"of {draws:,}", [(more, less)], "1", cost=True, of="peak")
    if find_spec("ema_workbench"):
        yield beside_ema(work, Run(less.seconds, 12 * draws))


def beside_ema(work: Workload, ours: Run) -> Contest:
    """Return what a draw of a policy takes, with differences."""
    script = [sys.executable, "-W", "ignore", ema_metals.__file__, str(FOLDER)]
    done = subprocess.run(
        [*script, "-n", str(work.sizes.compared_peer)], capture_output=True, text=True, check=True
    )
    said = json.loads(done.stdout.splitlines()[-1])
    theirs = Run(said["seconds"], said["experiments"])
    title = "W11 6 policies x 2 futures, a draw of each"
    return Contest(title, "EMA Workbench, NumPy", [(ours, theirs)])


def shell(work: Workload, draws: int, futures: str) -> Run:
    """Run an ensemble from the start of its process to its closing tables."""
    out = work.folder / "ensemble.zarr"
    words = ["--policies", POLICIES, "--futures", futures, "--out", str(out)]
    return measured(work, ["ensemble", "strategic_metals", *words], draws, out)


def one_run(work: Workload, draws: int) -> Run:
    """Run the scenario as it is, with the same outputs."""
    out = work.folder / "one.zarr"
    words = ["--keep", "none", "--percentiles", OUTPUTS, "--out", str(out)]
    return measured(work, ["run", "strategic_metals", *words], draws, out)


def measured(work: Workload, words: list[str], draws: int, out: object) -> Run:
    """Run a command, and remove what it has written."""
    command = [NDMC[0], *words, "-n", str(draws), "--seed", str(SEED)]
    found = process(command, work.cores, {"NUMBA_CACHE_DIR": str(work.kernels)})
    shutil.rmtree(str(out))
    return found
