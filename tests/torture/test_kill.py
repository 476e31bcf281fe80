"""Runs that are killed or stopped at any moment: nothing is lost, nothing is computed twice."""

import itertools
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field

import pytest
from command import ndmc
from disturbed import (
    assert_identical,
    contents,
    entries,
    finishes,
    in_flight,
    killed,
    killed_at,
    litter,
    started,
)

from ndmc.store.integrity import verify
from ndmc.store.store import open_store

SEED = ["--seed", 4, "--block", 1024, "--workers", 2]
SHORT = ["run", "starter", "-n", 30_000, "--keep", "in_use", *SEED]
STORED = ["run", "starter", "-n", 60_000, "--keep", "in_use,content", *SEED]
KEPT_NONE = ["run", "starter", "-n", 150_000, "--keep", "none", *SEED]
STOPPED = "error: stopped; a run goes on where it stopped by the same command\n"
#: Seconds in which a run that is asked to stop has ended.
SOON = 5


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Return a function: the contents of an undisturbed run of a command, and its seconds."""
    known = {}

    def look(arguments):
        if str(arguments) not in known:
            out = tmp_path_factory.mktemp("whole") / "run.zarr"
            began = time.monotonic()
            finishes(*arguments, "--out", out)
            known[str(arguments)] = contents(out), time.monotonic() - began
            shutil.rmtree(out)
        return known[str(arguments)]

    return look


@dataclass
class Tally:
    """What was done to a store, and what was found in it after each kill."""

    out: object
    kills: int = 0
    resumes: int = 0
    redone: int = 0
    seen: dict = field(default_factory=dict)

    def run(self, arguments, raised=(), **moment):
        """Start the command, kill it at a moment and look; return whether it came so far."""
        self.resumes += self.out.exists()
        if not killed(*arguments, "--out", self.out, **moment):
            return False
        self.kills += 1
        self.look(raised)
        return True

    def finish(self, arguments, raised=()):
        """Let the command come to its end, and look a last time."""
        self.resumes += self.out.exists()
        finishes(*arguments, "--out", self.out)
        self.look(raised)

    def look(self, raised=()):
        """Demand that no block in the ledger was lost or written again, but those ``raised``."""
        if not (self.out / "zarr.json").exists():
            return
        found = entries(self.out)
        kept = {name: about for name, about in self.seen.items() if name not in raised}
        assert set(self.seen) <= set(found)
        assert kept.items() <= found.items(), "a block in the ledger was written again"
        self.seen = found
        self.redone += len(in_flight(self.out))


def identical_after_kills(tally, arguments, chance, seconds, kills):
    """Kill a run at random moments, resume it each time, and let it finish after so many kills."""
    done = False
    while not done and tally.kills < kills:
        done = not tally.run(arguments, after=chance.uniform(0, seconds))
        if not done and tally.seen:
            assert verify(open_store(tally.out)) == []
    if done:
        tally.look()
    else:
        tally.finish(arguments)


# --- killed ---------------------------------------------------------------------------------------


def test_a_run_killed_three_times_loses_and_repeats_nothing(tmp_path, undisturbed):
    """Killed while blocks are written and resumed, a run ends in an undisturbed one's store."""
    whole, _ = undisturbed(SHORT)
    tally = Tally(tmp_path / "run.zarr")
    for blocks in (3, 12, 21):
        assert tally.run(SHORT, when=lambda n=blocks: len(entries(tally.out)) >= n)
        assert verify(open_store(tally.out)) == []
    tally.finish(SHORT)
    assert tally.resumes == 3
    assert_identical(tally.out, whole)


@pytest.mark.torture
def test_fifty_kills_at_random_moments(tmp_path, undisturbed):
    """Runs killed 50 times in all, at moments drawn uniformly from their time, end undisturbed."""
    chance, kills = random.Random(50), 50
    total = Tally(tmp_path)
    for turn, arguments in enumerate(itertools.cycle([STORED, KEPT_NONE])):
        if total.kills >= kills:
            break
        whole, seconds = undisturbed(arguments)
        tally = Tally(tmp_path / f"{turn}.zarr")
        identical_after_kills(tally, arguments, chance, seconds, kills - total.kills)
        assert_identical(tally.out, whole)
        total.kills += tally.kills
        total.resumes += tally.resumes
        total.redone += tally.redone
        shutil.rmtree(tally.out)
    print(
        f"\n{total.kills} kills, {total.resumes} resumes, {total.redone} blocks redone "
        "(in flight when killed), identical yes"
    )


def raised(arguments, draws):
    """Return a command with another number of draws."""
    at = arguments.index("-n") + 1
    return [*arguments[:at], draws, *arguments[at + 1 :]]


