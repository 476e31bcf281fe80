"""Where the time of a run went: stages, their seconds, and what they cannot do without."""

import threading
import time

import pytest
from strategies import bundled
from typer.testing import CliRunner

from ndmc.cli.app import app
from ndmc.engine.bounds import Need, needs, shares_of_bound
from ndmc.engine.row_code import compile_rows
from ndmc.engine.stopwatch import SILENT, Stopwatch
from ndmc.model import compile_plan
from ndmc_kernels import peaks

PEAKS = peaks.Peaks(bandwidth=8e9, multiply_adds=4e9, exponentials=1e9)


def test_laps_of_all_threads_add_up():
    """Each thread has laps of its own, which go to one sum."""
    watch = Stopwatch()

    def work():
        watch.start()
        time.sleep(0.05)
        watch.lap("wait")

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0.15 <= watch.seconds["wait"] < 3


def test_a_silent_watch_remembers_nothing():
    """Runs that nobody times pay for no clock."""
    SILENT.start()
    SILENT.lap("sample")
    assert not SILENT.seconds


def test_needs_of_the_stock_are_those_of_its_equations():
    """Two exponentials for each age of each product, a multiply-add for each cohort and year."""
    plan = compile_plan(bundled("china_nd"), ["in_use"])
    alone = needs(compile_rows(plan), 357, 4)["stocks"]
    assert (alone.exponentials, alone.multiply_adds) == (2 * 17 * 21, 17 * 21 * 22 / 2)
    both = compile_plan(bundled("china_nd"), ["in_use", "end_of_life"])
    released = needs(compile_rows(both), 714, 4)["stocks"]
    assert released.multiply_adds == 2 * alone.multiply_adds
    assert released.size == alone.size + 8 * 357


def test_the_bound_is_what_takes_longest():
    """Bytes, multiply-adds and exponentials go on beside each other."""
    found = {"a": Need(8e3, 1e3, 1e3), "b": Need(1e3, 8e3, 0.0), "c": Need(0.0, 0.0, 5e3)}
    seconds = {"a": 1.0, "b": 2.0, "c": 10.0, "unknown": 1.0}
    shares = shares_of_bound(seconds, 1000, found, PEAKS)
    assert shares == pytest.approx({"a": 1e-3, "b": 1e-3, "c": 5e-4})


def test_peaks_are_measured():
    """They are what some machine could do."""
    found = peaks.measure(2**18)
    assert 1e8 < found.bandwidth < 1e13
    assert 1e7 < found.exponentials < found.multiply_adds < 1e13


def test_run_prints_where_the_time_went(tmp_path):
    """A table of every stage after the closing lines, whose shares add up."""
    command = ["run", "starter", "-n", "600", "--out", str(tmp_path / "run.zarr"), "--profile"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    table = done.output[done.output.index("where the time went") :]
    for stage in ("sample", "flows and indicators", "balances", "percentiles", "write", "merge"):
        assert stage in table
    shares = [
        int(word[:-1])
        for line in table.splitlines()
        for word in line.split()[-3:-1][:1]
        if word.endswith("%")
    ]
    assert 90 <= sum(shares) <= 110


def test_a_whole_run_has_nothing_to_time(tmp_path):
    """The same command on a complete store says that it computed nothing."""
    command = ["run", "starter", "-n", "300", "--out", str(tmp_path / "run.zarr")]
    assert CliRunner().invoke(app, command).exit_code == 0
    done = CliRunner().invoke(app, [*command, "--profile"])
    assert "no draws were computed" in done.output


def test_a_cluster_cannot_be_timed(tmp_path):
    """Its threads are elsewhere."""
    command = ["run", "starter", "--out", str(tmp_path / "run.zarr"), "--profile", "--processes"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code != 0
    assert "leave out --scheduler and --processes" in str(done.exception)
