"""How a run that is stopped, or cannot write, ends: in one message."""

from __future__ import annotations

import contextlib
import errno
import signal
import threading
from collections.abc import Iterator

from ndmc.errors import RunError
from ndmc.runs.block import StoppedError


@contextlib.contextmanager
def one_message(url: str) -> Iterator[None]:
    """Turn what stops a run into one message that says how to go on."""
    go_on = "run the same command again to go on"
    try:
        with _stoppable():
            yield
    except BlockingIOError:
        raise RunError(f"another run writes to {url!r}; wait for it, or stop it") from None
    except StoppedError:
        raise KeyboardInterrupt from None
    except OSError as failed:
        remedy = "make room and " if failed.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        reason = failed.strerror or f"{failed}" or type(failed).__name__
        raise RunError(f"cannot write {url!r}: {reason}; {remedy}{go_on}") from None


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """Let SIGTERM end a run as Ctrl-C does: blocks in hand are dropped, the rest is safe."""
    taken = signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    if taken or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
