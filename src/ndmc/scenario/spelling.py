"""Which names look like others, told apart by their letters before they are compared."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import numpy as np

#: Alike from this ratio on, of twice the letters in common to all.
_NEAR = 0.8

#: So many names are compared with others letter by letter, and of so many letters: some seconds.
_COMPARED, _LONG = 10_000, 100


class Spelling:
    """Names that others may be misspellings of.

    Of 10,000 names against 10,000, each compared with each, difflib takes half an hour; a name
    whose letters are others by more than a fifth is far from the start.
    """

    def __init__(self, known: Sequence[str]) -> None:
        self.known = known
        self.lengths = np.array([len(name) for name in known], np.int64)
        self.letters = np.array([_letters(name) for name in known], np.uint64)
        self.left = _COMPARED
        self.far: set[str] = set()

    def is_near(self, name: str) -> bool:
        """Whether a name looks like one that is known."""
        if name in self.far or len(name) > _LONG:
            return False
        others = np.bitwise_count(self.letters ^ np.uint64(_letters(name)))
        apart = np.maximum(others, np.abs(self.lengths - len(name)))
        places = np.flatnonzero(apart <= (1 - _NEAR + 1e-9) * (self.lengths + len(name)))
        alike = [self.known[place] for place in places[: self.left]]
        self.left -= len(alike)
        if difflib.get_close_matches(name, alike, n=1, cutoff=_NEAR):
            return True
        self.far.add(name)
        return False


def _letters(name: str) -> int:
    """Return the letters of a name as bits."""
    found = 0
    for letter in set(name):
        found |= 1 << ord(letter) % 64
    return found
