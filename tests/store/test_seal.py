"""Seals: what is in a file, and whose it is."""

import uuid

import google_crc32c
import pytest

from ndmc.store.bucket import Bucket
from ndmc.store.folder import Folder
from ndmc.store.seal import seal


def ended(data):
    """Return data that end in their own crc32c, as a chunk does."""
    return data + int(google_crc32c.value(data)).to_bytes(4, "little")


def test_a_crc32c_of_chunks_is_the_same_for_all():
    """The reason for another checksum: a file that ends in its own crc32c has a constant one."""
    some, other = (ended(data * 99) for data in (b"some", b"othe"))
    assert google_crc32c.value(some) == google_crc32c.value(other) == 0x48674BC7
    assert seal("a", some, len) != seal("a", other, len)


def test_a_seal_is_of_content_and_key():
    """However data are cut the seal is the same; with another byte, place or order it is not."""
    data = bytes(range(256)) * 5
    known = seal("in_use/c/0", data, len)
    assert known == seal("in_use/c/0", (data[n : n + 7] for n in range(0, len(data), 7)), len)
    assert known[0] == len(data)
    others = [seal(key, data, len) for key in ("in_use/c/1", "in_us/ec/0", "", "sales/c/0")]
    others += [seal("in_use/c/0", found, len) for found in (data[::-1], data[:-1] + b"\0")]
    assert len({known[1], *(checksum for _, checksum in others)}) == 7


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_what_is_broken_is_said(tmp_path, kind, older):
    """A file that is gone, of another length or content breaks its seal, also an older one."""
    place = Folder(tmp_path) if kind == "folder" else Bucket(f"memory://{uuid.uuid4().hex}")
    known = place.write("a/c/0", b"draws")
    if older:
        known = (5, google_crc32c.value(b"draws"))
    assert place.broken("a/c/0", known) == ""
    place.write("a/c/0", b"drams")
    assert place.broken("a/c/0", known) == "has another checksum"
    assert place.broken("a/c/0", known, contents=False) == ""
    place.write("a/c/0", b"draw")
    for contents in (False, True):
        assert place.broken("a/c/0", known, contents=contents) == "has 4 bytes, not 5"
        assert place.broken("a/c/1", known, contents=contents) == "is missing"
