"""Columns of tables are held to the rules of keys, and none is passed over that looks like one."""

import re

import pytest
from strategies import one_parameter, write

import ndmc

YEARS = ("2001", "2002", "2003")
NORMAL = {"distribution": "normal", "errors": {"year": "shared"}}
CV = {**NORMAL, "cv": "10 %"}


def study(tmp_path, head, cells, parameter, **more):
    """Write a study whose table has the same cells in each year, and return its folder."""
    folder = write(
        one_parameter("2001..2003", dims=["year"], table="x.csv", **parameter) | more,
        tmp_path / "study",
    )
    rows = [f"{year},{cells}\n" for year in YEARS]
    (folder / "x.csv").write_text("".join([f"year,{head}\n", *rows]), encoding="utf-8")
    return folder


def refused(folder):
    """Return what is said of a study, and where."""
    with pytest.raises(ndmc.InputError) as wrong:
        ndmc.load(folder)
    return wrong.value.message, wrong.value.where.removeprefix(f"{folder}/")


DROPPED = {
    "sd of a constant": ("value,sd", "10,3", {"distribution": "constant"}, "sd means nothing to"),
    "value of a uniform": ("value,low,high", "100,1,3", {}, "value means nothing to uniform"),
    "bounds of a normal": ("value,sd,low,high", "10,3,0,20", NORMAL, "low means nothing to normal"),
    "cv and sd": ("value,cv,sd", "10,0.1,5", NORMAL, "give either cv or sd, not both"),
    "value and mode": ("value,low,mode,high", "5,1,3,9", {}, "give either value or mode, not"),
    "value and mean": ("value,mean", "5,6", CV, "either a column mean or a column value"),
    "values of a list": ("value", "5", {"distribution": "discrete", "values": [1]}, "value means"),
}


@pytest.mark.parametrize("case", DROPPED)
def test_a_number_that_would_be_dropped_is_refused_at_its_column(tmp_path, case):
    """As the same number is that stands as a key of the parameter."""
    head, cells, parameter, message = DROPPED[case]
    shape = "triangular" if "mode" in head else "uniform"
    parameter = {"distribution": shape, "errors": {"year": "shared"}, **parameter}
    said, where = refused(study(tmp_path, head, cells, parameter))
    assert where == "x.csv:1"
    assert message in said


@pytest.mark.parametrize(
    ("head", "keys", "message"),
    [
        ("value,cv", {**NORMAL, "sd": 3}, "either cv or sd, not both: cv is a column of x.csv"),
        ("mu,sigma", {**NORMAL, "distribution": "lognormal", "cv": 2}, None),
        ("value,sd", CV, None),
        ("mu,cv", {**NORMAL, "distribution": "lognormal"}, "with mu needs sigma"),
    ],
)
def test_a_column_comes_before_a_key(tmp_path, head, keys, message):
    """A column is nearer to the cell; a key that would come before it is refused."""
    folder = study(tmp_path, head, "1,0.5", keys)
    if message:
        assert message in refused(folder)[0]
    else:
        ndmc.load(folder)


def test_a_spread_of_an_exact_grade_is_refused(tmp_path):
    """A grade is held to the rule of keys, too."""
    grade = {"exact": {"distribution": "constant", "cv": "5 %"}}
    said, where = refused(study(tmp_path, "value", "1", {"grade": "exact"}, grades=grade))
    assert said.startswith("cv means nothing to constant; remove it")
    assert where.startswith("scenario.yaml:")


def test_a_row_with_both_spreads_is_refused_at_its_line(tmp_path):
    """Where cells may be empty, rows may say their spread in either way, but none in both."""
    parameter = {"quality": {"method": "laner", "reliability": 1}, "errors": {"year": "shared"}}
    folder = study(tmp_path, "value,cv,sd", "1,0.1,", parameter)
    table = (folder / "x.csv").read_text(encoding="utf-8")
    (folder / "x.csv").write_text(table.replace("2002,1,0.1,", "2002,1,,0.1"), encoding="utf-8")
    ndmc.load(folder)
    (folder / "x.csv").write_text(table.replace("2002,1,0.1,", "2002,1,0.1,2"), encoding="utf-8")
    assert refused(folder) == ("parameter 'x': give either cv or sd, not both", "x.csv:3")


