"""`ndmc.info` and `ndmc.verify`: what a store is, and whether it is what was written."""

import json
import math

import pytest

import ndmc
from ndmc.runs.options import Options
from ndmc.runs.run import execute


@pytest.fixture
def stored(tmp_path):
    """Return the path of a small run with a target."""
    out = tmp_path / "run.zarr"
    target = "in_use@2021 p50 within 40 %"
    ndmc.run("starter", 1000, seed=3, out=out, keep=["in_use"], bits=10, until=[target])
    return out


def test_info_says_what_was_asked_and_what_was_found(stored):
    """Scenario, options, blocks, outputs, counts, targets and what is known."""
    found = ndmc.info(stored)
    attrs = ndmc.open(stored).attrs
    names = [one["name"] for one in json.loads(attrs["outputs"])]
    assert (found.scenario, found.title) == ("starter", ndmc.load("starter").file.title)
    assert found.scenario_hash == ndmc.load("starter").hash
    assert (found.seed, found.draws, found.dtype, found.bits) == (3, 1000, "float32", 10)
    assert (found.complete, found.written, found.kept) == (True, found.blocks, ("in_use",))
    assert found.finished >= found.started
    assert found.versions["ndmc"] == attrs["ndmc"]
    assert [output.name for output in found.outputs] == names
    assert found.balance["worst"] < 64 * 2.0**-52
    assert [target["met"] for target in found.targets] == [True]
    worst = {one.output: one for one in found.known}
    values = ndmc.percentiles(stored, "in_use")
    half = abs(values.in_use_high - values.in_use).max()
    assert 0 < worst["in_use"].half_width < math.inf
    assert float(half) > 0


def test_a_run_that_is_not_complete_says_how_far_it_is(tmp_path):
    """Nothing is said of percentiles that are not there."""
    out = tmp_path / "part.zarr"
    execute(Options("starter", 20_001, out=out, keep=["in_use"], block=512, part=(1, 2)))
    found = ndmc.info(out)
    assert not found.complete
    assert 0 < found.written < found.blocks == 40
    assert (found.finished, found.known) == ("", ())


def test_verify_names_what_is_damaged(cli, stored):
    """Python and the command find the same file."""
    assert ndmc.verify(stored) == []
    path = next(path for path in stored.rglob("in_use/c/*") if path.is_file() or path.is_dir())
    path = path if path.is_file() else next(one for one in path.rglob("*") if one.is_file())
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    (damage,) = ndmc.verify(stored)
    assert damage.key == path.relative_to(stored).as_posix()
    assert damage.reason == "has another checksum"
    done = cli("info", stored, "--verify")
    assert done.code == 1
    assert damage.reason in done.out
