"""Which place a path or URL names."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from ndmc.errors import InputError
from ndmc.given import as_path
from ndmc.store.bucket import Bucket
from ndmc.store.folder import Folder
from ndmc.store.place import Place

__all__ = ["check_store_name", "place_of"]

#: Endings of files that hold arrays, and of others that are no store.
_ARRAYS = (".nc", ".nc4", ".cdf", ".h5", ".hdf5", ".hdf")

_OTHERS = (
    *(*_ARRAYS, ".csv", ".tsv", ".txt", ".xls", ".xlsx", ".ods", ".parquet", ".feather", ".json"),
    *(".yaml", ".yml", ".md", ".npy", ".npz", ".pkl", ".mat", ".png", ".svg", ".pdf", ".html"),
)

#: What may be a secret: a user before the host of a URL, or a query behind its path.
_SECRET = re.compile(r"://([^/]*@|.*\?)", re.DOTALL)


def check_address(where: Path | str) -> str:
    """Return a path or URL as text.

    Raises
    ------
    InputError
        If it may hold a secret, which job scripts and messages would show. This one does not.

    Examples
    --------
    >>> check_address("s3://bucket/run.zarr")
    's3://bucket/run.zarr'
    """
    text = as_path(where, "path")
    if _SECRET.search(text):
        raise InputError(
            f"a {text.partition('://')[0]}:// address with a user, password or query is not taken, "
            "as messages and job scripts would show it; leave it out and give credentials as the "
            "storage wants them, such as by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    return text


def check_store_name(where: Path | str) -> None:
    """Refuse a store that says by its name that it is one file of another kind.

    Raises
    ------
    InputError
        If its ending is that of a table, an array file or a scenario.

    Examples
    --------
    >>> check_store_name("run.zarr")
    """
    text = check_address(where)
    stem, ending = posixpath.splitext(text.rstrip("/"))
    if ending.casefold() not in _OTHERS:
        return
    store = f"{posixpath.basename(stem)}.zarr"
    message = f"{text!r} is no name for a run, which is a Zarr folder; name it {store}"
    write = f"ndmc percentiles {store} --csv {store[:-5]}.csv writes a table of it"
    if ending.casefold() in _ARRAYS:
        write = f"in Python ndmc.percentiles({store!r}).to_netcdf({text!r}) writes its percentiles"
    raise InputError(f"{message}; then {write}", "--out")


def place_of(where: Path | str) -> Place:
    """Return the place a path or URL names.

    Examples
    --------
    >>> place_of("memory://runs/a.zarr").url
    'memory://runs/a.zarr'
    """
    text = check_address(where)
    if text.startswith("file://"):
        return Folder(Path(text.removeprefix("file://")))
    return Bucket(text) if "://" in text else Folder(Path(text))
