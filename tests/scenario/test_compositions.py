"""Shares that sum to 1 in every draw: drawn through whole scenarios, held to closed forms."""

import math

import numpy as np
import pytest
import reference
from command import here
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from strategies import scenario, write

import ndmc
from ndmc.engine.audit import LIMIT, Audit
from ndmc.engine.evaluation import evaluate, evaluate_central
from ndmc.errors import InputError
from ndmc.model import compile_plan

EPS = 2.0**-52
DRAWS = 20_000
MEANS = {"a": 0.5, "b": 0.35, "c": 0.15, "d": 0}


def shares(value=MEANS, *, labels=tuple(MEANS), years="2000..2000", dims=("k",), **key):
    """Return a scenario in which shares ``x`` along k split an inflow."""
    own = {"unit": "1", "dims": [*dims], "value": value, **key}
    ends = {"from": "p", "to": "end", "dims": ["k"]}
    return {
        "format": 1,
        "name": "shares",
        "unit": "t",
        "years": years,
        "dims": {"k": [*labels], "m": ["u", "v"]},
        "parameters": {
            "x": {name: one for name, one in own.items() if one is not None},
            "into": {"unit": "t/yr", "value": 7, "distribution": "lognormal", "cv": 0.1},
        },
        "processes": ["p"],
        "flows": {
            "given": {"from": "out", "to": "p", "value": "into"},
            "split": ends | {"share": "mean(x, over=m)" if "m" in dims else "x"},
        },
    }


def dirichlet(value=MEANS, concentration=12, **key):
    """Return the same, with a Dirichlet distribution."""
    own = {"distribution": "dirichlet", "along": "k", "concentration": concentration}
    labels = value if {*value} <= {*"abcdz"} else next(iter(value.values()))
    return shares(value, labels=labels, **{**own, **key})


def drawn(data, draws=range(DRAWS), seed=7):
    """Return draws of the shares, [dims..., draw]."""
    return evaluate(compile_plan(scenario(data), ["x"]), seed, draws)["x"]


# --- a Dirichlet distribution --------------------------------------------------------------------


@pytest.mark.parametrize("concentration", [0.5, 12, 4000])
def test_moments_are_those_of_a_dirichlet_distribution(concentration):
    """Means, variances and covariances lie within 4.5 standard errors of the closed forms.

    The error of a covariance is that of the mean of products, whose spread the draws have.
    """
    got, means = drawn(dirichlet(concentration=concentration)), np.array([*MEANS.values()])
    assert_array_equal(got[3], 0.0)
    assert np.abs(got.sum(axis=0) - 1).max() <= 4 * EPS
    off = got - means[:, np.newaxis]
    errors = off.std(axis=1) / math.sqrt(DRAWS)
    assert (np.abs(off.mean(axis=1)) <= 4.5 * errors).all()
    products = off[:, np.newaxis] * off
    covariance = (np.diag(means) - np.outer(means, means)) / (concentration + 1)
    errors = products.std(axis=2) / math.sqrt(DRAWS)
    assert (np.abs(products.mean(axis=2) - covariance) <= 4.5 * errors).all()
    assert (
        stats.kstest(got[1], stats.beta(0.35 * concentration, 0.65 * concentration).cdf)[1] > 1e-4
    )


@pytest.mark.parametrize("errors", ["shared", "independent", "ar1(0.7)", "mixed(0.4)"])
def test_every_year_is_a_composition(errors):
    """Whatever ties years together, each of them has the distribution that is asked for."""
    years = {"2000": MEANS, "2001": {"a": 0.1, "b": 0.1, "c": 0.8, "d": 0}}
    data = dirichlet(
        years, years="2000..2001", dims=("year", "k"), errors={"year": errors}, concentration=8
    )
    got = drawn(data)
    assert np.abs(got.sum(axis=0) - 1).max() <= 4 * EPS
    for year, of in enumerate(years.values()):
        for label, mean in enumerate([*of.values()][:3]):
            expected = stats.beta(8 * mean, 8 * (1 - mean))
            assert stats.kstest(got[label, year, ::4], expected.cdf).pvalue > 1e-4
    tied = np.corrcoef(got[0])[0, 1]
    assert tied > 0.2 if errors != "independent" else abs(tied) < 0.03


def test_draws_are_those_of_the_twin():
    """Gamma quantiles of the labels' own uniforms by SciPy, divided by their sum."""
    streams = [reference.stream("x", {"k": label}) for label in MEANS]
    uniforms = reference.uniforms(7, streams, 0, 50)
    gammas = stats.gamma.ppf(uniforms, 12 * np.array([[*MEANS.values()]]).T)
    gammas[3] = 0
    assert_allclose(drawn(dirichlet(), range(50)), gammas / gammas.sum(axis=0), rtol=1e-12)


