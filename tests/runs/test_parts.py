"""Parts of a run, each a process of its own: in any order, at once, killed, twice."""

import os
import random
import signal
import subprocess
import sys

import pytest
from command import altered
from disturbed import litter
from parts import DISTURBED, KEEP, PARTS, assert_identical, blocks, ended, until

import ndmc
from ndmc.runs.listener import Listener
from ndmc.runs.options import Options
from ndmc.runs.run import _Run, execute
from ndmc.store.opening import open_store

DRAWS = 20_001  # two stages; the last has 24 blocks, of which three parts have 8 each
RUN = ["run", "starter", "-n", str(DRAWS), "--seed", "4", "--block", "512"]
RUN += ["--keep", ",".join(KEEP)]
OUT = ["--out", "run.zarr", "--workers", "1"]


def part(out, which, draws=DRAWS, listener=None, **options):
    """Compute a part of the run in this process, and return the store."""
    options = {"keep": KEEP, "block": 512, "workers": 1, "part": which} | options
    return execute(Options("starter", draws, seed=4, out=out, **options), listener)


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """Return the store of an undisturbed run."""
    out = tmp_path_factory.mktemp("whole") / "run.zarr"
    ndmc.run("starter", DRAWS, seed=4, out=out, keep=KEEP, block=512, workers=2)
    return out


