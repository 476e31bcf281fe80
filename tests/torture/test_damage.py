"""Bits that flip, files that are cut short or gone: found, or harmless, and made good again."""

import collections
import contextlib
import io
import itertools
import json
import random
import re
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from command import ndmc
from disturbed import assert_identical, contents, killed_at
from tiny import write_scenario

import ndmc as api
from ndmc.cli.print_run import print_run
from ndmc.cli.print_store import print_info
from ndmc.errors import InputError, RunError
from ndmc.store.information import info_of
from ndmc.store.integrity import verify
from ndmc.store.store import open_store

#: Three stages, a ragged last block, draws of a stock and of a parameter.
DRAWS = 66_001
BLOCK = 8192
KINDS = {
    "stored": {"keep": ["in_use", "content"], "exceed": [("total", 18_000.0)]},
    "none": {"keep": ["none"]},
    "two passes": {
        "keep": ["none"],
        "percentiles": ["sales"],
        "quantiles": [0.025, 0.975, *(n / 100 for n in range(1, 100))],
        "memory": 4_000_000,
    },
}
ASKED = ["sales", "in_use", "total", "content"]
OPTIONS = {"percentiles": ASKED, "seed": 4, "workers": 2, "block": BLOCK}
#: What ends a command in one message.
MESSAGES = (RunError, InputError)


@dataclass(frozen=True)
class Whole:
    """An undamaged store: how it was made, what is in it, and every number that is read of it."""

    path: Path
    scenario: object
    options: dict
    contents: dict
    numbers: dict

    def copy(self, to):
        """Return a copy to damage."""
        shutil.rmtree(to, ignore_errors=True)
        shutil.copytree(self.path, to)
        return to

    def run(self, out, **more):
        """Give the command of the run again, for another place."""
        api.run(self.scenario, DRAWS, out=out, **self.options, **more)


@pytest.fixture(scope="module")
def wholes(tmp_path_factory):
    """Return a function that makes an undamaged store of a kind, once."""
    folder, known = tmp_path_factory.mktemp("whole"), {}

    def look(kind="stored"):
        if kind not in known:
            scenario = api.load(write_scenario(folder / f"{kind} scenario"))
            path, options = folder / f"{kind}.zarr", OPTIONS | KINDS[kind]
            api.run(scenario, DRAWS, out=path, **options)
            known[kind] = Whole(path, scenario, options, contents(path), numbers(path))
        return known[kind]

    return look


# --- what is read ---------------------------------------------------------------------------------


def numbers(path):
    """Return all that ndmc and xarray say of a store, each a text to compare or an error."""
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # people see warnings and go on with the numbers
        for title, ask in READ.items():
            try:
                found[title] = ask(path)
            except Exception as failed:
                found[title] = failed
    return found


READ = {
    "ndmc percentiles": lambda path: told(api.percentiles(path)),
    "ndmc total": lambda path: told(api.percentiles(path, "sales", over="product")),
    "ndmc draws": lambda path: told(api.open(path)),
    "ndmc info": lambda path: said(path, lambda store: print_info(info_of(store))),
    "ndmc run": lambda path: said(path, print_run),
    "xarray draws": lambda path: told(xr.open_zarr(path, chunks=None)),
    "xarray percentiles": lambda path: told(xr.open_zarr(path, group="percentiles", chunks=None)),
    "xarray parameters": lambda path: told(xr.open_zarr(path, group="parameters", chunks=None)),
    "xarray inputs": lambda path: told(xr.open_zarr(path, group="inputs", chunks=None)),
}


def said(path, show):
    """Return what is printed of a store, but for times."""
    with contextlib.redirect_stdout(io.StringIO()) as page:
        show(open_store(path))
    lines = page.getvalue().replace(str(path), "STORE").splitlines()
    return [line for line in lines if not line.startswith(("started", "finished"))]


#: What must end in a message where it cannot be read; draws are opened lazily, by xarray.
OWN = ("ndmc percentiles", "ndmc total", "ndmc info", "ndmc run")


def told(dataset):
    """Return every number and label of a dataset, with what it belongs to."""
    loaded = dataset.load()
    return {
        name: (array.dims, array.attrs.get("units"), str(array.dtype), array.values.tobytes())
        if array.dtype.kind != "O"
        else (array.dims, None, "text", repr(array.values.tolist()))
        for name, array in loaded.variables.items()
    }


