"""Cells that are not given are what the parameter says, and nothing else; tables of some years."""

import json
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
import reference
from command import here
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from strategies import one_parameter, write

import ndmc
from ndmc import InputError, StudyWarning
from ndmc.engine.evaluation import evaluate
from ndmc.model import compile_plan

YEARS = range(2000, 2006)
PRODUCTS = ("car", "van")
RULES = [
    (),
    ("interpolate",),
    ("hold",),
    ("0",),
    ("interpolate", "hold"),
    ("interpolate", "0"),
    ("hold", "0"),
]
INDEPENDENT = {"product": "independent", "year": "independent"}


def load(folder, *, years="2000..2005", products=PRODUCTS, changes=None, keys=None, **tables):
    """Return the scenario of one parameter whose tables are given as text."""
    keys = {"dims": ["product", "year"], "distribution": "constant", **(keys or {})}
    if tables and "table" not in keys:
        keys["table"] = "x.csv"
    for name, text in tables.items():
        (Path(folder) / f"{name}.csv").write_text(text, encoding="utf-8")
    data = one_parameter(years, {"product": products}, **keys)
    (Path(folder) / "scenario.yaml").write_text(json.dumps(data, indent=1), encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StudyWarning)
        return ndmc.load(folder, changes=changes).parameters["x"]


@pytest.fixture
def one(tmp_path):
    """Return a function that loads a scenario of one parameter."""
    return lambda **given: load(tmp_path, **given)


def central(parameter):
    """Return the values of a parameter, by product."""
    values = parameter.marginals.central / parameter.factor
    return values.reshape(len(PRODUCTS), -1)


# --- the rules ------------------------------------------------------------------------------------


def _written(form, points):
    """Return points by product as keys and tables: in one of three forms."""
    if form == "value":
        return {"keys": {"value": {p: {f"{y}": v for y, v in at.items()} for p, at in points}}}
    if form == "tidy":
        rows = [f"{p},{y},{v!r}" for p, at in points for y, v in at.items()]
        return {"x": "\n".join(["product,year,value", *rows])}
    years = sorted({y for _, at in points for y in at})
    rows = [",".join([p, *(repr(at[y]) if y in at else "" for y in years)]) for p, at in points]
    return {
        "x": "\n".join([f"product,{','.join(map(str, years))}", *rows]),
        "keys": {"wide": "year"},
    }


@settings(max_examples=40)
@given(data=st.data())
def test_cells_without_a_row_are_what_the_parameter_says(data):
    """Tidy, wide or in the file, whatever years are given: as each year is filled by itself."""
    number = st.floats(-1e6, 1e6)
    some = st.dictionaries(st.integers(1995, 2010), number, max_size=5)
    points = [(p, data.draw(some.filter(bool) if p == "car" else some)) for p in PRODUCTS]
    form, rules = (
        data.draw(st.sampled_from(["value", "tidy", "wide"])),
        data.draw(st.sampled_from(RULES)),
    )
    if form == "value":  # an empty mapping is no value
        points = [(p, at) for p, at in points if at]
    given_ = _written(form, points)
    keys = {**given_.pop("keys", {}), **({"missing": [*rules]} if rules else {})}
    wanted = [reference.fill(dict(points).get(p, {}), YEARS, rules) for p in PRODUCTS]
    outside = any(y not in YEARS for _, at in points for y in at)
    with tempfile.TemporaryDirectory() as folder:
        if any(None in row for row in wanted) or (outside and not rules):
            with pytest.raises(InputError):
                load(folder, keys=keys, **given_)
            return
        found = central(load(folder, keys=keys, **given_))
    assert_allclose(found, wanted, rtol=1e-14, atol=1e-9)
    for row, (_, at) in zip(found, points, strict=False):
        assert [row[y - 2000] for y in YEARS if y in at] == [at[y] for y in YEARS if y in at]


