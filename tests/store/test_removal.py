"""A run that replaces a store: what is no store of ndmc's stays, and no half of one is left."""

import os
import shutil
import subprocess
import sys
import uuid

import pytest
from numpy.testing import assert_array_equal
from tiny import write_scenario

import ndmc
from ndmc import InputError, RunError
from ndmc.store.address import place_of
from ndmc.store.bucket import Bucket
from ndmc.store.creation import existing
from ndmc.store.removal import removable, remove_store


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Return the folder of the tiny scenario."""
    return write_scenario(tmp_path_factory.mktemp("scenario") / "tiny")


@pytest.fixture(scope="module")
def whole(tiny, tmp_path_factory):
    """Return the path of a store with draws, inputs and percentiles."""
    out = tmp_path_factory.mktemp("whole") / "run.zarr"
    ndmc.run(tiny, 300, out=out, keep=["in_use", "collection"])
    return out


@pytest.fixture
def store(whole, tmp_path):
    """Return the path of a copy of the store."""
    return shutil.copytree(whole, tmp_path / "run.zarr")


def files(folder):
    """Return what lies in a folder, and its times."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_another_run_takes_the_place_of_a_store(tiny, store, cli, tmp_path):
    """It is as if there had been none, from Python and from the command line."""
    new = ndmc.run(tiny, 50, seed=2, out=tmp_path / "new.zarr", keep=["total"]).load()
    found = ndmc.run(tiny, 50, seed=2, out=store, keep=["total"], overwrite=True).load()
    assert_array_equal(found.total, new.total)
    assert not ndmc.verify(store)
    assert {path.name for path in tmp_path.iterdir()} == {"new.zarr", "run.zarr"}
    done = cli("run", tiny, "-n", "20", "--out", store, "--overwrite")
    assert (done.code, done.err) == (0, "")
    assert ndmc.open(store).attrs["draws"] == 20
    done = cli("run", tiny, "-n", "10", "--out", store)
    assert done.code == 2
    assert "replace it by --overwrite" in done.err


def test_where_there_is_nothing_nothing_is_replaced(tiny, cli, tmp_path):
    """The option says what may happen, not what has to."""
    assert cli("run", tiny, "-n", "20", "--overwrite").code == 0
    assert ndmc.open(tmp_path / "tiny.zarr").attrs["draws"] == 20


def test_a_plan_and_a_run_that_cannot_be_made_remove_nothing(tiny, store, cli, tmp_path):
    """What is wrong is found before."""
    before = files(store)
    assert cli("run", tiny, "-n", 9, "--out", store, "--overwrite", "--plan").code == 0
    wrong = write_scenario(tmp_path / "wrong", {"production * content": "production * contents"})
    assert cli("run", wrong, "-n", 9, "--out", store, "--overwrite").code == 2
    fails = {"production * content": "production * content / (collection - collection)"}
    failing = write_scenario(tmp_path / "failing", fails)
    assert cli("run", failing, "-n", 9, "--out", store, "--overwrite").code == 1
    assert files(store) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"part": (1, 2)}, "^--overwrite: each part would remove what the others have computed"),
        ({"overwrite": "no"}, "^overwrite is 'no' but must be True or False"),
        ({"repair": True}, "^--overwrite: a store that is replaced needs no repair"),
    ],
)
def test_what_needs_the_store_does_not_replace_it(tiny, store, options, message):
    """Parts share it, and a repair mends it."""
    before = files(store)
    with pytest.raises(InputError, match=message):
        ndmc.run(tiny, 300, out=store, **{"overwrite": True} | options)
    assert files(store) == before


def test_a_job_replaces_no_store(tiny, cli):
    """It is run in parts, again and again."""
    done = cli("job", "slurm", tiny, "--parts", 2, "--overwrite")
    assert done.code == 2
    assert "no such option: --overwrite" in done.err


