"""Draws whose neighbours have each other's scores of some inputs: the slow twin of a swap."""

import contextlib

import numpy as np
import pytest

from ndmc.engine.evaluation import code_of, evaluate
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
