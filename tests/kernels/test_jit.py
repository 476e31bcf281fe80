"""How kernels are compiled, called and cached."""

import os
import pickle
import platform
import subprocess
import sys
import threading
from pathlib import Path

import numba
import numpy as np
import pytest

import ndmc_kernels
from ndmc_kernels import _jit, cohort, digest, march, rows, sampling, survival

ROOT = Path(ndmc_kernels.__file__).parents[1]
USE = """
import numpy as np
from ndmc_kernels import _jit, rows
least, most = np.zeros((1, 64)), np.zeros((1, 64))
rows.survey(np.ones((2, 64)), np.arange(2), np.array([2]), least, most)
assert (least == 1).all()
print(_jit.cache_directory(), sum(rows.survey.compiled.stats.cache_hits.values()))
"""


def python(code, **environment):
    """Return what a fresh interpreter prints, with warnings as errors."""
    clean = {k: v for k, v in os.environ.items() if "CACHE" not in k}
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=clean | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def arrays(count, dtype=np.float64):
    """Return fresh arrays [row, draw]."""
    return [np.ones((2, 64), dtype=dtype) for _ in range(count)]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (np.ones((2, 64), np.float32), r"scores must be array\(float64, 2d, C\), not .*float32"),
        (np.ones((2, 128))[:, ::2], r"scores must be array\(float64, 2d, C\), not .*2d, A"),
        (np.ones((64, 2)).T, r"scores must be .*, not array\(float64, 2d, F\)"),
        (np.ones(64), r"scores must be .*, not array\(float64, 1d, C\)"),
        (np.ones((2, 64), object), r"scores must be .*, not array\(pyobject, 2d, C\)"),
        ([[1.0]], "scores must be .*, not reflected list"),
        (object(), "scores must be .*, not object"),
    ],
)
def test_wrong_arrays_are_refused(fault, message):
    """Names the argument, what it must be and what it is, and compiles nothing."""
    with pytest.raises(TypeError, match=f"cdf: {message}"):
        sampling.cdf(fault, np.ones((2, 64)))
    assert len(sampling.cdf.compiled.signatures) == 1


def test_read_only_arrays_are_refused():
    """Says that a read-only array will not do."""
    scores, out = arrays(2)
    scores.flags.writeable = False
    with pytest.raises(TypeError, match=r"scores must be .*, not .*readonly"):
        sampling.cdf(scores, out)


def test_a_missing_argument_is_named():
    """Reports a missing argument as Python does."""
    with pytest.raises(TypeError, match="missing a required argument: 'out'"):
        sampling.cdf(*arrays(1))


def test_arguments_can_be_named():
    """Accepts keyword arguments."""
    scores, out = arrays(2)
    sampling.cdf(out=out, scores=scores)
    np.testing.assert_allclose(out, 0.8413447460685429)


def test_kernels_look_like_functions():
    """Keeps name, docstring and Python body."""
    assert cohort.convolve.__name__ == "convolve"
    assert cohort.convolve.__doc__.startswith("Add up")
    assert cohort.convolve.py_func.__module__ == "ndmc_kernels.cohort"


def test_kernels_can_be_pickled():
    """Travels to another process by name."""
    assert pickle.loads(pickle.dumps(cohort.convolve)) is cohort.convolve


