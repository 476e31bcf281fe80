"""Runs whose draws are reconciled: real stores, and one result however they are run."""

import json

import numpy as np
import pytest
import xarray as xr
from command import here
from disturbed import assert_identical, contents, entries, finishes, killed
from measured import market, product

from ndmc.errors import InputError
from ndmc.scenario.load import load

DRAWS = 12_000
PLAIN = ["--seed", 3, "--dtype", "float64"]


def crowded(tmp_path):
    """Write a linear market in which the active set has work to do."""
    return market(tmp_path, waste=1, use=63, draws="active_set")


def done_here(*arguments):
    """Run the command in this process, which must succeed without a word on stderr."""
    done = here(*arguments)
    assert (done.code, done.err) == (0, ""), done.err


SCENARIOS = {"linear": crowded, "product": product}


@pytest.fixture(scope="module", params=[*SCENARIOS])
def whole(request, tmp_path_factory):
    """Return a scenario's folder, and the contents and data of an undisturbed run of it."""
    folder = tmp_path_factory.mktemp(request.param)
    SCENARIOS[request.param](folder)
    out = folder / "run.zarr"
    finishes("run", folder, "-n", DRAWS, "--block", 1024, *PLAIN, "--out", out)
    with xr.open_zarr(out, consolidated=False) as found:
        return folder, contents(out), found.load()


LONG = ["linear", pytest.param("product", marks=pytest.mark.torture)]


@pytest.mark.parametrize("whole", LONG, indirect=True)
def test_blocks_and_workers_change_no_bit(whole, tmp_path):
    """Other blocks, workers and threads of linear algebra give the same draws."""
    folder, _, expected = whole
    ways = [("--block", 4096, "1"), ("--block", 512, "2")]
    for number, (*block, threads) in enumerate(ways):
        out = tmp_path / f"{number}.zarr"
        options = ["--workers", threads, *PLAIN, "--out", out]
        finishes("run", folder, "-n", DRAWS, *block, *options, OPENBLAS_NUM_THREADS=threads)
        with xr.open_zarr(out, consolidated=False) as found:
            for name in expected.data_vars:
                assert np.array_equal(found[name], expected[name]), name


def test_what_is_kept_changes_no_bit(whole, tmp_path):
    """One output alone is the same as among all."""
    folder, _, expected = whole
    done_here("run", folder, "-n", 3000, "--keep", "use", *PLAIN, "--out", tmp_path / "run.zarr")
    with xr.open_zarr(tmp_path / "run.zarr", consolidated=False) as found:
        assert "imports" not in found
        assert np.array_equal(found.use, expected.use[:3000])


def test_parts_make_one_run(whole, tmp_path):
    """Parts of a run hold the draws of one run."""
    folder, _, expected = whole
    out = tmp_path / "run.zarr"
    command = ["run", folder, "-n", DRAWS, "--block", 1024, *PLAIN, "--out", out, "--part"]
    codes = [here(*command, part).code for part in ("2/2", "1/2", "2/2")]
    assert codes[-1] == 0
    with xr.open_zarr(out, consolidated=False) as found:
        assert found.attrs["complete"] == 1
        assert np.array_equal(found.use, expected.use)


@pytest.mark.parametrize("whole", LONG, indirect=True)
def test_killed_and_raised_a_run_is_the_same(whole, tmp_path):
    """Killed, resumed with fewer draws, then with all, a run ends as an undisturbed one."""
    folder, contents_of_whole, _ = whole
    out = tmp_path / "run.zarr"
    begin = ["run", folder, "--block", 1024, *PLAIN, "--out", out, "-n"]
    killed(*begin, 5000, when=lambda: len(entries(out)) >= 2)
    finishes(*begin, 5000)
    done_here(*begin, DRAWS)
    assert_identical(out, contents_of_whole)


def test_stores_say_how_draws_were_reconciled(whole):
    """Title and attributes name the method, balances hold to 64 eps, and the draws are moved."""
    folder, _, found = whole
    scenario = load(folder)
    method = scenario.file.reconcile.draws
    how = {"active_set": "(non-negative draws)", "projected": "(projected draws)"}[method]
    assert found.attrs["reconciled"] == method
    assert found.attrs["title"] == f"{scenario.file.title} {how}"
    assert json.loads(found.attrs["balance"])["worst"] <= 64 * 2.0**-52
    if method == "active_set":
        assert float(found.waste.min()) >= -1e-9
        assert (abs(found.waste) < 1e-9).any("element").sum() > DRAWS / 10


def test_a_store_of_other_draws_is_not_added_to(whole, tmp_path):
    """Draws that are reconciled otherwise are another scenario: exit 2."""
    folder, _, _ = whole
    out, command = tmp_path / "run.zarr", ["run", folder, "-n", 100, *PLAIN]
    done_here(*command, "--out", out)
    done = here(*command, "--set", "reconcile.draws=as_drawn", "--out", out)
    assert done.code == 2
    assert "Traceback" not in done.err
    with xr.open_zarr(out, consolidated=False) as found:
        assert found.attrs["reconciled"] != ""


def test_float32_rounds_the_same_draws(whole, tmp_path):
    """Stored in single precision, draws are those of a float64 store, rounded."""
    folder, _, expected = whole
    done_here("run", folder, "-n", 2000, "--seed", 3, "--out", tmp_path / "run.zarr")
    with xr.open_zarr(tmp_path / "run.zarr", consolidated=False) as found:
        assert np.array_equal(found.use, expected.use[:2000].astype(np.float32))


SQUARE = """\
format: 1
name: square
unit: t
years: 2020..2020
parameters:
  side: {unit: 1, value: 1, distribution: normal, sd: 0.6}
  reported: {unit: t/yr, value: 1, distribution: normal, sd: 0.6}
  each: {unit: t/yr, value: 1, distribution: constant}
processes: [market]
environment: [world, users]
flows:
  sales: {from: world, to: market, value: side * side * each}
  use: {from: market, to: users}
reconcile:
  measured: {use: reported}
"""


def test_a_draw_without_solution_fails_the_run(tmp_path):
    """A square that would have to be negative ends a run with one line and exit 1."""
    (tmp_path / "scenario.yaml").write_text(SQUARE, encoding="utf-8")
    done = here("run", tmp_path, "-n", 2000, *PLAIN, "--out", tmp_path / "run.zarr")
    assert done.code == 1
    assert "no values near the draw satisfy the equations of 'reconcile'" in done.err
    assert len(done.err.splitlines()) == 1


def test_check_accepts_and_refuses(tmp_path):
    """A conditioned scenario is checked as any other; an unknown word has its place named."""
    market(tmp_path)
    assert here("check", tmp_path).code == 0
    path = tmp_path / "scenario.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("draws: projected", "draws: best"), encoding="utf-8")
    done = here("check", tmp_path)
    line = next(n for n, row in enumerate(text.splitlines(), 1) if "draws: projected" in row)
    assert done.code == 2
    assert f"scenario.yaml:{line}: " in done.err
    assert "active_set" in done.err
    with pytest.raises(InputError, match="active_set"):
        load(tmp_path)
