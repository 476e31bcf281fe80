"""Steps that compute stocks with lifetimes, and what is shown of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ndmc.scenario.expressions import Expression


def hidden(name: str, what: str) -> str:
    """Return the name of something about a stock or loop that no scenario can name itself.

    Examples
    --------
    >>> hidden("in_use", "release")
    'in_use release'
    """
    return f"{name} {what}"


@dataclass(frozen=True)
class Term:
    """A flow in a sum, with its dims and sign."""

    name: str
    dims: tuple[str, ...]
    sign: float = 1.0


@dataclass(frozen=True)
class Lifetime:
    """How long a cohort stays: a distribution with its numbers, and when in its year it came.

    ``factor`` stretches lifetimes year by year, for the cohorts in use too; ``panels`` is in how
    many parts a year is integrated over if the inflow is spread over it.
    """

    kind: str
    arguments: tuple[tuple[str, Expression], ...]
    convention: str
    normalise: str
    factor: Expression | None
    panels: int = 1

    @property
    def expressions(self) -> tuple[Expression, ...]:
        """Everything the lifetime is computed from."""
        return (*(e for _, e in self.arguments), *([self.factor] if self.factor else []))

    @property
    def varies(self) -> bool:
        """Whether cohorts differ in how long they stay."""
        return any("year" in expression.dims for expression in self.expressions)


@dataclass(frozen=True)
class Initial:
    """What a stock holds before the first year, and how old it is; ``ages`` back are followed."""

    value: Expression
    rule: Literal["stationary", "growing", "spin_up", "given"]
    number: Expression | None
    ages: int


@dataclass(frozen=True)
class Cohort:
    """A stock with a lifetime: what remains of every inflow, and what leaves.

    The names of what nothing reads are empty. With a ``level`` the stock is prescribed from the
    year at ``start`` on and the inflow follows; ``answer`` says what happens if it would be
    negative. Before, its inflows feed it.
    """

    target: str
    dims: tuple[str, ...]
    inflows: tuple[Term, ...]
    lifetime: Lifetime
    initial: Initial | None
    removals: tuple[tuple[str, Expression], ...]
    level: Expression | None
    answer: str
    inflow: str
    release: str
    kept: str
    start: int = 0

    @property
    def reads_inflow(self) -> bool:
        """Whether its inflow is given, in some years at least."""
        return self.level is None or self.start > 0

    @property
    def targets(self) -> tuple[str, ...]:
        """The names this step computes."""
        others = (self.inflow, self.release, self.kept, *(flow for flow, _ in self.removals))
        return (self.target, *(name for name in others if name))

    @property
    def expressions(self) -> tuple[Expression, ...]:
        """Everything but the inflow that the stock is computed from."""
        found = [*self.lifetime.expressions, *(share for _, share in self.removals)]
        if self.initial:
            found += [self.initial.value, *([self.initial.number] if self.initial.number else [])]
        return (*found, *([self.level] if self.level else []))

    @property
    def inputs(self) -> frozenset[str]:
        """The names this step reads."""
        names = frozenset[str]().union(*(e.names for e in self.expressions))
        return names | {term.name for term in self.inflows} if self.reads_inflow else names


@dataclass(frozen=True)
class Profile:
    """A stock or its release by age or cohort, or its mean age."""

    target: str
    dims: tuple[str, ...]
    cohort: Cohort
    of: Literal["stock", "outflow"]
    by: Literal["age", "cohort", "mean_age"]

    @property
    def targets(self) -> tuple[str, ...]:
        """The names this step computes."""
        return (self.target,)

    @property
    def inputs(self) -> frozenset[str]:
        """The names this step reads."""
        own = {self.cohort.target, self.cohort.inflow, self.cohort.kept} - {""}
        names = frozenset[str]().union(*(e.names for e in self.cohort.expressions))
        return names | own


@dataclass(frozen=True)
class Before:
    """What a past inflow has left in a stock by the first year, of which ``inflow`` is that."""

    target: str
    dims: tuple[str, ...]
    inflow: Expression
    cohort: Cohort

    @property
    def targets(self) -> tuple[str, ...]:
        """The names this step computes."""
        return (self.target,)

    @property
    def expressions(self) -> tuple[Expression, ...]:
        """Everything but the inflow that it is computed from."""
        of, initial = self.cohort, self.cohort.initial
        growth = [initial.number] if initial and initial.number else []
        return (*of.lifetime.expressions, *(share for _, share in of.removals), *growth)

    @property
    def inputs(self) -> frozenset[str]:
        """The names this step reads."""
        return self.inflow.names.union(*(one.names for one in self.expressions))
