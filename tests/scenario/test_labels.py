"""Labels and years are what stands there, at every door of a scenario; a wrong one is named."""

import json
import unicodedata

import pytest

import ndmc
from ndmc import InputError
from ndmc.dims import Dims
from ndmc.option import read_changes
from ndmc.scenario.expressions import ExpressionError, Variable
from ndmc.scenario.grammar import compile_expression
from ndmc.scenario.units import NONE

STUDY = """\
format: 1
name: labels
unit: t
years: 1950..1952
dims:
  product: LABELS
  region: [CN, EU]
parameters:
  inflow: {unit: t/yr, distribution: constant, dims: [DIM], GIVEN}
processes: [use]
environment: [mine, waste]
flows:
  sales: {from: mine, to: use, dims: [product], value: inflow}
  old: {from: use, to: waste, dims: [product]}
stocks:
  in_use: {process: use, dims: [product], lifetime: "normal(10, 3)"}
"""
GROUPED = "{labels: [Car, Van], groups: {all: [Car, Van]}}"
TABLE = "table: x.csv"


@pytest.fixture
def study(tmp_path):
    """Return a function that writes a study and loads it."""

    def load(given, labels=GROUPED, dim="product", csv=None):
        text = STUDY.replace("LABELS", labels).replace("DIM", dim).replace("GIVEN", given)
        (tmp_path / "scenario.yaml").write_text(text, encoding="utf-8")
        if csv is not None:
            (tmp_path / "x.csv").write_text(csv, encoding="utf-8")
        return ndmc.load(tmp_path)

    return load


def column(*labels, dim="product"):
    """Return a table of ones."""
    return f"{dim},value\n" + "".join(f"{label},1\n" for label in labels)


def row(*labels):
    """Return a wide table of ones."""
    return f"product,{','.join(labels)}\nCar{',1' * len(labels)}\nVan{',1' * len(labels)}\n"


YEARS = ("1950", "1951", "1952")
WIDE = {"given": f"{TABLE}, wide: year", "dim": "product, year"}
TALL = {"given": TABLE, "dim": "year"}
BEFORE = "lies before the years of the scenario, 1950..1952"


@pytest.mark.parametrize(
    ("years", "message"),
    [
        (
            range(1900, 1953),
            rf"x.csv:2: 1900 {BEFORE} \(50 such rows\); remove these rows, or start",
        ),
        (
            (1950, 1949, 1951, 1952),
            f"x.csv:3: 1949 {BEFORE}; remove it, or start the years earlier",
        ),
        ((*YEARS, "1953.0", 1954), r"x.csv:5: 1953 lies after .* \(2 such rows\).*end the years"),
        (
            ("1950-01-01", 1951),
            "x.csv:2: '1950-01-01' is no year; write whole numbers such as 1950",
        ),
        (("1950p", 1951), "x.csv:2: '1950p' is no year"),
    ],
)
def test_years_outside_are_counted(study, years, message):
    """No year is a misspelt other: which side it lies on is said, and how many do."""
    with pytest.raises(InputError, match=message):
        study(**TALL, csv=column(*years, dim="year"))


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (("1948", "1949", *YEARS), rf"column '1948': 1948 {BEFORE} \(2 such columns\); remove"),
        (("1950/51", *YEARS), "column '1950/51': '1950/51' is no year"),
        (("1950", "1950.0", "1951", "1952"), "the column '1950' stands twice"),
        (("1952",), "no column '1950' and 1 more; every label of 'year' needs one"),
    ],
)
def test_columns_of_years_are_told_alike(study, header, message):
    """What a wide table has stands for years as what a tidy one has."""
    with pytest.raises(InputError, match=f"x.csv:1: {message}"):
        study(**WIDE, csv=row(*header))


def test_years_of_spreadsheets_are_years(study):
    """2001.0 is read as 2001: in rows, columns and values."""
    points = [f"{year}.0" for year in YEARS]
    study(**TALL, csv=column(*points, dim="year"))
    study(**WIDE, csv=row(*points))
    study("value: {1950.0: 1, 1951: 2, 1952.0: 3}", dim="year")
    with pytest.raises(InputError, match=r"'1950' and '1950.0' are the same label; keep one"):
        study("value: {1950.0: 1, 1950: 2, 1951: 2, 1952: 3}", dim="year")


CODES = "[0101, 1.10, 1.1, 1E5, true, no, null, 2001-01-01, 0x10]"
TEXTS = ("0101", "1.10", "1.1", "1E5", "true", "no", "null", "2001-01-01", "0x10")


def test_codes_are_labels_as_they_stand(study):
    """What YAML takes for a number, a truth, nothing or a date is the text that stands there."""
    groups = "{labels: [01, 1.0, yes], groups: {a: [01, 1.0], b: [yes]}}"
    assert study("value: 1", groups).dims.groups["product"] == {"a": ("01", "1.0"), "b": ("yes",)}
    values = ", ".join(f"{text}: {n}" for n, text in enumerate(TEXTS))
    written = study(f"value: {{{values}}}", CODES)
    assert written.dims.labels["product"] == TEXTS
    study(TABLE, CODES, csv=column(*TEXTS))
    written = study("value: 1", CODES)
    changed = ndmc.load(written.folder, changes={"dims.product": "[01, 1.50, x]"})
    assert changed.dims.labels["product"] == ("01", "1.50", "x")


