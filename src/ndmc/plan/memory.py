"""How much memory a scenario may take to be compiled, and what is said where it takes more."""

from __future__ import annotations

import os
from dataclasses import dataclass

from ndmc.errors import InputError

__all__ = ["MACHINE", "Memory", "size_text"]

#: What is used where the system does not say what the machine has (Windows).
_UNTOLD = 2 * 2**30


def size_text(size: float) -> str:
    """Return a number of bytes as people read it.

    Examples
    --------
    >>> size_text(1610612736)
    '1.5 GiB'
    """
    unit, size = 0, float(size)
    while size >= 1024 and unit < 4:
        size, unit = size / 1024, unit + 1
    return f"{size:.3g} {['B', 'KiB', 'MiB', 'GiB', 'TiB'][unit]}"


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


def _of_the_machine() -> int:
    if not hasattr(os, "sysconf"):
        return _UNTOLD
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
