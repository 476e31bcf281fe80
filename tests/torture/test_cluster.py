"""A Dask cluster computes what threads compute, whatever dies meanwhile.

The scheduler and its workers are processes of their own, on loopback only. A file of orders, read
before each block, makes workers slow, raise or kill themselves, as broken machines do.
"""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from parts import assert_identical, blocks, until

import ndmc
from ndmc.runs.cluster import Cluster
from ndmc.runs.connections import connect
from ndmc.runs.executors import Task
from ndmc.runs.listener import Listener
from ndmc.runs.options import Options
from ndmc.runs.replay import work_of
from ndmc.runs.run import execute
from ndmc.store.opening import open_store

distributed = pytest.importorskip("distributed")
psutil = pytest.importorskip("psutil")

RUN = ["run", "starter", "-n", "20001", "--seed", "4", "--block", "512"]
RUN += ["--keep", "in_use,recycled_share"]
BLOCKS = 40

ORDERS = """
import json, os, signal, time

def dask_setup(worker):
    from ndmc.runs.block import Work

    if Work.compute.__module__ != "ndmc.runs.block":
        return  # Dask may set up twice

    def compute(self, block, *arguments):
        with open({orders!r}) as file:
            orders = json.load(file)
        time.sleep(orders.get("slow", 0))
        if block.start == orders.get("kill"):
            os.kill(os.getpid(), signal.SIGKILL)
        if block.start == orders.get("raise"):
            raise ValueError("poisoned")
        return original(self, block, *arguments)

    original, Work.compute = Work.compute, compute
"""

OTHER_VERSION = """
import importlib.metadata

def version(name, original=importlib.metadata.version):
    return "0.0.7" if name == "ndmc" else original(name)

if importlib.metadata.version.__module__ == "importlib.metadata":  # Dask may load this twice
    importlib.metadata.version = version
"""

NOT_INSTALLED = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "ndmc":
            raise ModuleNotFoundError(f"No module named {name!r}")

sys.meta_path.insert(0, Absent())
"""


@dataclass
class Dask:
    """A scheduler and workers with nannies, each a process of its own."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    protocol: str = "tcp"
    address: str = ""
    started: list = field(default_factory=list)
    open: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    look: object = None

    def start(self, program, *arguments):
        """Start one of Dask's programs, as a person would, and return its process."""
        log = self.folder / f"{len(self.started)}.log"
        command = [sys.executable, "-m", f"distributed.cli.dask_{program}", *arguments]
        with log.open("wb") as file:
            process = subprocess.Popen(
                [
                    *command,
                    "--no-dashboard",
                    "--dashboard-address",
                    "127.0.0.1:0",
                    "--host",
                    f"{self.protocol}://127.0.0.1",
                ],
                cwd=self.folder,
                env={**os.environ, **self.environment},
                stdout=file,
                stderr=file,
            )
        self.started.append(process)
        return process

    def scheduler(self, port="0"):
        """Start the scheduler and wait for its address."""
        file = self.folder / "scheduler.json"
        file.unlink(missing_ok=True)
        process = self.start("scheduler", "--port", port, "--scheduler-file", str(file))

        def address():
            with contextlib.suppress(OSError, ValueError):
                return json.loads(file.read_text())["address"]
            return ""

        self.address = until(address, "a scheduler", 30)
        return process

    def worker(self, *preloads, threads=1, wait=True):
        """Start a worker with its nanny, and wait until it has joined."""
        known = len(self.workers()) if wait else 0
        options = [text for path in preloads for text in ("--preload", str(path))]
        options += ["--nthreads", str(threads), "--nworkers", "1", "--local-directory", "scratch"]
        process = self.start("worker", self.address, *options)
        if wait:
            until(lambda: len(self.workers()) > known, "a worker", 30)
        return process

    @contextlib.contextmanager
    def client(self):
        """Yield a client that is nobody's default."""
        with connect(self.address, None) as client:
            yield client

    @property
    def control(self):
        """The client by which the tests look at the cluster."""
        if self.look is None:
            self.look = self.open.enter_context(self.client())
        return self.look

    def workers(self):
        """Return the process of each worker by its address."""
        return self.control.run(os.getpid, on_error="ignore")

    def busy(self):
        """Return what the workers have in hand."""
        return [keys for keys in self.control.processing().values() if keys]

    def stop(self):
        """Stop all that was started, and what those started."""
        self.open.close()
        found = []
        for process in reversed(self.started):
            with contextlib.suppress(psutil.NoSuchProcess):
                found += psutil.Process(process.pid).children(recursive=True)
            process.kill()
            process.wait()
        for process in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


