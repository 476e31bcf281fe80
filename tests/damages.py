"""Stores that are damaged: kinds of files, kinds of damage, and all that is read of a store."""

import collections
import contextlib
import io
import re
import shlex
import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import xarray as xr

import ndmc as api
from ndmc.cli.print_run import print_run
from ndmc.cli.print_store import print_info
from ndmc.errors import InputError, RunError
from ndmc.store.information import info_of
from ndmc.store.opening import open_store

#: What ends a command in one message.
MESSAGES = (RunError, InputError)


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
    "ndmc percentiles": lambda path: values_of(api.percentiles(path)),
    "ndmc total": lambda path: values_of(api.percentiles(path, "sales", over="product")),
    "ndmc draws": lambda path: values_of(api.open(path)),
    "ndmc info": lambda path: said(path, lambda store: print_info(info_of(store))),
    "ndmc run": lambda path: said(path, print_run),
    "xarray draws": lambda path: values_of(xr.open_zarr(path, chunks=None)),
    "xarray percentiles": lambda path: values_of(
        xr.open_zarr(path, group="percentiles", chunks=None)
    ),
    "xarray parameters": lambda path: values_of(
        xr.open_zarr(path, group="parameters", chunks=None)
    ),
    "xarray inputs": lambda path: values_of(xr.open_zarr(path, group="inputs", chunks=None)),
}


def said(path, show):
    """Return what is printed of a store, but for times."""
    with contextlib.redirect_stdout(io.StringIO()) as page:
        show(open_store(path))
    text = page.getvalue().replace(shlex.quote(str(path)), "STORE").replace(str(path), "STORE")
    lines = text.splitlines()
    return [line for line in lines if not line.startswith(("started", "finished"))]


#: What must end in a message where it cannot be read; draws are opened lazily, by xarray.
OWN = ("ndmc percentiles", "ndmc total", "ndmc info", "ndmc run")


def values_of(dataset):
    """Return every number and label of a dataset, with what it belongs to."""
    loaded = dataset.load()
    return {
        name: (array.dims, array.attrs.get("units"), str(array.dtype), array.values.tobytes())
        if array.dtype.kind != "O"
        else (array.dims, None, "text", repr(array.values.tolist()))
        for name, array in loaded.variables.items()
    }


def other(before, found):
    """Return what is read differently, without an error."""
    return [
        title
        for title, value in found.items()
        if not isinstance(value, Exception) and value != before[title]
    ]


def failures(before, found):
    """Return what can no longer be read, and why."""
    return {
        title: value
        for title, value in found.items()
        if isinstance(value, Exception) and not isinstance(before[title], Exception)
    }


# --- kinds of files -------------------------------------------------------------------------------

PATTERNS = {
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
    r"(in_use|use|inputs/content)/zarr\.json": "document of draws",
    r"(in_use|use|inputs/content)/c/.*": "draws",
    r".*/zarr\.json": "document of a small array",
    r"percentiles/\w+/c.*": "percentiles",
    r"parameters/(?!(year|product|product_group)/)\w+/c.*": "parameters",
    r".*/c/0": "labels",
}


def kind_of(key):
    """Return the kind of a file of a store."""
    return next(kind for pattern, kind in PATTERNS.items() if re.fullmatch(pattern, key))


def files(path):
    """Return the files of a store, by kind."""
    found = collections.defaultdict(list)
    for file in sorted(path.rglob("*")):
        if file.is_file():
            key = file.relative_to(path).as_posix()
            found[kind_of(key)].append(key)
    return found


# --- damage ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Target:
    """A file of a store to damage, others of its kind, and the same file of other stores."""

    path: Path
    key: str
    peers: tuple[str, ...]
    donor: Callable[[str], Path] | None = None

    @property
    def file(self):
        """The file."""
        return self.path / self.key

    def write(self, data):
        """Replace the bytes; return whether they are others now."""
        before = self.file.read_bytes()
        self.file.write_bytes(data)
        return data != before

    def peer(self, chance):
        """Return another file of the kind, of other bytes; None if there is none."""
        mine = self.file.read_bytes()
        others = [self.path / key for key in self.peers if key != self.key]
        others = [one for one in others if one.is_file() and one.read_bytes() != mine]
        return chance.choice(others) if others else None


def flip(target, chance):
    """Flip a random bit."""
    data = bytearray(target.file.read_bytes())
    if not data:
        return False
    bit = chance.randrange(8 * len(data))
    data[bit // 8] ^= 1 << bit % 8
    return target.write(bytes(data))


def empty(target, _):
    """Leave no byte."""
    return target.write(b"")


def halve(target, _):
    """Cut a file in half."""
    data = target.file.read_bytes()
    return target.write(data[: len(data) // 2])


def shorten(target, _):
    """Cut off the last byte."""
    return target.write(target.file.read_bytes()[:-1])


def delete(target, _):
    """Remove a file."""
    target.file.unlink()
    return True


def delete_folder(target, _):
    """Remove a folder with all in it: what holds an array, a group, digests or the ledger."""
    folder = target.file.parent
    if folder == target.path:
        return False
    shutil.rmtree(folder)
    return True


def zero(target, _):
    """Make every byte 0, as file systems do that were cut off from their power."""
    return target.write(bytes(target.file.stat().st_size))


def append(target, chance):
    """Append some bytes."""
    return target.write(target.file.read_bytes() + chance.randbytes(chance.choice([1, 4, 64])))


def swap(target, chance):
    """Exchange a file with another of its kind."""
    peer = target.peer(chance)
    if peer is None:
        return False
    mine, others = target.file.read_bytes(), peer.read_bytes()
    peer.write_bytes(mine)
    return target.write(others)


def copy_neighbour(target, chance):
    """Put a copy of another file of the kind in place of a file."""
    peer = target.peer(chance)
    return peer is not None and target.write(peer.read_bytes())


def of_another(name):
    """Return a damage: the same file of another store takes the place of this one."""

    def replace(target, _):
        other = target.donor(name) / target.key
        return other.is_file() and target.write(other.read_bytes())

    return replace


#: What makes the stores whose files take the place of others: see `of_another`.
DONORS = ("seed", "scenario", "draws", "dtype")

DAMAGES = {
    "a bit flipped": flip,
    "emptied": empty,
    "cut in half": halve,
    "cut by a byte": shorten,
    "deleted": delete,
    "folder deleted": delete_folder,
    "zeroed": zero,
    "appended to": append,
    "swapped": swap,
    "a neighbour's": copy_neighbour,
} | {f"of another {name}": of_another(name) for name in DONORS}
