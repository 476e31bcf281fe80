"""What a folder needs of a POSIX system, in one place: Windows has no like of it.

Locks are those of ``flock``: many share one or one has it alone, within a process as between
processes; it goes with who holds it, even by a kill; and a folder can be locked while it is filled.
Libraries keep less. Of filelock 4.3 only exclusive locks are the system's: shared ones are rows of
SQLite, or leases that outlive a kill. Locks of fasteners 0.20 do not exclude within a process. Of
portalocker 4.4 they are these very calls on POSIX systems; on Windows it gives up waiting after ten
seconds, where a merge takes minutes, shares none without pywin32, and locks no folder.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from ndmc.errors import RunError


@contextlib.contextmanager
def locked(path: Path, *, shared: bool, wait: bool) -> Iterator[None]:
    """Hold a lock on a file or folder, alone or with others.

    Raises
    ------
    BlockingIOError
        If another has it and one does not wait.
    RunError
        If the system or the file system has no locks.
    """
    try:
        import fcntl
    except ImportError:
        message = "this system has no locks such as runs need"
        raise RunError(f"{message}; run on Linux or macOS, or in WSL") from None
    descriptor = os.open(path, os.O_RDONLY)
    try:
        kind = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
        try:
            fcntl.flock(descriptor, kind)
        except OSError as failed:
            if failed.errno in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):
                message = f"the file system of {str(path.parent)!r} has no locks"
                raise RunError(f"{message}; mount it with flock, or choose another --out") from None
            raise
        yield
    finally:
        os.close(descriptor)


def flush(path: str | Path) -> None:
    """Make a file durable, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
