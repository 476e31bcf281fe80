"""First shares of all single inputs: closed forms, exact zeros, stores and what is refused."""

import math

import numpy as np
import pytest
from measured import market
from numpy.testing import assert_allclose, assert_array_equal
from one_indicator import asked, drawn

import ndmc
from ndmc.errors import InputError, RunError
from ndmc.scenario.load import load
from ndmc.studies.linear_shares import linear_shares


def held_to(found, truth, name="y"):
    """Demand shares within one and a half times their limits, which are not wide."""
    first = found[f"{name}_first_linear"]
    low, high = (found[f"{name}_first_linear_{end}"] for end in ("low", "high"))
    for one, share in truth.items():
        width = float(high.sel(input=one) - low.sel(input=one)) / 2
        assert abs(float(first.sel(input=one)) - share) < 1.5 * width + 1e-9, one
        assert width < 0.03


# --- closed forms --------------------------------------------------------------------------------


def test_a_sum_is_shared_out_exactly():
    """Of normals and of uniforms; so far below one share as two are apart."""
    own = {"u": drawn("uniform", low=-3.0, high=3.0)}
    own |= {f"x{n}": drawn("normal", value=1.0, sd=10.0**-n) for n in range(4)}
    found = linear_shares(asked("+".join(own), own), 512)
    variances = {"u": 3.0, **{f"x{n}": 100.0**-n for n in range(4)}}
    whole = sum(variances.values())
    wanted = [variances[name] / whole for name in found.input.values]
    assert_allclose(found.y_first_linear, wanted, rtol=1e-9)
    assert_allclose(found.y_linear_share, 1, rtol=1e-12)
    assert_array_equal(found.y_method, 0)


def test_of_a_product_the_linear_part_is_shared_out():
    """Of factors exp(s z) the slope is s of the mean; the variance is known.

    A mean of a billion deviations takes nothing away.
    """
    cvs = {f"x{n}": cv for n, cv in enumerate((0.1, 0.3, 0.2))}
    own = {name: drawn("lognormal", value=2.0, cv=cv) for name, cv in cvs.items()}
    whole = math.prod(1 + cv**2 for cv in cvs.values()) - 1
    truth = {name: math.log(1 + cv**2) / whole for name, cv in cvs.items()}
    rule = "*".join(cvs)
    near, far = (linear_shares(asked(one, own), 4096) for one in (rule, f"{rule} + 1e9"))
    held_to(near, truth)
    assert_allclose(near.y_linear_share, sum(truth.values()), atol=0.01)
    assert_allclose(far.y_first_linear, near.y_first_linear, atol=1e-6)


def test_what_is_not_linear_is_shared_out_by_bins():
    """Of G, even in all its inputs, no part is linear; each factor has variance 1/(3 (1 + a)^2)."""
    weights = {f"x{n}": a for n, a in enumerate([0.0, 0.5, 3.0])}
    own = {name: drawn("uniform", low=0.0, high=1.0) for name in weights}
    rule = "*".join(f"((abs(4 * {n} - 2) + {a}) / {1 + a})" for n, a in weights.items())
    relative = {name: 1 / (3 * (1 + a) ** 2) for name, a in weights.items()}
    whole = math.prod(1 + w for w in relative.values()) - 1
    found = linear_shares(asked(rule, own), 2**14)
    assert_array_equal(found.y_method, 1)
    assert float(found.y_linear_share) < 0.01
    held_to(found, {name: w / whole for name, w in relative.items()})


def test_bins_are_of_scores_too():
    """The square of a normal has variance 2, more than half of it beyond two deviations."""
    own = {name: drawn("normal", value=0.0, sd=1.0) for name in ("x", "z")}
    found = linear_shares(asked("x**2 + 0.5 * z", own), 2**14)
    assert_array_equal(found.y_method, 1)
    held_to(found, {"x": 8 / 9, "z": 1 / 9})


# --- what reaches what ---------------------------------------------------------------------------