def test_a_label_more_leaves_the_others_draws():
    """What is drawn of the others keeps its proportions, whatever stands beside it."""
    few = drawn(dirichlet({"b": 0.4, "a": 0.6}, 10), range(200))
    many = drawn(dirichlet({"a": 0.3, "z": 0.5, "b": 0.2}, 20), range(200))
    assert_allclose(few[1] / few[0], many[0] / many[2], rtol=1e-13)


def test_the_sum_is_over_all_groups_of_a_grouping():
    """Not within each group, though every label is in just one."""
    plain, grouped = dirichlet(), dirichlet()
    kind = {"first": ["a", "b"], "last": ["c", "d"]}
    grouped["dims"]["k"] = {"labels": [*MEANS], "groupings": {"kind": kind}}
    assert_array_equal(drawn(grouped, range(50)), drawn(plain, range(50)))


def test_draws_depend_on_their_number_alone():
    """Any cut of the draws is the uncut answer."""
    data = dirichlet()
    whole = drawn(data, range(700))
    parts = [drawn(data, some) for some in (range(3), range(3, 300), range(300, 700))]
    assert_array_equal(whole, np.concatenate(parts, axis=1))


def test_cv_is_that_of_the_largest_share():
    """All shares of a sum have the concentration that follows from it."""
    value = {"u": {"a": 0.6, "b": 0.4}, "v": {"a": 20, "b": 60}}
    data = dirichlet(value, None, cv="10 %", dims=("m", "k"), errors={"m": "shared"}, normalise="k")
    loaded = scenario(data)
    shares, concentrations = loaded.parameters["x"].marginals.numbers.T
    assert_allclose(shares, [0.6, 0.25, 0.4, 0.75], rtol=1e-15)
    first, second = 0.4 / (0.6 * 0.01) - 1, 0.25 / (0.75 * 0.01) - 1
    assert_allclose(concentrations, [first, second, first, second], rtol=1e-14)
    got = drawn(data)
    assert_allclose(got.std(axis=-1)[[0, 1], [0, 1]], [0.06, 0.075], rtol=0.02)


def test_a_composition_splits_what_enters():
    """A process that it splits balances in every draw, and at the means."""
    plan = compile_plan(scenario(dirichlet()))
    audit = Audit(plan)
    values = evaluate(plan, 1, range(500), audit=audit)
    assert_allclose(values["split"].sum(axis=0), values["given"], rtol=4 * EPS)
    evaluate_central(plan, audit)
    assert audit.worst <= LIMIT


DIVIDED = {"distribution": "lognormal", "cv": 0.3, "normalise": "use", "along": None}
DIVIDED |= {"concentration": None, "errors": {"metal": "independent", "use": "mixed(0.4)"}}


def by_use(uses, **key):
    """Return a scenario in which uses, which belong to metals or not, share the metals."""
    values = {"lithium": {"vehicle": 0.7, "laptop": 0.3}, "indium": {"tv": 0.6, "laptop": 0.4}}
    if "of" not in uses:
        values = {m: {use: some.get(use, 0) for use in uses} for m, some in values.items()}
    own = {"distribution": "dirichlet", "along": "use", "concentration": 20}
    data = shares(values, dims=("metal", "use"), **own | {"errors": {"metal": "independent"}} | key)
    data["dims"] = {"metal": [*values], "use": uses}
    data["parameters"]["into"] |= {"dims": ["metal"], "errors": {"metal": "shared"}}
    data["flows"]["given"]["dims"] = ["metal"]
    data["flows"]["split"] |= {"dims": ["metal", "use"], "share": "x"}
    return data


@pytest.mark.parametrize("key", [{}, DIVIDED])
def test_labels_that_belong_to_others_sum_to_one_within_each(key):
    """What exists is drawn as if all did, and splits what enters by what it belongs to."""
    exist = {
        "of": "metal",
        "labels": {"lithium": ["vehicle", "laptop"], "indium": ["tv", "laptop"]},
    }
    some = drawn(by_use(exist, **key), range(100))
    every = drawn(by_use(["vehicle", "tv", "laptop"], **key), range(100))
    assert_allclose(some, every[[0, 0, 1, 1], [0, 2, 1, 2]], rtol=1e-15)
    plan = compile_plan(scenario(by_use(exist, **key)))
    audit = Audit(plan)
    evaluate(plan, 1, range(100), audit=audit)
    assert audit.worst <= LIMIT


