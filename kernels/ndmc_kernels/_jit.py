"""Every Numba setting of the package: how kernels are compiled, called and cached."""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Generic, NoReturn, ParamSpec, TypeVar, cast

import numpy as np

from ndmc_kernels._cache import cache_directory

# Untyped on purpose: the annotations of Numba know neither all its options nor its intrinsics.
numba: Any = importlib.import_module("numba")
extending: Any = importlib.import_module("numba.extending")
sigutils: Any = importlib.import_module("numba.core.sigutils")
ir: Any = importlib.import_module("llvmlite.ir")

if numba.config.DISABLE_JIT:
    raise ImportError("NUMBA_DISABLE_JIT is set, but ndmc runs compiled only; unset it")

P = ParamSpec("P")
F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = {
    # Without nogil the threads of a run would take turns.
    "nogil": True,
    # Division by zero gives inf or nan, as in NumPy; a check would keep loops scalar.
    "error_model": "numpy",
    # Fused multiply-adds only: `True` would drop the NaN and infinity selects of `elementary`, and
    # `reassoc` make the order of a sum depend on the width of the vector registers.
    "fastmath": {"contract"},
    # Nothing calls the kernels from C.
    "no_cfunc_wrapper": True,
}
LOCK = threading.Lock()


class Kernel(Generic[P]):
    """A function compiled for one signature on its first call; `py_func` is its Python body."""

    __name__: str
    __qualname__: str

    def __init__(self, function: Callable[P, None], signature: str) -> None:
        functools.update_wrapper(self, function)
        self.py_func = function
        self.signature = signature
        self.beside: subprocess.Popen[bytes] | None = None

    @functools.cached_property
    def compiled(self) -> Any:
        """The dispatcher of the one compiled signature."""
        with LOCK:
            found = self.__dict__.get("compiled") or self._awaited()
            return found or _compile(self.py_func, self.signature)

    def _awaited(self) -> Any:
        """Return what the process beside this one compiles, or None if it ends without."""
        directory = cache_directory()
        while self.beside is not None and directory is not None:
            over = self.beside.poll() is not None
            with contextlib.suppress(Exception):
                found = cached_kernel(self.py_func, self.signature, directory)
                if found is not None:
                    return found
            if over:
                break
            time.sleep(0.05)
        return None

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            self.compiled(*args, **kwargs)
        except TypeError as error:
            self._explain(error, *args, **kwargs)

    def __reduce__(self) -> str:
        return self.__qualname__

    def _explain(self, error: TypeError, *args: P.args, **kwargs: P.kwargs) -> NoReturn:
        """Name the arguments whose type or layout differs from the signature."""
        given = inspect.signature(self.py_func).bind(*args, **kwargs).arguments
        wanted, _ = sigutils.normalize_signature(self.signature)
        faults = [
            f"{name} must be {want}, not {_type(value)}"
            for (name, value), want in zip(given.items(), wanted, strict=True)
            if isinstance(want, numba.types.Array) and _type(value) != want
        ]
        raise TypeError(f"{self.__name__}: {'; '.join(faults) or error}") from None


def _type(value: object) -> object:
    try:
        return numba.typeof(value)
    except (ValueError, numba.errors.NumbaError):
        return type(value).__name__


def kernel(signature: str) -> Callable[[Callable[P, None]], Kernel[P]]:
    """Compile a function for one signature on its first call; other array types raise TypeError."""
    return lambda function: Kernel(function, signature)


def named(name: str, function: Callable[..., None], signature: str) -> Kernel[Any]:
    """Return a kernel under a name of its own, by which it is pickled: one body, many types."""
    made: Kernel[Any] = Kernel(function, signature)
    made.__name__ = made.__qualname__ = name
    return made


def inline(function: F) -> F:
    """Make a scalar function callable from kernels only, under the same arithmetic."""
    # A call left in a loop keeps it scalar: 26 ns a normal score instead of 7.
    return cast(F, numba.njit(forceinline=True, no_cpython_wrapper=True, **_OPTIONS)(function))


def unfused(function: F) -> F:
    """Make a function as `inline` does, of which no multiplication is fused with an addition."""
    # Its bits are those of NumPy. Callers hand down their own settings where it has none.
    options = {**_OPTIONS, "fastmath": False}
    return cast(F, numba.njit(forceinline=True, no_cpython_wrapper=True, **options)(function))


def _compile(function: Callable[..., None], signature: str) -> Any:
    directory = cache_directory()
    if directory is not None:
        with contextlib.suppress(Exception):  # a damaged or full cache must not stop a run
            return compile_kernel(function, signature, cache=directory)
    return compile_kernel(function, signature, cache=None)


def compile_kernel(function: Callable[..., None], signature: str, *, cache: Path | None) -> Any:
    """Return Numba's dispatcher of one signature, which refuses all others."""
    dispatcher = None if cache is None else cached_kernel(function, signature, cache)
    if dispatcher is None:
        with _cache_at(cache):
            dispatcher = numba.njit(cache=cache is not None, **_OPTIONS)(function)
            dispatcher.compile(signature)
    dispatcher.disable_compile()
    return dispatcher


def cached_kernel(function: Callable[..., None], signature: str, cache: Path) -> Any:
    """Return the dispatcher of a kernel from the cache, or None."""
    with _cache_at(cache):
        dispatcher = numba.njit(cache=True, **_OPTIONS)(function)
        if not _load(dispatcher, signature):
            return None
    dispatcher.disable_compile()
    return dispatcher


@contextlib.contextmanager
def _cache_at(directory: Path | None) -> Iterator[None]:
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = before if directory is None else str(directory)
    try:
        yield
    finally:
        numba.config.CACHE_DIR = before


def _load(dispatcher: Any, signature: str) -> bool:
    """Take a kernel from the cache, if it is there.

    Numba would do the same, but first fill all its tables of what it can compile: 0.4 to 0.6 s.
    tests/kernels/test_jit.py holds this to compiling.
    """
    with numba.core.compiler_lock.global_compiler_lock, contextlib.suppress(Exception):
        numba.core.runtime.rtsys.initialize(dispatcher.targetctx)
        found = dispatcher._cache._load_overload(signature, dispatcher.targetctx)
        if found is not None:
            dispatcher._cache_hits[signature] += 1
            dispatcher.add_overload(found)
            return True
    return False


def _reinterpret(result: Any, argument: Any, llvm_type: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(*arguments, llvm_type)

    def bitcast(context: Any, value: Any) -> Any:
        return result(argument), generate

    return extending.intrinsic(bitcast)


#: The bits of a double as a signed integer, and back: for kernels only.
bits: Callable[[float], int] = _reinterpret(numba.int64, numba.float64, ir.IntType(64))
double: Callable[[int | np.int64], float] = _reinterpret(
    numba.float64, numba.int64, ir.DoubleType()
)


def _lowest(context: Any, word: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(*arguments, ir.Constant(ir.IntType(1), 1))

    return numba.int64(numba.uint64), generate


#: The zeros below the lowest set bit of a word, which has one: for kernels only.
trailing_zeros: Callable[[np.uint64], int] = extending.intrinsic(_lowest)
