"""Nothing is silent: ignored numbers, negative flows, lost data, models that cannot run."""

import shutil

import numpy as np
import pytest
import xarray as xr

import ndmc
from ndmc.engine.audit import Audit
from ndmc.errors import InputError, RunError
from ndmc.model import compile_plan
from ndmc.store.opening import open_store

LOSS = 'loss_rate: {unit: "%", low: 2, mode: 4, high: 10, distribution: triangular}'


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ("value: 10, low: 5, high: 15, distribution: uniform", "value means nothing to uniform"),
        ("value: 5, low: 2, mode: 4, high: 10, distribution: triangular", "either value or mode"),
        ("value: 5, mu: 1, sigma: 0.1, distribution: lognormal", "either value or mu"),
        ("low: 2, high: 10, cv: 5 %, distribution: uniform", "cv means nothing to uniform"),
        ("value: 5, cv: 5 %, weights: [1], distribution: beta", "weights means nothing to beta"),
        ("value: 5, cv: 5, distribution: normal", "cv is 500%; if 5 % is meant, write the %"),
        ("value: 100, cv: 4 %, distribution: beta", "too large for a share of 1"),
    ],
)
def test_numbers_a_distribution_would_ignore_are_refused(scenario, loss, message):
    """A number that changes nothing is an error, as it reads like one that does."""
    folder = scenario("tiny", {LOSS: f'loss_rate: {{unit: "%", {loss}}}'})
    with pytest.raises(InputError, match=message):
        ndmc.load(folder)


def test_setting_a_value_that_means_nothing_is_refused(scenario):
    """A change from the command line with no effect is an error."""
    with pytest.raises(InputError, match="no single value to set"):
        ndmc.load(scenario(), changes={"loss_rate": "12"})


def test_cells_may_write_cv_as_percent(scenario):
    """A cv column means the same as the key: 5 % and 0.05 are one."""
    rows = ["product,year,value,cv"]
    rows += [
        f"{p},{y},100,{'5 %' if p == 'car' else 0.05}"
        for p in ("phone", "car")
        for y in range(2001, 2005)
    ]
    loaded = ndmc.load(scenario("tiny", {"production.csv": "\n".join(rows)}))
    assert {
        cell.numbers[1] / cell.numbers[0] for cell in loaded.parameters["production"].marginals
    } == {0.05}


def negative(scenario):
    """Return a scenario whose closed flow is negative in some draws."""
    share = 'collection:\n    unit: "%"\n    value: 60\n    cv: 5 %\n    distribution: beta'
    wild = 'collection:\n    unit: "%"\n    value: 95\n    cv: 5 %\n    distribution: normal'
    return scenario("tiny", {share: wild})


def test_negative_flows_are_counted_and_said(scenario, tmp_path, cli):
    """A flow that a balance drives below zero is counted by draw and reported, block or not."""
    folder = negative(scenario)
    plan = compile_plan(ndmc.load(folder), ["wasted", "recycled"])
    audit = Audit(plan)
    results = ndmc.evaluate(plan, 1, range(2000), audit=audit)
    expected = int((results["wasted"] < 0).reshape(-1, 2000).any(axis=0).sum())
    assert audit.count("negative")["wasted"] == expected > 100
    done = cli(
        "run", folder, "-n", 2000, "--keep", "wasted,recycled", "--block", 512, "--out", "n.zarr"
    )
    assert done.code == 0
    assert f"flow 'wasted', closed by a balance, is negative in {expected:,} of 2,000" in done.err
    assert open_store(tmp_path / "n.zarr").counted[-1] == ("wasted", "negative", expected)


def test_brackets_in_titles_are_only_brackets(scenario, cli):
    """Titles in square brackets, as units are, reach the terminal as they are."""
    folder = scenario("tiny", {"title: A tiny cycle": "title: 'A [/tiny] cycle [kt]'"})
    done = cli("run", folder, "-n", 50, "--out", "b.zarr")
    assert done.code == 0
    assert "A [/tiny] cycle [kt]" in done.out


