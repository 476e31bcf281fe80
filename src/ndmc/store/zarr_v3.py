"""Arrays and groups of a store, as Zarr would write them.

By hand, for two numbers: importing Zarr takes 0.1 s, and making a small array with it 2 to 3 ms,
where this takes 0.1: together 0.8 s and more for the 386 arrays of china_nd, whose start takes 1.6.
What is written here is held to what Zarr writes and reads by tests/store/test_zarr_v3.py.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import google_crc32c
import numpy as np
import numpy.typing as npt

from ndmc.store.keys import chunk_key, document_key
from ndmc.store.place import Place
from ndmc.store.seal import Seal

__all__ = ["SmallArrays", "group_document", "write_group"]

#: Bytes of a checksum, which end a chunk.
_CRC_BYTES = 4

_BYTES = {"name": "bytes", "configuration": {"endian": "little"}}

_CRC = {"name": "crc32c"}

#: What is said of one array or group.
Document = dict[str, Any]


# --- documents ----------------------------------------------------------------------------------


def _array_document(
    shape: Sequence[int],
    chunk: Sequence[int],
    dtype: str,
    fill: Any,
    codecs: Sequence[Document],
    dims: Sequence[str],
    attributes: Mapping[str, Any],
) -> Document:
    return {
        "shape": [*shape],
        "data_type": dtype,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [*chunk]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": fill,
        "codecs": [*codecs],
        "attributes": dict(attributes),
        "dimension_names": [*dims],
        "zarr_format": 3,
        "node_type": "array",
        "storage_transformers": [],
    }


def small_document(
    shape: Sequence[int], dtype: npt.DTypeLike, dims: Sequence[str], attributes: Mapping[str, Any]
) -> Document:
    """Return the document of an array in one chunk, of numbers or of texts."""
    of = np.dtype(dtype)
    codec, name, fill = _BYTES, of.name, "NaN" if of.kind == "f" else 0
    if of.kind == "U":
        codec, name, fill = {"name": "vlen-utf8", "configuration": {}}, "string", ""
    return _array_document(shape, shape, name, fill, [codec, _CRC], dims, attributes)


def output_document(
    shape: Sequence[int],
    shard: Sequence[int],
    inner: Sequence[int],
    dtype: str,
    dims: Sequence[str],
    attributes: Mapping[str, Any],
) -> Document:
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
    codecs: list[Document] = [
        {"name": "transpose", "configuration": {"order": [*range(len(shape))][::-1]}},
        _BYTES,
        {"name": "blosc", "configuration": blosc},
        _CRC,
    ]
    if tuple(inner) != tuple(shard):
        inside = {"chunk_shape": [*inner], "codecs": codecs, "index_codecs": [_BYTES, _CRC]}
        sharding = {**inside, "index_location": "end"}
        codecs = [{"name": "sharding_indexed", "configuration": sharding}]
    return _array_document(shape, shard, dtype, "NaN", codecs, dims, attributes)


def group_document(attributes: Mapping[str, Any], metadata: Mapping[str, Any]) -> Document:
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


def own_document(name: str, attributes: Mapping[str, Any], metadata: Mapping[str, Any]) -> Document:
    """Return the document of a group inside a store."""
    start = f"{name}/"
    own = {k.removeprefix(start): v for k, v in metadata.items() if k.startswith(start)}
    return group_document(attributes, own)


def write_document(place: Place, key: str, about: Document, *, durable: bool = True) -> None:
    """Write the document of an array or group."""
    place.write(document_key(key), json.dumps(about).encode(), durable=durable)


def write_group(
    place: Place, name: str, attributes: Mapping[str, Any], metadata: Mapping[str, Any]
) -> Document:
    """Write the document of a group with the metadata of its arrays: xarray opens it at once.

    Returns what the root's document should say of the group.
    """
    write_document(place, name, own_document(name, attributes, metadata))
    return group_document(attributes, {})


# --- small arrays: one chunk ----------------------------------------------------------------------


class SmallArrays:
    """Small arrays that are written: their documents by key, and the seals of their chunks."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.documents: dict[str, Document] = {}
        self.files: dict[str, Seal] = {}

    def put(
        self,
        key: str,
        values: npt.NDArray[Any],
        dims: tuple[str, ...],
        attributes: Mapping[str, Any],
    ) -> None:
        """Write an array of numbers or texts; it is not durable yet."""
        about = small_document(values.shape, values.dtype, dims, attributes)
        write_document(self.place, key, about, durable=False)
        chunk = only_chunk(key, about)
        self.files[chunk] = self.place.write(chunk, small_chunk(values), durable=False)
        self.documents[key] = about

    def settle(self) -> None:
        """Make what is written durable."""
        self.place.settle([*map(document_key, self.documents), *self.files])


