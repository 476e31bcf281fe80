"""Every kind of run killed and stopped at random moments: its bits are an undisturbed one's.

With ``-s`` each kind says how often it was killed, stopped and started again.
"""

import contextlib
import json
import signal
from dataclasses import dataclass, field

import pytest
from disturbed import (
    SOON,
    STOPPED,
    STOPS,
    assert_identical,
    entries,
    finishes,
    in_flight,
    litter,
    raised,
    started,
    unwarned,
)
from tiny import write_scenario

from ndmc.store.integrity import verify
from ndmc.store.opening import open_store

pytestmark = pytest.mark.torture

SEED = ["--seed", 4, "--workers", 2]
STORED = ["run", "starter", "-n", 60_000, "--keep", "in_use,content", "--block", 1024, *SEED]
NONE = ["run", "starter", "-n", 150_000, "--keep", "none", "--block", 1024, *SEED]
UNTIL = [*raised(NONE, 200_000), "--until", "in_use@2024,car p97.5 within 0.5 %"]
#: Of a scenario that stands in the folder of the test.
TWO_PASSES = ["run", "tiny", "-n", 66_001, "--keep", "none", "--block", 1024, *SEED]
TWO_PASSES += [
    "--percentiles",
    "sales",
    "--memory",
    "9MB",
    "-q",
    ",".join(map(str, range(1, 100))),
]
RECONCILED = ["run", "uk_ree", "-n", 6000, "--block", 256, *SEED]
STUDY = ["sensitivity", "starter", "-n", 40_000, "-v", "in_use", "--block", 2048, *SEED]
ENSEMBLE = ["ensemble", "starter", "-n", 40_000, "--policies", "base,long_lives", "-v", "in_use"]
ENSEMBLE += ["--block", 2048, *SEED]
PARTS = 3

#: The steps of each kind of run: commands that run at once. The last leaves what one run leaves.
KINDS = {
    "stored": [[STORED]],
    "none": [[NONE]],
    "until": [[UNTIL]],
    "raised": [[raised(STORED, draws)] for draws in (10_000, 33_000, 60_000)],
    "raised, none": [[raised(NONE, draws)] for draws in (10_000, 40_000, 150_000)],
    "parts": [[[*STORED, "--part", f"{n + 1}/{PARTS}"] for n in range(PARTS)]],
    "processes": [[[*STORED, "--processes"]]],
    "reconciled": [[RECONCILED]],
    "two passes": [[TWO_PASSES]],
    "ensemble": [[ENSEMBLE]],
    "study": [[STUDY]],
    "study, raised": [[raised(STUDY, draws)] for draws in (3000, 20_000, 40_000)],
    "study, parts": [[[*STUDY, "--part", f"{n + 1}/{PARTS}"] for n in range(PARTS)]],
    "study, processes": [[[*STUDY, "--processes"]]],
}
WHOLE = {
    "parts": [*STORED, "--part", "1/1"],
    "none": NONE,
    "raised, none": NONE,
    "until": UNTIL,
} | {
    "reconciled": RECONCILED,
    "two passes": TWO_PASSES,
    "ensemble": ENSEMBLE,
    "study": STUDY,
    "study, raised": STUDY,
    "study, parts": [*STUDY, "--part", "1/1"],
    "study, processes": STUDY,
}
#: Processes of a cluster are told to end one after the other.
PATIENT = {"processes": 30, "study, processes": 30}
#: Disturbances of a step, before it may end.
MOST = 5
#: For each file of a store, how often a run touches one, or less.
TOUCHES = 4


@dataclass(frozen=True)
class Order:
    """How a process is disturbed: by signals after some seconds, or by itself at a file."""

    after: float = 0
    signals: tuple = ()
    environment: dict = field(default_factory=dict)


