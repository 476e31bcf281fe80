"""The command, in a process of its own or in this one, and how it ended."""

import contextlib
import io
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from ndmc.cli import main

#: Seconds in which a command must have ended.
PATIENCE = 120
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)


@dataclass(frozen=True)
class Finished:
    """How a command ended."""

    code: int
    out: str
    err: str


def command(*arguments):
    """Return the real command, in this interpreter."""
    return [sys.executable, "-m", "ndmc", *map(str, arguments)]


def altered(arguments, *options):
    """Return a command with other values of some options, each of which is given once."""
    kept = [str(one) for one in arguments]
    for option in {*options} & {*kept}:
        if option.startswith("-"):
            at = kept.index(option)
            del kept[at : at + 2]
    return [*kept, *options]


def ndmc(*arguments, before=(), folder=None, **environment):
    """Run the real command to its end, behind another one if given."""
    done = subprocess.run(
        [*map(str, before), *command(*arguments)],
        cwd=folder,
        env={**os.environ, "COLUMNS": "120", **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


def here(*arguments, folder=None, encoding="utf-8", **environment):
    """Run the command in this process, which is as it was before.

    The same ``main`` gives the same words and exit code in a hundredth of the time, without the
    start of an interpreter and its imports. Warnings are errors, and a traceback is the test's.
    """
    out, err = io.TextIOWrapper(io.BytesIO(), encoding), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        _signals_kept(),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.chdir(folder or Path.cwd())
        patch.setattr(sys, "argv", ["ndmc", *map(str, arguments)])
        patch.setattr(sys, "unraisablehook", sys.unraisablehook)
        for name, value in {"COLUMNS": "120", **environment}.items():
            patch.setenv(name, value)
        with pytest.raises(SystemExit) as ended:
            main()
    out.flush()
    return Finished(
        ended.value.code or 0, out.buffer.getvalue().decode(out.encoding), err.getvalue()
    )


@contextlib.contextmanager
def _signals_kept():
    """Give signals back to those who handled them: main() ignores them at its end."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
