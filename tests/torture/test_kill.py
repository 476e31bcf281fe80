"""Runs that are killed or stopped: nothing is lost, nothing is computed twice."""

import random
import shutil
import subprocess
import sys
import time

import pytest
from command import ndmc
from disturbed import (
    SOON,
    STOPPED,
    STOPS,
    assert_identical,
    entries,
    finishes,
    killed,
    killed_at,
    litter,
    raised,
    repairs,
    started,
)

from ndmc.store.integrity import verify
from ndmc.store.opening import open_store

SEED = ["--seed", 4, "--block", 1024, "--workers", 2]
SHORT = ["run", "starter", "-n", 30_000, "--keep", "in_use", *SEED]
STORED = ["run", "starter", "-n", 60_000, "--keep", "in_use,content", *SEED]
# --- killed ---------------------------------------------------------------------------------------


@pytest.mark.torture
def test_a_run_killed_three_times_loses_and_repeats_nothing(tmp_path, undisturbed):
    """Killed while blocks are written and resumed, a run ends in an undisturbed one's store."""
    whole, _ = undisturbed(SHORT)
    out, seen = tmp_path / "run.zarr", {}
    for blocks in (3, 12, 21):
        assert killed(*SHORT, "--out", out, when=lambda n=blocks: len(entries(out)) >= n)
        assert verify(open_store(out)) == []
        assert seen.items() <= entries(out).items()
        seen = entries(out)
    finishes(*SHORT, "--out", out)
    assert seen.items() <= entries(out).items()
    assert_identical(out, whole)


RAISE = {
    "percentiles forgotten": "percentiles/zarr.json",
    "shape of draws": "in_use/zarr.json",
    "room made": "zarr.json",
    "ragged digest": "ledger/digests/9984-10240",
    "ragged draws": "in_use/c/9/0/0",
    "ragged block": "ledger/block-0000000000009216",
}


@pytest.mark.torture
def test_kills_at_each_step_of_a_raise(tmp_path, undisturbed):
    """Killed at the very moment a step of a raise is done, a run goes on to the same store."""
    small, large = raised(STORED, 10_000), raised(STORED, 20_000)
    whole, _ = undisturbed(large)
    begun = tmp_path / "begun.zarr"
    finishes(*small, "--out", begun)
    for number, key in enumerate(RAISE.values()):
        out = tmp_path / f"{number}.zarr"
        shutil.copytree(begun, out)
        assert killed_at(out / key, *large, "--out", out), key
        assert verify(open_store(out)) == [], key
        finishes(*large, "--out", out)
        assert_identical(out, whole)


def damage(out):
    """Flip a bit in a block's draws, in two digests, in percentiles and in labels."""
    for key in (
        "in_use/c/3/0/0",
        "ledger/digests/59392-59904",
        "ledger/digests/20480-21504",
        "percentiles/in_use/c/0/0/0",
        "product/c/0",
    ):
        path = out / key
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 4
        path.write_bytes(data)


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    """Return a store of STORED with damage in every kind of file."""
    out = tmp_path_factory.mktemp("damaged") / "run.zarr"
    finishes(*STORED, "--out", out)
    damage(out)
    assert len(verify(open_store(out))) == 5
    return out


@pytest.mark.torture
def test_kills_during_repair(tmp_path, undisturbed, damaged):
    """Killed at random while it repairs, the same command repairs the rest."""
    whole, _ = undisturbed(STORED)
    repair = [*STORED, "--repair", "--out"]
    shutil.copytree(damaged, tmp_path / "whole.zarr")
    began = time.monotonic()
    repairs(*repair, tmp_path / "whole.zarr")
    seconds = time.monotonic() - began
    chance, kills, turn = random.Random(9), 0, 0
    while kills < 4:
        out = tmp_path / f"{turn}.zarr"
        shutil.copytree(damaged, out)
        for _ in range(2):
            kills += killed(*repair, out, after=chance.uniform(0, seconds))
        repairs(*repair, out)
        assert_identical(out, whole)
        turn += 1


REPAIR = {
    "labels": "product/zarr.json",
    "label": "product/c/0",
    "document": "in_use/zarr.json",
    "first forgotten": "ledger/block-0000000000003072",
    "last forgotten": "ledger/block-0000000000059392",
    "not complete": "zarr.json",
    "draws": "in_use/c/3/0/0",
    "percentiles": "percentiles/in_use/c/0/0/0",
    "group": "percentiles/zarr.json",
}


@pytest.mark.torture
@pytest.mark.parametrize("again", [True, False], ids=["repair", "run"])
def test_kills_at_each_step_of_a_repair(tmp_path, undisturbed, damaged, again):
    """Killed at a step of a repair, the same command ends it, and one without --repair too or says.

    What it may not do is to end well with something damaged left.
    """
    whole, _ = undisturbed(STORED)
    for key in REPAIR.values():
        out = tmp_path / "run.zarr"
        shutil.copytree(damaged, out)
        repair = [*STORED, "--repair", "--out", out]
        assert killed_at(out / key, *repair), key
        if not again:
            done = ndmc(*STORED, "--out", out)
            if done.code:
                assert done.code == 1, key
                assert "--repair" in done.err, key
                assert "Traceback" not in done.err, key
        if again or done.code:
            repairs(*repair)
        assert_identical(out, whole)
        shutil.rmtree(out)


# --- stopped --------------------------------------------------------------------------------------


@pytest.mark.torture
def test_a_stopped_run_says_so_in_one_line(tmp_path, undisturbed):
    """SIGTERM and Ctrl-C, once or twice, end a run soon with one line; it can be resumed."""
    whole, _ = undisturbed(SHORT)
    out = tmp_path / "run.zarr"
    for more, name in ((3, "SIGTERM"), (11, "Ctrl-C"), (19, "SIGTERM twice")):
        with started(*SHORT, "--out", out) as running:
            running.wait_for(lambda n=more: len(entries(out)) >= n)
            done, seconds = running.stop(STOPS[name])
        assert (done.code, done.out, done.err) == (1, "", STOPPED), name
        assert seconds < SOON, name
        assert litter(out) == [], name
        assert not open_store(out).complete
    finishes(*SHORT, "--out", out)
    assert_identical(out, whole)


IN_A_CALLBACK = """
import ctypes, os, signal, sys, time
from ndmc.cli.app import app, main

@ctypes.CFUNCTYPE(None)
def callback():
    os.kill(os.getpid(), number)
    time.sleep(0.01)

@app.command()
def busy():
    callback()
    callback()
    time.sleep(60)
    print("not stopped")

number, sys.argv = getattr(signal, sys.argv[1]), ["ndmc", "busy"]
main()
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_in_a_callback_is_not_lost(name):
    """Compiling calls back from C, where Python can raise nothing: the run ends all the same."""
    done = subprocess.run(
        [sys.executable, "-c", IN_A_CALLBACK, name],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "error: stopped\n")
