"""Whole stores compared to the last byte, and the real command run, stopped and killed."""

import contextlib
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from command import PATIENCE, Finished, command, ndmc
from parts import DISTURBED

from ndmc.store.integrity import verify
from ndmc.store.opening import open_store
from ndmc.store.spec import blocks

#: The only attributes that two runs of the same command may differ in.
TIMES = ("started", "finished", "checksum")
#: What a run that is stopped says, and in how many seconds it has ended.
STOPPED = "error: stopped; a run goes on where it stopped by the same command\n"
SOON = 5
#: The ways to stop a run.
STOPS = {
    "SIGTERM": [signal.SIGTERM],
    "Ctrl-C": [signal.SIGINT],
    "SIGTERM twice": [signal.SIGTERM] * 2,
    "SIGTERM then Ctrl-C": [signal.SIGTERM, signal.SIGINT],
    "Ctrl-C twice": [signal.SIGINT] * 2,
    "Ctrl-C then SIGTERM": [signal.SIGINT, signal.SIGTERM],
}


# --- stores ---------------------------------------------------------------------------------------


def contents(store):
    """Return every file of a store but its ledger: hashes of data, documents without times."""
    found = {}
    for path in sorted(Path(store).rglob("*")):
        key = path.relative_to(store).as_posix()
        if path.is_file() and not key.startswith("ledger/"):
            found[key] = _without_times(path.read_bytes(), path.name)
    return found


def _without_times(data, name):
    with contextlib.suppress(ValueError, TypeError, KeyError):  # of damaged documents bytes count
        if name == "zarr.json":
            about = json.loads(data)
            own = about["attributes"].items()
            return about | {"attributes": {k: v for k, v in own if k not in TIMES}}
    return hashlib.sha256(data).hexdigest()


def assert_identical(store, whole):
    """Demand of a finished store every byte of an undisturbed one's contents, and no litter."""
    got = contents(store)
    assert got["zarr.json"]["attributes"]["complete"] == 1
    assert set(got) == set(whole)
    assert [key for key in whole if got[key] != whole[key]] == []
    assert verify(open_store(store)) == []
    assert litter(store) == []


def litter(store):
    """Return what interrupted writes have left in a store and beside it."""
    store = Path(store)
    found = [*store.rglob("*.partial"), *store.parent.glob(f".{store.name}.*.begun")]
    return sorted(str(path) for path in found)


def entries(store):
    """Return the blocks in the ledger of a store, each with what tells that it is rewritten."""
    found = {}
    for path in Path(store).glob("ledger/block-*"):
        with contextlib.suppress(FileNotFoundError):
            if not path.name.endswith(".partial"):
                about = path.stat()
                found[path.name] = (about.st_ino, about.st_mtime_ns)
    return found


def in_flight(store):
    """Return the blocks of a store that a killed run has written of, but not entered."""
    opened = open_store(store)
    names = (path.name for path in Path(store).glob("ledger/digests/*-*"))
    firsts = {int(found[1]) for found in (re.match(r"(\d+)-\d+", name) for name in names) if found}
    begun = [b for b, done in zip(blocks(opened.spec), opened.written, strict=True) if not done]
    return [block for block in begun if firsts & set(block)]


def raised(arguments, draws):
    """Return a command with another number of draws."""
    at = arguments.index("-n") + 1
    return [*arguments[:at], draws, *arguments[at + 1 :]]


# --- processes ------------------------------------------------------------------------------------


def finishes(*arguments, **options):
    """Run the real command, which must succeed without a word on stderr but of its scenario."""
    done = ndmc(*arguments, **options)
    assert (done.code, unwarned(done.err)) == (0, ""), done.err
    return done


def unwarned(err):
    """Return what stands on stderr beside warnings of what a scenario says or its draws are."""
    lines = err.splitlines(keepends=True)
    return "".join(one for one in lines if not re.match("warning: (flow|parameter) ", one))


def repairs(*arguments):
    """Run the real command over damage, which must succeed and may say what it computed again."""
    done = ndmc(*arguments)
    said = re.fullmatch(
        r"(warning: \S+: \d+ damaged or missing, computed again \(.*\)\n)?", done.err
    )
    assert (done.code, bool(said)) == (0, True), done.err


@dataclass(eq=False)
class Started:
    """The real command under way, in a process group of its own."""

    process: subprocess.Popen
    began: float = field(default_factory=time.monotonic)

    @property
    def ended(self):
        """Whether it has come to its end."""
        return self.process.poll() is not None

    def wait_for(self, condition):
        """Wait as closely as possible until something is so, or the process has ended."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, "it never came to be"
            if self.ended:
                return condition()
        return True

    def wait_until(self, seconds):
        """Wait until so many seconds after the start; return whether it is still running."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(max(self.began + seconds - time.monotonic(), 0))
        return not self.ended

    def handles(self, number):
        """Whether the process has a handler of its own for a signal: main() is under way."""
        with contextlib.suppress(OSError, StopIteration):
            status = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
            caught = next(line for line in status if line.startswith("SigCgt:"))
            return bool(int(caught.split()[1], 16) >> (number - 1) & 1)
        return False

    def send(self, number):
        """Send a signal to the process and all it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def kill(self):
        """Kill the whole process group; return whether it was killed and had not ended before."""
        self.send(signal.SIGKILL)
        _, err = self.process.communicate(timeout=PATIENCE)
        assert "Traceback" not in err, err
        return self.process.returncode == -signal.SIGKILL

    def stop(self, signals, pause=0.05):
        """Stop the process by signals; return how it ended, and after how many seconds."""
        began = time.monotonic()
        for number in signals:
            self.send(number)
            time.sleep(pause)
        return self.result(), time.monotonic() - began

    def result(self):
        """Wait for the end and return how it was."""
        out, err = self.process.communicate(timeout=PATIENCE)
        return Finished(self.process.returncode, out, err)


@contextlib.contextmanager
def started(*arguments, **environment):
    """Yield the real command under way; it is killed at the end with all it has started.

    With TOUCHES in the environment it kills or stops itself: see `DISTURBED`.
    """
    itself = [sys.executable, "-c", DISTURBED, *map(str, arguments)]
    process = subprocess.Popen(
        itself if "TOUCHES" in environment else command(*arguments),
        env={**os.environ, "COLUMNS": "200", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield Started(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


#: The command, killed by itself when it touches a file for the first time after one has changed.
KILLED_AT_A_STEP = """
import os, signal, sys
from ndmc.cli import main

def look():
    try:
        return os.stat(path).st_ino
    except FileNotFoundError:
        return None

def touch(event, _):
    if event in ("open", "os.rename", "os.remove") and look() != before:
        os.kill(os.getpid(), signal.SIGKILL)

path = sys.argv.pop(1)
before = look()
sys.addaudithook(touch)
main()
"""


def killed_at(path, *arguments):
    """Run the real command, killed when it has made, replaced or removed a file; return if so.

    Nobody who looks from outside is sure to look between two steps.
    """
    done = subprocess.run(
        [sys.executable, "-c", KILLED_AT_A_STEP, *map(str, (path, *arguments))],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode == -signal.SIGKILL


def killed(*arguments, after=None, when=None):
    """Run the real command, kill it at a moment; return whether it was still running."""
    with started(*arguments) as running:
        if when is not None:
            running.wait_for(when)
        else:
            running.wait_until(after)
        return running.kill()
