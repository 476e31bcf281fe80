"""The examples in docstrings, the public interface, and what the documents say of it."""

import ast
import doctest
import importlib
import inspect
import itertools
import pkgutil
import re
import shlex
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
import typer

import ndmc
import ndmc_kernels
from ndmc.cli.app import app
from ndmc.store.spec import Identity

ROOT = Path(__file__).parents[1]
SCENARIOS = ROOT / "scenarios" / "ndmc_scenarios"
DOCUMENTS = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *SCENARIOS.glob("*/README.md")]
COMMANDS = {one.name: one for one in typer.main.get_command(app).commands.values()}


def named(document):
    """Return where a document lies."""
    return document.relative_to(ROOT).as_posix()


each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=named)
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


def typed(document):
    """Return what is typed in the code blocks of a document, as words, command by command."""
    text = document.read_text(encoding="utf-8")
    blocks = [*re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)]
    blocks += re.findall(r"^    ndmc .*", text, re.MULTILINE)
    for line in "\n".join(blocks).splitlines():
        words = shlex.shlex(line, posix=True, punctuation_chars=True)
        words.whitespace_split = True
        for joined, command in itertools.groupby(words, {"&&", "|", ">", ";"}.__contains__):
            if not joined:
                yield list(command)


@each_document
def test_documents_type_only_what_is_understood(document):
    """Every command typed in a document is one, with its options, and its scenario is bundled."""
    text = document.read_text(encoding="utf-8")
    assert set(re.findall(r"`ndmc ([a-z]+)", text)) <= set(COMMANDS)
    for program, *words in typed(document):
        if program.endswith("ndmc"):
            command, *arguments = words
            given = COMMANDS[command].make_context(command, arguments).params
            scenario = given.get("scenario") or given.get("source") or "starter"
            assert scenario in ndmc.bundled() or scenario.startswith("my_") or ".zarr" in scenario
            variants = ",".join(given.get("variant") or ()).split(",")
            if any(variants):
                known = text if scenario.startswith("my_") else ndmc.show(scenario)
                assert all(f"\n  {one}:" in known for one in variants)


@each_document
def test_documents_name_only_options_that_exist(document):
    """Every `--option` in the documents is one of a command."""
    known = {name for command in COMMANDS.values() for one in command.params for name in one.opts}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", document.read_text(encoding="utf-8")))
    assert named <= known


@each_document
def test_documents_call_only_what_is_public(document):
    """Every `ndmc.name` is public, and is called with arguments that it takes."""
    text = document.read_text(encoding="utf-8")
    assert set(re.findall(r"`ndmc\.([A-Za-z_]+)", text)) <= set(ndmc.__all__)
    for block in re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for call in ast.walk(ast.parse(block)):
            if isinstance(call, ast.Call) and ast.unparse(call.func).startswith("ndmc."):
                public = getattr(ndmc, call.func.attr)
                named = {one.arg: one for one in call.keywords if one.arg}
                inspect.signature(public).bind_partial(*call.args, **named)


@pytest.mark.parametrize(
    "document", [*DOCUMENTS, ROOT / "CONTRIBUTING.md", ROOT / "bench/README.md"], ids=named
)
def test_links_lead_somewhere(document):
    """Every relative link of a document is to a file that exists, and to a heading in it."""
    text = document.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)]*)\)", text):
        path, _, heading = target.partition("#")
        there = document.parent / path if path else document
        assert there.is_file(), target
        titles = re.findall(r"^#+ (.*)$", there.read_text(encoding="utf-8"), re.MULTILINE)
        slugs = [re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in titles]
        assert heading in ("", *slugs), target


def test_nobody_is_sent_to_an_index_that_has_no_ndmc():
    """It is installed from a clone until there is a release, with extras that exist."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    known = set(extras["project"]["optional-dependencies"])
    for path in (*DOCUMENTS, *(ROOT / "src").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"pip install \S*ndmc", text), path
        asked = re.findall(r"pip install (?:-q )?\"\.\[([a-z,]+)\]", text)
        assert {one for names in asked for one in names.split(",")} <= known
        assert set(re.findall(r"extra `\[([a-z]+)\]`", text)) <= known


def test_the_layout_names_every_option_that_a_store_records():
    """What makes two runs the same run is described with the other attributes of the root."""
    text = (ROOT / "docs" / "store-layout.md").read_text(encoding="utf-8")
    assert {one.name for one in fields(Identity)} <= set(re.findall(r"`(\w+)`", text))
