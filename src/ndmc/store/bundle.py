"""Several arrays in one file, each with its checksum, so that one can be read alone."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import google_crc32c
import numpy as np

from ndmc.typing import Array

__all__ = ["Bundle", "DamagedError"]

_MAGIC = b"ndmc"

_TAIL = struct.Struct("<4sIQ")  # magic, checksum and place of the table of contents


class DamagedError(Exception):
    """Bytes that are not what was written."""


def pack(arrays: Iterable[tuple[str, Array]], facts: Mapping[str, Any]) -> Iterator[bytes]:
    """Yield the bytes of a file with named arrays and some facts, piece by piece.

    Examples
    --------
    >>> data = b"".join(pack([("a", np.arange(3))], {"first": 0}))
    >>> Bundle(lambda start, stop: data[start:stop], len(data))["a"]
    array([0, 1, 2])
    """
    table, at = {}, 0
    for name, array in arrays:
        part = np.ascontiguousarray(array).tobytes()
        table[name] = [array.dtype.str, list(array.shape), at, google_crc32c.value(part)]
        at += len(part)
        yield part
    contents = json.dumps({"facts": dict(facts), "arrays": table}).encode()
    yield contents
    yield _TAIL.pack(_MAGIC, google_crc32c.value(contents), at)


class Bundle:
    """A file of named arrays, read as they are asked for through ``read(start, stop)``.

    Raises
    ------
    DamagedError
        If what is read is not what was written.
    """

    def __init__(self, read: Callable[[int, int], bytes], size: int) -> None:
        self._read = read
        tail = read(max(size - _TAIL.size, 0), size)
        if len(tail) != _TAIL.size:
            raise DamagedError("it is cut short")
        magic, checksum, at = _TAIL.unpack(tail)
        contents = read(at, size - _TAIL.size) if magic == _MAGIC and at < size else b""
        if google_crc32c.value(contents) != checksum or not contents:
            raise DamagedError("its table of contents has another checksum")
        found = json.loads(contents)
        self.facts: dict[str, Any] = found["facts"]
        self._arrays: dict[str, list[Any]] = found["arrays"]

    @property
    def names(self) -> list[str]:
        """The names of the arrays."""
        return list(self._arrays)

    def __contains__(self, name: str) -> bool:
        return name in self._arrays

    def __getitem__(self, name: str) -> Array:
        dtype, shape, at, checksum = self._arrays[name]
        kind = np.dtype(dtype)
        count = int(np.prod(shape, dtype=np.int64))
        data = self._read(at, at + count * kind.itemsize)
        if google_crc32c.value(data) != checksum:
            raise DamagedError(f"its part {name!r} has another checksum")
        return np.frombuffer(data, dtype=kind).reshape(shape)