def other(whole, found):
    """Return what is read differently, without an error."""
    return [
        title
        for title, value in found.items()
        if not isinstance(value, Exception) and value != whole.numbers[title]
    ]


def failures(whole, found):
    """Return what can no longer be read, and why."""
    return {
        title: value
        for title, value in found.items()
        if isinstance(value, Exception) and not isinstance(whole.numbers[title], Exception)
    }


# --- kinds of files -------------------------------------------------------------------------------

_PATTERNS = {
    r"zarr\.json": "document of the root",
    r"ledger/(zarr\.json|c)": "array of the ledger",
    r"ledger/.*\.lock": "lock",
    r"ledger/block-\d+": "entry of a block",
    r"ledger/stage-\d+": "entry of a stage",
    r"ledger/again-[\d.-]+": "entry of a second pass",
    r"ledger/digests/\d+-\d+": "digest of a block",
    r"ledger/digests/.*\.brackets": "brackets",
    r"ledger/digests/again-[\d.-]+-\d+": "digest of a second pass",
    r"ledger/digests/.*\.state": "state",
    r"(inputs|parameters|percentiles|tables)/zarr\.json": "document of a group",
    r"(in_use|inputs/content)/zarr\.json": "document of draws",
    r"(in_use|inputs/content)/c/.*": "draws",
    r".*/zarr\.json": "document of a small array",
    r"percentiles/\w+/c.*": "percentiles",
    r"parameters/(?!(year|product|product_group)/)\w+/c.*": "parameters",
    r".*/c/0": "labels",
}


def kind_of(key):
    """Return the kind of a file of a store."""
    return next(kind for pattern, kind in _PATTERNS.items() if re.fullmatch(pattern, key))


def files(path):
    """Return the files of a store that hold something, by kind."""
    found = collections.defaultdict(list)
    for file in sorted(path.rglob("*")):
        if file.is_file() and file.stat().st_size:
            key = file.relative_to(path).as_posix()
            found[kind_of(key)].append(key)
    return found


def chosen(path, chance, each):
    """Yield keys of files to damage, so many of each kind; of few kinds every file has a turn."""
    for kind, keys in files(path).items():
        shuffled = chance.sample(keys, len(keys))
        for key in itertools.islice(itertools.cycle(shuffled), each):
            yield kind, key


# --- damage ---------------------------------------------------------------------------------------


