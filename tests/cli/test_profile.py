"""Where the time of a run went: stages and their seconds."""

import threading
import time

from typer.testing import CliRunner

from ndmc.cli.app import app
from ndmc.engine.stopwatch import Stopwatch


def test_laps_of_all_threads_add_up():
    """Each thread has laps of its own, which go to one sum."""
    stopwatch = Stopwatch()

    def work():
        stopwatch.start()
        time.sleep(0.05)
        stopwatch.lap("wait")

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0.15 <= stopwatch.seconds["wait"] < 3


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
        for word in line.split()[-2:-1]
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
