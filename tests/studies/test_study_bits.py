"""A study has the same bits however it is run."""

import numpy as np
import pytest
import xarray as xr
from command import here
from numpy.testing import assert_array_equal
from tiny import write_scenario

from ndmc.engine import tile_width

DRAWS = 6144
#: Of few outputs: each has some hundred variables.
ASKED = ["-v", "in_use,reuse", "--exceed", "in_use > 3000 t"]


def study(folder, name, *options, draws=DRAWS, asked=ASKED):
    """Run a study of the tiny scenario and return all it has to say of shares."""
    out = folder / f"{name}.zarr"
    words = ["sensitivity", folder / "tiny", "-n", draws, "--seed", 4, "--out", out]
    done = here(*words, *asked, *options, folder=folder)
    assert (done.code, done.err) == (0, "")
    return shares(out)


def shares(out):
    """Return the shares in a store."""
    with xr.open_zarr(out, group="sensitivity", consolidated=False) as found:
        return found.load()


def assert_same(got, wanted):
    """Demand every bit and attribute."""
    assert set(got.variables) == set(wanted.variables)
    for name, values in wanted.variables.items():
        assert_array_equal(got[name].values, values.values, name)
        assert got[name].attrs == values.attrs, name
    assert got.attrs == wanted.attrs


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with the tiny scenario."""
    path = tmp_path_factory.mktemp("bits")
    write_scenario(path / "tiny")
    return path


@pytest.fixture(scope="module")
def whole(folder):
    """Return the shares of a study done at once."""
    return study(folder, "whole", "--workers", 1)


WAYS = {
    "small blocks": ["--block", 2048, "--workers", 2],
    "whole blocks": ["--block", 8192],
}


@pytest.mark.parametrize("way", WAYS)
def test_blocks_and_workers_change_no_bit(folder, whole, way):
    """Nor does anything that is only said about when it was done."""
    assert_same(study(folder, way, *WAYS[way]), whole)


def test_tiles_change_no_bit(folder, whole, monkeypatch):
    """Sums are those of leaves, whatever tiles these lie in."""
    monkeypatch.setattr(tile_width, "TILE", 64)
    assert_same(study(folder, "narrow tiles"), whole)


def test_a_study_that_goes_on_is_one_of_all_draws(folder, whole):
    """From 2,048 draws to 6,144, by way of an odd number of batches."""
    for draws in (2048, 4000):
        study(folder, "more", draws=draws)
    assert_same(study(folder, "more"), whole)


def test_parts_are_one_study(folder, whole):
    """Whatever part is done first."""
    for part in ("2/2", "1/2"):
        out = folder / "parts.zarr"
        words = ["sensitivity", folder / "tiny", "-n", DRAWS, "--seed", 4, "--block", 2048, *ASKED]
        assert here(*words, "--part", part, "--out", out, folder=folder).code == 0
    assert_same(shares(out), whole)


def test_an_output_has_its_shares_whatever_else_is_asked(folder, whole):
    """One output alone, where its control is fitted on the same scores."""
    alone = study(folder, "alone", asked=["-v", "in_use"])
    among = whole.sel(group=alone.group)
    assert alone.sizes["group"] < whole.sizes["group"]
    for name in ("in_use_first_order", "in_use_total_total_order"):
        np.testing.assert_allclose(alone[name], among[name], rtol=0, atol=1e-12)


def test_a_group_has_its_shares_whatever_the_others_are(folder, whole):
    """Named alone, with all others as one."""
    (folder / "two.yaml").write_text("groups:\n  goods: [content]\n  others: '*'\n")
    two = study(folder, "two", "--groups", folder / "two.yaml")
    assert two.group.values.tolist() == ["goods", "others"]
    for of in ("first_order", "total_order"):
        name = f"in_use_{of}"
        got, wanted = two[name].sel(group="goods"), whole[name].sel(group="content")
        np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-12)
    rest = 1 - two.in_use_first_order.sel(group="others")
    np.testing.assert_allclose(two.in_use_total_order.sel(group="goods"), rest, rtol=0, atol=1e-12)


def test_no_first_share_is_above_its_total(whole):
    """Without a control in every sample; no group shares what it does not reach."""
    titles = [str(name).removesuffix("_flag") for name in whole if str(name).endswith("_flag")]
    assert titles
    for title in titles:
        first, total = whole[f"{title}_first_order"], whole[f"{title}_total_order"]
        flags = whole[f"{title}_flag"]
        if f"{title}_controlled" not in whole:
            assert ((first <= total) | np.isnan(first)).all(), title
        for of in ("first_order", "total_order", "first_order_low", "total_order_high"):
            assert (whole[f"{title}_{of}"].where(flags == 1, 0.0) == 0).all(), title
