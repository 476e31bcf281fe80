"""Stores that are no folders: in the memory of this process, and on an S3 server on loopback."""

import itertools
import json
import os
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest
from command import altered
from numpy.testing import assert_array_equal
from parts import DISTURBED, KEEP, PARTS, arrays, assert_identical, ended, until
from strategies import python

import ndmc
from ndmc.store.address import place_of
from ndmc.store.integrity import verify
from ndmc.store.opening import open_store

fsspec = pytest.importorskip("fsspec")

BUCKET = "s3://bucket"
#: Two stages; the last has six blocks, of which three parts have two each.
DRAWS, BLOCK = 14_001, 1024
RUN = ["run", "starter", "-n", str(DRAWS), "--seed", "4", "--block", str(BLOCK)]
RUN += ["--keep", ",".join(KEEP)]


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """Return the local store of an undisturbed run."""
    out = tmp_path_factory.mktemp("local") / "run.zarr"
    ndmc.run("starter", DRAWS, seed=4, out=out, keep=KEEP, block=BLOCK, workers=2)
    return out


def run(out, draws=DRAWS, **options):
    """Run the starter in this process."""
    options = {"keep": KEEP, "block": BLOCK, "workers": 2} | options
    ndmc.run("starter", draws, seed=4, out=out, **options)


# --- in memory -----------------------------------------------------------------------------------


def test_a_store_in_memory_is_that_of_a_folder(expected):
    """A run into memory leaves the arrays of one into a folder, sound, and can ask for more."""
    out = "memory://plain/run.zarr"
    run(out, 9000)
    run(out)
    assert_identical(out, expected)
    assert verify(open_store(out)) == []
    found, local = (ndmc.percentiles(one, "in_use", quantiles=[0.1]) for one in (out, expected))
    assert_array_equal(found.in_use, local.in_use)
    assert_array_equal(ndmc.open(out).in_use.values, ndmc.open(expected).in_use.values)
    assert not [key for key in keys(out) if key.endswith((".partial", ".lock"))]


def test_parts_in_memory_make_one_run(expected):
    """Parts of a run into memory leave the arrays of one run."""
    out = "memory://parts/run.zarr"
    for which in (2, 3, 1):
        run(out, part=(which, 3))
    assert_identical(out, expected, {"stages"})


def test_damage_in_memory_is_found_and_repaired(expected):
    """A damaged and a lost block of a store in memory are named, and computed anew."""
    out = "memory://damaged/run.zarr"
    run(out)
    damage(out)
    assert sorted(one.entry for one in verify(open_store(out))) == DAMAGED
    run(out, repair=True)
    assert verify(open_store(out)) == []
    assert_identical(out, expected)


def test_memory_of_a_command_is_refused(cli):
    """What would be gone with the command is not computed."""
    done = cli(*RUN, "--out", "memory://gone/run.zarr")
    assert done.code == 2
    assert "--out: memory://gone/run.zarr would end with this command" in one_message(done.err)


def keys(out):
    """Return the keys of all files of a store."""
    place = place_of(out)
    return [path[len(place.root) + 1 :] for path in place.files.find(place.root)]


DAMAGED = ["block-0000000000002048", "block-0000000000004096"]


