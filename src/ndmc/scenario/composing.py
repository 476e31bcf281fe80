"""Expressions made of names and of expressions: each operation checked for dims and units."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ndmc.dims import Dims
from ndmc.errors import nearest
from ndmc.label import LabelError, listed
from ndmc.scenario.along import EVENTS
from ndmc.scenario.expressions import (
    BY_LABEL,
    DimensionError,
    Expression,
    ExpressionError,
    Variable,
)
from ndmc.scenario.operations import COMPARISONS, OPERATIONS
from ndmc.scenario.units import NONE, TIME, Dimension, UnitSystem

__all__ = ["Composer"]

#: The units of so many names are told.
_MOST_NAMED = 6

STEP = "step"

YEAR = "year"

#: What is taken over a dim, as it is written: the operation, and what messages say of it.
REDUCTIONS = {
    "sum": ("sum", "sum"),
    "mean": ("mean", "take the mean"),
    "prod": ("prod", "take the product"),
    "min": ("lowest", "take the min"),
    "max": ("highest", "take the max"),
    "argmax": ("argmax", "take the argmax"),
}

#: What is made of 0 and 1 alone by these is 0 or 1.
_OF_CONDITIONS = ("multiply", "min", "max", "prod", "lowest", "highest", "lag", "each")


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
    units: UnitSystem | None = None

    def name(self, name: str) -> Expression:
        """Return what a name stands for."""
        if name == STEP:
            return Expression((), TIME, "number", value=1.0)
        if name == YEAR:
            return Expression((YEAR,), NONE, "series", positions=self.dims.years, axis=0)
        if name not in self.variables:
            hint = nearest(name, [*self.variables, STEP, YEAR])
            if self.units and self.units.is_unit(name):
                hint = "a unit stands right behind its number, without blanks: 20 t/yr"
            raise ExpressionError(f"unknown name {name!r}; {hint}")
        known = self.variables[name]
        return Expression(known.dims, known.dimension, "name", name=name)

    def number(self, value: float) -> Expression:
        """Return a plain number; 0 may stand beside anything."""
        return Expression((), NONE if value else None, "number", value=value)

    def apply(self, operation: str, *arguments: Expression) -> Expression:
        """Return an operation on expressions, which broadcast against each other."""
        dims = self._together(dim for part in arguments for dim in part.dims)
        arguments = tuple(self.within(part, dims) for part in arguments)
        try:
            dimension = OPERATIONS[operation].dimension(arguments)
        except DimensionError as wrong:
            number = any(part.operation == "number" and part.value for part in arguments)
            hint = "; write a number with its unit, such as 5 kt" * (
                number and "cannot" in str(wrong)
            )
            raise DimensionError(f"{wrong}{self.as_read(*arguments)}{hint}") from None
        return Expression(dims, dimension, operation, arguments)

    def _together(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the dims of what broadcasts against each other."""
        dims = self.dims.ordered(names)
        if clash := self.dims.clash(dims):
            one, other = clash
            grouping = one in self.dims.groupings.get(other, ())
            hint = f"sum(..., over={other}, by={one})" if grouping else "sum over one of them"
            message = f"what is by {one} and what is by {other} cannot stand beside each other"
            raise ExpressionError(f"{message}: labels may be in several or no groups; {hint} first")
        return dims

    def as_read(self, *expressions: Expression) -> str:
        """Return a clause that says how the unit of each name in some expressions is read."""
        names = [part.name for one in expressions for part in one.parts("name")]
        units = {name: self.variables[name].as_read for name in dict.fromkeys(names)}
        said = [f"{name!r} is in {unit}" for name, unit in units.items()][:_MOST_NAMED]
        left = len(units) - len(said)
        more = f" and {left} more" if left else ""
        return f": {', '.join(said)}{more}" if said else ""

    def over(self, name: str, inner: Expression, *dims: str, by: str = "") -> Expression:
        """Return what a reduction makes of some dims; what their labels belong to is left.

        Reductions are ``sum``, ``mean``, ``min``, ``max``, ``prod`` and ``argmax``. What labels of
        another of the dims belong to goes with them. Of one dim what is left may be one of its
        groupings: it is taken ``by`` the groups.
        """
        for dim in dims:
            if any(dim in self.dims.belongs.get(child, ()) for child in dims):
                continue
            verb = REDUCTIONS[name][1]
            self._axis(f"{verb} over {dim!r}", inner, dim)
            parent = self._grouping(name, dim, by) if by else self._left(verb, dim, dims)
            inner = self._reduced(name, inner, dim, parent)
        return inner

    def _grouping(self, name: str, dim: str, by: str) -> str:
        above, own = self.dims.belongs.get(dim, {}), self.dims.groupings.get(dim, {})
        known = dict.fromkeys([*own, *above])
        if by in known and name != "argmax":
            return by
        message = f"cannot {REDUCTIONS[name][1]} over {dim!r} by {by!r}"
        raise ExpressionError(f"{message}; {nearest(by, known)}")

    def _left(self, verb: str, dim: str, dims: Collection[str]) -> str:
        """Return the dim that is left where one goes: what it belongs to, if that does not go."""
        above = self.dims.named([dim])[-2::-1]
        left = next((one for one in above if one not in dims), "")
        higher = above[above.index(left) :] if left else ()
        if gone := next((one for one in higher if one in dims), ""):
            message = f"cannot {verb} over {gone!r}: each {left} belongs to one {gone}"
            raise ExpressionError(f"{message}; write {left} among the dims, too")
        return left

    def total(self, inner: Expression, wants: Collection[str]) -> Expression:
        """Return the sum over all dims but some, which the others may belong to."""
        for dim in inner.dims:
            if dim not in self.dims.full(wants):
                above = self.dims.belongs.get(dim, {})
                parent = next((one for one in wants if one in above), "")
                return self.total(self._reduced("sum", inner, dim, parent), wants)
        return inner

    def _reduced(self, name: str, inner: Expression, dim: str, parent: str) -> Expression:
        """Return a dim reduced, by label of another that its own belong to, if there is one."""
        rest = {d for d in inner.dims if d != dim}
        dimension = inner.dimension or NONE
        if dim == YEAR and name == "sum":
            dimension = dimension * TIME
        if name == "prod":
            dimension = self._plain(name, inner)
        axis, numbers = inner.dims.index(dim), tuple[int, ...]()
        if name == "argmax":
            dimension, numbers, parent = NONE, self._numbers(dim), ""
        members = self.dims.members(dim, parent) if parent else ()
        left = self.dims.ordered({*rest, parent} if parent else rest)
        operation = REDUCTIONS[name][0]
        return Expression(left, dimension, operation, (inner,), 0.0, "", axis, numbers, members)

    def within(self, inner: Expression, wants: Iterable[str]) -> Expression:
        """Return an expression with the labels of dims that belong to its own, where wanted."""
        for dim in inner.dims:
            if dim not in wants and dim in self.dims.full(wants):
                child, positions = self.dims.parents(wants, dim)
                if inner.operation == "series":
                    own = tuple(inner.positions[at] for at in positions)
                    return self.within(replace(inner, dims=(child,), positions=own), wants)
                dims = self.dims.ordered({*inner.dims, child})
                axis = inner.dims.index(dim)
                each = Expression(
                    dims, inner.dimension, "each", (inner,), axis=axis, positions=positions
                )
                return self.within(each, wants)
        return inner

    def _axis(self, what: str, inner: Expression, dim: str) -> int:
        if dim not in inner.dims:
            raise ExpressionError(f"cannot {what}: {self._without(inner, dim)}")
        return inner.dims.index(dim)

    def _without(self, inner: Expression, dim: str) -> str:
        """Say that an expression has not a dim, and how what belongs to that is summed."""
        own = described_dims(inner.dims)
        child = next((one for one in inner.dims if dim in self.dims.belongs.get(one, ())), "")
        if child:
            return f"{own}, and each {child} belongs to one {dim}; sum(..., over={child}) first"
        return f"{own}; {nearest(dim, inner.dims)}"

    def _plain(self, name: str, inner: Expression) -> Dimension:
        if inner.dimension not in (NONE, None):
            message = f"{name}() wants a plain number, not [{inner.dimension}]; divide first"
            raise DimensionError(f"{message}{self.as_read(inner)}")
        return NONE

    def _numbers(self, dim: str) -> tuple[int, ...]:
        """Return the labels of a dim, if they are years or ages."""
        numbers = tuple(label for label in self.dims.coordinate(dim) if isinstance(label, int))
        if not numbers:
            message = f"argmax() gives a year or an age, and a label of {dim!r} is no number"
            raise ExpressionError(f"{message}; x == max(x, over={dim}) is 1 where x is largest")
        return numbers

    def along(self, name: str, inner: Expression, years: int = 1, start: str = "") -> Expression:
        """Return what runs along the years, such as ``lag``, ``carry``, ``cumsum``.

        A ``first_year`` or a ``last_year`` is that of a condition, from the year ``start`` on.
        """
        if YEAR not in inner.dims:
            raise ExpressionError(f"{name}() runs along the years: {described_dims(inner.dims)}")
        dimension, axis = inner.dimension or NONE, inner.dims.index(YEAR)
        if name == "peak_year":
            return self.over("argmax", inner, YEAR)
        if name in EVENTS:
            if dimension != NONE:
                raise ExpressionError(f"the argument of {name}() must be a comparison")
            counted = self.dims.years[self.positions(YEAR, [start])[0] if start else 0 :]
            rest = tuple(dim for dim in inner.dims if dim != YEAR)
            return Expression(rest, NONE, name, (inner,), axis=axis, positions=counted)
        if name == "cumprod":
            dimension = self._plain(name, inner)
        elif name != "lag":
            dimension = dimension * TIME
        positions = self.dims.years
        return Expression(inner.dims, dimension, name, (inner,), float(years), "", axis, positions)

    def pick(self, inner: Expression, dim: str, *labels: str) -> Expression:
        """Return what stands at a label of a dim; of several, at a group or a period the sum.

        Amounts per year that are summed over years are amounts.
        """
        axis = self._axis(f"pick {dim}={', '.join(labels)}", inner, dim)
        positions, parent = self.positions(dim, labels), self.dims.of.get(dim)
        summed = dim == YEAR and (len(labels) > 1 or ".." in labels[0])
        dimension = (inner.dimension or NONE) * TIME if summed else inner.dimension
        rest = {d for d in inner.dims if d != dim}
        if parent is None:
            left = self.dims.ordered(rest)
            return Expression(left, dimension, "at", (inner,), axis=axis, positions=positions)
        every, chosen = self.dims.members(dim, parent), {*positions}
        members = tuple(tuple(at for at in some if at in chosen) for some in every)
        left = self.dims.ordered({*rest, parent})
        return Expression(left, dimension, "sum", (inner,), axis=axis, members=members)

    def positions(self, dim: str, labels: Sequence[str]) -> tuple[int, ...]:
        """Return where labels, groups and periods stand along a dim, each once."""
        if not labels:
            raise ExpressionError(f"an empty list picks nothing of {dim!r}")
        try:
            return self.dims.picked({dim: labels})[dim]
        except LabelError as wrong:
            raise ExpressionError(str(wrong)) from None

    def together(
        self, inner: Expression, labels: Mapping[str, Sequence[str]]
    ) -> dict[str, list[str]]:
        """Return labels that are picked together, those of groupings as the labels in the groups.

        Raises
        ------
        ExpressionError
            If none of them belong to the others.
        """
        try:
            found = self.dims.ungrouped(labels, inner.dims)
            self.dims.picked({dim: some for dim, some in found.items() if dim in self.dims.labels})
        except LabelError as wrong:
            raise ExpressionError(str(wrong)) from None
        return {dim: [*map(str, listed(some))] for dim, some in found.items()}

    def by_label(self, dim: str, taken: Sequence[int], *formulas: Expression) -> Expression:
        """Return one formula for some labels of a dim and another for others.

        Which of the formulas each label takes is ``taken``.
        """
        dims = self._together([dim, *(own for part in formulas for own in part.dims)])
        known = [part for part in formulas if part.dimension is not None]
        for other in known[1:]:
            if other.dimension != known[0].dimension:
                message = f"cannot choose by {dim} between [{known[0].dimension}] and"
                raise DimensionError(f"{message} [{other.dimension}]{self.as_read(*known)}")
        if dim not in dims:  # of what belongs to its labels, some take one formula
            dim, parents = self.dims.parents(dims, dim)
            taken = [taken[at] for at in parents]
        parts = tuple(self.within(part, dims) for part in formulas)
        dimension, axis = known[0].dimension if known else None, dims.index(dim)
        return Expression(dims, dimension, BY_LABEL, parts, axis=axis, positions=tuple(taken))

    # --- conditions ----------------------------------------------------------------------------

    def among(self, dim: str, labels: Sequence[str]) -> Expression:
        """Return 1 at some labels of a dim and 0 at the others."""
        found = set(self.positions(dim, labels))
        size = len(self.dims.labels[dim])
        holds = tuple(int(place in found) for place in range(size))
        return Expression((dim,), NONE, "series", positions=holds, axis=0)

    def joined(self, word: str, left: Expression, right: Expression) -> Expression:
        """Return whether both conditions hold, or one or the other."""
        dims = self.dims.ordered({*left.dims, *right.dims})
        left, right = (self.within(self._condition(word, one), dims) for one in (left, right))
        if left.operation == right.operation == "series" and left.dims == right.dims:
            both = zip(left.positions, right.positions, strict=True)
            holds = tuple(min(pair) if word == "and" else max(pair) for pair in both)
            return replace(left, positions=holds)
        return self.apply("multiply" if word == "and" else "max", left, right)

    def opposite(self, inner: Expression) -> Expression:
        """Return whether a condition does not hold."""
        inner = self._condition("not", inner)
        if inner.operation == "series":
            return replace(inner, positions=tuple(1 - holds for holds in inner.positions))
        return self.apply("subtract", self.number(1.0), inner)

    def _condition(self, word: str, inner: Expression) -> Expression:
        """Return a condition, 1 or 0; what has a name holds where it is not 0, as in where()."""
        if _is_condition(inner):
            return inner
        if inner.operation in ("name", "at", "lag") and inner.dimension in (NONE, None):
            return self.apply("not_equal", inner, self.number(0.0))
        raise ExpressionError(
            f"'{word}' is of conditions, such as x > 1, which are 1 where they hold and 0 "
            "elsewhere; not of numbers and amounts"
        )


def _is_condition(part: Expression) -> bool:
    """Whether an expression is nothing but 0 and 1."""
    match part.operation, part.arguments:
        case "number" | "series", _:
            return {part.value, *part.positions} <= {0, 1}
        case "subtract", (one, other):
            return one.operation == "number" and one.value == 1.0 and _is_condition(other)
        case "where", (_, *parts):
            return all(map(_is_condition, parts))
        case operation, parts if operation in _OF_CONDITIONS:
            return bool(parts) and all(map(_is_condition, parts))
    return part.operation in COMPARISONS


def described_dims(dims: tuple[str, ...]) -> str:
    return f"the argument has the dims {list(dims)}" if dims else "the argument has no dims"
