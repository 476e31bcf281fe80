"""Stores forged with right checksums: each reading ends in numbers that are right, or a message.

Every leaf of the root's attributes, of a document of each kind, of an entry of the ledger and of
the table of contents of a digest is put to hostile values, taken out or added to.
Cases are drawn for as long as tests of cases go on.
"""

import contextlib
import copy
import json
import os
import resource
import shutil
import signal
import struct
from collections import Counter
from dataclasses import dataclass

import google_crc32c
import pytest
from command import here

import ndmc
from ndmc.errors import InputError, RunError
from ndmc.store.ledger import checksum
from ndmc.store.opening import open_store
from ndmc.store.seal import seal
from ndmc.store.structured import structured

pytestmark = pytest.mark.torture

#: Seconds and bytes that no reading may take.
PATIENCE, MEMORY = 60, 2**30

MESSAGES = (InputError, RunError)

ASKED = {"seed": 4, "workers": 1, "block": 256, "exceed": [("in_use", "1 kt")]}
KINDS = {"stored": ["in_use", "production"], "none": ["none"]}
DRAWS, MORE = 600, 900

VALUES = [None, True, -1, 0, 1, 2, 1.5, 1e308, float("nan"), float("inf"), 2**63, 10**30]
VALUES += ["", "../../x", "/etc/passwd", "\x1b[2J", "a\0b", "\ud800", "in_use", "a" * 10**6]
VALUES += [[], {}, [[]], "deep", [0] * 10**5, [1, "a"], {"a": 1}]

#: Text that says something of a run and changes no number.
FREE = {"title", "references", "machine", "versions", "started", "finished", "scenario_text"}
FREE |= {"headline", "unit", "note", "added", "checked", "not_computed", "until", "rounding_error"}
FREE |= {"source", "reconciled", "tables", "parameters", "files", "scenario", "limit", "counted"}


def deep():
    """Return lists within lists."""
    found = []
    for _ in range(300):
        found = [found]
    return found


def leaves(node, path=()):
    """Yield the path of every entry of a document, of long lists the first and the last."""
    if path:
        yield path
    if isinstance(node, dict):
        inner = [*node]
    else:
        inner = [*{0, len(node) - 1}] if isinstance(node, list) and node else []
    for key in inner:
        yield from leaves(node[key], (*path, key))


def changed(document, path, value):
    """Return a document with a value at a path, or without it, or with more in it."""
    document = copy.deepcopy(document)
    inner = document
    for part in path[:-1]:
        inner = inner[part]
    last = path[-1]
    if value == "taken out":
        del inner[last]
    elif value == "added to" and isinstance(inner[last], dict):
        inner[last]["added"] = 1
    elif value == "added to":
        inner[last] = [*inner[last], 1] if isinstance(inner[last], list) else [inner[last]]
    else:
        inner[last] = deep() if value == "deep" else value
    return document


@dataclass(frozen=True)
class Whole:
    """A sound store, and the numbers of it and of the same run with more draws."""

    path: object
    keep: list
    numbers: dict
    raised: dict

    def run(self, out, **options):
        """Run what it holds."""
        ndmc.run("starter", **{"draws": DRAWS, "keep": self.keep, "out": out} | ASKED | options)


def numbers(out):
    """Return percentiles and the coordinates they stand under, as bytes."""
    found = ndmc.percentiles(out, ["in_use", "sales"])
    names = [*found.data_vars, "quantile", "year"]
    return {name: found[name].values.tobytes() for name in names}


