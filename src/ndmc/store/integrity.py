"""Is every file of a store what was written? And what to compute anew where it is not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import google_crc32c

from ndmc.store.keys import document_key, entry_key, stage_of
from ndmc.store.ledger import Entry
from ndmc.store.store import Store, array_of, open_store
from ndmc.store.zarr_v3 import is_whole, only_chunk, own_document

__all__ = ["Damage", "forget", "verify"]

#: Bytes read at a time.
_PIECE = 2**24


@dataclass(frozen=True)
class Damage:
    """A file that is not what was written, and the entry of the ledger it belongs to, if any."""

    entry: str
    key: str
    reason: str


def verify(store: Store | str | Path) -> list[Damage]:
    """Recompute the checksum of every file of a run, and return what is damaged or missing.

    Parameters
    ----------
    store
        Path or URL of a store, or an opened one.

    Returns
    -------
    list of Damage
        Each file that is not what was written, with the reason; none if all are. What they take
        with them is computed anew by the same run with ``repair``.

    Raises
    ------
    InputError
        If there is no store.
    RunError
        If its root is damaged, which nothing can be compared with then.

    Examples
    --------
    >>> import ndmc, tempfile
    >>> out = tempfile.mkdtemp() + "/run.zarr"
    >>> draws = ndmc.run("starter", 300, out=out, keep=["none"])
    >>> verify(out)
    []
    """
    if not isinstance(store, Store):
        store = open_store(store)
    found = [*_metadata(store), *_small_arrays(store)]
    for name in store.ledger.names:
        entry = store.ledger.read(name)
        if entry is None:
            found.append(Damage(name, entry_key(name), "is damaged, or of another run"))
        else:
            found += _files(store, entry)
    if store.complete:
        for block in store.missing():
            text = f"draws {block.start} to {block.stop - 1}"
            found.append(Damage("", text, "are not in the ledger"))
    return found


def _files(store: Store, entry: Entry) -> Iterator[Damage]:
    for key, (size, checksum) in store.needed(entry):
        try:
            found = store.place.size(key)
            if found != size:
                yield Damage(entry.name, key, f"has {found} bytes, not {size}")
            elif _checksum(store, key, size) != checksum:
                yield Damage(entry.name, key, "has another checksum")
        except FileNotFoundError:
            yield Damage(entry.name, key, "is missing")


def _checksum(store: Store, key: str, size: int) -> int:
    checksum = 0
    for start in range(0, size, _PIECE):
        piece = store.place.read(key, start, min(start + _PIECE, size))
        checksum = google_crc32c.extend(checksum, piece)
    return checksum


def _metadata(store: Store) -> Iterator[Damage]:
    """Compare the document of every array and group with the root's, which has a checksum."""
    for key, known in store.metadata.items():
        try:
            found = json.loads(store.place.read(document_key(key)))
        except FileNotFoundError:
            yield Damage("", document_key(key), "is missing")
            continue
        except ValueError:
            found = None
        if known["node_type"] == "group":
            known = own_document(key, known["attributes"], store.metadata)
        if found != known:
            yield Damage("", document_key(key), "is not what the root has of it")


def _small_arrays(store: Store) -> Iterator[Damage]:
    """Read every array that is no output: each has one chunk, with a checksum."""
    outputs = {array_of(output) for output in store.outputs.values()}
    for key, known in store.metadata.items():
        if known["node_type"] == "array" and key not in outputs:
            chunk = only_chunk(key, known)
            try:
                data = store.place.read(chunk)
            except FileNotFoundError:
                yield Damage("", chunk, "is missing")
                continue
            if not is_whole(data, known):
                yield Damage("", chunk, "has another checksum")


def forget(store: Store) -> Store:
    """Take what is damaged out of the ledger, so that it is computed anew, and return the store.

    Where the merged digest of earlier stages is damaged, all they came from is computed anew.
    """
    damaged = {damage.entry for damage in verify(store)} - {""}
    stages = (stage_of(name) for name in damaged)
    if any(first is not None and first >= store.stage for first in stages):
        damaged |= set(store.ledger.names)
    for name in damaged:
        store.ledger.remove(name)
    return store.write_attributes(complete=False)