@pytest.mark.parametrize(
    "key", ["notes.txt", "in_use/c/a.csv", "ledger/x", "other/zarr.json", ".x"]
)
def test_a_store_that_holds_other_files_stays(tiny, store, key):
    """Nobody loses what no run has written; the file is named."""
    (store / key).parent.mkdir(exist_ok=True)
    (store / key).write_text("mine")
    with pytest.raises(InputError, match=rf"^--overwrite: .* has written \('{key}'\); move it"):
        ndmc.run(tiny, 10, out=store, overwrite=True)
    assert (store / key).read_text() == "mine"


def test_what_is_no_store_stays(tiny, store, tmp_path):
    """A file, a folder of something else, a link, and what nobody can tell the owner of."""
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "zarr.json").write_text("{}")
    (tmp_path / "link").symlink_to(store)
    before = files(tmp_path)
    for name, message in (
        ("file", "is not a store of ndmc's"),
        ("folder", "is not a store of ndmc's"),
        ("link", "is a link; give --out the folder it leads to"),
    ):
        with pytest.raises(InputError, match=message):
            ndmc.run(tiny, 10, out=tmp_path / name, overwrite=True)
    (store / "zarr.json").write_text((store / "zarr.json").read_text().replace("tiny", "tony", 1))
    with pytest.raises(RunError, match="are damaged"):
        ndmc.run(tiny, 10, out=store, overwrite=True)
    assert {*files(tmp_path)} == {*before}


def test_what_interrupted_writes_have_left_goes_too(store):
    """It is the store's, as are locks and digests."""
    (store / "in_use" / "c" / f"0.{uuid.uuid4().hex}.partial").write_text("half")
    assert removable(place_of(store))


def test_a_store_that_is_written_to_stays(tiny, store):
    """Another run has its lock, or has begun another store meanwhile."""
    place = place_of(store)
    known = removable(place)
    with place.lock("run", shared=True), pytest.raises(RunError, match="another run writes to"):
        ndmc.run(tiny, 10, out=store, overwrite=True)
    known.write_attributes(finished="just now")
    with pytest.raises(BlockingIOError):
        remove_store(known)
    assert removable(place)


KILLED = """
import os, shutil, sys
from pathlib import Path
from ndmc.store.folder import Folder
shutil.rmtree = lambda *_, **__: os._exit(9)
Folder(Path(sys.argv[1])).discard()
"""


def test_a_kill_leaves_no_half_of_a_folder(store, tmp_path):
    """It is moved aside whole, and what is left of it goes with the next run there."""
    done = subprocess.run([sys.executable, "-c", KILLED, os.fspath(store)], check=False)
    assert done.returncode == 9
    assert existing(place_of(store)) is None
    assert [path.name[:10] for path in tmp_path.iterdir()] == [".run.zarr."]
    with place_of(store).begin() as begun:
        begun.write("zarr.json", b"{}")
    assert [path.name for path in tmp_path.iterdir()] == ["run.zarr"]


class Stopping:
    """The files of a bucket, of which one removal is the last."""

    def __init__(self, files, left):
        self.files, self.left = files, left

    def __getattr__(self, name):
        return getattr(self.files, name)

    def rm(self, *args, **options):
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        return self.files.rm(*args, **options)


def test_a_kill_leaves_no_half_of_a_bucket(tiny, store):
    """Whenever it comes there is the store, or the beginning of one, in which a run is whole."""
    for removals in range(4):
        url = f"memory://{uuid.uuid4().hex}/run.zarr"
        place = Bucket(url)
        for path in store.rglob("*"):
            if path.is_file():
                place.write(path.relative_to(store).as_posix(), path.read_bytes())
        place.files = Stopping(place.files, removals)
        with pytest.raises(KeyboardInterrupt):
            place.discard()
        assert (existing(Bucket(url)) is None) == (removals > 0)
        ndmc.run(tiny, 300, out=url, keep=["in_use", "collection"])
        assert not ndmc.verify(url)
