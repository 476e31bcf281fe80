"""The examples in docstrings, the public interface, and what the documents say of it."""

import doctest
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

import ndmc
import ndmc_kernels

ROOT = Path(__file__).parents[1]
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
    from ndmc.cli.app import app

    known = {command.callback.__name__ for command in app.registered_commands}
    text = (ROOT / document).read_text(encoding="utf-8")
    assert set(re.findall(r"^(?:\.venv/bin/)?ndmc ([a-z]+)", text, re.MULTILINE)) <= known
    assert set(re.findall(r"`ndmc ([a-z]+)", text)) <= known
