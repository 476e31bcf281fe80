"""Evaluation: pure, independent of how it is cut, and equal to the model written in plain NumPy."""

import copy
import dataclasses
import gc
import itertools
import random
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from strategies import (
    bundled,
    bundled_draws,
    draw,
    imbalance,
    one_parameter,
    scenario,
    stock_model,
)

from ndmc.engine.audit import Audit
from ndmc.engine.evaluation import evaluate, evaluate_central
from ndmc.model import compile_plan
from ndmc_kernels import survival

CONVENTIONS = ["start", "middle", "end", "uniform", "pdf_integer"]


def assert_same(got, expected):
    """Demand the same names and the same bits."""
    assert list(got) == list(expected)
    for name, values in expected.items():
        assert_array_equal(got[name], values, name)


# --- however it is cut ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def china():
    """Return the plan of china_nd and its first 1500 draws."""
    plan = compile_plan(bundled("china_nd"))
    return plan, evaluate(plan, 5, range(1500))


@settings(deadline=None, max_examples=15)
@given(cuts=st.lists(st.integers(1, 1499), max_size=4, unique=True).map(sorted))
def test_any_cut_of_the_draws_is_the_uncut_answer(cuts, china):
    """Ranges evaluated apart and glued together have the bits of the whole."""
    plan, expected = china
    edges = [0, *cuts, 1500]
    parts = [evaluate(plan, 5, range(*ends)) for ends in itertools.pairwise(edges)]
    assert_same({n: np.concatenate([p[n] for p in parts], axis=-1) for n in expected}, expected)


@pytest.mark.parametrize("tile", [64, 128, 256, 1024])
def test_tile_width_changes_nothing(china, tile, monkeypatch):
    """Tiles of any width give the same bits."""
    plan, expected = china
    other = dataclasses.replace(plan)
    monkeypatch.setattr("ndmc.engine.evaluation.tile_width", lambda plan: tile)
    assert_same(evaluate(other, 5, range(1500)), expected)


def test_threads_and_order_change_nothing(china):
    """Blocks evaluated by many threads at once, in any order, have the bits of one thread."""
    plan, expected = china
    blocks = [range(first, min(first + 100, 1500)) for first in range(0, 1500, 100)]
    mixed = random.Random(1).sample(blocks, len(blocks))
    with ThreadPoolExecutor(8) as threads:
        found = dict(
            zip(mixed, threads.map(lambda block: evaluate(plan, 5, block), mixed), strict=True)
        )
    glued = {n: np.concatenate([found[b][n] for b in blocks], axis=-1) for n in expected}
    assert_same(glued, expected)


def test_repeating_changes_nothing(china):
    """A second call, and a second compilation, have the bits of the first."""
    plan, expected = china
    assert_same(evaluate(plan, 5, range(1500)), expected)
    again = compile_plan(bundled("china_nd"))
    assert_same(evaluate(again, 5, range(1500)), expected)


def test_tiles_go_with_their_plan():
    """What is kept of a plan between calls is given back with it."""
    plan = compile_plan(bundled("starter"), ["in_use"])
    evaluate(plan, 1, range(3))
    gone = weakref.ref(plan)
    del plan
    gc.collect()
    assert gone() is None


def test_far_draws_are_computed_alone():
    """Draw 2**40 costs no more than draw 0, and is the same from either side of a tile's edge."""
    plan = compile_plan(bundled("starter"), ["in_use"])
    far = 2**40
    both = evaluate(plan, 1, range(far - 1, far + 1))["in_use"]
    assert_array_equal(evaluate(plan, 1, range(far, far + 1))["in_use"], both[..., 1:])
    assert_array_equal(evaluate(plan, 1, range(far - 1, far))["in_use"], both[..., :1])


def test_no_draws_are_no_draws():
    """An empty range gives empty arrays of the right shape."""
    plan = compile_plan(bundled("starter"), ["in_use"])
    assert evaluate(plan, 1, range(7, 7))["in_use"].shape == (3, 15, 0)


def test_float32_is_the_rounded_float64(china):
    """Asking for float32 rounds the float64 result and computes nothing differently."""
    plan, expected = china
    for name, values in evaluate(plan, 5, range(300), dtype=np.float32).items():
        assert_array_equal(values, expected[name][..., :300].astype(np.float32))


