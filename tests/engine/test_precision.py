"""Precision on request: fewer bits in what is kept."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import ndmc
from ndmc import InputError
from ndmc.runs.replay import work_of
from ndmc.store.opening import open_store
from ndmc_kernels.rows import ROUND


@settings(deadline=None, max_examples=60)
@given(data=st.data())
@pytest.mark.parametrize("size", ROUND)
def test_rounded_to_the_nearest(size, data):
    """What is kept is the nearest number of so many bits; what is not finite stays as it is."""
    dtype, mantissa = np.dtype(f"f{size}"), np.finfo(f"f{size}").nmant
    bits = data.draw(st.integers(1, mantissa - 1))
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    powers = 10.0 ** rng.integers(-30, 30, (3, 70))
    values = (rng.normal(size=(3, 70)) * powers).astype(dtype)
    values[:, :4] = [np.inf, -np.inf, 0.0, 1.0]
    rounded = values.copy()
    ROUND[size](rounded.view(f"i{size}"), 0, 60, mantissa - bits)
    assert_array_equal(rounded[:, 60:], values[:, 60:])
    assert_array_equal(rounded[:, :4], values[:, :4])
    kept, given = rounded[:, 4:60].astype(np.float64), values[:, 4:60].astype(np.float64)
    assert (np.abs(kept - given) <= 2.0 ** -(bits + 1) * np.abs(given)).all()
    scaled, _ = np.frexp(kept)
    assert_array_equal(scaled * 2.0 ** (bits + 1) % 1, 0)


def test_a_run_keeps_and_ranks_rounded_draws(tmp_path):
    """Stored draws have so many bits, percentiles are those of stored draws, the store tells."""
    options = {"seed": 1, "keep": ["in_use"], "percentiles": ["kept"]}
    ndmc.run("starter", 600, out=tmp_path / "rounded.zarr", bits=9, **options)
    ndmc.run("starter", 600, out=tmp_path / "whole.zarr", **options)
    rounded, whole = (xr.open_zarr(tmp_path / f"{name}.zarr") for name in ("rounded", "whole"))
    assert (rounded.attrs["bits"], rounded.attrs["rounding_error"]) == (9, 2.0**-10)
    assert whole.attrs["rounding_error"] == 2.0**-24
    ratio = rounded.in_use.values / whole.in_use.values
    assert 0 < np.abs(ratio - 1).max() <= 2.0**-10
    patterns = rounded.in_use.values.view(np.int32)
    assert_array_equal(patterns & ((1 << 14) - 1), 0)
    found = xr.open_zarr(tmp_path / "rounded.zarr", group="percentiles")
    expected = np.quantile(rounded.in_use.values.astype(float), found["quantile"].values, axis=0)
    assert_array_equal(found.in_use.transpose("quantile", "year", "product").values, expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bits": 24}, "24 bits of the mantissa asked for; float32 has 23, 0 keeps all"),
        ({"bits": -1}, "-1 bits of the mantissa asked for"),
    ],
)
def test_impossible_precisions_are_refused(tmp_path, options, message):
    """Says what there is, and writes nothing."""
    with pytest.raises(InputError, match=message):
        ndmc.run("starter", 10, seed=1, out=tmp_path / "run.zarr", **options)
    assert not (tmp_path / "run.zarr").exists()


def test_another_precision_is_another_run(tmp_path):
    """A store goes on only in the precision it was begun in."""
    ndmc.run("starter", 300, seed=1, out=tmp_path / "run.zarr", keep=["in_use"])
    with pytest.raises(InputError, match="the store belongs to another run"):
        ndmc.run("starter", 600, seed=1, out=tmp_path / "run.zarr", keep=["in_use"], bits=9)


def begun(place, **attributes):
    """Return the store of a short run with some attributes as an older version wrote them."""
    ndmc.run("starter", 300, seed=1, out=place, keep=["in_use"])
    store = open_store(place)
    entries = [*store.entries()]
    older = store.write_attributes(**attributes)
    for entry in entries:
        older.ledger.write(entry)
    return older


def test_a_store_that_was_computed_in_double_precision_is_the_same_run(tmp_path):
    """Stores say so, as they did when there was a choice, and go on."""
    store = begun(tmp_path / "run.zarr")
    assert store.attrs["compute"] == "float64"
    ndmc.run("starter", 600, seed=1, out=tmp_path / "run.zarr", keep=["in_use"])
    assert open_store(tmp_path / "run.zarr").attrs["draws"] == 600


def test_a_store_that_was_computed_in_single_precision_is_only_read(tmp_path):
    """Its percentiles are there; draws of two precisions are never mixed."""
    begun(tmp_path / "run.zarr", compute="float32")
    assert ndmc.percentiles(tmp_path / "run.zarr").in_use.size
    with pytest.raises(InputError, match="compute: 'float32', asked for 'float64'"):
        ndmc.run("starter", 600, seed=1, out=tmp_path / "run.zarr", keep=["in_use"])
    with pytest.raises(InputError, match="can be read, but not gone on with"):
        work_of(str(tmp_path / "run.zarr"))
