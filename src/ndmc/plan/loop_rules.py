"""What each quantity of a loop is made of, and what it needs of the same year."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ndmc.plan.ordering import in_order
from ndmc.plan.steps import Balance, Before, Cohort, Formula, Share, Single
from ndmc.scenario.expressions import Expression


class LoopError(ValueError):
    """A loop that cannot be solved; ``names`` are the quantities that form it."""

    def __init__(self, message: str, names: Sequence[str]) -> None:
        super().__init__(message)
        self.names = tuple(names)


@dataclass(frozen=True)
class Fate:
    """A fate of what enters a cohort stock, to stay or to leave: its age shares say how much."""

    cohort: int
    fate: int
    inflow: str


Rule = Expression | Share | Balance | Fate


class Rules:
    """The rule and the dims of every quantity by name; running sums and lags have names, too.

    Raises
    ------
    LoopError
        For what is not known year by year.
    """

    def __init__(self, steps: Sequence[Single]) -> None:
        self.cohorts = [step for step in steps if isinstance(step, Cohort)]
        self.members = {name for step in steps for name in step.targets}
        self.of: dict[str, Rule] = {}
        self.dims: dict[str, tuple[str, ...]] = {}
        for step in steps:
            self._add(step)

    def order(self) -> list[list[str]]:
        """Return groups of quantities in the order of computing; a group needs itself."""
        return in_order({name: sorted(self._same_year(name)) for name in sorted(self.of)})

    def _same_year(self, name: str) -> set[str]:
        """Return the quantities of the loop whose value in a year this one needs in that year."""
        rule = self.of[name]
        match rule:
            case Fate():
                return {rule.inflow}
            case Balance():
                names = {term.name for term in rule.terms}
            case Share():
                names = {term.name for term in rule.inflows} | _now(rule.expression)
            case _:
                names = _now(rule)
        return names & set(self.of)

    # --- steps -----------------------------------------------------------------------------

    def _add(self, step: Single) -> None:
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
            case Before(cohort=cohort):
                raise LoopError(_made_of(cohort), [cohort.target])
            case _:
                message = (
                    f"{step.targets[0]!r} is known only when all years of a stock of the loop are; "
                    "do not read it inside the loop"
                )
                raise LoopError(message, step.targets)

    def _name(self, name: str, dims: tuple[str, ...], rule: Rule) -> None:
        self.of[name] = rule
        self.dims[name] = dims

    def _add_cohort(self, step: Cohort) -> None:
        number = self.cohorts.index(step)
        for expression in step.expressions:
            if expression.names & self.members:
                raise LoopError(_made_of(step), [step.target])
        if step.level is not None:
            message = (
                f"what flows into the stock {step.target!r} before it is prescribed cannot depend "
                "on what it releases"
            )
            raise LoopError(message, [step.target])
        inflow = step.inflow or f"{step.target} inflow"
        self._name(inflow, step.dims, Balance(inflow, step.dims, "", "balance", step.inflows))
        removals = [flow for flow, _ in step.removals]
        for fate, name in enumerate([step.target, step.release, *removals]):
            if name:
                self._name(name, step.dims, Fate(number, fate, inflow))

    # --- memory ----------------------------------------------------------------------------

    def _without_memory(self, expression: Expression) -> Expression:
        """Return the expression with running sums and lags of the loop as its quantities."""
        if not expression.names & self.members:
            return expression
        if any("year" in part.dims for part in expression.arguments) and (
            "year" not in expression.dims
        ):
            message = (
                "a sum over years, or the value of one year, or a first, last or peak year, is not "
                "known inside the loop; lag(cumsum(...)) sums the years before, or counts those "
                "in which a comparison held"
            )
            raise LoopError(message, sorted(expression.names & self.members))
        arguments = tuple(self._without_memory(part) for part in expression.arguments)
        expression = replace(expression, arguments=arguments)
        if expression.operation == "lag":
            return self._lagged(expression)
        if expression.operation in ("cumsum", "cumprod", "carry"):
            return self._accumulated(expression)
        return expression

    def _lagged(self, expression: Expression) -> Expression:
        inner = expression.arguments[0]
        if expression.value == 0:
            return inner
        if inner.operation != "name":
            inner = self._remembered(f"_{len(self.of)}", inner)
        return replace(expression, arguments=(inner,))

    def _accumulated(self, expression: Expression) -> Expression:
        """Rewrite a running sum C as C = lag(C) + x, what is carried over as max(that, 0).

        A running product is C = (lag(C) + 1 in the first year) * x.
        """
        name, (x,) = f"_{len(self.of)}", expression.arguments
        own = Expression(expression.dims, expression.dimension, "name", name=name)

        def both(operation: str, left: Expression, right: Expression) -> Expression:
            return Expression(own.dims, own.dimension, operation, (left, right))

        before = replace(expression, operation="lag", arguments=(own,), value=1.0)
        if expression.operation == "cumprod":
            starts = (1, *[0] * (len(expression.positions) - 1))
            start = Expression(("year",), own.dimension, "series", positions=starts, axis=0)
            return self._remembered(name, both("multiply", both("add", before, start), x))
        total = both("add", before, x)
        if expression.operation == "carry":
            total = both("max", total, Expression((), None, "number", value=0.0))
        return self._remembered(name, total)

    def _remembered(self, name: str, rule: Expression) -> Expression:
        self._name(name, rule.dims, rule)
        self.members.add(name)
        return Expression(rule.dims, rule.dimension, "name", name=name)


def _made_of(step: Cohort) -> str:
    return (
        f"what the stock {step.target!r} itself is made of (lifetime, value, initial, removals) "
        "cannot depend on what it releases"
    )


def _now(expression: Expression) -> set[str]:
    """Return the names an expression reads in the same year."""
    if expression.operation == "lag":
        return set()
    own = {expression.name} if expression.operation == "name" else set()
    return own.union(*(_now(argument) for argument in expression.arguments))
