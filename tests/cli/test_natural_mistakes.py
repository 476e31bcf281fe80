"""Mistakes that people of the field make: each is told where it is, what it is and what to do."""

import re
import shlex

import pytest
from command import here
from natural_mistakes import COPPER, METALS, MISTAKES, PLANT, SALES


def write(folder, scenario, files, changes):
    """Write a scenario with a mistake in it: a text for another, or a file of another content."""
    texts = {"scenario.yaml": scenario, **files}
    for old, new in changes.items():
        if re.fullmatch(r"\w+\.(csv|xlsx|yaml)", old):
            texts[old] = new
            continue
        (holder,) = (name for name, text in texts.items() if isinstance(text, str) and old in text)
        assert texts[holder].count(old) == 1
        texts[holder] = texts[holder].replace(old, new)
    folder.mkdir()
    for name, text in texts.items():
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())


@pytest.fixture(scope="module")
def right(tmp_path_factory):
    """Return a folder with both scenarios as they should be, and a store of the first."""
    folder = tmp_path_factory.mktemp("right")
    write(folder / "copper", COPPER, {"sales.csv": SALES}, {})
    write(folder / "plant", PLANT, {}, {})
    assert here("run", "copper", "-n", 300, folder=folder).code == 0
    return folder


@pytest.mark.parametrize(
    ("changes", "command", "told"), [case[1:] for case in MISTAKES], ids=[c[0] for c in MISTAKES]
)
def test_a_natural_mistake_is_told_with_what_to_do(changes, command, told, right, tmp_path):
    """By exit 2 and a message that says where, what and the remedy; nothing else is printed."""
    folder = right
    if changes:
        folder = tmp_path
        which = {"plant": (PLANT, {}), "metals": (METALS, {})}
        name = command.split()[1]
        write(folder / name, *which.get(name, (COPPER, {"sales.csv": SALES})), changes)
    done = here(*shlex.split(command), folder=folder)
    assert (done.code, done.out) == (2, "")
    said = " ".join(done.err.split())
    assert "error: " in said
    for part in told:
        assert part in said, said
