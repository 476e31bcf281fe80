"""Other processors: the same draws from kernels compiled for other vector registers."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

CODE = """
import json, sys
import numpy as np
import ndmc
found = {}
for name in ("china_nd", "steel_loop"):
    plan = ndmc.compile_plan(ndmc.load(name))
    results = ndmc.evaluate(plan, 7, range(100, 400))
    for output, values in results.items():
        found[f"{name} {output}"] = values.reshape(-1, 300).tolist()
json.dump(found, sys.stdout)
"""
#: Processors without, with short and with long vector registers, and with multiply-adds or not.
PROCESSORS = {
    "x86_64": {
        "128 bits, no multiply-adds": {"NUMBA_CPU_NAME": "generic"},
        "256 bits, no multiply-adds": {"NUMBA_CPU_NAME": "sandybridge"},
        "256 bits": {"NUMBA_CPU_NAME": "haswell"},
    },
    "aarch64": {"128 bits": {"NUMBA_CPU_NAME": "generic"}},
}


def draws(**environment):
    """Return results of a fresh process, whose kernels may be compiled for some processor.

    Numba keeps those of each apart: 12 s are spent once, not every time.
    """
    settings = {**os.environ, **environment}
    done = subprocess.run(
        [sys.executable, "-c", CODE], env=settings, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return {name: np.array(values) for name, values in json.loads(done.stdout).items()}


@pytest.fixture(scope="module")
def here():
    """Return the results of this processor, for which kernels are compiled and kept."""
    return draws()


def known(registers):
    """Whether this machine can run what is compiled for some registers."""
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    return "256" not in registers or "avx2" in flags


@pytest.mark.torture
@pytest.mark.parametrize("registers", PROCESSORS.get(platform.machine(), {}))
def test_processors_agree(here, registers):
    """Every output agrees to 1e-12 of the largest value of its series."""
    if not known(registers):
        pytest.skip("this processor has no such registers")
    there = draws(
        **PROCESSORS[platform.machine()][registers],
        NUMBA_CPU_FEATURES="",
    )
    assert list(there) == list(here)
    for name, values in here.items():
        largest = np.abs(values).max(axis=0)
        assert (np.abs(there[name] - values) <= 1e-12 * largest + 1e-300).all(), name
