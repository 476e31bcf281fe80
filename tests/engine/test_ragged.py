"""Labels that belong to others: the same numbers as with all of them, without what is not there."""

import numpy as np
import pytest
from ragged import CELLS, padded, ragged
from strategies import scenario

import ndmc


def evaluated(data, draws=96):
    """Return the plan of a scenario and its draws."""
    plan = ndmc.compile_plan(scenario(data))
    return plan, ndmc.evaluate(plan, 5, range(draws))


def of_uses(values, dims, cell):
    """Return what an array with every use of every metal has of those that exist."""
    metal, use = dims.index("metal"), dims.index("use")
    some = [np.take(np.take(values, u, axis=use), m, axis=metal) for m, u in cell]
    return np.stack(some, axis=metal)


ERRORS = [
    {"metal": metal, "use": use}
    for metal in ("shared", "independent", "mixed(0.3)")
    for use in ("shared", "independent", "mixed(0.5)")
]


@pytest.mark.parametrize("errors", ERRORS, ids=lambda errors: "-".join(errors.values()))
def test_cells_have_the_bits_that_they_have_among_all(errors):
    """Whatever else there might be, a cell is drawn and computed alike."""
    data = ragged(**errors)
    plan, found = evaluated(data)
    every_plan, every = evaluated(padded(data))
    metals = plan.dims.labels["metal"]
    uses = every_plan.dims.labels["use"]
    cells = [(metals.index(metal), uses.index(use)) for metal, use in CELLS]
    for output in plan.outputs:
        wide = every_plan.output(output.name).dims
        wanted = of_uses(every[output.name], wide, cells) if "use" in wide else every[output.name]
        np.testing.assert_array_equal(found[output.name], wanted, err_msg=output.name)


def test_nothing_is_computed_for_what_is_not_there():
    """Rows, cells and streams are those of what exists."""
    plan, _ = evaluated(ragged(), draws=1)
    assert plan.output("in_use").dims == ("use", "year")
    assert plan.dims.size(plan.output("in_use").dims) == len(CELLS) * 11
    (wear,) = (sampler for sampler in plan.samplers if sampler.name == "wear")
    assert len(wear.streams) == len(CELLS) + len({use for _, use in CELLS})
