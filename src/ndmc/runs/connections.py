"""Connections to a Dask cluster: to a scheduler, or to processes of our own."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from ndmc.errors import InputError, RunError

#: Seconds to wait for a scheduler.
_PATIENCE = 20


@contextlib.contextmanager
def connect(address: str, workers: int | None) -> Iterator[Any]:
    """Yield a client of a scheduler, or of processes of our own that listen on loopback only.

    TLS and all other settings are those of Dask's configuration.

    Raises
    ------
    InputError
        If there is none, or Dask's distributed part is not installed.
    RunError
        If processes of our own cannot be started.
    """
    try:
        distributed = distributed_library()
    except ImportError:
        message = "this needs distributed; install it with: pip install distributed"
        raise InputError(message, "--scheduler" if address else "--processes") from None
    if address:
        _check_address(distributed, address)
    with _quiet(), contextlib.ExitStack() as stack:
        if not address:
            with _held_back():
                cluster = stack.enter_context(_processes(distributed, workers))
            address = cluster.scheduler_address
        try:
            client = distributed.Client(address, timeout=_PATIENCE, set_as_default=False)
        except (OSError, ValueError) as failed:
            reason = next(iter(f"{failed}".splitlines()), type(failed).__name__)
            message = f"no scheduler answers at {address!r} ({reason}); is it running?"
            raise InputError(message, "--scheduler") from None
        yield stack.enter_context(client)


def _check_address(distributed: Any, address: str) -> None:
    """Refuse what is no address: Dask would make half a client, which takes 40 s to close."""
    try:
        scheme, rest = distributed.comm.addressing.parse_address(address)
        distributed.comm.registry.get_backend(scheme)
        distributed.comm.addressing.parse_host_port(rest)
    except ValueError as wrong:
        message = f"{address!r} is no address ({wrong}); write it like tcp://host:8786"
        raise InputError(message, "--scheduler") from None
    context = distributed.Security().get_connection_args("client")["ssl_context"]
    if scheme == "tls" and context is None:
        message = f"{address} needs certificates; set distributed.comm.tls in Dask's configuration"
        raise InputError(message, "--scheduler")


#: What ends a run: the client alone hears it, as batch systems signal all processes at once.
_FOR_THE_CLIENT = (signal.SIGINT, signal.SIGTERM)

#: Dask has the processes it starts give memory back at once, and get it again for every array: a
#: run takes 1.5 to 1.8 times as long.
_OWN = {"distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None}


@contextlib.contextmanager
def _held_back() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM wait, in processes that are started meanwhile for ever.

    Dask cannot be stopped while it starts, which takes two seconds: that ended in tracebacks of its
    own and of its processes, or not at all.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # which lets the signals of its thread through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _FOR_THE_CLIENT)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _processes(distributed: Any, workers: int | None) -> Any:
    import dask

    try:
        with dask.config.set(_OWN):
            return distributed.LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",  # else 8787, and a warning if it is taken
                scheduler_kwargs={"dashboard": False},
                silence_logs=logging.CRITICAL,
                preload=[__name__],
            )
    except (OSError, RuntimeError) as failed:
        reason = next(iter(f"{failed}".splitlines()), type(failed).__name__)
        raise RunError(f"the worker processes could not be started ({reason})") from None


def dask_setup(worker: Any) -> None:
    """Leave it to the client to end: Ctrl-C and batch systems signal all processes at once."""
    if threading.current_thread() is threading.main_thread():
        for number in _FOR_THE_CLIENT:
            signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask's log off the terminal, unless Dask is told by its configuration what to log."""
    import dask

    if dask.config.get("logging", None):
        yield
        return
    names = ("distributed", "distributed.client", "tornado", "tornado.application", "asyncio")
    before = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)


def distributed_library() -> Any:
    """Return the library, untyped on purpose: its functions have no annotations."""
    return import_module("distributed")
