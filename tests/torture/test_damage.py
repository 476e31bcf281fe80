"""Every kind of damage to every kind of file of every kind of store, and what becomes of it.

Each case is one damaged copy of a store. It is read by ndmc and by plain xarray, verified, and then
the command that made it is given again, with more draws, and with --repair. What is found is an
error in one message, named by --verify, or made good; what is harmless changes no number. A number
that is wrong with exit 0, and that --verify does not know of, is silent: there must be none.
"""

import collections
import functools
import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from command import ndmc
from damages import (
    DAMAGES,
    MESSAGES,
    OWN,
    PATTERNS,
    Target,
    failures,
    files,
    flip,
    kind_of,
    numbers,
    other,
    values_of,
)
from disturbed import assert_identical, contents, killed_at, repairs
from measured import market
from tiny import write_scenario

import ndmc as api
from ndmc.errors import RunError
from ndmc.store.integrity import verify
from ndmc.store.opening import open_store

#: Two stages and a ragged last block; raised in its middle, and by blocks.
DRAWS, MORE, LESS = 12_501, 17_001, 9_001
OPTIONS = {"seed": 4, "block": 2048, "workers": 1}
TINY = {"percentiles": ["sales", "in_use", "total", "content"]}
STORED = {"keep": ["in_use", "content"], "exceed": [("total", 18_000.0)]} | TINY
NONE = {"keep": ["none"]} | TINY
PARTS = [(1, 2), (2, 2)]
KINDS = {
    "stored": STORED,
    "none": NONE,
    "until": NONE | {"until": ["in_use@2004,car p97.5 within 1 %"]},
    "raised": STORED,
    "parts": STORED,
    "two passes": {
        "keep": ["none"],
        "percentiles": ["sales"],
        "quantiles": [0.025, 0.975, *(n / 100 for n in range(1, 100))],
        "memory": 4_500_000,
    },
    "reconciled": {"keep": ["use"]},
    "killed": STORED,
    "one part of two": NONE,
}
#: What makes a store whose files take the place of others.
OTHERS = {
    "seed": {"seed": 5},
    "scenario": {},
    "draws": {"draws": LESS},
    "dtype": {"dtype": "float64"},
}


@dataclass(frozen=True)
class Kind:
    """A kind of store: where one is, how the command is given again, and what all ends in."""

    path: Path
    run: Callable
    donor: Callable
    numbers: dict
    contents: dict
    finished: dict
    raised: dict
    files: dict = field(repr=False)

    @property
    def unfinished(self):
        """Whether the command has draws to compute."""
        return not self.contents["zarr.json"]["attributes"]["complete"]


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    """Return a function that makes a store of a kind, undamaged, once."""
    folder, known = tmp_path_factory.mktemp("kinds"), {}

    def look(name):
        if name not in known:
            (folder / name).mkdir()
            known[name] = _prepare(folder / name, name)
        return known[name]

    return look


def _prepare(folder, name):
    """Make a store of a kind, and what its commands end in if nothing is damaged."""
    run, path = _runner(folder / "scenario", name), folder / "run.zarr"
    _begin(run, folder, path, name)
    assert name != "two passes" or [*path.glob("ledger/again-*")]
    ends = {}
    for more in (False, True):
        shutil.copytree(path, folder / "end.zarr")
        run(folder / "end.zarr", more=more)
        assert verify(open_store(folder / "end.zarr")) == []
        ends[more] = contents(folder / "end.zarr")
        shutil.rmtree(folder / "end.zarr")

    @functools.cache
    def donor(other):
        """Make a store whose files take the place of others, once one is wanted."""
        out = folder / f"{other}.zarr"
        asked = _runner(folder / "other", name, another=True) if other == "scenario" else run
        wide = {key: 2 * KINDS[name][key] for key in ("memory",) if key in KINDS[name]}
        asked(out, **OTHERS[other], **(wide if other == "dtype" else {}))
        return out

    known = numbers(path), contents(path), ends[False], ends[True], files(path)
    return Kind(path, run, donor, *known)


def _runner(folder, name, *, another=False):
    """Return a function that gives the command of a kind, for a place."""
    if name == "reconciled":
        folder.mkdir()
        scenario = market(folder, use=45 if another else 44)
    else:
        changes = {"value: {phone: 1, car: 6}": "value: {phone: 1, car: 7}"} if another else None
        scenario = api.load(write_scenario(folder, changes))
    parts = PARTS if name in ("parts", "one part of two") else [None]

    def run(out, draws=DRAWS, *, more=False, parts=parts, **options):
        for part in parts:
            asked = {**OPTIONS, **KINDS[name], "part": part, **options}
            api.run(scenario, MORE if more else draws, out=out, **asked)

    return run


