"""Draws of what is reconciled, as labelled data in memory and in a store."""

import numpy as np
import pytest
import xarray as xr
from command import here
from measured import market

from ndmc import InputError, reconcile, reconciled_draws
from ndmc.cli.tables import number
from ndmc.reconciliation.estimates import reconcile_scenario
from ndmc.reconciliation.moments import METHODS, Draws, moments

#: More than are written at once.
DRAWS = 9000


@pytest.mark.parametrize("method", METHODS)
def test_a_store_holds_the_draws(tmp_path, method):
    """What is written in parts is what is returned at once, and says how it was made."""
    scenario = market(tmp_path, waste=1, use=63)
    drawn = reconciled_draws(tmp_path, DRAWS, method=method, seed=3)
    out = tmp_path / "out"
    with reconciled_draws(scenario, DRAWS, method=method, seed=3, out=out) as stored:
        assert stored.use.chunks
        xr.testing.assert_identical(stored.load(), drawn)
    assert [path.name for path in out.iterdir()] == [f"market-{method}.zarr"]
    assert drawn.attrs == {
        "title": f"A market (reconciled, {method})",
        "scenario": "market",
        "method": method,
        "seed": 3,
    }
    assert drawn.use.dims == ("draw", "element", "year")
    assert ("log_weight" in drawn) == (method == "weighted")


def test_every_draw_balances(tmp_path):
    """Flows of every draw close the market, to rounding."""
    market(tmp_path)
    drawn = reconciled_draws(tmp_path, 500)
    left = drawn.imports - drawn.exports - drawn.waste - drawn.use
    assert float(abs(left).max()) <= 64 * 2.0**-52 * float(drawn.imports.max())


def test_weights_give_the_moments(tmp_path):
    """As xarray weights them, the mean of draws is the mean that is held against least squares."""
    found = reconcile_scenario(market(tmp_path))
    drawn = reconciled_draws(tmp_path, 2000, method="weighted")
    mean = drawn.weighted(np.exp(drawn.log_weight)).mean("draw")
    expected = moments(Draws(found, "weighted", 1, 2000)).mean[found.system.spans["use"]]
    assert np.allclose(mean.use.values.reshape(-1), expected, rtol=1e-12)


def test_a_draw_is_the_same_however_many_there_are(tmp_path):
    """More draws begin with the fewer."""
    market(tmp_path)
    some, more = (reconciled_draws(tmp_path, n, method="active_set") for n in (70, 300))
    assert some.identical(more.isel(draw=slice(70)))


def test_draws_are_in_the_units_of_the_scenario():
    """A parameter in percent is drawn in percent, and what nothing determines is nan."""
    drawn, found = reconciled_draws("china_nd_published", 300), reconcile("china_nd_published")
    rate = found.refining_loss_rate
    assert drawn.refining_loss_rate.attrs["units"] == rate.attrs["units"] == "%"
    assert abs(float(drawn.refining_loss_rate.mean()) - float(rate)) < float(rate) / 10
    for name in found.data_vars:
        if name in drawn:
            lost = np.isnan(drawn[name]).all("draw")
            assert (lost == np.isnan(found[name])).all(), name


def test_the_command_writes_draws_once(tmp_path):
    """``--out`` names the store, refuses to write over it, and wants to know how many."""
    market(tmp_path)
    command = ["reconcile", tmp_path, "-n", 100, "--out", tmp_path / "out"]
    done = here(*command)
    store = tmp_path / "out" / "market-projected.zarr"
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[-1].startswith("draws: ")
    assert xr.open_zarr(store, consolidated=False).sizes["draw"] == 100
    again = here(*command)
    assert (again.code, "exists; choose another folder" in again.err) == (2, True)
    none = here("reconcile", tmp_path, "--out", tmp_path / "out")
    assert (none.code, "say how many with -n" in none.err) == (2, True)


def test_draws_are_held_against_the_estimates(tmp_path):
    """The function says what the command prints, and what the draws themselves show."""
    scenario, same = market(tmp_path), {"method": "weighted", "seed": 5}
    found = reconcile(scenario, draws=500, **same)
    done = here("reconcile", tmp_path, "-n", 500, "--method", "weighted", "--seed", 5)
    assert f"worth {found.effective:,.0f} of equal weight, {found.lost:,} without any" in done.out
    assert f"over {found.cells} cells" in done.out
    assert f"means differ by up to {number(found.mean_off)} sd" in done.out
    assert f"standard deviations by up to {number(100 * found.sd_off)} %" in done.out
    assert f"correlations by up to {number(found.correlation_off)}" in done.out
    drawn = reconciled_draws(scenario, 500, **same)
    mean = drawn.weighted(np.exp(drawn.log_weight)).mean("draw").drop_vars("log_weight")
    off = [float((abs(mean[name] - found[name]) / found[f"{name}_sd"]).max()) for name in mean]
    assert np.isclose(max(off), found.mean_off, rtol=1e-9)


def test_only_methods_that_there_are(tmp_path):
    """A method that is misspelt is refused, not taken for another."""
    scenario = market(tmp_path)
    for function in (reconcile, reconciled_draws):
        with pytest.raises(InputError, match="'active' is not projected, active_set or weighted"):
            function(scenario, draws=10, method="active")


def test_no_draws_are_refused(tmp_path):
    """None or fewer draws are wrong input."""
    market(tmp_path)
    with pytest.raises(InputError, match="0 draws"):
        reconciled_draws(tmp_path, 0)


def test_more_draws_than_can_be_numbered_are_refused(cli):
    """They would take longer than anyone waits, and begin anew after the last number."""
    done = cli("reconcile", "china_nd_published", "-n", 2**63)
    assert (done.code, done.out) == (2, "")
    assert "at most 2**63 - 1 can be numbered" in done.err
