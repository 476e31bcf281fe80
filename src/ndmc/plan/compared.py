"""What is computed of the members of an ensemble beside each other: draw by draw, in float64."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ndmc.errors import InputError
from ndmc.plan.steps import MEMBER, Balance, Formula, Output, Plan, Step, Term, hidden, one_by_one
from ndmc.plan.years import years_among
from ndmc.scenario import reserved
from ndmc.scenario.ensembles import Ensemble
from ndmc.scenario.expressions import Expression
from ndmc.scenario.units import NONE

__all__ = [
    "GOALS",
    "MEASURES",
    "Measure",
    "Measured",
    "check_goals",
    "measured",
    "measures_of",
    "wanted_of",
]

#: What is computed of an output.
Measure = Literal["difference", "ratio", "regret", "contribution"]

#: How it is known: its suffix, and how it is called.
MEASURES: Mapping[Measure, tuple[str, str]] = {
    "difference": (reserved.DIFFERENCE, "{}, difference to the reference"),
    "ratio": (reserved.RATIO, "{}, ratio to the reference"),
    "regret": (reserved.REGRET, "{}, regret: how far from the best member of its future"),
    "contribution": (reserved.CONTRIBUTION, "{}, difference to the member before"),
}

#: Which way is better, by the word for it: whether more of it is.
GOALS = {"less": False, "earlier": False, "more": True, "later": True}


@dataclass(frozen=True)
class Measured:
    """An output of an ensemble: one of its members, or a measure of that or of its total."""

    of: str
    total: bool = False
    measure: Measure | None = None

    @property
    def title(self) -> str:
        """The name of what is measured."""
        return self.of + reserved.TOTAL * self.total

    @property
    def name(self) -> str:
        """Its own name."""
        return self.title + (MEASURES[self.measure][0] if self.measure else "")


def measured(name: str, known: Collection[str]) -> Measured | None:
    """Return what a name stands for in an ensemble of a scenario with some outputs.

    Examples
    --------
    >>> measured("in_use_total_ratio", ["in_use"])
    Measured(of='in_use', total=True, measure='ratio')
    """
    if name in known:
        return Measured(name)
    measure: Measure
    for measure, (suffix, _) in MEASURES.items():
        title = name.removesuffix(suffix)
        if title != name and title in known:
            return Measured(title, measure=measure)
        if title != name and title.removesuffix(reserved.TOTAL) in known:
            return Measured(title.removesuffix(reserved.TOTAL), total=True, measure=measure)
    return None


@dataclass(frozen=True)
class Wanted:
    """The members of an ensemble, by position, and what is wanted of them.

    ``reference`` is that of each, ``before`` the one before it in a cascade, -1 if there is none,
    ``rivals`` those of the same future; ``places`` say where each is asked for.
    """

    labels: tuple[str, ...]
    places: tuple[str, ...]
    reference: tuple[int, ...]
    before: tuple[int, ...]
    rivals: tuple[tuple[int, ...], ...]
    goals: Mapping[str, str]
    outputs: tuple[str, ...]

    @property
    def cascade(self) -> bool:
        """Whether members come one after the other."""
        return any(at >= 0 for at in self.before)


def wanted_of(ensemble: Ensemble, outputs: tuple[str, ...]) -> Wanted:
    """Return what is wanted of the members of an ensemble."""
    members = ensemble.members
    futures = [one.future for one in members]
    return Wanted(
        labels=tuple(one.label for one in members),
        places=tuple(one.where or "ensemble" for one in members),
        reference=tuple(one.reference for one in members),
        before=tuple(one.before for one in members),
        rivals=tuple(
            tuple(at for at, other in enumerate(futures) if other == own) for own in futures
        ),
        goals=ensemble.goals,
        outputs=outputs,
    )


def check_goals(plan: Plan, goals: Mapping[str, str], where: str) -> None:
    """Refuse a word for what is better that does not fit: years are earlier, amounts less.

    Raises
    ------
    InputError
        For the first of them.
    """
    years = years_among(one_by_one((*plan.fixed, *plan.steps)))
    for output in plan.outputs:
        goal = goals.get(output.name, "")
        words = ("earlier", "later") if output.name in years else ("less", "more")
        if goal and goal not in words:
            what = "a year" if output.name in years else f"in {output.unit}"
            message = f"the goal of {output.name!r} is {goal!r}, but it is {what}"
            raise InputError(f"{message}; write {words[0]} or {words[1]}", where)


def measures_of(output: Output, *, event: bool, wanted: Wanted) -> Iterator[Measured]:
    """Yield an output and all that there is to be measured of it.

    Of events there is no ratio, regret only where it is said which way is better, and a
    contribution in a cascade only.
    """
    there: dict[Measure, bool] = {
        "difference": True,
        "ratio": not event,
        "regret": output.name in wanted.goals,
        "contribution": wanted.cascade,
    }
    yield Measured(output.name)
    for total in (False, *([True] if output.summed else [])):
        for measure in (one for one, is_there in there.items() if is_there):
            yield Measured(output.name, total, measure)


class Compared:
    """The steps and outputs that compare members.

    Raises
    ------
    InputError
        For a member of which an output has other dims or another unit.
    """

    def __init__(
        self, wanted: Wanted, plans: Sequence[Plan], names: Sequence[Mapping[str, str]]
    ) -> None:
        self.wanted, self.plans, self.names = wanted, plans, names
        self.steps: list[Step] = []
        self.gathered: dict[str, tuple[str, ...]] = {}
        self._made: dict[tuple[str, ...], str] = {}
        self.dated = frozenset[str]().union(*(plan.events for plan in plans))
        self.years = years_among(one_by_one((*plans[0].fixed, *plans[0].steps)))
        known = [output.name for output in plans[0].outputs]
        every = [found for name in wanted.outputs if (found := measured(name, known))]
        self.outputs = tuple(map(self._output, every))
        # A ratio to nothing is infinite.
        infinite = (one for one in every if one.of in self.dated or one.measure == "ratio")
        self.events = frozenset(one.name for one in infinite)

    def _output(self, one: Measured) -> Output:
        """Return an output, of which each member has its rows."""
        own = self._same(one.of)
        dims = own.total_dims if one.total else own.dims
        if not one.measure:
            self.gathered[one.name] = tuple(names[one.of] for names in self.names)
            kind = "event" if one.of in self.dated & self.years else own.kind
            return replace(own, dims=(MEMBER, *dims), kind=kind)
        make = getattr(self, f"_{one.measure}")
        parts = [self._amount(own, dims, member) for member in range(len(self.names))]
        self.gathered[one.name] = tuple(
            self._formula(make(one, parts, member), dims) for member in range(len(parts))
        )
        title = MEASURES[one.measure][1].format(own.title)
        unit = "1" if one.measure == "ratio" else own.unit
        return Output(one.name, (MEMBER, *dims), unit, 1.0, one.measure, title, own.note)

    def _same(self, name: str) -> Output:
        """Return an output that all members have alike."""
        found = [plan.output(name) for plan in self.plans]
        for label, where, one in zip(self.wanted.labels, self.wanted.places, found, strict=True):
            for what in ("dims", "unit", "scale"):
                here, first = getattr(one, what), getattr(found[0], what)
                if here != first:
                    message = f"{name!r} has {what} {here} in {label!r}, {first} in"
                    message = f"{message} {self.wanted.labels[0]!r}; members are compared cell by"
                    hint = "cell, in one unit: give all the same, or leave it out"
                    raise InputError(f"{message} {hint}", where)
        return found[0]

    # --- amounts ---------------------------------------------------------------------------------

    def _amount(self, output: Output, dims: tuple[str, ...], member: int) -> Expression:
        """Return an output of a member, or its total, in its unit."""
        name = self.names[member][output.name]
        if dims != output.dims:
            name = self._total(output, dims, name)
        amount = _name(name, dims)
        return amount if output.scale == 1 else _apply("multiply", amount, _number(output.scale))

    def _total(self, output: Output, dims: tuple[str, ...], name: str) -> str:
        if (name, "total") not in self._made:
            target = self._made[name, "total"] = hidden(name, "total")
            terms = (Term(name, output.dims),)
            self.steps.append(Balance(target, dims, "", "balance", terms))
        return self._made[name, "total"]

    def _formula(self, expression: Expression, dims: tuple[str, ...]) -> str:
        """Return the name of what an expression computes, which is computed once."""
        key = (repr(expression), *dims)
        if key not in self._made:
            self._made[key] = hidden("compared", f"{len(self._made)}")
            self.steps.append(Formula(self._made[key], dims, expression))
        return self._made[key]

    # --- measures --------------------------------------------------------------------------------

    def _difference(self, one: Measured, parts: Sequence[Expression], member: int) -> Expression:
        return self._less(one, parts[member], parts[self.wanted.reference[member]])

    def _contribution(self, one: Measured, parts: Sequence[Expression], member: int) -> Expression:
        before = self.wanted.before[member]
        return self._less(one, parts[member], parts[before]) if before >= 0 else _number(0.0)

    def _ratio(self, one: Measured, parts: Sequence[Expression], member: int) -> Expression:
        """Return a ratio: of nothing to nothing it is 1, as of all that is the same."""
        own, other = parts[member], parts[self.wanted.reference[member]]
        if own == other:
            return _number(1.0)
        same = _apply("equal", own, other)
        return _apply("where", same, _number(1.0), _apply("divide", own, other))

    def _regret(self, one: Measured, parts: Sequence[Expression], member: int) -> Expression:
        more = GOALS[self.wanted.goals[one.of]]
        rivals = [parts[at] for at in self.wanted.rivals[member]]
        pick: Callable[[Expression, Expression], Expression]
        pick = functools.partial(_apply, "max" if more else "min")
        best = self._best(functools.reduce(pick, dict.fromkeys(rivals)))
        own = parts[member]
        return self._less(one, *((best, own) if more else (own, best)))

    def _less(self, one: Measured, more: Expression, less: Expression) -> Expression:
        """Return a difference; of what never happens in both it is 0."""
        if more == less:
            return _number(0.0)
        found = _apply("subtract", more, less)
        if one.of not in self.dated:
            return found
        return _apply("where", _apply("equal", more, less), _number(0.0), found)

    def _best(self, best: Expression) -> Expression:
        return _name(self._formula(best, best.dims), best.dims)


def _name(name: str, dims: tuple[str, ...]) -> Expression:
    return Expression(dims, NONE, "name", name=name)


def _number(value: float) -> Expression:
    return Expression((), NONE, "number", value=value)


def _apply(operation: str, *arguments: Expression) -> Expression:
    dims = max((part.dims for part in arguments), key=len)
    return Expression(dims, NONE, operation, arguments)