def _begin(run, folder, path, name):
    """Make the store that is damaged."""
    if name == "killed":
        asked = ["run", folder / "scenario", "-n", DRAWS, "--seed", 4, "--block", 2048]
        asked += ["--workers", 1, "--keep", ",".join(STORED["keep"]), "--exceed", "total > 18000"]
        asked += ["--percentiles", ",".join(STORED["percentiles"]), "--out", path]
        assert killed_at(path / "ledger/block-0000000000010240", *asked)
        assert not open_store(path).complete
    elif name == "one part of two":
        run(path, parts=PARTS[1:])
        assert not open_store(path).complete
    else:
        if name == "raised":
            run(path, draws=LESS)
        run(path)


# --- one case -------------------------------------------------------------------------------------


@dataclass
class Case:
    """One damaged file, how it was found, and what was silent or said badly."""

    store: str
    kind: str
    key: str
    damage: str
    found: list = field(default_factory=list)
    silent: list = field(default_factory=list)
    wrong: list = field(default_factory=list)
    harmed: set = field(default_factory=set)
    blind: bool = False

    @property
    def verdict(self):
        """One word."""
        return "silent" if self.silent else "found" if self.found else "harmless"

    def __str__(self):
        return f"{self.store}, {self.key}, {self.damage}: {'; '.join(self.silent + self.wrong)}"


def judged(kind, folder, case, seed):
    """Damage copies of a store in the same way, read one and run the others; None if it cannot be.

    A damage that changes no byte, or for which there is no other file, is no case.
    """
    damaged = []
    for name in ("read", "again", "more", "repair"):
        path = folder / f"{name}.zarr"
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(kind.path, path)
        target = Target(path, case.key, tuple(kind.files[case.kind]), kind.donor)
        damaged.append((DAMAGES | WORST)[case.damage](target, random.Random(seed)))
    assert len({*damaged}) == 1
    if not damaged[0]:
        return None
    case.harmed = {*different(folder / "read.zarr", kind.contents)}
    _read(kind, folder / "read.zarr", case)
    _rerun(kind.finished, kind.run, folder / "again.zarr", case, "again")
    _rerun(kind.raised, lambda out: kind.run(out, more=True), folder / "more.zarr", case, "more")
    _repair(kind, folder, case)
    return case


def _read(kind, path, case):
    """Read a damaged store: what is read otherwise must be known to --verify."""
    found = numbers(path)
    changed, failed = other(kind.numbers, found), failures(kind.numbers, found)
    case.found += [f"{title}: {error}" for title, error in failed.items()]
    case.blind = any(title.startswith("xarray") for title in changed)
    traces = [title for title in failed if title in OWN and not isinstance(failed[title], MESSAGES)]
    case.wrong += [f"{title}: {failed[title]!r}" for title in traces]
    named = _named(path)
    if named:
        case.found.append("verify")
    else:
        # How far an unfinished run has come is no number of its draws.
        told = OWN[-2:] if kind.unfinished else ()
        case.silent += [f"{title} changed" for title in changed if title not in told]
        case.wrong += [f"{title} fails, unseen by verify" for title in failed]


def _rerun(expected, run, path, case, name):
    """Give a command for a damaged store: it says what is wrong, or ends right, or verify knows."""
    try:
        run(path)
    except MESSAGES as said:
        case.found.append(f"{name}: {said}")
        return
    except Exception as failed:
        case.wrong.append(f"{name} fails: {failed!r}")
        return
    differing, named = different(path, expected), _named(path)
    case.silent += [f"{name} left {key}" for key in differing if key not in named]
    made = sorted({*differing} - case.harmed)
    case.silent += [f"{name} made {made[0]} and {len(made) - 1} more"] if made else []


def _repair(kind, folder, case):
    """Repair a damaged store, and one raised since: all is as it should be."""
    for name, more in (("repair", False), ("more", True)):
        path = folder / f"{name}.zarr"
        try:
            kind.run(path, more=more, repair=True)
        except MESSAGES as said:
            if case.kind != "document of the root":  # nothing can be compared then
                case.wrong.append(f"{name} --repair says {said}")
            continue
        except Exception as failed:
            case.wrong.append(f"{name} --repair fails: {failed!r}")
            continue
        differing = different(path, kind.raised if more else kind.finished)
        if differing or _named(path):
            case.silent.append(f"{name} --repair left {differing}, verify {sorted(_named(path))}")