def test_threads_share_one_compilation():
    """Compiles once when many threads make the first call."""
    fresh = _jit.Kernel(rows.survey.py_func, rows.survey.signature)
    seen = []
    threads = [threading.Thread(target=lambda: seen.append(fresh.compiled)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8
    assert len({id(dispatcher) for dispatcher in seen}) == 1


def test_numba_is_left_as_it_was():
    """Does not move the cache of anyone else's functions."""
    before = numba.config.CACHE_DIR
    assert rows.survey.compiled
    assert before == numba.config.CACHE_DIR


def test_importing_compiles_nothing_and_stands_alone():
    """Imports NumPy and Numba only, and leaves compilation to the first call."""
    code = """
import sys
import numba, numpy, llvmlite.ir
before = set(sys.modules)
from ndmc_kernels import cohort, histogram, rows, sampling, survival
new = {name.split(".")[0] for name in set(sys.modules) - before}
print(new - sys.stdlib_module_names - {"numpy", "numba", "llvmlite"})
print("compiled" in vars(sampling.normals))
"""
    assert python(code) == "{'ndmc_kernels'}\nFalse"


def test_the_cache_is_ours_and_used(tmp_path):
    """Compiles into a private directory of ours, and loads from it in the next process."""
    directory, hits = python(USE, XDG_CACHE_HOME=str(tmp_path)).split()
    assert Path(directory).parent == tmp_path / "ndmc"
    assert Path(directory).stat().st_mode & 0o777 == 0o700
    assert int(hits) == 0
    assert python(USE, XDG_CACHE_HOME=str(tmp_path)) == f"{directory} 1"
    assert python(USE, NUMBA_CACHE_DIR=str(tmp_path), XDG_CACHE_HOME="/") == f"{directory} 1"


def test_the_cache_can_be_turned_off(tmp_path):
    """Works without a cache and writes nothing when told to."""
    got = python(USE, XDG_CACHE_HOME=str(tmp_path), NDMC_KERNEL_CACHE="off")
    assert got == "None 0"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("home", ["/dev/null", "/proc/nowhere"])
def test_an_unwritable_home_does_no_harm(home):
    """Compiles without a cache where none can be made."""
    assert python(USE, HOME=home) == "None 0"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_cache_does_no_harm(tmp_path):
    """Compiles without a cache in a directory without write permission."""
    tmp_path.chmod(0o500)
    assert python(USE, XDG_CACHE_HOME=str(tmp_path)) == "None 0"


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_directory_others_can_write_is_not_used(tmp_path, mode):
    """Neither reads nor writes where someone else could plant a pickle."""
    (tmp_path / "ndmc").mkdir()
    (tmp_path / "ndmc").chmod(mode)
    assert python(USE, XDG_CACHE_HOME=str(tmp_path)) == "None 0"
    assert not list((tmp_path / "ndmc").iterdir())


def test_a_linked_directory_is_not_used(tmp_path):
    """Does not follow a link that someone put in place of the cache."""
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "ndmc").symlink_to(tmp_path / "elsewhere")
    assert python(USE, XDG_CACHE_HOME=str(tmp_path)) == "None 0"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_foreign_directory_is_not_used(tmp_path):
    """Does not use a directory that belongs to someone else."""
    (tmp_path / "ndmc").mkdir(mode=0o700)
    os.chown(tmp_path / "ndmc", 12345, 12345)
    assert python(USE, XDG_CACHE_HOME=str(tmp_path)) == "None 0"


def test_a_damaged_cache_does_no_harm(tmp_path):
    """Compiles anew when the cached files are cut short."""
    python(USE, XDG_CACHE_HOME=str(tmp_path))
    files = list(tmp_path.rglob("*.nb?"))
    assert files
    for file in files:
        file.write_bytes(file.read_bytes()[:-20])
    assert python(USE, XDG_CACHE_HOME=str(tmp_path)).endswith(" 0")


@pytest.mark.skipif(platform.machine() != "x86_64", reason="looks for x86 registers")
@pytest.mark.torture
@pytest.mark.parametrize(
    "kernel",
    [
        survival.weibull,
        sampling.normals,
        cohort.convolve,
        march.march,
        rows.compute,
        rows.survey,
        digest.digest32,
        digest.add_up32,
    ],
)
def test_loops_over_draws_vectorise(kernel):
    """Uses vector registers where the processor has them."""
    if "avx2" not in Path("/proc/cpuinfo").read_text():
        pytest.skip("no AVX2")
    fresh = _jit.compile_kernel(kernel.py_func, kernel.signature, cache=None)
    (text,) = fresh.inspect_asm().values()
    assert "zmm" in text or "ymm" in text