def _order(chance, seconds, touches):
    """Draw how a process is disturbed.

    More often by itself when it touches a file of its store for the n-th time: by the clock most
    die while Python starts.
    """
    if chance.random() < 0.7:
        at = chance.randint(1, chance.choice([touches, touches // 10]))
        by = chance.choice(["KILL", "KILL", "TERM", "INT"])
        return Order(environment={"TOUCHES": str(at), "BY": by})
    ways = [[signal.SIGKILL]] * len(STOPS) + [*STOPS.values()]
    return Order(chance.uniform(0, seconds), tuple(chance.choice(ways)))


@dataclass
class Story:
    """What was done to a run, and what was found in its store each time."""

    out: object
    soon: float = SOON
    alone: bool = True
    kills: int = 0
    stops: int = 0
    resumes: int = 0
    redone: int = 0
    seen: dict = field(default_factory=dict)

    def step(self, commands, chance, seconds, touches):
        """Disturb commands that run at once until they have ended well, the rest of them again."""
        left, disturbances = [*commands], chance.randint(1, MOST)
        before = open_store(self.out).attrs["draws"] if self.out.exists() else 0
        while left:
            self.resumes += len(left) if self.out.exists() else 0
            orders = [_order(chance, seconds, touches) if disturbances else Order() for _ in left]
            left = self._round(left, orders)
            disturbances = max(disturbances - 1, 0)
            self.look(before)

    def _round(self, commands, orders):
        """Start commands, disturb them, and return those that have not ended well."""
        left = {*litter(self.out)}
        with contextlib.ExitStack() as stack:
            running = [
                stack.enter_context(started(*command, "--out", self.out, **order.environment))
                for command, order in zip(commands, orders, strict=True)
            ]
            pairs = sorted(zip(orders, running, strict=True), key=lambda pair: pair[0].after)
            ended = {one: self._ended(one, order, left) for order, one in pairs}
        return [c for c, one in zip(commands, running, strict=True) if not ended[one]]

    def _ended(self, one, order, left):
        """Disturb a process as ordered; return whether it has ended well all the same.

        What killed ones have left before it may be there still: it may be stopped before it sweeps.
        """
        if order.signals:
            one.wait_until(order.after)
        if order.signals and order.signals[0] != signal.SIGKILL:
            one.wait_for(lambda: one.handles(signal.SIGTERM))
        done, seconds = one.stop(order.signals)
        # Of a process killed with processes of its own Python's tracker of semaphores has a word.
        said = "" if done.code < 0 and "Traceback" not in done.err else unwarned(done.err)
        assert (done.code, said) in {(-signal.SIGKILL, ""), (1, STOPPED), (0, "")}, (order, done)
        assert seconds < self.soon or not order.signals, order
        # Before Python 3.13 a thread whose join is interrupted is not waited for at the end.
        tidy = self.alone and done.code == 1 and len(order.signals) < 2
        assert not tidy or {*litter(self.out)} <= left, (order, litter(self.out), left)
        self.kills += done.code < 0
        self.stops += done.code == 1
        return done.code == 0

    def look(self, before):
        """Demand of the ledger that all it names is right, and nothing was lost or done twice."""
        if not (self.out / "zarr.json").exists():
            return
        store, found = open_store(self.out), entries(self.out)
        assert verify(store) == []
        # A block that ended a run of fewer draws is entered anew, with more.
        ragged = max((name for name in self.seen if int(name.split("-")[1]) < before), default="")
        kept = {name: about for name, about in self.seen.items() if name != ragged}
        assert set(kept) <= set(found)
        # Of the stages they share, a part may have had a block in hand that another had just done.
        assert not self.alone or kept.items() <= found.items(), "a block was written again"
        self.seen = found
        self.redone += len(in_flight(self.out))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return the folder of the test, where commands run and find a scenario."""
    write_scenario(tmp_path / "tiny")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("kind", KINDS)
def test_a_disturbed_run_ends_as_if_undisturbed(folder, undisturbed, chances, kind):
    """Killed and stopped at random, and started again, every kind of run ends in the same store."""
    whole, seconds = undisturbed(WHOLE.get(kind, STORED))
    told = dict.fromkeys(("kills", "stops", "resumes", "redone"), 0)
    for number, chance in chances:
        (folder / str(number)).mkdir()
        story = Story(
            folder / str(number) / "run.zarr", PATIENT.get(kind, SOON), "parts" not in kind
        )
        for commands in KINDS[kind]:
            story.step(commands, chance, seconds, TOUCHES * len(whole))
        assert_identical(story.out, whole)
        for name in told:
            told[name] += getattr(story, name)
    assert told["kills"] + told["stops"] > 0
    print(f"\n{kind}: {number + 1} runs,", ", ".join(f"{n} {name}" for name, n in told.items()))


def test_runs_are_of_their_kind(folder, undisturbed):
    """A target is reached before the last draw, a second pass is made, draws are reconciled."""
    facts = undisturbed(UNTIL)[0]["zarr.json"]["attributes"]
    assert json.loads(facts["until"])[0]["met"] is True
    assert 16_384 <= facts["draws"] < 200_000
    assert undisturbed(RECONCILED)[0]["zarr.json"]["attributes"]["reconciled"] != ""
    finishes(*TWO_PASSES, "--out", folder / "run.zarr")
    assert [*folder.glob("run.zarr/ledger/again-*")] != []
