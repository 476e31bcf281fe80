"""Open a store: its root is read whole, and refused if it is not what a run has written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ndmc.errors import InputError, RunError
from ndmc.store.address import place_of
from ndmc.store.keys import LEDGER, ROOT, TABLES, stage_of
from ndmc.store.ledger import checksum
from ndmc.store.place import Place
from ndmc.store.store import FORMAT, Store

__all__ = ["open_store", "tables_of", "texts_of"]

#: Bytes of a root: it holds the texts of all tables of its scenario.
_LONGEST = 2**31


def open_store(where: Path | str | Place) -> Store:
    """Open an existing store.

    Raises
    ------
    InputError
        If there is none, or it is not one of ndmc's.
    RunError
        If its root is damaged.
    """
    place = where if isinstance(where, Place) else place_of(where)
    try:
        document = json.loads(place.read(ROOT, 0, _LONGEST))
        attributes, sound = document["attributes"], _is_sound(document)
        store = Store.of(place, document)
        for one in (document, store.document):
            json.dumps(one, ensure_ascii=False).encode()  # half a character is no text
    except PermissionError:
        raise InputError(f"{place.url!r} cannot be read: permission denied") from None
    except FileNotFoundError:
        if place.exists():
            raise _not_ours(place) from None
        raise InputError(f"there is no store at {place.url!r}") from None
    except OSError as failed:
        raise RunError(f"cannot read {place.url!r}: {failed.strerror or failed}") from None
    except (AttributeError, KeyError, ValueError, TypeError, RecursionError):
        raise _not_ours(place) from None
    if attributes.get("ndmc_format") != FORMAT and (sound or "checksum" not in attributes):
        raise _not_ours(place)
    if not sound:
        raise _damaged(place)
    store.check_root()
    return store


def _is_sound(document: dict[str, Any]) -> bool:
    attributes = document["attributes"]
    plain = {k: v for k, v in attributes.items() if k != "checksum"}
    return f"{attributes.get('checksum')}" == f"{checksum({**document, 'attributes': plain})}"


def _damaged(place: Place) -> RunError:
    return RunError(
        f"the metadata of {place.url!r} are damaged ({ROOT} is not what was written); "
        "its numbers cannot be trusted: run into another --out, or restore the file"
    )


def _not_ours(place: Place) -> InputError | RunError:
    if any(stage_of(name) is not None for name in place.names(LEDGER)):
        return _damaged(place)
    what = "a store is what 'ndmc run' has written; name another, or begin a new one"
    return InputError(f"{place.url!r} is not a store of ndmc's (format {FORMAT}): {what}")


def tables_of(store: Store) -> dict[str, str]:
    """Return the texts of the tables of a run's scenario, by file name."""
    found: dict[str, str] = store.metadata[TABLES]["attributes"]
    return found


def texts_of(store: Store) -> tuple[str, ...]:
    """Return the text of a run's scenario, and of those that it extends, the nearest first."""
    return (store.attrs["scenario_text"], *store.attrs.get("extended_texts", ()))
