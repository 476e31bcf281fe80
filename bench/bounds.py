"""What this machine can do at most: bytes, multiply-adds and exponentials a second, one thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numba
import numpy as np

from ndmc_kernels._jit import kernel
from ndmc_kernels.elementary import exp

CHAIN = 16  # steps of each chain of `multiply_add`
CHAINS = 8
IN_CACHE = 2048


@dataclass(frozen=True)
class Needs:
    """What a draw cannot do without: bytes in and out of memory, multiply-adds, exponentials."""

    bytes: float
    macs: float
    exps: float


@dataclass(frozen=True)
class Peaks:
    """What one thread reaches a second."""

    bytes: float
    macs: float
    exps: float

    def bound(self, needs: Needs) -> Bound:
        """Return the least time a draw can take."""
        return Bound(
            {
                "memory": needs.bytes / self.bytes,
                "multiply-adds": needs.macs / self.macs,
                "exp": needs.exps / self.exps,
            }
        )

    def __str__(self) -> str:
        return (
            f"triad {self.bytes / 1e9:.1f} GB/s, {self.macs / 1e9:.1f} G multiply-adds/s, "
            f"{self.exps / 1e9:.2f} G exp/s"
        )


@dataclass(frozen=True)
class Bound:
    """Seconds a draw that each resource takes alone."""

    parts: dict[str, float]

    @property
    def seconds(self) -> float:
        """The least time: that of the resource that binds."""
        return max(self.parts.values())

    def reached(self, seconds: float) -> str:
        """Say what share of the bound a time is, and what binds."""
        return f"{self.seconds / seconds:.0%} of {self.binding}"

    @property
    def binding(self) -> str:
        """The resource that binds."""
        return max(self.parts, key=self.parts.__getitem__)

    def __str__(self) -> str:
        return ", ".join(f"{name} {part * 1e6:.2f} us" for name, part in self.parts.items())


@numba.njit(nogil=True, fastmath={"contract"})
def triad(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    """Read two arrays, write a third."""
    for n in range(out.shape[0]):
        out[n] = a[n] + 3.0 * b[n]


@numba.njit(nogil=True, fastmath={"contract"})
def multiply_add(x: np.ndarray, times: int) -> None:
    """Run eight independent chains of multiply-adds for each element, all in registers."""
    for _ in range(times):
        for n in range(x.shape[0]):
            a = x[n]
            b, c, d, e, f, g, h = a + 1, a + 2, a + 3, a + 4, a + 5, a + 6, a + 7
            for _ in range(CHAIN):
                a, b = a * 0.5 + 0.25, b * 0.5 + 0.25
                c, d = c * 0.5 + 0.25, d * 0.5 + 0.25
                e, f = e * 0.5 + 0.25, f * 0.5 + 0.25
                g, h = g * 0.5 + 0.25, h * 0.5 + 0.25
            x[n] = a + b + c + d + e + f + g + h


@kernel("void(f8[::1], i8, f8[::1])")
def exponentials(x: np.ndarray, times: int, out: np.ndarray) -> None:
    """Take the exponential of an array in the cache, over and over."""
    for _ in range(times):
        for n in range(x.shape[0]):
            out[n] = exp(x[n])


def numpy_exponentials(x: np.ndarray, times: int, out: np.ndarray) -> None:
    for _ in range(times):
        np.exp(x, out=out)


def measure(elements: int, repeat: int = 5) -> Peaks:
    """Measure the peaks; ``elements`` in each array of the triad, many times the cache."""
    a, b, out = np.ones(elements), np.ones(elements), np.empty(elements)
    x, y = np.linspace(-1.0, 0.0, IN_CACHE), np.empty(IN_CACHE)
    times = max(elements // 64 // IN_CACHE, 1)
    macs = CHAINS * CHAIN * IN_CACHE * times
    exps = IN_CACHE * times * 8
    return Peaks(
        bytes=3 * 8 * elements / best(lambda: triad(a, b, out), repeat),
        macs=macs / best(lambda: multiply_add(y, times), repeat),
        exps=max(
            exps / best(lambda: exponentials(x, times * 8, y), repeat),
            exps / best(lambda: numpy_exponentials(x, times * 8, y), repeat),
        ),
    )


def best(call: Callable[[], object], repeat: int) -> float:
    """Return the shortest of some times, once it is warm: a bound is what is possible."""
    call()
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)
