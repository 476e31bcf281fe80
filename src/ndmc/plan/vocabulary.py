"""The names of a scenario with their dims and units: what expressions are compiled against."""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from ndmc.errors import ConsequentError, InputError, Mistakes
from ndmc.plan.formulas import Compile, Compiler, Given, texts_of
from ndmc.plan.memory import MACHINE, Memory, size_text
from ndmc.plan.samplers import central_values
from ndmc.plan.steps import Formula, Term, hidden
from ndmc.scenario.composing import Composer
from ndmc.scenario.expressions import Expression, ExpressionError, Variable
from ndmc.scenario.grammar import compile_expression
from ndmc.scenario.operations import evaluate_expression
from ndmc.scenario.scenario import Scenario
from ndmc.scenario.schema import IndicatorEntry
from ndmc.scenario.syntax import names_in, parse
from ndmc.scenario.units import NONE, TIME, Dimension
from ndmc.typing import Floats

__all__ = ["Vocabulary"]

#: A value of an expression takes so much while it is computed from others, once.
_BYTES_AT_MEANS = 24

#: Says what is wrong with the unit of an expression; nothing if it fits.
Wants = Callable[[Expression], str]


def plain(what: str, *others: Dimension) -> Wants:
    """Want a plain number, or one of other dimensions."""
    return lambda found: (
        ""
        if found.dimension in (None, NONE, *others)
        else f"{what} must be a plain number, not [{found.dimension}]"
    )


