"""Other users, closed streams, narrow terminals, secrets in the environment, clocks that jump."""

import os
import pty
import re
import select
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from command import PATIENCE, Finished, altered, command, ndmc
from disturbed import assert_identical, contents, finishes, unwarned
from test_cloud import Server
from test_disk import assert_one_message, nobody

pytestmark = pytest.mark.torture

RUN = ["run", "starter", "-n", 9000, "--seed", 4, "--keep", "in_use", "--block", 1024]
SMALL = ["run", "starter", "-n", 300, "--seed", 4, "--keep", "none"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return a store of an undisturbed run."""
    out = tmp_path_factory.mktemp("whole") / "run.zarr"
    finishes(*RUN, "--out", out)
    return out


def shell(text):
    """Return what runs a command as a shell does: ``"$@"`` in the text."""
    return ["sh", "-c", text, "sh"]


# --- streams --------------------------------------------------------------------------------------

STREAMS = {
    "stdin closed": '"$@" <&-',
    "stdout closed": '"$@" >&-',
    "stderr closed": '"$@" 2>&-',
    "all closed": '"$@" <&- >&- 2>&-',
    "nobody reads on": '{ "$@"; echo "exit $?" >&2; } | :',
    "a reader of one line": '{ "$@"; echo "exit $?" >&2; } | head -1',
    "stdout full": '"$@" >/dev/full',
}
SAYS = [
    ["scenarios"],
    ["schema"],
    ["check", "starter"],
    ["job", "slurm", "starter", "--parts", 2],
    ["run", "--help"],
    ["--version"],
]


@pytest.mark.parametrize("name", STREAMS)
def test_streams_that_are_closed_or_full(tmp_path, whole, name):
    """A command whose output goes nowhere does its work, or fails without a traceback."""
    if name == "stdout full" and not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    out = tmp_path / "run.zarr"
    done = ndmc(*RUN, "--out", out, before=shell(STREAMS[name]))
    assert_identical(out, contents(whole))
    assert_quiet(done, name)
    for arguments in (["percentiles", whole], ["info", whole]):
        assert_quiet(ndmc(*arguments, before=shell(STREAMS[name])), name)


@pytest.mark.parametrize("name", STREAMS)
def test_streams_of_every_command(tmp_path, name):
    """All commands write to a stream that is closed or full without a traceback."""
    if name == "stdout full" and not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    for arguments in SAYS:
        assert_quiet(ndmc(*arguments, before=shell(STREAMS[name]), folder=tmp_path), name)


def assert_quiet(done, name):
    """Demand of a command that it ended well, or in one message; of a broken pipe, in none."""
    lines = [line for line in done.err.splitlines() if not re.fullmatch("exit [01]", line)]
    if name == "stdout full":
        assert_one_message(done, "No space left on device")
    else:
        assert (done.code, lines) == (0, []), done.err


# --- terminals ------------------------------------------------------------------------------------

TERMINALS = {
    "one column": {"COLUMNS": "1"},
    "no column": {"COLUMNS": "0"},
    "not a number of columns": {"COLUMNS": "wide"},
    "dumb": {"TERM": "dumb"},
    "no colour": {"NO_COLOR": "1"},
    "no terminal": {"TERM": ""},
    "C": {"LC_ALL": "C", "LANG": "C"},
    "C and nothing else": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "ascii": {"PYTHONIOENCODING": "ascii"},
}


@pytest.mark.parametrize("name", TERMINALS)
def test_terminals(tmp_path, name):
    """Whatever a terminal can show, commands run, and say what is wrong in one message."""
    environment = TERMINALS[name]
    out = tmp_path / "straße.zarr"
    finishes(*SMALL, "--out", out, **environment)
    for arguments in (["percentiles", out], ["info", out], ["check", "starter"], ["run", "--help"]):
        finishes(*arguments, **environment)
    assert_one_message(ndmc("info", tmp_path / "größe", **environment), "no store", code=2)
    shown = on_terminal([*SMALL, "--out", tmp_path / "other.zarr"], environment)
    assert shown.code == 0, shown.out
    assert "Traceback" not in shown.out


def on_terminal(arguments, environment):
    """Run a command on a terminal of its own; return what that was written."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command(*arguments),
        env={**os.environ, "TERM": "xterm", **environment},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    written = b""
    while select.select([ours], [], [], PATIENCE)[0]:
        try:
            written += os.read(ours, 65_536)
        except OSError:  # Linux has no other end of a terminal
            break
    os.close(ours)
    return Finished(process.wait(PATIENCE), written.decode(errors="replace"), "")


# --- users, folders -------------------------------------------------------------------------------


@pytest.mark.parametrize("home", ["read-only", "missing", "none"])
def test_another_user_whose_home_cannot_be_written(tmp_path, whole, home, monkeypatch):
    """Without a home to cache anything in, runs and pictures are the same, and nothing is said."""
    someone = nobody(tmp_path)
    if not someone:
        pytest.skip("only root becomes another user")
    own, shared, nowhere = (tmp_path / name for name in ("own", "home", "nowhere"))
    own.mkdir()
    own.chmod(0o777)
    shared.mkdir(mode=0o755)
    for name in ("HOME", "XDG_CACHE_HOME", "MPLCONFIGDIR"):
        monkeypatch.delenv(name, raising=False)
    if home != "none":
        monkeypatch.setenv("HOME", str(shared if home == "read-only" else nowhere))
    asked = {"TMPDIR": str(nowhere), "before": someone, "folder": own}
    finishes(*RUN, "--out", own / "run.zarr", **asked)
    assert drawn(own / "run.zarr") == drawn(whole)
    finishes("info", own / "run.zarr", "--verify", **asked)
    finishes("check", "uk_ree", "--quality", own / "quality.png", **asked)
    assert [path.name for path in shared.iterdir()] == []


def drawn(store):
    """Return the contents of a store, whatever Python it was made by: others may have another."""
    found = contents(store)
    del found["zarr.json"]["attributes"]["versions"]
    return found


def test_a_folder_that_cannot_be_written(tmp_path):
    """In a read-only folder what writes says that it cannot, and the rest works."""
    someone = nobody(tmp_path)
    (tmp_path / "folder").mkdir(mode=0o555)
    asked = {"before": someone, "folder": tmp_path / "folder"}
    finishes("check", "starter", **asked)
    finishes("run", "starter", "-n", 300, "--plan", **asked)
    for arguments in (
        ["new", "study"],
        ["run", "starter", "-n", 300],
        ["check", "starter", "--graph", "system.svg"],
        ["check", "uk_ree", "--quality", "quality.csv"],
        ["reconcile", "china_nd_published", "--csv", "cells.csv"],
        ["reconcile", "china_nd_published", "-n", 64, "--out", "."],
    ):
        done = ndmc(*arguments, **asked)
        assert done.code == 1, arguments
        said = unwarned(done.err)
        assert said.startswith("error: "), done.err
        assert said.count("\n") == 1, done.err
        assert "Permission denied" in said
    assert [*(tmp_path / "folder").iterdir()] == []


def test_a_mask_that_lets_nobody_read(tmp_path, whole):
    """Under umask 077 a run is the same, and its files are the user's alone."""
    out = tmp_path / "run.zarr"
    before = shell('umask 077; exec "$@"')
    for _ in range(2):
        finishes(*RUN, "--out", out, before=before)
    assert_identical(out, contents(whole))
    modes = {stat.S_IMODE(path.stat().st_mode) for path in out.rglob("*")}
    assert modes <= {0o600, 0o700}


# --- secrets --------------------------------------------------------------------------------------

SECRETS = {
    "AWS_ACCESS_KEY_ID": "AKIAHUSHHUSHHUSH",
    "AWS_SECRET_ACCESS_KEY": "hushsecrethushsecret",
    "AWS_SESSION_TOKEN": "hushtokenhushtoken",
}


def test_credentials_stand_nowhere(tmp_path):
    """Keys of the environment are in no file of a store, no script, no message and no progress."""
    pytest.importorskip("moto.server")
    s3fs = pytest.importorskip("s3fs")
    server = Server()
    environment = {**server.environment, **SECRETS}
    server.start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            files = s3fs.S3FileSystem(skip_instance_cache=True)
            files.makedirs("bucket", exist_ok=True)  # that of another test of this process
            said = everything_said(environment, tmp_path)
            stored = [files.cat_file(path) for path in files.find("bucket")]
    finally:
        server.stop()
    assert len(stored) > 50
    for secret in SECRETS.values():
        assert secret not in said
        assert not [data for data in stored if secret.encode() in data]


def everything_said(environment, folder):
    """Return all that commands say on streams and on a terminal, well and badly ended."""
    out = "s3://bucket/run.zarr"
    commands = [
        [*altered(SMALL, "--keep", "in_use"), "--out", out],
        [*altered(SMALL, "--keep", "in_use"), "--out", out, "--repair"],
        ["job", "slurm", "starter", "--parts", 2, "--out", out],
        ["info", out, "--verify"],
        ["percentiles", out],
        ["finish", out],
        [*SMALL, "--out", out],
        [*SMALL, "--out", "s3://nowhere/run.zarr"],
        ["info", "s3://bucket/nothing.zarr"],
    ]
    found = [ndmc(*one, folder=folder, **environment) for one in commands]
    assert [done.code for done in found] == [0, 0, 0, 0, 0, 0, 2, 2, 2]
    gone = {**environment, "AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"}
    found.append(ndmc(*SMALL, "--out", out, folder=folder, **gone))
    assert found[-1].code == 1
    found.append(on_terminal([*SMALL, "--out", "s3://bucket/other.zarr"], environment))
    assert found[-1].code == 0, found[-1].out
    return "".join(done.out + done.err for done in found)


# --- clocks ---------------------------------------------------------------------------------------

#: The clock of a process goes back and forth by days; what counts seconds only leaps ahead.
CLOCK = """
import random, time

def leaping(clock, back, unit=1):
    chance, left = random.Random(7), [0]
    def now():
        if chance.random() < 0.02:
            left[0] += int(unit * chance.uniform(-back, 100_000))
        return clock() + left[0]
    return now

time.time = leaping(time.time, 400_000)
time.time_ns = leaping(time.time_ns, 400_000, 10**9)
time.monotonic = leaping(time.monotonic, 0)
time.perf_counter = leaping(time.perf_counter, 0)
"""


def test_a_clock_that_jumps(tmp_path, whole):
    """Whatever the clocks do during a run, its results are the same and no time is beyond sense."""
    (tmp_path / "clock").mkdir()
    (tmp_path / "clock" / "sitecustomize.py").write_text(CLOCK)
    path = os.pathsep.join([str(tmp_path / "clock"), os.environ.get("PYTHONPATH", "")])
    probe = [sys.executable, "-c", "import time; print(time.time.__name__)"]
    environment = {**os.environ, "PYTHONPATH": path}
    assert subprocess.check_output(probe, env=environment, text=True) == "now\n"
    for more in ([], ["--profile"], ["--until", "in_use@2024,car p50 within 5 %"]):
        out = tmp_path / f"run{len(more)}.zarr"
        shown = on_terminal([*RUN, *more, "--out", out], {"PYTHONPATH": path, "COLUMNS": "120"})
        assert shown.code == 0, shown.out
        assert "Traceback" not in shown.out
        assert not re.search(r"-\d+:\d\d|\binf\b|\bnan\b|about -", shown.out), shown.out
        if "--until" not in more:
            assert_identical(out, contents(whole))
    finishes("info", out, "--verify", PYTHONPATH=path)


@pytest.mark.parametrize(
    "settings",
    [{"PYTHONOPTIMIZE": "2"}, {"PYTHONWARNINGS": "error"}],
    ids=lambda settings: next(iter(settings)),
)
def test_settings_of_python_change_nothing(settings, tmp_path):
    """Without docstrings and assertions, with warnings that are errors, every command works."""
    store = tmp_path / "run.zarr"
    for arguments in (
        ["run", "starter", "-n", 300, "--out", store],
        ["check", "starter"],
        ["percentiles", store],
        ["info", store, "--verify"],
        ["validate", "starter", "-n", 300],
        ["reconcile", "china_nd_published", "-n", 100, "--out", tmp_path / "draws"],
        ["run", "--help"],
    ):
        finishes(*arguments, folder=tmp_path, **settings)
