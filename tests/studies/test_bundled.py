"""The bundled scenarios: every one, and every variant, loads, balances, runs and validates."""

import csv
import re

import numpy as np
import pytest
import reference
from strategies import bundled, bundled_draws, compiled, imbalance

import ndmc
from ndmc.engine.audit import LIMIT, Audit
from ndmc.studies.validation import compare_source
from ndmc_kernels import survival

CASES = [(name, v) for name in ndmc.bundled() for v in ("", *bundled(name).file.variants)]
each_case = pytest.mark.parametrize(("name", "variant"), CASES)
#: Of each scenario, and of the first of its variants.
FIRST = [(n, v) for n in ndmc.bundled() for v in ["", *bundled(n).file.variants][:2]]
VERDICTS = {"met", "missed", "reported", "input", "not modelled", "not reproducible"}
#: Draws of each of all variants of all scenarios: these take seconds, and stay in memory.
FEW = 60
FOLDERS = sorted({bundled(name).folder for name, _ in CASES})


def test_there_are_scenarios():
    """The example and the starter are bundled."""
    assert {"china_nd", "starter"} <= set(ndmc.bundled())


@each_case
def test_scenario_runs(name, variant):
    """Draws of everything are finite but for events, and stocks are not negative."""
    loaded, values = bundled(name, variant), bundled_draws(name, variant, FEW)
    events = compiled(name, variant).events
    for output, draws in values.items():
        assert np.isfinite(draws).all() or (output in events and (draws > 0).all()), output
    for stock in loaded.file.stocks:
        # Eq. 7 may take more than all: its densities sum to more than 1 where shapes are below 1.
        assert values[stock].min() >= 0 or variant == "paper_eq7"


@each_case
def test_scenario_balances(name, variant):
    """Every process balances in every draw and year, to 64 eps of the largest flow or stock."""
    loaded, plan = bundled(name, variant), compiled(name, variant)
    audit = Audit(plan)
    ndmc.evaluate(plan, 1, range(FEW), audit=audit)
    assert audit.worst <= LIMIT
    assert [account.process for account in plan.accounts] == loaded.file.processes
    if all(stock.initial is None for stock in loaded.file.stocks.values()):
        assert imbalance(loaded, bundled_draws(name, variant, FEW)) <= 64


@pytest.mark.parametrize(("name", "variant"), FIRST)
def test_scenario_is_validated(name, variant):
    """Each published figure gets a verdict, under a variant too, none is an error."""
    found = compare_source(bundled(name, variant), FEW, 1).comparisons
    assert len(found) == len(bundled(name).figures) > 0
    assert {c.verdict for c in found} <= VERDICTS


@each_case
def test_everything_has_a_unit_and_a_title(name, variant):
    """All outputs say their unit and a title, and every indicator, flow and stock is an output."""
    for output in compiled(name, variant).outputs:
        assert output.unit
        assert output.title


@pytest.mark.parametrize("name", ndmc.bundled())
def test_every_parameter_says_its_source(name):
    """Each uncertain cell has a source, in its row or at its parameter."""
    if name == "starter":  # says that it is invented
        assert "invented" in bundled(name).file.title
        return
    for parameter in bundled(name).parameters.values():
        assert all(parameter.sources.distinct), parameter.name


def test_every_production_row_has_a_source():
    """Each number of the production table, and of every table with a source column, has one."""
    folder = bundled("china_nd").folder
    seen = 0
    for path in folder.glob("*.csv"):
        for row in csv.DictReader(path.read_text(encoding="utf-8").splitlines()):
            if "source" in row and path.name != "published.csv":
                seen += 1
                assert row["source"].strip(), f"{path.name}: {row}"
            if row.get("confidence"):
                assert row["confidence"] in bundled("china_nd").file.confidence
    assert seen >= 17 * 21


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_bundled_files_are_clean(folder):
    """No bundled file names a path of a machine, and each scenario has a README."""
    assert (folder / "README.md").stat().st_size > 100
    for path in folder.iterdir():
        if path.suffix in (".yaml", ".csv", ".md"):
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"/(home|root|work|tmp|Users)/|[A-Z]:\\\\", text), path.name


