"""A store in an object store that fsspec reaches."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from ndmc.errors import InputError
from ndmc.store.folder import Folder
from ndmc.store.keys import LEDGER, ROOT, checked
from ndmc.store.place import Place
from ndmc.store.seal import Seal, seal

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


class Bucket(Place):
    """A folder of an object store: a write is one put, which is atomic and durable by itself."""

    near = False

    def __init__(self, url: str) -> None:
        core: Any = import_module("fsspec.core")

        self.url = url.rstrip("/")
        protocol = self.url.partition("://")[0]
        self.shared = protocol != "memory"
        try:
            # Others write too: a listing that is kept hides what they have written since.
            files, self.root = core.url_to_fs(self.url, use_listings_cache=False)
        except ImportError as missing:
            hint = "install it with: pip install s3fs"
            text = f"{url!r} needs a package that is not installed"
            text += f"; {hint}" if protocol == "s3" else f" ({missing})"
            raise InputError(text) from None
        except ValueError:
            raise InputError(
                f"{protocol!r} is no known kind of storage; use s3:// or a path"
            ) from None
        self.files: Any = _Told(files)

    def _key(self, key: str) -> str:
        return f"{self.root}/{checked(key, self.url)}" if key else self.root

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

    def sizes(self) -> dict[str, int]:
        """Return the length of every file, by key."""
        found = self.files.find(self.root, detail=True)
        return {path[len(self.root) + 1 :]: int(about["size"]) for path, about in found.items()}

    def write(self, key: str, data: bytes | Iterable[bytes], *, durable: bool = True) -> Seal:
        """Write a file whole, given in one piece or in several; return its seal."""
        if isinstance(data, bytes):
            self.files.pipe_file(self._key(key), data)
            return seal(key, data, len)
        # Whole before it is put: a file opened to write is committed even where its writer fails.
        with tempfile.NamedTemporaryFile() as file:
            written = seal(key, data, file.write)
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

    def remove(self, key: str) -> None:
        """Remove a file or a folder, if there is one."""
        with contextlib.suppress(FileNotFoundError):
            self.files.rm(self._key(key), recursive=True)

    def discard(self) -> None:
        """Remove all there is: its root, what is recorded of it, all else.

        What is left of it at any moment is taken for the beginning of a store, and begun anew.
        """
        self.remove(ROOT)
        recorded = [f"{LEDGER}/{name}" for name in self.names(LEDGER) if name != ROOT]
        others = [name for name in self.names("") if name != LEDGER]
        for keys in (recorded, others, [LEDGER]):
            if keys:
                self.files.rm([self._key(key) for key in keys], recursive=True)

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
