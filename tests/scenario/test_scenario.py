"""What a scenario folder says is what is read: labels, numbers in their units, uncertainty."""

import math
import os

import pytest
from numpy.testing import assert_allclose
from tiny import PRODUCTION, TINY

import ndmc
from ndmc.scenario.dependence import Errors
from ndmc.scenario.load import load

LOSS = '  loss_rate: {unit: "%", low: 2, mode: 4, high: 10, distribution: triangular}\n'
CONTENT = "    unit: kg\n    dims: [product]\n    value: {phone: 1, car: 6}\n"
WIDE = "year,phone,car\n2001,1e6,500000\n2002,1.1e6,600000\n2003,1.2e6,700000\n2004,1.3e6,8e5\n"
MEANS = [1e6, 1.1e6, 1.2e6, 1.3e6, 5e5, 6e5, 7e5, 8e5]


def means(scenario, name):
    """Return the mean of each cell of a parameter, in its own unit."""
    parameter = scenario.parameters[name]
    return [cell.central / parameter.factor for cell in parameter.marginals]


def parameter(folder, name="loss_rate"):
    """Return a parameter that is read from a folder, and its only cell."""
    found = load(folder).parameters[name]
    return found, found.marginals[0]


def test_a_title_may_be_a_block_of_text(scenario):
    """The line break by which YAML ends it is none of the title's; others are kept."""
    changed = scenario(changes={"title: A tiny cycle": "title: |\n  A tiny\n  cycle\n"})
    assert load(changed).file.title == "A tiny\ncycle"


def test_every_part_of_the_file_is_read(scenario):
    """Names, labels, groups, units and years are those of the file."""
    loaded = load(scenario())
    assert (loaded.name, loaded.file.title, loaded.units.unit) == ("tiny", "A tiny cycle", "t")
    assert loaded.dims.labels == {
        "product": ("phone", "car"),
        "year": ("2001", "2002", "2003", "2004"),
    }
    assert loaded.dims.years == (2001, 2002, 2003, 2004)
    assert loaded.dims.groups == {"product": {"small": ("phone",), "large": ("car",)}}
    assert [*loaded.parameters][:2] == ["production", "content"]
    assert loaded.parameters["production"].dims == ("product", "year")
    assert loaded.document.text == TINY
    assert loaded.tables == {"production.csv": PRODUCTION}


def test_scenario_is_found_by_name_folder_and_file(scenario, monkeypatch):
    """A bundled name, a folder and the file in it all work, as text and as path."""
    folder = scenario()
    for source in (folder, str(folder), folder / "scenario.yaml"):
        assert load(source).name == "tiny"
    monkeypatch.chdir(folder.parent)
    assert load("tiny").name == "tiny"
    assert load("starter").name == "starter"


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"production.csv": "\n".join(reversed(PRODUCTION.splitlines()[1:])) + "\n"},
        {"production.csv": PRODUCTION.replace("\n", "\r\n")},
        {"production.csv": "\ufeff" + PRODUCTION.replace(",", " , ") + "\n,,\n\n"},
        {"production.csv": PRODUCTION.replace("value", "mean")},
        {
            "production.csv": PRODUCTION.replace("value", "output"),
            "    grade: survey": "    grade: survey\n    column: output",
        },
        {"production.csv": WIDE, "    grade: survey": "    grade: survey\n    wide: product"},
        {
            "production.csv": "product,2001,2002,2003,2004\nphone,1e6,1.1e6,1.2e6,1.3e6\n"
            "car,5e5,6e5,7e5,8e5\n",
            "    grade: survey": "    grade: survey\n    wide: year",
        },
        {"[product, year]": "[year, product]"},
        {
            "    table: production.csv": "    value:\n"
            "      phone: {2001: 1e6, 2002: 1.1e6, 2003: 1200000, 2004: 1_300_000}\n"
            "      car: {2001: 5.0e+5, 2002: 6e5, 2003: 7e5, 2004: 8e5}"
        },
    ],
    ids=[
        "tidy",
        "reversed",
        "windows",
        "bom",
        "mean",
        "column",
        "wide-product",
        "wide-year",
        "dims",
        "inline",
    ],
)
def test_tables_in_every_shape_give_the_same_parameter(scenario, changes):
    """Order of rows, line ends, names of columns, tidy, wide or inline: the same cells."""
    if "production.csv" in changes and changes["production.csv"].startswith("car,2004"):
        changes = {"production.csv": "product,year,value\n" + changes["production.csv"]}
    loaded = load(scenario("tiny", changes))
    assert_allclose(means(loaded, "production"), MEANS, rtol=1e-15)
    assert loaded.parameters["production"].dims == ("product", "year")
    assert loaded.parameters["production"].errors == {
        "product": Errors("independent"),
        "year": Errors("mixed", 0.5),
    }