class Vocabulary:
    """What a compiler asks of a scenario: dims, terms, expressions, and the place of a mistake.

    Mistakes are raised at once, but where there is something to gather them: names in ``unread``
    then have mistakes of their own.
    """

    def __init__(
        self, scenario: Scenario, memory: Memory = MACHINE, mistakes: Mistakes | None = None
    ) -> None:
        self.scenario, self.memory = scenario, memory
        self.mistakes = mistakes or Mistakes()
        self.file = scenario.file
        self.dims = scenario.dims
        self.where, self.wrong = scenario.document.where, scenario.document.error
        self.holders = scenario.holders
        self.variables = self._variables()
        self.compose = Composer(self.variables, self.dims, self.scenario.units)
        self.indicators: dict[str, Formula] = {}
        self.unread = set(self.file.parameters) - set(scenario.parameters)
        for name in self.file.indicators:
            if name not in self.variables and name not in self.unread:
                with self.mistakes.apart():
                    self._indicator(name)
        if mistakes is None:
            self.mistakes.end()

    def flow_dims(self, name: str) -> tuple[str, ...]:
        """Return the dims of a flow."""
        return self.dims.ordered((*self.file.flows[name].dims, "year"))

    def stock_dims(self, name: str) -> tuple[str, ...]:
        """Return the dims of a stock."""
        return self.dims.ordered((*self.file.stocks[name].dims, "year"))

    def inflows(self, process: str) -> tuple[Term, ...]:
        """Return the flows into a process.

        By name, not as the file has them: the order of a sum decides its last bit.
        """
        return self._terms.get(("to", process), ())

    def outflows(self, process: str) -> tuple[Term, ...]:
        """Return the flows out of a process, by name."""
        return self._terms.get(("from", process), ())

    @functools.cached_property
    def _terms(self) -> dict[tuple[str, str], tuple[Term, ...]]:
        """The flows of every node, by which of their ends it is."""
        found: dict[tuple[str, str], list[Term]] = {}
        for name, flow in sorted(self.file.flows.items()):
            term = Term(name, self.flow_dims(name))
            found.setdefault(("from", flow.origin), []).append(term)
            found.setdefault(("to", flow.target), []).append(term)
        return {end: tuple(terms) for end, terms in found.items()}

    @functools.cached_property
    def claims(self) -> Counter[str]:
        """How many stocks determine a flow: what they lose early, lack, or have no room for."""
        stocks = self.file.stocks.values()
        flows = (
            flow for one in stocks for flow in (*one.removals, one.remainder, one.overflow) if flow
        )
        return Counter(flows)

    def fail(self, message: str, *key: str | int) -> NoReturn:
        """Raise a mistake at a place of the scenario file."""
        raise self.wrong(message, *key)

    def expression(self, given: Given, *key: str | int) -> Expression:
        """Return the expression at a place of the scenario file; by label, of any dim."""
        among = [dim for dim in self.dims.labels if dim not in ("age", "cohort")]
        return self._compiled(given, key, among, self._text)

    def _text(self, text: str, *key: str | int) -> Expression:
        return self.quantity(text, self.where(*key))

    def _compiled(
        self, given: Given, key: tuple[str | int, ...], among: Sequence[str], text: Compile
    ) -> Expression:
        nested = self.dims.named(among)
        return Compiler(self.compose, self.wrong).compiled(given, key, nested, text)

    def quantity(self, text: str, where: str) -> Expression:
        """Return an expression that stands elsewhere."""
        try:
            return compile_expression(text, self.variables, self.dims, self.scenario.units)
        except ExpressionError as wrong:
            kind = InputError if self.unread.isdisjoint(self._names(text)) else ConsequentError
            raise kind(str(wrong), where) from None

    def read(
        self, given: Given, *key: str | int, of: str, wants: Wants, dims: tuple[str, ...]
    ) -> Expression:
        """Return the expression at a place of the scenario file, refused if it does not fit there.

        ``wants`` says what is wrong with its unit, ``of`` names what it is for, with its ``dims``.
        """
        fitting = functools.partial(self._fitting, of=of, wants=wants, dims=dims)
        return self._compiled(given, key, dims, fitting)

    def _fitting(
        self, text: str, *key: str | int, of: str, wants: Wants, dims: tuple[str, ...]
    ) -> Expression:
        expression = self._text(text, *key)
        if wrong := wants(expression):
            self.fail(f"{wrong}{self.compose.as_read(expression)}", *key)
        extra = [dim for dim in expression.dims if dim not in self.dims.full(dims)]
        if extra and extra[0] == "year":
            year = f"take that of one, such as at(..., year={self.dims.years[0]})"
            self.fail(f"this cannot change with the years, and has the dim year; {year}", *key)
        if extra:
            self.fail(
                f"the expression has the dim {extra[0]!r}, which {of!r} has not; "
                f"add it to dims or sum over it: sum(..., over={extra[0]})",
                *key,
            )
        return self.compose.within(expression, dims)

    def made(
        self, name: str, dims: tuple[str, ...], dimension: Dimension | None = None
    ) -> Expression:
        """Return what a step makes under a name that no scenario writes; a flow by default."""
        return Expression(dims, dimension or self.scenario.units.flow, "name", name=name)

    def amount(self, what: str, hint: str = "") -> Wants:
        """Want an amount of stock."""
        units = self.scenario.units
        wanted = f"{what} must be [{units.stock}] ({units.name(units.stock)})"
        return lambda found: (
            ""
            if found.dimension in (None, units.stock)
            else f"{wanted}, not [{found.dimension}]{hint}"
        )

    def initial(self, stock: str) -> Expression | None:
        """Return what a stock holds before the first year, if that is said."""
        entry, dims = self.file.stocks[stock].initial, self.stock_dims(stock)[:-1]
        if entry is None:
            return None
        if entry.inflow is not None:
            return self.made(hidden(stock, "before"), dims, self.scenario.units.stock)
        hint = "; a number has its unit behind it, such as 5 kt"
        key, wants = ("stocks", stock, "initial"), self.amount("an initial stock", hint)
        if entry.value is None:
            self.fail("an initial stock needs a value, or the inflow that left it", *key)
        return self.read(entry.value, *key, "value", of=stock, wants=wants, dims=dims)

    def in_first_year(self, value: Expression, otherwise: Expression) -> Expression:
        """Return one thing for the first year and another for the others."""
        first = self.compose.number(float(self.dims.years[0]))
        begins = self.compose.apply("equal", self.compose.name("year"), first)
        return self.compose.apply("where", begins, value, otherwise)

    def in_a_year(self, change: Expression) -> Expression:
        """Return the flow that changes a stock by so much from one year to the next."""
        return self.compose.apply("divide", change, self.compose.name("step"))

    def central(self, expression: Expression) -> Floats | None:
        """Return an expression with every parameter at its mean; nothing if flows decide it."""
        if not expression.names <= self.means.keys():
            return None
        return self.evaluated(expression, self.means)

    def evaluated(
        self, expression: Expression, known: Mapping[str, Floats], draws: int = 1
    ) -> Floats:
        """Return the values of an expression at known ones, if there is room for so many draws."""
        values = self._widest(expression) * draws
        needed = _BYTES_AT_MEANS * values
        what = f"an expression of {values:,} values takes {size_text(needed)}"
        self.memory.hold(needed, what)
        return evaluate_expression(expression, known)

    def _widest(self, expression: Expression) -> int:
        """Return the most values that a part of an expression has."""
        inner = (self._widest(part) for part in expression.arguments)
        return max(self.dims.size(expression.dims), *inner, 0)

    @functools.cached_property
    def means(self) -> dict[str, Floats]:
        """Every parameter at its mean."""
        return {n: central_values(p, self.dims) for n, p in self.scenario.parameters.items()}

    def variable(self, dims: tuple[str, ...], dimension: Dimension) -> Variable:
        """Return what is known of a quantity in model units."""
        return Variable(dims, dimension, self.scenario.units.name(dimension))

    def _variables(self) -> dict[str, Variable]:
        units = self.scenario.units
        parameters = {
            name: Variable(p.dims, p.dimension, p.unit or "1")
            for name, p in self.scenario.parameters.items()
        }
        flows = {name: self.variable(self.flow_dims(name), units.flow) for name in self.file.flows}
        stocks = {n: self.variable(self.stock_dims(n), units.stock) for n in self.file.stocks}
        return {**parameters, **flows, **stocks}

    def _names(self, text: str) -> set[str]:
        """Return the names in a text; none if it cannot be read, which its compiler reports."""
        try:
            return names_in(parse(text), self.dims.labels)
        except ExpressionError:
            return set()

    # --- indicators ------------------------------------------------------------------------

    def _indicator(self, name: str) -> None:
        """Compile an indicator after those it reads, since they decide its dims and unit.

        Without recursion: a chain of 1,000 was deeper than Python's stack.
        """
        waiting, begun = [name], dict[str, list[str]]()
        try:
            self._define_in_turn(waiting, begun)
        except InputError:
            self.unread.update(begun, waiting[-1:])
            raise

    def _define_in_turn(self, waiting: list[str], begun: dict[str, list[str]]) -> None:
        """Define the last one that waits once what it reads is known, until none waits."""
        while waiting:
            one = waiting[-1]
            reads = begun.get(one) or self._indicators_in(one)
            missing = [r for r in reads if r not in self.variables and r not in self.unread]
            if missing and one in begun:
                circle = " -> ".join([*itertools.dropwhile(one.__ne__, begun), one])
                self.fail(f"indicators define each other in a circle: {circle}", "indicators", one)
            if missing:
                begun[one] = reads
                waiting += missing
                continue
            self._define(one)
            begun.pop(one, None)
            while waiting and waiting[-1] in self.variables:
                waiting.pop()

    def _indicators_in(self, name: str) -> list[str]:
        """Return the indicators that one reads, backwards: the last is compiled first."""
        entry = self.file.indicators[name]
        if entry.value is None:
            return []
        for key in ("stock", "outflow", "by"):
            if getattr(entry, key) is not None:
                self.fail(f"give either value or {key}, not both", "indicators", name, key)
        read = set[str]().union(*map(self._names, texts_of(entry.value)))
        return sorted(read & self.file.indicators.keys(), reverse=True)

    def _define(self, name: str) -> None:
        entry = self.file.indicators[name]
        if entry.value is None:
            self.variables[name] = self._profile(name, entry)
            return
        within = ("value",) if isinstance(entry.value, Mapping) else ()
        expression = self.expression(entry.value, "indicators", name, *within)
        self.indicators[name] = Formula(name, expression.dims, expression)
        self.variables[name] = self.variable(expression.dims, expression.dimension or NONE)

    def _profile(self, name: str, entry: IndicatorEntry) -> Variable:
        """Return the dims and unit of an indicator by age or cohort."""
        key = ("indicators", name)
        if (entry.stock is None) == (entry.outflow is None) or entry.by is None:
            self.fail(
                "an indicator has a value, or a stock or an outflow and by: age, cohort or "
                "mean_age",
                *key,
            )
        word = "stock" if entry.stock is not None else "outflow"
        stock = entry.stock or entry.outflow or ""
        if stock not in self.file.stocks:
            self.fail(f"unknown stock {stock!r}; choose one of {[*self.file.stocks]}", *key, word)
        if self.file.stocks[stock].kind != "lifetime":
            self.fail(f"the stock {stock!r} has no lifetime, so it is not known by age", *key, word)
        dims = self.stock_dims(stock)
        full = self.dims.named(dims)
        for dim in entry.over:
            below = {one for one in full if dim in self.dims.belongs.get(one, ())}
            if dim not in full or dim == "year" or not below <= {*entry.over}:
                allowed = [d for d in dims if d != "year"]
                self.fail(f"cannot sum over {dim!r}; choose one of {allowed}", *key, "over")
        extra = () if entry.by == "mean_age" else (entry.by,)
        left = self.dims.ordered({*full, *extra} - set(entry.over))
        units = self.scenario.units
        amount = units.stock if word == "stock" else units.flow
        return self.variable(left, TIME if entry.by == "mean_age" else amount)
