"""How often outputs are above limits, and the totals that a run knows by name."""

import csv

import numpy as np
import pytest
from command import here
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import binomtest

import ndmc

DRAWS = 300
LIMITS = [("in_use", 3000.0), ("in_use", 1e9), ("in_use_total", "6 kt"), ("in_use", 0.0)]


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Return the path of a store that was given limits, and its draws."""
    out = tmp_path_factory.mktemp("limits") / "run.zarr"
    kept = ["in_use", "sales"]
    draws = ndmc.run("starter", DRAWS, out=out, keep=kept, exceed=LIMITS, dtype="float64")
    return out, draws.load()


def test_info_says_how_often_each_limit_is_exceeded(stored):
    """Of every cell of the last year, with the exact limits of the share."""
    out, draws = stored
    last = draws.in_use.isel(year=-1)
    found = ndmc.info(out).exceeded
    expected = {
        (name, limit, f"{label}, {int(draws.year[-1])}"): int(
            (last.sel(product=label) > limit).sum()
        )
        for name, limit in LIMITS
        if name == "in_use"
        for label in last["product"].values.tolist()
    }
    total = int((last.sum("product") > 6000).sum())
    expected["in_use_total", 6000.0, str(int(draws.year[-1]))] = total
    assert {one[0:2] + one[3:4]: one.share for one in found} == {
        key: count / DRAWS for key, count in expected.items()
    }
    assert {0.0, 1.0} < {one.share for one in found}
    for one in found:
        wanted = binomtest(round(one.share * DRAWS), DRAWS).proportion_ci(method="exact")
        assert_allclose([one.low, one.high], wanted, rtol=1e-9)


def test_percentiles_have_the_shares_of_what_is_picked(stored):
    """Labels are picked from them as from percentiles; of other sums the run knows none."""
    out, draws = stored
    years = {"year": "2010..2012"}
    found = ndmc.percentiles(out, ["in_use", "in_use_total", "sales"], sel=years)
    assert_array_equal(found.in_use_limit, [3000.0, 1e9, 0.0])
    some = draws.in_use.sel(year=slice(2010, 2012)).transpose("draw", "product", "year")
    wanted = np.stack([(some > limit).mean("draw") for limit in (3000.0, 1e9, 0.0)])
    assert_array_equal(found.in_use_exceedance, wanted)
    wanted = (some.sum("product") > 6000).mean("draw")
    assert_array_equal(found.in_use_total_exceedance[0], wanted)
    assert "sales_exceedance" not in found
    one = [str(draws["product"].values[0])]
    part = ndmc.percentiles(out, "in_use", sel={"product": one}, over="product")
    assert "in_use_exceedance" not in part


def test_a_total_is_the_sum_over_all_labels(stored):
    """Its name gives what ``over`` gives, whether draws are kept or not."""
    out, _ = stored
    dims = ndmc.open(out).in_use.dims
    others = [dim for dim in dims if dim not in ("draw", "year")]
    found = ndmc.percentiles(out, ["in_use_total", "end_of_life_total"], quantiles=[0.5])
    for name in ("in_use", "end_of_life"):
        wanted = ndmc.percentiles(out, name, quantiles=[0.5], over=others)
        for suffix in ("", "_low", "_high", "_mean", "_sd"):
            assert_array_equal(found[f"{name}_total{suffix}"], wanted[name + suffix])


@pytest.mark.parametrize("asked", [["info"], ["percentiles", "-v", "in_use", "--sel", "2012"]])
def test_commands_show_the_shares(stored, asked):
    """In a table of their own, with the limit and its unit."""
    out, _ = stored
    done = here(*asked, out)
    assert (done.code, done.err) == (0, "")
    rows = done.out.partition("share of draws above a limit")[2].splitlines()
    shown = next(row.split() for row in rows if "1,000,000,000 t" in row)
    assert shown[-6:] == ["0", "%", "0", "..", "1.222", "%"]


def test_a_table_of_rows_has_the_shares(stored, tmp_path):
    """They stand behind the percentiles of the same cell."""
    out, _ = stored
    asked = ["percentiles", out, "-v", "in_use", "-v", "in_use_total", "--sel", "2010..2012"]
    done = here(*asked, "--csv", tmp_path / "rows.csv")
    assert (done.code, done.err) == (0, "")
    with (tmp_path / "rows.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["variable"] == "in_use"]
    found = ndmc.percentiles(out, "in_use", sel={"year": "2010..2012"}).in_use_exceedance
    for limit, share in zip((3000.0, 1e9), found.values, strict=False):
        assert [float(row[f"above {limit:g}"]) for row in rows] == share.ravel().tolist()


def test_a_sum_that_the_run_has_not_is_refused(stored):
    """It says which it has, and what would give others."""
    out, _ = stored
    done = here("percentiles", out, "-v", "end_of_life", "--by-group", "product")
    message = "of the sums of 'end_of_life' the run has 'end_of_life_total' only: its draws are not"
    assert (done.code, done.err) == (2, f"error: {message} kept; run with --keep end_of_life\n")
