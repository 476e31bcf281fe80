"""Which place a path or URL names."""

from __future__ import annotations

import os
from pathlib import Path

from ndmc.store.bucket import Bucket
from ndmc.store.folder import Folder
from ndmc.store.place import Place

__all__ = ["place_of"]


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
