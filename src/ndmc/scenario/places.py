"""Where scenarios lie: those that come with ndmc, and one's own."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from ndmc.errors import InputError, nearest
from ndmc.given import as_path

__all__ = ["bundled", "find"]

FILE = "scenario.yaml"


def bundled() -> list[str]:
    """Return the names of the scenarios that come with ndmc.

    Examples
    --------
    >>> "china_nd" in bundled()
    True
    """
    root = Path(str(files("ndmc_scenarios")))
    return sorted(path.parent.name for path in root.glob(f"*/{FILE}"))


def find(source: str | Path) -> Path:
    """Return the scenario file of a bundled name, a folder or a file.

    Raises
    ------
    InputError
        If there is none.
    """
    source = as_path(source, "scenario")
    path = Path(source)
    if "://" in source:  # not shown: it may hold a password
        raise InputError("a scenario is a folder or a file of this machine, and no URL")
    if source in bundled():
        return Path(str(files("ndmc_scenarios"))) / source / FILE
    try:
        is_folder, is_file = path.is_dir(), path.is_file()
    except OSError as failed:
        raise InputError(f"cannot be read: {failed.strerror}", source) from None
    if is_folder:
        if (path / FILE).is_file():
            return path / FILE
        raise InputError(f"the folder {path} holds no {FILE}; is it a scenario?")
    if is_file and path.suffix.lower() in (".csv", ".xlsx"):
        raise InputError(f"a scenario is a folder with {FILE}, and no table", str(path))
    if is_file:
        return path
    if path.suffix or len(path.parts) > 1:
        raise InputError(f"there is no scenario at {str(path)!r}")
    hint = nearest(source, bundled())
    raise InputError(f"no bundled scenario {source!r}, and no such folder; {hint}")