def damage(out):
    """Flip a bit of one block's draws and remove those of another."""
    place = place_of(out)
    data = bytearray(place.read("in_use/c/2/0/0"))
    data[len(data) // 2] ^= 1
    place.write("in_use/c/2/0/0", bytes(data))
    place.remove("in_use/c/4/0/0")


# --- on a server ---------------------------------------------------------------------------------


class Server:
    """An S3 server of this process, on loopback, that can go and come back with what it holds."""

    def __init__(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.environment = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": "nobody",
            "AWS_SECRET_ACCESS_KEY": "nothing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def start(self):
        """Listen."""
        from moto.server import ThreadedMotoServer

        self.server = ThreadedMotoServer("127.0.0.1", self.port, verbose=False)
        self.server.start()

    def stop(self):
        """Refuse connections from now on."""
        self.server.stop()
        self.server._server.server_close()


@pytest.fixture(scope="module")
def server():
    """Return a running S3 server with one bucket, and let this process use it."""
    pytest.importorskip("moto.server")
    s3fs = pytest.importorskip("s3fs")
    one = Server()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in one.environment.items():
            patch.setenv(name, value)
        one.start()
        s3fs.S3FileSystem().mkdir("bucket")
        yield one
        one.stop()


@pytest.fixture
def start(server, tmp_path):
    """Return a function that starts the command in a process; those still there are killed."""
    started = []

    def begin(out, *options, code=DISTURBED, **environment):
        process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                code,
                *altered([*RUN, "--out", out, "--workers", "1"], *options),
            ],
            cwd=tmp_path,
            env={**os.environ, "COLUMNS": "120", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def entries(out):
    """Return the names of the blocks in the ledger of a run."""
    return [name for name in place_of(out).names("ledger") if name.startswith("block-")]


def one_message(error):
    """Return the one line of an error, and demand that there is no other."""
    lines = error.splitlines()
    assert len(lines) == 1, error
    assert lines[0].startswith("error: ")
    return lines[0]


READ = """
import json, sys, warnings
import xarray as xr
data = xr.open_zarr(sys.argv[1], storage_options={})
found = xr.open_zarr(sys.argv[1], group="percentiles", storage_options={})
assert "ndmc" not in sys.modules
print(json.dumps([data.in_use.dims, float(data.in_use.sum()), found.in_use.values.tolist()]))
"""


@pytest.mark.torture
def test_a_killed_run_on_a_server_goes_on_to_the_store_of_a_folder(start, cli, expected):
    """A run killed in the middle is ended by the same command, and readable by plain xarray."""
    out = f"{BUCKET}/killed/run.zarr"
    process = start(out, SLOW="0.05")
    until(lambda: len(entries(out)) > 3, "blocks", 60)
    process.kill()
    assert ended(process)[0] == -signal.SIGKILL
    assert not open_store(out).complete
    done = cli(*RUN, "--out", out)
    assert (done.code, done.err) == (0, "")
    assert f"in {out}" in done.out
    assert_identical(out, expected)
    assert not [key for key in keys(out) if key.endswith((".partial", ".lock"))]
    dims, total, values = json.loads(python(READ, out))
    local = ndmc.open(expected).in_use
    assert dims == ["draw", "year", "product"]
    assert total == float(local.sum())
    assert_array_equal(values, arrays(expected)["percentiles/in_use"])
    assert verify(open_store(out)) == []
    shown, local = (
        ndmc.percentiles(place, ["in_use"], quantiles=[0.1], over=["product"])
        for place in (out, expected)
    )
    assert_array_equal(shown.in_use, local.in_use)


@pytest.mark.torture
def test_a_killed_creation_on_a_server_is_started_over(start, expected):
    """Of a store whose creation was killed nothing counts: the same command begins anew."""
    out = f"{BUCKET}/begun/run.zarr"
    killed = DISTURBED.replace("cli.main()", KILLED_AT_ROOT)
    assert ended(start(out, code=killed))[0] == -signal.SIGKILL
    assert "ledger/zarr.json" in keys(out)
    assert "zarr.json" not in keys(out)
    place_of(out).write("in_use/c/0/0/0", b"left by nobody knows whom")
    code, _, error = ended(start(out))
    assert (code, error) == (0, "")
    assert_identical(out, expected)


KILLED_AT_ROOT = """
from ndmc.store import bucket
bucket._Told.pipe_file = lambda self, key, *a, **o: (
    die() if key.endswith(".zarr/zarr.json") else self.files.pipe_file(key, *a, **o)
)
cli.main()
"""


@pytest.mark.parametrize(
    ("out", "environment", "code", "message"),
    [
        ("s3://nowhere/run.zarr", {}, 2, "does not exist"),
        (
            f"{BUCKET}/none.zarr",
            {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_CONFIG_FILE": "none"},
            1,
            "credentials",
        ),
        (
            f"{BUCKET}/none.zarr",
            {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"},
            1,
            "onnect",
        ),
    ],
    ids=["no bucket", "no credentials", "no server"],
)
def test_a_server_that_cannot_be_used_is_one_message(start, out, environment, code, message):
    """Without bucket, credentials or server a run says what is wrong in one line."""
    found, _, error = ended(start(out, **environment))
    assert message in one_message(error)
    assert found == code


# --- for many minutes ----------------------------------------------------------------------------


@pytest.mark.torture
def test_parts_on_a_server_make_one_run(start, expected):
    """Parts at once, without any lock, one of them killed and repeated, leave one run's store."""
    for attempt in range(2):
        out = f"{BUCKET}/parts{attempt}/run.zarr"
        parts = [start(out, "--part", which, SLOW="0.02") for which in PARTS]
        until(lambda out=out: len(entries(out)) > 9, "blocks", 120)
        parts[1].kill()
        parts[1].communicate()
        parts[1] = start(out, "--part", PARTS[1])
        found = [ended(one) for one in parts]
        assert [(code, error) for code, _, error in found] == [(0, "")] * 3
        assert_identical(out, expected, {"stages"})
        assert verify(open_store(out)) == []


@pytest.mark.torture
def test_a_server_that_goes_is_one_message_and_the_run_goes_on(start, server, expected):
    """A server that goes in the middle ends the run with exit 1; once back, the run goes on."""
    out = f"{BUCKET}/gone/run.zarr"
    process = start(out, SLOW="0.1")
    until(lambda: len(entries(out)) > 3, "blocks", 60)
    server.stop()
    try:
        code, _, error = ended(process)
    finally:
        server.start()
    assert "run the same command again" in one_message(error)
    assert code == 1
    code, _, error = ended(start(out))
    assert (code, error) == (0, "")
    assert_identical(out, expected)


@pytest.mark.torture
def test_damage_on_a_server_is_found_and_repaired(server, cli, expected):
    """Damaged and lost blocks on a server cost exit 1 when verified, and --repair mends them."""
    out = f"{BUCKET}/damaged/run.zarr"
    run(out)
    damage(out)
    done = cli("info", out, "--verify")
    assert done.code == 1
    assert "2 files are damaged or missing" in one_message(done.err)
    done = cli(*RUN, "--out", out, "--repair")
    assert done.code == 0
    assert "2 damaged or missing, computed again" in done.err
    assert cli("info", out, "--verify").code == 0
    assert_identical(out, expected)


@pytest.mark.torture
def test_more_draws_on_a_server(server, cli, expected, tmp_path):
    """A run on a server that is raised holds what one run of all draws holds."""
    out = f"{BUCKET}/more/run.zarr"
    for draws in ("9001", "9100", str(DRAWS)):
        done = cli(*altered(RUN, "-n", draws), "--out", out)
        assert (done.code, done.err) == (0, "")
    assert_identical(out, expected)
    again = cli(*altered(RUN, "-n", "9001"), "--out", out)
    assert again.code == 2
    assert f"the store holds {DRAWS:,} draws, 9,001 asked for" in one_message(again.err)


@pytest.mark.torture
def test_processes_write_to_a_server(server, cli, expected):
    """Worker processes write to a bucket what threads write to a folder."""
    pytest.importorskip("distributed")
    out = f"{BUCKET}/processes/run.zarr"
    done = cli(*RUN, "--out", out, "--processes", "--workers", "2")
    assert (done.code, done.err) == (0, "")
    assert_identical(out, expected)


@pytest.mark.torture
def test_a_run_on_a_server_killed_again_and_again(start, expected):
    """A run that is killed at any write, its creation and its merge included, is ended at last."""
    out, chance = f"{BUCKET}/again/run.zarr", np.random.default_rng(3)
    dying = DISTURBED.replace("cli.main()", KILLED_AT_A_WRITE)
    for most in itertools.count(60, 60):
        code, _, error = ended(start(out, code=dying, WRITES=str(chance.integers(1, most))))
        assert (code, error) in {(0, ""), (-signal.SIGKILL, "")}
        if not code:
            break
    assert most >= 240
    assert_identical(out, expected)
    assert verify(open_store(out)) == []


KILLED_AT_A_WRITE = """
from ndmc.store import bucket

def pipe_file(self, key, *arguments, **options):
    global left
    left -= 1
    return self.files.pipe_file(key, *arguments, **options) if left else die()

left = int(os.environ["WRITES"])
bucket._Told.pipe_file = pipe_file
cli.main()
"""
