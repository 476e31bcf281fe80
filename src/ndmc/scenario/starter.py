"""Scenarios to read and to start from: those that come with ndmc, and one's own."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from ndmc.errors import InputError, Mistakes, RunError, nearest
from ndmc.scenario.document import read_document, read_text
from ndmc.scenario.extending import read_extended
from ndmc.scenario.load import load_each
from ndmc.scenario.places import FILE, find

__all__ = ["new", "show"]

STARTER = "starter"

README = "README.md"

#: Bytes of a file that is shown.
_LONGEST = 2**26


def show(scenario: str | Path, file: str = "") -> str:
    """Return the text of a scenario: its file, or another one beside it.

    Parameters
    ----------
    scenario
        Name of a bundled scenario, or path of a scenario folder or file.
    file
        A file of its folder, or of that of a scenario that it extends, such as ``"README.md"``; the
        scenario file if empty.

    Returns
    -------
    str
        The text as it stands there; nothing is checked.

    Raises
    ------
    InputError
        If there is no such scenario, or no such file in its folder.

    Examples
    --------
    >>> show("starter", "README.md").splitlines()[0]
    '# starter'
    """
    path = find(scenario)
    if file:
        path = _beside(path, file)
    return read_text(path, _LONGEST)


def _beside(path: Path, file: str) -> Path:
    """Return a file beside a scenario file, or beside one that it extends."""
    known = {one.name: one for one in path.parent.iterdir() if one.is_file()}
    if file not in known:
        for layer in read_extended(path).layers:
            beside = (one for one in layer.path.parent.iterdir() if one.is_file())
            known = {**{one.name: one for one in beside}, **known}
    if file not in known:
        hint = nearest(file, sorted(known))
        raise InputError(f"no file {file!r} in {str(path.parent)!r}; {hint}")
    return known[file]


def new(folder: str | Path, *, source: str | Path = STARTER) -> Path:
    """Copy a scenario to a new folder, where it has the folder's name.

    Parameters
    ----------
    folder
        The folder, which must not hold anything yet. Its name becomes the scenario's.
    source
        Name of a bundled scenario, or path of a scenario folder or file; a commented one to start
        from if not given.

    Returns
    -------
    Path
        The new scenario file. Beside it are the tables that the scenario or a variant of it reads,
        and its README; those of a scenario that it extends are read from there.

    Raises
    ------
    InputError
        If the folder holds something, its name cannot be a scenario's, or ``source`` is none.
    RunError
        If it cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> new(tempfile.mkdtemp() + "/my_study", source="steel_loop").name
    'scenario.yaml'
    """
    folder = Path(folder)
    name = folder.resolve().name
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise InputError(f"{name!r} cannot name a scenario; use letters, digits and _")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{str(folder)!r} exists already; choose another folder")
    path = find(source)
    found = [*load_each(path)]
    Mistakes(found[0].mistakes).end()
    _check_beside(path, folder, found[0].file.extends or "")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _copy_texts(path, folder, found[0].name, name)
        for table in {table for one in found for table in one.tables}:
            if not (path.parent / table).is_file():
                continue
            (folder / table).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path.parent / table, folder / table)
    except OSError as failed:
        raise RunError(f"cannot write {str(folder)!r}: {failed.strerror}") from None
    return folder / FILE


def _check_beside(path: Path, folder: Path, extends: str) -> None:
    """Refuse a folder that a scenario which is extended would not lie beside."""
    around = path.parent.resolve().parent
    if extends.startswith("../") and folder.resolve().parent != around:
        message = f"the scenario extends {extends!r}, which must lie beside its folder"
        raise InputError(f"{message}; choose a new folder in {str(around)!r}")


def _copy_texts(path: Path, folder: Path, old: str, name: str) -> None:
    """Copy the scenario file and the README, with the name where it is a name."""
    document = read_document(path)
    lines = document.text.splitlines(keepends=True)
    line = document.lines[("name",)] - 1
    lines[line] = re.sub(rf"(\bname:\s*['\"]?){old}\b", rf"\g<1>{name}", lines[line], count=1)
    texts = {FILE: "".join(lines)}
    if (path.parent / README).is_file():
        texts[README] = show(path, README)
    for file, text in texts.items():
        commands = rf"(\bndmc \w+ |^# ){old}\b"
        renamed = re.sub(commands, rf"\g<1>{name}", text, flags=re.MULTILINE)
        (folder / file).write_text(renamed, encoding="utf-8", newline="\n")