@pytest.fixture(scope="module", autouse=True)
def _unflushed():
    """Let nothing wait for the disk: no power fails here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="module")
def wholes(tmp_path_factory):
    """Return sound stores of each kind, complete, and one of which half is missing."""
    found = {}
    for kind, keep in KINDS.items():
        out = tmp_path_factory.mktemp(kind) / "run.zarr"
        ndmc.run("starter", DRAWS, keep=keep, out=out, **ASKED)
        more = tmp_path_factory.mktemp(kind) / "more.zarr"
        ndmc.run("starter", MORE, keep=keep, out=more, **ASKED)
        found[kind] = Whole(out, keep, numbers(out), numbers(more))
    return found


@contextlib.contextmanager
def limited():
    """Raise TimeoutError if something takes too long."""

    def stop(number, frame):
        raise TimeoutError(f"more than {PATIENCE} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(PATIENCE)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def told(ask):
    """Return what an ask gives, or None if it ends in a message of one line."""
    try:
        with limited():
            return ask()
    except MESSAGES as said:
        message = f"{said}"
    assert "\n" not in message, f"more than one line: {message}"
    assert len(message) < 2000, "too long a message"
    return None


def command(*arguments):
    """Run a command in this process, which ends in 0, 1 or 2; return whether it was 0."""
    with limited():
        done = here(*arguments)
    assert done.code in (0, 1, 2), done
    assert "Traceback" not in done.err, done.err
    return done.code == 0


def problem(whole, out, free):
    """Return what is wrong with how a forged store is read and run, if anything."""
    try:
        for arguments in (["info", out], ["info", out, "--verify"], ["percentiles", out]):
            command(*arguments)
        if told(lambda: numbers(out)) not in (None, whole.numbers) and not free:
            return "other percentiles"
        told(lambda: ndmc.open(out).load())
        for expected, options in (
            (whole.numbers, {}),
            (whole.raised, {"draws": MORE}),
            (whole.raised, {"draws": MORE, "repair": True}),
        ):
            if told(lambda options=options: whole.run(out, **options)) is None:
                continue
            if told(lambda: numbers(out)) not in (None, expected):
                return f"other percentiles after {options}"
    except Exception as failed:
        return f"{type(failed).__name__}: {failed}"
    return ""


def tortured(whole, out, forge, cases, chances):
    """Forge copies of a store for as long as there are chances, and return what is wrong."""
    judged, problems = Counter(), []
    shutil.copytree(whole.path, out)
    for number, chance in chances:
        path, value = chance.choice(cases), chance.choice([*VALUES, "taken out", "added to"])
        forge(out, path, value)
        refused = told(lambda: open_store(out)) is None
        judged["refused at once" if refused else "read"] += 1
        if refused and number % 50:  # by whatever opens it
            continue
        found = problem(whole, out, not FREE.isdisjoint(path))
        shutil.rmtree(out)
        shutil.copytree(whole.path, out)
        if found:
            problems.append(f"{number}, {'.'.join(map(str, path))} = {value!r:.60}: {found:.300}")
    print(dict(judged), f"{len(problems)} problems, in {len(cases)} places")
    return problems


def write_sealed(file, document):
    """Write the document of a root with the right checksum."""
    attributes = document["attributes"]
    if isinstance(attributes, dict):
        attributes.pop("checksum", None)
        plain = json.loads(json.dumps(document))
        attributes["checksum"] = checksum(plain)
    file.write_text(json.dumps(document))


# --- the root -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_forged_roots(wholes, tmp_path, chances, kind):
    """Whatever stands in a root, it is refused in one message, or its numbers are right."""
    whole, before = wholes[kind], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    document = json.loads((whole.path / "zarr.json").read_bytes())
    document["attributes"] = structured(document["attributes"])  # as older stores have them
    metadata = document["consolidated_metadata"]["metadata"]
    some = {"in_use", "year", "product", "product_group", "inputs", "inputs/production"}
    some |= {"percentiles", "percentiles/in_use", "percentiles/in_use_limit", "tables"}
    some |= {"parameters", "parameters/production", "percentiles/quantile"}

    def forge(out, path, value):
        write_sealed(out / "zarr.json", changed(document, path, value))

    cases = [("attributes", *path) for path in leaves(document["attributes"])]
    cases = [path for path in cases if path[1] != "checksum"]
    for key in sorted(some & set(metadata)):
        above = ("consolidated_metadata", "metadata")
        cases += [(*above, *path) for path in leaves({key: metadata[key]})]
    assert tortured(whole, tmp_path / "run.zarr", forge, cases, chances) == []
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown * 1024 < MEMORY


# --- ledger and digests ---------------------------------------------------------------------------


def write_entry(path, facts):
    """Write an entry of the ledger with the right checksum."""
    path.write_text(json.dumps({**facts, "crc32c": checksum(facts)}))


def forge_entry(out, path, value):
    """Change an entry of the ledger."""
    file = out / "ledger" / path[0]
    facts = json.loads(file.read_bytes())
    del facts["crc32c"]
    write_entry(file, changed(facts, path[1:], value))


def forge_digest(out, path, value):
    """Change the table of contents of a digest, or of brackets, and seal it in the ledger anew."""
    entry, key, *inner = path
    data = (out / key).read_bytes()
    start = struct.unpack("<4sIQ", data[-16:])[2]
    contents = json.dumps(changed(json.loads(data[start:-16]), inner, value)).encode()
    tail = struct.pack("<4sIQ", b"ndmc", google_crc32c.value(contents), start)
    (out / key).write_bytes(data[:start] + contents + tail)
    facts = json.loads((out / "ledger" / entry).read_bytes())
    del facts["crc32c"]
    facts["files"][key] = seal(key, (out / key).read_bytes(), len)
    write_entry(out / "ledger" / entry, facts)


def unfinished(whole, out):
    """Return a copy of a store that is not complete: its percentiles are still to be."""
    shutil.copytree(whole.path, out)
    open_store(out).write_attributes(complete=False)
    return Whole(out, whole.keep, whole.numbers, whole.raised)


@pytest.mark.parametrize("kind", KINDS)
def test_forged_entries(wholes, tmp_path, chances, kind):
    """Whatever stands in an entry of the ledger, it counts for nothing, or ends in a message."""
    begun, cases = unfinished(wholes[kind], tmp_path / "begun.zarr"), []
    for path in sorted((begun.path / "ledger").glob("*-*")):
        facts = json.loads(path.read_bytes())
        cases += [(path.name, *inner) for inner in leaves(facts) if inner[0] != "crc32c"]
    assert tortured(begun, tmp_path / "run.zarr", forge_entry, cases, chances) == []


@pytest.mark.parametrize("kind", KINDS)
def test_forged_digests(wholes, tmp_path, chances, kind):
    """Whatever a digest says of its arrays, what is not what a run writes is damage."""
    begun, cases = unfinished(wholes[kind], tmp_path / "begun.zarr"), []
    for path in sorted((begun.path / "ledger").glob("*-*")):
        for key in json.loads(path.read_bytes())["files"]:
            if key.startswith("ledger/"):
                data = (begun.path / key).read_bytes()
                start = struct.unpack("<4sIQ", data[-16:])[2]
                inner = leaves(json.loads(data[start:-16]))
                cases += [(path.name, key, *one) for one in inner]
    assert tortured(begun, tmp_path / "run.zarr", forge_digest, cases, chances) == []