@pytest.mark.parametrize("key", [{}, DIVIDED | {"normalise": "k", "errors": {"k": "independent"}}])
def test_groups_of_the_labels_change_nothing(key):
    """Shares sum to 1 over all labels, whatever groups of these there are."""
    plain = dirichlet(**key)
    grouped = dirichlet(**key)
    kinds = {"kind": {"one": ["a", "c"], "other": ["b", "d"]}}
    grouped["dims"]["k"] = {"labels": [*MEANS], "groupings": kinds}
    assert_array_equal(drawn(grouped, range(100)), drawn(plain, range(100)))


# --- any distribution, divided by the sum --------------------------------------------------------


def test_given_shares_are_divided_by_their_sum():
    """Draws are those without the key, divided; constants beside them are divided, too."""
    value = {"u": {"a": 30, "b": 50, "c": 10}, "v": {"a": 0, "b": 2, "c": 2}}
    key = {
        "distribution": "lognormal",
        "cv": 0.3,
        "errors": {"k": "mixed(0.3)", "m": "independent"},
        "dims": ("m", "k"),
    }
    data = shares(value, labels="abc", normalise="k", unit="%", **key)
    plain = shares(value, labels="abc", unit="%", **key)
    plain["flows"]["split"] = {"from": "p", "to": "end"}
    raw, got = drawn(plain, range(300)), drawn(data, range(300))
    assert_allclose(got, 100 * raw / raw.sum(axis=0), rtol=1e-14)
    central = scenario(data).parameters["x"].marginals.central.reshape(3, 2)
    assert_allclose(central, [[3 / 9, 0], [5 / 9, 0.5], [1 / 9, 0.5]], rtol=1e-15)


@pytest.mark.parametrize(
    ("rows", "certain", "central"),
    [
        ("a,1,1 b,2,4 c,0,0", [False, False, True], [1 / 4, 3 / 4, 0]),
        ("a,0,0 b,2,4 c,0,0", [True, True, True], [0, 1, 0]),
        ("a,1,1 b,3,3 c,0,0", [True, True, True], [1 / 4, 3 / 4, 0]),
    ],
)
def test_what_is_certain_of_a_composition(rows, certain, central, tmp_path):
    """A constant varies with its sum; a label without others, or constants alone, do not."""
    key = {"normalise": "k", "distribution": "uniform", "errors": {"k": "independent"}}
    data = shares(None, labels="abc", table="x.csv", **key)
    folder = write(data, tmp_path / "study")
    (folder / "x.csv").write_text("\n".join(["k,low,high", *rows.split()]), encoding="utf-8")
    loaded = ndmc.load(folder)
    marginals = loaded.parameters["x"].marginals
    assert marginals.certain.tolist() == certain
    assert_allclose(marginals.central, central, rtol=1e-15)
    got = evaluate(compile_plan(loaded, ["x"]), 7, range(50))["x"]
    assert_allclose(got[2], 0)
    assert np.abs(got.sum(axis=0) - 1).max() <= 2 * EPS
    low = np.array([float(row.split(",")[1]) for row in rows.split()])
    if not all(certain):
        uniform = reference.uniforms(7, [reference.stream("x", {"k": "b"})], 0, 50)
        assert_allclose(got[0], 1 / (1 + 2 + 2 * uniform[0]), rtol=1e-15)
        assert marginals.highest.tolist() == [1, 1, 0]
    else:
        assert_allclose(got[:, 0], central if low.sum() != 2 else [0, 1, 0], rtol=1e-15)


# --- what is refused, and what is shown ----------------------------------------------------------

BY_LABEL = {"distribution": "normal", "along": None, "concentration": None, "cv": 0.1}

