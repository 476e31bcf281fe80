"""Draws of an output in a store: one file per block, cut by years, as Zarr would write it.

By hand: importing Zarr takes 0.4 s, as long as a small run computes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import google_crc32c
import numpy as np
import numpy.typing as npt

__all__ = ["encoded", "output_document"]

_BYTES = {"name": "bytes", "configuration": {"endian": "little"}}
_CRC = {"name": "crc32c"}


def output_document(
    shape: Sequence[int],
    shard: Sequence[int],
    inner: Sequence[int],
    dtype: str,
    dims: Sequence[str],
    attributes: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the document of an output [draw, ...], stored with the draws of a cell together.

    Parameters
    ----------
    shape, dims
        Of the output; a shard is a block of draws of all cells.
    shard, inner
        Shapes of a file, and of the pieces of it that can be read alone.
    dtype
        Of the draws.
    attributes
        What is said of the output.
    """
    blosc = {"typesize": np.dtype(dtype).itemsize, "cname": "zstd", "clevel": 1}
    blosc |= {"shuffle": "shuffle", "blocksize": 0}
    codecs: list[dict[str, Any]] = [
        {"name": "transpose", "configuration": {"order": [*range(len(shape))][::-1]}},
        _BYTES,
        {"name": "blosc", "configuration": blosc},
        _CRC,
    ]
    if tuple(inner) != tuple(shard):
        inside = {"chunk_shape": [*inner], "codecs": codecs, "index_codecs": [_BYTES, _CRC]}
        sharding = {**inside, "index_location": "end"}
        codecs = [{"name": "sharding_indexed", "configuration": sharding}]
    return {
        "shape": [*shape],
        "data_type": dtype,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [*shard]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": "NaN",
        "codecs": codecs,
        "attributes": dict(attributes),
        "dimension_names": [*dims],
        "zarr_format": 3,
        "node_type": "array",
        "storage_transformers": [],
    }


def encoded(values: npt.NDArray[Any], about: Mapping[str, Any]) -> Iterator[bytes]:
    """Yield the pieces of the file of a block, given as [dims..., draw].

    Parameters
    ----------
    values
        The draws; where they are fewer than a block has, the rest is nan.
    about
        The document of the output.
    """
    shard = about["chunk_grid"]["configuration"]["chunk_shape"][::-1]
    if values.shape[-1] < shard[-1]:
        missing = np.full((*shard[:-1], shard[-1] - values.shape[-1]), np.nan, values.dtype)
        values = np.concatenate([values, missing], axis=-1)
    first = about["codecs"][0]
    if first["name"] != "sharding_indexed":
        yield _compressed(values)
        return
    inner = first["configuration"]["chunk_shape"][::-1]
    index: list[tuple[int, int]] = []
    end = 0
    for piece in _pieces(values, shard, inner):
        data = _compressed(piece)
        yield data
        index.append((end, len(data)))
        end += len(data)
    yield _checked(np.array(index, dtype="<u8").tobytes())


def _pieces(
    values: npt.NDArray[Any], shard: Sequence[int], inner: Sequence[int]
) -> Iterator[npt.NDArray[Any]]:
    """Yield the pieces of a shard in the order of its index."""
    starts = [range(0, whole, part) for whole, part in zip(shard, inner, strict=True)]
    for corner in itertools.product(*reversed(starts)):
        ends = zip(reversed(corner), inner, strict=True)
        yield values[tuple(slice(at, at + part) for at, part in ends)]


def _compressed(values: npt.NDArray[Any]) -> bytes:
    # The whole package first, here as where a store is opened: of two threads that enter it by
    # different doors, one can meet modules that are not ready.
    import numcodecs  # noqa: F401
    from numcodecs.blosc import SHUFFLE, Blosc

    codec = Blosc(cname="zstd", clevel=1, shuffle=SHUFFLE, typesize=values.dtype.itemsize)
    little = values.astype(values.dtype.newbyteorder("<"), copy=False)
    return _checked(bytes(codec.encode(np.ascontiguousarray(little))))


def _checked(data: bytes) -> bytes:
    return data + int(google_crc32c.value(data)).to_bytes(4, "little")
