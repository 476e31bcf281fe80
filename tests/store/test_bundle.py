"""Files of arrays: what is read is what was written, or is said to be damaged."""

import json
import struct

import google_crc32c
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal

from ndmc.store.bundle import Bundle, DamagedError, pack

ARRAYS = {
    "edges/0": np.array([[-np.inf, 1.5], [2.5, np.inf]], dtype=np.float32),
    "counts/0": np.arange(5, dtype=np.int64),
    "empty": np.empty((0, 3)),
    "one": np.array(7, dtype=np.int32),
}
FACTS = {"first": 0, "stop": 256}


def opened(data):
    """Return the bundle of some bytes."""
    return Bundle(lambda start, stop: data[start:stop], len(data))


def everything(data):
    """Return all that is in a file: facts, and each array with its type."""
    found = opened(data)
    return found.facts, {n: (found[n].dtype, found[n].shape, [*found[n].flat]) for n in found.names}


@pytest.fixture(scope="module")
def packed():
    """Return the bytes of a small file."""
    return b"".join(pack(ARRAYS.items(), FACTS))


def test_what_is_read_is_what_was_written(packed):
    """Arrays come back with their bits, types and shapes, and the facts with them."""
    found = opened(packed)
    assert found.facts == FACTS
    assert found.names == [*ARRAYS]
    assert "one" in found
    assert "two" not in found
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        assert_array_equal(found[name], array)


@given(
    array=hnp.arrays(
        st.sampled_from(["f4", "f8", "i4", "i8", ">f8"]),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0),
    )
)
@settings(deadline=None)
def test_any_array_comes_back(array):
    """Any shape, type and value, whether its memory is contiguous or not."""
    found = opened(b"".join(pack([("a", array), ("b", array.T)], {})))
    assert found["a"].dtype == array.dtype
    for name, expected in (("a", array), ("b", array.T)):
        assert found[name].shape == expected.shape
        assert found[name].tobytes() == np.ascontiguousarray(expected).tobytes()


def test_an_array_is_read_alone(packed):
    """Opening reads the end of a file, and an array is read without any other."""
    asked = []

    def read(start, stop):
        asked.append((start, stop))
        return packed[start:stop]

    found = Bundle(read, len(packed))
    opening = len(asked)
    assert_array_equal(found["counts/0"], ARRAYS["counts/0"])
    assert asked[opening:] == [(16, 56)]


def test_every_flipped_bit_is_found(packed):
    """A bit that is not what was written is an error when all is read, wherever it is."""
    for place in range(len(packed)):
        for bit in range(8):
            broken = bytearray(packed)
            broken[place] ^= 1 << bit
            with pytest.raises(DamagedError):
                everything(bytes(broken))


def test_every_truncation_is_found(packed):
    """A file that ends too early is an error, wherever it ends."""
    for length in range(len(packed)):
        with pytest.raises(DamagedError):
            everything(packed[:length])


def test_bytes_in_front_or_behind_are_found(packed):
    """A file that is longer than what was written is an error."""
    for more in (b"\0", b"ndmc", packed[-16:]):
        for broken in (more + packed, packed + more):
            with pytest.raises(DamagedError):
                everything(broken)


@pytest.mark.parametrize("size", [0, 1, 16, 1000])
def test_other_files_are_refused(size):
    """Zeros and text are no file of arrays."""
    for byte in (b"\0", b"{", b"n"):
        with pytest.raises(DamagedError):
            everything(byte * size)


def test_a_file_can_be_packed_piece_by_piece():
    """Arrays are asked for one at a time, when the one before is written."""
    asked = []

    def arrays():
        for n in range(3):
            asked.append(n)
            yield f"{n}", np.full(4, n)

    pieces = pack(arrays(), {})
    next(pieces)
    assert asked == [0]
    assert opened(b"".join([np.full(4, 0).tobytes(), *pieces])).names == ["0", "1", "2"]


def forged(**about):
    """Return the bytes of a file of one array whose table of contents says something else of it."""
    contents = {"facts": FACTS, "arrays": {"a": ["<f8", [2], 0, google_crc32c.value(bytes(16))]}}
    contents["arrays"]["a"] = [*about.get("a", contents["arrays"]["a"])]
    text = about.get("text", json.dumps({**contents, **about.get("more", {})})).encode()
    tail = struct.pack("<4sIQ", b"ndmc", google_crc32c.value(text), 16)
    return bytes(16) + text + tail


FORGED = [
    {"a": ["<f8", [3], 0, 0]},
    {"a": ["<f8", [2**62, 2**62], 0, 0]},
    {"a": ["<f8", [-1], 0, 0]},
    {"a": ["<f8", [1.0], 0, 0]},
    {"a": ["<f8", [2], -8, 0]},
    {"a": ["<f8", [2], 8, 0]},
    {"a": ["|O", [2], 0, 0]},
    {"a": ["V1000000000", [0], 0, 0]},
    {"a": [None, [2], 0, 0]},
    {"a": ["<f8", 2, 0, 0]},
    {"a": ["<f8", [2], 0]},
    {"more": {"facts": None}},
    {"more": {"arrays": [1, 2]}},
    {"text": "[" * 10**5},
    {"text": "1"},
]


@pytest.mark.parametrize("about", FORGED, ids=repr)
def test_a_forged_table_of_contents_is_refused(about):
    """Arrays lie in their file, are numbers and have shapes, whatever a right checksum says."""
    assert opened(forged())["a"].tolist() == [0.0, 0.0]
    with pytest.raises(DamagedError):
        opened(forged(**about))


def test_an_array_is_what_is_asked_for(packed):
    """An array of another type or shape is damage, as is one that is not there."""
    found = opened(packed)
    assert_array_equal(found.get("counts/0", "i", (5,)), ARRAYS["counts/0"])
    for name, kind, shape in (("counts/0", "i", (4,)), ("counts/0", "f8", (5,)), ("a", "i", (5,))):
        with pytest.raises(DamagedError, match="part"):
            found.get(name, kind, shape)
    assert found.draws() == range(0, 256)
    for facts in (
        {},
        {"first": 0, "stop": 0},
        {"first": 0.0, "stop": 5},
        {"first": 0, "stop": 2**63},
    ):
        with pytest.raises(DamagedError, match="of no draws"):
            opened(b"".join(pack([], facts))).draws()
