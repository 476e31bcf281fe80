"""What a sensitivity study asks of a plan: which inputs move together, and what is looked at."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["InputGroup", "Observed", "Study"]


@dataclass(frozen=True)
class InputGroup:
    """Random streams that are moved together.

    ``members`` are what people call them, such as ``content`` or ``content[product=car]``;
    ``grade`` is that of all of them, or empty.
    """

    name: str
    members: tuple[str, ...]
    streams: tuple[int, ...] = field(repr=False)
    grade: str = ""


@dataclass(frozen=True)
class Observed:
    """What the variance is shared out of: an output, or its sum over dims.

    With ``above``, a limit in the unit of the output, it is 1 in draws above it and 0 in others.
    ``dims`` are those that are left.
    """

    title: str
    name: str
    dims: tuple[str, ...]
    over: tuple[str, ...] = ()
    above: float | None = None


@dataclass(frozen=True)
class Study:
    """The groups of inputs, in order, and what is observed of every draw."""

    groups: tuple[InputGroup, ...]
    observed: tuple[Observed, ...]
