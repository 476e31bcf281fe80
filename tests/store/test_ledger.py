"""The ledger: an entry is whole and of this run, or counts for nothing."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from ndmc.plan.findings import Extent
from ndmc.store.folder import Folder
from ndmc.store.keys import block_name, stage_name
from ndmc.store.ledger import Entry, Ledger, Piece, checksum

OLD = {"seed": 4, "scenario_hash": "ab12", "ndmc": "0.1.0", "identity": 123}
RUN = {**OLD, "cut": [1024, 8192]}
FAR = Extent(2001, 2004, 0.125, 600, "car, 2003")
PIECES = (
    Piece(0, 512, "ledger/digests/0-512", (0, 3), 0.125),
    Piece(512, 700, "ledger/digests/512-700", (1, 0), 0.0, {1: FAR}),
)
FILES = {"in_use/c/0/0": (1234, "f0" * 16), "ledger/digests/0-512": (10, 0)}
FILES |= {"ledger/digests/512-700": (10, "0f" * 16)}
BRACKETS = {f"ledger/digests/{stage_name(8192)}.brackets": (1, 2)}
ENTRY = Entry(block_name(0), FILES, PIECES)


@pytest.fixture
def ledger(tmp_path):
    """Return a ledger with one entry."""
    found = Ledger(Folder(tmp_path), RUN)
    found.write(ENTRY)
    return found


def read(data, name=ENTRY.name):
    """Return what a ledger makes of the bytes of an entry."""
    return Ledger(SimpleNamespace(read=lambda key, start, stop: data[start:stop]), RUN).read(name)


def flipped(data):
    """Yield some bytes with one bit changed, for each bit."""
    for place in range(len(data)):
        for bit in range(8):
            broken = bytearray(data)
            broken[place] ^= 1 << bit
            yield bytes(broken)


def test_an_entry_comes_back(ledger):
    """Files, pieces, counts and draws are as they were written."""
    assert ledger.read(ENTRY.name) == ENTRY
    assert ledger.read(ENTRY.name).stop == 700
    other = Entry(stage_name(8192), BRACKETS, draws=70_001)
    ledger.write(other)
    assert ledger.read(other.name) == other
    assert other.stop == 0


def test_every_flipped_bit_makes_an_entry_count_for_nothing(ledger):
    """An entry in which a bit is not what was written is none, and is no error."""
    whole = ledger.place.read(f"ledger/{ENTRY.name}")
    assert read(whole) == ENTRY
    for broken in flipped(whole):
        assert read(broken) is None


def test_a_flipped_bit_never_makes_another_entry(ledger):
    """With numbers of all digits a flipped bit can spell the same number, never another one."""
    piece = Piece(512, 768, "ledger/digests/512-768", (3,), 1.2345678901234567e-13)
    entry = Entry(block_name(512), {piece.digest: (1, 2)}, (piece,))
    ledger.write(entry)
    whole = ledger.place.read(f"ledger/{entry.name}")
    assert read(whole, entry.name) == entry
    for broken in flipped(whole):
        assert read(broken, entry.name) in (None, entry)


def test_every_truncation_makes_an_entry_count_for_nothing(ledger):
    """An entry that ends too early is none."""
    whole = ledger.place.read(f"ledger/{ENTRY.name}")
    for length in range(len(whole)):
        assert read(whole[:length]) is None


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b"null", b"3", b'"a"', b"\xff\xfe", b"\0" * 99]
)
def test_other_files_count_for_nothing(ledger, data):
    """What is no entry at all is none, and is no error."""
    (ledger.place.path / "ledger" / ENTRY.name).write_bytes(data)
    assert ledger.read(ENTRY.name) is None


@pytest.mark.parametrize("key", RUN)
def test_entries_of_another_run_count_for_nothing(ledger, key):
    """Another seed, scenario, version or identity has no entries here."""
    other = Ledger(ledger.place, {**RUN, key: "other"})
    assert other.read(ENTRY.name) is None
    assert Ledger(ledger.place, dict(reversed(RUN.items()))).read(ENTRY.name) == ENTRY


def test_entries_of_older_versions_count(ledger):
    """They say less of their run, and what they say must be right."""
    Ledger(ledger.place, OLD).write(ENTRY)
    assert ledger.read(ENTRY.name) == ENTRY
    Ledger(ledger.place, {**OLD, "seed": 5}).write(ENTRY)
    assert ledger.read(ENTRY.name) is None


def test_an_entry_under_another_name_counts_for_nothing(ledger):
    """A sound entry that was copied or renamed is none."""
    folder = ledger.place.path / "ledger"
    (folder / block_name(512)).write_bytes((folder / ENTRY.name).read_bytes())
    assert ledger.read(block_name(512)) is None


def test_entries_are_listed_by_name(ledger):
    """Names are in order of draws, with nothing else that lies beside them."""
    for first in (8192, 512, 10**15):
        ledger.write(Entry(block_name(first), {}))
    ledger.write(Entry(stage_name(0), {}))
    for other in ("zarr.json", "run.lock", "block-1.0123.partial", "stage-next", "block-12"):
        (ledger.place.path / "ledger" / other).touch()
    blocks = [block_name(first) for first in (0, 512, 8192, 10**15)]
    assert ledger.names == [*blocks, stage_name(0)]
    ledger.remove(block_name(512))
    ledger.remove(block_name(512))
    assert ledger.names == [blocks[0], *blocks[2:], stage_name(0)]
    assert ledger.read(block_name(512)) is None


def test_a_checksum_is_of_the_content(ledger):
    """The checksum in an entry is that of all its other content, in any order of its keys."""
    facts = json.loads((ledger.place.path / "ledger" / ENTRY.name).read_bytes())
    assert facts.pop("crc32c") == checksum(dict(reversed(facts.items())))


WRONG = [
    {"files": {"in_use/c/0/0": (-1, 0)}},
    {"files": {**FILES, "a": (1, None)}},
    {"files": {"ledger/digests/0-512": (10, 0)}},
    {"pieces": ()},
    {"pieces": PIECES[1:]},
    {"pieces": PIECES[::-1]},
    {"pieces": (Piece(0, 512, "zarr.json", (0, 3), 0.0),), "files": {"zarr.json": (1, 1)}},
    {"pieces": (Piece(0, 700, "ledger/digests/0-512", (0, 3), 0.0),)},
    {"pieces": (Piece(0, 512, "ledger/digests/0-512", (0, 3), float("nan")),)},
    {"pieces": (Piece(0, 512, "ledger/digests/0-512", (0, -3), 0.0),)},
    {"pieces": (Piece(0, 2**63, f"ledger/digests/0-{2**63}", (0,), 0.0),)},
    {"pieces": (replace(PIECES[0], extents={1: FAR._replace(most=float("inf"))}), PIECES[1])},
    {"pieces": (replace(PIECES[0], extents={1: FAR._replace(first=-1)}), PIECES[1])},
    {"draws": 1.5},
    {"draws": None},
    {"name": stage_name(8192)},
]


@pytest.mark.parametrize("wrong", WRONG)
def test_what_no_run_enters_counts_for_nothing(ledger, wrong):
    """An entry of numbers out of range, or without the files of its kind, is none."""
    entry = Entry(**{**vars(ENTRY), **wrong})
    ledger.write(entry)
    assert ledger.read(entry.name) is None


def test_older_pieces_are_read(ledger):
    """They do not say how far their draws went, and nothing is guessed of it."""
    path = ledger.place.path / "ledger" / ENTRY.name
    facts = json.loads(path.read_bytes())
    del facts["crc32c"]
    facts["pieces"] = [row[:5] for row in facts["pieces"]]
    path.write_text(json.dumps({**facts, "crc32c": checksum(facts)}))
    assert ledger.read(ENTRY.name) == replace(
        ENTRY, pieces=(PIECES[0], replace(PIECES[1], extents={}))
    )


@pytest.mark.parametrize("left_out", ["name", "run", "files", "pieces", "draws"])
def test_an_entry_says_everything(ledger, left_out):
    """What is left out of an entry is not guessed."""
    path = ledger.place.path / "ledger" / ENTRY.name
    facts = json.loads(path.read_bytes())
    del facts["crc32c"], facts[left_out]
    path.write_text(json.dumps({**facts, "crc32c": checksum(facts)}))
    assert ledger.read(ENTRY.name) is None
