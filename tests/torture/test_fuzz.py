"""Scenarios, tables and command lines as nobody should write them: a message, or a sound run."""

import hashlib
import itertools
import re
import shlex
import shutil
from collections import Counter

import mutations
import pytest

pytest.importorskip("resource", reason="only POSIX systems fork, and limit what forks may take")

from watched import Watcher

SCENARIOS = ["starter", "quota_gap", "steel_loop", "two_stage_hoard", "building_stock"]
SCENARIOS += [*SCENARIOS, "china_nd_published", "uk_ree"]
TABLES = ["starter", "starter", "quota_gap", "two_stage_hoard", "china_nd_published", "uk_ree"]
#: What is told of at most, in one test.
SHOWN = 20


@pytest.fixture(scope="module")
def watcher(tmp_path_factory):
    """Return what runs commands, watched."""
    one = Watcher(tmp_path_factory.mktemp("watcher"))
    yield one
    one.close()


class Fuzz:
    """Cases under way: each in a folder of its own, which is kept if something is wrong."""

    def __init__(self, watcher, folder):
        self.watcher, self.folder = watcher, folder
        self.counted, self.wrong = Counter(), {}

    def case(self, number):
        """Return an empty folder, with a file outside of the scenario that nobody may read."""
        self.here = self.folder / f"case-{number}"
        self.here.mkdir()
        (self.here / "outside.csv").write_text("product,year,value\n")
        return self.here

    def run(self, *arguments):
        """Run a command in the folder of this case; return its exit code."""
        before = state(self.here)
        done = self.watcher.run(*arguments, folder=self.here)
        after = state(self.here)
        found = done.complaints
        if done.code == 2 and before != after:
            found.append(f"exit 2 leaves {sorted(set(after.items()) ^ set(before.items()))[:4]}")
        if left := [key for key in after if key.endswith((".partial", ".begun"))]:
            found.append(f"litter {left[:4]}")
        if strange := [
            path for path in [*done.read, *done.written] if path.endswith("outside.csv")
        ]:
            found.append(f"a file outside the scenario: {strange[0]}")
        self.counted[done.code] += 1
        if found:
            self.wrong.setdefault(kind(found, done.err), []).append((self.here, arguments, done))
        return done.code

    def over(self):
        """Remove the folder of a case that is well."""
        if not any(self.here == folder for folder, *_ in itertools.chain(*self.wrong.values())):
            shutil.rmtree(self.here)

    def report(self):
        """Demand that nothing was wrong, or show how to have it again."""
        print(f"\n{sum(self.counted.values()):,} commands, exit codes {dict(self.counted)}")
        texts = [shown(found, cases) for found, cases in [*self.wrong.items()][:SHOWN]]
        assert not texts, "\n\n".join(texts)


def shown(found, cases):
    """Return what was wrong, how often, and a command that shows it again."""
    folder, arguments, done = cases[0]
    return (
        f"{len(cases)} times {found}\n"
        f"  cd {folder}; ndmc {shlex.join(arguments)[:1000]}\n"
        f"  exit {done.code}, {done.seconds:.1f} s, {done.memory / 2**20:.0f} MiB\n"
        f"  {done.err[-1500:]}"
    )


def state(folder):
    """Return what is in a folder: the content of every file by its path."""
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name != "outside.csv")
    return {str(p.relative_to(folder)): hashlib.sha1(p.read_bytes()).hexdigest() for p in paths}


def kind(found, error):
    """Return what tells one defect from another: what is wrong, and the code it comes from."""
    places = re.findall(r'File "[^"]*/(\w+\.py)", line (\d+)', error)
    last = [place for place in places if place[0] not in ("watched.py", "app.py")][-1:]
    raised = re.findall(r"^(\w+(?:\.\w+)*(?:Error|Exception|Warning))", error, re.MULTILINE)[-1:]
    said = "" if places else re.sub(r"'.*'|\".*\"|\d+", "#", error)[:120]
    return f"{[re.sub('[0-9]+', '#', text)[:60] for text in found]} {last} {raised} {said}"


@pytest.fixture
def fuzz(watcher, tmp_path):
    """Return cases to run; at the end nothing may have been wrong with one."""
    found = Fuzz(watcher, tmp_path)
    yield found
    found.report()


MORE = [
    ["validate", "study", "-n", "64"],
    ["validate", "run.zarr"],
    ["reconcile", "study"],
    ["reconcile", "study", "-n", "64", "--csv", "cells.csv"],
    ["percentiles", "run.zarr", "-q", "2.5,50,97.5"],
    ["info", "run.zarr", "--verify"],
    ["check", "study", "--graph", "system.svg"],
    ["check", "study", "--quality", "quality.csv"],
    ["run", "study", "-n", "300", "--keep", "none", "--out", "run.zarr"],
    ["job", "slurm", "study", "--parts", "2"],
]


def study(fuzz, chance, number, files):
    """Write a scenario, check it, and where it can be run, run it and ask for something more."""
    folder = fuzz.case(number) / "study"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(mutations.encoded(chance, content))
    if fuzz.run("check", "study") == 0:
        run = ["run", "study", "-n", "64", "--out", "run.zarr"]
        fuzz.run(*run, "--keep", chance.choice(("all", "none")))
        fuzz.run(*chance.choice(MORE))
    fuzz.over()


@pytest.mark.torture
def test_scenarios(fuzz, chances):
    """A scenario changed by chance is refused in one message, or runs to its end."""
    for number, chance in chances:
        files = mutations.bundled(chance.choice(SCENARIOS))
        study(fuzz, chance, number, mutations.scenario(chance, files))


@pytest.mark.torture
def test_tables(fuzz, chances):
    """A table changed by chance is refused in one message, or read and run with."""
    for number, chance in chances:
        files = mutations.bundled(chance.choice(TABLES))
        study(fuzz, chance, number, mutations.table(chance, files))


@pytest.fixture(scope="module")
def stored(watcher, tmp_path_factory):
    """Return a folder with a scenario, a run of it and an empty folder."""
    folder = tmp_path_factory.mktemp("stored")
    (folder / "empty").mkdir()
    assert watcher.run("new", "study", folder=folder).code == 0
    run = ["run", "study", "-n", "300", "--out", "run.zarr", "--keep", "in_use", "--block", "256"]
    assert watcher.run(*run, folder=folder).code == 0
    return folder


@pytest.mark.torture
def test_command_lines(fuzz, chances, stored):
    """A command line changed by chance is refused in one message, or does what it says."""
    for number, chance in chances:
        shutil.copytree(stored, fuzz.case(number), dirs_exist_ok=True)
        fuzz.run(*mutations.command_line(chance))
        fuzz.over()
