"""Draws held against least squares: equations closed, moments as reconciled, bits of their own."""

import itertools

import numpy as np
import pytest
from measured import MARKET, market, product
from scipy import sparse
from strategies import reconciled

from ndmc.engine.evaluation import evaluate
from ndmc.errors import InputError
from ndmc.model import compile_plan
from ndmc.reconciliation.conditioning import conditioned, shortened
from ndmc.reconciliation.estimates import reconcile_scenario
from ndmc.reconciliation.linear_algebra import lengths
from ndmc.reconciliation.moments import METHODS, Draws, moments
from ndmc.scenario.load import load

DRAWS = 40_000


def sd_of(found):
    """Return the reconciled standard deviation of every cell."""
    return np.sqrt(np.asarray(found.spread.power(2).sum(axis=1)).reshape(-1))


@pytest.mark.parametrize("method", METHODS)
def test_moments_are_those_of_least_squares(tmp_path, method):
    """Where all is normal, linear and far from zero, every method has the reconciled moments."""
    found = reconcile_scenario(market(tmp_path))
    drawn, sd = moments(Draws(found, method, 1, DRAWS)), sd_of(found)
    error = 1 / np.sqrt(drawn.effective)
    assert drawn.lost == 0
    assert np.abs((drawn.mean - found.point) / sd).max() < 5 * error
    exact = (found.spread @ found.spread.T).toarray()
    # The variance of an entry of a sample covariance is at most 2 sd^2 sd^2 / n.
    assert np.abs((drawn.covariance - exact) / np.outer(sd, sd)).max() < 5 * np.sqrt(2) * error


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["market", "china_nd_published", "uk_ree"])
def test_equations_close(tmp_path, method, name):
    """Every draw satisfies every equation to 64 eps of its terms."""
    crowded = name == "market"
    found = reconcile_scenario(market(tmp_path, waste=1, use=63)) if crowded else reconciled(name)
    cells, _ = next(iter(Draws(found, method, 1, 40)))
    assert np.isnan(cells[0]).sum() <= 2
    for draw in cells[:, ~np.isnan(cells).any(axis=0)].T:
        linear = found.system.linearise(draw)
        assert (np.abs(linear.residual) <= 64 * 2.0**-52 * linear.size).all()


def test_a_run_is_reconciled(tmp_path):
    """Parameters of a run agree: what closes the market is what measures it."""
    plan = compile_plan(market(tmp_path), ["use", "use_reported"])
    drawn = evaluate(plan, 1, range(300))
    assert plan.conditioning is not None
    assert plan.conditioning.method == "projected"
    assert np.abs(drawn["use"][..., 0, :] / drawn["use_reported"] - 1).max() < 64 * 2.0**-52


def test_draws_as_drawn_are_left_alone(tmp_path):
    """Parameters keep their draws if the scenario says so."""
    plan = compile_plan(market(tmp_path, draws="as_drawn"), ["use", "use_reported"])
    drawn = evaluate(plan, 1, range(300))
    assert plan.conditioning is None
    assert np.abs(drawn["use"][..., 0, :] / drawn["use_reported"] - 1).max() > 0.01


@pytest.mark.parametrize("method", ["projected", "active_set"])
@pytest.mark.parametrize("name", ["market", "china_nd_published"])
def test_a_draw_does_not_depend_on_others(tmp_path, method, name):
    """A draw has the same bits alone, and in a tile of any width."""
    scenario = market(tmp_path, waste=1, use=63) if name == "market" else load(name)
    moved = conditioned(reconcile_scenario(scenario), method)
    found = moved.found
    scores = np.random.default_rng(1).standard_normal((found.system.factor.shape[1], 70))
    drawn = found.system.mean[:, np.newaxis] + found.system.factor @ scores
    whole = moved.all_cells(drawn)
    for first, stop in itertools.pairwise((0, 1, 18, 53, 70)):
        part = moved.all_cells(np.ascontiguousarray(drawn[:, first:stop]))
        assert np.array_equal(part, whole[:, first:stop], equal_nan=True)


def test_no_flow_is_negative(tmp_path):
    """The active set brings draws to the nearest without negative flows, and no others."""
    found = reconcile_scenario(market(tmp_path, waste=1, use=63))
    (free, _), (held, _) = (next(iter(Draws(found, way, 1, 256))) for way in METHODS[:2])
    flows = slice(len(found.system.mean), None)
    negative = (free[flows] < 0).any(axis=0)
    assert 20 < negative.sum() < 236
    assert np.array_equal(free[:, ~negative], held[:, ~negative])
    assert held[flows].min() > -1e-9
    # The waste is the only one near zero: the others follow as if it were measured to be zero.
    covariance = (found.spread @ found.spread.T).toarray()
    for draw in np.flatnonzero(negative):
        bad = len(found.system.mean) + np.flatnonzero(free[flows, draw] < 0)
        pull = np.linalg.lstsq(covariance[np.ix_(bad, bad)], -free[bad, draw], rcond=1e-9)[0]
        expected = free[:, draw] + covariance[:, bad] @ pull
        assert np.allclose(held[:, draw], expected, atol=1e-4)


