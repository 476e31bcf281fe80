"""Here every command is a process of its own: it is killed, stopped and taken its disk away."""

import itertools
import os
import random
import shutil
import time

import pytest
from disturbed import contents, finishes

#: Tests whose cases are drawn go on for so many minutes, and draw from this seed.
MINUTES = float(os.environ.get("NDMC_TORTURE_MINUTES", "0.25"))
SEED = int(os.environ.get("NDMC_TORTURE_SEED", "1"))


@pytest.fixture
def cli(process):
    """Return a function that runs the real command in this test's folder."""
    return process


@pytest.fixture
def chances(request):
    """Return numbered chances to draw a case from, until the time of this test is over.

    The same number, seed and test give the same case, however many there were before.
    """
    end = time.monotonic() + 60 * MINUTES

    def chance(number):
        return random.Random(f"{SEED} {request.node.name} {number}")

    numbers = itertools.takewhile(lambda _: time.monotonic() < end, itertools.count())
    return ((number, chance(number)) for number in numbers)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """Return a function: the contents of an undisturbed run of a command, and its seconds."""
    known = {}

    def look(arguments):
        if str(arguments) not in known:
            out = tmp_path_factory.mktemp("whole") / "run.zarr"
            began = time.monotonic()
            finishes(*arguments, "--out", out)
            known[str(arguments)] = contents(out), time.monotonic() - began
            shutil.rmtree(out)
        return known[str(arguments)]

    return look
