"""How errors hang together: correlations, copulas, and streams that never collide."""

import itertools
import math

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from strategies import bundled, draw, one_parameter, scenario

from ndmc.dims import Dims
from ndmc.errors import InputError
from ndmc.model import compile_plan
from ndmc.plan.samplers import samplers
from ndmc.scenario import dependence
from ndmc.scenario.dependence import Errors, cholesky, parse_errors, streams
from ndmc_kernels import sampling

DRAWS = 20_000
# The standard error of a correlation r is (1 - r**2) / sqrt(n), and 66 pairs are looked at.
FIVE_ERRORS = 5 / math.sqrt(DRAWS)
CHOICES = ["shared", "independent", "ar1(0.8)", "ar1(-0.5)", "mixed(0.3)", "mixed(0)", "mixed(1)"]
KEYS = {"distribution": "normal", "cv": 0.1}


def stream(name, labels):
    """Return the stream of one cell."""
    dims = Dims({dim: (label,) for dim, label in labels.items()})
    (found,) = streams(name, {dim: Errors("independent") for dim in labels}, dims)
    return found


def theory(text, size):
    """Return the correlation matrix along one dim."""
    error = parse_errors(text, "k")
    apart = np.abs(np.subtract.outer(np.arange(size), np.arange(size)))
    return {
        "shared": np.ones((size, size)),
        "independent": np.eye(size),
        "ar1": error.value**apart,
        "mixed": error.value + (1 - error.value) * np.eye(size),
    }[error.kind]


def field(along_k, along_year, **keys):
    """Return a scenario with one parameter by k and year."""
    years = [str(year) for year in range(2000, 2004)]
    return one_parameter(
        "2000..2003",
        {"k": ["u", "v", "w"]},
        dims=["k", "year"],
        value={k: dict.fromkeys(years, 10.0) for k in "uvw"},
        errors={"k": along_k, "year": along_year},
        **{**KEYS, **keys},
    )


@pytest.mark.parametrize(
    ("along_k", "along_year"),
    [*itertools.product(CHOICES[:3], CHOICES), ("mixed(0.3)", "mixed(0.6)")],
)
def test_sample_correlations_match_theory(along_k, along_year):
    """All pairs of cells correlate as the product of the two dims' structures says."""
    got = np.corrcoef(draw(field(along_k, along_year)).reshape(12, -1))
    expected = np.kron(theory(along_k, 3), theory(along_year, 4))
    assert_allclose(got, expected, rtol=0, atol=FIVE_ERRORS)


@pytest.mark.parametrize("along", CHOICES)
def test_every_cell_keeps_its_marginal(along):
    """Whatever hangs together, each cell alone is the normal it was said to be."""
    got = draw(field("independent", along)).reshape(12, -1)
    pvalues = [stats.kstest(cell, stats.norm(10, 1).cdf).pvalue for cell in got]
    assert min(pvalues) > 1e-4 / 12


def test_extremes_of_the_structures_coincide():
    """ar1(0) and mixed(0) correlate like independent errors, mixed(1) is one shared error."""
    assert_array_equal(draw(field("shared", "ar1(0)")), draw(field("shared", "independent")))
    assert_array_equal(draw(field("shared", "mixed(0)")), draw(field("shared", "independent")))
    assert_array_equal(draw(field("shared", "mixed(1)")), draw(field("shared", "shared")))


def test_structures_of_non_normal_parameters_act_on_scores():
    """Uniform parameters correlate by rank as their scores do: 6/pi asin(r/2)."""
    data = field("independent", "ar1(0.8)", distribution="uniform", low=0, high=1)
    del data["parameters"]["x"]["value"], data["parameters"]["x"]["cv"]
    got = stats.spearmanr(draw(data)[0].T).statistic
    expected = 6 / math.pi * np.arcsin(theory("ar1(0.8)", 4) / 2)
    assert_allclose(got, expected, rtol=0, atol=FIVE_ERRORS)


# --- copulas -----------------------------------------------------------------------------------