def _named(path):
    """Return the keys of all that --verify names, or why it cannot."""
    try:
        damaged = verify(open_store(path))
    except MESSAGES as said:
        return {str(said)}
    return {one.key for one in damaged} | {f"ledger/{one.entry}" for one in damaged if one.entry}


def different(path, expected):
    """Return the keys of files that are not as expected."""
    found = contents(path)
    return [key for key in {**found, **expected} if found.get(key) != expected.get(key)]


# --- few ------------------------------------------------------------------------------------------


def test_every_kind_of_file_has_a_name(kinds):
    """The files of stores are all of a kind that is damaged below, and none is left out."""
    second = {"entry of a second pass", "digest of a second pass"}
    assert {*kinds("stored").files} == {*PATTERNS.values()} - second


@pytest.mark.torture
@pytest.mark.parametrize("store", ["stored", "killed"])
def test_a_flipped_bit_in_every_kind_of_file(kinds, tmp_path, store):
    """It is found or harmless, and made good by the command that made the store."""
    kind, chance = kinds(store), random.Random(2)
    cases = [
        Case(store, name, chance.choice(keys), "a bit flipped") for name, keys in kind.files.items()
    ]
    assert_none_silent(judged(kind, tmp_path, case, 2) for case in cases)


def _becomes(data):
    return lambda target, _: target.write(data)


#: The worst that can become of files.
WORST = {
    "a document of a group that is no JSON": _becomes(b"x"),
    "percentiles of four zeros": _becomes(bytes(4)),
    "entry of a stage of nothing": _becomes(b"{}"),
    "brackets of an earlier stage": _becomes(b"ndmc"),
}
_WHERE = {
    "a document of a group that is no JSON": "parameters/zarr.json",
    "percentiles of four zeros": "percentiles/sales/c/0/0/0",
    "entry of a stage of nothing": "ledger/stage-0000000000008192",
    "brackets of an earlier stage": "ledger/digests/stage-0000000000000000.brackets",
}


@pytest.mark.parametrize("name", WORST)
def test_the_worst_damage(kinds, tmp_path, name):
    """Files replaced by a few bytes give no wrong number, and are made good."""
    key = _WHERE[name]
    assert_none_silent(
        [judged(kinds("stored"), tmp_path, Case("stored", kind_of(key), key, name), 1)]
    )


def test_damage_of_two_files_is_repaired(kinds, tmp_path):
    """A block that is damaged, and with it the brackets it was digested under, is repaired."""
    kind, chance = kinds("stored"), random.Random(1)
    out = shutil.copytree(kind.path, tmp_path / "run.zarr")
    for key in ("ledger/digests/stage-0000000000000000.brackets", "in_use/c/0/0/0"):
        flip(Target(out, key, ()), chance)
    kind.run(out, repair=True)
    assert different(out, kind.finished) == []
    assert verify(open_store(out)) == []


@pytest.mark.parametrize(
    "key",
    [
        "ledger/block-0000000000002048",
        pytest.param("percentiles/in_use/c/0/0/0", marks=pytest.mark.torture),
    ],
)
def test_the_command_finds_and_repairs_damage(tmp_path, key):
    """``ndmc info --verify`` exits 1 and names the file, and ``--repair`` makes it good, exit 0."""
    out = tmp_path / "run.zarr"
    api.run("starter", 4000, seed=4, keep=["in_use"], block=1024, out=out)
    whole = contents(out)
    flip(Target(out, key, ()), random.Random(4))
    found = ndmc("info", out, "--verify")
    assert (found.code, len(found.err.splitlines())) == (1, 1)
    assert key in found.out
    assert "--repair" in found.err
    asked = ["run", "starter", "-n", 4000, "--seed", 4, "--keep", "in_use", "--block", 1024]
    repairs(*asked, "--out", out, "--repair")
    assert_identical(out, whole)


