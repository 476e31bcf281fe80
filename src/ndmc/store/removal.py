"""A store that makes room for another run: nothing else is removed, and no half of it stays."""

from __future__ import annotations

import re

from ndmc.errors import InputError
from ndmc.store.creation import existing
from ndmc.store.folder import Folder
from ndmc.store.keys import LEDGER, PERCENTILES, ROOT
from ndmc.store.opening import open_store
from ndmc.store.place import Place
from ndmc.store.store import Store

__all__ = ["removable", "remove_store"]

_FLAG = "--overwrite"

#: Documents, chunks and what lies in the ledger, with what interrupted writes leave of them.
_OURS = re.compile(
    rf"({ROOT}|(\w+/){{1,2}}({ROOT}|c(/\d+)*)"
    rf"|{LEDGER}/([a-z]+\.lock|[a-z]+-[\d.-]+|digests/[\w.-]+))(\.[0-9a-f]{{32}}\.partial)?",
    re.ASCII,
)


def removable(place: Place) -> Store | None:
    """Return the store at a place, which nothing but a run has written; None if there is nothing.

    Raises
    ------
    InputError
        If it is no store of ndmc's, a link to one, or holds other files.
    RunError
        If its root is damaged: nobody can tell whose it is.
    """
    if isinstance(place, Folder) and place.path.is_symlink():
        raise InputError(f"{place.url!r} is a link; give --out the folder it leads to", _FLAG)
    store = existing(place)
    if store is None:
        return None
    known = {ROOT, LEDGER, PERCENTILES, *(key.partition("/")[0] for key in store.metadata)}
    others = [key for key in place.sizes() if not _is_ours(key, known)]
    if others:
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        message = f"{place.url!r} holds what no run has written ({sorted(others)[0]!r}{more})"
        raise InputError(f"{message}; move it elsewhere, or choose another --out", _FLAG)
    return store


def _is_ours(key: str, known: set[str]) -> bool:
    return bool(_OURS.fullmatch(key)) and key.partition("/")[0] in known | {key}


def remove_store(store: Store) -> None:
    """Remove a store as it was found, unless a run writes to it.

    Raises
    ------
    BlockingIOError
        If one does, or has since.
    """
    with store.place.lock("run"):
        if open_store(store.place).document != store.document:
            raise BlockingIOError
        store.place.discard()
