"""The examples in docstrings, the public interface, and what the documents say of it."""

import doctest
import importlib
import inspect
import pkgutil
import re
from dataclasses import fields
from pathlib import Path

import pytest
import typer

import ndmc
import ndmc_kernels
from ndmc.cli.app import app
from ndmc.store.spec import Identity

ROOT = Path(__file__).parents[1]
DOCS = (ROOT / "docs").glob("*.md")
MODULES = sorted(
    module.name
    for package in (ndmc, ndmc_kernels)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if not module.name.endswith("__main__")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name, tmp_path, monkeypatch):
    """Every example in a docstring prints what it says."""
    monkeypatch.chdir(tmp_path)
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0


@pytest.mark.parametrize("name", [n for n in ndmc.__all__ if n not in ("InputError", "RunError")])
def test_public_functions_are_documented(name):
    """Every public function says what it takes, gives and raises, with an example."""
    public = getattr(ndmc, name)
    assert inspect.getdoc(public)
    if inspect.isfunction(public):
        text = inspect.getdoc(public)
        assert ">>>" in text
        assert "Parameters" in text or not inspect.signature(public).parameters


@pytest.mark.parametrize("document", ["README.md", "docs/scenario-format.md"])
def test_documents_name_only_commands_that_exist(document):
    """Every `ndmc COMMAND` in the documents is a command."""
    known = {command.callback.__name__ for command in app.registered_commands}
    text = (ROOT / document).read_text(encoding="utf-8")
    assert set(re.findall(r"^(?:\.venv/bin/)?ndmc ([a-z]+)", text, re.MULTILINE)) <= known
    assert set(re.findall(r"`ndmc ([a-z]+)", text)) <= known


@pytest.mark.parametrize("document", ["README.md", *sorted(path.name for path in DOCS)])
def test_documents_name_only_options_that_exist(document):
    """Every `--option` in the documents is one of a command."""
    commands = typer.main.get_command(app).commands.values()
    known = {name for command in commands for one in command.params for name in one.opts}
    path = ROOT / document if document == "README.md" else ROOT / "docs" / document
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", path.read_text(encoding="utf-8")))
    assert named <= known


def test_the_layout_names_every_option_that_a_store_records():
    """What makes two runs the same run is described with the other attributes of the root."""
    text = (ROOT / "docs" / "store-layout.md").read_text(encoding="utf-8")
    assert {one.name for one in fields(Identity)} <= set(re.findall(r"`(\w+)`", text))
