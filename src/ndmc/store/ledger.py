"""The ledger of a run: what has been safely written, by whom it can be checked.

An entry is one small file, written after the files it names are durable. It carries their seals and
a checksum of its own, so that an entry is either whole and right or counts for nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import google_crc32c

from ndmc.store.keys import LEDGER, entry_key, is_entry
from ndmc.store.place import Place
from ndmc.store.seal import Seal

__all__ = ["Entry", "Files", "Piece"]

Files = dict[str, Seal]

#: What older entries do not say of their run.
_LATER = ("cut",)


def checksum(data: Any) -> int:
    """Return the crc32c of something JSON can hold, however it is spelled.

    Examples
    --------
    >>> checksum({"a": 1, "b": 2}) == checksum({"b": 2, "a": 1})
    True
    """
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return int(google_crc32c.value(text.encode()))


@dataclass(frozen=True)
class Piece:
    """Consecutive draws of a block that are digested together, and what was found in them."""

    first: int
    stop: int
    digest: str
    counts: tuple[int, ...]
    imbalance: float


@dataclass(frozen=True)
class Entry:
    """What is safely written: files with their seals, and for a block its pieces.

    ``draws`` is how many draws were asked for, where that matters to what was written.
    """

    name: str
    files: Files
    pieces: tuple[Piece, ...] = ()
    draws: int = 0

    @property
    def stop(self) -> int:
        """The draw after the last of a block."""
        return self.pieces[-1].stop if self.pieces else 0


@dataclass(frozen=True)
class Ledger:
    """The entries of one run: those of another seed, scenario or version do not count."""

    place: Place
    run: Mapping[str, Any] = field(repr=False)

    def write(self, entry: Entry) -> None:
        """Record that the files of an entry are durable."""
        facts = {
            "name": entry.name,
            "run": dict(self.run),
            "files": {key: list(found) for key, found in entry.files.items()},
            "pieces": [list(vars(piece).values()) for piece in entry.pieces],
            "draws": entry.draws,
        }
        data = json.dumps({**facts, "crc32c": checksum(facts)}).encode()
        self.place.write(entry_key(entry.name), data)

    def read(self, name: str) -> Entry | None:
        """Return an entry, or None if there is none that is whole and of this run."""
        try:
            facts = json.loads(self.place.read(entry_key(name)))
            right = facts.pop("crc32c") == checksum(facts) and facts["name"] == name
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, AttributeError, TypeError):
            return None
        if not right or facts["run"] not in self._runs:
            return None
        pieces = tuple(
            Piece(first, stop, digest, tuple(counts), imbalance)
            for first, stop, digest, counts, imbalance in facts["pieces"]
        )
        files = {key: (size, crc) for key, (size, crc) in facts["files"].items()}
        return Entry(name, files, pieces, facts["draws"])

    @property
    def _runs(self) -> tuple[dict[str, Any], ...]:
        """How entries name this run, and how older ones do."""
        run = dict(self.run)
        return run, {key: said for key, said in run.items() if key not in _LATER}

    def remove(self, name: str) -> None:
        """Forget an entry."""
        self.place.remove(entry_key(name))

    @property
    def names(self) -> list[str]:
        """The names of all entries, sound or not."""
        return [*filter(is_entry, self.place.names(LEDGER))]