@pytest.mark.torture
@pytest.mark.parametrize("arguments", [STORED, KEPT_NONE], ids=["stored", "none"])
def test_kills_while_draws_are_added(tmp_path, undisturbed, arguments):
    """Killed at random while -n is raised twice, a run ends as if all was asked for at once."""
    whole, seconds = undisturbed(raised(arguments, 100_000))
    chance, kills, turn = random.Random(7), 0, 0
    while kills < 5:
        tally, ragged = Tally(tmp_path / f"{turn}.zarr"), set()
        for draws in (10_000, 40_000, 100_000):
            asked = raised(arguments, draws)
            tally.run(asked, after=chance.uniform(0, seconds), raised=ragged)
            tally.finish(asked, ragged)
            ragged = {max(name for name in tally.seen if int(name.removeprefix("block-")) < draws)}
        assert_identical(tally.out, whole)
        kills, turn = kills + tally.kills, turn + 1


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
        opened = open_store(out)
        # A raised block is written before it is entered anew.
        written = {f"block-{block.start:016d}" for block in opened.missing()}
        assert [found for found in verify(opened) if found.entry not in {"", *written}] == [], key
        finishes(*large, "--out", out)
        assert_identical(out, whole)


UNTIL = ["run", "starter", "-n", 200_000, "--until", "in_use@2024,car p97.5 within 0.5 %"]


@pytest.mark.torture
def test_kills_between_the_looks_of_until(tmp_path, undisturbed):
    """Killed at random, a run that stops when its target is reached stops at the same draw."""
    arguments = [*UNTIL, "--keep", "none", *SEED]
    whole, seconds = undisturbed(arguments)
    assert whole["zarr.json"]["attributes"]["until"][0]["met"] is True
    assert 16_384 <= whole["zarr.json"]["attributes"]["draws"] < 200_000
    chance, kills, turn = random.Random(5), 0, 0
    while kills < 6:
        tally = Tally(tmp_path / f"{turn}.zarr")
        identical_after_kills(tally, arguments, chance, seconds, 6 - kills)
        assert_identical(tally.out, whole)
        kills, turn = kills + tally.kills, turn + 1


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
    finishes(*repair, tmp_path / "whole.zarr")
    seconds = time.monotonic() - began
    chance, kills, turn = random.Random(9), 0, 0
    while kills < 4:
        out = tmp_path / f"{turn}.zarr"
        shutil.copytree(damaged, out)
        for _ in range(2):
            kills += killed(*repair, out, after=chance.uniform(0, seconds))
        finishes(*repair, out)
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
            finishes(*repair)
        assert_identical(out, whole)
        shutil.rmtree(out)


# --- stopped --------------------------------------------------------------------------------------


def stop(arguments, signals, *, after=None, when=None, pause=0.05):
    """Send signals to a run under way; return how it ended, and after how many seconds."""
    with started(*arguments) as running:
        if when is not None:
            running.wait_for(when)
        else:
            running.wait_for(lambda: running.handles(signal.SIGTERM))
            running.wait_until(after)
        began = time.monotonic()
        for number in signals:
            running.send(number)
            time.sleep(pause)
        return running.result(), time.monotonic() - began


STOPS = {
    "SIGTERM": [signal.SIGTERM],
    "Ctrl-C": [signal.SIGINT],
    "SIGTERM twice": [signal.SIGTERM] * 2,
    "SIGTERM then Ctrl-C": [signal.SIGTERM, signal.SIGINT],
    "Ctrl-C twice": [signal.SIGINT] * 2,
    "Ctrl-C then SIGTERM": [signal.SIGINT, signal.SIGTERM],
}


def test_a_stopped_run_says_so_in_one_line(tmp_path, undisturbed):
    """SIGTERM and Ctrl-C, once or twice, end a run soon with one line; it can be resumed."""
    whole, _ = undisturbed(SHORT)
    out = tmp_path / "run.zarr"
    for more, name in ((3, "SIGTERM"), (11, "Ctrl-C"), (19, "SIGTERM twice")):
        done, seconds = stop(
            [*SHORT, "--out", out], STOPS[name], when=lambda n=more: len(entries(out)) >= n
        )
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
    assert (done.returncode, done.stdout, done.stderr) == (1, "", STOPPED)


@pytest.mark.torture
def test_runs_stopped_at_random_moments(tmp_path, undisturbed):
    """Stopped at random moments after the start, a run says one line or nothing, and resumes."""
    whole, seconds = undisturbed(KEPT_NONE)
    chance, wrong, stopped = random.Random(3), [], 0
    for turn, (name, signals) in enumerate([*STOPS.items()] * 3):
        out = tmp_path / f"{turn // 6}.zarr"
        moment = chance.uniform(0, seconds)
        done, took = stop([*KEPT_NONE, "--out", out], signals, after=moment)
        stopped += done.code == 1
        # Before Python 3.13 a thread whose join is interrupted is not waited for at the end.
        left = litter(out) if len(signals) == 1 else []
        if (done.code, done.err) not in {(1, STOPPED), (0, "")} or took > SOON or left:
            wrong.append((name, moment, took, done.code, done.err, litter(out)))
    assert wrong == [], wrong
    assert stopped >= 3
    for turn in range(3):
        finishes(*KEPT_NONE, "--out", tmp_path / f"{turn}.zarr")
        assert litter(tmp_path / f"{turn}.zarr") == []
        assert_identical(tmp_path / f"{turn}.zarr", whole)