def test_seeds_differ():
    """Neighbouring seeds, and seeds that share a half, share no draw."""
    data = one_parameter(distribution="uniform", low=0, high=1)
    seeds = [0, 1, 2, 2**32, 2**32 + 1, 2**63, 2**64 - 1]
    draws = np.concatenate([draw(data, draws=500, seed=seed).ravel() for seed in seeds])
    assert len(np.unique(draws)) == len(draws)


@pytest.mark.parametrize(
    ("seed", "draws"),
    [
        (-1, range(3)),
        (2**64, range(3)),
        (1, range(0, 6, 2)),
        (1, range(-1, 3)),
        (1, range(3, 0, -1)),
    ],
)
def test_impossible_seeds_and_draws_are_refused(seed, draws):
    """Refuses seeds beyond 64 bits, and draws that are not consecutive from 0 on."""
    with pytest.raises(ValueError, match=r"seed is|draws is"):
        evaluate(compile_plan(bundled("starter")), seed, draws)


# --- labels, not positions -----------------------------------------------------------------------

EVERY = ["inflow", "eta", "sales", "in_use", "end_of_life", "recycled", "dumped"]


def by_label(data, seed=3, draws=100):
    """Return the draws of each cell of a stock model, {name: {labels: draws}}."""
    loaded = scenario(data)
    plan = compile_plan(loaded, EVERY)
    found = {}
    for name, values in evaluate(plan, seed, range(draws)).items():
        cells = loaded.dims.cells(plan.output(name).dims)
        rows = values.reshape(len(cells), -1)
        found |= {(name, *sorted(cell.items())): row for cell, row in zip(cells, rows, strict=True)}
    return found


def assert_kept(before, after, *, names=EVERY):
    """Demand that every cell there was has the draws it had."""
    assert set(before) <= set(after)
    for cell, values in before.items():
        if cell[0] in names:
            assert_array_equal(after[cell], values, str(cell))


def with_errors(along_year, **keys):
    """Return a stock model with uncertain inflow whose errors along the years are these."""
    data = stock_model(spread=0.1, **keys)
    data["parameters"]["inflow"]["errors"] = {"year": along_year, "product": "independent"}
    return data


ALL_ERRORS = pytest.mark.parametrize("errors", ["shared", "independent", "mixed(0.5)", "ar1(0.7)"])


@ALL_ERRORS
def test_a_product_more_changes_no_other(errors):
    """Adding a product, in front, leaves every bit of the others."""
    before = by_label(with_errors(errors, products=("a", "b")))
    data = with_errors(errors, products=("a", "b", "c"))
    data["dims"]["product"] = ["c", "a", "b"]
    assert_kept(before, by_label(data))


@ALL_ERRORS
def test_a_year_more_at_the_end_changes_none_before(errors):
    """Extending the years leaves every bit of the earlier ones, stocks included."""
    before = by_label(with_errors(errors, years="2000..2009"))
    assert_kept(before, by_label(with_errors(errors, years="2000..2011")))


@pytest.mark.parametrize("errors", ["shared", "independent", "mixed(0.5)"])
def test_a_year_more_at_the_start_changes_no_parameter(errors):
    """Starting earlier leaves every bit of the later years' parameters, if not a chain."""
    before = by_label(with_errors(errors, years="2002..2009"))
    after = by_label(with_errors(errors, years="2000..2009"))
    assert_kept(before, after, names=["inflow", "eta", "sales"])


def test_a_parameter_more_changes_no_other():
    """Adding an uncertain parameter, and a flow that uses it, leaves every bit of the others."""
    data = stock_model(spread=0.1)
    before = by_label(data)
    more = copy.deepcopy(data)
    new = {"unit": "1", "value": 0.1, "distribution": "normal", "cv": 0.1}
    more["parameters"] = {"aaa": new, **data["parameters"]}
    more["flows"]["aaa_flow"] = {
        "from": "waste",
        "to": "recyclers",
        "dims": ["product"],
        "value": "aaa * end_of_life",
    }
    assert_kept(before, by_label(more), names=EVERY[:-1])


