"""Disks that fill up, turn read-only or are taken away; clocks that jump; two runs at once."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
from command import PATIENCE, altered, ndmc
from disturbed import (
    Started,
    assert_identical,
    contents,
    entries,
    finishes,
    killed,
    litter,
    repairs,
    started,
)

from ndmc.store.opening import open_store

RUN = ["run", "starter", "-n", 30_000, "--seed", 4, "--keep", "in_use"]
RUN += ["--block", 1024, "--workers", 2]
NOBODY = 65534


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return the contents of an undisturbed run."""
    out = tmp_path_factory.mktemp("whole") / "run.zarr"
    finishes(*RUN, "--out", out)
    return contents(out)


class Disk:
    """A small file system of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.out = folder / "run.zarr"

    def mount(self, options):
        """Mount it, or skip the test where that is not allowed."""
        asked = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.folder)]
        try:
            done = subprocess.run(asked, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            pytest.skip("there is no mount")
        if done.returncode:
            pytest.skip(f"cannot mount a tmpfs: {done.stderr.strip()}")

    def remount(self, options):
        """Change its size, or whether it can be written."""
        asked = ["mount", "-o", f"remount,{options}", str(self.folder)]
        subprocess.run(asked, capture_output=True, check=True)

    def fill(self, left):
        """Fill it with a file but for so many bytes."""
        (self.folder / "filler").unlink(missing_ok=True)
        about = os.statvfs(self.folder)
        size = max(about.f_bavail * about.f_frsize - left, 0)
        with (self.folder / "filler").open("wb", buffering=0) as file:
            file.write(bytes(size))  # a disk that is full takes a part
        about = os.statvfs(self.folder)
        assert about.f_bavail * about.f_frsize <= left + about.f_frsize


@pytest.fixture
def disk(tmp_path):
    """Return a disk that is not mounted yet; it is taken away at the end."""
    folder = tmp_path / "disk"
    folder.mkdir()
    yield Disk(folder)
    if os.path.ismount(folder):
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def assert_one_message(done, *texts, code=1):
    """Demand one line on stderr that says something, and nothing else."""
    assert done.code == code, done.err
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1, done.err
    for text in texts:
        assert text in done.err
    assert done.out == ""


# --- no room --------------------------------------------------------------------------------------


def full(disk, running, left):
    """Fill a disk up while the run that writes to it is held."""
    running.send(signal.SIGSTOP)
    disk.fill(left)
    running.send(signal.SIGCONT)


def filled(disk, left, blocks):
    """Let a run fill up a disk after some blocks; return what it says."""
    disk.mount("size=64m")
    with started(*RUN, "--out", disk.out) as running:
        running.wait_for(lambda: len(entries(disk.out)) >= blocks)
        full(disk, running, left)
        return running.result()


@pytest.mark.torture
def test_a_full_disk_stops_a_run_that_goes_on_when_there_is_room(disk, whole):
    """A disk that fills up ends a run in one message; with room it goes on to the same store."""
    done = filled(disk, left=300_000, blocks=6)
    assert_one_message(done, "No space left on device", "make room", "same command again")
    assert litter(disk.out) == []
    early = entries(disk.out)
    refused = ndmc(*RUN, "--out", disk.out)
    assert_one_message(refused, "of disk but", code=2)
    disk.remount("size=128m")
    finishes(*RUN, "--out", disk.out)
    assert early.items() <= entries(disk.out).items()
    assert_identical(disk.out, whole)


@pytest.mark.torture
@pytest.mark.parametrize("left", [0, 4096, 20_000, 60_000, 150_000, 600_000, 1_500_000, 3_000_000])
def test_a_disk_full_at_any_byte(disk, whole, left):
    """Wherever in a run the last byte is taken, it says so in one message and goes on later."""
    done = filled(disk, left=left, blocks=2)
    assert_one_message(done, "No space left on device", "make room", "same command again")
    disk.remount("size=128m")
    finishes(*RUN, "--out", disk.out)
    assert_identical(disk.out, whole)


@pytest.mark.torture
@pytest.mark.parametrize("files", [10, 60, 100, 160, 200, 300, 400])
def test_a_disk_without_room_for_another_file(disk, whole, files):
    """A file system that takes no more files ends a run in one message; with room it goes on."""
    disk.mount(f"size=64m,nr_inodes={files}")
    done = ndmc(*RUN, "--out", disk.out)
    assert_one_message(done, "No space left on device", "make room", "same command again")
    disk.remount("nr_inodes=10000")
    finishes(*RUN, "--out", disk.out)
    assert_identical(disk.out, whole)


@pytest.mark.torture
def test_a_full_disk_in_a_raise_and_in_a_repair(disk, whole):
    """A raise or a repair that finds no room says so in one message, and goes on when there is."""
    disk.mount("size=64m")
    small = [*RUN[:3], 10_000, *RUN[4:]]
    finishes(*small, "--out", disk.out)
    with started(*RUN, "--out", disk.out) as running:
        running.wait_for(lambda: len(entries(disk.out)) >= 14)
        full(disk, running, 100_000)
        done = running.result()
    assert_one_message(done, "No space left on device", "make room", "same command again")
    disk.remount("size=128m")
    finishes(*RUN, "--out", disk.out)
    assert_identical(disk.out, whole)
    for path in (disk.out / "in_use/c/3/0/0", disk.out / "percentiles/sales/c/0/0/0"):
        path.write_bytes(path.read_bytes()[:-1])
    disk.fill(0)
    done = ndmc(*RUN, "--out", disk.out, "--repair")
    assert done.code in (1, 2)
    *mended, error = done.err.splitlines(keepends=True)
    assert len(mended) < 2
    assert_one_message(replace(done, err=error), code=done.code)
    (disk.folder / "filler").unlink()
    repairs(*RUN, "--out", disk.out, "--repair")
    assert_identical(disk.out, whole)


# --- not to be written, not to be read ------------------------------------------------------------


@pytest.mark.torture
def test_a_disk_that_turned_read_only(disk, whole):
    """An unfinished run on a read-only disk is one message; a complete one can be read."""
    disk.mount("size=64m")
    assert killed(*RUN, "--out", disk.out, when=lambda: len(entries(disk.out)) >= 4)
    disk.remount("ro")
    assert_one_message(ndmc(*RUN, "--out", disk.out), "Read-only file system")
    disk.remount("rw")
    finishes(*RUN, "--out", disk.out)
    disk.remount("ro")
    finishes(*RUN, "--out", disk.out)
    finishes("info", disk.out, "--verify")
    assert "97.5 %" in finishes("percentiles", disk.out, "-v", "in_use").out
    assert_identical(disk.out, whole)


@pytest.mark.torture
def test_a_complete_run_on_a_read_only_disk(disk):
    """All that reads a store reads it from a read-only disk; what would write says it cannot."""
    disk.mount("size=64m")
    finishes(*RUN, "--out", disk.out)
    disk.remount("ro")
    finishes("info", disk.out)
    finishes("percentiles", disk.out, "-v", "sales")
    finishes("finish", disk.out)
    for more in (["-n", 40_000], ["--repair"]):
        assert_one_message(ndmc(*altered(RUN, *more), "--out", disk.out), "Read-only file system")
    assert_one_message(ndmc(*RUN, "--out", disk.folder / "new.zarr"), "Read-only file system")


def nobody(tmp_path):
    """Return what runs a command as nobody, who may enter the folder of a test."""
    if os.geteuid():
        return []
    if not shutil.which("setpriv"):
        pytest.skip("there is no setpriv to become another user")
    for folder in (tmp_path, *tmp_path.parents[:3]):
        if not folder.stat().st_mode & 0o001:
            folder.chmod(0o711)
    as_nobody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    if subprocess.run([*as_nobody, sys.executable, "-c", ""], check=False).returncode:
        pytest.skip("nobody may not run this interpreter")
    return as_nobody


@pytest.mark.torture
def test_a_folder_whose_permission_is_lost(tmp_path, whole):
    """A store that may no longer be written, or read, is one message; given back, it goes on."""
    someone = nobody(tmp_path)
    home = tmp_path / "home"
    out = home / "run.zarr"
    home.mkdir()
    assert killed(*RUN, "--out", out, when=lambda: len(entries(out)) >= 4)
    own = {"before": someone, "XDG_CACHE_HOME": str(home / "cache")}
    if someone:
        for path in [home, *home.rglob("*")]:
            os.chown(path, NOBODY, NOBODY)
    (out / "ledger").chmod(0o500)
    (out / "ledger" / "digests").chmod(0o500)
    assert_one_message(ndmc(*RUN, "--out", out, **own), "cannot write", "Permission denied")
    assert ndmc("info", out, **own).code == 0
    (out / "ledger" / "digests").chmod(0o700)
    (out / "ledger").chmod(0o700)
    out.chmod(0o000)
    done = ndmc(*RUN, "--out", out, **own)
    assert done.code in (1, 2)
    assert_one_message(done, "ermission denied", code=done.code)
    out.chmod(0o700)
    finishes(*RUN, "--out", out, **own)
    assert_identical(out, whole)


# --- clocks ---------------------------------------------------------------------------------------


@pytest.mark.torture
@pytest.mark.parametrize("year", [pytest.param(1970, marks=pytest.mark.torture), 2100])
def test_times_of_files_mean_nothing(tmp_path, whole, year):
    """A run goes on the same whatever the times of its files say, and whatever the clock says."""
    out = tmp_path / "run.zarr"
    assert killed(*RUN, "--out", out, when=lambda: len(entries(out)) >= 10)
    moment = (year - 1970) * 31_556_952
    for path in [out, *out.rglob("*")]:
        os.utime(path, (moment, moment))
    early = entries(out)
    finishes(*RUN, "--out", out, before=shifted(year))
    assert early.items() <= entries(out).items()
    assert_identical(out, whole)


def shifted(year):
    """Return what runs a command with other clocks since the start, where that is allowed."""
    shift = [f"--{clock}={10**6 if year > 2000 else 0}" for clock in ("monotonic", "boottime")]
    asked = ["unshare", "--time", *shift]
    with contextlib.suppress(FileNotFoundError):
        if not subprocess.run([*asked, "true"], capture_output=True, check=False).returncode:
            return asked
    return []


# --- two at once ----------------------------------------------------------------------------------


@pytest.mark.torture
def test_two_runs_on_one_store(tmp_path, whole):
    """The second of two runs on one store says so and ends; the first finishes untouched."""
    out = tmp_path / "run.zarr"
    with started(*RUN, "--out", out) as first:
        assert first.wait_for(lambda: len(entries(out)) >= 4)
        first.send(signal.SIGSTOP)  # the others meet it in the middle of its work
        for more in ([], ["-n", 40_000, "--repair"], ["--part", "1/2"]):
            assert_one_message(ndmc(*altered(RUN, *more), "--out", out), "another run writes to")
        first.send(signal.SIGCONT)
        assert first.result().code == 0
    assert_identical(out, whole)


@pytest.mark.torture
def test_many_begin_one_store_at_once(tmp_path, whole):
    """Of runs that begin a store together one finishes it; the others end well or in a message."""
    out = tmp_path / "run.zarr"
    with contextlib.ExitStack() as stack:
        all_ = [stack.enter_context(started(*RUN, "--out", out)) for _ in range(4)]
        ended = [running.result() for running in all_]
    assert 0 in {done.code for done in ended}
    for done in ended:
        if done.code:
            assert_one_message(done, "another run writes to")
    assert_identical(out, whole)


@pytest.mark.torture
def test_parts_at_once_and_killed(tmp_path):
    """Two parts may write at once; killed and run again they end in the store of one part."""
    alone = tmp_path / "alone.zarr"
    finishes(*RUN, "--part", "1/1", "--out", alone)
    whole, out = contents(alone), tmp_path / "run.zarr"
    with contextlib.ExitStack() as stack:
        parts = [stack.enter_context(part(n, out)) for n in (1, 2)]
        parts[0].wait_for(lambda: len(entries(out)) >= 12)
        assert parts[0].kill()
        assert parts[1].result().code == 0
    assert not open_store(out).complete
    early = entries(out)
    finishes(*RUN, "--part", "1/2", "--out", out)
    assert early.items() <= entries(out).items()
    assert_identical(out, whole)


def part(number, out) -> contextlib.AbstractContextManager[Started]:
    """Return one of two parts of a run, to be started."""
    return started(*RUN, "--part", f"{number}/2", "--out", out)


def test_two_parts_at_once(tmp_path):
    """Two parts run at once on one store, and whoever is last completes it."""
    out = tmp_path / "run.zarr"
    with part(1, out) as first, part(2, out) as second:
        ended = [first.result(), second.result()]
    assert [(done.code, done.err) for done in ended] == [(0, "")] * 2
    opened = open_store(out)
    assert opened.complete
    assert litter(out) == []
    assert len(opened.missing()) == 0


def test_patience_is_longer_than_any_run():
    """Whatever is waited for here ends by itself long before a test gives up."""
    assert PATIENCE >= 60
