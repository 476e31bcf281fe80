"""The command line. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import io
import os
import sys
from typing import Annotated, Any, NoReturn

import typer

from ndmc.cli.command import Command
from ndmc.cli.compare import compare
from ndmc.cli.ensemble import ensemble
from ndmc.cli.export import export
from ndmc.cli.reconcile import reconcile
from ndmc.cli.run import finish, job, run
from ndmc.cli.scenario import check, new, scenarios, schema, show
from ndmc.cli.sensitivity import sensitivity
from ndmc.cli.signals import ignore_signals, interruptible
from ndmc.cli.store import info, percentiles, validate
from ndmc.cli.warned import warnings_printed
from ndmc.errors import InputError, RunError, readable

app = typer.Typer(
    help="Monte Carlo material flow analysis: labelled scenarios in, exact percentiles out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

#: The family of errors of typer's own; where it lies has moved between its versions.
_UsageError: Any = typer.BadParameter.__base__

_INTERRUPTED = 130  # what typer makes of Ctrl-C

#: Commands that go on where they were stopped.
_GO_ON = ("run", "sensitivity", "ensemble", "finish")


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(version("ndmc"))
        raise typer.Exit


@app.callback()
def common(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """Monte Carlo material flow analysis: labelled scenarios in, exact percentiles out."""
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        raise InputError("it is set, but ndmc runs compiled only; unset it", "NUMBA_DISABLE_JIT")
    context.with_resource(warnings_printed())


for command in (
    scenarios, show, check, run, sensitivity, ensemble, compare, finish, job, info, percentiles,
    export, validate, reconcile, new, schema,
):  # fmt: skip
    app.command(cls=Command)(command)


def main() -> None:
    """Run the command line: exit 0 done, 1 failed, 2 wrong input."""
    _open_closed_streams()
    _escape_what_cannot_be_encoded()
    try:
        code = interruptible(_command)
    except _UsageError as wrong:
        _quit_usage(wrong)
    except InputError as wrong:
        _quit(2, *str(wrong).split("\n"))
    except RunError as failed:
        _quit(1, str(failed))
    except KeyboardInterrupt:
        _quit(1, stopped())
    except MemoryError:
        _quit(1, "out of memory; give --memory what is free, or lower --workers")
    except BrokenPipeError:
        _drop_output()
        sys.exit(1)
    except OSError as failed:
        _quit(1, f"{failed.strerror or failed}{f': {failed.filename}' if failed.filename else ''}")
    else:
        if code == _INTERRUPTED:
            _quit(1, stopped())
        ignore_signals()
        sys.exit(code)


def _command() -> int:
    """Run what the command line says, and return its exit code."""
    _check_folder()
    code: int = app(prog_name="ndmc", standalone_mode=False)
    sys.stdout.flush()
    return code


def _open_closed_streams() -> None:
    """Let what nobody reads go nowhere: Python has no stream where one was closed before it."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - to the end


def _check_folder() -> None:
    """Refuse to run nowhere, where each path would fail with words of its own."""
    try:
        os.getcwd()
    except OSError as failed:
        message = f"the working directory is gone ({failed.strerror})"
        raise RunError(f"{message}; change to one that exists") from None


def _escape_what_cannot_be_encoded() -> None:
    """Let a terminal without a letter show its number; stderr does so by itself."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _quit_usage(wrong: Any) -> None:
    """Say what is wrong with a command in one line; where nothing is given, show the help."""
    text = wrong.format_message()
    if type(wrong).__name__ == "NoArgsIsHelpError":
        print(text, file=sys.stderr)
        sys.exit(2)
    if "unexpected extra argument" in text:
        text = f"{text.rstrip('.')}: put texts with blanks in quotes"
    path = wrong.ctx.command_path if wrong.ctx else "ndmc"
    _quit(2, f"{text[:1].lower()}{text[1:].rstrip('.')}; see {path} --help")


def stopped() -> str:
    """Return what is said of a command that is stopped."""
    goes_on = bool({*sys.argv[1:2]}.intersection(_GO_ON))
    return "stopped" + "; a run goes on where it stopped by the same command" * goes_on


def _quit(code: int, *messages: str) -> NoReturn:
    ignore_signals()
    for message in messages:
        print(f"error: {readable(message)}", file=sys.stderr)
    _drop_output()
    sys.exit(code)


def _drop_output() -> None:
    """Let what cannot be written go nowhere: Python would try again at its end, and fail."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
