"""What a plan is made of: ordered steps over arrays, and the outputs they lead to."""

from __future__ import annotations

from dataclasses import dataclass, field

from ndmc.dims import Dims, Floats
from ndmc.expressions import Expression
from ndmc.samplers import Sampler
from ndmc.scenario import Scenario

__all__ = ["Balance", "Cohort", "Formula", "Output", "Plan", "Share", "Step", "Term", "describe"]


@dataclass(frozen=True)
class Term:
    """A flow in a sum, with its dims and sign."""

    name: str
    dims: tuple[str, ...]
    sign: float = 1.0


@dataclass(frozen=True)
class Formula:
    """A quantity computed from others."""

    target: str
    dims: tuple[str, ...]
    expression: Expression


@dataclass(frozen=True)
class Share:
    """A flow that is a share of all that enters its source."""

    target: str
    dims: tuple[str, ...]
    inflows: tuple[Term, ...]
    total_dims: tuple[str, ...]
    expression: Expression


@dataclass(frozen=True)
class Balance:
    """A flow that closes the balance of a process."""

    target: str
    dims: tuple[str, ...]
    process: str
    terms: tuple[Term, ...]


@dataclass(frozen=True)
class Cohort:
    """A stock with a lifetime: what remains, and what it releases if anything reads that."""

    target: str
    dims: tuple[str, ...]
    release: str
    inflows: tuple[Term, ...]
    scale: Expression
    shape: Expression
    convention: str
    normalise: str


Step = Formula | Share | Balance | Cohort


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


@dataclass(frozen=True)
class Plan:
    """A scenario compiled to ordered steps over arrays.

    ``fixed`` steps have no uncertain input and are computed once, ``steps`` for every tile of
    draws. ``positive`` names the parameters that must not be drawn at or below zero.
    """

    dims: Dims
    samplers: tuple[Sampler, ...]
    constants: dict[str, Floats] = field(repr=False)
    fixed: tuple[Step, ...]
    steps: tuple[Step, ...]
    outputs: tuple[Output, ...]
    positive: frozenset[str]

    @property
    def closed(self) -> tuple[str, ...]:
        """The outputs that a balance closes: they can come out negative."""
        balanced = {step.target for step in self.steps if isinstance(step, Balance)}
        return tuple(output.name for output in self.outputs if output.name in balanced)

    @property
    def watched(self) -> tuple[str, ...]:
        """What a run counts draws of: parameters that can leave their range, closed flows."""
        reaching = (sampler.name for sampler in self.samplers if sampler.reaches_out)
        return (*reaching, *self.closed)

    def output(self, name: str) -> Output:
        """Return the output ``name``."""
        return next(output for output in self.outputs if output.name == name)

    @property
    def cells(self) -> int:
        """The number of values one draw of all outputs has."""
        return sum(self.dims.size(output.dims) for output in self.outputs)


def release_of(stock: str) -> str:
    """Return the name under which the release of a stock is held."""
    return f"{stock} release"


def describe(step: Step, scenario: Scenario) -> str:
    """Return, in a few words, what determines a quantity."""
    flows = scenario.file.flows
    match step:
        case Formula(target=name) if name in flows:
            return f"given: {flows[name].value}"
        case Formula(target=name):
            return str(scenario.file.indicators[name].value)
        case Share(target=name):
            return f"share {flows[name].share} of what enters {flows[name].origin}"
        case Balance(process=process, terms=terms) if any(t.name not in flows for t in terms):
            return f"what the stock of {process} releases"
        case Balance(process=process):
            return f"balance of {process}"
        case Cohort(target=name, convention=convention):
            return f"{scenario.file.stocks[name].lifetime}, inflow at {convention}"