def test_lost_data_are_found_by_the_same_command(scenario, tmp_path, cli):
    """A complete store that lost a shard or a whole output is refused, not shown."""
    command = (
        "run",
        scenario(),
        "-n",
        600,
        "--block",
        256,
        "--keep",
        "in_use,sales",
        "--out",
        "l.zarr",
    )
    assert cli(*command).code == 0
    whole = tmp_path / "whole.zarr"
    shutil.copytree(tmp_path / "l.zarr", whole)
    next((tmp_path / "l.zarr" / "in_use" / "c").rglob("0/0/0")).unlink()
    done = cli(*command)
    assert (done.code, done.out) == (1, "")
    assert "has lost part of its data (in_use/c/0/0/0)" in done.err
    assert "run the same command again with --repair" in done.err
    assert cli(*command, "--repair").code == 0
    shutil.rmtree(whole / "sales")
    with pytest.raises(RunError, match="has lost part of its data"):
        ndmc.percentiles(whole, "sales")


def test_models_that_cannot_run_leave_nothing(scenario, tmp_path, cli):
    """A division by zero is found by check, and by run before it writes."""
    folder = scenario(
        "tiny", {"value: recycled / sum(sales, over=product)": "value: recycled / lag(recycled)"}
    )
    done = cli("check", folder)
    assert done.code == 2
    assert "'reuse' is not finite with every parameter at its mean" in done.err
    done = cli("run", folder, "-n", 500, "--out", "x.zarr")
    assert done.code == 1
    assert "reuse [year=2001] is inf" in done.err
    assert not list(tmp_path.glob("x.zarr*"))


def test_what_overflows_by_its_unit_is_one_message(scenario, cli):
    """A quantity too large for its unit is named as not finite, and nothing else is said."""
    huge = "value: 1e307 * recycled / lag(recycled, 0)"
    folder = scenario("tiny", {"value: recycled / sum(sales, over=product)": huge})
    done = cli("check", folder)
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert "'reuse' is not finite with every parameter at its mean" in done.err


def test_repeated_selections_add_up(scenario, cli):
    """--sel for one dim twice is the two labels; one may name several dims, as targets do."""
    assert cli("run", scenario(), "-n", 50, "--keep", "in_use", "--out", "s.zarr").code == 0
    done = cli(
        "percentiles", "s.zarr", "--sel", "year=2003", "--sel", "year=2004", "--over", "product"
    )
    assert "2003" in done.out
    assert "2004" in done.out
    done = cli("percentiles", "s.zarr", "--sel", "year=2003..2004, product=car")
    assert "2003" in done.out
    assert "2004" in done.out
    assert "phone" not in done.out
    done = cli("percentiles", "s.zarr", "--sel", "year=1999 product=car")
    assert done.code == 2
    assert "--sel: 1999 lies before the years of the scenario, 2001..2004" in done.err


@pytest.mark.parametrize(
    "wrong", [{"draws": 100.5}, {"draws": True}, {"draws": "1e2"}, {"seed": 1.5}]
)
def test_numbers_of_the_wrong_kind_are_refused(scenario, tmp_path, wrong):
    """Draws and seed are whole numbers in Python too; nothing is written otherwise."""
    options = {"draws": 10, "seed": 1} | wrong
    with pytest.raises(InputError, match="must be a whole number"):
        ndmc.run(scenario(), options["draws"], seed=options["seed"], out=tmp_path / "w.zarr")
    assert not list(tmp_path.glob("w.zarr*"))


def test_kept_inputs_carry_their_labels(scenario, tmp_path):
    """Parameter draws under /inputs can be picked by label."""
    out = tmp_path / "i.zarr"
    ndmc.run(scenario(), 20, seed=1, out=out, keep=["production", "in_use"])
    inputs = xr.open_zarr(out, group="inputs")
    assert inputs.production.sel(product="car", year=2003).shape == (20,)
    assert np.isfinite(inputs.production.values).all()