MATRIX = [[1.0, 0.6, -0.3], [0.6, 1.0, 0.2], [-0.3, 0.2, 1.0]]
MARGINALS = {
    "x": ({"distribution": "lognormal", "value": 5, "cv": 0.5}, None),
    "y": ({"distribution": "triangular", "low": 1, "mode": 2, "high": 6}, stats.triang(0.2, 1, 5)),
    "z": ({"distribution": "normal", "value": 3, "sd": 1}, stats.norm(3, 1)),
}


def group(matrix=MATRIX):
    """Return a scenario with three parameters, correlated if there is a matrix."""
    data = one_parameter(**MARGINALS["x"][0])
    for name in ("y", "z"):
        data["parameters"][name] = {"unit": "t/yr", **MARGINALS[name][0]}
    if matrix:
        data["correlations"] = [{"parameters": ["x", "y", "z"], "matrix": matrix}]
    return data


def test_copula_has_the_correlations_it_is_given():
    """Ranks of correlated parameters correlate as a Gaussian copula's: 6/pi asin(r/2)."""
    got = stats.spearmanr(np.stack([draw(group(), name) for name in "xyz"]).T).statistic
    assert_allclose(got, 6 / math.pi * np.arcsin(np.array(MATRIX) / 2), rtol=0, atol=FIVE_ERRORS)


def test_copula_keeps_the_marginals():
    """Each member of a correlated group is distributed as it is alone."""
    for name, (_, expected) in MARGINALS.items():
        alone = draw(group(None), name, seed=99)
        test = (
            stats.ks_2samp(draw(group(), name), alone)
            if expected is None
            else stats.kstest(draw(group(), name), expected.cdf)
        )
        assert test.pvalue > 1e-4


def test_first_of_a_group_is_untouched():
    """The first of a correlated group has, bit for bit, the draws it has alone; later ones mix."""
    assert_array_equal(draw(group(), "x"), draw(group(None), "x"))
    assert (draw(group(), "y") != draw(group(None), "y")).any()


def test_copula_without_correlation_changes_nothing():
    """The identity matrix leaves every parameter's draws, to the rounding of their scores."""
    identity = np.eye(3).tolist()
    for name in "xyz":
        # Through the score and back a uniform keeps 1e-15, far from the ends.
        assert_allclose(draw(group(identity), name), draw(group(None), name), rtol=1e-12)


def test_perfect_correlation_is_one_error():
    """A correlation of 1 makes two normals the same number of standard deviations off."""
    data = one_parameter(distribution="normal", value=5, sd=1)
    data["parameters"]["y"] = {"unit": "t/yr", "distribution": "normal", "value": 9, "sd": 2}
    data["correlations"] = [{"parameters": ["x", "y"], "matrix": [[1, 1], [1, 1]]}]
    assert_allclose((draw(data, "y") - 9) / 2, draw(data, "x") - 5, rtol=0, atol=1e-14)


def test_group_may_grow():
    """Adding a parameter at the end of a group leaves the others' draws."""
    two = group([row[:2] for row in MATRIX[:2]])
    two["correlations"][0]["parameters"] = ["x", "y"]
    for name in "xy":
        assert_array_equal(draw(two, name), draw(group(), name))


def test_cholesky_factors_any_valid_matrix():
    """The factor times its transpose is the matrix, of random and of singular ones."""
    rng = np.random.default_rng(1)
    for size in range(1, 7):
        root = rng.normal(size=(size, max(size - 1, 1)))
        matrix = root @ root.T
        scale = np.sqrt(np.diag(matrix))
        matrix = matrix / np.outer(scale, scale)
        matrix = (matrix + matrix.T) / 2
        np.fill_diagonal(matrix, 1.0)
        factor = cholesky(np.clip(matrix, -1, 1).tolist())
        # A pivot below 1e-8 is taken for zero: singular matrices are met to that.
        assert_allclose(factor @ factor.T, matrix, rtol=0, atol=2e-8)


# --- the linear check of methods 4.5 ------------------------------------------------------------


