"""Draws of an output in a store: one file per block, cut by years, as Zarr would write it.

By hand: importing Zarr takes 0.4 s, as long as a small run computes.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import google_crc32c
import numpy as np
import numpy.typing as npt

from ndmc.store.place import Place

__all__ = [
    "chunk_key",
    "encoded",
    "gather",
    "get_array",
    "group_document",
    "is_whole",
    "output_document",
    "own_document",
    "put_array",
    "read_chunk",
    "settle_arrays",
]

#: Bytes of a checksum, which end a chunk.
_CRC_BYTES = 4


def put_array(
    place: Place,
    key: str,
    values: npt.NDArray[Any],
    dims: tuple[str, ...],
    attributes: Mapping[str, Any],
) -> dict[str, Any]:
    """Write a small array of numbers or texts, and return its document; it is not durable yet.

    By hand: making and filling one takes Zarr 3 ms, this 0.1, and a store has hundreds.
    """
    name, fill, codec = _stored_as(values)
    about = {
        "shape": list(values.shape),
        "data_type": name,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(values.shape)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": fill,
        "codecs": [codec, {"name": "crc32c"}],
        "attributes": dict(attributes),
        "dimension_names": list(dims),
        "zarr_format": 3,
        "node_type": "array",
        "storage_transformers": [],
    }
    data = _texts(values) if name == "string" else _numbers(values)
    data += google_crc32c.value(data).to_bytes(_CRC_BYTES, "little")
    place.write(f"{key}/zarr.json", json.dumps(about).encode(), durable=False)
    place.write(f"{key}/{chunk_key(values.shape)}", data, durable=False)
    return about


def _stored_as(values: npt.NDArray[Any]) -> tuple[str, Any, dict[str, Any]]:
    """Return data type, fill value and codec."""
    if values.dtype.kind == "U":
        return "string", "", {"name": "vlen-utf8", "configuration": {}}
    fill = "NaN" if values.dtype.kind == "f" else 0
    return values.dtype.name, fill, {"name": "bytes", "configuration": {"endian": "little"}}


def _numbers(values: npt.NDArray[Any]) -> bytes:
    little = values.astype(values.dtype.newbyteorder("<"), copy=False)
    return np.ascontiguousarray(little).tobytes()


def _texts(values: npt.NDArray[Any]) -> bytes:
    """Return texts, each after its length, all after their number."""
    encoded = [text.encode() for text in values.reshape(-1).tolist()]
    parts = (part for text in encoded for part in (_uint32(len(text)), text))
    return b"".join([_uint32(len(encoded)), *parts])


def _uint32(number: int) -> bytes:
    return number.to_bytes(4, "little")


def settle_arrays(place: Place, documents: Mapping[str, Mapping[str, Any]]) -> None:
    """Make arrays durable, given by key and document."""
    keys = [f"{key}/zarr.json" for key in documents]
    keys += [f"{key}/{chunk_key(about['shape'])}" for key, about in documents.items()]
    place.settle(keys)


def get_array(place: Place, key: str, about: Mapping[str, Any]) -> npt.NDArray[Any]:
    """Read an array of numbers that `put_array` wrote.

    Raises
    ------
    FileNotFoundError
        If it is gone.
    ValueError
        If it is damaged.
    """
    dtype = np.dtype(about["data_type"])
    data = read_chunk(place, key, about)[:-_CRC_BYTES]
    values = np.frombuffer(data, dtype.newbyteorder("<")).astype(dtype)
    return values.reshape(about["shape"])


def read_chunk(place: Place, key: str, about: Mapping[str, Any]) -> bytes:
    """Read the chunk of a small array. Zarr takes one that is gone for nothing but nan or zeros.

    Raises
    ------
    FileNotFoundError
        If it is gone.
    ValueError
        If it is damaged.
    """
    data = place.read(f"{key}/{chunk_key(about['shape'])}")
    if not is_whole(data, about):
        raise ValueError("another checksum")
    return data


def is_whole(data: bytes, about: Mapping[str, Any]) -> bool:
    """Whether the chunk of a small array, numbers or texts, is what was written.

    The checksum of nothing is 0: four bytes of 0 are no array.
    """
    body, count = data[:-_CRC_BYTES], math.prod(map(int, about["shape"]))
    if google_crc32c.value(body) != int.from_bytes(data[-_CRC_BYTES:], "little"):
        return False
    if about["data_type"] == "string":  # after their number, the texts
        return len(body) >= _CRC_BYTES and int.from_bytes(body[:_CRC_BYTES], "little") == count
    return bool(len(body) == count * np.dtype(about["data_type"]).itemsize)


def chunk_key(shape: Sequence[int]) -> str:
    """Return the key of the one chunk of a small array.

    Examples
    --------
    >>> chunk_key((3, 4))
    'c/0/0'
    """
    return "/".join(["c", *"0" * len(shape)])


def group_document(attributes: Mapping[str, Any], metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document of a group with the metadata of all that is in it."""
    # Sorted: Zarr must meet a group before what is in it.
    found = dict(sorted(metadata.items()))
    inside = {"kind": "inline", "must_understand": False, "metadata": found}
    return {
        "attributes": dict(attributes),
        "zarr_format": 3,
        "consolidated_metadata": inside,
        "node_type": "group",
    }


def gather(
    place: Place, name: str, attributes: Mapping[str, Any], metadata: Mapping[str, Any]
) -> dict[str, Any]:
    """Write the document of a group with the metadata of its arrays: xarray opens it at once.

    Returns what the root's document should say of the group.
    """
    document = own_document(name, attributes, metadata)
    place.write(f"{name}/zarr.json", json.dumps(document).encode())
    return group_document(attributes, {})


def own_document(
    name: str, attributes: Mapping[str, Any], metadata: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the document of a group inside a store."""
    start = f"{name}/"
    own = {k.removeprefix(start): v for k, v in metadata.items() if k.startswith(start)}
    return group_document(attributes, own)


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
