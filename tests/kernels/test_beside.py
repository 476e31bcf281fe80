"""Kernels compiled in a process beside the work that will need them."""

import os
import subprocess
import sys

import pytest

CODE = """
import sys, time
from ndmc_kernels import beside, rows, sampling
beside.compile_beside([rows.survey, sampling.cdf])
process = rows.survey.beside
print(process is not None)
{then}
hits = [sum(kernel.compiled.stats.cache_hits.values()) for kernel in (rows.survey, sampling.cdf)]
print(hits, process is None or process.wait())
"""


def run(cache, then="", **environment):
    """Return the lines a fresh interpreter prints, with a cache of its own."""
    settings = {**os.environ, "NUMBA_CACHE_DIR": str(cache), **environment}
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(then=then)],
        env=settings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_what_is_missing_is_compiled_beside_and_then_taken(tmp_path):
    """The first call waits for the process and finds the kernel in the cache."""
    assert run(tmp_path) == ["True", "[1, 1] 0"]
    assert run(tmp_path) == ["False", "[1, 1] True"]


def test_a_process_that_dies_does_no_harm(tmp_path):
    """What it has not compiled is compiled here."""
    assert run(tmp_path, then="process.kill()") == ["True", "[0, 0] -9"]


@pytest.mark.parametrize("settings", [{"NDMC_KERNEL_CACHE": "off"}])
def test_without_a_cache_there_is_no_process(tmp_path, settings):
    """Nothing could be taken from it."""
    assert run(tmp_path, **settings) == ["False", "[0, 0] True"]
