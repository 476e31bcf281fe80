"""What a plan is made of: ordered steps over arrays, and the outputs they lead to."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from ndmc.dims import Dims
from ndmc.legible import few_lines
from ndmc.plan.findings import Watch
from ndmc.plan.memory import MACHINE, Memory
from ndmc.plan.samplers import Sampler
from ndmc.plan.stock_steps import Before, Cohort, Initial, Lifetime, Profile, Term, hidden
from ndmc.plan.study import Study
from ndmc.scenario.expressions import Expression
from ndmc.typing import Floats

__all__ = [
    "MEMBER",
    "Account",
    "Balance",
    "Before",
    "Cohort",
    "Conditioning",
    "Formula",
    "Initial",
    "Lifetime",
    "March",
    "Output",
    "Plan",
    "Profile",
    "Program",
    "Share",
    "Step",
    "Term",
    "hidden",
    "one_by_one",
]


#: The dim of the members of an ensemble.
MEMBER = "member"


@dataclass(frozen=True)
class Formula:
    """A quantity computed from others."""

    target: str
    dims: tuple[str, ...]
    expression: Expression

    @property
    def targets(self) -> tuple[str, ...]:
        """The names this step computes."""
        return (self.target,)

    @property
    def inputs(self) -> frozenset[str]:
        """The names this step reads."""
        return self.expression.names


@dataclass(frozen=True)
class Share:
    """A flow that is a share of all that enters its source."""

    target: str
    dims: tuple[str, ...]
    inflows: tuple[Term, ...]
    total_dims: tuple[str, ...]
    expression: Expression

    @property
    def targets(self) -> tuple[str, ...]:
        """The names this step computes."""
        return (self.target,)

    @property
    def inputs(self) -> frozenset[str]:
        """The names this step reads."""
        return self.expression.names | {term.name for term in self.inflows}


@dataclass(frozen=True)
class Balance:
    """A flow that closes an equation of a process, or what is left over in it.

    The equation is its balance, what its stock releases, or what its prescribed stock takes in.
    """

    target: str
    dims: tuple[str, ...]
    process: str
    kind: Literal["balance", "release", "inflow"]
    terms: tuple[Term, ...]

    @property
    def targets(self) -> tuple[str, ...]:
        """The names this step computes."""
        return (self.target,)

    @property
    def inputs(self) -> frozenset[str]:
        """The names this step reads."""
        return frozenset(term.name for term in self.terms)


@dataclass(frozen=True)
class Program:
    """Row operations that compute a loop year by year; see `ndmc_kernels.march`.

    ``rows`` are needed in all; ``inputs`` say where expressions are loaded, ``tables`` where the
    age shares of a fate of a cohort stock are, ``series`` where each quantity comes to lie.
    """

    rows: int
    constants: tuple[tuple[int, float], ...]
    inputs: tuple[tuple[int, Expression], ...]
    tables: tuple[tuple[int, int, int], ...]
    starts: tuple[tuple[int, int, int], ...]
    series: dict[str, tuple[int, tuple[str, ...]]]
    gains: tuple[tuple[int, tuple[str, ...]], ...]
    once: npt.NDArray[np.int64] = field(repr=False)
    yearly: npt.NDArray[np.int64] = field(repr=False)


@dataclass(frozen=True)
class March:
    """A loop: steps that need each other, solved together, one year after the other."""

    target: str
    members: tuple[Single, ...]
    program: Program

    @property
    def targets(self) -> tuple[str, ...]:
        """The names this step computes."""
        return tuple(name for member in self.members for name in member.targets)

    @property
    def inputs(self) -> frozenset[str]:
        """The names this step reads."""
        names = frozenset[str]().union(*(member.inputs for member in self.members))
        return names - set(self.targets)


Single = Formula | Share | Balance | Cohort | Profile | Before

Step = Single | March


def one_by_one(steps: Iterable[Step]) -> Iterator[Single]:
    """Yield steps, those of a loop one by one."""
    for step in steps:
        if isinstance(step, March):
            yield from step.members
        else:
            yield step


@dataclass(frozen=True)
class Account:
    """The balance of one process: its flows with their signs, its stock, the dims they share."""

    process: str
    dims: tuple[str, ...]
    terms: tuple[Term, ...]
    stock: str
    stock_dims: tuple[str, ...]
    before: Expression | None
    unit: str

    @property
    def inputs(self) -> frozenset[str]:
        """The names it reads."""
        return frozenset(self.names) | (self.before.names if self.before else set())

    @property
    def names(self) -> tuple[str, ...]:
        """Its flows and its stock."""
        return (*(term.name for term in self.terms), *([self.stock] if self.stock else []))


@dataclass(frozen=True)
class Output:
    """A quantity a run can keep; model numbers times ``scale`` are in ``unit``."""

    name: str
    dims: tuple[str, ...]
    unit: str
    scale: float
    kind: str
    title: str
    note: str

    @property
    def summed(self) -> tuple[str, ...]:
        """The dims over which it has a total: of flows and stocks all but years and members."""
        others = tuple(dim for dim in self.dims if dim not in ("year", MEMBER))
        return others if self.kind in ("flow", "stock") else ()

    @property
    def total_dims(self) -> tuple[str, ...]:
        """The dims of its total."""
        return tuple(dim for dim in self.dims if dim not in self.summed)


class Conditioning(Protocol):
    """What makes draws of some parameters agree with the equations between them."""

    @property
    def method(self) -> str:
        """How they are moved."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """The parameters that are moved."""

    @property
    def central(self) -> Floats:
        """The values of their cells that a deterministic model would use."""

    def apply(self, drawn: Floats) -> None:
        """Move draws [cell of the parameters, draw] in place."""


@dataclass(frozen=True, eq=False)
class Plan:
    """A scenario compiled to ordered steps over arrays.

    ``fixed`` steps have no uncertain input and are computed once, ``steps`` for every tile of
    draws. ``accounts`` are the balances that can be checked, ``watches`` what draws are counted of;
    ``positive`` names the parameters that must not be drawn at or below zero, ``events`` the
    outputs that may be +inf: a first year that never comes, and what is computed from one.
    ``memory`` is what its rows may take to be compiled; ``study`` what is asked of its inputs.
    ``gathered`` are outputs of an ensemble, with the quantity of each member.
    """

    dims: Dims
    samplers: tuple[Sampler, ...] = ()
    constants: dict[str, Floats] = field(default_factory=dict, repr=False)
    fixed: tuple[Step, ...] = ()
    steps: tuple[Step, ...] = ()
    outputs: tuple[Output, ...] = ()
    accounts: tuple[Account, ...] = ()
    watches: tuple[Watch, ...] = ()
    positive: frozenset[str] = frozenset()
    events: frozenset[str] = frozenset()
    conditioning: Conditioning | None = None
    memory: Memory = MACHINE
    study: Study | None = None
    gathered: dict[str, tuple[str, ...]] = field(default_factory=dict, repr=False)

    def __repr__(self) -> str:
        draws = f"{len(self.samplers)} parameters are drawn"
        counts = f"{len(self.steps)} steps to {len(self.outputs)} outputs: {draws}"
        names = ", ".join(output.name for output in self.outputs)
        return few_lines(f"<Plan: {counts}", f"{self.dims}", f"{names}>")

    @functools.cached_property
    def held(self) -> int:
        """The number of values one draw has while it is computed."""
        return sum(len(one.targets) * self.dims.size(one.dims) for one in one_by_one(self.steps))

    def output(self, name: str) -> Output:
        """Return the output ``name``."""
        return self._outputs[name]

    @functools.cached_property
    def _outputs(self) -> dict[str, Output]:
        return {output.name: output for output in self.outputs}

    @property
    def cells(self) -> int:
        """The number of values one draw of all outputs has."""
        return sum(self.dims.size(output.dims) for output in self.outputs)
