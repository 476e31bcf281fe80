"""Is every file of a store what was written? And what to compute anew where it is not."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ndmc.errors import warn
from ndmc.plan.steps import Plan
from ndmc.scenario.scenario import Scenario, hash_of
from ndmc.store.creation import restore
from ndmc.store.keys import ENSEMBLE, INPUTS, ROOT, document_key, entry_key, stage_of
from ndmc.store.layout import array_of
from ndmc.store.opening import open_store, tables_of, texts_of
from ndmc.store.store import Store
from ndmc.store.zarr_v3 import only_chunk, own_document

__all__ = ["Damage", "damage_of", "mend", "unchecked", "verify"]

#: Files read at once.
_AT_ONCE = 8


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

    Warns
    -----
    StudyWarning
        If the store was written by an older version, whose checksums say less.

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
    if older := unchecked(store):
        warn(older)
    return damage_of(store)


def unchecked(store: Store) -> str:
    """Return what cannot be checked of a store that an older version wrote; nothing of others."""
    keys = [key for key, (_, checksum) in store.sealed() if isinstance(checksum, int)]
    if store.files and not keys:
        return ""
    return (
        f"{store.path!r} was written by an older version: that its files are whole is checked, not "
        "that each is the one this run wrote there"
    )


def damage_of(store: Store, *, contents: bool = True) -> list[Damage]:
    """Return what is damaged or missing: see `verify`.

    Without ``contents`` only the lengths of the files that the ledger names are compared.
    """
    found = [*_texts(store), *_metadata(store), *_small_arrays(store)]
    found += _of_ledger(store, contents=contents)
    if store.complete:
        for block in store.missing():
            text = f"draws {block.start} to {block.stop - 1}"
            found.append(Damage("", text, "are not in the ledger"))
    return found


def _texts(store: Store) -> Iterator[Damage]:
    a = store.attrs
    text, *below = texts_of(store)
    entry = a[ENSEMBLE]["entry"] if ENSEMBLE in a else None
    found = hash_of(text, tables_of(store), a["variant"], a["changes"], below, entry)
    if found != a["scenario_hash"]:
        yield Damage("", ROOT, "holds the text of another scenario than the one whose hash it has")


def _of_ledger(store: Store, *, contents: bool) -> Iterator[Damage]:
    files, newest = [], store.stage
    for name in store.ledger.names:
        entry = store.ledger.read(name)
        if entry is None:
            yield Damage(name, entry_key(name), "is damaged, or of another run")
        else:
            files += [(name, key, seal) for key, seal in entry.needed(newest)]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        reasons = pool.map(lambda f: store.place.broken(*f[1:], contents=contents), files)
        for (name, key, _), reason in zip(files, reasons, strict=True):
            if reason:
                yield Damage(name, key, reason)


def _metadata(store: Store) -> Iterator[Damage]:
    """Compare the document of every array and group with the root's, which has a checksum.

    Those of outputs are written last when draws are added: of an unfinished run they may be older.
    """
    later = set() if store.complete else {INPUTS, *map(array_of, store.outputs.values())}
    for key, known in store.metadata.items():
        if key in later:
            continue
        try:
            found = json.loads(store.place.read(document_key(key)))
        except FileNotFoundError:
            yield Damage("", document_key(key), "is missing")
            continue
        except (ValueError, RecursionError):
            found = None
        if known["node_type"] == "group":
            known = own_document(key, known["attributes"], store.metadata)
        if found != known:
            yield Damage("", document_key(key), "is not what the root has of it")


def _small_arrays(store: Store) -> Iterator[Damage]:
    """Read every array that is no output: each has one chunk."""
    outputs = {array_of(output) for output in store.outputs.values()}
    for key, known in store.metadata.items():
        if known["node_type"] == "array" and key not in outputs:
            try:
                store.chunk(key)
            except FileNotFoundError:
                yield Damage("", only_chunk(key, known), "is missing")
            except ValueError as wrong:
                yield Damage("", only_chunk(key, known), f"has {wrong}")


def mend(store: Store, scenario: Scenario, plan: Plan, damaged: Iterable[Damage]) -> Store:
    """Write anew what is damaged, or forget it so that it is computed anew; return the store.

    Where the merged digest of earlier stages is damaged, all they came from is computed anew.
    """
    names = {damage.entry for damage in damaged} - {""}
    stages = (stage_of(name) for name in names)
    if any(first is not None and first >= store.stage for first in stages):
        names |= set(store.ledger.names)
    for name in names:
        store.ledger.remove(name)
    return restore(store, scenario, plan)
