"""Where compiled kernels are kept, and compiling them while a program still starts.

Nothing here imports Numba, so that a program can ask early.
"""

from __future__ import annotations

import functools
import hashlib
import os
import stat
import subprocess
import sys
from importlib import metadata
from pathlib import Path

_AHEAD: list[subprocess.Popen[bytes]] = []


@functools.cache
def cache_directory() -> Path | None:
    """Return a directory that only this user can write, or None: compile without a cache."""
    # Elsewhere than on POSIX the mode bits do not tell who may write.
    if os.environ.get("NDMC_KERNEL_CACHE") == "off" or os.name != "posix":
        return None
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    try:
        base = Path(os.environ.get("NUMBA_CACHE_DIR") or home).expanduser().absolute()
        base.mkdir(parents=True, exist_ok=True)
        # Cached files are pickles: whoever can write one runs code here, so both levels are ours.
        parent = base / "ndmc"
        directory = parent / f"kernels-{_source_hash()}"
        return directory if _is_private(parent) and _is_private(directory) else None
    except (OSError, RuntimeError):  # RuntimeError: there is no home directory
        return None


def _is_private(directory: Path) -> bool:
    directory.mkdir(mode=0o700, exist_ok=True)
    status = directory.lstat()
    private = stat.S_ISDIR(status.st_mode) and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return private and status.st_uid == os.geteuid() and os.access(directory, os.W_OK)


def _source_hash() -> str:
    """Hash every module: Numba does not see edits of callees in other files (numba#1833)."""
    digest = hashlib.sha256(metadata.version("numba").encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def compile_ahead() -> None:
    """Begin to compile the common kernels in a process of its own, if none are cached yet.

    Compiling takes 1.3 s, about as long as a run takes to read its scenario and make its store;
    the first kernel that is needed waits for the rest.
    """
    directory = cache_directory()
    alone = len(os.sched_getaffinity(0)) < 2 if hasattr(os, "sched_getaffinity") else True
    if directory is None or alone or any(directory.iterdir()):
        return
    command = [sys.executable, "-m", "ndmc_kernels"]
    quiet = subprocess.DEVNULL
    _AHEAD.append(subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet))


def wait() -> None:
    """Wait for the process that compiles ahead, if there is one."""
    while _AHEAD:
        _AHEAD.pop().wait()
