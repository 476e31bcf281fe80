"""Places: a folder and an object store behave alike; writes and locks survive kills."""

import contextlib
import os
import signal
import subprocess
import sys
import uuid

import pytest

from ndmc.errors import InputError, RunError
from ndmc.store.address import place_of
from ndmc.store.bucket import Bucket
from ndmc.store.folder import Folder
from ndmc.store.seal import seal


@pytest.fixture(params=["folder", "bucket"])
def place(request, tmp_path):
    """Return an empty place of each kind."""
    if request.param == "folder":
        return Folder(tmp_path / "run.zarr")
    return Bucket(f"memory://{uuid.uuid4().hex}/run.zarr")


def failing(*pieces):
    """Yield some pieces, then fail."""
    yield from pieces
    raise RuntimeError("stopped")


class TestPlaces:
    def test_what_is_read_is_what_was_written(self, place):
        """A file comes back whole, with its length and checksum, and in any part."""
        data = bytes(range(256)) * 4
        for key in ("zarr.json", "in_use/c/0/0/0", "ledger/block-0"):
            assert place.write(key, data) == seal(key, data, len)
            assert place.read(key) == data
            assert place.size(key) == 1024
            assert place.exists(key)
            for start, stop in ((0, 5), (5, 5), (0, 0), (1000, 1024), (1020, 2000), (3, None)):
                assert place.read(key, start, stop) == data[start:stop]

    @pytest.mark.parametrize("durable", [True, False])
    def test_pieces_are_one_file(self, place, durable):
        """Data may come in pieces, and in none."""
        pieces = [b"ab", b"", b"cde"]
        written = place.write("a/b", iter(pieces), durable=durable)
        assert written == seal("a/b", b"abcde", len)
        assert written[0] == 5
        assert place.read("a/b") == b"abcde"
        assert place.write("a/c", iter([]), durable=durable) == seal("a/c", b"", len)
        assert place.read("a/c") == b""
        assert place.write("a/d", b"", durable=durable)[0] == 0
        assert place.size("a/d") == 0

    def test_a_file_is_replaced_whole(self, place):
        """A shorter file leaves nothing of the longer one before."""
        place.write("a", b"longer")
        place.write("a", b"new")
        assert place.read("a") == b"new"

    def test_what_is_not_there_is_said_so(self, place):
        """Reading what is not there is a FileNotFoundError; there are no names in it."""
        for _ in range(2):
            with pytest.raises(FileNotFoundError):
                place.read("ledger/none")
            with pytest.raises(FileNotFoundError):
                place.read("ledger/none", 3, 5)
            with pytest.raises(FileNotFoundError):
                place.size("ledger/none")
            assert not place.exists("ledger/none")
            assert place.names("nothing") == []
            place.remove("ledger/none")
            place.remove("nothing")
            place.write("ledger/other", b"there")

    def test_nothing_is_there_at_first(self, place):
        """An empty place does not exist until something is written."""
        assert not place.exists()
        place.write("a/b", b"x")
        assert place.exists()
        place.remove("")
        assert not place.exists()

    def test_names_are_those_of_a_folder(self, place):
        """Names are sorted, and those of other folders are not among them."""
        for key in ("ledger/b", "ledger/a", "ledger/c", "other/d", "e"):
            place.write(key, b"x")
        assert place.names("ledger") == ["a", "b", "c"]
        assert place.names("") == ["e", "ledger", "other"]

    def test_the_lengths_of_all_files_are_known(self, place):
        """One look says how long every file is, in whatever folder."""
        for key in ("zarr.json", "a/zarr.json", "a/b/c/0"):
            place.write(key, key.encode())
        assert place.sizes() == {key: len(key) for key in ("zarr.json", "a/zarr.json", "a/b/c/0")}

    def test_files_and_folders_are_removed(self, place):
        """Removing a folder removes all that is in it, and nothing beside it."""
        for key in ("a/b/c", "a/b/d", "a/bb", "e"):
            place.write(key, b"x")
        place.remove("a/b")
        assert place.names("a") == ["bb"]
        place.remove("e")
        assert place.names("") == ["a"]

    def test_a_write_that_fails_leaves_no_part(self, place):
        """When the data fails half way there is no new file."""
        place.write("ledger/other", b"x")
        with pytest.raises(RuntimeError, match="stopped"):
            place.write("ledger/new", failing(b"half", b"way"))
        assert not place.exists("ledger/new")
        assert place.names("ledger") == ["other"]

    def test_a_write_that_fails_keeps_the_old_file(self, place):
        """When the data fails half way the file that was there is still there, whole."""
        place.write("ledger/old", b"whole")
        with pytest.raises(RuntimeError, match="stopped"):
            place.write("ledger/old", failing(b"half", b"way"))
        assert place.read("ledger/old") == b"whole"

    def test_a_reader_never_sees_a_part(self, place):
        """While a file is written a reader finds the old one."""
        place.write("a", b"old")

        def pieces():
            yield b"ne"
            assert place.read("a") == b"old"
            yield b"w"

        place.write("a", pieces())
        assert place.read("a") == b"new"

    def test_files_written_otherwise_can_be_settled(self, place):
        """Settling files that are there does no harm."""
        place.write("in_use/c/0", b"x", durable=False)
        place.settle(["in_use/c/0"])
        place.settle([])
        place.sweep()
        assert place.read("in_use/c/0") == b"x"

    def test_a_place_can_be_begun(self, place):
        """What is written while it begins is there in the end, and only that."""
        with place.begin() as begun:
            begun.write("zarr.json", b"{}")
            begun.write("a/b", b"x")
        assert place.read("zarr.json") == b"{}"
        assert place.read("a/b") == b"x"
        assert place.names("") == ["a", "zarr.json"]

    def test_a_place_is_its_url(self, place):
        """A place says where it is, and is found there again."""
        place.write("a", b"x")
        assert str(place) == place.url
        again = place_of(place.url)
        assert type(again) is type(place)
        assert again.read("a") == b"x"
        assert place_of(place.url + "/").read("a") == b"x"

    def test_room_is_known_or_not(self, place):
        """The room that is left is a number, before anything is written too, or not known."""
        free = place.free()
        assert free is None or free > 2**20
        assert (free is None) == isinstance(place, Bucket)