def test_reordering_changes_nothing():
    """Labels, dims and parameters in another order leave every bit of every cell."""
    data = stock_model(spread=0.1, products=("a", "b", "c"))
    before = by_label(data)
    other = copy.deepcopy(data)
    other["dims"]["product"] = ["c", "a", "b"]
    other["parameters"] = dict(reversed(other["parameters"].items()))
    other["parameters"]["inflow"]["dims"] = ["year", "product"]
    table = data["parameters"]["inflow"]["value"]
    other["parameters"]["inflow"]["value"] = {
        year: {product: row[year] for product, row in table.items()} for year in table["a"]
    }
    assert_kept(before, by_label(other))


def test_reordering_dims_changes_nothing():
    """Dims declared in another order leave every bit of every cell."""

    def model(order):
        values = {k: {"x": 5.0, "y": 7.0} for k in "uv"}
        return one_parameter(
            labels={dim: {"k": ["u", "v"], "m": ["x", "y"]}[dim] for dim in order},
            dims=["k", "m"],
            value=values,
            distribution="normal",
            cv=0.1,
            errors={"k": "mixed(0.5)", "m": "independent"},
        )

    one, two = draw(model(["k", "m"]), draws=50), draw(model(["m", "k"]), draws=50)
    assert one.shape == two.shape == (2, 2, 50)
    assert_array_equal(one, two.swapaxes(0, 1))


def test_changing_the_family_keeps_the_uniform():
    """Another distribution of a parameter is the same quantile: variants pair draw by draw."""
    uniform = draw(one_parameter(distribution="uniform", low=0, high=1))
    normal = draw(one_parameter(distribution="normal", value=5, sd=1))
    skew = draw(one_parameter(distribution="lognormal", mu=0, sigma=1))
    triangle = draw(one_parameter(distribution="triangular", low=0, mode=0, high=1))
    order = np.argsort(uniform)
    for other in (normal, skew, triangle):
        assert_array_equal(np.argsort(other), order)
    assert_allclose(reference.cdf(normal - 5), uniform, rtol=1e-12)


# --- against the model in plain NumPy ------------------------------------------------------------


def china_twin(p):
    """Return the flows, stocks and indicators of china_nd from its parameters' draws."""
    share = {name: values / 100 for name, values in p.items()}  # those given in %
    v = {}
    v["official_mining"] = p["concentrate_output"] * p["nd_in_reo"]
    v["concentrate_imports"] = p["concentrate_import_path"]
    v["concentrate_exports"] = v["concentrate_imports"] * share["concentrate_export_ratio"]
    v["primary_exports"] = p["primary_export_path"]
    mix = p["intermediate_mix"] / p["intermediate_mix"][:1]
    v["intermediates"] = p["magnet_output"].sum(0) * share["nd_in_magnets"] * mix
    made = v["intermediates"].sum(0)
    refined = 1 - share["refining_loss_rate"]
    need = (made / (1 - share["fabrication_loss_rate"]) + v["primary_exports"]) / refined
    net_imports = v["concentrate_imports"] - v["concentrate_exports"]
    v["supply_gap"] = gap = need - v["official_mining"] - net_imports
    v["illegal_mining"] = np.maximum(gap, 0)
    v["hibernating"] = np.maximum(-gap, 0) * refined
    v["concentrates"] = v["official_mining"] + v["illegal_mining"] + net_imports
    v["refining_loss"] = v["concentrates"] * share["refining_loss_rate"]
    v["compounds"] = (
        v["concentrates"] - v["refining_loss"] - v["primary_exports"] - v["hibernating"]
    )
    v["fabrication_loss"] = v["compounds"] - made
    v["intermediate_exports"] = v["intermediates"] * share["intermediate_export_share"]
    v["intermediate_imports"] = made * share["intermediate_import_ratio"]
    v["intermediates_used"] = made + v["intermediate_imports"] - v["intermediate_exports"].sum(0)
    grams = p["production"] * share["penetration"] * p["content"][:, None]
    v["final_products"] = grams / 1e6
    v["other_uses"] = v["intermediates_used"] - v["final_products"].sum(0)
    v["sales"] = v["final_products"] * np.minimum(share["domestic_share"], 1)[:, None]
    v["product_exports"] = v["final_products"] - v["sales"]
    ages, weights = survival.quadrature("middle", 21)
    remaining = reference.weibull(p["scale"], p["shape"], ages, weights)
    v["in_use"], v["end_of_life"] = reference.cohort(v["sales"], remaining)
    v["recycled"] = v["end_of_life"] * share["recycling_rate"]
    v["unrecovered"] = v["end_of_life"] - v["recycled"]
    v["demand_total"], v["stock_total"] = v["final_products"].sum(0), v["in_use"].sum(0)
    v["eol_total"] = v["end_of_life"].sum(0)
    for name, of in {
        "supply": "concentrates",
        "demand": "demand_total",
        "eol": "eol_total",
        "hibernating": "hibernating",
    }.items():
        v[f"cumulative_{name}"] = v[of].cumsum(axis=0)
    held = np.zeros((22, made.shape[-1]))
    for year in range(21):
        held[year + 1] = np.maximum(held[year] - gap[year] * refined, 0)
    v["hibernating_carried"] = held[1:]
    v["illegal_carried"] = np.maximum(gap - held[:-1] / refined, 0)
    mined = v["illegal_mining"] + v["official_mining"]
    v["illegal_share"] = 100 * v["illegal_mining"] / mined
    v["import_reliance"] = 100 * net_imports / v["concentrates"]
    v["ndfeb_share"] = 100 * v["intermediates"][0] / made
    v["unlisted_share"] = 100 * v["other_uses"] / v["intermediates_used"]
    v["eol_growth"] = v["eol_total"][20] / v["eol_total"][10]
    v["eol_to_need"] = 100 * v["eol_total"] / v["concentrates"]
    return v