def test_rows_may_have_units_sources_and_confidence(scenario):
    """A row's unit is converted, its source kept, its letter gives its grade; notes are left."""
    table = (
        "product,value,unit,source,confidence,note,page\n"
        "phone,1200,g,a survey,A,seen,1\ncar,6,,a paper,B,,2\n"
    )
    changes = {
        CONTENT
        + "    grade: study\n": "    unit: kg\n    dims: [product]\n    table: content.csv\n"
        "    grade: by_confidence\n    errors: {product: shared}\n    source: unused\n",
        "content.csv": table,
    }
    loaded = load(scenario("tiny", changes))
    content = loaded.parameters["content"]
    assert_allclose(means(loaded, "content"), [1.2, 6.0], rtol=1e-15)
    assert tuple(content.sources) == ("a survey", "a paper")
    assert tuple(content.confidences) == ("A", "B")
    assert tuple(content.grades) == ("survey", "study")
    assert [cell.kind for cell in content.marginals] == ["normal", "lognormal"]
    assert_allclose(content.marginals[0].numbers, [0.0012, 0.03 * 0.0012], rtol=1e-14)
    assert content.origins.where(1).endswith("content.csv:3")
    assert set(loaded.tables) == {"production.csv", "content.csv"}


def test_wide_rows_and_their_own_uncertainty(scenario):
    """Columns of a distribution's numbers are read row by row, in the parameter's unit."""
    changes = {
        CONTENT
        + "    grade: study\n": "    unit: kg\n    dims: [product]\n    table: content.csv\n"
        "    distribution: triangular\n    errors: {product: independent}\n",
        "content.csv": "product,low,mode,high,unit\nphone,1,2,3,g\ncar,1,3,4,kg\n",
    }
    content = load(scenario("tiny", changes)).parameters["content"]
    assert_allclose(content.marginals[0].numbers, [1e-6, 2e-6, 3e-6], rtol=1e-14)
    assert_allclose(content.marginals[1].numbers, [1e-3, 3e-3, 4e-3], rtol=1e-14)


@pytest.mark.parametrize(
    ("value", "kilograms"),
    [("6", 6), ("6.5", 6.5), ("382.5 kg", 382.5), ("250 g", 0.25), ("1e-3 t", 1), ("'6'", 6)],
)
def test_amounts_may_carry_their_unit(scenario, value, kilograms):
    """A number is in the parameter's unit; an amount says its own."""
    loaded = load(scenario("tiny", {"car: 6}": f"car: {value}}}"}))
    assert_allclose(means(loaded, "content")[1], kilograms, rtol=1e-14)


@pytest.mark.parametrize("value", ["60", "60 %", "0.6 1", '"60"', "60.0", "6e1"])
def test_shares_are_read_in_percent(scenario, value):
    """Sixty percent is 0.6, however it is written."""
    _, cell = parameter(
        scenario("tiny", {"    value: 60\n": f"    value: {value}\n"}), "collection"
    )
    assert_allclose(cell.central, 0.6, rtol=1e-15)


@pytest.mark.parametrize("unit", ["kg", "g", "Mg", "kt", "lb"])
def test_unit_of_the_scenario_changes_nothing_but_the_scale(scenario, unit):
    """The same scenario in another unit holds the same masses."""
    expected = ndmc.evaluate(ndmc.compile_plan(load(scenario())), 1, range(5))
    other = load(scenario("other", {"unit: t\n": f"unit: {unit}\n"}))
    plan = ndmc.compile_plan(other)
    got = ndmc.evaluate(plan, 1, range(5))
    factor = load(scenario()).units.factor(unit)
    for name in ("in_use", "sales", "scrap"):
        assert_allclose(got[name] * factor, expected[name], rtol=1e-12)
    assert_allclose(got["reuse"], expected["reuse"], rtol=1e-12)
    assert plan.output("in_use").unit == unit


