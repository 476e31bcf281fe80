"""How long a large scenario takes to be read and compiled, and whether that is linear in cells.

Regions x 50 products x 60 years: what is made from a table of all cells, a stock of every region
and product, shares, balances and sums; with --loop what is recovered is used in its year, with
--own every cell of the table has an error of its own. Prints seconds of the processor and the
largest memory; each size has a process.
Run: python bench/compile.py [--loop] [--own] [REGIONS ...]
"""

import json
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Iterable
from itertools import pairwise, product
from pathlib import Path
from typing import Any

YEARS = range(1991, 2051)
PRODUCTS = [f"product_{n}" for n in range(50)]
SIZES = (50, 100, 200, 500)
HEADER = ("regions", "cells", "rows", "load", "plan", "row code", "us a cell", "MB")


def scenario(regions: int, *, loop: bool, own: bool) -> dict[str, Any]:
    """Return a scenario of so many regions."""
    flow = {"dims": ["region", "product"]}
    drawn = {"distribution": "lognormal", "cv": 0.1}
    apart = {"region": "independent", "product": "independent"}
    by_year = {**apart, "year": "ar1(0.8)" if own else "shared"}
    share = {"distribution": "truncated_normal", "cv": 0.1, "low": 0, "high": 1, "errors": apart}
    people = {"dims": ["region", "year"], "distribution": "constant"}
    life = {"value": 12, "dims": ["product"], "errors": {"product": "independent"}}
    return {
        "format": 1,
        "name": "regions",
        "unit": "t",
        "years": f"{YEARS[0]}..{YEARS[-1]}",
        "dims": {"region": [f"region_{n}" for n in range(regions)], "product": PRODUCTS},
        "parameters": {
            "people": {"unit": "1", "table": "people.csv", **people},
            "made_each": {
                "unit": "t/yr",
                "table": "made_each.csv",
                **drawn,
                "dims": ["region", "product", "year"],
                "errors": by_year,
            },
            "recovery": {"unit": "1", "table": "recovery.csv", **flow, **share},
            "life": {"unit": "yr", **drawn, **life},
        },
        "processes": ["making", "use", "collecting"],
        "flows": {
            "raw": {"from": "mine", "to": "making", "value": "made_each * people", **flow},
            "sold": {"from": "making", "to": "use", **flow},
            "scrap": {"from": "use", "to": "collecting", **flow},
            "recovered": {
                "from": "collecting",
                "to": "making" if loop else "market",
                "share": "recovery",
                **flow,
            },
            "lost": {"from": "collecting", "to": "dump", **flow},
        },
        "stocks": {"in_use": {"process": "use", "lifetime": "weibull(life, 2)", **flow}},
        "indicators": {
            "held": {"value": "sum(in_use, over=product)"},
            "recovery_rate": {"value": "sum(recovered, over=region) / sum(scrap, over=region)"},
        },
    }


def write(folder: Path, regions: int, *, loop: bool = False, own: bool = False) -> None:
    """Write a scenario with its tables."""
    data = scenario(regions, loop=loop, own=own)
    (folder / "scenario.yaml").write_text(json.dumps(data, indent=1), encoding="utf-8")
    names = data["dims"]["region"]
    _table(folder / "people.csv", ("region", "year"), names, YEARS)
    _table(folder / "recovery.csv", ("region", "product"), names, PRODUCTS)
    _table(folder / "made_each.csv", ("region", "product", "year"), names, PRODUCTS, YEARS)


def _table(path: Path, dims: tuple[str, ...], *labels: Iterable[object]) -> None:
    """Write a table of numbers from 0.1 to 0.9."""
    with path.open("w", encoding="utf-8") as file:
        file.write(f"{','.join(dims)},value\n")
        for n, cell in enumerate(product(*labels)):
            file.write(f"{','.join(map(str, cell))},{0.1 + n % 8000 / 10000:.4f}\n")


def measured(regions: int, options: dict[str, bool]) -> tuple[str, ...]:
    """Return the row of a size."""
    from ndmc.engine.evaluation import code_of
    from ndmc.model import compile_plan
    from ndmc.scenario.load import load

    with tempfile.TemporaryDirectory() as name:
        write(Path(name), regions, **options)
        clock = [time.process_time()]
        loaded = load(name)
        clock.append(time.process_time())
    plan = compile_plan(loaded)
    clock.append(time.process_time())
    code = code_of(plan)
    clock.append(time.process_time())
    steps = [after - before for before, after in pairwise(clock)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    counts = (f"{regions:,}", f"{plan.cells:,}", f"{code.rows:,}")
    pace = f"{1e6 * sum(steps) / plan.cells:.2f}"
    return (*counts, *(f"{step:.2f} s" for step in steps), pace, f"{peak:,.0f}")


def main() -> None:
    """Print a row for each size."""
    options = {name: f"--{name}" in sys.argv for name in ("loop", "own")}
    sizes = [int(text) for text in sys.argv[1:] if text.isdigit()] or SIZES
    print(f"| {' | '.join(HEADER)} |", f"|{' --- |' * len(HEADER)}", sep="\n")
    fresh = multiprocessing.get_context("spawn")
    for regions in sizes:
        with fresh.Pool(1) as pool:
            row = pool.apply(measured, (regions, options))
            print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
