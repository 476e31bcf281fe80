"""The command in forks of a process that has everything in memory: how it ended and what it took.

A fork of it takes a hundredth of what a process of its own takes, and shows the same: its exit
code, what it says, its time and memory, and every file that it opened. Only POSIX forks.
"""

import atexit
import contextlib
import faulthandler
import gc
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

#: Seconds of processor after which a command hangs; on a clock a busy machine takes longer.
SECONDS = 20
PATIENCE = 6 * SECONDS
#: Bytes that a command may hold in memory, and that it may ask for before it is refused more.
MEMORY, MOST = 2**30, 6 * 2**30
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


@dataclass(frozen=True)
class Watched:
    """How a command ended: ``read`` and ``written`` are the files that it opened."""

    code: int
    out: str
    err: str
    seconds: float
    memory: int
    read: list = field(default_factory=list)
    written: list = field(default_factory=list)

    @property
    def complaints(self):
        """What no command may do, whatever it is given."""
        lines = [line for line in self.err.splitlines() if not line.startswith("warning: ")]
        if self.err.startswith("Usage: ndmc"):  # where nothing is given
            lines = ["error: " + lines[0]]
        said = bool(lines) and all(line.startswith("error: ") for line in lines)
        found = {
            f"exit {self.code}": self.code not in (0, 1, 2),
            "a traceback": "Traceback" in self.err,
            f"{self.seconds:.0f} s of processor": self.seconds > SECONDS,
            f"{self.memory / 2**20:.0f} MiB": self.memory > MEMORY,
            "no message": self.code in (1, 2) and not said,
            "more than one message": self.code == 1 and len(lines) > 1,
            "too many mistakes at once": len(lines) > 21,
            "a word on stderr": self.code == 0 and bool(lines),
            "a message longer than a page": max(map(len, lines), default=0) > 4000,
            "messages longer than pages": len(self.err) > 12_000,
        }
        return [text for text, so in found.items() if so]


class Watcher:
    """The process that forks: give it commands, one after the other."""

    def __init__(self, folder):
        path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
        self.process = subprocess.Popen(
            [sys.executable, "-c", "import watched; watched.serve()", str(folder)],
            env={**os.environ, "PYTHONPATH": path, **_NOWHERE},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments, folder):
        """Run a command in a folder to its end."""
        asked = {"arguments": [str(one) for one in arguments], "folder": str(folder)}
        print(json.dumps(asked), file=self.process.stdin, flush=True)
        return Watched(**json.loads(self.process.stdout.readline()))

    def close(self):
        """End the process."""
        self.process.stdin.close()
        self.process.wait(PATIENCE)
        self.process.stdout.close()


#: Buckets and schedulers are not reached from here: they are refused at once.
_NOWHERE = {
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_MAX_ATTEMPTS": "1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_ACCESS_KEY_ID": "nobody",
    "AWS_SECRET_ACCESS_KEY": "nothing",
    "MPLBACKEND": "agg",
    "COLUMNS": "120",
}


# --- the process that forks -----------------------------------------------------------------------


def serve():
    """Run the commands that stdin asks for, each in a fork of this process."""
    _prepare()
    own = Path(sys.argv[1])
    gc.freeze()
    for line in iter(sys.stdin.readline, ""):
        print(json.dumps(_watch(json.loads(line), own)), flush=True)


def _prepare():
    """Import and compile what commands need, by running some."""
    import dask.array  # noqa: F401
    import matplotlib.pyplot  # noqa: F401
    import xarray  # noqa: F401
    import zarr  # noqa: F401
    from command import here

    with tempfile.TemporaryDirectory() as folder:
        for arguments in (
            ["run", "starter", "-n", "300", "--out", "run.zarr", "--keep", "in_use"],
            ["percentiles", "run.zarr", "-v", "in_use", "-q", "7"],
            ["info", "run.zarr", "--verify"],
            ["check", "starter", "--graph", "system.svg"],
            ["reconcile", "china_nd_published", "-n", "64"],
        ):
            done = here(*arguments, folder=folder)
            assert done.code == 0, done


def _watch(asked, own):
    """Fork, wait for the end, and return how it was."""
    out, err, files = (own / name for name in ("out", "err", "files"))
    began = time.monotonic()
    child = os.fork()
    if not child:
        _become(asked, out, err, files)
    status, used = _wait(child, began)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # what it has started
    touched = [json.loads(line) for line in files.read_text().splitlines()]
    return {
        "code": os.waitstatus_to_exitcode(status),
        "out": out.read_text(errors="replace"),
        "err": err.read_text(errors="replace"),
        "seconds": used.ru_utime + used.ru_stime,
        "memory": used.ru_maxrss * 1024,
        "read": sorted({path for writes, path in touched if not writes}),
        "written": sorted({path for writes, path in touched if writes}),
    }


def _wait(child, began):
    """Wait for a fork; one that hangs says where, and is killed."""
    for number in (0, signal.SIGXCPU, signal.SIGKILL):
        if number:
            os.kill(child, number)
        while time.monotonic() < began + PATIENCE or number:
            ended, status, used = os.wait4(child, os.WNOHANG)
            if ended:
                return status, used
            time.sleep(0.002)
            if number and time.monotonic() > began + PATIENCE + 5:
                break
    raise AssertionError("it cannot be killed")


def _become(asked, out, err, files):
    """Turn this fork into the command, which ends as it always does."""
    from ndmc.cli import main

    os.setpgid(0, 0)
    for path, number in ((os.devnull, 0), (out, 1), (err, 2)):
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        os.dup2(opened, number)
        os.close(opened)
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS + 1, SECONDS + 5))
    resource.setrlimit(resource.RLIMIT_AS, (MOST, MOST))
    faulthandler.enable(sys.__stderr__)
    faulthandler.register(signal.SIGXCPU, sys.__stderr__, chain=True)
    os.chdir(asked["folder"])
    sys.argv = ["ndmc", *asked["arguments"]]
    _record(files)
    _end(main)


def _end(main):
    """End as the interpreter does, but for giving its memory back, which takes 0.6 s."""
    code = 1
    try:
        main()
    except SystemExit as ended:
        code = ended.code or 0
    except BaseException:
        traceback.print_exc()
    threading._shutdown()
    atexit._run_exitfuncs()
    with contextlib.suppress(ValueError, OSError):
        sys.stdout.flush()
    os._exit(code)


_CHANGING = (
    "os.mkdir",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.truncate",
    "os.link",
    "os.symlink",
)


def _record(files):
    """Write down every file that is opened or changed from now on."""
    record = files.open("w", buffering=1)

    def touched(event, arguments):
        if event not in ("open", *_CHANGING) or not isinstance(arguments[0], str | bytes):
            return
        writes = event != "open" or bool(arguments[2] & _WRITING)
        record.write(json.dumps([writes, os.path.abspath(os.fsdecode(arguments[0]))]) + "\n")

    sys.addaudithook(touched)
