"""What labels that belong to others save: strategic_metals, and with every use of every metal.

The padded scenario is made of the bundled one: where a metal has no such use its share is 0 and it
lives a year. Both runs are processes of their own, in turn; cells that exist have the same draws.
Run: python bench/padding.py [DRAWS]
"""

import csv
import shutil
import sys
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

from measure import process
from ruamel.yaml import YAML
from sizes import Sizes
from workload import NDMC, Workload

import ndmc_scenarios

NAME, ROUNDS, DRAWS = "strategic_metals", 3, 20_000
ABSENT = {"life_mean": "1", "life_cv": "0.5"}


def padded(folder: Path) -> Path:
    """Write the scenario in which every metal has every use; return its folder."""
    own = Path(ndmc_scenarios.__file__).parent / NAME
    shutil.copytree(own, folder)
    reader = YAML()
    data = reader.load(own / "scenario.yaml")
    behind = data["dims"]["use"]["labels"]
    data["dims"]["use"] = list(dict.fromkeys(use for uses in behind.values() for use in uses))
    for kind in ("parameters", "flows", "stocks"):
        for entry in data[kind].values():
            if "use" in entry.get("dims", ()):
                entry["dims"] = ["metal", *entry["dims"]]
    reader.dump(data, folder / "scenario.yaml")
    for name in ("uses.csv", "use_shares.csv"):
        fill(folder / name, list(behind), data["dims"]["use"])
    return folder


def fill(path: Path, metals: list[str], uses: list[str]) -> None:
    """Write a row for each use that a metal has not."""
    with path.open(newline="", encoding="utf-8") as file:
        rows: list[dict[str, Any]] = list(csv.DictReader(file))
    known = {(row["metal"], row["use"]) for row in rows}
    for metal, use in product(metals, uses):
        if (metal, use) not in known:
            absent = {column: ABSENT.get(column, "0") for column in rows[0]}
            rows.append({**absent, "metal": metal, "use": use})
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def main(draws: str = str(DRAWS)) -> None:
    """Print seconds and memory of both, in turn."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        work = Workload(folder, Sizes())
        scenarios = {"its own uses": NAME, "every use": str(padded(folder / "padded"))}
        print("| a metal has | seconds | of processors | MiB |\n| --- | --- | --- | --- |")
        for turn in range(ROUNDS + 1):
            for words, scenario in scenarios.items():
                out = folder / "run.zarr"
                command = [NDMC[0], "run", scenario, "-n", draws, "--out", str(out)]
                run = process(command, work.cores, {"NUMBA_CACHE_DIR": str(work.kernels)})
                shutil.rmtree(out)
                if turn:  # kernels are compiled before
                    cells = (
                        f"{run.seconds:.1f} | {run.processor:.1f} | {(run.peak or 0) / 2**20:.0f}"
                    )
                    print(f"| {words} | {cells} |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