TABLE = """\
product,year,value,low,mode,high,cv,sd,mu,sigma,source,confidence,unit
car,1998,10,1,2,30,0.1,4,1,0.3,A,sure,
car,2004,40,2,5,90,0.3,1,2,0.1,B,poor,
van,2002,7,1,1,30,0.2,1,3,0.5,C,sure,
"""
NUMBERS = {
    "normal": ("value", "cv"),
    "uniform": ("low", "high"),
    "triangular": ("low", "mode", "high"),
    "truncated_normal": ("value", "sd", "low", "high"),
    "lognormal": ("mu", "sigma"),
}


def _columns(*names):
    """Return some columns of the table."""
    header, *rows = (line.split(",") for line in TABLE.splitlines())
    places = [header.index(name) for name in ("product", "year", *names)]
    return "\n".join(",".join(row[place] for place in places) for row in [header, *rows])


@pytest.mark.parametrize("distribution", NUMBERS)
def test_every_number_of_a_distribution_lies_on_its_line(one, distribution):
    """Not only the value: as a row of each year would give it that is calculated by hand."""
    keys = {"distribution": distribution, "errors": INDEPENDENT}
    names = NUMBERS[distribution]
    found = one(x=_columns(*names), keys=keys | {"missing": ["interpolate", "hold"]})
    ends = {name: [] for name in names}
    for row in csv_rows(_columns(*names)):
        for name in names:
            ends[name].append(float(row[name]))
    rows = [f"product,year,{','.join(names)}"]
    for year in YEARS:
        filled = (
            reference.fill({1998: ends[n][0], 2004: ends[n][1]}, [year], ("interpolate", "hold"))
            for n in names
        )
        rows.append(",".join(["car", str(year), *(repr(number) for (number,) in filled)]))
        rows.append(",".join(["van", str(year), *(repr(ends[n][2]) for n in names)]))
    whole = one(x="\n".join(rows), keys=keys)
    assert_allclose(found.marginals.numbers, whole.marginals.numbers, rtol=1e-12)
    assert_array_equal(found.marginals.kinds, whole.marginals.kinds)


def test_points_may_have_distributions_of_their_own(one):
    """Each of their numbers lies on its line, as those of a table."""
    ends = {"1998": {"value": 10, "cv": 0.1}, "2004": {"value": 40, "cv": 0.3}}
    keys = {"missing": ["interpolate", "hold"], "distribution": "normal", "errors": INDEPENDENT}
    found = one(keys=keys | {"value": {"car": ends, "else": {"value": 7, "sd": 1}}})
    wanted = one(x=_columns("value", "cv"), keys=keys)
    assert_array_equal(found.marginals.numbers[:6], wanted.marginals.numbers[:6])
    assert_array_equal(central(found)[1], [7] * 6)


def csv_rows(text):
    """Return the rows of a table as mappings."""
    header, *rows = (line.split(",") for line in text.splitlines())
    return [dict(zip(header, row, strict=True)) for row in rows]


def test_what_is_filled_says_so(one):
    """In its source; its confidence is that of the nearer year, of two the earlier."""
    keys = {"missing": ["interpolate", "hold"], "source": "a book"}
    found = one(x=_columns("value", "source", "confidence"), keys=keys)
    between = "interpolated between 1998 and 2004"
    held = ["held from 2002"]
    assert [*found.sources] == [*[between] * 4, "B", "held from 2004", *held * 2, "C", *held * 3]
    assert [*found.confidences] == ["sure"] * 2 + ["poor"] * 4 + ["sure"] * 6
    found = one(x=_columns("value", "confidence"), keys={"missing": ["interpolate", 0]})
    assert [*found.sources][4:7] == ["", "not given, so 0", "not given, so 0"]
    assert [*found.confidences][5] == ""


