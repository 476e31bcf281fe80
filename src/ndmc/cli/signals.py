"""Ctrl-C and SIGTERM end a command, once, wherever they reach it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

_A_LITTLE = 0.05  # seconds, in which a callback ends

#: The signal of a timer. Windows has neither: there Ctrl-C that comes within a callback of C, which
#: is a moment in an hour, is lost and pressed again.
_TIMER = [signal.SIGALRM] if hasattr(signal, "setitimer") else []


#: Signals that have ended the command.
_came: list[int] = []


class _Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM.

    Python ends by the signal, whatever is caught, where a plain one is raised while text is
    executed, as dataclasses do when they are imported.
    """


def interruptible(command: Callable[[], int]) -> int:
    """Run a command that Ctrl-C and SIGTERM end, unless they are ignored; return what it does."""
    sys.unraisablehook = _interrupt_again
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as in the background of a shell
            signal.signal(number, _interrupt)
    try:
        return command()
    except Exception:
        if _came:  # within what others call back, as pydantic does: they have errors of their own
            raise _Interrupted from None
        raise


def ignore_signals() -> None:
    """Let nothing change how the command ends, now that it does."""
    for number in (signal.SIGINT, signal.SIGTERM, *_TIMER):
        signal.signal(number, signal.SIG_IGN)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """End as Ctrl-C does; once by SIGTERM, which batch systems send to a job and to all in it.

    Raised where nothing catches it any more, a second signal ended a stopped command by a
    traceback, once in some hundred that were sent two at once.
    """
    if number == signal.SIGTERM:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if interruptible.__code__ in _codes(frame):
        _came.append(number)
        raise _Interrupted


def _codes(frame: FrameType | None) -> Iterator[object]:
    """Return what runs, from the innermost call to the outermost."""
    while frame:
        yield frame.f_code
        frame = frame.f_back


def _interrupt_again(lost: Any) -> None:
    """Interrupt a little later where Python could not: in a callback of C, or in __del__."""
    if not isinstance(lost.exc_value, _Interrupted):
        sys.__unraisablehook__(lost)
        return
    for number in _TIMER:
        signal.signal(number, _interrupt)
        signal.setitimer(signal.ITIMER_REAL, _A_LITTLE)