@pytest.fixture(scope="module")
def dask(tmp_path_factory):
    """Return a scheduler with three workers that take orders."""
    cluster = Dask(tmp_path_factory.mktemp("dask"))
    (cluster.folder / "orders.json").write_text("{}")
    try:
        cluster.scheduler()
        for number in range(3):
            cluster.worker(taking_orders(cluster.folder), wait=number == 2)
        until(lambda: len(cluster.workers()) == 3, "three workers", 30)
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def order(dask):
    """Return a function that gives the workers orders, void after the test."""

    def give(**orders):
        partial = dask.folder / "orders.partial"
        partial.write_text(json.dumps(orders))
        partial.replace(dask.folder / "orders.json")

    yield give
    give()
    until(lambda: len(dask.workers()) == 3, "three workers", 60)


@pytest.fixture
def own(tmp_path):
    """Return a scheduler of this test's own, without workers."""
    folder = tmp_path / "dask"
    folder.mkdir()
    (folder / "orders.json").write_text("{}")
    cluster = Dask(folder)
    try:
        cluster.scheduler()
        yield cluster
    finally:
        cluster.stop()


def taking_orders(folder):
    """Return a preload that makes a worker obey the orders of a folder."""
    path = folder / "orders.py"
    path.write_text(ORDERS.format(orders=str(folder / "orders.json")))
    return path


