"""Where a store lies: a folder, or an object store that fsspec reaches.

A place holds whole files by key. A write is atomic (a reader finds the old file or the new one,
never a part) and durable once it returns.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import shutil
import tempfile
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

import google_crc32c

from ndmc.errors import InputError, RunError
from ndmc.store.keys import LEDGER, ROOT, lock_key

__all__ = ["Bucket", "Folder", "Place", "place_of", "told"]

_PARTIAL = ".partial"

#: Files flushed at once, which disks write together: 377 small arrays take 0.1 to 0.4 s, one file
#: after the other 0.6 to 4.8 s.
_FLUSHED = 8

#: What reaches object stores has errors of its own for missing credentials and lost connections.
_OWN_ERRORS = ("botocore", "aiobotocore", "aiohttp", "gcsfs", "google", "azure", "requests")


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Raise OSError for what the packages that reach object stores raise."""
    try:
        yield
    except Exception as failed:
        if type(failed).__module__.partition(".")[0] in _OWN_ERRORS:
            raise OSError(" ".join(f"{failed}".split()) or type(failed).__name__) from None
        raise


class Place(ABC):
    """Files of a store by key, such as ``ledger/0-8192``."""

    url: str
    #: Whether processes on other machines, or other processes at all, see the same files.
    shared = True

    @abstractmethod
    def exists(self, key: str = "") -> bool:
        """Whether there is a file of this key, or anything at all."""

    @abstractmethod
    def read(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
        """Return a file, or a part of it.

        Raises
        ------
        FileNotFoundError
            If there is none.
        """

    @abstractmethod
    def size(self, key: str) -> int:
        """Return the length of a file.

        Raises
        ------
        FileNotFoundError
            If there is none.
        """

    @abstractmethod
    def write(
        self, key: str, data: bytes | Iterable[bytes], *, durable: bool = True
    ) -> tuple[int, int]:
        """Write a file whole, given in one piece or in several; return its length and crc32c."""

    @abstractmethod
    def settle(self, keys: Iterable[str]) -> None:
        """Make files durable that were written otherwise."""

    @abstractmethod
    def names(self, folder: str) -> list[str]:
        """Return the names of the files in a folder, sorted."""

    @abstractmethod
    def find(self, name: str) -> list[str]:
        """Return the keys of all files of one name."""

    @abstractmethod
    def remove(self, key: str) -> None:
        """Remove a file or a folder, if there is one."""

    @abstractmethod
    def free(self) -> int | None:
        """Return the bytes that can still be written, if that is known."""

    @abstractmethod
    def begin(self) -> contextlib.AbstractContextManager[Folder]:
        """Yield a folder to fill, which becomes this place at the end, unless it has come to be."""

    @contextlib.contextmanager
    def lock(self, name: str, *, shared: bool = False, wait: bool = False) -> Iterator[None]:
        """Exclude others who ask for the same lock; it goes with the process that holds it.

        Raises
        ------
        BlockingIOError
            If another has it and one does not wait.
        """
        yield

    def sweep(self) -> None:  # noqa: B027 - where a put is whole there is nothing to remove
        """Remove what interrupted writes have left; nobody else may be writing."""

    def __str__(self) -> str:
        return self.url


class Folder(Place):
    """A folder of a file system."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = str(path)

    def exists(self, key: str = "") -> bool:
        """Whether there is a file of this key, or anything at all."""
        if key:
            return (self.path / key).is_file()
        return self.path.exists() and not (self.path.is_dir() and not any(self.path.iterdir()))

    def read(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
        """Return a file, or a part of it."""
        with open(self._file(key), "rb") as file:
            file.seek(start)
            return file.read() if stop is None else file.read(stop - start)

    def size(self, key: str) -> int:
        """Return the length of a file."""
        return os.stat(self._file(key)).st_size

    def write(
        self, key: str, data: bytes | Iterable[bytes], *, durable: bool = True
    ) -> tuple[int, int]:
        """Write a file whole, given in one piece or in several; return its length and crc32c."""
        path = self._file(key)
        partial = f"{path}.{uuid.uuid4().hex}{_PARTIAL}"
        try:
            with self._opened(partial) as file:
                written = _copy(data, file.write)
                file.flush()
                if durable:
                    os.fsync(file.fileno())
            os.replace(partial, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(partial)
            raise
        if durable:
            _fsync(os.path.dirname(path))
        return written

    # Of text: a store has hundreds of small files, and every step of a Path takes 5 us.
    def _file(self, key: str) -> str:
        return os.path.join(self.url, key)

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
            for some in (known, folders):
                for _ in flushing.map(_fsync, map(self._file, some)):
                    pass

    def names(self, folder: str) -> list[str]:
        """Return the names of the files in a folder, sorted."""
        try:
            found = os.listdir(self.path / folder)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(name for name in found if not name.endswith(_PARTIAL))

    def find(self, name: str) -> list[str]:
        """Return the keys of all files of one name."""
        return sorted(path.relative_to(self.path).as_posix() for path in self.path.rglob(name))

    def remove(self, key: str) -> None:
        """Remove a file or a folder, if there is one."""
        path = self.path / key
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

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
        _fsync(parent)

    @contextlib.contextmanager
    def _beside(self) -> Iterator[Path]:
        """Yield a locked folder of our own."""
        name, parent = f".{self.path.name}.", self.path.parent
        with contextlib.ExitStack() as stack:
            begun = parent
            while begun == parent or not begun.exists():
                begun = Path(tempfile.mkdtemp(prefix=name, suffix=".begun", dir=parent))
                # One who cleans up may come before the lock and remove it.
                with contextlib.suppress(FileNotFoundError):
                    stack.enter_context(_locked(begun, shared=False, wait=True))
            try:
                begun.chmod(0o777 & ~_umask())
                yield begun
            finally:
                shutil.rmtree(begun, ignore_errors=True)

    def _remove_abandoned(self) -> None:
        """Remove what a killed process had begun: nobody holds its lock."""
        for begun in self.path.parent.glob(f".{glob.escape(self.path.name)}.*.begun"):
            with contextlib.suppress(OSError), _locked(begun, shared=False, wait=False):
                shutil.rmtree(begun)

    @contextlib.contextmanager
    def lock(self, name: str, *, shared: bool = False, wait: bool = False) -> Iterator[None]:
        """Exclude others who ask for the same lock; it goes with the process that holds it."""
        path = self.path / lock_key(name)
        path.parent.mkdir(exist_ok=True)
        path.touch()
        with _locked(path, shared=shared, wait=wait):
            yield

    def sweep(self) -> None:
        """Remove what interrupted writes have left; nobody else may be writing."""
        for path in self.path.rglob(f"*{_PARTIAL}"):
            path.unlink(missing_ok=True)


def _above(key: str) -> Iterator[str]:
    while key:
        key = key.rpartition("/")[0]
        yield key


def _copy(data: bytes | Iterable[bytes], write: Callable[[bytes], Any]) -> tuple[int, int]:
    size = checksum = 0
    for piece in [data] if isinstance(data, bytes) else data:
        write(piece)
        size += len(piece)
        checksum = google_crc32c.extend(checksum, piece)
    return size, checksum


@contextlib.contextmanager
def _locked(path: Path, *, shared: bool, wait: bool) -> Iterator[None]:
    import fcntl

    descriptor = os.open(path, os.O_RDONLY)
    try:
        kind = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
        try:
            fcntl.flock(descriptor, kind)
        except OSError as failed:
            if failed.errno in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):
                message = f"the file system of {str(path.parent)!r} has no locks"
                raise RunError(f"{message}; mount it with flock, or choose another --out") from None
            raise
        yield
    finally:
        os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _fsync(path: str | Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Bucket(Place):
    """A folder of an object store: a write is one put, which is atomic and durable by itself."""

    def __init__(self, url: str) -> None:
        core: Any = import_module("fsspec.core")

        self.url = url.rstrip("/")
        protocol = self.url.partition("://")[0]
        self.shared = protocol != "memory"
        try:
            # Others write too: a listing that is kept hides what they have written since.
            files, self.root = core.url_to_fs(self.url, use_listings_cache=False)
        except ImportError as missing:
            hint = 'install ndmc with its extra: pip install "ndmc[cloud]"'
            text = f"{url!r} needs a package that is not installed"
            text += f"; {hint}" if protocol == "s3" else f" ({missing})"
            raise InputError(text) from None
        except ValueError:
            raise InputError(
                f"{protocol!r} is no known kind of storage; use s3:// or a path"
            ) from None
        self.files: Any = _Told(files)

    def _key(self, key: str) -> str:
        return f"{self.root}/{key}" if key else self.root

    def exists(self, key: str = "") -> bool:
        """Whether there is a file of this key, or anything at all."""
        return bool(self.files.isfile(self._key(key)) if key else self.files.exists(self.root))

    def read(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
        """Return a file, or a part of it."""
        if stop is not None and stop <= start:
            return b""
        return bytes(self.files.cat_file(self._key(key), start=start or None, end=stop))

    def size(self, key: str) -> int:
        """Return the length of a file."""
        return int(self.files.size(self._key(key)))

    def write(
        self, key: str, data: bytes | Iterable[bytes], *, durable: bool = True
    ) -> tuple[int, int]:
        """Write a file whole, given in one piece or in several; return its length and crc32c."""
        if isinstance(data, bytes):
            self.files.pipe_file(self._key(key), data)
            return _copy(data, len)
        # Whole before it is put: a file opened to write is committed even where its writer fails.
        with tempfile.NamedTemporaryFile() as file:
            written = _copy(data, file.write)
            file.flush()
            self.files.put_file(file.name, self._key(key))
            return written

    def settle(self, keys: Iterable[str]) -> None:
        """Do nothing: a put is durable when it returns."""

    def names(self, folder: str) -> list[str]:
        """Return the names of the files in a folder, sorted."""
        try:
            found = self.files.ls(self._key(folder), detail=False)
        except FileNotFoundError:
            return []
        return sorted(path.rpartition("/")[2] for path in found)

    def find(self, name: str) -> list[str]:
        """Return the keys of all files of one name."""
        start = len(self.root) + 1
        found = (path[start:] for path in self.files.find(self.root))
        return sorted(key for key in found if key.rpartition("/")[2] == name)

    def remove(self, key: str) -> None:
        """Remove a file or a folder, if there is one."""
        with contextlib.suppress(FileNotFoundError):
            self.files.rm(self._key(key), recursive=True)

    def free(self) -> int | None:
        """Return None: an object store does not say."""
        return None

    @contextlib.contextmanager
    def begin(self) -> Iterator[Folder]:
        """Yield a folder of this machine, put here at the end, its root last.

        Many may do so at once: what they put is the same, but for the root, of which one stays.
        """
        with tempfile.TemporaryDirectory() as folder:
            yield Folder(Path(folder))
            paths = [path for path in sorted(Path(folder).rglob("*")) if path.is_file()]
            keys = [path.relative_to(folder).as_posix() for path in paths]
            first = sorted(set(keys) - {ROOT}, key=lambda key: not key.startswith(f"{LEDGER}/"))
            for key in first:
                self.write(key, (Path(folder) / key).read_bytes())
            self._put_root((Path(folder) / ROOT).read_bytes())

    def _put_root(self, data: bytes) -> None:
        try:
            self.files.pipe_file(self._key(ROOT), data, mode="create")
        except FileExistsError:
            return  # another was quicker
        except TypeError:  # a storage without conditional puts
            self.files.pipe_file(self._key(ROOT), data)


class _Told:
    """A file system of fsspec all of whose errors are OSError."""

    def __init__(self, files: Any) -> None:
        self.files = files

    def __getattr__(self, name: str) -> Any:
        call = getattr(self.files, name)

        def telling(*arguments: Any, **options: Any) -> Any:
            with told():
                return call(*arguments, **options)

        return telling


def place_of(where: Path | str) -> Place:
    """Return the place a path or URL names.

    Examples
    --------
    >>> place_of("memory://runs/a.zarr").url
    'memory://runs/a.zarr'
    """
    text = os.fspath(where)
    if text.startswith("file://"):
        return Folder(Path(text.removeprefix("file://")))
    return Bucket(text) if "://" in text else Folder(Path(text))