OUTSIDE = [
    "../a",
    "a/../../b",
    "/etc/passwd",
    "a//b",
    "a/",
    "/",
    ".",
    "a/./b",
    "C:/a",
    "C:a",
    "a\\b",
]
OUTSIDE += ["..\\a", "a\0b", "a\nb", "\x1b[2J", "~/a", "a b", "é", "a" * 1001]


@pytest.mark.parametrize("key", OUTSIDE, ids=repr)
def test_keys_that_lead_out_are_refused(place, key):
    """No method takes a key that is absolute, leads up, has a drive or what is no name."""
    place.write("a/b", b"x")
    for ask in (place.exists, place.read, place.size, place.names, place.remove):
        with pytest.raises(RunError, match=r"is not a store of ndmc's: it names .* no file in it"):
            ask(key)
    with pytest.raises(RunError, match="no file in it"):
        place.write(key, b"y")
    if isinstance(place, Folder):
        with pytest.raises(RunError, match="no file in it"):
            place.settle([key])
    assert place.names("") == ["a"]


def test_places_are_told_apart(tmp_path):
    """A path or file:// is a folder, any other URL a bucket, and unknown ones are refused."""
    for where in (tmp_path, str(tmp_path), f"file://{tmp_path}"):
        assert place_of(where).path == tmp_path
        assert place_of(where).shared
    assert not place_of("memory://a").shared
    with pytest.raises(InputError, match="no known kind of storage"):
        place_of("nonsense://a/b")


# --- folders -------------------------------------------------------------------------------------


def test_a_failed_write_leaves_no_partial(tmp_path):
    """A write that fails, or cannot end, leaves nothing beside the file."""
    place = Folder(tmp_path)
    place.write("a", b"old")
    with pytest.raises(RuntimeError):
        place.write("a", failing(b"half"))
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c").touch()
    with pytest.raises(RunError, match="a folder where a file should"):
        place.write("b", b"x")
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]


@pytest.mark.parametrize("key", ["folder", "file/c/0"])
def test_what_is_of_another_kind_is_missing(tmp_path, key):
    """A folder in place of a file, and a file in place of a folder; writing removes neither."""
    place = Folder(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("mine")
    with pytest.raises(FileNotFoundError):
        place.read(key)
    assert place.broken(key, (4, ""))
    with pytest.raises(RunError, match="a file stands where a folder should, or a folder"):
        place.write(key, b"ours")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]
    assert (tmp_path / "file").read_text() == "mine"


def test_partial_files_are_no_files(tmp_path):
    """What an interrupted write left is not among the names, and is swept away."""
    place = Folder(tmp_path)
    place.write("ledger/a", b"x")
    left = tmp_path / "ledger" / f"a.{uuid.uuid4().hex}.partial"
    left.write_bytes(b"half")
    assert place.names("ledger") == ["a"]
    place.sweep()
    assert not left.exists()
    assert place.read("ledger/a") == b"x"