def test_a_spread_of_an_exact_row_is_refused_at_its_line(tmp_path):
    """Where other rows of the column are uncertain it is read; an exact one says 0."""
    grades = {"exact": {"distribution": "constant"}, "survey": NORMAL}
    more = {"grades": grades, "confidence": {"A": "exact", "B": "survey"}}
    folder = study(tmp_path, "value,sd,confidence", "5,1,B", {"grade": "by_confidence"}, **more)
    table = (folder / "x.csv").read_text(encoding="utf-8")
    (folder / "x.csv").write_text(table.replace("2002,5,1,B", "2002,5,0,A"), encoding="utf-8")
    ndmc.load(folder)
    (folder / "x.csv").write_text(table.replace("2002,5,1,B", "2002,5,1,A"), encoding="utf-8")
    said, where = refused(folder)
    assert "sd is 1, but means nothing to constant, as its grade 'exact' is; write 0" in said
    assert where == "x.csv:3"


def test_all_columns_that_would_be_dropped_are_told(tmp_path):
    """Each in a message of its own."""
    with pytest.raises(ndmc.InputError) as wrong:
        ndmc.load(study(tmp_path, "value,sd,low,high", "10,3,0,20", NORMAL))
    said = [one.message for one in wrong.value.mistakes]
    assert ["column low" in said[0], "column high" in said[1], len(said)] == [True, True, 2]


def test_a_misspelt_score_is_named_before_it_is_missed(tmp_path):
    """What a row lacks is not what is wrong with it."""
    parameter = {"quality": "laner", "errors": {"year": "shared"}}
    said, where = refused(study(tmp_path, "value,Reliability", "5,2", parameter))
    assert (said, where) == (
        "the column 'Reliability' is not read; did you mean 'reliability'?",
        "x.csv:1",
    )


def test_a_column_of_words_that_looks_like_one_is_warned_of(tmp_path):
    """It changes no number, so the study is read."""
    folder = study(tmp_path, "value,Source", "5,a book", CV)
    with pytest.warns(ndmc.StudyWarning, match="x.csv:1: the column 'Source' is not read: call"):
        ndmc.load(folder)


LOOKALIKES = {
    "unit": "Unit units",
    "sd": "SD std stdev StdDev Std.Dev. standard_deviation uncertainty",
    "cv": "CV rel_sd RSD cv(%) cv_% sd[%]",
    "low": "min Low LowerBound lower minimum",
    "high": "max High UpperBound upper",
    "value": "Value value(kt)",
    "mode": "Mode",
    "sigma": "GSD",
    "distribution": "distribution Dist",
}


@pytest.mark.parametrize("right", LOOKALIKES)
def test_a_column_that_looks_like_one_that_is_read_is_refused(tmp_path, right):
    """By its name, with what to call it: passed over, a unit can be a factor of 1000."""
    names = LOOKALIKES[right].split()
    folder = study(tmp_path, ",".join(["value", *names]), ",".join("1" * (1 + len(names))), CV)
    said, where = refused(folder)
    assert where == "x.csv:1"
    for name in names:
        assert re.search(rf"{re.escape(repr(name))} is not read: .*{right}", said)


def test_right_columns_are_read(tmp_path):
    """As a row says its unit and its spread: these come before those of the parameter."""
    folder = study(tmp_path, "value,unit,sd,note,grade,source,comment", "10,kt/yr,5,,A,,", CV)
    cell = ndmc.load(folder).parameters["x"].marginals[0]
    assert (cell.central, cell.numbers) == (10_000, (10_000, 5_000))


