"""Several arrays in one file, each with its checksum, so that one can be read alone."""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import google_crc32c
import numpy as np

from ndmc.typing import Array

__all__ = ["Bundle", "DamagedError", "pack"]

_MAGIC = b"ndmc"

_TAIL = struct.Struct("<4sIQ")  # magic, checksum and place of the table of contents


_NUMBERS = re.compile(r"[<>][if][48]")


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
        try:
            found = json.loads(contents)
            self.facts: dict[str, Any] = dict(found["facts"])
            self._arrays: dict[str, list[Any]] = dict(found["arrays"])
        except (ValueError, KeyError, TypeError, RecursionError):
            raise DamagedError("it has no table of contents") from None
        for name, about in self._arrays.items():
            if not _is_within(about, at):
                raise DamagedError(f"its part {name[:60]!r} is not described as one")

    @property
    def names(self) -> list[str]:
        """The names of the arrays."""
        return list(self._arrays)

    def __contains__(self, name: str) -> bool:
        return name in self._arrays

    def __getitem__(self, name: str) -> Array:
        dtype, shape, at, checksum = self._about(name)
        data = self._read(at, at + math.prod(shape) * np.dtype(dtype).itemsize)
        if google_crc32c.value(data) != checksum:
            raise DamagedError(f"its part {name!r} has another checksum")
        return np.frombuffer(data, dtype=dtype).reshape(shape)

    def _about(self, name: str) -> list[Any]:
        if name not in self._arrays:
            raise DamagedError(f"it has no part {name!r}")
        return self._arrays[name]

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of an array, which fits the file."""
        return tuple(self._about(name)[1])

    def get(self, name: str, kind: str, shape: tuple[int, ...]) -> Array:
        """Return an array that has to be of a shape, and of integers, "i", or of floats of a size.

        Kernels trust what they are given: what another has put here must not reach them.
        """
        self._described(name, kind, shape)
        return self[name]

    def _described(self, name: str, kind: str, shape: tuple[int, ...]) -> list[Any]:
        about = self._about(name)
        if not about[0][1:].startswith(kind) or self.shape(name) != shape:
            raise DamagedError(f"its part {name!r} is not what belongs there")
        return about

    def part(self, name: str, kind: str, shape: tuple[int, ...], rows: slice) -> Array:
        """Return some rows of an array as `get` does; of a part no checksum is known."""
        first, stop, _ = rows.indices(shape[0])
        if stop - first == shape[0]:
            return self.get(name, kind, shape)
        dtype, _, at, _ = self._described(name, kind, shape)
        row = math.prod(shape[1:]) * np.dtype(dtype).itemsize
        data = self._read(at + first * row, at + stop * row)
        if len(data) != (stop - first) * row:
            raise DamagedError(f"its part {name!r} is cut short")
        return np.frombuffer(data, dtype=dtype).reshape(-1, *shape[1:])

    def draws(self) -> range:
        """Return the draws that a digest is of."""
        first, stop = (self.facts.get(one) for one in ("first", "stop"))
        if type(first) is not int or type(stop) is not int or not 0 <= first < stop < 2**63:
            raise DamagedError("it is of no draws")
        return range(first, stop)


def _is_within(about: Any, end: int) -> bool:
    """Whether an array is described as `pack` does, and lies before the table of contents."""
    match about:
        case [str(dtype), [*shape], int(at), int()]:
            counts = all(type(size) is int and size >= 0 for size in shape) and len(shape) < 9
            if not counts or at < 0 or not _NUMBERS.fullmatch(dtype):
                return False
            return bool(at + math.prod(shape) * np.dtype(dtype).itemsize <= end)
    return False
