"""Scenarios to read and to start from: what is copied, and what is renamed in it."""

import os

import pytest
from tiny import TINY, write_scenario

import ndmc
from ndmc import InputError
from ndmc.scenario.places import find

README = """\
# tiny

A tiny cycle, which ndmc check tiny checks; tiny things are in it.

    ndmc run tiny -n 1e4 --out tiny_runs.zarr
    ndmc percentiles tiny.zarr -v tiny
"""
RENAMED = """\
# mine

A tiny cycle, which ndmc check mine checks; tiny things are in it.

    ndmc run mine -n 1e4 --out tiny_runs.zarr
    ndmc percentiles mine.zarr -v tiny
"""


def contents(folder):
    """Return what lies in a folder, by name."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix != ".pyc":
            found[path.relative_to(folder).as_posix()] = path.read_text(encoding="utf-8")
    return found


@pytest.mark.parametrize("name", ndmc.bundled())
def test_a_bundled_scenario_is_copied_whole(name, tmp_path):
    """All its files, those of its variants too; nothing but the name is another."""
    path = ndmc.new(tmp_path / "mine", source=name)
    assert path == tmp_path / "mine" / "scenario.yaml"
    copied, before = contents(tmp_path / "mine"), contents(find(name).parent)
    assert {*copied} == {*before}
    changed = {file for file in before if copied[file] != before[file]}
    assert changed <= {"scenario.yaml", "README.md"}
    assert "\nname: mine\n" in copied["scenario.yaml"]
    for file in changed:
        assert copied[file].replace("mine", "") == before[file].replace(name, "").replace(
            "mine", ""
        )


def test_ones_own_scenario_is_copied_without_its_runs(cli, tmp_path):
    """Its file, its tables wherever they lie, its README; the name only where it is one."""
    text = TINY.replace("production.csv", "tables/production.csv")
    text = text.replace("A tiny cycle", "'name: tiny'")
    folder = write_scenario(tmp_path / "tiny", {"scenario.yaml": text, "notes.csv": "a,b"})
    (folder / "tables").mkdir()
    (folder / "production.csv").rename(folder / "tables" / "production.csv")
    (folder / "README.md").write_text(README)
    (folder / "run.zarr").mkdir()
    done = cli("new", "mine", "--from", "tiny")
    assert (done.code, done.err) == (0, "")
    copied = contents(tmp_path / "mine")
    assert {*copied} == {"scenario.yaml", "README.md", "tables/production.csv"}
    assert copied["README.md"] == RENAMED
    assert copied["scenario.yaml"] == text.replace("\nname: tiny\n", "\nname: mine\n")
    assert ndmc.load(tmp_path / "mine").name == "mine"


def test_what_is_no_scenario_is_not_copied(cli, scenario, tmp_path):
    """A copy would not run either; nothing is written."""
    scenario("broken", {"car,2004,800000": "car,2004,many"})
    for source, message in (
        ("nothing", "no bundled scenario"),
        ("broken", "holds 'many'"),
    ):
        done = cli("new", "mine", "--from", source)
        assert done.code == 2
        assert message in done.err
        assert not (tmp_path / "mine").exists()


def test_a_scenario_is_shown_as_it_stands(cli, scenario):
    """Bundled or one's own, its file or another one beside it, as Python returns it."""
    for name, words, file in (
        ("china_nd", ["china_nd"], "scenario.yaml"),
        ("steel_loop", ["steel_loop", "README.md"], "README.md"),
        (scenario(), [scenario(), "production.csv"], "production.csv"),
    ):
        done = cli("show", *words)
        assert (done.code, done.err) == (0, "")
        assert done.out == (find(name).parent / file).read_text(encoding="utf-8")
        assert done.out == ndmc.show(*words)


@pytest.mark.parametrize("file", ["READM.md", "../starter/README.md", "/etc/passwd", ".", "x\0"])
def test_only_files_of_a_scenario_are_shown(file):
    """What there is is named, and nothing outside its folder is read."""
    with pytest.raises(InputError, match=r"^no file .* in '.*steel_loop'; (did you|choose one of)"):
        ndmc.show("steel_loop", file)


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="this system has no terminals of programs")
def test_a_terminal_is_not_told_what_to_do(scenario, monkeypatch):
    """A text of others is shown there, not obeyed."""
    from ndmc.cli import tables

    reader, writer = os.openpty()
    with open(writer, "w", encoding="utf-8") as terminal:
        monkeypatch.setattr("sys.stdout", terminal)
        tables.print_text("a\tb \x1b[2J\n# ü")
        terminal.flush()
        assert os.read(reader, 99).decode().split() == ["a", "b", r"\x1b[2J", "#", "ü"]
    os.close(reader)