def spread(values):
    """Return the 95 % range over the median of the last year's total."""
    total = values["stock_total"][-1]
    low, mid, high = np.quantile(total, [0.025, 0.5, 0.975])
    return (high - low) / mid


def test_content_ranges_widen_the_stock():
    """Contents over the published ranges, instead of 5 %, make the stock far less certain."""
    base = spread(bundled_draws("china_nd"))
    assert spread(bundled_draws("china_nd", "content_ranges")) > 1.5 * base
    assert spread(bundled_draws("china_nd", "errors_common")) > 1.5 * base


def test_variants_share_their_draws():
    """Under every variant the parameters it leaves alone are drawn the same."""
    base = bundled_draws("china_nd")
    for variant in bundled("china_nd").file.variants:
        other = bundled_draws("china_nd", variant)
        for name in ("production", "scale", "shape", "penetration", "recycling_rate"):
            np.testing.assert_array_equal(other[name], base[name])


def test_conventions_differ_as_the_methods_say():
    """Ages in full years keep more in use than half years, Eq. 7 again a little more."""
    base, end = bundled_draws("china_nd"), bundled_draws("china_nd", "full_year_ages")
    eq7 = bundled_draws("china_nd", "paper_eq7")

    def left(values):
        """Return, by product, the share of all sales that is in use at the end."""
        stock, sales = values["in_use"][:, -1], values["sales"].sum(1)
        kept = np.median(stock, axis=-1) / np.median(sales, axis=-1)
        return dict(zip(bundled("china_nd").dims.labels["product"], kept, strict=True))

    middle, full, density = left(base), left(end), left(eq7)
    for product, share in middle.items():
        # Methods 3.2: start to end 2 to 8 points, so middle to end about half of that.
        assert 0.0 < full[product] - share < 0.06, product
    assert density["microwave_oven"] / middle["microwave_oven"] > 1.03
    assert density["electric_bicycle"] / middle["electric_bicycle"] > 1.03
    for product in ("air_conditioner", "refrigerator", "conventional_vehicle", "elevator"):
        assert abs(density[product] / middle[product] - 1) < 0.05


def growing(convention, scale, shape):
    """Return final stock over cumulative inflow, 21 years at +10 %, of one Weibull."""
    inflow = 1.1 ** np.arange(21.0)[None, :, None]
    eta, beta = np.array([[scale]]), np.array([[shape]])
    if convention == "pdf_integer":
        remaining = reference.weibull_integer_density(eta, beta, 21)
    else:
        remaining = reference.weibull(eta, beta, *survival.quadrature(convention, 21))
    stock, _ = reference.cohort(inflow, remaining)
    return float(stock[0, -1, 0] / inflow.sum())


def lifetime(product):
    """Return the published Weibull of a product."""
    parameters, dims = bundled("china_nd").parameters, bundled("china_nd").dims
    n = dims.labels["product"].index(product)
    return tuple(parameters[p].marginals[n].central for p in ("scale", "shape"))


@pytest.mark.parametrize(
    ("product", "excess"),
    [
        ("microwave_oven", 0.106),
        ("electric_bicycle", 0.164),
        ("mri_machine", 0.041),
        ("mobile_phone", 0.024),
    ],
)
def test_eq7_keeps_too_much_of_short_lives(product, excess):
    """Against a uniform inflow Eq. 7 overstates the stock by what methods 3.2 prints."""
    values = lifetime(product)
    got = growing("pdf_integer", *values) / growing("uniform", *values) - 1
    assert got == pytest.approx(excess, abs=0.002)


@pytest.mark.parametrize(
    ("convention", "share"), [("start", 0.238), ("middle", 0.281), ("end", 0.321)]
)
def test_phones_depend_on_the_convention(convention, share):
    """The share of all phones still in use is what methods 3.2 prints for each convention."""
    assert growing(convention, *lifetime("mobile_phone")) == pytest.approx(share, abs=0.001)
