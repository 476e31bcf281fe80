"""Evaluate a plan: a pure function of (plan, seed, draws).

Draws are computed in tiles of a fixed width at fixed places, whatever range is asked for, so that
a draw's bits depend on nothing but its number. Everything else (blocks, threads, stores) is
built outside.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ndmc.dependence import chain, mix
from ndmc.dims import Dims, Floats, align
from ndmc.expressions import evaluate_expression
from ndmc.samplers import Group, Sampler
from ndmc.steps import Balance, Cohort, Formula, Plan, Share, Step, Term
from ndmc_kernels import balance, sampling, survival
from ndmc_kernels.cohort import convolve

__all__ = ["TILE", "count_negative", "count_outside", "evaluate", "evaluate_central"]

# Draws computed together. Stock alone in china_nd: 6.0 us a draw with 256, 6.3 with 512, 6.9 with
# 128, 7.9 with 1024: fewer draws pay more Python per draw, more fall out of the cache.
TILE = 256

_SCORE_KERNELS = {"normal": sampling.normal, "lognormal": sampling.lognormal}
_UNIFORM_KERNELS = {
    "uniform": sampling.uniform,
    "triangular": sampling.triangular,
    "truncated_normal": sampling.truncated_normal,
}


def evaluate(
    plan: Plan, seed: int, draws: range, *, dtype: npt.DTypeLike = np.float64
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
    dims = plan.dims
    results = {
        o.name: np.empty((*dims.shape(o.dims), len(draws)), dtype=dtype) for o in plan.outputs
    }
    with np.errstate(all="ignore"):  # what is not finite is found and named by the run
        fixed = dict(plan.constants)
        for step in plan.fixed:
            _apply(step, fixed, dims, 1)
        for tile, here, there in _tiles(draws):
            values = {**fixed, **_sample(plan.samplers, seed, tile, dims)}
            for step in plan.steps:
                _apply(step, values, dims, TILE)
            for output in plan.outputs:
                values_of = np.broadcast_to(values[output.name], (*dims.shape(output.dims), TILE))[
                    ..., here
                ]
                scaled = values_of if output.scale == 1.0 else values_of * output.scale
                results[output.name][..., there] = scaled
    return results


def count_outside(plan: Plan, seed: int, draws: range) -> dict[str, int]:
    """Return how many draws leave the physical range of each parameter that can leave it.

    Parameters
    ----------
    plan, seed, draws
        As in `evaluate`.
    """
    reaching = [sampler for sampler in plan.samplers if sampler.reaches_out]
    counts = {sampler.name: 0 for sampler in reaching}
    for tile, here, _ in _tiles(draws) if reaching else ():
        for name, values in _sample(reaching, seed, tile, plan.dims).items():
            low, high = next(sampler.range for sampler in reaching if sampler.name == name)
            rows = values.reshape(-1, TILE)
            below = rows <= 0.0 if name in plan.positive else rows < low
            outside = np.any(below | (rows > high), axis=0)
            counts[name] += int(np.count_nonzero(outside[here]))
    return counts


def count_negative(plan: Plan, results: dict[str, npt.NDArray[Any]]) -> dict[str, int]:
    """Return in how many draws each closed flow is negative, beyond rounding.

    Rounding is 1e-9 of the draw's largest flow: enough for draws kept in float64 or float32, as a
    balance is closed before it is rounded.
    """
    flows = [results[o.name] for o in plan.outputs if o.kind == "flow"]
    largest = np.max(
        [np.abs(f).max(axis=tuple(range(f.ndim - 1))) for f in flows], axis=0, initial=0
    )
    return {
        name: int(
            np.count_nonzero((results[name] < -1e-9 * largest).reshape(-1, len(largest)).any(0))
        )
        for name in plan.closed
    }


def _tiles(draws: range) -> Iterator[tuple[int, slice, slice]]:
    """Yield the first draw of each tile, the part of it that is wanted, and where that goes."""
    for first in range(draws.start // TILE * TILE, draws.stop, TILE):
        start, stop = max(first, draws.start), min(first + TILE, draws.stop)
        here = slice(start - first, stop - first)
        yield first, here, slice(start - draws.start, stop - draws.start)


# --- sampling ------------------------------------------------------------------------------


def _sample(drawn: Sequence[Sampler], seed: int, first: int, dims: Dims) -> dict[str, Floats]:
    return {
        sampler.name: _draw(sampler, seed, first, dims).reshape(*dims.shape(sampler.dims), TILE)
        for sampler in drawn
    }


def _draw(sampler: Sampler, seed: int, first: int, dims: Dims) -> Floats:
    out = np.empty((len(sampler.central), TILE))
    out[sampler.certain] = sampler.central[sampler.certain]
    kinds = {group.kind for group in sampler.groups}
    scores = uniforms = np.empty((0, TILE))
    if sampler.direct and kinds <= set(_SCORE_KERNELS):
        scores = _independent(sampling.normals, sampler, seed, first)
    elif sampler.direct:
        uniforms = _independent(sampling.uniforms, sampler, seed, first)
        if kinds & set(_SCORE_KERNELS):
            scores = _independent(sampling.normals, sampler, seed, first)
    else:
        scores = _field(sampler, seed, first, dims)
        if not kinds <= set(_SCORE_KERNELS):
            uniforms = np.empty_like(scores)
            sampling.cdf(scores, uniforms)
    for group in sampler.groups:
        _quantile(group, scores if group.kind in _SCORE_KERNELS else uniforms, out)
    return out


def _independent(kernel: Any, sampler: Sampler, seed: int, first: int) -> Floats:
    out = np.empty((len(sampler.streams), TILE))
    kernel(np.uint64(seed), sampler.streams, first, out)
    return out


def _field(sampler: Sampler, seed: int, first: int, dims: Dims) -> Floats:
    """Return the correlated normal scores of a parameter, one row per field cell."""
    if sampler.partners:
        fields = [_field(partner, seed, first, dims) for partner in sampler.partners]
        return mix(fields, sampler.weights)
    return chain(_independent(sampling.normals, sampler, seed, first), sampler.errors, dims)


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


def _flat(array: Floats, width: int) -> Floats:
    """Return an array as contiguous rows of draws, as kernels want it."""
    if array.shape[-1] != width:
        array = np.broadcast_to(array, (*array.shape[:-1], width))
    return np.require(array, requirements=["C", "W"]).reshape(-1, width)


@functools.lru_cache(maxsize=1024)
def _rows(shape: tuple[int, ...], kept: tuple[bool, ...]) -> npt.NDArray[np.int64]:
    """Return, for each cell of ``shape``, its row among the cells of the kept dims alone."""
    inner = tuple(size if keep else 1 for size, keep in zip(shape, kept, strict=True))
    rows = np.arange(math.prod(inner), dtype=np.int64).reshape(inner)
    return np.broadcast_to(rows, shape).copy().reshape(-1)


def _rows_of(has: tuple[str, ...], wants: tuple[str, ...], dims: Dims) -> npt.NDArray[np.int64]:
    return _rows(dims.shape(has), tuple(dim in wants for dim in has))


def _sum(
    terms: tuple[Term, ...],
    wants: tuple[str, ...],
    values: dict[str, Floats],
    dims: Dims,
    width: int,
) -> Floats:
    if len(terms) == 1 and terms[0].dims == wants and terms[0].sign > 0:
        return _flat(values[terms[0].name], width).reshape(*dims.shape(wants), width)
    out = np.zeros((dims.size(wants), width))
    for term in terms:
        rows = _rows_of(term.dims, wants, dims)
        balance.accumulate(_flat(values[term.name], width), rows, term.sign, out)
    return out.reshape(*dims.shape(wants), width)


def _share(step: Share, values: dict[str, Floats], dims: Dims, width: int) -> Floats:
    total = _sum(step.inflows, step.total_dims, values, dims, width).reshape(-1, width)
    share = _flat(evaluate_expression(step.expression, values), width)
    out = np.empty((dims.size(step.dims), width))
    total_of = _rows_of(step.dims, step.total_dims, dims)
    share_of = _rows_of(step.dims, step.expression.dims, dims)
    balance.transfer(total, total_of, share, share_of, out)
    return out.reshape(*dims.shape(step.dims), width)


def _cohort(step: Cohort, values: dict[str, Floats], dims: Dims, width: int) -> None:
    shape = (*dims.shape(step.dims), width)
    cells, years = math.prod(shape[:-2]), shape[-2]
    inflow = _sum(step.inflows, step.dims, values, dims, width).reshape(cells, years, width)
    share = np.empty_like(inflow)
    _survival(step, values, dims, share)
    values[step.target] = _convolved(inflow, share).reshape(shape)
    if step.release:
        gone = -np.diff(share, axis=1, prepend=1.0)  # what leaves at each age
        values[step.release] = _convolved(inflow, gone).reshape(shape)


def _convolved(inflow: Floats, share: Floats) -> Floats:
    out = np.empty_like(inflow)
    convolve(inflow, share, out)
    return out


def _survival(step: Cohort, values: dict[str, Floats], dims: Dims, out: Floats) -> None:
    width, wants = out.shape[-1], step.dims[:-1]
    scale, shape = (
        _flat(align(evaluate_expression(e, values), e.dims, wants, dims), width)
        for e in (step.scale, step.shape)
    )
    if step.convention != "pdf_integer":
        log_ages, weights = _ages(step.convention, out.shape[1])
        survival.weibull(scale, shape, log_ages, weights, out)
        return
    survival.weibull_integer_density(scale, shape, out)
    if step.normalise == "truncate":
        out[:] = 1.0 - (1.0 - out) / (1.0 - out[:, -1:])


@functools.lru_cache(maxsize=64)
def _ages(convention: str, ages: int) -> tuple[Floats, Floats]:
    nodes, weights = survival.quadrature(convention, ages)
    with np.errstate(divide="ignore"):
        return np.log(nodes), weights


def evaluate_central(plan: Plan) -> dict[str, Floats]:
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
    return {
        o.name: np.broadcast_to(values[o.name], (*dims.shape(o.dims), 1))[..., 0] * o.scale
        for o in plan.outputs
    }