@pytest.mark.parametrize("key", ["secret", "folder/secret", "gone", "up/beside/secret"])
def test_links_that_lead_out_are_refused(tmp_path, key):
    """What a link has taken out of the folder is neither read nor written, removed or listed."""
    beside, place = tmp_path / "beside", Folder(tmp_path / "a.zarr")
    beside.mkdir()
    (beside / "secret").write_bytes(b"secret")
    place.path.mkdir()
    for name, to in {
        "secret": beside / "secret",
        "folder": beside,
        "gone": beside / "gone",
    }.items():
        (place.path / name).symlink_to(to)
    (place.path / "up").symlink_to("..")
    asked = [place.exists, place.read, place.size, place.names, place.remove]
    for ask in [*asked, lambda key: place.write(key, b"x"), lambda key: place.settle([key])]:
        with pytest.raises(RunError, match="no file in it"):
            ask(key)
    assert [(path.name, path.read_bytes()) for path in beside.iterdir()] == [("secret", b"secret")]


def test_a_lock_is_no_link(tmp_path):
    """A lock that leads out of the folder touches nothing there."""
    place = Folder(tmp_path / "a.zarr")
    place.path.mkdir()
    (place.path / "ledger").symlink_to(tmp_path / "beside")
    with pytest.raises(RunError, match="no file in it"), place.lock("run"):
        pass
    assert os.listdir(tmp_path) == ["a.zarr"]


def test_links_within_and_to_a_folder_are_followed(tmp_path):
    """A folder may be a link, and hold links to what is in it: data are moved like that."""
    (tmp_path / "data" / "c").mkdir(parents=True)
    (tmp_path / "a.zarr").symlink_to(tmp_path / "data")
    (tmp_path / "data" / "other").symlink_to("c")
    place = Folder(tmp_path / "a.zarr")
    place.write("other/0", b"x")
    assert place.read("c/0") == b"x"


def test_what_has_no_end_is_not_read(tmp_path):
    """A pipe in a store of someone else's is refused, where reading it would wait for ever."""
    os.mkfifo(tmp_path / "ledger")
    with pytest.raises(RunError, match="no file in it"):
        Folder(tmp_path).read("ledger")


KILLED_WRITE = """
import os, signal, sys
from pathlib import Path
from ndmc.store.folder import Folder
from ndmc.store.seal import seal
def pieces():
    yield b"half" * 10_000
    os.kill(os.getpid(), signal.SIGKILL)
Folder(Path(sys.argv[1])).write("ledger/a", pieces())
"""


