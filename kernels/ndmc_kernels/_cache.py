"""Where compiled kernels are kept."""

from __future__ import annotations

import functools
import hashlib
import os
import stat
from importlib import metadata
from pathlib import Path


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