DISTRIBUTIONS = {
    "constant": ("value: 4", "constant", [0.04], 0.04),
    "normal by cv": ("value: 4, cv: 5 %", "normal", [0.04, 0.002], 0.04),
    "normal by sd": ("value: 4, sd: 0.2", "normal", [0.04, 0.002], 0.04),
    "normal without spread": ("value: 4, cv: 0", "constant", [0.04], 0.04),
    "lognormal by cv": (
        "value: 4, cv: 0.1",
        "lognormal",
        [math.log(0.04) - math.log(1.01) / 2, math.sqrt(math.log(1.01))],
        0.04,
    ),
    "lognormal by sd": (
        "value: 4, sd: 0.4",
        "lognormal",
        [math.log(0.04) - math.log(1.01) / 2, math.sqrt(math.log(1.01))],
        0.04,
    ),
    "lognormal by mu": (
        "mu: 1, sigma: 0.5",
        "lognormal",
        [1 + math.log(0.01), 0.5],
        0.01 * math.exp(1.125),
    ),
    "uniform": ("low: 2, high: 6", "uniform", [0.02, 0.06], 0.04),
    "uniform of a point": ("low: 2, high: 2", "constant", [0.02], 0.02),
    "triangular by mode": ("low: 2, mode: 4, high: 9", "triangular", [0.02, 0.04, 0.09], 0.05),
    "triangular by value": ("low: 2, value: 5, high: 9", "triangular", [0.02, 0.04, 0.09], 0.05),
    "pert by mode": ("low: 2, mode: 4, high: 6", "beta", [3, 3, 0.02, 0.04], 0.04),
    "pert by value": ("low: 2, value: 4, high: 6", "beta", [3, 3, 0.02, 0.04], 0.04),
    "beta by cv": ("value: 20, cv: 0.5", "beta", [3.0, 12.0, 0, 1], 0.2),
    "beta by sd": ("value: 20, sd: 10", "beta", [3.0, 12.0, 0, 1], 0.2),
    "beta of none": ("value: 0, cv: 0.5", "constant", [0], 0),
    "truncated_normal below": (
        "value: 4, sd: 1, low: 4",
        "truncated_normal",
        [0.04, 0.01, 0.5, 1],
        0.04 + 0.01 * math.sqrt(2 / math.pi),
    ),
    "truncated_normal both": (
        "value: 4, sd: 1, low: 3, high: 5",
        "truncated_normal",
        [0.04, 0.01, 0.15865525393145707, 0.8413447460685429],
        0.04,
    ),
    "discrete": ("values: [2, 6], weights: [1, 3]", "discrete", [0.25, 1], 0.05),
    "discrete alike": ("values: [2, 6]", "discrete", [0.5, 1], 0.04),
    "empirical": ("values: [2, 3, 7]", "discrete", [1 / 3, 2 / 3, 1], 0.04),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_each_distribution_is_read_with_its_keys(scenario, name):
    """Numbers of every distribution arrive in the model's unit, with the mean they imply."""
    keys, kind, numbers, mean = DISTRIBUTIONS[name]
    text = f'  loss_rate: {{unit: "%", {keys}, distribution: {name.split()[0]}}}\n'
    _, cell = parameter(scenario("tiny", {LOSS: text}))
    assert cell.kind == kind
    assert_allclose(cell.numbers, numbers, rtol=1e-12)
    assert_allclose(cell.central, mean, rtol=1e-12)
    assert cell.lowest <= cell.central <= cell.highest


def test_discrete_values_are_in_the_unit(scenario):
    """The values of a discrete distribution are converted like any number."""
    text = '  loss_rate: {unit: "%", values: [2, 6], distribution: discrete}\n'
    _, cell = parameter(scenario("tiny", {LOSS: text}))
    assert_allclose(cell.choices, [0.02, 0.06], rtol=1e-15)


def test_own_keys_go_before_the_grade(scenario):
    """A parameter may say cv, sd, distribution and errors other than its grade."""
    more = "    distribution: normal\n    cv: 1 %\n    errors: {product: shared}\n    range: any\n"
    grade = "    value: {phone: 1, car: 6}\n    grade: study\n"
    content, cell = parameter(scenario("tiny", {grade: grade + more}), "content")
    assert cell.kind == "normal"
    assert_allclose(cell.numbers, [0.001, 0.00001], rtol=1e-14)
    assert content.errors == {"product": Errors("shared")}
    assert content.range == (-math.inf, math.inf)


def test_range_is_in_the_unit(scenario):
    """A physical range is converted with the parameter."""
    found, _ = parameter(
        scenario("tiny", {"    cv: 5 %\n": "    cv: 5 %\n    range: [10, 90]\n"}), "collection"
    )
    assert_allclose(found.range, [0.1, 0.9], rtol=1e-15)


def test_one_value_serves_every_label(scenario):
    """A single number is the value of every cell; nested mappings follow the dims as written."""
    loaded = load(scenario("tiny", {"value: {phone: 1, car: 6}": "value: 3"}))
    assert_allclose(means(loaded, "content"), [3, 3], rtol=1e-14)


def test_variant_changes_what_it_names_and_nothing_else(scenario):
    """A variant sets values by their path; the scenario as it stands is untouched."""
    folder = scenario()
    plain, varied = load(folder), load(folder, variant="long_lives")
    assert_allclose(means(plain, "scale"), [4, 12], rtol=1e-14)
    assert_allclose(means(varied, "scale"), [8, 12], rtol=1e-14)
    assert means(plain, "content") == means(varied, "content")
    assert plain.hash != varied.hash


@pytest.mark.parametrize(
    ("changes", "name", "expected"),
    [
        ({"collection": "50"}, "collection", [50]),
        ({"collection": "50 %"}, "collection", [50]),
        ({"parameters.collection.value": "50"}, "collection", [50]),
        ({"content": "{phone: 2, car: 3}"}, "content", [2, 3]),
        ({"content": "4 kg"}, "content", [4, 4]),
        ({"parameters.content.value.car": "7"}, "content", [1, 7]),
    ],
)
def test_settings_change_values(scenario, changes, name, expected):
    """A bare name sets a parameter's value, a dotted path any key."""
    loaded = load(scenario(), changes=changes)
    assert_allclose(means(loaded, name), expected, rtol=1e-14)
    assert loaded.changes == changes


def test_settings_come_after_the_variant(scenario):
    """Who sets a value by hand overrules the variant."""
    changes = {"scale": "5", "stocks.in_use.inflow_at": "end"}
    loaded = load(scenario(), variant="long_lives", changes=changes)
    assert_allclose(means(loaded, "scale"), [5, 5], rtol=1e-14)
    assert loaded.file.stocks["in_use"].inflow_at == "end"


def test_hash_tells_contents_apart(scenario):
    """The hash changes with a table, a variant and a setting, and with nothing else."""
    folder = scenario()
    expected = load(folder).hash
    assert load(scenario("copy")).hash == expected
    assert load(scenario("other", {"800000": "800001"})).hash != expected
    assert load(folder, changes={"collection": "60"}).hash != expected
    os.utime(folder / "scenario.yaml", (0, 0))
    assert load(folder).hash == expected


def test_labels_may_be_numbers(scenario):
    """Whole and broken numbers are labels as they are written, however long."""
    size = "dims:\n  size: [1234567, 0.5, 20]\n  product:"
    loaded = load(scenario("tiny", {"dims:\n  product:": size}))
    assert loaded.dims.labels["size"] == ("1234567", "0.5", "20")


def test_published_figures_are_read_from_table_and_file(scenario):
    """A table of figures and inline ones say the same; each knows its line."""
    table = "id,quantity,at,over,value,unit,status,note,source\n"
    table += "7,in_use,year=2004 product=large,,14.5,kt,target,a note,a paper\n"
    changes = {
        "  figures:\n": "  table: figures.csv\n  figures:\n",
        "figures.csv": table,
    }
    folder = scenario("tiny", changes)
    inline, tabled = load(folder).figures
    assert (inline.entry.value, inline.entry.at) == ("18 kt", {"year": "2004"})
    assert (tabled.entry.value, tabled.entry.unit, tabled.entry.id) == ("14.5", "kt", "7")
    assert tabled.where == f"{folder / 'figures.csv'}:2"
    found = ndmc.validate(folder, draws=200)
    assert found.verdict.tolist() == ["met", "met"]


def test_published_numbers_keep_their_digits(scenario):
    """A long figure is compared as printed."""
    folder = scenario("tiny", {"value: 18 kt": "value: 18426.9954321, unit: t"})
    assert ndmc.validate(folder, draws=10).published.tolist() == [18426.9954321]


def test_published_ranges_of_years_are_summed(scenario):
    """Flows over years add up to an amount, stocks over labels to a stock."""
    figure = "{quantity: sales, at: {year: 2001..2002}, over: product, value: 8.7 kt, status: soft}"
    folder = scenario(
        "tiny", {"{quantity: total, at: {year: 2004}, value: 18 kt, status: soft}": figure}
    )
    found = ndmc.validate(folder, draws=200)
    assert found.verdict.tolist() == ["met"]


def test_short_and_long_forms_are_the_same(scenario):
    """A dim without groups and an indicator without unit may be written short."""
    total = "  total:{}sum(in_use, over=product)\n"
    long = load(scenario("long", {total.format(" "): total.format("\n    value: ")}))
    assert long.file.indicators == load(scenario()).file.indicators
    flat = "    labels: [phone, car]\n    groups:\n      small: [phone]\n      large: [car]\n"
    short = load(scenario("short", {"  product:\n" + flat: "  product: [phone, car]\n"}))
    assert short.dims.labels == load(scenario()).dims.labels


def test_comments_quotes_and_order_mean_nothing(scenario):
    """Text that means the same reads the same."""
    changes = {
        "unit: t\n": "unit: 't'   # tonnes\n",
        "name: tiny\n": "",
        "format: 1\n": "\ufeffname: tiny\nformat: 1\n\n",
        "headline: [in_use]": "headline:\n  - in_use",
    }
    assert load(scenario("other", changes)).file == load(scenario()).file
