"""Labels as people write them: read alone and in pairs, shown again, and what is wrong."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from ndmc.errors import nearest
from ndmc.legible import shown

__all__ = [
    "YEARLY",
    "LabelError",
    "Labels",
    "is_one",
    "keys_of",
    "listed",
    "pairs",
    "plain_label",
    "quoted",
    "read_change",
    "read_labels",
    "split_labels",
    "such_years",
    "unknown_label",
]

#: Dims whose labels are years or ages, but for the cohort label `before`.
YEARLY = ("age", "cohort", "year")

_OF_SPREADSHEETS = re.compile(r"([0-9]+)\.0+")

_WHOLE = re.compile(r"[0-9]{1,9}")

_OF_YEARS = re.compile(r"[0-9. ]+")

# No part of a text can be matched in two ways: texts are anyone's. Possessive quantifiers would say
# so, but those of groups are wrong before Python 3.11.5 (gh-106052).

#: Anything between quotes, which are written twice within.
_IN_QUOTES = (
    r"""(?P<quote>["'])(?P<quoted>(?:(?!(?P=quote)).|(?P=quote){2})*)(?P=quote)(?!(?P=quote))"""
)

#: Labels of a group in a message.
_LISTED = 5


#: Labels that are picked, by dim: one or several of each.
Labels = Mapping[str, str | int | slice | Iterable[str | int]]


class LabelError(ValueError):
    """A text that is no label: what it is, and what would be one."""


def plain_label(dim: str, text: str) -> str:
    """Return a label as it is compared: of composed letters (NFC), years as whole numbers.

    Examples
    --------
    >>> plain_label("year", "2001.0"), plain_label("alloy", "1.0")
    ('2001', '1.0')
    """
    text = unicodedata.normalize("NFC", text)
    whole = _OF_SPREADSHEETS.fullmatch(text) if dim in YEARLY else None
    return whole[1] if whole else text


def is_one(labels: str | int | slice | Iterable[str | int]) -> bool:
    """Whether a label stands alone: a text or a number, of NumPy too."""
    return isinstance(labels, str) or not isinstance(labels, Iterable)


def listed(labels: str | int | slice | Iterable[str | int]) -> list[str]:
    """Return one label or several as texts.

    Examples
    --------
    >>> listed(2021), listed(["car", "phone"])
    (['2021'], ['car', 'phone'])
    >>> listed(slice(2010, 2021))  # as xarray picks years from one to the other
    ['2010..2021']
    """
    if isinstance(labels, slice):
        return [f"{labels.start}..{labels.stop}"]
    if isinstance(labels, str) or not isinstance(labels, Iterable):
        return [str(labels)]
    return [str(label) for label in labels]


# --- keys and what they are changed to ------------------------------------------------------------


def _key(ends: str) -> re.Pattern[str]:
    """Return what matches a key and its end, which may stand within quotes."""
    return re.compile(
        rf"\s*(?:{_IN_QUOTES}\s*(?=[{ends}])|(?P<plain>[^{ends}]*))(?P<end>[{ends}])", re.DOTALL
    )


_OF_PATH, _OF_CHANGE = _key("."), _key(".=")


def keys_of(path: str) -> list[str]:
    """Return the keys of a dotted path.

    Examples
    --------
    >>> keys_of("parameters.content.value.'1.10'")
    ['parameters', 'content', 'value', '1.10']
    """
    return [_of_quotes(found) or found["plain"] or "" for found in _OF_PATH.finditer(f"{path}.")]


def read_change(text: str) -> tuple[str, str]:
    """Return the path and the value of a change; both are empty if it is none.

    Examples
    --------
    >>> read_change("parameters.content.value.'a=b' = 5")
    ("parameters.content.value.'a=b'", '5')
    >>> read_change("content[product=car year=2021] = x1.2")
    ('content[product=car year=2021]', 'x1.2')
    """
    _, labels, rest = split_labels(text)
    if labels is not None and rest.startswith("="):
        return text[: -len(rest)].strip(), rest[1:].strip()
    ends = (one.end() for one in _OF_CHANGE.finditer(f"{text}=") if one["end"] == "=")
    end = next(ends)
    return (text[: end - 1].strip(), text[end:].strip()) if end <= len(text) else ("", "")


def split_labels(text: str) -> tuple[str, str | None, str]:
    """Return the path of a parameter, the labels in brackets behind it, and what is behind them.

    Where there are none the path is the whole text.

    Examples
    --------
    >>> split_labels("parameters.content[product='a]b' year=2001..2010]")
    ('parameters.content', "product='a]b' year=2001..2010", '')
    >>> split_labels("parameters.content.value.'1.10'")
    ("parameters.content.value.'1.10'", None, '')
    """
    found = _BEFORE_LABELS.match(text)
    end = _closing(text, found.end()) if found else -1
    if not found or end < 0:
        return text, None, ""
    return found[1], text[found.end() : end].strip(), text[end + 1 :].lstrip()


_BEFORE_LABELS = re.compile(
    r"\s*((?:parameters\.)?[A-Za-z][A-Za-z0-9_]*(?:\.value)?)\s*\[", re.ASCII
)


def _closing(text: str, at: int) -> int:
    """Return where a bracket closes that holds labels, -1 if it does not; quotes may hold one."""
    begins = True
    while at < len(text) and text[at] != "]":
        if begins and text[at] in "'\"" and (end := text.find(text[at], at + 1)) > 0:
            at = end
        begins = text[at] in "=, "
        at += 1
    return at if at < len(text) else -1


def _of_quotes(found: re.Match[str]) -> str | None:
    quote = found["quote"]
    return found["quoted"].replace(2 * quote, quote) if quote else None


# --- pairs of a dim and labels --------------------------------------------------------------------

_NAME = r"[A-Za-z][A-Za-z0-9_]*\s*="

# A label, behind its dim or not. In quotes it may hold anything, a quote twice; without, it ends at
# a comma or where the next dim begins.
_LABEL = re.compile(
    rf"""[\s,]* (?P<dim>{_NAME}(?:\s+(?!\s|{_NAME}))?)?
    (?: {_IN_QUOTES} (?=\s*(?:,|$)|\s+{_NAME})
      | (?P<plain>[^\s,]+(?:\s+(?!\s|{_NAME})[^\s,]+)*) )?""",
    re.DOTALL | re.VERBOSE,
)


def read_labels(text: str, known: Mapping[str, Collection[str]]) -> dict[str, list[str]]:
    r"""Return the labels that a text names, by dim: ``year=2021 product=car, van``.

    Parameters
    ----------
    text
        Labels with commas between them, behind their dim, which may be left out where only one
        dim has such a label. A label ends at a comma or where the next dim begins; one that holds
        a comma, or looks like a dim and ``=``, stands in quotes, or alone behind its dim.
    known
        The labels and groups of dims.

    Raises
    ------
    LabelError
        For a dim without labels, and a label without dim that not just one dim has.

    Examples
    --------
    >>> known = {"product": ["passenger car", "Fe, cast"], "year": ["2020", "2021"]}
    >>> read_labels("year=2020,2021 product=passenger car", known)
    {'year': ['2020', '2021'], 'product': ['passenger car']}
    >>> read_labels("2021, 'Fe, cast'", known)
    {'year': ['2021'], 'product': ['Fe, cast']}
    """
    found: dict[str, list[str]] = {}
    for dim, labels, whole in _parts(unicodedata.normalize("NFC", text)):
        if whole in known.get(dim, ()):
            labels = [whole]
        if dim and not labels:
            raise LabelError(f"{dim!r} has no label; write {dim}=label, such as year=2021")
        for n, label in enumerate(labels):
            of = dim if dim and n == 0 else _owner(label, dim, known)
            found.setdefault(of, []).append(label)
    return found


def _parts(text: str) -> Iterator[tuple[str, list[str], str]]:
    """Yield each dim with the labels behind it, and with all of them as they stand there."""
    dim, labels, at, start, end = "", list[str](), 0, 0, 0
    while at < len(text):
        found = _LABEL.match(text, at)
        assert found, "a label may be empty"
        at = found.end()
        if found["dim"]:
            if dim or labels:
                yield dim, labels, text[start:end]
            dim, labels, start = found["dim"].partition("=")[0].rstrip(), [], found.end("dim")
        if (inner := _of_quotes(found)) is not None:
            labels.append(inner)
        elif found["plain"]:
            labels.append(found["plain"])
        end = at if found["quote"] or found["plain"] else end
    if dim or labels:
        yield dim, labels, text[start:end]


def _owner(label: str, dim: str, known: Mapping[str, Collection[str]]) -> str:
    """Return the dim of a label that stands behind another, of a dim or of none."""
    others = [other for other, some in known.items() if plain_label(other, label) in some]
    if dim and (dim in others or len(others) != 1):
        return dim
    if len(others) == 1:
        return others[0]
    if others:
        both = " and ".join(others[:2])
        raise LabelError(f"{both} have a label {label!r}; write {others[0]}={quoted(label)}")
    if label in known:
        raise LabelError(f"{label!r} is a dim; write {label}=label, such as year=2021")
    if "year" in known and _OF_YEARS.fullmatch(label):
        return "year"
    labels = [one for some in known.values() for one in some]
    hint = f"{nearest(label, labels)} (write dim=label, such as year=2021)"
    raise LabelError(f"no dim has a label {shown(label)}; {hint}")


def pairs(labels: Mapping[str, str | Iterable[str]], between: str = ", ") -> str:
    """Return labels by dim as `read_labels` reads them.

    Examples
    --------
    >>> pairs({"product": "Fe, cast", "year": ["2020", "2021"]})
    "product='Fe, cast', year=2020,2021"
    """
    lists = {dim: [some] if isinstance(some, str) else some for dim, some in labels.items()}
    return between.join(f"{dim}={','.join(map(quoted, some))}" for dim, some in lists.items())


def quoted(label: str) -> str:
    """Return a label as it may stand among others: in quotes, if it would end too early."""
    if label[:1] not in ("'", '"') and [*_parts(label)] == [("", [label], label)]:
        return label
    return "'" + label.replace("'", "''") + "'"


# --- what is wrong --------------------------------------------------------------------------------


def unknown_label(
    text: str,
    dim: str,
    labels: Mapping[str, Sequence[str]],
    groups: Mapping[str, Mapping[str, Sequence[str]]],
    *,
    grouped: bool = True,
) -> str:
    """Return what a text is that is no label of a dim, and which may be meant.

    Parameters
    ----------
    text
        The text.
    dim
        The dim it should be a label of.
    labels, groups
        Those of all dims.
    grouped
        Whether a group may stand where the text does.

    Examples
    --------
    >>> unknown_label("1900", "year", {"year": ["1950", "1951"]}, {})
    '1900 lies before the years of the scenario, 1950..1951'
    >>> unknown_label("car", "product", {"product": ["Car", "phone"]}, {})
    "product has no label 'car' (capitals count); did you mean 'Car'?"
    """
    if dim in YEARLY:
        return _no_year(text, dim, labels[dim])
    own = groups.get(dim, {})
    if text in own:
        members = ", ".join(map(repr, own[text][:_LISTED])) + ", ..." * (len(own[text]) > _LISTED)
        return f"{text!r} is a group of {dim}; only its labels can stand here: {members}"
    choices = [*labels[dim], *own] if grouped else [*labels[dim]]
    found = f"{dim} has no label {shown(text)}"
    if alike := next((one for one in choices if _bare(one) == _bare(text)), ""):
        return f"{found} ({_difference(alike, text)}); did you mean {alike!r}?"
    if text in labels:
        found = f"{shown(text)} is a dim, and no label of {dim}"
    elif others := [d for d, some in labels.items() if text in some or text in groups.get(d, ())]:
        found = f"{shown(text)} is a label of {others[0]}, not of {dim}"
    return f"{found}; {nearest(text, choices)}"


def _difference(one: str, other: str) -> str:
    if one.casefold() == other.casefold():
        return "capitals count"
    same = "".join(one.split()) == "".join(other.split())
    return "blanks count" if same else "capitals and blanks count"


def _bare(text: str) -> str:
    return "".join(text.split()).casefold()


def side(text: str, years: Sequence[str]) -> str:
    """Return whether a year lies ``before`` or ``after`` others; nothing if it does neither.

    Examples
    --------
    >>> side("1900", ["1950", "1951"]), side("19th", ["1950", "1951"])
    ('before', '')
    """
    first = _first(years)
    if not _WHOLE.fullmatch(text) or int(first) <= int(text) <= int(years[-1]):
        return ""
    return "before" if int(text) < int(first) else "after"


def _first(years: Sequence[str]) -> str:
    return years[0] if years[0].isdecimal() else years[1]  # of cohorts, behind `before`


def such_years(
    text: str, dim: str, years: Sequence[str], texts: Iterable[str], what: str = "rows"
) -> str:
    """Return how many of some texts lie where a year does, and what to do; nothing if it is none.

    Examples
    --------
    >>> such_years("1900", "year", ["1950", "1951"], ["1900", "1901.0", "1950"])
    " (2 such rows); remove these rows, or start the years earlier; they may stay where the \
parameter says 'missing' (interpolate, hold or 0)"
    """
    if dim not in YEARLY or not (where := side(text, years)):
        return ""
    counted = Counter(texts).items()
    count = sum(n for one, n in counted if side(plain_label(dim, one), years) == where)
    remedy = "start the years earlier" if where == "before" else "end the years later"
    many = f" ({count} such {what}); remove these {what}" if count > 1 else "; remove it"
    if dim != "year":
        return many
    if len(text) > len("2000"):
        return f"{many}, or {remedy}"
    stay = f"{'they' if count > 1 else 'it'} may stay where the parameter says 'missing'"
    return f"{many}, or {remedy}; {stay} (interpolate, hold or 0)"


def _no_year(text: str, dim: str, years: Sequence[str]) -> str:
    first = _first(years)
    if where := side(text, years):
        return f"{text} lies {where} the {dim}s of the scenario, {first}..{years[-1]}"
    if span := re.fullmatch(r"\s*(\d{4})\s*(?:-|\u2013|:|to)\s*(\d{4})\s*", text):
        return f"{shown(text)} is no {dim}; write {span[1]}..{span[2]}"
    return f"{shown(text)} is no {dim}; write whole numbers such as {first}"