@pytest.mark.parametrize("along", ["shared", "independent", "ar1(0.9)", "mixed(0.5)"])
def test_spread_of_a_stock_is_the_linear_one(along):
    """A stock with certain lifetimes has the cv of its weighted inflows: sqrt(w'Rw) / sum w."""
    years, cv, eta, beta = 15, 0.05, 9.0, 2.0
    inflow = 100 * 1.08 ** np.arange(years)
    data = one_parameter(
        "2000..2014",
        dims=["year"],
        distribution="normal",
        cv=cv,
        value={str(2000 + n): float(v) for n, v in enumerate(inflow)},
        errors={"year": along},
    )
    lifetime = {"process": "middle", "lifetime": f"weibull({eta}, {beta})", "inflow_at": "middle"}
    data["stocks"] = {"held": lifetime}
    weights = inflow * np.exp(-(((years - 1 - np.arange(years) + 0.5) / eta) ** beta))
    expected = cv * math.sqrt(weights @ theory(along, years) @ weights) / weights.sum()
    held = draw(data, "held")[-1]
    # The sample sd of a normal has a relative standard error of 1 / sqrt(2 n).
    assert_allclose(held.std() / held.mean(), expected, rtol=5 / math.sqrt(2 * DRAWS))


# --- streams ------------------------------------------------------------------------------------


def test_streams_of_china_nd_never_collide():
    """No two independent errors of the largest bundled scenario have the same stream."""
    loaded = bundled("china_nd")
    found = samplers(loaded, frozenset(loaded.parameters), {})
    every = np.concatenate([sampler.streams for sampler in found])
    assert len(np.unique(every)) == len(every) > 500


def test_colliding_streams_are_refused(monkeypatch):
    """Two cells that hash alike would be drawn alike: refused, and both parameters named."""
    monkeypatch.setattr(dependence, "_digest", lambda text: bytes(8))
    with pytest.raises(InputError, match="the same random stream"):
        compile_plan(scenario(group(None)))


def test_streams_are_pinned():
    """A cell's stream is the same in every release, so that a seed keeps its meaning."""
    assert stream("content", {"product": "mobile_phone"}) == 13322631862702262432
    assert stream("production", {"year": "2001", "product": "mobile_phone"}) == 7245932616254859019
    assert stream("größe", {}) == 13658848009305076382


@given(
    name=st.text(min_size=1, max_size=9),
    labels=st.dictionaries(
        st.text(max_size=5), st.lists(st.text(), min_size=1, max_size=3, unique=True), max_size=3
    ),
    kinds=st.data(),
)
def test_streams_are_those_of_their_labels(name, labels, kinds):
    """Each cell's stream is that of its name and labels, whichever errors it shares."""
    dims = Dims({dim: tuple(of) for dim, of in labels.items()})
    drawn = {dim: kinds.draw(st.sampled_from(["shared", "independent", "mixed"])) for dim in labels}
    errors = {dim: Errors(kind) for dim, kind in drawn.items()}
    along = [
        [(dim, label) for label in [None] * errors[dim].common + [*of] * errors[dim].own]
        for dim, of in labels.items()
    ]
    cells = [{d: n for d, n in cell if n is not None} for cell in itertools.product(*along)]
    assert streams(name, errors, dims).tolist() == [reference.stream(name, cell) for cell in cells]


def test_draws_are_pinned():
    """The first draws of a stream are the same in every release, to the last bit."""
    out = np.empty((1, 64))
    named = np.array([stream("content", {"product": "mobile_phone"})])
    sampling.uniforms(np.uint64(1), named, 0, out)
    expected = ["0x1.95931e68f3715p-1", "0x1.c2518d1300f60p-6", "0x1.5ed1f6813f30cp-3"]
    assert [value.hex() for value in out[0, :3]] == expected


def test_order_of_dims_does_not_name_a_stream():
    """Labels name a stream by their dim, in whichever order they are written."""
    one = stream("x", {"a": "1", "b": "2"})
    assert one == stream("x", {"b": "2", "a": "1"})
    assert one != stream("x", {"a": "2", "b": "1"})
    assert stream("x", {"a": "1 b"}) != stream("x", {"a": "1", "b": ""})
