"""A commented scenario to start from."""

from __future__ import annotations

import re
from pathlib import Path

from ndmc.errors import InputError, RunError
from ndmc.scenario.load import FILE, find

__all__ = ["create_from_starter"]

STARTER = "starter"


def create_from_starter(folder: Path) -> Path:
    """Copy the commented starting scenario to a new folder and return its scenario file.

    Raises
    ------
    InputError
        If the folder exists and holds something, or its name cannot be a scenario's.
    RunError
        If it cannot be written.
    """
    name = folder.resolve().name
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise InputError(f"{name!r} cannot name a scenario; use letters, digits and _")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{str(folder)!r} exists already; choose another folder")
    starter = find(STARTER).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(starter.iterdir()):
            if path.suffix in (".yaml", ".csv", ".md"):
                text = path.read_text(encoding="utf-8")
                (folder / path.name).write_text(text.replace(STARTER, name), encoding="utf-8")
    except OSError as failed:
        raise RunError(f"cannot write {str(folder)!r}: {failed.strerror}") from None
    return folder / FILE