def preload(folder, text):
    """Return the path of a preload of this text."""
    path = folder / "preload.py"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """Return the store of an undisturbed run by threads."""
    folder = tmp_path_factory.mktemp("threads")
    command = [sys.executable, "-m", "ndmc", *RUN, "--out", "run.zarr", "--workers", "2"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder / "run.zarr"


@contextlib.contextmanager
def running(folder, *arguments, **environment):
    """Yield the process of a command in a session of its own; kill it if it has not ended."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ndmc", *RUN, "--out", "run.zarr", *arguments],
        cwd=folder,
        env={**os.environ, "COLUMNS": "120", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


WAITING = "has no workers; waiting for some to join"


def one_message(error):
    """Return the one line of an error; no other is there but that all workers were dead a while."""
    lines = [line for line in error.splitlines() if not line.endswith(WAITING)]
    assert len(lines) == 1, error
    assert lines[0].startswith("error: ")
    return lines[0].removeprefix("error: ")


# --- the same store ------------------------------------------------------------------------------


def test_workers_write_what_threads_write(cli, dask, expected, tmp_path):
    """A run by the workers of a scheduler leaves the store of a run by threads, and no more."""
    done = cli(*RUN, "--out", "run.zarr", "--scheduler", dask.address)
    assert (done.code, done.err) == (0, "")
    assert_identical(tmp_path / "run.zarr", expected)
    assert [path.name for path in tmp_path.iterdir()] == ["run.zarr"]


def listening(pids):
    """Return the addresses on which processes listen."""
    found = {c.laddr for c in psutil.net_connections("inet") if c.pid in pids and not c.raddr}
    return {address.ip for address in found if address}


@pytest.mark.torture
def test_processes_write_what_threads_write_and_listen_on_loopback(expected, tmp_path):
    """Processes of our own leave the same store, and nothing of them is open to other machines."""
    heard, most = set(), 0
    with running(tmp_path, "--processes", "--workers", "2") as process:
        mine = psutil.Process(process.pid)
        while process.poll() is None:
            with contextlib.suppress(psutil.NoSuchProcess):
                family = [mine, *mine.children(recursive=True)]
                heard |= listening({one.pid for one in family})
                # Not what a worker starts: before it becomes another command it looks like one.
                own = [one for one in family if one.ppid() == mine.pid]
                most = max(most, sum("spawn_main" in " ".join(p.cmdline()) for p in own))
            time.sleep(0.2)
        error = process.stderr.read()
    assert (process.returncode, error) == (0, "")
    assert (heard, most) == ({"127.0.0.1"}, 2)
    assert_identical(tmp_path / "run.zarr", expected)


def test_python_takes_a_client(dask, expected, tmp_path):
    """The Python API computes with the workers of a client."""
    keep = ["in_use", "recycled_share"]
    with dask.client() as client:
        out = tmp_path / "run.zarr"
        ndmc.run("starter", 20001, seed=4, out=out, keep=keep, block=512, client=client)
    assert_identical(out, expected)


# --- what is in flight ---------------------------------------------------------------------------


def test_few_blocks_are_in_flight_and_all_are_counted(dask, order, tmp_path, monkeypatch):
    """Two blocks a thread are on their way at most, and each draw is counted once."""
    out = tmp_path / "run.zarr"
    with dask.client() as client:
        submitted, done, most = 0, [], 0
        submit = client.submit

        def count(*arguments, **options):
            nonlocal submitted, most
            submitted += 1
            most = max(most, submitted - len(done))
            return submit(*arguments, **options)

        monkeypatch.setattr(client, "submit", count)
        listener = Listener()
        listener.done = lambda draws, total: done.append((draws, total))
        asked = {"seed": 4, "out": out, "keep": ["in_use"], "block": 256, "client": client}
        execute(Options("starter", 8000, **asked), listener)
        done_first = [draws for draws, _ in done]
        assert done_first == sorted(done_first)
        assert (done[0], done[-1], len(done)) == ((0, 8000), (8000, 8000), 33)
        assert 2 <= most <= 7  # one is counted as done a moment after the next is submitted
        done.clear()
        execute(Options("starter", 8100, **asked), listener)
        assert (done[0], done[-1]) == ((8000, 8100), (8100, 8100))


def test_memory_is_refused(dask, tmp_path):
    """A store in the memory of one process is refused: no worker would see it."""
    with dask.client() as client, pytest.raises(ndmc.InputError, match="in the memory of this"):
        ndmc.run("starter", 100, seed=1, out="memory://cluster/run.zarr", client=client)


# --- what fails ----------------------------------------------------------------------------------


@pytest.mark.torture
def test_a_block_that_raises_is_named_and_all_others_are_there(
    cli, dask, order, expected, tmp_path
):
    """One failing block costs exit 1 and one message; without its cause the command completes."""
    command = [*RUN, "--out", "run.zarr", "--scheduler", dask.address]
    order(**{"raise": 1024})
    done = cli(*command)
    assert done.code == 1
    message = one_message(done.err)
    assert "1 block of 16 could not be computed" in message
    assert "draws 1,024 to 1,535: ValueError('poisoned')" in message
    store = open_store(tmp_path / "run.zarr")
    assert [b.start for b in store.missing() if b.start < 8192] == [1024]
    order()
    assert cli(*command).code == 0
    assert_identical(tmp_path / "run.zarr", expected)


@pytest.mark.torture
def test_another_version_is_refused(cli, dask, order, tmp_path):
    """A worker of another version is refused with both, before anything is written."""
    path = preload(tmp_path, OTHER_VERSION)
    with dask.client() as client:
        before = Cluster(client)
        odd = dask.worker(path)
        try:
            done = cli(*RUN, "--out", "run.zarr", "--scheduler", dask.address)
            later = tmp_path / "later.zarr"
            with pytest.raises(ndmc.InputError, match=r"has ndmc 0\.0\.7, this run ndmc 0\.1\.0"):
                run_with(before, later)
        finally:
            odd.terminate()
            odd.wait()
    assert done.code == 2
    assert "has ndmc 0.0.7, this run ndmc 0.1.0; install the same" in one_message(done.err)
    assert not (tmp_path / "run.zarr").exists()
    assert not open_store(later).complete


def run_with(cluster, out):
    """Run the starter with an executor."""
    keep = ["in_use", "recycled_share"]
    options = Options("starter", 20001, seed=4, out=out, keep=keep, block=512)
    return execute(options, executor=cluster)


def test_no_scheduler_is_one_message(monkeypatch):
    """Where no scheduler is, or no address, the message says so in the end."""
    monkeypatch.setattr("ndmc.runs.connections._PATIENCE", 0.5)
    for address, message in (
        ("tcp://127.0.0.1:9", "no scheduler answers at 'tcp://127.0.0.1:9'"),
        ("nowhere", "'nowhere' is no address"),
        ("http://127.0.0.1:9", "unknown address scheme 'http'"),
        ("tls://127.0.0.1:9", "needs certificates"),
    ):
        with pytest.raises(ndmc.InputError, match=message), connect(address, None):
            raise AssertionError


@pytest.mark.torture
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_stopped_client_leaves_idle_workers_and_goes_on(
    name, cli, dask, order, expected, tmp_path
):
    """A client stopped by Ctrl-C or SIGTERM exits 1; workers are idle soon, the rest is safe."""
    order(slow=0.2)
    store = tmp_path / "run.zarr"
    with running(tmp_path, "--scheduler", dask.address) as process:
        until(lambda: len(blocks(store)) > 5, "blocks", 60)
        process.send_signal(getattr(signal, name))
        error = process.communicate(timeout=30)[1]
    assert process.returncode == 1
    assert "a run goes on where it stopped" in one_message(error)
    until(lambda: not dask.busy(), "idle workers", 5)
    assert not open_store(store).complete
    written = blocks(store)
    order()
    assert cli(*RUN, "--out", "run.zarr", "--scheduler", dask.address).code == 0
    assert written.items() <= blocks(store).items()
    assert_identical(store, expected)


# --- for many minutes ----------------------------------------------------------------------------


@pytest.mark.torture
def test_workers_killed_at_random_change_nothing(dask, order, expected, tmp_path):
    """After whatever blocks workers are killed, the run ends with an undisturbed one's store."""
    order(slow=0.15)
    chance, killed, store = random.Random(1), set(), tmp_path / "run.zarr"
    with running(tmp_path, "--scheduler", dask.address) as process:
        # Dask gives up what four workers were killed over: three kills may all meet one block.
        for count in sorted(chance.sample(range(1, BLOCKS - 5), 3)):
            until(lambda count=count: len(blocks(store)) >= count, "blocks", 60)
            alive = until(lambda: {*dask.workers().values()} - killed, "a worker", 60)
            one = chance.choice(sorted(alive))
            os.kill(one, signal.SIGKILL)
            killed.add(one)
        assert process.poll() is None
        error = process.communicate(timeout=120)[1]
    assert process.returncode == 0
    assert_only_waited(error, dask.address)
    assert_identical(store, expected)


@pytest.mark.torture
def test_workers_lost_and_new_ones_change_nothing(own, expected, tmp_path):
    """Workers that never come back, a restart of all, and new workers are survived."""
    (own.folder / "orders.json").write_text('{"slow": 0.25}')
    path, store = taking_orders(own.folder), tmp_path / "run.zarr"
    first, second = own.worker(path), own.worker(path)

    def more(count):
        wanted = len(blocks(store)) + count
        until(lambda: len(blocks(store)) >= wanted, "blocks", 60)

    with running(tmp_path, "--scheduler", own.address) as process:
        more(4)
        lose(first)
        more(4)
        own.control.restart(timeout=60)
        more(4)
        lose(second)
        until(lambda: not own.workers(), "no workers", 30)
        time.sleep(1)
        own.worker(path)
        own.worker(path)
        error = process.communicate(timeout=120)[1]
    assert process.returncode == 0
    assert_only_waited(error, own.address)
    assert_identical(store, expected)


def assert_only_waited(error, address):
    """Demand that nothing was said but that there was no worker for a while, all being killed."""
    assert set(error.splitlines()) <= {f"warning: {address} {WAITING}"}


def lose(nanny):
    """Kill a nanny and its worker."""
    family = psutil.Process(nanny.pid).children(recursive=True)
    nanny.kill()
    nanny.wait()
    for one in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()


@pytest.mark.torture
def test_a_block_that_kills_is_named_and_all_others_are_there(cli, dask, order, expected, tmp_path):
    """A block that kills each worker that tries it costs exit 1, and no other block."""
    command = [*RUN, "--out", "run.zarr", "--scheduler", dask.address]
    order(kill=1024)
    done = cli(*command)
    assert done.code == 1
    message = one_message(done.err)
    assert "1 block of 16 could not be computed" in message
    assert "draws 1,024 to 1,535: it killed every worker that tried it" in message
    store = open_store(tmp_path / "run.zarr")
    assert [b.start for b in store.missing() if b.start < 8192] == [1024]
    order()
    assert cli(*command).code == 0
    assert_identical(tmp_path / "run.zarr", expected)


@pytest.mark.torture
def test_blocks_that_all_fail_stop_the_run(cli, own, tmp_path):
    """Where each block fails, the run stops early with the count and the cause of the first."""
    path = own.folder / "full.py"
    path.write_text(
        "from ndmc.runs.block import Work\n"
        "def compute(*arguments):\n"
        "    raise OSError(28, 'No space left on device')\n"
        "Work.compute = compute\n"
    )
    own.worker(path)
    done = cli("run", "starter", "-n", "8000", "--block", "256", "--scheduler", own.address)
    assert done.code == 1
    message = one_message(done.err)
    assert "stopped after 20 blocks could not be computed" in message
    assert "No space left on device" in message


@pytest.mark.torture
def test_a_worker_of_another_version_that_joins_is_refused(own, cli, expected, tmp_path):
    """A worker of another version that joins later ends the run with both; others may go on."""
    (own.folder / "orders.json").write_text('{"slow": 0.3}')
    own.worker(taking_orders(own.folder))
    with running(tmp_path, "--scheduler", own.address) as process:
        until(lambda: blocks(tmp_path / "run.zarr"), "blocks", 60)
        odd = own.worker(preload(own.folder, OTHER_VERSION))
        error = process.communicate(timeout=60)[1]
    assert process.returncode == 2
    assert "has ndmc 0.0.7, this run ndmc 0.1.0" in one_message(error)
    lose(odd)
    until(lambda: len(own.workers()) == 1, "one worker", 30)
    assert cli(*RUN, "--out", "run.zarr", "--scheduler", own.address).code == 0
    assert_identical(tmp_path / "run.zarr", expected)


@pytest.mark.torture
def test_a_worker_without_ndmc_is_refused(own, cli):
    """A worker that cannot import ndmc is refused with one message."""
    own.worker(preload(own.folder, NOT_INSTALLED))
    done = cli(*RUN, "--scheduler", own.address)
    assert done.code == 2
    assert "cannot import what it needs (No module named 'ndmc" in one_message(done.err)


@pytest.mark.torture
def test_no_scheduler_is_one_message_in_half_a_minute(cli):
    """The command says within 30 s that no scheduler answers."""
    begun = time.monotonic()
    done = cli(*RUN, "--scheduler", "tcp://127.0.0.1:9")
    assert done.code == 2
    assert "no scheduler answers at 'tcp://127.0.0.1:9'" in one_message(done.err)
    assert time.monotonic() - begun < 30


@pytest.mark.torture
def test_a_scheduler_that_dies_is_one_message(own, cli, expected, tmp_path):
    """A scheduler that is gone ends the run with exit 1, and another goes on."""
    (own.folder / "orders.json").write_text('{"slow": 0.3}')
    own.worker(taking_orders(own.folder))
    with running(tmp_path, "--scheduler", own.address) as process:
        until(lambda: blocks(tmp_path / "run.zarr"), "blocks", 60)
        own.started[0].kill()
        error = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert "is gone; what is done is safe, the same command goes on" in one_message(error)
    assert cli(*RUN, "--out", "run.zarr").code == 0
    assert_identical(tmp_path / "run.zarr", expected)


@pytest.mark.torture
def test_tls_is_that_of_dask(own, cli, expected, tmp_path):
    """Certificates in Dask's configuration are used; without them there is one message."""
    security = distributed.security.Security.temporary()
    files = {}
    for name in ("ca_file", "scheduler_cert", "scheduler_key"):
        files[name] = str(tmp_path / name)
        value = getattr(security, f"tls_{name}")
        Path(files[name]).write_text(value if isinstance(value, str) else "".join(value))
    environment = {"DASK_DISTRIBUTED__COMM__TLS__CA_FILE": files["ca_file"]}
    for role in ("SCHEDULER", "WORKER", "CLIENT"):
        for kind in ("cert", "key"):
            name = f"DASK_DISTRIBUTED__COMM__TLS__{role}__{kind.upper()}"
            environment[name] = files[f"scheduler_{kind}"]
    folder = tmp_path / "tls"
    folder.mkdir()
    cluster = Dask(folder, environment, "tls")
    try:
        cluster.scheduler()
        assert cluster.address.startswith("tls://")
        cluster.worker(wait=False)
        command = [*RUN, "--out", "run.zarr", "--scheduler", cluster.address]
        done = cli(*command, **environment)
        assert (done.code, done.err) == (0, "")
        assert_identical(tmp_path / "run.zarr", expected)
        done = cli(*command)
        assert done.code == 2
        assert "needs certificates; set distributed.comm.tls" in one_message(done.err)
        assert cli(*command[:-1], cluster.address.replace("tls", "tcp")).code == 2
    finally:
        cluster.stop()


@pytest.mark.torture
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_processes_end_with_their_client(name, cli, expected, tmp_path):
    """Ctrl-C, SIGTERM to all and kill -9 leave no process, and a store to go on with."""
    store, number = tmp_path / "run.zarr", getattr(signal, name)
    with running(tmp_path, "--processes", "--workers", "2") as process:
        until(lambda: blocks(store), "blocks", 60)
        family = psutil.Process(process.pid).children(recursive=True)
        assert len(family) >= 2
        send = os.kill if name == "SIGKILL" else os.killpg
        send(process.pid, number)
        error = process.communicate(timeout=60)[1]
        until(lambda: not any(one.is_running() for one in family), "no processes", 30)
    if name != "SIGKILL":
        assert process.returncode == 1
        assert "a run goes on where it stopped" in one_message(error)
    assert not open_store(store).complete
    assert cli(*RUN, "--out", "run.zarr").code == 0
    assert_identical(store, expected)


@pytest.mark.torture
def test_memory_of_the_client_does_not_grow(dask, tmp_path):
    """Ten times the blocks take no more of the client than the list of them."""
    out = tmp_path / "run.zarr"
    ndmc.run("starter", 300, seed=1, out=out, keep=["in_use"], block=256)
    work, mine = work_of(str(out)), psutil.Process()
    with dask.client() as client:
        cluster, sizes = Cluster(client), []
        for count in (300, 300, 3000):  # of a block that is there, so that each takes no time
            done = []
            cluster.run(work, [Task(range(256))] * count, done.append)
            assert len(done) == count
            sizes.append(mine.memory_info().rss)
        # 5.5 to 13.5 MB in nine runs, most where they are quick; 2,700 results kept take more.
        assert sizes[2] - sizes[1] < 30 * 2**20
        until(lambda: not client.futures, "no futures", 10)


@pytest.mark.torture
@pytest.mark.parametrize("seconds", [1.5, 2.0, 2.5, 3.0])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda one: one.name)
def test_processes_are_stopped_at_their_start(number, seconds, tmp_path):
    """Ctrl-C reaches all processes at once: none tells of it but the command, in one line."""
    with running(tmp_path, "--processes", "--workers", "2") as process:
        time.sleep(seconds)
        (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
        _, error = process.communicate(timeout=60)
    if process.returncode:  # else it was done already
        assert process.returncode == 1
        assert one_message(error).startswith("stopped; a run goes on")
