"""What every test may ask for: a small scenario, and the command in this process or its own."""

import functools
import os

import command
import pytest
from hypothesis import HealthCheck, settings
from tiny import write_scenario

# Threads of linear algebra wait in loops: two in each of two processes took 89 s of processors for
# the tests of least squares and draws, one takes 53. What pytest-xdist starts takes this over.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# The same examples at every run: what passes for one who lands a change passes for all who test it.
# New ones are looked for with --hypothesis-profile=random. How long one takes is the machine's
# affair.
settings.register_profile(
    "random", derandomize=False, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("same", settings.get_profile("random"), derandomize=True)
settings.load_profile("same")


def pytest_collection_modifyitems(items):
    """Begin with what waits for others, so that no process is left with it alone at the end."""
    waiting = ("test_slurm.py", "test_cluster.py", "test_cloud.py")
    items.sort(key=lambda item: (*waiting, item.path.name).index(item.path.name))


@pytest.fixture
def scenario(tmp_path):
    """Return a function that writes the tiny scenario, changed, to a folder of this test."""

    def write(folder="tiny", changes=None):
        return write_scenario(tmp_path / folder, changes)

    return write


@pytest.fixture
def cli(tmp_path):
    """Return a function that runs the command in this test's folder, in this process."""
    return functools.partial(command.here, folder=tmp_path)


@pytest.fixture
def process(tmp_path):
    """Return a function that runs the command in this test's folder, in a process of its own.

    The kernels it needs are compiled once for all tests: they share the user's kernel cache.
    """
    return functools.partial(command.ndmc, folder=tmp_path)
