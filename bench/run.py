"""Hold ndmc against what a user would otherwise write: check that both agree, then time them.

python bench/run.py               W1 to W11, about an hour
python bench/run.py W1 W3         some rows
python bench/run.py --all         W1 to W11, then the rows of single steps, about two hours
python bench/run.py --quick       small sizes: does everything run and agree?
python bench/run.py --markdown    the table as README.md holds it
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import checks
import cohort_model
import ensembles
import large_loop
import older
import projection
import random_inputs
import scaling
import shares
import stored_percentiles
import whole_runs
from measure import Contest, held_to
from rich.console import Console
from rich.table import Table
from sizes import LONG, QUICK, Sizes
from workload import Workload

HEADER = (
    "", "ndmc", "rival", "its figure", "ratio", "lowest-highest", "target", "of the bound",
)  # fmt: skip
PACKAGES = ("ndmc", "numpy", "scipy", "numba", "zarr", "dask")
WIDTH = 180  # where the table is not printed to a terminal


class Row(NamedTuple):
    """What has to agree, and what is then timed; one core for all contestants if ``alone``."""

    check: Callable[[Workload], None]
    contests: Callable[[Workload], Iterator[Contest]]
    alone: bool = False


def no_check(_: Workload) -> None:
    """Check nothing: ndmc races itself, or an import."""


MAIN = {
    "W1": Row(cohort_model.check, cohort_model.contests, alone=True),
    "W2": Row(random_inputs.check, random_inputs.contests, alone=True),
    "W3": Row(whole_runs.check_whole, whole_runs.whole),
    "W4": Row(whole_runs.check_stored, whole_runs.stored),
    "W5": Row(stored_percentiles.check, stored_percentiles.contests),
    "W6": Row(large_loop.check, large_loop.contests, alone=True),
    "W7": Row(no_check, scaling.contests),
    "W8": Row(no_check, whole_runs.starts),
    "W9": Row(projection.check, projection.contests, alone=True),
    "W10": Row(shares.check, shares.contests),
    "W11": Row(ensembles.check, ensembles.contests),
}
ROWS = {**MAIN, **{name: Row(checks.check, partial(older.contests, name)) for name in older.ROWS}}


def main() -> None:
    """Check, time and print."""
    options = arguments()
    names = options.rows or (ROWS if options.all else MAIN)
    with tempfile.TemporaryDirectory() as folder:
        work = Workload(Path(folder), sizes(options))
        chosen = [ROWS[name] for name in names]
        for check, alone in dict.fromkeys((row.check, row.alone) for row in chosen):
            with held_to(work.cores[:1] if alone else work.cores):
                check(work)
        print("all contestants agree", file=sys.stderr, flush=True)
        rows = [contest for row in chosen for contest in held(row, work)]
    show(rows, options.markdown)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", nargs="*", metavar="ROW", choices=[*ROWS, []], help=", ".join(ROWS))
    parser.add_argument("--all", action="store_true", help="rows of single steps too")
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--long", action="store_true", help="W7 up to 1e8 draws, a day of work")
    parser.add_argument("--repeat", type=int, help="pairs a row (15); a fifth of long rows")
    parser.add_argument(
        "--size", action="append", default=[], metavar="NAME=N", type=size,
        help="another number of draws: whole, plain (W3), stored (W4), sorted (W5), ...",
    )  # fmt: skip
    parser.add_argument("--markdown", action="store_true", help="print the table for README.md")
    return parser.parse_args()


def size(text: str) -> tuple[str, int]:
    """Read whole=1e6."""
    name, _, number = text.partition("=")
    if name not in {field.name for field in fields(Sizes)} - {"scaling"}:
        raise argparse.ArgumentTypeError(f"{name!r} is no size of sizes.py")
    return name, int(float(number))


def sizes(options: argparse.Namespace) -> Sizes:
    """Return how much is measured."""
    chosen = QUICK if options.quick else Sizes()
    chosen = replace(chosen, scaling=LONG) if options.long else chosen
    chosen = replace(chosen, repeat=options.repeat) if options.repeat else chosen
    return replace(chosen, **dict(options.size))


def held(row: Row, work: Workload) -> list[Contest]:
    """Hold the contests of a row, and say how each ended as soon as it has."""
    found = []
    with held_to(work.cores[:1] if row.alone else work.cores):
        for contest in row.contests(work):
            print(*contest.cells, sep=" | ", file=sys.stderr, flush=True)
            found.append(contest)
    return found


def show(rows: Sequence[Contest], markdown: bool) -> None:
    """Print the table, the machine, and what there is to say of single rows."""
    notes = [machine(), *(row.note for row in rows if row.note)]
    if markdown:
        lines = [HEADER, ("---",) * len(HEADER), *(row.cells for row in rows)]
        print(*notes, "", *(f"| {' | '.join(line)} |" for line in lines), sep="\n")
        return
    table = Table(*HEADER)
    for row in rows:
        table.add_row(*row.cells)
    console = Console()
    console = console if console.is_terminal else Console(width=WIDTH)
    console.print(table, *notes, sep="\n", highlight=False)


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