def test_china_nd_equals_plain_numpy():
    """Every flow, stock and indicator of china_nd is what NumPy makes of the same parameters."""
    loaded = bundled("china_nd")
    values = bundled_draws("china_nd", draws=64)
    twin = china_twin({name: values[name] for name in loaded.file.parameters})
    file = loaded.file
    assert set(twin) == {*file.flows, *file.stocks, *file.indicators}
    for name, expected in twin.items():
        # Small differences of large flows are held to the largest number of their own kind.
        atol = 1e-12 * max(np.abs(expected).max(), 1e5 if name not in PERCENT else 100)
        assert_allclose(values[name], expected, rtol=1e-12, atol=atol, err_msg=name)


PERCENT = {
    "illegal_share",
    "import_reliance",
    "ndfeb_share",
    "unlisted_share",
    "eol_to_need",
    "eol_growth",
}


@pytest.mark.parametrize("name", ["china_nd", "starter"])
def test_every_process_balances(name):
    """In every draw and year what enters a process leaves it or stays, to 64 eps."""
    assert imbalance(bundled(name), bundled_draws(name)) <= 64


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_stock_follows_the_convention(convention):
    """Stock and outflow are the slow twin's, whenever in its year a cohort flows in."""
    data = stock_model(spread=0.1, convention=convention)
    values = evaluate(compile_plan(scenario(data), EVERY), 1, range(40))
    eta, beta = values["eta"], np.full((2, 40), 2.2)
    if convention == "pdf_integer":
        remaining = reference.weibull_integer_density(eta, beta, 15)
    else:
        remaining = reference.weibull(eta, beta, *survival.quadrature(convention, 15))
    stock, outflow = reference.cohort(values["inflow"], remaining)
    assert_allclose(values["in_use"], stock, rtol=1e-12)
    assert_allclose(values["end_of_life"], outflow, rtol=1e-12, atol=1e-12 * outflow.max())
    assert imbalance(scenario(data), values) <= 64


def test_truncated_density_leaves_nothing():
    """With normalise: truncate the oldest age keeps nothing of its cohort."""
    data = stock_model(convention="pdf_integer", spread=0.1)
    data["stocks"]["in_use"]["normalise"] = "truncate"
    values = evaluate(compile_plan(scenario(data), EVERY), 1, range(40))
    eta, beta = values["eta"], np.full((2, 40), 2.2)
    gone = 1 - reference.weibull_integer_density(eta, beta, 15)
    stock, _ = reference.cohort(values["inflow"], 1 - gone / gone[:, -1:])
    assert_allclose(values["in_use"], stock, rtol=1e-12)
    assert imbalance(scenario(data), values) <= 64