def small_chunk(values: npt.NDArray[Any]) -> bytes:
    """Return the one chunk of a small array."""
    return _checked(_texts(values) if values.dtype.kind == "U" else _little(values).tobytes())


def only_chunk(key: str, about: Mapping[str, Any]) -> str:
    """Return the key of the one chunk of a small array."""
    return chunk_key(key, *(0 for _ in about["shape"]))


def _little(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<"), copy=False))


def _checked(data: bytes) -> bytes:
    return data + int(google_crc32c.value(data)).to_bytes(_CRC_BYTES, "little")


def _texts(values: npt.NDArray[Any]) -> bytes:
    """Return texts, each after its length, all after their number."""
    encoded = [text.encode() for text in values.reshape(-1).tolist()]
    parts = (part for text in encoded for part in (_uint32(len(text)), text))
    return b"".join([_uint32(len(encoded)), *parts])


def _uint32(number: int) -> bytes:
    return number.to_bytes(4, "little")


def get_array(data: bytes, about: Mapping[str, Any]) -> npt.NDArray[Any]:
    """Return the numbers in the chunk of a small array."""
    dtype = np.dtype(about["data_type"])
    values = np.frombuffer(data[:-_CRC_BYTES], dtype.newbyteorder("<")).astype(dtype)
    return values.reshape(about["shape"])


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


# --- draws of outputs: a chunk for each block -----------------------------------------------------


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
    first = about["codecs"][0]
    if first["name"] != "sharding_indexed":
        yield _compressed(_filled(values, shard[-1]))
        return
    inner = first["configuration"]["chunk_shape"][::-1]
    index: list[tuple[int, int]] = []
    end = 0
    for piece in _pieces(values, shard, inner):
        data = _compressed(_filled(piece, inner[-1]))
        yield data
        index.append((end, len(data)))
        end += len(data)
    yield _checked(np.array(index, dtype="<u8").tobytes())


def check_sizes(read: Callable[[int, int], bytes], size: int, about: Mapping[str, Any]) -> None:
    """Refuse the file of a block that holds more than a block: a few bytes can stand for 2 GiB.

    Raises
    ------
    ValueError
        If one of its chunks has another size than its document says.
    """
    shard, first = about["chunk_grid"]["configuration"]["chunk_shape"], about["codecs"][0]
    inner, places = shard, [0]
    if first["name"] == "sharding_indexed":
        inner = first["configuration"]["chunk_shape"]
        count = math.prod(shard) // math.prod(inner)
        index = read(max(size - 16 * count - _CRC_BYTES, 0), size - _CRC_BYTES)
        places = np.frombuffer(index[: len(index) // 16 * 16], "<u8")[::2].tolist()
    wanted = math.prod(inner) * np.dtype(about["data_type"]).itemsize
    for place in places:  # after four bytes of a chunk comes how many it stands for
        if place < size and int.from_bytes(read(place + 4, place + 8), "little") != wanted:
            raise ValueError("a chunk of another size")


def _pieces(
    values: npt.NDArray[Any], shard: Sequence[int], inner: Sequence[int]
) -> Iterator[npt.NDArray[Any]]:
    """Yield the pieces of a shard in the order of its index."""
    starts = [range(0, whole, part) for whole, part in zip(shard, inner, strict=True)]
    for corner in itertools.product(*reversed(starts)):
        ends = zip(reversed(corner), inner, strict=True)
        yield values[tuple(slice(at, at + part) for at, part in ends)]


def _filled(values: npt.NDArray[Any], draws: int) -> npt.NDArray[Any]:
    """Return [dims..., draw] with nan for the draws that there are not."""
    # A piece at a time: 64 draws of 900,000 values took 2.6 GB with the whole shard filled.
    if values.shape[-1] == draws:
        return values
    missing = np.full((*values.shape[:-1], draws - values.shape[-1]), np.nan, values.dtype)
    return np.concatenate([values, missing], axis=-1)


def _compressed(values: npt.NDArray[Any]) -> bytes:
    # The whole package first, here as where a store is opened: of two threads that enter it by
    # different doors, one can meet modules that are not ready.
    import numcodecs  # noqa: F401
    from numcodecs.blosc import SHUFFLE, Blosc

    codec = Blosc(cname="zstd", clevel=1, shuffle=SHUFFLE, typesize=values.dtype.itemsize)
    return _checked(bytes(codec.encode(_little(values))))
