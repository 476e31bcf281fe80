"""The ledger of a run: what has been safely written, by whom it can be checked.

An entry is one small file, written after the files it names are durable. It carries their seals and
a checksum of its own, so that an entry is either whole and right or counts for nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import google_crc32c
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ndmc.plan.findings import Extent
from ndmc.store.keys import (
    LEDGER,
    brackets_key,
    digest_key,
    entry_key,
    first_of_block,
    is_again_of_block,
    is_block,
    is_entry,
    piece_key,
    stage_of,
)
from ndmc.store.place import Place
from ndmc.store.seal import Seal

__all__ = ["Entry", "Files", "Piece"]

Files = dict[str, Seal]

_Count = Annotated[int, Field(ge=0, lt=2**63)]

_Imbalance = Annotated[float, Field(ge=0, allow_inf_nan=False)]

_Extent = tuple[_Count, _Count, _Count, Annotated[float, Field(allow_inf_nan=False)], _Count, str]

_Extents = list[Annotated[_Extent, Field(strict=False)]]

_Newer = tuple[_Count, _Count, str, list[_Count], _Imbalance, _Extents]

_Older = tuple[_Count, _Count, str, list[_Count], _Imbalance]

_Row = Annotated[_Newer, Field(strict=False)] | Annotated[_Older, Field(strict=False)]

#: Bytes of an entry; those of a run have some thousand.
_LONGEST = 2**24

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
    extents: Mapping[int, Extent] = field(default_factory=dict)

    def row(self) -> list[Any]:
        """Return it as an entry has it."""
        extents = [[number, *extent] for number, extent in sorted(self.extents.items())]
        return [self.first, self.stop, self.digest, self.counts, self.imbalance, extents]


def _piece(
    first: int,
    stop: int,
    digest: str,
    counts: Sequence[int],
    imbalance: float,
    extents: Sequence[tuple[Any, ...]] = (),
) -> Piece:
    """Return the piece of a row; older ones have no extents."""
    known = {number: Extent(*extent) for number, *extent in extents}
    return Piece(first, stop, digest, tuple(counts), imbalance, known)


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

    def needed(self, newest: int) -> list[tuple[str, Seal]]:
        """Return the files that the newest stage still needs: digests merged in its own are not."""
        if stage_of(self.name) not in (None, newest):
            return []
        merged = {piece.digest for piece in self.pieces if piece.stop <= newest}
        return [(key, seal) for key, seal in self.files.items() if key not in merged]


class _Facts(BaseModel):
    """What an entry says, whoever wrote it."""

    model_config = ConfigDict(strict=True)

    files: dict[str, Annotated[tuple[_Count, int | str], Field(strict=False)]]
    pieces: list[_Row]
    draws: _Count


def _names_its_files(entry: Entry) -> bool:
    """Whether an entry names what it must: digests, one after the other, or brackets."""
    if not is_block(entry.name):
        key = brackets_key(entry.name), digest_key(entry.name)
        return key[is_again_of_block(entry.name)] in entry.files
    starts = [first_of_block(entry.name), *(piece.stop for piece in entry.pieces)]
    return bool(entry.pieces) and all(
        piece.first == start < piece.stop
        and piece.digest == piece_key(piece.first, piece.stop)
        and piece.digest in entry.files
        for piece, start in zip(entry.pieces, starts, strict=False)
    )


@dataclass(frozen=True)
class Ledger:
    """The entries of one run: those of another seed, scenario or version do not count."""

    place: Place
    run: Mapping[str, Any] = field(repr=False)
    #: Of how many things draws are counted; not compared if None.
    counts: int | None = None

    def write(self, entry: Entry) -> None:
        """Record that the files of an entry are durable."""
        facts = {
            "name": entry.name,
            "run": dict(self.run),
            "files": {key: list(found) for key, found in entry.files.items()},
            "pieces": [piece.row() for piece in entry.pieces],
            "draws": entry.draws,
        }
        data = json.dumps({**facts, "crc32c": checksum(facts)}).encode()
        self.place.write(entry_key(entry.name), data)

    def read(self, name: str) -> Entry | None:
        """Return an entry, or None if there is none that is whole and of this run."""
        try:
            facts = json.loads(self.place.read(entry_key(name), 0, _LONGEST))
            right = facts.pop("crc32c") == checksum(facts) and facts["name"] == name
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
            return None
        if not right or facts.get("run") not in self._runs:
            return None
        try:
            found = _Facts.model_validate(facts)
        except ValidationError:
            return None
        pieces = tuple(_piece(*row) for row in found.pieces)
        if any(len(piece.counts) != self.counts for piece in pieces if self.counts is not None):
            return None
        entry = Entry(name, found.files, pieces, found.draws)
        return entry if _names_its_files(entry) else None

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
