"""Scores of inputs: one for each stream, standardised, and beside what is observed of a draw."""

import dataclasses

import numpy as np
import pytest
import reference
from numpy.testing import assert_allclose, assert_array_equal
from strategies import bundled, one_parameter, scenario, stock_model

from ndmc.engine import tile_width
from ndmc.engine.evaluation import code_of, evaluate
from ndmc.engine.scores import draw_scores, observed_draws, scores_of
from ndmc.model import compile_plan
from ndmc.plan.study import Observed, Study


def looked_at(plan, *further):
    """Return a plan whose study observes all of its outputs."""
    outputs = tuple(Observed(one.name, one.name, one.dims) for one in plan.outputs)
    return dataclasses.replace(plan, study=Study((), (*outputs, *further)))


def drawn(plan, seed, draws):
    """Return all scores and all that is observed of a range of draws."""
    tiles = [*observed_draws(plan, scores_of(plan), seed, draws)]
    return tuple(np.concatenate(some, axis=1) for some in zip(*tiles, strict=True))


def test_a_stream_has_one_score():
    """Of 546 streams 34 are drawn as scores and as uniforms: they count once, as scores."""
    plan = compile_plan(bundled("china_nd"))
    how, scores = code_of(plan).sampling, scores_of(plan)
    assert len(how.normals[0]) + len(how.uniforms[0]) == 546 + 34
    assert len(scores.streams) == len({*scores.streams.tolist()}) == 546
    assert scores.normal == len(how.normals[0])
    some = scores.chosen(scores.streams % 2 == 0)
    assert set(some.streams[some.normal :].tolist()) <= set(how.uniforms[0].tolist())


@pytest.mark.parametrize(
    ("name", "draws"), [("china_nd", range(2, 301)), ("uk_ree", range(2**62, 2**62 + 40))]
)
def test_scores_are_those_of_the_draws(name, draws):
    """They are the same bits whether anything is evaluated or not, and wherever they begin."""
    plan = looked_at(compile_plan(bundled(name)))
    scores, values = drawn(plan, 7, draws)
    assert_array_equal(scores, draw_scores(scores_of(plan), 7, draws))
    outputs = evaluate(plan, 7, draws)
    assert_array_equal(
        values, np.concatenate([v.reshape(-1, len(draws)) for v in outputs.values()])
    )


@pytest.mark.parametrize("width", [64, 128])
def test_draws_come_together_whatever_a_tile_holds(width, monkeypatch):
    """Sums over them, which are products of whole arrays, have the same bits then."""
    plan, draws = looked_at(compile_plan(scenario(stock_model(spread=0.1)))), range(200, 700)
    sizes = [found[0].shape[1] for found in observed_draws(plan, scores_of(plan), 1, draws)]
    monkeypatch.setattr(tile_width, "TILE", width)
    narrow = [found[0].shape[1] for found in observed_draws(plan, scores_of(plan), 1, draws)]
    assert sizes == narrow == [56, 256, 188]


def test_a_uniform_has_variance_one():
    """A stream that is a uniform alone counts as sqrt(12) (u - 1/2)."""
    plan = looked_at(
        compile_plan(scenario(one_parameter(distribution="uniform", low=1, high=3)), ["x"])
    )
    scores, values = drawn(plan, 3, range(600))
    uniforms = reference.uniforms(3, scores_of(plan).streams, 0, 600)
    assert_array_equal(scores, np.sqrt(12.0) * (uniforms - 0.5))
    assert_allclose(values, 1 + 2 * uniforms)
    assert abs(scores.std() - 1) < 0.05