@pytest.mark.parametrize(
    "keys",
    [
        {"distribution": "normal", "sd": 3},
        {"distribution": "lognormal", "sigma": 0.1, "columns": ["mu"]},
        {"distribution": "uniform", "high": 90, "columns": ["low"]},
        {"distribution": "beta", "cv": 0.1, "unit": "%"},
        {"quality": {"method": "laner", "reliability": 2, "completeness": 2, "sensitivity": "low"}},
    ],
)
def test_a_cell_that_is_zero_is_a_constant(one, keys):
    """Whatever distribution the others have, and whether it could be zero at all."""
    columns = keys.pop("columns", ["value"])
    keys = {"distribution": None, **keys, "missing": 0, "errors": INDEPENDENT}
    found = one(x=_columns(*columns), keys=keys)
    certain = [car != 4 for car in range(6)] + [van != 2 for van in range(6)]
    assert_array_equal(found.marginals.certain, certain)
    assert not found.marginals.central[certain].any()
    assert not found.of_zero.any()


def test_what_is_filled_is_changed_as_any_other_cell(one):
    """Also what is 0: then it is exactly what is set, or what is added."""
    changes = {"x[car year=2000]": "5 kt/yr", "x[car year=2001]": "+1", "x[car year=2002]": "x9"}
    keys = {"missing": 0, "distribution": "uniform", "high": 90, "errors": INDEPENDENT}
    found = one(x=_columns("low"), keys=keys, changes=changes)
    assert central(found)[0, :4].tolist() == [5000, 1, 0, 0]
    assert found.marginals.certain[:4].all()
    held = one(x=_columns("value"), keys={"missing": "hold"}, changes={"x[car year=2004]": 9})
    assert central(held)[0].tolist() == [10, 10, 10, 10, 9, 40]


# --- draws ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("along", ["shared", "independent", "mixed(0.4)"])
def test_other_years_leave_all_draws_as_they_are(tmp_path, along):
    """Draws of a cell are keyed by its labels: fewer years, or more, move none of them by a bit."""
    keys = {
        "missing": ["interpolate", "hold"],
        "distribution": "normal",
        "errors": {"product": "independent", "year": along},
    }
    data = one_parameter("2000..2005", {"product": PRODUCTS}, dims=["product", "year"], **keys)
    data["parameters"]["x"]["table"] = "x.csv"
    folder = write(data, tmp_path / "study")
    (folder / "x.csv").write_text(_columns("value", "cv"), encoding="utf-8")

    def drawn(years):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", StudyWarning)
            scenario = ndmc.load(folder, changes={"years": years})
        return evaluate(compile_plan(scenario, ["x"]), 7, range(64))["x"]

    whole = drawn("2000..2005")
    assert_array_equal(drawn("2001..2003"), whole[:, 1:4])
    assert_array_equal(drawn("1990..2012")[:, 10:16], whole)


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "table", "message"),
    [
        ({}, "car,2000,1", r"x.csv:2: no row for product=car, year=2001 and 10 more; every .*"
            r"or say what the others are by 'missing: 0' \(or hold, interpolate\)"),
        ({"missing": "interpolate"}, "car,2000,1\ncar,2004,1\nvan,2000,1\nvan,2005,2",
            "scenario.yaml:.*product=car, year=2005: nothing is interpolated beyond 2004, .*hold"),
        ({"missing": "hold"}, "car,2000,1", r"nothing is given for product=van, year=2000 and 5 "
            r"more in any year; give some, or say 'missing: \[hold, 0\]'"),
        ({"missing": "hold"}, "car,2001,1\nvan,1999,2\nvan,1999,3",
            r"x.csv:4: a second row for product=van, year=1999 \(first on line 3\); keep one"),
        ({"missing": "holds"}, "car,2001,1", "missing: found 'holds'; did you mean 'hold'?"),
        ({"missing": [0, "hold"]}, "car,2001,1", r"the one before it leaves; write \[hold, 0\]"),
        ({"missing": "hold"}, "car,soon,1", "x.csv:2: 'soon' is no year"),
        ({"missing": "hold"}, "car,2000,n/a", "x.csv:2: column 'value' holds 'n/a'"),
        ({"missing": "hold", "dims": ["product"]}, "car,2000,1",
            "hold goes from year to year, and this parameter has no dim year; say 'missing: 0'"),
    ],
)  # fmt: skip
def test_gaps_without_a_rule_are_refused(one, keys, table, message):
    """With file and line, and what may be said."""
    with pytest.raises(InputError, match=message):
        one(x=f"product,year,value\n{table}\n", keys=keys)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"car": {"2000": 1}, "van": 2}, "no value for year=2001 and 4 more; every label needs"),
        ({"car": 1}, "no value for product=van; every .* or say what the others are"),
        ({"car": {"1990": 1}, "van": 2}, r"1990 lies before .*remove it, or start .*'missing'"),
    ],
)  # fmt: skip
def test_gaps_in_the_file_are_refused_alike(one, value, message):
    """Where no rule is said."""
    with pytest.raises(InputError, match=message):
        one(keys={"value": value})


