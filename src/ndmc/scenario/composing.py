"""Expressions made of names and of expressions: each operation checked for dims and units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ndmc.dims import Dims
from ndmc.errors import nearest
from ndmc.label import LabelError
from ndmc.scenario.expressions import (
    BY_LABEL,
    DimensionError,
    Expression,
    ExpressionError,
    Variable,
)
from ndmc.scenario.operations import OPERATIONS
from ndmc.scenario.units import NONE, TIME

__all__ = ["Composer"]

#: The units of so many names are told.
_MOST_NAMED = 6

STEP = "step"

YEAR = "year"


@dataclass(frozen=True)
class Composer:
    """Makes expressions of names and of expressions, which may be of any length and depth.

    Raises
    ------
    ExpressionError
        For unknown names, dims and labels, and for units that do not fit.

    Examples
    --------
    >>> dims = Dims({"product": ("phone", "car"), "year": ("2001", "2002")})
    >>> compose = Composer({"sales": Variable(("product", "year"), NONE)}, dims)
    >>> compose.over("sum", compose.name("sales"), "product").dims
    ('year',)
    """

    variables: Mapping[str, Variable]
    dims: Dims

    def name(self, name: str) -> Expression:
        """Return what a name stands for."""
        if name == STEP:
            return Expression((), TIME, "number", value=1.0)
        if name == YEAR:
            return Expression((YEAR,), NONE, "series", positions=self.dims.years, axis=0)
        if name not in self.variables:
            suggestion = nearest(name, [*self.variables, STEP, YEAR])
            raise ExpressionError(f"unknown name {name!r}; {suggestion}")
        known = self.variables[name]
        return Expression(known.dims, known.dimension, "name", name=name)

    def number(self, value: float) -> Expression:
        """Return a plain number; 0 may stand beside anything."""
        return Expression((), NONE if value else None, "number", value=value)

    def apply(self, operation: str, *arguments: Expression) -> Expression:
        """Return an operation on expressions, which broadcast against each other."""
        dims = self.dims.ordered({dim for part in arguments for dim in part.dims})
        try:
            dimension = OPERATIONS[operation].dimension(arguments)
        except DimensionError as wrong:
            number = any(part.operation == "number" and part.value for part in arguments)
            hint = "; a number with a unit is a parameter" * (number and "cannot" in str(wrong))
            raise DimensionError(f"{wrong}{self.as_read(*arguments)}{hint}") from None
        return Expression(dims, dimension, operation, arguments)

    def as_read(self, *expressions: Expression) -> str:
        """Return a clause that says how the unit of each name in some expressions is read."""
        names = [part.name for one in expressions for part in one.parts("name")]
        units = {name: self.variables[name].as_read for name in dict.fromkeys(names)}
        said = [f"{name!r} is in {unit}" for name, unit in units.items()][:_MOST_NAMED]
        left = len(units) - len(said)
        more = f" and {left} more" if left else ""
        return f": {', '.join(said)}{more}" if said else ""

    def over(self, name: str, inner: Expression, dim: str) -> Expression:
        """Return the sum or the mean over a dim."""
        if dim not in inner.dims:
            raise ExpressionError(
                f"cannot {name} over {dim!r}: {described_dims(inner.dims)}; "
                f"{nearest(dim, inner.dims)}"
            )
        rest = tuple(d for d in inner.dims if d != dim)
        dimension = inner.dimension or NONE
        if dim == "year" and name == "sum":
            dimension = dimension * TIME
        return Expression(rest, dimension, name, (inner,), axis=inner.dims.index(dim))

    def along(self, name: str, inner: Expression, years: int = 1) -> Expression:
        """Return what runs along the years: ``lag``, ``carry``, ``cumsum`` or ``first_year``."""
        if "year" not in inner.dims:
            raise ExpressionError(f"{name}() runs along the years: {described_dims(inner.dims)}")
        dimension = inner.dimension or NONE
        axis = inner.dims.index("year")
        if name == "first_year":
            if dimension != NONE:
                raise ExpressionError("the argument of first_year() must be a comparison")
            rest = tuple(dim for dim in inner.dims if dim != "year")
            return Expression(rest, NONE, name, (inner,), axis=axis, positions=self.dims.years)
        if name != "lag":
            dimension = dimension * TIME
        return Expression(inner.dims, dimension, name, (inner,), value=float(years), axis=axis)

    def pick(self, inner: Expression, dim: str, label: str) -> Expression:
        """Return what stands at a label of a dim; at a group, the sum of its labels."""
        if dim not in inner.dims:
            message = f"cannot pick {dim}={label}: {described_dims(inner.dims)}"
            raise ExpressionError(f"{message}; {nearest(dim, inner.dims)}")
        try:
            positions = self.dims.positions(dim, label)
        except LabelError as wrong:
            raise ExpressionError(str(wrong)) from None
        rest = tuple(d for d in inner.dims if d != dim)
        axis = inner.dims.index(dim)
        return Expression(rest, inner.dimension, "at", (inner,), axis=axis, positions=positions)

    def by_label(self, dim: str, taken: Sequence[int], *formulas: Expression) -> Expression:
        """Return one formula for some labels of a dim and another for others.

        Which of the formulas each label takes is ``taken``.
        """
        dims = self.dims.ordered({dim, *(own for part in formulas for own in part.dims)})
        known = [part for part in formulas if part.dimension is not None]
        for other in known[1:]:
            if other.dimension != known[0].dimension:
                message = f"cannot choose by {dim} between [{known[0].dimension}] and"
                raise DimensionError(f"{message} [{other.dimension}]{self.as_read(*known)}")
        dimension, axis = known[0].dimension if known else None, dims.index(dim)
        return Expression(dims, dimension, BY_LABEL, formulas, axis=axis, positions=tuple(taken))


def described_dims(dims: tuple[str, ...]) -> str:
    return f"the argument has the dims {list(dims)}" if dims else "the argument has no dims"
