"""The command line: what people type, what they read, and how it ends."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time

import jsonschema
import numpy as np
import pytest
from command import here
from numpy.testing import assert_array_equal
from strategies import python

import ndmc
from ndmc.cli.app import stopped
from ndmc.scenario.document import read_document
from ndmc.scenario.places import find
from ndmc.store.opening import open_store

COMMANDS = ["scenarios", "show", "check", "run", "info", "percentiles", "validate", "new", "schema"]
HEAVY = ["numba", "dask", "pandas", "xarray", "zarr", "scipy", "pydantic", "numpy"]


@pytest.fixture
def stored(scenario):
    """Return the path of a small store."""
    folder = scenario()
    ndmc.run(folder, 50, seed=1, out=folder / "run.zarr")
    return folder / "run.zarr"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command_shows_an_example(cli, command):
    """A person who asks for help gets a line to copy."""
    done = cli(command, "--help")
    assert (done.code, done.err) == (0, "")
    assert f"Example: ndmc {command}" in done.out


def test_a_message_is_no_longer_than_a_page(cli):
    """Of what is given only so much is said again that what to do is seen beside it."""
    for words, end in (
        (["run", "starter", "-n", "7" * 9999 + "x"], "write it like 100000 or 1e5\n"),
        (["run", "starter", "--" + "x" * 9999], "see ndmc run --help\n"),
    ):
        done = cli(*words)
        assert done.code == 2
        assert len(done.err) < 3000
        assert done.err.endswith(end)


def test_a_command_without_stdout_does_its_work(process, scenario, tmp_path):
    """Where a stream was closed before it began, a command runs and says nothing there."""
    closed = ["sh", "-c", '"$@" >&- <&-', "sh"]
    done = process("check", scenario(), "--graph", "system.svg", before=closed)
    assert (done.code, done.err) == (0, "")
    assert (tmp_path / "system.svg").stat().st_size > 1000


def test_help_lists_every_command(process):
    """The first help is the table of contents."""
    done = process("--help")
    assert (done.code, done.err) == (0, "")
    for command in COMMANDS:
        assert re.search(rf"^ +{command} +\w", done.out, re.M), done.out


def test_help_imports_nothing_heavy():
    """Help comes at once: no compiler, no arrays, no units are loaded for it."""
    code = (
        "import sys, ndmc.cli\nsys.argv = ['ndmc', '--help']\n"
        "try:\n    ndmc.cli.main()\nexcept SystemExit:\n"
        f"    print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr.strip() == "[]"


def test_unknown_option_and_command_exit_2(cli, process):
    """What the command line does not know is wrong input."""
    assert process("rnu").code == 2
    assert cli("run", "starter", "--sed", "1").code == 2


@pytest.mark.parametrize(
    "asked", [["check", "starter"], ["check", "nowhere"], ["run", "starter", "-n", "none"]]
)
def test_tests_run_the_command_here_as_it_runs_in_a_process(cli, process, asked):
    """Words and exit code are the same, and this process handles signals as before."""
    before = [signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), sys.argv]
    assert cli(*asked) == process(*asked)
    assert [signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), sys.argv] == before


def test_scenarios_lists_the_bundled_ones(cli):
    """Every bundled scenario stands in the list with its title."""
    done = cli("scenarios")
    assert (done.code, done.err) == (0, "")
    for name in ndmc.bundled():
        assert name in done.out
    assert "Neodymium in mainland China, 2001-2021" in done.out


@pytest.mark.parametrize("name", ndmc.bundled())
def test_check_says_how_each_quantity_is_determined(cli, name):
    """Flows, stocks and indicators of a bundled scenario are all explained."""
    done = cli("check", name)
    assert (done.code, [one for one in done.err.splitlines() if "warning: " not in one]) == (0, [])
    assert "it can be run" in done.out
    for quantity in ndmc.load(name).file.flows:
        assert quantity in done.out


def test_new_scenario_goes_all_the_way(process):
    """What `new` writes can be checked, run and validated at once."""
    for command in (["new", "x"], ["check", "x"], ["run", "x", "-n", "200"]):
        done = process(*command)
        assert (done.code, done.err) == (0, ""), done
    done = process("validate", "x")
    assert (done.code, done.err) == (0, "")
    assert "met" in done.out
    assert process("info", "x.zarr").code == 0
    assert process("new", "x").err == "error: 'x' exists already; choose another folder\n"


def test_new_refuses_a_name_no_scenario_can_have(cli, tmp_path):
    """The folder's name becomes the scenario's, so it must be a name."""
    done = cli("new", "1-x")
    assert done.code == 2
    assert done.err == "error: '1-x' cannot name a scenario; use letters, digits and _\n"
    assert not list(tmp_path.iterdir())


def test_run_says_what_it_did_and_what_comes_next(cli, scenario, tmp_path):
    """The closing table holds the headline, the draws, the store and the next command."""
    done = cli("run", scenario(), "-n", "1e2", "--seed", "7")
    assert (done.code, done.err) == (0, "")
    assert "A tiny cycle: 2004" in done.out
    assert "in use, t" in done.out
    for word in ("phone", "car", "total", "100 draws, seed 7, in tiny.zarr"):
        assert word in done.out
    assert done.out.rstrip().endswith("next: ndmc percentiles tiny.zarr -v in_use")
    assert sorted(ndmc.open(tmp_path / "tiny.zarr").data_vars)[:2] == ["bought", "in_use"]


def test_same_run_twice_is_the_same(cli, scenario, tmp_path):
    """The second time nothing is computed or written, and the same is said."""
    folder = scenario()
    first = cli("run", folder, "-n", 100)
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "tiny.zarr").rglob("*")}
    second = cli("run", folder, "-n", 100)
    assert second == first
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "tiny.zarr").rglob("*")} == before


def test_options_of_run_reach_the_store(cli, scenario, tmp_path):
    """Each option does what the keyword of the same name does."""
    folder = scenario()
    options = ["--keep", "in_use, total", "--set", "collection=50", "--variant", "long_lives"]
    sizes = ["--workers", 1, "--block", 40, "--dtype", "float64", "--out", "a/b.zarr"]
    done = cli("run", folder, "-n", 100, "--seed", 3, *options, *sizes)
    assert (done.code, done.err) == (0, "")
    got = ndmc.open(tmp_path / "a" / "b.zarr")
    expected = ndmc.run(
        folder,
        100,
        seed=3,
        out=tmp_path / "api.zarr",
        keep=["in_use", "total"],
        changes={"collection": "50"},
        variant="long_lives",
        dtype="float64",
    )
    assert set(got.data_vars) == {"in_use", "total"}
    assert got.attrs["block"] == 256  # the next power of two that is whole tiles
    assert got.in_use.dtype == np.float64
    for name in got.data_vars:
        assert_array_equal(got[name], expected[name])


def test_info_says_what_a_store_is(cli, stored):
    """Scenario, draws, seed, state and outputs are shown."""
    done = cli("info", stored)
    assert (done.code, done.err) == (0, "")
    for text in (
        "tiny: A tiny cycle",
        "50 in 1 block",
        "complete",
        "in_use",
        "draw, year, product",
    ):
        assert text in done.out


def test_info_shows_how_complete_a_store_is(cli, stored):
    """A store that lacks a block says so."""
    next(stored.glob("ledger/block-*")).unlink()
    open_store(stored).write_attributes(complete=False)
    done = cli("info", stored)
    assert (done.code, done.err) == (0, "")
    assert "not complete: 0 of 1 blocks" in done.out


def test_percentiles_are_those_of_the_api(cli, stored, tmp_path):
    """The table on disk holds the very numbers that Python gives."""
    options = ["-v", "in_use", "-q", "5,50", "--sel", "year=2003,2004", "--over", "product"]
    done = cli("percentiles", stored, *options, "--csv", "table.csv")
    assert (done.code, done.out, done.err) == (0, "", "")
    with open(tmp_path / "table.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    expected = ndmc.percentiles(
        stored, "in_use", quantiles=[0.05, 0.5], sel={"year": [2003, 2004]}, over="product"
    )
    assert [row["year"] for row in rows] == ["2003", "2004"]
    assert {row["unit"] for row in rows} == {"t"}
    columns = {"p5": expected.in_use[0], "p50": expected.in_use[1], "mean": expected.in_use_mean}
    columns |= {"p5_low": expected.in_use_low[0], "p50_high": expected.in_use_high[1]}
    for name, values in columns.items():
        assert_array_equal([float(row[name]) for row in rows], values, err_msg=name)


def test_percentiles_are_printed(cli, stored):
    """Without --csv the table is printed, the headline if nothing is asked for."""
    done = cli("percentiles", stored, "--by-group", "product")
    assert (done.code, done.err) == (0, "")
    assert "in use, t" in done.out
    assert "97.5 %" in done.out
    assert "small" in done.out


def test_validate_exits_1_when_a_target_is_missed(cli, scenario, tmp_path):
    """A miss is shown in the table and by the exit code, and written to the file asked for."""
    missed = scenario("tiny", {"value: 18 kt, status: soft": "value: 99 kt, status: target"})
    done = cli("validate", missed, "-n", 100, "--csv", "figures.csv")
    assert done.code == 1
    assert done.err == "error: 1 of 1 targets missed\n"
    assert "missed" in done.out
    with open(tmp_path / "figures.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["published"], row["verdict"]) == ("99.0", "missed")


def test_validate_reads_a_store(cli, stored):
    """A store is judged by the draws it holds."""
    done = cli("validate", stored)
    assert (done.code, done.err) == (0, "")
    assert "met" in done.out


@pytest.fixture(scope="module")
def schema():
    """Return the published JSON Schema."""
    done = here("schema")
    assert (done.code, done.err) == (0, "")
    return json.loads(done.out)


@pytest.mark.parametrize("name", ndmc.bundled())
def test_schema_accepts_the_bundled_scenarios(schema, name):
    """An editor that follows the schema finds no fault in a scenario that runs."""
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(read_document(find(name)).data, schema)


@pytest.mark.parametrize(
    "changes",
    [
        {"unit: t\n": "unit: t\nunits: t\n"},
        {"grade: survey": "grad: survey"},
        {"inflow_at: middle": "inflow_at: mid"},
        {"name: tiny\n": ""},
        {"format: 1": "format: 2"},
    ],
)
def test_schema_refuses_what_the_reader_refuses(schema, scenario, changes):
    """Unknown and missing keys and words are marked in the editor already."""
    plain = read_document(scenario("tiny", changes) / "scenario.yaml").data
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(plain, schema)


def test_schema_accepts_short_forms(schema, scenario):
    """A dim as a list, an indicator as a text and amounts with units are part of the format."""
    jsonschema.validate(read_document(scenario() / "scenario.yaml").data, schema)


def test_progress_is_shown_on_a_terminal(scenario, tmp_path):
    """A person sees a bar; a file or a pipe does not (see the empty error streams above)."""
    pty = pytest.importorskip("pty")
    leader, follower = pty.openpty()
    asked = ["run", str(scenario()), "-n", "60000", "--block", "2048", "--workers", "1"]
    with subprocess.Popen(
        [sys.executable, "-m", "ndmc", *asked],
        cwd=tmp_path,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
        stdout=subprocess.DEVNULL,
        stderr=follower,
    ) as running:
        os.close(follower)
        shown = b""
        while True:
            try:
                piece = os.read(leader, 4096)
            except OSError:  # the other side is closed
                break
            if not piece:
                break
            shown += piece
    os.close(leader)
    assert running.returncode == 0
    assert b"tiny" in shown
    assert b"60000" in shown
    assert b"draws/s" in shown


def test_interrupted_run_says_how_to_go_on(scenario, cli, tmp_path):
    """Ctrl-C ends a run with one line, and the same command completes it."""
    asked = ["run", str(scenario()), "-n", "150000", "--block", "2048"]
    with subprocess.Popen(
        [sys.executable, "-m", "ndmc", *asked],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("tiny.zarr/ledger/block-*")):
            assert running.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
    assert running.returncode == 1
    assert err == "error: stopped; a run goes on where it stopped by the same command\n"
    assert out == ""
    assert cli(*asked).code == 0


def test_a_second_signal_while_a_stopped_command_ends_changes_nothing():
    """Two at once, as batch systems send them, leave the one line of the first."""
    code = """
