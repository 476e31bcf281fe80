"""What is said of a name that no output has."""

from __future__ import annotations

from collections.abc import Sequence

from ndmc.errors import nearest
from ndmc.scenario import reserved

__all__ = ["nearest_output"]

#: What people write behind an output: the names of what is known of it, a cell, another name.
_BEHIND = (
    *reserved.SUFFIXES,
    *(reserved.FIRST_ORDER, reserved.TOTAL_ORDER, reserved.INTERACTION, reserved.FIRST_LINEAR),
    *(reserved.LINEAR_SHARE, reserved.CONTROLLED, reserved.FLAG, reserved.EFFECT, reserved.TIED),
    *(reserved.OVER_YEARS, reserved.OVER_CELLS, reserved.ABOVE),
    *("@", "[", " "),
)


def nearest_output(name: str, known: Sequence[str]) -> str:
    """Return a clause as `nearest` does; of an output with more behind its name, to leave it out.

    Examples
    --------
    >>> nearest_output("in_us", ["in_use", "sales"])
    "did you mean 'in_use'?"
    >>> nearest_output("in_use_total", ["in_use", "sales"])
    "write 'in_use' alone: its cells, its total and what else is known of it are told with it"
    """
    found = [one for one in known if name.startswith(tuple(one + end for end in _BEHIND))]
    if not found:
        return nearest(name, known)
    own = max(found, key=len)
    return (
        f"write {own!r} alone: its cells, its total and what else is known of it are told with it"
    )
