"""Parts of a run, each a process of its own: in any order, at once, killed, twice."""

import os
import time

from numpy.testing import assert_array_equal
from test_store import arrays

from ndmc.store import open_store

#: What differs between runs of the same numbers.
TIMES = {"started", "finished", "checksum"}


def until(what, name, timeout):
    """Wait until ``what()`` is true, and return it."""
    end = time.monotonic() + timeout
    while not (found := what()):
        assert time.monotonic() < end, f"waited {timeout} s for {name}"
        time.sleep(0.02)
    return found


def blocks(store):
    """Return the blocks in the ledger of a run, and when each was written."""
    return {path.name: path.stat().st_mtime_ns for path in (store / "ledger").glob("block-*")}


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
