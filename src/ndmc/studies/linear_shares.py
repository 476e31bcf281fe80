"""The share of every single input in the variance of every output, from the draws of any run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ndmc.dims import Dims
from ndmc.engine.evaluation import check_seed, code_of
from ndmc.engine.scores import scores_of
from ndmc.engine.swaps import reach
from ndmc.errors import InputError, Mistakes
from ndmc.given import as_count, as_names
from ndmc.model import compile_plan
from ndmc.plan.input_groups import input_groups, scalar_inputs
from ndmc.plan.steps import Plan
from ndmc.plan.study import InputGroup, Observed, Study
from ndmc.portable import portable
from ndmc.runs.first_shares import FirstShares, first_shares
from ndmc.runs.linear_fit import LinearFit, fit_linear, least_draws
from ndmc.runs.replay import replayed
from ndmc.scenario import reserved
from ndmc.scenario.load import as_scenario
from ndmc.scenario.output_names import nearest_output
from ndmc.scenario.scenario import Scenario
from ndmc.store.address import place_of
from ndmc.store.keys import ROOT
from ndmc.store.series import titles_of
from ndmc.typing import Floats, Integers

if TYPE_CHECKING:
    import xarray as xr

#: Half of a 95 % interval, in standard errors.
_WIDTH = 1.959963984540054

#: How the shares of a cell are found, by number; of one that does not vary, or is not finite, none.
_METHODS = ("joint_fit", "bins", "none")


def linear_shares(
    source: Scenario | str | Path,
    draws: int = 2**14,
    seed: int = 1,
    outputs: str | Iterable[str] | None = None,
    *,
    variant: str | Iterable[str] = "",
    changes: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Share the variance of every output out among all single inputs.

    One fit of all outputs to the scores of all inputs says which part of a variance is linear in
    each; where less than half is, shares come from the means of an output in bins of each input.

    Parameters
    ----------
    source
        A loaded scenario, or what `load` takes; or the path or URL of a store, whose scenario, seed
        and draws are taken: these are made again, as many as it has at most.
    draws, seed
        Of a scenario; of a store the draws, if it has more.
    outputs
        Flows, stocks and indicators to explain; all of a scenario if None, and those with
        percentiles of a store.
    variant, changes
        As in `load`; only where ``source`` is a scenario that is not loaded yet.

    Returns
    -------
    xarray.Dataset
        For each output ``x``, and for its total ``x_total``: ``x_first_linear`` (input, ...), the
        share of the variance that goes away if an input is known, with its 95 % limits ``_low`` and
        ``_high``; ``x_first_linear_by_parameter`` (parameter, ...), their sums;
        ``x_linear_share``, the part of the variance that is linear in all of them, and
        ``x_method``, 1 where bins were used. Shares are exactly 0 where an input does not reach a
        cell, and nan where that does not vary or is not finite in a draw. ``input_parameter`` and
        ``input_grade`` say whose and how good an input is.

    Raises
    ------
    InputError
        If something asked for is wrong, nothing is uncertain, or the draws are too few.
    RunError
        If the store is damaged.

    Examples
    --------
    >>> shares = linear_shares("starter", 2**12, outputs=["in_use"])
    >>> first = shares.in_use_total_first_linear_by_parameter.sel(year=2024)
    >>> str(first.idxmax().values)
    'content'
    """
    asked = _asked(source, as_count(draws, "draws"), seed, outputs, variant, changes)
    _check_names(asked.scenario)
    plan = _plan_of(asked)
    inputs = scalar_inputs(asked.scenario, plan.samplers)
    scores = scores_of(plan)
    reaches = reach(code_of(plan), scores.streams.tolist())
    _check_draws(asked, int(reaches.sum(axis=1).max(initial=0)))
    fit = fit_linear(plan, scores, reaches, asked.seed, range(asked.draws))
    found = first_shares(plan, fit, asked.seed, range(asked.draws))
    return _dataset(asked, plan, inputs, fit, found)


# --- what is asked for ----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Asked:
    """What is asked for; ``store`` is where that was read from, if it was."""

    scenario: Scenario
    outputs: tuple[str, ...]
    draws: int
    seed: int
    store: str = ""
    note: str = ""


def _asked(
    source: Scenario | str | Path,
    draws: int,
    seed: int,
    outputs: Any,
    variant: str | Iterable[str],
    changes: Mapping[str, Any] | None,
) -> _Asked:
    names = None if outputs is None else as_names(outputs, "outputs")
    if isinstance(source, Scenario) or not place_of(source).exists(ROOT):
        scenario = as_scenario(source, variant=variant, changes=changes)
        file = scenario.file
        known = (*file.flows, *file.stocks, *file.indicators)
        check_seed(seed)
        return _Asked(scenario, _known(names, known), draws, seed)
    if variant or changes:
        message = "a store is explained as it was run; variant and changes are for a scenario"
        raise InputError(message, f"{source}")
    scenario, work = replayed(source)
    spec, written = work.spec, work.store.attrs["ndmc"]
    if written != version("ndmc"):
        message = f"was written by ndmc {written}, whose draws {version('ndmc')} may not make again"
        raise InputError(f"{work.store.path!r} {message}; name its scenario instead")
    found = _Asked(scenario, _known(names, spec.percentiles), min(draws, spec.draws), spec.seed)
    note = (
        f"the store has {spec.draws:,} draws of {draws:,} asked for" if draws > spec.draws else ""
    )
    return replace(found, store=work.store.path, note=note)