def flip(file, chance):
    """Flip a random bit."""
    data = bytearray(file.read_bytes())
    bit = chance.randrange(8 * len(data))
    data[bit // 8] ^= 1 << bit % 8
    file.write_bytes(data)
    return f"bit {bit}"


def truncate(file, chance):
    """Cut a file short, at times to nothing."""
    size = file.stat().st_size
    left = chance.choice([0, 1, 4, size // 2, size - 1])
    file.write_bytes(file.read_bytes()[: min(left, size - 1)])
    return f"cut to {file.stat().st_size} of {size} bytes"


def delete(file, chance):
    """Remove a file."""
    file.unlink()
    return "deleted"


@dataclass
class Case:
    """One damaged file, and what became of it."""

    kind: str
    key: str
    what: str
    verdict: str = ""
    problem: str = ""

    def __str__(self):
        return f"{self.key}, {self.what}: {self.problem}"


def judge(whole, out, case):
    """Say how damage is found, or that it is harmless; a wrong number is a problem.

    The same command repairs, and must end in the undamaged store, whether damage was found or not.
    """
    found = numbers(out)
    wrong = [title for title in other(whole, found) if title.startswith("ndmc")]
    traces = [
        f"{title}: {type(error).__name__}: {error}"
        for title, error in failures(whole, found).items()
        if title in OWN and not isinstance(error, MESSAGES)
    ]
    try:
        damaged = verify(open_store(out))
    except MESSAGES:
        case.verdict = "opening"
        damaged = []
    else:
        if damaged:
            case.verdict = "verify"
            named = {d.key for d in damaged} | {f"ledger/{d.entry}" for d in damaged}
            if case.key not in named and not case.key.startswith("ledger/"):
                case.problem = f"verify names {sorted(named)}"
        else:
            case.verdict = "harmless"
            wrong += [title for title in other(whole, found) if title not in wrong]
            wrong += [f"{t} fails, unseen by verify" for t in failures(whole, found)]
    if wrong:
        case.verdict, case.problem = "wrong", ", ".join(wrong)
    elif traces:
        case.problem = "; ".join(traces)
    elif case.verdict != "opening" and not case.problem:
        case.problem = repaired(whole, out)
    return case


def repaired(whole, out):
    """Repair a store by the command that made it; return what is not as it was, if anything."""
    try:
        whole.run(out, repair=True)
        assert_identical(out, whole.contents)
    except AssertionError as differs:
        return f"not identical after --repair: {differs}"
    except Exception as failed:
        return f"--repair fails: {type(failed).__name__}: {failed}"
    return ""


def table(cases, what):
    """Print how damage of each kind of file was found."""
    verdicts = ("verify", "opening", "harmless", "wrong")
    print(
        f"\n{'kind of file':26}{what:>8}{'verify':>10}{'opening':>10}{'harmless':>10}{'wrong':>8}"
    )
    counts = collections.Counter((case.kind, case.verdict) for case in cases)
    for kind in dict.fromkeys(case.kind for case in cases):
        row = [counts[kind, verdict] for verdict in verdicts]
        print(f"{kind:26}{sum(row):8}{row[0]:10}{row[1]:10}{row[2]:10}{row[3]:8}")
    row = [sum(case.verdict == verdict for case in cases) for verdict in verdicts]
    print(f"{'all':26}{sum(row):8}{row[0]:10}{row[1]:10}{row[2]:10}{row[3]:8}")


def judged(whole, out, chance, damage, each):
    """Damage copies of a store, one file each, and judge them."""
    cases = []
    for kind, key in chosen(whole.path, chance, each):
        whole.copy(out)
        cases.append(judge(whole, out, Case(kind, key, damage(out / key, chance))))
    return cases


def assert_sound(cases):
    """Demand that no damage gave a wrong number, and that what was found could be repaired."""
    problems = [str(case) for case in cases if case.problem]
    assert problems == [], f"{len(problems)} of {len(cases)}:\n" + "\n".join(problems)


# --- complete stores ------------------------------------------------------------------------------


def test_every_kind_of_file_has_a_name(wholes):
    """The files of a store are all of a kind that is damaged below, and none is left out."""
    found = set(files(wholes().path))
    left = {"entry of a second pass", "digest of a second pass", "lock"}
    assert found == set(_PATTERNS.values()) - left


def test_a_dozen_flipped_bits(wholes, tmp_path):
    """A flipped bit in any kind of file is found or harmless, and repaired by the same command."""
    assert_sound(judged(wholes(), tmp_path / "run.zarr", random.Random(2), flip, 1))


#: The worst that can become of files.
WORST = {
    "a document of a group that is no JSON": ("parameters/zarr.json", b"x"),
    "percentiles of no bytes": ("percentiles/sales/c/0/0/0", b""),
    "percentiles of four zeros": ("percentiles/sales/c/0/0/0", bytes(4)),
    "labels of no bytes": ("product/c/0", b""),
    "percentiles gone": ("percentiles/sales/c/0/0/0", None),
    "entry of a stage gone": ("ledger/stage-0000000000008192", None),
    "entry of a stage damaged": ("ledger/stage-0000000000008192", b"{}"),
    "brackets of an earlier stage damaged": (
        "ledger/digests/stage-0000000000000000.brackets",
        b"ndmc",
    ),
    "a digest gone": (f"ledger/digests/65536-{DRAWS // 256 * 256}", None),
}


@pytest.mark.parametrize("name", WORST)
def test_the_worst_damage(wholes, tmp_path, name):
    """Files emptied, replaced or gone give no wrong number, and the same command repairs them."""
    whole, (key, data) = wholes(), WORST[name]
    out = whole.copy(tmp_path / "run.zarr")
    if data is None:
        (out / key).unlink()
    else:
        (out / key).write_bytes(data)
    case = judge(whole, out, Case(kind_of(key), key, name))
    assert case.problem == ""


def test_damage_of_two_files_is_repaired(wholes, tmp_path):
    """A block that is damaged, and with it the brackets it was digested under, is repaired."""
    whole = wholes()
    out = whole.copy(tmp_path / "run.zarr")
    chance = random.Random(1)
    flip(out / "ledger/digests/stage-0000000000000000.brackets", chance)
    flip(out / "in_use/c/0/0/0", chance)
    assert repaired(whole, out) == ""


@pytest.mark.torture
@pytest.mark.parametrize("kind", KINDS)
def test_hundreds_of_flipped_bits(wholes, tmp_path, kind):
    """No flipped bit gives a wrong number: it is found and repaired, or harmless."""
    each = 12 if kind == "stored" else 6
    cases = judged(wholes(kind), tmp_path / "run.zarr", random.Random(kind), flip, each)
    table(cases, "flips")
    assert_sound(cases)


@pytest.mark.torture
@pytest.mark.parametrize("damage", [truncate, delete], ids=["truncated", "deleted"])
@pytest.mark.parametrize("kind", KINDS)
def test_files_cut_short_or_gone(wholes, tmp_path, kind, damage):
    """No file cut short or gone gives a wrong number: it is found and repaired, or harmless."""
    each = {truncate: 5, delete: 2}[damage]
    cases = judged(wholes(kind), tmp_path / "run.zarr", random.Random(kind), damage, each)
    table(cases, damage.__name__)
    assert_sound(cases)


@pytest.mark.torture
@pytest.mark.parametrize("folder", ["ledger", "ledger/digests", "percentiles", "inputs", "in_use"])
def test_whole_folders_gone(wholes, tmp_path, folder):
    """A folder that is gone with all in it is found and made anew."""
    whole = wholes()
    out = whole.copy(tmp_path / "run.zarr")
    shutil.rmtree(out / folder)
    assert verify(open_store(out)) != []
    assert [title for title in other(whole, numbers(out)) if title in OWN] == []
    assert repaired(whole, out) == ""


@pytest.mark.parametrize("key", ["ledger/block-0000000000002048", "percentiles/in_use/c/0/0/0"])
def test_the_command_finds_and_repairs_damage(tmp_path, key):
    """``ndmc info --verify`` exits 1 and names the file, and ``--repair`` makes it good, exit 0."""
    out = tmp_path / "run.zarr"
    api.run("starter", 4000, seed=4, keep=["in_use"], block=1024, out=out)
    whole = contents(out)
    flip(out / key, random.Random(4))
    found = ndmc("info", out, "--verify")
    assert (found.code, len(found.err.splitlines())) == (1, 1)
    assert key in found.out
    assert "--repair" in found.err
    asked = ["run", "starter", "-n", 4000, "--seed", 4, "--keep", "in_use", "--block", 1024]
    done = ndmc(*asked, "--out", out, "--repair")
    assert (done.code, done.err) == (0, "")
    assert_identical(out, whole)


# --- stores of killed runs ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def unfinished(wholes, tmp_path_factory):
    """Return stores of a run that was killed in its second and in its third stage."""
    found = {}
    for kind, block in (("stored", 24_576), ("stored", 57_344), ("none", 32_768)):
        whole, out = wholes(kind), tmp_path_factory.mktemp("killed") / "run.zarr"
        keep = ",".join(whole.options["keep"])
        asked = ["run", whole.scenario.folder, "-n", DRAWS, "--seed", 4, "--keep", keep]
        asked += ["--percentiles", ",".join(ASKED), "--block", BLOCK, "--workers", 1, "--out", out]
        for name, limit in whole.options.get("exceed", []):
            asked += ["--exceed", f"{name} > {limit}"]
        entry = out / f"ledger/block-{block:016d}"
        assert killed_at(entry, *asked)
        assert not open_store(out).complete
        found[kind, block] = out
    return found


def resumed(whole, out):
    """Resume a damaged run as its messages say; return what went wrong, if anything."""
    try:
        try:
            whole.run(out)
        except MESSAGES as said:
            if not isinstance(said, RunError) or "--repair" not in str(said):
                return f"resuming says {said}"
            whole.run(out, repair=True)
        found = numbers(out)
        wrong = [title for title in other(whole, found) if title in OWN]
        if wrong:
            return f"resumed, wrong: {wrong}"
        if verify(open_store(out)):
            whole.run(out, repair=True)
        assert_identical(out, whole.contents)
    except AssertionError as differs:
        return f"not identical: {differs}"
    except Exception as failed:
        return f"{type(failed).__name__}: {failed}"
    return ""


def resumed_after(whole, begun, out, chance, damage, each):
    """Damage copies of the store of a killed run, one file each, resume them and judge."""
    cases = []
    for kind, key in chosen(begun, chance, each):
        if kind == "document of the root":  # nothing can be trusted then: nothing is resumed
            continue
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(begun, out)
        case = Case(kind, key, damage(out / key, chance))
        case.verdict = "verify" if verify(open_store(out)) else "harmless"
        case.problem = resumed(whole, out)
        case.verdict = "wrong" if "wrong" in case.problem else case.verdict
        cases.append(case)
    return cases


def test_damage_of_an_unfinished_run(wholes, unfinished, tmp_path):
    """A run whose files were damaged while it was down ends right, or says what to do."""
    whole, out = wholes(), tmp_path / "run.zarr"
    begun = unfinished["stored", 24_576]
    assert_sound(resumed_after(whole, begun, out, random.Random(3), flip, 1))


@pytest.mark.torture
@pytest.mark.parametrize("damage", [flip, truncate, delete])
def test_much_damage_of_unfinished_runs(wholes, unfinished, tmp_path, damage):
    """Whatever file of an unfinished run is damaged, it ends right, or says what to do."""
    cases = []
    for (kind, block), begun in unfinished.items():
        each = {flip: 4, truncate: 2, delete: 2}[damage]
        chance = random.Random(block)
        cases += resumed_after(wholes(kind), begun, tmp_path / "run.zarr", chance, damage, each)
    table(cases, damage.__name__)
    assert_sound(cases)


def test_a_damaged_root_is_refused(wholes, unfinished, tmp_path):
    """Where the document of the root is damaged nothing is computed, read or written."""
    whole, out, chance = wholes(), tmp_path / "run.zarr", random.Random(6)
    shutil.copytree(unfinished["stored", 24_576], out)
    sound = (out / "zarr.json").read_bytes()
    for _ in range(20):
        flip(out / "zarr.json", chance)
        damaged = (out / "zarr.json").read_bytes()
        try:
            same = json.loads(damaged) == json.loads(sound)
        except ValueError:
            same = False
        if not same:
            for repair in (False, True):
                with pytest.raises(MESSAGES, match=r"are damaged|not a store"):
                    whole.run(out, repair=repair)
            with pytest.raises(MESSAGES, match=r"are damaged|not a store"):
                api.percentiles(out)
        assert (out / "zarr.json").read_bytes() == damaged
        (out / "zarr.json").write_bytes(sound)


@pytest.mark.parametrize("left", [None, b"", b"{}"], ids=["gone", "empty", "another"])
def test_a_root_that_is_lost_is_damage(wholes, tmp_path, left):
    """Without its root a store is damaged, not somebody else's folder; nothing is written to it."""
    whole = wholes()
    out = whole.copy(tmp_path / "run.zarr")
    (out / "zarr.json").unlink()
    if left is not None:
        (out / "zarr.json").write_bytes(left)
    for ask in (whole.run, api.percentiles, open_store):
        with pytest.raises(RunError, match=r"the metadata of .* are damaged"):
            ask(out)
    assert (out / "zarr.json").exists() is (left is not None)


def test_nan_is_no_number_to_compare(wholes):
    """The comparison above sees a percentile that has become nan, and one that has moved a bit."""
    whole = wholes()
    data = api.percentiles(whole.path)
    assert told(data) == whole.numbers["ndmc percentiles"]
    moved = data.copy(deep=True)
    moved.sales.values.flat[0] = np.nextafter(moved.sales.values.flat[0], np.inf)
    lost = data.copy(deep=True)
    lost.sales.values.flat[0] = np.nan
    found = {"ndmc percentiles": told(moved), "ndmc total": told(lost)}
    assert other(whole, found) == ["ndmc percentiles", "ndmc total"]
