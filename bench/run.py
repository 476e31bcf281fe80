"""Hold ndmc against what a user would otherwise write: check that both agree, then time them.

python bench/run.py               all rows, about half an hour
python bench/run.py --quick       small sizes: does everything run and agree?
python bench/run.py --markdown    the table as README.md holds it
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from checks import check
from contests import FLODYM, Sizes, contests
from measure import Contest
from rich.console import Console
from rich.progress import track
from rich.table import Table
from workload import Workload

HEADER = ("", "ndmc", "rival", "its figure", "ratio", "min-max", "target")
PACKAGES = ("ndmc", "numpy", "scipy", "numba", "zarr", "dask")
QUICK = Sizes(draws=2048, study=4000, short=2000, loop=5, large=64, long=3_000, repeat=1)
LOG = Console(stderr=True)


def main() -> None:
    """Check, time and print."""
    options = arguments()
    sizes = QUICK if options.quick else Sizes(repeat=options.repeat)
    with tempfile.TemporaryDirectory() as folder:
        work = Workload(Path(folder))
        check(work, sizes)
        LOG.print("all contestants agree")
        rows = list(track(contests(work, sizes), "timing", total=15 + FLODYM, console=LOG))
    show(rows, options.markdown)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--repeat", type=int, default=15, help="pairs a row; a fifth of the study")
    parser.add_argument("--markdown", action="store_true", help="print the table for README.md")
    return parser.parse_args()


def show(rows: Sequence[Contest], markdown: bool) -> None:
    """Print the machine and the table."""
    if markdown:
        lines = [HEADER, ("---",) * len(HEADER), *(row.cells for row in rows)]
        print(machine(), "", *(f"| {' | '.join(line)} |" for line in lines), sep="\n")
        return
    table = Table(*HEADER, caption=machine())
    for row in rows:
        table.add_row(*row.cells)
    Console().print(table)


def machine() -> str:
    """Say what this ran on."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.split(": ")[1] for line in lines if line.startswith("model name")]
    cores = len(os.sched_getaffinity(0))
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    model = next(iter(models), platform.processor())
    return f"{cores} vCPU, {model}; Python {platform.python_version()}, {packages}"


if __name__ == "__main__":
    main()
