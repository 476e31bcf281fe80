"""A table as large as studies of many countries have: it is read in memory that a laptop has."""

import os
import subprocess

import pytest
from command import command
from strategies import one_parameter, write

pytest.importorskip("resource", reason="only POSIX systems say how much memory a process took")

pytestmark = pytest.mark.torture

LABELS = {
    "region": [f"Region number {n:03d} of the world" for n in range(200)],
    "product": [f"Product group {n:02d}" for n in range(30)],
}
YEARS = range(1901, 2051)
KEYS = {
    "dims": ["region", "product", "year"],
    "table": "x.csv",
    "distribution": "lognormal",
    "errors": {"region": "independent", "product": "independent", "year": "mixed(0.5)"},
}


def test_900_000_rows_take_less_than_a_gigabyte(tmp_path):
    """A study of 900,000 cells, each with a cv of its own, is checked; it took 1.9 GB without."""
    folder = write(one_parameter("1901..2050", LABELS, **KEYS), tmp_path / "large")
    with (folder / "x.csv").open("w", encoding="utf-8") as file:
        file.write("region,product,year,value,cv\n")
        for region in LABELS["region"]:
            for product in LABELS["product"]:
                file.writelines(f"{region},{product},{y},{y / 7},{y % 9} %\n" for y in YEARS)
    child = subprocess.Popen(command("check", folder), stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0
    assert used.ru_maxrss * 1024 < 10**9
