"""Draws that are made to agree with equations, of several members of an ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ndmc.plan.steps import Conditioning
from ndmc.typing import Floats

__all__ = []


@dataclass(frozen=True)
class Moved:
    """What makes draws of some parameters agree, under the names that they have in an ensemble."""

    by: Conditioning
    parameters: tuple[str, ...]


@dataclass(frozen=True)
class _Together:
    """What moves the parameters of one member after those of the other."""

    parts: tuple[Moved, ...]

    @property
    def method(self) -> str:
        """How they are moved."""
        return self.parts[0].by.method

    @property
    def parameters(self) -> tuple[str, ...]:
        """The parameters that are moved."""
        return tuple(name for part in self.parts for name in part.parameters)

    @property
    def central(self) -> Floats:
        """The values of their cells that a deterministic model would use."""
        return np.concatenate([part.by.central for part in self.parts])

    def apply(self, drawn: Floats) -> None:
        """Move draws [cell of the parameters, draw] in place."""
        first = 0
        for part in self.parts:
            stop = first + len(part.by.central)
            part.by.apply(drawn[first:stop])
            first = stop


def together(parts: Sequence[Moved]) -> Conditioning | None:
    """Return what moves the draws of all members; nothing if none are moved."""
    return _Together(tuple(parts)) if parts else None
