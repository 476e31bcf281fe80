"""Compile a loop to a program: steps that need each other, solved together year by year.

What a year needs of itself is linear and eliminated symbolically, once, into row operations that
hold for every draw; what it needs of the years before is read back. Only shares and sums close a
loop within a year; anything may close one through `lag`.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from ndmc.dims import Dims
from ndmc.plan.ordering import in_order
from ndmc.plan.steps import Balance, Cohort, Formula, March, Program, Share, Step, Term
from ndmc.scenario.expressions import Expression
from ndmc.scenario.operations import OPERATIONS
from ndmc_kernels.operations import Operation

__all__ = ["LoopError", "compile_loop"]

Cell = tuple[int, ...]

Unknown = tuple[str, Cell]


class LoopError(ValueError):
    """A loop that cannot be solved; ``names`` are the quantities that form it."""

    def __init__(self, message: str, names: Sequence[str]) -> None:
        super().__init__(message)
        self.names = tuple(names)


@dataclass(frozen=True)
class _Row:
    """A row of the program: where it stands in the first year, and how far on each year."""

    at: int
    stride: int = 0
    fixed: bool = False


_Value = _Row | float


@dataclass
class _Linear:
    """A constant part and a coefficient for each unknown of the same year."""

    constant: _Value
    unknowns: dict[Unknown, _Value] = field(default_factory=dict)


@dataclass(frozen=True)
class _Part:
    """A part of a cohort stock: what its age shares make of the inflow."""

    cohort: int
    part: int
    inflow: str


_Rule = Expression | Share | Balance | _Part


def compile_loop(members: Sequence[Step], dims: Dims) -> March:
    """Return the steps of one loop as a single step.

    Parameters
    ----------
    members
        Steps that need each other.
    dims
        The dims of the scenario.

    Raises
    ------
    LoopError
        If the loop is not linear within a year, leaves flows undetermined, or needs all years
        at once.
    """
    ordered = tuple(sorted(members, key=lambda step: step.targets[0]))
    program = _Compiler(ordered, dims).program()
    return March(ordered[0].targets[0], ordered, program)


class _Compiler:
    """One compilation; rows are numbered as they are needed."""

    def __init__(self, members: Sequence[Step], dims: Dims) -> None:
        self.dims = dims
        self.years = len(dims.years)
        self.cohorts = [step for step in members if isinstance(step, Cohort)]
        self.rules: dict[str, _Rule] = {}
        self.dims_of: dict[str, tuple[str, ...]] = {}
        self.members = {name for step in members for name in step.targets}
        self.rows = 0
        self.constants: dict[float, int] = {}
        self.inputs: dict[Expression, int] = {}
        self.tables: dict[tuple[int, int], int] = {}
        self.starts: dict[tuple[int, int], int] = {}
        self.series: dict[str, int] = {}
        self.gains: list[tuple[int, tuple[str, ...]]] = []
        self.once: list[tuple[int, ...]] = []
        self.yearly: list[tuple[int, ...]] = []
        self.computed: dict[tuple[object, ...], _Row] = {}
        self.known: set[str] = set()
        self.group: tuple[str, ...] = ()
        for step in members:
            self._add(step)
        for name in self.rules:
            self.series[name] = self._take(dims.size(self.dims_of[name]))

    # --- what is to be computed ------------------------------------------------------------

    def _add(self, step: Step) -> None:
        match step:
            case Formula():
                self._name(step.target, step.dims, self._without_memory(step.expression))
            case Share():
                share = replace(step, expression=self._without_memory(step.expression))
                self._name(step.target, step.dims, share)
            case Balance():
                self._name(step.target, step.dims, step)
            case Cohort():
                self._add_cohort(step)
            case _:
                message = (
                    f"{step.targets[0]!r} is known only when all years of a stock of the loop are; "
                    "do not read it inside the loop"
                )
                raise LoopError(message, step.targets)

    def _name(self, name: str, dims: tuple[str, ...], rule: _Rule) -> None:
        self.rules[name] = rule
        self.dims_of[name] = dims

    def _add_cohort(self, step: Cohort) -> None:
        number = self.cohorts.index(step)
        for expression in step.expressions:
            if expression.names & self.members:
                message = (
                    f"what the stock {step.target!r} itself is made of (lifetime, value, initial, "
                    "removals) cannot depend on what it releases"
                )
                raise LoopError(message, [step.target])
        inflow = step.inflow or f"{step.target} inflow"
        self._name(inflow, step.dims, Balance(inflow, step.dims, "", "balance", step.inflows))
        removals = [flow for flow, _ in step.removals]
        for part, name in enumerate([step.target, step.release, *removals]):
            if name:
                self._name(name, step.dims, _Part(number, part, inflow))

    def _without_memory(self, expression: Expression) -> Expression:
        """Return the expression with running sums and lags of the loop as its quantities."""
        if not expression.names & self.members:
            return expression
        if expression.operation in ("sum", "mean", "at", "first_year") and (
            "year" in expression.arguments[0].dims and "year" not in expression.dims
        ):
            message = (
                "a sum over years, or the value of one year, or a first year, is not known inside "
                "the loop; lag(cumsum(...)) sums the years before, or counts those in which a "
                "comparison held"
            )
            raise LoopError(message, sorted(expression.names & self.members))
        arguments = tuple(self._without_memory(part) for part in expression.arguments)
        expression = replace(expression, arguments=arguments)
        if expression.operation == "lag":
            return self._lagged(expression)
        if expression.operation in ("cumsum", "carry"):
            return self._accumulated(expression)
        return expression

    def _lagged(self, expression: Expression) -> Expression:
        inner = expression.arguments[0]
        if expression.value == 0:
            return inner
        if inner.operation != "name":
            inner = self._helper(inner, inner)
        return replace(expression, arguments=(inner,))

    def _accumulated(self, expression: Expression) -> Expression:
        """Rewrite a running sum C as C = lag(C) + x, what is carried over as max(that, 0)."""
        name = f"_{len(self.rules)}"
        own = Expression(expression.dims, expression.dimension, "name", name=name)
        before = replace(expression, operation="lag", arguments=(own,), value=1.0)
        total = replace(
            expression, operation="add", arguments=(before, expression.arguments[0]), axis=-1
        )
        if expression.operation == "carry":
            zero = Expression((), None, "number", value=0.0)
            total = replace(total, operation="max", arguments=(total, zero))
        return self._helper(own, total)

    def _helper(self, shown: Expression, rule: Expression) -> Expression:
        name = shown.name if shown.operation == "name" else f"_{len(self.rules)}"
        self._name(name, rule.dims, rule)
        self.members.add(name)
        return Expression(rule.dims, rule.dimension, "name", name=name)

    # --- order -----------------------------------------------------------------------------

    def _same_year(self, name: str) -> set[str]:
        """Return the quantities of the loop whose value in a year this one needs in that year."""
        rule = self.rules[name]
        match rule:
            case _Part():
                return {rule.inflow}
            case Balance():
                names = {term.name for term in rule.terms}
            case Share():
                names = {term.name for term in rule.inflows} | _now(rule.expression)
            case _:
                names = _now(rule)
        return names & set(self.rules)

    def _order(self) -> list[list[str]]:
        """Return groups of quantities in the order of computing; a group needs itself."""
        return in_order({name: sorted(self._same_year(name)) for name in sorted(self.rules)})

    # --- rows and operations ---------------------------------------------------------------

    def _take(self, count: int) -> int:
        first, self.rows = self.rows, self.rows + count
        return first

    def _constant(self, value: float) -> _Row:
        if value not in self.constants:
            self.constants[value] = self._take(1)
        return _Row(self.constants[value], 0, True)

    def _emit(self, operation: str, *values: _Value, into: _Row | None = None) -> _Row:
        """Append an instruction; the same one is not computed twice."""
        rows = [self._constant(v) if isinstance(v, float) else v for v in values]
        key = (operation, *rows)
        if into is None and key in self.computed:
            return self.computed[key]
        fixed = all(row.fixed for row in rows) and into is None
        out = into or _Row(self._take(1), 0, fixed)
        places = [number for row in (out, *rows) for number in (row.at, row.stride)]
        places += [out.at, out.stride] * (4 - 1 - len(rows))
        (self.once if fixed else self.yearly).append((Operation[operation.upper()], *places))
        self.computed[key] = out
        return out

    def _add_up(self, a: _Value, b: _Value) -> _Value:
        if isinstance(a, float) and isinstance(b, float):
            return a + b
        if a == 0.0:
            return b
        return a if b == 0.0 else self._emit("add", a, b)

    def _minus(self, a: _Value) -> _Value:
        return -a if isinstance(a, float) else self._emit("negative", a)

    def _times(self, a: _Value, b: _Value) -> _Value:
        if isinstance(a, float) and isinstance(b, float):
            return a * b
        for one, other in ((a, b), (b, a)):
            if isinstance(one, float) and one in (0.0, 1.0, -1.0):
                return 0.0 if one == 0.0 else other if one == 1.0 else self._minus(other)
        return self._emit("multiply", a, b)

    def _fused(self, a: _Value, b: _Value, c: _Value) -> _Value:
        """Return a + b * c."""
        plain = any(isinstance(v, float) and v in (0.0, 1.0, -1.0) for v in (b, c)) or a == 0.0
        if plain:
            product = self._times(b, c)
            if isinstance(product, _Row) and isinstance(a, _Row) and -1.0 in (b, c):
                return self._emit("subtract", a, c if b == -1.0 else b)
            return self._add_up(a, product)
        return self._emit("fused", a, b, c)

    # --- values ----------------------------------------------------------------------------

    def _position(self, cell: Mapping[str, int], dims: tuple[str, ...]) -> int:
        at = 0
        for dim in dims:
            if dim != "year":
                at = at * len(self.dims.labels[dim]) + cell[dim]
        return at

    def _series_row(self, name: str, cell: Mapping[str, int]) -> _Row:
        dims = self.dims_of[name]
        return _Row(self.series[name] + self._position(cell, dims) * self.years, 1)

    def _read(self, name: str, cell: Mapping[str, int]) -> _Linear:
        if name in self.known:
            return _Linear(self._series_row(name, cell))
        key = tuple(cell[dim] for dim in self.dims_of[name] if dim != "year")
        return _Linear(0.0, {(name, key): 1.0})

    def _input(self, expression: Expression, cell: Mapping[str, int]) -> _Linear:
        """Return what is known before the loop is solved; equal expressions are loaded once."""
        if expression.operation == "number":
            return _Linear(expression.value)
        if expression not in self.inputs:
            self.inputs[expression] = self._take(self.dims.size(expression.dims))
        yearly = "year" in expression.dims
        stride = self.years if yearly else 1
        at = self.inputs[expression] + self._position(cell, expression.dims) * stride
        return _Linear(_Row(at, int(yearly), not yearly))

    def _visit(self, expression: Expression, cell: Mapping[str, int]) -> _Linear:
        if not expression.names & self.members:
            return self._input(expression, cell)
        operation, arguments = expression.operation, expression.arguments
        match operation:
            case "name":
                return self._read(expression.name, cell)
            case "lag":
                row = self._series_row(arguments[0].name, cell)
                return _Linear(self._emit("lag", row, _Row(int(expression.value))))
            case "sum" | "mean" | "at":
                return self._reduced(expression, cell)
            case "negative":
                return self._scaled(self._visit(arguments[0], cell), -1.0)
            case "add" | "subtract":
                left, right = (self._visit(argument, cell) for argument in arguments)
                return self._plus(left, right, -1.0 if operation == "subtract" else 1.0)
            case "multiply" | "divide":
                return self._product(expression, cell)
            case "where":
                return self._chosen(expression, cell)
        values = [self._visit(argument, cell) for argument in arguments]
        self._refuse_unknowns(operation, values)
        return _Linear(self._emit(operation, *(value.constant for value in values)))

    def _refuse_unknowns(self, operation: str, values: Iterable[_Linear]) -> None:
        names = sorted({name for value in values for name, _ in value.unknowns})
        if names:
            noun = OPERATIONS[operation].noun or f"{operation}()"
            raise LoopError(
                f"{noun} of what the same year still has to determine; read one of them a year "
                "late: lag(...)",
                names,
            )

    def _reduced(self, expression: Expression, cell: Mapping[str, int]) -> _Linear:
        inner = expression.arguments[0]
        dim = inner.dims[expression.axis]
        count = len(self.dims.labels[dim])
        chosen = expression.positions if expression.operation == "at" else range(count)
        total = _Linear(0.0)
        for position in chosen:
            total = self._plus(total, self._visit(inner, {**cell, dim: position}), 1.0)
        return self._scaled(total, 1.0 / count) if expression.operation == "mean" else total

    def _plus(self, left: _Linear, right: _Linear, factor: _Value) -> _Linear:
        """Return left + factor * right."""
        unknowns = dict(left.unknowns)
        for unknown, coefficient in right.unknowns.items():
            unknowns[unknown] = self._fused(unknowns.get(unknown, 0.0), factor, coefficient)
        return _Linear(self._fused(left.constant, factor, right.constant), unknowns)

    def _scaled(self, value: _Linear, factor: _Value) -> _Linear:
        return self._plus(_Linear(0.0), value, factor)

    def _product(self, expression: Expression, cell: Mapping[str, int]) -> _Linear:
        left, right = (self._visit(argument, cell) for argument in expression.arguments)
        if expression.operation == "divide":
            self._refuse_unknowns("divide", [right])
            if not left.unknowns:
                return _Linear(self._emit("divide", left.constant, right.constant))
            return self._scaled(left, self._emit("divide", 1.0, right.constant))
        if left.unknowns and right.unknowns:
            self._refuse_unknowns("multiply", [left, right])
        if right.unknowns:
            left, right = right, left
        return self._scaled(left, right.constant)

    def _chosen(self, expression: Expression, cell: Mapping[str, int]) -> _Linear:
        test, yes, no = (self._visit(argument, cell) for argument in expression.arguments)
        self._refuse_unknowns("where", [test])
        chosen = _Linear(self._emit("where", test.constant, yes.constant, no.constant))
        for unknown in {**yes.unknowns, **no.unknowns}:
            pair = (yes.unknowns.get(unknown, 0.0), no.unknowns.get(unknown, 0.0))
            chosen.unknowns[unknown] = self._emit("where", test.constant, *pair)
        return chosen

    def _terms(
        self, terms: Iterable[Term], wants: tuple[str, ...], cell: Mapping[str, int]
    ) -> _Linear:
        """Add up flows over the dims that are not wanted."""
        total = _Linear(0.0)
        for term in terms:
            extra = [dim for dim in term.dims if dim not in wants]
            for labels in np.ndindex(*(len(self.dims.labels[dim]) for dim in extra)):
                full = {**cell, **dict(zip(extra, labels, strict=True))}
                total = self._plus(total, self._flow(term, full), term.sign)
        return total

    def _flow(self, term: Term, cell: Mapping[str, int]) -> _Linear:
        if term.name in self.rules:
            return self._read(term.name, cell)
        return self._input(Expression(term.dims, None, "name", name=term.name), cell)

    def _equation(self, name: str, cell: Mapping[str, int]) -> _Linear:
        """Return what determines one cell of a quantity."""
        rule = self.rules[name]
        match rule:
            case Balance():
                return self._terms(rule.terms, rule.dims, cell)
            case Share():
                total = self._terms(rule.inflows, rule.total_dims, cell)
                share = self._visit(rule.expression, cell)
                if total.unknowns and share.unknowns:
                    self._refuse_unknowns("multiply", [share, total])
                left, right = (share, total) if share.unknowns else (total, share)
                return self._scaled(left, right.constant)
            case _Part():
                return self._remembered(rule, cell)
        return self._visit(rule, cell)

    def _remembered(self, rule: _Part, cell: Mapping[str, int]) -> _Linear:
        """Return this year's share of the inflow, and what is left of those before."""
        step = self.cohorts[rule.cohort]
        cells = self.dims.size(step.dims[:-1])
        span = self.years if step.lifetime.varies else 1
        key = (rule.cohort, rule.part)
        if key not in self.tables:
            self.tables[key] = self._take(cells * span * self.years)
            if step.initial:
                self.starts[key] = self._take(cells * self.years)
        at = self._position(cell, step.dims)
        first = self.tables[key] + at * span * self.years
        stride = self.years if step.lifetime.varies else 0
        inflow = self._series_row(rule.inflow, cell)
        past: _Value = self._emit("recall", inflow, _Row(first, stride))
        if step.initial:
            past = self._add_up(past, _Row(self.starts[key] + at * self.years, 1))
        now = self._read(rule.inflow, cell)
        return self._plus(_Linear(past), now, _Row(first, stride, stride == 0))

    # --- the program -----------------------------------------------------------------------

    def program(self) -> Program:
        for group in self._order():
            self.group = tuple(group)
            self._solve(
                {
                    (name, tuple(cell.values())): self._equation(name, cell)
                    for name in group
                    for cell in self._cells(name)
                }
            )
            self.known.update(group)
        return Program(
            rows=self.rows,
            constants=tuple((at, value) for value, at in self.constants.items()),
            inputs=tuple((at, expression) for expression, at in self.inputs.items()),
            tables=tuple((cohort, part, at) for (cohort, part), at in self.tables.items()),
            starts=tuple((cohort, part, at) for (cohort, part), at in self.starts.items()),
            series={n: (at, self.dims_of[n]) for n, at in self.series.items()},
            gains=tuple(self.gains),
            once=_code(self.once),
            yearly=_code(self.yearly),
        )

    def _cells(self, name: str) -> list[dict[str, int]]:
        dims = [dim for dim in self.dims_of[name] if dim != "year"]
        shape = self.dims.shape(dims)
        return [dict(zip(dims, labels, strict=True)) for labels in np.ndindex(*shape)]

    def _solve(self, equations: dict[Unknown, _Linear]) -> None:
        """Eliminate the unknowns one by one, then compute them in the opposite order."""
        users: dict[Unknown, set[Unknown]] = {unknown: set() for unknown in equations}
        for unknown, equation in equations.items():
            for other in equation.unknowns:
                users[other].add(unknown)
        order = []
        for unknown in self._elimination(equations, users):
            self._eliminate(unknown, equations, users)
            order.append(unknown)
        for unknown in reversed(order):
            self._finish(unknown, equations[unknown])

    def _elimination(
        self, equations: Mapping[Unknown, _Linear], users: Mapping[Unknown, set[Unknown]]
    ) -> Iterable[Unknown]:
        """Yield unknowns so that few new terms arise, those of balances last.

        With shares first, what is left are the balances of processes: their matrix is one minus
        the transfers between processes, whose pivots are positive if every loop loses something.
        """

        def cost(unknown: Unknown) -> tuple[bool, int]:
            late = isinstance(self.rules[unknown[0]], Balance)
            return late, len(equations[unknown].unknowns) * len(users[unknown])

        waiting = [(*cost(unknown), unknown) for unknown in equations]
        heapq.heapify(waiting)
        done: set[Unknown] = set()
        while waiting:
            late, fill, unknown = heapq.heappop(waiting)
            if unknown in done:
                continue
            now = cost(unknown)
            if now > (late, fill):
                heapq.heappush(waiting, (*now, unknown))
                continue
            done.add(unknown)
            yield unknown

    def _eliminate(
        self,
        unknown: Unknown,
        equations: dict[Unknown, _Linear],
        users: dict[Unknown, set[Unknown]],
    ) -> None:
        equation = equations[unknown]
        gain = equation.unknowns.pop(unknown, None)
        if gain is not None:
            users[unknown].discard(unknown)
            equation = equations[unknown] = self._scaled(equation, self._resolved(gain))
        for other in equation.unknowns:
            users[other].discard(unknown)
        for user in sorted(users[unknown]):
            coefficient = equations[user].unknowns.pop(unknown)
            equations[user] = self._plus(equations[user], equation, coefficient)
            for other in equation.unknowns:
                users[other].add(user)

    def _resolved(self, gain: _Value) -> _Value:
        """Return 1 / (1 - gain), keeping watch over the gain of each draw."""
        if isinstance(gain, float) and math.isclose(gain, 1.0, rel_tol=1e-12):
            message = (
                "all that enters it returns, so that the balances fix only differences; give one "
                "of them a value, or a share below 1"
            )
            raise LoopError(message, self.group)
        if isinstance(gain, float) and gain < 1.0:
            return 1.0 / (1.0 - gain)
        if not self.gains or self.gains[-1][1] != self.group:
            self.gains.append((self._take(1), self.group))
        fixed = isinstance(gain, float) or gain.fixed
        return self._emit("resolve", gain, _Row(self.gains[-1][0], 0, fixed))

    def _finish(self, unknown: Unknown, equation: _Linear) -> None:
        name, cell = unknown
        dims = [dim for dim in self.dims_of[name] if dim != "year"]
        total = equation.constant
        for other, coefficient in sorted(equation.unknowns.items()):
            labels = dict(
                zip((d for d in self.dims_of[other[0]] if d != "year"), other[1], strict=True)
            )
            total = self._fused(total, coefficient, self._series_row(other[0], labels))
        row = self._series_row(name, dict(zip(dims, cell, strict=True)))
        self._emit("copy", total, into=row)


def _now(expression: Expression) -> set[str]:
    """Return the names an expression reads in the same year."""
    if expression.operation == "lag":
        return set()
    own = {expression.name} if expression.operation == "name" else set()
    return own.union(*(_now(argument) for argument in expression.arguments))


def _code(lines: list[tuple[int, ...]]) -> npt.NDArray[np.int64]:
    return np.array(lines, dtype=np.int64).reshape(-1, 9)
