"""Steps under other names, and what makes two steps the same."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import numpy as np

from ndmc.plan.steps import Cohort, Program, Term
from ndmc.scenario.expressions import Expression

T = TypeVar("T")

#: Fields of steps and of what they are made of that hold names of quantities.
_NAMES = ("target", "inflow", "release", "kept", "stock", "name", "loop", "group")


class Renaming:
    """Gives the quantities that steps and expressions read and compute other names.

    Terms that are one object stay one: shares of a process know by that that they have the same.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = names
        self._terms: dict[int, tuple[Any, Any]] = {}  # beside what was, whose id is its own so

    def __call__(self, part: T) -> T:
        """Return a step, or a part of one, under other names."""
        if not (isinstance(part, tuple) and part and isinstance(part[0], Term)):
            return self._renamed(part)  # type: ignore[no-any-return]
        if id(part) not in self._terms:
            self._terms[id(part)] = part, self._renamed(part)
        found: T = self._terms[id(part)][1]
        return found

    def _renamed(self, part: Any) -> Any:
        match part:
            case Expression():
                return self._expression(part)
            case Program():
                return self._program(part)
            case tuple():
                return tuple(map(self, part))
        if not is_dataclass(part) or isinstance(part, type):
            return part
        changes = {one.name: getattr(part, one.name) for one in fields(part)}
        found = {name: self._field(name, value) for name, value in changes.items()}
        if isinstance(part, Cohort):
            found["removals"] = tuple((self._name(n), self(e)) for n, e in part.removals)
        changed = {name: value for name, value in found.items() if value is not changes[name]}
        return replace(part, **changed) if changed else part

    def _field(self, field: str, value: Any) -> Any:
        if field not in _NAMES or isinstance(value, Expression):
            return self(value)
        return self._name(value) if isinstance(value, str) else tuple(map(self._name, value))

    def _name(self, name: str) -> str:
        return self.names.get(name, name)

    def _expression(self, one: Expression) -> Expression:
        if all(self._name(name) == name for name in one.names):
            return one
        return replace(one, name=self._name(one.name), arguments=tuple(map(self, one.arguments)))

    def _program(self, program: Program) -> Program:
        return replace(
            program,
            inputs=self(program.inputs),
            series={self._name(name): where for name, where in program.series.items()},
            gains=tuple((at, tuple(map(self._name, names))) for at, names in program.gains),
        )


def structure(part: Any) -> Hashable:
    """Return what is equal for two things that are made of the same.

    Examples
    --------
    >>> from ndmc.plan.stock_steps import Term
    >>> structure(Term("sales", ("year",))) == structure(Term("sales", ("year",)))
    True
    """
    match part:
        case np.ndarray():
            return part.shape, part.dtype.str, part.tobytes()
        case tuple() | list():
            return tuple(map(structure, part))
        case dict():
            return tuple((structure(key), structure(value)) for key, value in part.items())
        case float():
            return part.hex()
    if is_dataclass(part):
        held = (structure(getattr(part, one.name)) for one in fields(part))
        return type(part).__name__, *held
    found: Hashable = part
    return found
