"""A store in a folder of a file system."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import secrets
import shutil
import stat
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

from ndmc.errors import RunError
from ndmc.store.keys import checked, lock_key, outside
from ndmc.store.place import Place
from ndmc.store.posix import flush, locked
from ndmc.store.seal import Seal, seal

_PARTIAL = ".partial"

_OF_ANOTHER_KIND = (NotADirectoryError, IsADirectoryError)

#: Files flushed at once, which disks write together: 377 small arrays take 0.1 to 0.4 s, one file
#: after the other 0.6 to 4.8 s.
_FLUSHED = 8


class Folder(Place):
    """A folder of a file system."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = str(path)

    def exists(self, key: str = "") -> bool:
        """Whether there is a file of this key, or anything at all."""
        if key:
            return os.path.isfile(self._file(key))
        return self.path.exists() and not (self.path.is_dir() and not any(self.path.iterdir()))

    def read(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
        """Return a file, or a part of it."""
        with _missing(), open(self._file(key), "rb") as file:
            file.seek(start)
            if stop is None:
                return file.read()
            # Python takes the memory first, however short the file is.
            return file.read(max(min(stop, os.fstat(file.fileno()).st_size) - start, 0))

    def size(self, key: str) -> int:
        """Return the length of a file."""
        with _missing():
            return os.stat(self._file(key)).st_size

    def sizes(self) -> dict[str, int]:
        """Return the length of every file, by key."""
        found = {}
        for folder, _, names in os.walk(self.path):
            for path in (os.path.join(folder, name) for name in names):
                with contextlib.suppress(FileNotFoundError):
                    key = os.path.relpath(path, self.path).replace(os.sep, "/")
                    found[key] = os.stat(path).st_size
        return found

    def write(self, key: str, data: bytes | Iterable[bytes], *, durable: bool = True) -> Seal:
        """Write a file whole, given in one piece or in several; return its seal."""
        path = self._file(key)
        partial = f"{path}.{uuid.uuid4().hex}{_PARTIAL}"
        try:
            with self._opened(partial) as file:
                written = seal(key, data, file.write)
                file.flush()
                if durable:
                    os.fsync(file.fileno())
            os.replace(partial, path)
        except BaseException as failed:
            with contextlib.suppress(OSError):
                os.unlink(partial)
            if isinstance(failed, (*_OF_ANOTHER_KIND, FileExistsError)):
                message = f"cannot write {path!r}: a file stands where a folder should, or a folder"
                message = f"{message} where a file should; remove it and run the same command again"
                raise RunError(message) from None
            raise
        if durable:
            flush(os.path.dirname(path))
        return written

    # Of text: a store has hundreds of small files, and every step of a Path takes 5 us, a look at a
    # part of a key 2.4.
    def _file(self, key: str) -> str:
        """Return the path of a file of this folder, where neither the key nor a link leads out."""
        path = self.url
        for name in checked(key, self.url).split("/"):
            path = os.path.join(path, name)
            if self._leads_out(path):
                raise outside(key, self.url)
        return path

    def _leads_out(self, path: str) -> bool:
        """Whether what is at a path is elsewhere, or cannot be read to an end, such as a pipe."""
        try:
            kind = os.lstat(path).st_mode
        except (FileNotFoundError, NotADirectoryError):
            return False
        if stat.S_ISLNK(kind):
            return not Path(path).resolve().is_relative_to(self.path.resolve())
        return not (stat.S_ISREG(kind) or stat.S_ISDIR(kind))

    def _opened(self, path: str) -> BinaryIO:
        try:
            return open(path, "wb")
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            return open(path, "wb")

    def settle(self, keys: Iterable[str]) -> None:
        """Make files durable that were written otherwise."""
        known = [*keys]
        folders = {above for key in known for above in _above(key)}
        with ThreadPoolExecutor(_FLUSHED) as flushing:
            for some in ([*map(self._file, known)], [str(self.path / name) for name in folders]):
                # A share each: to hand on 15,000 paths one by one takes 0.35 s, so 0.03.
                for _ in flushing.map(_flush, (some[n::_FLUSHED] for n in range(_FLUSHED))):
                    pass

    def names(self, folder: str) -> list[str]:
        """Return the names of the files in a folder, sorted."""
        try:
            found = os.listdir(self._file(folder) if folder else self.url)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(name for name in found if not name.endswith(_PARTIAL))

    def remove(self, key: str) -> None:
        """Remove a file or a folder, if there is one."""
        path = Path(self._file(key)) if key else self.path
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def discard(self) -> None:
        """Remove all there is: moved aside at once, where a kill leaves it to who comes next."""
        with self._beside() as aside:
            self.path.rename(aside / self.path.name)
            flush(self.path.parent)

    def free(self) -> int | None:
        """Return the bytes that can still be written; None where there are none at all."""
        folder = self.path.absolute()
        while not folder.exists():
            folder = folder.parent
        about = shutil.disk_usage(folder)
        return about.free if about.total else None

    @contextlib.contextmanager
    def begin(self) -> Iterator[Folder]:
        """Yield a folder beside this one, moved here whole: a store is never there in part."""
        parent = self.path.parent
        parent.mkdir(parents=True, exist_ok=True)
        self._remove_abandoned()
        with self._beside() as begun:
            yield Folder(begun)
            with contextlib.suppress(OSError):
                begun.rename(self.path)
        flush(parent)

    @contextlib.contextmanager
    def _beside(self) -> Iterator[Path]:
        """Yield a locked folder of our own; it is removed from before it is made."""
        with contextlib.ExitStack() as stack:
            while True:
                name = f".{self.path.name}.{secrets.token_hex(4)}.begun"
                begun = self.path.parent / name
                stack.callback(shutil.rmtree, begun, ignore_errors=True)
                begun.mkdir()
                # One who cleans up may come before the lock and remove it.
                with contextlib.suppress(FileNotFoundError):
                    stack.enter_context(locked(begun, shared=False, wait=True))
                if begun.exists():
                    break
            yield begun

    def _remove_abandoned(self) -> None:
        """Remove what a killed process had begun: nobody holds its lock."""
        for begun in self._begun():
            with contextlib.suppress(OSError), locked(begun, shared=False, wait=False):
                shutil.rmtree(begun)

    @contextlib.contextmanager
    def lock(self, name: str, *, shared: bool = False, wait: bool = False) -> Iterator[None]:
        """Exclude others who ask for the same lock; it goes with the process that holds it."""
        path = Path(self._file(lock_key(name)))
        path.parent.mkdir(exist_ok=True)
        path.touch()
        with locked(path, shared=shared, wait=wait):
            yield

    def swept(self) -> bool:
        """Whether no interrupted write has left anything."""
        return not any(self._partial()) and not any(self._begun())

    def sweep(self) -> None:
        """Remove what interrupted writes have left; nobody else may be writing."""
        for path in self._partial():
            path.unlink(missing_ok=True)
        self._remove_abandoned()

    def _partial(self) -> Iterator[Path]:
        return self.path.rglob(f"*{_PARTIAL}")

    def _begun(self) -> Iterator[Path]:
        return self.path.parent.glob(f".{glob.escape(self.path.name)}.*.begun")


@contextlib.contextmanager
def _missing() -> Iterator[None]:
    """Say that a file is missing where a folder stands in its place, or a file in a folder's."""
    try:
        yield
    except _OF_ANOTHER_KIND as other:
        gone = errno.ENOENT
        raise FileNotFoundError(gone, os.strerror(gone), other.filename) from None


def _flush(paths: Iterable[str]) -> None:
    for path in paths:
        flush(path)


def _above(key: str) -> Iterator[str]:
    while key:
        key = key.rpartition("/")[0]
        yield key
