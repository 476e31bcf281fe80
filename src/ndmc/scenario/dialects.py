"""What is no table with commas, but another file that people take for one: seen, and named."""

from __future__ import annotations

import re

#: What separates columns elsewhere.
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}

_REMEDY = "save it with commas (and points in numbers)"

_QUOTED = re.compile(r'"[^"]*"')

# Characters of a line that are looked at.
_SEEN = 10_000


def foreign(text: str) -> str:
    r"""Return what a text is that is no table with commas, and what to do; empty if it may be one.

    Examples
    --------
    >>> foreign("year;value\n2001;1,5\n")
    'the columns are separated by semicolons; save it with commas (and points in numbers)'
    >>> foreign("year,value\n2001,1.5\n")
    ''
    """
    first, _, rest = text[:_SEEN].partition("\n")
    if first.startswith("PK"):
        return "a workbook, or another zip file; save the sheet as CSV, with commas and in UTF-8"
    if "\0" in first:
        return "not UTF-8 text, but probably UTF-16; save it as UTF-8"
    if re.match(r"\s*<(?:!doctype|html|\?xml)", first, re.IGNORECASE):
        return "a page of HTML or XML, and no CSV; save the table that it shows"
    if told := re.fullmatch(r"sep=(.)[,;\s]*", first, re.IGNORECASE):
        return _told_to_excel(told[1])
    if re.match(r"(?:#(?!\s*,)|//)", first):
        return "the first line is a comment, but must name the columns; remove it (or the mark)"
    return _separated(_QUOTED.sub("", first), rest.partition("\n")[0])


def _told_to_excel(separator: str) -> str:
    other = _SEPARATORS.get(separator, "")
    seen = f"the columns are separated by {other}; {_REMEDY}" if other else "remove it"
    return f"the first line, 'sep={separator}', is for Excel alone: {seen}"


def _separated(first: str, second: str) -> str:
    for separator, name in _SEPARATORS.items():
        if separator in first and "," not in first:
            return f"the columns are separated by {name}; {_REMEDY}"
    words = len(first.split())
    if words > 1 and "," not in first + second and len(second.split()) == words:
        return f"the columns are separated by blanks; {_REMEDY}"
    return ""
