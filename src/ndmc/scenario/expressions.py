"""Expressions: trees of operations on names and numbers, checked for dims and units."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

from ndmc.scenario.units import Dimension

__all__ = ["BY_LABEL", "EVERYWHERE", "Expression", "ExpressionError", "Variable", "Within"]

#: One formula for some labels of a dim and another for others: ``positions`` says for each label
#: along ``axis`` which of the arguments it takes. Each is computed for the labels that take it.
BY_LABEL = "by_label"

#: Where something is needed: the positions along some dims, everywhere along the others.
Within = Mapping[str, tuple[int, ...]]

EVERYWHERE: Within = {}


class ExpressionError(ValueError):
    """An expression that cannot be read, or does not make sense."""


class DimensionError(ExpressionError):
    """An operation on quantities whose dimensions it cannot take."""


@dataclass(frozen=True)
class Variable:
    """What an expression needs to know of a name: its dims and its physical dimension.

    Messages say in which ``unit`` it is.
    """

    dims: tuple[str, ...]
    dimension: Dimension
    unit: str = ""

    @property
    def as_read(self) -> str:
        """The unit, and how it is read."""
        return f"{self.unit} [{self.dimension}]".lstrip()


@dataclass(frozen=True)
class Expression:
    """A checked expression, or a part of one.

    ``dimension`` is None for the literal 0, which may stand beside anything. ``axis`` is where an
    operation along a dim finds it among the dims of its argument; what leaves another dim in its
    place takes for each label of that the ``members`` along it, all if there are none.
    """

    dims: tuple[str, ...]
    dimension: Dimension | None
    operation: str
    arguments: tuple[Expression, ...] = ()
    value: float = 0.0
    name: str = ""
    axis: int = -1
    positions: tuple[int, ...] = ()
    members: tuple[tuple[int, ...], ...] = ()

    @property
    def into(self) -> int:
        """Where the dim that an operation leaves in the place of another stands."""
        inner = self.arguments[0].dims
        return next(at for at, dim in enumerate(self.dims) if dim not in inner)

    @functools.cached_property
    def names(self) -> frozenset[str]:
        """The names this expression reads."""
        own = frozenset({self.name}) if self.operation == "name" else frozenset()
        return own.union(*(argument.names for argument in self.arguments))

    def parts(self, operation: str) -> list[Expression]:
        """Return the parts of this expression that are of one operation."""
        return [part for part, _ in self.placed(operation, EVERYWHERE)]

    def placed(self, operation: str, within: Within) -> list[tuple[Expression, Within]]:
        """Return the same, each with where it is needed if the whole is needed within somewhere."""
        own = [(self, within)] if self.operation == operation else []
        parts = self.needed(within)
        return own + [found for part, inner in parts for found in part.placed(operation, inner)]

    # --- by label ----------------------------------------------------------------------------

    @property
    def branches(self) -> tuple[Expression, ...]:
        """The formulas of which each cell takes one; itself if there is but one."""
        if self.operation != BY_LABEL:
            return (self,)
        return tuple(one for argument in self.arguments for one in argument.branches)

    def needed(self, within: Within) -> list[tuple[Expression, Within]]:
        """Return the arguments, each with where it is needed if the whole is needed somewhere."""
        if self.operation == BY_LABEL:
            return [(part, inner) for part, _, inner in self.taken(within)]
        inner = {dim: some for dim, some in within.items() if dim != self.along}
        return [(part, inner) for part in self.arguments]

    @property
    def along(self) -> str:
        """The dim along which its argument is needed everywhere; empty if there is none."""
        runs = self.arguments and self.axis >= 0 and self.operation != BY_LABEL
        return self.arguments[0].dims[self.axis] if runs else ""

    def taken(self, within: Within) -> list[tuple[Expression, tuple[int, ...], Within]]:
        """Return the formulas that are taken: where along the axis, and where each is needed.

        Positions along the axis count those of ``within`` only, where it has some.
        """
        dim = self.dims[self.axis]
        chosen = within.get(dim, range(len(self.positions)))
        places: dict[int, list[int]] = {}
        for place, position in enumerate(chosen):
            places.setdefault(self.positions[position], []).append(place)
        return [
            (self.arguments[n], tuple(some), {**within, dim: tuple(chosen[k] for k in some)})
            for n, some in sorted(places.items())
        ]

    def untaken(self, within: Within) -> Within:
        """Return what is yet to be picked of this, once its argument is known where it is needed.

        What runs along a dim needs its argument everywhere there.
        """
        ((argument, inner),) = self.needed(within)
        known = inner.keys() & {*argument.dims}
        return {dim: some for dim, some in within.items() if dim not in known}