def test_one_value_for_all_has_no_gaps(one):
    """So a rule beside it means nothing."""
    with pytest.raises(InputError, match="'missing' means nothing to what is given for all cells"):
        one(keys={"value": 1, "missing": 0})


# --- other years ----------------------------------------------------------------------------------


def test_what_no_cell_uses_is_told(tmp_path, one):
    """Once for each parameter: by check, by a run, in Python; rows outside are no mistake then."""
    rows = [f"{product},{year},{year}" for product in PRODUCTS for year in range(1990, 2006)]
    one(x="\n".join(["product,year,value", *rows]), years="1990..2005")
    found = here("check", tmp_path, "--set", "years=2000..2003")
    assert found.code == 0
    told = "parameter 'x': nothing uses 24 given cells of 1990..2005, outside the years 2000..2003"
    assert [line for line in found.err.splitlines() if "nothing uses" in line] == [
        f"warning: {tmp_path / 'scenario.yaml'}:13: {told}"
    ]
    with pytest.warns(StudyWarning, match=told):
        fewer = ndmc.load(tmp_path, changes={"years": "2000..2003"})
    assert_array_equal(central(fewer.parameters["x"]), [range(2000, 2004)] * 2)
    more = here("check", tmp_path, "--set", "years=1990..2006")
    assert more.code == 2
    assert "nothing is given for product=car, year=2006 and 1 more; every cell needs" in more.err


def test_a_file_that_extends_another_may_have_other_years(tmp_path):
    """Its tables, its points and its published figures may be of more."""
    dims = {"product": [*PRODUCTS]}
    data = one_parameter("2000..2005", dims, dims=["year"], distribution="constant")
    data["parameters"]["x"]["value"] = {f"{year}": year for year in YEARS}
    data["published"] = [
        {"quantity": "x", "at": at, "value": "2003 t/yr", "status": "target"}
        for at in ({"year": 2005}, "2001..2005", "2003")
    ]
    write(data, tmp_path / "base")
    write({"name": "few", "extends": "../base", "years": "2002..2004"}, tmp_path / "few")
    with pytest.warns(StudyWarning) as told:
        few = ndmc.load(tmp_path / "few")
    assert few.parameters["x"].marginals.central.tolist() == [2002, 2003, 2004]
    assert [figure.entry.at for figure in few.figures] == ["2003"]
    assert [str(one.message).split(": ", 1)[1] for one in told][:2] == [
        "parameter 'x': nothing uses 3 given cells of 2000..2005, outside the years 2002..2004",
        "2 published figures are left out, outside the years 2002..2004",
    ]
    assert ndmc.check(tmp_path / "base").scenario.passed_over == 0


# --- several tables -------------------------------------------------------------------------------

OLD = "product,1998,2001,2002\ncar,1,4,99\nvan,2,5,99\n"
NEW = """\
product,year,value,cell,unit,source
car,2001,99,99,,
car,2004,8,9,kt/yr,survey
van,2004,8,9000,t/yr,
car,2005,8,9,,
van,2005,8,9,,
"""
TABLES = [
    {"table": "old.csv", "years": "1990..2001", "wide": "year", "source": "yearbook"},
    {"table": "new.csv", "years": "2004..2005", "column": "cell", "unit": "kt/yr", "source": "own"},
]


