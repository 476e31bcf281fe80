"""Precision on request: single in the computation, fewer bits in what is kept."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from strategies import bundled

import ndmc
from ndmc import InputError
from ndmc.engine.audit import LIMITS, Audit
from ndmc.engine.evaluation import evaluate
from ndmc.model import compile_plan
from ndmc_kernels.rows import ROUND

SINGLE = float(np.finfo(np.float32).eps)


# --- computed in single precision ----------------------------------------------------------------


@pytest.mark.parametrize("name", ["china_nd", "starter"])
def test_single_precision_is_near_double(name):
    """Every output is within 64 roundings of the largest of its draws."""
    plan = compile_plan(bundled(name))
    double = evaluate(plan, 1, range(300))
    single = evaluate(plan, 1, range(300), compute="float32")
    for output, values in double.items():
        known = np.isfinite(values)
        assert_array_equal(known, np.isfinite(single[output]), output)
        error = np.abs(single[output] - values, where=known, out=np.zeros_like(values))
        largest = np.abs(values, where=known, out=np.zeros_like(values)).max()
        assert error.max() <= 64 * SINGLE * largest, output


def test_single_precision_balances_to_its_own_rounding():
    """Residuals are within 64 roundings of single precision, and beyond those of double."""
    plan = compile_plan(bundled("china_nd"), whole=True)
    audit = Audit(plan)
    with np.errstate(all="ignore"):
        evaluate(plan, 1, range(300), compute="float32", audit=audit)
    assert LIMITS["float64"] < audit.worst <= LIMITS["float32"] == 64 * SINGLE


@settings(deadline=None, max_examples=10)
@given(cut=st.integers(1, 299))
def test_single_precision_does_not_depend_on_cuts(cut):
    """Draws in two parts have the bits of those in one."""
    plan = compile_plan(bundled("starter"))
    whole = evaluate(plan, 3, range(300), compute="float32")
    parts = [evaluate(plan, 3, draws, compute="float32") for draws in (range(cut), range(cut, 300))]
    for name, values in whole.items():
        assert_array_equal(np.concatenate([p[name] for p in parts], axis=-1), values)


# --- fewer bits ----------------------------------------------------------------------------------


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
        ({"compute": "float16"}, "compute is 'float16'; choose float64 or float32"),
    ],
)
def test_impossible_precisions_are_refused(tmp_path, options, message):
    """Says what there is, and writes nothing."""
    with pytest.raises(InputError, match=message):
        ndmc.run("starter", 10, seed=1, out=tmp_path / "run.zarr", **options)
    assert not (tmp_path / "run.zarr").exists()


@pytest.mark.parametrize("options", [{"bits": 9}, {"compute": "float32"}])
def test_another_precision_is_another_run(tmp_path, options):
    """A store goes on only in the precision it was begun in."""
    ndmc.run("starter", 300, seed=1, out=tmp_path / "run.zarr", keep=["in_use"])
    with pytest.raises(InputError, match="the store belongs to another run"):
        ndmc.run("starter", 600, seed=1, out=tmp_path / "run.zarr", keep=["in_use"], **options)
