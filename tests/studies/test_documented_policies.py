"""What the pages on policies and forecasts type can be typed, and what they write can be read."""

from pathlib import Path

import pytest
from documented import blocks, executed, typed
from ruamel.yaml import YAML

import ndmc
from ndmc.scenario.places import find

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {
    name: [*blocks((DOCS / name).read_text())]
    for name in ("comparing-policies.md", "forecasting.md")
}


def missing(text, printed):
    """Return the lines of a block that are not printed, in their order; `...` is any number."""
    lines = iter(" ".join(one.split()) for one in printed)
    wanted = [" ".join(one.split()) for one in text.splitlines()]
    return [one for one in wanted if one not in ("", "...") and one not in lines]


def test_the_entry_is_that_of_the_scenario():
    """The page shows what the bundled file has."""
    _, kind, text = PAGES["comparing-policies.md"][0]
    assert kind == "yaml"
    assert text in find("strategic_metals").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PAGES)
def test_what_is_written_is_yaml(name):
    """Every block."""
    assert [YAML(typ="safe").load(text) for _, kind, text in PAGES[name] if kind == "yaml"]


def test_the_ensembles_of_the_format_can_be_run(scenario):
    """All keys that its page shows together."""
    page = (DOCS / "scenario-format.md").read_text(encoding="utf-8").split("## Ensembles")[1]
    text = next(text for _, kind, text in blocks(page) if kind == "yaml")
    old = "variants:\n  long_lives:\n    set: {parameters.scale.value.phone: 8}\n"
    folder = scenario(changes={old: text})
    ndmc.check(folder)
    found = ndmc.load(folder, ensemble="levers").ensemble.members
    assert len(found) == 6


@pytest.mark.torture
@pytest.mark.parametrize("name", PAGES)
def test_all_that_is_typed_runs_and_prints_what_the_page_says(tmp_path, monkeypatch, name):
    """Command by command, with the draws of the page."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "170")
    printed = []
    for _, kind, text in PAGES[name]:
        if kind in ("sh", "python"):
            printed = typed(text, tmp_path) if kind == "sh" else executed(text)
        elif kind == "text":
            assert missing(text, printed) == []