# --- the deterministic model, and small ones -----------------------------------------------------


@pytest.mark.parametrize("name", ["china_nd", "starter"])
def test_central_run_is_the_run_with_certain_parameters(name):
    """One run at the means is the run of a scenario whose parameters have no uncertainty."""
    loaded = bundled(name)
    central = evaluate_central(compile_plan(loaded))
    plan = compile_plan(loaded)
    values = dict(plan.constants)
    for sampler in plan.samplers:
        mean = sampler.central.reshape(*loaded.dims.shape(sampler.dims), 1)
        values[sampler.name] = mean
    certain = type(plan)(
        **{
            **plan.__dict__,
            "samplers": (),
            "constants": values,
            "fixed": (*plan.fixed, *plan.steps),
            "steps": (),
        }
    )
    for output, got in evaluate(certain, 1, range(2)).items():
        assert_array_equal(got, np.stack([central[output]] * 2, axis=-1), output)


def test_central_run_is_where_spreads_vanish():
    """As the spread of every parameter shrinks, all draws approach the central run."""
    data = stock_model(spread=1e-9)
    plan = compile_plan(scenario(data))
    central = evaluate_central(plan)
    for name, values in evaluate(plan, 1, range(100)).items():
        # Five standard deviations, times a sensitivity of the stock to its lifetime of 2.
        assert_allclose(values, np.stack([central[name]] * 100, axis=-1), rtol=1e-8)


def test_scenario_without_uncertainty_is_the_same_in_every_draw():
    """With constants only every draw is the central run, bit for bit."""
    plan = compile_plan(scenario(stock_model()))
    assert plan.samplers == ()
    central = evaluate_central(plan)
    for name, values in evaluate(plan, 1, range(5)).items():
        assert_array_equal(values, np.stack([central[name]] * 5, axis=-1))


def test_one_scalar_year_and_draw():
    """A scenario without dims, of one year, gives one draw of shape (1, 1)."""
    data = one_parameter(distribution="normal", value=5, cv=0.1)
    values = evaluate(compile_plan(scenario(data), ["x", "given", "closed"]), 1, range(1))
    assert {name: v.shape for name, v in values.items()} == {
        "x": (1,),
        "given": (1, 1),
        "closed": (1, 1),
    }
    assert values["x"][0] == values["given"][0, 0] == values["closed"][0, 0]


def test_one_year_stock():
    """The stock of a single year is what is left of that year's inflow."""
    data = stock_model("2000..2000", spread=0.1)
    values = evaluate(compile_plan(scenario(data), EVERY), 1, range(10))
    expected = values["inflow"][:, 0] * np.exp(-((0.5 / values["eta"]) ** 2.2))
    assert_allclose(values["in_use"][:, 0], expected, rtol=1e-12)


# --- draws out of range --------------------------------------------------------------------------


@pytest.mark.parametrize("draws", [range(1), range(2000), range(700, 1500)])
def test_draws_out_of_range_are_counted(draws):
    """Counts the draws in which any cell leaves the range, as NumPy does."""
    data = one_parameter(
        labels={"k": ["u", "v"]},
        dims=["k"],
        value={"u": 1, "v": 2},
        distribution="normal",
        cv=0.6,
        errors={"k": "independent"},
        range=[0, 3],
    )
    data["parameters"]["y"] = {"unit": "1", "value": 0.9, "distribution": "normal", "cv": 0.1}
    data["parameters"]["z"] = {"unit": "1", "value": 0.9, "distribution": "normal", "cv": 0.01}
    data["flows"]["part"] = {"from": "middle", "to": "sink", "dims": ["k"], "share": "y"}
    data["flows"]["known"] = {"from": "sea", "to": "land", "dims": ["k"], "value": "z * x"}
    plan = compile_plan(scenario(data), ["x", "y", "z", "part", "known"])
    values = evaluate(plan, 11, draws)
    audit = Audit(plan)
    evaluate(plan, 11, draws, audit=audit)
    got = audit.count("range")
    x, y = values["x"], values["y"]
    expected = {
        "x": int(((x < 0) | (x > 3)).any(axis=0).sum()),
        "y": int((y > 1).sum()),  # a share lies in [0, 1] unless it says otherwise
    }
    assert got == expected