def test_weights_leave_out_negative_flows(tmp_path):
    """Weighted draws have the mean of a normal distribution that ends at zero."""
    found = reconcile_scenario(market(tmp_path, waste=1, use=63))
    drawn = moments(Draws(found, "weighted", 1, 200_000))
    cells = found.system.spans["waste"]
    mean, sd = found.point[cells], sd_of(found)[cells]
    # Simulated from the reconciled distribution of the two, which are independent.
    score = np.random.default_rng(1).standard_normal((2, 400_000)) * sd[:, None] + mean[:, None]
    kept = score[:, (score > 0).all(axis=0)]
    error = sd / np.sqrt(drawn.effective)
    assert (np.abs(drawn.mean[cells] - kept.mean(axis=1)) < 5 * error).all()


def test_shared_errors_are_weighted(tmp_path):
    """Weighted draws of normal errors that measurements share have the reconciled moments."""
    found = reconcile_scenario(market(tmp_path, errors="shared"))
    drawn, sd = moments(Draws(found, "weighted", 1, DRAWS)), sd_of(found)
    error = 1 / np.sqrt(drawn.effective)
    assert 0.3 * DRAWS < drawn.effective < DRAWS
    assert np.abs((drawn.mean - found.point) / sd).max() < 5 * error
    exact = (found.spread @ found.spread.T).toarray()
    assert np.abs((drawn.covariance - exact) / np.outer(sd, sd)).max() < 5 * np.sqrt(2) * error


def normal(x, mean, sd):
    """Return a normal density, but for a constant."""
    return np.exp(-0.5 * ((x - mean) / sd) ** 2)


def lognormal(x, mean, sd):
    """Return a lognormal density of this mean and sd, but for a constant."""
    spread = np.log1p((sd / mean) ** 2)
    return np.exp(-0.5 * (np.log(x / mean) + spread / 2) ** 2 / spread) / x


@pytest.mark.torture
@pytest.mark.parametrize("mass_is", [normal, lognormal])
@pytest.mark.parametrize("use_is", [normal, lognormal])
def test_weights_of_a_product_are_those_of_a_grid(tmp_path, mass_is, use_is):
    """Mean and deviation are the integrals over the surface on which the equation holds."""
    found = reconcile_scenario(product(tmp_path, mass_is.__name__, use_is.__name__))
    drawn = moments(Draws(found, "weighted", 1, 200_000))
    items, mass = np.meshgrid(np.linspace(300, 1700, 401), np.linspace(0.2, 5, 401))
    use = items * mass / 1000
    density = normal(items, 1000, 120) * mass_is(mass, 2, 0.4) * use_is(use, 2.4, 0.36)
    steepness = (mass / 1000 * 120 / 0.36) ** 2 + (items / 1000 * 0.4 / 0.36) ** 2
    weight = density * np.sqrt(1 + steepness)
    system, error = found.system, 1 / np.sqrt(drawn.effective)
    for name, values in (("items", items), ("mass", mass), ("use_reported", use)):
        cell = system.spans[name].start
        parameter = system.scenario.parameters[name]
        mean = np.average(values, weights=weight)
        sd = np.sqrt(np.average((values - mean) ** 2, weights=weight))
        assert abs(drawn.mean[cell] / parameter.factor - mean) < 5 * error * sd
        assert abs(np.sqrt(drawn.covariance[cell, cell]) / parameter.factor / sd - 1) < 5 * error


def test_weights_do_not_depend_on_units(tmp_path):
    """What is measured in grams is weighed as what is measured in kilograms."""
    effective = {
        moments(Draws(reconcile_scenario(scenario), "weighted", 1, 2000)).effective
        for scenario in (product(tmp_path), product(tmp_path, unit="g", mass=2000))
    }
    assert max(effective) / min(effective) - 1 < 1e-5


def test_what_cannot_be_weighted_is_refused(tmp_path):
    """Of errors that are shared and not normal no joint density is known."""
    text = MARKET.format(use=44, waste=20, draws="projected", errors="shared")
    text = text.replace("value: 20, distribution: normal", "value: 20, distribution: lognormal")
    (tmp_path / "scenario.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"scenario\.yaml:\d+: .* is shared .* and not normal"):
        moments(Draws(reconcile_scenario(load(tmp_path / "scenario.yaml")), "weighted", 1, 10))


def test_a_lost_draw_is_nan(tmp_path):
    """A draw that is not a number is lost, and only that one."""
    moved = conditioned(reconcile_scenario(market(tmp_path)), "projected")
    drawn = np.repeat(moved.central[:, np.newaxis], 3, axis=1)
    drawn[0, 1] = np.nan
    lost = np.isnan(moved.all_cells(drawn))
    assert lost[:, 1].all()
    assert not lost[:, [0, 2]].any()


def test_the_command_holds_draws_against_estimates(tmp_path, cli):
    """`ndmc reconcile -n` prints how far moments are off; an unknown method is named."""
    market(tmp_path)
    done = cli("reconcile", "scenario.yaml", "-n", "2000")
    assert done.code == 0
    assert "2,000 draws (projected), worth 2,000 of equal weight" in done.out
    wrong = cli("reconcile", "scenario.yaml", "--method", "best")
    assert wrong.code == 2
    assert "'best' is not projected, active_set or weighted" in wrong.err


def test_what_overflows_is_infinite_without_a_word():
    """Numbers beyond single precision, or whose squares overflow, are refused by name later."""
    assert shortened(np.array([1e300, 2.0])).tolist() == [np.inf, 2.0]
    assert lengths(sparse.csr_array([[1e200, 0.0], [3.0, 4.0]])).tolist() == [np.inf, 5.0]
