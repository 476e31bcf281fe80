"""A run in parts: the command slowed down or killed, and the arrays its store must hold."""

import time

import zarr
from numpy.testing import assert_array_equal

from ndmc.store.opening import open_store

KEEP = ["in_use", "recycled_share"]
PARTS = ["1/3", "2/3", "3/3"]

#: The command, with work that takes its time, or killed or stopped: when it would merge the
#: percentiles, or touches a file of its store for the n-th time.
DISTURBED = """
import os, signal, sys, time
from ndmc import cli
from ndmc.runs import run
from ndmc.runs.block import Work

def compute(self, *arguments, original=Work.compute):
    time.sleep(float(os.environ.get("SLOW", "0")))
    return original(self, *arguments)

def die(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)

def touch(event, arguments):
    global touches
    if event in ("open", "os.rename", "os.remove") and "run.zarr" in str(arguments[0]):
        touches += 1
        if touches == int(os.environ["TOUCHES"]):
            os.kill(os.getpid(), getattr(signal, "SIG" + os.environ["BY"]))

touches = 0
Work.compute = compute
if "DIE" in os.environ:
    run.percentiles_of = die
if "TOUCHES" in os.environ:
    sys.addaudithook(touch)
sys.argv = ["ndmc", *sys.argv[1:]]
cli.main()
"""

#: What differs between runs of the same numbers.
TIMES = {"started", "finished", "checksum"}


def until(what, name, timeout, every=0.02):
    """Wait until ``what()`` is true, and return it."""
    end = time.monotonic() + timeout
    while not (found := what()):
        assert time.monotonic() < end, f"waited {timeout} s for {name}"
        time.sleep(every)
    return found


def blocks(store):
    """Return the blocks in the ledger of a run, and when each was written."""
    whole = [path for path in (store / "ledger").glob("block-*") if not path.suffix]
    return {path.name: path.stat().st_mtime_ns for path in whole}


def arrays(path):
    """Return every number and text in a store, by its place."""
    root = zarr.open_group(path, mode="r", use_consolidated=False)
    found = {}

    def gather(group, prefix):
        for name, array in group.arrays():
            if prefix + name != "ledger":
                found[prefix + name] = array[...]
        for name, inner in group.groups():
            if prefix + name != "blocks":
                gather(inner, f"{prefix}{name}/")

    gather(root, "")
    return found


def assert_identical(path, expected, but=()):
    """Demand every array and attribute of another store, but for times and those named."""
    got, wanted = arrays(path), arrays(expected)
    assert set(got) == set(wanted)
    for name, values in wanted.items():
        assert_array_equal(got[name], values, name)
    facts = [
        {k: v for k, v in open_store(one).attrs.items() if k not in {*TIMES, *but}}
        for one in (path, expected)
    ]
    assert facts[0] == facts[1]
    assert facts[0]["complete"]


def ended(process, timeout=120):
    """Wait for a process and return its status, and what it printed."""
    out, err = process.communicate(timeout=timeout)
    return process.returncode, out, err