@pytest.mark.parametrize("label", ["1.10", "1E5", "true", "null", "'0101'", "0x10", "2001"])
def test_expressions_have_labels_as_they_stand(label):
    """Also what is a number to Python."""
    dims = Dims({"code": (*TEXTS, "2001"), "year": YEARS})
    x = {"x": Variable(("code", "year"), NONE)}
    found = compile_expression(f"at(x, code={label})", x, dims)
    assert found.positions == (dims.labels["code"].index(label.strip("'")),)
    with pytest.raises(ExpressionError, match="labels stand in quotes"):
        compile_expression(f"at(x, code=0101) * at(x, code={label})", x, dims)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_accents_may_be_encoded_either_way(study, tmp_path, form):
    """The label, its table and the table's own name need not agree."""
    name, other = (unicodedata.normalize(one, "K\u00fche") for one in (form, "NFC"))
    (tmp_path / f"{unicodedata.normalize('NFD', name)}.csv").write_text(column(other), "utf-8")
    found = study(f"table: {name}.csv", f"[{name}]")
    assert found.dims.labels["product"] == ("K\u00fche",)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("car", r"product has no label 'car' \(capitals count\); did you mean 'Car'\?"),
        ("Vans", r"product has no label 'Vans'; did you mean 'Van'\?"),
        ("all", "'all' is a group of product; only its labels can stand here: 'Car', 'Van'"),
        ("CN", "'CN' is a label of region, not of product; choose one of 'Car', 'Van'"),
        ("product", "'product' is a dim, and no label of product"),
    ],
)
def test_a_wrong_label_is_named(study, label, message):
    """And the right one is its hint, wherever it stands; never the other way round."""
    with pytest.raises(InputError, match=f"x.csv:3: {message}"):
        study(TABLE, csv=column("Van", label))
    if label != "all":  # a group may be a key of values
        with pytest.raises(InputError, match=f"scenario.yaml:9: {message}"):
            study(f"value: {{Van: 1, {label}: 2}}")
    with pytest.raises(InputError, match=f"x.csv:1: column '{label}': {message}"):
        study(f"{TABLE}, wide: product", dim="product, year", csv=f"year,{label},Van\n")


def test_a_label_without_value_is_told_last(study):
    """When all that stands there is right."""
    with pytest.raises(InputError, match="no value for product=Van; every label needs one"):
        study("value: {Car: 1}")


HARD = ("Passenger cars", "Fe, cast", "a=b", "1.10", "a/b", "it's")
QUOTED = ("Passenger cars", "'Fe, cast'", "'a=b'", "1.10", "a/b", "it's")


def hard(study):
    """Write a study of labels with spaces, commas, signs, points, slashes and quotes."""
    values = json.dumps(dict.fromkeys(HARD, 1))
    return study(f"value: {values}", json.dumps(HARD)).folder


@pytest.mark.parametrize("label", HARD)
def test_a_value_is_changed_by_any_label(study, label):
    """A key of a path stands in quotes, if it holds a point or a sign of equality."""
    folder = hard(study)
    key = label if label[0] in "Pa" and "=" not in label else "'" + label.replace("'", "''") + "'"
    changes = read_changes([f"parameters.inflow.value.{key} = 7"])
    changed = ndmc.load(folder, changes=changes).file.parameters["inflow"].value
    assert changed == {one: 7 if one == label else 1 for one in HARD}


def test_a_key_with_points_wants_quotes(study):
    """Which is said where it is not found."""
    folder = hard(study)
    with pytest.raises(InputError, match=r"there is no '1.10'; .*\(in quotes, if it has dots\)"):
        ndmc.load(folder, changes={"parameters.inflow.value.1.10": 7})


def test_any_label_is_asked_for_in_the_same_words(study, cli):
    """By targets, selections and published figures; what is printed back can be pasted."""
    folder = hard(study)
    figures = "".join(
        f'  - {{quantity: in_use, at: "product={label}, year=1952", value: 1 t, status: input}}\n'
        for label in QUOTED
    )
    text = (folder / "scenario.yaml").read_text() + f"published:\n{figures}"
    (folder / "scenario.yaml").write_text(text)
    assert list(ndmc.validate(folder, draws=20)["at"]) == [
        f"product={label} year=1952" for label in QUOTED
    ]
    until = [word for one in QUOTED for word in ("--until", f"in_use@{one},1952 p50 within 9 %")]
    made = cli("run", folder, "-n", 20, "--keep", "none", "--out", "x.zarr", *until)
    assert made.code == 0, made.err
    for shown, label in zip(QUOTED, HARD, strict=True):
        assert f"reached: in_use@{shown},1952" in made.out
        done = cli("percentiles", "x.zarr", "-v", "in_use", "--sel", f"1951..1952 product={shown}")
        assert done.out.count(label) == 2, done.err
    done = cli("run", folder, "--exceed", "in_use@Passenger cars > 1 t", "--out", "y.zarr")
    assert "a limit is one of all cells of 'in_use'" in done.err
