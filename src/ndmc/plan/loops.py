"""Compile a loop to a program: steps that need each other, solved together year by year.

What a year needs of itself is linear and eliminated symbolically, once, into row operations that
hold for every draw; what it needs of the years before is read back. Only shares and sums close a
loop within a year; anything may close one through `lag`.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ndmc.dims import Dims
from ndmc.plan.elimination import Elimination
from ndmc.plan.loop_labels import by_year, split
from ndmc.plan.loop_program import Linear, ProgramWriter, Row, Unknown, Value, code_of
from ndmc.plan.loop_rules import Fate, LoopError, Rules
from ndmc.plan.steps import Balance, March, Program, Share, Single, Term
from ndmc.scenario.along import ALONG
from ndmc.scenario.expressions import BY_LABEL, Expression
from ndmc.scenario.operations import COMPARISONS, OPERATIONS

#: What takes one side or another, and so is known once all it compares is.
_LIMITS = ("min", "max", "clip", "where", *COMPARISONS)

_REPEAT = (
    ", or write for it the formula it has of what is known before; 'Limits within a year' in "
    "docs/scenario-format.md shows both"
)


def compile_loop(members: Sequence[Single], dims: Dims) -> March:
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
    program = _LoopCompiler(Rules(ordered), dims).program()
    return March(ordered[0].targets[0], ordered, program)


class _LoopCompiler:
    """One compilation: ``known`` are the quantities that are solved."""

    def __init__(self, rules: Rules, dims: Dims) -> None:
        self.rules, self.dims = rules, dims
        self.years = len(dims.years)
        self.write = ProgramWriter()
        self.known: set[str] = set()
        self.series = {name: self.write.take(dims.size(has)) for name, has in rules.dims.items()}
        self.split: dict[int, tuple[Expression, Expression]] = {}
        self.inputs: dict[Expression, int] = {}
        self.tables: dict[tuple[int, int], int] = {}
        self.starts: dict[tuple[int, int], int] = {}

    def program(self) -> Program:
        gains = []
        for group in self.rules.order():
            names = tuple(group)
            found = Elimination(self.write, names, self._equations(names), self._is_balance)
            for unknown, equation in found.solved():
                self._finish(unknown, equation)
            if found.gain is not None:
                gains.append((found.gain, names))
            self.known.update(names)
        return Program(
            rows=self.write.rows,
            constants=tuple((at, value) for value, at in self.write.constants.items()),
            inputs=tuple((at, expression) for expression, at in self.inputs.items()),
            tables=tuple((cohort, fate, at) for (cohort, fate), at in self.tables.items()),
            starts=tuple((cohort, fate, at) for (cohort, fate), at in self.starts.items()),
            series={n: (at, self.rules.dims[n]) for n, at in self.series.items()},
            gains=tuple(gains),
            once=code_of(self.write.once),
            yearly=code_of(self.write.yearly),
        )

    def _is_balance(self, name: str) -> bool:
        return isinstance(self.rules.of[name], Balance)

    def _equations(self, names: Iterable[str]) -> dict[Unknown, Linear]:
        return {
            (name, self._key(name, cell)): self._equation(name, cell)
            for name in names
            for cell in self._cells(name)
        }

    def _cells(self, name: str) -> list[dict[str, int]]:
        dims = [dim for dim in self.rules.dims[name] if dim != "year"]
        shape = self.dims.shape(dims)
        return [
            self._with_parents(dict(zip(dims, labels, strict=True)))
            for labels in np.ndindex(*shape)
        ]

    def _with_parents(self, cell: Mapping[str, int]) -> dict[str, int]:
        """Return a cell with the labels that its own belong to."""
        if not self.dims.belongs:
            return dict(cell)
        above = {
            parent: positions[at]
            for dim, at in cell.items()
            for parent, positions in self.dims.belongs.get(dim, {}).items()
        }
        return {**above, **cell}

    def _inside(self, dim: str, cell: Mapping[str, int]) -> Iterable[int]:
        """Return the labels of a dim that lie in a cell: all, or those that belong there."""
        inside: Iterable[int] = range(len(self.dims.labels[dim]))
        for parent, positions in self.dims.belongs.get(dim, {}).items():
            if parent in cell:
                inside = [at for at in inside if positions[at] == cell[parent]]
        return inside

    def _finish(self, unknown: Unknown, equation: Linear) -> None:
        total = equation.constant
        for other, coefficient in sorted(equation.unknowns.items()):
            total = self.write.fused(total, coefficient, self._row_of(other))
        self.write.do("copy", total, into=self._row_of(unknown))

    def _row_of(self, unknown: Unknown) -> Row:
        name, cell = unknown
        dims = (dim for dim in self.rules.dims[name] if dim != "year")
        return self._series_row(name, dict(zip(dims, cell, strict=True)))

    # --- rules -----------------------------------------------------------------------------

    def _equation(self, name: str, cell: Mapping[str, int]) -> Linear:
        """Return what determines one cell of a quantity."""
        rule = self.rules.of[name]
        match rule:
            case Balance():
                return self._terms(rule.terms, rule.dims, cell)
            case Share():
                total = self._terms(rule.inflows, rule.total_dims, cell)
                share = self._visit(rule.expression, cell)
                if total.unknowns and share.unknowns:
                    self._refuse_unknowns("multiply", [share, total])
                left, right = (share, total) if share.unknowns else (total, share)
                return self.write.scaled(left, right.constant)
            case Fate():
                return self._remembered(rule, cell)
        return self._visit(rule, cell)

    def _remembered(self, rule: Fate, cell: Mapping[str, int]) -> Linear:
        """Return this year's share of the inflow, and what is left of those before."""
        shares, inflow = self._shares(rule, cell), self._series_row(rule.inflow, cell)
        past: Value = self.write.do("recall", inflow, shares)
        if self.rules.cohorts[rule.cohort].initial:
            past = self.write.add_up(past, self._start(rule, cell))
        return self.write.plus(Linear(past), self._read(rule.inflow, cell), shares)

    def _shares(self, rule: Fate, cell: Mapping[str, int]) -> Row:
        """Return the shares by age of the first cohort, in a table [cell, cohort, age]."""
        step, key = self.rules.cohorts[rule.cohort], (rule.cohort, rule.fate)
        varies = step.lifetime.varies
        size = self.years * (self.years if varies else 1)
        if key not in self.tables:
            self.tables[key] = self.write.take(self.dims.size(step.dims[:-1]) * size)
        first = self.tables[key] + self._position(cell, step.dims) * size
        return Row(first, self.years if varies else 0, not varies)

    def _start(self, rule: Fate, cell: Mapping[str, int]) -> Row:
        """Return what is left of the initial stock, in a table [cell, year]."""
        step, key = self.rules.cohorts[rule.cohort], (rule.cohort, rule.fate)
        if key not in self.starts:
            self.starts[key] = self.write.take(self.dims.size(step.dims))
        return Row(self.starts[key] + self._position(cell, step.dims) * self.years, 1)

    def _terms(
        self, terms: Iterable[Term], wants: tuple[str, ...], cell: Mapping[str, int]
    ) -> Linear:
        """Add up flows over the dims that are not wanted."""
        total = Linear(0.0)
        for term in terms:
            extra = [dim for dim in term.dims if dim not in wants]
            for labels in itertools.product(*(self._inside(dim, cell) for dim in extra)):
                full = self._with_parents({**cell, **dict(zip(extra, labels, strict=True))})
                total = self.write.plus(total, self._flow(term, full), term.sign)
        return total

    def _flow(self, term: Term, cell: Mapping[str, int]) -> Linear:
        if term.name in self.rules.of:
            return self._read(term.name, cell)
        return self._input(Expression(term.dims, None, "name", name=term.name), cell)

    # --- expressions -----------------------------------------------------------------------

    def _visit(self, expression: Expression, cell: Mapping[str, int]) -> Linear:
        if not expression.names & self.rules.members:
            return self._input(expression, cell)
        operation, arguments = expression.operation, expression.arguments
        match operation:
            case "name":
                return self._read(expression.name, cell)
            case "lag":
                row = self._series_row(arguments[0].name, cell)
                return Linear(self.write.do("lag", row, Row(int(expression.value))))
            case "each":
                return self._visit(arguments[0], cell)
            case reduction if reduction in ALONG:
                return self._reduced(expression, cell)
            case "negative":
                return self.write.scaled(self._visit(arguments[0], cell), -1.0)
            case "where":
                return self._chosen(expression, cell)
            case operation if operation == BY_LABEL:
                return self._by_label(expression, cell)
        values = [self._visit(argument, cell) for argument in arguments]
        if len(values) == 2:
            return self._combined(operation, *values)
        self._refuse_unknowns(operation, values)
        return Linear(self.write.do(operation, *(value.constant for value in values)))

    def _refuse_unknowns(self, operation: str, values: Iterable[Linear]) -> None:
        names = sorted({name for value in values for name, _ in value.unknowns})
        if names:
            noun = OPERATIONS[operation].noun or f"{operation}()"
            message = (
                f"{noun} of what the same year still has to determine; read one of them a year"
            )
            raise LoopError(f"{message} late: lag(...){_REPEAT * (operation in _LIMITS)}", names)

    def _reduced(self, expression: Expression, cell: Mapping[str, int]) -> Linear:
        inner = expression.arguments[0]
        dim = inner.dims[expression.axis]
        chosen: Sequence[int] = range(len(self.dims.labels[dim]))
        if expression.members:
            chosen = expression.members[cell[expression.dims[expression.into]]]
        elif expression.operation == "at":
            chosen = expression.positions
        pairwise = ALONG[expression.operation].pairwise
        cells = (self._with_parents({**cell, dim: position}) for position in chosen)
        parts = [self._visit(inner, inside) for inside in cells] or [Linear(0.0)]
        total = functools.reduce(functools.partial(self._combined, pairwise), parts)
        mean = expression.operation == "mean"
        return self.write.scaled(total, 1.0 / len(chosen)) if mean else total

    def _combined(self, operation: str, left: Linear, right: Linear) -> Linear:
        """Return what an operation makes of two quantities."""
        match operation:
            case "add" | "subtract":
                return self.write.plus(left, right, -1.0 if operation == "subtract" else 1.0)
            case "multiply":
                return self._product(left, right)
            case "divide":
                return self._quotient(left, right)
        self._refuse_unknowns(operation, [left, right])
        return Linear(self.write.do(operation, left.constant, right.constant))

    def _product(self, left: Linear, right: Linear) -> Linear:
        if left.unknowns and right.unknowns:
            self._refuse_unknowns("multiply", [left, right])
        if right.unknowns:
            left, right = right, left
        return self.write.scaled(left, right.constant)

    def _quotient(self, left: Linear, right: Linear) -> Linear:
        self._refuse_unknowns("divide", [right])
        if not left.unknowns:
            return Linear(self.write.do("divide", left.constant, right.constant))
        return self.write.scaled(left, self.write.do("divide", 1.0, right.constant))

    def _chosen(self, expression: Expression, cell: Mapping[str, int]) -> Linear:
        test, yes, no = (self._visit(argument, cell) for argument in expression.arguments)
        self._refuse_unknowns("where", [test])
        chosen = Linear(self.write.do("where", test.constant, yes.constant, no.constant))
        for unknown in {**yes.unknowns, **no.unknowns}:
            pair = (yes.unknowns.get(unknown, 0.0), no.unknowns.get(unknown, 0.0))
            chosen.unknowns[unknown] = self.write.do("where", test.constant, *pair)
        return chosen

    def _by_label(self, expression: Expression, cell: Mapping[str, int]) -> Linear:
        if id(expression) not in self.split:
            self.split[id(expression)] = split(expression, self.rules.members)
        known, others = self.split[id(expression)]
        dim = expression.dims[expression.axis]
        if dim == "year":
            return self._visit(by_year(others), cell)
        taken = others.positions[cell[dim]]
        if others.arguments[taken].names & self.rules.members:
            return self._visit(others.arguments[taken], cell)
        return self._input(known, cell)

    # --- rows ------------------------------------------------------------------------------

    def _position(self, cell: Mapping[str, int], dims: tuple[str, ...]) -> int:
        at = 0
        for dim in dims:
            if dim != "year":
                at = at * len(self.dims.labels[dim]) + cell[dim]
        return at

    def _series_row(self, name: str, cell: Mapping[str, int]) -> Row:
        dims = self.rules.dims[name]
        return Row(self.series[name] + self._position(cell, dims) * self.years, 1)

    def _read(self, name: str, cell: Mapping[str, int]) -> Linear:
        if name in self.known:
            return Linear(self._series_row(name, cell))
        return Linear(0.0, {(name, self._key(name, cell)): 1.0})

    def _key(self, name: str, cell: Mapping[str, int]) -> tuple[int, ...]:
        return tuple(cell[dim] for dim in self.rules.dims[name] if dim != "year")

    def _input(self, expression: Expression, cell: Mapping[str, int]) -> Linear:
        """Return what is known before the loop is solved; equal expressions are loaded once."""
        if expression.operation == "number":
            return Linear(expression.value)
        if expression not in self.inputs:
            self.inputs[expression] = self.write.take(self.dims.size(expression.dims))
        yearly = "year" in expression.dims
        stride = self.years if yearly else 1
        at = self.inputs[expression] + self._position(cell, expression.dims) * stride
        return Linear(Row(at, int(yearly), not yearly))