def _known(names: Sequence[str] | None, known: Sequence[str]) -> tuple[str, ...]:
    """Return the outputs that are asked for, or all there are."""
    with Mistakes() as mistakes:
        for name in dict.fromkeys(names or ()):
            if name not in known:
                message = f"nothing is named {name!r}; {nearest_output(name, known)}"
                mistakes.add([InputError(message, "-v")])
    return tuple(dict.fromkeys(known if names is None else names))


def _plan_of(asked: _Asked) -> Plan:
    plan = compile_plan(asked.scenario, asked.outputs)
    titles = titles_of(plan, asked.outputs).items()
    observed = (Observed(title, view.name, view.kept, view.over) for title, view in titles)
    return replace(plan, study=Study((), tuple(observed)))


def _check_names(scenario: Scenario) -> None:
    """Refuse dims that are called as those of shares are."""
    for name in ("input", "parameter"):
        if name in scenario.dims.labels:
            message = f"shares have a dim {name!r} of their own; call this one otherwise"
            raise scenario.document.error(message, "dims", name)


def _check_draws(asked: _Asked, inputs: int) -> None:
    if not inputs:
        raise InputError(
            "no uncertain input reaches what is asked: there is no variance to share out"
        )
    needed = least_draws(inputs)
    if asked.draws < needed:
        has = (
            f"{asked.store!r} has {asked.draws:,} draws"
            if asked.note
            else f"{asked.draws:,} draws asked for"
        )
        raise InputError(f"{has}; to tell {inputs:,} inputs apart takes {needed:,}", "-n")


# --- what is found --------------------------------------------------------------------------------


def _dataset(
    asked: _Asked, plan: Plan, every: Sequence[InputGroup], fit: LinearFit, found: FirstShares
) -> xr.Dataset:
    import xarray as xr

    assert plan.study is not None
    column = {stream: n for n, stream in enumerate(fit.scores.streams.tolist())}
    inputs = [one for one in every if one.streams[0] in column]
    order = np.array([column[one.streams[0]] for one in inputs], dtype=np.int64)
    parameters = input_groups(asked.scenario, plan.samplers, "parameter")
    of = {stream: n for n, one in enumerate(parameters) for stream in one.streams}
    belongs = np.array([of[one.streams[0]] for one in inputs])
    used, where = np.unique(belongs, return_inverse=True)
    variables, first = dict[str, Any](), 0
    for one in plan.study.observed:
        span = slice(first, first + plan.dims.size(one.dims))
        first = span.stop
        variables |= _variables(one, plan, fit, found.part(span, order), span, where)
    dims = {dim for one in plan.study.observed for dim in one.dims}
    coordinates = {
        **_labels(plan.dims, dims),
        "input": [one.name for one in inputs],
        "input_parameter": ("input", [*(one.members[0] for one in inputs)]),
        "input_grade": ("input", [one.grade for one in inputs]),
        "parameter": [parameters[n].name for n in used],
        "parameter_grade": ("parameter", [parameters[n].grade for n in used]),
    }
    return xr.Dataset(variables, coordinates, _about(asked, plan))


def _labels(dims: Dims, used: Iterable[str]) -> dict[str, Any]:
    """Return the labels along some dims, and those that they belong to."""
    return {
        name: (dim, [*labels], {} if name == dim else {"long_name": name.removeprefix(f"{dim}_")})
        for name, (dim, labels) in dims.coordinates(used).items()
    }


def _variables(
    one: Observed, plan: Plan, fit: LinearFit, found: FirstShares, span: slice, where: Integers
) -> dict[str, Any]:
    """Return all that is said of an output, by name."""
    title, shape = plan.output(one.name).title, plan.dims.shape(one.dims)

    def shaped(values: Floats, words: str, *dims: str, **more: Any) -> tuple[Any, ...]:
        about = {"long_name": f"{title}, {words}", "units": "1", **more}
        return (*dims, *one.dims), values.reshape((*values.shape[: len(dims)], *shape)), about

    words, first = "share of variance that goes away if the input is known", reserved.FIRST_LINEAR
    shares, width = found.shares.T, _WIDTH * found.errors.T
    summed = np.zeros((where.max() + 1, len(found.shares)))
    np.add.at(summed, where, shares)
    method = np.where(np.isnan(fit.share[span]), 2, found.binned)
    meanings = {"flag_values": [*range(3)], "flag_meanings": " ".join(_METHODS)}
    return {
        f"{one.title}{first}": shaped(shares, words, "input"),
        f"{one.title}{first}{reserved.LOW}": shaped(
            shares - width, f"{words}, lower 95 % limit", "input"
        ),
        f"{one.title}{first}{reserved.HIGH}": shaped(
            shares + width, f"{words}, upper 95 % limit", "input"
        ),
        f"{one.title}{first}{reserved.BY_PARAMETER}": shaped(
            summed, f"{words}, added up", "parameter"
        ),
        f"{one.title}{reserved.LINEAR_SHARE}": shaped(
            fit.share[span], "share of variance that is linear in the scores"
        ),
        f"{one.title}{reserved.METHOD}": shaped(
            method.astype(np.int8), "how shares are found", **meanings
        ),
    }


def _about(asked: _Asked, plan: Plan) -> dict[str, Any]:
    scenario = asked.scenario
    reconciled = plan.conditioning is not None
    return portable(
        {
            "title": scenario.file.title,
            "scenario": scenario.name,
            "variant": scenario.variant,
            "changes": scenario.changes,
            "scenario_hash": scenario.hash,
            "ndmc": version("ndmc"),
            "seed": asked.seed,
            "draws": asked.draws,
            "note": asked.note,
            "store": asked.store,
            "estimator": "one linear fit to all scores; bins where less than half is linear",
            "reconciled": "shares are those of prior inputs, before draws are reconciled"
            if reconciled
            else "",
        }
    )
