"""What is made of runs whose labels belong to others: stores, tables, studies, estimates."""

import csv

import numpy as np
import pytest
import xarray as xr
from command import here
from ragged import CELLS, ragged
from strategies import scenario, write

import ndmc
from ndmc.studies.named_cells import dims_of


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Return a run that is kept whole."""
    folder = tmp_path_factory.mktemp("ragged")
    ndmc.run(write(ragged(), folder / "s"), 300, out=folder / "run.zarr", percentiles=["stock"])
    return folder / "run.zarr"


def test_cells_are_stored_with_what_they_belong_to(store):
    """Along uses stands the metal of each."""
    found = ndmc.open(store).in_use
    named = zip(found.use_metal.values.tolist(), found.use.values.tolist(), strict=True)
    assert [*named] == CELLS
    indium = found.isel(use=(found.use_metal == "indium").values).sum("use")
    np.testing.assert_allclose(indium, ndmc.open(store).stock.sel(metal="indium"), rtol=1e-6)


def test_labels_are_picked_by_what_they_belong_to(store):
    """A label is known by itself, by its parent, or by both."""
    year = {"year": 2010}
    every = ndmc.percentiles(store, "in_use", sel=year)
    own = ndmc.percentiles(store, "in_use", sel={**year, "metal": "indium", "use": "laptop"})
    np.testing.assert_array_equal(own.in_use.squeeze(), every.in_use[:, 3])
    laptops = ndmc.percentiles(store, "in_use", sel={**year, "use": ["laptop"]})
    assert laptops.use_metal.values.tolist() == ["lithium", "indium"]
    with pytest.raises(ndmc.InputError, match="no use vehicle belongs to the metal indium"):
        ndmc.percentiles(store, "in_use", sel={"metal": "indium", "use": "vehicle"})


def test_a_sum_leaves_what_labels_belong_to(store):
    """As if both dims were there."""
    summed = ndmc.percentiles(store, "in_use", over="use")
    stock = ndmc.percentiles(store, "stock")
    np.testing.assert_allclose(summed.in_use, stock.stock, rtol=1e-6)
    whole = ndmc.percentiles(store, "in_use", over=["metal", "use"], sel={"year": 2010})
    assert whole.in_use.dims == ("quantile",)
    with pytest.raises(ndmc.InputError, match="each use belongs to one metal; sum over use first"):
        ndmc.percentiles(store, "in_use", over="metal")


def test_what_is_left_may_belong_to_others_itself(tmp_path):
    """Its labels stand once for each of those, and are told apart by them."""
    parts = {"li": {"car": ["rim", "seat"], "tv": ["rim"]}, "co": {"car": ["rim", "door"]}}
    data = {
        "format": 1,
        "name": "three",
        "unit": "t",
        "years": "2001..2001",
        "dims": {
            "metal": ["li", "co"],
            "use": {"of": "metal", "labels": {"li": ["car", "tv"], "co": ["car"]}},
            "part": {"of": "use", "labels": parts},
        },
        "parameters": {
            "demand": {
                "unit": "t/yr",
                "dims": ["part"],
                "distribution": "constant",
                "value": {
                    "li": {"car": {"rim": 1, "seat": 2}, "tv": {"rim": 4}},
                    "co": {"car": {"rim": 8, "door": 16}},
                },
            }
        },
        "processes": ["making"],
        "flows": {
            "made": {"from": "world", "to": "making", "dims": ["part"], "value": "demand"},
            "sold": {"from": "making", "to": "world", "dims": ["part"]},
        },
    }
    run = tmp_path / "run.zarr"
    ndmc.run(write(data, tmp_path / "s"), 1, out=run)
    found = ndmc.percentiles(run, "made", over="part", quantiles=0.5)
    assert found.made.values.reshape(-1).tolist() == [3, 4, 24]
    assert found.use_metal.values.tolist() == ["li", "li", "co"]
    out = " ".join(here("percentiles", run, "-v", "made", "--over", "part", "-q", "50").out.split())
    assert "li tv 2001 4" in out
    assert "co car 2001 24" in out


def test_labels_of_a_study_are_told_apart_by_all_above_them():
    """A label of a middle dim stands once for each that it belongs to."""
    along = {
        "use": ["car", "tv", "car"],
        "use_metal": ("use", ["li", "li", "co"], {"long_name": "metal"}),
        "part": ["rim", "rim", "door"],
        "part_metal": ("part", ["li", "co", "co"], {"long_name": "metal"}),
        "part_use": ("part", ["car", "car", "car"], {"long_name": "use"}),
    }
    data = {"used": ("use", [1.0] * 3), "made": ("part", [1.0] * 3)}
    dims = dims_of(xr.Dataset(data, along))
    assert dims.belongs["part"] == {"metal": (0, 1, 1), "use": (0, 2, 2)}
    assert dims.along("part", dims.picked({"metal": ["co"], "use": ["car"]})) == (1, 2)


def test_tables_name_both(store):
    """A label that stands twice is told by what it belongs to."""
    done = here("percentiles", store, "-v", "in_use", "--sel", "metal=lithium year=2010")
    assert "lithium vehicle 2010" in " ".join(done.out.split())


def test_a_study_tells_cells_apart(tmp_path):
    """Shares are those of one cell, and their table names it."""
    folder, table = write(ragged(), tmp_path / "s"), tmp_path / "shares.csv"
    store = tmp_path / "study.zarr"
    options = ["--groups", "label:use", "-v", "in_use", "--sel", "use=laptop year=2010"]
    done = here("sensitivity", folder, "-n", "2048", "--out", store, *options, "--csv", table)
    assert "of indium, laptop in 2010" in done.out
    with table.open(encoding="utf-8") as lines:
        rows = [row for row in csv.DictReader(lines) if row["group"] == "use=tv" and row["use"]]
    assert [row["metal"] for row in rows] == ["lithium", "indium"]
    assert {row["flag"] for row in rows} == {"structural_zero"}


def test_estimates_balance_over_what_labels_belong_to():
    """Flows by use balance with flows by what uses belong to."""
    uses = {"a": ["x", "y"], "b": ["x"]}
    given = {"unit": "t/yr", "distribution": "normal", "cv": 0.1}
    data = {
        "format": 1,
        "name": "ragged_estimates",
        "unit": "t",
        "years": "2000..2000",
        "dims": {"k": [*uses], "use": {"of": "k", "labels": uses}},
        "parameters": {
            "enters": given | {"dims": ["k"], "value": 10, "errors": {"k": "independent"}},
            "leaves": given
            | {"dims": ["use"], "value": {"a": {"x": 4, "y": 5}, "b": {"x": 12}}}
            | {"errors": {"k": "independent", "use": "independent"}},
        },
        "processes": ["middle"],
        "flows": {
            "enter": {"from": "outside", "to": "middle", "dims": ["k"]},
            "leave": {"from": "middle", "to": "sink", "dims": ["use"]},
        },
        "reconcile": {"measured": {"enter": "enters", "leave": "leaves"}},
    }
    found = ndmc.reconcile(scenario(data))
    enter, leave = found.enter.values.ravel(), found.leave.values.ravel()
    np.testing.assert_allclose(enter, [leave[0] + leave[1], leave[2]], rtol=1e-12)
    # by hand: 10 - 12 = -2 is shared by variances 1 and 1.44
    np.testing.assert_allclose(enter[1], 10 + 2 / 2.44, rtol=1e-12)
