"""The seal of a file: its length, and a checksum of what is in it and of whose it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import google_crc32c
import xxhash

__all__ = ["Seal"]

#: Length and checksum. Older stores have a crc32c, a number; it is the same for all chunks that end
#: in one of their own.
Seal = tuple[int, int | str]


def seal(key: str, data: bytes | Iterable[bytes], write: Callable[[bytes], Any]) -> Seal:
    """Hand the data of a file on, in one piece or in several, and return its seal.

    Examples
    --------
    >>> seal("a", b"draws", len) == seal("a", iter([b"dra", b"ws"]), len)
    True
    >>> seal("a", b"draws", len) == seal("b", b"draws", len)
    False
    """
    size, checksum = 0, _of(key)
    for piece in [data] if isinstance(data, bytes) else data:
        write(piece)
        size += len(piece)
        checksum.update(piece)
    return size, checksum.hexdigest()


def is_sealed(key: str, pieces: Iterable[bytes], checksum: int | str) -> bool:
    """Whether the data of a file have a checksum."""
    if isinstance(checksum, int):
        found = 0
        for piece in pieces:
            found = google_crc32c.extend(found, piece)
        return found == checksum
    return seal(key, pieces, len)[1] == checksum


def _of(key: str) -> xxhash.xxh3_128:
    # XXH3 takes 18 GB/s on one core, zlib.crc32 4.2, SHA-256 1.8.
    return xxhash.xxh3_128(seed=xxhash.xxh3_64_intdigest(key.encode()))
