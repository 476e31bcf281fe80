"""Neighbouring draws, and what is left of them when some inputs change places between them."""

import every_step
import numpy as np
import pytest
from exchanged import every_stream, neighbours, swapped
from numpy.testing import assert_array_equal
from strategies import compiled

import ndmc
from ndmc.engine.evaluation import evaluate
from ndmc.model import compile_plan

DRAWS = range(64, 192)
SEED = 5


@pytest.fixture(params=[*every_step.NAMES, *ndmc.bundled()])
def plan(request, tmp_path):
    """Return the plan of a scenario: one of every kind of step, and all that are bundled."""
    if request.param in every_step.NAMES:
        return compile_plan(every_step.load(request.param, tmp_path))
    return compiled(request.param)


def test_with_all_inputs_exchanged_a_draw_is_its_neighbour(plan):
    """Whatever a draw is made of is in its streams, and nothing of it in another draw's."""
    before = evaluate(plan, SEED, DRAWS)
    after = swapped(plan, SEED, DRAWS, every_stream(plan))
    for name, values in before.items():
        assert_array_equal(after[name], neighbours(values), name)
    assert any(np.ptp(values, axis=-1).max() > 0 for values in before.values())