def test_each_of_several_tables_is_for_its_years(one):
    """With its own column, form, unit and source; between them goes the rule."""
    found = one(keys={"table": TABLES, "missing": "interpolate"}, old=OLD, new=NEW)
    wanted = [[3, 4, 3002, 6001, 9000, 9000], [4, 5, 3003, 6002, 9000, 9000]]
    assert_allclose(central(found)[:, [1, 4, 5]], np.array(wanted)[:, [1, 4, 5]], rtol=1e-15)
    between = "interpolated between 2001 and 2004"
    first = "interpolated between 1998 and 2001"
    assert [*found.sources][:6] == [first, "yearbook", between, between, "survey", "own"]
    assert [*found.sources][10] == "own"
    filled = [reference.fill({1998: a, 2001: b, 2004: 9000.0, 2005: 9000.0}, YEARS, RULES[1])
              for a, b in ((1.0, 4.0), (2.0, 5.0))]  # fmt: skip
    assert_allclose(central(found), filled, rtol=1e-14)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"missing": (), "years": ("2000..2001", "2004..2005")},
            "scenario.yaml:.*: nothing is given for product=car, year=2000 and 5 more",
        ),
        ({"years": ("1990..2004", "2004..2005")}, "2004..2005 overlaps with 1990..2004 of another"),
        ({"years": ("2001..1990", "2004..2005")}, "years run backwards, from 2001 to 1990"),
        (
            {"dims": ["product"], "missing": 0},
            "each of several tables is for some years, and this parameter has",
        ),
        ({"column": ("", "cells")}, "new.csv has no column 'cells'; did you mean 'cell'"),
        ({"unit": ("", "kg")}, "new.csv:5: 'kg' .* cannot be converted to the parameter's unit"),
        ({"missing": (), "years": ("1990..2001", "2002..2005")}, "old.csv:2: 1998 lies before"),
    ],
)
def test_several_tables_that_do_not_fit_are_refused(one, changes, message):
    """At the entry, or at the row."""
    tables = [dict(table) for table in TABLES]
    keys = {"table": tables, "missing": "interpolate"}
    for key, value in changes.items():
        if isinstance(value, tuple) and value:
            for table, own in zip(tables, value, strict=True):
                table.update({key: own} if own else {})
        else:
            keys[key] = value
    keys = {key: value for key, value in keys.items() if value != ()}
    with pytest.raises(InputError, match=message):
        one(keys=keys, old=OLD, new=NEW)


# --- labels that belong to others -----------------------------------------------------------------


@pytest.mark.parametrize("form", ["table", "value"])
def test_labels_that_belong_to_others_have_years_of_their_own(tmp_path, form):
    """A laptop's lithium is another cell than its indium: each goes by its own years."""
    points = {"lithium": {"laptop": {1990: 0, 2010: 20}}, "indium": {"laptop": {2002: 7}}}
    data = one_parameter("2000..2005", {"metal": [*points]}, dims=["use", "year"])
    data["dims"]["use"] = {"of": "metal", "labels": {"lithium": ["laptop"], "indium": ["laptop"]}}
    data["parameters"]["x"] |= {"missing": ["interpolate", "hold"], "distribution": "constant"}
    if form == "value":
        data["parameters"]["x"]["value"] = points
    else:
        data["parameters"]["x"]["table"] = "x.csv"
    folder = write(data, tmp_path / "study")
    rows = [
        f"{m},{u},{y},{v}" for m, a in points.items() for u, b in a.items() for y, v in b.items()
    ]
    (folder / "x.csv").write_text("\n".join(["metal,use,year,value", *rows]), encoding="utf-8")
    values = ndmc.load(folder).parameters["x"].marginals.central.reshape(2, -1)
    assert_array_equal(values, [range(10, 16), [7] * 6])
    (folder / "x.csv").write_text("\n".join(["metal,use,year,value", *rows, rows[-1]]))
    if form == "table":
        with pytest.raises(InputError, match="second row for metal=indium, use=laptop, year=2002"):
            ndmc.load(folder)
