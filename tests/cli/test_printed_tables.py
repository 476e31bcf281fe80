"""Tables on pages of any width and in any encoding: no number is cut, and no label is lost."""

import itertools
import re

import numpy as np
import pytest
from command import here
from command import ndmc as ndmc_alone
from strategies import write

import ndmc
from ndmc.cli.tables import console, fits, number, plain_table, print_table
from ndmc.store.opening import open_store

LONG = "Rest of the western hemisphere"
TITLE = "Whatever leaves the use of goods in a year, worn out, lost or broken"
LABELS = ["Österreich", "中国", LONG, f"{LONG} and beyond"]


def study(**more):
    """Return a scenario with numbers of many digits, labels that begin alike, and an event."""
    spread = {"distribution": "lognormal", "cv": "10 %", "errors": {"region": "shared"}}
    return {
        "format": 1,
        "name": "study",
        "unit": "t",
        "years": "2020..2022",
        "dims": {"region": LABELS},
        "parameters": {
            "bought": {"unit": "t/yr", "dims": ["region"], "value": 59669302, **spread},
            "goal": {"unit": "t", "value": 4e8, "distribution": "constant"},
            "huge": {"unit": "1", "value": 1e292, "distribution": "constant"},
        },
        "processes": ["use"],
        "flows": {
            "sales": {"from": "shop", "to": "use", "dims": ["region"], "value": "bought"},
            "waste": {"from": "use", "to": "tip", "dims": ["region"], "title": TITLE},
        },
        "stocks": {
            "in_use": {"process": "use", "dims": ["region"], "lifetime": "lognormal(500, 50)"}
        },
        "indicators": {
            "reached": "first_year(sum(in_use, over=region) > goal)",
            "missed": "first_year(sum(in_use, over=region) > 10 * goal)",
            "part": "in_use / sum(in_use, over=region)",
            "beyond": "sum(in_use, over=region) * huge",
        },
        **more,
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with the study, and a store of it."""
    folder = tmp_path_factory.mktemp("tables")
    write(study(headline=["sales", "waste", "in_use", "reached", "missed"]), folder / "study")
    ndmc.run(folder / "study", 300, out=folder / "study.zarr", dtype="float64")
    return folder


ASKED = {
    "run": ["study", "-n", 300, "--dtype", "float64", "--out", "study.zarr"],
    "percentiles": ["study.zarr"],
}


@pytest.mark.parametrize(("name", "width"), [*itertools.product(ASKED, [80, 100, 120])])
def test_no_number_is_cut_on_any_page(folder, name, width):
    """Fewer outputs stand beside each other, or percentiles below each other; labels fold."""
    done = here(name, *ASKED[name], folder=folder, COLUMNS=str(width))
    assert (done.code, done.err) == (0, "")
    assert "…" not in done.out
    rows = [line for line in done.out.splitlines() if not line.startswith(("balanced", "next"))]
    assert max(map(len, rows)) <= width
    store = open_store(folder / "study.zarr")
    for output in ["sales", "in_use", "waste", "reached", "missed"]:
        values = store.percentile(output)
        last = values[..., -1] if values.ndim > 1 else values
        assert {number(value) for value in last.ravel()} <= {*done.out.split()}
    assert {"2022", "never"} <= {*done.out.split()}
    assert "-0" not in done.out.split()
    assert {*TITLE.split()[:-1], "broken,"} <= {*done.out.split()}
    joined = re.sub(r"\s+", "", done.out)
    assert {"Österreich", "中国", "beyond"} <= {*re.findall(r"Österreich|中国|beyond", joined)}


def test_a_table_that_no_page_holds_is_wider_than_the_page(folder):
    """Lines are longer then, as a terminal and a log can have them, and whole."""
    done = here("percentiles", "study.zarr", folder=folder, COLUMNS="20")
    assert number(float(open_store(folder / "study.zarr").percentile("sales").max())) in done.out
    assert max(map(len, done.out.splitlines())) > 20


def test_a_table_of_many_rows_has_its_title_and_no_page(capsys):
    """It is lines of any length, so numbers are whole and no other form is chosen for it."""
    table = plain_table("all of them", "row", "number")
    for row in range(1001):
        table.add_row(str(row), "7" * 200)
    page = console()
    assert fits(page, table)
    print_table(page, table)
    title, head, first, *_ = capsys.readouterr().out.splitlines()
    assert (title, head.split(), first.split()) == (
        "all of them",
        ["row", "number"],
        ["0", "7" * 200],
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (-0.0, "0"),
        (999.96, "1000"),
        (2021.0, "2021"),
        (9999.4, "9999"),
        (9999.5, "10,000"),
        (-9_999_999_999.0, "-9,999,999,999"),
        (1e10, "1e+10"),
        (-1e300, "-1e+300"),
        (np.inf, "never"),
        (np.nan, "-"),
    ],
)
def test_a_number_is_short_and_a_year_a_year(value, text):
    """Four digits that count, all before the point up to 1e10, no sign of nothing."""
    assert number(value) == text


def test_a_check_shows_what_is_huge_and_what_never_happens(folder):
    """The same rule holds for values at the means, of whatever unit."""
    words = here("check", "study", folder=folder).out.split()
    assert {"2021", "never", "716,031,624", "7.16e+300"} <= {*words}
    assert "3 parameters (1 uncertain)" in " ".join(words)


def test_one_thing_is_not_many(tmp_path, cli):
    """A parameter, a flow, a stock, a year."""
    data = study(years="2020..2020")
    del data["indicators"], data["parameters"]["goal"], data["parameters"]["huge"]
    write(data, tmp_path / "study")
    out = cli("check", "study").out
    assert "1 parameter (1 uncertain), 2 flows, 1 process, 1 stock, 1 year: it can be run" in out


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252"])
@pytest.mark.parametrize("name", ["run", "percentiles", "info", "check"])
def test_letters_that_cannot_be_shown_are_numbers(folder, encoding, name):
    """A finished run ends well in any locale, and columns are as wide as what is in them."""
    asked = {**ASKED, "info": ["study.zarr"], "check": ["study"]}[name]
    done = here(name, *asked, folder=folder, encoding=encoding)
    assert (done.code, done.err) == (0, "")
    tables = re.findall(r"(?:^\+-+\+\n)(?:[|].*\n)+(?:^\+-+\+\n)", done.out, re.M)
    assert all(len({*map(len, table.splitlines())}) == 1 for table in tables)
    assert tables
    assert (r"\u4e2d\u56fd" in done.out) == (name in ASKED)


def test_a_finished_run_ends_well_in_the_c_locale(folder):
    """So it does in a process of its own, to which paths and words come as bytes."""
    environment = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = ndmc_alone("run", *ASKED["run"], folder=folder, **environment)
    assert (done.code, done.err) == (0, "")
    assert r"\xd6sterreich" in done.out


def test_words_have_their_letters_in_the_c_locale(folder):
    """They come as bytes of UTF-8 there: labels are picked, and shown as what they are."""
    environment = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    asked = ["check", "study", "--sel", "region=Österreich"]
    done = ndmc_alone(*asked, folder=folder, **environment)
    assert (done.code, done.err) == (0, "")
    changed = ["--set", "parameters.bought.Ö=1", "--set", "parameters.bought.table=ö.csv"]
    done = ndmc_alone(*asked, *changed[:2], folder=folder, **environment)
    assert (done.code, r"bought.\xd6" in done.err) == (2, True)
    changed = [*changed[2:], "--set", "parameters.bought.value="]
    done = ndmc_alone(*asked, *changed, folder=folder, **environment)
    assert done.err.endswith("; set LC_ALL=C.UTF-8 or PYTHONUTF8=1\n")


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "utf-16"])
def test_a_script_holds_names_whatever_a_terminal_shows(folder, encoding):
    """A job finds what its command was given: the bytes of paths are not those of the terminal."""
    asked = ["job", "slurm", "study", "--parts", "2", "--out", "Ö 中.zarr"]
    done = here(*asked, folder=folder, encoding=encoding)
    assert (done.code, done.err) == (0, "")
    assert "--out 'Ö 中.zarr'" in done.out


# --- what is picked ---------------------------------------------------------------------------


def rows_of(out):
    """Return the first column of each row of tables."""
    return [line.strip().split("   ")[0] for line in out.splitlines()]


def test_a_run_shows_the_years_and_labels_that_are_picked(folder):
    """The closing table has a row for each cell, and a total where no label is left out."""
    picked = ["--sel", "year=2020..2021", "--sel", f"region=中国,{LONG}"]
    done = here("run", *ASKED["run"], *picked, folder=folder)
    assert (done.code, done.err) == (0, "")
    rows = [row for row in rows_of(done.out) if re.search(", 20[0-9]{2}$", row)]
    assert rows[:4] == [f"{label}, {year}" for label in ("中国", LONG) for year in (2020, 2021)]
    assert not [row for row in rows if row.startswith("total")]
    done = here("run", *ASKED["run"], "--sel", "2020, 2022", folder=folder)
    assert {"total, 2020", "total, 2022"} <= {*rows_of(done.out)}
    stored = open_store(folder / "study.zarr").percentile("in_use_total")
    row = next(line for line in done.out.splitlines() if number(stored[0, 2]) in line)
    assert row.split()[:5] == ["total,", "2022", *map(number, stored[:, 2])]


def test_a_check_shows_the_years_and_labels_that_are_picked(folder):
    """Totals are of picked labels, in picked years; what is not added up is a dash, explained."""
    done = here("check", "study", "--sel", "2020..2021", folder=folder)
    assert re.search(r"determined by +unit +2020 +2021 +$", done.out, re.M)
    dash = "-: indicators are not added up over labels; pick one, such as --sel 'region=Österreich'"
    assert dash in done.out.splitlines()
    done = here("check", "study", "--sel", "region=Österreich", folder=folder)
    assert "-:" not in done.out
    assert "0.25" in done.out.split()
    found = ndmc.check(folder / "study", sel={"year": "2020..2021", "region": ["中国", LONG]})
    assert found.years == (2020, 2021)
    values = {one.output.name: one.values for one in found.quantities}
    assert values["sales"] == pytest.approx([2 * 59669302] * 2, rel=1e-12)
    assert values["reached"] == (2021, 2021)


@pytest.mark.parametrize(
    ("picked", "message"),
    [
        ("year=2050", "2050 lies after the years of the scenario, 2020..2022"),
        ("reg=中国", "there is no dim 'reg'; did you mean 'region'?"),
        ("year=2022..2020", "'2022..2020' runs backwards; write 2020..2022"),
    ],
)
@pytest.mark.parametrize("name", ["run", "check"])
def test_what_cannot_be_picked_is_said_first(folder, name, picked, message):
    """Nothing is computed for it."""
    done = here(name, "study", "--sel", picked, folder=folder)
    assert (done.code, done.out, done.err) == (2, "", f"error: --sel: {message}\n")