def test_a_damaged_root_is_refused(kinds, tmp_path):
    """Where the document of the root is damaged nothing is computed, read or written."""
    kind, out, chance = kinds("killed"), tmp_path / "run.zarr", random.Random(6)
    shutil.copytree(kind.path, out)
    sound = (out / "zarr.json").read_bytes()
    for _ in range(20):
        flip(Target(out, "zarr.json", ()), chance)
        damaged = (out / "zarr.json").read_bytes()
        try:
            same = json.loads(damaged) == json.loads(sound)
        except ValueError:
            same = False
        if not same:
            for repair in (False, True):
                with pytest.raises(MESSAGES, match=r"are damaged|not a store"):
                    kind.run(out, repair=repair)
            with pytest.raises(MESSAGES, match=r"are damaged|not a store"):
                api.percentiles(out)
        assert (out / "zarr.json").read_bytes() == damaged
        (out / "zarr.json").write_bytes(sound)


@pytest.mark.parametrize("left", [None, b"", b"{}"], ids=["gone", "empty", "another"])
def test_a_root_that_is_lost_is_damage(kinds, tmp_path, left):
    """Without its root a store is damaged, not somebody else's folder; nothing is written to it."""
    kind = kinds("stored")
    out = shutil.copytree(kind.path, tmp_path / "run.zarr")
    (out / "zarr.json").unlink()
    if left is not None:
        (out / "zarr.json").write_bytes(left)
    for ask in (kind.run, api.percentiles, open_store):
        with pytest.raises(RunError, match=r"the metadata of .* are damaged"):
            ask(out)
    assert (out / "zarr.json").exists() is (left is not None)


def test_nan_is_no_number_to_compare(kinds):
    """The comparison above sees a percentile that has become nan, and one that has moved a bit."""
    kind = kinds("stored")
    data = api.percentiles(kind.path)
    assert values_of(data) == kind.numbers["ndmc percentiles"]
    moved = data.copy(deep=True)
    moved.sales.values.flat[0] = np.nextafter(moved.sales.values.flat[0], np.inf)
    lost = data.copy(deep=True)
    lost.sales.values.flat[0] = np.nan
    found = {"ndmc percentiles": values_of(moved), "ndmc total": values_of(lost)}
    assert other(kind.numbers, found) == ["ndmc percentiles", "ndmc total"]


# --- many -----------------------------------------------------------------------------------------


def told(cases):
    """Print how often each damage of each kind of file was found or harmless, or was silent."""
    kinds = [kind for kind in PATTERNS.values() if any(case.kind == kind for case in cases)]
    heads = ("cases", "found", "harmless", "silent", "not seen by xarray")
    print(f"\n{'':28}" + "".join(f"{head:>{len(head) + 2}}" for head in heads))
    for title, of in (("damage", DAMAGES), ("kind", dict.fromkeys(kinds))):
        for name in of:
            _row(name, [case for case in cases if getattr(case, title) == name], heads)
    _row("all", cases, heads)


def _row(name, cases, heads):
    counts = collections.Counter(case.verdict for case in cases)
    counts |= {"cases": len(cases), heads[-1]: sum(case.blind for case in cases)}
    print(f"{name:28}" + "".join(f"{counts[head]:{len(head) + 2}}" for head in heads))


def assert_none_silent(cases):
    """Demand that no damage was silent, none was said by a traceback, and all could be mended."""
    cases = [case for case in cases if case]
    wrong = [str(case) for case in cases if case.silent or case.wrong]
    assert wrong == [], f"{len(wrong)} of {len(cases)}:\n" + "\n".join(wrong)


@pytest.mark.torture
def test_every_damage_of_every_kind_of_file(kinds, tmp_path):
    """Whatever becomes of one file, no number is wrong in silence, and --repair mends it."""
    cases, stores = [], [*KINDS]
    for kind in PATTERNS.values():
        for turn, damage in enumerate(DAMAGES):
            chance = random.Random(f"{kind} {damage}")
            # Another kind of store each time, of those that have such a file.
            order = stores[turn % len(stores) :] + stores[: turn % len(stores)]
            for store in (one for one in order if kind in kinds(one).files):
                key = chance.choice(kinds(store).files[kind])
                case = judged(kinds(store), tmp_path, Case(store, kind, key, damage), 1)
                if case:
                    cases.append(case)
                    break
    told(cases)
    assert_none_silent(cases)


@pytest.mark.torture
def test_random_damage(kinds, tmp_path, chances):
    """The same for any file of any store, as long as there is time."""
    cases = []
    for number, chance in chances:
        store = chance.choice([*KINDS])
        kind = chance.choice([*kinds(store).files])
        case = Case(store, kind, chance.choice(kinds(store).files[kind]), chance.choice([*DAMAGES]))
        cases.append(judged(kinds(store), tmp_path, case, number))
    told([case for case in cases if case])
    assert_none_silent(cases)
