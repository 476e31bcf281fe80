"""What is wrong with a text that is no YAML, in other words than those of its parser."""

from __future__ import annotations

import re
from typing import Any

_QUOTES = "a text with ': ', commas or brackets in it needs quotes"

_COLUMN = "keys of one entry begin in the same column"

#: What a parser found, and what it means to whoever wrote it.
_MEANT = (
    (r"found character '\\t'", "a tab; YAML wants spaces"),
    (r"found character '(.)'", "a text that begins with {} needs quotes"),
    (r"found unexpected end of stream", "the quote that opens here is never closed"),
    (r"could not find expected ':'", "no key; a key has ': ' behind it, a colon and a space"),
    (r"sequence entries are not allowed", "a list begins on a line of its own; or write [a, b]"),
    (r"found '<block mapping start>'", f"indented like no line above it; {_COLUMN}"),
    (r"found '(?:-|<block sequence start>)'", "a '- ' among keys; remove it"),
    (
        r"found '<scalar>'",
        "a text goes on behind a quote or bracket; within '...' a ' is written twice",
    ),
    (r"<block end>, but found '\?'", f"a key beside '- ' of a list; remove each '- ', {_COLUMN}"),
    (r"<block end>, but found '(.)'", f"{{}} closes nothing; {_QUOTES}"),
    (r"expected ',' or '(.)'", f"the bracket that opens here is not closed by {{}}; {_QUOTES}"),
    (r"expected the node content, but found '(.)'", "a text that begins with {} needs quotes"),
    (r"expected a comment or a line break", "a text that begins with > or | needs quotes"),
)

#: Problems that stand where something begins, not where the parser gave up.
_OPENED = re.compile(r"could not find expected ':'|found unexpected end|expected ',' or")


def yaml_problem(broken: Any, text: str) -> tuple[str, int]:
    r"""Return what a parser of YAML raised of a text in words, and the line that it is about.

    Examples
    --------
    >>> from ruamel.yaml import YAML, YAMLError
    >>> text = "format: 1\ntitle: copper: a study\n"
    >>> try:
    ...     YAML().load(text)
    ... except YAMLError as broken:
    ...     print(yaml_problem(broken, text))
    ("a text with ': ', commas or brackets in it needs quotes", 2)
    """
    problem = getattr(broken, "problem", None)
    if problem is None:
        at, character = getattr(broken, "position", 0), getattr(broken, "character", 0)
        found = f"a character that is no text (code {character}); remove it"
        return (found if character else str(broken)).splitlines()[0], text.count("\n", 0, at) + 1
    opened = broken.context_mark if _OPENED.match(problem) else None
    mark = opened or broken.problem_mark or broken.context_mark
    line = text.split("\n")[mark.line]
    if "\u00a0" in line:
        return "a no-break space; write a plain one", mark.line + 1
    if problem.startswith("mapping values are not allowed"):
        twice = re.search(r":\s", line[: mark.column])
        return _QUOTES if twice else f"indented below a value; {_COLUMN}", mark.line + 1
    if re.match(r"\s*//", line):
        return "a comment begins with #, not with //", mark.line + 1
    for pattern, words in _MEANT:
        if match := re.search(pattern, problem):
            return words.format(*match.groups()), mark.line + 1
    return problem.splitlines()[0], mark.line + 1