def test_a_killed_write_keeps_the_old_file(tmp_path):
    """A process killed in the middle of a write leaves the old file, and no other by name."""
    place = Folder(tmp_path)
    place.write("ledger/a", b"old")
    killed = subprocess.run([sys.executable, "-c", KILLED_WRITE, str(tmp_path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert place.read("ledger/a") == b"old"
    assert place.names("ledger") == ["a"]
    assert len(os.listdir(tmp_path / "ledger")) == 2
    place.sweep()
    assert os.listdir(tmp_path / "ledger") == ["a"]


def test_locks_exclude(tmp_path):
    """Who has a lock has it alone, until it is given back; other locks are free."""
    place, other = Folder(tmp_path), Folder(tmp_path)
    with place.lock("run"):
        for shared in (False, True):
            with pytest.raises(BlockingIOError), other.lock("run", shared=shared):
                pass
        with other.lock("merge"):
            pass
    with other.lock("run"):
        pass


def test_locks_are_given_back_on_failure(tmp_path):
    """An error within a lock gives it back."""
    place = Folder(tmp_path)
    with contextlib.suppress(RuntimeError), place.lock("run"):
        raise RuntimeError
    with place.lock("run"):
        pass


def test_locks_are_shared(tmp_path):
    """Many may share a lock, and keep out who wants it alone."""
    place = Folder(tmp_path)
    with place.lock("run", shared=True):
        with place.lock("run", shared=True):
            pass
        with pytest.raises(BlockingIOError), place.lock("run"):
            pass
    with place.lock("run"):
        pass


def test_a_system_without_locks_is_refused(tmp_path, monkeypatch):
    """Where there is no flock, as on Windows, a run is refused in words; reading needs none."""
    monkeypatch.setitem(sys.modules, "fcntl", None)
    place = Folder(tmp_path)
    place.write("a", b"x")
    assert place.read("a") == b"x"
    with pytest.raises(RunError, match="no locks such as runs need"), place.lock("run"):
        pass


HOLDER = """
import sys, time
from pathlib import Path
from ndmc.store.folder import Folder
from ndmc.store.seal import seal
with Folder(Path(sys.argv[1])).lock("run", shared=sys.argv[2] == "shared"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("how", ["shared", "alone"])
def test_a_killed_holder_frees_its_lock(tmp_path, how):
    """A lock goes with the process that holds it, even by kill -9."""
    place = Folder(tmp_path)
    command = [sys.executable, "-c", HOLDER, str(tmp_path), how]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BlockingIOError), place.lock("run"):
            pass
        if how == "shared":
            with place.lock("run", shared=True):
                pass
        holder.kill()
        with place.lock("run", wait=True):  # waits until it has gone
            pass
    assert holder.returncode == -signal.SIGKILL


# --- begun whole or not at all -------------------------------------------------------------------


def test_a_folder_is_not_there_until_it_is_whole(tmp_path):
    """While a folder is begun there is nothing in its place."""
    place = Folder(tmp_path / "runs" / "a.zarr")
    with place.begin() as begun:
        begun.write("zarr.json", b"{}")
        assert not place.path.exists()
        assert not place.exists()
    assert os.listdir(tmp_path / "runs") == ["a.zarr"]
    mask = os.umask(0)
    os.umask(mask)
    assert place.path.stat().st_mode & 0o777 == 0o777 & ~mask


def test_a_beginning_that_fails_leaves_nothing(tmp_path):
    """An error while a folder is begun leaves no trace of it."""
    place = Folder(tmp_path / "a.zarr")
    with contextlib.suppress(RuntimeError), place.begin() as begun:
        begun.write("zarr.json", b"{}")
        raise RuntimeError
    assert os.listdir(tmp_path) == []


def test_the_quicker_one_stays(tmp_path):
    """Who begins a folder that another has finished meanwhile leaves that one alone."""
    slow, quick = Folder(tmp_path / "a.zarr"), Folder(tmp_path / "a.zarr")
    with slow.begin() as late:
        late.write("who", b"slow")
        with quick.begin() as soon:
            soon.write("who", b"quick")
    assert slow.read("who") == b"quick"
    assert os.listdir(tmp_path) == ["a.zarr"]


def test_an_empty_folder_may_be_begun(tmp_path):
    """A folder that is there but empty is filled."""
    place = Folder(tmp_path / "a.zarr")
    place.path.mkdir()
    assert not place.exists()
    with place.begin() as begun:
        begun.write("who", b"me")
    assert place.read("who") == b"me"


KILLED_BEGIN = """
import os, signal, sys
from pathlib import Path
from ndmc.store.folder import Folder
from ndmc.store.seal import seal
with Folder(Path(sys.argv[1])).begin() as begun:
    begun.write("zarr.json", b"{}")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("name", ["a.zarr", "run[1].zarr"])
def test_a_killed_beginning_is_removed_by_the_next(tmp_path, name):
    """A process killed while it begins leaves nothing in the place, and the next one cleans up."""
    place = Folder(tmp_path / name)
    command = [sys.executable, "-c", KILLED_BEGIN, str(place.path)]
    killed = subprocess.run(command, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not place.exists()
    assert len(os.listdir(tmp_path)) == 1
    with place.begin() as begun:
        begun.write("who", b"me")
    assert os.listdir(tmp_path) == [name]


def test_a_beginning_under_way_is_left_alone(tmp_path):
    """Who begins the same folder does not remove what another is still filling."""
    one, two = Folder(tmp_path / "a.zarr"), Folder(tmp_path / "a.zarr")
    with one.begin() as first:
        first.write("who", b"one")
        with contextlib.suppress(RuntimeError), two.begin():
            raise RuntimeError
        assert first.read("who") == b"one"
    assert one.read("who") == b"one"


def test_a_beginning_stopped_as_it_is_made_leaves_nothing(tmp_path, monkeypatch):
    """Ctrl-C that comes while the folder is made finds it, too."""
    original = os.mkdir

    def mkdir(path, *arguments):
        original(path, *arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr("os.mkdir", mkdir)
    with pytest.raises(KeyboardInterrupt), Folder(tmp_path / "a.zarr").begin():
        pass
    assert os.listdir(tmp_path) == []


def test_those_who_begin_at_once_do_no_harm(tmp_path, monkeypatch):
    """Parts of a run begin a store at the same moment: none removes what another has just made."""
    one, two = Folder(tmp_path / "a.zarr"), Folder(tmp_path / "a.zarr")
    original, calls = os.mkdir, []

    def mkdir(path, *arguments):
        original(path, *arguments)
        if str(path).endswith(".begun") and not calls:
            calls.append(path)
            with two.begin() as quick:
                quick.write("who", b"two")

    monkeypatch.setattr("os.mkdir", mkdir)
    with one.begin() as slow:
        slow.write("who", b"one")
    assert one.read("who") == b"two"
    assert os.listdir(tmp_path) == ["a.zarr"]