def by_label(**key):
    """Return a scenario whose cells have an input each, and one that is shared."""
    values = {"a": 4.0, "b": 8.0, "c": 2.0}
    x = drawn("normal", dims=["k"], value=values, cv=0.25, errors={"k": "independent"})
    z = drawn("uniform", low=1.0, high=2.0)
    return asked("x * z", {"x": x, "z": z, **key}, dims={"k": [*values]})


def test_what_does_not_reach_a_cell_has_no_share_at_all():
    """Zero, and so are its limits; inputs have the names of their labels."""
    found = linear_shares(by_label(), 1024)
    assert [*found.input.values] == ["x[k=a]", "x[k=b]", "x[k=c]", "z"]
    assert [*found.input_parameter.values] == ["x", "x", "x", "z"]
    first = found.y_first_linear
    assert first.dims == ("input", "k")
    own = np.eye(3, dtype=bool)
    for end in ("", "_low", "_high"):
        assert_array_equal(found[f"y_first_linear{end}"].values[:3][~own], 0.0)
    assert (first.values[:3][own] > 0.3).all()
    by_parameter = found.y_first_linear_by_parameter
    assert_allclose(by_parameter.sel(parameter="x"), first.values[:3][own])
    assert_allclose(by_parameter.sum("parameter"), found.y_linear_share, atol=0.01)


def test_of_a_mass_the_total_is_shared_out_too():
    """As percentiles have it; parameters have the grade of their cells."""
    found = linear_shares("starter", 512, outputs=["in_use"])
    assert found.in_use_first_linear.dims == ("input", "product", "year")
    assert found.in_use_total_first_linear.dims == ("input", "year")
    assert {*found.parameter_grade.values} <= {*found.input_grade.values, ""}
    late = found.in_use_total_first_linear_by_parameter.isel(year=-1)
    assert_allclose(late.sum(), found.in_use_total_linear_share.isel(year=-1), atol=0.01)


def test_of_what_does_not_vary_nobody_has_a_share():
    """Nor of an event that never comes in some draws; what never reaches it has none at all."""
    own = {name: drawn("normal", value=1.0, sd=1.0) for name in ("x", "z")}
    series = {"y": "first_year(x * (year - 2000) > 1)", "k": "x * 0"}
    indicators = {**series, "other": "z * 1"}
    found = linear_shares(asked("x", own, years="2000..2003", indicators=indicators), 512)
    for name in ("y", "k"):
        assert found[f"{name}_method"] == 2
        assert np.isnan(found[f"{name}_first_linear"].sel(input="x"))
        assert found[f"{name}_first_linear"].sel(input="z") == 0
    assert_allclose(found.other_first_linear, [0, 1], atol=1e-12)


def test_correlated_inputs_are_what_they_have_beyond_each_other():
    """Of x + z + w with correlation -0.4: x explains (1 - 0.8)^2, z beyond it 4 (1 - 0.16)."""
    own = {n: drawn("normal", value=5.0, sd=sd) for n, sd in {"x": 1.0, "z": 2.0, "w": 3.0}.items()}
    matrix = [[1, -0.4], [-0.4, 1]]
    data = asked("x + z + w", own, correlations=[{"parameters": ["x", "z"], "matrix": matrix}])
    found = linear_shares(data, 512)
    whole = 1 + 4 - 1.6 + 9
    first = found.y_first_linear.sel(input=["x", "z beyond x", "w"])
    assert_allclose(first, np.array([0.04, 4 * 0.84, 9]) / whole, rtol=1e-9)
    assert_allclose(found.y_first_linear_by_parameter.sel(parameter="x + z"), 3.4 / whole)


# --- stores --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Return the store of a run of a variant, of whose outputs two have percentiles."""
    out = tmp_path_factory.mktemp("linear") / "run.zarr"
    source = load("starter", changes={"collection_rate": "50"})
    ndmc.run(source, 600, seed=3, out=out, keep=["in_use"], percentiles=["in_use", "recycled"])
    return out


