"""Evaluate a plan: a pure function of (plan, seed, draws).

Draws are computed in tiles of a fixed width at fixed places, whatever range is asked for, so that
a draw's bits depend on nothing but its number. Everything else (blocks, threads, stores) is
built outside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ndmc.audit import Audit
from ndmc.cohorts import Members, driven, fed, profiled
from ndmc.dependence import chain, mix
from ndmc.dims import Dims, Floats, align, flat, rows_of
from ndmc.expressions import evaluate_expression
from ndmc.samplers import Group, Sampler
from ndmc.steps import Balance, Cohort, Formula, March, Plan, Profile, Share, Step, Term, hidden
from ndmc_kernels import balance, sampling
from ndmc_kernels.march import march

__all__ = ["evaluate", "evaluate_central", "fill"]

_SCORE_KERNELS = {"normal": sampling.normal, "lognormal": sampling.lognormal}
_UNIFORM_KERNELS = {
    "uniform": sampling.uniform,
    "triangular": sampling.triangular,
    "truncated_normal": sampling.truncated_normal,
}


def evaluate(
    plan: Plan,
    seed: int,
    draws: range,
    *,
    dtype: npt.DTypeLike = np.float64,
    audit: Audit | None = None,
) -> dict[str, npt.NDArray[Any]]:
    """Return the outputs of a plan for a range of draws.

    Parameters
    ----------
    plan
        A compiled scenario.
    seed
        From 0 to 2**64 - 1.
    draws
        Consecutive draw numbers; draw ``i`` is the same whatever range it is asked in.
    dtype
        Precision of the result; the computation itself is float64.
    audit
        Where balances are checked and draws counted, if given.

    Returns
    -------
    dict of array
        Per output, its dims in order and then the draws, in the output's unit.

    Raises
    ------
    ValueError
        If the seed or the draws are out of range.

    Examples
    --------
    >>> from ndmc.plan import compile_plan
    >>> from ndmc.scenario import load
    >>> plan = compile_plan(load("china_nd"), ["in_use"])
    >>> evaluate(plan, 1, range(3))["in_use"].shape
    (17, 21, 3)
    """
    if not 0 <= seed < 2**64:
        raise ValueError(f"seed is {seed} but must lie in 0 .. 2**64 - 1")
    if draws.step != 1 or draws.start < 0:
        raise ValueError(f"draws must be consecutive numbers from 0 on, not {draws}")
    shapes = {o.name: (*plan.dims.shape(o.dims), len(draws)) for o in plan.outputs}
    results = {name: np.empty(shape, dtype) for name, shape in shapes.items()}
    fill(results, plan, seed, draws, audit)
    return results


def fill(
    results: Mapping[str, npt.NDArray[Any]],
    plan: Plan,
    seed: int,
    draws: range,
    audit: Audit | None = None,
) -> None:
    """Fill arrays [dims..., draw] of all outputs as `evaluate` does."""
    dims = plan.dims
    with np.errstate(all="ignore"):  # what is not finite is found and named by the run
        fixed = dict(plan.constants)
        for step in plan.fixed:
            _apply(step, fixed, dims, 1)
        for tile, here, there in _tiles(draws, plan.tile):
            values = {**fixed, **_sample(plan.samplers, seed, tile, dims, plan.tile)}
            for step in plan.steps:
                _apply(step, values, dims, plan.tile)
            for output in plan.outputs:
                shape = (*dims.shape(output.dims), plan.tile)
                values_of = np.broadcast_to(values[output.name], shape)[..., here]
                scaled = values_of if output.scale == 1.0 else values_of * output.scale
                results[output.name][..., there] = scaled
            if audit is not None:
                audit.examine(values, tile, here, plan.tile)


def _tiles(draws: range, width: int) -> Iterator[tuple[int, slice, slice]]:
    """Yield the first draw of each tile, the part of it that is wanted, and where that goes."""
    for first in range(draws.start // width * width, draws.stop, width):
        start, stop = max(first, draws.start), min(first + width, draws.stop)
        here = slice(start - first, stop - first)
        yield first, here, slice(start - draws.start, stop - draws.start)


# --- sampling ------------------------------------------------------------------------------


def _sample(
    drawn: Sequence[Sampler], seed: int, first: int, dims: Dims, width: int
) -> dict[str, Floats]:
    return {
        sampler.name: _draw(sampler, seed, first, dims, width).reshape(
            *dims.shape(sampler.dims), width
        )
        for sampler in drawn
    }


def _draw(sampler: Sampler, seed: int, first: int, dims: Dims, width: int) -> Floats:
    out = np.empty((len(sampler.central), width))
    out[sampler.certain] = sampler.central[sampler.certain]
    kinds = {group.kind for group in sampler.groups}
    scores = uniforms = np.empty((0, width))
    if sampler.direct and kinds <= set(_SCORE_KERNELS):
        scores = _independent(sampling.normals, sampler, seed, first, width)
    elif sampler.direct:
        uniforms = _independent(sampling.uniforms, sampler, seed, first, width)
        if kinds & set(_SCORE_KERNELS):
            scores = _independent(sampling.normals, sampler, seed, first, width)
    else:
        scores = _field(sampler, seed, first, dims, width)
        if not kinds <= set(_SCORE_KERNELS):
            uniforms = np.empty_like(scores)
            sampling.cdf(scores, uniforms)
    for group in sampler.groups:
        _quantile(group, scores if group.kind in _SCORE_KERNELS else uniforms, out)
    return out


def _independent(kernel: Any, sampler: Sampler, seed: int, first: int, width: int) -> Floats:
    out = np.empty((len(sampler.streams), width))
    kernel(np.uint64(seed), sampler.streams, first, out)
    return out


def _field(sampler: Sampler, seed: int, first: int, dims: Dims, width: int) -> Floats:
    """Return the correlated normal scores of a parameter, one row per field cell."""
    if sampler.partners:
        fields = [_field(partner, seed, first, dims, width) for partner in sampler.partners]
        return mix(fields, sampler.weights)
    return chain(_independent(sampling.normals, sampler, seed, first, width), sampler.errors, dims)


def _quantile(group: Group, source: Floats, out: Floats) -> None:
    if group.kind == "discrete":
        sampling.discrete(
            source, group.source_of, group.target_of, group.numbers, group.choices, out
        )
    elif group.kind == "beta":
        _beta_quantile(group, source, out)
    else:
        kernel = (_SCORE_KERNELS | _UNIFORM_KERNELS)[group.kind]
        kernel(source, group.source_of, group.target_of, group.numbers, out)


def _beta_quantile(group: Group, source: Floats, out: Floats) -> None:
    from scipy.special import betaincinv

    a, b, low, width = (column[:, np.newaxis] for column in group.numbers.T)
    out[group.target_of] = low + width * betaincinv(a, b, source[group.source_of])


# --- steps ----------------------------------------------------------------------------------


def _apply(step: Step, values: dict[str, Floats], dims: Dims, width: int) -> None:
    match step:
        case Formula():
            result = evaluate_expression(step.expression, values)
            values[step.target] = align(result, step.expression.dims, step.dims, dims)
        case Share():
            values[step.target] = _share(step, values, dims, width)
        case Balance():
            values[step.target] = _sum(step.terms, step.dims, values, dims, width)
        case Cohort():
            _cohort(step, values, dims, width)
        case Profile():
            values[step.target] = _profile(step, values, dims, width)
        case March():
            _march(step, values, dims, width)


def _sum(
    terms: tuple[Term, ...],
    wants: tuple[str, ...],
    values: dict[str, Floats],
    dims: Dims,
    width: int,
) -> Floats:
    if len(terms) == 1 and terms[0].dims == wants and terms[0].sign > 0:
        return flat(values[terms[0].name], width).reshape(*dims.shape(wants), width)
    out = np.zeros((dims.size(wants), width))
    for term in terms:
        rows = rows_of(term.dims, wants, dims)
        balance.accumulate(flat(values[term.name], width), rows, term.sign, out)
    return out.reshape(*dims.shape(wants), width)


def _share(step: Share, values: dict[str, Floats], dims: Dims, width: int) -> Floats:
    total = _sum(step.inflows, step.total_dims, values, dims, width).reshape(-1, width)
    share = flat(evaluate_expression(step.expression, values), width)
    out = np.empty((dims.size(step.dims), width))
    total_of = rows_of(step.dims, step.total_dims, dims)
    share_of = rows_of(step.dims, step.expression.dims, dims)
    balance.transfer(total, total_of, share, share_of, out)
    return out.reshape(*dims.shape(step.dims), width)


def _cohort(step: Cohort, values: dict[str, Floats], dims: Dims, width: int) -> None:
    members = Members(step, values, dims, width)
    shape = (*dims.shape(step.dims), width)
    grid = (members.cells, members.years, width)
    if step.level is None:
        inflow = _sum(step.inflows, step.dims, values, dims, width).reshape(grid)
        parts = fed(members, inflow)
    else:
        level = evaluate_expression(step.level, values)
        level = flat(align(level, step.level.dims, step.dims, dims), width).reshape(grid)
        found = driven(members, level, step.answer)
        parts, inflow = found.parts, found.inflow
        values[hidden(step.target, "kept")] = found.kept.reshape(shape)
        values[hidden(step.target, "shortfall")] = found.shortfall
        values[hidden(step.target, "first share")] = found.first
    names = [step.target, step.release, *(flow for flow, _ in step.removals)]
    for name, part in zip(names, parts, strict=False):
        if name:
            values[name] = part.reshape(shape)
    if step.inflow:
        values[step.inflow] = inflow.reshape(shape)


def _profile(step: Profile, values: dict[str, Floats], dims: Dims, width: int) -> Floats:
    members = Members(replace(step.cohort, release="all"), values, dims, width)
    grid = (members.cells, members.years, width)
    inflow = flat(values[step.cohort.inflow], width).reshape(grid)
    kept = flat(values[step.cohort.kept], width).reshape(grid) if step.cohort.kept else None
    return profiled(step, members, inflow, kept, dims)


def _march(step: March, values: dict[str, Floats], dims: Dims, width: int) -> None:
    program = step.program
    rows = np.zeros((program.rows, width))
    for at, number in program.constants:
        rows[at] = number
    for at, expression in program.inputs:
        loaded = evaluate_expression(expression, values)
        loaded = align(loaded, expression.dims, expression.dims, dims)
        count = dims.size(expression.dims)
        rows[at : at + count] = loaded.reshape(count, -1)
    _load_stocks(step, rows, values, dims)
    march(program.once, 1, rows)
    march(program.yearly, len(dims.years), rows)
    for name, (at, has) in program.series.items():
        if name in step.targets:
            values[name] = rows[at : at + dims.size(has)].reshape(*dims.shape(has), width)
    for at, names in program.gains:
        values[hidden(names[0], "gain")] = rows[at]


def _load_stocks(step: March, rows: Floats, values: dict[str, Floats], dims: Dims) -> None:
    """Write the age shares of every stock of a loop, and what its initial stock adds, to rows."""
    stocks = [member for member in step.members if isinstance(member, Cohort)]
    width, years = rows.shape[-1], len(dims.years)
    for number, stock in enumerate(stocks):
        members = Members(replace(stock, release="all"), values, dims, width)
        places = [(part, at) for n, part, at in step.program.tables if n == number]
        span = years if stock.lifetime.varies else 1
        for cohort in range(span if places else 0):
            shares = members.shares(cohort)
            for part, at in places:
                table = rows[at : at + members.cells * span * years]
                table = table.reshape(members.cells, span, years, width)
                table[:, cohort, : shares.shape[2]] = shares[part]
        starts = [(part, at) for n, part, at in step.program.starts if n == number]
        initial = members.initial() if starts else np.empty(0)
        for part, at in starts:
            rows[at : at + members.cells * years] = initial[part].reshape(-1, width)


def evaluate_central(plan: Plan, audit: Audit | None = None) -> dict[str, Floats]:
    """Return the outputs of a plan with every parameter at its mean, as [dims...].

    This is what a deterministic model would report; medians of draws differ where the model is
    not linear.
    """
    dims = plan.dims
    values = dict(plan.constants)
    for sampler in plan.samplers:
        values[sampler.name] = sampler.central.reshape(*dims.shape(sampler.dims), 1)
    with np.errstate(all="ignore"):
        for step in (*plan.fixed, *plan.steps):
            _apply(step, values, dims, 1)
        if audit is not None:
            audit.examine(values, 0, slice(None), 1)
    return {
        o.name: np.broadcast_to(values[o.name], (*dims.shape(o.dims), 1))[..., 0] * o.scale
        for o in plan.outputs
    }
