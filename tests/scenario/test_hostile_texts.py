"""Texts that are no study: read in a moment, or refused in one message that can be read."""

from pathlib import Path

import pytest

from ndmc.errors import InputError
from ndmc.scenario.document import parse_document

HEAD = "format: 1\nname: a\n"
MANY = 20_000

REFUSED = {
    "lists in lists": ("x: " + "[" * MANY, "nested deeper than 12 levels"),
    "mappings in mappings": ("x: " + "{a: " * MANY, "nested deeper than 12 levels"),
    "aliases of aliases": (
        "x: &a [1]\n" + "".join(f"y{n}: [*a, *a]\n" for n in range(50)),
        "anchors and aliases",
    ),
    "digits": (f"title: {'9' * MANY}", "cannot read '999.*' as int"),
    "hexadecimal digits": (f"title: 0x{'f' * MANY}", "cannot read '0xfff.*' as int"),
    "a key without end": ("a" * MANY + ": 1", "no key; a key has ': ' behind it"),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_what_no_study_needs_is_refused(text, message):
    """With its line, and no more of it than can be read."""
    with pytest.raises(InputError, match=message) as caught:
        parse_document(HEAD + text + "\n", Path("scenario.yaml"))
    assert caught.value.where.startswith("scenario.yaml:3")
    assert len(str(caught.value)) < 2700


READ = {
    "entries": ("x: [" + "a, " * MANY + "]", 1),
    "empty lines": ("\n" * MANY + "x: a", MANY + 1),
    "comments": ("# note\n" * MANY + "x: a", MANY + 1),
    "lines of a text": ("x: a\n" + "  b\n" * MANY, 1),
    "keys": ("x:\n" + "".join(f"  k{n}: 1\n" for n in range(MANY)), 1),
}


@pytest.mark.parametrize(("text", "line"), READ.values(), ids=READ)
def test_much_of_anything_is_read(text, line):
    """Each with its line."""
    found = parse_document(HEAD + text + "\n", Path("scenario.yaml"))
    assert found.where("x") == f"scenario.yaml:{line + 2}"
