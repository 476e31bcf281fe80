"""What draws are counted of: negative flows, clips, loops that gain, values out of their range."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ndmc.plan.ordering import cycle_through
from ndmc.plan.samplers import Sampler
from ndmc.plan.steps import Balance, Cohort, Falling, Formula, March, Share, Step, Watch
from ndmc.plan.vocabulary import Vocabulary

_ANSWERS: dict[str, Falling] = {
    "report": "negative_inflow",
    "clip": "clipped_inflow",
    "early_retirement": "early_retirement",
}


def step_watches(names: Vocabulary, steps: Iterable[Step]) -> Iterator[Watch]:
    """Yield what is counted of flows and prescribed stocks, and the clips of expressions."""
    for step in steps:
        if isinstance(step, Balance) and step.target in names.file.flows:
            if step.kind != "inflow":  # of those the stock's own watch tells more
                yield Watch(step.target, "negative")
        elif isinstance(step, Formula | Share) and step.target in names.file.flows:
            yield Watch(step.target, "given_negative")
        if isinstance(step, Cohort) and step.level:
            yield Watch(step.target, _ANSWERS[step.answer])
            yield Watch(step.target, "negative_stock", value=step.level)
            yield Watch(step.target, "short_start", high=0.2)
            where = names.where("stocks", step.target)
            yield Watch(step.target, "no_start", high=1e-3, where=where)
        if isinstance(step, Formula | Share):
            for clip in step.expression.parts("clip"):
                yield Watch(step.target, "clip", value=clip)


def loop_watches(names: Vocabulary, steps: Iterable[Step]) -> Iterator[Watch]:
    """Yield what is counted of loops: draws in which they give more than they take."""
    for step in (step for step in steps if isinstance(step, March)):
        for _, group in step.program.gains:
            flows = [name for name in group if name in names.file.flows] or [*group]
            cycle = cycle_through(step.members, flows[0]) or flows
            kind = "flows" if flows[0] in names.file.flows else "stocks"
            where = names.where(kind, flows[0])
            yield Watch(group[0], "gain", where=where, loop=tuple(cycle), group=group)


def range_watches(drawn: Iterable[Sampler]) -> Iterator[Watch]:
    """Yield what is counted of parameters that are drawn out of their range."""
    for sampler in drawn:
        if sampler.reaches_out:
            low, high = sampler.range
            yield Watch(sampler.name, "range", low=low, high=high)
