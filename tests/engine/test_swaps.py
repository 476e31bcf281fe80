"""What lies downstream of some inputs, computed alone, has the bits of everything computed anew."""

from dataclasses import replace

import numpy as np
import pytest
from along_dims import ALONG_YEARS, WITHIN_LOOPS, model_along
from numpy.testing import assert_array_equal
from strategies import scenario

from ndmc.engine.evaluation import code_of, swaps
from ndmc.engine.swaps import reach
from ndmc.engine.tiles import Tile
from ndmc.model import compile_plan
from ndmc.plan.study import InputGroup, Observed, Study

SCENARIOS = ("china_nd", "uk_ree", "quota_gap", "two_stage_hoard", "steel_loop")
LONG = [
    pytest.param(name, marks=pytest.mark.torture)
    for name in ("china_nd_published", "building_stock")
]


def studied(name, outputs=None):
    """Return a plan with a group for each parameter, which looks at all outputs."""
    plan = compile_plan(name, outputs)
    groups = [InputGroup(s.name, (s.name,), tuple(s.streams.tolist())) for s in plan.samplers]
    observed = [Observed(o.name, o.name, o.dims) for o in plan.outputs]
    return replace(plan, study=Study(tuple(groups), tuple(observed)))


def exchanged(plan, group, width, seed=1):
    """Return a tile in which the streams of a group have changed places, all of it computed."""
    code = code_of(plan)
    tile = Tile(code, width, 2)
    tile.sample(seed, 0)
    for streams, at in (code.sampling.normals, code.sampling.uniforms):
        for row, stream in enumerate(streams.tolist(), at):
            if stream in group.streams:
                tile.rows[row] = tile.rows[row].reshape(-1, 2)[:, ::-1].reshape(-1)
    tile.spread()
    tile.run(code.each)
    return tile


def same_as_exchanged(plan):
    """Demand that cells that are reached have the bits of the whole model, and others did not."""
    width = 64
    found, code = swaps(plan), code_of(plan)
    with np.errstate(all="ignore"):
        tile = Tile(code, width, 2)
        tile.sample(1, 0)
        tile.run(code.each)
        before, sums = tile.rows[: code.rows].copy(), found.sums()
        for n, group in enumerate(plan.study.groups):
            only = replace(
                found, connected=found.connected & (np.arange(len(found.parts)) == n)[:, None]
            )
            only.measure(tile, 0, slice(0, width), sums)
            cells, hit = found.cells, found.connected[n][:, np.newaxis]
            got = np.where(hit, tile.rows[cells + code.rows], tile.rows[cells])
            assert_array_equal(got, exchanged(plan, group, width).rows[cells], group.name)
    assert_array_equal(tile.rows[: code.rows], before)


@pytest.mark.parametrize("name", [*SCENARIOS, *LONG])
def test_a_swap_equals_the_whole_model_with_inputs_exchanged(name):
    """Cells that are reached have its bits; the others did not change, nor did the tile itself."""
    same_as_exchanged(studied(name))


def test_a_swap_of_one_error_reaches_what_is_made_of_it_along_a_dim():
    """Reductions, peaks, events and labels that are picked: each error of a cell on its own."""
    plan = studied(scenario(model_along([*WITHIN_LOOPS.values(), *ALONG_YEARS.values()])))
    streams = [stream for group in plan.study.groups for stream in group.streams][::7]
    alone = tuple(InputGroup(str(stream), (), (stream,)) for stream in streams)
    same_as_exchanged(replace(plan, study=replace(plan.study, groups=alone)))


def test_a_swap_of_all_is_a_tile_of_exchanged_draws():
    """Every draw becomes its neighbour, so that all of the variance is that of all inputs."""
    plan = studied("china_nd", ["in_use"])
    streams = tuple(s for group in plan.study.groups for s in group.streams)
    plan = replace(plan, study=replace(plan.study, groups=(InputGroup("all", (), streams),)))
    found, code = swaps(plan), code_of(plan)
    tile, sums = Tile(code, 128, 2), found.sums()
    tile.sample(1, 0)
    tile.run(code.each)
    found.measure(tile, 0, slice(0, 128), sums)
    cells = len(found.cells)
    assert found.entries == 2 * cells
    assert_array_equal(sums[:cells], sums[cells:])
    assert_array_equal(sums[:, 2:], 0)
    assert_array_equal(sums[..., 0], sums[..., 2])


def test_streams_reach_the_cells_that_their_parameters_do():
    """The content of one product reaches the cells of that product alone."""
    plan = studied("china_nd", ["in_use"])
    content = next(s for s in plan.samplers if s.name == "content")
    found = reach(code_of(plan), content.streams.tolist())
    products, years = plan.dims.shape(("product", "year"))
    assert found.shape == (products * years, products)
    assert_array_equal(found.reshape(products, years, products).any(axis=1), np.eye(products))
