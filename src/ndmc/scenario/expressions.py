"""Expressions: trees of operations on names and numbers, checked for dims and units."""

from __future__ import annotations

from dataclasses import dataclass

from ndmc.scenario.units import Dimension

__all__ = ["Expression", "ExpressionError", "Variable"]


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

    ``dimension`` is None for the literal 0, which may stand beside anything.
    """

    dims: tuple[str, ...]
    dimension: Dimension | None
    operation: str
    arguments: tuple[Expression, ...] = ()
    value: float = 0.0
    name: str = ""
    axis: int = -1
    positions: tuple[int, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """The names this expression reads."""
        own = frozenset({self.name}) if self.operation == "name" else frozenset()
        return own.union(*(argument.names for argument in self.arguments))

    def parts(self, operation: str) -> list[Expression]:
        """Return the parts of this expression that are of one operation."""
        own = [self] if self.operation == operation else []
        return own + [found for part in self.arguments for found in part.parts(operation)]
