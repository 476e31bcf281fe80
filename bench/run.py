"""Hold ndmc against what a user would otherwise write: check that both agree, then time them.

python bench/run.py               W1 to W8, about an hour
python bench/run.py W1 W3         some rows
python bench/run.py --all         W1 to W8, then the rows of single steps, about two hours
python bench/run.py --quick       small sizes: does everything run and agree?
python bench/run.py --markdown    the table as README.md holds it
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import cohort_model
import older
import random_inputs
from measure import Contest
from rich.console import Console
from rich.table import Table
from sizes import LONG, QUICK, Sizes
from workload import Workload

HEADER = (
    "", "ndmc", "rival", "its figure", "ratio", "lowest-highest", "target", "of the bound",
)  # fmt: skip
PACKAGES = ("ndmc", "numpy", "scipy", "numba", "zarr", "dask")
LOG = Console(stderr=True)


class Row(NamedTuple):
    """What has to agree, and what is then timed."""

    check: Callable[[Workload], None]
    contests: Callable[[Workload], Iterator[Contest]]


MAIN = {
    "W1": Row(cohort_model.check, cohort_model.contests),
    "W2": Row(random_inputs.check, random_inputs.contests),
}
