"""Which place a path or URL names."""

from __future__ import annotations

import re
from pathlib import Path

from ndmc.errors import InputError
from ndmc.given import as_path
from ndmc.store.bucket import Bucket
from ndmc.store.folder import Folder
from ndmc.store.place import Place

__all__ = ["check_address", "place_of"]

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