import os, signal
from ndmc.cli import app
ignore = app.ignore_signals
def again():
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGINT)
    ignore()
def stop():
    signal.raise_signal(signal.SIGINT)
app._check_folder, app.ignore_signals = stop, again
app.main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "error: stopped\n")


def test_a_signal_within_what_others_call_back_stops_the_command():
    """They have errors of their own for what is raised there."""
    code = """
import signal
from ndmc.cli import app
def stop():
    try:
        signal.raise_signal(signal.SIGTERM)
    except BaseException as interrupted:
        raise ValueError(str(interrupted)) from None
app._check_folder = stop
app.main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "error: stopped\n")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("run", "stopped; a run goes on where it stopped by the same command"),
        ("finish", "stopped; a run goes on where it stopped by the same command"),
        *((word, "stopped") for word in ("check", "validate", "percentiles", "reconcile")),
    ],
)
def test_only_what_goes_on_says_so_when_it_is_stopped(monkeypatch, command, said):
    """The others have nothing to go on with."""
    monkeypatch.setattr(sys, "argv", ["ndmc", command, "x"])
    assert stopped() == said


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no full device")
@pytest.mark.parametrize(
    ("target", "said"),
    [("| true", ""), ("> /dev/full", "error: No space left on device\n")],
)
def test_output_that_nobody_takes_ends_the_command_once(target, said):
    """What is cut off by `head` says nothing, a full disk is one message, and both exit 1."""
    code = f'{sys.executable} -m ndmc schema {target}; exit "${{PIPESTATUS[0]}}"'
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, said)


def test_commands_run_where_there_is_no_timer():
    """Windows has no SIGALRM: commands start and end there, and a lost Ctrl-C raises nothing."""
    code = """
import signal, sys, types
del signal.SIGALRM, signal.setitimer
from ndmc import cli
from ndmc.cli import signals
lost = types.SimpleNamespace(exc_value=signals._Interrupted())
signals._interrupt_again(lost)
sys.argv = ["ndmc", "scenarios"]
try:
    cli.main()
except SystemExit as ended:
    print("ended with", ended.code)
"""
    assert python(code).splitlines()[-1] in ("ended with None", "ended with 0")


def test_without_compiled_kernels_nothing_is_run(cli):
    """Numba's switch for debugging is named, as no kernel of lanes has a body for Python."""
    done = cli("run", "starter", NUMBA_DISABLE_JIT="1")
    assert (done.code, done.err) == (
        2,
        "error: NUMBA_DISABLE_JIT: it is set, but ndmc runs compiled only; unset it\n",
    )
