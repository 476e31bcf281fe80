"""Compile kernels beside the work that will need them."""

from __future__ import annotations

import atexit
import contextlib
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ndmc_kernels._cache import cache_directory
from ndmc_kernels._jit import LOCK, Kernel, cached_kernel


def compile_beside(kernels: Iterable[Kernel[Any]]) -> None:
    """Compile kernels in a process beside this one, unless they are in the cache.

    A call that needs one of them waits for the process, and compiles what it has not. Numba
    compiles in Python, so that threads would take turns.
    """
    directory = cache_directory()
    if directory is None:
        return
    missing = [kernel for kernel in kernels if not _is_cached(kernel, directory)]
    names = [f"{kernel.py_func.__module__}:{kernel.__qualname__}" for kernel in missing]
    if not names:
        return
    nothing = subprocess.DEVNULL
    command = [sys.executable, "-P", "-c", _BESIDE, *names]
    with contextlib.suppress(OSError):  # where no process can be started it is done here
        process = subprocess.Popen(command, stdin=nothing, stdout=nothing, stderr=nothing)
        atexit.register(process.kill)
        for kernel in missing:
            kernel.beside = process


_BESIDE = """
import importlib, sys
for name in sys.argv[1:]:
    module, kernel = name.split(":")
    getattr(importlib.import_module(module), kernel).compiled
"""


def _is_cached(kernel: Kernel[Any], directory: Path) -> bool:
    """Whether a kernel is compiled or in the cache, from where it is taken at once."""
    with LOCK, contextlib.suppress(Exception):
        dispatcher = cached_kernel(kernel.py_func, kernel.signature, directory)
        if "compiled" not in vars(kernel) and dispatcher is not None:
            vars(kernel)["compiled"] = dispatcher
    return "compiled" in vars(kernel)
