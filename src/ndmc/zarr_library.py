"""Zarr as it is meant to be: under ``python -O`` it loses what it takes out in an assertion."""

from __future__ import annotations

from typing import Any

__all__ = ["zarr_library"]


def zarr_library() -> Any:
    """Return the library, whose groups can be opened under ``python -O`` too.

    Of zarr 3.1 ``GroupMetadata.from_dict`` removes a key within an ``assert``.
    """
    import numcodecs  # noqa: F401 - before Zarr: see ndmc.store.zarr_v3
    import zarr

    if not __debug__:
        _mend()
    return zarr


def _mend() -> None:
    from zarr.core.group import GroupMetadata

    known: Any = GroupMetadata
    plain = known.from_dict.__func__
    if getattr(plain, "__module__", "") == __name__:
        return

    def from_dict(cls: Any, data: Any) -> Any:
        return plain(cls, {name: data[name] for name in data if name != "node_type"})

    known.from_dict = classmethod(from_dict)
