"""Draws whose neighbours have each other's scores of some inputs: the slow twin of a swap."""

import contextlib
from dataclasses import replace

import numpy as np
import pytest

from ndmc.engine import swaps as engine_swaps
from ndmc.engine.evaluation import code_of, evaluate, fill, swaps
from ndmc.plan.study import InputGroup, Observed, Study
from ndmc_kernels import sampling


@contextlib.contextmanager
def exchanged(streams):
    """Let the draws 2i and 2i + 1 have each other's scores of some streams, whoever draws."""
    kernels = {name: getattr(sampling, name) for name in ("normals", "uniforms")}

    def drawing(kernel):
        def draw(seed, every, first, rows):
            kernel(seed, every, first, rows)
            assert first % 2 == 0
            chosen = np.isin(every, np.array(streams, np.uint64))
            rows[chosen] = neighbours(rows[chosen])

        return draw

    with pytest.MonkeyPatch.context() as patch:
        for name, kernel in kernels.items():
            patch.setattr(sampling, name, drawing(kernel))
        yield


def swapped(plan, seed, draws, streams):
    """Return every output of a plan with the scores of some streams exchanged between neighbours.

    Nothing but the random numbers is another: all is drawn, conditioned and computed anew.
    """
    with exchanged(streams):
        return evaluate(plan, seed, draws)


def every_stream(plan):
    """Return the streams of a plan, each once."""
    sampling = code_of(plan).sampling
    return np.union1d(sampling.normals[0], sampling.uniforms[0])


def streams_by_parameter(plan):
    """Return the streams of each parameter that a plan draws; those it is correlated with too."""
    return {
        sampler.name: np.concatenate([one.streams for one in sampler.partners or (sampler,)])
        for sampler in plan.samplers
    }


def neighbours(values):
    """Return values [..., draw] with those of the draws 2i and 2i + 1 exchanged."""
    return values.reshape(*values.shape[:-1], values.shape[-1] // 2, 2)[..., ::-1].reshape(
        values.shape
    )


# --- what a study does ----------------------------------------------------------------------------


def studied(plan, groups, above=()):
    """Return a plan with a study of groups of streams: of all outputs, their sums, and limits."""
    observed = [Observed(one.name, one.name, one.dims) for one in plan.outputs]
    for one in plan.outputs:
        over = tuple(dim for dim in one.dims if dim != "year")
        if over:
            dims = tuple(dim for dim in one.dims if dim not in over)
            observed.append(Observed(f"{one.name}_total", one.name, dims, over))
    for name, limit in above:
        dims = plan.output(name).dims
        observed.append(Observed(f"{name}_above", name, dims, above=limit))
    some = tuple(
        InputGroup(name, (name,), tuple(int(one) for one in streams))
        for name, streams in groups.items()
    )
    return replace(plan, study=Study(some, tuple(observed)))


def observed_of(plan, seed, draws):
    """Return the cells that a study looks at [cell, draw], from all of the code."""
    rows = np.concatenate([places.reshape(-1) for places in code_of(plan).observed])
    found = []

    def look(tile, first, here):
        found.append(tile.rows[rows, here].copy())

    fill({}, plan, seed, draws, witnesses=[look])
    return np.concatenate(found, axis=1)


def swapped_cells(plan, seed, draws):
    """Return what a study computes of each group: its cells [cell, draw]; and the sums of all.

    What no group reaches is taken from the draws as they are, as the study does.
    """
    own, sums, seen = swaps(plan), swaps(plan).sums(), []
    kernel = engine_swaps.squares

    def look(rows, before, after, at, count, *rest):
        some = slice(at, at + count)
        seen.append(np.where(after[:, np.newaxis] < 0, rows[before, some], rows[after, some]))
        kernel(rows, before, after, at, count, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine_swaps, "squares", look)
        fill({}, plan, seed, draws, witnesses=[lambda *tile: own.measure(*tile, sums)])
    reaching = own.connected.any(axis=1)
    turns = 1 + np.count_nonzero(reaching)
    whole = [np.concatenate(seen[turn::turns], axis=1) for turn in range(turns)]
    found = np.repeat(whole[:1], len(reaching), axis=0)
    for n, some in zip(np.flatnonzero(reaching), whole[1:], strict=True):
        found[n, own.connected[n]] = some
    return found, sums
