"""Where a store lies: whole files by key.

A write is atomic (a reader finds the old file or the new one, never a part) and durable once it
returns.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import google_crc32c

__all__ = ["Place"]


class Place(ABC):
    """Files of a store by key, such as ``ledger/digests/0-8192``.

    Keys stand in files of the store itself, which anyone can have made: every method refuses one
    that names what is not in the store, with a RunError.
    """

    url: str
    #: Whether processes on other machines, or other processes at all, see the same files.
    shared = True

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
    def write(
        self, key: str, data: bytes | Iterable[bytes], *, durable: bool = True
    ) -> tuple[int, int]:
        """Write a file whole, given in one piece or in several; return its length and crc32c."""

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

    def sweep(self) -> None:  # noqa: B027 - where a put is whole there is nothing to remove
        """Remove what interrupted writes have left; nobody else may be writing."""

    def __str__(self) -> str:
        return self.url


def copy(data: bytes | Iterable[bytes], write: Callable[[bytes], Any]) -> tuple[int, int]:
    """Hand data on, in one piece or in several; return its length and crc32c."""
    size = checksum = 0
    for piece in [data] if isinstance(data, bytes) else data:
        write(piece)
        size += len(piece)
        checksum = google_crc32c.extend(checksum, piece)
    return size, checksum
