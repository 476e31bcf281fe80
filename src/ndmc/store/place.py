"""Where a store lies: whole files by key.

A write is atomic (a reader finds the old file or the new one, never a part) and durable once it
returns.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator

from ndmc.store.seal import Seal, is_sealed

__all__ = ["Place"]

#: Bytes read at a time: 4 MiB go through a checksum at 12.8 GB/s, 16 MiB at 5.4, 128 KiB at 5.6.
_PIECE = 2**22


class Place(ABC):
    """Files of a store by key, such as ``ledger/digests/0-8192``.

    Keys stand in files of the store itself, which anyone can have made: every method refuses one
    that names what is not in the store, with a RunError.
    """

    url: str
    #: Whether processes on other machines, or other processes at all, see the same files.
    shared = True
    #: Whether reading a file takes no more than a disk does.
    near = True

    @abstractmethod
    def exists(self, key: str = "") -> bool:
        """Whether there is a file of this key, or anything at all."""

    @abstractmethod
    def read(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
        """Return a file, or a part of it.

        Raises
        ------
        FileNotFoundError
            If there is none.
        """

    @abstractmethod
    def size(self, key: str) -> int:
        """Return the length of a file.

        Raises
        ------
        FileNotFoundError
            If there is none.
        """

    @abstractmethod
    def write(self, key: str, data: bytes | Iterable[bytes], *, durable: bool = True) -> Seal:
        """Write a file whole, given in one piece or in several; return its seal."""

    def broken(self, key: str, seal: Seal, *, contents: bool = True) -> str:
        """Return in what a file differs from its seal; nothing if it does not.

        ``contents`` are compared only where that is wanted: it takes reading them.
        """
        size, checksum = seal
        try:
            found = self.size(key)
            if found != size:
                return f"has {found} bytes, not {size}"
            if contents and not is_sealed(key, self._pieces(key, size), checksum):
                return "has another checksum"
        except FileNotFoundError:
            return "is missing"
        return ""

    def _pieces(self, key: str, size: int) -> Iterator[bytes]:
        return (self.read(key, at, min(at + _PIECE, size)) for at in range(0, size, _PIECE))

    @abstractmethod
    def sizes(self) -> dict[str, int]:
        """Return the length of every file, by key."""

    @abstractmethod
    def settle(self, keys: Iterable[str]) -> None:
        """Make files durable that were written otherwise."""

    @abstractmethod
    def names(self, folder: str) -> list[str]:
        """Return the names of the files in a folder, sorted."""

    @abstractmethod
    def remove(self, key: str) -> None:
        """Remove a file or a folder, if there is one."""

    @abstractmethod
    def discard(self) -> None:
        """Remove all there is, its root first: no half of it is ever taken for a store."""

    @abstractmethod
    def free(self) -> int | None:
        """Return the bytes that can still be written, if that is known."""

    @abstractmethod
    def begin(self) -> contextlib.AbstractContextManager[Place]:
        """Yield a folder to fill, which becomes this place at the end, unless it has come to be."""

    @contextlib.contextmanager
    def lock(self, name: str, *, shared: bool = False, wait: bool = False) -> Iterator[None]:
        """Exclude others who ask for the same lock; it goes with the process that holds it.

        Raises
        ------
        BlockingIOError
            If another has it and one does not wait.
        """
        yield

    def swept(self) -> bool:
        """Whether no interrupted write has left anything."""
        return True

    def sweep(self) -> None:  # noqa: B027 - where a put is whole there is nothing to remove
        """Remove what interrupted writes have left; nobody else may be writing."""

    def __str__(self) -> str:
        return self.url
