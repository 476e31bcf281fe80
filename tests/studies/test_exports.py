"""Tables for others: long, in the form of IAMC, NetCDF."""

import csv
import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr
from command import here

import ndmc
from ndmc import InputError, StudyWarning


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """Return a folder with a run that keeps draws, and an ensemble."""
    folder = tmp_path_factory.mktemp("stores")
    ndmc.run("starter", 300, out=folder / "run.zarr", keep=["in_use"])
    entry = {"policies": ["base", "long_lives"], "futures": {"now": [], "later": []}}
    entry |= {"outputs": ["in_use", "recycled_share"]}
    ndmc.ensemble(ndmc.load("starter", ensemble=entry), 300, out=folder / "all.zarr")
    return folder


def rows(path):
    """Return the rows of a table."""
    with path.open(newline="", encoding="utf-8") as file:
        return [*csv.DictReader(file)]


def test_a_long_table_has_a_row_for_each_cell(stores, tmp_path):
    """With what names it, and each percentile with its limits."""
    ndmc.export(stores / "all.zarr", tmp_path / "long.csv", outputs=["in_use"])
    found, known = rows(tmp_path / "long.csv"), ndmc.ensemble(stores / "all.zarr")
    assert len(found) == 2 * 2 * 3 * 15
    for row in found[::17]:
        cell = {"policy": row["policy"], "future": row["future"], "product": row["product"]}
        one = known.sel(**cell, year=int(row["year"]))
        assert float(row["p97.5"]) == one.in_use.sel(quantile=0.975).item()
        assert float(row["p50_low"]) == one.in_use_low.sel(quantile=0.5).item()
        assert float(row["mean"]) == one.in_use_mean.item()
        assert row["unit"] == "t"


def test_iamc_has_a_scenario_for_each_percentile(stores, tmp_path):
    """Columns, years and names are those of IAMC; no row stands twice."""
    path = tmp_path / "iamc.csv"
    ndmc.export(stores / "all.zarr", path, outputs=["in_use", "recycled_share"])
    found = rows(path)
    assert [*found[0]][:5] == ["Model", "Scenario", "Region", "Variable", "Unit"]
    assert [*found[0]][5:] == [str(year) for year in range(2010, 2025)]
    heads = [tuple(row.values())[:5] for row in found]
    assert len({*heads}) == len(heads) == 2 * 2 * 3 * (3 + 1)
    row = next(r for r in found if r["Scenario"] == "long_lives|now|p50" and "car" in r["Variable"])
    known = ndmc.ensemble(stores / "all.zarr").in_use
    known = known.sel(policy="long_lives", future="now", product="car", quantile=0.5)
    np.testing.assert_array_equal([float(row[str(y)]) for y in known.year.values], known.values)


@pytest.mark.skipif(importlib.util.find_spec("pyam") is None, reason="pyam is not installed")
def test_pyam_reads_it(stores, tmp_path):
    """In a process of its own, as what it imports warns."""
    ndmc.export(stores / "all.zarr", tmp_path / "iamc.csv", outputs=["in_use"])
    code = "import pyam, sys; print(len(pyam.IamDataFrame(sys.argv[1]).scenario))"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, tmp_path / "iamc.csv"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split()[-1] == "12"


def test_draws_that_are_stored_are_written(stores, tmp_path):
    """Each as a row, and in IAMC's form as a scenario of its own."""
    ndmc.export(stores / "run.zarr", tmp_path / "d.csv", draws=True, sel={"product": "car"})
    found, known = rows(tmp_path / "d.csv"), ndmc.open(stores / "run.zarr").in_use
    assert len(found) == 300 * 15
    one = found[4321]
    cell = {"draw": int(one["draw"]), "year": int(one["year"]), "product": "car"}
    assert float(one["value"]) == float(known.sel(**cell))
    ndmc.export(stores / "run.zarr", tmp_path / "iamc.csv", draws=True, sel={"product": "car"})
    assert rows(tmp_path / "iamc.csv")[7]["Scenario"] == "starter|draw 7"


def test_a_mapping_names_models_regions_and_variables(stores, tmp_path):
    """A dim may be the region."""
    text = "model: mine\nregion: product\nvariables: {in_use: 'Stock|Lithium'}\n"
    (tmp_path / "m.yaml").write_text(text)
    done = here(
        "export", stores / "run.zarr", "--to", tmp_path / "x-iamc.csv", "-v", "in_use",
        "--mapping", tmp_path / "m.yaml", "-q", "50",
    )  # fmt: skip
    assert (done.code, done.err) == (0, "")
    heads = [tuple(row.values())[:5] for row in rows(tmp_path / "x-iamc.csv")]
    assert heads[1] == ("mine", "starter|p50", "bicycle", "Stock|Lithium", "t")


def test_netcdf_is_read_by_xarray(stores, tmp_path):
    """By policy and future."""
    ndmc.export(stores / "all.zarr", tmp_path / "all.nc")
    with xr.open_dataset(tmp_path / "all.nc") as found:
        assert found.in_use_difference.dims[:3] == ("quantile", "policy", "future")
        known = ndmc.ensemble(stores / "all.zarr").in_use
        np.testing.assert_array_equal(found.in_use.values, known.values)


def test_what_has_no_years_is_left_out_of_iamc_with_a_warning(tmp_path, scenario):
    """An event is a year itself."""
    folder = scenario(changes={"indicators:": "indicators:\n  half: first_year(total > 9 kt)"})
    ndmc.run(folder, 300, out=tmp_path / "run.zarr", keep=["none"])
    with pytest.warns(StudyWarning, match="of half there are no years, .*; left out"):
        ndmc.export(tmp_path / "run.zarr", tmp_path / "iamc.csv")
    with pytest.raises(InputError, match=r"of half there are no years.* such as --to long\.csv"):
        ndmc.export(tmp_path / "run.zarr", tmp_path / "none-iamc.csv", outputs="half")
    assert not [*tmp_path.glob("*none*")]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"outputs": ["nope"]}, "'nope'"),
        ({"format": "xlsx"}, "'xlsx' is no format"),
        ({"draws": True, "outputs": ["sales"]}, "the draws of 'sales' are not stored"),
        ({"sel": {"product": "plane"}}, "plane"),
        ({"mapping": "nope.yaml"}, "nope.yaml"),
    ],
)
def test_what_is_wrong_leaves_the_file_as_it_was(stores, tmp_path, more, said):
    """Nothing half-written stays behind."""
    path = tmp_path / "x-iamc.csv"
    path.write_text("before")
    with pytest.raises(InputError) as told:
        ndmc.export(stores / "run.zarr", path, **more)
    assert said in str(told.value)
    assert path.read_text() == "before"
    assert [*tmp_path.iterdir()] == [path]


def test_a_file_that_says_it_is_another_is_refused(stores, tmp_path):
    """So is one whose folder is not there."""
    assert here("export", stores / "run.zarr", "--to", tmp_path / "x.xlsx").code == 2
    assert here("export", stores / "run.zarr", "--to", tmp_path / "no" / "x.csv").code == 1
    about = json.loads((stores / "all.zarr" / "zarr.json").read_text())["attributes"]
    assert "entry" in about["ensemble"]
