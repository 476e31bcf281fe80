"""What draws are counted of: negative flows, clips, loops that gain, values out of their range."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from ndmc.plan.buffers import capacity_of
from ndmc.plan.findings import Watch
from ndmc.plan.ordering import cycle_through
from ndmc.plan.prescribed import from_then_on, given_part
from ndmc.plan.samplers import Sampler
from ndmc.plan.steps import Balance, Cohort, Formula, March, Share, Step
from ndmc.plan.vocabulary import Vocabulary
from ndmc.scenario.expressions import EVERYWHERE, Expression


def step_watches(names: Vocabulary, steps: Iterable[Step]) -> Iterator[Watch]:
    """Yield what is counted of flows and prescribed stocks, and the clips of expressions."""
    flow = names.scenario.units.name(names.scenario.units.flow)
    for step in steps:
        if isinstance(step, Balance) and step.target in names.file.flows:
            if step.kind != "inflow":  # of those the stock's own watch tells more
                yield Watch(step.target, "negative", dims=step.dims, unit=flow)
        elif isinstance(step, Formula | Share) and step.target in names.file.flows:
            given = given_part(names, step.target)
            yield Watch(given, "given_negative", dims=step.dims, unit=flow)
        if isinstance(step, Cohort) and step.level:
            yield from _level_watches(names, step, step.level)
        if isinstance(step, Formula) and step.target in names.file.stocks:
            capacity = capacity_of(names, step.target, names.file.stocks[step.target])
            if capacity is not None:
                stock = names.scenario.units.name(names.scenario.units.stock)
                yield Watch(
                    step.target, "negative_capacity", capacity, dims=capacity.dims, unit=stock
                )
        if isinstance(step, Formula | Share):
            for clip, within in step.expression.placed("clip", EVERYWHERE):
                yield Watch(step.target, "clip", value=clip, within=within)


def _level_watches(names: Vocabulary, step: Cohort, level: Expression) -> Iterator[Watch]:
    """Yield what is counted of a prescribed stock."""
    name, units = step.target, names.scenario.units
    first = names.file.stocks[name].prescribed_from
    asked = level if first is None else from_then_on(names, first, level, names.compose.name(name))
    stock, flow = units.name(units.stock), units.name(units.flow)
    yield {
        "report": Watch(name, "negative_inflow", dims=step.dims, unit=flow),
        "clip": Watch(name, "clipped_inflow", value=asked, dims=step.dims, unit=stock),
        "early_retirement": Watch(name, "early_retirement", dims=step.dims[:-1], unit=stock),
    }[step.answer]
    yield Watch(name, "negative_stock", value=level, dims=level.dims, unit=stock)
    yield Watch(name, "short_start", high=0.2, dims=step.dims[:-1], unit="1")
    yield Watch(name, "no_start", high=1e-3, where=names.where("stocks", name))


def loop_watches(names: Vocabulary, steps: Iterable[Step]) -> Iterator[Watch]:
    """Yield what is counted of loops: draws in which they give more than they take."""
    for step in (step for step in steps if isinstance(step, March)):
        for _, group in step.program.gains:
            flows = [name for name in group if name in names.file.flows] or [*group]
            cycle = cycle_through(step.members, flows[0]) or flows
            kind = "flows" if flows[0] in names.file.flows else "stocks"
            where = names.where(kind, flows[0])
            yield Watch(group[0], "gain", where=where, loop=tuple(cycle), group=group)


def range_watches(names: Vocabulary, drawn: Iterable[Sampler]) -> Iterator[Watch]:
    """Yield what is counted of parameters that are drawn out of their range."""
    for sampler in drawn:
        if sampler.reaches_out:
            low, high = sampler.range
            of = names.scenario.parameters[sampler.name]
            out = Watch(sampler.name, "range", low=low, high=high)
            yield replace(out, dims=of.dims, unit=of.unit, scale=1 / of.factor)
