"""Text that others wrote: no character is obeyed or lost, and shells read words as they were."""

import subprocess
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ndmc.errors import InputError, RunError
from ndmc.legible import command_line, legible

#: Any text, that of file names which are not UTF-8 included, and often what is not seen.
TEXTS = st.text(
    st.characters() | st.sampled_from("\x00\x1b\x07\x7f\x9b\n\u2028\u202e\u2066\udc9b\\'")
)
#: Marks of direction that Unicode has in the classes of letters or of nothing, what XML refuses.
MARKS = "\u061c\u200e\u200f\u206a\u206b\u206c\u206d\u206e\u206f\ufffe\uffff"
TURNS = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")


def seen(character):
    """Say whether a character is shown, not obeyed."""
    obeyed = unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
    return (
        not obeyed and character not in MARKS and unicodedata.bidirectional(character) not in TURNS
    )


@given(TEXTS)
@example("".join(map(chr, range(0x3000))))
@example(MARKS)
def test_what_would_be_obeyed_is_escaped_and_all_else_as_it_was(text):
    """Nothing is lost, and what is legible stays as it is."""
    found = legible(text)
    assert found == "".join(c if seen(c) else c.encode("unicode_escape").decode() for c in text)
    assert all(map(seen, found))
    assert legible(found) == found


@pytest.mark.parametrize(
    "text",
    [
        "Neodymium in mainland China, 2001-2021",
        "1\u202f000\u00a0t, ±5 %, Nd₂Fe₁₄B, \\n, C:\\x1b",
        "粗鋼 فولاد नेपाल می‌شود 👩‍🔬",
    ],
)
def test_plain_text_is_as_it_was(text):
    """Letters of every script, joined ones, blanks of any width, and backslashes."""
    assert legible(text) == text


def test_errors_are_legible_wherever_they_are_caught():
    """Both kinds say what they say in Python, too, and in their parts."""
    wrong = InputError("no\x1b[2J", "a\nb")
    assert (str(wrong), wrong.message, wrong.where) == (r"a\nb: no\x1b[2J", r"no\x1b[2J", r"a\nb")
    assert str(RunError("lost \u202e")) == r"lost \u202e"


WORDS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))


@given(st.lists(WORDS | st.text("\\'\x1b\x9b\n$`\"! é\u202e7a"), min_size=1, max_size=4))
@example(["\udc9b"])
def test_a_shell_reads_the_words_as_they_were(words):
    """On one legible line, which executes nothing; bytes that are not UTF-8 included."""
    line = command_line(words)
    assert legible(line) == line
    done = subprocess.run(["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True)
    assert done.stdout.split(b"\0")[:-1] == [w.encode("utf-8", "surrogateescape") for w in words]
