"""How much memory a scenario may take to be compiled, and what is said where it takes more."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ndmc.errors import InputError

__all__ = ["MACHINE", "Memory", "size_text"]

#: What is used where the system does not say what the machine has (Windows).
_UNTOLD = 2 * 2**30


def size_text(size: float) -> str:
    """Return a number of bytes as people read it.

    Examples
    --------
    >>> size_text(1610612736), size_text(1000)
    ('1.5 GiB', '1000 B')
    """
    unit, size = 0, float(size)
    while size >= 1024 and unit < 4:
        size, unit = size / 1024, unit + 1
    return f"{size:.{3 if size < 999.5 else 4}g} {['B', 'KiB', 'MiB', 'GiB', 'TiB'][unit]}"


@dataclass(frozen=True)
class Memory:
    """The bytes that may be used: so many, or what the machine has."""

    given: int | None = None

    @property
    def most(self) -> int:
        """How many they are."""
        return _of_the_machine() if self.given is None else self.given

    def hold(self, needed: int, what: str) -> None:
        """Refuse what needs more, before it is allocated.

        Raises
        ------
        InputError
            With both numbers, and what to do.
        """
        if needed <= self.most:
            return
        limit = size_text(self.most)
        has = f"this machine has {limit}" if self.given is None else f"at most {limit} may be used"
        remedy = "" if self.given is None else "raise --memory, or "
        raise InputError(
            f"{what} to compile, but {has}; {remedy}write it with fewer dims: name labels, use "
            "groups, or sum over a dim earlier",
            "" if self.given is None else "--memory",
        )


#: What there is.
MACHINE = Memory()


@functools.cache
def _of_the_machine() -> int:
    if not hasattr(os, "sysconf"):
        return _UNTOLD
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *limits(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))])


def limits(groups: Path, root: Path) -> Iterator[int]:
    """Yield what the containers and jobs that a process is in may use; each lies in another.

    Only Linux says so, by control groups (version 2), and only there processes are killed that take
    more: a container is shown all memory of its machine otherwise.
    """
    names = [n for n in _text(groups).splitlines() if n.startswith("0::/")]
    for name in names:
        here = root / name.removeprefix("0::/")
        for group in (here, *here.parents):
            found = _text(group / "memory.max").strip()
            if found.isdecimal():  # without a limit it is "max"
                yield int(found)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii")
    except (OSError, ValueError):
        return ""