def test_columns_of_others_are_left_alone(tmp_path):
    """A table may be shared by parameters that each read columns of their own."""
    exact = {"distribution": "constant"}
    folder = study(tmp_path, "min,max,value,sd", "1,9,5,2", {**exact, "column": "min"})
    assert "'max' is not read" in refused(folder)[0]
    data = one_parameter("2001..2003", dims=["year"], table="x.csv", column="min", **exact)
    shared = {"unit": "t/yr", "dims": ["year"], "table": "x.csv"}
    data["parameters"] |= {
        "most": {**shared, **exact, "column": "max"},
        "spread": {**shared, **NORMAL, "column": "value"},
    }
    (folder / "scenario.yaml").write_text(str(data), encoding="utf-8")
    assert ndmc.load(folder).parameters["spread"].uncertain


@pytest.mark.parametrize(("first", "then"), [("constant", "normal"), ("normal", "constant")])
def test_a_column_may_be_read_in_a_variant_alone(tmp_path, first, then):
    """What a variant reads, or what it leaves unread of the file, is not refused."""
    other = {"other": {"set": {"parameters.x.distribution": then}}}
    folder = study(tmp_path, "value,sd", "5,2", {**NORMAL, "distribution": first}, variants=other)
    for variant, distribution in (("", first), ("other", then)):
        uncertain = ndmc.load(folder, variant=variant).parameters["x"].uncertain
        assert uncertain == (distribution == "normal")


def test_labels_of_a_wide_table_may_have_any_name(tmp_path):
    """A column that is a label is none of numbers."""
    data = one_parameter(
        labels={"way": ["min", "SD"]},
        dims=["way"],
        table="x.csv",
        wide="way",
        distribution="constant",
    )
    folder = write(data, tmp_path / "study")
    (folder / "x.csv").write_text("min,SD\n1,2\n", encoding="utf-8")
    ndmc.load(folder)


PUBLISHED = {
    ("quantity,value,Unit,status", "given,5,kt,soft"): (1, "'Unit'; did you mean 'unit'"),
    ("quantity,value,unit,sd,status", "given,5,t,1,soft"): (1, "'sd'; call it 'uncertainty'"),
    ("quantity,value,unit", "given,5,t"): (1, "no column 'status'; every published"),
    ("quantity;value;status", "given;5;soft"): (1, "separated by semicolons"),
    ("quantity,value,unit,status", 'given,"1,5",t,soft'): (2, "'1,5' is not .*; write 1.5"),
    ("quantity,value,unit,status", "given,1 234 kt,,soft"): (2, "'1 234 kt' .*; write 1234 kt"),
    ("quantity,value,unit,status", "given,n/a,t,soft"): (2, "a number is needed"),
    ("quantity,value,unit,status", "given,,t,soft"): (2, "it is empty; give a number"),
    ("quantity,value,unit,status", "given,5 \u00b1 1,t,soft"): (2, "write one number"),
    ("quantity,value,uncertainty,status", "given,5,n/a,soft"): (2, "leave it empty where none"),
    ("quantity,value,uncertainty,status", "given,5,5,soft"): (2, "500%; if 5 % is meant, write"),
    ("quantity,value,,status", "given,5,x,soft"): (2, "'x' stands in column 3, which has no name"),
}


@pytest.mark.parametrize(("head", "row"), PUBLISHED)
def test_published_figures_are_read_alike(tmp_path, head, row):
    """Of a value of 1,5 the comma was a unit, and the column `unit` came before it: 1 t."""
    data = one_parameter(value=5, distribution="constant") | {"published": {"table": "x.csv"}}
    folder = write(data, tmp_path / "study")
    (folder / "x.csv").write_text(f"{head}\n{row}\n", encoding="utf-8")
    line, message = PUBLISHED[head, row]
    said, where = refused(folder)
    assert where == f"x.csv:{line}"
    assert re.search(message, said), said


def test_two_units_of_a_published_value_are_refused(tmp_path):
    """One was taken, the other dropped."""
    figure = {"quantity": "sum(given, over=year)", "value": "5 kt", "unit": "t", "status": "soft"}
    data = one_parameter(value=5, distribution="constant") | {"published": [figure]}
    with pytest.raises(ndmc.InputError, match="value is in 'kt' but the unit is 't'; give one"):
        ndmc.validate(write(data, tmp_path / "study"), draws=2)