def test_a_store_is_explained_as_its_scenario_is(store):
    """From its seed, by as many of its draws as there are: the same bits."""
    found = linear_shares(store)
    scenario = load("starter", changes={"collection_rate": "50"})
    again = linear_shares(scenario, 600, seed=3, outputs=["in_use", "recycled"])
    assert found.identical(again.assign_attrs(found.attrs))
    assert found.attrs["note"] == "the store has 600 draws of 16,384 asked for"
    assert (found.attrs["draws"], found.attrs["seed"]) == (600, 3)
    assert {name for name in found if "scrap" in f"{name}"} == set()
    assert linear_shares(store, 512, outputs="recycled").attrs["note"] == ""


def test_reconciled_draws_are_explained_by_prior_inputs(tmp_path):
    """Also by those that come in by the balance alone, each with its weight in what is moved."""
    found = linear_shares(market(tmp_path), 256, outputs=["imports"])
    sd = np.array([5, 4, 3, 1.5])
    gain = sd[0] ** 2 / (sd**2).sum()
    squares = (np.array([1 - gain, gain, gain, gain]) * sd) ** 2
    names = ["imports", "exports", "use", "waste"]
    first = found.imports_first_linear.sel(element="Nd", year=2020)
    shares = [float(first.sel(input=f"{name}_reported[element=Nd]")) for name in names]
    assert_allclose(shares, squares / squares.sum(), rtol=1e-7)
    assert "prior" in found.attrs["reconciled"]


# --- what is refused -----------------------------------------------------------------------------


def test_too_few_draws_are_refused():
    """With the number that is needed."""
    with pytest.raises(
        InputError, match="-n: 100 draws asked for; to tell 2 inputs apart takes 132"
    ):
        linear_shares(by_label(), 100)


def test_an_unknown_output_is_refused(store):
    """With what it may be."""
    with pytest.raises(InputError, match="-v: nothing is named 'in_us'; did you mean 'in_us"):
        linear_shares(store, outputs=["in_us"])
    with pytest.raises(InputError, match="nothing is named 'content'"):
        linear_shares("starter", outputs=["content"])


def test_what_is_certain_is_refused():
    """There is nothing to share out."""
    with pytest.raises(InputError, match="nothing that is asked depends on an uncertain parameter"):
        linear_shares(asked("one * 2", {}))


def test_of_what_no_uncertain_cell_reaches_nothing_is_shared_out():
    """Though the parameter has others."""
    values = {"a": 0.0, "b": 2.0}  # a share of nothing is no uncertainty
    x = drawn("normal", dims=["k"], value=values, cv=0.2, errors={"k": "independent"})
    with pytest.raises(InputError, match="no uncertain input reaches what is asked"):
        linear_shares(asked("at(x, k=a)", {"x": x}, dims={"k": ["a", "b"]}))


@pytest.mark.parametrize("dim", ["input", "parameter"])
def test_a_dim_of_shares_is_no_dim_of_a_scenario(dim):
    """It is named with its line."""
    x = drawn("normal", dims=[dim], value=1.0, sd=1.0, errors={dim: "independent"})
    source = asked("x * 2", {"x": x}, dims={dim: ["a", "b"]})
    with pytest.raises(InputError, match=rf"yaml:\d+: shares have a dim '{dim}' of their own"):
        linear_shares(source)


def test_a_store_has_its_own_changes(store):
    """Others are refused."""
    with pytest.raises(InputError, match="a store is explained as it was run"):
        linear_shares(store, changes={"collection_rate": "70"})


def test_a_damaged_store_is_refused(store, tmp_path):
    """As everywhere."""
    root = tmp_path / "run.zarr" / "zarr.json"
    root.parent.mkdir()
    text = (store / "zarr.json").read_text(encoding="utf-8")
    root.write_text(text.replace('"seed":3', '"seed":4').replace('"seed": 3', '"seed": 4'))
    with pytest.raises(RunError, match="are damaged"):
        linear_shares(root.parent)