@pytest.fixture
def start(tmp_path):
    """Return a function that starts the command in a process; those still there are killed."""
    started = []

    def begin(*options, **environment):
        process = subprocess.Popen(
            [sys.executable, "-c", DISTURBED, *altered([*RUN, *OUT], *options)],
            cwd=tmp_path,
            env={**os.environ, "COLUMNS": "120", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.torture
def test_parts_at_once_make_one_run(start, expected, tmp_path):
    """Parts that run at once leave the store of one run, and one of them or more shows it."""
    found = [ended(one) for one in [start("--part", which) for which in reversed(PARTS)]]
    assert [(code, err) for code, _, err in found] == [(0, "")] * 3
    shown = ["draws, seed 4, in run.zarr" in out for _, out, _ in found]
    rest = ["this part is done" in out for _, out, _ in found]
    assert any(shown)
    assert [not done for done in shown] == rest
    assert_identical(tmp_path / "run.zarr", expected, {"stages"})


def test_parts_in_any_order_and_twice_make_one_run(expected, tmp_path):
    """Parts out of order, one of them twice, leave the store of one run; the last merges."""
    out = tmp_path / "run.zarr"
    for which in (3, 1, 1):
        assert not part(out, (which, 3)).complete
    assert part(out, (2, 3)).complete
    assert_identical(out, expected, {"stages"})


def test_a_part_of_a_complete_run_touches_nothing(expected, tmp_path, monkeypatch):
    """Parts of a run that is complete are done at once and leave each file as it is."""
    out = tmp_path / "run.zarr"
    part(out, (1, 1))
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    monkeypatch.setattr("ndmc.runs.block.Work.compute", None)
    for which in ((1, 1), (2, 3)):
        assert part(out, which).complete
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def test_draws_that_another_part_adds_stay(expected, tmp_path):
    """A part that was asked for fewer leaves the percentiles to those of all draws."""
    out = tmp_path / "run.zarr"
    part(out, (2, 2), 10_000)
    added, listener = [], Listener()

    def add(draws, asked):
        if draws == asked and not added:
            added.append(part(out, (2, 2)))

    listener.done = add
    assert not part(out, (1, 2), 10_000, listener).complete
    assert added
    assert open_store(out).spec.draws == DRAWS
    assert part(out, (1, 2)).complete
    assert_identical(out, expected, {"stages"})


def test_the_last_part_to_leave_sweeps(expected, tmp_path, monkeypatch):
    """What killed parts have left goes, too, when another part completes the run just before."""
    out, left = tmp_path / "run.zarr", tmp_path / "run.zarr/ledger/block-0.1.partial"
    to = _Run.to

    def complete_beside(run, draws):
        store = to(run, draws)
        if run.asked.options.part == (1, 2):
            left.touch()
            assert part(out, (2, 2)).complete
            assert left.exists()  # it may be being written
        return store

    monkeypatch.setattr(_Run, "to", complete_beside)
    assert not part(out, (1, 2)).complete
    assert not left.exists()
    assert_identical(out, expected, {"stages"})
    begun = tmp_path / ".run.zarr.1.begun"  # as by one killed while another created the store
    begun.mkdir()
    left.touch()  # as by one killed since, over a block that another had just done
    assert part(out, (1, 2)).complete
    assert litter(out) == []


def test_a_part_computes_its_share(expected, tmp_path):
    """Of the last stage a part computes its own blocks alone."""
    out = tmp_path / "run.zarr"
    part(out, (2, 3))
    own = [*range(8192, DRAWS, 512)][1::3]
    assert [int(name[6:]) for name in sorted(blocks(out)) if int(name[6:]) >= 8192] == own


def test_finish_says_what_is_missing_and_merges_what_is_there(cli, start, expected, tmp_path):
    """With parts missing exit 1 and their draws; after the last block of a killed part a merge."""
    out = tmp_path / "run.zarr"
    part(out, (1, 3))
    done = cli("finish", "run.zarr")
    assert done.code == 1
    assert done.err == (
        "error: 7,713 of 20,001 draws are still missing, the first of them in draws 8,704 to "
        "9,215; run the parts that were not finished again\n"
    )
    part(out, (3, 3))
    assert ended(start("--part", "2/3", DIE="1"))[0] == -signal.SIGKILL
    store = open_store(out)
    assert not store.missing()
    assert not store.complete
    done = cli("finish", "run.zarr")
    assert (done.code, done.err) == (0, "")
    assert "20,001 draws, seed 4, in run.zarr" in done.out
    assert_identical(out, expected, {"stages"})
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert cli("finish", "run.zarr").code == 0
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


@pytest.mark.torture
def test_a_whole_run_and_parts_exclude_each_other(start, tmp_path):
    """While parts run a whole run is refused, and parts while a whole run does."""
    for running, other in ((["--part", "1/3"], []), ([], ["--part", "2/3"])):
        had = len(blocks(tmp_path / "run.zarr"))
        first = start(*running, SLOW="0.7")
        until(lambda had=had: len(blocks(tmp_path / "run.zarr")) > had, "blocks", 60)
        code, _, error = ended(start(*other))
        assert first.poll() is None
        assert code == 1
        assert error.startswith("error: another run writes to ")
        assert len(error.splitlines()) == 1
        first.terminate()
        assert ended(first)[0] == 1


def test_what_is_no_part_is_refused(cli, tmp_path):
    """A part outside its run, or what is no part, is refused with what is allowed."""
    for text, message in (
        ("0/3", "part 0 of 3: choose from 1/3 to 3/3"),
        ("4/3", "part 4 of 3: choose from 1/3 to 3/3"),
        ("x", "'x' is not a part; write it like 3/16"),
        ("1/0", "0 parts asked for; at least 1 is needed"),
    ):
        done = cli(*RUN, "--out", "run.zarr", "--part", text)
        assert (done.code, done.out) == (2, "")
        assert done.err.startswith(f"error: --part: {message}"), done.err
        assert len(done.err.splitlines()) == 1
    assert not (tmp_path / "run.zarr").exists()


def test_a_damaged_ledger_is_computed_anew_by_its_part(expected, tmp_path):
    """A block whose entry is torn counts as missing: its part computes it again, and merges."""
    out = tmp_path / "run.zarr"
    part(out, (1, 2))
    torn = out / "ledger" / f"block-{8192:016d}"
    torn.write_bytes(torn.read_bytes()[:-20])
    assert not part(out, (2, 2)).complete
    assert part(out, (1, 2)).complete
    assert_identical(out, expected, {"stages"})


# --- for many minutes ----------------------------------------------------------------------------


@pytest.mark.torture
@pytest.mark.parametrize(
    ("seed", "keep"), [(1, "in_use,recycled_share"), (2, "none"), (3, "in_use,recycled_share")]
)
def test_parts_killed_at_random_make_one_run(start, seed, keep, cli, expected, tmp_path):
    """Parts at once, each killed at random moments and repeated, leave the store of one run."""
    chance = random.Random(seed)
    parts = [f"{n}/5" for n in range(1, 6)]
    chance.shuffle(parts)
    under_way, done, begun, killed = {}, set(), set(), 0

    def begin(which):
        # The first time it touches more files than these, so that it is killed; later it may end.
        most = 150 if which in begun else 40
        if which in begun and (killed >= 8 or chance.random() < 0.5):
            return start("--part", which, "--keep", keep)
        moment = {"TOUCHES": str(chance.randint(1, most)), "BY": chance.choice(["KILL", "TERM"])}
        return start("--part", which, "--keep", keep, **moment)

    while len(done) < len(parts):
        for which in parts:
            if which not in done and which not in under_way and len(under_way) < 3:
                under_way[which] = begin(which)
        over = until(
            lambda: [w for w, p in under_way.items() if p.poll() is not None], "an end", 120
        )
        for which in over:
            code, _, err = ended(under_way.pop(which))
            assert code or which in begun
            begun.add(which)
            if code:
                killed += 1
                assert (code, err) in {(1, _STOPPED), (-signal.SIGKILL, "")}
            else:
                done.add(which)
    assert killed >= len(parts)
    whole = expected
    if keep == "none":
        whole = tmp_path / "whole.zarr"
        assert cli(*altered(RUN, "--keep", keep), "--out", "whole.zarr").code == 0
    assert_identical(tmp_path / "run.zarr", whole, {"stages"})
    assert cli("info", "run.zarr", "--verify").code == 0


_STOPPED = "error: stopped; a run goes on where it stopped by the same command\n"


@pytest.mark.torture
def test_parts_may_ask_for_more_draws(start, cli, tmp_path):
    """A complete run is raised by parts at once to the store of one run of all draws."""
    out, more = tmp_path / "run.zarr", ["-n", "45000"]
    for which in PARTS:
        assert ended(start("--part", which))[0] == 0
    found = [ended(one) for one in [start("--part", which, *more) for which in PARTS]]
    assert [(code, err) for code, _, err in found] == [(0, "")] * 3
    assert cli(*altered(RUN, *more), "--out", "whole.zarr").code == 0
    assert_identical(out, tmp_path / "whole.zarr", {"stages"})


@pytest.mark.torture
def test_many_parts_at_once_make_one_run(start, expected, tmp_path):
    """More parts than blocks, all begun at the same moment, leave the store of one run."""
    found = [ended(one) for one in [start("--part", f"{n}/8") for n in range(1, 9)]]
    assert [(code, err) for code, _, err in found] == [(0, "")] * 8
    assert_identical(tmp_path / "run.zarr", expected, {"stages"})


@pytest.mark.torture
def test_a_run_begun_whole_is_ended_by_parts_and_the_other_way(start, expected, tmp_path):
    """Either kind of command goes on with what the other began, and is stopped by nothing else."""
    out = tmp_path / "run.zarr"
    for begun, rest in (([], PARTS), (["--part", "2/3"], [None])):
        first = start(*begun, SLOW="0.05")
        until(lambda: len(blocks(out)) > 18, "blocks", 60)
        first.kill()
        first.communicate()
        for which in rest:
            code, _, err = ended(start(*(["--part", which] if which else [])))
            assert (code, err) == (0, "")
        assert_identical(out, expected, {"stages"})
        (out).rename(tmp_path / f"{len(rest)}.zarr")