WRONG = [
    ({"along": "j"}, "along: 'j' is not a dim of this parameter; choose one of 'k'"),
    ({"along": None}, "a dirichlet distribution needs 'along'"),
    ({"normalise": "year"}, "shares along 'k' cannot be normalised along 'year', too"),
    ({"distribution": "beta", "cv": 0.1, "concentration": None}, "along means nothing but to"),
    ({"distribution": "beta", "cv": 0.1, "along": None}, "concentration means nothing to beta"),
    ({"concentration": None}, "a dirichlet distribution needs concentration or cv"),
    ({"concentration": 0.05}, "concentration is 0.05 but must be at least 0.1"),
    ({"cv": 0.2}, "give either cv or concentration, not both"),
    ({"concentration": None, "cv": 1.5}, r"that of a largest share of 0.5 can be 0.953 at most"),
    ({"errors": {"k": "independent"}}, "errors along 'k' mean nothing: shares that sum to 1"),
    ({"value": {"a": 0.5, "b": 0.4}}, "'x' along 'k' sum to 0.9, not to 1; write normalise: k"),
    ({"value": {"a": 50, "b": 40}, "unit": "%"}, "sum to 90 %, not to 100"),
    ({"value": {"a": 0.5, "b": 0.5}, "unit": "%"}, "sum to 1 %, not to 100; write unit: '1'"),
    ({"value": {"a": 1.2, "b": -0.2}}, r"'x' \[b\]: the mean of a share is -0.2, which is neg"),
    ({"value": {"a": 0, "b": 0}, "normalise": "k"}, "all values of 'x' along 'k' are 0"),
    ({"value": {"a": 1}}, "a composition of one: 'k' has a single label"),
    ({"quality": "laner"}, "give either quality or concentration, not both"),
    ({"value": {"a": {"value": 0.5, "cv": 0.1}, "b": 0.5}}, "shares of a dirichlet distribution h"),
    (
        {**BY_LABEL, "value": {"a": {"value": 1, "cv": 0.1, "distribution": "dirichlet"}, "b": 1}},
        "shares of a dirichlet distribution have one width; give each label its mean",
    ),
    ({"unit": "t"}, r"shares are plain numbers, but the unit is 't' \[mass\]; write unit"),
]


@pytest.mark.parametrize(("key", "message"), WRONG)
def test_compositions_that_make_no_sense(key, message):
    """What is wrong is told with file and line."""
    data = dirichlet(**{"value": MEANS, **key})
    with pytest.raises(InputError, match=message) as caught:
        scenario(data)
    assert caught.value.where.rpartition(":")[2].isdigit()


def test_a_concentration_comes_before_the_cv_of_a_grade():
    """As what a parameter says comes before what its grade does; errors along the dim need none."""
    data = dirichlet(grade="wide")
    data["grades"] = {"wide": {"distribution": "beta", "cv": 0.3, "errors": {"k": "shared"}}}
    assert scenario(data).parameters["x"].marginals.numbers[0].tolist()[:2] == [0.5, 12]
    del data["parameters"]["x"]["concentration"]
    found = scenario(data).parameters["x"].marginals.numbers[0, 1]
    assert_allclose(found, 0.5 / (0.5 * 0.09) - 1)


def test_widths_that_differ_within_a_sum(tmp_path):
    """All shares of a sum have one concentration, so a table can give them one cv only."""
    key = {"distribution": "dirichlet", "along": "k", "table": "x.csv"}
    folder = write(shares(None, labels="abc", **key), tmp_path / "study")
    rows = "k,value,cv\na,0.5,0.1\nb,0.3,0.2\nc,0.2,0.1\n"
    (folder / "x.csv").write_text(rows, encoding="utf-8")
    with pytest.raises(InputError, match=r"cv is 0.1 here and 0.2 there") as caught:
        ndmc.load(folder)
    assert caught.value.where.endswith("x.csv:2")


def test_shares_that_correlate_by_themselves():
    """Neither a correlation nor measurements can be laid over a composition."""
    data = dirichlet({"a": 0.5, "b": 0.3, "c": 0.2})
    other = {"unit": "1", "dims": ["k"], "value": 1, "distribution": "normal", "cv": 0.1}
    data["parameters"]["y"] = {**other, "errors": {"k": "independent"}}
    data["correlations"] = [{"parameters": ["x", "y"], "matrix": [[1, 0.5], [0.5, 1]]}]
    with pytest.raises(InputError, match="'x' is drawn as shares that sum to 1, whose correlation"):
        scenario(data)
    del data["correlations"]
    measured = {"unit": "t/yr", "value": 7, "distribution": "normal", "cv": 0.1}
    data["parameters"]["measured"] = measured
    data["reconcile"] = {"measured": {"given": "measured"}}
    with pytest.raises(InputError, match="cells of 'x' sum to 1 in every draw, which reconciled"):
        ndmc.reconcile(scenario(data))


def test_a_check_shows_what_sums_to_one(tmp_path):
    """Along which dim, how it is drawn, and the cv of the largest and the smallest."""
    folder = write(dirichlet(), tmp_path / "study")
    done = here("check", str(folder))
    assert done.code == 0, done.err
    row = next(line for line in done.out.splitlines() if line.startswith(" x "))
    widest, least = (100 * math.sqrt((1 - m) / (m * 13)) for m in (0.15, 0.5))
    assert row.split()[4:] == ["1", "12", f"{least:.3g}..{widest:.3g}", "%"]
